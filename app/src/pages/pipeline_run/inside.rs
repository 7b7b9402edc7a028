//! The steps inside of a step: instances that a matrix or a map made, or steps of its own.

use super::{InsideSteps, RunPage, graph, state, step::place, steps::href};
use crate::{chart::dag::Dag, format, ui::prelude::*};
use domain::{
    pipeline_run::StepState,
    step::{Step, StepKind},
};
use leptos::prelude::*;

/// The states that can be chosen, with their words.
const STATES: [(StepState, &str); 4] = [
    (StepState::Running, "Running"),
    (StepState::Failed, "Failed"),
    (StepState::Succeeded, "Passed"),
    (StepState::Ready, "Queued"),
];

/// The panel of the steps inside of a step.
#[component]
pub(super) fn Inside(inside: InsideSteps, page: RunPage, address: Address, shown: Option<String>) -> impl IntoView {
    let now = now();
    let InsideSteps { outer, steps, state: chosen, next } = inside;
    let counts = outer.inner.unwrap_or_default();
    let (done, total) = (format::integer(counts.total - counts.open), format::integer(counts.total));
    let note = match counts.failed {
        0 => format!("{done} of {total} done"),
        failed => format!("{done} of {total} done, {} failed", format::integer(failed)),
    };
    let here = address.dropping(&["after", "attempt", "find", "find_after", "line"]).with("step", outer.name.clone());
    let all = [("All".to_owned(), here.with("inside", "all").href(), chosen.is_none())];
    let choice = all.into_iter().chain(STATES.map(|(state, word)| {
        let word = match state {
            StepState::Running if counts.running > 0 => format!("{word} {}", format::integer(counts.running)),
            StepState::Failed if counts.failed > 0 => format!("{word} {}", format::integer(counts.failed)),
            _ => word.to_owned(),
        };
        (word, here.with("inside", state.as_str()).href(), chosen == Some(state))
    }));
    let choice: Vec<_> = choice.collect();
    let has_more = next.is_some();
    let more = next.map(|after| {
        let href = address.dropping(&["attempt", "find", "find_after", "line"]).with("after", after).href();
        view! { <p class="more"><a href=href>"Show the next ones"</a></p> }
    });
    // What has steps of its own is a graph, where all of them are here.
    let is_whole = chosen.is_none() && !has_more && address.get("after").is_none();
    let graph =
        (outer.kind == StepKind::Steps && is_whole && steps.iter().any(|step| !step.needs.is_empty())).then(|| {
            let specs = page.spec.step(&place(&outer.name)).and_then(|spec| spec.steps()).cloned().unwrap_or_default();
            let nodes = graph::of(&steps, &specs, &page.attempts, &address, shown.as_deref(), now);
            view! { <div class="views inner" data-view="graph"><Dag nodes/></div> }
        });
    // What has no steps inside of it is shown among the same ones.
    let to = |step: &Step| match step.kind.is_outer() {
        true => href(&address, &step.name, None),
        false => address.dropping(&["attempt", "find", "find_after", "line"]).with("step", step.name.clone()).href(),
    };
    let rows = steps.into_iter().map(|step| {
        let (shape, word) = state::of(&step);
        let is_shown = shown.as_deref() == Some(step.name.as_str());
        let own = step.name.strip_prefix(&outer.name).map_or(step.name.as_str(), |rest| rest.trim_start_matches('/'));
        let items = items(&step);
        let (title, sub) = match (outer.kind, items.is_empty()) {
            // What makes an instance different from the others says more than its number.
            (StepKind::Many, false) => (items, said(own, &step)),
            _ => (own.to_owned(), said("", &step)),
        };
        view! {
            <Row
                title
                href=to(&step)
                state=view! { <StateMark state=shape word/> }.into_any()
                sub=sub.into_any()
                more=if is_shown { view! { <Tag text="shown"/> }.into_any() } else { ().into_any() }
                end=state::step_note(&step, &[], now).into_any()
            />
        }
    });
    let rows: Vec<_> = rows.collect();
    let up = outer.parent.clone().map(|parent| {
        let href = href(&address, &parent, None);
        view! { <a href=href>"Up to "{parent}</a> }.into_any()
    });
    let body = if rows.is_empty() {
        let why = if chosen.is_some() { "None of them is in this state." } else { "They are made when it begins." };
        view! { <div class="empty"><p>{why}</p></div> }.into_any()
    } else {
        view! { {graph}<Rows>{rows}</Rows>{more} }.into_any()
    };
    view! {
        <Panel
            title=format!("Inside of {}", outer.name)
            id="inside"
            note
            actions=view! { {up}<Choice label="State" items=choice/> }.into_any()
        >
            {body}
        </Panel>
    }
}

/// What makes this one different from the others.
fn items(step: &Step) -> String {
    step.items.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// Its own name, where that is not its title, and why it stands as it does.
fn said(name: &str, step: &Step) -> String {
    let reason = if step.state == StepState::Succeeded { String::new() } else { format::capitalised(&step.reason) };
    match (name.trim_start_matches('.'), reason.is_empty()) {
        ("", _) => reason,
        (number, true) => format!("number {number}"),
        (number, false) => format!("number {number}. {reason}"),
    }
}
