//! Runs: making, changing and reading them. What is logged to them is in [`log`], their points in [`metric`], the keys of
//! both in [`key`], how points are packed in [`pack`], what they read and wrote in [`input`], finding them in [`search`],
//! what groups of them come to in [`group`].

pub mod group;
pub mod input;
pub mod key;
pub mod log;
pub mod metric;
pub mod pack;
pub mod search;

use crate::{Error, Result, experiment::stage};
use domain::{
    experiment::LifecycleStage,
    id::{ExperimentId, PipelineRunId, RunId, TokenId, UserId, WorkspaceId},
    run::{Metric, Run, RunInfo, RunLineage, RunStatus},
};
use sqlx::{FromRow, PgConnection};
use std::collections::HashMap;

/// The small number that a run's rows carry instead of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct RunKey(pub(crate) i64);

/// A run that a transaction writes to: it was in use, its version is one more, and until the transaction ends others that
/// write to it wait. What is logged asks for this, so that no change goes without a new version.
#[derive(Debug)]
pub struct Opened(RunKey);

impl Opened {
    /// Which run.
    #[must_use]
    pub fn key(&self) -> RunKey {
        self.0
    }
}

#[derive(FromRow)]
struct Row {
    key: RunKey,
    id: RunId,
    workspace_id: WorkspaceId,
    experiment_id: ExperimentId,
    name: String,
    status: String,
    lifecycle_stage: String,
    start_time: i64,
    end_time: Option<i64>,
    user_id: Option<UserId>,
    user_name: String,
}

/// A run with what every run has, each in columns of the same length.
#[derive(FromRow)]
struct Loaded {
    #[sqlx(flatten)]
    run: Row,
    version: i64,
    metrics: Vec<String>,
    metric_values: Vec<f64>,
    timestamps: Vec<i64>,
    steps: Vec<i64>,
    params: Vec<String>,
    param_values: Vec<String>,
    tags: Vec<String>,
    tag_values: Vec<String>,
    has_datasets: bool,
    has_models: bool,
}

impl TryFrom<Row> for RunInfo {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            experiment_id: row.experiment_id,
            name: row.name,
            status: RunStatus::parse(&row.status).ok_or_else(|| Error::unknown("run status", &row.status))?,
            lifecycle_stage: stage(&row.lifecycle_stage)?,
            start_time: row.start_time,
            end_time: row.end_time,
            user_id: row.user_id,
            user_name: row.user_name,
        })
    }
}

/// A run to be made.
#[derive(Debug)]
pub struct NewRun<'a> {
    /// The run.
    pub id: RunId,
    /// Where it lives.
    pub workspace: WorkspaceId,
    /// Its experiment, one of that workspace.
    pub experiment: ExperimentId,
    /// Its name.
    pub name: &'a str,
    /// When it started, as the client says, in milliseconds since 1970.
    pub start_time: i64,
    /// Whose credential logs it.
    pub user: Option<UserId>,
    /// The name that the client gave as its user.
    pub user_name: &'a str,
    /// The token that logs it: when it is that of a pipeline's step, the run is the step's.
    pub token: Option<TokenId>,
}

/// Adds a run that is running.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, new: &NewRun<'_>) -> Result<Opened> {
    let key = sqlx::query_scalar(
        "insert into runs (id, workspace_id, experiment_id, name, start_time, user_id, user_name, step_attempt_id)
         values ($1, $2, $3, $4, $5, $6, $7, (select a.id from step_attempts a where a.token_id = $8 limit 1))
         returning key",
    )
    .bind(new.id)
    .bind(new.workspace)
    .bind(new.experiment)
    .bind(new.name)
    .bind(new.start_time)
    .bind(new.user)
    .bind(new.user_name)
    .bind(new.token)
    .fetch_one(conn)
    .await?;
    Ok(Opened(key))
}

/// Opens a run to be written to; none when it is put away.
///
/// # Errors
/// When the statement fails.
pub async fn open(conn: &mut PgConnection, key: RunKey) -> Result<Option<Opened>> {
    let opened = sqlx::query("update runs set version = version + 1 where key = $1 and lifecycle_stage = 'active'")
        .bind(key)
        .execute(conn)
        .await?;
    Ok((opened.rows_affected() > 0).then_some(Opened(key)))
}

/// The run of this id, with its key.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, workspace: WorkspaceId, id: RunId) -> Result<Option<(RunKey, RunInfo)>> {
    let row: Option<Row> = sqlx::query_as(
        "select key, id, workspace_id, experiment_id, name, status, lifecycle_stage, start_time, end_time, user_id, user_name
         from runs
         where workspace_id = $1 and id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.key, row.try_into()?))).transpose()
}

/// The same, with other changes of the run held back until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, id: RunId) -> Result<Option<(RunKey, RunInfo)>> {
    let row: Option<Row> = sqlx::query_as(
        "select key, id, workspace_id, experiment_id, name, status, lifecycle_stage, start_time, end_time, user_id, user_name
         from runs
         where workspace_id = $1 and id = $2
         for no key update",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.key, row.try_into()?))).transpose()
}

