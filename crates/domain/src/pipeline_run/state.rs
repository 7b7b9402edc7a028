//! The states, and the legal moves between them.

use crate::pipeline::TriggerRule;
use serde::{Deserialize, Serialize};

/// A move of a run that its state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pipeline run that is {from} cannot become {to}")]
pub struct IllegalMove {
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
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Cancelling, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The states that this one may become: all legal moves of a run.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            // A try that was taken may end before it has begun, as one does whose worker died in between.
            Self::Queued => &[Self::Running, Self::Cancelling, Self::Succeeded, Self::Failed, Self::Cancelled],
            Self::Running => &[Self::Cancelling, Self::Succeeded, Self::Failed, Self::Cancelled],
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
        let illegal = IllegalMove { from: self.as_str(), to: next.as_str() };
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

    /// The state of a run, now `self`, whose steps at the top stand like this; `begun` when a worker has taken one. Other
    /// branches go on after a step has failed; the run fails when nothing is left that can go on. Steps that were skipped
    /// because of their condition are no failure.
    #[must_use]
    pub fn after(self, steps: StepCounts, begun: bool) -> Self {
        match self {
            _ if self.is_final() => self,
            Self::Queued if begun && steps.open > 0 => Self::Running,
            same if steps.open > 0 => same,
            // The last step may end well before it hears of the request; then nothing was cancelled.
            Self::Cancelling if steps.failed == 0 && steps.cancelled == 0 => Self::Succeeded,
            Self::Cancelling => Self::Cancelled,
            _ => match steps.end() {
                StepState::Cancelled => Self::Cancelled,
                StepState::Failed => Self::Failed,
                _ => Self::Succeeded,
            },
        }
    }
}

/// How many steps that see each other stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepCounts {
    /// Have not ended.
    pub open: u32,
    /// Failed.
    pub failed: u32,
    /// Were cancelled.
    pub cancelled: u32,
}

impl StepCounts {
    /// How whatever consists of them has ended, once none is open.
    #[must_use]
    pub fn end(self) -> StepState {
        match self {
            Self { cancelled: 1.., .. } => StepState::Cancelled,
            Self { failed: 1.., .. } => StepState::Failed,
            _ => StepState::Succeeded,
        }
    }
}

/// What becomes of a waiting step now that some of those before it have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It waits for more.
    Waits,
    /// It is its turn.
    Now,
    /// It will never be.
    Never,
}

