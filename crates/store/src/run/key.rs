//! Keys of what is logged, by number. A key belongs to an experiment and is never given up.

use super::RunKey;
use crate::Result;
use domain::{
    id::ExperimentId,
    log_key::{self, KeyKind},
};
use sqlx::PgConnection;
use std::collections::HashMap;

/// The small number that rows carry instead of their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct KeyId(pub(crate) i32);

/// The table of what is logged under keys of a kind.
pub(super) fn table(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Metric => "latest_metrics",
        KeyKind::Param => "params",
        KeyKind::Tag => "run_tags",
    }
}

/// A key by its name.
pub type NamedKey<'a> = (KeyKind, &'a str);

/// The numbers of these keys of an experiment, in their order, given now to those that have none. Not for use in a
/// transaction: two that give the same number wait for each other.
///
/// # Errors
/// When a statement fails.
pub async fn ids(conn: &mut PgConnection, experiment: ExperimentId, keys: &[NamedKey<'_>]) -> Result<Vec<KeyId>> {
    let mut known = known(conn, &[experiment], keys).await?;
    let id = |known: &HashMap<NamedKey<'_>, Vec<KeyId>>, key| known.get(key).and_then(|ids| ids.first()).copied();
    let missing: Vec<NamedKey<'_>> = keys.iter().copied().filter(|key| !known.contains_key(key)).collect();
    if !missing.is_empty() {
        let (kinds, names) = columns(&missing);
        // In one order: two who give overlapping keys at once wait for each other's at most one way.
        sqlx::query(
            "insert into log_keys (experiment_id, kind, name)
             select distinct $1, kind, name
             from unnest($2::text[], $3::text[]) as k (kind, name)
             order by kind, name
             on conflict do nothing",
        )
        .bind(experiment)
        .bind(kinds)
        .bind(names)
        .execute(&mut *conn)
        .await?;
        known.extend(self::known(conn, &[experiment], &missing).await?);
    }
    keys.iter().map(|key| id(&known, key).ok_or_else(|| crate::Error::unknown("key", key.1))).collect()
}

/// The numbers of these keys in each of these experiments; without those that were never logged there.
///
/// # Errors
/// When the statement fails.
pub async fn known<'a>(
    conn: &mut PgConnection,
    experiments: &[ExperimentId],
    keys: &[NamedKey<'a>],
) -> Result<HashMap<NamedKey<'a>, Vec<KeyId>>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (kinds, names) = columns(keys);
    let rows: Vec<(i64, KeyId)> = sqlx::query_as(
        "select wanted.position, k.id
         from unnest($2::text[], $3::text[]) with ordinality as wanted (kind, name, position)
         join log_keys k on k.experiment_id = any($1) and k.kind = wanted.kind and k.name = wanted.name",
    )
    .bind(experiments)
    .bind(kinds)
    .bind(names)
    .fetch_all(conn)
    .await?;
    let mut known: HashMap<NamedKey<'a>, Vec<KeyId>> = HashMap::new();
    for (position, id) in rows {
        if let Some(key) = usize::try_from(position - 1).ok().and_then(|at| keys.get(at)) {
            let ids = known.entry(*key).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok(known)
}

/// The number of a key of an experiment; none when it was never logged there.
///
/// # Errors
/// When the statement fails.
pub async fn known_one(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    kind: KeyKind,
    name: &str,
) -> Result<Option<KeyId>> {
    Ok(known(conn, &[experiment], &[(kind, name)]).await?.into_values().flatten().next())
}

/// How many keys were ever logged in an experiment.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, experiment: ExperimentId) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from log_keys where experiment_id = $1")
        .bind(experiment)
        .fetch_one(conn)
        .await?)
}

/// The keys of an experiment of these kinds whose names begin with a text, in order of kind and name.
///
/// # Errors
/// When the statement fails.
pub async fn beginning(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    kinds: &[KeyKind],
    start: &str,
    limit: i64,
) -> Result<Vec<(KeyKind, String)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select kind, name
         from log_keys
         where experiment_id = $1 and kind = any($2) and starts_with(name, $3)
         order by kind, name
         limit $4",
    )
    .bind(experiment)
    .bind(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
    .bind(start)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(named).collect()
}

/// The keys of an experiment of these kinds whose names hold a text, in any case: those that are it first, then those
/// that begin with it, then those where a part of the name does; short ones first. Tags that clients write for
/// themselves come last.
///
/// # Errors
/// When the statement fails.
pub async fn matching(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    kinds: &[KeyKind],
    text: &str,
    limit: i64,
) -> Result<Vec<(KeyKind, String)>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select kind, name
         from (select kind, name, lower(name collate \"default\") as folded, lower($3 collate \"default\") as text
               from log_keys
               where experiment_id = $1 and kind = any($2)) k
         where strpos(folded, text) > 0
         order by kind = 'tag' and starts_with(name, 'mlflow.'), folded = text desc, starts_with(folded, text) desc,
             strpos(translate(folded, '/.- ', '____'), '_' || text) > 0 desc,
             length(name), kind, name
         limit $4",
    )
    .bind(experiment)
    .bind(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
    .bind(text)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(named).collect()
}

/// The keys that most of these runs have, so many of each kind; the most frequent first and those of the machine last,
/// without the tags that clients write for themselves.
///
/// # Errors
/// When the statement fails.
pub async fn common(conn: &mut PgConnection, runs: &[RunKey], kind: KeyKind, limit: i64) -> Result<Vec<String>> {
    let table = table(kind);
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select k.name
         from (select key_id, count(*) as runs from {table} where run_key = any($1) group by key_id) l
         join log_keys k on k.id = l.key_id
         where not (k.kind = 'tag' and starts_with(k.name, 'mlflow.'))
         order by starts_with(k.name, $3), l.runs desc, k.name
         limit $2",
    )))
    .bind(runs)
    .bind(limit)
    .bind(log_key::SYSTEM)
    .fetch_all(conn)
    .await?)
}

fn named((kind, name): (String, String)) -> Result<(KeyKind, String)> {
    let known = KeyKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok((known.ok_or_else(|| crate::Error::unknown("kind of key", &kind))?, name))
}

/// The names of these keys.
///
/// # Errors
/// When the statement fails.
pub async fn names(conn: &mut PgConnection, keys: &[KeyId]) -> Result<HashMap<KeyId, String>> {
    let rows: Vec<(KeyId, String)> =
        sqlx::query_as("select id, name from log_keys where id = any($1)").bind(keys).fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

fn columns<'a>(keys: &[NamedKey<'a>]) -> (Vec<&'static str>, Vec<&'a str>) {
    keys.iter().map(|(kind, name)| (kind.as_str(), *name)).unzip()
}
