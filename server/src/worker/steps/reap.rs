//! Steps whose worker is gone: found, and made ready again or failed. Any worker does this for all.

use super::Steps;
use crate::worker::process::{ProcessName, is_any_left};
use domain::pipeline::Python;
use services::{Beat, Lease, LetGo, Result, Surroundings as _};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Between two times that the worker says that it lives.
const BEAT: Duration = Duration::from_secs(10);
/// Between two looks for runs that do not stand as their steps do.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks for directories that dead workers left.
const TIDY: Duration = Duration::from_secs(60);
/// How long a worker of this machine has been dead before its steps are taken from it. What it had started ends within
/// milliseconds of its death.
const SETTLED: Duration = Duration::from_secs(1);

impl Steps {
    /// Looks again and again, until the worker stops.
    pub(super) async fn reap(self) {
        let interval = (self.timing.ttl / 10).clamp(Duration::from_millis(300), Duration::from_secs(5));
        let mut dead = HashMap::new();
        // First: what dead workers left is looked for where it may run.
        self.places.look().await;
        let (mut beat_at, mut settle_at, mut tidy_at) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            if let Err(error) = self.give_up_expired().await {
                tracing::warn!(%error, "leases could not be looked at");
            }
            if let Err(error) = self.bury(&mut dead).await {
                tracing::warn!(%error, "holders of leases could not be looked at");
            }
            if beat_at <= Instant::now() {
                beat_at = Instant::now() + BEAT;
                if let Err(error) = self.beat().await {
                    tracing::debug!(%error, "the worker could not say that it lives");
                }
            }
            if settle_at <= Instant::now() {
                settle_at = Instant::now() + SETTLE;
                if let Err(error) = self.services.unblock_steps().await {
                    tracing::warn!(%error, "steps that wait for a limit could not be looked at");
                }
                if let Err(error) = self.services.settle_runs().await {
                    tracing::warn!(%error, "runs could not be looked at");
                }
            }
            if tidy_at <= Instant::now() {
                tidy_at = Instant::now() + TIDY;
                self.places.look().await;
                self.places.sweep().await;
                if let Err(error) = self.discard_unwanted().await {
                    tracing::warn!(%error, "containers that were left could not be looked at");
                }
            }
            let pause = if dead.is_empty() { interval } else { interval.min(Duration::from_millis(250)) };
            tokio::select! {
                () = self.stop.cancelled() => {
                    if let Err(error) = self.services.worker_stops(&self.options.name).await {
                        tracing::debug!(%error, "the worker could not say that it stops");
                    }
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says that this worker lives, and what it can do.
    async fn beat(&self) -> Result<()> {
        let beat = Beat {
            name: &self.options.name,
            label: &self.options.label(),
            pools: &self.options.pools,
            executors: &self.places.kinds(),
            slots: i32::try_from(self.options.steps).unwrap_or(i32::MAX),
            sandbox: self.places.sandbox(),
            gpus: self.options.gpus.as_deref().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            facts: &self.facts.now(&Python::default()),
        };
        self.services.worker_beats(&beat).await?;
        if !self.gpus.is_empty() {
            // Before the first beat nobody knew of its graphics processors, and no step could get them.
            self.ready.notify_one();
        }
        Ok(())
    }

    async fn give_up_expired(&self) -> Result<()> {
        let how = LetGo::Expired(self.timing.grace);
        for lease in self.going_on(self.services.expired_leases(self.timing.grace).await?, true).await {
            if let Some(state) = self.services.let_go(&lease, &how).await? {
                tracing::warn!(step = %lease.step_id, fence = lease.fence, state = state.as_str(), "gave up a lost worker");
                self.ready.notify_one();
            }
        }
        Ok(())
    }

    /// Takes the steps of dead workers of this machine at once, rather than when their leases end. `dead` keeps since
    /// when each has been known to be dead.
    async fn bury(&self, dead: &mut HashMap<String, Instant>) -> Result<()> {
        let Some(own) = ProcessName::own() else { return Ok(()) };
        let owners = self.services.lease_owners().await?;
        let gone = |owner: &String| ProcessName::parse(owner).is_some_and(|name| name.is_dead(&own));
        let now = Instant::now();
        *dead = owners
            .into_iter()
            .filter(gone)
            .map(|owner| {
                let since = dead.get(&owner).copied().unwrap_or(now);
                (owner, since)
            })
            .collect();
        for (owner, since) in dead.iter() {
            if now.duration_since(*since) < SETTLED {
                continue;
            }
            let leases = self.going_on(self.services.held_besides(owner, &[]).await?, false).await;
            if self.is_anything_left_of(&leases).await {
                tracing::warn!(worker = owner, "something that a dead worker started still runs");
                continue;
            }
            let how = LetGo::Dead("its worker died".to_owned());
            for lease in leases {
                if self.services.let_go(&lease, &how).await?.is_some() {
                    tracing::warn!(worker = owner, step = %lease.step_id, "took a step from a dead worker");
                    self.ready.notify_one();
                }
            }
        }
        Ok(())
    }

    async fn is_anything_left_of(&self, leases: &[Lease]) -> bool {
        let attempts: Vec<String> = leases.iter().map(|lease| lease.attempt_id.to_string()).collect();
        // When in doubt, yes.
        tokio::task::spawn_blocking(move || is_any_left(&attempts)).await.unwrap_or(true)
    }
}
