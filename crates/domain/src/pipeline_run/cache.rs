//! When what a step gave is used again: when it would run with the same once more.

use crate::{Digest, Error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest value that a reason shows.
const SHOWN: usize = 40;
/// The most reasons that are told.
const MOST_REASONS: usize = 20;

/// What a step is run with, by part: `command`, `param rounds`, `input rows`, `file train.py`, `variable MODEL`,
/// `output model`, `seed`, `image`, `environment`, `commit`, `patch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey {
    parts: BTreeMap<String, String>,
}

impl CacheKey {
    /// Adds a part.
    pub fn add(&mut self, part: impl Into<String>, value: impl Into<String>) {
        self.parts.insert(part.into(), value.into());
    }

    /// What names it.
    ///
    /// # Errors
    /// Never, in fact: texts have a JSON form.
    pub fn digest(&self) -> Result<Digest, Error> {
        Digest::of_json(&self.parts).map_err(|_| Error::internal())
    }

    /// A part.
    #[must_use]
    pub fn part(&self, part: &str) -> Option<&str> {
        self.parts.get(part).map(String::as_str)
    }

    /// What is other than it was `before`, in words: the shortest way to say why something has to run again.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let changed = self.parts.iter().filter_map(|(part, value)| match before.parts.get(part) {
            Some(old) if old == value => None,
            Some(old) => Some(change(part, old, value)),
            None => Some(format!("{part} is new")),
        });
        let gone = before.parts.keys().filter(|part| !self.parts.contains_key(*part));
        changed.chain(gone.map(|part| format!("{part} is gone"))).take(MOST_REASONS).collect()
    }
}

/// Values of params say most; of all else there are digests.
fn change(part: &str, old: &str, new: &str) -> String {
    let fits = |value: &str| value.chars().count() <= SHOWN;
    match part.split_once(' ') {
        Some(("param" | "variable", _)) if fits(old) && fits(new) => format!("{part}: {old} → {new}"),
        Some(_) => format!("{part} changed"),
        None if part == "seed" => format!("seed: {old} → {new}"),
        None if part == "commit" => format!("commit: {} → {}", first(old), first(new)),
        None if part == "environment" => "the system or the packages of the worker changed".to_owned(),
        None => format!("the {part} changed"),
    }
}

/// As much of a commit's name as people read.
fn first(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// How it went with what steps gave before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepCache {
    /// How.
    pub outcome: CacheOutcome,
    /// The number of the run whose step gave it, of a hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// That step's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it has to run, of a miss: the parts that are other than at the last time, or that nothing was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Whether what a step gave before is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CacheOutcome {
    /// It is: no process ran.
    Hit,
    /// It is not: the step ran.
    Miss,
}

impl CacheOutcome {
    /// The name on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CacheKey;

    fn key(parts: &[(&str, &str)]) -> CacheKey {
        let mut key = CacheKey::default();
        parts.iter().for_each(|(part, value)| key.add(*part, *value));
        key
    }

    #[test]
    fn the_same_parts_have_the_same_key_in_any_order() {
        let (one, other) = (key(&[("a", "1"), ("b", "2")]), key(&[("b", "2"), ("a", "1")]));
        assert_eq!(one.digest().unwrap(), other.digest().unwrap());
        assert_ne!(one.digest().unwrap(), key(&[("a", "1"), ("b", "3")]).digest().unwrap());
        assert_ne!(one.digest().unwrap(), key(&[("a", "1")]).digest().unwrap());
    }

    #[test]
    fn a_change_is_told_by_the_part() {
        let before = key(&[
            ("command", "x"),
            ("param rounds", "100"),
            ("input rows", "blake3:1"),
            ("environment", "e1"),
            ("file old.py", "f"),
            ("seed", "0"),
            ("variable SAME", "s"),
            ("commit", "0123456789abcdef"),
        ]);
        let after = key(&[
            ("command", "y"),
            ("param rounds", "200"),
            ("input rows", "blake3:2"),
            ("environment", "e2"),
            ("param new", "1"),
            ("seed", "7"),
            ("variable SAME", "s"),
            ("commit", "none"),
        ]);
        assert_eq!(
            after.changes(&before),
            [
                "the command changed",
                "commit: 0123456789 → none",
                "the system or the packages of the worker changed",
                "input rows changed",
                "param new is new",
                "param rounds: 100 → 200",
                "seed: 0 → 7",
                "file old.py is gone",
            ]
        );
        assert!(after.changes(&after).is_empty());
    }

    #[test]
    fn long_values_are_not_shown() {
        let changes = key(&[("param text", &"a".repeat(100))]).changes(&key(&[("param text", "b")]));
        assert_eq!(changes, ["param text changed"]);
    }
}
