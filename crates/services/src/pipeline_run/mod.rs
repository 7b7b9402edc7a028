//! Runs of pipelines: starting one, watching it, cancelling it.
//!
//! How its steps go on is in [`crate::step`].

mod reproduction;
mod rerun;
pub(crate) mod turn;

pub(crate) use reproduction::start_again;
pub use rerun::Rerun;

use crate::{
    Credential, Ctx, Event, Result, Services, artifact, boxed, commit, pipeline, secret,
    step::{
        account, approval, inputs,
        plan::{self, Around, Plan},
        settle, sub_run,
    },
};
use chrono::{DateTime, Datelike as _, Utc};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    id::{AlertId, PipelineId, PipelineRunId, RunId, TriggerId, UserId},
    page,
    pipeline::{ParamValue, Pipeline, PipelineSpec, PipelineVersion},
    pipeline_run::{
        Code, MAX_PATCH, PipelineRun, PipelineRunDetail, PipelineRunState, PipelineRunSummary, RunCause, StepState,
    },
    step::{Step, StepAttempt},
};
use serde_json::Value;
use sqlx::{Connection as _, Postgres, Transaction};
use std::collections::BTreeMap;
use store::{PgConnection, pipeline_run::NewPipelineRun, step::pin::Pin};

/// The longest key that a sender may give a request.
const MAX_KEY: usize = 200;

/// The longest text that runs are looked for with.
const MAX_TEXT: usize = 200;

/// A run to be started.
#[derive(Debug, Clone, Default)]
pub struct NewRun {
    /// Of this pipeline.
    pub pipeline: String,
    /// Of this version of its file; of the one that was stored last when none is given.
    pub version: Option<i32>,
    /// Values of params that shall not have their defaults.
    pub params: BTreeMap<String, Value>,
    /// Whether all its steps run, also those that gave something before when they were run with the same.
    pub no_cache: bool,
    /// The code that it is started from, as far as the client knows it. What was changed after the commit is beside it, as a
    /// patch.
    pub code: Option<(Code, Option<Vec<u8>>)>,
    /// Of requests with the same key in a workspace, the first starts a run and the others find it.
    pub idempotency_key: Option<String>,
}

/// A run, and whether this request started it.
#[derive(Debug)]
pub struct StartedRun {
    /// The run.
    pub run: PipelineRun,
    /// Whether it was started now.
    pub is_new: bool,
}

/// Which runs a list shows.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of the pipeline of this name.
    pub pipeline: Option<String>,
    /// In this state.
    pub state: Option<PipelineRunState>,
    /// Started by this.
    pub cause: Option<RunCause>,
    /// Started by somebody with this in the name.
    pub by: Option<String>,
    /// With this in the names of the pipeline and of what started it, in the values of the params or in its number.
    pub text: Option<String>,
    /// Asked for at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Asked for before this moment.
    pub to: Option<DateTime<Utc>>,
}

impl RunFilter {
    fn check(&self) -> Result<()> {
        for (name, text) in [("by", &self.by), ("text", &self.text)] {
            let unfit = |text: &String| text.chars().count() > MAX_TEXT || text.contains('\0');
            if text.as_ref().is_some_and(unfit) {
                let rule = format!("Look for up to {MAX_TEXT} characters.");
                return Err(Error::invalid_field(name, rule));
            }
        }
        for (name, moment) in [("from", &self.from), ("to", &self.to)] {
            if moment.is_some_and(|moment| !(1..=9999).contains(&moment.year())) {
                return Err(Error::invalid_field(name, "Give a time of the years 1 to 9999."));
            }
        }
        Ok(())
    }
}

/// Which steps of a run a list shows.
#[derive(Debug, Clone, Default)]
pub struct StepFilter {
    /// Those directly inside of the step of this name.
    pub parent: Option<String>,
    /// In this state.
    pub state: Option<StepState>,
    /// Commands alone.
    pub commands: bool,
}

