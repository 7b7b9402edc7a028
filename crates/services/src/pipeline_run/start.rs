//! Starting a run: by a request, or by something that is none.

use super::{code::code_of, name, object, turn};
use crate::{
    Credential, Ctx, Event, Result, Services, boxed, commit, pipeline, secret,
    step::{
        account, approval, inputs,
        plan::{self, Around, Plan},
        sub_run,
    },
};
use chrono::{DateTime, Utc};
use domain::{
    Error, ErrorKind,
    id::{AlertId, PipelineId, PipelineRunId, TriggerId, UserId},
    pipeline::{ParamValue, Pipeline, PipelineSpec, PipelineVersion},
    pipeline_run::{Code, PipelineRun, RunCause},
};
use serde_json::Value;
use sqlx::{Connection as _, Postgres, Transaction};
use std::collections::BTreeMap;
use store::{PgConnection, pipeline_run::NewPipelineRun, step::pin::Pin};

/// The longest key that a sender may give a request.
const MAX_KEY: usize = 200;

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
    pub(super) async fn started(
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
    let refused = match start_version(&mut part, ctx, &pipeline, None, params, cause).await {
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
pub(crate) enum Insert {
    /// The key was used.
    KeyTaken,
    /// As many runs of the pipeline are open, or wait, as may be.
    Busy(Error),
    Failed(Error),
}

impl Insert {
    /// For whoever starts runs that nobody asks for twice.
    pub(crate) fn into_error(self) -> Error {
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
pub(super) async fn insert(
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
    let executors = match cause.reproduces {
        Some(before) => store::pipeline_run::executors(conn, before).await?,
        None => store::worker::pool_executors(conn).await?,
    };
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
        executors: &executors,
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
pub(super) fn sender_key(key: &str) -> Result<String> {
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
pub(super) fn earlier(run: PipelineRun, is_same: bool) -> Result<StartedRun> {
    if is_same {
        return Ok(StartedRun { run, is_new: false });
    }
    Err(Error::conflict(format!("This idempotency key was used for something else: it started {}.", name(&run)))
        .in_field("idempotency_key"))
}
