//! Files of runs and logged models. A path names a root of ours by the ids in it; whoever may not see its owner finds
//! nothing there.

use crate::{Ctx, Event, Result, Services, boxed, commit};
use artifacts::{ByteRange, Content};
use bytes::Bytes;
use domain::{
    Digest, Error, ErrorKind,
    artifact_path::{ArtifactFolder, ArtifactPath},
    artifact_root::{ArtifactAddress, ArtifactOwner, ArtifactRoot},
    artifact_tree::{self, TreeEntry},
    experiment::LifecycleStage,
    id::{LoggedModelId, ModelVersionId, RunId},
    model::VersionFile,
    run::ArtifactEntry,
};
use futures::{Stream, StreamExt as _};
use store::PgConnection;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The most bytes of a file.
pub const MAX_ARTIFACT: u64 = 10 << 30;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is called, without its folder.
    pub name: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Services {
    /// Stores a file of a run or logged model: below the artifact service, `7/<run>/artifacts/plot.png`. What was there
    /// under the same path is replaced; the same again changes nothing.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path, one that is a folder, or a deleted owner; `NotFound` without such an owner;
    /// `TooLarge`. Nothing is visible then.
    #[boxed]
    pub async fn put_artifact<S, E>(&self, ctx: &Ctx, path: &str, length: Option<u64>, stream: S) -> Result<()>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: Into<Cause>,
    {
        let (root, file) = ArtifactRoot::parse_file(path)?;
        if length.is_some_and(|length| length > MAX_ARTIFACT) {
            return Err(too_large());
        }
        // Before the bytes are taken: nobody uploads for nothing.
        check_owner(&mut *self.conn().await?, ctx, root).await?;
        let blob = self.artifacts.put(limited(stream, MAX_ARTIFACT)).await.map_err(unless_too_large)?;
        let mut tx = self.begin().await?;
        check_owner(&mut tx, ctx, root).await?;
        note_file(&mut tx, root, &file, &blob).await?;
        commit(tx).await
    }

    /// A file of a run, logged model or model version, by its path below the artifact service.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path, or that of a folder; `NotFound`.
    #[boxed]
    pub async fn artifact(&self, ctx: &Ctx, path: &str) -> Result<Artifact> {
        let (address, file) = ArtifactAddress::parse_file(path)?;
        let mut conn = self.conn().await?;
        let found = match address {
            ArtifactAddress::Root(root) => {
                match store::artifact::owner_stage(&mut conn, ctx.workspace_id(), root).await? {
                    Some(_) => stored_file(&mut conn, root.owner, &file).await?,
                    None => None,
                }
            }
            ArtifactAddress::Version(id) => {
                match store::model_version::name_in_use(&mut conn, ctx.workspace_id(), id).await? {
                    Some(_) => version_file(&mut conn, id, &file).await?,
                    None => None,
                }
            }
        };
        drop(conn);
        if found.is_none() && !self.list_artifacts(ctx, path).await?.is_empty() {
            let shown: String = path.chars().take(300).collect();
            let message = format!("Artifact path refers to a directory, not a file: '{shown}'");
            return Err(Error::invalid_field("path", message));
        }
        found.ok_or_else(|| no_artifact(path))
    }

    /// The bytes of a file, or a part of them.
    ///
    /// # Errors
    /// `Invalid` when the file has no byte in the range; `Unavailable` when the artifact store does not answer.
    #[boxed]
    pub async fn artifact_content(&self, artifact: &Artifact, range: Option<ByteRange>) -> Result<Content> {
        self.artifacts.get(&artifact.digest, range).await.map_err(of_store)
    }

    /// What lies right in a folder of a run, logged model or model version, by the folder's path below the artifact service. A folder
    /// that does not exist is empty.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path.
    #[boxed]
    pub async fn list_artifacts(&self, ctx: &Ctx, path: &str) -> Result<Vec<ArtifactEntry>> {
        let Some((address, folder)) = ArtifactAddress::find_folder(path)? else { return Ok(Vec::new()) };
        let mut conn = self.conn().await?;
        match address {
            ArtifactAddress::Root(root) => {
                match store::artifact::owner_stage(&mut conn, ctx.workspace_id(), root).await? {
                    Some(_) => Ok(store::artifact::list(&mut conn, root.owner, &folder).await?),
                    None => Ok(Vec::new()),
                }
            }
            ArtifactAddress::Version(id) => {
                let files = store::model_version::files_in_use(&mut conn, ctx.workspace_id(), id).await?;
                Ok(entries(&files.unwrap_or_default(), &folder))
            }
        }
    }

    /// The root of a run's artifacts.
    ///
    /// # Errors
    /// `NotFound` without such a run.
    #[boxed]
    pub async fn run_root(&self, ctx: &Ctx, id: RunId) -> Result<ArtifactRoot> {
        root_of_run(&mut *self.conn().await?, ctx, id).await
    }

    /// The root of a run's artifacts, and what lies right in a folder there.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path; `NotFound` without such a run.
    #[boxed]
    pub async fn run_artifacts(
        &self,
        ctx: &Ctx,
        id: RunId,
        folder: &str,
    ) -> Result<(ArtifactRoot, Vec<ArtifactEntry>)> {
        let folder = ArtifactFolder::parse(folder)?;
        let mut conn = self.conn().await?;
        let root = root_of_run(&mut conn, ctx, id).await?;
        Ok((root, store::artifact::list(&mut conn, root.owner, &folder).await?))
    }

    /// The root of a logged model's artifacts, and what lies right in a folder there.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path; `NotFound` without such a model.
    #[boxed]
    pub async fn logged_model_artifacts(
        &self,
        ctx: &Ctx,
        id: LoggedModelId,
        folder: &str,
    ) -> Result<(ArtifactRoot, Vec<ArtifactEntry>)> {
        let folder = ArtifactFolder::parse(folder)?;
        let mut conn = self.conn().await?;
        let root = store::artifact::root_of_logged_model(&mut conn, ctx.workspace_id(), id).await?;
        let root = root.ok_or_else(|| crate::logged_model::no_logged_model(&id.wire()))?;
        Ok((root, store::artifact::list(&mut conn, root.owner, &folder).await?))
    }

    /// Removes a file, or a folder with all that is in it. Removing nothing is no mistake. Versions that were
    /// registered from these files keep them.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path, a whole root, or a deleted owner; `NotFound` without such an owner.
    #[boxed]
    pub async fn delete_artifact(&self, ctx: &Ctx, path: &str) -> Result<()> {
        let (root, path) = ArtifactRoot::parse_folder(path)?;
        if path.is_root() {
            return Err(Error::invalid_field(
                "path",
                "A whole artifact root cannot be deleted; name a file or folder in it.",
            ));
        }
        let mut tx = self.begin().await?;
        check_owner(&mut tx, ctx, root).await?;
        if store::artifact::delete(&mut tx, root.owner, &path).await? > 0 {
            let path = path.as_str();
            match root.owner {
                ArtifactOwner::Run(id) => {
                    let (_, run) = crate::run::find(&mut tx, ctx, id).await?;
                    let summary = format!("deleted {path} of {}", run.name);
                    Event::new("run.artifact_deleted", crate::run::object(&run), summary).write(&mut tx, ctx).await?;
                }
                ArtifactOwner::LoggedModel(id) => {
                    let model = crate::logged_model::find(&mut tx, ctx, id).await?;
                    let verb = format!("deleted {path} of");
                    crate::logged_model::note(&mut tx, ctx, "logged_model.artifact_deleted", &verb, &model).await?;
                }
            }
        }
        commit(tx).await
    }
}

