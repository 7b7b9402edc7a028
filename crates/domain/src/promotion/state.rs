//! Where a promotion stands, the one table of legal moves, and where it goes by itself.

use super::gate::Verdict;
use serde::{Deserialize, Serialize};

/// Where a promotion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromotionState {
    /// Written down; nobody is asked yet.
    Draft,
    /// Its gates are being evaluated.
    GatesRunning,
    /// A gate failed or could not tell. The gates may be run again, or overridden by two people.
    Blocked,
    /// Its gates passed or are overridden; people are asked.
    AwaitingApproval,
    /// Everybody asked has agreed.
    Approved,
    /// It waits for its time: the environment's wait timer, a change window, the end of a freeze.
    Scheduled,
    /// Its version is being loaded where it is to serve.
    Deploying,
    /// Its version is loaded and is tried there, before any traffic reaches it.
    Verifying,
    /// Its version serves.
    Live,
    /// Somebody said no.
    Rejected,
    /// It stood for too long.
    Expired,
    /// The requester took it back.
    Withdrawn,
    /// What was agreed on, or who agreed, no longer holds.
    Invalidated,
    /// A newer version of the same model went live first, or took its place.
    Superseded,
    /// The deployment did not work.
    Aborted,
    /// It was live, and was rolled back.
    RolledBack,
}

