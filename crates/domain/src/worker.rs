//! Workers, pools and limits: who runs steps, and what keeps steps from running.

use crate::{
    Digest,
    gpu::{self, GpuSlot, GpuUuid},
    pipeline::ExecutorKind,
    step::{StepRef, awaited_check},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A worker that was not heard of for so long is taken for gone.
pub const SILENT_AFTER: TimeDelta = TimeDelta::seconds(45);

/// What a worker is, by the digests of what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its machine: processor, cores, memory, GPUs, kernel.
    pub machine: Option<Digest>,
    /// What steps find on it: the system, the Python and its packages, the variables that it gives them.
    pub environment: Option<Digest>,
}

/// The most changes that are told.
const MOST_CHANGES: usize = 20;

/// What is other in what a worker says of its machine, or of what steps find there, than it was `before`, in words:
/// `numpy: 2.1.0 → 2.2.0`; up to twenty.
#[must_use]
pub fn changes(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (parts(before), parts(after));
    let changed = after.iter().filter_map(|(part, value)| match before.get(part) {
        Some(old) if old == value => None,
        // Of variables there are digests.
        Some(_) if part.starts_with(VARIABLE) => Some(format!("{part} changed")),
        Some(old) => Some(format!("{part}: {old} → {value}")),
        None if part.starts_with(VARIABLE) => Some(format!("{part} is new")),
        None => Some(format!("{part} {value} is new")),
    });
    let gone = before.keys().filter(|part| !after.contains_key(*part)).map(|part| format!("{part} is gone"));
    changed.chain(gone).take(MOST_CHANGES).collect()
}

/// What the name of a variable follows in a part's name.
const VARIABLE: &str = "variable ";

/// What a worker says, by what people call it.
fn parts(of: &Value) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in of.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("python", python) => {
                parts.extend(python.get("version").map(|version| ("Python".to_owned(), shown(version))));
                let packages = python.get("packages").and_then(Value::as_object).into_iter().flatten();
                parts.extend(packages.map(|(package, version)| (package.clone(), shown(version))));
            }
            ("variables", variables) => {
                let variables = variables.as_object().into_iter().flatten();
                parts.extend(variables.map(|(name, value)| (format!("{VARIABLE}{name}"), shown(value))));
            }
            (name, value) => {
                parts.insert(name.replace('_', " "), shown(value));
            }
        }
    }
    parts
}

/// A process that runs steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    /// Host and process.
    pub label: String,
    /// The pools whose steps it runs.
    pub pools: Vec<String>,
    /// Where steps can run there.
    pub executors: Vec<ExecutorKind>,
    /// How many steps it runs at once.
    pub slots: i32,
    /// How many it holds now, of all workspaces.
    pub held: i64,
    /// What keeps the processes that it starts from the rest of its machine, in words; none when it can start none, or has not
    /// said so.
    pub sandbox: Option<String>,
    /// The graphics processors that it hands out. Others may hand out the same.
    pub gpus: Vec<GpuUuid>,
    /// Its version of Slipway.
    pub version: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was last heard of.
    pub last_seen: DateTime<Utc>,
}

impl Worker {
    /// Whether it is taken for alive.
    #[must_use]
    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        now - self.last_seen < SILENT_AFTER
    }
}

/// Workers that run the same steps, and the steps that they are for. Counts are of all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Workers that are alive.
    pub workers: i64,
    /// How many steps they run at once; some may run those of other pools as well.
    pub slots: i64,
    /// How many may run at once, when that is limited.
    pub limit: Option<i32>,
    /// Where its steps run that do not say so, nor does their pipeline; none for processes.
    pub executor: Option<ExecutorKind>,
    /// Steps that run.
    pub running: i64,
    /// Steps that could run.
    pub ready: i64,
    /// Of these, those that wait for a limit.
    pub blocked: i64,
}

/// How many steps may run at once: of a workspace, those that name it; of all workspaces, those of a pool; of one step, its
/// instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How many may.
    pub slots: i32,
    /// How many do.
    pub held: i64,
    /// How many wait for it.
    pub waiting: i64,
    /// Some of the steps that have a place, those that have had it longest first; of other workspaces none is named.
    pub holders: Vec<StepRef>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The most steps that a limit lets run at once.
pub const MAX_SLOTS: i32 = 100_000;

/// A step that runs, or could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedStep {
    /// The pipeline.
    pub pipeline: String,
    /// The number of the run.
    pub run: i64,
    /// The step's name in the run.
    pub step: String,
    /// Which workers may run it.
    pub pool: String,
    /// Where it runs.
    pub executor: ExecutorKind,
    /// The worker that has it.
    pub worker: Option<String>,
    /// The limit that it waits for, or the check of a version of a dataset: `check of wine@3`.
    pub blocked_by: Option<String>,
    /// How many graphics processors its worker gives it.
    pub gpus: i16,
    /// Why it does not run, as far as that is known, to follow "It waits "; none of one that runs.
    pub waits_for: Option<String>,
    /// Since when it runs, or from when on it could.
    pub since: DateTime<Utc>,
}

