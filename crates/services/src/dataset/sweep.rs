//! Deleting what no version needs: objects of versions that were deleted, and what was sent for versions that were never
//! made.
//!
//! What is kept is what versions need, and what a client was told to be there within the last day. A dataset is held while it
//! is swept, so that no version of it is made meanwhile; whoever pushes then finds, when it makes its version, that
//! something is missing, and sends it. Rows go first, in one transaction; the bodies after it is committed. A process that
//! dies in between leaves bodies that nobody owns, which are found by their age.
//!
//! A pack goes as a whole. Of one of which less than half is needed, that half is put into a new one first.

use super::object::GRACE;
use crate::{Result, Services, artifact::of_store, boxed, commit};
use chrono::{TimeDelta, Utc};
use domain::{
    Error,
    id::{DatasetId, PackId},
};
use manifest::{Content, Hash, List, MAX_OBJECT, PACK, Pack, PackBuilder, Page, Root};
use std::{collections::HashSet, time::Duration};
use store::{
    PgConnection,
    dataset::DatasetKey,
    dataset_object::{PackedObject, RawDigest},
};

/// How many pages or lists are read at once.
const AT_ONCE: usize = 32;
/// How many bytes are put together anew in one sweep: the dataset is held meanwhile. The rest is for the next.
const MOST_GATHERED: i64 = 256 << 20;

/// What must stay.
#[derive(Default)]
struct Kept {
    objects: HashSet<RawDigest>,
    nodes: HashSet<RawDigest>,
}

impl Services {
    /// Sweeps a dataset that is due. Tells whether there was one.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer, or a manifest cannot be read: nothing is deleted then.
    #[boxed]
    pub async fn sweep_dataset(&self) -> Result<bool> {
        self.sweep_dataset_after(GRACE).await
    }

    /// The same, with another time for which what nobody needs is kept.
    ///
    /// # Errors
    /// As [`Services::sweep_dataset`].
    #[boxed]
    pub async fn sweep_dataset_after(&self, grace: Duration) -> Result<bool> {
        let mut tx = self.begin().await?;
        let Some((dataset, key)) = store::dataset_object::take_sweep(&mut tx).await? else { return Ok(false) };
        let kept = self.kept(&mut tx, dataset, key, grace).await?;
        let objects: Vec<RawDigest> = kept.objects.into_iter().collect();
        let nodes: Vec<RawDigest> = kept.nodes.into_iter().collect();
        store::dataset_object::keep(&mut tx, key, &objects, &nodes, grace).await?;
        self.gather(&mut tx, (dataset, key), grace).await?;
        let dead = store::dataset_object::sweep(&mut tx, (dataset, key), grace).await?;
        // What is young may be useless later. When nothing is, there is nothing to look for until something is sent.
        let young = store::dataset_object::last_wanted_within(&mut tx, (dataset, key), grace).await?;
        let next = young.map(|_| Utc::now() + TimeDelta::from_std(grace).unwrap_or_else(|_| TimeDelta::days(1)));
        store::dataset_object::set_sweep(&mut tx, dataset, next).await?;
        commit(tx).await?;
        for pack in &dead {
            self.artifacts.delete_pack(*pack).await.map_err(of_store)?;
        }
        if !dead.is_empty() {
            metrics::counter!("slipway_dataset_packs_swept_total").increment(dead.len() as u64);
            tracing::info!(%dataset, packs = dead.len(), "what no version of a dataset needs was deleted");
        }
        Ok(true)
    }

    /// Deletes bodies that nobody owns: of processes that died before they said that one is there, or after they said that it
    /// is not needed.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer.
    #[boxed]
    pub async fn sweep_packs(&self) -> Result<()> {
        let old = self.artifacts.packs_older_than(GRACE).await.map_err(of_store)?;
        for some in old.chunks(1000) {
            for pack in store::dataset_object::unowned(&mut *self.conn().await?, some).await? {
                self.artifacts.delete_pack(pack).await.map_err(of_store)?;
            }
        }
        Ok(())
    }

