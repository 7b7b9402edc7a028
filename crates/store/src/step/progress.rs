//! What follows when steps end: those that wait for them, those that they are inside of, and the run. Each function is one
//! statement for any number of steps, under the lock of the run.

use super::{NewStep, READY, state};
use crate::{Error, Result, event};
use domain::{
    id::{PipelineRunId, StepId},
    pipeline::{ParamValue, TriggerRule},
    pipeline_run::{StepCounts, StepState},
    step::StepKind,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// Counts steps that were added to a run.
pub(super) async fn added(conn: &mut PgConnection, run: PipelineRunId, steps: &[NewStep]) -> Result<()> {
    let count =
        |which: &dyn Fn(&&NewStep) -> bool| i32::try_from(steps.iter().filter(which).count()).unwrap_or(i32::MAX);
    sqlx::query(
        "update pipeline_runs
         set top_open = top_open + $2, finally_open = finally_open + $3, steps_total = steps_total + $4
         where id = $1",
    )
    .bind(run)
    .bind(count(&|step| step.parent.is_none() && !step.finally))
    .bind(count(&|step| step.parent.is_none() && step.finally))
    .bind(count(&|step| !step.kind.is_outer()))
    .execute(conn)
    .await?;
    Ok(())
}

/// A step that waits, as far as its turn is concerned.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The step.
    pub id: StepId,
    /// Its name in the run.
    pub name: String,
    /// What it is.
    pub kind: StepKind,
    /// Where it stands in the file.
    pub place: Vec<String>,
    /// What matrices and maps gave to this instance.
    pub items: BTreeMap<String, ParamValue>,
    /// How many steps it still waits for.
    pub needs_left: i32,
    /// What must have become of these.
    pub trigger_rule: TriggerRule,
    /// Whether it runs when all others have ended.
    pub finally: bool,
    /// Whether it has a condition.
    pub has_condition: bool,
    /// A step that it needs that has ended without success, and how.
    pub lost: Option<(String, StepState)>,
}

impl Waiting {
    /// Whether it is at the top of its run, neither inside of a step nor an instance of one.
    #[must_use]
    pub fn is_top(&self) -> bool {
        self.place == [self.name.as_str()]
    }
}

impl From<NewStep> for Waiting {
    fn from(step: NewStep) -> Self {
        Self {
            id: step.id,
            name: step.name,
            kind: step.kind,
            place: step.place,
            items: step.items,
            needs_left: i32::try_from(step.needs).unwrap_or(i32::MAX),
            trigger_rule: step.trigger_rule,
            finally: step.finally,
            has_condition: step.has_condition,
            lost: None,
        }
    }
}

#[derive(FromRow)]
struct WaitingRow {
    id: StepId,
    name: String,
    kind: String,
    place: Vec<String>,
    items: Json<BTreeMap<String, ParamValue>>,
    needs_left: i32,
    trigger_rule: String,
    finally: bool,
    has_condition: bool,
    lost_name: Option<String>,
    lost_state: Option<String>,
}

impl TryFrom<WaitingRow> for Waiting {
    type Error = Error;

    fn try_from(row: WaitingRow) -> Result<Self> {
        let lost = row.lost_name.zip(row.lost_state).map(|(name, known)| Ok::<_, Error>((name, state(&known)?)));
        Ok(Self {
            id: row.id,
            kind: StepKind::parse(&row.kind).ok_or_else(|| Error::unknown("step kind", &row.kind))?,
            name: row.name,
            place: row.place,
            items: row.items.0,
            needs_left: row.needs_left,
            trigger_rule: TriggerRule::parse(&row.trigger_rule)
                .ok_or_else(|| Error::unknown("trigger rule", &row.trigger_rule))?,
            finally: row.finally,
            has_condition: row.has_condition,
            lost: lost.transpose()?,
        })
    }
}

