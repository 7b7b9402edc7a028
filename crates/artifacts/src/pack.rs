//! Bodies with many small things in them, read in part. Each has a name of its own and one owner, which deletes it: no two
//! share bytes, so that nobody else's are deleted with it.

use super::{Artifacts, Error};
use bytes::Bytes;
use domain::id::PackId;
use futures::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload, path::Path as Location};
use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

const FOLDER: &str = "packs";

fn location(id: PackId) -> Location {
    let id = id.0.simple().to_string();
    // The last digits are random: the first are the time.
    let shard = id[id.len() - 2..].to_owned();
    Location::from_iter([FOLDER.to_owned(), shard, id])
}

impl Artifacts {
    /// Stores a body under a new name. It is safe on disk then.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_pack(&self, id: PackId, body: Bytes) -> Result<(), Error> {
        self.store.put(&location(id), PutPayload::from_bytes(body)).await?;
        Ok(())
    }

    /// These parts of a body, in the order in which they are asked for.
    ///
    /// # Errors
    /// [`Error::Store`], also when there is no such body, or it has no such part.
    pub async fn pack_parts(&self, id: PackId, parts: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        Ok(self.store.get_ranges(&location(id), parts).await?)
    }

    /// Deletes a body; one that is gone already is no mistake.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_pack(&self, id: PackId) -> Result<(), Error> {
        match self.store.delete(&location(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of bodies that are older than this: whoever wrote one may have died before saying that it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn packs_older_than(&self, age: Duration) -> Result<Vec<PackId>, Error> {
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut found = Vec::new();
        let mut listed = self.store.list(Some(&Location::from(FOLDER)));
        while let Some(meta) = listed.try_next().await? {
            let id = meta.location.filename().and_then(|name| name.parse::<PackId>().ok());
            if let Some(id) = id.filter(|_| SystemTime::from(meta.last_modified) < before) {
                found.push(id);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_in_part_and_deleted_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(folder.path()).await.unwrap();
        let (id, other) = (PackId::new(), PackId::new());
        artifacts.put_pack(id, Bytes::from_static(b"0123456789")).await.unwrap();
        artifacts.put_pack(other, Bytes::from_static(b"0123456789")).await.unwrap();
        let (first, far) = (std::slice::from_ref(&(0..2)), std::slice::from_ref(&(20..22)));
        let parts = artifacts.pack_parts(id, &[7..9, 0..2]).await.unwrap();
        assert_eq!(parts, [&b"78"[..], b"01"]);
        assert!(artifacts.pack_parts(id, far).await.is_err(), "there is no such part");
        let mut listed = artifacts.packs_older_than(Duration::ZERO).await.unwrap();
        listed.sort();
        assert_eq!(listed, [id, other]);
        assert!(artifacts.packs_older_than(Duration::from_hours(1)).await.unwrap().is_empty());
        artifacts.delete_pack(id).await.unwrap();
        artifacts.delete_pack(id).await.unwrap();
        assert!(artifacts.pack_parts(id, first).await.is_err());
        assert_eq!(artifacts.pack_parts(other, first).await.unwrap(), [&b"01"[..]], "the same bytes, another body");
    }
}
