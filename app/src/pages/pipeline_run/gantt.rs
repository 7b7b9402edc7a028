//! Steps as lanes over time.

use super::{RunPage, state, steps::href};
use crate::{chart::gantt::Lane, format, ui::prelude::*};
use chrono::{DateTime, Utc};
use domain::pipeline_run::StepState;

/// A lane to a try; one to a step that was not tried. In the order in which they began, then in that of the file.
pub(super) fn lanes(page: &RunPage, address: &Address, shown: Option<&str>, now: DateTime<Utc>) -> Vec<Lane> {
    let steps = &page.detail.steps;
    let mut lanes = Vec::new();
    for step in steps {
        let attempts = page.attempts.get(&step.name).map_or(&[][..], Vec::as_slice);
        let tries_again = step.state == StepState::Ready && step.attempts > 0;
        let current = shown == Some(step.name.as_str());
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
                current,
            });
        }
        if attempts.is_empty() || tries_again {
            let (state, word) = state::of(step);
            let began = step.started_at.filter(|_| attempts.is_empty());
            let many = step.inner.filter(|inner| inner.total > 0).map(|inner| inner.total);
            lanes.push(Lane {
                name: match many {
                    Some(total) => format!("{} × {}", step.name, format::integer(total)),
                    None => step.name.clone(),
                },
                href: href(address, &step.name, None),
                state,
                from: began,
                to: step.ended_at,
                note: match state::took(began, step.ended_at, now) {
                    Some(span) => format::duration(span),
                    None => word.to_lowercase(),
                },
                current,
            });
        }
    }
    lanes.sort_by_key(|lane| (lane.from.is_none(), lane.from));
    lanes
}
