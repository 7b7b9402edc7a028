//! Runs of a pipeline: the states of a run, of its steps and of their tries, and the rules that move them.
//!
//! Everything here is a pure function of what it is given. Who holds a step, and until when, is the store's business.

use crate::{
    Digest,
    id::{PipelineId, PipelineRunId, PipelineVersionId, UserId, WorkspaceId},
    pipeline::{ParamValue, Retries},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// One execution of a pipeline version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRun {
    /// The run.
    pub id: PipelineRunId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline_name: String,
    /// Which version of the pipeline's file it runs.
    pub version_id: PipelineVersionId,
    /// The number of that version: 1, 2, 3 …
    pub version_number: i32,
    /// The digest of that version.
    pub digest: Digest,
    /// Its number in the workspace, for people.
    pub number: i64,
    /// Where it stands.
    pub state: PipelineRunState,
    /// The value of every param.
    pub params: BTreeMap<String, ParamValue>,
    /// What started it.
    pub cause: RunCause,
    /// The alert, for a trigger.
    pub cause_id: Option<String>,
    /// Who started it, when a member did.
    pub started_by: Option<UserId>,
    /// The name of who or what started it.
    pub started_by_name: String,
    /// When somebody asked to cancel it.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// Somebody in the browser.
    Person,
    /// A token.
    Api,
    /// A trigger, because an alert opened.
    Trigger,
}

impl RunCause {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Api => "api",
            Self::Trigger => "trigger",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Person, Self::Api, Self::Trigger]
            .into_iter()
            .find(|cause| cause.as_str() == text)
    }
}

/// A move that its states do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {noun} that is {from} cannot become {to}")]
pub struct IllegalMove {
    /// What was to move.
    pub noun: &'static str,
    /// Where it stands.
    pub from: &'static str,
    /// Where it was to go.
    pub to: &'static str,
}

/// Where a pipeline run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PipelineRunState {
    /// No step has begun.
    Queued,
    /// A step has begun, and there is more to do.
    Running,
    /// Somebody asked to cancel it, and steps still run.
    Cancelling,
    /// Every step succeeded.
    Succeeded,
    /// A step failed, and nothing more can run.
    Failed,
    /// It was cancelled, and nothing runs any more.
    Cancelled,
}

impl PipelineRunState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The states that this one may become: all legal moves of a run.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Queued => &[Self::Running, Self::Cancelling, Self::Cancelled],
            Self::Running => &[
                Self::Cancelling,
                Self::Succeeded,
                Self::Failed,
                Self::Cancelled,
            ],
            // The last step may end well before it hears of the request; then nothing was cancelled.
            Self::Cancelling => &[Self::Cancelled, Self::Succeeded],
            Self::Succeeded | Self::Failed | Self::Cancelled => &[],
        }
    }

    /// Moves on.
    ///
    /// # Errors
    /// When the move is not among [`Self::next`].
    pub fn move_to(self, next: Self) -> Result<Self, IllegalMove> {
        let illegal = IllegalMove {
            noun: "pipeline run",
            from: self.as_str(),
            to: next.as_str(),
        };
        self.next().contains(&next).then_some(next).ok_or(illegal)
    }

    /// Whether it stays so for ever.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The state of a run, now `self`, whose steps stand like this. Other branches go on after a step has failed; the
    /// run fails when nothing is left that can go on.
    #[must_use]
    pub fn after(self, steps: impl IntoIterator<Item = StepState>) -> Self {
        if self.is_final() {
            return self;
        }
        let (mut all_final, mut all_succeeded, mut some_cancelled, mut some_begun) =
            (true, true, false, false);
        for step in steps {
            all_final &= step.is_final();
            all_succeeded &= step == StepState::Succeeded;
            some_cancelled |= step == StepState::Cancelled;
            some_begun |= !matches!(step, StepState::Waiting | StepState::Ready);
        }
        match self {
            _ if all_succeeded => Self::Succeeded,
            Self::Cancelling if all_final => Self::Cancelled,
            _ if all_final && some_cancelled => Self::Cancelled,
            _ if all_final => Self::Failed,
            Self::Queued if some_begun => Self::Running,
            same => same,
        }
    }
}

/// Where a step of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// For steps that it needs.
    Waiting,
    /// For a worker, or for the time of its next try.
    Ready,
    /// A worker has it.
    Running,
    /// Its command ended well, and its outputs are there.
    Succeeded,
    /// Its command failed as often as it may, or its workers were lost too often.
    Failed,
    /// Never begun, because a step that it needs did not succeed.
    Skipped,
    /// The run was cancelled before it ended.
    Cancelled,
}

