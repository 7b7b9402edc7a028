//! Environments: what serves in each, what a version needs to enter, and how that changed.

mod form;
mod one;
mod policy;
mod settings;

pub use form::{GateKind, GateRow, PolicyForm};
pub use one::{EnvironmentPage, One};
pub use policy::Edit;
pub use settings::{About, Marks, NewEnvironment, Settings, present, seen_by, waits};

use crate::{format, islands::LiveRegion, ui::prelude::*};
use domain::{
    deployment::Endpoint,
    environment::{ApprovalRule, Environment, EnvironmentOverview, GateSpec, PolicyDocument},
    id::WorkspaceId,
};
use leptos::prelude::*;

/// Who must agree, in words.
#[must_use]
pub fn agreement(rule: &ApprovalRule) -> String {
    match rule.approvals {
        0 => "Nobody is asked".to_owned(),
        1 => "One approver, who is not the requester".to_owned(),
        many => format!("{many} different approvers, none of them the requester"),
    }
}

/// A gate in words, with what the short form leaves out.
#[must_use]
pub fn gate_words(gate: &GateSpec) -> String {
    match gate {
        GateSpec::GoldenRow { tolerance } => format!("{}, within {}", gate.title(), format::number(*tolerance)),
        other => other.title(),
    }
}

/// An environment in the list.
#[derive(Debug, Clone)]
pub struct EnvironmentCard {
    /// The environment and what is in force.
    pub overview: EnvironmentOverview,
    /// What serves there, by model.
    pub serving: Vec<Endpoint>,
}

/// What the list of environments shows.
#[derive(Debug, Clone)]
pub struct EnvironmentsPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environments, in the order of promotion.
    pub environments: Vec<EnvironmentCard>,
    /// Those that are archived.
    pub archived: Vec<Environment>,
    /// Whether the reader may change environments and policies.
    pub may_write: bool,
}

