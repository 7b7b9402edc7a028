//! Where a promotion stands, and the one table of legal moves.

use super::gate::Verdict;
use serde::{Deserialize, Serialize};

/// Where a promotion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromotionState {
    /// Its gates are being evaluated.
    GatesRunning,
    /// A gate failed or could not tell. The gates may be run again.
    Blocked,
    /// Its gates passed; people are asked.
    AwaitingApproval,
    /// Everybody asked has agreed.
    Approved,
    /// Its version is being brought into the environment.
    Deploying,
    /// Its version serves.
    Live,
    /// Somebody said no.
    Rejected,
    /// The requester took it back.
    Withdrawn,
    /// What was asked for does not exist any more.
    Invalidated,
    /// A newer version of the same model went live first, or took its place.
    Superseded,
    /// The deployment did not work.
    Failed,
    /// It was live, and was rolled back.
    RolledBack,
}

impl PromotionState {
    /// All states.
    pub const ALL: [Self; 12] = [
        Self::GatesRunning,
        Self::Blocked,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Deploying,
        Self::Live,
        Self::Rejected,
        Self::Withdrawn,
        Self::Invalidated,
        Self::Superseded,
        Self::Failed,
        Self::RolledBack,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatesRunning => "gates_running",
            Self::Blocked => "blocked",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Deploying => "deploying",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Invalidated => "invalidated",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
        }
    }

    /// The name for people, to end the sentence "It …".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::GatesRunning => "is running its gates",
            Self::Blocked => "is blocked by its gates",
            Self::AwaitingApproval => "awaits approval",
            Self::Approved => "is approved",
            Self::Deploying => "is being deployed",
            Self::Live => "is live",
            Self::Rejected => "was rejected",
            Self::Withdrawn => "was withdrawn",
            Self::Invalidated => "was invalidated",
            Self::Superseded => "was superseded",
            Self::Failed => "failed",
            Self::RolledBack => "was rolled back",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether anything can still happen to it before it is live.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::GatesRunning | Self::Blocked | Self::AwaitingApproval | Self::Approved | Self::Deploying)
    }

    /// The states in which something can.
    pub fn open() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|state| state.is_open())
    }

    /// Where it may go from here: the whole table of legal moves.
    ///
    /// The moves back are how agreement falls away: to [`Self::GatesRunning`] when what was agreed on changed, to
    /// [`Self::AwaitingApproval`] when it did not, but too few of those who agreed still count.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        use PromotionState as S;
        match self {
            S::GatesRunning => &[S::Blocked, S::AwaitingApproval, S::Withdrawn, S::Invalidated, S::Superseded],
            S::Blocked => &[S::GatesRunning, S::Withdrawn, S::Invalidated, S::Superseded],
            S::AwaitingApproval => {
                &[S::GatesRunning, S::Approved, S::Rejected, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::Approved => {
                &[S::GatesRunning, S::AwaitingApproval, S::Deploying, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::Deploying => &[S::GatesRunning, S::AwaitingApproval, S::Live, S::Failed, S::Invalidated, S::Superseded],
            S::Live => &[S::Superseded, S::RolledBack],
            S::Rejected | S::Withdrawn | S::Invalidated | S::Superseded | S::Failed | S::RolledBack => &[],
        }
    }
}

/// What the gates together say about where the promotion goes.
#[must_use]
pub fn after_gates(verdicts: impl IntoIterator<Item = Verdict>) -> PromotionState {
    let mut state = PromotionState::AwaitingApproval;
    for verdict in verdicts {
        match verdict {
            Verdict::Pending => return PromotionState::GatesRunning,
            Verdict::Pass => {}
            Verdict::Fail | Verdict::Inconclusive => state = PromotionState::Blocked,
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_gate_that_cannot_tell_blocks_all() {
        assert_eq!(after_gates([Verdict::Pass, Verdict::Inconclusive]), PromotionState::Blocked);
        assert_eq!(after_gates([Verdict::Pass, Verdict::Pending]), PromotionState::GatesRunning);
        assert_eq!(after_gates([Verdict::Pass, Verdict::Pass]), PromotionState::AwaitingApproval);
        assert_eq!(after_gates([]), PromotionState::AwaitingApproval);
    }

    #[test]
    fn what_is_open_can_move_and_what_has_ended_cannot() {
        for state in PromotionState::ALL {
            let ended = state.next().is_empty();
            assert_eq!(state.is_open() || state == PromotionState::Live, !ended, "{state:?}");
        }
    }

    proptest! {
        /// However events come, nothing is live that did not pass its gates, was approved and was deployed.
        #[test]
        fn live_is_reached_only_through_every_station(moves in proptest::collection::vec(0_usize..12, 0..40)) {
            let mut path = vec![PromotionState::GatesRunning];
            for to in moves {
                let (from, to) = (path[path.len() - 1], PromotionState::ALL[to]);
                if from.next().contains(&to) {
                    path.push(to);
                }
            }
            if let Some(live) = path.iter().position(|state| *state == PromotionState::Live) {
                prop_assert_eq!(&path[live - 3..live],
                    &[PromotionState::AwaitingApproval, PromotionState::Approved, PromotionState::Deploying]);
            }
        }
    }
}
