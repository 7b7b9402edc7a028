//! The page of a pipeline run.

use super::{Form, PageResult, View, chosen::Chosen};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::pipeline_run::{LOG_TAIL, Run, RunPage, state},
    shell::Section,
};
use axum::http::Method;
use domain::{
    audit::{AuditEvent, ObjectKind},
    id::PipelineRunId,
    permission::Permission,
};
use leptos::prelude::*;
use services::NewRun;

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many lines of history the page shows.
const EVENTS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/pipeline-runs/{number}", read, show)
        .page(Method::POST, "/pipeline-runs/{number}/cancel", run, cancel)
        .page(Method::POST, "/pipeline-runs/{number}/rerun", run, rerun)
}

async fn show(view: View, Path(number): Path<i64>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.pipeline_run(ctx, number).await?;
    let run = &detail.run;
    let version = services.pipeline_version(ctx, &run.pipeline_name, Some(run.version_number)).await?;
    let attempts = services.pipeline_run_attempts(ctx, number).await?;
    let asked = chosen.get("attempt").and_then(|number| number.parse().ok());
    let shown = state::chosen(&detail.steps, chosen.get("step"))
        .and_then(|step| state::chosen_attempt(attempts.get(&step.name)?, asked));
    let lines = match shown {
        Some(attempt) => services.last_log_lines(attempt, LOG_TAIL).await?,
        None => Vec::new(),
    };
    let events = view.history(ObjectKind::PipelineRun, run.id, EVENTS).await?;
    let title = format!("{} #{number}", run.pipeline_name);
    let page = RunPage {
        spec: version.spec,
        attempts,
        lines,
        alert: alert(&events),
        events,
        key: PipelineRunId::new().to_string(),
        may_run: ctx.may(Permission::RunPipelines),
        detail,
    };
    let links = view.links.clone();
    let address = chosen.address(links.pipeline_run(number));
    view.page(title, SECTION, move || view! { <Run links address page/> }).await
}

/// The number of the alert whose trigger started the run, from its history.
fn alert(events: &[AuditEvent]) -> Option<i64> {
    let named = |event: &AuditEvent| event.related.iter().find(|object| object.kind == ObjectKind::Alert).cloned();
    events.iter().find_map(named)?.name.strip_prefix('#')?.parse().ok()
}

async fn cancel(view: View, Path(number): Path<i64>) -> PageResult {
    let run = view.services().cancel_pipeline_run(view.ctx()?, number).await?;
    let notice = if run.state.is_final() { "The run is cancelled." } else { "Cancelling: what runs is being stopped." };
    view.done(&view.links.pipeline_run(number), notice).await
}

/// Starts the same version with the same params again.
async fn rerun(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let ctx = view.ctx()?;
    let run = view.services().pipeline_run(ctx, number).await?.run;
    let key = form.text("key");
    let new = NewRun {
        pipeline: run.pipeline_name,
        version: Some(run.version_number),
        params: run.params.into_iter().map(|(name, value)| (name, value.into())).collect(),
        idempotency_key: (!key.is_empty()).then(|| key.to_owned()),
    };
    let started = view.services().start_pipeline_run(ctx, new).await?.run;
    let notice = format!("This is #{number} again: the same file, the same params.");
    view.done(&view.links.pipeline_run(started.number), notice).await
}
