//! Steps of pipeline runs: what waits for what, and how they stand. Who holds a step is in [`lease`], its tries are in
//! [`attempt`].

pub mod attempt;
mod carry;
pub mod lease;

pub use carry::carry;

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineRunId, StepId},
    pipeline::{Graph, Retries},
    pipeline_run::StepState,
    step::{Step, StepOutput},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeMap, BTreeSet};

/// A step to be stored.
#[derive(Debug)]
pub struct NewStep<'a> {
    /// The step.
    pub id: StepId,
    /// Its name in the pipeline's file.
    pub name: &'a str,
    /// Which workers may run it.
    pub pool: &'a str,
    /// How many steps it waits for. Without any it is ready at once.
    pub needs: usize,
    /// How many tries it may have when its command fails.
    pub max_attempts: u32,
}

/// Adds the steps of a run, in this order, and what they wait for: (needed, needing).
///
/// # Errors
/// When a statement fails.
pub async fn insert(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &[NewStep<'_>],
    edges: &[(StepId, StepId)],
) -> Result<()> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into steps (id, run_id, position, name, pool, needs_left, max_attempts, state)
         select id, $1, position, name, pool, needs, max_attempts, case when needs = 0 then 'ready' else 'waiting' end
         from unnest($2::uuid[], $3::integer[], $4::text[], $5::text[], $6::integer[], $7::integer[])
             as new (id, position, name, pool, needs, max_attempts)",
    )
    .bind(run)
    .bind(steps.iter().map(|step| step.id.0).collect::<Vec<_>>())
    .bind((0..count(steps.len())).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.name).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.pool).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| count(step.needs)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| i32::try_from(step.max_attempts).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    let (parents, children): (Vec<_>, Vec<_>) = edges.iter().map(|(parent, child)| (parent.0, child.0)).unzip();
    sqlx::query("insert into step_edges (parent_id, child_id) select * from unnest($1::uuid[], $2::uuid[])")
        .bind(parents)
        .bind(children)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    id: StepId,
    name: String,
    state: String,
    reason: String,
    needs: Vec<String>,
    attempts: i32,
    max_attempts: i32,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    outputs: Json<Vec<StepOutput>>,
    carried_from: Option<i64>,
}

/// The steps of a run, each after those that it needs.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<Step>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select s.id, s.name, s.state, s.reason, s.attempts, s.max_attempts, s.started_at, s.ended_at, s.outputs,
             s.carried_from,
             array(
              select p.name
              from step_edges e
              join steps p on p.id = e.parent_id
              where e.child_id = s.id
              order by p.position) as needs
         from steps s
         where s.run_id = $1
         order by s.position",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Step {
                id: row.id,
                name: row.name,
                state: state(&row.state)?,
                reason: row.reason,
                needs: row.needs,
                attempts: row.attempts,
                max_attempts: row.max_attempts,
                started_at: row.started_at,
                ended_at: row.ended_at,
                outputs: row.outputs.0,
                carried_from: row.carried_from,
            })
        })
        .collect()
}

fn state(name: &str) -> Result<StepState> {
    StepState::parse(name).ok_or_else(|| Error::unknown("step state", name))
}

/// What waits for what in a run, and how its steps stand, by name.
#[derive(Debug)]
pub struct Shape {
    /// What waits for what.
    pub graph: Graph,
    /// How the steps stand.
    pub states: BTreeMap<String, StepState>,
}

/// The shape of a run that is locked.
///
/// # Errors
/// When the statement fails.
pub async fn shape(conn: &mut PgConnection, run: PipelineRunId) -> Result<Shape> {
    let steps = list(conn, run).await?;
    let needs: BTreeMap<String, BTreeSet<String>> =
        steps.iter().map(|step| (step.name.clone(), step.needs.iter().cloned().collect())).collect();
    Ok(Shape { graph: Graph::new(needs), states: steps.into_iter().map(|step| (step.name, step.state)).collect() })
}