/// The environments of the workspace. The form to make one sends to `environments`, moving one to `environments/{name}`.
#[component]
pub fn Environments(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: EnvironmentsPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let EnvironmentsPage { workspace_id, environments, archived, may_write } = page;
    let order = environments.iter().map(|card| card.overview.environment.name.clone()).collect::<Vec<_>>().join(" → ");
    let mut topics =
        ["deployments", "promotions", "environments"].map(|noun| format!("{noun}:{workspace_id}")).to_vec();
    topics.extend(environments.iter().map(|card| format!("environment:{}", card.overview.environment.id)));
    let events = links.events(&topics);
    let last = environments.len();
    let cards = environments
        .into_iter()
        .enumerate()
        .map(|(at, card)| view! { <Card links=links.clone() card may_write place=(at + 1, last)/> })
        .collect_view();
    let archived = (!archived.is_empty()).then(|| {
        let rows = archived
            .into_iter()
            .map(|environment| {
                let sub = environment.archived_at.map(|at| view! { "archived "<When at/> });
                view! { <Row title=environment.name.clone() href=links.environment(&environment.name) sub=sub.into_any()/> }
            })
            .collect_view();
        view! { <Panel title="Archived" id="archived"><Rows>{rows}</Rows></Panel> }
    });
    let form = may_write
        .then(|| view! { <aside class="stack" aria-label="Make an environment"><NewEnvironment links=links.clone() draft/></aside> });
    view! {
        <PageHead
            title="Environments".into_any()
            meta=view! { <span>{order}</span><span>"Each asks for its own gates and people"</span> }.into_any()
        />
        <div class=if may_write { "with-aside mt-4" } else { "stack mt-4" }>
            <div class="stack">{cards}{archived}</div>
            {form}
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn Card(links: Links, card: EnvironmentCard, may_write: bool, place: (usize, usize)) -> impl IntoView {
    let EnvironmentCard { overview, serving } = card;
    let EnvironmentOverview { environment, policy, open_promotions, .. } = overview;
    let name = environment.name.clone();
    let here = links.environment(&name);
    let edit = format!("{here}/policy");
    let promotions = format!("{}?environment={name}", links.promotions());
    let lead = view! { <Marks environment=environment.clone()/> };
    let (at, last) = place;
    let mover = |text: &'static str, symbol, to: &str| {
        let values = vec![("do", to.to_owned())];
        view! { <Act action=here.clone() text=text symbol kind=Kind::Ghost values/> }
    };
    let earlier = (may_write && at > 1).then(|| mover("Earlier", Symbol::ChevronUp, "up"));
    let later = (may_write && at < last).then(|| mover("Later", Symbol::ChevronDown, "down"));
    let actions = view! {
        {(open_promotions > 0)
            .then(|| view! { <a href=promotions>{format::count(open_promotions, "promotion on its way", "promotions on their way")}</a> })}
        <a href=here.clone()>"History"</a>
        {may_write.then(|| view! { <a href=edit>"Change policy"</a> })}
    };
    let needs = view! { <Needs document=policy.document.clone()/> };
    let serves = view! { <Serves links serving environment=name.clone()/> };
    let foot = view! {
        <span class="tags">{earlier}{later}</span>
        {format!("Policy revision {}, by {}, ", policy.revision, policy.created_by)}<When at=policy.created_at/>
    };
    view! {
        <Panel title=name.clone() id=format!("environment-{name}") lead=lead.into_any() actions=actions.into_any() foot=foot.into_any() live=true>
            <div class="body two-sides">
                <div class="stack tight">{serves}</div>
                <div class="stack tight">{needs}</div>
            </div>
        </Panel>
    }
}

/// What a version needs to enter, in words.
#[component]
pub fn Needs(
    /// The policy.
    document: PolicyDocument,
) -> impl IntoView {
    let nobody = document.rule.approvals == 0;
    let agreement = agreement(&document.rule);
    let gates = if document.gates.is_empty() {
        view! { <li><span class="tone" data-s="idle"><Icon symbol=Symbol::Skip/></span><span>"No gate runs"</span></li> }.into_any()
    } else {
        document
            .gates
            .iter()
            .map(|gate| {
                let words = gate_words(gate);
                view! { <li><span class="tone" data-s="idle"><Icon symbol=Symbol::Shield/></span><span>{words}</span></li> }
            })
            .collect_view()
            .into_any()
    };
    view! {
        <h3 class="section-title">"What a version needs"</h3>
        <ul class="needs">
            {gates}
            <li>
                <span class="tone" data-s="idle"><Icon symbol=if nobody { Symbol::Skip } else { Symbol::People }/></span>
                <span>{agreement}</span>
            </li>
        </ul>
    }
}

#[component]
fn Serves(links: Links, serving: Vec<Endpoint>, environment: String) -> impl IntoView {
    let count = serving.len();
    let rows = serving
        .into_iter()
        .map(|endpoint| {
            let deployment = endpoint.deployment;
            let href = links.endpoint(&environment, &deployment.model);
            let since = deployment.live_at.unwrap_or(deployment.created_at);
            let state =
                if endpoint.drifted == Some(true) { (State::Warning, "live, drifted") } else { (State::Live, "live") };
            view! {
                <li>
                    <StateShape state=state.0 word=state.1/>
                    <a class="t ellipsis" href=href>{deployment.model}</a>
                    <span class="mono">{format!("v{}", deployment.version)}</span>
                    <span class="end"><When at=since/></span>
                </li>
            }
        })
        .collect_view();
    view! {
        <h3 class="section-title">"What serves "<span class="n">{count}</span></h3>
        {if count == 0 {
            view! { <p class="muted">"Nothing yet. A version serves here once its promotion is approved."</p> }.into_any()
        } else {
            view! { <ul class="serving">{rows}</ul> }.into_any()
        }}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_agree_is_told_in_words() {
        let words = |approvals| agreement(&ApprovalRule { approvals });
        assert_eq!(words(0), "Nobody is asked");
        assert_eq!(words(1), "One approver, who is not the requester");
        assert_eq!(words(3), "3 different approvers, none of them the requester");
    }
}
