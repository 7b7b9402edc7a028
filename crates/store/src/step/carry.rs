//! Steps that a run takes over from an earlier one.

use crate::Result;
use domain::{id::PipelineRunId, pipeline_run::StepState};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Makes these steps of a run that was added in this transaction succeeded, with the outputs that they have in the run
/// `from`, whose number is given. Answers with the pools of the steps that are ready now.
///
/// # Errors
/// When a statement fails.
pub async fn carry(
    conn: &mut PgConnection,
    run: PipelineRunId,
    from: PipelineRunId,
    number: i64,
    names: &[&str],
) -> Result<BTreeSet<String>> {
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
    .bind(names)
    .execute(&mut *conn)
    .await?;
    let ready: Vec<(String, String)> = sqlx::query_as(
        "update steps s
         set needs_left = s.needs_left - done.needs,
             state = case when s.needs_left = done.needs then 'ready' else s.state end
         from (select e.child_id, count(*)::integer as needs
               from step_edges e
               join steps p on p.id = e.parent_id
               where p.run_id = $1 and p.state = 'succeeded'
               group by e.child_id) as done
         where s.id = done.child_id and s.state = 'waiting'
         returning s.pool, s.state",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok(ready.into_iter().filter(|(_, state)| state == StepState::Ready.as_str()).map(|(pool, _)| pool).collect())
}
