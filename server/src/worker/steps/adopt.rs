//! Steps whose worker is gone and whose container is not: gone on with, by the worker of the machine that finds it.
//!
//! ```text
//! worker A ✗    lease, fence 7 ──▶ taken over, fence 9
//!               container      ──▶ the same, from the line of its log that is stored last
//! ```
//! The fence keeps A from saying anything, should it live after all; the lock of the try's directory keeps two workers of
//! one machine from going on with it at once. Meanwhile the watch over the container holds it to A's last deadline, and
//! then to ours.

use super::{Steps, places::Place};
use domain::id::StepAttemptId;
use services::{Lease, Result};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long asking for what is left may take: an engine that hangs must not hold up what does not concern it.
const ASKING: Duration = Duration::from_secs(10);

impl Steps {
    /// Goes on with whatever of these steps of others still runs here, and answers with the rest: nothing of those is
    /// left here. A step that could be gone on with when there is a free slot is in neither; nor is one, while its lease
    /// lasts, of which nobody can say now whether it runs.
    pub(super) async fn going_on(&self, leases: Vec<Lease>, are_expired: bool) -> Vec<Lease> {
        if leases.is_empty() {
            return leases;
        }
        let (left, is_all) = self.left().await;
        let mut rest = Vec::new();
        for lease in leases {
            match left.get(&lease.attempt_id) {
                Some(place) => {
                    let gone_on = self.go_on(&lease, place).await;
                    rest.extend((!gone_on).then_some(lease));
                }
                // The engine does not answer, and its containers may go on without it.
                None if !is_all && !are_expired && self.places.may_be_left(lease.attempt_id) => {
                    tracing::warn!(step = %lease.step_id, "whether a dead worker's container runs cannot be told now");
                }
                None => rest.push(lease),
            }
        }
        rest
    }

    /// What runs here with nobody watching, by try; and whether that is all, because everybody who could know has answered.
    async fn left(&self) -> (HashMap<StepAttemptId, Place>, bool) {
        let (mut left, mut is_all) = (HashMap::new(), self.places.are_all_there());
        for (name, executor) in self.places.containers() {
            match timeout(ASKING, executor.left()).await {
                Ok(Ok(tries)) => {
                    let tries = tries.iter().filter_map(|name| name.parse::<StepAttemptId>().ok());
                    left.extend(tries.map(|attempt| (attempt, (name, Arc::clone(&executor)))));
                }
                Ok(Err(error)) => {
                    is_all = false;
                    tracing::warn!(%error, executor = name.as_str(), "containers cannot be looked for");
                }
                Err(_) => {
                    is_all = false;
                    tracing::warn!(executor = name.as_str(), "containers cannot be looked for: the engine is slow");
                }
            }
        }
        (left, is_all)
    }

    /// Tells whether the step is taken care of.
    async fn go_on(&self, lease: &Lease, (name, executor): &Place) -> bool {
        let attempt = lease.attempt_id.to_string();
        // Later: until then it goes on by itself, to the end of its lease.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return true };
        if let Some(passing_on) = self.pass_on_when_full() {
            passing_on.await;
        }
        let dir = match timeout(ASKING, executor.adopt(&attempt)).await {
            Ok(Ok(Some(dir))) => dir,
            Ok(Ok(None)) => return false,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a container that was left cannot be gone on with");
                return false;
            }
            Err(_) => return true,
        };
        let deadline = self.timing.deadline();
        let (owner, label) = (&self.options.name, self.options.label());
        let claimed = match self.services.take_step_over(lease, owner, &label, self.timing.ttl).await {
            Ok(Some(claimed)) => claimed,
            // It has an end meanwhile, or has cost too many workers.
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(%error, "a step could not be taken over; trying again");
                return true;
            }
        };
        tracing::warn!(step = %claimed.name, fence = claimed.fence, executor = name.as_str(), "going on with a step of a dead worker");
        let hand = self.held.add(&claimed, deadline);
        let (steps, place) = (self.clone(), (*name, Arc::clone(executor)));
        self.adopted.spawn(async move {
            steps.adopted_attempt(claimed, hand, place, dir).await;
            drop(slot);
        });
        true
    }

    /// Ends what runs here and belongs to a try that has ended, or never was.
    pub(super) async fn discard_unwanted(&self) -> Result<()> {
        let (left, _) = self.left().await;
        let tries: Vec<StepAttemptId> = left.keys().copied().collect();
        if tries.is_empty() {
            return Ok(());
        }
        let wanted = self.services.running_attempts(&tries).await?;
        for (attempt, (name, executor)) in left {
            if wanted.contains(&attempt) {
                continue;
            }
            match executor.discard(&attempt.to_string()).await {
                Ok(()) => {
                    tracing::info!(%attempt, executor = name.as_str(), "a container that nobody waited for was removed")
                }
                Err(error) => tracing::warn!(%error, %attempt, "a container that nobody waits for cannot be removed"),
            }
        }
        Ok(())
    }
}
