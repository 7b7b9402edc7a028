//! Versions of datasets, what MLflow calls them, and which runs read them.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    dataset::{ChecksState, DatasetVersion, VersionRef},
    id::{DatasetId, DatasetVersionId, RunId, StepId, UserId, WorkspaceId},
    step::StepRef,
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use std::collections::HashMap;

#[derive(FromRow)]
struct Row {
    id: DatasetVersionId,
    dataset_id: DatasetId,
    dataset: String,
    number: i32,
    root: Vec<u8>,
    files: i64,
    bytes: i64,
    external: i64,
    message: String,
    author: String,
    created_at: DateTime<Utc>,
    mlflow_digests: Vec<String>,
    checks_state: String,
}

/// What [`Row`] is read from, for versions called `v` of datasets called `d`.
const COLUMNS: &str =
    "v.id, v.dataset_id, d.name as dataset, v.number, v.root, v.files, v.bytes, v.external, v.message,
    v.author, v.created_at,
    array(select m.digest from dataset_digests m where m.version_id = v.id order by m.digest) as mlflow_digests,
    coalesce((select case p.state when 'waiting' then p.state else p.checks_state end
              from dataset_profiles p
              where p.version_id = v.id), 'unchecked') as checks_state";

impl TryFrom<Row> for DatasetVersion {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let checks = ChecksState::parse(&row.checks_state);
        Ok(Self {
            id: row.id,
            dataset: row.dataset,
            number: row.number,
            digest: digest(&row.root)?,
            files: row.files,
            bytes: row.bytes,
            external: row.external,
            message: row.message,
            author: row.author,
            created_at: row.created_at,
            mlflow_digests: row.mlflow_digests,
            checks: checks.ok_or_else(|| Error::unknown("state of checks", &row.checks_state))?,
        })
    }
}

fn digest(root: &[u8]) -> Result<Digest> {
    let root = <[u8; 32]>::try_from(root).map_err(|_| Error::unknown("digest", "of another length"))?;
    Ok(Digest::blake3(root))
}

fn query() -> QueryBuilder<Postgres> {
    QueryBuilder::new(format!(
        "select {COLUMNS}
         from dataset_versions v
         join versioned_datasets d on d.id = v.dataset_id
         where v.deleted_at is null"
    ))
}

/// Adds a version, and gives its dataset the next number. `run_depth` is how many runs led to the one that made it, if one
/// did. The caller holds the dataset's [`crate::dataset::lock`].
///
/// # Errors
/// [`crate::Error::Duplicate`] when the dataset has a version of this root.
pub async fn insert(
    conn: &mut PgConnection,
    dataset: DatasetId,
    version: &DatasetVersion,
    root: &[u8; 32],
    author: Option<UserId>,
    run_depth: Option<i32>,
) -> Result<()> {
    sqlx::query(
        "insert into dataset_versions
             (id, dataset_id, number, root, files, bytes, external, message, author_id, author, created_at, run_depth)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(version.id)
    .bind(dataset)
    .bind(version.number)
    .bind(root.as_slice())
    .bind(version.files)
    .bind(version.bytes)
    .bind(version.external)
    .bind(&version.message)
    .bind(author)
    .bind(&version.author)
    .bind(version.created_at)
    .bind(run_depth)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update versioned_datasets set last_number = $2, updated_at = $3 where id = $1")
        .bind(dataset)
        .bind(version.number)
        .bind(version.created_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// A version of a dataset.
///
/// # Errors
/// When the statement fails.
pub async fn get(conn: &mut PgConnection, dataset: DatasetId, which: &VersionRef) -> Result<Option<DatasetVersion>> {
    let mut query = query();
    query.push(" and v.dataset_id = ").push_bind(dataset);
    match which {
        VersionRef::Latest => _ = query.push(" order by v.number desc limit 1"),
        VersionRef::Passed => {
            query.push(
                " and exists (
                      select
                      from dataset_profiles p
                      where p.version_id = v.id and p.state = 'done' and p.checks_state = 'passed')
                  order by v.number desc
                  limit 1",
            );
        }
        VersionRef::Number(number) => _ = query.push(" and v.number = ").push_bind(*number),
        VersionRef::Digest(digest) => {
            query.push(" and v.root = decode(").push_bind(digest.hex()).push(", 'hex')");
        }
    }
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(DatasetVersion::try_from).transpose()
}

/// A version by its id, with the workspace that it is in.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(
    conn: &mut PgConnection,
    id: DatasetVersionId,
) -> Result<Option<(WorkspaceId, DatasetId, DatasetVersion)>> {
    let mut query = query();
    query.push(" and v.id = ").push_bind(id);
    let row: Option<Row> = query.build_query_as().fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(None) };
    let dataset = row.dataset_id;
    let workspace: WorkspaceId = sqlx::query_scalar("select workspace_id from versioned_datasets where id = $1")
        .bind(dataset)
        .fetch_one(conn)
        .await?;
    Ok(Some((workspace, dataset, row.try_into()?)))
}

