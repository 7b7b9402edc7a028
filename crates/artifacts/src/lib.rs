//! Content-addressed blobs over an object store.
//!
//! A blob is named by the BLAKE3 digest of its bytes and never changes. Which run, model or data set owns it is not
//! known here: that is the database's business. So is deleting: a blob may have many owners.
//!
//! Layout below the root:
//! ```text
//! blobs/ab/cdef…     the blob with digest blake3:abcdef…
//! uploads/<uuid>     what is still being written
//! packs/ab/<id>      a body of the objects of a dataset, which has an owner and is read in part
//! parts/<name>       a part of a blob that comes in several; its name says whose and which
//! probes/<uuid>      what a readiness check wrote and deletes at once
//! ```
//! A blob appears under `blobs/` by a rename, whole or not at all, and is on disk before [`Artifacts::put`] returns.

mod error;
mod local;
mod pack;
mod part;

use blake3::Hasher;
use bytes::Bytes;
use domain::digest::Digest;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, local::LocalFileSystem,
    path::Path as Location,
};
use std::{ops::Range, path::Path, pin::pin, sync::Arc, time::Duration};
use uuid::Uuid;

pub use error::Error;
/// Which bytes of a blob are wanted: an offset, a span or the last so many.
pub use object_store::GetRange as ByteRange;

/// How much of an upload is held in memory at a time. S3 takes no part below 5 MiB.
const PART: usize = 8 << 20;

/// An upload that nobody has written to for this long was left behind by a process that died.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// The store of all blobs. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `blake3:` and the hash of the bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// A blob, or a part of one, to be read.
pub struct Content {
    /// Length of the whole blob in bytes.
    pub size: u64,
    /// Which of its bytes `stream` gives.
    pub range: Range<u64>,
    /// The bytes, in order.
    pub stream: BoxStream<'static, Result<Bytes, Error>>,
}

impl Artifacts {
    /// Opens the store in this directory of the local file system, creating it when it is not there, and clears what
    /// dead processes left half-written. Other processes may use the same directory at the same time.
    ///
    /// # Errors
    /// When the directory cannot be created or read.
    pub async fn open_dir(path: impl AsRef<Path>) -> Result<Self, Error> {
        let root = path.as_ref().to_owned();
        tokio::task::spawn_blocking(move || {
            local::prepare(&root, ABANDONED_AFTER, part::ABANDONED_AFTER)?;
            let store = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
            Ok(Self { store: Arc::new(store) })
        })
        .await
        .map_err(Error::unexpected)?
    }

