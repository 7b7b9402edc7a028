//! Deployments: which version serves in which environment, which did, and what traffic they have.

use crate::{Error, Result, environment::push_seen};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    deployment::{Deployment, DeploymentState, Endpoint, Traffic},
    environment::Sight,
    id::{DeploymentId, EnvironmentId, ModelId, ModelVersionId, PromotionId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, QueryBuilder};

#[derive(FromRow)]
struct Row {
    id: DeploymentId,
    workspace_id: WorkspaceId,
    number: i64,
    environment_id: EnvironmentId,
    environment: String,
    model_id: ModelId,
    model: String,
    model_version_id: ModelVersionId,
    version: i32,
    digest: Digest,
    promotion_id: Option<PromotionId>,
    promotion_number: Option<i64>,
    rollback_of: Option<DeploymentId>,
    state: String,
    state_reason: String,
    created_by: String,
    created_at: DateTime<Utc>,
    live_at: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Deployment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            number: row.number,
            environment_id: row.environment_id,
            environment: row.environment,
            model_id: row.model_id,
            model: row.model,
            model_version_id: row.model_version_id,
            version: row.version,
            digest: row.digest,
            promotion_id: row.promotion_id,
            promotion_number: row.promotion_number,
            rollback_of: row.rollback_of,
            state: DeploymentState::parse(&row.state).ok_or_else(|| Error::unknown("deployment state", &row.state))?,
            state_reason: row.state_reason,
            created_by: row.created_by,
            created_at: row.created_at,
            live_at: row.live_at,
            retired_at: row.retired_at,
        })
    }
}

/// Adds a deployment that is not live yet.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, deployment: &Deployment) -> Result<()> {
    sqlx::query(
        "insert into deployments (id, workspace_id, number, environment_id, model_id, model_version_id, digest,
             promotion_id, rollback_of, state, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'deploying', $10, $11)",
    )
    .bind(deployment.id)
    .bind(deployment.workspace_id)
    .bind(deployment.number)
    .bind(deployment.environment_id)
    .bind(deployment.model_id)
    .bind(deployment.model_version_id)
    .bind(&deployment.digest)
    .bind(deployment.promotion_id)
    .bind(deployment.rollback_of)
    .bind(&deployment.created_by)
    .bind(deployment.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The deployment of this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: DeploymentId) -> Result<Option<Deployment>> {
    let mut query = selected();
    query.push(" where d.id = ").push_bind(id);
    one(query, conn).await
}

/// The deployment of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, sight: &Sight, number: i64) -> Result<Option<Deployment>> {
    let mut query = selected();
    push_seen(&mut query, "d", sight);
    query.push(" and d.number = ").push_bind(number);
    one(query, conn).await
}

/// What serves of a model in an environment.
///
/// # Errors
/// When the statement fails.
pub async fn live(conn: &mut PgConnection, environment: EnvironmentId, model: ModelId) -> Result<Option<Deployment>> {
    let mut query = selected();
    query.push(" where d.environment_id = ").push_bind(environment);
    query.push(" and d.model_id = ").push_bind(model).push(" and d.state = 'live'");
    one(query, conn).await
}

/// What serves of the model of this name in an environment.
///
/// # Errors
/// When the statement fails.
pub async fn live_by_name(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    model: &str,
) -> Result<Option<Deployment>> {
    let mut query = selected();
    query.push(" where d.environment_id = ").push_bind(environment);
    query.push(" and m.name = ").push_bind(model).push(" and d.state = 'live'");
    one(query, conn).await
}

/// Whether a version is or was live in an environment.
///
/// # Errors
/// When the statement fails.
pub async fn was_live(conn: &mut PgConnection, environment: EnvironmentId, version: ModelVersionId) -> Result<bool> {
    let was = sqlx::query_scalar(
        "select exists (
             select from deployments
             where environment_id = $1 and model_version_id = $2 and live_at is not null
         )",
    )
    .bind(environment)
    .bind(version)
    .fetch_one(conn)
    .await?;
    Ok(was)
}

/// The deployment that a promotion has begun and not ended.
///
/// # Errors
/// When the statement fails.
pub async fn under_way(conn: &mut PgConnection, promotion: PromotionId) -> Result<Option<Deployment>> {
    let mut query = selected();
    query.push(" where d.promotion_id = ").push_bind(promotion).push(" and d.state = 'deploying'");
    one(query, conn).await
}

/// What was live before this deployment and can be gone back to. A version that was rolled back is never that: going
/// back twice goes back two versions.
///
/// # Errors
/// When the statement fails.
pub async fn previous(conn: &mut PgConnection, live: &Deployment) -> Result<Option<Deployment>> {
    let mut query = selected();
    query.push(" where d.id = (").push(PREVIOUS);
    query.push(" and p.environment_id = ").push_bind(live.environment_id);
    query.push(" and p.model_id = ").push_bind(live.model_id);
    query.push(" and p.live_at < (select min(o.live_at) from deployments o where o.id = ").push_bind(live.id);
    query.push(" or o.promotion_id = ").push_bind(live.promotion_id);
    query.push(") order by p.live_at desc limit 1)");
    one(query, conn).await
}

