//! The bytes of a dataset: which of them it has, taking more, and giving them out. Each dataset knows its own objects alone:
//! whoever may not read it learns nothing, also not whether something is there.

use super::find;
use crate::{Ctx, Result, Services, artifact::of_store, blocking, boxed, commit};
use bytes::Bytes;
use domain::{Error, ErrorKind, id::PackId};
use manifest::{Hash, MAX_PACK, PACK, Pack, PackBuilder};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    time::Duration,
};
use store::{
    PgConnection,
    dataset::DatasetKey,
    dataset_object::{PackedObject, RawDigest},
};

/// The most digests of one question.
const MAX_ASKED: usize = 20_000;
/// For how long what was sent, or was said to be there, is kept when no version needs it.
pub(super) const GRACE: Duration = Duration::from_hours(24);
/// What was wanted since so long ago is not noted as wanted again: that would be a row written for every question.
const FRESH: Duration = Duration::from_hours(1);

/// How often objects are looked for that are not where they were a moment ago.
const TRIES: u32 = 3;

/// What a client wants to know of.
#[derive(Debug, Clone, Default)]
pub struct ObjectsAsked {
    /// Pages, and lists of chunks: is all there that they need?
    pub whole: Vec<Hash>,
    /// Files and chunks: are they there?
    pub objects: Vec<Hash>,
}

/// What became of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPack {
    /// How many objects are in it.
    pub objects: usize,
    /// How many of them were not there before.
    pub new: usize,
}

pub(super) fn raw(digests: &[Hash]) -> Vec<RawDigest> {
    digests.iter().map(|digest| digest.0).collect()
}

impl Services {
    /// Which of these a dataset does not have. The others are kept for a day, also when no version needs them.
    ///
    /// # Errors
    /// `NotFound` without such a dataset; `Invalid` when too many are asked for at once.
    #[boxed]
    pub async fn missing_dataset_objects(&self, ctx: &Ctx, name: &str, asked: &ObjectsAsked) -> Result<ObjectsAsked> {
        if asked.whole.len() + asked.objects.len() > MAX_ASKED {
            return Err(Error::invalid(format!("Ask for at most {MAX_ASKED} digests at once.")));
        }
        let mut conn = self.conn().await?;
        let key = find(&mut conn, ctx, name).await?.key;
        let known: HashSet<RawDigest> = if asked.whole.is_empty() {
            HashSet::new()
        } else {
            let known = store::dataset_object::known_nodes(&mut conn, key, &raw(&asked.whole), FRESH).await?;
            known.into_iter().map(|node| node.digest).collect()
        };
        let whole = asked.whole.iter().filter(|digest| !known.contains(&digest.0)).copied().collect();
        let objects = if asked.objects.is_empty() {
            Vec::new()
        } else {
            store::dataset_object::missing(&mut conn, key, &raw(&asked.objects), FRESH).await?
        };
        Ok(ObjectsAsked { whole, objects: objects.into_iter().map(Hash).collect() })
    }

