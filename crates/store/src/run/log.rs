//! Params and tags of runs.

use super::RunKey;
use crate::Result;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};

/// The tag that is a run's name.
const RUN_NAME: &str = "mlflow.runName";

/// Adds params that are not there yet. Answers with those that are there with another value: key, old value, new value;
/// the transaction must then be undone.
///
/// # Errors
/// When a statement fails.
pub async fn insert_params(
    conn: &mut PgConnection,
    run: RunKey,
    params: &BTreeMap<&str, &str>,
) -> Result<Vec<(String, String, String)>> {
    if params.is_empty() {
        return Ok(Vec::new());
    }
    let (keys, values): (Vec<&str>, Vec<&str>) = params.iter().unzip();
    let added: i64 = sqlx::query_scalar(
        "with added as (
             insert into params (run_key, key, value)
             select $1, key, value from unnest($2::text[], $3::text[]) as p (key, value)
             on conflict do nothing
             returning 1
         )
         select count(*) from added",
    )
    .bind(run)
    .bind(&keys)
    .bind(&values)
    .fetch_one(&mut *conn)
    .await?;
    if added == keys.len() as i64 {
        return Ok(Vec::new());
    }
    // A new statement, which sees what another transaction has just committed.
    Ok(sqlx::query_as(
        "select p.key, p.value, n.value
         from unnest($2::text[], $3::text[]) as n (key, value)
         join params p on p.run_key = $1 and p.key = n.key
         where p.value <> n.value
         order by p.key",
    )
    .bind(run)
    .bind(&keys)
    .bind(&values)
    .fetch_all(conn)
    .await?)
}

/// Sets tags. The one that is the run's name renames it.
///
/// # Errors
/// When a statement fails.
pub async fn set_tags(conn: &mut PgConnection, run: RunKey, tags: &BTreeMap<&str, &str>) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<&str>, Vec<&str>) = tags.iter().unzip();
    sqlx::query(
        "insert into run_tags (run_key, key, value)
         select $1, key, value from unnest($2::text[], $3::text[]) as t (key, value)
         on conflict (run_key, key) do update set value = excluded.value",
    )
    .bind(run)
    .bind(keys)
    .bind(values)
    .execute(&mut *conn)
    .await?;
    if let Some(name) = tags.get(RUN_NAME) {
        sqlx::query("update runs set name = $2 where key = $1").bind(run).bind(name).execute(conn).await?;
    }
    Ok(())
}

/// Removes a tag. Tells whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete_tag(conn: &mut PgConnection, run: RunKey, key: &str) -> Result<bool> {
    let deleted =
        sqlx::query("delete from run_tags where run_key = $1 and key = $2").bind(run).bind(key).execute(conn).await?;
    Ok(deleted.rows_affected() > 0)
}

/// The value of one tag, held against changes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock_tag(conn: &mut PgConnection, run: RunKey, key: &str) -> Result<Option<String>> {
    sqlx::query("select key from runs where key = $1 for no key update").bind(run).execute(&mut *conn).await?;
    Ok(sqlx::query_scalar("select value from run_tags where run_key = $1 and key = $2")
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
        "select run_key, key, value
         from params
         where run_key = any($1) and key = any($2)",
    )
    .bind(runs)
    .bind(only)
    .fetch_all(conn)
    .await?;
    Ok(pairs(rows))
}

fn pairs(rows: Vec<(RunKey, String, String)>) -> HashMap<RunKey, BTreeMap<String, String>> {
    let mut by_run: HashMap<RunKey, BTreeMap<String, String>> = HashMap::new();
    for (run, key, value) in rows {
        by_run.entry(run).or_default().insert(key, value);
    }
    by_run
}

/// The keys of params that any of these runs has, the most frequent first.
///
/// # Errors
/// When the statement fails.
pub async fn param_keys(conn: &mut PgConnection, runs: &[RunKey], limit: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select key
         from params
         where run_key = any($1)
         group by key
         order by count(*) desc, key
         limit $2",
    )
    .bind(runs)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
