//! How the steps of a run go on: a worker takes one, holds it under a lease, and lets go of it; what it says counts only
//! with the fence that it got. [`settle`] moves the run on.
//!
//! The order of locks is: the run, then its steps. Only taking a step goes without the run.

pub(crate) mod account;
mod adopt;
pub(crate) mod approval;
mod begin;
mod cache;
mod end;
mod files;
pub(crate) mod inputs;
mod kfp;
mod notebook;
mod outputs;
pub(crate) mod plan;
mod publish;
pub(crate) mod settle;
pub(crate) mod sub_run;
mod surroundings;
pub(crate) mod tracked;

pub use adopt::Adopted;
pub use approval::StepApprovalDetail;
pub use cache::Hit;
pub use end::{AttemptEnd, LetGo, Place};
pub use files::FileTrouble;
pub use inputs::{InputFiles, Source};
pub use kfp::KfpWork;
pub use notebook::{MAX_NOTEBOOK, NOTEBOOK_PROGRESS, NotebookAgainst, NotebookWork, compare_notebooks};
pub use outputs::Given;
pub use store::step::{
    claim::Claimed,
    lease::{Lease, Renewed},
};
pub use surroundings::Surroundings;

use crate::{Ctx, Result, Services, boxed, commit};
use domain::{
    gpu::GpuUuid,
    id::{PipelineRunId, StepId},
    pipeline::{ExecutorKind, Invocation, OutputSpec, Python, Resources},
};
use std::{collections::BTreeMap, time::Duration};

/// What a worker needs to run a try.
#[derive(Debug)]
pub struct StepWork {
    /// Whom the step acts as, and where.
    pub ctx: Ctx,
    /// The pipeline's name.
    pub pipeline: String,
    /// What it gave before when it was run with the same: then there is nothing to run.
    pub cached: Option<Hit>,
    /// What people call the run: `train-wine #512`.
    pub run_name: String,
    /// The command line and all variables.
    pub invocation: Invocation,
    /// Secrets that it gets besides: variable to name.
    pub secrets: BTreeMap<String, String>,
    /// Files of the pipeline: path to text.
    pub files: BTreeMap<String, String>,
    /// What to put into the step's directory.
    pub inputs: Vec<InputFiles>,
    /// What to take from it in the end: name to what it is.
    pub outputs: BTreeMap<String, OutputSpec>,
    /// The notebook that the command runs, when it runs one.
    pub notebook: Option<NotebookWork>,
    /// What it is told when it is a step of Kubeflow Pipelines.
    pub kfp: Option<KfpWork>,
    /// Where it runs.
    pub executor: ExecutorKind,
    /// The image of its container.
    pub image: Option<String>,
    /// What of its machine it may use.
    pub resources: Resources,
    /// How long the try may take.
    pub timeout: Option<Duration>,
    /// How many tries there may be when the command fails.
    pub max_attempts: i32,
    /// Whether somebody asked to cancel the run already.
    pub cancelling: bool,
    /// The Python that it finds, when what that has is still to be found out and noted: see [`Services::note_facts`].
    pub unknown: Option<Python>,
}

impl Services {
    /// The same use cases over other connections: for what must not wait behind everything else.
    #[must_use]
    pub fn beside(&self, connections: u32) -> Self {
        let mut other = self.clone();
        other.pool = store::connect_beside(&self.pool, connections);
        other
    }

    /// Takes a step that is ready in one of these pools for one of these executors, for so long. `worker` names the process
    /// and no other ever, `label` is what people read. Steps that want graphics processors get them of `gpus`, those of the
    /// worker's machine that are free.
    ///
    /// # Errors
    /// When the database does not answer. A step may have been taken all the same: see [`Services::held_besides`].
    #[boxed]
    pub async fn claim_step(
        &self,
        worker: &str,
        label: &str,
        pools: &[String],
        executors: &[ExecutorKind],
        gpus: &[GpuUuid],
        ttl: Duration,
    ) -> Result<Option<Claimed>> {
        Ok(store::step::claim::claim(&mut *self.conn().await?, worker, label, pools, executors, gpus, ttl).await?)
    }

    /// How long until a step of these pools may be taken whose time has not come yet.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next_step_due(
        &self,
        pools: &[String],
        executors: &[ExecutorKind],
        gpus: &[GpuUuid],
    ) -> Result<Option<Duration>> {
        Ok(store::step::claim::next_due(&mut *self.conn().await?, pools, executors, gpus).await?)
    }

    /// Renews leases (step, fence). Those that the answer leaves out are lost.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn renew_leases(&self, held: &[(StepId, i64)], ttl: Duration) -> Result<Vec<Renewed>> {
        Ok(store::step::lease::renew(&mut *self.conn().await?, held, ttl).await?)
    }

    /// Leases that ended longer ago than this grace.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn expired_leases(&self, grace: Duration) -> Result<Vec<Lease>> {
        Ok(store::step::lease::expired(&mut *self.conn().await?, grace, 100).await?)
    }

    /// The names of the workers that hold steps.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn lease_owners(&self) -> Result<Vec<String>> {
        Ok(store::step::lease::owners(&mut *self.conn().await?).await?)
    }

    /// What a worker holds besides these fences: of a dead worker all, of a live one what it took without hearing so.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn held_besides(&self, worker: &str, fences: &[i64]) -> Result<Vec<Lease>> {
        Ok(store::step::lease::of_owner(&mut *self.conn().await?, worker, fences).await?)
    }

    /// Lets steps try that wait for a limit which has places, or is there no more.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unblock_steps(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        let idle = store::step::limit::idle(&mut tx).await?;
        if !idle.is_empty() {
            let pools = store::step::limit::unblock(&mut tx, &idle).await?;
            settle::wake(&mut tx, &pools).await?;
            commit(tx).await?;
        }
        Ok(())
    }

    /// Sets right up to a hundred runs that do not stand as their steps do. There should be none; should a mistake of
    /// ours leave one, it does not stay so. Answers with how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn settle_runs(&self) -> Result<usize> {
        let ids = store::pipeline_run::unsettled(&mut *self.conn().await?, None, 100).await?;
        let mut settled = 0;
        for id in ids {
            settled += usize::from(self.settle_run(id).await?);
        }
        Ok(settled)
    }

    async fn settle_run(&self, id: PipelineRunId) -> Result<bool> {
        let mut tx = self.begin().await?;
        let Some(run) = store::pipeline_run::lock(&mut tx, id).await? else { return Ok(false) };
        // Under the lock it may prove to be as it should be.
        if store::pipeline_run::unsettled(&mut tx, Some(id), 1).await?.is_empty() {
            return Ok(false);
        }
        let settled = settle::repair(&mut tx, &run).await?;
        commit(tx).await?;
        settled.count();
        tracing::warn!(run = %id, "a pipeline run did not stand as its steps do; it was set right");
        Ok(true)
    }
}
