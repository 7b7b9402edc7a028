//! Points of metrics.

use super::{RunKey, by_run};
use crate::Result;
use domain::{
    id::LoggedModelId,
    log_batch::{MetricPoint, ModelPoint},
    run::Metric,
};
use futures::{Stream, StreamExt as _};
use sqlx::{FromRow, PgConnection};
use std::collections::{BTreeSet, HashMap};

/// The small number that points carry instead of their metric's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct MetricId(i32);

/// The numbers of these keys, given now to those that have none. Not for use in a transaction: two that give the same
/// number wait for each other.
///
/// # Errors
/// When a statement fails.
pub async fn ids(conn: &mut PgConnection, keys: &[&str]) -> Result<HashMap<String, MetricId>> {
    let keys: BTreeSet<&str> = keys.iter().copied().collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut ids = known_ids(conn, &keys).await?;
    let missing: Vec<&str> = keys.into_iter().filter(|key| !ids.contains_key(*key)).collect();
    if !missing.is_empty() {
        sqlx::query("insert into metric_keys (name) select unnest($1::text[]) on conflict do nothing")
            .bind(&missing)
            .execute(&mut *conn)
            .await?;
        ids.extend(known_ids(conn, &missing).await?);
    }
    Ok(ids)
}

async fn known_ids(conn: &mut PgConnection, keys: &[&str]) -> Result<HashMap<String, MetricId>> {
    let rows: Vec<(String, MetricId)> =
        sqlx::query_as("select name, id from metric_keys where name = any($1)").bind(keys).fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

/// Adds points that are not there yet, and keeps the latest of each metric. `ids` has the number of every key.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    conn: &mut PgConnection,
    run: RunKey,
    points: &[MetricPoint],
    ids: &HashMap<String, MetricId>,
) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(points.iter(), ids);
    // Rows are taken in one order by everybody, so that no two batches wait for each other.
    sqlx::query(
        "with points as (
             select *, coalesce(nullif(value, 'NaN'), 0) as rank
             from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::double precision[])
                 as p (metric_id, step, timestamp, value)
         ),
         added as (
             insert into metrics (run_key, metric_id, step, timestamp, value)
             select $1, metric_id, step, timestamp, value
             from points
             order by metric_id, timestamp, step, value
             on conflict do nothing
         )
         insert into latest_metrics as latest (run_key, metric_id, step, timestamp, value)
         select distinct on (metric_id) $1, metric_id, step, timestamp, value
         from points
         order by metric_id, step desc, timestamp desc, rank desc
         on conflict (run_key, metric_id) do update
         set step = excluded.step, timestamp = excluded.timestamp, value = excluded.value
         where (excluded.step, excluded.timestamp, coalesce(nullif(excluded.value, 'NaN'), 0))
             > (latest.step, latest.timestamp, coalesce(nullif(latest.value, 'NaN'), 0))",
    )
    .bind(run)
    .bind(columns.metric_ids)
    .bind(columns.steps)
    .bind(columns.timestamps)
    .bind(columns.values)
    .execute(conn)
    .await?;
    Ok(())
}

/// Points as columns, for `unnest`.
#[derive(Default)]
struct Columns {
    metric_ids: Vec<Option<MetricId>>,
    steps: Vec<i64>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Columns {
    fn of<'a>(points: impl Iterator<Item = &'a MetricPoint>, ids: &HashMap<String, MetricId>) -> Self {
        let mut columns = Self::default();
        for point in points {
            columns.metric_ids.push(ids.get(point.key.as_str()).copied());
            columns.steps.push(point.step);
            columns.timestamps.push(point.timestamp.get());
            columns.values.push(point.value.get());
        }
        columns
    }
}