/// What started a run.
#[derive(Debug, Default)]
pub(crate) struct Cause<'a> {
    pub(crate) cause: RunCause,
    /// Which one, by its id.
    pub(crate) id: Option<&'a str>,
    /// What that is called.
    pub(crate) name: Option<&'a str>,
    /// The time that the run is for.
    pub(crate) at: Option<DateTime<Utc>>,
    /// How many runs led to it.
    pub(crate) depth: i32,
    /// Of two runs with the same key there is only one.
    pub(crate) key: Option<&'a str>,
    /// Whether all its steps run, also those that gave something before.
    pub(crate) no_cache: bool,
    /// The code that it is started from.
    pub(crate) code: Option<&'a Code>,
    /// The version of a dataset that it is for: what its steps mean by the latest, and by the one that passed its checks, also
    /// when there is a later one by then.
    pub(crate) versions: &'a [Pin],
    /// The run that it does again from its record.
    pub(crate) reproduces: Option<PipelineRunId>,
    /// The run that it is again.
    pub(crate) rerun_of: Option<PipelineRunId>,
    /// The run whose versions of datasets and models it has; those that there are now, when there is none.
    pub(crate) same_versions_as: Option<PipelineRunId>,
    /// Who is behind it, when that is not who asks.
    pub(crate) on_behalf_of: Option<UserId>,
}

impl Services {
    /// Starts a run.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline or version, `Invalid` for params that it does not take, `Conflict` when the key
    /// was used for something else.
    #[boxed]
    pub async fn start_pipeline_run(&self, ctx: &Ctx, new: NewRun) -> Result<StartedRun> {
        let key = new.idempotency_key.as_deref().map(sender_key).transpose()?;
        let code = match &new.code {
            Some((code, patch)) => Some(self.keep_code(code.clone(), patch.as_deref()).await?),
            None => None,
        };
        let mut tx = self.begin().await?;
        let pipeline = pipeline::find(&mut tx, ctx, &new.pipeline).await?;
        if let Some(key) = &key
            && let Some(run) = store::pipeline_run::by_idempotency_key(&mut tx, ctx.workspace_id(), key).await?
        {
            return found(&mut tx, &pipeline, run, &new, code.as_ref()).await;
        }
        let version = pipeline::version(&mut tx, &pipeline, new.version).await?;
        let params = version.spec.resolve_params(&new.params)?;
        let cause = match ctx.caller.as_ref().map(|caller| &caller.credential) {
            Some(Credential::Session(_)) => RunCause::Person,
            _ => RunCause::Api,
        };
        let cause =
            Cause { cause, key: key.as_deref(), no_cache: new.no_cache, code: code.as_ref(), ..Cause::default() };
        let started = turn::start(&mut tx, ctx, &pipeline, &version, &params, &cause).await;
        let started = self.started(ctx, tx, started, cause.key, |run| Ok(StartedRun { run, is_new: false })).await?;
        if started.is_new {
            return Ok(started);
        }
        found(&mut *self.conn().await?, &pipeline, started.run, &new, code.as_ref()).await
    }

    /// Commits what a start came to. When its key was used meanwhile, `found` judges the run that was started with that.
    async fn started(
        &self,
        ctx: &Ctx,
        tx: Transaction<'static, Postgres>,
        started: std::result::Result<PipelineRun, Insert>,
        key: Option<&str>,
        found: impl FnOnce(PipelineRun) -> Result<StartedRun>,
    ) -> Result<StartedRun> {
        match started {
            Ok(run) => {
                commit(tx).await?;
                Ok(StartedRun { run, is_new: true })
            }
            Err(Insert::KeyTaken) => {
                drop(tx);
                let (mut conn, key) = (self.conn().await?, key.unwrap_or_default());
                let first = store::pipeline_run::by_idempotency_key(&mut conn, ctx.workspace_id(), key).await?;
                found(first.ok_or_else(Error::internal)?)
            }
            Err(Insert::Busy(error) | Insert::Failed(error)) => Err(error),
        }
    }

    /// Checks what is said of code, and keeps the patch.
    pub(crate) async fn keep_code(&self, code: Code, patch: Option<&[u8]>) -> Result<Code> {
        let mut code = code.check()?;
        code.patch = None;
        if let Some(patch) = patch.filter(|patch| !patch.is_empty()) {
            if patch.len() > MAX_PATCH {
                let message = format!("A patch has at most {} KiB; leave it out.", MAX_PATCH / 1024);
                return Err(Error::invalid_field("code.patch", message));
            }
            code.patch = Some(self.artifacts.put_bytes(patch.to_vec()).await.map_err(artifact::of_store)?.digest);
            code.is_dirty = true;
        }
        Ok(code)
    }

    /// What was changed after the commit that a run was started from, as a patch.
    ///
    /// # Errors
    /// `NotFound` without such a run, or when nothing was changed, or it was not kept.
    #[boxed]
    pub async fn pipeline_run_patch(&self, ctx: &Ctx, number: i64) -> Result<Vec<u8>> {
        let run = by_number(&mut *self.conn().await?, ctx, number).await?;
        self.patch_of(run.code.as_ref(), &format!("pipeline run #{number}")).await
    }