/// Why a step that could run does not, as far as that is known. To follow "It waits ".
#[must_use]
pub fn waits_for(step: &QueuedStep, workers: &[Worker], gpus: &[GpuSlot], now: DateTime<Utc>) -> String {
    if let Some(what) = &step.blocked_by {
        return match awaited_check(what) {
            Some(version) => format!("for the check of {version}"),
            None => format!("for a place of the limit {what}"),
        };
    }
    if step.since > now {
        return "for the time of its next try".to_owned();
    }
    let alive = || workers.iter().filter(|worker| worker.is_alive(now) && worker.pools.contains(&step.pool));
    if alive().next().is_none() {
        return format!("for a worker of the pool {}, of which there is none", step.pool);
    }
    let able: Vec<&Worker> = alive().filter(|worker| worker.executors.contains(&step.executor)).collect();
    if able.is_empty() {
        return format!("for a worker of the pool {} that runs steps by {}", step.pool, step.executor.as_str());
    }
    let is_free = |uuid: &GpuUuid| !gpus.iter().any(|slot| slot.held && slot.gpu.uuid == *uuid);
    let wanted = usize::try_from(step.gpus).unwrap_or_default();
    let mut with_gpus =
        able.iter().filter(|worker| worker.gpus.iter().filter(|uuid| is_free(uuid)).count() >= wanted).peekable();
    if with_gpus.peek().is_none() {
        return waits_for_gpus(step, wanted, &able, gpus);
    }
    match with_gpus.any(|worker| worker.held < i64::from(worker.slots)) {
        true => "for a worker to take it".to_owned(),
        false if wanted > 0 => format!(
            "for a free slot: all workers of the pool {} that have {} for it are busy",
            step.pool,
            gpu::count(wanted)
        ),
        false => format!("for a free slot: all workers of the pool {} are busy", step.pool),
    }
}

