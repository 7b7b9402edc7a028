//! Steps as boxes of a graph.

use super::{RunPage, state, steps::href};
use crate::{
    chart::dag::{Inside, MOST, Node, fold},
    format,
    ui::prelude::*,
};
use chrono::{DateTime, Utc};
use domain::{
    pipeline::StepSpec,
    pipeline_run::StepState,
    step::{InnerSteps, Step, StepAttempt},
};
use std::collections::BTreeMap;

/// Of more than this, all can be looked at at once.
pub(super) const LARGE: usize = 24;

/// The boxes of the steps at the top.
pub(super) fn nodes(page: &RunPage, address: &Address, shown: Option<&str>, now: DateTime<Utc>) -> Vec<Node> {
    // The step at the top that the shown one is inside of is shown as well.
    let shown = shown.map(|name| name.split(['/', '.']).next().unwrap_or(name));
    of(&page.detail.steps, &page.spec.steps, &page.attempts, address, shown, now)
}

/// The boxes of some steps, and of what stands for many of them.
pub(super) fn of(
    steps: &[Step],
    specs: &BTreeMap<String, StepSpec>,
    attempts: &BTreeMap<String, Vec<StepAttempt>>,
    address: &Address,
    shown: Option<&str>,
    now: DateTime<Utc>,
) -> Vec<Node> {
    let node = |step: &Step| {
        let (state, word) = state::of(step);
        let word = if step.attempts > 1 && matches!(step.state, StepState::Running | StepState::Failed) {
            format!("{word}, try {}", step.attempts)
        } else {
            word.to_owned()
        };
        let own = step.name.rsplit('/').next().unwrap_or(&step.name);
        Node {
            name: step.name.clone(),
            label: (own != step.name).then(|| own.to_owned()),
            needs: step.needs.clone(),
            href: href(address, &step.name, None),
            state,
            word,
            note: last_try(attempts, step, now).unwrap_or_else(|| state::step_note(step, steps, now)),
            inside: step.inner.filter(|inner| inner.total > 0).map(inside),
            current: shown == Some(step.name.as_str()),
            last: specs.get(own).is_some_and(|spec| spec.finally),
        }
    };
    let nodes: Vec<Node> = steps.iter().map(node).collect();
    fold(nodes, MOST, address.get("open"), &|name| address.with("open", name).href())
}

fn inside(inner: InnerSteps) -> Inside {
    let count = |count: i64| usize::try_from(count).unwrap_or_default();
    Inside {
        total: count(inner.total),
        open: count(inner.open),
        running: count(inner.running),
        failed: count(inner.failed),
    }
}

/// How long the last try of a step took, or takes so far.
fn last_try(attempts: &BTreeMap<String, Vec<StepAttempt>>, step: &Step, now: DateTime<Utc>) -> Option<String> {
    let attempt = attempts.get(&step.name)?.last()?;
    let told = matches!(step.state, StepState::Running | StepState::Succeeded | StepState::Failed);
    told.then(|| format::duration(attempt.ended_at.unwrap_or(now) - attempt.started_at))
}