    /// The patch of this code, which is that of `what`.
    pub(crate) async fn patch_of(&self, code: Option<&Code>, what: &str) -> Result<Vec<u8>> {
        let digest = code
            .and_then(|code| code.patch.as_ref())
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No patch was kept of {what}.")))?;
        let bytes = self.artifacts.get_bytes(digest, MAX_PATCH as u64).await.map_err(artifact::of_store)?;
        Ok(bytes.to_vec())
    }

    /// Starts a run because of an alert, in the transaction of the caller, or says why not. For the same trigger and alert
    /// there is one run only.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn start_run_for_trigger(
        &self,
        conn: &mut PgConnection,
        ctx: &Ctx,
        pipeline: PipelineId,
        params: &BTreeMap<String, Value>,
        trigger: TriggerId,
        (alert, number): (AlertId, i64),
    ) -> Result<std::result::Result<PipelineRun, Refused>> {
        let key = format!("trigger:{trigger}:{alert}");
        if let Some(run) = store::pipeline_run::by_idempotency_key(conn, ctx.workspace_id(), &key).await? {
            return Ok(Ok(run));
        }
        let (id, name) = (alert.to_string(), format!("alert #{number}"));
        let cause =
            Cause { cause: RunCause::Trigger, id: Some(&id), name: Some(&name), key: Some(&key), ..Cause::default() };
        start_for(conn, ctx, pipeline, params, &cause).await
    }

    /// Runs of the workspace, newest first.
    ///
    /// # Errors
    /// `NotFound` for a pipeline that there is not, `Invalid` for a page token that is not of this list, and for texts and
    /// times that no run can have.
    #[boxed]
    pub async fn pipeline_runs(
        &self,
        ctx: &Ctx,
        filter: &RunFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<PipelineRunSummary>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        filter.check()?;
        let mut conn = self.conn().await?;
        let pipeline = match &filter.pipeline {
            Some(name) => Some(pipeline::find(&mut conn, ctx, name).await?.id),
            None => None,
        };
        let filter = store::pipeline_run::Filter {
            pipeline,
            state: filter.state,
            cause: filter.cause,
            by: filter.by.as_deref(),
            text: filter.text.as_deref(),
            from: filter.from,
            to: filter.to,
        };
        let rows = store::pipeline_run::list(&mut conn, ctx.workspace_id(), filter, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.run.number))
    }

    /// How many runs of the workspace are open, by state, those that run first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn open_pipeline_runs(&self, ctx: &Ctx) -> Result<Vec<(PipelineRunState, i64)>> {
        let mut open = store::pipeline_run::count_open(&mut *self.conn().await?, ctx.workspace_id()).await?;
        open.sort_by_key(|(state, _)| *state == PipelineRunState::Queued);
        Ok(open)
    }

    /// A step of a run, by its name.
    ///
    /// # Errors
    /// `NotFound` without such a run or step.
    #[boxed]
    pub async fn step(&self, ctx: &Ctx, number: i64, name: &str) -> Result<Step> {
        step(&mut *self.conn().await?, ctx, number, name).await
    }

    /// Steps of a run, those inside of others among them, in their order.
    ///
    /// # Errors
    /// `NotFound` without such a run, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn steps(
        &self,
        ctx: &Ctx,
        number: i64,
        filter: &StepFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Step>> {
        let after: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        let filter =
            store::step::Filter { parent: filter.parent.as_deref(), state: filter.state, commands: filter.commands };
        let rows = store::step::list(&mut conn, run.id, &filter, after, limit as i64 + 1).await?;
        let page = Page::cut(rows, limit, |(position, _)| *position);
        Ok(Page {
            items: page.items.into_iter().map(|(_, step)| step).collect(),
            next_page_token: page.next_page_token,
        })
    }

    /// A run with its steps.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<PipelineRunDetail> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        let steps = store::step::top(&mut conn, run.id).await?;
        let (total, ended) = store::pipeline_run::steps(&mut conn, run.id).await?;
        Ok(PipelineRunDetail {
            cause_page: run.cause_page(),
            run,
            steps_total: total.into(),
            steps_ended: ended.into(),
            steps,
        })
    }

    /// The tries of a step, first to last.
    ///
    /// # Errors
    /// `NotFound` without such a run or step.
    #[boxed]
    pub async fn step_attempts(&self, ctx: &Ctx, number: i64, step: &str) -> Result<Vec<StepAttempt>> {
        let mut conn = self.conn().await?;
        let found = self::step(&mut conn, ctx, number, step).await?;
        Ok(store::step::attempt::list(&mut conn, found.id).await?)
    }

    /// The tries of these steps of a run, by the step's name, first to last.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline_run_attempts(
        &self,
        ctx: &Ctx,
        number: i64,
        steps: &[String],
    ) -> Result<BTreeMap<String, Vec<StepAttempt>>> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        Ok(store::step::attempt::of_steps(&mut conn, run.id, steps).await?)
    }

    /// Tracked runs that steps of a run logged to, the first of each step that tried; up to a hundred.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn runs_of_pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<Vec<RunId>> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        Ok(store::step::attempt::logged_runs(&mut conn, run.id, 100).await?)
    }

    /// Cancels a run: what has not begun does not begin, and what runs is ended. Asking again changes nothing.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has ended otherwise.
    #[boxed]
    pub async fn cancel_pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<PipelineRun> {
        let mut tx = self.begin().await?;
        let id = by_number(&mut tx, ctx, number).await?.id;
        let mut run = store::pipeline_run::lock(&mut tx, id).await?.ok_or_else(Error::internal)?;
        if run.state.is_final() && run.state != PipelineRunState::Cancelled {
            return Err(Error::conflict(format!("{} has {} already.", name(&run), run.state.as_str())));
        }
        if run.cancel_requested_at.is_some() {
            return Ok(run);
        }
        let settled = cancel(&mut tx, ctx, &mut run, "").await?;
        commit(tx).await?;
        settled.iter().for_each(settle::Settled::count);
        let mut conn = self.conn().await?;
        by_number(&mut conn, ctx, number).await
    }
}

