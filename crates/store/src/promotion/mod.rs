//! Promotions: where each stands, its gates, and the decisions on it.

mod candidate;
mod decision;
mod evidence;
mod gate;
mod lineage;
mod overriding;
mod replay;
mod statistics;

pub use candidate::{
    Candidate, EvaluationFile, candidate, candidate_by_number, commit_of_run, datasets_of_run, evaluation_of_run,
    metrics_of_run, tags_of_version,
};
pub use decision::{On, decisions, decisions_on, decisions_on_change, decisions_on_step, insert_decision};
pub use evidence::{evidence, insert_evidence};
pub use gate::{ask, gates, reset_gates, set_findings, set_findings_at, set_waiting};
pub use lineage::{
    RunPeople, author_of_run, image_of_run, people_behind, pipeline_reproduction_of_run, reproduction_of_run, uploaders,
};
pub use overriding::{
    insert_override, override_by_id, overrides, set_confirmed, set_reviewed, take_overdue, unreviewed,
};
pub use replay::{
    EndedReplay, TakenReplay, ask_replay, delete_examples_before, end_replay, end_replays_of_ended, replay,
    rest_replay, take_replay,
};
pub use statistics::{Period, by_environment, by_policy, by_rule, count_of_period, rejections};

use crate::{Error, Result, environment::push_seen};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    environment::Sight,
    id::{EnvironmentId, ModelId, ModelVersionId, PromotionId, UserId, WorkspaceId},
    promotion::{Promotion, PromotionState, Subject},
};
use sqlx::{FromRow, PgConnection, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: PromotionId,
    workspace_id: WorkspaceId,
    number: i64,
    model_version_id: ModelVersionId,
    model: String,
    version: i32,
    environment_id: EnvironmentId,
    environment: String,
    state: String,
    state_reason: String,
    requested_by: Option<UserId>,
    on_behalf_of: Option<UserId>,
    requester: String,
    comment: String,
    subject: Option<Json<Subject>>,
    subject_digest: Option<Digest>,
    expires_at: DateTime<Utc>,
    approved_at: Option<DateTime<Utc>>,
    again: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Promotion {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            number: row.number,
            model_version_id: row.model_version_id,
            model: row.model,
            version: row.version,
            environment_id: row.environment_id,
            environment: row.environment,
            state: PromotionState::parse(&row.state).ok_or_else(|| Error::unknown("promotion state", &row.state))?,
            state_reason: row.state_reason,
            requested_by: row.requested_by,
            on_behalf_of: row.on_behalf_of,
            requester: row.requester,
            comment: row.comment,
            subject: row.subject.map(|subject| subject.0),
            subject_digest: row.subject_digest,
            expires_at: row.expires_at,
            approved_at: row.approved_at,
            again: row.again,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Adds a promotion, with no gates yet.
///
/// # Errors
/// [`Error::Duplicate`] of `promotions_open` when one is open for the same version and environment.
pub async fn insert(conn: &mut PgConnection, promotion: &Promotion, model: ModelId) -> Result<()> {
    sqlx::query(
        "insert into promotions (id, workspace_id, number, model_version_id, model_id, environment_id, state,
             state_reason, requested_by, on_behalf_of, requester, comment, expires_at, again, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(promotion.id)
    .bind(promotion.workspace_id)
    .bind(promotion.number)
    .bind(promotion.model_version_id)
    .bind(model)
    .bind(promotion.environment_id)
    .bind(promotion.state.as_str())
    .bind(&promotion.state_reason)
    .bind(promotion.requested_by)
    .bind(promotion.on_behalf_of)
    .bind(&promotion.requester)
    .bind(&promotion.comment)
    .bind(promotion.expires_at)
    .bind(promotion.again)
    .bind(promotion.created_at)
    .bind(promotion.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The promotion of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, sight: &Sight, number: i64) -> Result<Option<Promotion>> {
    let mut query = selected();
    push_seen(&mut query, "p", sight);
    query.push(" and p.number = ").push_bind(number);
    one(query, conn).await
}

/// The promotion of this id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: PromotionId) -> Result<Option<Promotion>> {
    let mut query = selected();
    query.push(" where p.id = ").push_bind(id);
    one(query, conn).await
}

/// The promotion, which nobody else changes until the transaction ends. Its environment is locked before it, or not at
/// all.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: PromotionId) -> Result<Option<Promotion>> {
    let mut query = selected();
    query.push(" where p.id = ").push_bind(id).push(" for no key update of p");
    one(query, conn).await
}

/// The open promotion of a version into an environment.
///
/// # Errors
/// When the statement fails.
pub async fn open_of_version(
    conn: &mut PgConnection,
    version: ModelVersionId,
    environment: EnvironmentId,
) -> Result<Option<Promotion>> {
    let mut query = selected();
    query.push(" where p.model_version_id = ").push_bind(version);
    query.push(" and p.environment_id = ").push_bind(environment);
    query.push(OPEN);
    one(query, conn).await
}

/// The open promotions into an environment, of one model or of all, locked in one order for everybody.
///
/// # Errors
/// When the statement fails.
pub async fn lock_open(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    model: Option<ModelId>,
) -> Result<Vec<Promotion>> {
    let mut query = selected();
    query.push(" where p.environment_id = ").push_bind(environment);
    if let Some(model) = model {
        query.push(" and p.model_id = ").push_bind(model);
    }
    query.push(OPEN).push(" order by p.id for no key update of p");
    all(query, conn).await
}

/// The open promotions of a workspace, locked in one order for everybody.
///
/// # Errors
/// When the statement fails.
pub async fn lock_open_of_workspace(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Promotion>> {
    let mut query = selected();
    query.push(" where p.workspace_id = ").push_bind(workspace);
    query.push(OPEN).push(" order by p.id for no key update of p");
    all(query, conn).await
}

/// Which promotions are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these states; any when empty.
    pub states: Vec<PromotionState>,
    /// Of the model of this name.
    pub model: Option<String>,
    /// Of this version of it.
    pub version: Option<i32>,
    /// Into the environment of this name.
    pub environment: Option<String>,
}

/// Up to `limit` promotions of a workspace, newest first, those before the number `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Promotion>> {
    let mut query = selected();
    push_seen(&mut query, "p", sight);
    if !filter.states.is_empty() {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        query.push(" and p.state = any(").push_bind(states).push(")");
    }
    if let Some(model) = &filter.model {
        query.push(" and m.name = ").push_bind(model);
    }
    if let Some(version) = filter.version {
        query.push(" and v.version = ").push_bind(version);
    }
    if let Some(environment) = &filter.environment {
        query.push(" and e.name = ").push_bind(environment);
    }
    if let Some(before) = before {
        query.push(" and p.number < ").push_bind(before);
    }
    query.push(" order by p.number desc limit ").push_bind(limit);
    all(query, conn).await
}

/// The promotions that await approval and that this person has not decided on as they stand, oldest first. Whether they
/// may is not looked at.
///
/// # Errors
/// When the statement fails.
pub async fn undecided_by(conn: &mut PgConnection, sight: &Sight, user: UserId) -> Result<Vec<Promotion>> {
    let mut query = selected();
    push_seen(&mut query, "p", sight);
    query.push(" and p.state = 'awaiting_approval'");
    query.push(
        " and not exists (
              select from decisions d
              where d.promotion_id = p.id and d.subject_digest = p.subject_digest and d.user_id = ",
    );
    query.push_bind(user).push(") order by p.number limit 1000");
    all(query, conn).await
}

/// The open promotions in whose discussion somebody else mentioned this person who has neither commented on it nor decided
/// since, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn mentioning(conn: &mut PgConnection, sight: &Sight, user: UserId) -> Result<Vec<Promotion>> {
    let mut query = selected();
    push_seen(&mut query, "p", sight);
    query.push(OPEN);
    query.push(
        " and p.id in (
              select x.promotion_id
              from mentions x
              where not exists (
                      select from comments c
                      where c.object_kind = 'promotion' and c.object_id = x.promotion_id and c.author_id = x.user_id
                        and c.deleted_at is null and c.created_at > x.mentioned_at)
                and not exists (
                      select from decisions d
                      where d.promotion_id = x.promotion_id and d.user_id = x.user_id and d.at > x.mentioned_at)
                and x.user_id = ",
    );
    query.push_bind(user).push(") order by p.number limit 1000");
    all(query, conn).await
}

