//! The pages of environments, and the forms that make, change and order them, and that change a policy.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::environment::{Edit, EnvironmentCard, EnvironmentPage, Environments, EnvironmentsPage, One, PolicyForm},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    environment::{MAX_WAIT_S, Policy},
    permission::{Permission, Role},
};
use leptos::prelude::*;
use services::{DeploymentFilter, EnvironmentChange, NewEnvironment};
use std::collections::BTreeSet;

const SECTION: Option<Section> = Some(Section::Environments);
/// How many deployments a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .page(Method::GET, "/environments", read, list)
        .page(Method::POST, "/environments", write, create)
        .page(Method::GET, "/environments/{environment}", read, show)
        .page(Method::POST, "/environments/{environment}", write, change)
        .page(Method::GET, "/environments/{environment}/policy", write, show_policy)
        .page(Method::POST, "/environments/{environment}/policy", write, change_policy)
}

async fn list(view: View) -> PageResult {
    list_page(view, None).await
}

async fn list_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let archived = view.services().archived_environments(ctx).await?;
    let endpoints = view.services().endpoints(ctx).await?;
    let environments = view.services().environments(ctx).await?.into_iter().map(|overview| {
        let here = endpoints.iter().filter(|one| one.deployment.environment_id == overview.environment.id);
        EnvironmentCard { serving: here.cloned().collect(), overview }
    });
    let page = EnvironmentsPage {
        workspace_id: ctx.workspace_id(),
        environments: environments.collect(),
        archived: archived.into_iter().map(|overview| overview.environment).collect(),
        may_write: ctx.may(Permission::WritePolicies),
    };
    let links = view.links.clone();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Environments", SECTION, move || view! { <Environments links page draft/> }).await
}

/// How long an approved version waits, in seconds.
fn wait(form: &Form) -> Result<i32, Error> {
    let wrong = || Error::invalid_field("wait_minutes", "Give 0 to 43200 minutes, which are 30 days.");
    if form.text("wait_minutes").is_empty() {
        return Ok(0);
    }
    let minutes: f64 = form.text("wait_minutes").replace(',', ".").parse().map_err(|_| wrong())?;
    if !(0.0..=f64::from(MAX_WAIT_S) / 60.0).contains(&minutes) {
        return Err(wrong());
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is at most 30 days")]
    Ok((minutes * 60.0).round() as i32)
}

fn position(form: &Form) -> Result<Option<i32>, Error> {
    let text = Some(form.text("position")).filter(|text| !text.is_empty());
    let wrong = |_| Error::invalid_field("position", "Give a whole number, from 1 for the first.");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The roles that see it; everybody when none is chosen.
fn visible_to(form: &Form) -> Result<Option<BTreeSet<Role>>, Error> {
    Ok(Some(form.parse_all::<Role, BTreeSet<_>>("visible_to")?).filter(|roles| !roles.is_empty()))
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let new = NewEnvironment {
            name: form.text("name").to_owned(),
            tier: Some(form.parse("tier")?),
            position: position(&form)?,
            protected: form.text("protected") == "on",
            wait_timer_s: wait(&form)?,
            visible_to: visible_to(&form)?,
        };
        view.services().create_environment(view.ctx()?, new).await
    };
    match created.await {
        Ok(made) => {
            let name = made.environment.name;
            view.done(&view.links.environment(&name), format!("{name} is made. Say what a version needs to enter it.")).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn change(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let here = view.links.environment(&name);
    match form.text("do") {
        "archive" => {
            services.archive_environment(ctx, &name).await?;
            return view.done(&view.links.environments(), format!("{name} is archived.")).await;
        }
        "restore" => {
            services.restore_environment(ctx, &name).await?;
            return view.done(&here, format!("{name} is back, as the last in the order.")).await;
        }
        to @ ("up" | "down") => {
            let now = services.environment(ctx, &name).await?.environment.position;
            let position = Some(if to == "up" { now.saturating_sub(1) } else { now.saturating_add(1) });
            let change = EnvironmentChange { position, ..EnvironmentChange::default() };
            services.change_environment(ctx, &name, change).await?;
            return view.done(&view.links.environments(), format!("{name} has another place in the order.")).await;
        }
        _ => {}
    }
    let changed = async {
        let change = EnvironmentChange {
            tier: Some(form.parse("tier")?),
            position: position(&form)?,
            protected: Some(form.text("protected") == "on"),
            wait_timer_s: Some(wait(&form)?),
            visible_to: Some(visible_to(&form)?),
        };
        services.change_environment(ctx, &name, change).await
    };
    match changed.await {
        Ok(_) => view.done(&here, "The settings are changed.").await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            show_page(view, name, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    show_page(view, name, chosen, None).await
}

async fn show_page(view: View, name: String, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
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
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), name, SECTION, move || view! { <One links address page draft/> }).await
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
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let policy = view.services().environment(view.ctx()?, &name).await?.policy;
            policy_page(view, name, policy, form, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}
