//! Moving a run on after something about its steps has changed. The rules are `domain`'s; here they meet the tables.
//!
//! All of it happens under the lock of the run, so that nobody asks "was that the last step?" at the same time as
//! somebody else.

use super::{
    approval,
    outputs::{Outputs, Spot},
    plan::{self, Around, Outer},
    sub_run,
};
use crate::{Event, Result, pipeline_run};
use chrono::Utc;
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    id::StepId,
    pipeline::{ListRef, MAX_INSTANCES, ParamValue, PipelineSpec, StepSpec, condition},
    pipeline_run::{AttemptOutcome, Due, PipelineRun, PipelineRunState, StepState},
    run::RunStatus,
    step::StepKind,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::{
    PgConnection,
    step::{
        limit,
        progress::{self, Ended, Top, Waiting},
    },
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
    /// The step that became ready and is promised to the worker that asks: nobody was woken for it.
    pub(crate) promised: Option<StepId>,
}

/// A worker that ends a try and takes another step now: one of the same pool and executor.
#[derive(Debug, Clone)]
pub(crate) struct Taker {
    pub(crate) pool: String,
    pub(crate) executor: String,
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

/// A step of the run has ended, in the tables as well: whatever waited for it has its turn, or never will. One that becomes
/// ready by that is promised to the taker, when there is one.
pub(crate) async fn after_end(
    conn: &mut PgConnection,
    run: &PipelineRun,
    step: StepId,
    taker: Option<Taker>,
) -> Result<Settled> {
    let mut mover = Mover::new(conn, run);
    mover.taker = taker;
    mover.go(vec![step], Vec::new()).await
}

/// The steps of a new run are there: those that wait for nothing have their turn.
pub(crate) async fn start(conn: &mut PgConnection, run: &PipelineRun, spec: &PipelineSpec) -> Result<Settled> {
    let due = progress::due(conn, run.id).await?;
    let mut mover = Mover::new(conn, run);
    mover.spec = Some(Arc::new(spec.clone()));
    mover.go(Vec::new(), due).await
}

/// Somebody asked to cancel the run: what has not begun does not begin, but for what runs in the end.
pub(crate) async fn cancel(conn: &mut PgConnection, run: &PipelineRun) -> Result<Settled> {
    let cancelled = stop(conn, run).await?;
    Mover::new(conn, run).go(cancelled, Vec::new()).await
}

/// Cancels what no worker holds of a run that is to be cancelled. Answers with the steps that have ended with that.
async fn stop(conn: &mut PgConnection, run: &PipelineRun) -> Result<Vec<StepId>> {
    let mut cancelled = progress::cancel(conn, run.id).await?;
    cancelled.extend(approval::cancel(conn, run).await?);
    sub_run::cancel(conn, run).await?;
    Ok(cancelled)
}

/// Ends a step that no worker holds, and moves its run on.
pub(super) async fn end(conn: &mut PgConnection, run: &PipelineRun, ended: Ended) -> Result<Settled> {
    let ended = progress::end(conn, &[ended]).await?;
    Mover::new(conn, run).go(ended, Vec::new()).await
}

/// Looks at the whole run: makes every move that is due, and the run what its steps make it. Changes nothing when all is
/// as it should be.
pub(crate) async fn repair(conn: &mut PgConnection, run: &PipelineRun) -> Result<Settled> {
    if run.held_at.is_some() && run.state != PipelineRunState::Cancelling {
        return Ok(Settled::default());
    }
    if run.state == PipelineRunState::Cancelling {
        // They are counted below, with all others.
        stop(conn, run).await?;
    }
    let (outer, mut due) = progress::recount(conn, run.id).await?;
    due.extend(progress::due(conn, run.id).await?);
    let mut mover = Mover::new(conn, run);
    let ended = mover.close(&outer).await?;
    mover.go(ended, due).await
}

/// Moves a run on until nothing is due.
struct Mover<'a> {
    conn: &'a mut PgConnection,
    run: &'a PipelineRun,
    /// The pipeline's file, once somebody had to look.
    spec: Option<Arc<PipelineSpec>>,
    ready: Vec<progress::Ready>,
    taker: Option<Taker>,
    /// Whether a step has begun that no worker takes.
    begun: bool,
}

impl<'a> Mover<'a> {
    fn new(conn: &'a mut PgConnection, run: &'a PipelineRun) -> Self {
        Self { conn, run, spec: None, ready: Vec::new(), taker: None, begun: false }
    }