impl TriggerRule {
    /// What becomes of a step of which `left` of the steps that it needs have not ended; `lost` when one has ended without
    /// success.
    #[must_use]
    pub fn due(self, left: i32, lost: bool) -> Due {
        match self {
            Self::AllSuccess if lost => Due::Never,
            _ if left > 0 => Due::Waits,
            Self::AllSuccess | Self::AllDone => Due::Now,
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
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Ready, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped, Self::Cancelled];

    /// The states that this one may become: all legal moves of a step.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            // Running at once: one that has steps of its own. Ended at once: one of no instances, or whose condition cannot be
            // evaluated.
            Self::Waiting => {
                &[Self::Ready, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped, Self::Cancelled]
            }
            Self::Ready => &[Self::Running, Self::Cancelled],
            // Ready again: for another try.
            Self::Running => &[Self::Ready, Self::Succeeded, Self::Failed, Self::Cancelled],
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled => &[],
        }
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
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Lost, Self::Cancelled];

    /// The outcomes that this one may become: all legal moves of a try.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Running => &[Self::Succeeded, Self::Failed, Self::TimedOut, Self::Lost, Self::Cancelled],
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Lost | Self::Cancelled => &[],
        }
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
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        run queued -> running cancelling succeeded failed cancelled
        run running -> cancelling succeeded failed cancelled
        run cancelling -> cancelled succeeded
        run succeeded -> 
        run failed -> 
        run cancelled -> 
        step waiting -> ready running succeeded failed skipped cancelled
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
        assert!(PipelineRunState::ALL.iter().all(|state| PipelineRunState::parse(state.as_str()) == Some(*state)));
        assert!(StepState::ALL.iter().all(|state| StepState::parse(state.as_str()) == Some(*state)));
        assert!(AttemptOutcome::ALL.iter().all(|state| AttemptOutcome::parse(state.as_str()) == Some(*state)));
        assert_eq!(serde_json::to_value(AttemptOutcome::TimedOut).unwrap(), AttemptOutcome::TimedOut.as_str());
        assert_eq!(StepState::parse("done"), None);
    }

    #[test]
    fn an_illegal_move_names_both_states() {
        let error = PipelineRunState::Failed.move_to(PipelineRunState::Running).unwrap_err();
        assert_eq!(error.to_string(), "a pipeline run that is failed cannot become running");
        assert_eq!(PipelineRunState::Queued.move_to(PipelineRunState::Running), Ok(PipelineRunState::Running));
    }

    fn counts(open: u32, failed: u32, cancelled: u32) -> StepCounts {
        StepCounts { open, failed, cancelled }
    }

    #[test]
    fn a_run_goes_on_while_another_branch_can() {
        let run = PipelineRunState::Running;
        assert_eq!(run.after(counts(1, 1, 0), true), PipelineRunState::Running);
        assert_eq!(run.after(counts(0, 1, 0), true), PipelineRunState::Failed);
        assert_eq!(run.after(counts(0, 1, 1), true), PipelineRunState::Cancelled);
        assert_eq!(run.after(counts(0, 0, 0), true), PipelineRunState::Succeeded);
        assert_eq!(PipelineRunState::Queued.after(counts(2, 0, 0), false), PipelineRunState::Queued);
        assert_eq!(PipelineRunState::Queued.after(counts(2, 0, 0), true), PipelineRunState::Running);
    }

    #[test]
    fn a_run_whose_steps_all_ended_well_before_the_cancel_reached_them_succeeded() {
        let cancelling = PipelineRunState::Cancelling;
        assert_eq!(cancelling.after(counts(0, 0, 0), true), PipelineRunState::Succeeded);
        assert_eq!(cancelling.after(counts(0, 1, 0), true), PipelineRunState::Cancelled);
        assert_eq!(cancelling.after(counts(1, 0, 0), true), PipelineRunState::Cancelling);
    }

    #[test]
    fn a_step_waits_for_what_it_needs_unless_that_is_lost() {
        assert_eq!(TriggerRule::AllSuccess.due(1, false), Due::Waits);
        assert_eq!(TriggerRule::AllSuccess.due(0, false), Due::Now);
        assert_eq!(TriggerRule::AllSuccess.due(1, true), Due::Never);
        assert_eq!(TriggerRule::AllDone.due(1, true), Due::Waits);
        assert_eq!(TriggerRule::AllDone.due(0, true), Due::Now);
    }

    proptest! {
        #[test]
        fn a_run_moves_only_along_legal_moves(run in run_state(), open in 0_u32..3, failed in 0_u32..3, cancelled in 0_u32..3, begun: bool) {
            let after = run.after(counts(open, failed, cancelled), begun);
            // A queued run whose steps all ended went through running, whoever looked.
            let via_running = run == PipelineRunState::Queued && PipelineRunState::Running.next().contains(&after);
            prop_assert!(after == run || run.next().contains(&after) || via_running, "{run:?} -> {after:?}");
        }

        #[test]
        fn a_run_is_over_exactly_when_no_step_is_open(run in run_state(), open in 0_u32..3, failed in 0_u32..3, cancelled in 0_u32..3) {
            prop_assume!(!run.is_final());
            prop_assert_eq!(run.after(counts(open, failed, cancelled), true).is_final(), open == 0);
        }

        #[test]
        fn a_run_succeeds_only_when_nothing_failed_or_was_cancelled(run in run_state(), failed in 0_u32..3, cancelled in 0_u32..3) {
            prop_assume!(!run.is_final());
            let succeeded = run.after(counts(0, failed, cancelled), true) == PipelineRunState::Succeeded;
            prop_assert_eq!(succeeded, failed == 0 && cancelled == 0);
        }
    }
}
