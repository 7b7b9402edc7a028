//! What steps of a run were run with, and what they came to.

use super::{executor, state};
use crate::{Result, gpu};
use domain::{
    Digest,
    gpu::Gpu,
    id::{PipelineRunId, StepAttemptId},
    pipeline_run::{Compared, Ran, StepCache, StepRecord, Tracked},
    step::{StepInput, StepOutput},
    worker::Facts,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

/// Joins the step `w` that ran for a step taken over from an earlier run, while that is there; `$step` names it.
macro_rules! that_ran {
    ($step:literal) => {
        concat!(
            " left join pipeline_runs earlier on earlier.workspace_id = ",
            $step,
            ".workspace_id and earlier.number = ",
            $step,
            ".carried_from
             left join steps w on w.run_id = earlier.id and w.name = ",
            $step,
            ".name "
        )
    };
}

/// Up to `limit` commands of a run that began or were taken over, with their positions, in that order, each as it was run the
/// last time, in this run or the one that it was taken from; those after this position, when given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    run: PipelineRunId,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<(i32, StepRecord)>> {
    #[derive(FromRow)]
    struct Row {
        position: i32,
        name: String,
        executor: String,
        image: Option<String>,
        sandbox: Option<String>,
        machine: Option<Digest>,
        gpus: Json<Vec<Gpu>>,
        environment: Option<Digest>,
        inputs: Option<Json<Vec<StepInput>>>,
        secrets: Option<Json<BTreeMap<String, i32>>>,
        outputs: Json<Vec<StepOutput>>,
        carried_from: Option<i64>,
        cache: Option<Json<StepCache>>,
    }
    let rows: Vec<Row> = sqlx::query_as(concat!(
        "select s.position, s.name, s.executor, a.image, a.sandbox, a.machine, a.environment, a.inputs, s.outputs,
             s.carried_from, s.cache,
             (select jsonb_object_agg(u.name, u.version) from step_secrets u where u.attempt_id = a.id) as secrets, ",
        gpu::named!("a.gpus"),
        " as gpus
         from steps s ",
        that_ran!("s"),
        "left join lateral (
             select id, image, sandbox, machine, gpus, environment, inputs
             from step_attempts
             where step_id = coalesce(w.id, s.id)
             order by number desc
             limit 1) as a on true
         where s.run_id = $1
             and s.kind = 'command'
             and (a.inputs is not null or s.carried_from is not null)
             and ($3::integer is null or s.position > $3)
         order by s.position
         limit $2"
    ))
    .bind(run)
    .bind(limit)
    .bind(after)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let executor = executor(&row.executor)?;
            let cached_from = row.cache.and_then(|cache| cache.0.run);
            let record = StepRecord {
                name: row.name,
                executor,
                image: row.image,
                sandbox: row.sandbox,
                machine: row.machine,
                gpus: row.gpus.0,
                environment: row.environment,
                secrets: row.secrets.map(|secrets| secrets.0).unwrap_or_default(),
                inputs: row.inputs.map(|inputs| inputs.0).unwrap_or_default(),
                outputs: row.outputs.0,
                from_run: row.carried_from.or(cached_from),
            };
            Ok((row.position, record))
        })
        .collect()
}

/// The commands of a run that ran in it, or in the one that they were taken from, in short and in their order: of those with
/// the same executor, image and knowledge of the environment the first.
///
/// # Errors
/// When the statement fails.
pub async fn ran(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<Ran>> {
    let rows: Vec<(String, String, Option<String>, bool)> = sqlx::query_as(concat!(
        "select name, executor, image, has_environment
         from (select distinct on (s.executor, a.image, a.environment is not null) s.position, s.name, s.executor, a.image,
                   a.environment is not null as has_environment
               from steps s ",
        that_ran!("s"),
        "cross join lateral (
                   select image, environment
                   from step_attempts
                   where step_id = coalesce(w.id, s.id)
                   order by number desc
                   limit 1) as a
               where s.run_id = $1
                   and s.kind = 'command'
                   and s.cache ->> 'outcome' is distinct from 'hit'
                   and w.cache ->> 'outcome' is distinct from 'hit'
               order by s.executor, a.image, a.environment is not null, s.position) as alike
         order by position"
    ))
    .bind(run)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(name, place, image, has_environment)| {
            Ok(Ran { name, executor: executor(&place)?, image, has_environment })
        })
        .collect()
}

