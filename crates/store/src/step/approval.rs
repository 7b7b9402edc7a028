//! Steps that wait for people. Their decisions are with all others.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{PipelineRunId, StepId, UserId, WorkspaceId},
    pipeline::ParamValue,
    step_approval::{ApprovalInput, ApprovalSpec, ApprovalState, StepApproval},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    step_id: StepId,
    workspace_id: WorkspaceId,
    run: i64,
    pipeline: String,
    step: String,
    description: String,
    asks: Json<ApprovalSpec>,
    params: Json<BTreeMap<String, ParamValue>>,
    inputs: Json<BTreeMap<String, ApprovalInput>>,
    digest: Digest,
    state: String,
    state_reason: String,
    requested_by: Option<UserId>,
    on_behalf_of: Option<UserId>,
    requester: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for StepApproval {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            step_id: row.step_id,
            workspace_id: row.workspace_id,
            run: row.run,
            pipeline: row.pipeline,
            step: row.step,
            description: row.description,
            asks: row.asks.0,
            params: row.params.0,
            inputs: row.inputs.0,
            digest: row.digest,
            state: ApprovalState::parse(&row.state)
                .ok_or_else(|| Error::unknown("state of an approval", &row.state))?,
            state_reason: row.state_reason,
            requested_by: row.requested_by,
            on_behalf_of: row.on_behalf_of,
            requester: row.requester,
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        })
    }
}

/// Approvals with the names of what they are of; `$rest` goes on after the joins.
macro_rules! select_approvals {
    ($rest:literal) => {
        concat!(
            "select a.step_id, a.workspace_id, r.number as run, p.name as pipeline, s.name as step, a.description, a.asks,
                 r.params, a.inputs, a.digest, a.state, a.state_reason, a.requested_by, a.on_behalf_of, a.requester,
                 a.created_at, a.expires_at, a.ended_at
             from step_approvals a
             join steps s on s.id = a.step_id
             join pipeline_runs r on r.id = a.run_id
             join pipelines p on p.id = r.pipeline_id
             ",
            $rest
        )
    };
}

/// Adds an approval.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, run: PipelineRunId, approval: &StepApproval) -> Result<()> {
    sqlx::query(
        "insert into step_approvals (step_id, run_id, workspace_id, description, asks, inputs, digest, state, state_reason,
             requested_by, on_behalf_of, requester, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(approval.step_id)
    .bind(run)
    .bind(approval.workspace_id)
    .bind(&approval.description)
    .bind(Json(&approval.asks))
    .bind(Json(&approval.inputs))
    .bind(&approval.digest)
    .bind(approval.state.as_str())
    .bind(&approval.state_reason)
    .bind(approval.requested_by)
    .bind(approval.on_behalf_of)
    .bind(&approval.requester)
    .bind(approval.created_at)
    .bind(approval.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The approval of a step of a run, by the step's name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, run: PipelineRunId, step: &str) -> Result<Option<StepApproval>> {
    let row: Option<Row> = sqlx::query_as(select_approvals!("where a.run_id = $1 and s.name = $2"))
        .bind(run)
        .bind(step)
        .fetch_optional(conn)
        .await?;
    row.map(StepApproval::try_from).transpose()
}

/// The approval of this step.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, step: StepId) -> Result<Option<StepApproval>> {
    let row: Option<Row> =
        sqlx::query_as(select_approvals!("where a.step_id = $1")).bind(step).fetch_optional(conn).await?;
    row.map(StepApproval::try_from).transpose()
}

/// Up to `limit` approvals of a workspace, those that were asked for last first, before `before` when given: those that are
/// open, or all.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    open: bool,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<StepApproval>> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(select_approvals!("where a.workspace_id = "));
    query.push_bind(workspace);
    if open {
        // A word of the statement and no parameter: any plan of it can go by the index of those that are open.
        query.push(" and a.state = 'awaiting_approval'");
    }
    if let Some(before) = before {
        query.push(" and a.created_at < ").push_bind(before);
    }
    query.push(" order by a.created_at desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(StepApproval::try_from).collect()
}

/// Up to `limit` open approvals of all workspaces whose time is over, the oldest first: step and run.
///
/// # Errors
/// When the statement fails.
pub async fn overdue(conn: &mut PgConnection, limit: i64) -> Result<Vec<(StepId, PipelineRunId)>> {
    Ok(sqlx::query_as(
        "select step_id, run_id
         from step_approvals
         where state = 'awaiting_approval' and expires_at <= clock_timestamp()
         order by expires_at
         limit $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Ends an open approval. Tells whether it was still open.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, step: StepId, state: ApprovalState, reason: &str) -> Result<bool> {
    let ended = sqlx::query(
        "update step_approvals
         set state = $2, state_reason = $3, ended_at = clock_timestamp()
         where step_id = $1 and state = 'awaiting_approval'",
    )
    .bind(step)
    .bind(state.as_str())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Ends the open approvals of a run, but for those that run in the end. Answers with their steps.
///
/// # Errors
/// When the statement fails.
pub async fn cancel(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<StepId>> {
    Ok(sqlx::query_scalar(
        "update step_approvals a
         set state = 'cancelled', state_reason = 'The run was cancelled.', ended_at = clock_timestamp()
         from steps s
         where a.run_id = $1 and a.state = 'awaiting_approval' and s.id = a.step_id and not s.finally
         returning a.step_id",
    )
    .bind(run)
    .fetch_all(conn)
    .await?)
}
