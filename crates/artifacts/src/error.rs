//! What can go wrong with a blob, and what of it is for other people's eyes.

use domain::{digest::Digest, error as public};

/// Why a blob could not be stored or read. The message is public; causes are behind `source()`, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No blob has this digest.
    #[error("No stored content has the digest {digest}.")]
    NotFound {
        /// What was looked for.
        digest: Digest,
    },
    /// The blob has no byte in the range that was asked for.
    #[error("The range lies outside the content, which has {size} bytes.")]
    NotSatisfiable {
        /// Length of the whole blob.
        size: u64,
    },
    /// The blob is larger than the reader is prepared to hold.
    #[error("The content {digest} has {size} bytes, more than the {limit} that are read at once.", digest = digest.short())]
    TooLarge {
        /// Which blob.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// What the reader allowed.
        limit: u64,
    },
    /// The stored bytes are not the ones that were put.
    #[error("The stored content {digest} is damaged; upload it again.", digest = digest.short())]
    Corrupt {
        /// Which blob.
        digest: Digest,
    },
    /// Whoever sends the bytes failed or went away.
    #[error("The upload was interrupted; nothing was stored.")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The object store failed.
    #[error("The artifact store does not answer.")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn unexpected(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store(cause.into())
    }

    pub(crate) fn reading(digest: &Digest, cause: object_store::Error) -> Self {
        match cause {
            object_store::Error::NotFound { .. } => Self::NotFound { digest: digest.clone() },
            other => other.into(),
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(cause: object_store::Error) -> Self {
        Self::Store(Box::new(cause))
    }
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        Self::Store(Box::new(cause))
    }
}

impl From<Error> for public::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound { .. } => public::ErrorKind::NotFound,
            Error::NotSatisfiable { .. } | Error::Source(_) => public::ErrorKind::Invalid,
            Error::TooLarge { .. } => public::ErrorKind::TooLarge,
            Error::Corrupt { .. } => public::ErrorKind::Internal,
            Error::Store(_) => public::ErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}