    /// These have ended, and these may have their turn.
    async fn go(mut self, mut ended: Vec<StepId>, mut due: Vec<Waiting>) -> Result<Settled> {
        let mut top = self.count(&mut ended, &mut due).await?;
        while !due.is_empty() {
            let (mut ready, mut ends, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
            for step in std::mem::take(&mut due) {
                if !seen.insert(step.id) {
                    continue;
                }
                match self.turn(&step, top).await? {
                    Turn::Waits => {}
                    Turn::Ready => ready.push(step.id),
                    Turn::Ends(state, reason) => ends.push(Ended { id: step.id, state, reason }),
                    Turn::Opens(inside) => due.extend(inside),
                }
            }
            if !ready.is_empty() {
                self.ready.extend(progress::make_ready(self.conn, &ready).await?);
            }
            if !ends.is_empty() {
                ended = progress::end(self.conn, &ends).await?;
                top = self.count(&mut ended, &mut due).await?;
            }
        }
        let promised = self.promise_one();
        let pools = self.ready.iter().map(|step| step.pool.clone()).collect();
        wake(self.conn, &pools).await?;
        let settled = stand(self.conn, self.run, self.run.state.after(top.all, self.begun)).await?;
        Ok(Settled { promised, ..settled })
    }

    /// Takes from those that are ready one that the taker may have.
    fn promise_one(&mut self) -> Option<StepId> {
        let Taker { pool, executor } = self.taker.as_ref()?;
        let is_its = |step: &progress::Ready| step.pool == *pool && step.executor == *executor && !step.wants_gpus;
        let at = self.ready.iter().position(is_its)?;
        Some(self.ready.swap_remove(at).id)
    }

    /// Counts steps that have ended wherever somebody waits for them, and the steps around them that end with them; adds those
    /// that may have their turn now.
    async fn count(&mut self, ended: &mut Vec<StepId>, due: &mut Vec<Waiting>) -> Result<Top> {
        loop {
            let top = progress::count_run(self.conn, self.run.id, ended).await?;
            if ended.is_empty() {
                return Ok(top);
            }
            if top.is_awaited {
                due.extend(progress::count_down(self.conn, ended).await?);
            }
            let mut outer = match top.is_inside {
                true => progress::count_outer(self.conn, ended).await?,
                false => Vec::new(),
            };
            outer.retain(|outer| outer.inner.open == 0);
            if top.open == 0 && top.all.open > 0 {
                // What runs in the end has its turn.
                due.extend(progress::due(self.conn, self.run.id).await?);
            }
            *ended = self.close(&outer).await?;
            if ended.is_empty() {
                return Ok(top);
            }
        }
    }

    /// Ends steps all of whose inner steps have ended, with their limits.
    async fn close(&mut self, outer: &[progress::Outer]) -> Result<Vec<StepId>> {
        if outer.is_empty() {
            return Ok(Vec::new());
        }
        for outer in outer {
            limit::delete(self.conn, &limit::map_key(outer.id)).await?;
        }
        let ends: Vec<Ended> = outer.iter().map(outer_end).collect();
        Ok(progress::end(self.conn, &ends).await?)
    }

    /// What becomes of a waiting step.
    async fn turn(&mut self, step: &Waiting, top: Top) -> Result<Turn> {
        if step.finally && step.is_top() && top.open > 0 {
            return Ok(Turn::Waits);
        }
        if self.run.state == PipelineRunState::Cancelling && !step.finally {
            return Ok(Turn::Ends(StepState::Cancelled, "the run was cancelled".to_owned()));
        }
        match step.trigger_rule.due(step.needs_left, step.lost.is_some()) {
            Due::Waits => return Ok(Turn::Waits),
            Due::Never => {
                let reason = step.lost.as_ref().map(|(need, state)| why_skipped(need, *state)).unwrap_or_default();
                return Ok(Turn::Ends(StepState::Skipped, reason));
            }
            Due::Now => {}
        }
        if step.has_condition {
            match self.condition(step).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Turn::Ends(StepState::Skipped, "its condition is not true".to_owned())),
                Err(sentence) => {
                    let reason = format!("its condition cannot be evaluated: {sentence}");
                    return Ok(Turn::Ends(StepState::Failed, reason));
                }
            }
        }
        match step.kind {
            StepKind::Command => Ok(Turn::Ready),
            StepKind::Steps | StepKind::Many => self.open(step).await,
            StepKind::Approval => {
                if let Some(before) = self.run.reproduces {
                    let (state, reason) = approval::take_over(self.conn, self.run, before, step).await?;
                    return Ok(Turn::Ends(state, reason));
                }
                let spec = self.spec().await?;
                approval::ask(self.conn, self.run, &spec, step).await?;
                self.begun = true;
                Ok(Turn::Waits)
            }
            StepKind::Pipeline => {
                sub_run::want(self.conn, self.run, step).await?;
                self.begun = true;
                Ok(Turn::Waits)
            }
        }
    }

    async fn spec(&mut self) -> Result<Arc<PipelineSpec>> {
        let spec = match &self.spec {
            Some(spec) => Arc::clone(spec),
            None => Arc::new(store::pipeline::spec(self.conn, self.run.version_id).await?),
        };
        self.spec = Some(Arc::clone(&spec));
        Ok(spec)
    }

    async fn condition(&mut self, waiting: &Waiting) -> Result<std::result::Result<bool, String>> {
        let spec = self.spec().await?;
        let spot = Spot { place: waiting.place.clone(), name: waiting.name.clone() };
        let Some(step) = spec.step(&spot.place) else { return Err(Error::internal()) };
        let Some(condition) = &step.condition else { return Ok(Ok(true)) };
        let from_steps = || step.inputs.iter().filter_map(|(name, input)| Some((name, input.output()?)));
        let outputs =
            Outputs::read(self.conn, self.run.id, &spec, &spot, from_steps().map(|(_, output)| output)).await?;
        let value = |from| outputs.given(&spec, &spot, from).and_then(|given| given.value()).unwrap_or_default();
        let inputs = from_steps().map(|(name, from)| (name.clone(), value(from))).collect();
        // What runs in the end waited for all.
        let needs: BTreeSet<&str> = match step.finally {
            true => spec.steps.iter().filter(|(_, other)| !other.finally).map(|(name, _)| name.as_str()).collect(),
            false => step.all_needs(),
        };
        let names: BTreeMap<String, &str> =
            needs.iter().filter_map(|need| Some((spot.find(&spec, need)?.name, *need))).collect();
        let states = store::step::states(self.conn, self.run.id, &names.keys().cloned().collect()).await?;
        let steps = states.into_iter().filter_map(|(name, state)| Some(((*names.get(&name)?).to_owned(), state)));
        let known = condition::Known {
            params: spec.values(&spot.place, &self.run.params, &waiting.items),
            inputs,
            steps: steps.collect(),
        };
        Ok(condition::holds(condition, &known))
    }

    /// The steps inside of a step, when it begins.
    async fn open(&mut self, waiting: &Waiting) -> Result<Turn> {
        let spec = self.spec().await?;
        let spot = Spot { place: waiting.place.clone(), name: waiting.name.clone() };
        let Some(step) = spec.step(&spot.place) else { return Err(Error::internal()) };
        let outer = Outer { id: waiting.id, spot, items: waiting.items.clone(), finally: waiting.finally };
        let executors = store::pipeline_run::executors(self.conn, self.run.id).await?;
        let around =
            Around { workspace: self.run.workspace_id, spec: &spec, executors: &executors, outer: Some(&outer) };
        let plan = if waiting.kind == StepKind::Many {
            match self.instances(&spec, step, &outer).await? {
                Ok(values) => plan::instances(around, &outer, step, &values),
                Err(reason) => return Ok(Turn::Ends(StepState::Failed, reason)),
            }
        } else {
            step.steps().map(|steps| plan::steps(around, steps)).unwrap_or_default()
        };
        if plan.steps.is_empty() {
            return Ok(Turn::Ends(StepState::Succeeded, "there was nothing to run it for".to_owned()));
        }
        if let (StepKind::Many, Some(most)) = (waiting.kind, step.max_parallel) {
            let slots = i32::try_from(most).unwrap_or(i32::MAX);
            limit::set(self.conn, &limit::map_key(outer.id), "map", None, &outer.spot.name, slots).await?;
        }
        store::step::insert(self.conn, self.run.id, self.run.workspace_id, &plan.steps, &plan.edges).await?;
        progress::open_outer(self.conn, waiting.id, plan.steps.len()).await?;
        let first = plan.steps.into_iter().filter(|step| step.needs == 0);
        Ok(Turn::Opens(first.map(Waiting::from).collect()))
    }

    /// The values of each instance of a step; otherwise why there can be none.
    async fn instances(
        &mut self,
        spec: &PipelineSpec,
        step: &StepSpec,
        outer: &Outer,
    ) -> Result<std::result::Result<Vec<BTreeMap<String, ParamValue>>, String>> {
        let Some(map) = &step.map else { return Ok(Ok(step.combinations())) };
        let list = match &map.over {
            ListRef::Param(name) => {
                spec.values(&outer.spot.place, &self.run.params, &outer.items).remove(name).map(Value::from)
            }
            ListRef::Output(from) => {
                let outputs = Outputs::read(self.conn, self.run.id, spec, &outer.spot, [from].into_iter()).await?;
                outputs.given(spec, &outer.spot, from).and_then(|given| given.value())
            }
        };
        let Some(Value::Array(entries)) = list else {
            return Ok(Err(format!("{} is no list", map.over)));
        };
        if entries.len() > MAX_INSTANCES {
            let message =
                format!("{} has {} entries; a step has at most {} instances", map.over, entries.len(), MAX_INSTANCES);
            return Ok(Err(message));
        }
        let values = entries.into_iter().enumerate().map(|(index, entry)| {
            let value = ParamValue::try_from(entry).map_err(|rule| format!("entry {index} of {} {rule}", map.over))?;
            Ok(BTreeMap::from([(map.item.clone(), value)]))
        });
        Ok(values.collect())
    }
}

