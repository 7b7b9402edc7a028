//! What tables of versions of datasets hold: who is to find out, who is at it, and what was found.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{dataset::ChecksState, expectation::CheckResult, id::DatasetVersionId, table_profile::TableProfile};
use sqlx::{PgConnection, types::Json};
use std::time::Duration;

/// A profile that a worker has taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct TakenProfile {
    /// Of which version.
    pub version_id: DatasetVersionId,
    /// Which asking: what an earlier one finds is dropped.
    pub round: i32,
    /// How often it was begun, with this time.
    pub tries: i32,
}

/// What was found of a version.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct StoredProfile {
    /// `waiting`, `done` or `failed`.
    pub state: String,
    /// Why it failed, in a sentence.
    pub reason: String,
    /// What was found last, also while that is found out again: one of [`ChecksState`]; `waiting` when nothing ever was.
    checks_state: String,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its tables.
    pub tables: Json<Vec<TableProfile>>,
    /// Each expectation, held against each table that it is about.
    pub checks: Json<Vec<CheckResult>>,
}

impl StoredProfile {
    /// What was found last, also while that is found out again; `Waiting` when nothing ever was.
    ///
    /// # Errors
    /// When it is none that is known.
    pub fn found_last(&self) -> Result<ChecksState> {
        ChecksState::parse(&self.checks_state).ok_or_else(|| Error::unknown("state of checks", &self.checks_state))
    }
}

/// Asks for the profile of a version, in place of the last one. What was found last stands until the new one has ended.
///
/// # Errors
/// When the statement fails.
pub async fn ask(conn: &mut PgConnection, version: DatasetVersionId) -> Result<()> {
    sqlx::query(
        "insert into dataset_profiles (version_id)
         values ($1)
         on conflict (version_id) do update
         set round = dataset_profiles.round + 1, state = 'waiting', reason = '', asked_at = now(), held_until = null,
             tries = 0, ended_at = null",
    )
    .bind(version)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes up the profile that waits longest, so that nobody else does for a while: whoever dies over it leaves it to the next
/// one.
///
/// # Errors
/// When the statement fails.
pub async fn take(conn: &mut PgConnection, lease: Duration) -> Result<Option<TakenProfile>> {
    Ok(sqlx::query_as(
        "update dataset_profiles
         set held_until = now() + make_interval(secs => $1), tries = tries + 1
         where version_id = (
             select version_id
             from dataset_profiles
             where state = 'waiting' and (held_until is null or held_until <= now())
             order by asked_at
             limit 1
             for update skip locked
         )
         returning version_id, round, tries",
    )
    .bind(lease.as_secs_f64())
    .fetch_optional(conn)
    .await?)
}

/// Ends a profile, unless it was asked for again since or has ended. Tells whether it did.
///
/// # Errors
/// When the statement fails.
pub async fn end(
    conn: &mut PgConnection,
    taken: &TakenProfile,
    failure: Option<&str>,
    checks_state: ChecksState,
    tables: &[TableProfile],
    checks: &[CheckResult],
) -> Result<bool> {
    let done = sqlx::query(
        "update dataset_profiles
         set state = $3, reason = $4, ended_at = now(), held_until = null, checks_state = $5, tables = $6, checks = $7
         where version_id = $1 and round = $2 and state = 'waiting'",
    )
    .bind(taken.version_id)
    .bind(taken.round)
    .bind(if failure.is_some() { "failed" } else { "done" })
    .bind(failure.unwrap_or_default())
    .bind(checks_state.as_str())
    .bind(Json(tables))
    .bind(Json(checks))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What was found of a version; none when nobody was ever to find out.
///
/// # Errors
/// When the statement fails.
pub async fn get(conn: &mut PgConnection, version: DatasetVersionId) -> Result<Option<StoredProfile>> {
    Ok(sqlx::query_as(
        "select state, reason, checks_state, ended_at, tables, checks
         from dataset_profiles
         where version_id = $1",
    )
    .bind(version)
    .fetch_optional(conn)
    .await?)
}

/// Whether a worker is still to find out about a version. If so, nobody ends that until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_waiting(conn: &mut PgConnection, version: DatasetVersionId) -> Result<bool> {
    let waiting = sqlx::query("select from dataset_profiles where version_id = $1 and state = 'waiting' for share")
        .bind(version)
        .fetch_optional(conn)
        .await?;
    Ok(waiting.is_some())
}
