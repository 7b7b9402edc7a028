//! The chain of history: which event is where in it, checkpoints, and the keys they are signed with.

use crate::{Error, Result};
use chain::{Checkpoint, Event, Hash, KeyId, Object, Place, PublicKey, Signature};
use chrono::{DateTime, Utc};
use domain::{
    audit::{Actor, ObjectKind},
    id::{AuditEventId, PromotionId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection};
use std::collections::HashMap;
use uuid::Uuid;

/// The chain of a workspace, or of the installation.
fn id(workspace: Option<WorkspaceId>) -> Uuid {
    workspace.map_or(Uuid::nil(), |id| id.0)
}

fn workspace(chain: Uuid) -> Option<WorkspaceId> {
    Some(chain).filter(|chain| !chain.is_nil()).map(WorkspaceId)
}

fn hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map_err(|_| Error::unknown("hash", "of another length"))
}

/// Waits until nobody else adds to the chain, and keeps others out until the transaction ends. Nobody else waits for it: who
/// writes events does not.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, of: Option<WorkspaceId>) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('audit_chain:' || $1::text, 0))")
        .bind(id(of))
        .execute(conn)
        .await?;
    Ok(())
}

/// The same without waiting. Tells whether it is held now.
///
/// # Errors
/// When the statement fails.
pub async fn try_lock(conn: &mut PgConnection, of: Option<WorkspaceId>) -> Result<bool> {
    Ok(sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended('audit_chain:' || $1::text, 0))")
        .bind(id(of))
        .fetch_one(conn)
        .await?)
}

/// The last entry of a chain; [`Place::BEGINNING`] when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn head(conn: &mut PgConnection, of: Option<WorkspaceId>) -> Result<Place> {
    let found: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select seq, entry_hash from audit_chain where chain = $1 order by seq desc limit 1")
            .bind(id(of))
            .fetch_optional(conn)
            .await?;
    match found {
        Some((seq, bytes)) => Ok(Place { seq, hash: hash(&bytes)? }),
        None => Ok(Place::BEGINNING),
    }
}

/// The entry of this number; [`Place::BEGINNING`] for 0.
///
/// # Errors
/// When the statement fails, or there is no such entry.
pub async fn place(conn: &mut PgConnection, of: Option<WorkspaceId>, seq: i64) -> Result<Place> {
    if seq == 0 {
        return Ok(Place::BEGINNING);
    }
    let bytes: Vec<u8> = sqlx::query_scalar("select entry_hash from audit_chain where chain = $1 and seq = $2")
        .bind(id(of))
        .bind(seq)
        .fetch_one(conn)
        .await?;
    Ok(Place { seq, hash: hash(&bytes)? })
}

#[derive(FromRow)]
struct EventRow {
    id: AuditEventId,
    at: DateTime<Utc>,
    user_id: Option<UserId>,
    actor_name: String,
    actor_is_service: bool,
    action: String,
    object_kind: String,
    object_id: String,
    object_name: String,
    related: serde_json::Value,
    summary: String,
    details: serde_json::Value,
    request_id: Option<String>,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            actor: match row.user_id {
                Some(id) => Actor::User { id, name: row.actor_name, is_service: row.actor_is_service },
                None => Actor::System,
            },
            action: row.action,
            object: Object { kind: row.object_kind, id: row.object_id, name: row.object_name },
            related: row.related,
            summary: row.summary,
            details: row.details,
            request_id: row.request_id,
        }
    }
}

/// Up to `limit` events that are not in the chain yet, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn unchained(conn: &mut PgConnection, of: Option<WorkspaceId>, limit: i64) -> Result<Vec<Event>> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "select e.id, e.at, e.user_id, e.actor_name, e.actor_is_service, e.action, e.object_kind, e.object_id,
             e.object_name, e.related, e.summary, e.details, e.request_id
         from (
             select event_id
             from audit_unchained
             where chain = $1
             order by event_id
             limit $2
         ) u
         join audit_events e on e.id = u.event_id
         order by e.id",
    )
    .bind(id(of))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// An event to be put into the chain.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Its number.
    pub seq: i64,
    /// The event.
    pub event: AuditEventId,
    /// When that was.
    pub at: DateTime<Utc>,
    /// The digest of its canonical JSON.
    pub digest: Hash,
    /// The entry's hash.
    pub hash: Hash,
}

