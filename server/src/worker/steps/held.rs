//! What this worker holds, and how it keeps hold of it.
//!
//! A lease lasts for a time by the database's clock. Before the worker asks for a lease or its renewal it looks at its
//! own clock, and what it runs ends by itself before the lease can have ended, whoever is stopped, cut off or out of
//! breath: that is the deadline, which the executor watches in a process of its own.

use super::Steps;
use domain::id::{PipelineRunId, StepId};
use executors::Deadline;
use services::Claimed;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

/// The times of a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// For how long it is asked for.
    pub(super) ttl: Duration,
    /// What runs ends so long before the lease does.
    margin: Duration,
    /// So long after its end, whoever had it may be given up.
    pub(super) grace: Duration,
}

impl Timing {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, margin: ttl / 6, grace: ttl / 6 }
    }

    /// The deadline of a lease that is asked for after this call.
    pub(super) fn deadline(self) -> Deadline {
        Deadline::after(self.ttl - self.margin)
    }

    /// Between two renewals.
    fn renew(self) -> Duration {
        self.ttl / 4
    }
}

/// Whatever this worker holds, by fence.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<i64, Hold>>);

#[derive(Debug)]
struct Hold {
    step: StepId,
    run: PipelineRunId,
    deadline: watch::Sender<Deadline>,
    cancel: CancellationToken,
    is_cancelled: Arc<AtomicBool>,
}

/// What the one who runs the step has of a hold, which ends when this is dropped: also by a panic, so that nobody renews
/// the lease of a step that nobody runs.
#[derive(Debug)]
pub(super) struct Hand {
    held: Arc<Held>,
    fence: i64,
    /// When what runs must have ended. Renewals move it on.
    pub(super) deadline: watch::Receiver<Deadline>,
    /// What runs is to be ended.
    pub(super) cancel: CancellationToken,
    is_cancelled: Arc<AtomicBool>,
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.held.lock().remove(&self.fence);
    }
}

impl Hand {
    /// Whether it is the run that somebody cancelled, rather than this worker that stops.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Whether the lease may have ended by now.
    pub(super) fn is_over(&self) -> bool {
        self.deadline.borrow().has_passed()
    }
}

impl Held {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Hold>> {
        // Whoever panicked did not leave the map half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hold of a step until this deadline.
    pub(super) fn add(self: &Arc<Self>, claimed: &Claimed, deadline: Deadline) -> Hand {
        let (sender, receiver) = watch::channel(deadline);
        let hold = Hold {
            step: claimed.step_id,
            run: claimed.run_id,
            deadline: sender,
            cancel: CancellationToken::new(),
            is_cancelled: Arc::default(),
        };
        let hand = Hand {
            held: Arc::clone(self),
            fence: claimed.fence,
            deadline: receiver,
            cancel: hold.cancel.clone(),
            is_cancelled: Arc::clone(&hold.is_cancelled),
        };
        self.lock().insert(claimed.fence, hold);
        hand
    }

