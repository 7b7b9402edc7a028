//! Recorded predictions: written in bulk behind the answers, read by monitors and pages.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    deployment::{Prediction, Traffic},
    id::{DeploymentId, EnvironmentId, ModelId, PredictionId},
};
use sqlx::{FromRow, PgConnection, types::Json};

#[derive(FromRow)]
struct Row {
    id: PredictionId,
    request_id: Option<String>,
    deployment_id: DeploymentId,
    version: i32,
    at: DateTime<Utc>,
    status: i16,
    latency_us: i32,
    rows: i32,
    features: serde_json::Value,
    output: serde_json::Value,
}

impl From<Row> for Prediction {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            request_id: row.request_id,
            deployment_id: row.deployment_id,
            version: row.version,
            at: row.at,
            status: row.status,
            latency_us: row.latency_us,
            rows: row.rows,
            features: row.features,
            output: row.output,
        }
    }
}

/// Adds predictions. Those that are there already change nothing.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, predictions: &[Prediction]) -> Result<()> {
    let all = || predictions.iter();
    sqlx::query(
        "insert into predictions (id, deployment_id, request_id, at, status, latency_us, rows, features, output)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::smallint[], $6::integer[],
             $7::integer[], $8::jsonb[], $9::jsonb[])
         on conflict (id) do nothing",
    )
    .bind(all().map(|p| p.id.0).collect::<Vec<_>>())
    .bind(all().map(|p| p.deployment_id.0).collect::<Vec<_>>())
    .bind(all().map(|p| p.request_id.clone()).collect::<Vec<_>>())
    .bind(all().map(|p| p.at).collect::<Vec<_>>())
    .bind(all().map(|p| p.status).collect::<Vec<_>>())
    .bind(all().map(|p| p.latency_us).collect::<Vec<_>>())
    .bind(all().map(|p| p.rows).collect::<Vec<_>>())
    .bind(all().map(|p| Json(&p.features)).collect::<Vec<_>>())
    .bind(all().map(|p| Json(&p.output)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` predictions of a model in an environment, newest first, before `before` when given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    model: ModelId,
    before: Option<(DateTime<Utc>, PredictionId)>,
    limit: i64,
) -> Result<Vec<Prediction>> {
    let (at, id) = before.unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "select p.id, p.request_id, p.deployment_id, v.version, p.at, p.status, p.latency_us, p.rows, p.features, p.output
         from predictions p
         join deployments d on d.id = p.deployment_id
         join model_versions v on v.id = d.model_version_id
         where d.environment_id = $1
           and d.model_id = $2
           and ($3::timestamptz is null or (p.at, p.id) < ($3, $4))
         order by p.at desc, p.id desc
         limit $5",
    )
    .bind(environment)
    .bind(model)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Prediction::from).collect())
}

/// The features of the newest answered predictions of a deployment, newest first: each as many rows as it says, until
/// there are `rows` of them.
///
/// # Errors
/// When the statement fails.
pub async fn newest_features(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    rows: i64,
) -> Result<Vec<(DateTime<Utc>, i32, serde_json::Value)>> {
    let found = sqlx::query_as(
        "select at, rows, features
         from (
             select at, rows, features, sum(rows) over (order by at desc, id desc) - rows as before
             from (
                 select at, id, rows, features
                 from predictions
                 where deployment_id = $1 and status = 200
                 order by at desc, id desc
                 limit $2
             ) newest
         ) counted
         where before < $2
         order by at desc",
    )
    .bind(deployment)
    .bind(rows)
    .fetch_all(conn)
    .await?;
    Ok(found)
}

/// When the newest answered prediction of a deployment was made.
///
/// # Errors
/// When the statement fails.
pub async fn newest(conn: &mut PgConnection, deployment: DeploymentId) -> Result<Option<DateTime<Utc>>> {
    let at = sqlx::query_scalar("select max(at) from predictions where deployment_id = $1 and status = 200")
        .bind(deployment)
        .fetch_one(conn)
        .await?;
    Ok(at)
}

/// The traffic of a model in an environment over the last 24 hours, in 24 slices, whichever versions answered.
///
/// # Errors
/// When the statement fails.
pub async fn traffic(conn: &mut PgConnection, environment: EnvironmentId, model: ModelId) -> Result<Traffic> {
    #[derive(FromRow)]
    struct TrafficRow {
        requests: i64,
        errors: i64,
        p50_us: Option<i32>,
        p99_us: Option<i32>,
        series: Vec<i64>,
    }
    let row: TrafficRow = sqlx::query_as(
        "with recent as (
             select p.at, p.status, p.latency_us
             from predictions p
             join deployments d on d.id = p.deployment_id
             where d.environment_id = $1
               and d.model_id = $2
               and p.at > now() - interval '24 hours'
         )
         select count(*) as requests,
             count(*) filter (where status <> 200) as errors,
             percentile_disc(0.5) within group (order by latency_us) filter (where status = 200) as p50_us,
             percentile_disc(0.99) within group (order by latency_us) filter (where status = 200) as p99_us,
             array(
                 select count(r.at)
                 from generate_series(0, 23) as slice
                 left join recent r
                     on r.at > now() - make_interval(hours => 24 - slice)
                     and r.at <= now() - make_interval(hours => 23 - slice)
                 group by slice
                 order by slice
             ) as series
         from recent",
    )
    .bind(environment)
    .bind(model)
    .fetch_one(conn)
    .await?;
    let ms = |us: Option<i32>| us.map(|us| f64::from(us) / 1000.0);
    Ok(Traffic {
        requests: row.requests,
        errors: row.errors,
        p50_ms: ms(row.p50_us),
        p99_ms: ms(row.p99_us),
        series: row.series,
    })
}
