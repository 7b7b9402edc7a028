//! Steps of pipeline runs: what waits for what, and how they stand. Who holds a step is in [`lease`], its tries are in
//! [`attempt`], what follows when steps end is in [`progress`], and how many may run at once in [`limit`].

pub mod adopt;
pub mod approval;
pub mod attempt;
pub mod cache;
mod carry;
pub mod claim;
pub mod lease;
pub mod limit;
pub mod notebook;
pub mod pin;
pub mod progress;
pub mod record;
pub mod sample;
pub mod sub_run;
pub mod tracked;

pub use carry::carry;

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineRunId, PipelineVersionId, StepId, WorkspaceId},
    pipeline::{ExecutorKind, ParamValue, Priority, Retries, TriggerRule},
    pipeline_run::{StepCache, StepState},
    step::{InnerSteps, Step, StepKind, StepOutput},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeMap, BTreeSet};

/// The topic under which all workers are told that there may be steps to take. A wake-up comes to one of them only.
pub const READY: &str = "steps";

/// So many steps at once change what the database knows of them.
const MANY: usize = 1000;

/// A step to be stored. It waits.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// The step.
    pub id: StepId,
    /// Its name in the run.
    pub name: String,
    /// What it is.
    pub kind: StepKind,
    /// Where it stands in the pipeline's file.
    pub place: Vec<String>,
    /// The step that it is inside of, or an instance of.
    pub parent: Option<StepId>,
    /// What matrices and maps gave to this instance.
    pub items: BTreeMap<String, ParamValue>,
    /// Which workers may run it.
    pub pool: String,
    /// Where it runs.
    pub executor: ExecutorKind,
    /// Which steps go first.
    pub priority: Priority,
    /// How many steps it waits for.
    pub needs: usize,
    /// What must have become of these.
    pub trigger_rule: TriggerRule,
    /// Whether it runs when all others have ended.
    pub finally: bool,
    /// Whether it has a condition.
    pub has_condition: bool,
    /// How many tries it may have when its command fails.
    pub max_attempts: u32,
    /// Keys of the limits that count it while it runs.
    pub limits: Vec<String>,
    /// How many graphics processors its worker gives it.
    pub gpus: i16,
    /// The limit that it waits for from the beginning.
    pub blocked_by: Option<String>,
}

/// Adds steps to a run, in this order after those that it has, and what they wait for: (needed, needing).
///
/// # Errors
/// When a statement fails.
pub async fn insert(
    conn: &mut PgConnection,
    run: PipelineRunId,
    workspace: WorkspaceId,
    steps: &[NewStep],
    edges: &[(StepId, StepId)],
) -> Result<()> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into steps (id, run_id, workspace_id, position, name, kind, place, parent_id, items, pool, executor,
             priority, needs_left, trigger_rule, finally, has_condition, max_attempts, limits, blocked_by, gpus,
             state)
         select id, $1, $2, before.steps + position, name, kind, array(select jsonb_array_elements_text(place)), parent,
             items, pool, executor, priority, needs, rule, finally, has_condition, max_attempts,
             array(select jsonb_array_elements_text(limits)), blocked_by, gpus, 'waiting'
         from (select coalesce(max(position) + 1, 0) as steps from steps where run_id = $1) as before,
             unnest($3::uuid[], $4::integer[], $5::text[], $6::text[], $7::jsonb[], $8::uuid[], $9::jsonb[], $10::text[],
                 $11::text[], $12::smallint[], $13::integer[], $14::text[], $15::boolean[], $16::boolean[],
                 $17::integer[], $18::jsonb[], $19::text[], $20::smallint[])
                 as new (id, position, name, kind, place, parent, items, pool, executor, priority, needs, rule, finally,
                     has_condition, max_attempts, limits, blocked_by, gpus)",
    )
    .bind(run)
    .bind(workspace)
    .bind(steps.iter().map(|step| step.id.0).collect::<Vec<_>>())
    .bind((0..count(steps.len())).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.kind.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| Json(&step.place)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.parent.map(|id| id.0)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| Json(&step.items)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.pool.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.executor.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.priority.rank()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| count(step.needs)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.trigger_rule.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.finally).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.has_condition).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| i32::try_from(step.max_attempts).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| Json(&step.limits)).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.blocked_by.as_deref()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.gpus).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    if !edges.is_empty() {
        let (parents, children): (Vec<_>, Vec<_>) = edges.iter().map(|(parent, child)| (parent.0, child.0)).unzip();
        sqlx::query("insert into step_edges (parent_id, child_id) select * from unnest($1::uuid[], $2::uuid[])")
            .bind(parents)
            .bind(children)
            .execute(&mut *conn)
            .await?;
    }
    if steps.len() >= MANY {
        // Statements that were planned when there were few steps read all of them each time, until somebody has counted;
        // the database does so by itself within a minute. Unless it is at it now.
        sqlx::query("analyze (skip_locked) steps").execute(&mut *conn).await?;
    }
    progress::added(conn, run, steps).await
}

