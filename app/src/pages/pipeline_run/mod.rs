//! A run of a pipeline: how its steps stand, the log of one of them, and what can be done about it. Which step, which
//! try and which view are in the address.

mod again;
mod approval;
mod attempts;
mod cause;
mod failure;
mod gantt;
mod graph;
mod inside;
mod list;
mod log;
mod outputs;
mod params;
mod record;
mod resources;
pub mod state;
mod step;
mod steps;

pub use approval::ApprovalView;
pub(in crate::pages) use list::{RunTable, states};
pub use list::{Runs, RunsPage};
pub(crate) use record::CodeFacts;

use crate::{
    format,
    islands::LiveRegion,
    pages::notebook::{NotebookPanel, ShownNotebook},
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    log::LogLine,
    pipeline::PipelineSpec,
    pipeline_run::{PipelineRun, PipelineRunDetail, RunCause, RunOrigin, StepState},
    step::{Step, StepAttempt, StepKind, StepSample},
};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// How many lines of a log a page shows at once.
pub const LOG_LINES: usize = 500;

/// What the page of a run shows.
#[derive(Debug, Clone)]
pub struct RunPage {
    /// The run and its steps.
    pub detail: PipelineRunDetail,
    /// The file that it runs.
    pub spec: PipelineSpec,
    /// The step that is shown, which may be inside of another.
    pub shown: Option<Step>,
    /// The steps inside of the one that is shown, or those that it stands among.
    pub inside: Option<InsideSteps>,
    /// The tries of each step that the page shows and that has some.
    pub attempts: BTreeMap<String, Vec<StepAttempt>>,
    /// Why the step that is shown does not run although it could, to follow "It waits ".
    pub waits_for: Option<String>,
    /// Lines of the log of the try that is shown, up to [`LOG_LINES`].
    pub lines: Vec<LogLine>,
    /// Which lines they are.
    pub part: LogPart,
    /// What the try that is shown used.
    pub samples: Vec<StepSample>,
    /// Where it comes from.
    pub origin: RunOrigin,
    /// Runs that did it again, the last first.
    pub reproductions: Vec<PipelineRun>,
    /// The notebook of the try that is shown, when it runs one.
    pub notebook: Option<ShownNotebook>,
    /// What the step that is shown asks people, when it does.
    pub approval: Option<ApprovalView>,
    /// The number of the alert that started it.
    pub alert: Option<i64>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Names a request to run it again, so that it starts one run however often it is sent.
    pub key: String,
    /// Whether the reader may cancel it and start another.
    pub may_run: bool,
}

/// Steps inside of a step.
#[derive(Debug, Clone)]
pub struct InsideSteps {
    /// The step that they are inside of.
    pub outer: Step,
    /// Some of them.
    pub steps: Vec<Step>,
    /// Only those in this state.
    pub state: Option<StepState>,
    /// What the next page of them begins after.
    pub next: Option<String>,
}

