//! Tries of steps.

use super::executor;
use crate::{Error, Result, event, gpu, token::NewToken, user};
use chrono::{DateTime, Utc};
use domain::{
    gpu::Gpu,
    id::{PipelineId, PipelineRunId, RunId, StepAttemptId, StepId, TokenId, UserId, WorkspaceId},
    pipeline::{ExecutorKind, ParamValue, PipelineSpec},
    pipeline_run::{AttemptOutcome, Code},
    step::{StepAttempt, StepInput},
    user::{Email, User, Workspace},
    worker::Facts,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    id: StepAttemptId,
    number: i32,
    fence: i64,
    worker: String,
    outcome: String,
    reason: String,
    exit_code: Option<i32>,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    run_id: Option<RunId>,
    log_lines: i64,
    inputs: Json<Vec<StepInput>>,
    executor: Option<String>,
    image: Option<String>,
    sandbox: Option<String>,
    peak_memory_bytes: Option<i64>,
    gpus: Json<Vec<Gpu>>,
}

/// What a [`Row`] is read from, of an attempt `a`.
macro_rules! attempt {
    () => {
        concat!(
            "a.id, a.number, a.fence, a.worker, a.outcome, a.reason, a.exit_code, a.started_at, a.ended_at, a.log_lines,
             a.inputs, a.executor, a.image, a.sandbox, a.peak_memory_bytes,
             (select r.id
              from runs r
              where r.step_attempt_id = a.id
              order by r.key
              limit 1) as run_id,
             ",
            gpu::named!("a.gpus"),
            " as gpus
         "
        )
    };
}

impl TryFrom<Row> for StepAttempt {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            number: row.number,
            fence: row.fence,
            worker: row.worker,
            outcome: outcome(&row.outcome)?,
            reason: row.reason,
            exit_code: row.exit_code,
            started_at: row.started_at,
            ended_at: row.ended_at,
            run_id: row.run_id,
            log_lines: row.log_lines,
            inputs: row.inputs.0,
            executor: row.executor,
            image: row.image,
            sandbox: row.sandbox,
            peak_memory_bytes: row.peak_memory_bytes,
            gpus: row.gpus.0,
        })
    }
}

fn outcome(name: &str) -> Result<AttemptOutcome> {
    AttemptOutcome::parse(name).ok_or_else(|| Error::unknown("outcome", name))
}

/// The tries of a step, first to last.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, step: StepId) -> Result<Vec<StepAttempt>> {
    let rows: Vec<Row> = sqlx::query_as(concat!(
        "select ",
        attempt!(),
        " from step_attempts a
         where a.step_id = $1
         order by a.number"
    ))
    .bind(step)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(StepAttempt::try_from).collect()
}

/// The tries of these steps of a run, by the step's name, first to last.
///
/// # Errors
/// When the statement fails.
pub async fn of_steps(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &[String],
) -> Result<BTreeMap<String, Vec<StepAttempt>>> {
    #[derive(FromRow)]
    struct OfStep {
        step: String,
        #[sqlx(flatten)]
        attempt: Row,
    }
    let rows: Vec<OfStep> = sqlx::query_as(concat!(
        "select s.name as step, ",
        attempt!(),
        " from steps s
         join step_attempts a on a.step_id = s.id
         where s.run_id = $1 and s.name = any($2)
         order by a.number"
    ))
    .bind(run)
    .bind(steps)
    .fetch_all(conn)
    .await?;
    let mut attempts: BTreeMap<String, Vec<StepAttempt>> = BTreeMap::new();
    for row in rows {
        attempts.entry(row.step).or_default().push(row.attempt.try_into()?);
    }
    Ok(attempts)
}

/// The tracked runs that tries of a run logged to, in the order of the steps.
///
/// # Errors
/// When the statement fails.
pub async fn logged_runs(conn: &mut PgConnection, run: PipelineRunId, limit: i64) -> Result<Vec<RunId>> {
    let runs = sqlx::query_scalar(
        "select r.id
         from steps s
         join step_attempts a on a.step_id = s.id
         join runs r on r.step_attempt_id = a.id
         where s.run_id = $1
         order by s.position, a.number, r.key
         limit $2",
    )
    .bind(run)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(runs)
}

