//! Graphics processors: which ones workers hand out, and which are free.
//!
//! One is held as long as a step runs whose try has it: nothing else is noted, so that it is free in the moment in which
//! the step is let go of, from whichever side. Handing out happens under the locks of their rows, so that two workers of a
//! machine never hand out the same.

use crate::Result;
use domain::{
    gpu::{Gpu, GpuSlot, GpuUuid},
    id::{StepAttemptId, WorkspaceId},
    step::StepRef,
};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;

/// What is held, as rows of (uuid, run_id, workspace_id, step); `$rest` goes on after it.
macro_rules! held {
    ($rest:literal) => {
        concat!(
            "with held as (
             select unnest(a.gpus) as uuid, s.run_id, s.workspace_id, s.name as step
             from steps s
             join step_attempts a on a.fence = s.fence
             where s.state = 'running' and s.gpus > 0
         )
             ",
            $rest
        )
    };
}

/// The graphics processors of this column of UUIDs with their names, as JSON.
macro_rules! named {
    ($uuids:literal) => {
        concat!(
            "coalesce(
                 (select jsonb_agg(jsonb_build_object('uuid', had.uuid, 'name', coalesce(g.name, '')) order by had.place)
                  from unnest(",
            $uuids,
            ") with ordinality as had (uuid, place)
                  left join gpus g on g.uuid = had.uuid),
                 '[]')"
        )
    };
}
pub(crate) use named;

fn texts(gpus: &[GpuUuid]) -> Vec<&str> {
    gpus.iter().map(GpuUuid::as_str).collect()
}

/// Notes which there are. Only those that are noted can be handed out.
///
/// # Errors
/// When the statement fails.
pub async fn note(conn: &mut PgConnection, gpus: &[Gpu]) -> Result<()> {
    sqlx::query(
        "insert into gpus (uuid, name)
         select distinct on (uuid) uuid, name
         from unnest($1::text[], $2::text[]) as told (uuid, name)
         order by uuid
         on conflict (uuid) do update
         set name = excluded.name
         where excluded.name <> '' and excluded.name <> gpus.name",
    )
    .bind(gpus.iter().map(|gpu| gpu.uuid.as_str()).collect::<Vec<_>>())
    .bind(gpus.iter().map(|gpu| gpu.name.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of these that no step has, in the same order.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn free(conn: &mut PgConnection, own: &[GpuUuid]) -> Result<Vec<GpuUuid>> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let free = sqlx::query_scalar(held!(
        "select g.uuid
         from unnest($1::text[]) with ordinality as own (uuid, place)
         join gpus g on g.uuid = own.uuid
         where not exists (select from held h where h.uuid = g.uuid)
         order by own.place"
    ))
    .bind(texts(own))
    .fetch_all(conn)
    .await?;
    Ok(free)
}

/// So many of these that no step has, the first of them; none when there are not so many. Their rows stay locked, so that
/// nobody else hands them out.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn choose(conn: &mut PgConnection, own: &[GpuUuid], count: i16) -> Result<Option<Vec<GpuUuid>>> {
    sqlx::query("select from gpus where uuid = any($1) order by uuid for update")
        .bind(texts(own))
        .execute(&mut *conn)
        .await?;
    // A statement of its own: it sees what others have handed out while this one waited for the locks.
    let mut free = free(conn, own).await?;
    let count = usize::try_from(count).unwrap_or_default();
    free.truncate(count);
    Ok((free.len() == count).then_some(free))
}

/// Gives these to a try.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn give(conn: &mut PgConnection, attempt: StepAttemptId, gpus: &[GpuUuid]) -> Result<()> {
    sqlx::query("update step_attempts set gpus = $2 where id = $1")
        .bind(attempt)
        .bind(texts(gpus))
        .execute(conn)
        .await?;
    Ok(())
}

/// All that workers hand out or steps have, by what they are; the steps that have them where these are of this workspace.
/// A worker that was silent for so long does not count.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId, silent: Duration) -> Result<Vec<GpuSlot>> {
    #[derive(FromRow)]
    struct Row {
        uuid: GpuUuid,
        name: String,
        held: bool,
        pipeline: Option<String>,
        run: Option<i64>,
        step: Option<String>,
    }
    let rows: Vec<Row> = sqlx::query_as(held!(
        "select g.uuid, g.name, h.uuid is not null as held, p.name as pipeline, r.number as run, h.step
         from gpus g
         left join held h on h.uuid = g.uuid
         left join pipeline_runs r on r.id = h.run_id and h.workspace_id = $1
         left join pipelines p on p.id = r.pipeline_id
         where h.uuid is not null
             or exists (
              select
              from workers w
              where g.uuid = any(w.gpus) and w.last_seen > clock_timestamp() - make_interval(secs => $2))
         order by g.name, g.uuid
         limit 1000"
    ))
    .bind(workspace)
    .bind(silent.as_secs_f64())
    .fetch_all(conn)
    .await?;
    let slot = |row: Row| GpuSlot {
        gpu: Gpu { uuid: row.uuid, name: row.name },
        held: row.held,
        holder: match (row.pipeline, row.run, row.step) {
            (Some(pipeline), Some(run), Some(step)) => Some(StepRef { pipeline, run, step }),
            _ => None,
        },
    };
    Ok(rows.into_iter().map(slot).collect())
}

/// How many workers hand out or steps have, and how many of these steps have. A worker that was silent for so long does not
/// count.
///
/// # Errors
/// When the statement fails.
pub async fn counts(conn: &mut PgConnection, silent: Duration) -> Result<(i64, i64)> {
    let counts = sqlx::query_as(held!(
        "select count(*), count(*) filter (where is_held)
         from (
             select uuid, bool_or(is_held) as is_held
             from (
                 select uuid, true as is_held
                 from held
                 union all
                 select unnest(gpus), false
                 from workers
                 where gpus <> '{}' and last_seen > clock_timestamp() - make_interval(secs => $1)) as known
             group by uuid) as each"
    ))
    .bind(silent.as_secs_f64())
    .fetch_one(conn)
    .await?;
    Ok(counts)
}
