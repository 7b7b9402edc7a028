//! Telling open pages that something changed. Only a topic is told; the page asks for the rest.

use crate::Result;
use sqlx::{PgConnection, PgPool, postgres::PgListener};

const CHANNEL: &str = "slipway_events";

/// Tells that something of the topic changed, when the transaction commits. A topic is an object: `pipeline_run:<id>`.
/// Not for hot paths: a committing NOTIFY takes a lock that all of them share.
///
/// # Errors
/// When the statement fails.
pub async fn notify(conn: &mut PgConnection, topic: &str) -> Result<()> {
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(topic).execute(conn).await?;
    Ok(())
}

/// Listens for topics.
pub struct Listener(PgListener);

impl Listener {
    /// Begins to listen, on a connection of its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open(pool: &PgPool) -> Result<Self> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next topic; none when the connection was lost in between and was made anew, so that anything may have
    /// changed.
    ///
    /// # Errors
    /// When the connection is lost and cannot be made anew.
    pub async fn next(&mut self) -> Result<Option<String>> {
        Ok(self.0.try_recv().await?.map(|notification| notification.payload().to_owned()))
    }
}