/// A try, found by what its address says.
///
/// # Errors
/// When the statement fails.
pub async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    run_number: i64,
    step: &str,
    number: i32,
) -> Result<Option<StepAttempt>> {
    let row: Option<Row> = sqlx::query_as(concat!(
        "select ",
        attempt!(),
        " from pipeline_runs r
         join steps s on s.run_id = r.id
         join step_attempts a on a.step_id = s.id
         where r.workspace_id = $1 and r.number = $2 and s.name = $3 and a.number = $4"
    ))
    .bind(workspace)
    .bind(run_number)
    .bind(step)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    row.map(StepAttempt::try_from).transpose()
}

/// How the try ended, or that it runs.
///
/// # Errors
/// When the statement fails.
pub async fn outcome_of(conn: &mut PgConnection, id: StepAttemptId) -> Result<AttemptOutcome> {
    let name: String =
        sqlx::query_scalar("select outcome from step_attempts where id = $1").bind(id).fetch_one(conn).await?;
    outcome(&name)
}

/// Notes what a try takes that needs no process, and what its worker is; and tells pages of the run.
///
/// # Errors
/// When the statement fails.
pub async fn begin(
    conn: &mut PgConnection,
    (id, run): (StepAttemptId, PipelineRunId),
    inputs: &[StepInput],
    facts: &Facts,
) -> Result<()> {
    sqlx::query(
        "update step_attempts
         set inputs = $2, machine = $3, environment = $4
         where id = $1
         returning pg_notify($5, $6)",
    )
    .bind(id)
    .bind(Json(inputs))
    .bind(&facts.machine)
    .bind(&facts.environment)
    .bind(event::PAGES)
    .bind(event::of_run(run))
    .execute(conn)
    .await?;
    Ok(())
}

/// The same of one with a process, and adds the token that this logs with: of the service account of this address, with which
/// it answers. None when there is no such account; then nothing is changed.
///
/// # Errors
/// When the statement fails.
pub async fn begin_as(
    conn: &mut PgConnection,
    (id, run): (StepAttemptId, PipelineRunId),
    account: &Email,
    token: &NewToken<'_>,
    inputs: &[StepInput],
    facts: &Facts,
) -> Result<Option<User>> {
    let row: Option<user::Row> = sqlx::query_as(
        "with account as (
             select id, email, name, is_service, created_at
             from users
             where email = $2 and is_service
         ), token as (
             insert into tokens (id, user_id, workspace_id, name, hash, prefix, scope, expires_at)
             select $3, id, $4, $5, $6, $7, $8, $9
             from account
             returning id
         ), attempt as (
             update step_attempts
             set token_id = token.id, inputs = $10, machine = $11, environment = $12
             from token
             where step_attempts.id = $1
         )
         select *, pg_notify($13, $14)
         from account",
    )
    .bind(id)
    .bind(account)
    .bind(token.id)
    .bind(token.workspace_id)
    .bind(token.name)
    .bind(token.hash)
    .bind(token.prefix)
    .bind(token.scope.as_str())
    .bind(token.expires_at)
    .bind(Json(inputs))
    .bind(&facts.machine)
    .bind(&facts.environment)
    .bind(event::PAGES)
    .bind(event::of_run(run))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// Notes what the try's worker is.
///
/// # Errors
/// When the statement fails.
pub async fn set_facts(conn: &mut PgConnection, id: StepAttemptId, facts: &Facts) -> Result<()> {
    sqlx::query("update step_attempts set machine = $2, environment = $3 where id = $1")
        .bind(id)
        .bind(&facts.machine)
        .bind(&facts.environment)
        .execute(conn)
        .await?;
    Ok(())
}

/// The token that the try's process logs with.
///
/// # Errors
/// When the statement fails.
pub async fn token(conn: &mut PgConnection, id: StepAttemptId) -> Result<Option<TokenId>> {
    let token = sqlx::query_scalar("select token_id from step_attempts where id = $1").bind(id).fetch_one(conn).await?;
    Ok(token)
}