/// Those of these runs that an experiment has, in the order of their keys, with changes of them by others held back until
/// the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock_several(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    ids: &[RunId],
) -> Result<Vec<(RunKey, RunInfo)>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select key, id, workspace_id, experiment_id, name, status, lifecycle_stage, start_time, end_time, user_id, user_name
         from runs
         where experiment_id = $1 and id = any($2)
         order by key
         for no key update",
    )
    .bind(experiment)
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.key, row.try_into()?))).collect()
}

/// Opens runs, held by [`lock_several`], to be written to; those that are in use.
///
/// # Errors
/// When the statement fails.
pub async fn open_several(conn: &mut PgConnection, keys: &[RunKey]) -> Result<Vec<Opened>> {
    let opened: Vec<RunKey> = sqlx::query_scalar(
        "update runs set version = version + 1 where key = any($1) and lifecycle_stage = 'active' returning key",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(opened.into_iter().map(Opened).collect())
}

/// The ids of runs by their keys.
///
/// # Errors
/// When the statement fails.
pub async fn ids(conn: &mut PgConnection, keys: &[RunKey]) -> Result<HashMap<RunKey, RunId>> {
    let rows: Vec<(RunKey, RunId)> =
        sqlx::query_as("select key, id from runs where key = any($1)").bind(keys).fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

/// The first names of runs, or of their users as the clients named them, that hold a text, of those that started last in
/// an experiment.
///
/// # Errors
/// When the statement fails.
pub async fn recent_names(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    of_users: bool,
    text: &str,
    limit: i64,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select name
         from (select case when $2 then user_name else name end as name
               from runs
               where experiment_id = $1 and lifecycle_stage = 'active'
               order by start_time desc, id
               limit 1000) r
         where strpos(lower(name collate \"default\"), lower($3 collate \"default\")) > 0
         group by name
         order by count(*) desc, name
         limit $4",
    )
    .bind(experiment)
    .bind(of_users)
    .bind(text)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Which run, and which version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Stamp {
    /// The run.
    pub key: RunKey,
    /// One more with each change of the run or of what was logged to it.
    pub version: i64,
}

/// The present versions of the runs of these ids, in the order of the ids; of those that the workspace has.
///
/// # Errors
/// When the statement fails.
pub async fn stamps(conn: &mut PgConnection, workspace: WorkspaceId, ids: &[RunId]) -> Result<Vec<Stamp>> {
    Ok(sqlx::query_as(
        "select r.key, r.version
         from unnest($2::uuid[]) with ordinality as wanted (id, position)
         join runs r on r.id = wanted.id
         where r.workspace_id = $1
         order by wanted.position",
    )
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await?)
}

/// Changes what is given of a run, held by [`lock`], that is in use, and answers with it as it is then.
///
/// # Errors
/// When the statement fails.
pub async fn update(
    conn: &mut PgConnection,
    key: RunKey,
    status: Option<RunStatus>,
    end_time: Option<i64>,
    name: Option<&str>,
) -> Result<(RunInfo, Opened)> {
    let row: Row = sqlx::query_as(
        "update runs
         set status = coalesce($2, status), end_time = coalesce($3, end_time), name = coalesce($4, name),
             version = version + 1
         where key = $1
         returning key, id, workspace_id, experiment_id, name, status, lifecycle_stage, start_time, end_time, user_id, user_name",
    )
    .bind(key)
    .bind(status.map(RunStatus::as_str))
    .bind(end_time)
    .bind(name)
    .fetch_one(conn)
    .await?;
    Ok((row.try_into()?, Opened(key)))
}

/// Renames a run.
///
/// # Errors
/// When the statement fails.
pub async fn rename(conn: &mut PgConnection, run: &Opened, name: &str) -> Result<()> {
    sqlx::query("update runs set name = $2 where key = $1").bind(run.key()).bind(name).execute(conn).await?;
    Ok(())
}

/// Puts a run away or brings it back. Tells whether that changed anything.
///
/// # Errors
/// When the statement fails.
pub async fn set_stage(conn: &mut PgConnection, key: RunKey, stage: LifecycleStage) -> Result<bool> {
    let changed = sqlx::query(
        "update runs set lifecycle_stage = $2, version = version + 1 where key = $1 and lifecycle_stage <> $2",
    )
    .bind(key)
    .bind(stage.as_str())
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// The runs of these keys without what was logged to them, in the order of the keys.
///
/// # Errors
/// When the statement fails.
pub async fn infos(conn: &mut PgConnection, keys: &[RunKey]) -> Result<Vec<RunInfo>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select r.key, r.id, r.workspace_id, r.experiment_id, r.name, r.status, r.lifecycle_stage, r.start_time, r.end_time,
             r.user_id, r.user_name
         from unnest($1::bigint[]) with ordinality as wanted (key, position)
         join runs r on r.key = wanted.key
         order by wanted.position",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(RunInfo::try_from).collect()
}

/// The runs of these keys with the latest of all that was logged to them, in the order of the keys. What a run holds is
/// that of its version or of a later one.
///
/// # Errors
/// When a statement fails.
pub async fn load(conn: &mut PgConnection, keys: &[RunKey]) -> Result<Vec<(Stamp, Run)>> {
    // One question for what every run has: a column of keys and one of values travels and is read faster than rows.
    let rows: Vec<Loaded> = sqlx::query_as(
        "select r.key, r.id, r.workspace_id, r.experiment_id, r.name, r.status, r.lifecycle_stage, r.start_time, r.end_time,
             r.user_id, r.user_name, r.version, m.metrics, m.metric_values, m.timestamps, m.steps, p.params, p.param_values,
             t.tags, t.tag_values,
             exists (select from run_datasets where run_key = r.key) as has_datasets,
             exists (select from run_models where run_key = r.key) as has_models
         from unnest($1::bigint[]) with ordinality as wanted (key, position)
         join runs r on r.key = wanted.key
         cross join lateral (
             select coalesce(array_agg(k.name order by k.name), '{}') as metrics,
                 coalesce(array_agg(l.value order by k.name), '{}') as metric_values,
                 coalesce(array_agg(l.timestamp order by k.name), '{}') as timestamps,
                 coalesce(array_agg(l.step order by k.name), '{}') as steps
             from latest_metrics l
             join log_keys k on k.id = l.key_id
             where l.run_key = r.key
         ) m
         cross join lateral (
             select coalesce(array_agg(k.name), '{}') as params, coalesce(array_agg(p.value), '{}') as param_values
             from params p
             join log_keys k on k.id = p.key_id
             where p.run_key = r.key
         ) p
         cross join lateral (
             select coalesce(array_agg(k.name), '{}') as tags, coalesce(array_agg(t.value), '{}') as tag_values
             from run_tags t
             join log_keys k on k.id = t.key_id
             where t.run_key = r.key
         ) t
         order by wanted.position",
    )
    .bind(keys)
    .fetch_all(&mut *conn)
    .await?;
    let with = |has: fn(&Loaded) -> bool| rows.iter().filter(|row| has(row)).map(|row| row.run.key).collect();
    let (with_datasets, with_models): (Vec<RunKey>, Vec<RunKey>) =
        (with(|row| row.has_datasets), with(|row| row.has_models));
    let mut datasets = match with_datasets.as_slice() {
        [] => HashMap::new(),
        some => input::datasets(conn, some).await?,
    };
    let mut models = match with_models.as_slice() {
        [] => HashMap::new(),
        some => input::models(conn, some).await?,
    };
    rows.into_iter()
        .map(|row| {
            let key = row.run.key;
            let (model_inputs, model_outputs) = models.remove(&key).unwrap_or_default();
            let run = Run {
                metrics: (row.metrics.into_iter().zip(row.metric_values).zip(row.timestamps).zip(row.steps))
                    .map(|(((key, value), timestamp), step)| Metric { key, value, timestamp, step })
                    .collect(),
                params: row.params.into_iter().zip(row.param_values).collect(),
                tags: row.tags.into_iter().zip(row.tag_values).collect(),
                info: row.run.try_into()?,
                datasets: datasets.remove(&key).unwrap_or_default(),
                model_inputs,
                model_outputs,
            };
            Ok((Stamp { key, version: row.version }, run))
        })
        .collect()
}

/// What made a run and what it made.
///
/// # Errors
/// When a statement fails.
pub async fn lineage(conn: &mut PgConnection, key: RunKey) -> Result<RunLineage> {
    let pipeline_run: Option<(PipelineRunId, String, i64)> = sqlx::query_as(
        "select p.id, l.name, p.number
         from runs r
         join step_attempts a on a.id = r.step_attempt_id
         join steps s on s.id = a.step_id
         join pipeline_runs p on p.id = s.run_id
         join pipelines l on l.id = p.pipeline_id
         where r.key = $1",
    )
    .bind(key)
    .fetch_optional(&mut *conn)
    .await?;
    let versions = versions(conn, &[key]).await?.remove(&key).unwrap_or_default();
    Ok(RunLineage { pipeline_run, versions })
}

/// The registered versions made from each run: model name, version.
///
/// # Errors
/// When the statement fails.
pub async fn versions(conn: &mut PgConnection, keys: &[RunKey]) -> Result<HashMap<RunKey, Vec<(String, i32)>>> {
    let rows: Vec<(RunKey, String, i32)> = sqlx::query_as(
        "select r.key, m.name, v.version
         from runs r
         join model_versions v on v.run_id = r.id
         join models m on m.id = v.model_id
         where r.key = any($1) and v.deleted_at is null
         order by m.name, v.version",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(by_run(rows.into_iter().map(|(key, name, version)| (key, (name, version)))))
}

/// Rows by the run that they belong to.
fn by_run<T>(rows: impl Iterator<Item = (RunKey, T)>) -> HashMap<RunKey, Vec<T>> {
    let mut by_run: HashMap<RunKey, Vec<T>> = HashMap::new();
    for (key, row) in rows {
        by_run.entry(key).or_default().push(row);
    }
    by_run
}

#[cfg(test)]
mod tests;
