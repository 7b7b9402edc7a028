//! What became of the promotions of a period, counted by the database.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    environment::Sight,
    promotion::{EnvironmentStatistics, PolicyStatistics, PromotionCounts, Rejection, RuleStatistics},
};
use sqlx::{FromRow, PgConnection};

/// A period, and how many of its promotions are looked at: the last ones.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// From when.
    pub from: DateTime<Utc>,
    /// Until before when.
    pub to: DateTime<Utc>,
    /// The most promotions.
    pub most: i64,
}

/// The promotions that count: $1 to $5 are workspace, roles, from, to and the most.
macro_rules! of_period {
    ($($rest:expr),+) => {
        concat!(
            "with recent as (
                 select p.id, p.number, p.state, p.created_at, p.approved_at, p.model_id, p.model_version_id,
                     e.name as environment, e.position
                 from promotions p
                 join environments e on e.id = p.environment_id
                 where p.workspace_id = $1
                   and may_see_environment(e.visible_to, $2)
                   and p.created_at >= $3
                   and p.created_at < $4
                 order by p.number desc
                 limit $5
             ) ",
            $($rest),+
        )
    };
}

/// How many promotions were requested in the period; at most one more than are looked at.
///
/// # Errors
/// When the statement fails.
pub async fn count_of_period(conn: &mut PgConnection, sight: &Sight, period: &Period) -> Result<i64> {
    let count = sqlx::query_scalar(of_period!("select count(*) from recent"))
        .bind(sight.workspace())
        .bind(sight.roles())
        .bind(period.from)
        .bind(period.to)
        .bind(period.most + 1)
        .fetch_one(conn)
        .await?;
    Ok(count)
}

/// What became of some promotions, as columns.
#[derive(FromRow)]
struct Counts {
    promotions: i64,
    approved: i64,
    median_seconds: Option<f64>,
    p90_seconds: Option<f64>,
    rejected: i64,
    expired: i64,
    invalidated: i64,
    rolled_back: i64,
}

impl From<Counts> for PromotionCounts {
    fn from(row: Counts) -> Self {
        Self {
            promotions: row.promotions,
            approved: row.approved,
            median_seconds: row.median_seconds,
            p90_seconds: row.p90_seconds,
            rejected: row.rejected,
            expired: row.expired,
            invalidated: row.invalidated,
            rolled_back: row.rolled_back,
        }
    }
}

/// The same columns, counted of `t`: promotions of a period with the seconds until each was approved.
macro_rules! counted {
    ($columns:literal, $rest:literal) => {
        of_period!(
            ", taken as (
                 select r.*, extract(epoch from r.approved_at - r.created_at)::float8 as seconds
                 from recent r
             )
             select ",
            $columns,
            ", count(*) as promotions,
                 count(t.approved_at) as approved,
                 percentile_cont(0.5) within group (order by t.seconds) as median_seconds,
                 percentile_cont(0.9) within group (order by t.seconds) as p90_seconds,
                 count(*) filter (where t.state = 'rejected') as rejected,
                 count(*) filter (where t.state = 'expired') as expired,
                 count(*) filter (where t.state = 'invalidated') as invalidated,
                 count(*) filter (where t.state = 'rolled_back') as rolled_back
             from taken t ",
            $rest
        )
    };
}

/// By environment, in the order of promotion.
///
/// # Errors
/// When the statement fails.
pub async fn by_environment(
    conn: &mut PgConnection,
    sight: &Sight,
    period: &Period,
) -> Result<Vec<EnvironmentStatistics>> {
    #[derive(FromRow)]
    struct Row {
        environment: String,
        #[sqlx(flatten)]
        counts: Counts,
    }
    let rows: Vec<Row> = sqlx::query_as(counted!(
        "t.environment",
        "group by t.environment, t.position
         order by t.position, t.environment"
    ))
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(period.from)
    .bind(period.to)
    .bind(period.most)
    .fetch_all(conn)
    .await?;
    let statistics = |row: Row| EnvironmentStatistics { environment: row.environment, counts: row.counts.into() };
    Ok(rows.into_iter().map(statistics).collect())
}

/// By environment and policy.
///
/// # Errors
/// When the statement fails.
pub async fn by_policy(conn: &mut PgConnection, sight: &Sight, period: &Period) -> Result<Vec<PolicyStatistics>> {
    #[derive(FromRow)]
    struct Row {
        environment: String,
        policy: String,
        #[sqlx(flatten)]
        counts: Counts,
    }
    let rows: Vec<Row> = sqlx::query_as(counted!(
        "t.environment, o.name as policy",
        "join promotion_policies u on u.promotion_id = t.id
         join policies o on o.id = u.policy_id
         group by t.environment, o.name
         order by t.environment, o.name"
    ))
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(period.from)
    .bind(period.to)
    .bind(period.most)
    .fetch_all(conn)
    .await?;
    let statistics =
        |row: Row| PolicyStatistics { environment: row.environment, policy: row.policy, counts: row.counts.into() };
    Ok(rows.into_iter().map(statistics).collect())
}

/// By environment and rule: of the promotions that everybody asked approved, how many were rolled back later.
///
/// # Errors
/// When the statement fails.
pub async fn by_rule(conn: &mut PgConnection, sight: &Sight, period: &Period) -> Result<Vec<RuleStatistics>> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(of_period!(
        "select r.environment,
             rule.key,
             count(distinct r.id),
             count(distinct r.id) filter (where r.state = 'rolled_back')
         from recent r
         join decisions d on d.promotion_id = r.id and d.verdict = 'approve'
         cross join lateral unnest(d.rules) as rule (key)
         where r.approved_at is not null
         group by r.environment, rule.key
         order by r.environment, rule.key
         limit 1000"
    ))
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(period.from)
    .bind(period.to)
    .bind(period.most)
    .fetch_all(conn)
    .await?;
    let statistics =
        |(environment, rule, approved, rolled_back)| RuleStatistics { environment, rule, approved, rolled_back };
    Ok(rows.into_iter().map(statistics).collect())
}

/// Why people said no, the last first.
///
/// # Errors
/// When the statement fails.
pub async fn rejections(conn: &mut PgConnection, sight: &Sight, period: &Period, limit: i64) -> Result<Vec<Rejection>> {
    #[derive(FromRow)]
    struct Row {
        number: i64,
        model: String,
        version: i32,
        environment: String,
        by: String,
        comment: String,
        at: DateTime<Utc>,
    }
    let rows: Vec<Row> = sqlx::query_as(of_period!(
        "select r.number, m.name as model, v.version, r.environment, d.user_name as by, d.comment, d.at
         from recent r
         join decisions d on d.promotion_id = r.id and d.verdict = 'reject'
         join models m on m.id = r.model_id
         join model_versions v on v.id = r.model_version_id
         order by d.id desc
         limit $6"
    ))
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(period.from)
    .bind(period.to)
    .bind(period.most)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Rejection {
            number: row.number,
            model: row.model,
            version: row.version,
            environment: row.environment,
            by: row.by,
            comment: row.comment,
            at: row.at,
        })
        .collect())
}
