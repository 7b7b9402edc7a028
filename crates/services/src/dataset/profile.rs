//! What the tables of a version hold, and whether it is what is expected of the dataset. A worker takes a version up under a
//! lease and works outside of any transaction; what it finds is written unless it was asked for again meanwhile. A process
//! that dies over it leaves it to the next one.

use super::{locked, object as object_of, version::object};
use crate::{Ctx, Event, Result, Services, blocking, boxed, commit, promotion, step::settle, trigger};
use domain::{
    Error, ErrorKind,
    audit::{Actor, Object, ObjectKind},
    dataset::{ChecksState, DatasetVersion, VersionRef},
    drift::feature_drift,
    expectation::{CheckResult, Expectation, Outcome},
    table_profile::{ColumnProfile, TableDiff, TableProfile},
};
use futures::TryStreamExt as _;
use manifest::Entry;
use std::{io::Seek as _, time::Duration};
use store::{
    PgConnection,
    dataset_profile::{StoredProfile, TakenProfile},
    step::limit,
    wake::Wake,
};
use tokio::io::AsyncWriteExt as _;

/// How long a version is held before somebody else may take it up.
const LEASE: Duration = Duration::from_secs(1800);
/// A profile that was begun this often and never ended is given up: it may be what ends the processes.
const MOST_TRIES: i32 = 3;
/// The most tables of a version that are looked at, by path.
const MAX_TABLES: usize = 100;
/// Of how many of them values are kept, to hold other versions against.
const KEPT_VALUES: usize = 20;
/// The largest file that is looked at.
const MAX_TABLE_BYTES: u64 = 4 << 30;
/// With fewer values on a side, nothing is said of drift.
const MIN_ROWS: usize = 30;

/// How the tables of two versions differ.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDiffs {
    /// Those that are in both, and were looked at, and are not the same.
    pub tables: Vec<TableDiff>,
    /// Why there may be more, in a sentence for each version that was not looked at.
    pub unknown: Vec<String>,
}

/// What was found of a version last.
pub(crate) struct Found {
    /// What its checks came to. `Waiting` when they never came to anything.
    pub(crate) checks: ChecksState,
    /// Why that is no pass, in a sentence.
    pub(crate) objection: Option<String>,
}

/// What was found of a version last, also while it is found out again.
pub(crate) async fn found_last(conn: &mut PgConnection, mut version: DatasetVersion) -> Result<Found> {
    let profile = store::dataset_profile::get(conn, version.id).await?;
    version.checks = match &profile {
        Some(profile) => profile.found_last()?,
        None => ChecksState::Unchecked,
    };
    let objection = match &profile {
        Some(profile) => version.objection(&profile.checks.0, &profile.reason),
        None => version.objection(&[], ""),
    };
    Ok(Found { checks: version.checks, objection })
}

