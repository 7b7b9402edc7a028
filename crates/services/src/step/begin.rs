//! The beginning of a try: what it is to run, and what it is told, under the lock of its run.

use super::{
    Claimed, KfpWork, NotebookWork, Source, StepWork, Surroundings, account, cache, inputs, outputs::Spot, settle,
};
use crate::{Ctx, Result, Services, boxed, commit};
use chrono::{SecondsFormat, Utc};
use domain::{
    Error,
    id::StepAttemptId,
    pipeline::{ExecutorKind, PipelineSpec, Python, TriggerRule, env_name},
    pipeline_run::PipelineRun,
    step::StepInput,
    worker::Facts,
};
use sqlx::{Postgres, Transaction};
use std::{collections::BTreeMap, time::Duration};
use store::step::{attempt, limit};

/// How long the token of a try works beyond the time that the try may take.
const TOKEN_GRACE: Duration = Duration::from_secs(3600);

/// How long it works when the try may take as long as it likes.
const TOKEN_LASTS: Duration = Duration::from_secs(30 * 86_400);

/// What was found out about a try before its run is locked, because it takes time.
#[derive(Default)]
pub(super) struct FoundOut {
    facts: Option<Facts>,
    pub(super) looked: Option<cache::Looked>,
    /// How often it was looked.
    pub(super) looks: u32,
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
            put_back(tx, held, &run, &version).await?;
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
            Some(contract) => Some(KfpWork::new(&mut tx, held, (&run, &work), (&spot, step, contract), &values).await?),
            None => None,
        };
        let attempt = (held.attempt_id, held.run_id);
        let (ctx, secret) = if cached.is_some() {
            store::step::attempt::begin(&mut tx, attempt, &taken, &facts).await?;
            (workspace, String::new())
        } else {
            let until = Utc::now() + lasts;
            account::begin(&mut tx, &work.workspace, attempt, &token_name, until, (&taken, &facts)).await?
        };
        let image = match work.reproduces {
            Some(_) => store::step::record::image_before(&mut tx, held.attempt_id).await?,
            None => None,
        };
        commit(tx).await?;

        invocation.env.extend(scheduled_for);
        tell(&mut invocation.env, held, &work, server_url, secret);
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
}

/// Puts a step back that takes a version whose check is under way: it is ready again, and waits for that.
async fn put_back(
    mut tx: Transaction<'static, Postgres>,
    held: &Claimed,
    run: &PipelineRun,
    version: &str,
) -> Result<()> {
    let key = limit::check_key(run.workspace_id, version);
    if !store::step::lease::put_back(&mut tx, held.step_id, held.fence, &key).await? {
        return Ok(());
    }
    let freed = limit::give_back(&mut tx, held.fence).await?;
    settle::wake(&mut tx, &freed).await?;
    if !held.gpus.is_empty() {
        store::event::notify_workers(&mut tx, store::step::READY).await?;
    }
    store::event::notify(&mut tx, &store::event::of_run(run.id)).await?;
    commit(tx).await
}

/// Adds the variables by which a command knows what it is of, and logs to its own run.
fn tell(env: &mut BTreeMap<String, String>, held: &Claimed, work: &attempt::Work, server_url: &str, secret: String) {
    let tracking = [
        ("MLFLOW_TRACKING_URI", format!("{server_url}/w/{}", work.workspace.slug)),
        ("MLFLOW_TRACKING_TOKEN", secret.clone()),
        ("MLFLOW_EXPERIMENT_NAME", work.pipeline.clone()),
    ];
    for (name, value) in tracking {
        // Who logs elsewhere says so in the file.
        env.entry(name.to_owned()).or_insert(value);
    }
    let ours = [
        ("SLIPWAY_URL", server_url.to_owned()),
        ("SLIPWAY_TOKEN", secret),
        ("SLIPWAY_WORKSPACE", work.workspace.slug.clone()),
        ("SLIPWAY_PIPELINE_RUN", work.run_number.to_string()),
        ("SLIPWAY_STEP", held.name.clone()),
        ("SLIPWAY_ATTEMPT", held.number.to_string()),
        ("SLIPWAY_FENCE", held.fence.to_string()),
    ];
    if let Some(code) = &work.code {
        env.insert("SLIPWAY_COMMIT".to_owned(), code.commit.clone());
    }
    if let Some(before) = work.reproduces {
        // For steps that do something elsewhere, which is done already.
        env.insert("SLIPWAY_REPRODUCES".to_owned(), before.to_string());
    }
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
}