/// The versions of a dataset, newest first; those below a number, when one is given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    dataset: DatasetId,
    below: Option<i32>,
    limit: i64,
) -> Result<Vec<DatasetVersion>> {
    let mut query = query();
    query.push(" and v.dataset_id = ").push_bind(dataset);
    if let Some(below) = below {
        query.push(" and v.number < ").push_bind(below);
    }
    query.push(" order by v.number desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(DatasetVersion::try_from).collect()
}

/// The latest version of each of these datasets.
///
/// # Errors
/// When the statement fails.
pub async fn latest(conn: &mut PgConnection, datasets: &[DatasetId]) -> Result<HashMap<DatasetId, DatasetVersion>> {
    let mut query = query();
    query.push(" and v.dataset_id = any(").push_bind(datasets).push(
        ")
           and v.number = (
               select max(l.number)
               from dataset_versions l
               where l.dataset_id = v.dataset_id and l.deleted_at is null
           )",
    );
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(|row| Ok((row.dataset_id, row.try_into()?))).collect()
}

/// The roots of a dataset's versions.
///
/// # Errors
/// When the statement fails.
pub async fn roots(conn: &mut PgConnection, dataset: DatasetId) -> Result<Vec<[u8; 32]>> {
    let roots: Vec<Vec<u8>> = sqlx::query_scalar(
        "select root from dataset_versions where dataset_id = $1 and deleted_at is null order by number",
    )
    .bind(dataset)
    .fetch_all(conn)
    .await?;
    let known = roots.into_iter().map(|root| root.try_into());
    known.collect::<std::result::Result<_, _>>().map_err(|_| Error::unknown("digest", "of another length"))
}

/// Deletes a version. Its number is not given again.
///
/// # Errors
/// When a statement fails.
pub async fn delete(conn: &mut PgConnection, id: DatasetVersionId) -> Result<()> {
    sqlx::query("delete from dataset_profiles where version_id = $1").bind(id).execute(&mut *conn).await?;
    sqlx::query("delete from dataset_digests where version_id = $1").bind(id).execute(&mut *conn).await?;
    sqlx::query("update dataset_versions set deleted_at = now() where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// Says what MLflow's clients call a version. Tells of those that were not known of it.
///
/// # Errors
/// When the statement fails.
pub async fn add_digests(conn: &mut PgConnection, id: DatasetVersionId, digests: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "insert into dataset_digests (version_id, digest)
         select distinct $1, digest from unnest($2::text[]) as d (digest)
         on conflict do nothing
         returning digest",
    )
    .bind(id)
    .bind(digests)
    .fetch_all(conn)
    .await?)
}

/// A version that MLflow's clients call by a digest.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Named {
    /// The digest.
    pub digest: String,
    /// The dataset's name.
    pub dataset: String,
    /// The version's number.
    pub number: i32,
}

/// The versions that MLflow's clients call by these digests.
///
/// # Errors
/// When the statement fails.
pub async fn by_mlflow_digests(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    digests: &[&str],
) -> Result<Vec<Named>> {
    Ok(sqlx::query_as(
        "select m.digest, d.name as dataset, v.number
         from dataset_digests m
         join dataset_versions v on v.id = m.version_id and v.deleted_at is null
         join versioned_datasets d on d.id = v.dataset_id
         where d.workspace_id = $1 and m.digest = any($2)
         order by m.digest, d.name, v.number desc",
    )
    .bind(workspace)
    .bind(digests)
    .fetch_all(conn)
    .await?)
}

/// How many runs led to the run that made a version; none when no run did.
///
/// # Errors
/// When the statement fails.
pub async fn run_depth(conn: &mut PgConnection, id: DatasetVersionId) -> Result<Option<i32>> {
    Ok(sqlx::query_scalar("select run_depth from dataset_versions where id = $1").bind(id).fetch_one(conn).await?)
}

