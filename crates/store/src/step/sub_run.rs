//! Steps that wait for a run of another pipeline.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineRunId, PipelineVersionId, StepId, WorkspaceId},
    pipeline::ParamValue,
    pipeline_run::PipelineRunState,
    step::StepOutput,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

/// Notes that a step is to run another pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, step: StepId, parent: PipelineRunId) -> Result<()> {
    sqlx::query("insert into sub_runs (step_id, parent_run_id) values ($1, $2) on conflict (step_id) do nothing")
        .bind(step)
        .bind(parent)
        .execute(conn)
        .await?;
    Ok(())
}

/// A step whose run is to be started, cancelled or looked at, with what is needed for that.
#[derive(Debug, Clone, FromRow)]
pub struct SubRun {
    /// The step.
    pub step_id: StepId,
    /// Its name in its run.
    pub step: String,
    /// Where it stands in the file.
    pub place: Vec<String>,
    /// What matrices and maps gave to this instance.
    #[sqlx(json)]
    pub items: BTreeMap<String, ParamValue>,
    /// The run that it is of.
    pub parent_run_id: PipelineRunId,
    /// That run's number.
    pub parent_number: i64,
    /// The version of that run's file.
    pub parent_version_id: PipelineVersionId,
    /// Where all that lives.
    pub workspace_id: WorkspaceId,
    /// The run that it waits for.
    pub child_run_id: Option<PipelineRunId>,
    /// How that run stands.
    pub child_state: Option<String>,
    /// Since when nobody wants it any more.
    pub cancel_at: Option<DateTime<Utc>>,
}

impl SubRun {
    /// How the run stands that it waits for.
    #[must_use]
    pub fn state(&self) -> Option<PipelineRunState> {
        self.child_state.as_deref().and_then(PipelineRunState::parse)
    }
}

/// What there is to know of a sub-run; `$rest` goes on after the joins.
macro_rules! select_sub_runs {
    ($rest:literal) => {
        concat!(
            "select x.step_id, s.name as step, s.place, s.items, x.parent_run_id, r.number as parent_number,
                 r.version_id as parent_version_id, r.workspace_id, x.child_run_id, c.state as child_state,
                 x.cancel_at
             from sub_runs x
             join steps s on s.id = x.step_id
             join pipeline_runs r on r.id = x.parent_run_id
             left join pipeline_runs c on c.id = x.child_run_id
             ",
            $rest
        )
    };
}

/// A sub-run that has something to do: to be started, to be cancelled, or to end its step. Whoever does it looks again under
/// the locks that it takes.
///
/// # Errors
/// When the statement fails.
pub async fn next(conn: &mut PgConnection) -> Result<Option<SubRun>> {
    Ok(sqlx::query_as(select_sub_runs!(
        "where x.ended_at is null
             and (x.child_run_id is null
                  or c.state in ('succeeded', 'failed', 'cancelled')
                  or (x.cancel_at is not null and c.cancel_requested_at is null))
         order by x.created_at
         limit 1"
    ))
    .fetch_optional(conn)
    .await?)
}

/// Holds a step that wants a run, until the transaction ends. Tells whether it still wants one and has none.
///
/// # Errors
/// When the statement fails.
pub async fn hold_unstarted(conn: &mut PgConnection, step: StepId) -> Result<bool> {
    let held = sqlx::query(
        "select
         from sub_runs
         where step_id = $1 and child_run_id is null and cancel_at is null and ended_at is null
         for no key update",
    )
    .bind(step)
    .execute(conn)
    .await?;
    Ok(held.rows_affected() == 1)
}

/// Notes which run a step waits for.
///
/// # Errors
/// When the statement fails.
pub async fn set_child(conn: &mut PgConnection, step: StepId, child: PipelineRunId) -> Result<()> {
    sqlx::query("update sub_runs set child_run_id = $2 where step_id = $1")
        .bind(step)
        .bind(child)
        .execute(conn)
        .await?;
    Ok(())
}

/// Nobody wants the sub-runs of a run any more, but for those of steps that run in the end. Tells how many there are.
///
/// # Errors
/// When the statement fails.
pub async fn cancel(conn: &mut PgConnection, parent: PipelineRunId) -> Result<u64> {
    let cancelled = sqlx::query(
        "update sub_runs x
         set cancel_at = clock_timestamp()
         from steps s
         where x.parent_run_id = $1 and x.ended_at is null and x.cancel_at is null and s.id = x.step_id and not s.finally",
    )
    .bind(parent)
    .execute(conn)
    .await?;
    Ok(cancelled.rows_affected())
}

/// Notes that the step has ended. Tells whether it had not.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, step: StepId) -> Result<bool> {
    let ended = sqlx::query("update sub_runs set ended_at = clock_timestamp() where step_id = $1 and ended_at is null")
        .bind(step)
        .execute(conn)
        .await?;
    Ok(ended.rows_affected() == 1)
}

/// The runs that steps of a run started, by the step's name; only that of one step, when given. Of a step that was carried
/// over it is the one that it started where it ran.
///
/// # Errors
/// When the statement fails.
pub async fn children(
    conn: &mut PgConnection,
    run: PipelineRunId,
    step: Option<&str>,
) -> Result<BTreeMap<String, PipelineRunId>> {
    let children: Vec<(String, PipelineRunId)> = sqlx::query_as(
        "select s.name, x.child_run_id
         from steps s
         left join pipeline_runs c on c.workspace_id = s.workspace_id and c.number = s.carried_from
         join steps o on o.run_id = coalesce(c.id, s.run_id) and o.name = s.name
         join sub_runs x on x.step_id = o.id
         where s.run_id = $1
             and s.kind = 'pipeline'
             and x.child_run_id is not null
             and ($2::text is null or s.name = $2)",
    )
    .bind(run)
    .bind(step)
    .fetch_all(conn)
    .await?;
    Ok(children.into_iter().collect())
}

/// What a step that ran another pipeline gives on.
///
/// # Errors
/// When the statement fails.
pub async fn set_outputs(conn: &mut PgConnection, step: StepId, outputs: &[StepOutput]) -> Result<()> {
    sqlx::query("update steps set outputs = $2 where id = $1").bind(step).bind(Json(outputs)).execute(conn).await?;
    Ok(())
}

/// The names of the pipelines of a run and of those that it is a part of, from the inside to the outside.
///
/// # Errors
/// When the statement fails.
pub async fn pipelines_around(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "with recursive around as (
             select $1::uuid as run_id, 0 as depth
             union all
             select x.parent_run_id, a.depth + 1
             from around a
             join sub_runs x on x.child_run_id = a.run_id
             where a.depth < 100
         )
         select p.name
         from around a
         join pipeline_runs r on r.id = a.run_id
         join pipelines p on p.id = r.pipeline_id
         order by a.depth",
    )
    .bind(run)
    .fetch_all(conn)
    .await?)
}
