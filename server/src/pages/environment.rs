//! The pages of environments, and the form of a policy.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::environment::{Edit, EnvironmentCard, EnvironmentPage, Environments, EnvironmentsPage, One, PolicyForm},
    shell::Section,
};
use axum::http::Method;
use domain::{Error, audit::ObjectKind, environment::Policy, permission::Permission};
use leptos::prelude::*;
use services::DeploymentFilter;

const SECTION: Option<Section> = Some(Section::Environments);
/// How many deployments a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .page(Method::GET, "/environments", read, list)
        .page(Method::GET, "/environments/{environment}", read, show)
        .page(Method::GET, "/environments/{environment}/policy", write, show_policy)
        .page(Method::POST, "/environments/{environment}/policy", write, change_policy)
}

async fn list(view: View) -> PageResult {
    let ctx = view.ctx()?;
    let endpoints = view.services().endpoints(ctx).await?;
    let environments = view.services().environments(ctx).await?.into_iter().map(|overview| {
        let here = endpoints.iter().filter(|one| one.deployment.environment_id == overview.environment.id);
        EnvironmentCard { serving: here.cloned().collect(), overview }
    });
    let page = EnvironmentsPage {
        workspace_id: ctx.workspace_id(),
        environments: environments.collect(),
        may_write: ctx.may(Permission::WritePolicies),
    };
    let links = view.links.clone();
    view.page("Environments", SECTION, move || view! { <Environments links page/> }).await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.environment(ctx, &name).await?;
    let filter = DeploymentFilter { environment: Some(name.clone()), ..DeploymentFilter::default() };
    let mut serving = services.endpoints(ctx).await?;
    serving.retain(|one| one.deployment.environment_id == detail.environment.id);
    let page = EnvironmentPage {
        events: view.history(ObjectKind::Environment, detail.environment.id, EVENTS).await?,
        deployments: services.deployments(ctx, &filter, chosen.get("page_token"), ROWS).await?,
        serving,
        may_write: ctx.may(Permission::WritePolicies),
        detail,
    };
    let links = view.links.clone();
    let address = chosen.address(links.environment(&name));
    view.page(name, SECTION, move || view! { <One links address page/> }).await
}

async fn show_policy(view: View, Path(name): Path<String>) -> PageResult {
    let policy = view.services().environment(view.ctx()?, &name).await?.policy;
    let form = PolicyForm::of(&policy);
    policy_page(view, name, policy, form, None).await
}

async fn policy_page(view: View, name: String, policy: Policy, form: PolicyForm, error: Option<Error>) -> PageResult {
    let links = view.links.clone();
    let title = format!("Policy of {name}");
    match error.clone() {
        None => view.page(title, SECTION, move || view! { <Edit links environment=name policy form error/> }).await,
        Some(refused) => {
            view.refused(&refused, title, SECTION, move || view! { <Edit links environment=name policy form error/> })
                .await
        }
    }
}

async fn change_policy(view: View, Path(name): Path<String>, sent: Form) -> PageResult {
    let mut form = PolicyForm::read(|field| sent.raw(field));
    if form.press(sent.text("do")) {
        let policy = view.services().environment(view.ctx()?, &name).await?.policy;
        return policy_page(view, name, policy, form, None).await;
    }
    let changed = async {
        let instead_of = form
            .instead_of
            .parse()
            .map_err(|_| Error::invalid("The form does not say which policy it is to replace; open the page again."))?;
        view.services().set_policy(view.ctx()?, &name, form.document()?, Some(&instead_of)).await
    };
    match changed.await {
        Ok(policy) => {
            let notice = format!("Revision {} is in force.", policy.revision);
            view.done(&view.links.environment(&name), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != domain::ErrorKind::NotFound => {
            let policy = view.services().environment(view.ctx()?, &name).await?.policy;
            policy_page(view, name, policy, form, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}
