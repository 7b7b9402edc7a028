//! Steps that run another pipeline. The step only notes that it wants a run, or wants it no more: a worker starts and cancels
//! runs, and ends the step when its run has ended.
//!
//! A run's lock is never taken by whoever holds that of a run inside of it, nor the other way round.

use super::{
    outputs::{Given, Outputs, Spot},
    settle,
};
use crate::{
    Ctx, Event, Result, Services, artifact, boxed, commit, pipeline,
    pipeline_run::{self, Cause, Insert},
};
use domain::{
    Error, ErrorKind,
    audit::{Object, ObjectKind},
    id::PipelineId,
    pipeline::{OutputKind, OutputSpec, PipelineSpec, StepSpec},
    pipeline_run::{PipelineRun, PipelineRunState, RunCause, StepState},
    step::StepOutput,
};
use std::collections::BTreeSet;
use store::{
    PgConnection,
    step::{
        progress::{self, Ended, Waiting},
        sub_run::{self, SubRun},
    },
    wake::Wake,
};

/// How deep runs stand in each other.
const MAX_DEEP: usize = 5;
/// The most other pipelines that are looked into before a run begins.
const MAX_OTHERS: usize = 100;

/// A step has its turn: a run of the other pipeline is wanted.
pub(super) async fn want(conn: &mut PgConnection, run: &PipelineRun, waiting: &Waiting) -> Result<()> {
    sub_run::insert(conn, waiting.id, run.id).await?;
    progress::open_outer(conn, waiting.id, 0).await?;
    Ok(store::wake::push(conn, &Wake::Starts).await?)
}

/// The run is to be cancelled: nobody wants the runs of its steps any more.
pub(super) async fn cancel(conn: &mut PgConnection, run: &PipelineRun) -> Result<()> {
    if sub_run::cancel(conn, run.id).await? > 0 {
        store::wake::push(conn, &Wake::Starts).await?;
    }
    Ok(())
}

impl Services {
    /// Starts or cancels a run that a step wants or wants no more, or ends a step whose run has ended. Tells whether there was
    /// anything to do.
    ///
    /// # Errors
    /// When the database does not answer. It is seen to again.
    #[boxed]
    pub async fn see_to_sub_run(&self) -> Result<bool> {
        let Some(sub) = sub_run::next(&mut *self.conn().await?).await? else { return Ok(false) };
        match (sub.child_run_id, sub.state()) {
            (None, _) if sub.cancel_at.is_some() => {
                self.end_sub_run(&sub, StepState::Cancelled, "the run was cancelled".to_owned(), &[]).await?;
            }
            (None, _) => match self.start_sub_run(&sub).await {
                Ok(()) => {}
                Err(error) if pipeline_run::is_refusal(&error) => {
                    self.end_sub_run(&sub, StepState::Failed, error.message, &[]).await?;
                }
                Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
                // A mistake of ours must not hold up all others.
                Err(error) => {
                    tracing::error!(%error, step = %sub.step_id, "the run that a step wants cannot be started");
                    let reason = "its run could not be started; the log of the server says why".to_owned();
                    self.end_sub_run(&sub, StepState::Failed, reason, &[]).await?;
                }
            },
            (Some(child), Some(state)) if state.is_final() => {
                let (step, reason, outputs) = self.outcome(&sub, child, state).await?;
                self.end_sub_run(&sub, step, reason, &outputs).await?;
            }
            (Some(child), _) => {
                let mut tx = self.begin().await?;
                let ctx = self.ctx_of(&mut tx, &sub).await?;
                if let Some(mut run) = store::pipeline_run::lock(&mut tx, child).await?
                    && !run.state.is_final()
                    && run.cancel_requested_at.is_none()
                {
                    let because = format!("; #{}, which it is a part of, was cancelled", sub.parent_number);
                    let settled = pipeline_run::cancel(&mut tx, &ctx, &mut run, &because).await?;
                    commit(tx).await?;
                    settled.iter().for_each(settle::Settled::count);
                }
            }
        }
        Ok(true)
    }

    async fn ctx_of(&self, conn: &mut PgConnection, sub: &SubRun) -> Result<Ctx> {
        let workspace = store::workspace::by_id(conn, sub.workspace_id).await?;
        Ok(Ctx::system(workspace.ok_or_else(Error::internal)?))
    }