/// Up to `limit` promotions that wait for nobody: those after the promotion `after` first, oldest first, and then from
/// the beginning, so that whoever asks on from the last one comes round to each.
///
/// # Errors
/// When the statement fails.
pub async fn moving(conn: &mut PgConnection, after: Option<PromotionId>, limit: i64) -> Result<Vec<PromotionId>> {
    let ids = sqlx::query_scalar(
        "select id
         from promotions
         where state in ('gates_running', 'approved', 'scheduled', 'deploying', 'verifying')
            -- What is blocked waits for people, unless two of them set its gates aside.
            or state = 'blocked' and exists (
                select from overrides o where o.promotion_id = promotions.id and o.confirmed_at is not null
            )
         order by coalesce(id <= $1, false), id
         limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The promotions of a workspace whose gates wait for the checks of a version of a dataset.
///
/// # Errors
/// When the statement fails.
pub async fn waiting_for_checks(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<PromotionId>> {
    let ids = sqlx::query_scalar(
        "select p.id
         from promotions p
         where p.workspace_id = $1
           and p.state = 'gates_running'
           and exists (
               select
               from gates g
               where g.promotion_id = p.id and g.spec ->> 'kind' = 'dataset_checked' and g.verdict = 'pending')
         order by p.id",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Up to `limit` promotions that wait for people, whose subject may have changed meanwhile: in turn, as [`moving`] has
/// it.
///
/// # Errors
/// When the statement fails.
pub async fn awaiting(conn: &mut PgConnection, after: Option<PromotionId>, limit: i64) -> Result<Vec<PromotionId>> {
    let ids = sqlx::query_scalar(
        "select id
         from promotions
         where state = 'awaiting_approval'
         order by coalesce(id <= $1, false), id
         limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// How many promotions of a workspace await approval.
///
/// # Errors
/// When the statement fails.
pub async fn count_awaiting(conn: &mut PgConnection, sight: &Sight) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*)
         from promotions p
         join environments e on e.id = p.environment_id
         where p.workspace_id = $1 and p.state = 'awaiting_approval' and may_see_environment(e.visible_to, $2)",
    )
    .bind(sight.workspace())
    .bind(sight.roles())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// How many promotions await approval, by the name of the environment; environments without one count zero.
///
/// # Errors
/// When the statement fails.
pub async fn awaiting_by_environment(conn: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let counts = sqlx::query_as(
        "select e.name, count(p.id)
         from environments e
         left join promotions p on p.environment_id = e.id and p.state = 'awaiting_approval'
         group by e.name
         order by e.name",
    )
    .fetch_all(conn)
    .await?;
    Ok(counts)
}

/// Moves a promotion. Tells whether it was in the state that it is moved from.
///
/// # Errors
/// When the statement fails.
pub async fn set_state(
    conn: &mut PgConnection,
    id: PromotionId,
    from: PromotionState,
    to: PromotionState,
    reason: &str,
) -> Result<bool> {
    let moved = sqlx::query(
        "update promotions
         set state = $3, state_reason = $4, updated_at = clock_timestamp()
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

/// Says why a promotion stays in the state that it is in. Tells whether that is news.
///
/// # Errors
/// When the statement fails.
pub async fn set_reason(conn: &mut PgConnection, id: PromotionId, state: PromotionState, reason: &str) -> Result<bool> {
    let changed = sqlx::query(
        "update promotions
         set state_reason = $3
         where id = $1 and state = $2 and state_reason <> $3",
    )
    .bind(id)
    .bind(state.as_str())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Notes what people are to agree to; none while it is not known.
///
/// # Errors
/// When the statement fails.
pub async fn set_subject(conn: &mut PgConnection, id: PromotionId, subject: Option<(&Subject, &Digest)>) -> Result<()> {
    let (subject, digest) = subject.unzip();
    sqlx::query("update promotions set subject = $2, subject_digest = $3 where id = $1")
        .bind(id)
        .bind(subject.map(Json))
        .bind(digest)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes when everybody asked had agreed.
///
/// # Errors
/// When the statement fails.
pub async fn set_approved(conn: &mut PgConnection, id: PromotionId) -> Result<DateTime<Utc>> {
    let at =
        sqlx::query_scalar("update promotions set approved_at = clock_timestamp() where id = $1 returning approved_at")
            .bind(id)
            .fetch_one(conn)
            .await?;
    Ok(at)
}

/// Up to `limit` open promotions that have expired or will before `soon` and nobody was told yet.
///
/// # Errors
/// When the statement fails.
pub async fn expiring(conn: &mut PgConnection, soon: DateTime<Utc>, limit: i64) -> Result<Vec<Promotion>> {
    let mut query = selected();
    query.push(" where p.state in ('draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled')");
    query.push(" and p.expires_at < ").push_bind(soon);
    query.push(" and (p.warned_at is null or p.expires_at < clock_timestamp())");
    query.push(" order by p.expires_at limit ").push_bind(limit);
    all(query, conn).await
}

/// Notes that people were told that it expires soon. Tells whether they had not been.
///
/// # Errors
/// When the statement fails.
pub async fn set_warned(conn: &mut PgConnection, id: PromotionId) -> Result<bool> {
    let changed =
        sqlx::query("update promotions set warned_at = clock_timestamp() where id = $1 and warned_at is null")
            .bind(id)
            .execute(conn)
            .await?;
    Ok(changed.rows_affected() == 1)
}

const OPEN: &str = concat!(" and p.state in ", crate::open_promotion_states!());

fn selected() -> QueryBuilder<sqlx::Postgres> {
    QueryBuilder::new(
        "select p.id, p.workspace_id, p.number, p.model_version_id, m.name as model, v.version, p.environment_id,
             e.name as environment, p.state, p.state_reason, p.requested_by, p.on_behalf_of, p.requester, p.comment,
             p.subject, p.subject_digest, p.expires_at, p.approved_at, p.again, p.created_at, p.updated_at
         from promotions p
         join models m on m.id = p.model_id
         join model_versions v on v.id = p.model_version_id
         join environments e on e.id = p.environment_id",
    )
}

async fn one(mut query: QueryBuilder<sqlx::Postgres>, conn: &mut PgConnection) -> Result<Option<Promotion>> {
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(Promotion::try_from).transpose()
}

async fn all(mut query: QueryBuilder<sqlx::Postgres>, conn: &mut PgConnection) -> Result<Vec<Promotion>> {
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Promotion::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_in_sql_is_open_in_the_table_of_moves() {
        let open: Vec<String> = PromotionState::open().map(|state| format!("'{}'", state.as_str())).collect();
        assert_eq!(crate::open_promotion_states!(), format!("({})", open.join(", ")));
    }
}
