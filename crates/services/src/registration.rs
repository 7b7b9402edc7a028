//! Registering: what a source names is looked up among our own artifacts, and never opened as an address. A page does it
//! with what a run left, and makes the model when there is none of that name.

use crate::{
    Ctx, Event, NewModel, Result, Services, boxed, commit,
    model::{check_description, tags},
    model_version,
    webhook::tell_webhooks,
};
use domain::{
    Digest, Error, ErrorKind,
    artifact_path::ArtifactFolder,
    artifact_root::{ArtifactOwner, ArtifactRoot, ModelSource},
    experiment::LifecycleStage,
    id::{LoggedModelId, ModelVersionId, RunId},
    mlmodel::{self, MlModel},
    model::{Model, ModelVersion, VersionFile, manifest_digest},
    registration::RunModel,
    run::RunInfo,
    webhook::Happening,
};
use std::collections::BTreeMap;
use store::PgConnection;

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

/// A version to be registered.
#[derive(Debug, Clone, Default)]
pub struct NewModelVersion {
    /// Its model's name.
    pub model: String,
    /// Where it comes from, such as `models:/m-…` or `runs:/<run>/model`.
    pub source: String,
    /// The run that made it; that of the source when none.
    pub run_id: Option<RunId>,
    /// The logged model that it is; that of the source when none.
    pub logged_model_id: Option<LoggedModelId>,
    /// A link to the run, when that is elsewhere.
    pub run_link: String,
    /// What is said about it.
    pub description: String,
    /// Tags by key.
    pub tags: Vec<(String, String)>,
}

/// What a source turned out to be.
#[derive(Default)]
struct Resolved {
    run: Option<RunId>,
    logged_model: Option<LoggedModelId>,
    folder: Option<(ArtifactRoot, ArtifactFolder)>,
    files: Vec<VersionFile>,
}

impl Services {
    /// Registers a version under the next number of its model.
    ///
    /// # Errors
    /// `NotFound` without such a model, run, logged model or version; `Invalid` for a source that is not ours or does not
    /// belong to the run or logged model that is named with it, or a wrong tag.
    #[boxed]
    pub async fn create_model_version(&self, ctx: &Ctx, new: NewModelVersion) -> Result<ModelVersion> {
        let checked = new.check()?;
        let mut conn = self.conn().await?;
        let model = crate::model::find(&mut conn, ctx, &checked.new.model).await?;
        let found = checked.look_up(&mut conn, ctx).await?;
        drop(conn);
        let described = self.read_version(found).await?;
        let mut tx = self.begin().await?;
        let version = register(&mut tx, ctx, &model, &described).await?;
        commit(tx).await?;
        Ok(version)
    }

    /// Reads what the files of a version say of it.
    ///
    /// # Errors
    /// `Unavailable` when the artifact store does not answer.
    async fn read_version(&self, found: Found) -> Result<Described> {
        let description = self.describe_files(&found.resolved.files).await?;
        let digest = manifest_digest(&found.resolved.files).map_err(|error| {
            tracing::error!(%error, "a version's files have no digest");
            Error::internal()
        })?;
        Ok(Described { found, description, digest })
    }

    /// What is to be registered of what a step gives on.
    pub(crate) async fn describe_step_output(
        &self,
        model: &str,
        files: Vec<VersionFile>,
        run: Option<RunId>,
    ) -> Result<Described> {
        let new = NewModelVersion { model: model.to_owned(), run_id: run, ..NewModelVersion::default() };
        let resolved = Resolved { run, files, ..Resolved::default() };
        self.read_version(Found { new, registered: None, tags: BTreeMap::new(), resolved }).await
    }

    /// What the MLmodel file among these says; nothing when there is none, or none that can be read.
    async fn describe_files(&self, files: &[VersionFile]) -> Result<MlModel> {
        let Some(file) = files.iter().find(|file| file.path == "MLmodel") else { return Ok(MlModel::default()) };
        match self.artifacts.get_bytes(&file.digest, mlmodel::MAX_BYTES).await {
            Ok(bytes) => Ok(std::str::from_utf8(&bytes).map(MlModel::read).unwrap_or_default()),
            Err(artifacts::Error::TooLarge { .. }) => Ok(MlModel::default()),
            Err(error) => Err(crate::artifact::of_store(error)),
        }
    }

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

    /// Whether a run left something that can be registered.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn has_registrable_model(&self, ctx: &Ctx, run: &RunInfo) -> Result<bool> {
        if run.lifecycle_stage == LifecycleStage::Deleted {
            return Ok(false);
        }
        Ok(!store::registration::of_run(&mut *self.conn().await?, ctx.workspace_id(), run.id, 1).await?.is_empty())
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
        let version = register(&mut tx, ctx, &model, &described).await?;
        commit(tx).await?;
        Ok(version)
    }
}

