//! The pages of pipeline runs: all of them, and one.

use super::{Form, PageError, PageResult, View, chosen::Chosen, form::can_mend, promotion::new_decision};
use crate::{access::Access, extract::Path, notebook, router::Routes};
use app::{
    pages::{
        pipeline_run::{ApprovalView, InsideSteps, LOG_LINES, Run, RunPage, Runs, RunsPage, state},
        promotion::Ballot,
    },
    shell::Section,
    ui::{field::Draft, log::LogPart},
};
use axum::http::Method;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Digest, Error, ErrorKind, Page,
    audit::{AuditEvent, ObjectKind},
    id::PipelineRunId,
    log::LogLine,
    permission::Permission,
    pipeline_run::{PipelineRunState, RerunFrom, RunCause, StepState},
    preview::Notebook,
    promotion::DecisionVerdict,
    step::{Step, StepAttempt, StepKind},
};
use leptos::prelude::*;
use services::{Rerun, RunFilter, StepFilter};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many runs a page shows.
const ROWS: usize = 50;
/// How many steps inside of one the page shows at once.
const INSIDE: usize = 100;
/// How many lines of history the page shows.
const EVENTS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/pipeline-runs", read, list)
        .page(Method::GET, "/pipeline-runs/{number}", read, show)
        .page(Method::POST, "/pipeline-runs/{number}/cancel", run, cancel)
        .page(Method::POST, "/pipeline-runs/{number}/rerun", run, rerun)
        .page(Method::POST, "/pipeline-runs/{number}/reproduce", run, reproduce)
        .page(Method::POST, "/pipeline-runs/{number}/decisions", Access::Needs(Permission::DecidePromotion), decide)
}

/// What the address narrows the list to.
fn filter(chosen: &Chosen) -> Result<RunFilter, Error> {
    let unknown = |what: &str| Error::invalid(format!("There is no such {what}."));
    let day = |name: &str| -> Result<Option<NaiveDate>, Error> {
        let wrong = |_| Error::invalid(format!("Give the day \"{name}\" as 2026-03-29."));
        chosen.get(name).map(|day| day.parse().map_err(wrong)).transpose()
    };
    let begin = |day: NaiveDate| DateTime::<Utc>::from_naive_utc_and_offset(day.into(), Utc);
    let text = |name: &str| chosen.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(RunFilter {
        pipeline: text("pipeline"),
        state: chosen
            .get("state")
            .map(|name| PipelineRunState::parse(name).ok_or_else(|| unknown("state")))
            .transpose()?,
        cause: chosen.get("cause").map(|name| RunCause::parse(name).ok_or_else(|| unknown("cause"))).transpose()?,
        by: text("by"),
        text: text("q"),
        from: day("from")?.map(begin),
        // The last day is meant with all of it.
        to: day("to")?.and_then(|day| day.succ_opt()).map(begin),
    })
}

/// A filter that cannot be is told beside its fields, with what was asked for still in them.
async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let asked = async {
        let filter = filter(&chosen)?;
        services.pipeline_runs(ctx, &filter, chosen.get("page_token"), ROWS).await
    };
    let (runs, error) = match asked.await {
        Ok(runs) => (runs, None),
        Err(error) if can_mend(&error) => (Page { items: Vec::new(), next_page_token: None }, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let page = RunsPage {
        workspace_id: ctx.workspace_id(),
        runs,
        pipelines: super::schedule::pipelines(&view).await?,
        open: services.open_pipeline_runs(ctx).await?,
    };
    let links = view.links.clone();
    let address = chosen.address(links.pipeline_runs());
    let told = error.as_ref().map(|error| error.message.clone());
    view.form_page(error.as_ref(), "Runs", SECTION, move || view! { <Runs links address page error=told/> }).await
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
            Err(error) if error.kind == ErrorKind::NotFound => {
                state::chosen(&detail.steps, None, &version.spec).cloned()
            }
            found => Some(found?),
        },
        None => match state::chosen(&detail.steps, named, &version.spec) {
            // Nobody chose one: of many, the first that failed is what one came for.
            Some(step) if named.is_none() && step.state == StepState::Failed => {
                Some(failed(&view, number, step).await?)
            }
            chosen => chosen.cloned(),
        },
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
    let (lines, part, samples) = match (attempt, &shown) {
        (Some(attempt), Some(step)) => {
            let (lines, part) = log(&view, attempt, &chosen).await?;
            (lines, part, services.step_samples(ctx, number, &step.name, attempt.number).await?)
        }
        _ => (Vec::new(), LogPart::End, Vec::new()),
    };
    let waits_for = match &shown {
        Some(step) if step.state == StepState::Ready => services.step_waits_for(ctx, step.id).await?,
        _ => None,
    };
    let notebook = match (&shown, attempt) {
        (Some(step), Some(attempt)) => match services.notebook_of(ctx, step, attempt).await? {
            Some(about) => Some(notebook::shown(services, attempt.id, about, notebook::MOST_INLINE).await?),
            None => None,
        },
        _ => None,
    };
    let approval = match &shown {
        Some(step) if step.kind == StepKind::Approval => approval(&view, number, &step.name).await?,
        _ => None,
    };
    // One that goes on cannot be done again yet.
    let reproductions = if run.state.is_final() { services.reproductions(ctx, number).await? } else { Vec::new() };
    let events = view.history(ObjectKind::PipelineRun, run.id, EVENTS).await?;
    let title = format!("{} #{number}", run.pipeline_name);
    let page = RunPage {
        spec: version.spec,
        shown,
        inside,
        attempts,
        waits_for,
        lines,
        part,
        samples,
        origin: services.run_origin(ctx, run).await?,
        reproductions,
        notebook,
        approval,
        alert: alert(&events),
        events,
        key: PipelineRunId::new().to_string(),
        may_run: ctx.may(Permission::RunPipelines),
        detail,
    };
    let links = view.links.clone();
    let has_frame = page.notebook.as_ref().is_some_and(|shown| {
        // One that runs may show a document later, and the page keeps the policy that it came with.
        !page.detail.run.state.is_final() || shown.cells.as_ref().is_some_and(Notebook::has_frame)
    });
    let view = view.with_frame(has_frame);
    let address = chosen.address(links.pipeline_run(number));
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), title, SECTION, move || view! { <Run links address page draft/> }).await
}