    /// Takes a pack of objects. The same again changes nothing.
    ///
    /// # Errors
    /// `NotFound` without such a dataset; `Invalid` when it is no pack, or an object has another digest; `TooLarge`.
    #[boxed]
    pub async fn put_dataset_pack(&self, ctx: &Ctx, name: &str, body: Bytes) -> Result<StoredPack> {
        if body.len() > MAX_PACK {
            let message = format!("A pack has at most {} MiB; make several.", MAX_PACK >> 20);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let dataset = find(&mut *self.conn().await?, ctx, name).await?;
        let (read, body) = blocking(move || (Pack::read(&body), body)).await?;
        let pack = read.map_err(|error| Error::invalid(error.to_string()))?;
        let digests: Vec<RawDigest> = pack.objects.iter().map(|object| object.digest.0).collect();
        let missing = store::dataset_object::missing(&mut *self.conn().await?, dataset.key, &digests, FRESH).await?;
        let missing: HashSet<RawDigest> = missing.into_iter().collect();
        let stored = StoredPack { objects: pack.objects.len(), new: missing.len() };
        if missing.is_empty() {
            return Ok(stored);
        }
        let id = PackId::new();
        let mut seen = HashSet::new();
        let objects: Vec<PackedObject> = pack
            .objects
            .iter()
            .filter(|object| missing.contains(&object.digest.0) && seen.insert(object.digest))
            .map(|object| PackedObject { digest: object.digest.0, pack: id, at: object.at, size: object.size })
            .collect();
        let size = body.len();
        // Should this process die before the row is there, the sweep finds a body that nobody owns.
        self.artifacts.put_pack(id, body).await.map_err(of_store)?;
        let mut tx = self.begin().await?;
        let of = (dataset.dataset.id, dataset.key);
        store::dataset_object::insert_pack(&mut tx, of, id, size as i64, &objects, GRACE).await?;
        commit(tx).await?;
        metrics::counter!("slipway_dataset_bytes_total").increment(size as u64);
        Ok(stored)
    }

    /// Some of these objects, as a pack: in their order, as many as fit, and at least one. Ask for the others again.
    ///
    /// # Errors
    /// `NotFound` without such a dataset, or when it does not have one of the objects; `Invalid` for none or too many.
    #[boxed]
    pub async fn dataset_objects(&self, ctx: &Ctx, name: &str, digests: &[Hash]) -> Result<Bytes> {
        if digests.is_empty() || digests.len() > MAX_ASKED {
            return Err(Error::invalid_field("digests", format!("Ask for 1 to {MAX_ASKED} objects at once.")));
        }
        let mut conn = self.conn().await?;
        let key = find(&mut conn, ctx, name).await?.key;
        let found = store::dataset_object::find(&mut conn, key, &raw(digests)).await?;
        drop(conn);
        let places: HashMap<RawDigest, PackedObject> =
            found.into_iter().map(|object| (object.digest, object)).collect();
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        for digest in digests {
            let place = places
                .get(&digest.0)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("The dataset has no object {digest}.")))?;
            // What is said of an object takes up to 40 bytes.
            bytes += place.size as usize + 40;
            if !wanted.is_empty() && bytes > 2 * PACK {
                break;
            }
            wanted.push(*place);
        }
        let order: Vec<Hash> = wanted.iter().map(|place| Hash(place.digest)).collect();
        let read = self.read_objects(&mut *self.conn().await?, key, &order).await?;
        let mut pack = PackBuilder::default();
        for digest in order {
            let bytes = read.get(&digest).ok_or_else(Error::internal)?;
            pack.push(&digest, bytes);
        }
        Ok(pack.take().into())
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound` without such a dataset, or when it does not have the object.
    #[boxed]
    pub async fn dataset_object(&self, ctx: &Ctx, name: &str, digest: Hash) -> Result<Bytes> {
        let mut conn = self.conn().await?;
        let key = find(&mut conn, ctx, name).await?.key;
        let found = self.read_objects(&mut conn, key, &[digest]).await?.remove(&digest);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("The dataset has no object {digest}.")))
    }

    /// Those of these objects that a dataset has. The caller asks for no more than can be held.
    pub(super) async fn read_objects(
        &self,
        conn: &mut PgConnection,
        key: DatasetKey,
        digests: &[Hash],
    ) -> Result<HashMap<Hash, Bytes>> {
        let mut tries = 0;
        loop {
            let places = store::dataset_object::find(conn, key, &raw(digests)).await?;
            tries += 1;
            match self.read_places(places).await {
                // A sweep may have put them into another pack since.
                Err(_) if tries < TRIES => {}
                read => return read,
            }
        }
    }

    /// Reads objects, and makes sure that each is what it was.
    pub(super) async fn read_places(&self, mut places: Vec<PackedObject>) -> Result<HashMap<Hash, Bytes>> {
        places.sort_unstable_by_key(|place| (place.pack, place.at));
        let mut read = HashMap::with_capacity(places.len());
        for of_pack in places.chunk_by(|one, other| one.pack == other.pack) {
            let ranges: Vec<Range<u64>> =
                of_pack.iter().map(|place| u64::from(place.at)..u64::from(place.at) + u64::from(place.size)).collect();
            let parts = self.artifacts.pack_parts(of_pack[0].pack, &ranges).await.map_err(of_store)?;
            read.extend(of_pack.iter().map(|place| Hash(place.digest)).zip(parts));
        }
        let (damaged, read) = blocking(move || {
            let damaged = read.iter().find(|(digest, bytes)| Hash::of(bytes) != **digest).map(|(digest, _)| *digest);
            (damaged, read)
        })
        .await?;
        match damaged {
            None => Ok(read),
            Some(digest) => {
                tracing::error!(%digest, "an object of a dataset is damaged");
                Err(Error::new(ErrorKind::Internal, format!("The stored object {digest} is damaged; push it again.")))
            }
        }
    }
}