/// A version that is to be registered, with all right about it that can be told without the database.
struct Checked {
    new: NewModelVersion,
    source: ModelSource,
    tags: BTreeMap<String, String>,
}

/// The same, with what its source turned out to be.
struct Found {
    new: NewModelVersion,
    /// The logged model that is registered itself; one that a run's folder or another version leads to is not.
    registered: Option<LoggedModelId>,
    tags: BTreeMap<String, String>,
    resolved: Resolved,
}

/// The same, with what its files say: ready to be written.
pub(crate) struct Described {
    found: Found,
    description: MlModel,
    digest: Option<Digest>,
}

impl Described {
    /// Says where it comes from, and what made it.
    pub(crate) fn made_by(&mut self, source: &str, description: &str) {
        source.clone_into(&mut self.found.new.source);
        description.clone_into(&mut self.found.new.description);
    }
}

/// Registers what a step gives on as the next version of a model, which is made when there is none of this name. Answers
/// with its number.
pub(crate) async fn register_output(
    conn: &mut PgConnection,
    ctx: &Ctx,
    model: &str,
    described: &Described,
) -> Result<i32> {
    let model = match store::model::by_name(conn, ctx.workspace_id(), model).await? {
        Some(model) => model,
        None => {
            let new = NewModel { name: model.to_owned(), ..NewModel::default() }.check()?;
            crate::model::create(conn, ctx, new).await?
        }
    };
    Ok(register(conn, ctx, &model, described).await?.version)
}

impl NewModelVersion {
    /// Checks what does not take the database.
    ///
    /// # Errors
    /// `Invalid` for a wrong description, link, source or tag.
    fn check(self) -> Result<Checked> {
        check_description(&self.description)?;
        if self.run_link.chars().count() > 500 || self.run_link.contains('\0') {
            return Err(Error::invalid_field("run_link", "A link has at most 500 characters."));
        }
        let source = ModelSource::parse(&self.source)?;
        let tags = tags(&self.tags)?;
        Ok(Checked { new: self, source, tags })
    }
}

impl Checked {
    /// Looks the source up.
    ///
    /// # Errors
    /// `NotFound` without such a run, logged model or version; `Invalid` for a source that is not ours or does not belong to
    /// the run or logged model that is named with it.
    async fn look_up(self, conn: &mut PgConnection, ctx: &Ctx) -> Result<Found> {
        let registered = match &self.source {
            ModelSource::LoggedModel { id, .. } => Some(*id),
            _ => self.new.logged_model_id,
        };
        let resolved = resolve(conn, ctx, &self.new, self.source).await?;
        Ok(Found { new: self.new, registered, tags: self.tags, resolved })
    }
}

/// Writes the next version of a model, with its line of history, and tells whoever is told of that.
///
/// # Errors
/// `NotFound` when the model was deleted meanwhile.
async fn register(conn: &mut PgConnection, ctx: &Ctx, model: &Model, described: &Described) -> Result<ModelVersion> {
    let Described { found: Found { new, registered, tags, resolved }, description, digest } = described;
    let row = store::model_version::NewVersion {
        id: ModelVersionId::new(),
        model: model.id,
        source: &new.source,
        run: resolved.run,
        run_link: &new.run_link,
        logged_model: resolved.logged_model,
        folder: resolved.folder.clone(),
        created_by: ctx.user().map(|user| user.id),
        description: &new.description,
        files: &resolved.files,
        digest: digest.clone(),
        signature: description.signature.as_ref(),
        flavors: &description.flavors,
        tags,
    };
    let number = store::model_version::insert(conn, &row).await?;
    // A model that was deleted meanwhile has no versions to look up.
    let version = model_version::find(conn, ctx, &model.name, number).await?;
    let mut event = Event::new(
        "model_version.registered",
        model_version::object(&version),
        format!("registered {}", version.title()),
    )
    .related(crate::model::object(model))
    .details(serde_json::json!({ "digest": version.digest, "source": version.source }));
    if let Some(run) = version.run_id {
        event = event.related(crate::run::object(&crate::run::find(conn, ctx, run).await?.1));
    }
    event.write(conn, ctx).await?;
    if let Some(id) = registered {
        crate::logged_model::note_version(conn, ctx, *id, &model.name, number).await?;
    }
    tell_webhooks(conn, model, &Happening::Version(&version)).await?;
    Ok(version)
}

