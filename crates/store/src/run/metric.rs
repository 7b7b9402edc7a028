//! Points of metrics: adding them, and reading histories. How they are packed meanwhile is in [`super::pack`].

use super::{RunKey, by_run, key::KeyId};
use crate::Result;
use domain::{id::LoggedModelId, log_batch::ModelPoint, series::Point};
use points::{chunk, journal};
use sqlx::{FromRow, PgConnection};
use std::collections::HashMap;

/// Points for a run.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The run.
    pub run: RunKey,
    /// Which metrics, and the points.
    pub points: &'a [(KeyId, Point)],
}

/// The statement of [`append`], with what it does about a run that somebody else writes to.
macro_rules! append_statement {
    ($busy:literal) => {
        concat!(
            "with wanted as materialized (
         select key from runs where key = any($1) and lifecycle_stage = 'active' order by key for no key update",
            $busy,
            "
     ),
     opened as (
         update runs r set version = r.version + 1 from wanted w where r.key = w.key returning r.key, r.version
     ),
     written as (
         insert into metric_journal (run_key, points)
         select p.run_key, p.points
         from unnest($1::bigint[], $2::bytea[]) as p (run_key, points)
         join opened o on o.key = p.run_key
     ),
     kept as (
         insert into latest_metrics as latest (run_key, key_id, step, timestamp, value)
         select p.run_key, p.key_id, p.step, p.timestamp, p.value
         from unnest($3::bigint[], $4::integer[], $5::bigint[], $6::bigint[], $7::double precision[])
             as p (run_key, key_id, step, timestamp, value)
         join opened o on o.key = p.run_key
         on conflict (run_key, key_id) do update
         set step = excluded.step, timestamp = excluded.timestamp, value = excluded.value
         where (excluded.step, excluded.timestamp, coalesce(nullif(excluded.value, 'NaN'), 0))
             > (latest.step, latest.timestamp, coalesce(nullif(latest.value, 'NaN'), 0))
     )
     select key, version from opened"
        )
    };
}
const APPEND_WAITING: &str = append_statement!("");
const APPEND_SKIPPING: &str = append_statement!(" skip locked");

/// Adds points to runs that are in use, and keeps the latest of each metric. Answers with the version that each of these
/// runs has then; a run that is not among them was put away, or there was nothing for it.
///
/// One statement, and so one transaction by itself. A point that is there already is stored again, and read once. A run
/// that somebody else writes to is waited for, or is left out as well when `waits` is not set.
///
/// # Errors
/// When the statement fails.
pub async fn append(conn: &mut PgConnection, appends: &[Append<'_>], waits: bool) -> Result<HashMap<RunKey, i64>> {
    if appends.iter().all(|append| append.points.is_empty()) {
        return Ok(HashMap::new());
    }
    let mut latest: HashMap<(RunKey, KeyId), Point> = HashMap::new();
    let (mut runs, mut rows): (Vec<RunKey>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for Append { run, points } in appends {
        for part in points.chunks(journal::MAX_POINTS) {
            runs.push(*run);
            rows.push(journal::encode(part.iter().map(|(key, point)| (key.0, *point))));
        }
        for (key, point) in *points {
            let kept = latest.entry((*run, *key)).or_insert(*point);
            if kept.by_age(point).is_lt() {
                *kept = *point;
            }
        }
    }
    let latest: Vec<((RunKey, KeyId), Point)> = latest.into_iter().collect();
    // Runs are taken in one order by everybody who takes several, so that no two wait for each other.
    let statement = if waits { APPEND_WAITING } else { APPEND_SKIPPING };
    let opened: Vec<(RunKey, i64)> = sqlx::query_as(statement)
        .bind(&runs)
        .bind(rows)
        .bind(latest.iter().map(|((run, _), _)| *run).collect::<Vec<_>>())
        .bind(latest.iter().map(|((_, key), _)| *key).collect::<Vec<_>>())
        .bind(latest.iter().map(|(_, point)| point.step).collect::<Vec<_>>())
        .bind(latest.iter().map(|(_, point)| point.timestamp).collect::<Vec<_>>())
        .bind(latest.iter().map(|(_, point)| point.value).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    Ok(opened.into_iter().collect())
}

/// Adds points of logged models that are not there yet.
///
/// # Errors
/// When the statement fails.
pub async fn insert_of_models(conn: &mut PgConnection, run: RunKey, points: &[ModelPoint]) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into logged_model_metrics
             (logged_model_id, key, run_key, step, timestamp, value, dataset_name, dataset_digest)
         select model_id, key, $1, step, timestamp, value, dataset_name, dataset_digest
         from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::double precision[], $7::text[], $8::text[])
             as p (model_id, key, step, timestamp, value, dataset_name, dataset_digest)
         order by model_id, key, timestamp, step, value, dataset_name, dataset_digest
         on conflict do nothing",
    )
    .bind(run)
    .bind(points.iter().map(|point| point.model_id).collect::<Vec<LoggedModelId>>())
    .bind(points.iter().map(|point| point.point.key.as_str()).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.point.step).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.point.timestamp.get()).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.point.value.get()).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.dataset_name.as_str()).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.dataset_digest.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The latest point of each of these metrics of each run.
