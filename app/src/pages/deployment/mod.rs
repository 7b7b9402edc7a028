//! Deployments: what serves where, what was brought where and when, and one of them.

mod board;
mod one;

pub use board::{Board, BoardRow, board};
pub(in crate::pages) use board::{Doing, health};
pub use one::{DeploymentPage, One};

use crate::{format, islands::LiveRegion, ui::prelude::*};
use domain::{
    Page,
    deployment::{Deployment, DeploymentState, Endpoint},
    environment::Environment,
    id::WorkspaceId,
};
use leptos::prelude::*;

/// The shape and the word of a deployment's state.
#[must_use]
pub fn of_deployment(state: DeploymentState) -> (State, &'static str) {
    match state {
        DeploymentState::Deploying => (State::Rolling, "Deploying"),
        DeploymentState::Live => (State::Live, "Live"),
        DeploymentState::Retired => (State::Skipped, "Retired"),
        DeploymentState::Failed => (State::Failed, "Failed"),
    }
}

/// How much of the whole a part is; none of nothing.
#[must_use]
pub fn share(part: i64, whole: i64) -> Option<f64> {
    // Counts of a day are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole as f64;
    (whole > 0).then_some(share)
}

/// What the page of deployments shows.
#[derive(Debug, Clone)]
pub struct DeploymentsPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its environments, in the order of promotion.
    pub environments: Vec<Environment>,
    /// What serves.
    pub endpoints: Vec<Endpoint>,
    /// What was brought where, newest first.
    pub history: Page<Deployment>,
}

