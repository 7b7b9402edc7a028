//! What a subject is made of: the version as it is now, and what its run logged.

use crate::Result;
use domain::{
    Digest,
    id::{ModelId, ModelVersionId, RunId, WorkspaceId},
    model::Signature,
    promotion::gate::rows::FILES,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

/// A version that may be promoted.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The version.
    pub id: ModelVersionId,
    /// Its model.
    pub model_id: ModelId,
    /// Its model's name.
    pub model: String,
    /// Its number.
    pub version: i32,
    /// The digest of its files; none when it has none.
    pub digest: Option<Digest>,
    /// What it takes and gives.
    pub signature: Option<Signature>,
    /// MLflow flavours.
    pub flavors: Vec<String>,
    /// The run that made it.
    pub run_id: Option<RunId>,
    /// Whether it, or its model, was deleted.
    pub is_deleted: bool,
}

#[derive(FromRow)]
struct Row {
    id: ModelVersionId,
    model_id: ModelId,
    model: String,
    version: i32,
    digest: Option<Digest>,
    signature: Option<Json<Signature>>,
    flavors: Vec<String>,
    run_id: Option<RunId>,
    is_deleted: bool,
}

impl From<Row> for Candidate {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            model_id: row.model_id,
            model: row.model,
            version: row.version,
            digest: row.digest,
            signature: row.signature.map(|signature| signature.0),
            flavors: row.flavors,
            run_id: row.run_id,
            is_deleted: row.is_deleted,
        }
    }
}

/// The version of this id, deleted or not.
///
/// # Errors
/// When the statement fails.
pub async fn candidate(conn: &mut PgConnection, id: ModelVersionId) -> Result<Option<Candidate>> {
    let row: Option<Row> = sqlx::query_as(
        "select v.id, v.model_id, m.name as model, v.version, v.digest, v.signature, v.flavors, v.run_id,
             v.deleted_at is not null or m.deleted_at is not null as is_deleted
         from model_versions v
         join models m on m.id = v.model_id
         where v.id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Candidate::from))
}

/// The version of this number, deleted or not, of a model that is not deleted.
///
/// # Errors
/// When the statement fails.
pub async fn candidate_by_number(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    model: &str,
    version: i32,
) -> Result<Option<Candidate>> {
    let row: Option<Row> = sqlx::query_as(
        "select v.id, v.model_id, m.name as model, v.version, v.digest, v.signature, v.flavors, v.run_id,
             v.deleted_at is not null as is_deleted
         from model_versions v
         join models m on m.id = v.model_id
         where m.workspace_id = $1 and m.name = $2 and m.deleted_at is null and v.version = $3",
    )
    .bind(workspace)
    .bind(model)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Candidate::from))
}

/// The latest value of each metric of a run.
///
/// # Errors
/// When the statement fails.
pub async fn metrics_of_run(conn: &mut PgConnection, run: RunId) -> Result<BTreeMap<String, f64>> {
    let metrics: Vec<(String, f64)> = sqlx::query_as(
        "select k.name, l.value
         from runs r
         join latest_metrics l on l.run_key = r.key
         join log_keys k on k.id = l.key_id
         where r.id = $1",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok(metrics.into_iter().collect())
}

/// Name and digest of each data set that a run read, in order of name.
///
/// # Errors
/// When the statement fails.
pub async fn datasets_of_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<(String, String)>> {
    let datasets = sqlx::query_as(
        "select d.name, d.digest
         from runs r
         join run_datasets u on u.run_key = r.key
         join datasets d on d.id = u.dataset_id
         where r.id = $1
         order by d.name, d.digest",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok(datasets)
}

/// The commit of the code that a run names.
///
/// # Errors
/// When the statement fails.
pub async fn commit_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<String>> {
    let commit = sqlx::query_scalar(
        "select t.value
         from runs r
         join run_tags t on t.run_key = r.key
         join log_keys k on k.id = t.key_id
         where r.id = $1 and k.name = 'mlflow.source.git.commit'",
    )
    .bind(run)
    .fetch_optional(conn)
    .await?;
    Ok(commit)
}

/// The tags of a version, and those of its model that it has not itself.
///
/// # Errors
/// When the statement fails.
pub async fn tags_of_version(conn: &mut PgConnection, id: ModelVersionId) -> Result<BTreeMap<String, String>> {
    let tags: Vec<(String, String)> = sqlx::query_as(
        "select key, value
         from (
             select t.key, t.value, 0 as place
             from model_versions v
             join model_tags t on t.model_id = v.model_id
             where v.id = $1
             union all
             select key, value, 1 from model_version_tags where model_version_id = $1
         ) tags
         order by place",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    // Of two of one key the later stays.
    Ok(tags.into_iter().collect())
}

/// A file of evaluation rows among the artifacts of a run.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct EvaluationFile {
    /// Below the run's artifacts.
    pub path: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: i64,
}

/// The evaluation rows that a run logged: at the root or one folder below, the best of [`FILES`].
///
/// # Errors
/// When the statement fails.
pub async fn evaluation_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<EvaluationFile>> {
    let files: Vec<EvaluationFile> = sqlx::query_as(
        "select path, digest, size
         from artifacts
         where root_id = $1 and root_kind = 'run'
           and path ~ '^([^/]+/)?(evaluation[.](csv|json|parquet)|eval_results_table[.]json)$'",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    let place = |file: &EvaluationFile| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        (FILES.iter().position(|known| *known == name), file.path.contains('/'), file.path.clone())
    };
    Ok(files.into_iter().min_by_key(place))
}
