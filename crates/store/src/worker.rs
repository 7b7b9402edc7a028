//! Who runs steps, and which steps run or could.

use crate::{
    Error, Result, gpu,
    step::{executor, limit},
};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    gpu::{Gpu, GpuUuid},
    id::{StepId, WorkspaceId},
    pipeline::ExecutorKind,
    worker::{Facts, Pool, QueuedStep, Worker},
};
use sqlx::{FromRow, PgConnection};
use std::{collections::BTreeMap, time::Duration};

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct Beat<'a> {
    /// Its name for ever.
    pub name: &'a str,
    /// Its name for people.
    pub label: &'a str,
    /// The pools whose steps it runs.
    pub pools: &'a [String],
    /// Where steps can run there.
    pub executors: &'a [ExecutorKind],
    /// How many at once.
    pub slots: i32,
    /// What keeps the processes that it starts from the rest of its machine, in words.
    pub sandbox: Option<&'a str>,
    /// The graphics processors that it hands out.
    pub gpus: &'a [Gpu],
    /// Its version of Slipway.
    pub version: &'a str,
    /// What it is, as far as it has said so by [`add_facts`].
    pub facts: &'a Facts,
}

/// Keeps what a worker says of itself, under the digest of it.
///
/// # Errors
/// When the statement fails.
pub async fn add_facts(conn: &mut PgConnection, digest: &Digest, content: &serde_json::Value) -> Result<()> {
    sqlx::query("insert into worker_facts (digest, content) values ($1, $2) on conflict do nothing")
        .bind(digest)
        .bind(content)
        .execute(conn)
        .await?;
    Ok(())
}

/// What workers said of themselves, by digest.
///
/// # Errors
/// When the statement fails.
pub async fn facts(conn: &mut PgConnection, digests: &[Digest]) -> Result<BTreeMap<Digest, serde_json::Value>> {
    let rows: Vec<(Digest, serde_json::Value)> =
        sqlx::query_as("select digest, content from worker_facts where digest = any($1)")
            .bind(digests.iter().map(Digest::as_str).collect::<Vec<_>>())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

fn names(executors: &[ExecutorKind]) -> Vec<&'static str> {
    executors.iter().map(|executor| executor.as_str()).collect()
}

/// Notes that a worker lives.
///
/// # Errors
/// When a statement fails.
pub async fn beat(conn: &mut PgConnection, beat: &Beat<'_>) -> Result<()> {
    if !beat.gpus.is_empty() {
        gpu::note(conn, beat.gpus).await?;
    }
    sqlx::query(
        "insert into workers (name, label, pools, executors, slots, version, machine, environment, sandbox, gpus)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (name) do update
         set pools = excluded.pools, executors = excluded.executors, slots = excluded.slots, gpus = excluded.gpus,
             machine = excluded.machine, environment = excluded.environment, sandbox = excluded.sandbox,
             last_seen = clock_timestamp()",
    )
    .bind(beat.name)
    .bind(beat.label)
    .bind(beat.pools)
    .bind(names(beat.executors))
    .bind(beat.slots)
    .bind(beat.version)
    .bind(&beat.facts.machine)
    .bind(&beat.facts.environment)
    .bind(beat.sandbox)
    .bind(beat.gpus.iter().map(|gpu| gpu.uuid.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a worker that stops.
///
/// # Errors
/// When the statement fails.
pub async fn forget(conn: &mut PgConnection, name: &str) -> Result<()> {
    sqlx::query("delete from workers where name = $1").bind(name).execute(conn).await?;
    Ok(())
}

/// Forgets workers that were not heard of for so long.
///
/// # Errors
/// When the statement fails.
pub async fn forget_silent(conn: &mut PgConnection, silent: Duration) -> Result<()> {
    sqlx::query("delete from workers where last_seen < clock_timestamp() - make_interval(secs => $1)")
        .bind(silent.as_secs_f64())
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    label: String,
    pools: Vec<String>,
    executors: Vec<String>,
    slots: i32,
    held: i64,
    sandbox: Option<String>,
    gpus: Vec<GpuUuid>,
    version: String,
    started_at: DateTime<Utc>,
    last_seen: DateTime<Utc>,
}

impl TryFrom<Row> for Worker {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            label: row.label,
            pools: row.pools,
            executors: row.executors.iter().map(|name| executor(name)).collect::<Result<_>>()?,
            slots: row.slots,
            held: row.held,
            sandbox: row.sandbox,
            gpus: row.gpus,
            version: row.version,
            started_at: row.started_at,
            last_seen: row.last_seen,
        })
    }
}

