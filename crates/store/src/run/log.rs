//! Params and tags of runs.

use super::{Opened, RunKey, key::KeyId};
use crate::Result;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};

/// A param or tag to be written: its key by number, and the value.
pub type Pair<'a> = (KeyId, &'a str);

/// Adds params that are not there yet. Answers with those that are there with another value: key and old value; the
/// transaction must then be undone.
///
/// # Errors
/// When a statement fails.
pub async fn insert_params(conn: &mut PgConnection, run: &Opened, params: &[Pair<'_>]) -> Result<Vec<(KeyId, String)>> {
    if params.is_empty() {
        return Ok(Vec::new());
    }
    let (keys, values): (Vec<KeyId>, Vec<&str>) = params.iter().copied().unzip();
    let added = sqlx::query(
        "insert into params (run_key, key_id, value)
         select $1, key_id, value from unnest($2::integer[], $3::text[]) as p (key_id, value)
         on conflict do nothing",
    )
    .bind(run.key())
    .bind(&keys)
    .bind(&values)
    .execute(&mut *conn)
    .await?;
    if added.rows_affected() == keys.len() as u64 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(
        "select p.key_id, p.value
         from unnest($2::integer[], $3::text[]) as n (key_id, value)
         join params p on p.run_key = $1 and p.key_id = n.key_id
         where p.value <> n.value",
    )
    .bind(run.key())
    .bind(&keys)
    .bind(&values)
    .fetch_all(conn)
    .await?)
}

/// Sets tags.
///
/// # Errors
/// When the statement fails.
pub async fn set_tags(conn: &mut PgConnection, run: &Opened, tags: &[Pair<'_>]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<KeyId>, Vec<&str>) = tags.iter().copied().unzip();
    sqlx::query(
        "insert into run_tags (run_key, key_id, value)
         select $1, key_id, value from unnest($2::integer[], $3::text[]) as t (key_id, value)
         on conflict (run_key, key_id) do update set value = excluded.value",
    )
    .bind(run.key())
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
pub async fn delete_tag(conn: &mut PgConnection, run: &Opened, key: &str) -> Result<bool> {
    let deleted = sqlx::query(
        "delete from run_tags t
         using log_keys k
         where t.run_key = $1 and k.id = t.key_id and k.name = $2",
    )
    .bind(run.key())
    .bind(key)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

/// The value of one tag.
///
/// # Errors
/// When the statement fails.
pub async fn tag(conn: &mut PgConnection, run: RunKey, key: &str) -> Result<Option<String>> {
    Ok(sqlx::query_scalar(
        "select t.value
         from run_tags t
         join log_keys k on k.id = t.key_id
         where t.run_key = $1 and k.name = $2",
    )
    .bind(run)
    .bind(key)
    .fetch_optional(conn)
    .await?)
}

/// Those params of each run that have one of these keys.
///
/// # Errors
/// When the statement fails.
pub async fn params(
    conn: &mut PgConnection,
    runs: &[RunKey],
    only: &[String],
) -> Result<HashMap<RunKey, BTreeMap<String, String>>> {
    let rows: Vec<(RunKey, String, String)> = sqlx::query_as(
        "select p.run_key, k.name, p.value
         from params p
         join log_keys k on k.id = p.key_id
         where p.run_key = any($1) and k.name = any($2)",
    )
    .bind(runs)
    .bind(only)
    .fetch_all(conn)
    .await?;
    let mut by_run: HashMap<RunKey, BTreeMap<String, String>> = HashMap::new();
    for (run, key, value) in rows {
        by_run.entry(run).or_default().insert(key, value);
    }
    Ok(by_run)
}

/// The keys of params that any of these runs has, the most frequent first.
///
/// # Errors
/// When the statement fails.
pub async fn param_keys(conn: &mut PgConnection, runs: &[RunKey], limit: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select k.name
         from params p
         join log_keys k on k.id = p.key_id
         where p.run_key = any($1)
         group by k.name
         order by count(*) desc, k.name
         limit $2",
    )
    .bind(runs)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
