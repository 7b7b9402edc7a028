//! Versions of registered models, and the files that each is.

use crate::{
    Error, Result, condition,
    keyset::{self, Column, Found, Kind, Mark},
    model::millis,
};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    artifact_path::ArtifactFolder,
    artifact_root::{ArtifactOwner, ArtifactRoot},
    id::{ExperimentId, LoggedModelId, ModelId, ModelVersionId, RunId, UserId, WorkspaceId},
    model::{ModelVersion, Signature, Stage, VersionFile},
    search::{OrderBy, VersionClause, VersionFilter, VersionOrderKey, VersionText},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(FromRow)]
struct Row {
    id: ModelVersionId,
    model_id: ModelId,
    model: String,
    version: i32,
    source: String,
    run_id: Option<RunId>,
    logged_model_id: Option<LoggedModelId>,
    created_by: Option<UserId>,
    description: String,
    stage: String,
    digest: Option<Digest>,
    size: i64,
    signature: Option<Json<Signature>>,
    flavors: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tags: Json<BTreeMap<String, String>>,
    aliases: Vec<String>,
}

impl TryFrom<Row> for ModelVersion {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            model_id: row.model_id,
            model: row.model,
            version: row.version,
            source: row.source,
            run_id: row.run_id,
            logged_model_id: row.logged_model_id,
            created_by: row.created_by,
            description: row.description,
            stage: Stage::parse(&row.stage).ok_or_else(|| Error::unknown("stage", &row.stage))?,
            digest: row.digest,
            size: row.size,
            signature: row.signature.map(|signature| signature.0),
            flavors: row.flavors,
            created_at: row.created_at,
            updated_at: row.updated_at,
            tags: row.tags.0,
            aliases: row.aliases,
        })
    }
}

/// What [`Row`] is read from, for versions called `v` of models called `m`.
const COLUMNS: &str = "v.id, v.model_id, m.name as model, v.version, v.source, v.run_id, v.logged_model_id, v.created_by,
    v.description, v.stage, v.digest, v.size, v.signature, v.flavors, v.created_at, v.updated_at,
    coalesce((select jsonb_object_agg(t.key, t.value) from model_version_tags t where t.model_version_id = v.id), '{}') as tags,
    array(select a.alias from aliases a where a.model_version_id = v.id order by a.alias) as aliases";

/// Where versions in use are read from.
const IN_USE: &str = " from model_versions v join models m on m.id = v.model_id
    where v.deleted_at is null and m.deleted_at is null and m.workspace_id = ";

fn select() -> QueryBuilder<Postgres> {
    QueryBuilder::new(format!("select {COLUMNS} {IN_USE}"))
}

/// A version to be added.
#[derive(Debug)]
pub struct NewVersion<'a> {
    /// The version.
    pub id: ModelVersionId,
    /// Its model.
    pub model: ModelId,
    /// Where the client says it comes from.
    pub source: &'a str,
    /// The run that made it.
    pub run: Option<RunId>,
    /// A link that the client gave.
    pub run_link: &'a str,
    /// The logged model that it is.
    pub logged_model: Option<LoggedModelId>,
    /// Where its files lie now: a root, and the folder there.
    pub folder: Option<(ArtifactRoot, ArtifactFolder)>,
    /// Who registers it.
    pub created_by: Option<UserId>,
    /// What is said about it.
    pub description: &'a str,
    /// Its files.
    pub files: &'a [VersionFile],
    /// Of the list of files; none without files.
    pub digest: Option<Digest>,
    /// What it takes and gives.
    pub signature: Option<&'a Signature>,
    /// What it can be loaded as.
    pub flavors: &'a [String],
    /// Tags by key.
    pub tags: &'a BTreeMap<String, String>,
}