    /// Starts the run that a step wants.
    async fn start_sub_run(&self, sub: &SubRun) -> Result<()> {
        let mut tx = self.begin().await?;
        // Whoever cancels waits for this, and then finds the run to cancel.
        if !sub_run::hold_unstarted(&mut tx, sub.step_id).await? {
            return Ok(());
        }
        let ctx = self.ctx_of(&mut tx, sub).await?;
        let parent =
            store::pipeline_run::by_ids(&mut tx, &[sub.parent_run_id]).await?.pop().ok_or_else(Error::internal)?;
        let spec = store::pipeline::spec(&mut tx, sub.parent_version_id).await?;
        let step = spec.step(&sub.place).ok_or_else(Error::internal)?;
        let Some(other) = step.pipeline() else { return Err(Error::internal()) };
        let around = sub_run::pipelines_around(&mut tx, parent.id).await?;
        if around.contains(&other.name) {
            return Err(Error::conflict(format!(
                "{} is a part of {} already: it would never end.",
                parent.pipeline_name, other.name
            )));
        }
        if around.len() >= MAX_DEEP {
            return Err(Error::conflict(format!("Runs stand in each other {MAX_DEEP} deep and not deeper.")));
        }
        let (started_by, on_behalf_of) = store::pipeline_run::people(&mut tx, parent.id).await?;
        let (id, name, key) = (sub.step_id.to_string(), pipeline_run::name(&parent), format!("step:{}", sub.step_id));
        let cause = Cause {
            cause: RunCause::Step,
            id: Some(&id),
            name: Some(&name),
            at: parent.cause_at,
            key: Some(&key),
            // What its end starts is led to by all that led to this one.
            depth: store::pipeline_run::depth(&mut tx, parent.id).await?,
            on_behalf_of: on_behalf_of.or(started_by),
            no_cache: !parent.use_cache,
            code: parent.code.as_ref(),
            ..Cause::default()
        };
        let before;
        let started = if let Some(number) = parent.reproduces {
            before = run_before(&mut tx, &parent, number, &sub.step).await?;
            pipeline_run::start_again(&mut tx, &ctx, &before, cause).await
        } else {
            let values = spec.values(&sub.place, &parent.params, &sub.items);
            let given = step.params.keys().filter_map(|name| Some((name.clone(), values.get(name)?.clone().into())));
            let pipeline = pipeline::find(&mut tx, &ctx, &other.name).await?;
            pipeline_run::start_version(&mut tx, &ctx, &pipeline, other.version, &given.collect(), &cause).await
        };
        let child = started.map_err(Insert::into_error)?;
        sub_run::set_child(&mut tx, sub.step_id, child.id).await?;
        let child_name = pipeline_run::name(&child);
        Event::new(
            "pipeline_run.sub_run_started",
            pipeline_run::object(&parent),
            format!("started {child_name} as {}", sub.step),
        )
        .related(Object::new(ObjectKind::PipelineRun, child.id, &child_name))
        .write(&mut tx, &ctx)
        .await?;
        store::event::notify(&mut tx, &store::event::of_run(parent.id)).await?;
        // It may have ended before anybody could hear that a step waits for it.
        store::wake::push(&mut tx, &Wake::Starts).await?;
        commit(tx).await
    }

    /// How a step ends whose run has ended so, and what it gives on.
    async fn outcome(
        &self,
        sub: &SubRun,
        child: domain::id::PipelineRunId,
        state: PipelineRunState,
    ) -> Result<(StepState, String, Vec<StepOutput>)> {
        let mut conn = self.conn().await?;
        let run = store::pipeline_run::by_ids(&mut conn, &[child]).await?.pop().ok_or_else(Error::internal)?;
        let name = pipeline_run::name(&run);
        match state {
            PipelineRunState::Succeeded => {}
            PipelineRunState::Cancelled => {
                return Ok((StepState::Cancelled, format!("{name} was cancelled"), Vec::new()));
            }
            _ => return Ok((StepState::Failed, format!("{name} failed"), Vec::new())),
        }
        let parent = store::pipeline::spec(&mut conn, sub.parent_version_id).await?;
        let step = parent.step(&sub.place).ok_or_else(Error::internal)?;
        let spec = store::pipeline::spec(&mut conn, run.version_id).await?;
        Ok(match self.passed_on(&mut conn, &run, &spec, step).await? {
            Ok(outputs) => (StepState::Succeeded, String::new(), outputs),
            Err(reason) => (StepState::Failed, format!("{name} succeeded, but {reason}"), Vec::new()),
        })
    }

    /// What a step gives on of what the steps of its run gave; otherwise why it cannot.
    async fn passed_on(
        &self,
        conn: &mut PgConnection,
        run: &PipelineRun,
        spec: &PipelineSpec,
        step: &StepSpec,
    ) -> Result<std::result::Result<Vec<StepOutput>, String>> {
        // As seen from beside the steps at the top.
        let beside = Spot { place: vec![String::new()], name: String::new() };
        let wanted = || {
            step.outputs.iter().filter_map(|(name, output)| match output {
                OutputSpec::Of { from } => Some((name, std::slice::from_ref(from))),
                OutputSpec::FirstOf { from } => Some((name, from.as_slice())),
                OutputSpec::Path(_) | OutputSpec::Typed { .. } => None,
            })
        };
        let outputs = Outputs::read(conn, run.id, spec, &beside, wanted().flat_map(|(_, from)| from)).await?;
        let mut passed = Vec::new();
        for (name, all) in wanted() {
            let given = all.iter().find_map(|from| Some((from, outputs.given(spec, &beside, from)?)));
            let Some((from, given)) = given else {
                let names: Vec<String> = all.iter().map(ToString::to_string).collect();
                return Ok(Err(format!("it gave no {}", names.join(" or "))));
            };
            passed.push(match given {
                Given::One(output) => StepOutput { name: name.clone(), ..output },
                many => {
                    let Some(value) = many.value() else {
                        return Ok(Err(format!("{from} is the files of several instances, which are not passed on")));
                    };
                    self.value_output(name, value).await?
                }
            });
        }
        Ok(Ok(passed))
    }