#[derive(FromRow)]
struct Row {
    id: StepId,
    name: String,
    kind: String,
    parent: Option<String>,
    items: Json<BTreeMap<String, ParamValue>>,
    state: String,
    reason: String,
    needs: Vec<String>,
    attempts: i32,
    max_attempts: i32,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    outputs: Json<Vec<StepOutput>>,
    blocked_by: Option<String>,
    inner_total: i64,
    inner_open: i64,
    inner_running: i64,
    inner_failed: i64,
    carried_from: Option<i64>,
    sub_run: Option<i64>,
    cache: Option<Json<StepCache>>,
}

impl TryFrom<Row> for Step {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let kind = StepKind::parse(&row.kind).ok_or_else(|| Error::unknown("step kind", &row.kind))?;
        let inner = InnerSteps {
            total: row.inner_total,
            open: row.inner_open,
            running: row.inner_running,
            failed: row.inner_failed,
        };
        Ok(Self {
            id: row.id,
            name: row.name,
            kind,
            parent: row.parent,
            items: row.items.0,
            state: state(&row.state)?,
            reason: row.reason,
            needs: row.needs,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            started_at: row.started_at,
            ended_at: row.ended_at,
            outputs: row.outputs.0,
            inner: kind.is_outer().then_some(inner),
            blocked_by: row.blocked_by,
            carried_from: row.carried_from,
            sub_run: row.sub_run,
            cache: row.cache.map(|cache| cache.0),
        })
    }
}

/// Steps with their names; `$rest` goes on after the joins.
macro_rules! select_steps {
    ($rest:literal) => {
        concat!(
            "select s.id, s.position, s.name, s.kind, o.name as parent, s.items, s.state, s.reason, s.attempts, s.max_attempts,
                 s.started_at, s.ended_at, s.outputs, s.carried_from, s.cache,
                 (select c.number
                  from sub_runs x
                  join pipeline_runs c on c.id = x.child_run_id
                  where x.step_id = s.id) as sub_run,
                 (select coalesce(l.kind || ' ' || l.name, ",
            limit::awaited_check!(),
            ", s.blocked_by)
                  from (select) as one
                  left join limits l on l.key = s.blocked_by) as blocked_by,
                 inside.total as inner_total, inside.open as inner_open, inside.running as inner_running,
                 inside.failed as inner_failed,
                 array(
                  select p.name
                  from step_edges e
                  join steps p on p.id = e.parent_id
                  where e.child_id = s.id
                  order by p.position) as needs
             from steps s
             left join steps o on o.id = s.parent_id
             cross join lateral (
                 select count(*) as total,
                     count(*) filter (where i.state in ('waiting', 'ready', 'running')) as open,
                     count(*) filter (where i.state = 'running') as running,
                     count(*) filter (where i.state = 'failed') as failed
                 from steps i
                 where s.kind in ('steps', 'many') and i.parent_id = s.id) as inside
             ",
            $rest
        )
    };
}

/// The steps of a run at the top, each after those that it needs.
///
/// # Errors
/// When the statement fails.
pub async fn top(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<Step>> {
    let rows: Vec<Row> =
        sqlx::query_as(select_steps!("where s.run_id = $1 and s.parent_id is null order by s.position"))
            .bind(run)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(Step::try_from).collect()
}

/// Which steps a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Those directly inside of the step of this name.
    pub parent: Option<&'a str>,
    /// In this state.
    pub state: Option<StepState>,
    /// Only what has no steps inside of it.
    pub commands: bool,
}

/// Up to `limit` steps of a run in their order, after the position `after`, each with its position.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    run: PipelineRunId,
    filter: &Filter<'_>,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<(i32, Step)>> {
    #[derive(FromRow)]
    struct Listed {
        position: i32,
        #[sqlx(flatten)]
        step: Row,
    }
    let statement = match filter.parent {
        // Those inside of one step are an index of their own, in their order.
        Some(_) => select_steps!(
            "where s.parent_id = (select named.id from steps named where named.run_id = $1 and named.name = $3)
                 and s.position > $2
                 and ($4::text is null or s.state = $4)
                 and (not $5 or s.kind not in ('steps', 'many'))
             order by s.position
             limit $6"
        ),
        None => select_steps!(
            "where s.run_id = $1
                 and s.position > $2
                 and $3::text is null
                 and ($4::text is null or s.state = $4)
                 and (not $5 or s.kind not in ('steps', 'many'))
             order by s.position
             limit $6"
        ),
    };
    let rows: Vec<Listed> = sqlx::query_as(statement)
        .bind(run)
        .bind(after.unwrap_or(-1))
        .bind(filter.parent)
        .bind(filter.state.map(StepState::as_str))
        .bind(filter.commands)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.position, row.step.try_into()?))).collect()
}

