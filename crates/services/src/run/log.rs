//! What clients log to a run. Each request is one transaction, and the same request again changes nothing.

use super::{RUN_NAME, active, check_active, find, note_name};
use crate::{Ctx, Event, Result, Services, boxed, commit};
use domain::{
    Error, ErrorKind,
    dataset::{MAX_DATASETS, ValidDatasetInput},
    id::{LoggedModelId, RunId},
    log_batch::{self, LogBatch, RawMetric},
    names::{ParamKey, RunName},
    run::{DatasetInput, ModelLink, RunInfo},
    values::{ParamValue, TagValue},
};
use std::collections::BTreeMap;
use store::{
    PgConnection,
    run::{RunKey, input, log, metric},
};

/// The tag with what older clients log of models.
const LOGGED_MODELS: &str = "mlflow.log-model.history";
/// The most bytes of that tag.
const MAX_LOGGED_MODELS: usize = 1 << 20;

impl Services {
    /// Logs a point of a metric.
    ///
    /// # Errors
    /// `NotFound` without such a run or model; `Invalid` for a wrong key or time, or when the run is deleted.
    #[boxed]
    pub async fn log_metric(&self, ctx: &Ctx, id: RunId, metric: &RawMetric) -> Result<()> {
        let (point, of_model) = metric.parse("")?;
        let batch =
            LogBatch { metrics: vec![point], model_metrics: of_model.into_iter().collect(), ..LogBatch::default() };
        self.log_batch(ctx, id, &batch).await
    }

    /// Logs a parameter. Tells whether its value was cut.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a wrong key, when the run is deleted, or the parameter has another
    /// value already.
    #[boxed]
    pub async fn log_param(&self, ctx: &Ctx, id: RunId, key: &str, value: &str) -> Result<bool> {
        let key = ParamKey::parse(key, "key")?;
        let value = ParamValue::parse(value, "value")?;
        let mut tx = self.begin().await?;
        let run = active(&mut tx, ctx, id).await?;
        let params = BTreeMap::from([(key.as_str(), value.as_str())]);
        if let Some((key, old, new)) = log::insert_params(&mut tx, run, &params).await?.pop() {
            return Err(log_batch::param_changed(&key, &id.simple(), &old, &new));
        }
        commit(tx).await?;
        Ok(value.was_truncated())
    }

    /// Logs params, metrics and tags: all of them or none.
    ///
    /// # Errors
    /// `NotFound` without such a run or model; `Invalid` when the run is deleted or a parameter has another value
    /// already.
    #[boxed]
    pub async fn log_batch(&self, ctx: &Ctx, id: RunId, batch: &LogBatch) -> Result<()> {
        let tags: BTreeMap<&str, &str> = batch.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        check_run_name(&tags)?;
        let mut conn = self.conn().await?;
        let (run, info) = find(&mut conn, ctx, id).await?;
        check_active(&info)?;
        let models = batch.model_metrics.iter().map(|point| point.model_id).collect();
        check_models(&mut conn, ctx, models).await?;
        let keys: Vec<&str> = batch.metrics.iter().map(|point| point.key.as_str()).collect();
        let ids = metric::ids(&mut conn, &keys).await?;
        if batch.params.is_empty() && batch.tags.is_empty() && batch.model_metrics.is_empty() {
            // One statement is a transaction by itself.
            return Ok(metric::insert(&mut conn, run, &batch.metrics, &ids).await?);
        }
        drop(conn);

        let mut tx = self.begin().await?;
        let params = batch.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let changed = log::insert_params(&mut tx, run, &params).await?;
        if !changed.is_empty() {
            return Err(log_batch::params_changed(&id.simple(), &changed));
        }
        metric::insert(&mut tx, run, &batch.metrics, &ids).await?;
        metric::insert_of_models(&mut tx, run, &batch.model_metrics, &ids).await?;
        set_tags(&mut tx, ctx, (run, &info), &tags).await?;
        commit(tx).await
    }

    /// Sets a tag of a run; `mlflow.runName` renames it. Tells whether the value was cut.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a wrong tag, or when the run is deleted.
    #[boxed]
    pub async fn set_run_tag(&self, ctx: &Ctx, id: RunId, key: &str, value: &str) -> Result<bool> {
        let key = domain::names::TagKey::parse(key, "key")?;
        let value = TagValue::for_run(value, "value")?;
        let tags = BTreeMap::from([(key.as_str(), value.as_str())]);
        check_run_name(&tags)?;
        let mut tx = self.begin().await?;
        let (run, info) = find(&mut tx, ctx, id).await?;
        check_active(&info)?;
        set_tags(&mut tx, ctx, (run, &info), &tags).await?;
        commit(tx).await?;
        Ok(value.was_truncated())
    }

