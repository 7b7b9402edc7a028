//! The page of a pipeline run.

use super::{Form, PageError, PageResult, View, chosen::Chosen, form::can_mend, promotion::new_decision};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::{
        pipeline_run::{ApprovalView, InsideSteps, LOG_TAIL, Run, RunPage, state},
        promotion::Ballot,
    },
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Digest, Error, ErrorKind,
    audit::{AuditEvent, ObjectKind},
    id::PipelineRunId,
    permission::Permission,
    pipeline_run::{RerunFrom, StepState},
    promotion::DecisionVerdict,
    step::{Step, StepKind},
};
use leptos::prelude::*;
use services::{Rerun, StepFilter};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many steps inside of one the page shows at once.
const INSIDE: usize = 100;
/// How many lines of history the page shows.
const EVENTS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/pipeline-runs/{number}", read, show)
        .page(Method::POST, "/pipeline-runs/{number}/cancel", run, cancel)
        .page(Method::POST, "/pipeline-runs/{number}/rerun", run, rerun)
        .page(Method::POST, "/pipeline-runs/{number}/decisions", Access::Needs(Permission::DecidePromotion), decide)
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
    let named = chosen.get("step");
    let shown = match named.filter(|name| detail.steps.iter().all(|step| step.name != *name)) {
        // One inside of another; of a wrong name, what is shown without one.
        Some(name) => match services.step(ctx, number, name).await {
            Err(error) if error.kind == ErrorKind::NotFound => state::chosen(&detail.steps, None).cloned(),
            found => Some(found?),
        },
        None => state::chosen(&detail.steps, named).cloned(),
    };
    let inside = match &shown {
        Some(step) => inside(&view, number, step, &chosen).await?,
        None => None,
    };
    let inner = inside.iter().flat_map(|inside| &inside.steps);
    let names: BTreeSet<String> =
        detail.steps.iter().chain(&shown).chain(inner).map(|step| step.name.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let attempts = services.pipeline_run_attempts(ctx, number, &names).await?;
    let asked = chosen.get("attempt").and_then(|number| number.parse().ok());
    let attempt = shown.as_ref().and_then(|step| state::chosen_attempt(attempts.get(&step.name)?, asked));
    let lines = match attempt {
        Some(attempt) => services.last_log_lines(attempt, LOG_TAIL).await?,
        None => Vec::new(),
    };
    let approval = match &shown {
        Some(step) if step.kind == StepKind::Approval => approval(&view, number, &step.name).await?,
        _ => None,
    };
    let events = view.history(ObjectKind::PipelineRun, run.id, EVENTS).await?;
    let title = format!("{} #{number}", run.pipeline_name);
    let page = RunPage {
        spec: version.spec,
        shown,
        inside,
        attempts,
        lines,
        approval,
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

/// The steps inside of the one that is shown; when there are none, those that it stands among.
async fn inside(view: &View, number: i64, step: &Step, chosen: &Chosen) -> Result<Option<InsideSteps>, PageError> {
    let (ctx, services) = (view.ctx()?, view.services());
    let outer = match (step.kind, &step.parent) {
        (StepKind::Command | StepKind::Approval | StepKind::Pipeline, Some(parent)) => {
            services.step(ctx, number, parent).await?
        }
        (StepKind::Command | StepKind::Approval | StepKind::Pipeline, None) => return Ok(None),
        (StepKind::Steps | StepKind::Many, _) => step.clone(),
    };
    let state = chosen.get("inside").and_then(StepState::parse);
    let filter = StepFilter { parent: Some(outer.name.clone()), state, commands: false };
    let page = services.steps(ctx, number, &filter, chosen.get("after"), INSIDE).await?;
    Ok(Some(InsideSteps { outer, steps: page.items, state, next: page.next_page_token }))
}

/// What a step asks; none when it has asked nobody.
async fn approval(view: &View, number: i64, step: &str) -> Result<Option<ApprovalView>, PageError> {
    let detail = match view.services().step_approval(view.ctx()?, number, step).await {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let me = view.caller()?.user.clone();
    Ok(Some(ApprovalView {
        ballot: Ballot {
            rules: detail.rules,
            decisions: detail.decisions,
            digest: Some(detail.approval.digest.clone()),
            awaiting: detail.approval.state.is_open(),
            me: me.id,
            nobody: "It asks nobody.",
        },
        approval: detail.approval,
        me,
    }))
}

/// Decides on a step that asks, or shows the page again with what was typed.
async fn decide(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let step = form.text("step").to_owned();
    let decided = async {
        let (services, ctx) = (view.services(), view.ctx()?);
        let rules = services.step_approval(ctx, number, &step).await?.rules;
        let new = new_decision(&form, &rules)?;
        let verdict = new.verdict;
        services.decide_step(ctx, number, &step, new).await.map(|_| verdict)
    };
    match decided.await {
        Ok(verdict) => {
            let notice = if verdict == DecisionVerdict::Approve { "You approved it." } else { "You rejected it." };
            view.done(&view.links.step(number, &step), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            run_page(view, number, Chosen::of([("step", step.as_str())]), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
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