impl StepState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Ready,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The states that this one may become: all legal moves of a step.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Waiting => &[Self::Ready, Self::Skipped, Self::Cancelled],
            Self::Ready => &[Self::Running, Self::Cancelled],
            // Ready again: for another try.
            Self::Running => &[Self::Ready, Self::Succeeded, Self::Failed, Self::Cancelled],
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled => &[],
        }
    }

    /// Moves on.
    ///
    /// # Errors
    /// When the move is not among [`Self::next`].
    pub fn move_to(self, next: Self) -> Result<Self, IllegalMove> {
        let illegal = IllegalMove {
            noun: "step",
            from: self.as_str(),
            to: next.as_str(),
        };
        self.next().contains(&next).then_some(next).ok_or(illegal)
    }

    /// Whether it stays so for ever.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How one try of a step ended, or that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It runs.
    Running,
    /// The command exited with 0, and its outputs are there.
    Succeeded,
    /// The command exited otherwise, could not be started, or left an output out.
    Failed,
    /// It took longer than the step allows.
    TimedOut,
    /// Its worker lost it: died, hung, or could not renew its lease. Nobody knows how far it came.
    Lost,
    /// The run was cancelled.
    Cancelled,
}

impl AttemptOutcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Lost,
        Self::Cancelled,
    ];

    /// The outcomes that this one may become: all legal moves of a try.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Running => &[
                Self::Succeeded,
                Self::Failed,
                Self::TimedOut,
                Self::Lost,
                Self::Cancelled,
            ],
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Lost | Self::Cancelled => &[],
        }
    }

    /// Moves on.
    ///
    /// # Errors
    /// When the move is not among [`Self::next`].
    pub fn move_to(self, next: Self) -> Result<Self, IllegalMove> {
        let illegal = IllegalMove {
            noun: "try",
            from: self.as_str(),
            to: next.as_str(),
        };
        self.next().contains(&next).then_some(next).ok_or(illegal)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

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
        AttemptOutcome::Failed
        | AttemptOutcome::TimedOut
        | AttemptOutcome::Lost
        | AttemptOutcome::Running => AfterAttempt::Ends(StepState::Failed),
    }
}

