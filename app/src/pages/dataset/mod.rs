//! Datasets: all of them, one with its versions and what is expected of them, a version, and what is different between two.

mod column;
mod detail;
mod diff;
mod list;
mod new;
#[cfg(test)]
mod tests;
mod version;

pub use detail::{Detail, DetailPage};
pub use diff::{Changed, Diff, DiffPage, Way};
pub use list::List;
pub use new::{NewDataset, Upload};
pub use version::{FileRow, ReadBy, Version, VersionPage};

use crate::ui::prelude::*;
use domain::dataset::ChecksState;
use leptos::prelude::*;

/// Whether a version is what is expected of it: its shape, and the word.
fn checked(state: ChecksState) -> (State, &'static str) {
    match state {
        ChecksState::Waiting => (State::Queued, "Being looked at"),
        ChecksState::Unchecked => (State::Skipped, "Nothing expected"),
        ChecksState::Passed => (State::Passed, "As expected"),
        ChecksState::Failed => (State::Failed, "Not as expected"),
        ChecksState::Inconclusive => (State::Unsure, "Inconclusive"),
    }
}

/// The same in a row.
#[component]
fn Checks(state: ChecksState) -> impl IntoView {
    let (state, word) = checked(state);
    view! { <StateMark state word/> }
}

/// A number of bytes, which is never negative.
fn size(bytes: i64) -> String {
    format::bytes(u64::try_from(bytes).unwrap_or_default())
}