    /// Removes a tag of a run.
    ///
    /// # Errors
    /// `NotFound` without such a run or tag; `Invalid` when the run is deleted.
    #[boxed]
    pub async fn delete_run_tag(&self, ctx: &Ctx, id: RunId, key: &str) -> Result<()> {
        let mut conn = self.conn().await?;
        let run = active(&mut conn, ctx, id).await?;
        if log::delete_tag(&mut conn, run, key).await? {
            return Ok(());
        }
        let message = format!("No tag with name: {key} in run with id {}", id.simple());
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// Notes which data sets and logged models a run read.
    ///
    /// # Errors
    /// `NotFound` without such a run or model; `Invalid` for a wrong data set, or when the run is deleted.
    #[boxed]
    pub async fn log_inputs(
        &self,
        ctx: &Ctx,
        id: RunId,
        datasets: Vec<DatasetInput>,
        models: &[LoggedModelId],
    ) -> Result<()> {
        if datasets.len() > MAX_DATASETS {
            return Err(Error::invalid_field("datasets", format!("At most {MAX_DATASETS} data sets in a request.")));
        }
        let parse = |(index, input)| ValidDatasetInput::parse(input, &format!("datasets[{index}]"));
        let datasets: Vec<ValidDatasetInput> = datasets.into_iter().enumerate().map(parse).collect::<Result<_>>()?;
        let links: Vec<ModelLink> = models.iter().map(|model_id| ModelLink { model_id: *model_id, step: 0 }).collect();
        let mut tx = self.begin().await?;
        let (run, info) = find(&mut tx, ctx, id).await?;
        check_active(&info)?;
        check_models(&mut tx, ctx, models.to_vec()).await?;
        let new = input::add_datasets(&mut tx, run, info.experiment_id, &datasets).await?;
        if !new.is_empty() {
            let summary = format!("noted that {} read {}", info.name, new.join(", "));
            Event::new("run.inputs_logged", super::object(&info), summary)
                .details(serde_json::json!({ "datasets": new }))
                .write(&mut tx, ctx)
                .await?;
        }
        input::add_models(&mut tx, run, input::Direction::Input, &links).await?;
        commit(tx).await
    }

    /// Notes which logged models a run wrote.
    ///
    /// # Errors
    /// `NotFound` without such a run or model; `Invalid` when the run is deleted.
    #[boxed]
    pub async fn log_outputs(&self, ctx: &Ctx, id: RunId, models: &[ModelLink]) -> Result<()> {
        let mut tx = self.begin().await?;
        let run = active(&mut tx, ctx, id).await?;
        check_models(&mut tx, ctx, models.iter().map(|link| link.model_id).collect()).await?;
        input::add_models(&mut tx, run, input::Direction::Output, models).await?;
        commit(tx).await
    }

    /// Notes a model that an older client logged: `model` is its MLmodel file as JSON.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` when the run is deleted, or there are too many models.
    #[boxed]
    pub async fn log_run_model(&self, ctx: &Ctx, id: RunId, model: serde_json::Value) -> Result<()> {
        let mut tx = self.begin().await?;
        let run = active(&mut tx, ctx, id).await?;
        let before = log::lock_tag(&mut tx, run, LOGGED_MODELS).await?;
        let mut models: Vec<serde_json::Value> =
            before.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if models.contains(&model) {
            return Ok(());
        }
        models.push(model);
        let value = serde_json::Value::from(models).to_string();
        if value.len() > MAX_LOGGED_MODELS {
            return Err(Error::invalid("This run has too many models; log further ones to another run."));
        }
        log::set_tags(&mut tx, run, &BTreeMap::from([(LOGGED_MODELS, value.as_str())])).await?;
        commit(tx).await
    }
}

/// A tag that renames the run must be a name.
fn check_run_name(tags: &BTreeMap<&str, &str>) -> Result<()> {
    match tags.get(RUN_NAME) {
        Some(name) => RunName::parse(name, "value").map(drop),
        None => Ok(()),
    }
}

/// Sets tags. One of them may rename the run, which its history tells.
async fn set_tags(
    conn: &mut PgConnection,
    ctx: &Ctx,
    (run, before): (RunKey, &RunInfo),
    tags: &BTreeMap<&str, &str>,
) -> Result<()> {
    log::set_tags(conn, run, tags).await?;
    match tags.get(RUN_NAME) {
        Some(name) => note_name(conn, ctx, before, name).await,
        None => Ok(()),
    }
}

/// Refuses ids that no logged model of the workspace has.
async fn check_models(conn: &mut PgConnection, ctx: &Ctx, mut ids: Vec<LoggedModelId>) -> Result<()> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let known = store::logged_model::known(conn, ctx.workspace_id(), &ids).await?;
    match ids.into_iter().find(|id| !known.contains(id)) {
        Some(unknown) => Err(crate::logged_model::no_logged_model(&unknown.wire())),
        None => Ok(()),
    }
}