/// The person behind the process that this token was made for: who started the run, or the run whose step started it.
/// None when a trigger or a service account did, and when the token is no step's.
///
/// # Errors
/// When the statement fails.
pub async fn person_behind(conn: &mut PgConnection, token: TokenId) -> Result<Option<UserId>> {
    let person = sqlx::query_scalar(
        "select p.id
         from step_attempts a
         join steps s on s.id = a.step_id
         join pipeline_runs r on r.id = s.run_id
         join users p on p.id = coalesce(r.on_behalf_of, r.started_by)
         where a.token_id = $1 and not p.is_service",
    )
    .bind(token)
    .fetch_optional(conn)
    .await?;
    Ok(person)
}

/// What a try needs to begin.
#[derive(Debug)]
pub struct Work {
    /// The run's number in its workspace.
    pub run_number: i64,
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Whether the steps of the run may use what steps gave before.
    pub use_cache: bool,
    /// The number of the run that the run does again.
    pub reproduces: Option<i64>,
    /// The code that the run was started from.
    pub code: Option<Code>,
    /// The pipeline's name.
    pub pipeline: String,
    /// The workspace.
    pub workspace: Workspace,
    /// The pipeline's file.
    pub spec: PipelineSpec,
    /// The value of every param.
    pub params: BTreeMap<String, ParamValue>,
    /// Where the step runs.
    pub executor: ExecutorKind,
    /// Where the step stands in the file.
    pub place: Vec<String>,
    /// What matrices and maps gave to this instance.
    pub items: BTreeMap<String, ParamValue>,
    /// How many tries the step may have when its command fails.
    pub max_attempts: i32,
    /// Whether somebody asked to cancel the run.
    pub cancelling: bool,
}

/// What a try needs to begin; none when its fence does not hold any more. Lock its run before.
///
/// # Errors
/// When the statement fails.
pub async fn work(conn: &mut PgConnection, step: StepId, fence: i64) -> Result<Option<Work>> {
    #[derive(FromRow)]
    struct Row {
        number: i64,
        pipeline_id: PipelineId,
        use_cache: bool,
        reproduces: Option<i64>,
        code: Option<Json<Code>>,
        pipeline: String,
        workspace_id: WorkspaceId,
        slug: String,
        workspace_name: String,
        workspace_created_at: DateTime<Utc>,
        spec: Json<PipelineSpec>,
        params: Json<BTreeMap<String, ParamValue>>,
        executor: String,
        place: Vec<String>,
        items: Json<BTreeMap<String, ParamValue>>,
        max_attempts: i32,
        cancelling: bool,
    }
    let row: Option<Row> = sqlx::query_as(
        "select r.number, r.pipeline_id, r.use_cache, r.code,
             (select b.number from pipeline_runs b where b.id = r.reproduces) as reproduces,
             p.name as pipeline, w.id as workspace_id, w.slug, w.name as workspace_name,
             w.created_at as workspace_created_at, v.spec, r.params, s.executor, s.place, s.items, s.max_attempts,
             r.cancel_requested_at is not null and not s.finally as cancelling
         from steps s
         join pipeline_runs r on r.id = s.run_id
         join pipelines p on p.id = r.pipeline_id
         join pipeline_versions v on v.id = r.version_id
         join workspaces w on w.id = r.workspace_id
         where s.id = $1 and s.fence = $2 and s.state = 'running'",
    )
    .bind(step)
    .bind(fence)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Work {
        run_number: row.number,
        pipeline_id: row.pipeline_id,
        use_cache: row.use_cache,
        reproduces: row.reproduces,
        code: row.code.map(|code| code.0),
        pipeline: row.pipeline,
        workspace: Workspace {
            id: row.workspace_id,
            slug: row.slug,
            name: row.workspace_name,
            created_at: row.workspace_created_at,
        },
        spec: row.spec.0,
        params: row.params.0,
        executor: executor(&row.executor)?,
        place: row.place,
        items: row.items.0,
        max_attempts: row.max_attempts,
        cancelling: row.cancelling,
    }))
}