/// Puts events into the chain, and takes them from those that wait for it. The chain is locked.
///
/// # Errors
/// When the statement fails.
pub async fn append(conn: &mut PgConnection, of: Option<WorkspaceId>, entries: &[NewEntry]) -> Result<()> {
    let events: Vec<AuditEventId> = entries.iter().map(|entry| entry.event).collect();
    sqlx::query(
        "insert into audit_chain (chain, seq, event_id, at, event_digest, entry_hash)
         select $1, * from unnest($2::bigint[], $3::uuid[], $4::timestamptz[], $5::bytea[], $6::bytea[])",
    )
    .bind(id(of))
    .bind(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    .bind(&events)
    .bind(entries.iter().map(|entry| entry.at).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.digest.bytes().to_vec()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.hash.bytes().to_vec()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from audit_unchained where chain = $1 and event_id = any($2)")
        .bind(id(of))
        .bind(events)
        .execute(conn)
        .await?;
    Ok(())
}

/// The chains that events wait for.
///
/// # Errors
/// When the statement fails.
pub async fn waited_for(conn: &mut PgConnection) -> Result<Vec<Option<WorkspaceId>>> {
    let chains: Vec<Uuid> = sqlx::query_scalar(
        "select c.id
         from (select id from workspaces union all select '00000000-0000-0000-0000-000000000000') c
         where exists (select from audit_unchained u where u.chain = c.id)
         order by c.id",
    )
    .fetch_all(conn)
    .await?;
    Ok(chains.into_iter().map(workspace).collect())
}

/// How many events wait, over all chains; counted up to `most`.
///
/// # Errors
/// When the statement fails.
pub async fn count_unchained(conn: &mut PgConnection, most: i64) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from (select from audit_unchained limit $1) u")
        .bind(most)
        .fetch_one(conn)
        .await?)
}

/// The chains with entries since their last checkpoint, where that is older than so many seconds.
///
/// # Errors
/// When the statement fails.
pub async fn to_be_noted(conn: &mut PgConnection, older_than_s: f64) -> Result<Vec<Option<WorkspaceId>>> {
    let chains: Vec<Uuid> = sqlx::query_scalar(
        "select c.id
         from (select id from workspaces union all select '00000000-0000-0000-0000-000000000000') c
         cross join lateral (
             select seq from audit_chain where chain = c.id order by seq desc limit 1
         ) h
         left join lateral (
             select seq, at from audit_checkpoints where chain = c.id order by seq desc, id desc limit 1
         ) p on true
         where h.seq > coalesce(p.seq, 0)
           and coalesce(p.at < now() - make_interval(secs => $1), true)
         order by c.id",
    )
    .bind(older_than_s)
    .fetch_all(conn)
    .await?;
    Ok(chains.into_iter().map(workspace).collect())
}

/// An entry of the chain.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// Its event.
    pub event: AuditEventId,
    /// When that was.
    pub at: DateTime<Utc>,
    /// The digest of the event, as it was when it was chained.
    pub digest: Hash,
    /// The entry's hash.
    pub hash: Hash,
}

/// Up to `limit` entries after the number `after`, up to `last`, in order.
///
/// # Errors
/// When the statement fails.
pub async fn entries(
    conn: &mut PgConnection,
    of: Option<WorkspaceId>,
    after: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    #[derive(FromRow)]
    struct Row {
        seq: i64,
        event_id: AuditEventId,
        at: DateTime<Utc>,
        event_digest: Vec<u8>,
        entry_hash: Vec<u8>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select seq, event_id, at, event_digest, entry_hash
         from audit_chain
         where chain = $1 and seq > $2 and seq <= $3
         order by seq
         limit $4",
    )
    .bind(id(of))
    .bind(after)
    .bind(last)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let entry = |row: Row| {
        let (digest, hash) = (hash(&row.event_digest)?, hash(&row.entry_hash)?);
        Ok(Entry { seq: row.seq, event: row.event_id, at: row.at, digest, hash })
    };
    rows.into_iter().map(entry).collect()
}

/// These events, in no order.
///
/// # Errors
/// When the statement fails.
pub async fn events(conn: &mut PgConnection, ids: &[AuditEventId]) -> Result<Vec<Event>> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "select id, at, user_id, actor_name, actor_is_service, action, object_kind, object_id, object_name,
             related, summary, details, request_id
         from audit_events
         where id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// The numbers of the entries up to `last` whose events are about an object or related to it, in order.
///
/// # Errors
/// When the statement fails.
pub async fn about(
    conn: &mut PgConnection,
    of: WorkspaceId,
    kind: ObjectKind,
    object: &str,
    last: i64,
) -> Result<Vec<i64>> {
    let related = serde_json::json!([{ "kind": kind.as_str(), "id": object }]);
    Ok(sqlx::query_scalar(
        "select c.seq
         from audit_events e
         join audit_chain c on c.event_id = e.id
         where e.workspace_id = $1
           and ((e.object_kind = $2 and e.object_id = $3) or e.related @> $4)
           and c.seq <= $5
         order by c.seq",
    )
    .bind(of)
    .bind(kind.as_str())
    .bind(object)
    .bind(related)
    .bind(last)
    .fetch_all(conn)
    .await?)
}