/// Adds a version under the next number, which no other version of the model has had, and holds other changes of the
/// model back until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn insert(conn: &mut PgConnection, new: &NewVersion<'_>) -> Result<i32> {
    let version: i32 = sqlx::query_scalar(
        "update models
         set last_version = last_version + 1, updated_at = now()
         where id = $1
         returning last_version",
    )
    .bind(new.model)
    .fetch_one(&mut *conn)
    .await?;
    let root: Option<Uuid> = new.folder.as_ref().map(|(root, _)| match root.owner {
        ArtifactOwner::Run(id) => id.0,
        ArtifactOwner::LoggedModel(id) => id.0,
    });
    sqlx::query(
        "insert into model_versions (id, model_id, version, source, run_id, run_link, logged_model_id, artifact_root,
             artifact_path, created_by, description, digest, size, signature, flavors)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(new.id)
    .bind(new.model)
    .bind(version)
    .bind(new.source)
    .bind(new.run)
    .bind(new.run_link)
    .bind(new.logged_model)
    .bind(root)
    .bind(new.folder.as_ref().map_or("", |(_, folder)| folder.as_str()))
    .bind(new.created_by)
    .bind(new.description)
    .bind(&new.digest)
    .bind(new.files.iter().map(|file| file.size).sum::<i64>())
    .bind(new.signature.map(Json))
    .bind(new.flavors)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into model_version_files (model_version_id, path, digest, size)
         select $1, path, digest, size from unnest($2::text[], $3::text[], $4::bigint[]) as f (path, digest, size)",
    )
    .bind(new.id)
    .bind(new.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>())
    .bind(new.files.iter().map(|file| file.digest.as_str()).collect::<Vec<_>>())
    .bind(new.files.iter().map(|file| file.size).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    set_tags(conn, new.id, new.tags).await?;
    Ok(version)
}

/// The version of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    model: &str,
    version: i32,
) -> Result<Option<ModelVersion>> {
    let mut query = select();
    query.push_bind(workspace).push(" and m.name = ").push_bind(model).push(" and v.version = ").push_bind(version);
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(ModelVersion::try_from).transpose()
}

/// The model of a version of the workspace, its name, and the version's number, deleted or not; none when there never was
/// such a version.
///
/// # Errors
/// When the statement fails.
pub async fn name_ever(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ModelVersionId,
) -> Result<Option<(ModelId, String, i32)>> {
    Ok(sqlx::query_as(
        "select m.id, m.name, v.version
         from model_versions v
         join models m on m.id = v.model_id
         where m.workspace_id = $1 and v.id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?)
}

/// The model and number of a version of the workspace that is in use; none when there is no such version.
///
/// # Errors
/// When the statement fails.
pub async fn name_in_use(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ModelVersionId,
) -> Result<Option<(String, i32)>> {
    let mut query = QueryBuilder::new(format!("select m.name, v.version {IN_USE}"));
    query.push_bind(workspace).push(" and v.id = ").push_bind(id);
    Ok(query.build_query_as().fetch_optional(conn).await?)
}

/// A file of a version, by its path.
///
/// # Errors
/// When the statement fails.
pub async fn file(conn: &mut PgConnection, id: ModelVersionId, path: &str) -> Result<Option<VersionFile>> {
    let row: Option<(Digest, i64)> =
        sqlx::query_as("select digest, size from model_version_files where model_version_id = $1 and path = $2")
            .bind(id)
            .bind(path)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(digest, size)| VersionFile { path: path.to_owned(), digest, size }))
}

/// The files of a version of the workspace that is in use, by path; none when there is no such version.
///
/// # Errors
/// When the statement fails.
pub async fn files_in_use(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ModelVersionId,
) -> Result<Option<Vec<VersionFile>>> {
    match name_in_use(conn, workspace, id).await? {
        Some(_) => files(conn, id).await.map(Some),
        None => Ok(None),
    }
}

/// The versions of a model, newest first; those below a number, when one is given.
///
/// # Errors
/// When the statement fails.
pub async fn of_model(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    model: ModelId,
    below: Option<i32>,
    limit: i64,
) -> Result<Vec<ModelVersion>> {
    let mut query = select();
    query.push_bind(workspace).push(" and v.model_id = ").push_bind(model);
    if let Some(below) = below {
        query.push(" and v.version < ").push_bind(below);
    }
    query.push(" order by v.version desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// How many versions of a model are in use.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, model: ModelId) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from model_versions where model_id = $1 and deleted_at is null")
        .bind(model)
        .fetch_one(conn)
        .await?)
}

