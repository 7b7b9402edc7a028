//! Logged models. Finding them is in [`search`].

pub mod search;

use crate::{Error, Result};
use domain::{
    id::{ExperimentId, LoggedModelId, RunId, WorkspaceId},
    logged_model::{LoggedModel, LoggedModelMetric, LoggedModelStatus},
    run::Metric,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeMap, HashMap};

#[derive(FromRow)]
struct Row {
    id: LoggedModelId,
    workspace_id: WorkspaceId,
    experiment_id: ExperimentId,
    name: String,
    model_type: String,
    source_run_id: Option<RunId>,
    status: String,
    status_message: String,
    creation_time: i64,
    last_update_time: i64,
    deleted: bool,
    params: Json<BTreeMap<String, String>>,
    tags: Json<BTreeMap<String, String>>,
}

impl Row {
    fn model(self, metrics: Vec<LoggedModelMetric>) -> Result<LoggedModel> {
        Ok(LoggedModel {
            id: self.id,
            workspace_id: self.workspace_id,
            experiment_id: self.experiment_id,
            name: self.name,
            model_type: self.model_type,
            source_run_id: self.source_run_id,
            status: LoggedModelStatus::parse(&self.status)
                .ok_or_else(|| Error::unknown("logged model status", &self.status))?,
            status_message: self.status_message,
            creation_time: self.creation_time,
            last_update_time: self.last_update_time,
            deleted: self.deleted,
            params: self.params.0,
            tags: self.tags.0,
            metrics,
        })
    }
}

/// Adds a model. Its metrics are not looked at.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, model: &LoggedModel) -> Result<()> {
    sqlx::query(
        "insert into logged_models (id, workspace_id, experiment_id, name, model_type, source_run_id, status,
             status_message, creation_time, last_update_time, params, tags)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(model.id)
    .bind(model.workspace_id)
    .bind(model.experiment_id)
    .bind(&model.name)
    .bind(&model.model_type)
    .bind(model.source_run_id)
    .bind(model.status.as_str())
    .bind(&model.status_message)
    .bind(model.creation_time)
    .bind(model.last_update_time)
    .bind(Json(&model.params))
    .bind(Json(&model.tags))
    .execute(conn)
    .await?;
    Ok(())
}

/// The models of these ids, deleted or not, in the order of the ids; those that the workspace has.
///
/// # Errors
/// When a statement fails.
pub async fn load(conn: &mut PgConnection, workspace: WorkspaceId, ids: &[LoggedModelId]) -> Result<Vec<LoggedModel>> {
    let rows = rows(conn, workspace, ids).await?;
    let mut metrics = metrics(conn, ids).await?;
    rows.into_iter()
        .map(|row| {
            let metrics = metrics.remove(&row.id).unwrap_or_default();
            row.model(metrics)
        })
        .collect()
}

async fn rows(conn: &mut PgConnection, workspace: WorkspaceId, ids: &[LoggedModelId]) -> Result<Vec<Row>> {
    Ok(sqlx::query_as(
        "select m.id, m.workspace_id, m.experiment_id, m.name, m.model_type, m.source_run_id, m.status, m.status_message,
             m.creation_time, m.last_update_time, m.deleted, m.params, m.tags
         from unnest($2::uuid[]) with ordinality as wanted (id, position)
         join logged_models m on m.id = wanted.id
         where m.workspace_id = $1
         order by wanted.position",
    )
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await?)
}

/// The model of this id, deleted or not, without its metrics, of which there may be very many.
///
/// # Errors
/// When the statement fails.
pub async fn without_metrics(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: LoggedModelId,
) -> Result<Option<LoggedModel>> {
    rows(conn, workspace, &[id]).await?.pop().map(|row| row.model(Vec::new())).transpose()
}

/// The model of this id, deleted or not.
///
/// # Errors
/// When a statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: LoggedModelId) -> Result<Option<LoggedModel>> {
    Ok(load(conn, workspace, &[id]).await?.pop())
}

/// Whether the workspace has this logged model, and it is not deleted.
///
/// # Errors
/// When the statement fails.
pub async fn is_in_use(conn: &mut PgConnection, workspace: WorkspaceId, id: LoggedModelId) -> Result<bool> {
    let is_in_use = sqlx::query_scalar(
        "select exists (select from logged_models where workspace_id = $1 and id = $2 and not deleted)",
    )
    .bind(workspace)
    .bind(id)
    .fetch_one(conn)
    .await?;
    Ok(is_in_use)
}

