//! What a step does after a try has ended: whether it is tried again, and when.

use super::{AttemptOutcome, StepState};
use crate::pipeline::Retries;
use std::time::Duration;

/// How many tries of a step may be lost with their workers before it fails: a step that takes its worker down must not
/// go round for ever.
pub const MAX_LOSSES: u32 = 5;

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

/// How long to wait before another try after so many failures: the step's backoff, times its factor for every failure after
/// the first, and not longer than its longest wait. `jitter` in 0..1 takes up to the step's share of jitter away.
#[must_use]
pub fn retry_delay(retries: &Retries, failures: u32, jitter: f64) -> Duration {
    let longest = Duration::from_secs(retries.max_seconds);
    let growth = retries.factor.max(1.0).powi(i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX));
    let seconds = Duration::from_secs(retries.backoff_seconds).as_secs_f64() * growth;
    let delay = Duration::try_from_secs_f64(seconds).unwrap_or(longest).min(longest);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    delay.mul_f64(1.0 - jitter * retries.jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONGEST: Duration = Duration::from_secs(15 * 60);

    proptest! {
        #[test]
        fn the_step_after_a_try_is_one_it_may_become(
            outcome in proptest::sample::select(AttemptOutcome::ALL[1..].to_vec()),
            failures in 1_u32..30, losses in 1_u32..30, count in 0_u32..20, cancelling: bool, jitter in 0.0..1.0,
        ) {
            let retries = Retries { count, ..Retries::default() };
            match after_attempt(outcome, failures, losses, &retries, cancelling, jitter) {
                AfterAttempt::Ends(state) => prop_assert!(state.is_final() && StepState::Running.next().contains(&state)),
                AfterAttempt::TriesAgain(delay) => {
                    prop_assert!(!cancelling && delay <= LONGEST);
                    let allowed = if outcome == AttemptOutcome::Lost { losses <= MAX_LOSSES } else { failures <= count };
                    prop_assert!(allowed);
                }
            }
        }

        #[test]
        fn the_wait_grows_and_is_bounded(backoff in 0_u64..100_000, failures in 1_u32..100, jitter in 0.0..1.0) {
            let retries = Retries { count: 100, backoff_seconds: backoff, ..Retries::default() };
            let (now, later) = (retry_delay(&retries, failures, jitter), retry_delay(&retries, failures + 1, jitter));
            prop_assert!(now <= later && later <= LONGEST);
        }
    }

    #[test]
    fn the_wait_doubles_with_every_failure() {
        let retries = Retries { count: 9, ..Retries::default() };
        let seconds: Vec<_> = (1..=4).map(|failures| retry_delay(&retries, failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80]);
        assert_eq!(retry_delay(&retries, 1, 1.0), Duration::from_millis(7500));
        assert_eq!(retry_delay(&retries, 30, f64::NAN), LONGEST);
    }

    #[test]
    fn a_step_may_say_how_its_waits_grow() {
        let retries = Retries { count: 9, backoff_seconds: 1, factor: 3.0, max_seconds: 20, jitter: 1.0 };
        let seconds: Vec<_> = (1..=4).map(|failures| retry_delay(&retries, failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 3, 9, 20]);
        assert_eq!(retry_delay(&retries, 4, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_lost_worker_does_not_use_up_the_retries_of_the_step() {
        let none = Retries::default();
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
