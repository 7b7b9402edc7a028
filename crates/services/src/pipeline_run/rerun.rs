//! Running a run again: all of it, from its failed steps, or from one of them. Steps that need not run are carried over.

use super::{
    Cause, StartedRun, by_number, earlier, name, sender_key,
    turn::{self, Carried},
};
use crate::{Ctx, Error, Result, Services, boxed, pipeline};
use domain::pipeline_run::{PipelineRun, RerunFrom, RunCause};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a run is done again.
#[derive(Debug, Clone)]
pub struct Rerun {
    /// From where.
    pub from: RerunFrom,
    /// Params that shall have another value than they had.
    pub params: BTreeMap<String, Value>,
    /// Of requests with the same key in a workspace, the first starts a run and the others find it.
    pub idempotency_key: Option<String>,
}

impl Services {
    /// Runs a run again, by the same version of the file: a new run, in which steps that succeeded, have nothing before
    /// them that runs again and read no param that is another now are there with their outputs.
    ///
    /// # Errors
    /// `NotFound` without such a run, `Invalid` for a step or params that it has not, `Conflict` while it goes on (but from
    /// the start), when no step would run, or when its pipeline's limit lets no more be started.
    #[boxed]
    pub async fn rerun_pipeline_run(&self, ctx: &Ctx, number: i64, rerun: Rerun) -> Result<StartedRun> {
        let key = rerun.idempotency_key.as_deref().map(sender_key).transpose()?;
        let mut tx = self.begin().await?;
        let before = by_number(&mut tx, ctx, number).await?;
        if let Some(key) = &key
            && let Some(run) = store::pipeline_run::by_idempotency_key(&mut tx, ctx.workspace_id(), key).await?
        {
            return found(run, &before);
        }
        let pipeline = pipeline::find(&mut tx, ctx, &before.pipeline_name).await?;
        let version = pipeline::version(&mut tx, &pipeline, Some(before.version_number)).await?;
        let given = before.params.clone().into_iter().map(|(name, value)| (name, value.into()));
        let params = version.spec.resolve_params(&given.chain(rerun.params).collect())?;
        if !before.state.is_final() && rerun.from != RerunFrom::Start {
            return Err(Error::conflict(format!(
                "{} is not over yet. Wait for its end or cancel it; or run it again from the start.",
                name(&before)
            )));
        }
        let steps = store::step::top(&mut tx, before.id).await?;
        let states = steps.into_iter().map(|step| (step.name, step.state)).collect();
        let carried = version.spec.carried(&states, &rerun.from, &before.params, &params)?;
        let (id, cause_name) = (before.id.to_string(), format!("#{}", before.number));
        let cause = Cause {
            cause: RunCause::Rerun,
            id: Some(&id),
            name: Some(&cause_name),
            key: key.as_deref(),
            rerun_of: Some(before.id),
            ..Cause::default()
        };
        let carried = (!carried.is_empty()).then_some(Carried { from: &before, steps: carried });
        let started = turn::start_with(&mut tx, ctx, &pipeline, &version, &params, &cause, carried).await;
        self.started(ctx, tx, started, cause.key, |run| found(run, &before)).await
    }
}

/// The run that an earlier request with the same key started, if that asked for the same.
fn found(run: PipelineRun, before: &PipelineRun) -> Result<StartedRun> {
    let is_same = run.cause == RunCause::Rerun && run.cause_id.as_deref() == Some(&before.id.to_string());
    earlier(run, is_same)
}
