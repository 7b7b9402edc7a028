//! Pipelines and the versions of their files.

use crate::{Error, Result, pipeline_run};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{PipelineId, PipelineRunId, PipelineVersionId, WorkspaceId},
    pipeline::{Pipeline, PipelineSpec, PipelineSummary, PipelineVersion},
    pipeline_run::{Code, PipelineRunState},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::HashMap;

#[derive(FromRow)]
struct Row {
    id: PipelineId,
    workspace_id: WorkspaceId,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<Row> for Pipeline {
    fn from(row: Row) -> Self {
        Self { id: row.id, workspace_id: row.workspace_id, name: row.name, created_at: row.created_at }
    }
}

#[derive(FromRow)]
struct VersionRow {
    id: PipelineVersionId,
    pipeline_id: PipelineId,
    number: i32,
    digest: Digest,
    source: String,
    spec: Json<PipelineSpec>,
    code: Option<Json<Code>>,
    created_by: String,
    created_at: DateTime<Utc>,
}

impl From<VersionRow> for PipelineVersion {
    fn from(row: VersionRow) -> Self {
        Self {
            id: row.id,
            pipeline_id: row.pipeline_id,
            number: row.number,
            digest: row.digest,
            source: row.source,
            spec: row.spec.0,
            code: row.code.map(|code| code.0),
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

/// The pipeline of this name, made when there is none, and locked: whoever stores versions of it goes one by one.
///
/// # Errors
/// When a statement fails.
pub async fn find_or_insert(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Pipeline> {
    sqlx::query(
        "insert into pipelines (id, workspace_id, name)
         values ($1, $2, $3)
         on conflict (workspace_id, name) do nothing",
    )
    .bind(PipelineId::new())
    .bind(workspace)
    .bind(name)
    .execute(&mut *conn)
    .await?;
    let row: Row = sqlx::query_as(
        "select id, workspace_id, name, created_at
         from pipelines
         where workspace_id = $1 and name = $2
         for no key update",
    )
    .bind(workspace)
    .bind(name)
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Makes the version with this digest, if there is one, the newest again, stored from this code when one is given, and answers
/// with it.
///
/// # Errors
/// When the statement fails.
pub async fn renew_version(
    conn: &mut PgConnection,
    pipeline: PipelineId,
    digest: &Digest,
    code: Option<&Code>,
) -> Result<Option<PipelineVersion>> {
    let row: Option<VersionRow> = sqlx::query_as(
        "update pipeline_versions
         set stored_at = clock_timestamp(), code = coalesce($3, code)
         where pipeline_id = $1 and digest = $2
         returning id, pipeline_id, number, digest, source, spec, code, created_by, created_at",
    )
    .bind(pipeline)
    .bind(digest)
    .bind(code.map(Json))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(PipelineVersion::from))
}

/// Adds a version of a pipeline that is locked.
///
/// # Errors
/// [`Error::Duplicate`] when there is one with this digest.
pub async fn insert_version(
    conn: &mut PgConnection,
    pipeline: PipelineId,
    source: &str,
    spec: &PipelineSpec,
    code: Option<&Code>,
    created_by: &str,
) -> Result<PipelineVersion> {
    let row: VersionRow = sqlx::query_as(
        "insert into pipeline_versions (id, pipeline_id, number, digest, source, spec, created_by, code)
         select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7
         from pipeline_versions
         where pipeline_id = $2
         returning id, pipeline_id, number, digest, source, spec, code, created_by, created_at",
    )
    .bind(PipelineVersionId::new())
    .bind(pipeline)
    .bind(spec.digest())
    .bind(source)
    .bind(Json(spec))
    .bind(created_by)
    .bind(code.map(Json))
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// The pipeline of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Pipeline>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, created_at
         from pipelines
         where workspace_id = $1 and name = $2",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Pipeline::from))
}

/// The pipeline of this id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Pipeline>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, created_at
         from pipelines
         where workspace_id = $1 and id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Pipeline::from))
}

/// The version of this number; the one that was stored last when none is given.
///
/// # Errors
/// When the statement fails.
pub async fn version(
    conn: &mut PgConnection,
    pipeline: PipelineId,
    number: Option<i32>,
) -> Result<Option<PipelineVersion>> {
    let row: Option<VersionRow> = sqlx::query_as(
        "select id, pipeline_id, number, digest, source, spec, code, created_by, created_at
         from pipeline_versions
         where pipeline_id = $1 and ($2::integer is null or number = $2)
         order by stored_at desc, number desc
         limit 1",
    )
    .bind(pipeline)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(PipelineVersion::from))
}

/// Up to `limit` versions, highest number first; those before `before`, when given.
///
/// # Errors
/// When the statement fails.
pub async fn versions(
    conn: &mut PgConnection,
    pipeline: PipelineId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<PipelineVersion>> {
    let rows: Vec<VersionRow> = sqlx::query_as(
        "select id, pipeline_id, number, digest, source, spec, code, created_by, created_at
         from pipeline_versions
         where pipeline_id = $1 and ($2::integer is null or number < $2)
         order by number desc
         limit $3",
    )
    .bind(pipeline)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PipelineVersion::from).collect())
}

/// Up to `limit` pipelines by name, those after `after`; only the one of this name, when `name` is given.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    name: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<PipelineSummary>> {
    #[derive(FromRow)]
    struct Listed {
        #[sqlx(flatten)]
        pipeline: Row,
        latest_version: Option<i32>,
        recent: Vec<String>,
        last_run: Option<PipelineRunId>,
    }
    let rows: Vec<Listed> = sqlx::query_as(
        "select p.id, p.workspace_id, p.name, p.created_at,
             (select v.number
              from pipeline_versions v
              where v.pipeline_id = p.id
              order by v.stored_at desc, v.number desc
              limit 1) as latest_version,
             array(
              select r.state
              from pipeline_runs r
              where r.pipeline_id = p.id
              order by r.number desc
              limit 12) as recent,
             (select r.id
              from pipeline_runs r
              where r.pipeline_id = p.id
              order by r.number desc
              limit 1) as last_run
         from pipelines p
         where p.workspace_id = $1
             and ($2::text is null or p.name = $2)
             and ($3::text is null or p.name > $3)
         order by p.name
         limit $4",
    )
    .bind(workspace)
    .bind(name)
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let last: Vec<PipelineRunId> = rows.iter().filter_map(|row| row.last_run).collect();
    let mut runs: HashMap<_, _> =
        pipeline_run::by_ids(conn, &last).await?.into_iter().map(|run| (run.pipeline_id, run)).collect();
    rows.into_iter()
        .map(|row| {
            let state = |name: &String| PipelineRunState::parse(name).ok_or_else(|| Error::unknown("run state", name));
            Ok(PipelineSummary {
                last_run: runs.remove(&row.pipeline.id),
                pipeline: row.pipeline.into(),
                latest_version: row.latest_version.unwrap_or_default(),
                recent: row.recent.iter().map(state).collect::<Result<_>>()?,
            })
        })
        .collect()
}

/// What the file of this version says.
///
/// # Errors
/// When the statement fails.
pub async fn spec(conn: &mut PgConnection, version: PipelineVersionId) -> Result<PipelineSpec> {
    let spec: Json<PipelineSpec> =
        sqlx::query_scalar("select spec from pipeline_versions where id = $1").bind(version).fetch_one(conn).await?;
    Ok(spec.0)
}
