//! Which versions of datasets and models a run means by their names.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    dataset::TakenBy,
    id::{PipelineRunId, WorkspaceId},
    pipeline_run::PipelineRunState,
    step::Versioned,
};
use sqlx::{FromRow, PgConnection};

/// A version that a run means by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Of what.
    pub of: Versioned,
    /// What that is called.
    pub name: String,
    /// Which version the file asks for.
    pub asked: String,
    /// The number of the one that is meant.
    pub number: i32,
    /// The digest of its content.
    pub digest: Option<Digest>,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    name: String,
    asked: String,
    number: i32,
    digest: Option<String>,
}

impl TryFrom<Row> for Pin {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let of = Versioned::parse(&row.kind).ok_or_else(|| Error::unknown("kind of version", &row.kind))?;
        let digest = row.digest.map(|digest| digest.parse().map_err(|_| Error::unknown("digest", &digest)));
        Ok(Self { of, name: row.name, asked: row.asked, number: row.number, digest: digest.transpose()? })
    }
}

/// All pins of a run.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<Pin>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select kind, name, asked, number, digest
         from pipeline_run_pins
         where run_id = $1
         order by kind, name, asked",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Pin::try_from).collect()
}

/// Notes which version a run means, unless that is noted already.
///
/// # Errors
/// When the statement fails.
pub async fn add(conn: &mut PgConnection, run: PipelineRunId, pin: &Pin) -> Result<()> {
    sqlx::query(
        "insert into pipeline_run_pins (run_id, kind, name, asked, number, digest)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
    )
    .bind(run)
    .bind(pin.of.as_str())
    .bind(&pin.name)
    .bind(&pin.asked)
    .bind(pin.number)
    .bind(pin.digest.as_ref().map(Digest::as_str))
    .execute(conn)
    .await?;
    Ok(())
}

/// Has a run mean the same versions as another.
///
/// # Errors
/// When the statement fails.
pub async fn copy(conn: &mut PgConnection, from: PipelineRunId, to: PipelineRunId) -> Result<()> {
    sqlx::query(
        "insert into pipeline_run_pins (run_id, kind, name, asked, number, digest)
         select $2, kind, name, asked, number, digest
         from pipeline_run_pins
         where run_id = $1
         on conflict do nothing",
    )
    .bind(from)
    .bind(to)
    .execute(conn)
    .await?;
    Ok(())
}

/// The last runs of the workspace that took this version, the newest first.
///
/// # Errors
/// When the statement fails.
pub async fn taken_by(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    (of, name, number): (Versioned, &str, i32),
    limit: i64,
) -> Result<Vec<TakenBy>> {
    // A run may mean it by several names.
    let rows: Vec<(String, i64, String, DateTime<Utc>)> = sqlx::query_as(
        "select l.name, r.number, r.state, r.created_at
         from (
             select distinct run_id
             from pipeline_run_pins
             where kind = $2 and name = $3 and number = $4) as p
         join pipeline_runs r on r.id = p.run_id and r.workspace_id = $1
         join pipelines l on l.id = r.pipeline_id
         order by r.number desc
         limit $5",
    )
    .bind(workspace)
    .bind(of.as_str())
    .bind(name)
    .bind(number)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(pipeline, run, state, created_at)| {
            let state = PipelineRunState::parse(&state).ok_or_else(|| Error::unknown("state of a run", &state))?;
            Ok(TakenBy { pipeline, run, state, created_at })
        })
        .collect()
}

/// The number of a run of the workspace that read this version, if one did.
///
/// # Errors
/// When the statement fails.
pub async fn read_by(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    of: Versioned,
    name: &str,
    number: i32,
) -> Result<Option<i64>> {
    let run = sqlx::query_scalar(
        "select r.number
         from pipeline_run_pins p
         join pipeline_runs r on r.id = p.run_id
         where p.kind = $2 and p.name = $3 and p.number = $4 and r.workspace_id = $1
         order by r.number
         limit 1",
    )
    .bind(workspace)
    .bind(of.as_str())
    .bind(name)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    Ok(run)
}