    async fn value_output(&self, name: &str, value: serde_json::Value) -> Result<StepOutput> {
        let text = value.to_string();
        let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let stored = self.artifacts.put_bytes(text.into_bytes()).await.map_err(artifact::of_store)?;
        Ok(StepOutput {
            name: name.to_owned(),
            path: format!("{name}.json"),
            kind: Some(OutputKind::Value),
            is_folder: false,
            digest: stored.digest,
            size,
            value: Some(value),
            version: None,
        })
    }

    /// Ends a step, and moves its run on.
    async fn end_sub_run(&self, sub: &SubRun, state: StepState, reason: String, outputs: &[StepOutput]) -> Result<()> {
        let mut tx = self.begin().await?;
        let Some(run) = store::pipeline_run::lock(&mut tx, sub.parent_run_id).await? else { return Ok(()) };
        if !sub_run::end(&mut tx, sub.step_id).await? {
            return Ok(());
        }
        let state = match state {
            // Its run was cancelled by somebody else, and has not done what it was for.
            StepState::Cancelled if run.state != PipelineRunState::Cancelling => StepState::Failed,
            state => state,
        };
        if !outputs.is_empty() {
            sub_run::set_outputs(&mut tx, sub.step_id, outputs).await?;
        }
        let settled = settle::end(&mut tx, &run, Ended { id: sub.step_id, state, reason }).await?;
        commit(tx).await?;
        settled.count();
        Ok(())
    }
}

/// The run that a step of a run ran when that was the run of this number, which it does again.
async fn run_before(conn: &mut PgConnection, run: &PipelineRun, before: i64, step: &str) -> Result<PipelineRun> {
    let first = store::pipeline_run::by_number(conn, run.workspace_id, before).await?.ok_or_else(Error::internal)?;
    let child = sub_run::children(conn, first.id, Some(step)).await?.remove(step);
    let none = || Error::conflict(format!("In run #{before} it started no run that could be done again."));
    let child = child.ok_or_else(none)?;
    store::pipeline_run::by_ids(conn, &[child]).await?.pop().ok_or_else(Error::internal)
}

/// Whether the workspace has all pipelines that a file runs, and those that these run, and none of them runs itself: a run
/// must not find out in the middle.
///
/// # Errors
/// `Conflict`, with the way to what is wrong.
pub(crate) async fn others_exist(
    conn: &mut PgConnection,
    ctx: &Ctx,
    this: (PipelineId, &str),
    spec: &PipelineSpec,
) -> Result<()> {
    let mut path: Vec<(PipelineId, String)> = vec![(this.0, this.1.to_owned())];
    // What is still to be looked into at each depth, the innermost last.
    let mut left = vec![named(spec)];
    let mut seen: BTreeSet<(PipelineId, Option<i32>)> = BTreeSet::new();
    while let Some(level) = left.last_mut() {
        let Some((step, name, version)) = level.pop() else {
            left.pop();
            path.pop();
            continue;
        };
        let shown =
            || path.iter().map(|(_, name)| name.as_str()).chain([name.as_str()]).collect::<Vec<_>>().join(" → ");
        let pipeline = match pipeline::find(conn, ctx, &name).await {
            Ok(pipeline) => pipeline,
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            Err(_) => {
                return Err(Error::conflict(format!(
                    "Step \"{step}\" runs the pipeline \"{name}\", which this workspace does not have."
                )));
            }
        };
        if path.iter().any(|(id, _)| *id == pipeline.id) {
            return Err(Error::conflict(format!("Pipelines run each other, without an end: {}.", shown())));
        }
        if path.len() >= MAX_DEEP {
            let message = format!("Pipelines run each other {MAX_DEEP} deep and not deeper: {}.", shown());
            return Err(Error::conflict(message));
        }
        if !seen.insert((pipeline.id, version)) {
            continue;
        }
        if seen.len() > MAX_OTHERS {
            return Err(Error::conflict(format!("More than {MAX_OTHERS} pipelines would run for this one.")));
        }
        let found = pipeline::version(conn, &pipeline, version)
            .await
            .map_err(|error| Error::conflict(format!("Step \"{step}\": {}", error.message)))?;
        path.push((pipeline.id, name));
        left.push(named(&found.spec));
    }
    Ok(())
}

fn named(spec: &PipelineSpec) -> Vec<(String, String, Option<i32>)> {
    let others = spec.sub_pipelines();
    others.into_iter().map(|(step, other)| (step.to_owned(), other.name.clone(), other.version)).collect()
}
