//! The pages of alerts: what is not resolved, and one with what its triggers did.

use super::{PageResult, View, chosen::Chosen};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::alert::{AlertPage, Alerts, AlertsPage, Candidate, Consequence, One},
    shell::Section,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    monitor::{AlertState, Firing},
    permission::Permission,
    pipeline_run::PipelineRun,
};
use leptos::prelude::*;
use services::{Ctx, PromotionFilter, Services};

const SECTION: Option<Section> = Some(Section::Alerts);
/// How many alerts, or lines of history, a page shows.
const ROWS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, handle) = (Access::Needs(Permission::Read), Access::Needs(Permission::HandleAlerts));
    routes
        .page(Method::GET, "/alerts", read, list)
        .page(Method::GET, "/alerts/{number}", read, show)
        .page(Method::POST, "/alerts/{number}/acknowledge", handle, acknowledge)
        .page(Method::POST, "/alerts/{number}/resolve", handle, resolve)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let all = chosen.get("show") == Some("all");
    let page = AlertsPage {
        workspace_id: ctx.workspace_id(),
        alerts: services.alerts(ctx, !all, chosen.get("page_token"), ROWS).await?,
        unresolved: services.unresolved_alerts(ctx).await?,
    };
    let links = view.links.clone();
    let address = chosen.address(links.alerts());
    view.page("Alerts", SECTION, move || view! { <Alerts links address page/> }).await
}

async fn show(view: View, Path(number): Path<i64>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let (alert, firings) = services.alert_by_number(ctx, number).await?;
    let mut consequences = Vec::new();
    for firing in firings {
        consequences.push(consequence(services, ctx, firing).await?);
    }
    let triggers = services.triggers(ctx).await?;
    let page = AlertPage {
        check: services.check_of_alert(&alert).await?,
        consequences,
        has_triggers: triggers.iter().any(|trigger| trigger.monitor_id == alert.monitor_id && trigger.enabled),
        events: view.history(ObjectKind::Alert, alert.id, ROWS).await?,
        may_handle: ctx.may(Permission::HandleAlerts),
        alert,
    };
    let links = view.links.clone();
    view.page(format!("Alert #{number}"), SECTION, move || view! { <One links page/> }).await
}

async fn consequence(services: &Services, ctx: &Ctx, firing: Firing) -> Result<Consequence, Error> {
    let Some(number) = firing.pipeline_run_number else {
        return Ok(Consequence { firing, run: None, candidates: Vec::new() });
    };
    let run = services.pipeline_run(ctx, number).await?.run;
    Ok(Consequence { candidates: candidates(services, ctx, &run).await?, run: Some(run), firing })
}

/// The versions that the steps of a run registered, and how far their promotions are.
async fn candidates(services: &Services, ctx: &Ctx, run: &PipelineRun) -> Result<Vec<Candidate>, Error> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for logged in services.runs_of_pipeline_run(ctx, run.number).await? {
        let lineage = match services.run_detail(ctx, logged).await {
            Ok(detail) => detail.lineage,
            Err(Error { kind: ErrorKind::NotFound, .. }) => continue,
            Err(error) => return Err(error),
        };
        for (model, version) in lineage.versions {
            let filter =
                PromotionFilter { model: Some(model.clone()), version: Some(version), ..PromotionFilter::default() };
            let promotion = services.promotions(ctx, &filter, None, 1).await?.items.pop();
            let promotion = promotion.map(|one| (one.number, one.environment, one.state));
            candidates.push(Candidate { model, version, promotion });
        }
    }
    Ok(candidates)
}

async fn acknowledge(view: View, Path(number): Path<i64>) -> PageResult {
    handle(view, number, AlertState::Acknowledged, "You look at it.").await
}

async fn resolve(view: View, Path(number): Path<i64>) -> PageResult {
    handle(view, number, AlertState::Resolved, "The alert is resolved.").await
}

async fn handle(view: View, number: i64, to: AlertState, notice: &'static str) -> PageResult {
    view.services().handle_alert(view.ctx()?, number, to).await?;
    view.done(&view.links.alert(number), notice).await
}
