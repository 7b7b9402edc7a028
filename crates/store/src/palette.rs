//! Finding objects of all sorts by name.

use crate::{Error, Result};
use domain::{audit::ObjectKind, id::WorkspaceId};
use sqlx::{FromRow, PgConnection};

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its sort.
    pub kind: ObjectKind,
    /// What its address has: an experiment's number, a run's 32 digits, a name.
    pub key: String,
    /// Its name.
    pub title: String,
    /// What tells it from others of the same name.
    pub detail: String,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    key: String,
    title: String,
    detail: String,
}

/// Up to `limit` objects in use whose names hold the text, in any case: those that begin with it first, then the newest
/// of each sort.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, workspace: WorkspaceId, text: &str, limit: i64) -> Result<Vec<Hit>> {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let rows: Vec<Row> = sqlx::query_as(
        "with found as (
             (select 'model' as kind, 1 as sort, m.name as key, m.name as title, m.created_at::text as age,
                  (select count(*) || case when count(*) = 1 then ' version' else ' versions' end
                   from model_versions v where v.model_id = m.id and v.deleted_at is null) as detail
              from models m
              where m.workspace_id = $1 and m.deleted_at is null and m.name collate \"default\" ilike $2
              order by not m.name collate \"default\" ilike $3, m.created_at desc
              limit $4)
             union all
             (select 'experiment', 2, e.id::text, e.name, lpad(e.creation_time::text, 20, '0'), 'experiment ' || e.id
              from experiments e
              where e.workspace_id = $1 and e.lifecycle_stage = 'active' and e.name collate \"default\" ilike $2
              order by not e.name collate \"default\" ilike $3, e.creation_time desc
              limit $4)
             union all
             (select 'pipeline', 3, p.name, p.name, p.created_at::text,
                  (select count(*) from pipeline_runs r where r.pipeline_id = p.id) || ' runs'
              from pipelines p
              where p.workspace_id = $1 and p.name collate \"default\" ilike $2
              order by not p.name collate \"default\" ilike $3, p.created_at desc
              limit $4)
             union all
             (select 'run', 4, replace(r.id::text, '-', ''), r.name, lpad(r.start_time::text, 20, '0'), e.name
              from runs r
              join experiments e on e.id = r.experiment_id
              where r.workspace_id = $1 and r.lifecycle_stage = 'active'
                and (r.name collate \"default\" ilike $2 or replace(r.id::text, '-', '') like $3)
              order by not r.name collate \"default\" ilike $3, r.start_time desc
              limit $4)
         )
         select kind, key, title, detail
         from found
         order by not title collate \"default\" ilike $3, sort, age desc
         limit $4",
    )
    .bind(workspace)
    .bind(format!("%{escaped}%"))
    .bind(format!("{escaped}%"))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = ObjectKind::parse(&row.kind).ok_or_else(|| Error::unknown("object kind", &row.kind))?;
            Ok(Hit { kind, key: row.key, title: row.title, detail: row.detail })
        })
        .collect()
}
