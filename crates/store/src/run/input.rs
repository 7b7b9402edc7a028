//! What runs read and wrote: data sets and logged models.

use super::{Opened, RunKey, by_run};
use crate::Result;
use domain::{
    dataset_input::ValidDatasetInput,
    id::{ExperimentId, LoggedModelId, WorkspaceId},
    run::{DatasetInput, ModelLink},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeMap, HashMap};

/// Notes that the run read these data sets, each once by name and digest. What is known of a data set of the experiment,
/// or of the run's use of it, stays as it is. Answers with the names of those that were not noted yet.
///
/// # Errors
/// When a statement fails.
pub async fn add_datasets(
    conn: &mut PgConnection,
    run: &Opened,
    experiment: ExperimentId,
    datasets: &[ValidDatasetInput],
) -> Result<Vec<String>> {
    if datasets.is_empty() {
        return Ok(Vec::new());
    }
    let mut datasets: Vec<&ValidDatasetInput> = datasets.iter().collect();
    datasets.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
    datasets.dedup_by(|later, first| (&later.name, &later.digest) == (&first.name, &first.digest));
    let texts = |text: fn(&DatasetInput) -> &str| datasets.iter().map(|input| text(input)).collect::<Vec<_>>();
    let optional =
        |text: fn(&DatasetInput) -> Option<&str>| datasets.iter().map(|input| text(input)).collect::<Vec<_>>();
    let (names, digests) = (texts(|input| &input.name), texts(|input| &input.digest));
    sqlx::query(
        "insert into datasets (experiment_id, name, digest, source_type, source, schema, profile)
         select $1, name, digest, source_type, source, schema, profile
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             as d (name, digest, source_type, source, schema, profile)
         on conflict (experiment_id, name, digest) do nothing",
    )
    .bind(experiment)
    .bind(&names)
    .bind(&digests)
    .bind(texts(|input| &input.source_type))
    .bind(texts(|input| &input.source))
    .bind(optional(|input| input.schema.as_deref()))
    .bind(optional(|input| input.profile.as_deref()))
    .execute(&mut *conn)
    .await?;
    let tags: Vec<Json<&BTreeMap<String, String>>> = datasets.iter().map(|input| Json(&input.tags)).collect();
    let new = sqlx::query_scalar(
        "with added as (
             insert into run_datasets (run_key, dataset_id, tags)
             select $1, d.id, i.tags
             from unnest($3::text[], $4::text[], $5::jsonb[]) as i (name, digest, tags)
             join datasets d on d.experiment_id = $2 and d.name = i.name and d.digest = i.digest
             on conflict (run_key, dataset_id) do nothing
             returning dataset_id
         )
         select d.name from added a join datasets d on d.id = a.dataset_id order by d.name",
    )
    .bind(run.key())
    .bind(experiment)
    .bind(&names)
    .bind(&digests)
    .bind(tags)
    .fetch_all(conn)
    .await?;
    Ok(new)
}

/// Which side of a run a logged model is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The run read it.
    Input,
    /// The run wrote it.
    Output,
}