impl Services {
    /// What was found of a version.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn dataset_profile(
        &self,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
    ) -> Result<(DatasetVersion, Option<StoredProfile>)> {
        let mut conn = self.conn().await?;
        let (_, version) = self.found_version(&mut conn, ctx, name, which).await?;
        let profile = store::dataset_profile::get(&mut conn, version.id).await?;
        Ok((version, profile))
    }

    /// Has a version looked at again, by what is expected of its dataset now. One that waits for that waits as it did. What was
    /// found before stands until it was.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn check_dataset_again(&self, ctx: &Ctx, name: &str, which: &VersionRef) -> Result<DatasetVersion> {
        let mut tx = self.begin().await?;
        let stored = locked(&mut tx, ctx, name).await?;
        let (_, mut version) = self.found_version(&mut tx, ctx, name, which).await?;
        if version.checks == ChecksState::Waiting {
            return Ok(version);
        }
        store::dataset_profile::ask(&mut tx, version.id).await?;
        store::wake::push(&mut tx, &Wake::Datasets).await?;
        Event::new("dataset_version.check_asked", object(&version), format!("had {} checked again", version.title()))
            .related(object_of(&stored.dataset))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        version.checks = ChecksState::Waiting;
        Ok(version)
    }

    /// How the tables of two versions differ, by path: those that are in both, and were looked at, and are not the same. Of a
    /// version that was not looked at, a sentence says so.
    ///
    /// # Errors
    /// `NotFound` without such a version.
    #[boxed]
    pub async fn dataset_table_diff(
        &self,
        ctx: &Ctx,
        (name, before): (&str, &VersionRef),
        (other, after): (&str, &VersionRef),
    ) -> Result<TableDiffs> {
        let before = self.dataset_profile(ctx, name, before).await?;
        let after = self.dataset_profile(ctx, other, after).await?;
        let unknown = [&before, &after].into_iter().filter_map(|(version, found)| not_found(version, found.as_ref()));
        let unknown = unknown.collect();
        let (Some(before), Some(after)) = (before.1, after.1) else {
            return Ok(TableDiffs { tables: Vec::new(), unknown });
        };
        let tables = blocking(move || {
            let mut diffs = Vec::new();
            for table in &after.tables.0 {
                if let Some(old) = before.tables.0.iter().find(|old| old.path == table.path && *old != table) {
                    diffs.push(table_diff(old, table));
                }
            }
            diffs
        });
        Ok(TableDiffs { tables: tables.await?, unknown })
    }

    /// Looks at the version that waits longest. Tells whether there was one.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer: it is taken up again when its lease has ended.
    #[boxed]
    pub async fn profile_next_dataset(&self) -> Result<bool> {
        let Some(taken) = store::dataset_profile::take(&mut *self.conn().await?, LEASE).await? else {
            return Ok(false);
        };
        if taken.tries > MOST_TRIES {
            let why = "It was begun several times and never ended; a table of it may be too much for this machine.";
            self.end_profile(&taken, Some(why), Vec::new(), Vec::new(), &[]).await?;
            return Ok(true);
        }
        let found = store::dataset_version::by_id(&mut *self.conn().await?, taken.version_id).await?;
        let Some((workspace, _, version)) = found else { return Ok(true) };
        let dataset = store::dataset::by_name(&mut *self.conn().await?, workspace, &version.dataset).await?;
        let Some(stored) = dataset else { return Ok(true) };
        let expectations = stored.dataset.expectations.clone();
        let (mut tables, mut checks) = (Vec::new(), Vec::new());
        for entry in self.tables(stored.key, &version).await? {
            let (mut table, of_table) = self.profile_table(stored.key, entry, &expectations).await?;
            if tables.len() >= KEPT_VALUES {
                table.columns.iter_mut().for_each(|column| column.values.clear());
            }
            tables.push(table);
            checks.extend(of_table);
        }
        self.end_profile(&taken, None, tables, checks, &expectations).await?;
        Ok(true)
    }

    /// The tables of a version.
    async fn tables(&self, key: store::dataset::DatasetKey, version: &DatasetVersion) -> Result<Vec<Entry>> {
        let mut conn = self.conn().await?;
        let root = self.root(&mut conn, key, version).await?;
        let mut tables = Vec::new();
        for page in &root.pages {
            let entries = self.page(&mut conn, key, page.digest).await?.entries;
            tables
                .extend(entries.into_iter().filter(|entry| entry.digest().is_some() && preview::is_table(&entry.path)));
            if tables.len() >= MAX_TABLES {
                tables.truncate(MAX_TABLES);
                break;
            }
        }
        Ok(tables)
    }

    async fn profile_table(
        &self,
        key: store::dataset::DatasetKey,
        entry: Entry,
        expectations: &[Expectation],
    ) -> Result<(TableProfile, Vec<CheckResult>)> {
        let size = entry.size().unwrap_or_default();
        if size > MAX_TABLE_BYTES {
            let trouble = format!("It is larger than the {} GiB that are looked at.", MAX_TABLE_BYTES >> 30);
            let about = expectations.iter().filter(|expectation| expectation.is_about(&entry.path));
            let unknown = |expectation: &Expectation| CheckResult {
                expectation: expectation.clone(),
                path: entry.path.clone(),
                outcome: Outcome::Inconclusive,
                found: trouble.clone(),
            };
            let checks = about.map(unknown).collect();
            let (columns, sample) = (Vec::new(), Vec::new());
            return Ok((TableProfile { path: entry.path, rows: 0, columns, sample, trouble }, checks));
        }
        let file = blocking(tempfile::tempfile).await?.map_err(no_room)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut bytes = self.content(&mut *self.conn().await?, key, &entry).await?.stream;
        while let Some(part) = bytes.try_next().await.map_err(crate::artifact::of_store)? {
            file.write_all(&part).await.map_err(no_room)?;
        }
        file.flush().await.map_err(no_room)?;
        let mut file = file.into_std().await;
        let expectations = expectations.to_vec();
        blocking(move || {
            file.rewind().map_err(no_room)?;
            Ok(preview::profile(&entry.path, file, &expectations))
        })
        .await?
    }

    async fn end_profile(
        &self,
        taken: &TakenProfile,
        failure: Option<&str>,
        tables: Vec<TableProfile>,
        mut checks: Vec<CheckResult>,
        expectations: &[Expectation],
    ) -> Result<()> {
        let idle = expectations.iter().filter(|one| !checks.iter().any(|check| check.expectation == **one));
        let idle: Vec<CheckResult> = idle
            .map(|expectation| CheckResult {
                expectation: expectation.clone(),
                path: String::new(),
                outcome: Outcome::Failed,
                found: "There is no table to hold against it.".to_owned(),
            })
            .collect();
        checks.extend(idle);
        let has = |outcome| checks.iter().any(|check| check.outcome == outcome);
        let state = match () {
            () if failure.is_some() => ChecksState::Inconclusive,
            () if has(Outcome::Failed) => ChecksState::Failed,
            () if has(Outcome::Inconclusive) => ChecksState::Inconclusive,
            () if checks.is_empty() => ChecksState::Unchecked,
            () => ChecksState::Passed,
        };
        let mut tx = self.begin().await?;
        let Some((workspace, dataset, mut version)) = store::dataset_version::by_id(&mut tx, taken.version_id).await?
        else {
            return Ok(());
        };
        let before = found_last(&mut tx, version.clone()).await?.checks;
        version.checks = state;
        // Runs are started before the profile is locked: a step that begins locks its run before it looks at that.
        if state != before {
            let objection = version.objection(&checks, failure.unwrap_or_default());
            trigger::dataset_version_checked(&mut tx, workspace, &version, objection.as_deref()).await?;
        }
        if !store::dataset_profile::end(&mut tx, taken, failure, state, &tables, &checks).await? {
            return Ok(());
        }
        let key = limit::check_key(workspace, &version.title());
        let pools = limit::unblock(&mut tx, &[key]).await?;
        settle::wake(&mut tx, &pools).await?;
        promotion::dataset_version_checked(&mut tx, workspace).await?;
        if state != ChecksState::Unchecked {
            let summary = match state {
                ChecksState::Passed => format!("found {} to be what is expected of it", version.title()),
                ChecksState::Failed => format!("found {} not to be what is expected of it", version.title()),
                _ => format!("could not find out whether {} is what is expected of it", version.title()),
            };
            let broken = checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
            Event::new("dataset_version.checked", object(&version), summary)
                .related(Object::new(ObjectKind::Dataset, dataset, &version.dataset))
                .details(serde_json::json!({ "state": state, "checks": checks.len(), "failed": broken }))
                .write_as(&mut tx, Some(workspace), Actor::System, None)
                .await?;
        }
        commit(tx).await?;
        metrics::counter!("slipway_dataset_checks_total", "state" => state.as_str()).increment(1);
        Ok(())
    }
}

