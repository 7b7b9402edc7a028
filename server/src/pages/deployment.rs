//! The pages of deployments: what serves where, what was brought where, and one of them.

use super::{Form, PageResult, View, chosen::Chosen, policy::asked};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::deployment::{DeploymentPage, Deployments, DeploymentsPage, One},
    shell::Section,
};
use axum::http::Method;
use domain::{Error, audit::ObjectKind, deployment::DeploymentState, permission::Permission};
use leptos::prelude::*;
use services::{DeploymentFilter, Effect};

const SECTION: Option<Section> = Some(Section::Deployments);
/// How many deployments, or lines of history, a page shows.
const ROWS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.page(Method::GET, "/deployments", read, list).page(Method::GET, "/deployments/{number}", read, show).page(
        Method::POST,
        "/deployments/{number}/retire",
        Access::Needs(Permission::Deploy),
        retire,
    )
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let unknown = || Error::invalid("There is no such state.");
    let filter = DeploymentFilter {
        model: chosen.get("model").map(str::to_owned),
        environment: chosen.get("environment").map(str::to_owned),
        state: chosen.get("state").map(|name| DeploymentState::parse(name).ok_or_else(unknown)).transpose()?,
        ..DeploymentFilter::default()
    };
    let environments = services.environments(ctx).await?.into_iter().map(|overview| overview.environment);
    let page = DeploymentsPage {
        workspace_id: ctx.workspace_id(),
        environments: environments.collect(),
        endpoints: services.endpoints(ctx).await?,
        history: services.deployments(ctx, &filter, chosen.get("page_token"), ROWS).await?,
    };
    let links = view.links.clone();
    let address = chosen.address(links.deployments());
    view.page("Deployments", SECTION, move || view! { <Deployments links address page/> }).await
}

async fn show(view: View, Path(number): Path<i64>) -> PageResult {
    let ctx = view.ctx()?;
    let deployment = view.services().deployment(ctx, number).await?;
    let events = view.history(ObjectKind::Deployment, deployment.id, ROWS).await?;
    let page = DeploymentPage { deployment, events, may_deploy: ctx.may(Permission::Deploy) };
    let links = view.links.clone();
    view.page(format!("Deployment #{number}"), SECTION, move || view! { <One links page/> }).await
}

async fn retire(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    match view.services().retire_deployment(view.ctx()?, number, &form.lines("comment")).await? {
        Effect::Requested(request) => asked(view, &request).await,
        Effect::Done(deployment) => {
            let notice = format!("{} does not serve in {} any more.", deployment.model, deployment.environment);
            view.done(&view.links.deployment(number), notice).await
        }
    }
}
