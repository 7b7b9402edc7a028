//! Experiments.

use crate::{Ctx, Event, Result, Services, boxed, commit, environment, model::tag_details, page_rows};
use chrono::Utc;
use domain::{
    Error, ErrorKind, Page,
    artifact_root::check_artifact_location,
    audit::{Object, ObjectKind},
    experiment::{Champion, Experiment, ExperimentSummary, LifecycleStage, ViewType},
    id::{ExperimentId, WorkspaceId},
    names::{ExperimentName, TagKey},
    page, search,
    values::TagValue,
};
use std::collections::BTreeMap;
use store::{
    PgConnection,
    keyset::{Found, Place},
};

/// An experiment to be made.
#[derive(Debug, Clone, Default)]
pub struct NewExperiment {
    /// Its name.
    pub name: String,
    /// Where its artifacts shall be; only the server's own place is taken.
    pub artifact_location: String,
    /// Tags by key.
    pub tags: Vec<(String, String)>,
}

/// Which page of which experiments.
#[derive(Debug, Clone)]
pub struct ExperimentSearch<'a> {
    /// In use, put away, or both.
    pub view: ViewType,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Entries of an order; without any, the newest first.
    pub order: &'a [String],
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most experiments of the page.
    pub limit: usize,
}

impl Default for ExperimentSearch<'_> {
    fn default() -> Self {
        Self { view: ViewType::ActiveOnly, filter: "", order: &[], page_token: None, limit: page::MAX_PAGE }
    }
}

impl Services {
    /// Makes an experiment.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, also by a deleted one; `Invalid` for a wrong name, tag or place.
    #[boxed]
    pub async fn create_experiment(&self, ctx: &Ctx, new: NewExperiment) -> Result<Experiment> {
        let name = ExperimentName::parse(&new.name, "name")?;
        check_artifact_location(&new.artifact_location)?;
        let tags = experiment_tags(&new.tags)?;
        let mut tx = self.begin().await?;
        let now = Utc::now().timestamp_millis();
        let id = store::experiment::insert(&mut tx, ctx.workspace_id(), name.as_str(), now)
            .await
            .map_err(|error| name_taken(error, name.as_str()))?;
        store::experiment::set_tags(&mut tx, id, &tags).await?;
        let experiment = experiment(&mut tx, ctx, id).await?;
        Event::new("experiment.created", object(&experiment), format!("created the experiment {name}"))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(experiment)
    }

