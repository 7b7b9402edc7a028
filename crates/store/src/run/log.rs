//! Params and tags of runs.

use super::{
    Opened, RunKey, by_run,
    key::{self, KeyId},
};
use crate::Result;
use domain::{log_key::KeyKind, run_table::SORTED_CHARACTERS};
use sqlx::PgConnection;
use std::collections::HashMap;

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

/// Sets one tag of several runs.
///
/// # Errors
/// When the statement fails.
pub async fn set_tag(conn: &mut PgConnection, runs: &[Opened], (key, value): Pair<'_>) -> Result<()> {
    sqlx::query(
        "insert into run_tags (run_key, key_id, value)
         select run_key, $2, $3 from unnest($1::bigint[]) as r (run_key)
         on conflict (run_key, key_id) do update set value = excluded.value",
    )
    .bind(runs.iter().map(Opened::key).collect::<Vec<_>>())
    .bind(key)
    .bind(value)
    .execute(conn)
    .await?;
    Ok(())
}

/// The params or tags of each run that have one of these keys.
///
/// # Errors
/// When the statement fails.
pub async fn values(
    conn: &mut PgConnection,
    kind: KeyKind,
    runs: &[RunKey],
    keys: &[KeyId],
) -> Result<HashMap<RunKey, Vec<(KeyId, String)>>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let table = key::table(kind);
    let rows: Vec<(RunKey, KeyId, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select run_key, key_id, value from {table} where run_key = any($1) and key_id = any($2)",
    )))
    .bind(runs)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(by_run(rows.into_iter().map(|(run, key, value)| (run, (key, value)))))
}

/// The first values of a param or tag that begin with a text, each once, cut to what counts in an order. Each is one
/// step into the index, however many runs have it.
///
/// # Errors
/// When the statement fails.
pub async fn distinct_values(
    conn: &mut PgConnection,
    kind: KeyKind,
    key: KeyId,
    start: &str,
    limit: i64,
) -> Result<Vec<String>> {
    let table = key::table(kind);
    let value = format!("left(value, {SORTED_CHARACTERS})");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "with recursive found (value, number) as (
             (select {value}, 1 from {table} where key_id = $1 and {value} >= $2 order by {value} limit 1)
             union all
             select (select {value} from {table} where key_id = $1 and {value} > found.value order by {value} limit 1),
                 number + 1
             from found
             where found.value is not null and starts_with(found.value, $2) and number < $3
         )
         select value from found where value is not null and starts_with(value, $2)",
    )))
    .bind(key)
    .bind(start)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