async fn root_of_run(conn: &mut PgConnection, ctx: &Ctx, id: RunId) -> Result<ArtifactRoot> {
    let root = store::artifact::root_of_run(conn, ctx.workspace_id(), id).await?;
    root.ok_or_else(|| crate::run::no_run(&id.simple()))
}

/// The upload has more bytes than a file may have.
#[derive(Debug, thiserror::Error)]
#[error("too many bytes")]
struct TooMuch;

/// The stream, which fails after so many bytes: see [`unless_too_large`].
pub(crate) fn limited<S, E>(stream: S, room: u64) -> impl Stream<Item = std::result::Result<Bytes, Cause>> + Send
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send,
    E: Into<Cause>,
{
    let mut taken = 0;
    stream.map(move |chunk| {
        let chunk: Bytes = chunk.map_err(Into::<Cause>::into)?;
        taken += chunk.len() as u64;
        if taken > room { Err::<_, Cause>(TooMuch.into()) } else { Ok(chunk) }
    })
}

/// Why a limited stream was not stored.
pub(crate) fn unless_too_large(error: artifacts::Error) -> Error {
    match error {
        artifacts::Error::Source(cause) if cause.is::<TooMuch>() => too_large(),
        error => of_store(error),
    }
}

/// Says that the file has this content from now on.
pub(crate) async fn note_file(
    conn: &mut PgConnection,
    root: ArtifactRoot,
    file: &ArtifactPath,
    blob: &artifacts::Blob,
) -> Result<()> {
    let size = i64::try_from(blob.size).map_err(|_| too_large())?;
    if store::artifact::put(conn, root.owner, file, &blob.digest, size).await? {
        return Ok(());
    }
    let message = format!("\"{file}\" cannot be a file: it is a folder, or a part of its path is a file.");
    Err(Error::invalid_field("path", message))
}