    pub(super) fn fences(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Whether a step of this run is held.
    pub(super) fn is_of(&self, run: PipelineRunId) -> bool {
        self.lock().values().any(|hold| hold.run == run)
    }

    /// Ends whatever runs: the worker stops.
    pub(super) fn end_all(&self) {
        self.lock().values().for_each(|hold| hold.cancel.cancel());
    }

    fn pairs(&self) -> Vec<(StepId, i64)> {
        self.lock().iter().map(|(fence, hold)| (hold.step, *fence)).collect()
    }

    /// What the database said to a renewal of these leases.
    fn renewed(&self, asked: &[(StepId, i64)], renewed: &[services::Renewed], deadline: Deadline) {
        let held = self.lock();
        for (_, fence) in asked {
            let Some(hold) = held.get(fence) else { continue };
            match renewed.iter().find(|lease| lease.fence == *fence) {
                Some(lease) => {
                    hold.deadline.send_replace(deadline);
                    if lease.cancelling && !hold.is_cancelled.swap(true, Ordering::Relaxed) {
                        hold.cancel.cancel();
                    }
                }
                None => {
                    // Or its end has just been recorded; then nothing runs that this could end.
                    tracing::debug!(fence, "a lease is not held any more");
                    hold.deadline.send_replace(Deadline::now());
                }
            }
        }
    }
}

impl Steps {
    /// Renews whatever is held, until `over`.
    pub(super) async fn renew(self, over: CancellationToken) {
        // After a failure, sooner: what runs has only until its deadline.
        let retry = (self.timing.renew() / 4).min(Duration::from_secs(1));
        let mut pause = self.timing.renew();
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                () = self.renew_now.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = self.timing.renew();
            let asked = self.held.pairs();
            if asked.is_empty() {
                continue;
            }
            let deadline = self.timing.deadline();
            match timeout(self.timing.renew(), self.leases.renew_leases(&asked, self.timing.ttl)).await {
                Ok(Ok(renewed)) => self.held.renewed(&asked, &renewed, deadline),
                // No reason to end anything: what runs goes on until its deadline.
                Ok(Err(error)) => {
                    tracing::warn!(%error, held = asked.len(), "leases could not be renewed; trying again");
                    pause = retry;
                }
                Err(_) => {
                    tracing::warn!(held = asked.len(), "the database is slow to renew leases; trying again");
                    pause = retry;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::StepAttemptId;
    use services::Renewed;

    fn claimed(fence: i64) -> Claimed {
        Claimed {
            step_id: StepId::new(),
            run_id: PipelineRunId::new(),
            name: "step".to_owned(),
            attempt_id: StepAttemptId::new(),
            number: 1,
            fence,
            gpus: Vec::new(),
        }
    }

    #[test]
    fn what_runs_ends_before_its_lease_and_nobody_is_given_up_before_that() {
        let timing = Timing::new(Duration::from_secs(60));
        let left = timing.deadline().remaining();
        assert!(left > Duration::from_secs(49) && left <= Duration::from_secs(50));
        // Two renewals may fail in a row.
        assert!(timing.renew() * 3 < left);
        assert!(!timing.grace.is_zero());
    }

    #[test]
    fn a_lease_that_was_not_renewed_is_over_and_one_that_was_goes_on() {
        let held = Arc::new(Held::default());
        let (kept, lost) = (claimed(1), claimed(2));
        let (of_kept, of_lost) =
            (held.add(&kept, Deadline::now()), held.add(&lost, Deadline::after(Duration::from_secs(60))));
        assert!(of_kept.is_over() && !of_lost.is_over());
        let answer = [Renewed { fence: 1, cancelling: false }];
        held.renewed(&held.pairs(), &answer, Deadline::after(Duration::from_secs(60)));
        assert!(!of_kept.is_over() && of_lost.is_over());
        assert!(!of_kept.cancel.is_cancelled());
    }

    #[test]
    fn a_cancelled_run_is_told_from_a_worker_that_stops() {
        let held = Arc::new(Held::default());
        let (one, other) = (claimed(1), claimed(2));
        let (cancelled, stopped) = (held.add(&one, Deadline::now()), held.add(&other, Deadline::now()));
        assert!(held.is_of(one.run_id) && !held.is_of(PipelineRunId::new()));
        let answer = [Renewed { fence: 1, cancelling: true }, Renewed { fence: 2, cancelling: false }];
        held.renewed(&held.pairs(), &answer, Deadline::now());
        assert!(cancelled.is_cancelled() && cancelled.cancel.is_cancelled() && !stopped.cancel.is_cancelled());
        held.end_all();
        assert!(stopped.cancel.is_cancelled() && !stopped.is_cancelled());
        drop(cancelled);
        assert_eq!(held.fences(), [2]);
    }

    #[tokio::test]
    async fn a_step_is_not_held_any_more_when_the_one_who_runs_it_panics() {
        let held = Arc::new(Held::default());
        let hand = held.add(&claimed(1), Deadline::after(Duration::from_secs(60)));
        let running = tokio::spawn(async move {
            assert!(hand.is_over(), "a mistake");
        });
        assert!(running.await.unwrap_err().is_panic());
        assert!(held.pairs().is_empty(), "its lease is not renewed");
    }
}
