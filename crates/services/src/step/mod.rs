//! How the steps of a run go on: a worker takes one, holds it under a lease, and lets go of it; what it says counts only
//! with the fence that it got. [`settle`] moves the run on.
//!
//! The order of locks is: the run, then its steps. Only taking a step goes without the run.

pub(crate) mod account;
mod adopt;
pub(crate) mod approval;
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
pub use store::step::lease::{Claimed, Lease, Renewed};
pub use surroundings::Surroundings;

use crate::{Ctx, Result, Services, boxed, commit};
use chrono::{SecondsFormat, Utc};
use domain::{
    Error,
    gpu::GpuUuid,
    id::{PipelineRunId, StepAttemptId, StepId},
    pipeline::{ExecutorKind, Invocation, OutputSpec, PipelineSpec, Python, Resources, TriggerRule, env_name},
    step::StepInput,
    worker::Facts,
};
use outputs::Spot;
use std::{collections::BTreeMap, time::Duration};
use store::step::limit;

/// How long the token of a try works beyond the time that the try may take.
const TOKEN_GRACE: Duration = Duration::from_secs(3600);

/// How long it works when the try may take as long as it likes.
const TOKEN_LASTS: Duration = Duration::from_secs(30 * 86_400);

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

/// What was found out about a try before its run is locked, because it takes time.
#[derive(Default)]
struct FoundOut {
    facts: Option<Facts>,
    looked: Option<cache::Looked>,
    /// How often it was looked.
    looks: u32,
}

/// What came of beginning a try.
enum Begun {
    /// It has begun.
    Work(Box<StepWork>),
    /// Its lease is lost.
    Lost,
    /// First it must be known what this Python has.
    Asks(Python),
    /// First it must be known whether all of what the step gave before is there.
    Looks(Box<store::step::cache::Kept>),
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
        Ok(store::step::lease::claim(&mut *self.conn().await?, worker, label, pools, executors, gpus, ttl).await?)
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
        Ok(store::step::lease::next_due(&mut *self.conn().await?, pools, executors, gpus).await?)
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