/// These steps have ended: whatever waits for them waits for so many less. Answers with these.
///
/// # Errors
/// When the statement fails.
pub async fn count_down(conn: &mut PgConnection, ended: &[StepId]) -> Result<Vec<Waiting>> {
    let rows: Vec<WaitingRow> = sqlx::query_as(
        "update steps s
         set needs_left = s.needs_left - before.ended
         from (
             select e.child_id,
                 count(*)::integer as ended,
                 -- One that runs in the end takes no notice of what became of the others.
                 (array_agg(p.name order by p.position) filter (where p.state <> 'succeeded' and (p.finally or not c.finally)))[1]
                     as lost_name,
                 (array_agg(p.state order by p.position) filter (where p.state <> 'succeeded' and (p.finally or not c.finally)))[1]
                     as lost_state
             from steps p
             join step_edges e on e.parent_id = p.id
             join steps c on c.id = e.child_id
             where p.id = any($1)
             group by e.child_id) as before
         where s.id = before.child_id and s.state = 'waiting'
         returning s.id, s.name, s.kind, s.place, s.items, s.needs_left, s.trigger_rule, s.finally, s.has_condition,
             before.lost_name, before.lost_state",
    )
    .bind(ended.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Waiting::try_from).collect()
}

/// Waiting steps of a run that wait for nothing any more.
///
/// # Errors
/// When the statement fails.
pub async fn due(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<Waiting>> {
    let rows: Vec<WaitingRow> = sqlx::query_as(
        "select id, name, kind, place, items, needs_left, trigger_rule, finally, has_condition, null as lost_name,
             null as lost_state
         from steps
         where run_id = $1 and state = 'waiting' and needs_left <= 0
         order by position",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Waiting::try_from).collect()
}

/// A step that others are inside of, after some of these have ended.
#[derive(Debug, Clone)]
pub struct Outer {
    /// The step.
    pub id: StepId,
    /// How those inside of it stand.
    pub inner: StepCounts,
}

/// These steps have ended: the steps that they are inside of count them.
///
/// # Errors
/// When the statement fails.
pub async fn count_outer(conn: &mut PgConnection, ended: &[StepId]) -> Result<Vec<Outer>> {
    let rows: Vec<(StepId, i32, i32, i32)> = sqlx::query_as(
        "update steps s
         set inner_open = s.inner_open - inside.ended,
             inner_failed = s.inner_failed + inside.failed,
             inner_cancelled = s.inner_cancelled + inside.cancelled
         from (
             select parent_id,
                 count(*)::integer as ended,
                 (count(*) filter (where state = 'failed'))::integer as failed,
                 (count(*) filter (where state = 'cancelled'))::integer as cancelled
             from steps
             where id = any($1) and parent_id is not null
             group by parent_id) as inside
         where s.id = inside.parent_id
         returning s.id, s.inner_open, s.inner_failed, s.inner_cancelled",
    )
    .bind(ended.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let outer = |(id, open, failed, cancelled): (StepId, i32, i32, i32)| Outer {
        id,
        inner: StepCounts { open: positive(open), failed: positive(failed), cancelled: positive(cancelled) },
    };
    Ok(rows.into_iter().map(outer).collect())
}

/// How the steps of a run stand at the top.
#[derive(Debug, Clone, Copy)]
pub struct Top {
    /// Those that run in the end among them.
    pub all: StepCounts,
    /// Of those that do not run in the end: how many have not ended.
    pub open: u32,
    /// Whether others wait for a step that was counted, and [`count_down`] has something to do.
    pub is_awaited: bool,
    /// Whether a step that was counted is inside of another, and [`count_outer`] has something to do.
    pub is_inside: bool,
}

/// These steps have ended: the run counts them, and pages of the run are told.
///
/// # Errors
/// When the statement fails.
pub async fn count_run(conn: &mut PgConnection, run: PipelineRunId, ended: &[StepId]) -> Result<Top> {
    let (open, finally, failed, cancelled, is_awaited, is_inside): (i32, i32, i32, i32, bool, bool) = sqlx::query_as(
        "update pipeline_runs r
         set top_open = r.top_open - counted.top,
             finally_open = r.finally_open - counted.finally,
             top_failed = r.top_failed + counted.failed,
             top_cancelled = r.top_cancelled + counted.cancelled,
             steps_ended = r.steps_ended + counted.commands
         from (
             select (count(*) filter (where parent_id is null and not finally))::integer as top,
                 (count(*) filter (where parent_id is null and finally))::integer as finally,
                 (count(*) filter (where parent_id is null and state = 'failed'))::integer as failed,
                 (count(*) filter (where parent_id is null and state = 'cancelled'))::integer as cancelled,
                 (count(*) filter (where kind not in ('steps', 'many')))::integer as commands,
                 count(parent_id) > 0 as is_inside
             from steps
             where id = any($2)) as counted
         where r.id = $1
         returning r.top_open, r.finally_open, r.top_failed, r.top_cancelled,
             exists (select from step_edges e where e.parent_id = any($2)), counted.is_inside,
             pg_notify($3, $4)",
    )
    .bind(run)
    .bind(ended.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(event::PAGES)
    .bind(event::of_run(run))
    .fetch_one(conn)
    .await?;
    let all = StepCounts {
        open: positive(open) + positive(finally),
        failed: positive(failed),
        cancelled: positive(cancelled),
    };
    Ok(Top { all, open: positive(open), is_awaited, is_inside })
}

/// A step that a worker may take.
#[derive(Debug, Clone, FromRow)]
pub struct Ready {
    /// Which.
    pub id: StepId,
    /// Which workers may run it.
    pub pool: String,
    /// Where it runs.
    pub executor: String,
    /// Whether it wants graphics processors.
    pub wants_gpus: bool,
}

/// Waiting steps that become ready. Answers with those that a worker may take.
///
/// # Errors
/// When the statement fails.
pub async fn make_ready(conn: &mut PgConnection, steps: &[StepId]) -> Result<Vec<Ready>> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        ready: Ready,
        is_free: bool,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "update steps
         set state = 'ready', needs_left = 0, next_at = clock_timestamp()
         where id = any($1) and state = 'waiting'
         returning id, pool, executor, gpus > 0 as wants_gpus, blocked_by is null as is_free",
    )
    .bind(steps.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let free: Vec<Ready> = rows.into_iter().filter(|row| row.is_free).map(|row| row.ready).collect();
    if free.iter().any(|step| step.wants_gpus) {
        // The one worker of the pool that is woken may have none.
        event::notify_workers(conn, READY).await?;
    }
    Ok(free)
}

/// A waiting step that has so many steps inside of it runs from now on.
///
/// # Errors
/// When the statement fails.
pub async fn open_outer(conn: &mut PgConnection, step: StepId, inner: usize) -> Result<()> {
    sqlx::query(
        "update steps
         set state = 'running', needs_left = 0, inner_open = $2, started_at = clock_timestamp()
         where id = $1 and state = 'waiting'",
    )
    .bind(step)
    .bind(i32::try_from(inner).unwrap_or(i32::MAX))
    .execute(conn)
    .await?;
    Ok(())
}

/// A step that ends without a worker.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which.
    pub id: StepId,
    /// How.
    pub state: StepState,
    /// Why, when that needs a word.
    pub reason: String,
}

/// Ends steps that no worker holds. Answers with those that were ended; one that a worker has taken in the meantime is not.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, steps: &[Ended]) -> Result<Vec<StepId>> {
    let ids = sqlx::query_scalar(
        "update steps s
         set state = ended.state, reason = ended.reason, blocked_by = null, ended_at = clock_timestamp()
         from unnest($1::uuid[], $2::text[], $3::text[]) as ended (id, state, reason)
         where s.id = ended.id
             and s.fence is null
             and s.state in ('waiting', 'ready', 'running')
         returning s.id",
    )
    .bind(steps.iter().map(|step| step.id.0).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.state.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|step| step.reason.as_str()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Cancels whatever of a run has not begun, but for what runs in the end.
///
/// # Errors
/// When the statement fails.
pub async fn cancel(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<StepId>> {
    let ids = sqlx::query_scalar(
        "update steps
         set state = 'cancelled', reason = 'the run was cancelled', blocked_by = null, ended_at = clock_timestamp()
         where run_id = $1 and state in ('waiting', 'ready') and not finally
         returning id",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Counts the steps of a run anew: what each waits for, what is inside of each, and the run itself. Answers with the steps
/// that have steps inside of them, all of which have ended; and with those that can never have their turn.
///
/// # Errors
/// When a statement fails.
pub async fn recount(conn: &mut PgConnection, run: PipelineRunId) -> Result<(Vec<Outer>, Vec<Waiting>)> {
    sqlx::query(
        "update steps s
         set needs_left = (
             select count(*)
             from step_edges e
             join steps p on p.id = e.parent_id
             where e.child_id = s.id and p.state in ('waiting', 'ready', 'running'))
         where s.run_id = $1 and s.state = 'waiting'",
    )
    .bind(run)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update steps s
         set inner_open = inside.open, inner_failed = inside.failed, inner_cancelled = inside.cancelled
         from (
             select o.id,
                 count(*) filter (where i.state in ('waiting', 'ready', 'running')) as open,
                 count(*) filter (where i.state = 'failed') as failed,
                 count(*) filter (where i.state = 'cancelled') as cancelled
             from steps o
             left join steps i on i.parent_id = o.id
             where o.run_id = $1 and o.kind in ('steps', 'many')
             group by o.id) as inside
         where s.id = inside.id",
    )
    .bind(run)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update pipeline_runs r
         set top_open = counted.top,
             finally_open = counted.finally,
             top_failed = counted.failed,
             top_cancelled = counted.cancelled,
             steps_total = counted.total,
             steps_ended = counted.ended
         from (
             select count(*) filter (where parent_id is null and not finally and is_open) as top,
                 count(*) filter (where parent_id is null and finally and is_open) as finally,
                 count(*) filter (where parent_id is null and state = 'failed') as failed,
                 count(*) filter (where parent_id is null and state = 'cancelled') as cancelled,
                 count(*) filter (where kind not in ('steps', 'many')) as total,
                 count(*) filter (where kind not in ('steps', 'many') and not is_open) as ended
             from (select *, state in ('waiting', 'ready', 'running') as is_open from steps where run_id = $1) as steps
         ) as counted
         where r.id = $1",
    )
    .bind(run)
    .execute(&mut *conn)
    .await?;
    let outer: Vec<(StepId, i32, i32)> = sqlx::query_as(
        "select id, inner_failed, inner_cancelled
         from steps
         where run_id = $1 and kind in ('steps', 'many') and state = 'running' and inner_open = 0",
    )
    .bind(run)
    .fetch_all(&mut *conn)
    .await?;
    let outer = outer.into_iter().map(|(id, failed, cancelled)| Outer {
        id,
        inner: StepCounts { open: 0, failed: positive(failed), cancelled: positive(cancelled) },
    });
    let lost: Vec<WaitingRow> = sqlx::query_as(
        "select distinct on (s.id) s.id, s.name, s.kind, s.place, s.items, s.needs_left, s.trigger_rule, s.finally,
             s.has_condition, p.name as lost_name, p.state as lost_state
         from steps s
         join step_edges e on e.child_id = s.id
         join steps p on p.id = e.parent_id
         where s.run_id = $1
             and s.state = 'waiting'
             and s.trigger_rule = 'all_success'
             and p.state in ('failed', 'skipped', 'cancelled')
             and (p.finally or not s.finally)
         order by s.id, p.position",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok((outer.collect(), lost.into_iter().map(Waiting::try_from).collect::<Result<_>>()?))
}
