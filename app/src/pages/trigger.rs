//! Triggers: what starts pipelines when something else happens, and the form that makes one.

use super::pipeline::{AllOf, FormPanel, ParamsField, Part};
use crate::ui::prelude::*;
use domain::trigger::{Trigger, TriggerFiring, TriggerOn};
use leptos::prelude::*;

/// What the page of triggers shows.
#[derive(Debug, Clone)]
pub struct TriggersPage {
    /// The triggers of every kind, by pipeline, each with what it did last.
    pub triggers: Vec<(Trigger, Option<TriggerFiring>)>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// Whether the reader may make and delete those that wait for no alert.
    pub may_run: bool,
}

/// The triggers of the workspace. The form sends to `triggers`, and what deletes one to `triggers/{id}`.
#[component]
pub fn Triggers(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: TriggersPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let TriggersPage { triggers, pipelines, may_run } = page;
    let list = if triggers.is_empty() {
        view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::Bell
                    title="Nothing starts because of something else"
                    text="A trigger starts a pipeline when another has ended, a data set has a new version, or an alert opens. Make one in the form here; for alerts, where a model serves: open its deployment, then Monitor."
                />
            </div>
        }
        .into_any()
    } else {
        let rows = triggers
            .into_iter()
            .map(|(trigger, last)| view! { <Line links=links.clone() trigger last may_run/> })
            .collect_view();
        view! {
            <Table label="Triggers" roomy=true keys=true>
                <thead>
                    <tr>
                        <Head label="Starts"/>
                        <Head label="State"/>
                        <Head label="Waits for"/>
                        <Head label="Last"/>
                        <Head label="Change" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let form = may_run.then(|| view! { <New links=links.clone() pipelines draft/> }.into_any());
    view! { <AllOf links part=Part::Triggers title="Triggers" form makes="Make a trigger">{list}</AllOf> }
}

#[component]
fn Line(links: Links, trigger: Trigger, last: Option<TriggerFiring>, may_run: bool) -> impl IntoView {
    let (shape, word) = if trigger.enabled { (State::Live, "On") } else { (State::Skipped, "Off") };
    let words = crate::format::capitalised(&trigger.on.words());
    let source = match &trigger.on {
        TriggerOn::Alert { model, environment, .. } => Some(links.monitor(environment, model)),
        TriggerOn::Pipeline { source, .. } => Some(links.pipeline(source)),
        TriggerOn::Dataset { .. } => None,
    };
    let waits = match source {
        Some(href) => view! { <a class="quiet" href=href>{words.clone()}</a> }.into_any(),
        None => words.clone().into_any(),
    };
    let rest = (trigger.cool_down_s > 0).then(|| {
        let rest = crate::format::coarse(chrono::TimeDelta::seconds(i64::from(trigger.cool_down_s)));
        view! { <span class="sub">{format!("at most once in {rest}")}</span> }
    });
    let last = last.map(|last| {
        let outcome = match (last.run_number, last.held_back) {
            (Some(number), _) => {
                let href = links.pipeline_run(number);
                view! { <a href=href>{format!("started #{number}")}</a> }.into_any()
            }
            (None, why) => view! { <span class="sub">{why}</span> }.into_any(),
        };
        view! { <When at=last.at/>" "{last.source}" "{outcome} }
    });
    let pipeline = trigger.pipeline.clone();
    let delete = (may_run && trigger.on.monitor().is_none()).then(|| {
        let id = format!("delete-{}", trigger.id);
        let opens = id.clone();
        let action = format!("{}/{}", links.triggers(), trigger.id);
        view! {
            <Button text="Delete" kind=Kind::Danger opens/>
            <Confirm
                id
                title=format!("Delete what starts {pipeline}?")
                action
                go="Delete it"
                keep="Keep it"
                values=vec![("do", "delete".to_owned())]
            >
                <p>{format!("{words}: that starts {} no more. The runs that it started stay.", pipeline)}</p>
            </Confirm>
        }
    });
    view! {
        <tr>
            <th scope="row"><a class="strong" href=links.pipeline(&trigger.pipeline)>{trigger.pipeline.clone()}</a></th>
            <td><StateMark state=shape word/></td>
            <td class="wrap">{waits}{rest}</td>
            <td class="wrap">{last}</td>
            <td class="num">{delete}</td>
        </tr>
    }
}

/// The fields that show their own errors.
const FIELDS: &[&str] = &["pipeline", "kind", "source", "dataset", "params", "cool_down_s"];

#[component]
fn New(links: Links, pipelines: Vec<String>, draft: Draft) -> impl IntoView {
    let draft = if draft.is_refused() {
        draft
    } else {
        Draft::of([("kind", "pipeline"), ("states", "succeeded"), ("cool_down_s", "0")])
    };
    let kinds = [("pipeline", "A run of another pipeline ends"), ("dataset", "A data set has a new version")]
        .map(|(value, word)| (value.to_owned(), word.to_owned()));
    let states = ["succeeded", "failed", "cancelled"]
        .map(|state| view! { <CheckField name="states" value=state draft=draft.clone()>{state}</CheckField> });
    view! {
        <FormPanel title="New trigger" id="new" action=links.triggers() go="Make trigger" own=FIELDS draft=draft.clone()>
            <TextField label="Starts the pipeline" name="pipeline" autocomplete="off" choices=pipelines.clone() draft=draft.clone()/>
            <SelectField label="When" name="kind" options=kinds.to_vec() draft=draft.clone()/>
            <TextField label="The other pipeline" name="source" autocomplete="off" optional=true choices=pipelines draft=draft.clone()/>
            <fieldset class="field">
                <legend class="label">"Its run has"</legend>
                {states.into_iter().collect_view()}
            </fieldset>
            <TextField label="The data set" name="dataset" autocomplete="off" optional=true draft=draft.clone()/>
            <CheckField name="checked" value="true" draft=draft.clone()>"Only versions that passed their checks"</CheckField>
            <ParamsField label="Params" draft=draft.clone()/>
            <TextField
                label="At most once in, in seconds"
                name="cool_down_s"
                kind="number"
                autocomplete="off"
                hint="0 for each time."
                draft
            />
        </FormPanel>
    }
}
