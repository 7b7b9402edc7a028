//! History. Rows are only ever added, in the transaction of what they tell of.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    audit::{Actor, AuditEvent, Object, ObjectKind},
    environment::Sight,
    id::{AuditEventId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: AuditEventId,
    at: DateTime<Utc>,
    user_id: Option<UserId>,
    actor_name: String,
    actor_is_service: bool,
    action: String,
    object_kind: String,
    object_id: String,
    object_name: String,
    related: Json<Vec<Object>>,
    summary: String,
    details: serde_json::Value,
    request_id: Option<String>,
}

impl TryFrom<Row> for AuditEvent {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let kind =
            ObjectKind::parse(&row.object_kind).ok_or_else(|| Error::unknown("object kind", &row.object_kind))?;
        Ok(Self {
            id: row.id,
            at: row.at,
            actor: match row.user_id {
                Some(id) => Actor::User { id, name: row.actor_name, is_service: row.actor_is_service },
                None => Actor::System,
            },
            action: row.action,
            object: Object { kind, id: row.object_id, name: row.object_name },
            related: row.related.0,
            summary: row.summary,
            details: row.details,
            request_id: row.request_id,
        })
    }
}

/// Adds an event. `workspace` is none for what concerns the installation as a whole.
///
/// # Errors
/// When the statement fails.
pub async fn append(conn: &mut PgConnection, workspace: Option<WorkspaceId>, event: &AuditEvent) -> Result<()> {
    let (user_id, is_service) = match &event.actor {
        Actor::User { id, is_service, .. } => (Some(*id), *is_service),
        Actor::System => (None, false),
    };
    sqlx::query(
        "insert into audit_events (id, workspace_id, at, user_id, actor_name, actor_is_service, action,
             object_kind, object_id, object_name, related, summary, details, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(event.id)
    .bind(workspace)
    .bind(event.at)
    .bind(user_id)
    .bind(event.actor.name())
    .bind(is_service)
    .bind(&event.action)
    .bind(event.object.kind.as_str())
    .bind(&event.object.id)
    .bind(&event.object.name)
    .bind(Json(&event.related))
    .bind(&event.summary)
    .bind(&event.details)
    .bind(&event.request_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` events, newest first: those that `sight` lets see of its workspace and before `before`, when given, that
/// are about or related to each of `objects`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    sight: Option<&Sight>,
    objects: &[(ObjectKind, &str)],
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<AuditEvent>> {
    let mut query = QueryBuilder::new(
        "select id, at, user_id, actor_name, actor_is_service, action, object_kind, object_id, object_name,
             related, summary, details, request_id
         from audit_events
         where true",
    );
    if let Some(sight) = sight {
        query.push(" and workspace_id = ").push_bind(sight.workspace());
        push_unhidden(conn, &mut query, sight).await?;
    }
    for &(kind, id) in objects {
        query.push(" and (object_kind = ").push_bind(kind.as_str());
        query.push(" and object_id = ").push_bind(id.to_owned());
        let related = serde_json::json!([{ "kind": kind.as_str(), "id": id }]);
        query.push(" or related @> ").push_bind(related).push(")");
    }
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before);
    }
    query.push(" order by id desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(AuditEvent::try_from).collect()
}

/// Leaves away what happened to environments, and in environments, that are hidden from somebody; most hide nothing.
async fn push_unhidden(conn: &mut PgConnection, query: &mut QueryBuilder<sqlx::Postgres>, sight: &Sight) -> Result<()> {
    for (id, _) in crate::environment::hidden(conn, sight).await? {
        let (id, kind) = (id.to_string(), ObjectKind::Environment.as_str());
        let related = serde_json::json!([{ "kind": kind, "id": id }]);
        query.push(" and not (object_kind = ").push_bind(kind).push(" and object_id = ").push_bind(id);
        query.push(" or related @> ").push_bind(related).push(")");
    }
    Ok(())
}

/// Up to `limit` events of a workspace about objects of this sort, newest first; those before `before`.
///
/// # Errors
/// When the statement fails.
pub async fn of_kind(
    conn: &mut PgConnection,
    sight: &Sight,
    kind: ObjectKind,
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<AuditEvent>> {
    let mut query = QueryBuilder::new(
        "select id, at, user_id, actor_name, actor_is_service, action, object_kind, object_id, object_name,
             related, summary, details, request_id
         from audit_events
         where workspace_id = ",
    );
    query.push_bind(sight.workspace()).push(" and object_kind = ").push_bind(kind.as_str());
    push_unhidden(conn, &mut query, sight).await?;
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before);
    }
    query.push(" order by id desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(AuditEvent::try_from).collect()
}
