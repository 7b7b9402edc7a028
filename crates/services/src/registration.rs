//! Registering what a run left, as a page does it: the model is made when there is none of that name, and the version is
//! registered as for any client.

use crate::{Ctx, NewModel, NewModelVersion, Result, Services, boxed, commit};
use domain::{Error, ErrorKind, experiment::LifecycleStage, id::RunId, model::ModelVersion, registration::RunModel};

/// The most logged models, and the most folders, that a run offers.
const MOST: i64 = 200;

/// A model of a run that is to be registered.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// The run.
    pub run: RunId,
    /// Which of its models: the source of one that [`Services::registrable_models`] names.
    pub source: String,
    /// The name of the registered model, which may be a new one.
    pub model: String,
    /// What is said about the version.
    pub description: String,
}

impl Services {
    /// What a run left that can be registered, as [`RunModel`] has it. Nothing of a run that is deleted.
    ///
    /// # Errors
    /// `NotFound` without such a run.
    #[boxed]
    pub async fn registrable_models(&self, ctx: &Ctx, run: RunId) -> Result<Vec<RunModel>> {
        let mut conn = self.conn().await?;
        let (_, info) = crate::run::find(&mut conn, ctx, run).await?;
        match info.lifecycle_stage {
            LifecycleStage::Deleted => Ok(Vec::new()),
            LifecycleStage::Active => Ok(store::registration::of_run(&mut conn, ctx.workspace_id(), run, MOST).await?),
        }
    }

    /// Registers a model of a run as the next version of a registered model, which is made when there is none of this
    /// name: both or neither.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a wrong name or description, a run that is deleted, and a source that is
    /// none of its models.
    #[boxed]
    pub async fn register_run_model(&self, ctx: &Ctx, new: NewRegistration) -> Result<ModelVersion> {
        match self.register_once(ctx, &new).await {
            // Somebody else made the model meanwhile: now it is there.
            Err(error) if error.kind == ErrorKind::AlreadyExists => self.register_once(ctx, &new).await,
            registered => registered,
        }
    }

    async fn register_once(&self, ctx: &Ctx, new: &NewRegistration) -> Result<ModelVersion> {
        let mut conn = self.conn().await?;
        let (_, info) = crate::run::find(&mut conn, ctx, new.run).await?;
        if info.lifecycle_stage == LifecycleStage::Deleted {
            return Err(Error::invalid(format!(
                "The run {} is deleted. Restore it; then its models can be registered.",
                info.name
            )));
        }
        let model = NewModel { name: new.model.clone(), ..NewModel::default() }.check()?;
        let offered = store::registration::of_run(&mut conn, ctx.workspace_id(), new.run, MOST).await?;
        let chosen = offered.into_iter().find(|one| one.source == new.source).ok_or_else(|| {
            Error::invalid_field("source", format!("Choose a model that the run {} logged, with its files.", info.name))
        })?;
        let version = NewModelVersion {
            model: new.model.clone(),
            source: chosen.source,
            run_id: Some(new.run),
            logged_model_id: chosen.logged_model_id,
            description: new.description.clone(),
            ..NewModelVersion::default()
        };
        let found = version.check()?.look_up(&mut conn, ctx).await?;
        drop(conn);
        let described = self.read_version(found).await?;

        let mut tx = self.begin().await?;
        let model = match store::model::by_name(&mut tx, ctx.workspace_id(), &new.model).await? {
            Some(model) => model,
            None => crate::model::create(&mut tx, ctx, model).await?,
        };
        let version = crate::model_version::register(&mut tx, ctx, &model, &described).await?;
        commit(tx).await?;
        Ok(version)
    }
}
