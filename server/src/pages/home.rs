//! The home of a workspace.

use super::{PageResult, View, example};
use crate::{access::Access, demo, prefix::WorkspaceSlug, router::Routes, state::AppState};
use app::{
    pages::home::{Home, HomePage, Welcome, WelcomePage},
    shell::Section,
};
use axum::{
    Extension,
    extract::State,
    http::Method,
    response::{IntoResponse, Redirect},
};
use domain::{
    Error,
    audit::{AuditEvent, ObjectKind},
    permission::Permission,
    pipeline_run::PipelineRunState,
};
use leptos::prelude::*;
use services::{Ctx, PromotionFilter, RunFilter};

const SECTION: Option<Section> = Some(Section::Home);
/// How many rows each part of the page shows.
const ROWS: usize = 20;
/// How many events are looked through for those that the page tells of …
const LOOKED_THROUGH: usize = 200;
/// … and how many it tells of.
const TOLD: usize = 12;
/// How many of the runs that are under way.
const RUNNING: usize = 8;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::GET, "/", Access::Needs(Permission::Read), home)
}

async fn home(State(state): State<AppState>, view: View, slug: Option<Extension<WorkspaceSlug>>) -> PageResult {
    if slug.is_none() {
        return Ok(Redirect::to(&view.links.home()).into_response());
    }
    let ctx = view.ctx()?;
    let services = view.services();
    let links = view.links.clone();
    if let Some(page) = welcome(&state, ctx).await? {
        return view.page("Welcome", SECTION, move || view! { <Welcome links page/> }).await;
    }
    // What is under way first; what waits for it after that.
    let mut running = Vec::new();
    let mut more_run = false;
    for state in [PipelineRunState::Running, PipelineRunState::Cancelling, PipelineRunState::Queued] {
        let filter = RunFilter { state: Some(state), ..RunFilter::default() };
        let page = services.pipeline_runs(ctx, &filter, None, RUNNING).await?;
        more_run |= page.next_page_token.is_some();
        running.extend(page.items);
    }
    more_run |= running.len() > RUNNING;
    running.truncate(RUNNING);
    let environments = services.environments(ctx).await?.into_iter().map(|overview| overview.environment).collect();
    let waiting = services.promotions_to_decide(ctx).await?;
    let mut mentioning = services.promotions_mentioning_me(ctx).await?;
    mentioning.retain(|one| waiting.iter().all(|known| known.id != one.id));
    let example = example::walk(&state, ctx);
    let page = HomePage {
        workspace_id: ctx.workspace_id(),
        waiting,
        mentioning,
        changes: services.change_requests_waiting_for_me(ctx).await?,
        approvals: services.step_approvals_waiting_for_me(ctx).await?,
        environments,
        endpoints: services.endpoints(ctx).await?,
        running,
        more_run,
        unreviewed: services.unreviewed_overrides(ctx).await?,
        alerts: services.alerts(ctx, true, None, ROWS).await?.items,
        activity: decisive(services.audit_events(ctx, &[], None, LOOKED_THROUGH).await?.items),
        may_load_example: example.is_some() && demo::is_offered(&state, ctx).await?,
        example,
        may_invite: ctx.may(Permission::ManageMembers),
        may_run: ctx.may(Permission::RunPipelines),
    };
    view.page("Home", SECTION, move || view! { <Home links page/> }).await
}

/// What a team wants to know of: not each run that is logged, and of a pipeline's run how it was started and ended.
fn decisive(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    let is_told = |event: &AuditEvent| {
        !matches!(event.object.kind, ObjectKind::Run | ObjectKind::LoggedModel) && event.action != "pipeline_run.begun"
    };
    events.into_iter().filter(is_told).take(TOLD).collect()
}

/// How far a workspace has come in which nothing was promoted yet; none when something was, or waits for the reader.
async fn welcome(state: &AppState, ctx: &Ctx) -> Result<Option<WelcomePage>, Error> {
    let services = &state.services;
    let has_promotion = !services.promotions(ctx, &PromotionFilter::default(), None, 1).await?.items.is_empty();
    let has_pipeline = !services.pipelines(ctx, None, 1).await?.items.is_empty();
    let has_run = services.has_runs(ctx).await?;
    // Whoever is asked is to see that, whatever else there is.
    if has_promotion || has_pipeline && (has_run || !services.step_approvals_waiting_for_me(ctx).await?.is_empty()) {
        return Ok(None);
    }
    let caller = ctx.caller.as_ref().ok_or_else(Error::internal)?;
    let token = services.tokens(caller).await?.into_iter().next().map(|token| token.name);
    Ok(Some(WelcomePage {
        workspace_id: ctx.workspace_id(),
        workspace: ctx.workspace.name.clone(),
        tracking_uri: format!("{}/w/{}", state.public_url, ctx.workspace.slug),
        token,
        has_run,
        has_pipeline,
        has_promotion,
        may_write_pipelines: ctx.may(Permission::WritePipelines),
        example: example::walk(state, ctx),
        may_load_example: demo::is_offered(state, ctx).await?,
    }))
}