/// All workers, by their names.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Worker>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select w.label, w.pools, w.executors, w.slots, w.sandbox, w.gpus, w.version, w.started_at, w.last_seen,
             (select count(*)
              from steps s
              where s.state = 'running' and s.kind = 'command' and s.lease_owner = w.name) as held
         from workers w
         order by w.label, w.started_at
         limit 1000",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Worker::try_from).collect()
}

/// Where the steps of pools run that do not say so, by the names of the pools.
///
/// # Errors
/// When the statement fails.
pub async fn pool_executors(conn: &mut PgConnection) -> Result<BTreeMap<String, ExecutorKind>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select pool, executor from pool_executors").fetch_all(conn).await?;
    rows.into_iter().map(|(pool, name)| Ok((pool, executor(&name)?))).collect()
}

/// Says where the steps of a pool run that do not say so.
///
/// # Errors
/// When the statement fails.
pub async fn set_pool_executor(conn: &mut PgConnection, pool: &str, executor: ExecutorKind) -> Result<()> {
    sqlx::query(
        "insert into pool_executors (pool, executor) values ($1, $2)
         on conflict (pool) do update set executor = excluded.executor",
    )
    .bind(pool)
    .bind(executor.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes back what was said of a pool. Tells whether something was.
///
/// # Errors
/// When the statement fails.
pub async fn delete_pool_executor(conn: &mut PgConnection, pool: &str) -> Result<bool> {
    let deleted = sqlx::query("delete from pool_executors where pool = $1").bind(pool).execute(conn).await?;
    Ok(deleted.rows_affected() == 1)
}

/// The pools that have workers, steps, a limit or an executor, by name. A worker that was silent for so long does not count.
///
/// # Errors
/// When the statement fails.
pub async fn pools(conn: &mut PgConnection, silent: Duration) -> Result<Vec<Pool>> {
    type Counts = (String, i64, i64, Option<i32>, Option<String>, i64, i64, i64);
    let rows: Vec<Counts> = sqlx::query_as(
        "with alive as (
             select unnest(pools) as name, slots
             from workers
             where last_seen > clock_timestamp() - make_interval(secs => $1)
         ), counted as (
             -- Each of these is an index; what has ended, which is nearly everything, is in none.
             select pool as name, count(*) as running, 0 as ready, 0 as blocked
             from steps
             where state = 'running' and kind = 'command'
             group by pool
             union all
             select pool, 0, count(*), 0
             from steps
             where state = 'ready' and blocked_by is null
             group by pool
             union all
             select pool, 0, count(*), count(*)
             from steps
             where state = 'ready' and blocked_by is not null
             group by pool
         ), queued as (
             select name, sum(running)::bigint as running, sum(ready)::bigint as ready, sum(blocked)::bigint as blocked
             from counted
             group by name
         ), known as (
             select name from alive
             union
             select name from queued
             union
             select name from limits where kind = 'pool'
             union
             select pool from pool_executors
         )
         select k.name,
             (select count(*) from alive a where a.name = k.name),
             (select coalesce(sum(a.slots), 0) from alive a where a.name = k.name),
             (select l.slots from limits l where l.kind = 'pool' and l.name = k.name),
             (select e.executor from pool_executors e where e.pool = k.name),
             coalesce(q.running, 0), coalesce(q.ready, 0), coalesce(q.blocked, 0)
         from known k
         left join queued q on q.name = k.name
         order by k.name",
    )
    .bind(silent.as_secs_f64())
    .fetch_all(conn)
    .await?;
    let pool = |(name, workers, slots, limit, own, running, ready, blocked): Counts| {
        let executor = own.as_deref().map(executor).transpose()?;
        Ok(Pool { name, workers, slots, limit, executor, running, ready, blocked })
    };
    rows.into_iter().map(pool).collect()
}

#[derive(FromRow)]
struct Queued {
    pipeline: String,
    number: i64,
    name: String,
    pool: String,
    executor: String,
    worker: Option<String>,
    blocked_by: Option<String>,
    gpus: i16,
    since: DateTime<Utc>,
}

impl TryFrom<Queued> for QueuedStep {
    type Error = Error;

    fn try_from(row: Queued) -> Result<Self> {
        Ok(Self {
            pipeline: row.pipeline,
            run: row.number,
            step: row.name,
            pool: row.pool,
            executor: executor(&row.executor)?,
            worker: row.worker,
            blocked_by: row.blocked_by,
            gpus: row.gpus,
            waits_for: None,
            since: row.since,
        })
    }
}

/// Up to `$2` of these steps with what they are of, in the order of their times.
macro_rules! queued {
    ($steps:literal) => {
        concat!(
            "select p.name as pipeline, r.number, s.name, s.pool, s.executor, s.worker, coalesce(l.name, ",
            limit::awaited_check!(),
            ", s.blocked_by) as blocked_by, s.gpus, s.since
             from (",
            $steps,
            ") as s
             join pipeline_runs r on r.id = s.run_id
             join pipelines p on p.id = r.pipeline_id
             left join limits l on l.key = s.blocked_by
             order by s.since
             limit $2"
        )
    };
}

/// Up to `limit` steps of a workspace that run, or those that could, those that have waited longest first.
///
/// # Errors
/// When the statement fails.
pub async fn queue(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    running: bool,
    limit: i64,
) -> Result<Vec<QueuedStep>> {
    // Only so many are joined with what they are of.
    let statement = if running {
        queued!(
            "select q.run_id, q.name, q.pool, q.executor, q.blocked_by, q.gpus, a.worker, a.started_at as since
             from steps q
             join step_attempts a on a.fence = q.fence
             where q.workspace_id = $1 and q.state = 'running' and q.kind = 'command'
             order by a.started_at
             limit $2"
        )
    } else {
        queued!(
            "(select q.run_id, q.name, q.pool, q.executor, q.blocked_by, q.gpus, null as worker, q.next_at as since
              from steps q
              where q.workspace_id = $1 and q.state = 'ready' and q.blocked_by is null
              order by q.next_at
              limit $2)
             union all
             (select q.run_id, q.name, q.pool, q.executor, q.blocked_by, q.gpus, null as worker, q.next_at as since
              from steps q
              where q.workspace_id = $1 and q.state = 'ready' and q.blocked_by is not null
              order by q.next_at
              limit $2)"
        )
    };
    let rows: Vec<Queued> = sqlx::query_as(statement).bind(workspace).bind(limit).fetch_all(conn).await?;
    rows.into_iter().map(QueuedStep::try_from).collect()
}

/// The step, when it could run and does not.
///
/// # Errors
/// When the statement fails.
pub async fn queued(conn: &mut PgConnection, step: StepId) -> Result<Option<QueuedStep>> {
    let row: Option<Queued> = sqlx::query_as(queued!(
        "select q.run_id, q.name, q.pool, q.executor, q.blocked_by, q.gpus, null as worker, q.next_at as since
         from steps q
         where q.id = $1 and q.state = 'ready'"
    ))
    .bind(step)
    .bind(1_i64)
    .fetch_optional(conn)
    .await?;
    row.map(QueuedStep::try_from).transpose()
}