/// The different states that steps of a run have.
///
/// # Errors
/// When the statement fails.
pub async fn states(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<StepState>> {
    let names: Vec<String> =
        sqlx::query_scalar("select distinct state from steps where run_id = $1").bind(run).fetch_all(conn).await?;
    names.iter().map(|name| state(name)).collect()
}

/// A move of a step that no worker holds.
#[derive(Debug)]
pub struct Move<'a> {
    /// Which step.
    pub name: &'a str,
    /// Where it goes.
    pub to: StepState,
    /// Why, when that needs a word.
    pub reason: String,
}

/// Moves steps of a run that is locked. Steps that a worker holds, perhaps only since a moment ago, stay as they are.
/// Answers with the pools of those that are ready now.
///
/// # Errors
/// When the statement fails.
pub async fn apply(conn: &mut PgConnection, run: PipelineRunId, moves: &[Move<'_>]) -> Result<BTreeSet<String>> {
    let moved: Vec<(String, String)> = sqlx::query_as(
        "update steps s
         set state = moved.state,
             reason = moved.reason,
             next_at = clock_timestamp(),
             needs_left = case when moved.state = 'ready' then 0 else s.needs_left end,
             ended_at = case when moved.is_final then clock_timestamp() end
         from unnest($2::text[], $3::text[], $4::text[], $5::boolean[]) as moved (name, state, reason, is_final)
         where s.run_id = $1 and s.name = moved.name and s.state in ('waiting', 'ready')
         returning s.pool, s.state",
    )
    .bind(run)
    .bind(moves.iter().map(|step| step.name).collect::<Vec<_>>())
    .bind(moves.iter().map(|step| step.to.as_str()).collect::<Vec<_>>())
    .bind(moves.iter().map(|step| step.reason.as_str()).collect::<Vec<_>>())
    .bind(moves.iter().map(|step| step.to.is_final()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(moved.into_iter().filter(|(_, state)| state == StepState::Ready.as_str()).map(|(pool, _)| pool).collect())
}

/// A step has succeeded: those that wait for it wait for one less, and are ready when that was the last. Answers with
/// the pools of those that are ready now.
///
/// # Errors
/// When the statement fails.
pub async fn release_children(conn: &mut PgConnection, parent: StepId) -> Result<BTreeSet<String>> {
    let released: Vec<(String, String)> = sqlx::query_as(
        "update steps s
         set needs_left = s.needs_left - 1,
             state = case when s.needs_left = 1 then 'ready' else s.state end,
             next_at = case when s.needs_left = 1 then clock_timestamp() else s.next_at end
         from step_edges e
         where e.parent_id = $1 and s.id = e.child_id and s.state = 'waiting'
         returning s.pool, s.state",
    )
    .bind(parent)
    .fetch_all(conn)
    .await?;
    Ok(released.into_iter().filter(|(_, state)| state == StepState::Ready.as_str()).map(|(pool, _)| pool).collect())
}

/// The outputs of a run's steps, by the step's name; only of steps that have succeeded.
///
/// # Errors
/// When the statement fails.
pub async fn outputs(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &[&str],
) -> Result<BTreeMap<String, Vec<StepOutput>>> {
    let rows: Vec<(String, Json<Vec<StepOutput>>)> = sqlx::query_as(
        "select name, outputs
         from steps
         where run_id = $1 and name = any($2) and state = 'succeeded'",
    )
    .bind(run)
    .bind(steps)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(name, outputs)| (name, outputs.0)).collect())
}

/// How often a step is tried again, as its pipeline's file says.
///
/// # Errors
/// When the statement fails.
pub async fn retries(conn: &mut PgConnection, step: StepId) -> Result<Retries> {
    let retries: Option<Json<Retries>> = sqlx::query_scalar(
        "select v.spec -> 'steps' -> s.name -> 'retries'
         from steps s
         join pipeline_runs r on r.id = s.run_id
         join pipeline_versions v on v.id = r.version_id
         where s.id = $1",
    )
    .bind(step)
    .fetch_one(conn)
    .await?;
    Ok(retries.map(|retries| retries.0).unwrap_or_default())
}

/// How many steps wait for a worker, by pool.
///
/// # Errors
/// When the statement fails.
pub async fn waiting_by_pool(conn: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query_as(
        "select pool, count(*)
         from steps
         where state = 'ready' and next_at <= now()
         group by pool",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
