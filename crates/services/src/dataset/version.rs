//! Versions of datasets. One is made of a root whose pages, files and chunks are all there, which is looked at before it is
//! seen by anybody.

use super::{find, locked, object as object_of, object::GRACE};
use crate::{
    Ctx, Event, Result, Services, blocking, boxed, commit, now, page_rows,
    trigger::{dataset_version_created, run_depth},
};
use bytes::Bytes;
use domain::{
    Digest, Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    dataset::{
        ChecksState, DatasetVersion, MAX_MESSAGE, MAX_MLFLOW_DIGESTS, VersionLineage, VersionRef, check_mlflow_digest,
        check_text,
    },
    id::DatasetVersionId,
    page,
    step::Versioned,
};
use manifest::{Content, Hash, List, Malformed, Page as ManifestPage, PageRef, Root};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use store::{
    PgConnection,
    dataset::{DatasetKey, StoredDataset},
    dataset_object::{KnownNode, RawDigest},
    dataset_version::{Named, ReadBy},
    wake::Wake,
};

/// How many pages, or lists, are read at once.
const AT_ONCE: usize = 16;

/// A version to be made.
#[derive(Debug, Clone)]
pub struct NewDatasetVersion {
    /// The digest of its root.
    pub root: Hash,
    /// What its author says of it.
    pub message: String,
    /// What MLflow's clients call its content.
    pub mlflow_digests: Vec<String>,
}

impl Services {
    /// Makes a version of what was sent. When the dataset has a version of this root, it is that one, and nothing changes but
    /// what MLflow calls it. Tells also whether it is new.
    ///
    /// # Errors
    /// `NotFound` without such a dataset; `Conflict` when something that it needs is not there; `Invalid` when the root or a
    /// page is not as it must be.
    #[boxed]
    pub async fn make_dataset_version(
        &self,
        ctx: &Ctx,
        name: &str,
        new: NewDatasetVersion,
    ) -> Result<(DatasetVersion, bool)> {
        let mut tx = self.begin().await?;
        let (version, is_new) = self.add_dataset_version(&mut tx, ctx, name, new).await?;
        commit(tx).await?;
        if is_new {
            metrics::counter!("slipway_dataset_versions_total").increment(1);
        }
        Ok((version, is_new))
    }

    /// The same in the transaction of the caller.
    pub(crate) async fn add_dataset_version(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        name: &str,
        new: NewDatasetVersion,
    ) -> Result<(DatasetVersion, bool)> {
        check_text(&new.message, "message", MAX_MESSAGE)?;
        check_digests(&new.mlflow_digests)?;
        let stored = locked(tx, ctx, name).await?;
        let digest = Digest::blake3(new.root.0);
        if let Some(known) = version_of(tx, &stored, &VersionRef::Digest(digest.clone())).await? {
            let known = add_digests(tx, ctx, &stored, known, &new.mlflow_digests).await?;
            return Ok((known, false));
        }
        let root = self.check_root(tx, stored.key, new.root).await?;
        let number = |number: u64| i64::try_from(number).map_err(|_| Error::invalid_field("root", "It is too large."));
        let version = DatasetVersion {
            id: DatasetVersionId::new(),
            dataset: stored.dataset.name.clone(),
            number: stored.last_number.saturating_add(1),
            digest,
            files: number(root.entries())?,
            bytes: number(root.bytes())?,
            external: number(root.external())?,
            message: new.message,
            author: ctx.actor().name().to_owned(),
            created_at: now(),
            mlflow_digests: Vec::new(),
            checks: ChecksState::Waiting,
        };
        let author = ctx.user().map(|user| user.id);
        let depth = run_depth(tx, ctx).await?;
        store::dataset_version::insert(tx, stored.dataset.id, &version, &new.root.0, author, depth).await?;
        store::dataset_profile::ask(tx, version.id).await?;
        Event::new("dataset_version.created", object(&version), format!("made {}", version.title()))
            .related(object_of(&stored.dataset))
            .details(serde_json::json!({ "digest": version.digest, "files": version.files, "bytes": version.bytes }))
            .write(tx, ctx)
            .await?;
        let version = add_digests(tx, ctx, &stored, version, &new.mlflow_digests).await?;
        dataset_version_created(tx, ctx.workspace_id(), &version, depth).await?;
        store::wake::push(tx, &Wake::Datasets).await?;
        Ok((version, true))
    }