/// The page of a run. Sends to `pipeline-runs/{number}/cancel`, `…/rerun` and `…/decisions`.
#[component]
pub fn Run(
    /// The addresses of the workspace.
    links: Links,
    /// The page, with what was chosen: `step`, `attempt`, `view`, of the graph `graph` and `open`, of the log `find` and
    /// `line`.
    address: Address,
    /// The run.
    page: RunPage,
    /// What was typed to run it again, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let run = page.detail.run.clone();
    let shown = page.shown.clone();
    let attempt = shown.as_ref().and_then(|step| {
        let asked = address.get("attempt").and_then(|number| number.parse().ok());
        state::chosen_attempt(page.attempts.get(&step.name)?, asked).cloned()
    });
    let topic = format!("pipeline_run:{}", run.id);
    let events = (!run.state.is_final()).then(|| links.events(&[topic]));
    let params =
        view! { <params::Params run=run.clone() spec=page.spec.clone() links=links.clone() may_run=page.may_run/> };
    let name = shown.as_ref().map(|step| step.name.clone());
    let steps = view! { <steps::Steps page=page.clone() address=address.clone() shown=name/> };
    let inside = page.inside.clone().map(|inside| {
        let shown = shown.as_ref().map(|step| step.name.clone());
        view! { <inside::Inside inside page=page.clone() address=address.clone() shown/> }
    });
    let log = shown.clone().filter(|step| step.kind == StepKind::Command).map(|step| {
        view! { <log::StepLog page=page.clone() links=links.clone() address=address.clone() step attempt=attempt.clone()/> }
    });
    let failure = shown.clone().map(|step| {
        view! { <failure::Failure page=page.clone() step attempt=attempt.clone()/> }
    });
    let limits = shown.as_ref().and_then(|step| page.spec.step(&step::place(&step.name))).map(|spec| spec.resources);
    let resources = attempt.clone().map(|attempt| {
        let samples = page.samples.clone();
        view! { <resources::Resources samples attempt limits=limits.unwrap_or_default()/> }
    });
    let record = view! { <record::Record page=page.clone() links=links.clone()/> };
    let judged = view! { <record::Judged run=run.clone() links=links.clone()/> };
    let notebook = page.notebook.clone().zip(shown.as_ref().zip(attempt.clone())).map(|(notebook, (step, attempt))| {
        let step = step.name.clone();
        view! { <NotebookPanel links=links.clone() number=run.number step attempt notebook/> }
    });
    let asked = page.approval.clone().map(|view| view! { <approval::Asked view links=links.clone()/> });
    let decide = page.approval.clone().map(|view| {
        // What was refused may have been this form, or the one that runs it again.
        let draft = if draft.value("verdict").is_some() { draft.clone() } else { Draft::default() };
        view! { <approval::Decide view links=links.clone() draft/> }
    });
    let history = view! { <Timeline events=page.events.clone() links=links.clone()/> };
    let head = view! { <RunHead page=page.clone() links=links.clone()/> };
    let draft = if draft.value("verdict").is_some() { Draft::default() } else { draft };
    let again = page.may_run.then(|| view! { <again::Again page=page.clone() links=links.clone() draft/> });
    let facts = shown.map(|step| view! { <step::StepFacts page links=links.clone() address step attempt/> });
    view! {
        <Crumbs items=vec![
            Crumb::to("Pipelines", links.pipelines()),
            Crumb::to(run.pipeline_name.clone(), links.pipeline(&run.pipeline_name)),
            Crumb::here(format!("#{}", run.number)),
        ]/>
        {head}
        <div id="judged" data-live="">{judged}</div>
        <div class="stack mt-4">
            {steps}
            <div class="with-aside">
                <div class="stack" id="shown" data-live="">
                    {failure}
                    {inside}
                    {notebook}
                    {asked}
                    {log}
                    {resources}
                    <Panel title="History" id="history"><Body>{history}</Body></Panel>
                </div>
                <aside
                    class="stack"
                    id="beside"
                    data-live=""
                    aria-label="The step, its tries and outputs, the params of the run, and the form that runs it again"
                >
                    {decide}
                    {facts}
                    {params}
                    {record}
                    {again}
                </aside>
            </div>
        </div>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

#[component]
fn RunHead(page: RunPage, links: Links) -> impl IntoView {
    let RunPage { detail: PipelineRunDetail { run, steps, steps_total, steps_ended, .. }, alert, key, may_run, .. } =
        page;
    let now = now();
    let (shape, _) = state::of_run(run.state);
    let words = state::run_words(&run, steps_ended, steps_total, now);
    let action = |verb: &str| format!("{}/{verb}", links.pipeline_run(run.number));
    let rerun = may_run.then(|| {
        view! { <Act action=action("rerun") text="Run again" symbol=Symbol::Redo values=vec![("key", key)]/> }
    });
    let cancelling = run.cancel_requested_at.is_some();
    let cancel = (may_run && !run.state.is_final()).then(|| {
        if cancelling {
            view! { <Button text="Cancel run" kind=Kind::Danger because="Somebody cancelled it already; what runs is being stopped."/> }
                .into_any()
        } else {
            view! { <Button text="Cancel run" kind=Kind::Danger opens="cancel-run"/> }.into_any()
        }
    });
    let dialog = (may_run && !run.state.is_final() && !cancelling)
        .then(|| view! { <Cancel run=run.clone() steps action=action("cancel")/> });
    view! {
        <PageHead
            title=view! { {run.pipeline_name.clone()}" "<span class="mono">{format!("#{}", run.number)}</span> }.into_any()
            badge=view! { <Badge state=shape word=words/> }.into_any()
            actions=view! { {rerun}{cancel} }.into_any()
            meta=view! { <RunMeta run=run.clone() alert links/> }.into_any()
            live=true
        />
        <div id="run-dialogs" data-live="">{dialog}</div>
    }
}

#[component]
fn RunMeta(run: PipelineRun, alert: Option<i64>, links: Links) -> impl IntoView {
    let version = format!("{}/file?version={}", links.pipeline(&run.pipeline_name), run.version_number);
    let machine = run.cause != RunCause::Person;
    view! {
        <span>
            <Avatar name=run.started_by_name.clone() machine size=AvatarSize::Small/>
            {run.started_by_name.clone()}
            " started it "
            <When at=run.created_at/>
        </span>
        <cause::Started run=run.clone() alert links=links.clone()/>
        {run.held_at.map(|at| view! { <span><Icon symbol=Symbol::Queued/>"Waits for its turn since "<When at/></span> })}
        <span>
            <Icon symbol=Symbol::Commit/>
            <a href=version>{format!("Version {}", run.version_number)}</a>
            <DigestText digest=run.digest.clone()/>
        </span>
        {run.ended_at.map(|at| view! { <span><Icon symbol=Symbol::Wait/>"Ended "<When at/></span> })}
    }
}

/// The question before a run is cancelled: it names what stops, and what does not begin.
#[component]
fn Cancel(run: PipelineRun, steps: Vec<Step>, action: String) -> impl IntoView {
    let now = now();
    let names = |wanted: &dyn Fn(StepState) -> bool| {
        steps.iter().filter(|step| wanted(step.state)).map(|step| step.name.clone()).collect::<Vec<_>>()
    };
    let running = steps
        .iter()
        .filter(|step| step.state == StepState::Running)
        .map(|step| match state::took(step.started_at, None, now) {
            Some(span) => format!("{} ({})", step.name, format::duration(span)),
            None => step.name.clone(),
        })
        .collect::<Vec<_>>();
    let waiting = names(&|state| matches!(state, StepState::Waiting | StepState::Ready));
    let kept = names(&|state| state == StepState::Succeeded);
    view! {
        <Confirm
            id="cancel-run"
            title=format!("Cancel {} #{}?", run.pipeline_name, run.number)
            action
            go="Cancel run"
            keep="Let it run"
        >
            {(!running.is_empty()).then(|| view! { <p>"Stops: "<b>{listed(&running)}</b>". What it has not written to an output is lost."</p> })}
            {(!waiting.is_empty()).then(|| view! { <p>"Does not begin: "{listed(&waiting)}"."</p> })}
            {(!kept.is_empty()).then(|| view! { <p>"Kept: logs and outputs of "{listed(&kept)}"."</p> })}
            <p class="muted">"A cancelled run does not go on; run it again from its page."</p>
        </Confirm>
    }
}

/// Up to six names, and how many more.
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=6 => names.join(", "),
        count => format!("{} and {} more", names[..6].join(", "), count - 6),
    }
}