/// Why none of these workers has so many free graphics processors.
fn waits_for_gpus(step: &QueuedStep, wanted: usize, able: &[&Worker], gpus: &[GpuSlot]) -> String {
    let (count, pool) = (gpu::count(wanted), &step.pool);
    match able.iter().map(|worker| worker.gpus.len()).max().unwrap_or_default() {
        0 => return format!("for {count}: no worker of the pool {pool} has one"),
        most if most < wanted => return format!("for {count}: no worker of the pool {pool} has more than {most}"),
        _ => {}
    }
    let of_these = |slot: &&GpuSlot| {
        slot.held && able.iter().any(|worker| worker.gpus.len() >= wanted && worker.gpus.contains(&slot.gpu.uuid))
    };
    let mut holders: Vec<String> = Vec::new();
    for slot in gpus.iter().filter(of_these) {
        let holder = slot.holder.as_ref().map_or_else(|| "another workspace".to_owned(), ToString::to_string);
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    let more = holders.len().saturating_sub(MOST_HOLDERS);
    holders.truncate(MOST_HOLDERS);
    let mut told = holders.join(", ");
    if more > 0 {
        told = format!("{told} and {more} more");
    }
    format!("for {count}: those of the pool {pool} are in use by {told}")
}

/// How many steps are named that have what another waits for.
const MOST_HOLDERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_step_that_waits_is_told_why() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let worker = Worker {
            label: "host-1".to_owned(),
            pools: vec!["default".to_owned()],
            executors: vec![ExecutorKind::Process],
            slots: 2,
            held: 2,
            sandbox: None,
            gpus: Vec::new(),
            version: "1".to_owned(),
            started_at: now,
            last_seen: now,
        };
        let step = QueuedStep {
            pipeline: "p".to_owned(),
            run: 1,
            step: "s".to_owned(),
            pool: "default".to_owned(),
            executor: ExecutorKind::Process,
            worker: None,
            blocked_by: None,
            gpus: 0,
            waits_for: None,
            since: now,
        };
        let told = |step: &QueuedStep| waits_for(step, std::slice::from_ref(&worker), &[], now);
        assert_eq!(told(&step), "for a free slot: all workers of the pool default are busy");
        let docker = QueuedStep { executor: ExecutorKind::Docker, ..step.clone() };
        assert_eq!(told(&docker), "for a worker of the pool default that runs steps by docker");
        let gpu = QueuedStep { pool: "gpu".to_owned(), ..step.clone() };
        assert_eq!(told(&gpu), "for a worker of the pool gpu, of which there is none");
        let limited = QueuedStep { blocked_by: Some("licences".to_owned()), ..step.clone() };
        assert_eq!(told(&limited), "for a place of the limit licences");
        let checked = QueuedStep { blocked_by: Some("check of wine@3".to_owned()), ..step.clone() };
        assert_eq!(told(&checked), "for the check of wine@3");
        let idle = Worker { held: 1, ..worker.clone() };
        assert_eq!(waits_for(&step, &[idle], &[], now), "for a worker to take it");
        let gone = Worker { last_seen: now - TimeDelta::minutes(5), ..worker.clone() };
        assert!(waits_for(&step, &[gone], &[], now).ends_with("of which there is none"));
        let later = QueuedStep { since: now + TimeDelta::seconds(5), ..step };
        assert_eq!(told(&later), "for the time of its next try");
    }

    #[test]
    fn a_step_that_wants_gpus_is_told_whether_there_are_enough_and_who_has_them() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let uuid = |name: &str| format!("GPU-{name}").parse::<GpuUuid>().unwrap();
        let worker = |gpus: &[&str], held| Worker {
            label: "host-1".to_owned(),
            pools: vec!["big".to_owned()],
            executors: vec![ExecutorKind::Process],
            slots: 2,
            held,
            sandbox: None,
            gpus: gpus.iter().map(|name| uuid(name)).collect(),
            version: "1".to_owned(),
            started_at: now,
            last_seen: now,
        };
        let wants = |gpus| QueuedStep {
            pipeline: "p".to_owned(),
            run: 1,
            step: "s".to_owned(),
            pool: "big".to_owned(),
            executor: ExecutorKind::Process,
            worker: None,
            blocked_by: None,
            gpus,
            waits_for: None,
            since: now,
        };
        let slot = |name: &str, step: Option<&str>, held| GpuSlot {
            gpu: gpu::Gpu { uuid: uuid(name), name: String::new() },
            held,
            holder: step.map(|step| StepRef { pipeline: "train".to_owned(), run: 7, step: step.to_owned() }),
        };
        let (none, two) = (worker(&[], 0), worker(&["a", "b"], 1));
        let told = |gpus, workers: &[Worker], slots: &[GpuSlot]| waits_for(&wants(gpus), workers, slots, now);
        assert_eq!(told(1, std::slice::from_ref(&none), &[]), "for a GPU: no worker of the pool big has one");
        let both = [none, two];
        assert_eq!(told(3, &both, &[]), "for 3 GPUs: no worker of the pool big has more than 2");
        assert_eq!(told(2, &both, &[]), "for a worker to take it");
        let one_held = [slot("a", Some("fit"), true), slot("b", None, false), slot("c", Some("other"), true)];
        assert_eq!(told(2, &both, &one_held), "for 2 GPUs: those of the pool big are in use by train #7: fit");
        assert_eq!(told(1, &both, &one_held), "for a worker to take it");
        let all_held = [slot("a", Some("fit"), true), slot("b", None, true)];
        let told_all = told(1, &both, &all_held);
        assert_eq!(told_all, "for a GPU: those of the pool big are in use by train #7: fit, another workspace");
        // One without any has a free slot, which is of no use to it.
        let busy = [worker(&[], 0), worker(&["a"], 2)];
        let told_busy = told(1, &busy, &[]);
        assert_eq!(told_busy, "for a free slot: all workers of the pool big that have a GPU for it are busy");
        assert_eq!(told(0, &busy, &all_held), "for a worker to take it");
    }

    #[test]
    fn what_is_other_on_a_worker_is_told_by_its_name() {
        let before = json!({
            "system": "Debian 12", "architecture": "x86_64", "variables": { "A": "blake3:1", "B": "blake3:2" },
            "python": { "version": "3.12.1", "packages": { "numpy": "2.1.0", "pandas": "2.2.0", "six": "1.0" } },
        });
        let after = json!({
            "system": "Debian 12", "architecture": "x86_64", "variables": { "A": "blake3:3", "C": "blake3:4" },
            "python": { "version": "3.12.2", "packages": { "numpy": "2.2.0", "pandas": "2.2.0", "scipy": "1.1" } },
        });
        assert_eq!(
            changes(&before, &after),
            [
                "Python: 3.12.1 → 3.12.2",
                "numpy: 2.1.0 → 2.2.0",
                "scipy 1.1 is new",
                "variable A changed",
                "variable C is new",
                "six is gone",
                "variable B is gone",
            ]
        );
        let machine =
            |processor: &str, gpus: &[&str]| json!({ "processor": processor, "memory_bytes": 9, "gpus": gpus });
        assert_eq!(changes(&machine("a", &[]), &machine("b", &["x"])), ["gpus: [] → [\"x\"]", "processor: a → b"]);
        assert!(changes(&before, &before).is_empty());
    }
}