/// Adds points of logged models that are not there yet.
///
/// # Errors
/// When the statement fails.
pub async fn insert_of_models(
    conn: &mut PgConnection,
    run: RunKey,
    points: &[ModelPoint],
    ids: &HashMap<String, MetricId>,
) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(points.iter().map(|point| &point.point), ids);
    sqlx::query(
        "insert into logged_model_metrics
             (logged_model_id, metric_id, run_key, step, timestamp, value, dataset_name, dataset_digest)
         select model_id, metric_id, $1, step, timestamp, value, dataset_name, dataset_digest
         from unnest($2::uuid[], $3::integer[], $4::bigint[], $5::bigint[], $6::double precision[], $7::text[], $8::text[])
             as p (model_id, metric_id, step, timestamp, value, dataset_name, dataset_digest)
         order by model_id, metric_id, timestamp, step, value, dataset_name, dataset_digest
         on conflict do nothing",
    )
    .bind(run)
    .bind(points.iter().map(|point| point.model_id).collect::<Vec<LoggedModelId>>())
    .bind(columns.metric_ids)
    .bind(columns.steps)
    .bind(columns.timestamps)
    .bind(columns.values)
    .bind(points.iter().map(|point| point.dataset_name.as_str()).collect::<Vec<_>>())
    .bind(points.iter().map(|point| point.dataset_digest.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    step: i64,
    timestamp: i64,
    value: f64,
}

/// The latest point of each of these metrics of each run, by key.
///
/// # Errors
/// When the statement fails.
pub async fn latest(conn: &mut PgConnection, runs: &[RunKey], only: &[String]) -> Result<HashMap<RunKey, Vec<Metric>>> {
    let rows: Vec<(RunKey, String, f64, i64, i64)> = sqlx::query_as(
        "select l.run_key, k.name, l.value, l.timestamp, l.step
         from latest_metrics l
         join metric_keys k on k.id = l.metric_id
         where l.run_key = any($1) and k.name = any($2)
         order by l.run_key, k.name",
    )
    .bind(runs)
    .bind(only)
    .fetch_all(conn)
    .await?;
    Ok(by_run(rows.into_iter().map(|(run, key, value, timestamp, step)| (run, Metric { key, value, timestamp, step }))))
}

/// The keys of metrics that any of these runs has, the most frequent first.
///
/// # Errors
/// When the statement fails.
pub async fn keys(conn: &mut PgConnection, runs: &[RunKey], limit: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select k.name
         from latest_metrics l
         join metric_keys k on k.id = l.metric_id
         where l.run_key = any($1)
         group by k.name
         order by count(*) desc, k.name
         limit $2",
    )
    .bind(runs)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Where a page of a history begins after: time, step, and the bits of the value.
pub type HistoryPlace = (i64, i64, u64);

/// Points of a metric of a run, by time, step and value: those after a place, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn history(
    conn: &mut PgConnection,
    run: RunKey,
    key: &str,
    after: Option<HistoryPlace>,
    limit: i64,
) -> Result<Vec<Metric>> {
    let (timestamp, step, bits) = after.unwrap_or((i64::MIN, i64::MIN, f64::NEG_INFINITY.to_bits()));
    let rows: Vec<Row> = sqlx::query_as(
        "select step, timestamp, value
         from metrics
         where run_key = $1
           and metric_id = (select id from metric_keys where name = $2)
           and (timestamp, step, value) > ($3, $4, $5)
         order by timestamp, step, value
         limit $6",
    )
    .bind(run)
    .bind(key)
    .bind(timestamp)
    .bind(step)
    .bind(f64::from_bits(bits))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.metric(key)).collect())
}

impl Row {
    fn metric(self, key: &str) -> Metric {
        Metric { key: key.to_owned(), value: self.value, timestamp: self.timestamp, step: self.step }
    }
}

/// How many points a metric of a run has.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, run: RunKey, key: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "select count(*)
         from metrics
         where run_key = $1 and metric_id = (select id from metric_keys where name = $2)",
    )
    .bind(run)
    .bind(key)
    .fetch_one(conn)
    .await?)
}

/// All points of a metric of a run, by step, time and value, as they come.
pub fn series<'a>(
    conn: &'a mut PgConnection,
    run: RunKey,
    key: &'a str,
) -> impl Stream<Item = Result<Metric>> + Send + 'a {
    sqlx::query_as::<_, Row>(
        "select step, timestamp, value
         from metrics
         where run_key = $1 and metric_id = (select id from metric_keys where name = $2)
         order by step, timestamp, value",
    )
    .bind(run)
    .bind(key)
    .fetch(conn)
    .map(move |row| Ok(row?.metric(key)))
}
