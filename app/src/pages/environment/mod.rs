//! Environments: what serves in each, what a version needs to enter, and how that changed.

mod board;
mod one;
mod settings;

pub use board::{Arrival, Board};
pub use one::{EnvironmentPage, One};
pub use settings::{About, Marks, NewEnvironment, Settings, present, seen_by, waits};

use crate::{format, islands::LiveRegion, pages::policy::Asked, ui::prelude::*};
use domain::{
    deployment::Endpoint,
    environment::{Environment, EnvironmentOverview},
    id::WorkspaceId,
    policy::Policy,
};
use leptos::prelude::*;

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
    let EnvironmentOverview { environment, policies, open_promotions, .. } = overview;
    let name = environment.name.clone();
    let here = links.environment(&name);
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
        {earlier}
        {later}
    };
    let needs = view! { <Needs links=links.clone() policies/> };
    let serves = view! { <Serves links serving environment=name.clone()/> };
    view! {
        <Panel title=name.clone() id=format!("environment-{name}") lead=lead.into_any() actions=actions.into_any() live=true>
            <div class="body two-sides">
                <div class="stack tight">{serves}</div>
                <div class="stack tight">{needs}</div>
            </div>
        </Panel>
    }
}

/// What a version needs to enter: each policy that holds there, in words.
#[component]
pub fn Needs(
    /// The addresses of the workspace.
    links: Links,
    /// The policies, in order of name.
    policies: Vec<Policy>,
) -> impl IntoView {
    let none = policies.is_empty();
    let each = policies
        .into_iter()
        .map(|policy| {
            let href = links.policy(&policy.name);
            let models = (!policy.document.scope.models.is_empty()
                || !policy.document.scope.tags.is_empty()
                || !policy.document.scope.risk_tiers.is_empty())
            .then(|| view! { <span class="n">{policy.document.scope.words()}</span> });
            view! {
                <div>
                    <h4 class="policy-name">
                        <a href=href>{policy.name.clone()}</a>
                        <span class="n">{format!("revision {}", policy.revision)}</span>
                        {models}
                    </h4>
                    <Asked document=policy.document/>
                </div>
            }
        })
        .collect_view();
    view! {
        <h3 class="section-title">"What a version needs"</h3>
        {none.then(|| view! { <p class="muted">"No policy holds here: a version enters when it is asked for."</p> })}
        {each}
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
