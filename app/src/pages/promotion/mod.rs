//! Promotions: the list, the page of one with its evidence and the decision, and the form that asks for one.

mod changes;
mod decision;
mod detail;
mod discussion;
mod finding;
mod gates;
mod list;
mod metrics;
mod overrides;
mod replay;
mod request;
mod rules;
mod statistics;
mod subject;

pub use decision::{Asks, check_field, input_field, named};
pub use detail::{Changed, Detail, May, PromotionPage, Serving};
pub use list::{List, ListPage, ListRow};
pub use request::{Request, RequestPage};
pub use rules::{Ballot, Rules};
pub use statistics::{PERIODS, Statistics};

use crate::ui::prelude::*;
use domain::promotion::PromotionState;

/// Shape and word of a state.
#[must_use]
pub fn state(state: PromotionState) -> (State, &'static str) {
    match state {
        PromotionState::Draft => (State::Queued, "Draft"),
        PromotionState::GatesRunning => (State::Running, "Gates running"),
        PromotionState::Blocked => (State::Failed, "Blocked by a gate"),
        PromotionState::AwaitingApproval => (State::Waiting, "Waiting for approval"),
        PromotionState::Approved => (State::Rolling, "Approved"),
        PromotionState::Scheduled => (State::Waiting, "Scheduled"),
        PromotionState::Deploying => (State::Rolling, "Deploying"),
        PromotionState::Verifying => (State::Rolling, "Verifying"),
        PromotionState::Live => (State::Live, "Live"),
        PromotionState::Rejected => (State::Failed, "Rejected"),
        PromotionState::Expired => (State::Skipped, "Expired"),
        PromotionState::Withdrawn => (State::Cancelled, "Withdrawn"),
        PromotionState::Invalidated => (State::Warning, "Invalidated"),
        PromotionState::Superseded => (State::Skipped, "Superseded"),
        PromotionState::Aborted => (State::Failed, "Aborted"),
        PromotionState::RolledBack => (State::Skipped, "Rolled back"),
    }
}
