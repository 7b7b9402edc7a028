//! All steps of a run: as a graph, or over time.

use super::{RunPage, state};
use crate::{
    chart::{
        dag::{Dag, Node},
        gantt::{Gantt, Lane},
    },
    format,
    ui::prelude::*,
};
use chrono::{DateTime, Utc};
use domain::{pipeline_run::StepState, step::Step};
use leptos::prelude::*;

/// The panel of the steps. `view=gantt` in the address shows them over time.
#[component]
pub(super) fn Steps(
    /// The run.
    page: RunPage,
    /// The page, with what was chosen.
    address: Address,
    /// The step that is shown.
    shown: Option<String>,
) -> impl IntoView {
    let now = now();
    let gantt = address.get("view") == Some("gantt");
    let choice = vec![
        ("Graph".to_owned(), address.without("view").href(), !gantt),
        ("Gantt".to_owned(), address.with("view", "gantt").href(), gantt),
    ];
    let nodes = nodes(&page, &address, shown.as_deref(), now);
    let lanes = lanes(&page, &address, now);
    view! {
        <div class="views" id="views" data-live="" data-view=if gantt { "gantt" } else { "graph" }>
            <Panel
                title="Steps"
                id="steps"
                note=state::step_counts(&page.detail.steps)
                actions=view! { <Choice label="View" items=choice/> }.into_any()
            >
                <Dag nodes/>
                <Gantt lanes now/>
            </Panel>
        </div>
    }
}

fn href(address: &Address, step: &str, attempt: Option<i32>) -> String {
    let chosen = address.without("attempt").with("step", step);
    match attempt {
        Some(number) => chosen.with("attempt", number.to_string()).href(),
        None => chosen.href(),
    }
}

/// How long the last try of a step took, or takes so far.
fn last_try(page: &RunPage, step: &Step, now: DateTime<Utc>) -> Option<String> {
    let attempt = page.attempts.get(&step.name)?.last()?;
    let told = matches!(step.state, StepState::Running | StepState::Succeeded | StepState::Failed);
    told.then(|| format::duration(attempt.ended_at.unwrap_or(now) - attempt.started_at))
}

fn nodes(page: &RunPage, address: &Address, shown: Option<&str>, now: DateTime<Utc>) -> Vec<Node> {
    let steps = &page.detail.steps;
    let node = |step: &Step| {
        let (state, word) = state::of_step(step.state);
        let word = if step.attempts > 1 && matches!(step.state, StepState::Running | StepState::Failed) {
            format!("{word}, try {}", step.attempts)
        } else {
            word.to_owned()
        };
        Node {
            name: step.name.clone(),
            needs: step.needs.clone(),
            href: href(address, &step.name, None),
            state,
            word,
            note: last_try(page, step, now).unwrap_or_else(|| state::step_note(step, steps, now)),
            progress: step.inner.filter(|inner| inner.total > 0 && step.state == StepState::Running).map(|inner| {
                #[allow(clippy::cast_precision_loss)] // at most some thousands
                let share = (inner.total - inner.open) as f64 / inner.total as f64;
                share
            }),
            current: shown == Some(step.name.as_str()),
        }
    };
    steps.iter().map(node).collect()
}

/// A lane to a try; one to a step that was not tried. In the order in which they began, then in that of the file.
fn lanes(page: &RunPage, address: &Address, now: DateTime<Utc>) -> Vec<Lane> {
    let steps = &page.detail.steps;
    let mut lanes = Vec::new();
    for step in steps {
        let attempts = page.attempts.get(&step.name).map_or(&[][..], Vec::as_slice);
        let tries_again = step.state == StepState::Ready && step.attempts > 0;
        for attempt in attempts {
            let (state, word) = state::of_attempt(attempt.outcome);
            let span = format::duration(attempt.ended_at.unwrap_or(now) - attempt.started_at);
            let several = attempts.len() > 1 || tries_again;
            lanes.push(Lane {
                name: if several { format!("{}, try {}", step.name, attempt.number) } else { step.name.clone() },
                href: href(address, &step.name, several.then_some(attempt.number)),
                state,
                from: Some(attempt.started_at),
                to: attempt.ended_at,
                note: if state == State::Failed || state == State::Warning {
                    format!("{}, {span}", word.to_lowercase())
                } else {
                    span
                },
            });
        }
        if attempts.is_empty() || tries_again {
            let (state, word) = state::of_step(step.state);
            let began = step.started_at.filter(|_| attempts.is_empty());
            lanes.push(Lane {
                name: step.name.clone(),
                href: href(address, &step.name, None),
                state,
                from: began,
                to: step.ended_at,
                note: match state::took(began, step.ended_at, now) {
                    Some(span) => format::duration(span),
                    None => word.to_lowercase(),
                },
            });
        }
    }
    lanes.sort_by_key(|lane| (lane.from.is_none(), lane.from));
    lanes
}
