//! What started a run, in words and with a link.

use crate::ui::prelude::*;
use domain::pipeline_run::{PipelineRun, RunCause};
use leptos::prelude::*;

#[component]
pub(super) fn Started(run: PipelineRun, alert: Option<i64>, links: Links) -> impl IntoView {
    let (symbol, words) = match run.cause {
        RunCause::Person => return ().into_any(),
        RunCause::Api => (Symbol::Key, "By the API"),
        RunCause::Trigger => (Symbol::Bell, "Because of "),
        RunCause::Schedule => (Symbol::Wait, "By the schedule "),
        RunCause::PushHook => (Symbol::Commit, "By the push hook "),
        RunCause::Backfill => (Symbol::Layers, "By the backfill "),
        RunCause::Rerun => (Symbol::Redo, "Again after "),
        RunCause::Step => (Symbol::Layers, "As a part of "),
        RunCause::Reproduction => (Symbol::Redo, "To reproduce "),
    };
    let page = run.cause_page().map(|page| links.to(&page)).or_else(|| alert.map(|number| links.alert(number)));
    let name = run.cause_name.clone().or_else(|| alert.map(|number| format!("alert #{number}")));
    let what = match (name, page) {
        (Some(name), Some(page)) => view! { <a href=page>{name}</a> }.into_any(),
        (Some(name), None) => name.into_any(),
        (None, _) if run.cause == RunCause::Trigger => "a trigger".into_any(),
        (None, _) => ().into_any(),
    };
    let at = run.cause_at.map(|at| view! { " for "{crate::format::exact(at)} });
    view! { <span><Icon symbol/>{words}{what}{at}</span> }.into_any()
}
