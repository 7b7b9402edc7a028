//! What a step does after a try has ended: whether it is tried again, and when.

use super::{AttemptOutcome, StepState};
use crate::pipeline::Retries;
use std::time::Duration;

/// How many tries of a step may be lost with their workers before it fails: a step that takes its worker down must not
/// go round for ever.
pub const MAX_LOSSES: u32 = 5;

/// The longest wait before another try.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(15 * 60);

/// What a step does after one of its tries has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAttempt {
    /// It goes to this state, and stays there.
    Ends(StepState),
    /// It is ready again after this wait.
    TriesAgain(Duration),
}

/// What a step does after a try that ended like this.
///
/// `failures` and `losses` count this try and those before it: failures are tries that failed or timed out, losses those
/// that were lost. They have limits of their own, because a lost worker is no fault of the step. `jitter` in 0..1 comes
/// from outside; see [`retry_delay`].
#[must_use]
pub fn after_attempt(
    outcome: AttemptOutcome,
    failures: u32,
    losses: u32,
    retries: &Retries,
    cancelling: bool,
    jitter: f64,
) -> AfterAttempt {
    match outcome {
        AttemptOutcome::Succeeded => AfterAttempt::Ends(StepState::Succeeded),
        AttemptOutcome::Cancelled => AfterAttempt::Ends(StepState::Cancelled),
        _ if cancelling => AfterAttempt::Ends(StepState::Cancelled),
        AttemptOutcome::Failed | AttemptOutcome::TimedOut if failures <= retries.count => {
            AfterAttempt::TriesAgain(retry_delay(retries, failures, jitter))
        }
        AttemptOutcome::Lost if losses <= MAX_LOSSES => AfterAttempt::TriesAgain(Duration::ZERO),
        AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Lost | AttemptOutcome::Running => {
            AfterAttempt::Ends(StepState::Failed)
        }
    }
}

/// How long to wait before another try after so many failures: the step's backoff, doubled with every failure after the
/// first, at most [`MAX_RETRY_DELAY`]. `jitter` in 0..1 takes up to a quarter away, so that steps that failed together
/// do not come back together.
#[must_use]
pub fn retry_delay(retries: &Retries, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let delay = Duration::from_secs(retries.backoff_seconds).saturating_mul(1 << doublings).min(MAX_RETRY_DELAY);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    delay.mul_f64(1.0 - jitter / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_step_after_a_try_is_one_it_may_become(
            outcome in proptest::sample::select(AttemptOutcome::ALL[1..].to_vec()),
            failures in 1_u32..30, losses in 1_u32..30, count in 0_u32..20, cancelling: bool, jitter in 0.0..1.0,
        ) {
            let retries = Retries { count, backoff_seconds: 10 };
            match after_attempt(outcome, failures, losses, &retries, cancelling, jitter) {
                AfterAttempt::Ends(state) => prop_assert!(state.is_final() && StepState::Running.next().contains(&state)),
                AfterAttempt::TriesAgain(delay) => {
                    prop_assert!(!cancelling && delay <= MAX_RETRY_DELAY);
                    let allowed = if outcome == AttemptOutcome::Lost { losses <= MAX_LOSSES } else { failures <= count };
                    prop_assert!(allowed);
                }
            }
        }

        #[test]
        fn the_wait_grows_and_is_bounded(backoff in 0_u64..100_000, failures in 1_u32..100, jitter in 0.0..1.0) {
            let retries = Retries { count: 100, backoff_seconds: backoff };
            let (now, later) = (retry_delay(&retries, failures, jitter), retry_delay(&retries, failures + 1, jitter));
            prop_assert!(now <= later && later <= MAX_RETRY_DELAY);
        }
    }

    #[test]
    fn the_wait_doubles_with_every_failure() {
        let retries = Retries { count: 9, backoff_seconds: 10 };
        let seconds: Vec<_> = (1..=4).map(|failures| retry_delay(&retries, failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80]);
        assert_eq!(retry_delay(&retries, 1, 1.0), Duration::from_millis(7500));
        assert_eq!(retry_delay(&retries, 30, f64::NAN), MAX_RETRY_DELAY);
    }

    #[test]
    fn a_lost_worker_does_not_use_up_the_retries_of_the_step() {
        let none = Retries { count: 0, backoff_seconds: 10 };
        assert_eq!(
            after_attempt(AttemptOutcome::Lost, 0, 1, &none, false, 0.0),
            AfterAttempt::TriesAgain(Duration::ZERO)
        );
        assert_eq!(
            after_attempt(AttemptOutcome::Lost, 0, MAX_LOSSES + 1, &none, false, 0.0),
            AfterAttempt::Ends(StepState::Failed)
        );
        assert_eq!(
            after_attempt(AttemptOutcome::Failed, 1, 0, &none, false, 0.0),
            AfterAttempt::Ends(StepState::Failed)
        );
    }
}
