//! The page of a pipeline run.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::pipeline_run::{LOG_TAIL, Run, RunPage, state},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Digest, Error, ErrorKind,
    audit::{AuditEvent, ObjectKind},
    id::PipelineRunId,
    permission::Permission,
    pipeline_run::RerunFrom,
};
use leptos::prelude::*;
use services::Rerun;
use std::{collections::BTreeMap, convert::Infallible};

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
    run_page(view, number, chosen, None).await
}

async fn run_page(view: View, number: i64, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
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
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), title, SECTION, move || view! { <Run links address page draft/> }).await
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

/// Runs it again: the same version, from the start unless the form says otherwise, with the params that it gives.
async fn rerun(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let rerun = async {
        let run = view.services().pipeline_run(view.ctx()?, number).await?.run;
        let given = |name: &String| {
            let field = format!("params.{name}");
            let value = form.all(&field).next().map(str::to_owned)?;
            Some((name.clone(), value.into()))
        };
        let params: BTreeMap<String, serde_json::Value> = run.params.keys().filter_map(given).collect();
        let from = match form.text("from") {
            "" => RerunFrom::Start,
            from => from.parse().unwrap_or_else(|never: Infallible| match never {}),
        };
        let key = key(form.text("key"), &params, form.text("from"));
        let rerun = Rerun { from, params, idempotency_key: key };
        view.services().rerun_pipeline_run(view.ctx()?, number, rerun).await
    };
    match rerun.await {
        Ok(started) => {
            let notice = format!("This is #{number} again.");
            view.done(&view.links.pipeline_run(started.run.number), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            run_page(view, number, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The form's key with what it says: pressed twice it starts one run, and gone back to and changed it starts another.
fn key(form: &str, params: &BTreeMap<String, serde_json::Value>, from: &str) -> Option<String> {
    let digest = Digest::of_json(&(params, from)).ok()?;
    (!form.is_empty()).then(|| format!("{form}:{}", digest.short()))
}