/// Cancels an open run that is locked and that nobody cancelled.
pub(crate) async fn cancel(
    conn: &mut PgConnection,
    ctx: &Ctx,
    run: &mut PipelineRun,
    because: &str,
) -> Result<Option<settle::Settled>> {
    store::pipeline_run::request_cancel(conn, run.id).await?;
    run.state =
        run.state.move_to(PipelineRunState::Cancelling).map_err(|illegal| Error::conflict(illegal.to_string()))?;
    store::pipeline_run::set_state(conn, run.id, run.state).await?;
    Event::new("pipeline_run.cancelled", object(run), format!("cancelled {}{because}", name(run)))
        .related(Object::new(ObjectKind::Pipeline, run.pipeline_id, &run.pipeline_name))
        .write(conn, ctx)
        .await?;
    run.cancel_requested_at = Some(Utc::now());
    let settled = settle::cancel(conn, run).await?;
    // Workers learn of it with their next renewal; this makes them ask at once.
    store::event::notify(conn, &format!("cancel:{}", run.id)).await?;
    Ok(Some(settled))
}

/// Why something that is no request started no run.
#[derive(Debug)]
pub struct Refused {
    /// The reason, for people.
    pub why: String,
    /// Whether as many runs of the pipeline are open, or wait, as may be: it may start later. Otherwise it is refused until
    /// somebody mends something.
    pub is_busy: bool,
}

/// Starts a run for something that is no request, in the transaction of the caller: by the version that was stored last.
/// Whoever asks goes on and commits when it is refused, so a start that is refused takes back all that it has written.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn start_for(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: PipelineId,
    params: &BTreeMap<String, Value>,
    cause: &Cause<'_>,
) -> Result<std::result::Result<PipelineRun, Refused>> {
    let Some(pipeline) = store::pipeline::by_id(conn, ctx.workspace_id(), pipeline).await? else {
        let why = Error::not_found("pipeline", pipeline).message;
        return Ok(Err(Refused { why, is_busy: false }));
    };
    let mut part = conn.begin().await.map_err(store::Error::from)?;
    let refused = match start_by(&mut part, ctx, &pipeline, None, params, cause).await {
        Ok(run) => {
            part.commit().await.map_err(store::Error::from)?;
            return Ok(Ok(run));
        }
        Err(refused) => refused,
    };
    part.rollback().await.map_err(store::Error::from)?;
    let is_busy = matches!(refused, Insert::Busy(_));
    match refused.into_error() {
        error if is_busy || is_refusal(&error) => Ok(Err(Refused { why: error.message, is_busy })),
        error => Err(error),
    }
}

