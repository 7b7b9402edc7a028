//! What can go wrong between us and the database, sorted by what a caller can do about it.

use domain::ErrorKind;

/// The result of a statement.
pub type Result<T> = std::result::Result<T, Error>;

/// A statement that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique index has the key already. The name is that of the index.
    #[error("the key exists already ({0})")]
    Duplicate(String),
    /// A row that is referred to does not exist. The name is that of the foreign key.
    #[error("a row that is referred to does not exist ({0})")]
    Missing(String),
    /// Two transactions were in each other's way; the same transaction may succeed when tried again.
    #[error("the transaction was in another's way")]
    Contention,
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// A stored value is not one that this version knows.
    #[error("the stored {what} \"{value}\" is not known")]
    Unknown {
        /// The sort of value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// Stored points of a metric cannot be read.
    #[error(transparent)]
    Damaged(#[from] points::Damaged),
    /// A text holds NUL, which the database keeps in none.
    #[error("a text holds a character that cannot be stored")]
    Unstorable,
    /// A number or time is outside of what the database can hold or add up.
    #[error("a number or time is out of range")]
    OutOfRange,
    /// The place that a page should begin after is not one of this list's order.
    #[error("the page token belongs to another list or order")]
    ForeignPlace,
    /// Anything else: a mistake of ours.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl Error {
    /// Whether it is the unique index of this name that has the key already.
    #[must_use]
    pub fn is_duplicate_of(&self, index: &str) -> bool {
        matches!(self, Self::Duplicate(name) if name == index)
    }

    /// Reads a stored enum's name.
    pub(crate) fn unknown(what: &'static str, value: &str) -> Self {
        Self::Unknown { what, value: value.to_owned() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(cause) => {
                let constraint = || cause.constraint().unwrap_or("unnamed").to_owned();
                match cause.code().as_deref() {
                    Some("23505") => Self::Duplicate(constraint()),
                    Some("23503") => Self::Missing(constraint()),
                    Some("40001" | "40P01") => Self::Contention,
                    Some("22021" | "22P05") => Self::Unstorable,
                    Some("22003" | "22008") => Self::OutOfRange,
                    // Shutdown, crash recovery, out of connections.
                    Some("57P01" | "57P02" | "57P03" | "53300") => Self::Unavailable(cause.message().to_owned()),
                    _ => Self::Database(error),
                }
            }
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::Tls(_) | E::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Database(error),
        }
    }
}

/// For the person who asked. A duplicate or missing row that a use case did not foresee is our mistake.
impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::ForeignPlace => domain::page::foreign_token(),
            Error::Unstorable => Self::invalid("A text holds the NUL character, which cannot be stored."),
            Error::OutOfRange => Self::invalid("A number or time is too large or too small."),
            Error::Contention => Self::new(ErrorKind::Unavailable, "Too many changes at once; try again."),
            Error::Unavailable(cause) => {
                tracing::warn!(%cause, "the database does not answer");
                Self::new(ErrorKind::Unavailable, "The database does not answer; try again in a moment.")
            }
            error => {
                tracing::error!(error = %error, detail = ?error, "a statement failed");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use domain::id::{EnvironmentId, ModelId, PredictionId};

    #[tokio::test]
    async fn a_value_that_the_database_cannot_hold_is_the_senders_mistake() {
        let database =
            testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await;
        let mut conn = database.pool.acquire().await.unwrap();
        let before = Some((DateTime::<Utc>::MIN_UTC, PredictionId::new()));
        let listed = crate::prediction::list(&mut conn, EnvironmentId::new(), ModelId::new(), before, 1).await;
        let found = crate::experiment::by_name(&mut conn, domain::id::WorkspaceId::new(), "a\0b").await;
        for refused in [listed.map(drop).unwrap_err(), found.map(drop).unwrap_err()] {
            assert_eq!(domain::Error::from(refused).kind, ErrorKind::Invalid);
        }
    }
}
