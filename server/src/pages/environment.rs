//! The pages of environments, and the forms that make, change and order them.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend, freeze};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::environment::{Arrival, EnvironmentCard, EnvironmentPage, Environments, EnvironmentsPage, One},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use chrono::Utc;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    environment::{Environment, MAX_WAIT_S},
    freeze::Freeze,
    permission::{Permission, Role},
    promotion::PromotionState,
};
use leptos::prelude::*;
use services::{DeploymentFilter, EnvironmentChange, NewEnvironment, PromotionFilter};
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
            view.done(&view.links.environment(&name), format!("{name} is made. Say what a version needs to enter it."))
                .await
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

/// Whether a freeze means this environment, for some models at least.
fn reaches(freeze: &Freeze, environment: &Environment) -> bool {
    freeze.selector.meets(&environment.name, environment.tier)
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    show_page(view, name, chosen, None).await
}

async fn show_page(view: View, name: String, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.environment(ctx, &name).await?;
    let filter = DeploymentFilter { environment: Some(name.clone()), ..DeploymentFilter::default() };
    let mut serving = Vec::new();
    for endpoint in services.endpoints(ctx).await? {
        if endpoint.deployment.environment_id == detail.environment.id {
            let approvers = services.approvers(ctx, &endpoint.deployment).await?;
            serving.push(Arrival { endpoint, approvers });
        }
    }
    let on_their_way = PromotionFilter {
        states: PromotionState::open().collect(),
        environment: Some(name.clone()),
        ..PromotionFilter::default()
    };
    let mut freezes = services.freezes(ctx, false).await?;
    freezes.retain(|freeze| reaches(freeze, &detail.environment));
    let page = EnvironmentPage {
        events: view.history(ObjectKind::Environment, detail.environment.id, EVENTS).await?,
        deployments: services.deployments(ctx, &filter, chosen.get("page_token"), ROWS).await?,
        serving,
        open: services.promotions(ctx, &on_their_way, None, ROWS).await?.items,
        windows: freeze::windows(services, ctx, &freezes, Utc::now()).await?,
        may_write: ctx.may(Permission::WritePolicies),
        detail,
    };
    let links = view.links.clone();
    let address = chosen.address(links.environment(&name));
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), name, SECTION, move || view! { <One links address page draft/> }).await
}
