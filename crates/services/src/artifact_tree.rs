//! Files as people look at them: the folders that are open, one file, a folder with all that is in it. The same for the files
//! of a run, which change, and for those of a version, which do not.

use crate::{Artifact, Ctx, Result, Services, artifact, boxed};
use domain::{
    Error, ErrorKind,
    artifact_path::{ArtifactFolder, ArtifactPath},
    artifact_root::ArtifactOwner,
    artifact_tree::{MAX_ARCHIVE, MAX_ARCHIVE_FILES, PAGE, TreePage},
    id::{LoggedModelId, ModelVersionId, RunId},
    model::VersionFile,
};
use store::PgConnection;

/// Whose files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilesOf {
    /// A run's.
    Run(RunId),
    /// A logged model's.
    LoggedModel(LoggedModelId),
    /// A version's, by the model's name and the number.
    Version(String, i32),
}

/// What is open of a tree of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactTree {
    /// The folders that are open, from the root down; at least the root.
    pub open: Vec<TreePage>,
    /// The file that is chosen.
    pub file: Option<(ArtifactPath, Artifact)>,
}

/// Where files are noted.
#[derive(Clone, Copy)]
enum Place {
    Root(ArtifactOwner),
    Version(ModelVersionId),
}

/// What is there.
enum Source {
    Root(ArtifactOwner),
    List(Vec<VersionFile>),
}

impl Services {
    /// The folders down to a path, each as one page, and the file when the path is one. Of the folder that `from` lies in,
    /// the page begins there; of others with the entry that is open in them, when the first page has it not.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path; `NotFound` without such an owner, or when nothing has this path.
    #[boxed]
    pub async fn artifact_tree(&self, ctx: &Ctx, of: &FilesOf, path: &str, from: Option<&str>) -> Result<ArtifactTree> {
        let path = ArtifactFolder::parse(path)?;
        let from = from.map(ArtifactPath::parse).transpose()?;
        let mut conn = self.conn().await?;
        let place = place(&mut conn, ctx, of).await?;
        let file = match path.as_file() {
            Some(path) => place.file(&mut conn, &path).await?.map(|file| (path, file)),
            None => None,
        };
        let source = place.source(&mut conn).await?;
        // The root, and every folder above what is open: `a`, `a/b` of `a/b/c.txt`.
        let whole = path.as_str();
        let mut folders = vec![ArtifactFolder::root()];
        for (at, _) in whole.match_indices('/') {
            folders.push(ArtifactFolder::parse(&whole[..at])?);
        }
        if file.is_none() && !path.is_root() {
            folders.push(path.clone());
        }
        let mut open = Vec::new();
        for folder in folders {
            let named = from.as_ref().filter(|from| from.folder() == folder).map(ArtifactPath::file_name);
            let mut page = source.page(&mut conn, &folder, named).await?;
            let below = whole.strip_prefix(&folder.prefix()).and_then(|rest| rest.split('/').next());
            if let Some(below) = below.filter(|below| named.is_none() && !below.is_empty())
                && page.next.is_some()
                && !page.entries.iter().any(|entry| entry.name() == below)
            {
                page = source.page(&mut conn, &folder, Some(below)).await?;
            }
            open.push(page);
        }
        if !path.is_root() && file.is_none() && open.last().is_none_or(|page| page.total == 0) {
            return Err(artifact::no_artifact(whole));
        }
        Ok(ArtifactTree { open, file })
    }

    /// One file.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path or a folder; `NotFound`.
    #[boxed]
    pub async fn artifact_of(&self, ctx: &Ctx, of: &FilesOf, path: &str) -> Result<Artifact> {
        let file = ArtifactPath::parse(path)?;
        let mut conn = self.conn().await?;
        let place = place(&mut conn, ctx, of).await?;
        place.file(&mut conn, &file).await?.ok_or_else(|| artifact::no_artifact(path))
    }

