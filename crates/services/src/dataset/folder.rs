//! Between versions and directories of this machine: for steps of pipelines, and for files that came with a form.

use super::version::NewDatasetVersion;
use crate::{Ctx, FileTrouble, Result, Services, blocking, boxed, commit, dataset::object::ObjectsAsked};
use domain::{
    Error, ErrorKind,
    dataset::{DatasetVersion, VersionRef},
};
use manifest::{
    Content, Entry, Hash,
    folder::{self, Cache, Links, Plan, Trouble, Writing},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;

/// How many digests are asked for at once.
const ASKED: usize = 10_000;
/// How many small files are read at once, and how many bytes of them.
const FILES_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: u64 = 16 << 20;
/// How often something that was deleted meanwhile is sent again.
const TRIES: u32 = 3;

impl Services {
    /// Puts a version of a dataset into a directory, which is made when it is not there. Files are checked, and each is there
    /// whole or not at all. What lies elsewhere is left out; tells of it by path and address.
    ///
    /// # Errors
    /// [`FileTrouble::Step`] without such a version, and when something else is in a file's place.
    #[boxed]
    pub async fn put_dataset(
        &self,
        ctx: &Ctx,
        dir: &Path,
        dataset: &str,
        version: &str,
    ) -> std::result::Result<(DatasetVersion, Vec<(String, String)>), FileTrouble> {
        self.write_dataset(ctx, dir, dataset, version).await.map_err(|error| {
            let what = format!("The dataset {dataset}@{version}");
            match error.kind {
                ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Conflict => FileTrouble::Step(error.message),
                _ => FileTrouble::Ours(format!("{what} could not be put in place: {}", error.message)),
            }
        })
    }

    async fn write_dataset(
        &self,
        ctx: &Ctx,
        dir: &Path,
        dataset: &str,
        version: &str,
    ) -> Result<(DatasetVersion, Vec<(String, String)>)> {
        let which = VersionRef::parse(version)?;
        let mut conn = self.conn().await?;
        let (stored, version) = self.found_version(&mut conn, ctx, dataset, &which).await?;
        let root = self.root(&mut conn, stored.key, &version).await?;
        let dir = dir.to_owned();
        tokio::fs::create_dir_all(&dir).await.map_err(|cause| of_folder(Trouble::Io { at: dir.clone(), cause }))?;
        let mut elsewhere = Vec::new();
        for page in &root.pages {
            let mut small: Vec<Entry> = Vec::new();
            let mut bytes = 0;
            for entry in self.page(&mut conn, stored.key, page.digest).await?.entries {
                match &entry.content {
                    Content::External(external) => elsewhere.push((entry.path.clone(), external.uri.clone())),
                    Content::Small { size, .. } => {
                        bytes += size;
                        small.push(entry);
                        if small.len() >= FILES_AT_ONCE || bytes >= BYTES_AT_ONCE {
                            self.write_small(&mut conn, stored.key, &dir, std::mem::take(&mut small)).await?;
                            bytes = 0;
                        }
                    }
                    Content::Large { list, .. } => {
                        let list = self.list(&mut conn, stored.key, *list).await?;
                        self.write_large(&mut conn, stored.key, &dir, entry, list).await?;
                    }
                }
            }
            self.write_small(&mut conn, stored.key, &dir, small).await?;
        }
        Ok((version, elsewhere))
    }

    async fn write_small(
        &self,
        conn: &mut store::PgConnection,
        key: store::dataset::DatasetKey,
        dir: &Path,
        entries: Vec<Entry>,
    ) -> Result<()> {
        let digests: HashSet<Hash> = entries.iter().filter_map(Entry::object).collect();
        let digests: Vec<Hash> = digests.into_iter().collect();
        let objects = self.read_objects(conn, key, &digests).await?;
        let dir = dir.to_owned();
        blocking(move || {
            for entry in &entries {
                refuse_other(&dir, entry)?;
                let bytes = entry.object().and_then(|digest| objects.get(&digest));
                folder::write_small(&dir, entry, bytes.map_or(&[][..], |bytes| bytes))?;
            }
            Ok::<_, Trouble>(())
        })
        .await?
        .map_err(of_folder)
    }

    async fn write_large(
        &self,
        conn: &mut store::PgConnection,
        key: store::dataset::DatasetKey,
        dir: &Path,
        entry: Entry,
        list: manifest::List,
    ) -> Result<()> {
        let dir = dir.to_owned();
        // The disk is written by one task, while the next chunks are read.
        let (sender, mut receiver) = mpsc::channel::<bytes::Bytes>(2);
        let chunks = list.chunks.clone();
        let written = tokio::task::spawn_blocking(move || {
            refuse_other(&dir, &entry)?;
            let (mut writing, _) = Writing::begin(&dir, &entry, None)?;
            while let Some(bytes) = receiver.blocking_recv() {
                writing.write(&bytes)?;
            }
            writing.end()
        });
        for (digest, _) in chunks {
            let read = self.read_objects(conn, key, &[digest]).await?.remove(&digest);
            let bytes = read.ok_or_else(Error::internal)?;
            if sender.send(bytes).await.is_err() {
                break;
            }
        }
        drop(sender);
        written.await.map_err(|_| Error::internal())?.map_err(of_folder)
    }

    /// Makes a version of what is in a directory, or of a file. Links are refused: whoever filled the directory may not read
    /// everything that this process may. The dataset must be there.
    ///
    /// # Errors
    /// `NotFound` without such a dataset; `Invalid` when the directory has what no version can have.
    #[boxed]
    pub async fn make_dataset_version_of(
        &self,
        ctx: &Ctx,
        dataset: &str,
        path: PathBuf,
        message: &str,
    ) -> Result<(DatasetVersion, bool)> {
        let plan = plan_of(path).await?;
        let mut tries = 0;
        loop {
            self.send_plan(ctx, dataset, &plan).await?;
            let new = NewDatasetVersion {
                root: plan.built().digest,
                message: message.to_owned(),
                mlflow_digests: Vec::new(),
            };
            tries += 1;
            match self.make_dataset_version(ctx, dataset, new).await {
                // Something that was there was swept meanwhile.
                Err(error) if error.kind == ErrorKind::Conflict && tries < TRIES => {}
                made => return made,
            }
        }
    }

    /// Stores what is in a directory, or a file, for a dataset, which is made when it is not there; a version of it is still to
    /// be made. Answers with its root.
    ///
    /// # Errors
    /// `Invalid` when the directory has what no version can have, or the name is none.
    pub(crate) async fn stage_dataset(&self, ctx: &Ctx, dataset: &str, path: PathBuf) -> Result<Hash> {
        let plan = plan_of(path).await?;
        let mut tx = self.begin().await?;
        match super::ensure(&mut tx, ctx, dataset).await {
            // Somebody else was first.
            Err(error) if error.kind == ErrorKind::AlreadyExists => drop(tx),
            made => {
                made?;
                commit(tx).await?;
            }
        }
        self.send_plan(ctx, dataset, &plan).await?;
        Ok(plan.built().digest)
    }

    /// Stores what a dataset does not have of a plan.
    async fn send_plan(&self, ctx: &Ctx, dataset: &str, plan: &Arc<Plan>) -> Result<()> {
        let whole = |whole: Vec<Hash>| ObjectsAsked { whole, objects: Vec::new() };
        let objects = |objects: Vec<Hash>| ObjectsAsked { whole: Vec::new(), objects };
        let pages = self.missing(ctx, dataset, plan.pages(), whole).await?;
        let lists = self.missing(ctx, dataset, plan.lists(&pages), whole).await?;
        let data = plan.small(&pages).into_iter().chain(plan.chunks(&lists)).collect();
        let mut wanted = self.missing(ctx, dataset, data, objects).await?;
        wanted.extend(pages);
        wanted.extend(lists);
        wanted.insert(plan.built().digest);
        let (sender, mut receiver) = mpsc::channel(1);
        let read = plan.clone();
        let reader = tokio::task::spawn_blocking(move || {
            for pack in read.packs(wanted) {
                if sender.blocking_send(pack?).is_err() {
                    break;
                }
            }
            Ok::<_, Trouble>(())
        });
        while let Some(pack) = receiver.recv().await {
            self.put_dataset_pack(ctx, dataset, pack.into()).await?;
        }
        reader.await.map_err(|_| Error::internal())?.map_err(of_folder)
    }

    async fn missing(
        &self,
        ctx: &Ctx,
        dataset: &str,
        all: Vec<Hash>,
        asked: fn(Vec<Hash>) -> ObjectsAsked,
    ) -> Result<HashSet<Hash>> {
        let mut missing = HashSet::new();
        for some in all.chunks(ASKED) {
            let answer = self.missing_dataset_objects(ctx, dataset, &asked(some.to_vec())).await?;
            missing.extend(answer.whole);
            missing.extend(answer.objects);
        }
        Ok(missing)
    }
}

async fn plan_of(path: PathBuf) -> Result<Arc<Plan>> {
    let plan = blocking(move || {
        let scanned = folder::scan(folder::walk(&path, Links::Refuse)?, &mut Cache::default(), 2)?;
        Plan::new(scanned, Vec::new()).map_err(|error| Trouble::Refused(error.to_string()))
    })
    .await?
    .map_err(of_folder)?;
    Ok(Arc::new(plan))
}

fn refuse_other(dir: &Path, entry: &Entry) -> std::result::Result<(), Trouble> {
    // A step's directory is new, and nothing of a version is there twice.
    if dir.join(&entry.path).symlink_metadata().is_ok() {
        return Err(Trouble::Refused(format!("Something is at \"{}\" already.", entry.path)));
    }
    Ok(())
}

/// For whoever made the folder; what is this machine's trouble is logged.
fn of_folder(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Refused(message) => Error::invalid(message),
        Trouble::Io { .. } => {
            tracing::warn!(%trouble, "a folder of a dataset could not be read or written");
            Error::new(ErrorKind::Unavailable, "The files could not be read or written on the server; try again.")
        }
    }
}
