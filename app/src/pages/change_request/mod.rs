//! Change requests: the list, and one with its rules and the decision.

mod list;
mod one;

pub use list::ChangeRequests;
pub use one::{ChangeRequestPage, One};

use crate::ui::prelude::*;
use domain::change_request::ChangeState;

/// Shape and word of a state.
#[must_use]
pub fn state(state: ChangeState) -> (State, &'static str) {
    match state {
        ChangeState::AwaitingApproval => (State::Waiting, "Waiting for approval"),
        ChangeState::Applied => (State::Passed, "Applied"),
        ChangeState::Rejected => (State::Failed, "Rejected"),
        ChangeState::Expired => (State::Skipped, "Expired"),
        ChangeState::Withdrawn => (State::Cancelled, "Withdrawn"),
        ChangeState::Invalidated => (State::Warning, "Invalidated"),
    }
}
