//! Keys of what is logged, by number. A key belongs to an experiment and is never given up.

use crate::Result;
use domain::id::ExperimentId;
use sqlx::PgConnection;
use std::collections::HashMap;

/// The small number that rows carry instead of their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct KeyId(pub(crate) i32);

/// What is logged under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// Points.
    Metric,
    /// A value that never changes.
    Param,
    /// A value that may.
    Tag,
}

impl KeyKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Param => "param",
            Self::Tag => "tag",
        }
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
        sqlx::query(
            "insert into log_keys (experiment_id, kind, name)
             select distinct $1, kind, name from unnest($2::text[], $3::text[]) as k (kind, name)
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