    /// Begins the try that was taken by a worker: what it is to run, and a token to log with; or what it gave before. None
    /// when the lease is lost; or given back, because the step takes a version of a dataset only when that passed its checks,
    /// and these are under way: then it is ready again when they have ended.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn begin_attempt(
        &self,
        held: &Claimed,
        server_url: &str,
        around: &dyn Surroundings,
    ) -> Result<Option<StepWork>> {
        let mut found_out = FoundOut::default();
        loop {
            match self.begin_with(held, server_url, around, &found_out).await? {
                Begun::Work(work) => return Ok(Some(*work)),
                Begun::Lost => return Ok(None),
                // The run is not locked meanwhile: its other steps go on.
                Begun::Asks(python) => found_out.facts = Some(around.find(&python).await),
                Begun::Looks(kept) => {
                    found_out.looked = Some(self.look_at(held, *kept).await?);
                    found_out.looks += 1;
                }
            }
        }
    }

    #[boxed]
    async fn begin_with(
        &self,
        held: &Claimed,
        server_url: &str,
        around: &dyn Surroundings,
        found_out: &FoundOut,
    ) -> Result<Begun> {
        let mut tx = self.begin().await?;
        // Whoever ends a try holds the run too: none ends between this look and the token, which would outlive it.
        let Some(run) = store::pipeline_run::lock(&mut tx, held.run_id).await? else { return Ok(Begun::Lost) };
        let Some(work) = store::step::attempt::work(&mut tx, held.step_id, held.fence).await? else {
            return Ok(Begun::Lost);
        };
        let values = work.spec.values(&work.place, &work.params, &work.items);
        let (Some(step), Some(mut invocation)) =
            (work.spec.step(&work.place), work.spec.invocation(&work.place, &values))
        else {
            tracing::error!(step = %held.name, run = %held.run_id, "a stored step is not in its pipeline's file");
            return Err(Error::internal());
        };

        let scheduled_for = run.cause_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let scheduled_for = scheduled_for.map(|at| ("SLIPWAY_SCHEDULED_FOR".to_owned(), at));
        // What a step gave for another time is nothing for one that asks for its own.
        if work.spec.may_read(&invocation, "SLIPWAY_SCHEDULED_FOR") {
            invocation.env.extend(scheduled_for.clone());
        }
        let spot = Spot { place: work.place.clone(), name: held.name.clone() };
        let workspace = Ctx::system(work.workspace.clone());
        let mut inputs = inputs::find(&mut tx, &workspace, held.run_id, &work.spec, (&spot, step), &values).await?;
        // What a run did is done again with what it took, whatever was found of that since.
        if work.reproduces.is_none()
            && !work.cancelling
            && let Some(version) = inputs::refuse_unchecked(&mut tx, &workspace, step, &mut inputs).await?
        {
            let key = limit::check_key(work.workspace.id, &version);
            if store::step::lease::put_back(&mut tx, held.step_id, held.fence, &key).await? {
                let freed = limit::give_back(&mut tx, held.fence).await?;
                settle::wake(&mut tx, &freed).await?;
                if !held.gpus.is_empty() {
                    store::event::notify(&mut tx, store::step::READY).await?;
                }
                store::event::notify(&mut tx, &format!("pipeline_run:{}", run.id)).await?;
                commit(tx).await?;
            }
            return Ok(Begun::Lost);
        }
        settle::begin(&mut tx, &run).await?;
        if step.finally || step.trigger_rule == TriggerRule::AllDone {
            // It takes what there is.
            inputs.retain(|input| {
                let is_there = !matches!(input.source, Source::Missing(_));
                if !is_there {
                    invocation.env.remove(&env_name("INPUT", &input.input.name));
                }
                is_there
            });
        }
        let timeout = step.timeout_seconds.map(Duration::from_secs);
        let lasts = timeout.map_or(TOKEN_LASTS, |timeout| timeout + TOKEN_GRACE);
        let run_name = format!("{} #{}", work.pipeline, work.run_number);
        let token_name = format!("{run_name}: {}, try {}", held.name, held.number);
        let taken: Vec<StepInput> = inputs.iter().map(|files| files.input.clone()).collect();
        let outputs = PipelineSpec::filled_outputs(step, &values);
        let python = match work.executor {
            ExecutorKind::Process => invocation.python(),
            ExecutorKind::Docker | ExecutorKind::Kubernetes => Python::default(),
        };
        let facts = found_out.facts.clone().unwrap_or_else(|| around.now(&python));
        let unknown = facts.environment.is_none().then_some(python);
        let with = cache::RunWith {
            work: &work,
            step,
            invocation: &invocation,
            values: &values,
            inputs: &inputs,
            outputs: &outputs,
            facts: &facts,
        };
        let is_refused = inputs.iter().any(|input| matches!(input.source, Source::Refused(_)));
        if let (Some(python), None, true) = (&unknown, &found_out.facts, !is_refused && with.asks_for_environment()) {
            // One that is only dropped holds the run until its connection is used again.
            tx.rollback().await.map_err(store::Error::from)?;
            return Ok(Begun::Asks(python.clone()));
        }
        let looked = match is_refused {
            true => cache::Outcome::Miss,
            false => self.look_in_cache(&mut tx, held, with, found_out).await?,
        };
        let cached = match looked {
            cache::Outcome::Hit(hit) => Some(hit),
            cache::Outcome::Miss => None,
            cache::Outcome::Looks(kept) => {
                tx.rollback().await.map_err(store::Error::from)?;
                return Ok(Begun::Looks(kept));
            }
        };
        let kfp = match &step.kfp {
            Some(contract) => Some(KfpWork {
                contract: (**contract).clone(),
                params: values.clone().into_iter().map(|(name, value)| (name, value.into())).collect(),
                own: step.params.keys().cloned().collect(),
                ends: kfp::ends(&mut tx, held.run_id, &work.spec, &spot, step).await?,
                run: ::kfp::message::Run {
                    name: format!("{} #{}", work.pipeline, work.run_number),
                    id: held.run_id.to_string(),
                    task: held.name.clone(),
                    task_id: held.attempt_id.to_string(),
                    created_at: run.created_at.to_rfc3339(),
                },
            }),
            None => None,
        };
        let (ctx, secret) = if cached.is_some() {
            store::step::attempt::begin(&mut tx, held.attempt_id, None, &taken, &facts).await?;
            (workspace, String::new())
        } else {
            let until = Utc::now() + lasts;
            account::begin(&mut tx, &work.workspace, held.attempt_id, &token_name, until, (&taken, &facts)).await?
        };
        let image = match work.reproduces {
            Some(_) => store::step::record::image_before(&mut tx, held.attempt_id).await?,
            None => None,
        };
        commit(tx).await?;

        invocation.env.extend(scheduled_for);
        let tracking = [
            ("MLFLOW_TRACKING_URI", format!("{server_url}/w/{}", work.workspace.slug)),
            ("MLFLOW_TRACKING_TOKEN", secret.clone()),
            ("MLFLOW_EXPERIMENT_NAME", work.pipeline.clone()),
        ];
        for (name, value) in tracking {
            // Who logs elsewhere says so in the file.
            invocation.env.entry(name.to_owned()).or_insert(value);
        }
        let ours = [
            ("SLIPWAY_URL", server_url.to_owned()),
            ("SLIPWAY_TOKEN", secret),
            ("SLIPWAY_WORKSPACE", work.workspace.slug),
            ("SLIPWAY_PIPELINE_RUN", work.run_number.to_string()),
            ("SLIPWAY_STEP", held.name.clone()),
            ("SLIPWAY_ATTEMPT", held.number.to_string()),
            ("SLIPWAY_FENCE", held.fence.to_string()),
        ];
        if let Some(code) = &work.code {
            invocation.env.insert("SLIPWAY_COMMIT".to_owned(), code.commit.clone());
        }
        if let Some(before) = work.reproduces {
            // For steps that do something elsewhere, which is done already.
            invocation.env.insert("SLIPWAY_REPRODUCES".to_owned(), before.to_string());
        }
        invocation.env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        let notebook = NotebookWork::of(step);
        let mut files = work.spec.files.clone();
        if notebook.is_some() {
            files.extend(NotebookWork::files(&values));
        }
        Ok(Begun::Work(Box::new(StepWork {
            ctx,
            pipeline: work.pipeline,
            cached,
            run_name,
            invocation,
            secrets: work.spec.secrets_of(step),
            files,
            inputs,
            outputs,
            notebook,
            kfp,
            executor: work.executor,
            image: image.or_else(|| work.spec.image_of(step).map(str::to_owned)),
            resources: step.resources,
            timeout,
            max_attempts: work.max_attempts,
            cancelling: work.cancelling,
            unknown,
        })))
    }

    /// Notes what the worker of a try is, when it has found that out.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn note_facts(&self, attempt: StepAttemptId, facts: &Facts) -> Result<()> {
        Ok(store::step::attempt::set_facts(&mut *self.conn().await?, attempt, facts).await?)
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
