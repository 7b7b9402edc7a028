//! Datasets of a workspace.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    dataset::Dataset,
    expectation::Expectation,
    id::{DatasetId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, types::Json};

/// What rows of objects name a dataset by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct DatasetKey(pub(crate) i64);

/// A dataset, and its key.
#[derive(Debug, Clone)]
pub struct StoredDataset {
    /// The dataset.
    pub dataset: Dataset,
    /// Its key.
    pub key: DatasetKey,
    /// The number of its last version, also when that was deleted; 0 for none.
    pub last_number: i32,
}

#[derive(FromRow)]
struct Row {
    id: DatasetId,
    key: DatasetKey,
    workspace_id: WorkspaceId,
    name: String,
    description: String,
    expectations: Json<Vec<Expectation>>,
    author: String,
    last_number: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    versions: i64,
}

impl From<Row> for StoredDataset {
    fn from(row: Row) -> Self {
        let dataset = Dataset {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            expectations: row.expectations.0,
            author: row.author,
            created_at: row.created_at,
            updated_at: row.updated_at,
            versions: row.versions,
        };
        Self { dataset, key: row.key, last_number: row.last_number }
    }
}

/// Adds a dataset.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn insert(conn: &mut PgConnection, dataset: &Dataset, author: Option<UserId>) -> Result<()> {
    sqlx::query(
        "insert into versioned_datasets
             (id, workspace_id, name, description, expectations, author_id, author, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(dataset.id)
    .bind(dataset.workspace_id)
    .bind(&dataset.name)
    .bind(&dataset.description)
    .bind(Json(&dataset.expectations))
    .bind(author)
    .bind(&dataset.author)
    .bind(dataset.created_at)
    .bind(dataset.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The dataset of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<StoredDataset>> {
    let row: Option<Row> = sqlx::query_as(
        "select d.id, d.key, d.workspace_id, d.name, d.description, d.expectations, d.author, d.last_number, d.created_at,
                d.updated_at,
                (select count(*) from dataset_versions v where v.dataset_id = d.id and v.deleted_at is null) as versions
         from versioned_datasets d
         where d.workspace_id = $1 and d.name = $2",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(StoredDataset::from))
}

/// Holds other versions, other changes and the sweep of a dataset back until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: DatasetId) -> Result<()> {
    sqlx::query("select id from versioned_datasets where id = $1 for no key update").bind(id).execute(conn).await?;
    Ok(())
}

/// The datasets whose name has a text in it, by name, those after one.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    search: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Dataset>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select d.id, d.key, d.workspace_id, d.name, d.description, d.expectations, d.author, d.last_number, d.created_at,
                d.updated_at,
                (select count(*) from dataset_versions v where v.dataset_id = d.id and v.deleted_at is null) as versions
         from versioned_datasets d
         where d.workspace_id = $1
           and ($2 = '' or strpos(lower(d.name), lower($2)) > 0)
           and ($3::text is null or d.name > $3)
         order by d.name
         limit $4",
    )
    .bind(workspace)
    .bind(search)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| StoredDataset::from(row).dataset).collect())
}

/// How many datasets have a text in their name.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, workspace: WorkspaceId, search: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "select count(*)
         from versioned_datasets
         where workspace_id = $1 and ($2 = '' or strpos(lower(name), lower($2)) > 0)",
    )
    .bind(workspace)
    .bind(search)
    .fetch_one(conn)
    .await?)
}

/// Says what a dataset is for, and what is expected of it.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    conn: &mut PgConnection,
    id: DatasetId,
    description: &str,
    expectations: &[Expectation],
) -> Result<()> {
    sqlx::query(
        "update versioned_datasets
         set description = $2, expectations = $3, updated_at = now()
         where id = $1",
    )
    .bind(id)
    .bind(description)
    .bind(Json(expectations))
    .execute(conn)
    .await?;
    Ok(())
}
