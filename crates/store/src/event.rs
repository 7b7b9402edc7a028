//! Telling open pages and workers that something changed. Only a topic is told; who hears it asks for the rest.

use crate::Result;
use domain::id::PipelineRunId;
use sqlx::{PgConnection, PgPool, postgres::PgListener};

/// What pages hear …
pub(crate) const PAGES: &str = "slipway_events";
/// … and what workers hear: of each step, pages are told several times, and no worker is to wake for that.
const WORKERS: &str = "slipway_workers";

/// The topic of a pipeline's run: its steps, their tries, itself.
#[must_use]
pub fn of_run(run: PipelineRunId) -> String {
    format!("pipeline_run:{run}")
}

/// Tells pages that something of the topic changed, when the transaction commits. A topic is an object: `pipeline_run:<id>`.
/// Not for hot paths: a committing NOTIFY takes a lock that all of them share.
///
/// # Errors
/// When the statement fails.
pub async fn notify(conn: &mut PgConnection, topic: &str) -> Result<()> {
    tell(conn, PAGES, topic).await
}

/// The same to workers.
///
/// # Errors
/// When the statement fails.
pub async fn notify_workers(conn: &mut PgConnection, topic: &str) -> Result<()> {
    tell(conn, WORKERS, topic).await
}

async fn tell(conn: &mut PgConnection, channel: &str, topic: &str) -> Result<()> {
    sqlx::query("select pg_notify($1, $2)").bind(channel).bind(topic).execute(conn).await?;
    Ok(())
}

/// Listens for topics.
pub struct Listener(PgListener);

impl Listener {
    /// Begins to listen to what pages are told, on a connection of its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open(pool: &PgPool) -> Result<Self> {
        Self::on(pool, PAGES).await
    }

    /// Begins to listen to what workers are told, on a connection of its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_workers(pool: &PgPool) -> Result<Self> {
        Self::on(pool, WORKERS).await
    }

    async fn on(pool: &PgPool, channel: &str) -> Result<Self> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(channel).await?;
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