/// Who registered these versions, by name; those that Slipway itself did are not among them.
///
/// # Errors
/// When the statement fails.
pub async fn creators(conn: &mut PgConnection, ids: &[ModelVersionId]) -> Result<BTreeMap<ModelVersionId, String>> {
    let rows: Vec<(ModelVersionId, String)> = sqlx::query_as(
        "select v.id, u.name
         from model_versions v
         join users u on u.id = v.created_by
         where v.id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The newest version of each stage, of each of these models.
///
/// # Errors
/// When the statement fails.
pub async fn latest_of_stages(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    models: &[ModelId],
) -> Result<Vec<ModelVersion>> {
    let mut query = select();
    query.push_bind(workspace);
    query.push(
        " and v.id in (
             select distinct on (l.model_id, l.stage) l.id
             from model_versions l
             where l.deleted_at is null and l.model_id = any(",
    );
    query.push_bind(models).push(") order by l.model_id, l.stage, l.version desc) order by m.name, v.version");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// The versions made from logged models, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn of_logged_models(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    models: &[LoggedModelId],
) -> Result<Vec<ModelVersion>> {
    let mut query = select();
    query.push_bind(workspace).push(" and v.logged_model_id = any(").push_bind(models).push(") order by v.created_at");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// The files of a version, by path.
///
/// # Errors
/// When the statement fails.
pub async fn files(conn: &mut PgConnection, id: ModelVersionId) -> Result<Vec<VersionFile>> {
    let rows: Vec<(String, Digest, i64)> = sqlx::query_as(
        "select path, digest, size
         from model_version_files
         where model_version_id = $1
         order by path",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(path, digest, size)| VersionFile { path, digest, size }).collect())
}

/// Where a version's files lay when it was registered; none when it has none of ours.
///
/// # Errors
/// When the statement fails.
pub async fn folder(conn: &mut PgConnection, id: ModelVersionId) -> Result<Option<(ArtifactRoot, String)>> {
    let row: Option<(ExperimentId, Option<RunId>, Option<LoggedModelId>, String)> = sqlx::query_as(
        "select coalesce(r.experiment_id, l.experiment_id), r.id, l.id, v.artifact_path
         from model_versions v
         left join runs r on r.id = v.artifact_root
         left join logged_models l on l.id = v.artifact_root
         where v.id = $1 and coalesce(r.id, l.id) is not null",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|(experiment_id, run, logged_model, path)| {
        let owner = run.map(ArtifactOwner::Run).or(logged_model.map(ArtifactOwner::LoggedModel))?;
        Some((ArtifactRoot { experiment_id, owner }, path))
    }))
}

/// The link that the client gave of a version's run.
///
/// # Errors
/// When the statement fails.
pub async fn run_links(conn: &mut PgConnection, ids: &[ModelVersionId]) -> Result<BTreeMap<ModelVersionId, String>> {
    let rows: Vec<(ModelVersionId, String)> =
        sqlx::query_as("select id, run_link from model_versions where id = any($1) and run_link <> ''")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Says something about a version.
///
/// # Errors
/// When the statement fails.
pub async fn set_description(conn: &mut PgConnection, id: ModelVersionId, description: &str) -> Result<()> {
    sqlx::query("update model_versions set description = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(description)
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves a version to a stage. With `archive_others`, other versions of the model leave that stage for the archive;
/// answers with their numbers.
///
/// # Errors
/// When a statement fails.
pub async fn set_stage(
    conn: &mut PgConnection,
    version: &ModelVersion,
    stage: Stage,
    archive_others: bool,
) -> Result<Vec<i32>> {
    let mut archived = Vec::new();
    if archive_others {
        archived = sqlx::query_scalar(
            "update model_versions
             set stage = 'Archived', updated_at = now()
             where model_id = $1 and id <> $2 and stage = $3 and deleted_at is null
             returning version",
        )
        .bind(version.model_id)
        .bind(version.id)
        .bind(stage.as_str())
        .fetch_all(&mut *conn)
        .await?;
    }
    sqlx::query("update model_versions set stage = $2, updated_at = now() where id = $1")
        .bind(version.id)
        .bind(stage.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query("update models set updated_at = now() where id = $1").bind(version.model_id).execute(conn).await?;
    Ok(archived)
}

/// Puts a version away; its number is never given again. Its aliases must be gone before.
///
/// # Errors
/// When a statement fails.
pub async fn delete(conn: &mut PgConnection, version: &ModelVersion) -> Result<()> {
    sqlx::query("update model_versions set deleted_at = now() where id = $1")
        .bind(version.id)
        .execute(&mut *conn)
        .await?;
    sqlx::query("update models set updated_at = now() where id = $1").bind(version.model_id).execute(conn).await?;
    Ok(())
}

/// Sets tags of a version.
///
/// # Errors
/// When the statement fails.
pub async fn set_tags(conn: &mut PgConnection, id: ModelVersionId, tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<&String>, Vec<&String>) = tags.iter().unzip();
    sqlx::query(
        "insert into model_version_tags (model_version_id, key, value)
         select $1, key, value from unnest($2::text[], $3::text[]) as t (key, value)
         on conflict (model_version_id, key) do update set value = excluded.value",
    )
    .bind(id)
    .bind(keys)
    .bind(values)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a tag. Tells whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete_tag(conn: &mut PgConnection, id: ModelVersionId, key: &str) -> Result<bool> {
    let deleted = sqlx::query("delete from model_version_tags where model_version_id = $1 and key = $2")
        .bind(id)
        .bind(key)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Which versions are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where.
    pub workspace: WorkspaceId,
    /// Only those of which this holds. Versions of prompts are left out unless it says something about them.
    pub filter: Option<VersionFilter>,
    /// A complete order, as the functions of `domain::search` make it.
    pub order: Vec<OrderBy<VersionOrderKey>>,
}

impl Search {
    fn columns(&self) -> Vec<Column> {
        let column = |by: &OrderBy<VersionOrderKey>| match by.key {
            VersionOrderKey::Name => Column::new("m.name", Kind::Text, by.direction),
            VersionOrderKey::Number => Column::new("v.version::bigint", Kind::Integer, by.direction),
            VersionOrderKey::Creation => Column::new(millis("v.created_at"), Kind::Integer, by.direction),
            VersionOrderKey::LastUpdated => Column::new(millis("v.updated_at"), Kind::Integer, by.direction),
        };
        self.order.iter().map(column).collect()
    }

    fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(IN_USE).push_bind(self.workspace);
        if !self.filter.as_ref().is_some_and(|filter| filter.mentions_prompts()) {
            query.push(" and ").push(NO_PROMPT);
        }
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &push_clause);
        }
    }
}

/// The condition that a version is of no prompt. As MLflow has it, the tags of the model say nothing here: one version
/// with the tag makes a prompt of all those of its model. Which models those are is asked once, not for each version.
const NO_PROMPT: &str = "v.model_id not in (select o.model_id from model_versions o
    join model_version_tags p on p.model_version_id = o.id
    where o.deleted_at is null and p.key = 'mlflow.prompt.is_prompt' and p.value = 'true')";

fn push_clause(query: &mut QueryBuilder<Postgres>, clause: &VersionClause) {
    match clause {
        VersionClause::Text { attribute: VersionText::Name, test } => condition::push_text(query, "m.name", test),
        VersionClause::Text { attribute: VersionText::Source, test } => condition::push_text(query, "v.source", test),
        VersionClause::Text { attribute: VersionText::RunId, test } => {
            condition::push_nullable_text(query, "replace(v.run_id::text, '-', '')", test);
        }
        VersionClause::Number(test) => condition::push_integer(query, "v.version", test),
        VersionClause::NoPrompt => _ = query.push(NO_PROMPT),
        VersionClause::Tag { key, test } => {
            condition::push_tag(query, "model_version_tags t where t.model_version_id = v.id", key, test)
        }
    }
}

/// A page of versions.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<ModelVersion>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new(format!("select {COLUMNS}"));
    keyset::push_columns(&mut query, &columns);
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| Row::from_row(row)?.try_into()).await
}