    /// Stores what the stream gives, and returns its name once it is safe on disk. Storing the same bytes again is
    /// harmless. Memory stays bounded whatever the length.
    ///
    /// # Errors
    /// [`Error::Source`] when the stream fails; [`Error::Store`] when the store does. Either way nothing is visible.
    pub async fn put<S, E>(&self, stream: S) -> Result<Blob, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (staged, blob) = self.stage(stream).await?;
        // Also when the blob is there already: whoever put it there may not have reached the disk yet, and the sender
        // of this copy must not be told that it is safe before it is.
        self.store.rename(&staged, &location(&blob.digest)?).await?;
        Ok(blob)
    }

    /// Writes what the stream gives to where nobody looks for it.
    async fn stage<S, E>(&self, stream: S) -> Result<(Location, Blob), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let staged = Location::from_iter(["uploads".to_owned(), Uuid::now_v7().to_string()]);
        let mut upload = self.store.put_multipart(&staged).await?;
        match write_all(upload.as_mut(), stream).await {
            Ok(blob) => Ok((staged, blob)),
            Err(error) => {
                if let Err(cause) = upload.abort().await {
                    tracing::warn!(%cause, "an interrupted upload could not be removed; the next start removes it");
                }
                Err(error)
            }
        }
    }

    /// [`Artifacts::put`] for bytes already in memory.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_bytes(&self, bytes: impl Into<Bytes> + Send) -> Result<Blob, Error> {
        self.put(futures::stream::iter([Ok::<_, Error>(bytes.into())])).await
    }

    /// Opens a blob, or the given part of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::NotSatisfiable`] when the blob has no byte in that range.
    pub async fn get(&self, digest: &Digest, range: Option<ByteRange>) -> Result<Content, Error> {
        let location = location(digest)?;
        if let Some(range) = &range {
            let size = self.head(&location, digest).await?;
            if size == 0 || matches!(range, ByteRange::Suffix(0)) || range.as_range(size).is_err() {
                return Err(Error::NotSatisfiable { size });
            }
        }
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store.get_opts(&location, options).await.map_err(|cause| Error::reading(digest, cause))?;
        Ok(Content {
            size: found.meta.size,
            range: found.range.clone(),
            stream: found.into_stream().map_err(Error::from).boxed(),
        })
    }

    /// Whether there is such a blob.
    ///
    /// # Errors
    /// [`Error::Store`] when the store does not answer.
    pub async fn has(&self, digest: &Digest) -> Result<bool, Error> {
        match self.head(&location(digest)?, digest).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The whole blob in memory, when it has at most `limit` bytes. Its bytes are checked against the digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`], or [`Error::Corrupt`] when the stored bytes are not those that were put.
    pub async fn get_bytes(&self, digest: &Digest, limit: u64) -> Result<Bytes, Error> {
        let location = location(digest)?;
        let found = self.store.get(&location).await.map_err(|cause| Error::reading(digest, cause))?;
        if found.meta.size > limit {
            return Err(Error::TooLarge { digest: digest.clone(), size: found.meta.size, limit });
        }
        let bytes = found.bytes().await?;
        if Digest::blake3(blake3::hash(&bytes).into()) != *digest {
            return Err(Error::Corrupt { digest: digest.clone() });
        }
        Ok(bytes)
    }

    /// Whether the store takes, gives back and deletes an object now.
    ///
    /// # Errors
    /// [`Error::Store`] when it does not.
    pub async fn check(&self) -> Result<(), Error> {
        let id = Uuid::now_v7();
        let probe = Location::from_iter(["probes".to_owned(), id.to_string()]);
        self.store.put(&probe, PutPayload::from(id.as_bytes().to_vec())).await?;
        let read = self.store.get(&probe).await?.bytes().await?;
        self.store.delete(&probe).await?;
        if read == id.as_bytes().as_slice() {
            Ok(())
        } else {
            Err(Error::unexpected("the probe read back is not the probe written"))
        }
    }

    async fn head(&self, location: &Location, digest: &Digest) -> Result<u64, Error> {
        self.store.head(location).await.map(|meta| meta.size).map_err(|cause| Error::reading(digest, cause))
    }
}

/// Writes the stream into the upload part by part and completes it.
async fn write_all<S, E>(upload: &mut dyn MultipartUpload, stream: S) -> Result<Blob, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut stream = pin!(stream);
    let mut hasher = Hasher::new();
    let mut part: Vec<Bytes> = Vec::new();
    let mut held = 0;
    while let Some(mut bytes) = stream.try_next().await.map_err(|cause| Error::Source(cause.into()))? {
        hasher.update(&bytes);
        while held + bytes.len() >= PART {
            part.push(bytes.split_to(PART - held));
            upload.put_part(PutPayload::from_iter(part.drain(..))).await?;
            held = 0;
        }
        if !bytes.is_empty() {
            held += bytes.len();
            part.push(bytes);
        }
    }
    if held > 0 {
        upload.put_part(PutPayload::from_iter(part)).await?;
    }
    upload.complete().await?;
    Ok(Blob { digest: Digest::blake3(hasher.finalize().into()), size: hasher.count() })
}

/// Where a blob lies. Only BLAKE3 digests name blobs.
fn location(digest: &Digest) -> Result<Location, Error> {
    if !digest.as_str().starts_with("blake3:") {
        return Err(Error::NotFound { digest: digest.clone() });
    }
    let (shard, rest) = digest.hex().split_at(2);
    Ok(Location::from_iter(["blobs", shard, rest]))
}
