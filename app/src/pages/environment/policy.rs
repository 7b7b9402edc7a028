//! Changing what a version needs to enter an environment. Rows come and go by buttons that send the form, so it works
//! without scripts.

use super::form::{GateKind, GateRow, PolicyForm};
use crate::ui::prelude::*;
use domain::{Error, environment::Policy};
use leptos::prelude::*;

/// The form of a policy. Sends the fields of [`PolicyForm`] and the button, `do`, to `environments/{name}/policy`.
#[component]
pub fn Edit(
    /// The addresses of the workspace.
    links: Links,
    /// The environment's name.
    #[prop(into)]
    environment: String,
    /// The policy in force.
    policy: Policy,
    /// What stands in the form.
    form: PolicyForm,
    /// Why it was refused.
    #[prop(optional_no_strip)]
    error: Option<Error>,
) -> impl IntoView {
    let here = links.environment(&environment);
    let action = format!("{here}/policy");
    let draft = match &error {
        Some(error) => form.draft().refused(error),
        None => form.draft(),
    };
    let mut shown = vec!["rule/approvals".to_owned()];
    shown.extend(
        (0..form.gates.len())
            .flat_map(|at| ["", "/metric", "/better", "/number"].map(|part| format!("gates/{at}{part}"))),
    );
    let messages = draft.messages(&shown.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = (!messages.is_empty()).then(|| {
        view! {
            <Callout tone=Tone::Fail alert=true>
                {messages.into_iter().map(|message| view! { <p>{message}</p> }).collect_view()}
            </Callout>
        }
    });
    let count = form.gates.len();
    let gates =
        form.gates.into_iter().enumerate().map(|(at, row)| view! { <Gate at row draft=draft.clone()/> }).collect_view();
    let add = GateKind::ALL
        .map(|kind| {
            let text = match kind {
                GateKind::MetricThreshold => "Metric threshold",
                GateKind::BetterThanChampion => "Better than champion",
                GateKind::GoldenRow => "Golden rows",
            };
            view! { <Button text symbol=Symbol::Plus name="do" value=format!("add:{}", kind.as_str()) novalidate=true/> }
        })
        .collect_view();
    let seen = draft.value("instead_of").unwrap_or_default().to_owned();
    view! {
        <Crumbs items=vec![
            Crumb::to("Environments", links.environments()),
            Crumb::to(environment.clone(), here.clone()),
            Crumb::here("Policy"),
        ]/>
        <PageHead title=format!("Policy of {environment}").into_any() meta=view! { <span>{format!("Revision {} is in force", policy.revision)}</span> }.into_any()/>
        <form class="with-aside mt-4" method="post" action=action>
            // The first button is the one that the Enter key presses.
            <button class="sr" type="submit" name="do" value="save" tabindex="-1" aria-hidden="true">"Save"</button>
            <input type="hidden" name="instead_of" value=seen/>
            <div class="stack">
                {whole}
                <Panel title="Gates" id="gates" note=if count == 0 { "none".to_owned() } else { format!("{count}, all must pass") }>
                    {if count == 0 {
                        view! { <Body><p class="muted">"No gate runs: only people decide."</p></Body> }.into_any()
                    } else {
                        view! { <ol class="gate-rows">{gates}</ol> }.into_any()
                    }}
                    <footer class="adds"><span>"Add a gate"</span>{add}</footer>
                </Panel>
                <Panel title="People" id="people">
                    <Body>
                        <div class="narrow-field"><TextField
                            label="Approvals"
                            name="rule/approvals"
                            kind="number"
                            hint="How many different approvers must agree, none of them the requester. 0: nobody is asked."
                            draft
                        /></div>
                    </Body>
                </Panel>
            </div>
            <aside class="stack" aria-label="Save">
                <Panel title="Save" id="save">
                    <Body>
                        <p class="muted">
                            "This becomes a new revision, in force at once. Promotions on their way run their gates again, and agreement that was given to the old policy falls away."
                        </p>
                        <Button text="Save policy" kind=Kind::Primary name="do" value="save"/>
                        <ButtonLink text="Cancel" href=here/>
                    </Body>
                </Panel>
            </aside>
        </form>
    }
}

#[component]
fn Gate(at: usize, row: GateRow, draft: Draft) -> impl IntoView {
    let field = |part: &str| format!("gates/{at}/{part}");
    let choices = |higher: &str, lower: &str| {
        vec![("higher".to_owned(), higher.to_owned()), ("lower".to_owned(), lower.to_owned())]
    };
    let metric = |draft: Draft| view! { <TextField label="Metric" name=field("metric") autocomplete="off" mono=true max=250_usize draft/> };
    let number = |label: &'static str, draft: Draft| view! { <TextField label=label name=field("number") autocomplete="off" mono=true draft/> };
    let fields = match row.kind {
        GateKind::MetricThreshold => view! {
            {metric(draft.clone())}
            <SelectField label="Is" name=field("better") options=choices("at least", "at most") draft=draft.clone()/>
            {number("Threshold", draft.clone())}
        }
        .into_any(),
        GateKind::BetterThanChampion => view! {
            {metric(draft.clone())}
            <SelectField label="Better is" name=field("better") options=choices("higher", "lower") draft=draft.clone()/>
            {number("By at least", draft.clone())}
        }
        .into_any(),
        GateKind::GoldenRow => number("Answers may differ by", draft.clone()).into_any(),
    };
    let wrong = draft.error(&format!("gates/{at}")).map(|error| {
        let error = error.to_owned();
        view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error}</span></p> }
    });
    let title = row.kind.title();
    view! {
        <li>
            <fieldset class="field">
                <legend>{format!("{}. {title}", at + 1)}</legend>
                <input type="hidden" name=field("kind") value=row.kind.as_str()/>
                <div class="gate-fields">
                    {fields}
                    <Button text="Remove" kind=Kind::Ghost name="do" value=format!("remove:{at}") novalidate=true/>
                </div>
                {wrong}
            </fieldset>
        </li>
    }
}