/// Starts a run for something that is no request, in a transaction that is given up when it is refused: by this version of
/// the file, or that which was stored last when none is given.
///
/// # Errors
/// `NotFound` when the pipeline has no file or no such version, `Invalid` for params that it does not take, `Conflict` when
/// its limit lets no more be started, or something is not there that its steps take.
pub(crate) async fn start_version(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: &Pipeline,
    version: Option<i32>,
    params: &BTreeMap<String, Value>,
    cause: &Cause<'_>,
) -> Result<PipelineRun> {
    start_by(conn, ctx, pipeline, version, params, cause).await.map_err(Insert::into_error)
}

async fn start_by(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: &Pipeline,
    version: Option<i32>,
    params: &BTreeMap<String, Value>,
    cause: &Cause<'_>,
) -> std::result::Result<PipelineRun, Insert> {
    let version = pipeline::version(conn, pipeline, version).await?;
    let params = version.spec.resolve_params(params)?;
    turn::start(conn, ctx, pipeline, &version, &params, cause).await
}

/// Whether a run could not be started for a reason that whoever asks again later finds gone, or can mend.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict)
}

/// Why a run was not added.
enum Insert {
    /// The key was used.
    KeyTaken,
    /// As many runs of the pipeline are open, or wait, as may be.
    Busy(Error),
    Failed(Error),
}

impl Insert {
    /// For whoever starts runs that nobody asks for twice.
    fn into_error(self) -> Error {
        match self {
            Self::KeyTaken => Error::conflict("This has started a run already."),
            Self::Busy(error) | Self::Failed(error) => error,
        }
    }
}

impl<E: Into<Error>> From<E> for Insert {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Adds a run with its steps, which all wait, and notes who started it.
async fn insert(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: &Pipeline,
    version: &PipelineVersion,
    params: &BTreeMap<String, ParamValue>,
    cause: &Cause<'_>,
) -> std::result::Result<PipelineRun, Insert> {
    let id = PipelineRunId::new();
    let number = store::counter::next(conn, ctx.workspace_id(), "pipeline_run").await?;
    let actor = ctx.actor();
    let new = NewPipelineRun {
        id,
        workspace_id: ctx.workspace_id(),
        pipeline_id: pipeline.id,
        version_id: version.id,
        number,
        params,
        cause: cause.cause,
        cause_id: cause.id,
        cause_name: cause.name,
        cause_at: cause.at,
        depth: cause.depth,
        rerun_of: cause.rerun_of,
        use_cache: !cause.no_cache,
        code: code_of(version, cause),
        reproduces: cause.reproduces,
        started_by: ctx.user().map(|user| user.id),
        on_behalf_of: match cause.on_behalf_of {
            Some(person) => Some(person),
            None => account::person_behind(conn, ctx).await?,
        },
        // Slipway itself says which part of it.
        started_by_name: cause.name.filter(|_| ctx.caller.is_none()).unwrap_or_else(|| actor.name()),
        idempotency_key: cause.key,
    };
    store::pipeline_run::insert(conn, &new).await.map_err(|error| match error {
        error if error.is_duplicate_of("pipeline_runs_idempotency") => Insert::KeyTaken,
        error => error.into(),
    })?;

    limits_exist(conn, ctx, &version.spec).await?;
    secret::exist(conn, ctx, &version.spec).await?;
    approval::teams_exist(conn, ctx, &version.spec).await?;
    sub_run::others_exist(conn, ctx, (pipeline.id, &pipeline.name), &version.spec).await?;
    match cause.same_versions_as.or(cause.reproduces) {
        Some(before) => store::step::pin::copy(conn, before, id).await?,
        None => {
            // What is pinned first stays.
            for pin in cause.versions.iter().filter(|pin| inputs::may_take(&version.spec, pin)) {
                store::step::pin::add(conn, id, pin).await?;
            }
            inputs::pin_all(conn, ctx, id, &version.spec).await?;
        }
    }
    let executors = store::worker::pool_executors(conn).await?;
    let around = Around { workspace: ctx.workspace_id(), spec: &version.spec, executors: &executors, outer: None };
    let Plan { steps, edges } = plan::steps(around, &version.spec.steps);
    store::step::insert(conn, id, ctx.workspace_id(), &steps, &edges).await?;

    let runs = store::pipeline_run::by_ids(conn, &[id]).await?;
    let run = runs.into_iter().next().ok_or_else(Error::internal)?;
    Event::new("pipeline_run.started", object(&run), format!("started {}", name(&run)))
        .related(pipeline::object(pipeline))
        .details(serde_json::json!({
            "version": version.number,
            "digest": version.digest,
            "params": params,
            "cause": cause.cause,
            "cause_name": cause.name,
            "cause_at": cause.at,
        }))
        .write(conn, ctx)
        .await?;
    store::event::notify(conn, &format!("pipeline_runs:{}", ctx.workspace_id())).await?;
    Ok(run)
}

/// The code of a run: that of its record when it does another again, else that which it is started from, else that which its
/// version was stored from. A run inside of another has the other's, unless its own version is of another repository.
fn code_of<'a>(version: &'a PipelineVersion, cause: &Cause<'a>) -> Option<&'a Code> {
    if cause.reproduces.is_some() {
        return cause.code;
    }
    let elsewhere = |code: &&Code| {
        let around = cause.code.and_then(|around| around.repository.as_ref());
        cause.cause == RunCause::Step
            && around.is_some()
            && code.repository.is_some()
            && code.repository.as_ref() != around
    };
    version.code.as_ref().filter(elsewhere).or(cause.code).or(version.code.as_ref())
}

/// Whether the workspace has all limits that steps name: one that it has not would keep them waiting for ever.
async fn limits_exist(conn: &mut PgConnection, ctx: &Ctx, spec: &PipelineSpec) -> Result<()> {
    let named: Vec<(&str, &str)> = spec.limits().collect();
    if named.is_empty() {
        return Ok(());
    }
    let key = |name: &str| store::step::limit::tag_key(ctx.workspace_id(), name);
    let keys: Vec<String> = named.iter().map(|(_, name)| key(name)).collect();
    let known = store::step::limit::known(conn, &keys).await?;
    match named.into_iter().find(|(_, name)| !known.contains(&key(name))) {
        Some((step, name)) => Err(Error::conflict(format!(
            "Step \"{step}\" names the limit \"{name}\", which this workspace does not have."
        ))),
        None => Ok(()),
    }
}

/// The stored form of a key that a sender gives: kept apart from the keys that Slipway makes.
fn sender_key(key: &str) -> Result<String> {
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        let message = format!("An idempotency key is 1 to {MAX_KEY} visible ASCII characters.");
        return Err(Error::invalid_field("idempotency_key", message));
    }
    Ok(format!("sender:{key}"))
}

