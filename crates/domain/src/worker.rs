//! Workers, pools and limits: who runs steps, and what keeps steps from running.

use crate::{
    Digest,
    pipeline::ExecutorKind,
    step::{StepRef, awaited_check},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

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
    /// Since when it runs, or from when on it could.
    pub since: DateTime<Utc>,
}

/// Why a step that could run does not, as far as that is known. To follow "It waits ".
#[must_use]
pub fn waits_for(step: &QueuedStep, workers: &[Worker], now: DateTime<Utc>) -> String {
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
    match able.iter().any(|worker| worker.held < i64::from(worker.slots)) {
        _ if able.is_empty() => {
            format!("for a worker of the pool {} that runs steps by {}", step.pool, step.executor.as_str())
        }
        true => "for a worker to take it".to_owned(),
        false => format!("for a free slot: all workers of the pool {} are busy", step.pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            since: now,
        };
        let told = |step: &QueuedStep| waits_for(step, std::slice::from_ref(&worker), now);
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
        assert_eq!(waits_for(&step, &[idle], now), "for a worker to take it");
        let gone = Worker { last_seen: now - TimeDelta::minutes(5), ..worker.clone() };
        assert!(waits_for(&step, &[gone], now).ends_with("of which there is none"));
        let later = QueuedStep { since: now + TimeDelta::seconds(5), ..step };
        assert_eq!(told(&later), "for the time of its next try");
    }
}