/// The number of the first entry whose event lies in the period, and how many do, of those up to `last`.
///
/// # Errors
/// When the statement fails.
pub async fn period(
    conn: &mut PgConnection,
    of: WorkspaceId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    last: i64,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("select min(seq) from audit_chain where chain = $1 and at >= $2 and at < $3 and seq <= $4")
        .bind(of)
        .bind(from)
        .bind(to)
        .bind(last)
        .fetch_one(conn)
        .await?)
}

/// Adds a checkpoint. The chain is locked.
///
/// # Errors
/// When the statement fails.
pub async fn insert_checkpoint(conn: &mut PgConnection, of: Option<WorkspaceId>, new: &Checkpoint) -> Result<()> {
    sqlx::query(
        "insert into audit_checkpoints (chain, seq, head, at, key_id, signature)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id(of))
    .bind(new.seq)
    .bind(new.head.bytes().as_slice())
    .bind(new.at)
    .bind(new.key.as_ref().map(KeyId::as_str))
    .bind(new.signature.as_ref().map(Signature::bytes))
    .execute(conn)
    .await?;
    Ok(())
}

/// The last checkpoint of a chain.
///
/// # Errors
/// When the statement fails.
pub async fn last_checkpoint(conn: &mut PgConnection, of: Option<WorkspaceId>) -> Result<Option<Checkpoint>> {
    #[derive(FromRow)]
    struct Row {
        seq: i64,
        head: Vec<u8>,
        at: DateTime<Utc>,
        key_id: Option<String>,
        signature: Option<Vec<u8>>,
    }
    let row: Option<Row> = sqlx::query_as(
        "select seq, head, at, key_id, signature
         from audit_checkpoints
         where chain = $1
         order by seq desc, id desc
         limit 1",
    )
    .bind(id(of))
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Checkpoint {
        seq: row.seq,
        head: hash(&row.head)?,
        at: row.at,
        key: row.key_id.as_deref().map(key_id).transpose()?,
        signature: row.signature.as_deref().map(Signature::of),
    }))
}

fn key_id(text: &str) -> Result<KeyId> {
    text.parse().map_err(|_| Error::unknown("key", text))
}

/// A key that checkpoints are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// Its public half.
    pub public: PublicKey,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was put out of use.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Adds a key.
///
/// # Errors
/// When the statement fails.
pub async fn insert_key(conn: &mut PgConnection, key: &Key) -> Result<()> {
    sqlx::query("insert into audit_keys (id, public_key, created_at) values ($1, $2, $3)")
        .bind(key.id.as_str())
        .bind(key.public.bytes().as_slice())
        .bind(key.created_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// All keys, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn keys(conn: &mut PgConnection) -> Result<Vec<Key>> {
    #[derive(FromRow)]
    struct Row {
        id: String,
        public_key: Vec<u8>,
        created_at: DateTime<Utc>,
        retired_at: Option<DateTime<Utc>>,
    }
    let rows: Vec<Row> =
        sqlx::query_as("select id, public_key, created_at, retired_at from audit_keys order by created_at desc, id")
            .fetch_all(conn)
            .await?;
    let key = |row: Row| {
        let public = row.public_key.as_slice().try_into().map_err(|_| Error::unknown("key", &row.id))?;
        Ok(Key { id: key_id(&row.id)?, public, created_at: row.created_at, retired_at: row.retired_at })
    };
    rows.into_iter().map(key).collect()
}

/// Puts a key out of use. Tells whether it was in use.
///
/// # Errors
/// When the statement fails.
pub async fn retire_key(conn: &mut PgConnection, id: &KeyId, at: DateTime<Utc>) -> Result<bool> {
    let retired = sqlx::query("update audit_keys set retired_at = $2 where id = $1 and retired_at is null")
        .bind(id.as_str())
        .bind(at)
        .execute(conn)
        .await?;
    Ok(retired.rows_affected() == 1)
}

/// The subject of a promotion and the documents of the policies that it is held against, by the ids of their revisions, as
/// they were written: their digests are of these.
///
/// # Errors
/// When a statement fails.
pub async fn written(
    conn: &mut PgConnection,
    promotion: PromotionId,
) -> Result<(Option<serde_json::Value>, HashMap<String, serde_json::Value>)> {
    let subject = sqlx::query_scalar("select subject from promotions where id = $1")
        .bind(promotion)
        .fetch_one(&mut *conn)
        .await?;
    let documents: Vec<(String, serde_json::Value)> = sqlx::query_as(
        "select p.id::text, p.document
         from promotion_policies u
         join policies p on p.id = u.policy_id
         where u.promotion_id = $1",
    )
    .bind(promotion)
    .fetch_all(conn)
    .await?;
    Ok((subject, documents.into_iter().collect()))
}