/// Notes that the run read or wrote these logged models, all of its workspace.
///
/// # Errors
/// When the statement fails.
pub async fn add_models(
    conn: &mut PgConnection,
    run: &Opened,
    direction: Direction,
    models: &[ModelLink],
) -> Result<()> {
    sqlx::query(
        "insert into run_models (run_key, logged_model_id, direction, step)
         select distinct on (id) $1, id, $2, step
         from unnest($3::uuid[], $4::bigint[]) with ordinality as m (id, step, position)
         order by id, position
         on conflict (run_key, logged_model_id, direction) do nothing",
    )
    .bind(run.key())
    .bind(match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    })
    .bind(models.iter().map(|link| link.model_id).collect::<Vec<_>>())
    .bind(models.iter().map(|link| link.step).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The data sets that each run read, by name.
///
/// # Errors
/// When the statement fails.
pub async fn datasets(conn: &mut PgConnection, runs: &[RunKey]) -> Result<HashMap<RunKey, Vec<DatasetInput>>> {
    #[derive(FromRow)]
    struct Row {
        run_key: RunKey,
        name: String,
        digest: String,
        source_type: String,
        source: String,
        schema: Option<String>,
        profile: Option<String>,
        tags: Json<BTreeMap<String, String>>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select i.run_key, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags
         from run_datasets i
         join datasets d on d.id = i.dataset_id
         where i.run_key = any($1)
         order by d.name, d.digest",
    )
    .bind(runs)
    .fetch_all(conn)
    .await?;
    Ok(by_run(rows.into_iter().map(|row| {
        let input = DatasetInput {
            name: row.name,
            digest: row.digest,
            source_type: row.source_type,
            source: row.source,
            schema: row.schema,
            profile: row.profile,
            tags: row.tags.0,
        };
        (row.run_key, input)
    })))
}

/// The names of the data sets that each run read.
///
/// # Errors
/// When the statement fails.
pub async fn dataset_names(conn: &mut PgConnection, runs: &[RunKey]) -> Result<HashMap<RunKey, Vec<String>>> {
    let rows: Vec<(RunKey, String)> = sqlx::query_as(
        "select distinct i.run_key, d.name
         from run_datasets i
         join datasets d on d.id = i.dataset_id
         where i.run_key = any($1)
         order by d.name",
    )
    .bind(runs)
    .fetch_all(conn)
    .await?;
    Ok(by_run(rows.into_iter()))
}

/// The first names, or digests, of an experiment's data sets that begin with a text.
///
/// # Errors
/// When the statement fails.
pub async fn known_datasets(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    digests: bool,
    start: &str,
    limit: i64,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select distinct case when $2 then digest else name end as value
         from datasets
         where experiment_id = $1 and starts_with(case when $2 then digest else name end, $3)
         order by value
         limit $4",
    )
    .bind(experiment)
    .bind(digests)
    .bind(start)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// The logged models that each run read, and those that it wrote.
///
/// # Errors
/// When the statement fails.
pub async fn models(
    conn: &mut PgConnection,
    runs: &[RunKey],
) -> Result<HashMap<RunKey, (Vec<ModelLink>, Vec<ModelLink>)>> {
    let rows: Vec<(RunKey, LoggedModelId, bool, i64)> = sqlx::query_as(
        "select run_key, logged_model_id, direction = 'input', step
         from run_models
         where run_key = any($1)
         order by step, logged_model_id",
    )
    .bind(runs)
    .fetch_all(conn)
    .await?;
    let mut by_run: HashMap<RunKey, (Vec<ModelLink>, Vec<ModelLink>)> = HashMap::new();
    for (run, model_id, is_input, step) in rows {
        let (inputs, outputs) = by_run.entry(run).or_default();
        if is_input { inputs } else { outputs }.push(ModelLink { model_id, step });
    }
    Ok(by_run)
}

/// A data set that runs of an experiment read, and what for.
#[derive(Debug, FromRow)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: ExperimentId,
    /// The data set's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What the runs say that they read it for; several give several rows.
    pub context: Option<String>,
}

/// The data sets that runs of these experiments read, each once for every purpose.
///
/// # Errors
/// When the statement fails.
pub async fn summaries(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    experiments: &[ExperimentId],
    limit: i64,
) -> Result<Vec<DatasetSummary>> {
    Ok(sqlx::query_as(
        "select distinct d.experiment_id, d.name, d.digest, i.tags ->> 'mlflow.data.context' as context
         from datasets d
         join experiments e on e.id = d.experiment_id
         join run_datasets i on i.dataset_id = d.id
         where e.workspace_id = $1 and d.experiment_id = any($2)
         order by d.experiment_id, d.name, d.digest, context
         limit $3",
    )
    .bind(workspace)
    .bind(experiments)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