/// How long to wait before another try after so many failures: the step's backoff, doubled with every failure after the
/// first, at most [`MAX_RETRY_DELAY`]. `jitter` in 0..1 takes up to a quarter away, so that steps that failed together
/// do not come back together.
#[must_use]
pub fn retry_delay(retries: &Retries, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let delay = Duration::from_secs(retries.backoff_seconds)
        .saturating_mul(1 << doublings)
        .min(MAX_RETRY_DELAY);
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.0
    };
    delay.mul_f64(1.0 - jitter / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step_state() -> impl Strategy<Value = StepState> {
        proptest::sample::select(StepState::ALL.to_vec())
    }

    fn run_state() -> impl Strategy<Value = PipelineRunState> {
        proptest::sample::select(PipelineRunState::ALL.to_vec())
    }

    #[test]
    fn the_moves_are_what_the_documentation_shows() {
        let mut table = String::new();
        for state in PipelineRunState::ALL {
            let next: Vec<_> = state.next().iter().map(|next| next.as_str()).collect();
            table += &format!("run {} -> {}\n", state.as_str(), next.join(" "));
        }
        for state in StepState::ALL {
            let next: Vec<_> = state.next().iter().map(|next| next.as_str()).collect();
            table += &format!("step {} -> {}\n", state.as_str(), next.join(" "));
        }
        for state in AttemptOutcome::ALL {
            let next: Vec<_> = state.next().iter().map(|next| next.as_str()).collect();
            table += &format!("try {} -> {}\n", state.as_str(), next.join(" "));
        }
        insta::assert_snapshot!(table, @r"
        run queued -> running cancelling cancelled
        run running -> cancelling succeeded failed cancelled
        run cancelling -> cancelled succeeded
        run succeeded -> 
        run failed -> 
        run cancelled -> 
        step waiting -> ready skipped cancelled
        step ready -> running cancelled
        step running -> ready succeeded failed cancelled
        step succeeded -> 
        step failed -> 
        step skipped -> 
        step cancelled -> 
        try running -> succeeded failed timed_out lost cancelled
        try succeeded -> 
        try failed -> 
        try timed_out -> 
        try lost -> 
        try cancelled ->
        ");
    }

    #[test]
    fn every_name_reads_back() {
        assert!(
            PipelineRunState::ALL
                .iter()
                .all(|state| PipelineRunState::parse(state.as_str()) == Some(*state))
        );
        assert!(
            StepState::ALL
                .iter()
                .all(|state| StepState::parse(state.as_str()) == Some(*state))
        );
        assert!(
            AttemptOutcome::ALL
                .iter()
                .all(|state| AttemptOutcome::parse(state.as_str()) == Some(*state))
        );
        assert_eq!(
            serde_json::to_value(AttemptOutcome::TimedOut).unwrap(),
            AttemptOutcome::TimedOut.as_str()
        );
        assert_eq!(StepState::parse("done"), None);
    }

    #[test]
    fn an_illegal_move_names_both_states() {
        let error = StepState::Skipped.move_to(StepState::Running).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a step that is skipped cannot become running"
        );
        assert_eq!(
            StepState::Ready.move_to(StepState::Running),
            Ok(StepState::Running)
        );
    }

    #[test]
    fn a_run_goes_on_while_another_branch_can() {
        use StepState as S;
        let run = PipelineRunState::Running;
        assert_eq!(
            run.after([S::Failed, S::Running, S::Skipped]),
            PipelineRunState::Running
        );
        assert_eq!(
            run.after([S::Failed, S::Succeeded, S::Skipped]),
            PipelineRunState::Failed
        );
        assert_eq!(
            run.after([S::Succeeded, S::Cancelled]),
            PipelineRunState::Cancelled
        );
        assert_eq!(
            PipelineRunState::Queued.after([S::Ready, S::Waiting]),
            PipelineRunState::Queued
        );
        assert_eq!(
            PipelineRunState::Queued.after([S::Running, S::Waiting]),
            PipelineRunState::Running
        );
    }

    #[test]
    fn a_run_whose_steps_all_ended_well_before_the_cancel_reached_them_succeeded() {
        let cancelling = PipelineRunState::Cancelling;
        assert_eq!(
            cancelling.after([StepState::Succeeded, StepState::Succeeded]),
            PipelineRunState::Succeeded
        );
        assert_eq!(
            cancelling.after([StepState::Succeeded, StepState::Failed]),
            PipelineRunState::Cancelled
        );
        assert_eq!(
            cancelling.after([StepState::Succeeded, StepState::Running]),
            PipelineRunState::Cancelling
        );
    }

    proptest! {
        #[test]
        fn a_run_moves_only_along_legal_moves(run in run_state(), steps in prop::collection::vec(step_state(), 1..8)) {
            let after = run.after(steps.iter().copied());
            // A queued run whose steps all ended went through running, whoever looked.
            let via_running = run == PipelineRunState::Queued && PipelineRunState::Running.next().contains(&after);
            prop_assert!(after == run || run.next().contains(&after) || via_running, "{run:?} -> {after:?}");
        }

        #[test]
        fn a_run_is_over_exactly_when_all_its_steps_are(run in run_state(), steps in prop::collection::vec(step_state(), 1..8)) {
            prop_assume!(!run.is_final());
            let over = steps.iter().all(|step| step.is_final());
            prop_assert_eq!(run.after(steps).is_final(), over);
        }

        #[test]
        fn a_run_succeeds_only_when_every_step_did(run in run_state(), steps in prop::collection::vec(step_state(), 1..8)) {
            prop_assume!(!run.is_final());
            let succeeded = run.after(steps.iter().copied()) == PipelineRunState::Succeeded;
            prop_assert_eq!(succeeded, steps.iter().all(|step| *step == StepState::Succeeded));
        }

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
        let retries = Retries {
            count: 9,
            backoff_seconds: 10,
        };
        let seconds: Vec<_> = (1..=4)
            .map(|failures| retry_delay(&retries, failures, 0.0).as_secs())
            .collect();
        assert_eq!(seconds, [10, 20, 40, 80]);
        assert_eq!(retry_delay(&retries, 1, 1.0), Duration::from_millis(7500));
        assert_eq!(retry_delay(&retries, 30, f64::NAN), MAX_RETRY_DELAY);
    }

    #[test]
    fn a_lost_worker_does_not_use_up_the_retries_of_the_step() {
        let none = Retries {
            count: 0,
            backoff_seconds: 10,
        };
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