/// What becomes of a waiting step.
enum Turn {
    Waits,
    Ready,
    Ends(StepState, String),
    /// It has steps inside of it, of which these wait for nothing.
    Opens(Vec<Waiting>),
}

/// All steps inside of a step have ended, and with them the step.
fn outer_end(outer: &progress::Outer) -> Ended {
    let state = outer.inner.end();
    let reason = match state {
        StepState::Failed if outer.inner.failed == 1 => "a step inside of it failed".to_owned(),
        StepState::Failed => format!("{} steps inside of it failed", outer.inner.failed),
        StepState::Cancelled => "the run was cancelled".to_owned(),
        _ => String::new(),
    };
    Ended { id: outer.id, state, reason }
}

/// A step of the run begins, and with the first the run. Pages are told with the step.
pub(crate) async fn begin(conn: &mut PgConnection, run: &PipelineRun) -> Result<()> {
    match run.state {
        PipelineRunState::Queued => stand(conn, run, PipelineRunState::Running).await.map(drop),
        _ => Ok(()),
    }
}

fn why_skipped(need: &str, state: StepState) -> String {
    match state {
        StepState::Cancelled | StepState::Skipped => format!("{need} was {}", state.as_str()),
        _ => format!("{need} {}", state.as_str()),
    }
}

