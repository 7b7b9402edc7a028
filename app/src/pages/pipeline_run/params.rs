//! The params of a run, beside what the file says.

use crate::ui::prelude::*;
use domain::{
    pipeline::PipelineSpec,
    pipeline_run::{PipelineRun, PipelineRunState},
};
use leptos::prelude::*;

/// The panel of the params. Nothing when it has none.
#[component]
pub(super) fn Params(run: PipelineRun, spec: PipelineSpec, links: Links, may_run: bool) -> impl IntoView {
    let other = format!("{}?from={}#start", links.pipeline(&run.pipeline_name), run.number);
    let count = run.params.len();
    if count == 0 {
        return ().into_any();
    }
    let changed = run
        .params
        .iter()
        .filter(|(name, value)| spec.params.get(*name).and_then(|param| param.default.as_ref()) != Some(value))
        .count();
    let note = if changed == 0 {
        format!("{count}, all as in the file")
    } else {
        format!("{count}, {changed} not as in the file")
    };
    let rows = run
        .params
        .into_iter()
        .map(|(name, value)| {
            let default = spec.params.get(&name).and_then(|param| param.default.as_ref());
            let default = default.filter(|default| **default != value).map(ToString::to_string);
            let text = value.to_string();
            view! {
                <Fact name mono=true>
                    {if text.is_empty() { view! { <span class="none">"empty"</span> }.into_any() } else { text.into_any() }}
                    {default.map(|default| view! { " "<span class="muted">{format!("instead of {}", if default.is_empty() { "nothing".to_owned() } else { default })}</span> })}
                </Fact>
            }
        })
        .collect_view();
    let actions = (may_run && run.state != PipelineRunState::Queued)
        .then(|| view! { <a href=other>"Run with others"</a> }.into_any());
    view! {
        <Panel title="Params" id="params" note=note actions=actions.unwrap_or_else(|| ().into_any())>
            <Body><Facts small=true>{rows}</Facts></Body>
        </Panel>
    }
    .into_any()
}