///
/// # Errors
/// When the statement fails.
pub async fn latest(
    conn: &mut PgConnection,
    runs: &[RunKey],
    keys: &[KeyId],
) -> Result<HashMap<RunKey, Vec<(KeyId, Point)>>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(RunKey, KeyId, f64, i64, i64)> = sqlx::query_as(
        "select run_key, key_id, value, timestamp, step
         from latest_metrics
         where run_key = any($1) and key_id = any($2)",
    )
    .bind(runs)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    Ok(by_run(rows.map(|(run, key, value, timestamp, step)| (run, (key, Point { step, timestamp, value })))))
}

/// The points of one metric of a run, in the order of histories.
#[derive(Debug)]
pub struct History {
    /// The points, in order, each once.
    pub points: Vec<Point>,
    /// Whether there are more after these.
    pub has_more: bool,
}

/// How many points of a history are read before anything is said of whether they are wanted.
const MARGIN: i64 = 2 * chunk::MAX_POINTS as i64;

/// Points of a metric of a run: those after a place, about `limit` or a few more, all of them when there are no more.
///
/// # Errors
/// When the statement fails, or points are damaged.
pub async fn history(
    conn: &mut PgConnection,
    run: RunKey,
    key: KeyId,
    after: Option<Point>,
    limit: usize,
) -> Result<History> {
    #[derive(FromRow)]
    struct Row {
        is_chunk: bool,
        points: Vec<u8>,
        /// Nothing of what was left out is earlier than this.
        rest: Option<i64>,
    }
    let mut wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(MARGIN);
    loop {
        // One statement, so that nothing is seen both where it was and where it is being packed to, nor in neither.
        let rows: Vec<Row> = sqlx::query_as(
            "with chunks as (
                 select number, first_timestamp,
                     sum(count) over (order by first_timestamp, number) - count as before
                 from metric_chunks
                 where run_key = $1 and key_id = $2 and last_timestamp >= $3
             )
             select true as is_chunk, c.points,
                 (select min(first_timestamp) from chunks where before >= $4) as rest
             from metric_chunks c
             where c.run_key = $1 and c.key_id = $2 and c.number in (select number from chunks where before < $4)
             union all
             select false, points, null from metric_journal where run_key = $1",
        )
        .bind(run)
        .bind(key)
        .bind(after.map_or(i64::MIN, |point| point.timestamp))
        .bind(wanted)
        .fetch_all(&mut *conn)
        .await?;
        let rest = rows.iter().find_map(|row| row.rest);
        let mut found = Vec::new();
        for row in &rows {
            if row.is_chunk {
                found.extend(chunk::unpack(&row.points)?);
            } else {
                let entries = journal::decode(&row.points)?;
                found.extend(entries.filter(|(metric, _)| *metric == key.0).map(|(_, point)| point));
            }
        }
        if let Some(after) = after {
            found.retain(|point| point.by_time(&after).is_gt());
        }
        if let Some(rest) = rest {
            found.retain(|point| point.timestamp < rest);
        }
        points::arrange(&mut found);
        // A stretch of one moment that is longer than what was read: read more of it.
        if found.is_empty() && rest.is_some() {
            wanted = wanted.saturating_mul(2);
            continue;
        }
        let has_more = rest.is_some() || found.len() > limit;
        found.truncate(limit);
        return Ok(History { points: found, has_more });
    }
}

