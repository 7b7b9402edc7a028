//! The form that runs a run again, from where and with which params.

use super::RunPage;
use crate::{
    pages::pipeline::{ParamErrors, ParamFields},
    ui::prelude::*,
};
use domain::pipeline_run::{PipelineRunState, StepState};
use leptos::prelude::*;

/// It sends to `pipeline-runs/{number}/rerun`: `key`, `from`, and `params.<name>` for each param, also for those that the run
/// was not given.
#[component]
pub(super) fn Again(page: RunPage, links: Links, draft: Draft) -> impl IntoView {
    let run = page.detail.run;
    let action = format!("{}/rerun", links.pipeline_run(run.number));
    let some_failed = page.detail.steps.iter().any(|step| step.state != StepState::Succeeded);
    let draft = if draft.value("from").is_some() {
        draft
    } else {
        let from = if run.state.is_final() && some_failed { "failed" } else { "start" };
        let params = run.params.iter().map(|(name, value)| (format!("params.{name}"), value.to_string()));
        Draft::of(params.chain([("from".to_owned(), from.to_owned())]))
    };
    let mut options = vec![("start".to_owned(), "The start: every step".to_owned())];
    if run.state.is_final() {
        options.push(("failed".to_owned(), "What did not succeed".to_owned()));
        let steps = page.detail.steps.iter();
        options.extend(steps.map(|step| (format!("step:{}", step.name), format!("The step {}", step.name))));
    }
    let note = if run.state == PipelineRunState::Failed { "takes over what succeeded" } else { "as another run" };
    view! {
        <Panel title="Run again" id="again" note=note>
            <Body>
                <form class="stack" method="post" action=action>
                    <input type="hidden" name="key" value=format!("{}:again", page.key)/>
                    <ParamErrors spec=page.spec.clone() draft=draft.clone() others=&["from"]/>
                    <SelectField
                        label="From"
                        name="from"
                        options
                        hint="Steps that succeeded, come after nothing that runs, and read no param that is changed here are taken over with their outputs."
                        draft=draft.clone()
                    />
                    <ParamFields spec=page.spec draft/>
                    <Button text="Run again" symbol=Symbol::Redo/>
                </form>
            </Body>
        </Panel>
    }
}