/// Why nothing is known of the tables of a version, or nothing new.
fn not_found(version: &DatasetVersion, found: Option<&StoredProfile>) -> Option<String> {
    let title = version.title();
    match found {
        None => Some(format!("{title} was never profiled.")),
        Some(found) if found.ended_at.is_none() => Some(format!("{title} is being profiled; look again in a moment.")),
        Some(found) if !found.reason.is_empty() => Some(format!("{title} could not be profiled: {}", found.reason)),
        Some(_) => None,
    }
}

fn no_room(error: std::io::Error) -> Error {
    tracing::warn!(%error, "a table could not be written to be looked at");
    Error::new(ErrorKind::Unavailable, "The table could not be written on the server to be looked at.")
}

fn table_diff(before: &TableProfile, after: &TableProfile) -> TableDiff {
    let names = |of: &TableProfile, other: &TableProfile| -> Vec<String> {
        let missing = of.columns.iter().filter(|column| !other.columns.iter().any(|known| known.name == column.name));
        missing.map(|column| column.name.clone()).collect()
    };
    let both: Vec<(&ColumnProfile, &ColumnProfile)> = after
        .columns
        .iter()
        .filter_map(|column| Some((before.columns.iter().find(|old| old.name == column.name)?, column)))
        .collect();
    let retyped = both.iter().filter(|(old, new)| old.kind != new.kind);
    let retyped = retyped.map(|(old, new)| (new.name.clone(), old.kind, new.kind)).collect();
    let drift = both
        .iter()
        .filter(|(old, new)| !old.values.is_empty() && !new.values.is_empty())
        .map(|(old, new)| feature_drift(&new.name, &old.column(old.kind), &new.column(old.kind), MIN_ROWS));
    TableDiff {
        path: after.path.clone(),
        rows: (before.rows, after.rows),
        added: names(after, before),
        removed: names(before, after),
        retyped,
        drift: drift.collect(),
        before: before.columns.iter().map(ColumnProfile::without_values).collect(),
        after: after.columns.iter().map(ColumnProfile::without_values).collect(),
    }
}