/// The run that an earlier request with the same key started, if that asked for the same.
async fn found(
    conn: &mut PgConnection,
    pipeline: &Pipeline,
    run: PipelineRun,
    new: &NewRun,
    code: Option<&Code>,
) -> Result<StartedRun> {
    if run.pipeline_id != pipeline.id || new.version.is_some_and(|version| version != run.version_number) {
        return earlier(run, false);
    }
    // By the file of that time: another may have been stored since.
    let version = pipeline::version(conn, pipeline, Some(run.version_number)).await?;
    let is_same = version.spec.resolve_params(&new.params).is_ok_and(|params| params == run.params)
        && run.use_cache != new.no_cache
        // One that names none has that of its version.
        && code.is_none_or(|code| run.code.as_ref() == Some(code));
    earlier(run, is_same)
}

/// What an earlier request with the same key started, if that asked for the same.
fn earlier(run: PipelineRun, is_same: bool) -> Result<StartedRun> {
    if is_same {
        return Ok(StartedRun { run, is_new: false });
    }
    Err(Error::conflict(format!("This idempotency key was used for something else: it started {}.", name(&run)))
        .in_field("idempotency_key"))
}

pub(crate) async fn by_number(conn: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<PipelineRun> {
    store::pipeline_run::by_number(conn, ctx.workspace_id(), number)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No pipeline run #{number} in this workspace.")))
}

/// A step of a run, by its name.
pub(crate) async fn step(conn: &mut PgConnection, ctx: &Ctx, number: i64, name: &str) -> Result<Step> {
    let run = by_number(conn, ctx, number).await?;
    store::step::by_name(conn, run.id, name).await?.ok_or_else(|| no_step(number, name))
}

pub(crate) fn no_step(number: i64, step: &str) -> Error {
    let step: String = step.chars().take(64).collect();
    Error::new(ErrorKind::NotFound, format!("Pipeline run #{number} has no step \"{step}\"."))
}

/// What people call it: `train-wine #512`.
pub(crate) fn name(run: &PipelineRun) -> String {
    format!("{} #{}", run.pipeline_name, run.number)
}

pub(crate) fn object(run: &PipelineRun) -> Object {
    Object::new(ObjectKind::PipelineRun, run.id, name(run))
}