/// The step of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, run: PipelineRunId, name: &str) -> Result<Option<Step>> {
    let row: Option<Row> = sqlx::query_as(select_steps!("where s.run_id = $1 and s.name = $2"))
        .bind(run)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.map(Step::try_from).transpose()
}

/// The name of a step.
///
/// # Errors
/// When the statement fails.
pub async fn name(conn: &mut PgConnection, step: StepId) -> Result<String> {
    Ok(sqlx::query_scalar("select name from steps where id = $1").bind(step).fetch_one(conn).await?)
}

pub(crate) fn executor(name: &str) -> Result<ExecutorKind> {
    ExecutorKind::parse(name).ok_or_else(|| Error::unknown("executor", name))
}

fn state(name: &str) -> Result<StepState> {
    StepState::parse(name).ok_or_else(|| Error::unknown("step state", name))
}

/// What the steps of these names gave on, and whatever is inside of them, by name; nothing of those that did not succeed.
///
/// # Errors
/// When the statement fails.
pub async fn outputs(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &BTreeSet<String>,
) -> Result<Vec<(String, Vec<StepOutput>)>> {
    let rows: Vec<(String, Json<Vec<StepOutput>>)> = sqlx::query_as(
        "select s.name, s.outputs
         from steps s
         where s.run_id = $1
             and s.state = 'succeeded'
             and (s.name = any($2)
                 or exists (
                  select
                  from unnest($2::text[]) as asked (name)
                  where starts_with(s.name, asked.name || '.') or starts_with(s.name, asked.name || '/')))
         order by s.position",
    )
    .bind(run)
    .bind(steps.iter().map(String::as_str).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(name, outputs)| (name, outputs.0)).collect())
}

/// The states of these steps, by name.
///
/// # Errors
/// When the statement fails.
pub async fn states(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &BTreeSet<String>,
) -> Result<BTreeMap<String, StepState>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select name, state from steps where run_id = $1 and name = any($2)")
            .bind(run)
            .bind(steps.iter().map(String::as_str).collect::<Vec<_>>())
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(|(name, known)| Ok((name, state(&known)?))).collect()
}

/// How often the step at this place of a pipeline's file is tried again.
///
/// # Errors
/// When the statement fails.
pub async fn retries(conn: &mut PgConnection, version: PipelineVersionId, place: &[String]) -> Result<Retries> {
    let path: Vec<&str> = place.iter().flat_map(|name| ["steps", name.as_str()]).chain(["retries"]).collect();
    let retries: Option<Json<Retries>> = sqlx::query_scalar("select spec #> $2 from pipeline_versions where id = $1")
        .bind(version)
        .bind(path)
        .fetch_one(conn)
        .await?;
    Ok(retries.map(|retries| retries.0).unwrap_or_default())
}

/// Names of up to `limit` steps of a run that failed, with the reasons, the first of the file first.
///
/// # Errors
/// When the statement fails.
pub async fn failed(conn: &mut PgConnection, run: PipelineRunId, limit: i64) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query_as(
        "select name, reason
         from steps
         where run_id = $1 and state = 'failed' and kind not in ('steps', 'many')
         order by position
         limit $2",
    )
    .bind(run)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// How many steps wait for a worker, by pool.
///
/// # Errors
/// When the statement fails.
pub async fn waiting_by_pool(conn: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query_as(
        "select pool, count(*)
         from (
             select pool from steps where state = 'ready' and blocked_by is null and next_at <= now()
             union all
             select pool from steps where state = 'ready' and blocked_by is not null and next_at <= now()) as waiting
         group by pool",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
