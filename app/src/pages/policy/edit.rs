//! Writing a policy's file: a new policy, or a new revision of one.

use super::simulation::Simulation;
use crate::{pages::pipeline::Problems, ui::prelude::*};
use domain::{Error, pipeline::Problem, promotion::PolicySimulation};
use leptos::prelude::*;

/// The file that a new policy starts with.
#[must_use]
pub fn starter() -> &'static str {
    include_str!("starter.yaml")
}

/// The form for a policy's file. Sends `name`, `source`, `instead_of` and `do` to `policies/new` or `policies/{name}/edit`.
#[component]
pub fn Edit(
    /// The addresses of the workspace.
    links: Links,
    /// The policy; none for a new one.
    #[prop(optional_no_strip)]
    name: Option<String>,
    /// The digest of the revision in force.
    #[prop(optional_no_strip)]
    seen: Option<String>,
    /// The file as it was typed, under `source`, and why it was refused.
    draft: Draft,
    /// What is wrong in it, line by line.
    #[prop(optional)]
    problems: Vec<Problem>,
    /// What a simulation found, when one was asked for.
    #[prop(optional_no_strip)]
    simulation: Option<PolicySimulation>,
) -> impl IntoView {
    let source = draft.value("source").unwrap_or_default().to_owned();
    let seen = draft.value("instead_of").map(ToOwned::to_owned).or(seen);
    let (action, title, crumbs, back) = match &name {
        Some(name) => (
            format!("{}/edit", links.policy(name)),
            format!("Edit {name}"),
            vec![
                Crumb::to("Policies", links.policies()),
                Crumb::to(name.clone(), links.policy(name)),
                Crumb::here("Edit"),
            ],
            links.policy(name),
        ),
        None => (
            links.new_policy(),
            "New policy".to_owned(),
            vec![Crumb::to("Policies", links.policies()), Crumb::here("New")],
            links.policies(),
        ),
    };
    let rows = u32::try_from(source.lines().count()).unwrap_or(u32::MAX).saturating_add(2).clamp(22, 44);
    let is_new = name.is_none();
    let go = if is_new { "Put it in force" } else { "Put new revision in force" };
    // Problems that have their place are told there; the field says only that there are some.
    let told = if problems.is_empty() {
        draft.clone()
    } else {
        draft.clone().refused(&Error::invalid_field("source", "Something is wrong in this file; nothing was changed."))
    };
    view! {
        <Crumbs items=crumbs/>
        <PageHead title=title.into_any()/>
        <div class="with-aside mt-4">
            <div class="stack">
                <Problems problems source heading="Nothing was changed"/>
                {simulation.map(|simulation| view! { <Simulation links=links.clone() simulation/> })}
                <form class="stack" method="post" action=action>
                    // The first button is the one that the Enter key presses.
                    <button class="sr" type="submit" name="do" value="save" tabindex="-1" aria-hidden="true">"Save"</button>
                    {seen.map(|seen| view! { <input type="hidden" name="instead_of" value=seen/> })}
                    <FormErrors draft=told.clone() fields=&["source", "name"]/>
                    {is_new
                        .then(|| {
                            view! {
                                <div class="narrow-field"><TextField
                                    label="Name"
                                    name="name"
                                    autocomplete="off"
                                    max=100_usize
                                    hint="Letters, digits, dots, hyphens and underscores. It never changes."
                                    draft=draft.clone()
                                /></div>
                            }
                        })}
                    <TextArea label="File" name="source" draft=told rows mono=true/>
                    <div class="form">
                        <div class="go">
                            <Button text=go kind=Kind::Primary name="do" value="save"/>
                            <Button text="Simulate" name="do" value="simulate"/>
                            <ButtonLink text="Cancel" href=back kind=Kind::Ghost/>
                        </div>
                    </div>
                </form>
            </div>
            <aside class="stack" aria-label="What a file says">
                <Panel title="What happens" id="happens">
                    <Body>
                        <p class="muted small">
                            "It becomes a new revision, in force at once. Drafts, and promotions whose gates have not passed, run their gates under it. Promotions that people are asked about end when it is stricter than what they were asked under, and else go on as they are."
                        </p>
                    </Body>
                </Panel>
                <Keys/>
            </aside>
        </div>
    }
}

/// The keys of a file, in short.
#[component]
fn Keys() -> impl IntoView {
    let key = |name: &'static str, text: &'static str| {
        view! { <Fact name=name mono=true><span class="sans">{text}</span></Fact> }
    };
    view! {
        <Panel title="The file" id="keys">
            <Body>
                <Facts small=true>
                    {key("scope", "environments, tiers, models, risk_tiers, tags, actions: where it holds; every list that is given must fit")}
                    {key("gates", "what must pass; each has a kind and its fields")}
                    {key("advisory", "gates that are measured and shown, and decide nothing")}
                    {key("rules", "name, eligible (users, teams, roles), approvals, distinct_from, checklist, inputs, justification")}
                    {key("order", "follow: it must have served in the environment before; skip")}
                    {key("expires_after", "how long a request stands: 7d")}
                    {key("evidence_ttl", "how old what gates found may be")}
                    {key("reauthenticate", "true: each decision with the password")}
                    {key("rollback_within", "how long one can go back without approval")}
                </Facts>
                <p class="muted small">
                    "Kinds of gates: metric_threshold, better_than_champion, slice_floor, latency_budget, golden_row, signature_compatible, model_card, dataset_checked, reproduced, external, promql, cel."
                </p>
            </Body>
        </Panel>
    }
}