/// One wake-up a pool.
pub(crate) async fn wake(conn: &mut PgConnection, pools: &BTreeSet<String>) -> Result<()> {
    for pool in pools {
        store::wake::push(conn, &Wake::Steps { pool: pool.clone() }).await?;
    }
    Ok(())
}

/// How the tracked run ends that those of the steps are nested under.
fn tracked_status(state: PipelineRunState) -> Option<RunStatus> {
    match state {
        PipelineRunState::Succeeded => Some(RunStatus::Finished),
        PipelineRunState::Failed => Some(RunStatus::Failed),
        PipelineRunState::Cancelled => Some(RunStatus::Killed),
        PipelineRunState::Queued | PipelineRunState::Running | PipelineRunState::Cancelling => None,
    }
}

/// Notes where the run stands now, and tells lists of runs and history. The run's own pages are told by [`progress::count_run`], and
/// when a try begins.
async fn stand(conn: &mut PgConnection, run: &PipelineRun, state: PipelineRunState) -> Result<Settled> {
    if state == run.state {
        return Ok(Settled::default());
    }
    let state = run.state.move_to(state).map_err(|illegal| {
        tracing::error!(run = %run.id, %illegal, "an illegal move");
        Error::internal()
    })?;
    store::pipeline_run::set_state(conn, run.id, state).await?;
    if let Some(status) = tracked_status(state) {
        store::step::tracked::end_parent(conn, run.id, status, Utc::now().timestamp_millis()).await?;
    }
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
    Ok(Settled { ended: state.is_final().then_some(state), ..Settled::default() })
}

async fn what_failed(conn: &mut PgConnection, run: &PipelineRun) -> Result<String> {
    let failed = store::step::failed(conn, run.id, 2).await?;
    Ok(match failed.as_slice() {
        [(name, reason)] => format!("step {name} failed: {reason}"),
        [] => "a step failed".to_owned(),
        [(name, _), ..] => format!("{name} and other steps failed"),
    })
}
