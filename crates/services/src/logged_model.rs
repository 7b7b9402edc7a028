//! Logged models: models as runs wrote them.

use crate::{Ctx, Event, Result, Services, boxed, commit, experiment, page_rows};
use chrono::Utc;
use domain::{
    Digest, Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    id::{ExperimentId, LoggedModelId, RunId},
    logged_model::{LoggedModel, LoggedModelStatus, VERSIONS_TAG, check_unchanged, with_version},
    names::{LoggedModelName, ParamKey, TagKey},
    page,
    search::{self, DatasetRef, LoggedModelOrderField},
    values::{ParamValue, TagValue},
};
use std::collections::BTreeMap;
use store::{PgConnection, keyset::Place};

/// A logged model to be made.
#[derive(Debug, Clone, Default)]
pub struct NewLoggedModel {
    /// Its experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// Its name; a made-up one when none.
    pub name: Option<String>,
    /// What the client calls its type.
    pub model_type: String,
    /// The run that writes it.
    pub source_run_id: Option<RunId>,
    /// Parameters by key.
    pub params: Vec<(String, String)>,
    /// Tags by key.
    pub tags: Vec<(String, String)>,
}

/// Which page of which logged models.
#[derive(Debug, Clone, Default)]
pub struct LoggedModelSearch<'a> {
    /// Models of these experiments; `0` is the default one.
    pub experiments: Vec<ExperimentId>,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Metrics in the filter were measured on one of these; on anything when there are none. Without metrics in the filter,
    /// only models of which something was measured on one of these.
    pub datasets: Vec<DatasetRef>,
    /// Entries of an order; without any, the newest first.
    pub order: Vec<LoggedModelOrderField>,
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most models of the page.
    pub limit: usize,
}

impl LoggedModelSearch<'_> {
    /// What a page's token belongs to.
    fn fingerprint(&self) -> Result<Digest> {
        let order = self.order.iter().map(|by| (&by.field_name, by.ascending, &by.dataset_name, &by.dataset_digest));
        let datasets = self.datasets.iter().map(|dataset| (&dataset.name, &dataset.digest));
        let search = (&self.experiments, self.filter, datasets.collect::<Vec<_>>(), order.collect::<Vec<_>>());
        Digest::of_json(&search).map_err(|error| {
            tracing::error!(%error, "a search has no digest");
            Error::internal()
        })
    }
}

impl Services {
    /// Makes a logged model whose files are about to be uploaded, and gives which of its parameters were cut, by where they
    /// stand in the request.
    ///
    /// # Errors
    /// `NotFound` without such an experiment or run; `Invalid` for a wrong name, parameter or tag, or a deleted
    /// experiment.
    #[boxed]
    pub async fn create_logged_model(&self, ctx: &Ctx, new: NewLoggedModel) -> Result<(LoggedModel, Vec<String>)> {
        let name = match new.name.filter(|name| !name.is_empty()) {
            Some(name) => LoggedModelName::parse(&name, "name")?.into_string(),
            None => crate::run::random_name(),
        };
        if new.model_type.chars().count() > 500 || new.model_type.contains('\0') {
            return Err(Error::invalid_field("model_type", "A model's type has at most 500 characters."));
        }
        let (params, truncated) = params(&new.params)?;
        let tags = tags(&new.tags)?;
        let mut tx = self.begin().await?;
        let experiment = experiment::active(&mut tx, ctx, new.experiment_id).await?;
        if let Some(run) = new.source_run_id {
            crate::run::find(&mut tx, ctx, run).await?;
        }
        let now = Utc::now().timestamp_millis();
        let model = LoggedModel {
            id: LoggedModelId::new(),
            workspace_id: ctx.workspace_id(),
            experiment_id: experiment.id,
            name,
            model_type: new.model_type,
            source_run_id: new.source_run_id,
            status: LoggedModelStatus::Pending,
            status_message: String::new(),
            creation_time: now,
            last_update_time: now,
            deleted: false,
            params,
            tags,
            metrics: Vec::new(),
        };
        store::logged_model::insert(&mut tx, &model).await?;
        note(&mut tx, ctx, "logged_model.created", "logged", &model).await?;
        commit(tx).await?;
        Ok((model, truncated))
    }