    /// Every file below a folder, by path, to be sent as one. Their paths begin with the folder's own name.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path; `NotFound` without such an owner, or a file in the folder; `TooLarge` for more than
    /// [`MAX_ARCHIVE_FILES`] or [`MAX_ARCHIVE`] bytes.
    #[boxed]
    pub async fn artifacts_below(&self, ctx: &Ctx, of: &FilesOf, folder: &str) -> Result<Vec<(String, Artifact)>> {
        let folder = ArtifactFolder::parse(folder)?;
        let mut conn = self.conn().await?;
        let source = place(&mut conn, ctx, of).await?.source(&mut conn).await?;
        let (count, size) = source.measure(&mut conn, &folder).await?;
        if count == 0 {
            return Err(match folder.is_root() {
                true => Error::new(ErrorKind::NotFound, "There are no files here."),
                false => artifact::no_artifact(folder.as_str()),
            });
        }
        if count > MAX_ARCHIVE_FILES || size > MAX_ARCHIVE {
            let message = format!(
                "These are {count} files of {} MiB; at most {MAX_ARCHIVE_FILES} files and {} GiB are sent as one. \
                 Choose a folder, or use mlflow.artifacts.download_artifacts.",
                size >> 20,
                MAX_ARCHIVE >> 30
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let name = folder.as_str().rsplit('/').next().filter(|name| !name.is_empty());
        let files = source.below(&mut conn, &folder).await?;
        let artifact = |file: VersionFile| {
            let path = name.map_or_else(|| file.path.clone(), |name| format!("{name}/{}", file.path));
            let base = file.path.rsplit('/').next().unwrap_or(&file.path).to_owned();
            (path, Artifact { name: base, digest: file.digest, size: u64::try_from(file.size).unwrap_or_default() })
        };
        Ok(files.into_iter().map(artifact).collect())
    }
}

async fn place(conn: &mut PgConnection, ctx: &Ctx, of: &FilesOf) -> Result<Place> {
    match of {
        FilesOf::Run(id) => {
            let (_, run) = crate::run::find(conn, ctx, *id).await?;
            Ok(Place::Root(ArtifactOwner::Run(run.id)))
        }
        FilesOf::LoggedModel(id) => {
            let root = store::artifact::root_of_logged_model(conn, ctx.workspace_id(), *id).await?;
            Ok(Place::Root(root.ok_or_else(|| crate::no_logged_model(&id.wire()))?.owner))
        }
        FilesOf::Version(model, number) => {
            Ok(Place::Version(crate::model_version::find(conn, ctx, model, *number).await?.id))
        }
    }
}

impl Place {
    async fn file(self, conn: &mut PgConnection, path: &ArtifactPath) -> Result<Option<Artifact>> {
        match self {
            Self::Root(owner) => artifact::stored_file(conn, owner, path).await,
            Self::Version(id) => artifact::version_file(conn, id, path).await,
        }
    }

    async fn source(self, conn: &mut PgConnection) -> Result<Source> {
        match self {
            Self::Root(owner) => Ok(Source::Root(owner)),
            Self::Version(id) => Ok(Source::List(store::model_version::files(conn, id).await?)),
        }
    }
}

impl Source {
    async fn page(&self, conn: &mut PgConnection, folder: &ArtifactFolder, from: Option<&str>) -> Result<TreePage> {
        match self {
            Self::Root(owner) => Ok(store::artifact::tree(conn, *owner, folder, from, PAGE).await?),
            Self::List(files) => Ok(TreePage::of(files, folder, from, PAGE)),
        }
    }

    async fn measure(&self, conn: &mut PgConnection, folder: &ArtifactFolder) -> Result<(i64, i64)> {
        match self {
            Self::Root(owner) => Ok(store::artifact::measure(conn, *owner, folder).await?),
            Self::List(files) => {
                let all = TreePage::of(files, folder, None, 0);
                Ok((all.files, all.size))
            }
        }
    }

    async fn below(self, conn: &mut PgConnection, folder: &ArtifactFolder) -> Result<Vec<VersionFile>> {
        match self {
            Self::Root(owner) => Ok(store::artifact::files(conn, owner, folder).await?),
            Self::List(files) => {
                let below = |file: VersionFile| {
                    let path = file.path.strip_prefix(&folder.prefix())?.to_owned();
                    Some(VersionFile { path, ..file })
                };
                Ok(files.into_iter().filter_map(below).collect())
            }
        }
    }
}
