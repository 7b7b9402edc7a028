//! Recorded predictions: written in bulk behind the answers, read by monitors and pages.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    deployment::Prediction,
    id::{DeploymentId, EnvironmentId, ModelId, ModelVersionId, PredictionId},
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

/// The newest answered predictions of a deployment, newest first, until there are `rows` rows: how many rows each has, and
/// of its features those that `names` lists. The last one may have more rows than are wanted. A feature of lists, such as an
/// image, is left out.
///
/// # Errors
/// When the statement fails.
pub async fn newest_features(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    names: &[String],
    rows: i64,
) -> Result<Vec<(i32, serde_json::Value)>> {
    let found = sqlx::query_as(
        "select rows, coalesce(
             (
                 select jsonb_object_agg(feature.key, feature.value)
                 from jsonb_each(features) feature
                 where feature.key = any($3) and jsonb_typeof(feature.value -> 0) <> 'array'
             ),
             '{}'
         )
         from (
             select at, id, rows, features, sum(rows) over (order by at desc, id desc) - rows as before
             from (
                 select at, id, rows, features
                 from predictions
                 where deployment_id = $1 and status = 200
                 order by at desc, id desc
                 limit $2
             ) newest
         ) counted
         where before < $2
         order by at desc, id desc",
    )
    .bind(deployment)
    .bind(rows)
    .bind(names)
    .fetch_all(conn)
    .await?;
    Ok(found)
}

/// The newest predictions that a version answered in an environment, in whichever deployment, newest first, until there
/// are `rows` rows; one whose values were not recorded counts as a row. The last one may have more rows than are wanted.
/// Of those beyond so many bytes, the values are left out, which the second of the pair tells.
///
/// # Errors
/// When the statement fails.
pub async fn newest_of_version(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    version: ModelVersionId,
    rows: i64,
    bytes: i64,
) -> Result<Vec<(Prediction, bool)>> {
    #[derive(FromRow)]
    struct Sized {
        #[sqlx(flatten)]
        row: Row,
        left_out: bool,
    }
    let found: Vec<Sized> = sqlx::query_as(
        "with newest as (
             select p.id, p.at, v.version, greatest(p.rows, 1) as counted
             from deployments d
             join model_versions v on v.id = d.model_version_id
             cross join lateral (
                 select id, at, rows
                 from predictions
                 where deployment_id = d.id and status = 200
                 order by at desc, id desc
                 limit $3
             ) p
             where d.environment_id = $1 and d.model_version_id = $2
             order by p.at desc, p.id desc
             limit $3
         ),
         wanted as (
             select id, version, sum(counted) over (order by at desc, id desc) - counted as before
             from newest
         ),
         sized as (
             select p.*, w.version, sum(octet_length(p.features::text) + octet_length(p.output::text))
                 over (order by p.at desc, p.id desc) > $4 as left_out
             from wanted w
             join predictions p on p.id = w.id
             where w.before < $3
         )
         select id, request_id, deployment_id, version, at, status, latency_us, rows, left_out,
             case when left_out then '{}' else features end as features,
             case when left_out then '{}' else output end as output
         from sized
         order by at desc, id desc",
    )
    .bind(environment)
    .bind(version)
    .bind(rows)
    .bind(bytes)
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(|one| (Prediction::from(one.row), one.left_out)).collect())
}

/// How many requests a version did not answer in an environment since a moment: at most `limit` of each deployment.
///
/// # Errors
/// When the statement fails.
pub async fn refused_of_version(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    version: ModelVersionId,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let refused = sqlx::query_scalar(
        "select count(*)
         from deployments d
         cross join lateral (
             select from predictions
             where deployment_id = d.id and status <> 200 and at >= $3
             limit $4
         ) p
         where d.environment_id = $1 and d.model_version_id = $2",
    )
    .bind(environment)
    .bind(version)
    .bind(since)
    .bind(limit)
    .fetch_one(conn)
    .await?;
    Ok(refused)
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

/// Deletes up to `limit` predictions that were made before a moment, the oldest first. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    // Ids begin with the milliseconds of their time, so the primary key finds the oldest without another index.
    let milliseconds = u128::try_from(before.timestamp_millis()).unwrap_or(0);
    let deleted = sqlx::query(
        "delete from predictions
         where id in (select id from predictions where id < $1 order by id limit $2)",
    )
    .bind(PredictionId(uuid::Uuid::from_u128(milliseconds << 80)))
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
