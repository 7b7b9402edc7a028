//! The states, and the legal moves between them.

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

    /// The state of a run, now `self`, whose steps stand like this. Other branches go on after a step has failed; the
    /// run fails when nothing is left that can go on.
    #[must_use]
    pub fn after(self, steps: impl IntoIterator<Item = StepState>) -> Self {
        if self.is_final() {
            return self;
        }
        let (mut all_final, mut all_succeeded, mut some_cancelled, mut some_begun) = (true, true, false, false);
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
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Ready, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped, Self::Cancelled];

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
        run queued -> running cancelling succeeded failed cancelled
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

    #[test]
    fn a_run_goes_on_while_another_branch_can() {
        use StepState as S;
        let run = PipelineRunState::Running;
        assert_eq!(run.after([S::Failed, S::Running, S::Skipped]), PipelineRunState::Running);
        assert_eq!(run.after([S::Failed, S::Succeeded, S::Skipped]), PipelineRunState::Failed);
        assert_eq!(run.after([S::Succeeded, S::Cancelled]), PipelineRunState::Cancelled);
        assert_eq!(PipelineRunState::Queued.after([S::Ready, S::Waiting]), PipelineRunState::Queued);
        assert_eq!(PipelineRunState::Queued.after([S::Running, S::Waiting]), PipelineRunState::Running);
    }

    #[test]
    fn a_run_whose_steps_all_ended_well_before_the_cancel_reached_them_succeeded() {
        let cancelling = PipelineRunState::Cancelling;
        assert_eq!(cancelling.after([StepState::Succeeded, StepState::Succeeded]), PipelineRunState::Succeeded);
        assert_eq!(cancelling.after([StepState::Succeeded, StepState::Failed]), PipelineRunState::Cancelled);
        assert_eq!(cancelling.after([StepState::Succeeded, StepState::Running]), PipelineRunState::Cancelling);
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
    }
}