    /// A version of a dataset: by number, by digest, or the latest.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn dataset_version(&self, ctx: &Ctx, name: &str, which: &VersionRef) -> Result<DatasetVersion> {
        let mut conn = self.conn().await?;
        Ok(self.found_version(&mut conn, ctx, name, which).await?.1)
    }

    pub(super) async fn found_version(
        &self,
        conn: &mut PgConnection,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
    ) -> Result<(StoredDataset, DatasetVersion)> {
        let stored = find(conn, ctx, name).await?;
        let version = version_of(conn, &stored, which).await?.ok_or_else(|| no_version(name, which))?;
        Ok((stored, version))
    }

    /// A page of the versions of a dataset, newest first.
    ///
    /// # Errors
    /// `NotFound` without such a dataset; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn dataset_versions(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<DatasetVersion>> {
        let below: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let dataset = find(&mut conn, ctx, name).await?.dataset;
        let found = store::dataset_version::list(&mut conn, dataset.id, below, page_rows(limit + 1)).await?;
        Ok(Page::cut(found, limit, |version| version.number))
    }

    /// Deletes a version. What only it needs is deleted within days; its number is not given again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while runs say that they read it.
    #[boxed]
    pub async fn delete_dataset_version(&self, ctx: &Ctx, name: &str, which: &VersionRef) -> Result<()> {
        let mut tx = self.begin().await?;
        let stored = locked(&mut tx, ctx, name).await?;
        let version = version_of(&mut tx, &stored, which).await?.ok_or_else(|| no_version(name, which))?;
        let read_by = store::dataset_version::read_by(&mut tx, ctx.workspace_id(), version.id, 1).await?;
        if let Some(run) = read_by.first() {
            let message = format!("{} was read by the run {}; delete that first.", version.title(), run.name);
            return Err(Error::conflict(message));
        }
        let pinned =
            store::step::pin::read_by(&mut tx, ctx.workspace_id(), Versioned::Dataset, name, version.number).await?;
        if let Some(run) = pinned {
            let message =
                format!("{} was read by pipeline run #{run}, which could not be reproduced.", version.title());
            return Err(Error::conflict(message));
        }
        store::dataset_version::delete(&mut tx, version.id).await?;
        store::dataset_object::sweep_from(&mut tx, stored.dataset.id, GRACE).await?;
        Event::new("dataset_version.deleted", object(&version), format!("deleted {}", version.title()))
            .related(object_of(&stored.dataset))
            .details(serde_json::json!({ "digest": version.digest }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// Says what MLflow's clients call a version. What is known of it already changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for what is no digest of MLflow, or too many.
    #[boxed]
    pub async fn name_dataset_version(
        &self,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
        mlflow_digests: &[String],
    ) -> Result<DatasetVersion> {
        check_digests(mlflow_digests)?;
        let mut tx = self.begin().await?;
        let stored = locked(&mut tx, ctx, name).await?;
        let version = version_of(&mut tx, &stored, which).await?.ok_or_else(|| no_version(name, which))?;
        let version = add_digests(&mut tx, ctx, &stored, version, mlflow_digests).await?;
        commit(tx).await?;
        Ok(version)
    }

    /// The versions that MLflow's clients call by these digests, in the order of the digests.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn dataset_versions_of_mlflow(&self, ctx: &Ctx, digests: &[&str]) -> Result<Vec<Named>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        Ok(store::dataset_version::by_mlflow_digests(&mut *self.conn().await?, ctx.workspace_id(), digests).await?)
    }

    /// The last runs that say that they read a version, by one of the digests that MLflow's clients call it.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn runs_of_dataset_version(
        &self,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
        limit: usize,
    ) -> Result<Vec<ReadBy>> {
        let mut conn = self.conn().await?;
        let (_, version) = self.found_version(&mut conn, ctx, name, which).await?;
        Ok(store::dataset_version::read_by(&mut conn, ctx.workspace_id(), version.id, page_rows(limit)).await?)
    }

    /// The step that made a version, and the last runs of pipelines that took it.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn dataset_version_lineage(
        &self,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
        limit: usize,
    ) -> Result<VersionLineage> {
        let mut conn = self.conn().await?;
        let (_, version) = self.found_version(&mut conn, ctx, name, which).await?;
        let taken = (Versioned::Dataset, version.dataset.as_str(), version.number);
        Ok(VersionLineage {
            made_by: store::dataset_version::maker(&mut conn, version.id).await?,
            taken_by: store::step::pin::taken_by(&mut conn, ctx.workspace_id(), taken, page_rows(limit)).await?,
        })
    }

    /// Reads a root, and makes sure that all that it needs is there and as it must be. What was found whole before is not
    /// looked at again.
    async fn check_root(&self, tx: &mut PgConnection, key: DatasetKey, digest: Hash) -> Result<Root> {
        let bytes = self.read_objects(tx, key, &[digest]).await?.remove(&digest);
        let bytes = bytes.ok_or_else(|| not_there(1, "root"))?;
        let root = Root::read(&bytes).map_err(|error| malformed(&error))?;
        let digests: Vec<RawDigest> = root.pages.iter().map(|page| page.digest.0).collect();
        let known = store::dataset_object::known_nodes(tx, key, &digests, Duration::ZERO).await?;
        let known: HashMap<RawDigest, KnownNode> = known.into_iter().map(|node| (node.digest, node)).collect();
        for page in &root.pages {
            if known.get(&page.digest.0).is_some_and(|node| *node != node_of(page)) {
                return Err(other_page(page));
            }
        }
        let new: Vec<&PageRef> = root.pages.iter().filter(|page| !known.contains_key(&page.digest.0)).collect();
        for some in new.chunks(AT_ONCE) {
            self.check_pages(tx, key, some).await?;
        }
        Ok(root)
    }

    async fn check_pages(&self, tx: &mut PgConnection, key: DatasetKey, pages: &[&PageRef]) -> Result<()> {
        let digests: Vec<Hash> = pages.iter().map(|page| page.digest).collect();
        let found = self.read_objects(tx, key, &digests).await?;
        if found.len() < digests.len() {
            return Err(not_there(digests.len() - found.len(), "pages"));
        }
        let read = blocking(move || read_pages(&found)).await?.map_err(|error| malformed(&error))?;
        let (mut files, mut lists) = (HashMap::new(), HashMap::new());
        for page in pages {
            let (entries, reference) = read.get(&page.digest).ok_or_else(Error::internal)?;
            if reference != *page {
                return Err(other_page(page));
            }
            for entry in &entries.entries {
                match &entry.content {
                    Content::Small { size, digest } if *size > 0 => {
                        // Not above SMALL: the page was read.
                        files.insert(digest.0, Some(*size as u32));
                    }
                    Content::Large { size, list, .. } => _ = lists.insert(*list, *size),
                    Content::Small { .. } | Content::External(_) => {}
                }
            }
        }
        let files: Vec<_> = files.into_iter().collect();
        let missing = store::dataset_object::count_missing(tx, key, &files).await?;
        if missing > 0 {
            return Err(not_there(usize::try_from(missing).unwrap_or_default(), "files"));
        }
        self.check_lists(tx, key, &lists).await?;
        for page in pages {
            store::dataset_object::insert_node(tx, key, &node_of(page)).await?;
        }
        Ok(())
    }

    /// Lists of chunks, with the length of the file of each.
    async fn check_lists(&self, tx: &mut PgConnection, key: DatasetKey, lists: &HashMap<Hash, u64>) -> Result<()> {
        let digests: Vec<Hash> = lists.keys().copied().collect();
        let raw = super::object::raw(&digests);
        let known = store::dataset_object::known_nodes(tx, key, &raw, Duration::ZERO).await?;
        let other_length = |digest: &Hash| {
            Error::invalid_field("root", format!("The chunks of the list {digest} have another length than the file."))
        };
        for node in &known {
            let size = lists.get(&Hash(node.digest)).copied().unwrap_or_default();
            if u64::try_from(node.bytes) != Ok(size) {
                return Err(other_length(&Hash(node.digest)));
            }
        }
        let known: HashSet<RawDigest> = known.into_iter().map(|node| node.digest).collect();
        let new: Vec<Hash> = digests.into_iter().filter(|digest| !known.contains(&digest.0)).collect();
        for some in new.chunks(AT_ONCE) {
            let found = self.read_objects(tx, key, some).await?;
            if found.len() < some.len() {
                return Err(not_there(some.len() - found.len(), "lists of chunks"));
            }
            for (digest, bytes) in &found {
                let list = List::read(bytes).map_err(|error| malformed(&error))?;
                if lists.get(digest) != Some(&list.size()) {
                    return Err(other_length(digest));
                }
                let chunks: Vec<_> = list.chunks.iter().map(|(digest, size)| (digest.0, Some(*size))).collect();
                let missing = store::dataset_object::count_missing(tx, key, &chunks).await?;
                if missing > 0 {
                    return Err(not_there(usize::try_from(missing).unwrap_or_default(), "chunks"));
                }
                let node = KnownNode {
                    digest: digest.0,
                    entries: list.chunks.len() as i64,
                    external: 0,
                    bytes: i64::try_from(list.size()).unwrap_or(i64::MAX),
                    first: String::new(),
                    last: String::new(),
                    is_ended: true,
                };
                store::dataset_object::insert_node(tx, key, &node).await?;
            }
        }
        Ok(())
    }
}