    /// The logged model of this id; a deleted one only when asked for.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn logged_model(&self, ctx: &Ctx, id: LoggedModelId, allow_deleted: bool) -> Result<LoggedModel> {
        let mut conn = self.conn().await?;
        let model = whole(&mut conn, ctx, id).await?;
        if model.deleted && !allow_deleted { Err(no_logged_model(&id.wire())) } else { Ok(model) }
    }

    /// Those of these logged models that are in the workspace, in their order, deleted ones too.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn logged_models(&self, ctx: &Ctx, ids: &[LoggedModelId]) -> Result<Vec<LoggedModel>> {
        Ok(store::logged_model::load(&mut *self.conn().await?, ctx.workspace_id(), ids).await?)
    }

    /// A page of logged models in use.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn search_logged_models(&self, ctx: &Ctx, wanted: &LoggedModelSearch<'_>) -> Result<Page<LoggedModel>> {
        let of = wanted.fingerprint()?;
        let after: Option<Place> = match wanted.page_token.map(page::decode::<(Digest, Place)>).transpose()? {
            Some((digest, _)) if digest != of => return Err(page::foreign_token()),
            after => after.map(|(_, place)| place),
        };
        let filter = search::logged_model_filter(wanted.filter)?;
        let order = search::logged_model_order(wanted.order.clone())?;
        let mut conn = self.conn().await?;
        let search = store::logged_model::search::Search {
            workspace: ctx.workspace_id(),
            experiments: crate::run::resolve_experiments(&mut conn, ctx, &wanted.experiments).await?,
            filter,
            datasets: wanted.datasets.clone(),
            order,
        };
        let found =
            store::logged_model::search::search(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        let models = store::logged_model::load(&mut conn, ctx.workspace_id(), &found.items).await?;
        let next_page_token = found.next.map(|place| page::encode(&(of, place)));
        Ok(Page { items: models, next_page_token })
    }

    /// Says that a logged model is complete, or that its upload failed.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted.
    #[boxed]
    pub async fn finalize_logged_model(
        &self,
        ctx: &Ctx,
        id: LoggedModelId,
        status: LoggedModelStatus,
    ) -> Result<LoggedModel> {
        let mut tx = self.begin().await?;
        store::logged_model::lock(&mut tx, ctx.workspace_id(), id).await?;
        let before = active(&mut tx, ctx, id).await?;
        store::logged_model::set_status(&mut tx, id, status, Utc::now().timestamp_millis()).await?;
        let model = whole(&mut tx, ctx, id).await?;
        if model.status != before.status {
            let (action, verb) = match model.status {
                LoggedModelStatus::Pending => ("logged_model.reopened", "took up again"),
                LoggedModelStatus::Ready => ("logged_model.completed", "completed"),
                LoggedModelStatus::UploadFailed => ("logged_model.failed", "could not upload"),
            };
            note(&mut tx, ctx, action, verb, &model).await?;
        }
        commit(tx).await?;
        Ok(model)
    }

    /// Puts a logged model away. Versions registered from it stay.
    ///
    /// # Errors
    /// `NotFound`. Again changes nothing.
    #[boxed]
    pub async fn delete_logged_model(&self, ctx: &Ctx, id: LoggedModelId) -> Result<()> {
        let mut tx = self.begin().await?;
        store::logged_model::lock(&mut tx, ctx.workspace_id(), id).await?;
        let model = find(&mut tx, ctx, id).await?;
        if model.deleted {
            return Ok(());
        }
        store::logged_model::delete(&mut tx, id, Utc::now().timestamp_millis()).await?;
        note(&mut tx, ctx, "logged_model.deleted", "deleted", &model).await?;
        commit(tx).await
    }

    /// Sets tags of a logged model.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted; `Invalid` for a wrong tag.
    #[boxed]
    pub async fn set_logged_model_tags(
        &self,
        ctx: &Ctx,
        id: LoggedModelId,
        new: &[(String, String)],
    ) -> Result<LoggedModel> {
        let tags = tags(new)?;
        let mut tx = self.begin().await?;
        check_in_use(&mut tx, ctx, id).await?;
        store::logged_model::set_tags(&mut tx, id, &tags).await?;
        let model = whole(&mut tx, ctx, id).await?;
        commit(tx).await?;
        Ok(model)
    }

    /// Removes a tag of a logged model.
    ///
    /// # Errors
    /// `NotFound`, also without such a tag.
    #[boxed]
    pub async fn delete_logged_model_tag(&self, ctx: &Ctx, id: LoggedModelId, key: &str) -> Result<()> {
        let mut conn = self.conn().await?;
        check_in_use(&mut conn, ctx, id).await?;
        if store::logged_model::delete_tag(&mut conn, id, key).await? {
            return Ok(());
        }
        let message = format!("No tag with key '{key}' found for model with ID '{}'.", id.wire());
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// Adds parameters to a logged model, and gives which of them were cut, by where they stand in the request. The same again
    /// changes nothing.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted; `Invalid` for a wrong parameter, or one that has another value already.
    #[boxed]
    pub async fn log_logged_model_params(
        &self,
        ctx: &Ctx,
        id: LoggedModelId,
        new: &[(String, String)],
    ) -> Result<Vec<String>> {
        let (params, truncated) = params(new)?;
        let mut tx = self.begin().await?;
        store::logged_model::lock(&mut tx, ctx.workspace_id(), id).await?;
        let model = active(&mut tx, ctx, id).await?;
        check_unchanged(id, &model.params, &params)?;
        store::logged_model::add_params(&mut tx, id, &params).await?;
        commit(tx).await?;
        Ok(truncated)
    }
}

