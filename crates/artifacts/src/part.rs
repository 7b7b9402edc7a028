//! Blobs that come in parts. A part lies by itself, under a name that says of which upload it is, which part, and what it
//! holds, until a blob is put together from all of them. Who may send one, and which of several is meant, is the
//! database's business.

use super::{Artifacts, Blob, Error};
use bytes::Bytes;
use domain::{digest::Digest, id::UploadId};
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectStoreExt as _, path::Path as Location};
use std::time::Duration;

/// A part that nobody has written to for this long is of an upload that is long over.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_hours(72);

fn location(upload: UploadId, (number, digest): (u32, &Digest)) -> Location {
    Location::from_iter(["parts".to_owned(), format!("{upload}-{number}-{}", digest.hex())])
}

impl Artifacts {
    /// Stores a part of an upload, and says what it holds once it is safe on disk. Another one of the same number lies
    /// beside it until it is deleted.
    ///
    /// # Errors
    /// [`Error::Source`] when the stream fails; [`Error::Store`] when the store does. Either way nothing is stored.
    pub async fn put_part<S, E>(&self, upload: UploadId, number: u32, stream: S) -> Result<Blob, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (staged, part) = self.stage(stream).await?;
        self.store.rename(&staged, &location(upload, (number, &part.digest))).await?;
        Ok(part)
    }

    /// Stores the blob that these parts make, one after the other. They stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a part is gone; [`Error::Store`].
    pub async fn join_parts(&self, upload: UploadId, parts: &[(u32, &Digest)]) -> Result<Blob, Error> {
        let parts: Vec<(Digest, Location)> =
            parts.iter().map(|part| (part.1.clone(), location(upload, *part))).collect();
        let store = self.store.clone();
        let bytes = stream::iter(parts)
            .then(move |(digest, location)| {
                let store = store.clone();
                async move {
                    let found = store.get(&location).await.map_err(|cause| Error::reading(&digest, cause))?;
                    Ok::<_, Error>(found.into_stream().map_err(Error::from).boxed())
                }
                .boxed()
            })
            .try_flatten()
            .boxed();
        self.put(bytes).await.map_err(|error| match error {
            // Here the source is the store itself.
            Error::Source(cause) => match cause.downcast::<Error>() {
                Ok(error) => *error,
                Err(cause) => Error::Source(cause),
            },
            error => error,
        })
    }

    /// Deletes parts; one that is gone already is no mistake.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_parts(&self, upload: UploadId, parts: &[(u32, &Digest)]) -> Result<(), Error> {
        for part in parts {
            match self.store.delete(&location(upload, *part)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
