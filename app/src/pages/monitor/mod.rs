//! What is watched of a model in an environment: how far its features drifted, what its checks found, what it looks at,
//! and what its alerts start.

pub mod drift;
mod settings;

pub use settings::{MonitorPage, Settings};

use crate::{format, ui::prelude::*};
use domain::monitor::{AlertState, Check, CheckState};
use leptos::prelude::*;

/// The shape and the word of what a check found.
#[must_use]
pub fn of_check(state: CheckState) -> (State, &'static str) {
    match state {
        CheckState::Ok => (State::Passed, "As the reference"),
        CheckState::Drifted => (State::Failed, "Drifted"),
        CheckState::Inconclusive => (State::Unsure, "Inconclusive"),
    }
}

/// The shape and the word of an alert's state.
#[must_use]
pub fn of_alert(state: AlertState) -> (State, &'static str) {
    match state {
        AlertState::Open => (State::Failed, "Open"),
        AlertState::Acknowledged => (State::Waiting, "Acknowledged"),
        AlertState::Resolved => (State::Passed, "Resolved"),
    }
}

/// What the last checks found, newest first.
#[component]
pub fn Checks(
    /// The checks.
    checks: Vec<Check>,
) -> impl IntoView {
    let shown = checks.len();
    if checks.is_empty() {
        return view! {
            <Panel title="Checks" id="checks" live=true>
                <Body><p class="muted">"None yet. A check looks at the traffic a minute after it came."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let rows = checks
        .into_iter()
        .map(|check| {
            let (shape, word) = of_check(check.state);
            let share = check.share.map(format::percent);
            view! {
                <tr>
                    <th scope="row"><When at=check.at/></th>
                    <td><StateMark state=shape word/></td>
                    <td class="num"><Maybe text=share/></td>
                    <td class="num">{format!("v{}", check.version)}</td>
                    <td class="num">{format::integer(check.rows)}</td>
                    <td class="wrap muted">{check.reason}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Checks" id="checks" note=format!("the last {shown}") live=true>
            <Table label="Table of checks">
                <thead>
                    <tr>
                        <Head label="When"/>
                        <Head label="Found"/>
                        <Head label="Drifted" num=true/>
                        <Head label="Version" num=true/>
                        <Head label="Rows" num=true/>
                        <Head label="Why"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}