impl PromotionState {
    /// All states.
    pub const ALL: [Self; 16] = [
        Self::Draft,
        Self::GatesRunning,
        Self::Blocked,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Scheduled,
        Self::Deploying,
        Self::Verifying,
        Self::Live,
        Self::Rejected,
        Self::Expired,
        Self::Withdrawn,
        Self::Invalidated,
        Self::Superseded,
        Self::Aborted,
        Self::RolledBack,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::GatesRunning => "gates_running",
            Self::Blocked => "blocked",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Deploying => "deploying",
            Self::Verifying => "verifying",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Invalidated => "invalidated",
            Self::Superseded => "superseded",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled_back",
        }
    }

    /// The name for people, to end the sentence "It …".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Draft => "is a draft",
            Self::GatesRunning => "is running its gates",
            Self::Blocked => "is blocked by its gates",
            Self::AwaitingApproval => "awaits approval",
            Self::Approved => "is approved",
            Self::Scheduled => "is approved and waits for its time",
            Self::Deploying => "is being deployed",
            Self::Verifying => "is being verified",
            Self::Live => "is live",
            Self::Rejected => "was rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "was withdrawn",
            Self::Invalidated => "was invalidated",
            Self::Superseded => "was superseded",
            Self::Aborted => "was aborted",
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
        self.may_expire() || self.is_under_way()
    }

    /// Whether it is open and waits for something, so that it can expire or be withdrawn.
    #[must_use]
    pub fn may_expire(self) -> bool {
        matches!(
            self,
            Self::Draft
                | Self::GatesRunning
                | Self::Blocked
                | Self::AwaitingApproval
                | Self::Approved
                | Self::Scheduled
        )
    }

    /// Whether its version is on its way into the environment.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Deploying | Self::Verifying)
    }

    /// Whether people have agreed, and it is not live yet: what they agreed to is held against the present at each step.
    #[must_use]
    pub fn is_agreed(self) -> bool {
        matches!(self, Self::Approved | Self::Scheduled | Self::Deploying | Self::Verifying)
    }

    /// The states in which something can happen before it is live.
    pub fn open() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|state| state.is_open())
    }

    /// Where it may go from here: the whole table of legal moves.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        use PromotionState as S;
        match self {
            S::Draft => &[S::GatesRunning, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded],
            S::GatesRunning => {
                &[S::Blocked, S::AwaitingApproval, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::Blocked => {
                &[S::GatesRunning, S::AwaitingApproval, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::AwaitingApproval => {
                &[S::GatesRunning, S::Approved, S::Rejected, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::Approved => &[S::Scheduled, S::Deploying, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded],
            S::Scheduled => &[S::Deploying, S::Expired, S::Withdrawn, S::Invalidated, S::Superseded],
            S::Deploying => &[S::Verifying, S::Aborted, S::Invalidated, S::Superseded],
            S::Verifying => &[S::Live, S::Aborted, S::Invalidated, S::Superseded],
            S::Live => &[S::Superseded, S::RolledBack],
            S::Rejected | S::Expired | S::Withdrawn | S::Invalidated | S::Superseded | S::Aborted | S::RolledBack => {
                &[]
            }
        }
    }
}

/// What the gates of a promotion say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatesStand {
    /// One of them has not been evaluated.
    Pending,
    /// One failed or could not tell.
    Held,
    /// All passed, or those that did not are overridden by two people.
    Passed,
}

/// What gates say together. `overridden` holds for those that failed or could not tell.
#[must_use]
pub fn together(verdicts: impl IntoIterator<Item = Verdict>, overridden: bool) -> GatesStand {
    let mut stand = GatesStand::Passed;
    for verdict in verdicts {
        match verdict {
            Verdict::Pending => return GatesStand::Pending,
            Verdict::Pass => {}
            Verdict::Fail | Verdict::Inconclusive => stand = GatesStand::Held,
        }
    }
    if overridden && stand == GatesStand::Held { GatesStand::Passed } else { stand }
}

/// What became of trying to deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was not tried, or cannot be tried here.
    Not,
    /// It worked.
    Worked,
    /// It did not.
    Failed,
}

/// What is so at one moment, read in the transaction that acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the request has stood for as long as its policies let it.
    pub expired: bool,
    /// Whether what it asks for still exists.
    pub exists: bool,
    /// Whether the digest, made again from the tables, is the one that was agreed on, its policies did not become
    /// stricter, and its evidence is not too old.
    pub holds: bool,
    /// What its gates say.
    pub gates: GatesStand,
    /// Whether every rule is satisfied by people who count now, and nobody's request for changes stands.
    pub satisfied: bool,
    /// Whether it may be deployed now: the wait timer ran out, a window is open, no freeze holds or it is overridden.
    pub due: bool,
    /// What became of loading or verifying.
    pub attempt: Attempt,
}

/// Where a promotion goes by itself from where it stands, when these are the facts; nowhere when it waits for something.
///
/// This is the only function that lets a promotion be live. The order of its questions is the order of what matters: what
/// is gone, then what is too late, then what no longer holds, and only then what may go on.
#[must_use]
pub fn advance(state: PromotionState, facts: &Facts) -> Option<PromotionState> {
    use PromotionState as S;
    if !state.is_open() {
        return None;
    }
    if !facts.exists {
        return Some(S::Invalidated);
    }
    if facts.expired && state.may_expire() {
        return Some(S::Expired);
    }
    match state {
        S::GatesRunning => match facts.gates {
            GatesStand::Pending => None,
            GatesStand::Held => Some(S::Blocked),
            GatesStand::Passed => Some(S::AwaitingApproval),
        },
        S::Blocked => (facts.gates == GatesStand::Passed).then_some(S::AwaitingApproval),
        S::AwaitingApproval if !facts.holds || facts.gates != GatesStand::Passed => Some(S::Invalidated),
        S::AwaitingApproval => facts.satisfied.then_some(S::Approved),
        _ if state.is_agreed() && !(facts.holds && facts.satisfied && facts.gates == GatesStand::Passed) => {
            Some(S::Invalidated)
        }
        S::Approved if !facts.due => Some(S::Scheduled),
        S::Approved | S::Scheduled => facts.due.then_some(S::Deploying),
        // A freeze began meanwhile that lets nothing finish.
        S::Deploying | S::Verifying if !facts.due => Some(S::Aborted),
        S::Deploying | S::Verifying => match (facts.attempt, state) {
            (Attempt::Not, _) => None,
            (Attempt::Failed, _) => Some(S::Aborted),
            (Attempt::Worked, S::Deploying) => Some(S::Verifying),
            (Attempt::Worked, _) => Some(S::Live),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_gate_that_cannot_tell_holds_all_unless_two_people_override_it() {
        use Verdict::{Inconclusive, Pass, Pending};
        assert_eq!(together([Pass, Inconclusive], false), GatesStand::Held);
        assert_eq!(together([Pass, Inconclusive], true), GatesStand::Passed);
        assert_eq!(together([Inconclusive, Pending], true), GatesStand::Pending);
        assert_eq!(together([Pass, Pass], false), GatesStand::Passed);
        assert_eq!(together([], false), GatesStand::Passed);
    }

    #[test]
    fn what_is_open_can_move_and_what_has_ended_cannot() {
        for state in PromotionState::ALL {
            let ended = state.next().is_empty();
            assert_eq!(state.is_open() || state == PromotionState::Live, !ended, "{state:?}");
            assert_eq!(PromotionState::parse(state.as_str()), Some(state));
            assert_eq!(state.next().contains(&PromotionState::Expired), state.may_expire(), "{state:?}");
            assert_eq!(state.next().contains(&PromotionState::Withdrawn), state.may_expire(), "{state:?}");
        }
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let gates = prop_oneof![
            1 => Just(GatesStand::Pending), 1 => Just(GatesStand::Held), 4 => Just(GatesStand::Passed)];
        let attempt = prop_oneof![1 => Just(Attempt::Not), 1 => Just(Attempt::Failed), 4 => Just(Attempt::Worked)];
        let mostly = |likely: bool| prop_oneof![4 => Just(likely), 1 => Just(!likely)];
        (mostly(false), mostly(true), mostly(true), gates, mostly(true), mostly(true), attempt).prop_map(
            |(expired, exists, holds, gates, satisfied, due, attempt)| Facts {
                expired,
                exists,
                holds,
                gates,
                satisfied,
                due,
                attempt,
            },
        )
    }

    /// What people do to a promotion, whatever the facts are.
    fn by_hand(state: PromotionState, choice: usize) -> Option<PromotionState> {
        use PromotionState as S;
        let all = [S::GatesRunning, S::Withdrawn, S::Rejected, S::Superseded, S::RolledBack];
        all.get(choice).copied().filter(|to| state.next().contains(to))
    }

    proptest! {
        /// However facts change and whatever people do, what is live had at that moment every gate passed or
        /// overridden, every rule satisfied, on the digest that was deployed, and went through every station.
        #[test]
        fn live_is_reached_only_with_all_of_it(
            steps in proptest::collection::vec((facts(), 0_usize..40), 0..60),
        ) {
            let mut path = vec![PromotionState::Draft];
            for (facts, choice) in steps {
                let from = path[path.len() - 1];
                let Some(to) = by_hand(from, choice).or_else(|| advance(from, &facts)) else { continue };
                prop_assert!(from.next().contains(&to), "{from:?} → {to:?} is in no table");
                if to == PromotionState::Live {
                    prop_assert!(facts.exists && facts.holds && facts.satisfied && facts.due, "{facts:?}");
                    prop_assert_eq!(facts.gates, GatesStand::Passed);
                    prop_assert_eq!(facts.attempt, Attempt::Worked);
                }
                path.push(to);
            }
            if let Some(live) = path.iter().position(|state| *state == PromotionState::Live) {
                let way: Vec<_> = path[..live].iter().filter(|s| **s != PromotionState::Scheduled).copied().collect();
                prop_assert_eq!(&way[way.len() - 4..], &[PromotionState::AwaitingApproval, PromotionState::Approved,
                    PromotionState::Deploying, PromotionState::Verifying]);
            }
        }

        /// Every promotion that is open ends, or waits for something that can be named.
        #[test]
        fn nothing_moves_in_a_circle_by_itself(facts in facts()) {
            for from in PromotionState::ALL {
                let (mut state, mut moves) = (from, 0);
                while let Some(next) = advance(state, &facts) {
                    state = next;
                    moves += 1;
                    prop_assert!(moves < 10, "{from:?} with {facts:?}");
                }
            }
        }
    }
}
