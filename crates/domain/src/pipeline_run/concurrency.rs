//! How many runs of a pipeline are open at once, and what happens with one more.

use crate::{error::Error, permission::UnknownName};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How many runs of a pipeline may be open at once. A setting of the pipeline, not a part of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// What happens with one more.
    pub policy: ConcurrencyPolicy,
    /// How many runs.
    pub limit: i32,
}

/// What happens with a run that is started while as many are open as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyPolicy {
    /// It waits until one before it has ended. The first to come is the first to go.
    Queue,
    /// The oldest is cancelled, and it begins when that has ended.
    Replace,
    /// It is not started.
    Skip,
}

impl ConcurrencyPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Replace, Self::Skip];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Replace => "replace",
            Self::Skip => "skip",
        }
    }
}

impl FromStr for ConcurrencyPolicy {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// The most runs that wait for others of their pipeline.
pub const MAX_HELD: i64 = 1000;

/// What becomes of a run that is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It begins.
    Begins,
    /// It waits for others to end.
    Waits,
    /// It is not started.
    Refused,
}

/// What is to be done with the open runs of a pipeline, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Runs that wait and whose turn it is.
    pub begin: Vec<i64>,
    /// Runs that are to be cancelled.
    pub cancel: Vec<i64>,
}

impl Concurrency {
    /// Refuses a limit that is none.
    ///
    /// # Errors
    /// Of the field `limit`.
    pub fn check(self) -> Result<(), Error> {
        if (1..=1000).contains(&self.limit) {
            return Ok(());
        }
        Err(Error::invalid_field("limit", "From 1 to 1000 runs of a pipeline are open at once."))
    }

    fn places(self) -> usize {
        usize::try_from(self.limit).unwrap_or(1)
    }

    /// What becomes of one more, while so many have begun and so many wait. Who waits goes first.
    #[must_use]
    pub fn admit(self, begun: i64, held: i64) -> Admission {
        match self.policy {
            _ if begun + held < i64::from(self.limit) => Admission::Begins,
            ConcurrencyPolicy::Skip => Admission::Refused,
            ConcurrencyPolicy::Queue | ConcurrencyPolicy::Replace if held >= MAX_HELD => Admission::Refused,
            ConcurrencyPolicy::Queue | ConcurrencyPolicy::Replace => Admission::Waits,
        }
    }

    /// What is to be done, when these runs have begun (with whether they are being cancelled) and these wait; both oldest
    /// first.
    #[must_use]
    pub fn turn(self, begun: &[(i64, bool)], held: &[i64]) -> Turn {
        let free = self.places().saturating_sub(begun.len());
        if self.policy != ConcurrencyPolicy::Replace {
            return Turn { begin: held.iter().copied().take(free).collect(), cancel: Vec::new() };
        }
        // The newest stay, whether they have begun or not.
        let mut open: Vec<i64> = begun.iter().map(|(run, _)| *run).chain(held.iter().copied()).collect();
        open.sort_unstable();
        let stays = open.split_off(open.len().saturating_sub(self.places()));
        let is_over = |run: &i64| !stays.contains(run);
        let begun = begun.iter().filter(|(run, cancelling)| !cancelling && is_over(run)).map(|(run, _)| *run);
        Turn {
            cancel: begun.chain(held.iter().copied().filter(is_over)).collect(),
            begin: held.iter().copied().filter(|run| !is_over(run)).take(free).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConcurrencyPolicy as P;
    use proptest::prelude::*;

    fn of(policy: P, limit: i32) -> Concurrency {
        Concurrency { policy, limit }
    }

    #[test]
    fn one_more_waits_or_is_refused_when_all_places_are_taken() {
        assert_eq!(of(P::Queue, 2).admit(1, 0), Admission::Begins);
        assert_eq!(of(P::Queue, 2).admit(2, 0), Admission::Waits);
        assert_eq!(of(P::Queue, 2).admit(1, 1), Admission::Waits, "who waits goes first");
        assert_eq!(of(P::Queue, 1).admit(1, MAX_HELD), Admission::Refused);
        assert_eq!(of(P::Replace, 1).admit(1, 0), Admission::Waits);
        assert_eq!(of(P::Skip, 1).admit(1, 0), Admission::Refused);
        assert_eq!(of(P::Skip, 1).admit(0, 0), Admission::Begins);
    }

    #[test]
    fn a_queue_goes_on_with_the_oldest() {
        assert_eq!(of(P::Queue, 2).turn(&[(3, false)], &[4, 5]), Turn { begin: vec![4], cancel: vec![] });
        assert_eq!(of(P::Queue, 1).turn(&[(3, true)], &[4]), Turn::default());
    }

    #[test]
    fn the_newest_replaces_whatever_is_older() {
        assert_eq!(of(P::Replace, 1).turn(&[(3, false)], &[4, 5]), Turn { begin: vec![], cancel: vec![3, 4] });
        assert_eq!(of(P::Replace, 1).turn(&[(3, true)], &[5]), Turn::default(), "it is being cancelled already");
        assert_eq!(of(P::Replace, 1).turn(&[], &[5]), Turn { begin: vec![5], cancel: vec![] });
        let two = of(P::Replace, 2).turn(&[(3, false), (4, false)], &[5]);
        assert_eq!(two, Turn { begin: vec![], cancel: vec![3] });
    }

    proptest! {
        #[test]
        fn no_more_begin_than_may_and_the_last_to_come_is_never_cancelled(
            policy in prop::sample::select(P::ALL.to_vec()),
            limit in 1_i32..4,
            begun in 0_usize..5,
            held in 0_i64..5,
        ) {
            let begun: Vec<(i64, bool)> = (1..).take(begun).map(|run| (run, run % 3 == 0)).collect();
            let held: Vec<i64> = (10..10 + held).collect();
            let turn = of(policy, limit).turn(&begun, &held);
            prop_assert!(turn.begin.is_empty() || begun.len() + turn.begin.len() <= limit as usize);
            if let Some(last) = held.last() {
                prop_assert!(!turn.cancel.contains(last));
            }
            prop_assert!(turn.begin.iter().all(|run| held.contains(run) && !turn.cancel.contains(run)));
        }
    }
}