/// Which deployments.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of the model of this name.
    pub model: Option<String>,
    /// Of versions of this number.
    pub version: Option<i32>,
    /// In the environment of this name.
    pub environment: Option<String>,
    /// In this state.
    pub state: Option<DeploymentState>,
}

/// Up to `limit` deployments of a workspace, newest first, those before the number `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Deployment>> {
    let mut query = selected();
    push_seen(&mut query, "d", sight);
    if let Some(model) = &filter.model {
        query.push(" and m.name = ").push_bind(model);
    }
    if let Some(version) = filter.version {
        query.push(" and v.version = ").push_bind(version);
    }
    if let Some(environment) = &filter.environment {
        query.push(" and e.name = ").push_bind(environment);
    }
    if let Some(state) = filter.state {
        query.push(" and d.state = ").push_bind(state.as_str());
    }
    if let Some(before) = before {
        query.push(" and d.number < ").push_bind(before);
    }
    query.push(" order by d.number desc limit ").push_bind(limit);
    all(query, conn).await
}

/// Notes that somebody took a deployment out, so that nobody goes back to it.
///
/// # Errors
/// When the statement fails.
pub async fn set_taken_out(conn: &mut PgConnection, id: DeploymentId) -> Result<()> {
    sqlx::query("update deployments set taken_out = true where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// Moves a deployment. Tells whether it was in the state that it is moved from.
///
/// # Errors
/// [`Error::Duplicate`] of `deployments_live` when it shall be live and another one of the model is, in the environment.
pub async fn set_state(
    conn: &mut PgConnection,
    id: DeploymentId,
    from: DeploymentState,
    to: DeploymentState,
    reason: &str,
) -> Result<bool> {
    // The clock is read under the environment's lock, so that times follow each other as the deployments did.
    let moved = sqlx::query(
        "update deployments
         set state = $3,
             state_reason = $4,
             live_at = case when $3 = 'live' then clock_timestamp() else live_at end,
             retired_at = case when $3 = 'retired' then clock_timestamp() else retired_at end
         where id = $1 and state = $2",
    )
    .bind(id)
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// What the traffic of a deployment is compared with: the path and the digest of `reference.csv` or `reference.json`. Fixed
/// by the first call that finds one: what another deployment of the same version is compared with, else one among the
/// version's files, else one among the artifacts of the run that made it.
///
/// # Errors
/// When a statement fails.
pub async fn fix_reference(conn: &mut PgConnection, id: DeploymentId) -> Result<Option<(String, Digest)>> {
    sqlx::query(
        "update deployments
         set reference_path = found.path, reference_digest = found.digest
         from (
             select path, digest
             from (
                 select o.reference_path as path, o.reference_digest as digest, 0 as place
                 from deployments d
                 join deployments o on o.model_version_id = d.model_version_id
                 where d.id = $1 and o.reference_path is not null
                 union all
                 select f.path, f.digest, 1
                 from deployments d
                 join model_version_files f on f.model_version_id = d.model_version_id
                 where d.id = $1 and f.path ~ '(^|/)reference[.](csv|json)$'
                 union all
                 select a.path, a.digest, 2
                 from deployments d
                 join model_versions v on v.id = d.model_version_id
                 join artifacts a on a.root_id = v.run_id
                 where d.id = $1 and a.path ~ '(^|/)reference[.](csv|json)$'
             ) files
             order by place, length(path), path
             limit 1
         ) found
         where id = $1 and reference_path is null",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    let fixed = sqlx::query_as(
        "select reference_path, reference_digest
         from deployments
         where id = $1 and reference_path is not null",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(fixed)
}

/// The last hours that [`endpoints`] tells the traffic of, and how many slices it has.
pub const HOURS: i32 = 24;

/// What serves in a workspace, with its traffic of the last [`HOURS`]: by environment in order, then by model.
///
/// # Errors
/// When the statement fails.
pub async fn endpoints(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<Endpoint>> {
    #[derive(FromRow)]
    struct Served {
        #[sqlx(flatten)]
        deployment: Row,
        previous: Option<i32>,
        drift_state: Option<String>,
        drift_share: Option<f64>,
        requests: i64,
        errors: i64,
        p50_us: Option<i32>,
        p99_us: Option<i32>,
        series: Vec<i64>,
    }
    // What was live before is looked for from the last one back, so that the first that was not left ends the search: a model
    // may have been deployed hundreds of times. Traffic is that of all deployments that answered at the same
    // address. Answered is what has status 200, here and wherever predictions are read.
    let rows: Vec<Served> = sqlx::query_as(
        "select d.id, d.workspace_id, d.number, d.environment_id, e.name as environment, d.model_id, m.name as model,
             d.model_version_id, v.version, d.digest, d.promotion_id, p.number as promotion_number, d.rollback_of,
             d.state, d.state_reason, d.created_by, d.created_at, d.live_at, d.retired_at,
             (
                 select pv.version
                 from model_versions pv
                 where pv.id = (
                     select p.model_version_id
                     from (
                         select model_version_id, promotion_id, live_at
                         from deployments
                         where rollback_of is null
                           and environment_id = d.environment_id
                           and model_id = d.model_id
                           and live_at < (
                               select min(o.live_at)
                               from deployments o
                               where o.id = d.id or o.promotion_id = d.promotion_id
                           )
                         order by live_at desc
                         offset 0
                     ) p
                     where not exists (
                         select
                         from deployments back
                         join deployments bad on bad.id = back.rollback_of
                         where bad.promotion_id = p.promotion_id
                     )
                     order by p.live_at desc
                     limit 1
                 )
             ) as previous,
             c.state as drift_state, c.share as drift_share,
             t.requests, t.errors, t.p50_us, t.p99_us, s.series
         from deployments d
         join environments e on e.id = d.environment_id
         join models m on m.id = d.model_id
         join model_versions v on v.id = d.model_version_id
         left join promotions p on p.id = d.promotion_id
         left join lateral (
             select state, share from checks where deployment_id = d.id order by id desc limit 1
         ) c on true
         cross join lateral (
             select count(*) as requests,
                 count(*) filter (where x.status <> 200) as errors,
                 percentile_disc(0.5) within group (order by x.latency_us) filter (where x.status = 200) as p50_us,
                 percentile_disc(0.99) within group (order by x.latency_us) filter (where x.status = 200) as p99_us
             from deployments o
             join predictions x on x.deployment_id = o.id and x.at >= now() - make_interval(hours => $2)
             where o.environment_id = d.environment_id and o.model_id = d.model_id
         ) t
         cross join lateral (
             select array_agg(coalesce(n.requests, 0) order by slice) as series
             from generate_series(0, $2 - 1) as slice
             left join (
                 select floor(extract(epoch from now() - x.at) / 3600)::integer as hours_ago, count(*) as requests
                 from deployments o
                 join predictions x on x.deployment_id = o.id and x.at >= now() - make_interval(hours => $2)
                 where o.environment_id = d.environment_id and o.model_id = d.model_id
                 group by hours_ago
             ) n on n.hours_ago = $2 - 1 - slice
         ) s
         where d.workspace_id = $1 and d.state = 'live' and may_see_environment(e.visible_to, $3)
         order by e.position, e.name, m.name",
    )
    .bind(sight.workspace())
    .bind(HOURS)
    .bind(sight.roles())
    .fetch_all(conn)
    .await?;
    let ms = |us: Option<i32>| us.map(|us| f64::from(us) / 1000.0);
    rows.into_iter()
        .map(|row| {
            let told = row.drift_state.as_deref().filter(|state| *state != "inconclusive");
            Ok(Endpoint {
                previous: row.previous,
                traffic: Traffic {
                    requests: row.requests,
                    errors: row.errors,
                    p50_ms: ms(row.p50_us),
                    p99_ms: ms(row.p99_us),
                    series: row.series,
                },
                drift_share: row.drift_share.filter(|_| told.is_some()),
                drifted: told.map(|state| state == "drifted"),
                deployment: row.deployment.try_into()?,
            })
        })
        .collect()
}

/// A deployment, by its own promotion, that has been live and was not rolled back.
const PREVIOUS: &str = "
    select p.id
    from deployments p
    where p.rollback_of is null
      and p.live_at is not null
      and not p.taken_out
      and not exists (
          select
          from deployments back
          join deployments bad on bad.id = back.rollback_of
          where bad.promotion_id = p.promotion_id
      )";

fn selected() -> QueryBuilder<sqlx::Postgres> {
    QueryBuilder::new(
        "select d.id, d.workspace_id, d.number, d.environment_id, e.name as environment, d.model_id, m.name as model,
             d.model_version_id, v.version, d.digest, d.promotion_id, p.number as promotion_number, d.rollback_of,
             d.state, d.state_reason, d.created_by, d.created_at, d.live_at, d.retired_at
         from deployments d
         join environments e on e.id = d.environment_id
         join models m on m.id = d.model_id
         join model_versions v on v.id = d.model_version_id
         left join promotions p on p.id = d.promotion_id",
    )
}

async fn one(mut query: QueryBuilder<sqlx::Postgres>, conn: &mut PgConnection) -> Result<Option<Deployment>> {
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(Deployment::try_from).transpose()
}

async fn all(mut query: QueryBuilder<sqlx::Postgres>, conn: &mut PgConnection) -> Result<Vec<Deployment>> {
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Deployment::try_from).collect()
}