/// Looks a source up among our artifacts, and checks that it belongs to what is named with it.
async fn resolve(conn: &mut PgConnection, ctx: &Ctx, new: &NewModelVersion, source: ModelSource) -> Result<Resolved> {
    let mut resolved = match source {
        ModelSource::Elsewhere(source) if source != "dummy-source" => {
            return Err(Error::invalid_field(
                "source",
                format!(
                    "Invalid model version source: '{source}'. Files are not fetched from elsewhere; log the model to a run \
                     here and register it from there."
                ),
            ));
        }
        ModelSource::Elsewhere(_) => Resolved { run: new.run_id, ..Resolved::default() },
        ModelSource::LoggedModel { id, folder } => of_logged_model(conn, ctx, id, folder).await?,
        ModelSource::Run { id, folder } => of_run(conn, ctx, id, folder).await?,
        ModelSource::Artifacts { root, folder } => {
            if store::artifact::owner_stage(conn, ctx.workspace_id(), root).await?.is_none() {
                return Err(Error::new(ErrorKind::NotFound, format!("No artifacts are at '{}'.", new.source)));
            }
            match root.owner {
                ArtifactOwner::Run(id) => of_run(conn, ctx, id, folder).await?,
                ArtifactOwner::LoggedModel(id) => of_logged_model(conn, ctx, id, folder).await?,
            }
        }
        ModelSource::VersionFiles(id) => {
            let found = store::model_version::name_in_use(conn, ctx.workspace_id(), id).await?;
            let (model, version) = found
                .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No artifacts are at '{}'.", new.source)))?;
            of_version(conn, ctx, &model, version).await?
        }
        ModelSource::Version { model, version } => of_version(conn, ctx, model.as_str(), version).await?,
        ModelSource::Alias { model, alias } => {
            let found = crate::model::find(conn, ctx, model.as_str()).await?;
            let (_, version) = store::model::alias(conn, found.id, alias.as_str())
                .await?
                .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Registered model alias {alias} not found.")))?;
            of_version(conn, ctx, model.as_str(), version).await?
        }
    };
    let refused = |named: &str| {
        Error::invalid_field(
            "source",
            format!(
                "Invalid model version source: '{}'. The {named} request parameter must identify the resource that contains \
                 the source.",
                new.source
            ),
        )
    };
    if let Some(run) = new.run_id {
        crate::run::find(conn, ctx, run).await?;
        if resolved.run.is_some_and(|of_source| of_source != run) {
            return Err(refused("run_id"));
        }
        resolved.run = Some(run);
    }
    if let Some(id) = new.logged_model_id {
        let model = crate::logged_model::find(conn, ctx, id).await?;
        let is_of_source = match resolved.logged_model {
            Some(of_source) => of_source == id,
            // A run's folder: the model must be one that the run wrote.
            None => resolved.folder.is_none() || model.source_run_id == resolved.run,
        };
        if !is_of_source {
            return Err(refused("model_id"));
        }
        resolved.logged_model = Some(id);
        resolved.run = resolved.run.or(model.source_run_id);
    }
    Ok(resolved)
}

async fn of_logged_model(
    conn: &mut PgConnection,
    ctx: &Ctx,
    id: LoggedModelId,
    folder: ArtifactFolder,
) -> Result<Resolved> {
    let model = crate::logged_model::find(conn, ctx, id).await?;
    if model.deleted {
        return Err(crate::logged_model::no_logged_model(&id.wire()));
    }
    let root = ArtifactRoot { experiment_id: model.experiment_id, owner: ArtifactOwner::LoggedModel(id) };
    let files = store::artifact::files(conn, root.owner, &folder).await?;
    Ok(Resolved { run: model.source_run_id, logged_model: Some(id), folder: Some((root, folder)), files })
}

/// A folder of a run. When the run has no files there, the logged model that it wrote under this name is meant: that is
/// how clients of MLflow 3 log models.
async fn of_run(conn: &mut PgConnection, ctx: &Ctx, id: RunId, folder: ArtifactFolder) -> Result<Resolved> {
    let (_, info) = crate::run::find(conn, ctx, id).await?;
    let root = ArtifactRoot { experiment_id: info.experiment_id, owner: ArtifactOwner::Run(id) };
    let files = store::artifact::files(conn, root.owner, &folder).await?;
    if files.is_empty() {
        let named = store::logged_model::by_run_and_name(conn, ctx.workspace_id(), id, folder.as_str()).await?;
        if let Some(model) = named {
            return of_logged_model(conn, ctx, model, ArtifactFolder::root()).await;
        }
    }
    Ok(Resolved { run: Some(id), logged_model: None, folder: Some((root, folder)), files })
}

/// Another version: its files are taken over as they were registered.
async fn of_version(conn: &mut PgConnection, ctx: &Ctx, model: &str, version: i32) -> Result<Resolved> {
    let found = model_version::find(conn, ctx, model, version).await?;
    let folder = match store::model_version::folder(conn, found.id).await? {
        Some((root, folder)) => Some((root, ArtifactFolder::parse(&folder)?)),
        None => None,
    };
    let files = store::model_version::files(conn, found.id).await?;
    Ok(Resolved { run: found.run_id, logged_model: found.logged_model_id, folder, files })
}