/// The first step that failed inside of a step that has some, and none itself; the step itself when it has none.
async fn failed(view: &View, number: i64, step: &Step) -> Result<Step, PageError> {
    let (ctx, mut step) = (view.ctx()?, step.clone());
    while step.kind.is_outer() {
        let filter = StepFilter { parent: Some(step.name.clone()), state: Some(StepState::Failed), commands: false };
        match view.services().steps(ctx, number, &filter, None, 1).await?.items.pop() {
            Some(inner) => step = inner,
            None => break,
        }
    }
    Ok(step)
}

/// The lines that the address asks for: those with a text in them, those around a line, or the last ones.
async fn log(view: &View, attempt: &StepAttempt, chosen: &Chosen) -> Result<(Vec<LogLine>, LogPart), Error> {
    let services = view.services();
    let number = |name: &str| chosen.get(name).and_then(|number| number.parse::<i64>().ok());
    if let Some(text) = chosen.get("find") {
        let hits = services.search_log(attempt.id, text, number("find_after").unwrap_or(0), LOG_LINES).await?;
        return Ok((hits.lines, LogPart::Found { text: text.to_owned(), up_to: hits.up_to }));
    }
    if let Some(line) = number("line").map(|line| line.clamp(1, attempt.log_lines.max(1))) {
        let around = i64::try_from(LOG_LINES / 2).unwrap_or_default();
        return Ok((services.log_lines(attempt.id, (line - around).max(0), LOG_LINES).await?, LogPart::Around(line)));
    }
    Ok((services.last_log_lines(attempt, LOG_LINES).await?, LogPart::End))
}

/// The steps inside of the one that is shown; when there are none, those that it stands among.
async fn inside(view: &View, number: i64, step: &Step, chosen: &Chosen) -> Result<Option<InsideSteps>, PageError> {
    let (ctx, services) = (view.ctx()?, view.services());
    let outer = match &step.parent {
        _ if step.kind.is_outer() => step.clone(),
        Some(parent) => services.step(ctx, number, parent).await?,
        None => return Ok(None),
    };
    let failed = outer.inner.is_some_and(|inner| inner.failed > 0);
    let state = match chosen.get("inside") {
        // Of many, those that failed are what one looks for.
        None if failed && outer.kind == StepKind::Many => Some(StepState::Failed),
        asked => asked.and_then(StepState::parse),
    };
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
        let (ctx, services) = (view.ctx()?, view.services());
        let run = services.pipeline_run(ctx, number).await?.run;
        let version = services.pipeline_version(ctx, &run.pipeline_name, Some(run.version_number)).await?;
        let params = form.params(version.spec.params.keys());
        let from = match form.text("from") {
            "" => RerunFrom::Start,
            from => from.parse().unwrap_or_else(|never: Infallible| match never {}),
        };
        let key = key(form.text("key"), &params, form.text("from"));
        let rerun = Rerun { from, params, idempotency_key: key };
        services.rerun_pipeline_run(ctx, number, rerun).await
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

/// Does it again from its record.
async fn reproduce(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let key = Some(form.text("key")).filter(|key| !key.is_empty());
    let started = view.services().reproduce_pipeline_run(view.ctx()?, number, key).await?;
    let notice = format!("This is #{number} again, from its record. It is compared with it when it has ended.");
    view.done(&view.links.pipeline_run(started.run.number), &notice).await
}

/// The form's key with what it says: pressed twice it starts one run, and gone back to and changed it starts another.
fn key(form: &str, params: &BTreeMap<String, serde_json::Value>, from: &str) -> Option<String> {
    let digest = Digest::of_json(&(params, from)).ok()?;
    (!form.is_empty()).then(|| format!("{form}:{}", digest.short()))
}