/// A version that a run read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Read {
    /// The dataset's name.
    pub dataset: String,
    /// The version's number.
    pub number: i32,
    /// The version; none when it was deleted.
    pub id: Option<DatasetVersionId>,
    /// What MLflow's clients call it, when the run itself says that it read that; none when a step took the version.
    pub called: Option<String>,
}

/// The versions that a run read: those that it logged by one of their digests, and those that steps took of the pipeline run
/// that it was logged in, and of the runs inside of that. A step that was carried over took what it took in the earlier run.
///
/// # Errors
/// When the statement fails.
pub async fn read_by_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<Read>> {
    Ok(sqlx::query_as(
        "with recursive the_run as (
             select r.key, e.workspace_id, s.run_id as pipeline_run_id
             from runs r
             join experiments e on e.id = r.experiment_id
             left join step_attempts a on a.id = r.step_attempt_id
             left join steps s on s.id = a.step_id
             where r.id = $1
         ), around as (
             select pipeline_run_id as id
             from the_run
             where pipeline_run_id is not null
             union
             select x.child_run_id
             from around w
             join sub_runs x on x.parent_run_id = w.id
             where x.child_run_id is not null
         ), taken as (
             select distinct i.value -> 'version' ->> 'name' as name, (i.value -> 'version' ->> 'number')::integer as number
             from around w
             join steps s on s.run_id = w.id
             left join pipeline_runs c on c.workspace_id = s.workspace_id and c.number = s.carried_from
             join steps o on o.run_id = coalesce(c.id, s.run_id) and o.name = s.name
             join step_attempts a on a.step_id = o.id
             cross join lateral jsonb_array_elements(a.inputs) as i
             where i.value -> 'version' ->> 'of' = 'dataset'
         )
         select k.name as dataset, k.number, v.id, null as called
         from the_run t
         cross join taken k
         left join versioned_datasets d on d.workspace_id = t.workspace_id and d.name = k.name
         left join dataset_versions v on v.dataset_id = d.id and v.number = k.number and v.deleted_at is null
         union
         select d.name, v.number, v.id, m.digest
         from the_run t
         join run_datasets u on u.run_key = t.key
         join datasets s on s.id = u.dataset_id
         join dataset_digests m on m.digest = s.digest
         join dataset_versions v on v.id = m.version_id and v.deleted_at is null
         join versioned_datasets d on d.id = v.dataset_id and d.workspace_id = t.workspace_id
         order by dataset, number, called",
    )
    .bind(run)
    .fetch_all(conn)
    .await?)
}

/// A run that read a version.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ReadBy {
    /// The run.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// When it started, in milliseconds.
    pub start_time: Option<i64>,
    /// What the run says that it read it for.
    pub context: Option<String>,
}

/// The last runs that say that they read data of one of the version's digests.
///
/// # Errors
/// When the statement fails.
pub async fn read_by(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: DatasetVersionId,
    limit: i64,
) -> Result<Vec<ReadBy>> {
    Ok(sqlx::query_as(
        "select r.id, r.name, r.start_time, i.tags ->> 'mlflow.data.context' as context
         from dataset_digests m
         join datasets s on s.digest = m.digest
         join experiments e on e.id = s.experiment_id and e.workspace_id = $1
         join run_datasets i on i.dataset_id = s.id
         join runs r on r.key = i.run_key and r.lifecycle_stage = 'active'
         where m.version_id = $2
         order by r.start_time desc nulls last, r.id desc
         limit $3",
    )
    .bind(workspace)
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Notes which step made a version.
///
/// # Errors
/// When the statement fails.
pub async fn note_maker(conn: &mut PgConnection, id: DatasetVersionId, step: StepId) -> Result<()> {
    sqlx::query("insert into dataset_version_makers (version_id, step_id) values ($1, $2)")
        .bind(id)
        .bind(step)
        .execute(conn)
        .await?;
    Ok(())
}

/// The step that made a version, if one did.
///
/// # Errors
/// When the statement fails.
pub async fn maker(conn: &mut PgConnection, id: DatasetVersionId) -> Result<Option<StepRef>> {
    let found: Option<(String, i64, String)> = sqlx::query_as(
        "select p.name, r.number, s.name
         from dataset_version_makers m
         join steps s on s.id = m.step_id
         join pipeline_runs r on r.id = s.run_id
         join pipelines p on p.id = r.pipeline_id
         where m.version_id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(pipeline, run, step)| StepRef { pipeline, run, step }))
}