/// For the person who asked; what is our trouble is logged.
pub(crate) fn of_store(error: artifacts::Error) -> Error {
    use artifacts::Error as E;
    if matches!(error, E::NotFound { .. } | E::Corrupt { .. } | E::Store(_)) {
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "the artifact store failed");
    }
    error.into()
}

pub(crate) fn too_large() -> Error {
    let message = format!("A file has at most {} GiB; split this one.", MAX_ARTIFACT >> 30);
    Error::new(ErrorKind::TooLarge, message)
}

/// What lies right in a folder of a version, by name.
fn entries(files: &[VersionFile], folder: &ArtifactFolder) -> Vec<ArtifactEntry> {
    let mut entries: Vec<ArtifactEntry> = artifact_tree::entries(files, folder)
        .into_iter()
        .map(|TreeEntry { path, is_dir, size, .. }| ArtifactEntry { path, is_dir, size: (!is_dir).then_some(size) })
        .collect();
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    entries
}

pub(crate) fn no_artifact(path: &str) -> Error {
    let shown: String = path.chars().take(300).collect();
    Error::new(ErrorKind::NotFound, format!("No such artifact: '{shown}'"))
}

/// A file of a run or logged model.
pub(crate) async fn stored_file(
    conn: &mut PgConnection,
    owner: ArtifactOwner,
    path: &ArtifactPath,
) -> Result<Option<Artifact>> {
    let found = store::artifact::get(conn, owner, path).await?;
    Ok(found.map(|(digest, size)| named(path, digest, size)))
}

/// A file of a version.
pub(crate) async fn version_file(
    conn: &mut PgConnection,
    id: ModelVersionId,
    path: &ArtifactPath,
) -> Result<Option<Artifact>> {
    let found = store::model_version::file(conn, id, path.as_str()).await?;
    Ok(found.map(|file| named(path, file.digest, file.size)))
}

fn named(path: &ArtifactPath, digest: Digest, size: i64) -> Artifact {
    Artifact { name: path.file_name().to_owned(), digest, size: u64::try_from(size).unwrap_or_default() }
}

/// The owner must be the workspace's, and in use.
pub(crate) async fn check_owner(conn: &mut PgConnection, ctx: &Ctx, root: ArtifactRoot) -> Result<()> {
    match store::artifact::owner_stage(conn, ctx.workspace_id(), root).await? {
        Some(LifecycleStage::Active) => Ok(()),
        Some(LifecycleStage::Deleted) => {
            Err(Error::invalid("Its run or model is deleted and takes no files; restore it first."))
        }
        None => Err(match root.owner {
            ArtifactOwner::Run(id) => crate::run::no_run(&id.simple()),
            ArtifactOwner::LoggedModel(id) => crate::logged_model::no_logged_model(&id.wire()),
        }),
    }
}