/// Every point that was logged of each model, by metric, time and step.
async fn metrics(
    conn: &mut PgConnection,
    ids: &[LoggedModelId],
) -> Result<HashMap<LoggedModelId, Vec<LoggedModelMetric>>> {
    #[derive(FromRow)]
    struct Row {
        logged_model_id: LoggedModelId,
        key: String,
        run_id: RunId,
        step: i64,
        timestamp: i64,
        value: f64,
        dataset_name: String,
        dataset_digest: String,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select m.logged_model_id, m.key, r.id as run_id, m.step, m.timestamp, m.value, m.dataset_name,
             m.dataset_digest
         from logged_model_metrics m
         join runs r on r.key = m.run_key
         where m.logged_model_id = any($1)
         order by m.logged_model_id, m.key, m.timestamp, m.step",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut by_model: HashMap<LoggedModelId, Vec<LoggedModelMetric>> = HashMap::new();
    for row in rows {
        by_model.entry(row.logged_model_id).or_default().push(LoggedModelMetric {
            point: Metric { key: row.key, value: row.value, timestamp: row.timestamp, step: row.step },
            run_id: row.run_id,
            dataset_name: row.dataset_name,
            dataset_digest: row.dataset_digest,
        });
    }
    Ok(by_model)
}

/// Which of these models the workspace has, deleted or not.
///
/// # Errors
/// When the statement fails.
pub async fn known(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    ids: &[LoggedModelId],
) -> Result<Vec<LoggedModelId>> {
    Ok(sqlx::query_scalar("select id from logged_models where workspace_id = $1 and id = any($2)")
        .bind(workspace)
        .bind(ids)
        .fetch_all(conn)
        .await?)
}

/// The newest model of this name that a run wrote and that is in use.
///
/// # Errors
/// When the statement fails.
pub async fn by_run_and_name(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    run: RunId,
    name: &str,
) -> Result<Option<LoggedModelId>> {
    Ok(sqlx::query_scalar(
        "select id
         from logged_models
         where workspace_id = $1 and source_run_id = $2 and name = $3 and not deleted
         order by creation_time desc, id desc
         limit 1",
    )
    .bind(workspace)
    .bind(run)
    .bind(name)
    .fetch_optional(conn)
    .await?)
}

/// Holds other changes of the model back until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, id: LoggedModelId) -> Result<()> {
    sqlx::query("select id from logged_models where workspace_id = $1 and id = $2 for no key update")
        .bind(workspace)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Says how far a model is.
///
/// # Errors
/// When the statement fails.
pub async fn set_status(conn: &mut PgConnection, id: LoggedModelId, status: LoggedModelStatus, now: i64) -> Result<()> {
    sqlx::query("update logged_models set status = $2, last_update_time = $3 where id = $1")
        .bind(id)
        .bind(status.as_str())
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a model away.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: LoggedModelId, now: i64) -> Result<()> {
    sqlx::query("update logged_models set deleted = true, last_update_time = $2 where id = $1")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Sets tags of a model.
///
/// # Errors
/// When the statement fails.
pub async fn set_tags(conn: &mut PgConnection, id: LoggedModelId, tags: &BTreeMap<String, String>) -> Result<()> {
    sqlx::query("update logged_models set tags = tags || $2 where id = $1")
        .bind(id)
        .bind(Json(tags))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a tag. Tells whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete_tag(conn: &mut PgConnection, id: LoggedModelId, key: &str) -> Result<bool> {
    let deleted = sqlx::query("update logged_models set tags = tags - $2 where id = $1 and tags ? $2")
        .bind(id)
        .bind(key)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Adds params; what is there stays as it is.
///
/// # Errors
/// When the statement fails.
pub async fn add_params(conn: &mut PgConnection, id: LoggedModelId, params: &BTreeMap<String, String>) -> Result<()> {
    sqlx::query("update logged_models set params = $2 || params where id = $1")
        .bind(id)
        .bind(Json(params))
        .execute(conn)
        .await?;
    Ok(())
}
