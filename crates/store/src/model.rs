//! Registered models and their aliases.

use crate::{
    Result, condition,
    keyset::{self, Column, Found, Kind, Mark},
};
use chrono::{DateTime, Utc};
use domain::{
    id::{ModelId, ModelVersionId, PromotionId, WorkspaceId},
    model::{AliasMove, Model, ModelSummary},
    search::{Keyed, ModelClause, ModelFilter, ModelOrderKey, OrderBy},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Row as _, types::Json};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    id: ModelId,
    workspace_id: WorkspaceId,
    name: String,
    description: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tags: Json<BTreeMap<String, String>>,
    aliases: Json<BTreeMap<String, i32>>,
}

impl From<Row> for Model {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            created_at: row.created_at,
            updated_at: row.updated_at,
            tags: row.tags.0,
            aliases: row.aliases.0,
        }
    }
}

/// What [`Row`] is read from, for models called `m`.
const COLUMNS: &str = "m.id, m.workspace_id, m.name, m.description, m.created_at, m.updated_at,
    coalesce((select jsonb_object_agg(t.key, t.value) from model_tags t where t.model_id = m.id), '{}') as tags,
    coalesce((select jsonb_object_agg(a.alias, v.version)
              from aliases a
              join model_versions v on v.id = a.model_version_id
              where a.model_id = m.id), '{}') as aliases";

/// The condition that a model is a prompt, which MLflow keeps among models.
pub(crate) const IS_PROMPT: &str = "exists (select from model_tags p
    where p.model_id = m.id and p.key = 'mlflow.prompt.is_prompt' and lower(p.value) = 'true')";

/// Adds a model. Its tags and aliases are not looked at.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn insert(conn: &mut PgConnection, model: &Model) -> Result<()> {
    sqlx::query(
        "insert into models (id, workspace_id, name, description, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(model.id)
    .bind(model.workspace_id)
    .bind(&model.name)
    .bind(&model.description)
    .bind(model.created_at)
    .bind(model.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The model of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Model>> {
    let mut query =
        QueryBuilder::new(format!("select {COLUMNS} from models m where m.deleted_at is null and m.workspace_id = "));
    query.push_bind(workspace).push(" and m.name = ").push_bind(name);
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Model::from))
}

/// Holds other changes of the model, its versions' numbers and its aliases back until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: ModelId) -> Result<()> {
    sqlx::query("select id from models where id = $1 for no key update").bind(id).execute(conn).await?;
    Ok(())
}

