//! Moving a run on after something about its steps has changed. The rules are `domain`'s; here they meet the tables.
//!
//! All of it happens under the lock of the run, so that nobody asks "was that the last step?" at the same time as
//! somebody else.

use crate::{Event, Result, pipeline_run};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    id::StepId,
    pipeline_run::{AttemptOutcome, PipelineRun, PipelineRunState, StepState},
};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    PgConnection,
    step::{Move, Shape},
    wake::Wake,
};

/// What happened, to be counted once it is committed.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Settled {
    /// How the run ended, when it did.
    pub(crate) ended: Option<PipelineRunState>,
    /// How a try ended, when one did.
    pub(crate) outcome: Option<AttemptOutcome>,
}

impl Settled {
    /// Counts it. Call this after the commit.
    pub(crate) fn count(&self) {
        if let Some(state) = self.ended {
            metrics::counter!("slipway_pipeline_runs_total", "state" => state.as_str()).increment(1);
        }
        if let Some(outcome) = self.outcome {
            metrics::counter!("slipway_step_attempts_total", "outcome" => outcome.as_str()).increment(1);
        }
    }
}

/// A step of the run has succeeded: whatever waited for nothing else is ready.
pub(crate) async fn after_success(conn: &mut PgConnection, run: &PipelineRun, step: StepId) -> Result<Settled> {
    let ready = store::step::release_children(conn, step).await?;
    wake(conn, &ready).await?;
    let states = store::step::states(conn, run.id).await?;
    finish(conn, run, run.state.after(states)).await
}

/// Looks at the whole run: makes every move that is due, and the run what its steps make it. Changes nothing when all is
/// as it should be.
pub(crate) async fn whole(conn: &mut PgConnection, run: &PipelineRun) -> Result<Settled> {
    if run.held_at.is_some() && run.state != PipelineRunState::Cancelling {
        return Ok(Settled::default());
    }
    let Shape { graph, states } = store::step::shape(conn, run.id).await?;
    let due = graph.moves(&states, run.state == PipelineRunState::Cancelling);
    let moved: BTreeMap<&str, StepState> = due.iter().copied().collect();
    let stand = |need: &str| moved.get(need).or_else(|| states.get(need)).copied().unwrap_or(StepState::Waiting);
    let moves: Vec<Move<'_>> = due
        .iter()
        .map(|(name, to)| {
            let reason = match to {
                StepState::Skipped => {
                    graph.needs(name).find_map(|need| why_skipped(need, stand(need))).unwrap_or_default()
                }
                StepState::Cancelled => "the run was cancelled".to_owned(),
                _ => String::new(),
            };
            Move { name, to: *to, reason }
        })
        .collect();
    if !moves.is_empty() {
        let ready = store::step::apply(conn, run.id, &moves).await?;
        wake(conn, &ready).await?;
    }
    // Looked at once more: a worker may have taken a step that was to be cancelled, and then the run goes on until it ends.
    let states = store::step::states(conn, run.id).await?;
    finish(conn, run, run.state.after(states)).await
}

/// A step of the run has begun, and with the first the run.
pub(crate) async fn begin(conn: &mut PgConnection, run: &PipelineRun) -> Result<()> {
    let state = if run.state == PipelineRunState::Queued { PipelineRunState::Running } else { run.state };
    finish(conn, run, state).await.map(drop)
}

fn why_skipped(need: &str, state: StepState) -> Option<String> {
    match state {
        StepState::Failed => Some(format!("{need} failed")),
        StepState::Cancelled | StepState::Skipped => Some(format!("{need} was {}", state.as_str())),
        StepState::Waiting | StepState::Ready | StepState::Running | StepState::Succeeded => None,
    }
}

/// One wake-up a pool.
pub(crate) async fn wake(conn: &mut PgConnection, pools: &BTreeSet<String>) -> Result<()> {
    for pool in pools {
        store::wake::push(conn, &Wake::Steps { pool: pool.clone() }).await?;
    }
    Ok(())
}

/// Notes where the run stands now, and tells of it.
async fn finish(conn: &mut PgConnection, run: &PipelineRun, state: PipelineRunState) -> Result<Settled> {
    store::event::notify(conn, &format!("pipeline_run:{}", run.id)).await?;
    if state == run.state {
        return Ok(Settled::default());
    }
    let state = run.state.move_to(state).map_err(|illegal| {
        tracing::error!(run = %run.id, %illegal, "an illegal move");
        Error::internal()
    })?;
    store::pipeline_run::set_state(conn, run.id, state).await?;
    store::event::notify(conn, &format!("pipeline_runs:{}", run.workspace_id)).await?;
    if state.is_final() {
        pipeline_run::turn::ended(conn, run).await?;
    }
    let name = pipeline_run::name(run);
    let (action, summary) = match state {
        PipelineRunState::Running => ("pipeline_run.begun", format!("began {name}")),
        PipelineRunState::Succeeded => ("pipeline_run.succeeded", format!("finished {name}")),
        PipelineRunState::Failed => ("pipeline_run.failed", format!("ended {name}: {}", what_failed(conn, run).await?)),
        _ => ("pipeline_run.ended", format!("ended {name}, which was cancelled")),
    };
    Event::new(action, pipeline_run::object(run), summary)
        .related(Object::new(ObjectKind::Pipeline, run.pipeline_id, &run.pipeline_name))
        .details(serde_json::json!({ "state": state }))
        .write_as(conn, Some(run.workspace_id), Actor::System, None)
        .await?;
    Ok(Settled { ended: state.is_final().then_some(state), outcome: None })
}

async fn what_failed(conn: &mut PgConnection, run: &PipelineRun) -> Result<String> {
    let steps = store::step::list(conn, run.id).await?;
    let failed: Vec<_> = steps.into_iter().filter(|step| step.state == StepState::Failed).collect();
    Ok(match failed.as_slice() {
        [step] => format!("step {} failed: {}", step.name, step.reason),
        steps => format!("{} steps failed", steps.len()),
    })
}
