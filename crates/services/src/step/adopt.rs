//! Going on with a try whose worker is gone, where it ran, and what it used.

use super::{Claimed, KfpWork, Lease, StepWork, account};
use crate::{Ctx, Result, Services, boxed};
use domain::{Error, id::StepAttemptId, pipeline::PipelineSpec, step::StepSample};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

/// A try that goes on.
#[derive(Debug)]
pub struct Adopted {
    /// What it is to do. It has its environment and its inputs already, so they are not told.
    pub work: StepWork,
    /// The lines of its log so far.
    pub log_lines: i64,
    /// How many of them its command wrote.
    pub lines_of_command: i64,
}

impl Services {
    /// Takes a step over with its try. None when it is not held so any more, or its try has cost too many workers.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn take_step_over(
        &self,
        lease: &Lease,
        worker: &str,
        label: &str,
        ttl: Duration,
    ) -> Result<Option<Claimed>> {
        let mut conn = self.conn().await?;
        Ok(store::step::adopt::take_over(&mut conn, lease.step_id, lease.fence, worker, label, ttl).await?)
    }

    /// What a try that was taken over is to do from here on. None when the lease is lost.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn adopted(&self, held: &Claimed) -> Result<Option<Adopted>> {
        let mut conn = self.conn().await?;
        let Some(work) = store::step::attempt::work(&mut conn, held.step_id, held.fence).await? else {
            return Ok(None);
        };
        let values = work.spec.values(&work.place, &work.params, &work.items);
        let (Some(step), Some(invocation)) = (work.spec.step(&work.place), work.spec.invocation(&work.place, &values))
        else {
            tracing::error!(step = %held.name, run = %held.run_id, "a stored step is not in its pipeline's file");
            return Err(Error::internal());
        };
        let (log_lines, lines_of_command) = store::log::standing(&mut conn, held.attempt_id).await?;
        let outputs = PipelineSpec::filled_outputs(step, &values);
        let work = StepWork {
            ctx: account::of_attempt(&mut conn, &work.workspace, held.attempt_id).await?,
            run_name: format!("{} #{}", work.pipeline, work.run_number),
            pipeline: work.pipeline,
            cached: None,
            invocation,
            secrets: work.spec.secrets_of(step),
            files: BTreeMap::new(),
            inputs: Vec::new(),
            outputs,
            notebook: super::NotebookWork::of(step),
            kfp: step.kfp.as_deref().map(KfpWork::promised),
            executor: work.executor,
            image: step.image.clone().or_else(|| work.spec.image.clone()),
            resources: step.resources,
            timeout: step.timeout_seconds.map(Duration::from_secs),
            max_attempts: work.max_attempts,
            cancelling: work.cancelling,
            unknown: None,
        };
        Ok(Some(Adopted { work, log_lines, lines_of_command }))
    }

    /// Those of these tries that somebody still waits for.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn running_attempts(&self, attempts: &[StepAttemptId]) -> Result<HashSet<StepAttemptId>> {
        Ok(store::step::adopt::running_of(&mut *self.conn().await?, attempts).await?.into_iter().collect())
    }

    /// Adds what a try used for some seconds.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn add_step_sample(&self, attempt: StepAttemptId, sample: &StepSample) -> Result<()> {
        Ok(store::step::sample::add(&mut *self.conn().await?, attempt, sample).await?)
    }

    /// What a try used, from its beginning on.
    ///
    /// # Errors
    /// `NotFound` without such a run, step or try.
    #[boxed]
    pub async fn step_samples(&self, ctx: &Ctx, run: i64, step: &str, number: i32) -> Result<Vec<StepSample>> {
        let attempt = self.step_attempt(ctx, run, step, number).await?;
        Ok(store::step::sample::list(&mut *self.conn().await?, attempt.id).await?)
    }
}