    /// The experiment of this number, deleted or not; `0` is the default one of the workspace.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
        experiment(&mut *self.conn().await?, ctx, id).await
    }

    /// The experiment of this name, deleted or not.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn experiment_by_name(&self, ctx: &Ctx, name: &str) -> Result<Experiment> {
        store::experiment::by_name(&mut *self.conn().await?, ctx.workspace_id(), name)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Could not find experiment with name '{name}'")))
    }

    /// A page of experiments.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn search_experiments(&self, ctx: &Ctx, wanted: &ExperimentSearch<'_>) -> Result<Page<Experiment>> {
        let (search, after) = wanted.parse(ctx)?;
        let mut conn = self.conn().await?;
        let found = store::experiment::search(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        Ok(to_page(found))
    }

    /// A page of experiments, with what the active runs of each come to.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn experiment_summaries(
        &self,
        ctx: &Ctx,
        wanted: &ExperimentSearch<'_>,
    ) -> Result<Page<ExperimentSummary>> {
        let (search, after) = wanted.parse(ctx)?;
        let mut conn = self.conn().await?;
        let found = store::experiment::summaries(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        Ok(to_page(found))
    }

    /// What the runs of an experiment are held against: the version in production that came from one of them. None while
    /// there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn champion(&self, ctx: &Ctx, id: ExperimentId) -> Result<Option<Champion>> {
        let mut conn = self.conn().await?;
        let Some(production) = environment::production(&mut conn, ctx).await? else { return Ok(None) };
        let Some((model, version, run)) = store::experiment::serving(&mut conn, production.id, id).await? else {
            return Ok(None);
        };
        let metrics = store::promotion::metrics_of_run(&mut conn, run).await?;
        let better = crate::policy::better_in(&mut conn, &production).await?;
        Ok(Some(Champion { model, version, metrics, better }))
    }

    /// Whether anything was logged to the workspace.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn has_runs(&self, ctx: &Ctx) -> Result<bool> {
        Ok(store::experiment::has_runs(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// Renames an experiment that is in use.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the name is taken; `Invalid` when it is deleted.
    #[boxed]
    pub async fn rename_experiment(&self, ctx: &Ctx, id: ExperimentId, name: &str) -> Result<()> {
        let name = ExperimentName::parse(name, "new_name")?;
        let mut tx = self.begin().await?;
        let id = experiment(&mut tx, ctx, id).await?.id;
        store::experiment::lock(&mut tx, id).await?;
        let before = experiment(&mut tx, ctx, id).await?;
        if before.lifecycle_stage != LifecycleStage::Active {
            return Err(Error::invalid("Cannot rename a non-active experiment. Restore it first."));
        }
        if before.name == name.as_str() {
            return Ok(());
        }
        store::experiment::rename(&mut tx, before.id, name.as_str(), Utc::now().timestamp_millis())
            .await
            .map_err(|error| name_taken(error, name.as_str()))?;
        let summary = format!("renamed the experiment {} to {name}", before.name);
        Event::new("experiment.renamed", Object::new(ObjectKind::Experiment, before.id, name.as_str()), summary)
            .details(serde_json::json!({ "from": before.name, "to": name.as_str() }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, ctx.workspace_id(), before.id).await?;
        commit(tx).await
    }

    /// Puts an experiment away with all its runs.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted already.
    #[boxed]
    pub async fn delete_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<()> {
        self.set_experiment_stage(ctx, id, LifecycleStage::Deleted).await
    }

    /// Brings a deleted experiment back with all its runs, as MLflow does.
    ///
    /// # Errors
    /// `NotFound`, also when it is not deleted.
    #[boxed]
    pub async fn restore_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<()> {
        self.set_experiment_stage(ctx, id, LifecycleStage::Active).await
    }

    async fn set_experiment_stage(&self, ctx: &Ctx, id: ExperimentId, stage: LifecycleStage) -> Result<()> {
        let mut tx = self.begin().await?;
        let found = experiment(&mut tx, ctx, id).await?;
        store::experiment::lock(&mut tx, found.id).await?;
        // Once more, now that nobody else changes it.
        let found = experiment(&mut tx, ctx, found.id).await?;
        if found.lifecycle_stage == stage {
            return Err(no_experiment(id));
        }
        let runs = store::experiment::set_stage(&mut tx, found.id, stage, Utc::now().timestamp_millis()).await?;
        let (action, verb) = match stage {
            LifecycleStage::Deleted => ("experiment.deleted", "deleted"),
            LifecycleStage::Active => ("experiment.restored", "restored"),
        };
        Event::new(action, object(&found), format!("{verb} the experiment {} with {runs} runs", found.name))
            .details(serde_json::json!({ "runs": runs }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, ctx.workspace_id(), found.id).await?;
        commit(tx).await
    }

    /// Sets a tag of an experiment that is in use.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong tag, or when the experiment is deleted.
    #[boxed]
    pub async fn set_experiment_tag(&self, ctx: &Ctx, id: ExperimentId, key: &str, value: &str) -> Result<()> {
        let tags = experiment_tags(&[(key.to_owned(), value.to_owned())])?;
        let mut tx = self.begin().await?;
        let found = active(&mut tx, ctx, id).await?;
        if found.tags.get(key).map(String::as_str) == Some(value) {
            return Ok(());
        }
        store::experiment::set_tags(&mut tx, found.id, &tags).await?;
        let summary = format!("set the tag {key} of the experiment {}", found.name);
        Event::new("experiment.tag_set", object(&found), summary)
            .details(tag_details(key, Some(value)))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// Removes a tag of an experiment that is in use.
    ///
    /// # Errors
    /// `NotFound`, also when there is no such tag; `Invalid` when the experiment is deleted.
    #[boxed]
    pub async fn delete_experiment_tag(&self, ctx: &Ctx, id: ExperimentId, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let found = active(&mut tx, ctx, id).await?;
        if !store::experiment::delete_tag(&mut tx, found.id, key).await? {
            let message = format!("No tag with name: {key} in experiment with id {id}");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let summary = format!("removed the tag {key} of the experiment {}", found.name);
        Event::new("experiment.tag_deleted", object(&found), summary)
            .details(tag_details(key, None))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }
}

impl ExperimentSearch<'_> {
    fn parse(&self, ctx: &Ctx) -> Result<(store::experiment::Search, Option<Place>)> {
        let search = store::experiment::Search {
            workspace: ctx.workspace_id(),
            view: self.view,
            filter: search::experiment_filter(self.filter)?,
            order: search::experiment_order(self.order)?,
        };
        Ok((search, self.page_token.map(page::decode).transpose()?))
    }
}

/// A page as use cases answer with it.
pub(crate) fn to_page<T>(found: Found<T>) -> Page<T> {
    Page { items: found.items, next_page_token: found.next.map(|place| page::encode(&place)) }
}

/// The experiment of this number, deleted or not.
pub(crate) async fn experiment(conn: &mut PgConnection, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
    store::experiment::by_id(conn, ctx.workspace_id(), id).await?.ok_or_else(|| no_experiment(id))
}

/// The experiment of this number, which must be in use and stays so until the transaction ends.
pub(crate) async fn active(conn: &mut PgConnection, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
    let mut found = experiment(conn, ctx, id).await?;
    found.lifecycle_stage = store::experiment::hold_stage(conn, found.id).await?;
    if found.lifecycle_stage != LifecycleStage::Active {
        return Err(Error::invalid(format!(
            "The experiment {} must be in the 'active' state. Current state is {}.",
            found.id,
            found.lifecycle_stage.as_str()
        )));
    }
    Ok(found)
}

/// Tells the pages of an experiment, and of a workspace that waits for its first run.
pub(crate) async fn announce(conn: &mut PgConnection, workspace: WorkspaceId, id: ExperimentId) -> Result<()> {
    store::event::notify(conn, &format!("experiment:{id}")).await?;
    store::event::notify(conn, &format!("runs:{workspace}")).await?;
    Ok(())
}

/// The experiment as history names it.
pub(crate) fn object(experiment: &Experiment) -> Object {
    Object::new(ObjectKind::Experiment, experiment.id, &experiment.name)
}

fn no_experiment(id: ExperimentId) -> Error {
    Error::new(ErrorKind::NotFound, format!("No Experiment with id={id} exists"))
}

fn name_taken(error: store::Error, name: &str) -> Error {
    if error.is_duplicate_of("experiments_workspace_id_name_key") {
        return Error::already_exists(format!(
            "Experiment(name={name}) already exists. A deleted experiment keeps its name; restore or rename that one, or \
             choose another name."
        ))
        .in_field("name");
    }
    error.into()
}

fn experiment_tags(tags: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    tags.iter()
        .map(|(key, value)| {
            let key = TagKey::parse(key, "key")?;
            let value = TagValue::for_experiment(value, "value")?;
            Ok((key.into_string(), value.as_str().to_owned()))
        })
        .collect()
}
