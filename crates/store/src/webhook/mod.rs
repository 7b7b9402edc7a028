//! Webhooks. What is sent to them is in [`delivery`].

pub mod delivery;
#[cfg(test)]
mod tests;

use crate::{
    Error, Result,
    secret_key::{HookSecret, Kept, Sealed},
};
use chrono::{DateTime, Utc};
use domain::{
    id::{WebhookId, WorkspaceId},
    webhook::{Webhook, WebhookEvent, WebhookFormat, WebhookStatus},
};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeSet;

#[derive(FromRow)]
struct Row {
    id: WebhookId,
    workspace_id: WorkspaceId,
    name: String,
    description: String,
    url: String,
    events: Vec<String>,
    format: String,
    status: String,
    has_secret: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Webhook {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            url: row.url,
            events: row.events.iter().map(|event| parse_event(event)).collect::<Result<_>>()?,
            format: parse_format(&row.format)?,
            status: WebhookStatus::parse(&row.status).ok_or_else(|| Error::unknown("webhook status", &row.status))?,
            has_secret: row.has_secret,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn parse_format(text: &str) -> Result<WebhookFormat> {
    text.parse().map_err(|_| Error::unknown("webhook format", text))
}

fn parse_event(text: &str) -> Result<WebhookEvent> {
    text.parse().map_err(|_| Error::unknown("webhook event", text))
}

fn names(events: &BTreeSet<WebhookEvent>) -> Vec<&'static str> {
    events.iter().map(|event| event.as_str()).collect()
}

/// Adds a webhook, with what it signs with.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, webhook: &Webhook, secret: Option<&Sealed>) -> Result<()> {
    sqlx::query(
        "insert into webhooks (id, workspace_id, name, description, url, events, status, created_at, updated_at, format,
             key_id, sealed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(webhook.id)
    .bind(webhook.workspace_id)
    .bind(&webhook.name)
    .bind(&webhook.description)
    .bind(&webhook.url)
    .bind(names(&webhook.events))
    .bind(webhook.status.as_str())
    .bind(webhook.created_at)
    .bind(webhook.updated_at)
    .bind(webhook.format.as_str())
    .bind(secret.map(|secret| &secret.key_id))
    .bind(secret.map(|secret| &secret.bytes))
    .execute(conn)
    .await?;
    Ok(())
}

/// A webhook of a workspace.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: WebhookId) -> Result<Option<Webhook>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, description, url, events, format, status, secret <> '' or sealed is not null as has_secret, created_at,
             updated_at
         from webhooks
         where id = $2 and workspace_id = $1 and deleted_at is null",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// Holds a webhook of a workspace: until the transaction ends nobody else changes it, nor writes anything that is to be
/// sent to it.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, id: WebhookId) -> Result<Option<Webhook>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, description, url, events, format, status, secret <> '' or sealed is not null as has_secret, created_at,
             updated_at
         from webhooks
         where id = $2 and workspace_id = $1 and deleted_at is null
         for no key update",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Webhook::try_from).transpose()
}

/// What a webhook of a workspace signs with.
///
/// # Errors
/// When the statement fails, or the workspace has no such webhook.
pub async fn secret(conn: &mut PgConnection, workspace: WorkspaceId, id: WebhookId) -> Result<Kept> {
    Ok(sqlx::query_as("select secret, key_id, sealed from webhooks where id = $2 and workspace_id = $1")
        .bind(workspace)
        .bind(id)
        .fetch_one(conn)
        .await?)
}

/// Up to `limit` webhooks whose secret is not encrypted with this key, after this id, held until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn under_other_keys(
    conn: &mut PgConnection,
    key: &str,
    after: Option<WebhookId>,
    limit: i64,
) -> Result<Vec<HookSecret<WebhookId>>> {
    Ok(sqlx::query_as(
        "select id, secret, key_id, sealed
         from webhooks
         where (secret <> '' or key_id <> $1) and ($2::uuid is null or id > $2)
         order by id
         limit $3
         for no key update",
    )
    .bind(key)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Keeps what a webhook signs with encrypted; without anything, it signs no more.
///
/// # Errors
/// When the statement fails.
pub async fn seal(conn: &mut PgConnection, id: WebhookId, secret: Option<&Sealed>) -> Result<()> {
    sqlx::query("update webhooks set secret = '', key_id = $2, sealed = $3 where id = $1")
        .bind(id)
        .bind(secret.map(|secret| &secret.key_id))
        .bind(secret.map(|secret| &secret.bytes))
        .execute(conn)
        .await?;
    Ok(())
}

/// Up to `limit` webhooks of a workspace, newest first; those before `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    before: Option<WebhookId>,
    limit: i64,
) -> Result<Vec<Webhook>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, description, url, events, format, status, secret <> '' or sealed is not null as has_secret, created_at,
             updated_at
         from webhooks
         where workspace_id = $1 and deleted_at is null and ($2::uuid is null or id < $2)
         order by id desc
         limit $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Webhook::try_from).collect()
}

/// Changes a webhook to what is given. What it signs with stays.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, webhook: &Webhook) -> Result<()> {
    sqlx::query(
        "update webhooks
         set name = $2, description = $3, url = $4, events = $5, status = $6, updated_at = $7, format = $9
         where id = $1 and workspace_id = $8",
    )
    .bind(webhook.id)
    .bind(&webhook.name)
    .bind(&webhook.description)
    .bind(&webhook.url)
    .bind(names(&webhook.events))
    .bind(webhook.status.as_str())
    .bind(webhook.updated_at)
    .bind(webhook.workspace_id)
    .bind(webhook.format.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts a webhook of a workspace away, and forgets its secret. What was sent to it stays for as long as deliveries are kept.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, workspace: WorkspaceId, id: WebhookId) -> Result<()> {
    sqlx::query(
        "update webhooks
         set deleted_at = now(), secret = '', key_id = null, sealed = null, status = 'DISABLED'
         where id = $2 and workspace_id = $1",
    )
    .bind(workspace)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// A webhook that is told of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The webhook.
    pub id: WebhookId,
    /// What it is posted.
    pub format: WebhookFormat,
}

/// The webhooks of a workspace that are told of an event, and the workspace's slug; none when nobody is. None of them is
/// disabled or deleted before the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn told_of(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    event: WebhookEvent,
) -> Result<Option<(String, Vec<Told>)>> {
    let found: Vec<(WebhookId, String, String)> = sqlx::query_as(
        "select w.id, w.format, s.slug
         from webhooks w
         join workspaces s on s.id = w.workspace_id
         where w.workspace_id = $1 and w.deleted_at is null and w.status = 'ACTIVE' and $2 = any (w.events)
         order by w.id
         for share of w",
    )
    .bind(workspace)
    .bind(event.as_str())
    .fetch_all(conn)
    .await?;
    let Some((_, _, slug)) = found.first().cloned() else { return Ok(None) };
    let told = |(id, format, _): (WebhookId, String, String)| Ok(Told { id, format: parse_format(&format)? });
    Ok(Some((slug, found.into_iter().map(told).collect::<Result<_>>()?)))
}
