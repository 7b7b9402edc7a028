//! Running a run again: all of it, from its failed steps, or from one of them. Steps that need not run are carried over.

use super::{
    Cause, StartedRun, by_number, earlier, name, sender_key,
    turn::{self, Carried},
};
use crate::{Ctx, Error, Result, Services, boxed, pipeline};
use domain::{
    pipeline::ParamValue,
    pipeline_run::{PipelineRun, RerunFrom, RunCause},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

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
        let steps = version.spec.carried(&states, &rerun.from, &before.params, &params)?;
        let again = Again { before: &before, params: &params, steps: &steps };
        if let Some(key) = &key
            && let Some(run) = store::pipeline_run::by_idempotency_key(&mut tx, ctx.workspace_id(), key).await?
        {
            return again.found(&mut tx, run).await;
        }
        let (id, cause_name) = (before.id.to_string(), format!("#{}", before.number));
        let cause = Cause {
            cause: RunCause::Rerun,
            id: Some(&id),
            name: Some(&cause_name),
            at: before.cause_at,
            key: key.as_deref(),
            no_cache: !before.use_cache,
            code: before.code.as_ref(),
            rerun_of: Some(before.id),
            // What is carried over came of these versions, and must not meet others.
            same_versions_as: (!steps.is_empty()).then_some(before.id),
            ..Cause::default()
        };
        let carried = (!steps.is_empty()).then_some(Carried { from: &before, steps: &steps });
        let started = turn::start_with(&mut tx, ctx, &pipeline, &version, &params, &cause, carried).await;
        let started = self.started(ctx, tx, started, cause.key, |run| Ok(StartedRun { run, is_new: false })).await?;
        if started.is_new {
            return Ok(started);
        }
        again.found(&mut *self.conn().await?, started.run).await
    }
}

/// What a request asks for.
struct Again<'a> {
    /// The run.
    before: &'a PipelineRun,
    /// With these params.
    params: &'a BTreeMap<String, ParamValue>,
    /// Carrying these steps over.
    steps: &'a BTreeSet<String>,
}

impl Again<'_> {
    /// The run that an earlier request with the same key started, if that asked for the same.
    async fn found(&self, conn: &mut PgConnection, run: PipelineRun) -> Result<StartedRun> {
        let steps = store::step::top(conn, run.id).await?;
        let carried = steps.into_iter().filter(|step| step.carried_from.is_some()).map(|step| step.name);
        let is_same = run.cause == RunCause::Rerun
            && run.cause_id.as_deref() == Some(&self.before.id.to_string())
            && run.params == *self.params
            && carried.collect::<BTreeSet<_>>() == *self.steps;
        earlier(run, is_same)
    }
}