/// On what machines, and with what environments, these steps of a run ran the last time, in it or in the one that they were taken
/// from, by name.
///
/// # Errors
/// When the statement fails.
pub async fn facts(conn: &mut PgConnection, run: PipelineRunId, steps: &[String]) -> Result<BTreeMap<String, Facts>> {
    let rows: Vec<(String, Option<Digest>, Option<Digest>)> = sqlx::query_as(concat!(
        "select s.name, a.machine, a.environment
         from steps s ",
        that_ran!("s"),
        "join step_attempts a on a.step_id = coalesce(w.id, s.id)
         where s.run_id = $1
             and s.name = any($2)
             and s.cache ->> 'outcome' is distinct from 'hit'
             and w.cache ->> 'outcome' is distinct from 'hit'
             and a.number = (select max(number) from step_attempts where step_id = coalesce(w.id, s.id))"
    ))
    .bind(run)
    .bind(steps)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(name, machine, environment)| (name, Facts { machine, environment })).collect())
}

/// All commands of a run, and steps that run other pipelines, in their order, as they are compared, each with where it stands
/// in the file.
///
/// # Errors
/// When the statement fails.
pub async fn compared(conn: &mut PgConnection, run: PipelineRunId) -> Result<Vec<(Vec<String>, Compared)>> {
    type Row = (Vec<String>, String, String, Json<Vec<StepOutput>>);
    let rows: Vec<Row> = sqlx::query_as(
        "select place, name, state, outputs
         from steps
         where run_id = $1 and kind in ('command', 'pipeline')
         order by position",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(place, name, known, outputs)| Ok((place, Compared { name, state: state(&known)?, outputs: outputs.0 })))
        .collect()
}

/// The tracked runs that these steps of a run logged metrics to in their last tries, by the step's name, in the order in which
/// they were begun.
///
/// # Errors
/// When the statement fails.
pub async fn tracked(
    conn: &mut PgConnection,
    run: PipelineRunId,
    steps: &[String],
) -> Result<BTreeMap<String, Vec<Tracked>>> {
    let rows: Vec<(String, i64, String, String, f64)> = sqlx::query_as(
        "select s.name, r.key, r.name, k.name, l.value
         from steps s
         join step_attempts a on a.step_id = s.id
         join runs r on r.step_attempt_id = a.id
         join latest_metrics l on l.run_key = r.key
         join log_keys k on k.id = l.key_id
         where s.run_id = $1
             and s.name = any($2)
             and a.number = (select max(number) from step_attempts where step_id = s.id)
             and r.lifecycle_stage = 'active'
         order by s.position, r.key",
    )
    .bind(run)
    .bind(steps)
    .fetch_all(conn)
    .await?;
    let mut tracked: BTreeMap<String, Vec<Tracked>> = BTreeMap::new();
    let mut last = None;
    for (step, key, name, metric, value) in rows {
        let of_step = tracked.entry(step).or_default();
        if last.replace(key) != Some(key) {
            of_step.push(Tracked { name, metrics: BTreeMap::new() });
        }
        if let Some(run) = of_step.last_mut() {
            run.metrics.insert(metric, value);
        }
    }
    Ok(tracked)
}

/// The image, by its digest, in which the step of the same name ran in the run that this try's run does again, or in the one that
/// this took it from.
///
/// # Errors
/// When the statement fails.
pub async fn image_before(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Option<String>> {
    let image = sqlx::query_scalar(concat!(
        "select b.image
         from step_attempts a
         join steps s on s.id = a.step_id
         join pipeline_runs r on r.id = s.run_id
         join steps o on o.run_id = r.reproduces and o.name = s.name ",
        that_ran!("o"),
        "join step_attempts b on b.step_id = coalesce(w.id, o.id)
         where a.id = $1 and b.image like '%@sha256:%'
         order by b.number desc
         limit 1"
    ))
    .bind(attempt)
    .fetch_optional(conn)
    .await?;
    Ok(image)
}