type ReadPages = HashMap<Hash, (ManifestPage, PageRef)>;

fn read_pages(found: &HashMap<Hash, Bytes>) -> std::result::Result<ReadPages, Malformed> {
    found.iter().map(|(digest, bytes)| Ok((*digest, ManifestPage::read(bytes)?))).collect()
}

fn node_of(page: &PageRef) -> KnownNode {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    KnownNode {
        digest: page.digest.0,
        entries: number(page.entries),
        external: number(page.external),
        bytes: number(page.bytes),
        first: page.first.clone(),
        last: page.last.clone(),
        is_ended: page.is_ended,
    }
}

fn not_there(count: usize, what: &str) -> Error {
    Error::conflict(format!(
        "{count} of the {what} that the version needs are not there: ask what is missing, send that, and try again."
    ))
}

fn malformed(error: &Malformed) -> Error {
    Error::invalid_field("root", error.to_string())
}

fn other_page(page: &PageRef) -> Error {
    Error::invalid_field("root", format!("The root says of the page {} what the page does not.", page.digest))
}

fn no_version(name: &str, which: &VersionRef) -> Error {
    let message = match which {
        VersionRef::Latest => format!("The dataset \"{name}\" has no version yet."),
        VersionRef::Passed => format!("The dataset \"{name}\" has no version that passed its checks."),
        which => format!("The dataset \"{name}\" has no version {which}."),
    };
    Error::new(ErrorKind::NotFound, message)
}