/// The logged model of this id, deleted or not, for those who do not look at its metrics: there are none here.
pub(crate) async fn find(conn: &mut PgConnection, ctx: &Ctx, id: LoggedModelId) -> Result<LoggedModel> {
    let found = store::logged_model::without_metrics(conn, ctx.workspace_id(), id).await?;
    found.ok_or_else(|| no_logged_model(&id.wire()))
}

/// The logged model of this id, deleted or not, with every value that was logged of it.
async fn whole(conn: &mut PgConnection, ctx: &Ctx, id: LoggedModelId) -> Result<LoggedModel> {
    store::logged_model::by_id(conn, ctx.workspace_id(), id).await?.ok_or_else(|| no_logged_model(&id.wire()))
}

/// The logged model of this id, which must be in use, without its metrics.
async fn active(conn: &mut PgConnection, ctx: &Ctx, id: LoggedModelId) -> Result<LoggedModel> {
    let model = find(conn, ctx, id).await?;
    if model.deleted { Err(no_logged_model(&id.wire())) } else { Ok(model) }
}

/// Refuses a logged model that is not there, or deleted.
async fn check_in_use(conn: &mut PgConnection, ctx: &Ctx, id: LoggedModelId) -> Result<()> {
    let is_in_use = store::logged_model::is_in_use(conn, ctx.workspace_id(), id).await?;
    if is_in_use { Ok(()) } else { Err(no_logged_model(&id.wire())) }
}

/// Writes down what happened to a model, on the timelines of its experiment and run too.
pub(crate) async fn note(
    conn: &mut PgConnection,
    ctx: &Ctx,
    action: &'static str,
    verb: &str,
    model: &LoggedModel,
) -> Result<()> {
    let object = Object::new(ObjectKind::LoggedModel, model.id.wire(), &model.name);
    let mut event = Event::new(action, object, format!("{verb} the model {}", model.name));
    let experiment = experiment::experiment(conn, ctx, model.experiment_id).await?;
    event = event.related(experiment::object(&experiment));
    if let Some(run) = model.source_run_id {
        event = event.related(crate::run::object(&crate::run::find(conn, ctx, run).await?.1));
    }
    event.write(conn, ctx).await
}

/// Notes in the model's tags that a version was registered from it.
pub(crate) async fn note_version(
    conn: &mut PgConnection,
    ctx: &Ctx,
    id: LoggedModelId,
    name: &str,
    version: i32,
) -> Result<()> {
    store::logged_model::lock(conn, ctx.workspace_id(), id).await?;
    let model = find(conn, ctx, id).await?;
    let versions = with_version(model.tags.get(VERSIONS_TAG).map(String::as_str), name, version);
    if versions.len() > TagValue::MAX_MODEL {
        // The versions themselves are there; the tag is for those who look at the logged model alone.
        return Ok(());
    }
    store::logged_model::set_tags(conn, id, &BTreeMap::from([(VERSIONS_TAG.to_owned(), versions)])).await?;
    Ok(())
}

/// The refusal of an id that no logged model of the workspace has.
#[must_use]
pub fn no_logged_model(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Logged model with ID '{id}' not found."))
}

/// Params as they are kept, and which of them were cut.
fn params(pairs: &[(String, String)]) -> Result<(BTreeMap<String, String>, Vec<String>)> {
    let (mut params, mut truncated) = (BTreeMap::new(), Vec::new());
    for (index, (key, value)) in pairs.iter().enumerate() {
        let path = format!("params[{index}].value");
        let key = ParamKey::parse(key, &format!("params[{index}].key"))?;
        let value = ParamValue::parse(value, &path)?;
        if value.was_truncated() {
            truncated.push(path);
        }
        params.insert(key.into_string(), value.as_str().to_owned());
    }
    Ok((params, truncated))
}

fn tags(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    pairs
        .iter()
        .enumerate()
        .map(|(index, (key, value))| {
            let key = TagKey::parse(key, &format!("tags[{index}].key"))?;
            let value = TagValue::for_model(value, &format!("tags[{index}].value"))?;
            Ok((key.into_string(), value.as_str().to_owned()))
        })
        .collect()
}
