//! The gates: the verdict, what was measured and its limit, why, and the numbers behind it one click away.

use super::{
    detail::PromotionPage,
    finding::{Evidence, Interval},
};
use crate::{format, ui::prelude::*};
use domain::promotion::{Gate, PromotionState, Verdict};
use leptos::prelude::*;

/// Shape, word and row mark of a gate.
fn verdict(gate: &Gate, runs: bool) -> (State, &'static str, &'static str) {
    match gate.verdict() {
        Verdict::Pass => (State::Passed, "Passed", "ok"),
        Verdict::Fail => (State::Failed, "Failed", "fail"),
        Verdict::Inconclusive => (State::Unsure, "Inconclusive", "warn"),
        Verdict::Pending if gate.finding.is_some() => (State::Waiting, "Waits", "ok"),
        Verdict::Pending if runs => (State::Running, "Running", "ok"),
        Verdict::Pending => (State::Queued, "Not run", "ok"),
    }
}

/// Each gate of each policy.
#[component]
pub(super) fn Gates(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = &page.detail.promotion;
    let action = format!("{}/gates", links.promotion(promotion.number));
    let again =
        page.may.request && matches!(promotion.state, PromotionState::Blocked | PromotionState::AwaitingApproval);
    let ran = page.detail.gates.iter().filter_map(|gate| gate.evaluated_at).max();
    let note = ran.map(|at| format!("ran {}", format::relative(at, now())));
    let none = page.detail.gates.is_empty();
    let several = page.detail.policies.policies().len() > 1;
    let runs = promotion.state == PromotionState::GatesRunning;
    let rows = page.detail.gates.iter().cloned().map(|gate| view! { <GateRow gate several runs/> }).collect_view();
    view! {
        <Panel
            title="Gates"
            id="gates"
            note=note.unwrap_or_default()
            actions=again.then(|| view! { <Act action text="Run again" kind=Kind::Ghost symbol=Symbol::Redo/> }).into_any()
        >
            {none.then(|| view! { <Body><p class="muted">"No policy asks for a gate."</p></Body> })}
            <ul class="gates">{rows}</ul>
        </Panel>
    }
}

#[component]
fn GateRow(gate: Gate, several: bool, runs: bool) -> impl IntoView {
    let (shape, word, mark) = verdict(&gate, runs);
    let title = gate.spec.title();
    let advisory = gate.advisory.then(|| view! { " "<Tag text="advisory"/> });
    let policy = several.then(|| gate.policy.clone());
    let finding = gate.finding;
    let measured = finding.as_ref().map(|finding| finding.measured.clone()).unwrap_or_default();
    let limit = finding.as_ref().map(|finding| finding.limit.clone()).unwrap_or_default();
    let reason = match &finding {
        Some(finding) if gate.advisory && finding.verdict == Verdict::Fail => {
            format!("{} A failure is shown, and blocks nothing.", finding.reason)
        }
        Some(finding) => finding.reason.clone(),
        None if runs => "Being evaluated".to_owned(),
        None => "Not evaluated yet".to_owned(),
    };
    let evidence = finding.map(|finding| finding.evidence).filter(|evidence| !evidence.is_null());
    let interval = evidence.as_ref().and_then(Interval::of);
    let row = view! {
        <StateMark state=shape word=word/>
        <div class="what">
            <div class="t">{title}{advisory}</div>
            <div class="sub">{reason}{policy.map(|policy| view! { <span class="of">{policy}</span> })}</div>
        </div>
        <div class="m"><span class="strong">{measured}</span><span class="sub">{limit}</span></div>
    };
    let mark = if gate.advisory && mark == "fail" { "warn" } else { mark };
    match evidence {
        Some(evidence) => view! {
            <li data-s=mark>
                <details class="gate">
                    <summary>
                        {row}
                        <span class="ev">"Evidence"</span>
                    </summary>
                    <div class="proof">
                        {interval.map(|interval| view! { <p class="interval">{interval.drawn()}<span>{interval.words()}</span></p> })}
                        <Evidence value=evidence/>
                    </div>
                </details>
            </li>
        }
        .into_any(),
        None => view! { <li data-s=mark><div class="gate">{row}<span class="ev"></span></div></li> }.into_any(),
    }
}