/// All deployments.
#[component]
pub fn Deployments(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `environment`, `model` and `state` filter the history, `page_token` goes on.
    address: Address,
    /// What it shows.
    page: DeploymentsPage,
) -> impl IntoView {
    let DeploymentsPage { workspace_id, environments, endpoints, history } = page;
    let events = links.events(&[format!("deployments:{workspace_id}"), format!("alerts:{workspace_id}")]);
    let failing = endpoints
        .iter()
        .filter(|endpoint| share(endpoint.traffic.errors, endpoint.traffic.requests).is_some_and(|share| share > 0.01))
        .count();
    let drifted = endpoints.iter().filter(|endpoint| endpoint.drifted == Some(true)).count();
    let count = |n: usize, one: &str, many: &str| format::count(i64::try_from(n).unwrap_or_default(), one, many);
    let serving = count(endpoints.len(), "endpoint answers", "endpoints answer");
    let meta = view! {
        <span>{serving}</span>
        {(failing > 0).then(|| view! { <span><StateMark state=State::Failed word=format!("{failing} failing")/></span> })}
        {(drifted > 0).then(|| view! { <span><StateMark state=State::Warning word=format!("{drifted} drifted")/></span> })}
    };
    let nothing = endpoints.is_empty() && history.items.is_empty() && address.get("page_token").is_none();
    let filters = view! { <Filters address=address.clone() environments=environments.clone()/> };
    let (shown, next) = (history.items.len(), history.next_page_token);
    let rows = if history.items.is_empty() {
        view! { <Body><p class="muted">"No deployment is like that."</p></Body> }.into_any()
    } else {
        view! { <History links=links.clone() deployments=history.items/> }.into_any()
    };
    let below = (!nothing || address.get("state").is_some() || address.get("environment").is_some()).then(|| {
        view! {
            <section aria-label="History of deployments">
                {filters}
                <div class="panel flat" id="history" data-live="">{rows}</div>
                <Pager address shown next one="deployment" many="deployments" keys=true/>
            </section>
        }
    });
    view! {
        <PageHead title="Deployments".into_any() meta=meta.into_any() live=true/>
        <div class="stack mt-4">
            <Board links environments endpoints/>
            {below}
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn Filters(address: Address, environments: Vec<Environment>) -> impl IntoView {
    let choices = |name: &'static str, values: Vec<(String, String)>| {
        let chosen = address.get(name).unwrap_or_default().to_owned();
        std::iter::once((String::new(), "All".to_owned()))
            .chain(values)
            .map(|(value, word)| {
                let to = if value.is_empty() { address.without(name) } else { address.with(name, value.clone()) };
                (word, to.href(), value == chosen)
            })
            .collect::<Vec<_>>()
    };
    let places = choices(
        "environment",
        environments.into_iter().map(|e| (e.name.clone(), format::capitalised(&e.name))).collect(),
    );
    let states = [DeploymentState::Live, DeploymentState::Deploying, DeploymentState::Retired, DeploymentState::Failed];
    let states =
        choices("state", states.map(|state| (state.as_str().to_owned(), of_deployment(state).1.to_owned())).to_vec());
    let model = address.get("model").map(|model| {
        let (model, href) = (model.to_owned(), address.without("model").href());
        view! { <a class="tag" href=href title="Show all models">{model}<Icon symbol=Symbol::Close/></a> }
    });
    view! {
        <div class="list-bar">
            <h2 class="section-title">"History"</h2>
            {model}
            <span class="push"></span>
            <Choice label="Environment" items=places/>
            <Choice label="State" items=states/>
        </div>
    }
}

/// Deployments in a table, newest first.
#[component]
pub fn History(
    /// The addresses of the workspace.
    links: Links,
    /// The deployments.
    deployments: Vec<Deployment>,
    /// Whether they are all of one model in one environment.
    #[prop(optional)]
    of_one: bool,
    /// Whether they are all in one environment.
    #[prop(optional)]
    of_place: bool,
) -> impl IntoView {
    let rows = deployments
        .into_iter()
        .map(|deployment| view! { <Line links=links.clone() deployment of_one of_place/> })
        .collect_view();
    view! {
        <Table label="Table of deployments" keys=!of_one>
            <thead>
                <tr>
                    <Head label="Deployment" class="pin"/>
                    {(!of_one).then(|| view! { <Head label="Model"/> })}
                    <Head label="Version" num=true/>
                    {(!of_one && !of_place).then(|| view! { <Head label="Environment"/> })}
                    <Head label="State"/>
                    <Head label="By"/>
                    <Head label="Allowed by"/>
                    <Head label="Begun"/>
                    <Head label="Served"/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}

#[component]
fn Line(links: Links, deployment: Deployment, of_one: bool, of_place: bool) -> impl IntoView {
    let now = now();
    let (shape, word) = of_deployment(deployment.state);
    let back = deployment.rollback_of.is_some();
    let served = deployment.live_at.map(|from| format::coarse(deployment.retired_at.unwrap_or(now) - from));
    let place = links.endpoint(&deployment.environment, &deployment.model);
    let version = links.version(&deployment.model, deployment.version);
    let allowed = match (deployment.promotion_number, back) {
        (Some(number), false) => {
            view! { <a href=links.promotion(number)>{format!("Promotion #{number}")}</a> }.into_any()
        }
        (_, true) => view! { <span class="by"><span class="muted"><Icon symbol=Symbol::Undo/></span>"Rollback"</span> }
            .into_any(),
        (None, false) => view! { <span class="none">{format::NONE}</span> }.into_any(),
    };
    let model = (!of_one).then(|| view! { <td class="name-cell-td"><span class="ellipsis" title=deployment.model.clone()>{deployment.model.clone()}</span></td> });
    let environment = (!of_one && !of_place)
        .then(|| view! { <td><a class="quiet" href=place>{deployment.environment.clone()}</a></td> });
    let why = deployment.state_reason.clone();
    view! {
        <tr id=format!("deployment-{}", deployment.number)>
            <th scope="row" class="pin id"><a class="strong mono" href=links.deployment(deployment.number)>{format!("#{}", deployment.number)}</a></th>
            {model}
            <td class="num"><a class="quiet" href=version>{format!("v{}", deployment.version)}</a></td>
            {environment}
            <td>
                <StateMark state=shape word/>
                {(!why.is_empty()).then(|| view! { <span class="sub ellipsis why" title=why.clone()>{why.clone()}</span> })}
            </td>
            <td>{deployment.created_by}</td>
            <td>{allowed}</td>
            <td><When at=deployment.created_at/></td>
            <td><Maybe text=served/></td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_not_told() {
        assert_eq!(share(1, 4), Some(0.25));
        assert_eq!(share(0, 0), None);
    }
}
