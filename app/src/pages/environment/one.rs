//! One environment: its board, the policies that hold there, its settings, and what was brought there.

use super::{About, Arrival, Board, Needs, Settings, seen_by, waits};
use crate::{
    islands::LiveRegion,
    pages::{deployment::History, freeze::WindowRow},
    ui::prelude::*,
};
use domain::{Page, audit::AuditEvent, deployment::Deployment, environment::EnvironmentDetail, promotion::Promotion};
use leptos::prelude::*;

/// What the page of an environment shows.
#[derive(Debug, Clone)]
pub struct EnvironmentPage {
    /// The environment and the policies that hold there.
    pub detail: EnvironmentDetail,
    /// What serves there, and who let it.
    pub serving: Vec<Arrival>,
    /// What is on its way there, newest first.
    pub open: Vec<Promotion>,
    /// The windows of freezes that are open or ahead.
    pub windows: Vec<WindowRow>,
    /// What was brought there, newest first.
    pub deployments: Page<Deployment>,
    /// Whether the reader may change the environment and its policy.
    pub may_write: bool,
    /// What happened there, latest first.
    pub events: Vec<AuditEvent>,
}

/// The page of an environment.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on in the deployments.
    address: Address,
    /// The environment.
    page: EnvironmentPage,
    /// What was typed to change it, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let EnvironmentPage { detail, serving, open, windows, deployments, may_write, events } = page;
    let EnvironmentDetail { environment, policy, others, .. } = detail;
    let name = environment.name.clone();
    let topics = [format!("environment:{}", environment.id)];
    let topics = topics
        .into_iter()
        .chain(["deployments", "promotions"].map(|noun| format!("{noun}:{}", environment.workspace_id)));
    let live = links.events(&topics.collect::<Vec<_>>());
    let mut policies: Vec<_> = std::iter::once(policy).filter(|policy| !policy.retired).chain(others).collect();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    let promotions = format!("{}?environment={name}", links.promotions());
    let board = view! { <Board links=links.clone() environment=name.clone() serving open windows/> };
    let needs = view! { <Needs links=links.clone() policies/> };
    let (shown, next) = (deployments.items.len(), deployments.next_page_token);
    let deployments = if deployments.items.is_empty() {
        view! { <Body><p class="muted">"Nothing was brought here yet."</p></Body> }.into_any()
    } else {
        view! { <History links=links.clone() deployments=deployments.items of_place=true/> }.into_any()
    };
    let badge = match (environment.archived_at.is_some(), environment.protected) {
        (true, _) => view! { <Badge state=State::Cancelled word="Archived"/> },
        (false, true) => view! { <Badge state=State::Passed word="Protected"/> },
        (false, false) => view! { <Badge state=State::Warning word="Not protected"/> },
    };
    let alias = if environment.protected {
        format!("The alias “{name}” moves by a promotion only")
    } else {
        format!("The alias “{name}” moves by a promotion, and by anybody who may move aliases")
    };
    let settings = if may_write {
        view! { <Settings links=links.clone() environment=environment.clone() draft/> }.into_any()
    } else {
        view! { <section class="panel" aria-label="About it"><div class="body"><About environment=environment.clone()/></div></section> }
            .into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Environments", links.environments()), Crumb::here(name.clone())]/>
        <PageHead
            title=name.clone().into_any()
            badge=badge.into_any()
            actions=view! {
                <ButtonLink text="Promotions" href=promotions/>
                <ButtonLink text="Policies" href=links.policies()/>
            }
                .into_any()
            meta=view! { <span>{alias}</span><span>{waits(&environment)}</span><span>{format!("Seen by {}", seen_by(&environment))}</span> }.into_any()
        />
        <div class="with-aside mt-4">
            <div class="stack">
                {board}
                <div>
                    <Panel title="Deployments" id="deployments">{deployments}</Panel>
                    <Pager address shown next one="deployment" many="deployments"/>
                </div>
            </div>
            <aside class="stack" aria-label="Policies, settings and history">
                <section class="panel" aria-label="Policies that hold here"><div class="body stack tight">{needs}</div></section>
                {settings}
                <Happened events links=links.clone()/>
            </aside>
        </div>
        <LiveRegion events=live/>
    }
}
