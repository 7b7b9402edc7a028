//! Wake-ups: short jobs of the job queue that make a worker look at the tables now rather than at its next round. They
//! carry no work and may be lost or doubled; the tables are the truth.

use crate::Result;
use apalis::prelude::TaskBuilder;
use domain::id::PromotionId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

/// The queue that wake-ups go through.
pub const QUEUE: &str = "slipway.wake";

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Wake {
    /// Steps that are ready in a pool.
    Steps {
        /// The pool.
        pool: String,
    },
    /// A promotion that has something to do: gates to run, a version to deploy.
    Promotion {
        /// The promotion.
        id: PromotionId,
    },
    /// Deliveries of webhooks that wait to be sent.
    Webhooks,
    /// Predictions that wait to be replayed on a candidate.
    Replays,
    /// Messages to people that wait to be sent.
    Mails,
    /// Runs that are to be started: a schedule was changed, a run has ended that others wait for, a backfill goes on.
    Starts,
    /// Versions of datasets that wait to be looked at.
    Datasets,
}

/// Sends a wake-up when the transaction commits.
///
/// # Errors
/// When the statement fails.
pub async fn push(conn: &mut PgConnection, wake: &Wake) -> Result<()> {
    let args = serde_json::to_vec(wake).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let task = TaskBuilder::new(args).max_attempts(1).build();
    match apalis_postgres::queries::push_tasks(conn, QUEUE, vec![task]).await {
        Ok(()) => Ok(()),
        Err(apalis_postgres::Error::Database(error)) => Err(error.into()),
        Err(error) => Err(crate::Error::Database(sqlx::Error::Protocol(error.to_string()))),
    }
}

/// Deletes jobs that were due so many seconds ago, and workers that are gone for as long. The queue never does this by
/// itself, and jobs that nobody can do it hands out for ever. One that is still not done then is nothing that anybody waits
/// for: what it meant was found by looking.
///
/// # Errors
/// When a statement fails.
pub async fn clean(conn: &mut PgConnection, older_than_s: i32) -> Result<u64> {
    let jobs = sqlx::query(
        "delete from apalis.jobs
         where coalesce(done_at, run_at) < now() - make_interval(secs => $1)",
    )
    .bind(f64::from(older_than_s))
    .execute(&mut *conn)
    .await?
    .rows_affected();
    sqlx::query(
        "delete from apalis.workers w
         where w.last_seen < now() - make_interval(secs => $1)
           and not exists (select from apalis.jobs j where j.lock_by = w.id)",
    )
    .bind(f64::from(older_than_s))
    .execute(conn)
    .await?;
    Ok(jobs)
}