fn check_digests(digests: &[String]) -> Result<()> {
    if digests.len() > MAX_MLFLOW_DIGESTS {
        let message = format!("Name at most {MAX_MLFLOW_DIGESTS} digests of MLflow at once.");
        return Err(Error::invalid_field("mlflow_digests", message));
    }
    digests.iter().try_for_each(|digest| check_mlflow_digest(digest))
}

/// A version of a dataset: by number, by digest, or the latest.
pub(crate) async fn version_called(
    conn: &mut PgConnection,
    ctx: &Ctx,
    name: &str,
    which: &VersionRef,
) -> Result<DatasetVersion> {
    let stored = find(conn, ctx, name).await?;
    version_of(conn, &stored, which).await?.ok_or_else(|| no_version(name, which))
}

async fn version_of(
    conn: &mut PgConnection,
    stored: &StoredDataset,
    which: &VersionRef,
) -> Result<Option<DatasetVersion>> {
    Ok(store::dataset_version::get(conn, stored.dataset.id, which).await?)
}

/// Notes what MLflow's clients call a version, and tells history when that is news.
async fn add_digests(
    tx: &mut PgConnection,
    ctx: &Ctx,
    stored: &StoredDataset,
    mut version: DatasetVersion,
    digests: &[String],
) -> Result<DatasetVersion> {
    let added = store::dataset_version::add_digests(tx, version.id, digests).await?;
    if added.is_empty() {
        return Ok(version);
    }
    let summary = format!("said that MLflow calls {} {}", version.title(), added.join(", "));
    Event::new("dataset_version.named", object(&version), summary)
        .related(object_of(&stored.dataset))
        .details(serde_json::json!({ "mlflow_digests": added }))
        .write(tx, ctx)
        .await?;
    version.mlflow_digests.extend(added);
    version.mlflow_digests.sort();
    Ok(version)
}

pub(super) fn object(version: &DatasetVersion) -> Object {
    Object::new(ObjectKind::DatasetVersion, version.id, version.title())
}
