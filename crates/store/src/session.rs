//! Browser sessions: the store behind tower-sessions, with a column for the user so that a person can list and revoke
//! their own.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{id::UserId, user::Session};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use tower_sessions::{
    SessionStore,
    cookie::time::OffsetDateTime,
    session::{Id, Record},
    session_store,
};

/// The keys of a session's data that this store keeps in columns as well.
pub mod key {
    /// Who is signed in: a user id.
    pub const USER: &str = "user_id";
    /// The browser, as it names itself.
    pub const USER_AGENT: &str = "user_agent";
    /// Where from.
    pub const ADDRESS: &str = "address";
}

/// Sessions in Postgres.
#[derive(Debug, Clone)]
pub struct Sessions(pub PgPool);

#[derive(FromRow)]
struct Row {
    data: Json<std::collections::HashMap<String, serde_json::Value>>,
    expires_at: DateTime<Utc>,
}

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        // 128 random bits: a second try is as good as never needed, and harmless.
        while !insert(&self.0, record).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let user: Option<UserId> = text(record, key::USER).parse().ok();
        sqlx::query(
            "update sessions
             set data = $2, expires_at = $3, user_id = $4, user_agent = $5, address = $6, last_seen_at = now()
             where id = $1",
        )
        .bind(record.id.to_string())
        .bind(Json(&record.data))
        .bind(expiry(record))
        .bind(user)
        .bind(text(record, key::USER_AGENT))
        .bind(text(record, key::ADDRESS))
        .execute(&self.0)
        .await
        .map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let row: Option<Row> =
            sqlx::query_as("select data, expires_at from sessions where id = $1 and expires_at > now()")
                .bind(id.to_string())
                .fetch_optional(&self.0)
                .await
                .map_err(backend)?;
        row.map(|row| {
            let expiry_date = OffsetDateTime::from_unix_timestamp(row.expires_at.timestamp())
                .map_err(|error| session_store::Error::Decode(error.to_string()))?;
            Ok(Record { id: *id, data: row.data.0, expiry_date })
        })
        .transpose()
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        sqlx::query("delete from sessions where id = $1")
            .bind(id.to_string())
            .execute(&self.0)
            .await
            .map_err(backend)?;
        Ok(())
    }
}

async fn insert(pool: &PgPool, record: &Record) -> session_store::Result<bool> {
    let user: Option<UserId> = text(record, key::USER).parse().ok();
    let inserted = sqlx::query(
        "insert into sessions (id, handle, user_id, data, user_agent, address, expires_at)
         values ($1, gen_random_uuid()::text, $2, $3, $4, $5, $6)
         on conflict (id) do nothing",
    )
    .bind(record.id.to_string())
    .bind(user)
    .bind(Json(&record.data))
    .bind(text(record, key::USER_AGENT))
    .bind(text(record, key::ADDRESS))
    .bind(expiry(record))
    .execute(pool)
    .await
    .map_err(backend)?;
    Ok(inserted.rows_affected() == 1)
}

fn text<'a>(record: &'a Record, key: &str) -> &'a str {
    record.data.get(key).and_then(|value| value.as_str()).unwrap_or_default()
}

fn expiry(record: &Record) -> DateTime<Utc> {
    DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0).unwrap_or_else(Utc::now)
}

fn backend(error: sqlx::Error) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

/// A user's sessions, last used first. `current` is the id of the session that asks.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, user: UserId, current: Option<&str>) -> Result<Vec<Session>> {
    #[derive(FromRow)]
    struct Listed {
        id: String,
        handle: String,
        user_agent: String,
        address: String,
        created_at: DateTime<Utc>,
        last_seen_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    }
    let rows: Vec<Listed> = sqlx::query_as(
        "select id, handle, user_agent, address, created_at, last_seen_at, expires_at
         from sessions
         where user_id = $1 and expires_at > now()
         order by last_seen_at desc",
    )
    .bind(user)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Session {
            current: current == Some(row.id.as_str()),
            handle: row.handle,
            user_agent: row.user_agent,
            address: row.address,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        })
        .collect())
}

/// Ends a user's session. Answers with its browser and where it was from, or none when the user has no such session.
///
/// # Errors
/// When the statement fails.
pub async fn revoke(conn: &mut PgConnection, user: UserId, handle: &str) -> Result<Option<(String, String)>> {
    let ended = sqlx::query_as(
        "delete from sessions
         where user_id = $1 and handle = $2
         returning user_agent, address",
    )
    .bind(user)
    .bind(handle)
    .fetch_optional(conn)
    .await?;
    Ok(ended)
}

/// Ends the session of this id. Tells whether it was there.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, id: &str) -> Result<bool> {
    Ok(sqlx::query("delete from sessions where id = $1").bind(id).execute(conn).await?.rows_affected() == 1)
}

/// Ends all of a user's sessions but the one of this id.
///
/// # Errors
/// When the statement fails.
pub async fn revoke_others(conn: &mut PgConnection, user: UserId, current: Option<&str>) -> Result<u64> {
    let revoked = sqlx::query("delete from sessions where user_id = $1 and id is distinct from $2")
        .bind(user)
        .bind(current)
        .execute(conn)
        .await?;
    Ok(revoked.rows_affected())
}

/// Deletes sessions that have ended by themselves.
///
/// # Errors
/// When the statement fails.
pub async fn delete_expired(conn: &mut PgConnection) -> Result<u64> {
    Ok(sqlx::query("delete from sessions where expires_at < now()").execute(conn).await?.rows_affected())
}
