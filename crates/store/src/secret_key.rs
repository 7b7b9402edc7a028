//! Which key secrets are encrypted with. The keys themselves are not in the database.

use crate::Result;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};

/// A text that is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key, by its id.
    pub key_id: String,
    /// The nonce and what it encrypts.
    pub bytes: Vec<u8>,
}

/// A secret of a hook as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// There is none.
    Nothing,
    /// As it was given: from before secrets were encrypted.
    Open(String),
    /// Encrypted.
    Sealed(Sealed),
}

/// Of the columns `secret`, `key_id` and `sealed`.
impl FromRow<'_, PgRow> for Kept {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let open: String = row.try_get("secret")?;
        Ok(match (row.try_get("key_id")?, row.try_get("sealed")?) {
            (Some(key_id), Some(bytes)) => Self::Sealed(Sealed { key_id, bytes }),
            _ if open.is_empty() => Self::Nothing,
            _ => Self::Open(open),
        })
    }
}

/// The secret of a hook, with the hook's id.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct HookSecret<I> {
    /// The hook.
    pub id: I,
    /// Its secret.
    #[sqlx(flatten)]
    pub kept: Kept,
}

/// The key in use, which stays in use until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn current(conn: &mut PgConnection) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("select id from secret_keys where retired_at is null for share").fetch_optional(conn).await?)
}

/// Puts a key in use when none is. Of several that are put in use at once, one is.
///
/// # Errors
/// When the statement fails.
pub async fn put_first(conn: &mut PgConnection, id: &str) -> Result<()> {
    sqlx::query("insert into secret_keys (id) values ($1) on conflict do nothing").bind(id).execute(conn).await?;
    Ok(())
}

/// Puts a key in use instead of that before. Waits for whoever encrypts with that one now.
///
/// # Errors
/// When a statement fails.
pub async fn put_next(conn: &mut PgConnection, id: &str) -> Result<()> {
    sqlx::query("update secret_keys set retired_at = clock_timestamp() where retired_at is null and id <> $1")
        .bind(id)
        .execute(&mut *conn)
        .await?;
    sqlx::query("insert into secret_keys (id) values ($1) on conflict (id) do update set retired_at = null")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Retired keys with which nothing is encrypted any more.
///
/// # Errors
/// When the statement fails.
pub async fn unused(conn: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select k.id
         from secret_keys k
         where k.retired_at is not null
           and not exists (select from secrets where key_id = k.id)
           and not exists (select from push_hooks where key_id = k.id)
           and not exists (select from webhooks where key_id = k.id)
         order by k.id",
    )
    .fetch_all(conn)
    .await?)
}
