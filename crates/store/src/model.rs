//! Registered models and their aliases.

use crate::{
    Result, condition,
    keyset::{self, Column, Found, Kind, Mark},
};
use chrono::{DateTime, Utc};
use domain::{
    id::{ModelId, ModelVersionId, PromotionId, WorkspaceId},
    model::{AliasCause, AliasMove, Model, ModelSummary},
    search::{ModelClause, ModelFilter, ModelOrderKey, OrderBy},
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

/// The condition that a model is no prompt, which MLflow keeps among models. Its searches mind the case of the tag.
const NO_PROMPT: &str = "not exists (select from model_tags p
    where p.model_id = m.id and p.key = 'mlflow.prompt.is_prompt' and p.value = 'true')";

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

/// The tags of a model.
///
/// # Errors
/// When the statement fails.
pub async fn tags(conn: &mut PgConnection, id: ModelId) -> Result<BTreeMap<String, String>> {
    let tags: Vec<(String, String)> =
        sqlx::query_as("select key, value from model_tags where model_id = $1").bind(id).fetch_all(conn).await?;
    Ok(tags.into_iter().collect())
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

#[derive(FromRow)]
struct MoveRow {
    id: i64,
    alias: String,
    before: Option<i32>,
    version: Option<i32>,
    is_deleted: bool,
    at: DateTime<Utc>,
    by_name: String,
    deployment: Option<i64>,
    promotion: Option<i64>,
    is_rollback: Option<bool>,
}

impl From<MoveRow> for AliasMove {
    fn from(row: MoveRow) -> Self {
        let (promotion, is_rollback) = (row.promotion, row.is_rollback.unwrap_or_default());
        Self {
            id: row.id,
            alias: row.alias,
            from: row.before,
            version: row.version,
            is_deleted: row.is_deleted,
            at: row.at,
            by: row.by_name,
            cause: row.deployment.map(|deployment| AliasCause { deployment, promotion, is_rollback }),
        }
    }
}

/// What [`MoveRow`] is read from, for moves called `h`.
///
/// The alias of an environment moves in the transaction in which a deployment goes live there, and a version cannot go live
/// again before another did: so what moved it is the first deployment of that version there that went live at or after
/// the transaction's time.
const MOVES: &str = "
    select h.id, h.alias, b.version as before, v.version, v.deleted_at is not null as is_deleted, h.at, h.by_name,
        d.number as deployment, d.promotion, d.is_rollback
    from alias_moves h
    left join model_versions v on v.id = h.model_version_id
    left join lateral (
        select p.model_version_id
        from alias_moves p
        where p.model_id = h.model_id and p.alias = h.alias and p.id < h.id
        order by p.id desc
        limit 1
    ) p on true
    left join model_versions b on b.id = p.model_version_id
    left join lateral (
        select l.number, o.number as promotion, l.rollback_of is not null as is_rollback
        from deployments l
        join environments e on e.id = l.environment_id
        left join promotions o on o.id = l.promotion_id
        where l.model_version_id = h.model_version_id and e.name = h.alias and l.live_at >= h.at
        order by l.live_at
        limit 1
    ) d on true";

/// The moves of a model's aliases, or of one of them, newest first; those before a move, when one is given.
///
/// # Errors
/// When the statement fails.
pub async fn alias_moves(
    conn: &mut PgConnection,
    model: ModelId,
    alias: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AliasMove>> {
    let mut query = QueryBuilder::new(format!("{MOVES} where h.model_id = "));
    query.push_bind(model);
    if let Some(alias) = alias {
        query.push(" and h.alias = ").push_bind(alias);
    }
    if let Some(before) = before {
        query.push(" and h.id < ").push_bind(before);
    }
    query.push(" order by h.id desc limit ").push_bind(limit);
    let rows: Vec<MoveRow> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(AliasMove::from).collect())
}

/// For each alias that pointed at a version before this time, the move that made it do so, by alias. Without a time, now.
///
/// Moves count in the order in which they were made. A move carries the time at which its transaction began, which may be
/// a little before that of a move made earlier: then both were made at the later of the two.
///
/// # Errors
/// When the statement fails.
pub async fn aliases_as_of(
    conn: &mut PgConnection,
    model: ModelId,
    before: Option<DateTime<Utc>>,
) -> Result<Vec<AliasMove>> {
    let mut query = QueryBuilder::new(format!(
        "{MOVES} where h.id in (
             select distinct on (m.alias) m.id
             from alias_moves m
             where m.model_id = "
    ));
    query.push_bind(model);
    if let Some(before) = before {
        query.push(" and m.id < coalesce((select min(n.id) from alias_moves n where n.model_id = ").push_bind(model);
        query.push(" and n.at >= ").push_bind(before).push("), m.id + 1)");
    }
    query.push(" order by m.alias, m.id desc) and h.model_version_id is not null order by h.alias");
    let rows: Vec<MoveRow> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(AliasMove::from).collect())
}

/// The aliases that a model has, or had once, with how often each moved, by alias.
///
/// # Errors
/// When the statement fails.
pub async fn aliases_ever(conn: &mut PgConnection, model: ModelId) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as(
        "select alias, count(*)
         from alias_moves
         where model_id = $1
         group by alias
         order by alias",
    )
    .bind(model)
    .fetch_all(conn)
    .await?)
}

/// Whether an environment of the workspace protects the alias of this name, however it is written: one that is archived, or
/// not protected itself, does not.
///
/// # Errors
/// When the statement fails.
pub async fn is_protected(conn: &mut PgConnection, workspace: WorkspaceId, alias: &str) -> Result<bool> {
    let is_protected = sqlx::query_scalar(
        "select exists (
             select
             from environments
             where workspace_id = $1 and lower(name) = $2 and protected and archived_at is null
         )",
    )
    .bind(workspace)
    .bind(alias.to_lowercase())
    .fetch_one(conn)
    .await?;
    Ok(is_protected)
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
    Ok(sqlx::query_as(concat!(
        "select p.id, p.number
         from promotions p
         join environments e on e.id = p.environment_id
         where e.workspace_id = $1 and e.name = $3 and p.model_version_id = $2
           and p.state in ",
        crate::open_promotion_states!(),
        "
         limit 1"
    ))
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
pub(crate) fn millis(column: &str) -> String {
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
            query.push(" and ").push(NO_PROMPT);
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
        ModelClause::NoPrompt => _ = query.push(NO_PROMPT),
        ModelClause::Tag { key, test } => condition::push_tag(query, "model_tags t where t.model_id = m.id", key, test),
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
    let mut query = QueryBuilder::new(format!(
        "select {COLUMNS}, s.versions, n.version as latest, n.created_at as latest_at, u.name as latest_by"
    ));
    keyset::push_columns(&mut query, &columns);
    query.push(
        " from models m
         cross join lateral (
             select count(*) as versions
             from model_versions v
             where v.model_id = m.id and v.deleted_at is null
         ) s
         left join lateral (
             select v.version, v.created_at, v.created_by
             from model_versions v
             where v.model_id = m.id and v.deleted_at is null
             order by v.version desc
             limit 1
         ) n on true
         left join users u on u.id = n.created_by",
    );
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| {
        Ok(ModelSummary {
            model: Row::from_row(row)?.into(),
            versions: row.try_get("versions")?,
            latest: row.try_get("latest")?,
            latest_at: row.try_get("latest_at")?,
            latest_by: row.try_get("latest_by")?,
        })
    })
    .await
}

/// How many models a search finds.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, search: &Search) -> Result<i64> {
    let mut query = QueryBuilder::new("select count(*) from models m");
    search.push_where(&mut query);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}