/// The points of these metrics of each run, in the order of charts. Metrics without points are left out. With `chunks`,
/// of a long curve so many packed stretches, the first and the last among them: as much as a small drawing shows.
///
/// # Errors
/// When the statement fails, or points are damaged.
pub async fn series(
    conn: &mut PgConnection,
    runs: &[RunKey],
    keys: &[KeyId],
    chunks: Option<i64>,
) -> Result<HashMap<(RunKey, KeyId), Vec<Point>>> {
    let rows: Vec<(RunKey, Option<KeyId>, Vec<u8>)> = sqlx::query_as(
        "select run_key, key_id, points
         from (select run_key, key_id, points,
                   row_number() over (partition by run_key, key_id order by first_timestamp, number) as place,
                   count(*) over (partition by run_key, key_id) as places
               from metric_chunks
               where run_key = any($1) and key_id = any($2)) c
         where $3::bigint is null or place = places or (place - 1) % (1 + places / $3) = 0
         union all
         select run_key, null, points from metric_journal where run_key = any($1)",
    )
    .bind(runs)
    .bind(keys)
    .bind(chunks)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<(RunKey, KeyId), Vec<Point>> = HashMap::new();
    for (run, key, bytes) in &rows {
        match key {
            Some(key) => found.entry((*run, *key)).or_default().extend(chunk::unpack(bytes)?),
            None => {
                for (metric, point) in journal::decode(bytes)? {
                    if keys.contains(&KeyId(metric)) {
                        found.entry((*run, KeyId(metric))).or_default().push(point);
                    }
                }
            }
        }
    }
    for points in found.values_mut() {
        if !points.is_sorted_by(|one, next| one.by_step(next).is_lt()) {
            points.sort_unstable_by(Point::by_step);
            points.dedup();
        }
    }
    Ok(found)
}

/// How many points each metric of these runs has, of the run that has the most of it. A single point that was sent several
/// times is one; of more, each time that one was sent may count.
///
/// # Errors
/// When the statement fails, or points are damaged.
pub async fn lengths(conn: &mut PgConnection, runs: &[RunKey]) -> Result<HashMap<KeyId, i64>> {
    #[derive(FromRow)]
    struct Row {
        run_key: RunKey,
        key_id: Option<KeyId>,
        count: i64,
        points: Option<Vec<u8>>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select run_key, key_id, sum(count)::bigint as count, null::bytea as points
         from metric_chunks
         where run_key = any($1)
         group by run_key, key_id
         union all
         select run_key, null, 0, points from metric_journal where run_key = any($1)",
    )
    .bind(runs)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<(RunKey, KeyId), (i64, Option<Point>)> = HashMap::new();
    for row in &rows {
        if let Some(key) = row.key_id {
            found.entry((row.run_key, key)).or_default().0 += row.count;
        }
        if let Some(points) = &row.points {
            for (metric, point) in journal::decode(points)? {
                let (count, first) = found.entry((row.run_key, KeyId(metric))).or_default();
                if first.is_none_or(|first| first != point) {
                    *count += 1;
                }
                first.get_or_insert(point);
            }
        }
    }
    let mut longest: HashMap<KeyId, i64> = HashMap::new();
    for ((_, key), (count, _)) in found {
        let most = longest.entry(key).or_default();
        *most = count.max(*most);
    }
    Ok(longest)
}
