//! One deployment: what was brought where, by whom, and what became of it.

use super::of_deployment;
use crate::{format, islands::LiveRegion, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    deployment::{Deployment, DeploymentState},
};
use leptos::prelude::*;

/// What the page of a deployment shows.
#[derive(Debug, Clone)]
pub struct DeploymentPage {
    /// The deployment.
    pub deployment: Deployment,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may take it out of service.
    pub may_deploy: bool,
}

/// The page of a deployment. Taking it out of service sends `comment` to `deployments/{number}/retire`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: DeploymentPage,
) -> impl IntoView {
    let DeploymentPage { deployment, events, may_deploy } = page;
    let now = now();
    let (shape, word) = of_deployment(deployment.state);
    let title = format!("{} v{} → {}", deployment.model, deployment.version, deployment.environment);
    let topic = format!("deployments:{}", deployment.workspace_id);
    let moves = matches!(deployment.state, DeploymentState::Deploying | DeploymentState::Live);
    let live = moves.then(|| links.events(&[topic]));
    let place = links.endpoint(&deployment.environment, &deployment.model);
    let version = links.version(&deployment.model, deployment.version);
    let promotion = deployment.promotion_number.map(|number| {
        let href = links.promotion(number);
        view! { <span><Icon symbol=Symbol::Promote/><a href=href>{format!("Promotion #{number}")}</a></span> }
    });
    let reason = (!deployment.state_reason.is_empty()).then(|| {
        view! { <Callout tone=Tone::Fail symbol=Symbol::Fail><b>"It does not serve. "</b>{deployment.state_reason.clone()}</Callout> }
    });
    let served = deployment.live_at.map(|from| {
        let span = format::coarse(deployment.retired_at.unwrap_or(now) - from);
        view! { <Fact name="Served">{span}</Fact> }
    });
    let retire = (may_deploy && deployment.state == DeploymentState::Live).then(|| {
        let (model, version, environment) = (&deployment.model, deployment.version, &deployment.environment);
        view! {
            <Button text="Retire" kind=Kind::Danger opens="retire"/>
            <Confirm
                id="retire"
                title=format!("Take {model} v{version} out of {environment}?")
                action=format!("{}/retire", links.deployment(deployment.number))
                go="Retire it"
                keep="Keep it"
            >
                <p>"Nothing takes its place: requests to it are answered with 404 from then on. Where a policy asks for approval of that, people are asked first."</p>
                <TextArea label="Why" name="comment" id="retire-comment" optional=true hint="It stands in the history."/>
            </Confirm>
        }
    });
    let history = view! { <Timeline events links=links.clone()/> };
    let machine = deployment.created_by == "Slipway";
    view! {
        <Crumbs items=vec![Crumb::to("Deployments", links.deployments()), Crumb::here(format!("#{}", deployment.number))]/>
        <PageHead
            title=title.into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=view! { {retire}<ButtonLink text="What serves there now" href=place/> }.into_any()
            meta=view! {
                <span><Avatar name=deployment.created_by.clone() machine size=AvatarSize::Small/>{deployment.created_by.clone()}" began it "<When at=deployment.created_at/></span>
                {promotion}
                {deployment.rollback_of.map(|_| view! { <span><Icon symbol=Symbol::Undo/>"A rollback"</span> })}
            }
                .into_any()
            live=true
        />
        <div class="with-aside mt-4">
            <div class="stack">
                {reason}
                <Panel title="History" id="history" live=true><Body>{history}</Body></Panel>
            </div>
            <aside class="stack" aria-label="What was brought">
                <Panel title="What was brought" id="facts" live=true>
                    <Body>
                        <Facts>
                            <Fact name="Version"><a href=version>{format!("{} v{}", deployment.model, deployment.version)}</a></Fact>
                            <Fact name="Files"><DigestText digest=deployment.digest/></Fact>
                            <Fact name="Begun"><When at=deployment.created_at/></Fact>
                            {deployment.live_at.map(|at| view! { <Fact name="Live"><When at/></Fact> })}
                            {deployment.retired_at.map(|at| view! { <Fact name="Retired"><When at/></Fact> })}
                            {served}
                        </Facts>
                    </Body>
                </Panel>
            </aside>
        </div>
        {live.map(|events| view! { <LiveRegion events/> })}
    }
}