/// Says what a model is for.
///
/// # Errors
/// When the statement fails.
pub async fn set_description(conn: &mut PgConnection, id: ModelId, description: &str) -> Result<()> {
    sqlx::query("update models set description = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(description)
        .execute(conn)
        .await?;
    Ok(())
}

/// Renames a model.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn rename(conn: &mut PgConnection, id: ModelId, name: &str) -> Result<()> {
    sqlx::query("update models set name = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(name)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a model away with all its versions; its name is free again. Its aliases must be gone before.
///
/// # Errors
/// When a statement fails.
pub async fn delete(conn: &mut PgConnection, id: ModelId) -> Result<()> {
    sqlx::query("update model_versions set deleted_at = now() where model_id = $1 and deleted_at is null")
        .bind(id)
        .execute(&mut *conn)
        .await?;
    sqlx::query("update models set deleted_at = now() where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// Sets tags of a model.
///
/// # Errors
/// When the statement fails.
pub async fn set_tags(conn: &mut PgConnection, id: ModelId, tags: &BTreeMap<String, String>) -> Result<()> {
    let (keys, values): (Vec<&String>, Vec<&String>) = tags.iter().unzip();
    sqlx::query(
        "insert into model_tags (model_id, key, value)
         select $1, key, value from unnest($2::text[], $3::text[]) as t (key, value)
         on conflict (model_id, key) do update set value = excluded.value",
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
pub async fn delete_tag(conn: &mut PgConnection, id: ModelId, key: &str) -> Result<bool> {
    let deleted =
        sqlx::query("delete from model_tags where model_id = $1 and key = $2").bind(id).bind(key).execute(conn).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Which version an alias points at.
///
/// # Errors
/// When the statement fails.
pub async fn alias(conn: &mut PgConnection, model: ModelId, alias: &str) -> Result<Option<(ModelVersionId, i32)>> {
    Ok(sqlx::query_as(
        "select v.id, v.version
         from aliases a
         join model_versions v on v.id = a.model_version_id
         where a.model_id = $1 and a.alias = $2",
    )
    .bind(model)
    .bind(alias)
    .fetch_optional(conn)
    .await?)
}

/// Makes an alias point at a version of the model, or at none, and writes that to its history. False when it did
/// already. The caller holds the model's [`lock`], and has decided that the alias may move.
///
/// # Errors
/// When a statement fails.
pub async fn move_alias(
    conn: &mut PgConnection,
    model: ModelId,
    alias: &str,
    version: Option<ModelVersionId>,
    by_name: &str,
) -> Result<bool> {
    let changed = match version {
        Some(version) => {
            sqlx::query(
                "insert into aliases (model_id, alias, model_version_id)
                 values ($1, $2, $3)
                 on conflict (model_id, alias) do update
                 set model_version_id = excluded.model_version_id
                 where aliases.model_version_id <> excluded.model_version_id",
            )
            .bind(model)
            .bind(alias)
            .bind(version)
            .execute(&mut *conn)
            .await?
        }
        None => {
            sqlx::query("delete from aliases where model_id = $1 and alias = $2")
                .bind(model)
                .bind(alias)
                .execute(&mut *conn)
                .await?
        }
    };
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("insert into alias_moves (model_id, alias, model_version_id, by_name) values ($1, $2, $3, $4)")
        .bind(model)
        .bind(alias)
        .bind(version)
        .bind(by_name)
        .execute(&mut *conn)
        .await?;
    sqlx::query("update models set updated_at = now() where id = $1").bind(model).execute(conn).await?;
    Ok(true)
}

/// The moves of a model's aliases, or of one of them, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn alias_moves(
    conn: &mut PgConnection,
    model: ModelId,
    alias: Option<&str>,
    limit: i64,
) -> Result<Vec<AliasMove>> {
    let rows: Vec<(String, Option<i32>, DateTime<Utc>, String)> = sqlx::query_as(
        "select h.alias, v.version, h.at, h.by_name
         from alias_moves h
         left join model_versions v on v.id = h.model_version_id
         where h.model_id = $1 and ($2::text is null or h.alias = $2)
         order by h.id desc
         limit $3",
    )
    .bind(model)
    .bind(alias)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(alias, version, at, by)| AliasMove { alias, version, at, by }).collect())
}

/// Whether an environment of the workspace protects the alias of this name, however it is written.
///
/// # Errors
/// When the statement fails.
pub async fn is_protected(conn: &mut PgConnection, workspace: WorkspaceId, alias: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("select exists (select from environments where workspace_id = $1 and lower(name) = $2)")
        .bind(workspace)
        .bind(alias.to_lowercase())
        .fetch_one(conn)
        .await?)
}

/// The number of the open promotion of a version into an environment, when there is one.
///
/// # Errors
/// When the statement fails.
pub async fn open_promotion(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    version: ModelVersionId,
    environment: &str,
) -> Result<Option<(PromotionId, i64)>> {
    Ok(sqlx::query_as(
        "select p.id, p.number
         from promotions p
         join environments e on e.id = p.environment_id
         where e.workspace_id = $1 and e.name = $3 and p.model_version_id = $2
           and p.state in ('gates_running', 'blocked', 'awaiting_approval', 'approved', 'deploying')
         limit 1",
    )
    .bind(workspace)
    .bind(version)
    .bind(environment)
    .fetch_optional(conn)
    .await?)
}

/// Which models are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where.
    pub workspace: WorkspaceId,
    /// Only those of which this holds. Prompts are left out unless it says something about them.
    pub filter: Option<ModelFilter>,
    /// A complete order, as the functions of `domain::search` make it.
    pub order: Vec<OrderBy<ModelOrderKey>>,
}

/// Milliseconds since 1970 of a time, as orders and clients know it.
fn millis(column: &str) -> String {
    format!("(floor(extract(epoch from {column}) * 1000))::bigint")
}

impl Search {
    fn columns(&self) -> Vec<Column> {
        let column = |by: &OrderBy<ModelOrderKey>| match by.key {
            ModelOrderKey::Name => Column::new("m.name", Kind::Text, by.direction),
            ModelOrderKey::Creation => Column::new(millis("m.created_at"), Kind::Integer, by.direction),
            ModelOrderKey::LastUpdated => Column::new(millis("m.updated_at"), Kind::Integer, by.direction),
        };
        self.order.iter().map(column).collect()
    }

    fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where m.deleted_at is null and m.workspace_id = ").push_bind(self.workspace);
        if !self.filter.as_ref().is_some_and(|filter| filter.mentions_prompts()) {
            query.push(" and not ").push(IS_PROMPT);
        }
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &push_clause);
        }
    }
}

fn push_clause(query: &mut QueryBuilder<Postgres>, clause: &ModelClause) {
    match clause {
        ModelClause::Name(test) => condition::push_text(query, "m.name", test),
        ModelClause::Prompt(is_prompt) => {
            query.push(if *is_prompt { "" } else { "not " }).push(IS_PROMPT);
        }
        ModelClause::Tag { key, test } => {
            if *test == Keyed::Absent {
                query.push("not ");
            }
            query.push("exists (select from model_tags t where t.model_id = m.id and t.key = ");
            query.push_bind(key.clone());
            if let Keyed::Is(test) = test {
                query.push(" and ");
                condition::push_text(query, "t.value", test);
            }
            query.push(")");
        }
    }
}

/// A page of models.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<Model>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new(format!("select {COLUMNS}"));
    keyset::push_columns(&mut query, &columns);
    query.push(" from models m");
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| Ok(Row::from_row(row)?.into())).await
}

/// The same page, with what the versions of each model come to.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn summaries(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<ModelSummary>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new(format!("select {COLUMNS}, s.versions, s.latest, s.latest_at"));
    keyset::push_columns(&mut query, &columns);
    query.push(
        " from models m
         cross join lateral (
             select count(*) as versions, max(v.version) as latest, max(v.created_at) as latest_at
             from model_versions v
             where v.model_id = m.id and v.deleted_at is null
         ) s",
    );
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| {
        Ok(ModelSummary {
            model: Row::from_row(row)?.into(),
            versions: row.try_get("versions")?,
            latest: row.try_get("latest")?,
            latest_at: row.try_get("latest_at")?,
        })
    })
    .await
}