    /// Puts what is kept of packs of which most is not into new packs. Whoever reads an object at the moment in which the old
    /// pack goes looks again where it lies.
    async fn gather(&self, tx: &mut PgConnection, of: (DatasetId, DatasetKey), grace: Duration) -> Result<()> {
        let mut scattered = store::dataset_object::scattered(tx, of, grace, MOST_GATHERED).await?;
        while !scattered.is_empty() {
            let mut bytes = 0;
            let some = scattered.iter().take_while(|object| {
                bytes += object.size as usize;
                bytes <= PACK + MAX_OBJECT
            });
            let rest = scattered.split_off(some.count().max(1));
            let read = self.read_places(std::mem::replace(&mut scattered, rest)).await?;
            let mut pack = PackBuilder::default();
            read.iter().for_each(|(digest, bytes)| pack.push(digest, bytes));
            let (body, id) = (pack.take(), PackId::new());
            let packed = Pack::read(&body).map_err(|error| unreadable(&error))?;
            let objects: Vec<PackedObject> = packed
                .objects
                .iter()
                .map(|object| PackedObject { digest: object.digest.0, pack: id, at: object.at, size: object.size })
                .collect();
            let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
            self.artifacts.put_pack(id, body.into()).await.map_err(of_store)?;
            store::dataset_object::insert_pack(tx, of, id, size, &objects, grace).await?;
        }
        Ok(())
    }

    async fn kept(&self, tx: &mut PgConnection, dataset: DatasetId, key: DatasetKey, grace: Duration) -> Result<Kept> {
        let mut kept = Kept::default();
        let roots: Vec<Hash> = store::dataset_version::roots(tx, dataset).await?.into_iter().map(Hash).collect();
        let mut nodes: HashSet<Hash> = HashSet::new();
        kept.objects.extend(roots.iter().map(|root| root.0));
        for some in roots.chunks(AT_ONCE) {
            for bytes in self.all(tx, key, some).await? {
                let root = Root::read(&bytes).map_err(|error| unreadable(&error))?;
                nodes.extend(root.pages.iter().map(|page| page.digest));
            }
        }
        let young = store::dataset_object::nodes_wanted_within(tx, key, grace).await?;
        nodes.extend(young.into_iter().map(Hash));
        // Pages first, which name lists.
        let mut seen: HashSet<Hash> = HashSet::new();
        while !nodes.is_empty() {
            let some: Vec<Hash> = nodes.iter().copied().take(AT_ONCE).collect();
            for (digest, bytes) in some.iter().zip(self.all(tx, key, &some).await?) {
                nodes.remove(digest);
                seen.insert(*digest);
                if let Ok((page, _)) = Page::read(&bytes) {
                    for entry in page.entries {
                        kept.objects.extend(entry.object().map(|object| object.0));
                        if let Content::Large { list, .. } = entry.content
                            && !seen.contains(&list)
                        {
                            nodes.insert(list);
                        }
                    }
                } else {
                    let list = List::read(&bytes).map_err(|error| unreadable(&error))?;
                    kept.objects.extend(list.chunks.iter().map(|(digest, _)| digest.0));
                }
            }
        }
        kept.objects.extend(seen.iter().map(|node| node.0));
        kept.nodes = seen.into_iter().map(|node| node.0).collect();
        Ok(kept)
    }

    /// All of these objects, in their order.
    async fn all(&self, tx: &mut PgConnection, key: DatasetKey, digests: &[Hash]) -> Result<Vec<bytes::Bytes>> {
        let mut found = self.read_objects(tx, key, digests).await?;
        let taken = digests.iter().map(|digest| {
            found.remove(digest).ok_or_else(|| {
                tracing::error!(%digest, "an object that a version needs is not there; nothing is deleted");
                Error::internal()
            })
        });
        taken.collect()
    }
}

fn unreadable(error: &manifest::Malformed) -> Error {
    tracing::error!(%error, "a stored manifest cannot be read; nothing is deleted");
    Error::internal()
}
