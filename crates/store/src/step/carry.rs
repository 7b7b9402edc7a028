//! Steps that a run takes over from an earlier one.

use crate::Result;
use domain::id::{PipelineRunId, StepId};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Makes these steps at the top of a run that was added in this transaction succeeded, with the outputs that they have in the
/// run `from`, whose number is given, and with the steps inside of them. They are not counted yet.
///
/// # Errors
/// When a statement fails.
pub async fn carry(
    conn: &mut PgConnection,
    run: PipelineRunId,
    from: PipelineRunId,
    number: i64,
    names: &BTreeSet<String>,
) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // One that was carried over itself names the run in which it ran.
    sqlx::query(
        "update steps s
         set state = 'succeeded',
             reason = 'carried from run #' || coalesce(o.carried_from, $3),
             carried_from = coalesce(o.carried_from, $3),
             outputs = o.outputs,
             ended_at = clock_timestamp()
         from steps o
         where s.run_id = $1
             and o.run_id = $2
             and o.name = s.name
             and o.state = 'succeeded'
             and s.name = any($4)
             and s.state in ('waiting', 'ready')",
    )
    .bind(run)
    .bind(from)
    .bind(number)
    .bind(&names)
    .execute(&mut *conn)
    .await?;
    let inside: Vec<StepId> = sqlx::query_scalar(
        "select o.id
         from steps o
         where o.run_id = $1
             and o.parent_id is not null
             and exists (
              select
              from unnest($2::text[]) as carried (name)
              where starts_with(o.name, carried.name || '.') or starts_with(o.name, carried.name || '/'))
         order by o.position",
    )
    .bind(from)
    .bind(&names)
    .fetch_all(&mut *conn)
    .await?;
    if inside.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into steps (id, run_id, workspace_id, position, name, kind, place, items, pool, executor, priority, needs_left,
             trigger_rule, finally, has_condition, max_attempts, limits, state, reason, carried_from, outputs, ended_at)
         select copied.id, $1, o.workspace_id, before.steps + copied.position, o.name, o.kind, o.place, o.items, o.pool,
             o.executor, o.priority, 0, o.trigger_rule, o.finally, o.has_condition, o.max_attempts, o.limits, o.state,
             case
                 when o.state = 'succeeded' then 'carried from run #' || coalesce(o.carried_from, $4)
                 else o.reason
             end,
             coalesce(o.carried_from, $4), o.outputs, clock_timestamp()
         from (select max(position) + 1 as steps from steps where run_id = $1) as before,
             unnest($2::uuid[], $3::uuid[]) with ordinality as copied (id, old, position)
         join steps o on o.id = copied.old",
    )
    .bind(run)
    .bind(inside.iter().map(|_| StepId::new().0).collect::<Vec<_>>())
    .bind(inside.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(number)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update steps s
         set parent_id = outer_step.id
         from steps o
         join steps old_outer on old_outer.id = o.parent_id
         join steps outer_step on outer_step.run_id = $1 and outer_step.name = old_outer.name
         where s.run_id = $1 and s.parent_id is null and o.run_id = $2 and o.name = s.name",
    )
    .bind(run)
    .bind(from)
    .execute(conn)
    .await?;
    Ok(())
}
