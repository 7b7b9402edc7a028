//! What clients log to a run. Each request is one transaction, and the same request again changes nothing.

use super::{RUN_NAME, find, note_name, open};
use crate::{Ctx, Event, Result, Services, boxed, commit};
use domain::{
    Error, ErrorKind,
    dataset_input::{MAX_DATASETS, ValidDatasetInput},
    id::{ExperimentId, LoggedModelId, RunId},
    log_batch::{self, LogBatch, MetricPoint, RawMetric},
    log_key::KeyKind,
    names::{ParamKey, RunName, TagKey},
    run::{DatasetInput, ModelLink, RunInfo, RunModel},
    series::Point,
    values::{ParamValue, TagValue, spaced_json},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{
    PgConnection,
    run::{
        Opened, input,
        key::{KeyId, NamedKey},
        log,
        metric::{self, Append},
    },
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
        let params = BTreeMap::from([(key.as_str(), value.as_str())]);
        let pairs = self.pairs_of_run(ctx, id, KeyKind::Param, &params).await?;
        let mut tx = self.begin().await?;
        let (opened, _) = open(&mut tx, ctx, id).await?;
        if let Some((_, old)) = log::insert_params(&mut tx, &opened, &pairs).await?.pop() {
            return Err(log_batch::param_changed(key.as_str(), &id.simple(), &old, value.as_str()));
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
        let params: BTreeMap<&str, &str> =
            batch.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut conn = self.conn().await?;
        let run = self.run_identity(&mut conn, ctx, id).await?;
        if batch.is_empty() {
            return super::check_active(&find(&mut conn, ctx, id).await?.1);
        }
        let points = self.points(&mut conn, run.experiment, &batch.metrics).await?;
        if params.is_empty() && tags.is_empty() && batch.model_metrics.is_empty() {
            drop(conn);
            return match self.appender.append(run.key, points).await? {
                Some(version) => {
                    self.packer.written(run.key, version);
                    Ok(())
                }
                None => Err(super::not_active(&find(&mut *self.conn().await?, ctx, id).await?.1)),
            };
        }
        let models = batch.model_metrics.iter().map(|point| point.model_id).collect();
        check_models(&mut conn, ctx, models).await?;
        let params_by_id = self.pairs(&mut conn, run.experiment, KeyKind::Param, &params).await?;
        let tags_by_id = self.pairs(&mut conn, run.experiment, KeyKind::Tag, &tags).await?;
        drop(conn);

        let mut tx = self.begin().await?;
        let (opened, info) = open(&mut tx, ctx, id).await?;
        let changed = log::insert_params(&mut tx, &opened, &params_by_id).await?;
        if !changed.is_empty() {
            let old = |key: &KeyId| changed.iter().find(|(changed, _)| changed == key).map(|(_, old)| old.clone());
            let changed: Vec<(String, String, String)> = (params.iter().zip(&params_by_id))
                .filter_map(|((key, new), (id, _))| Some(((*key).to_owned(), old(id)?, (*new).to_owned())))
                .collect();
            return Err(log_batch::params_changed(&id.simple(), &changed));
        }
        let versions = metric::append(&mut tx, &[Append { run: run.key, points: &points }], true).await?;
        metric::insert_of_models(&mut tx, run.key, &batch.model_metrics).await?;
        set_tags(&mut tx, ctx, (&opened, &info), (&tags, &tags_by_id)).await?;
        commit(tx).await?;
        if let Some(version) = versions.get(&run.key) {
            self.packer.written(run.key, *version);
        }
        Ok(())
    }

    /// Points with their metrics by number.
    async fn points(
        &self,
        conn: &mut PgConnection,
        experiment: ExperimentId,
        metrics: &[MetricPoint],
    ) -> Result<Vec<(KeyId, Point)>> {
        let names: BTreeSet<&str> = metrics.iter().map(|point| point.key.as_str()).collect();
        let keys: Vec<NamedKey<'_>> = names.iter().map(|name| (KeyKind::Metric, *name)).collect();
        let ids = self.key_ids(conn, experiment, &keys).await?;
        let ids: HashMap<&str, KeyId> = names.into_iter().zip(ids).collect();
        let point = |logged: &MetricPoint| {
            let point = Point { step: logged.step, timestamp: logged.timestamp.get(), value: logged.value.get() };
            Some((*ids.get(logged.key.as_str())?, point))
        };
        Ok(metrics.iter().filter_map(point).collect())
    }

    /// Params or tags with their keys by number, in the order of the keys. Not for use in a transaction.
    pub(crate) async fn pairs<'a>(
        &self,
        conn: &mut PgConnection,
        experiment: ExperimentId,
        kind: KeyKind,
        pairs: &BTreeMap<&str, &'a str>,
    ) -> Result<Vec<log::Pair<'a>>> {
        let keys: Vec<NamedKey<'_>> = pairs.keys().map(|name| (kind, *name)).collect();
        let ids = self.key_ids(conn, experiment, &keys).await?;
        Ok(ids.into_iter().zip(pairs.values().copied()).collect())
    }

    /// The same, of what is logged to a run, on a connection of their own.
    pub(super) async fn pairs_of_run<'a>(
        &self,
        ctx: &Ctx,
        id: RunId,
        kind: KeyKind,
        pairs: &BTreeMap<&str, &'a str>,
    ) -> Result<Vec<log::Pair<'a>>> {
        let mut conn = self.conn().await?;
        let run = self.run_identity(&mut conn, ctx, id).await?;
        self.pairs(&mut conn, run.experiment, kind, pairs).await
    }

    /// Sets a tag of a run; `mlflow.runName` renames it. Tells whether the value was cut.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a wrong tag, or when the run is deleted.
    #[boxed]
    pub async fn set_run_tag(&self, ctx: &Ctx, id: RunId, key: &str, value: &str) -> Result<bool> {
        let key = TagKey::parse(key, "key")?;
        let value = TagValue::for_run(value, "value")?;
        let tags = BTreeMap::from([(key.as_str(), value.as_str())]);
        check_run_name(&tags)?;
        let tags_by_id = self.pairs_of_run(ctx, id, KeyKind::Tag, &tags).await?;
        let mut tx = self.begin().await?;
        let (opened, info) = open(&mut tx, ctx, id).await?;
        set_tags(&mut tx, ctx, (&opened, &info), (&tags, &tags_by_id)).await?;
        commit(tx).await?;
        Ok(value.was_truncated())
    }

    /// Removes a tag of a run.
    ///
    /// # Errors
    /// `NotFound` without such a run or tag; `Invalid` when the run is deleted.
    #[boxed]
    pub async fn delete_run_tag(&self, ctx: &Ctx, id: RunId, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let (opened, _) = open(&mut tx, ctx, id).await?;
        if log::delete_tag(&mut tx, &opened, key).await? {
            return commit(tx).await;
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
        let (run, info) = open(&mut tx, ctx, id).await?;
        check_models(&mut tx, ctx, models.to_vec()).await?;
        let new = input::add_datasets(&mut tx, &run, info.experiment_id, &datasets).await?;
        if !new.is_empty() {
            let summary = format!("noted that {} read {}", info.name, new.join(", "));
            Event::new("run.inputs_logged", super::object(&info), summary)
                .details(serde_json::json!({ "datasets": new }))
                .write(&mut tx, ctx)
                .await?;
        }
        input::add_models(&mut tx, &run, input::Direction::Input, &links).await?;
        commit(tx).await
    }

    /// Notes which logged models a run wrote.
    ///
    /// # Errors
    /// `NotFound` without such a run or model; `Invalid` when the run is deleted.
    #[boxed]
    pub async fn log_outputs(&self, ctx: &Ctx, id: RunId, models: &[ModelLink]) -> Result<()> {
        let mut tx = self.begin().await?;
        let (run, _) = open(&mut tx, ctx, id).await?;
        check_models(&mut tx, ctx, models.iter().map(|link| link.model_id).collect()).await?;
        input::add_models(&mut tx, &run, input::Direction::Output, models).await?;
        commit(tx).await
    }

    /// Notes a model that an older client logged.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` when the run is deleted, or there are too many models.
    #[boxed]
    pub async fn log_run_model(&self, ctx: &Ctx, id: RunId, model: RunModel) -> Result<()> {
        let mut conn = self.conn().await?;
        let known = self.run_identity(&mut conn, ctx, id).await?;
        let tag = self.key_ids(&mut conn, known.experiment, &[(KeyKind::Tag, LOGGED_MODELS)]).await?;
        drop(conn);
        let mut tx = self.begin().await?;
        let (run, _) = open(&mut tx, ctx, id).await?;
        let before = log::tag(&mut tx, run.key(), LOGGED_MODELS).await?;
        let mut models: Vec<RunModel> = before.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if models.contains(&model) {
            return Ok(());
        }
        models.push(model);
        let value = spaced_json(&models);
        if value.len() > MAX_LOGGED_MODELS {
            return Err(Error::invalid("This run has too many models; log further ones to another run."));
        }
        let tags: Vec<log::Pair<'_>> = tag.into_iter().map(|key| (key, value.as_str())).collect();
        log::set_tags(&mut tx, &run, &tags).await?;
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
    (run, before): (&Opened, &RunInfo),
    (tags, by_id): (&BTreeMap<&str, &str>, &[log::Pair<'_>]),
) -> Result<()> {
    log::set_tags(conn, run, by_id).await?;
    let Some(name) = tags.get(RUN_NAME) else { return Ok(()) };
    store::run::rename(conn, run, name).await?;
    note_name(conn, ctx, before, name).await
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
