//! A pipeline: its runs, and the form that starts one.

use super::{
    Head as PipelineHead, Shown,
    limit::Limit,
    list::Recent,
    params::{ParamErrors, ParamFields},
};
use crate::{
    format,
    islands::LiveRegion,
    pages::pipeline_run::{RunTable, states},
    ui::prelude::*,
};
use domain::{
    Page,
    audit::AuditEvent,
    pipeline::{PipelineSummary, PipelineVersion},
    pipeline_run::{Concurrency, PipelineRunState, PipelineRunSummary},
    push_hook::PushHook,
    schedule::Schedule,
    trigger::{Trigger, TriggerOn},
};
use leptos::prelude::*;

/// What the page of a pipeline shows.
#[derive(Debug, Clone)]
pub struct PipelinePage {
    /// The pipeline.
    pub summary: PipelineSummary,
    /// The version of its file that the form starts.
    pub version: PipelineVersion,
    /// Its runs.
    pub runs: Page<PipelineRunSummary>,
    /// What starts it by itself.
    pub triggers: Vec<Trigger>,
    /// The pushes that start it.
    pub push_hooks: Vec<PushHook>,
    /// When it is started by the clock.
    pub schedules: Vec<Schedule>,
    /// How many of its runs may be open at once.
    pub concurrency: Option<Concurrency>,
    /// Names this request to start a run, so that it starts one however often it is sent.
    pub key: String,
    /// Whether the reader may store its file.
    pub may_write: bool,
    /// Whether the reader may start it.
    pub may_run: bool,
    /// What happened to it and its runs, latest first.
    pub events: Vec<AuditEvent>,
}

/// The page of a pipeline. The form sends to `pipelines/{name}/runs`: `version`, `key`, `params.<name>` for each param, and
/// `no_cache`.
#[component]
pub fn Pipeline(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `state` filters, `page_token` goes on, `version` is the one that the form starts.
    address: Address,
    /// The pipeline.
    page: PipelinePage,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let PipelinePage {
        summary,
        version,
        runs,
        triggers,
        schedules,
        concurrency,
        key,
        may_write,
        may_run,
        events: history,
        push_hooks,
    } = page;
    let name = summary.pipeline.name.clone();
    let topic = format!("pipeline_runs:{}", summary.pipeline.workspace_id);
    let events = links.events(&[topic]);
    let (description, latest) = (version.spec.description.clone(), summary.latest_version);
    view! {
        <PipelineHead
            links=links.clone()
            name=name.clone()
            description
            version=latest
            part=Shown::Runs
            may_write
            may_run
        />
        <div class="with-aside">
            <Runs links=links.clone() name=name.clone() address runs recent=summary.recent/>
            <aside class="stack" aria-label="How it starts, and its history">
                {may_run.then(|| view! { <Start links=links.clone() version latest key draft=draft.clone()/> })}
                <Triggers links=links.clone() triggers push_hooks schedules/>
                <Limit links=links.clone() name concurrency may_write draft/>
                <Happened events=history links/>
            </aside>
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn Runs(
    links: Links,
    name: String,
    address: Address,
    runs: Page<PipelineRunSummary>,
    recent: Vec<PipelineRunState>,
) -> impl IntoView {
    let Page { items, next_page_token } = runs;
    let chosen = address.get("state").unwrap_or_default();
    let shown = items.len();
    let table = if items.is_empty() {
        let (title, text) = if chosen.is_empty() {
            (
                "It has never run".to_owned(),
                "Start it with the form beside this, from CI, by the clock, or let an alert start it.".to_owned(),
            )
        } else {
            (format!("No run is {chosen}"), "Choose another state above.".to_owned())
        };
        view! { <div id="no-runs" class="panel"><Empty symbol=Symbol::Pipe title text/></div> }.into_any()
    } else {
        view! { <RunTable links=links.clone() runs=items/> }.into_any()
    };
    let further = Address::new(links.pipeline_runs(), []).with("pipeline", name).href();
    view! {
        <section aria-labelledby="h-runs">
            <h2 class="sr" id="h-runs">"Runs"</h2>
            <div class="list-bar">
                <Choice label="State" items=states(&address)/>
                <a class="btn ghost" href=further>"Filter"</a>
                <span class="push recent" id="recent" data-live="">
                    <span class="muted">"Last twelve "</span>
                    <Recent states=recent/>
                </span>
            </div>
            {table}
            <Pager address shown next=next_page_token one="run" many="runs" keys=true/>
        </section>
    }
}

/// The form that starts a run. Each param begins with its default.
#[component]
fn Start(links: Links, version: PipelineVersion, latest: i32, key: String, draft: Draft) -> impl IntoView {
    let PipelineVersion { number, spec, .. } = version;
    let here = links.pipeline(&spec.name);
    let (action, start, file) = (format!("{here}/runs"), format!("{here}#start"), format!("{here}/file#versions"));
    let note = match draft.value("from") {
        Some(run) => format!("version {number}, params of #{run}"),
        None => format!("version {number}"),
    };
    let other = if number != latest {
        view! {
            <Callout tone=Tone::Warn symbol=Symbol::Commit>
                {format!("This is version {number}, and not the one that runs now. ")}
                <a href=start>{format!("Start version {latest}")}</a>
            </Callout>
        }
        .into_any()
    } else if number > 1 {
        view! { <p class="hint"><a href=file>"Start another version"</a></p> }.into_any()
    } else {
        ().into_any()
    };
    let fields = match spec.params.is_empty() {
        true => view! { <p class="muted">"It takes no params."</p> }.into_any(),
        false => view! { <ParamFields spec=spec.clone() draft=draft.clone()/> }.into_any(),
    };
    view! {
        <Panel title="Start a run" id="start" note=note>
            <Body>
                {other}
                <form class="stack" method="post" action=action>
                    <input type="hidden" name="version" value=number.to_string()/>
                    <input type="hidden" name="key" value=key/>
                    <ParamErrors spec draft=draft.clone()/>
                    {fields}
                    <CheckField name="no_cache" value="true" draft>"Run every step, also what is kept"</CheckField>
                    <Button text="Start run" kind=Kind::Primary symbol=Symbol::Play/>
                </form>
            </Body>
        </Panel>
    }
}

#[component]
fn Triggers(
    links: Links,
    triggers: Vec<Trigger>,
    push_hooks: Vec<PushHook>,
    schedules: Vec<Schedule>,
) -> impl IntoView {
    let count = triggers.len() + push_hooks.len() + schedules.len();
    if count == 0 {
        return view! {
            <Panel title="Started by itself" id="triggers">
                <Body><p class="muted">"Nothing. "<a href=links.schedules()>"Schedules"</a>" start it by the clock, "<a href=links.push_hooks()>"push hooks"</a>" by pushes, "<a href=links.triggers()>"triggers"</a>" when another pipeline ends or a data set has a new version. A trigger for alerts is set where a model serves: open its deployment, then Monitor."</p></Body>
            </Panel>
        }
        .into_any();
    }
    view! {
        <Panel title="Started by itself" id="triggers" note=count.to_string()>
            <Rows>
                {schedules
                    .into_iter()
                    .map(|schedule| {
                        let (shape, word) = if schedule.enabled { (State::Live, "On") } else { (State::Skipped, "Paused") };
                        view! {
                            <Row
                                title=format!("Schedule {}", schedule.name)
                                href=links.schedule(&schedule.name)
                                state=view! { <StateShape state=shape word/> }.into_any()
                                sub=view! { <code>{schedule.expression}</code>" "{schedule.timezone} }.into_any()
                                end=schedule.next_fire.map(|at| view! { <When at/> }.into_any()).unwrap_or_else(|| ().into_any())
                            />
                        }
                    })
                    .collect_view()}
                {push_hooks
                    .into_iter()
                    .map(|hook| {
                        let (shape, word) = if hook.enabled { (State::Live, "On") } else { (State::Skipped, "Off") };
                        view! {
                            <Row
                                title=format!("Push hook {}", hook.name)
                                href=links.push_hook(&hook.name)
                                state=view! { <StateShape state=shape word/> }.into_any()
                                sub=hook.words().into_any()
                            />
                        }
                    })
                    .collect_view()}
                {triggers
                    .into_iter()
                    .map(|trigger| {
                        let href = match &trigger.on {
                            TriggerOn::Alert { model, environment, .. } => links.monitor(environment, model),
                            TriggerOn::Pipeline { .. } | TriggerOn::Dataset { .. } => links.triggers(),
                        };
                        let (shape, word) = if trigger.enabled { (State::Live, "On") } else { (State::Skipped, "Off") };
                        let rest = chrono::TimeDelta::seconds(i64::from(trigger.cool_down_s));
                        view! {
                            <Row
                                title=crate::format::capitalised(&trigger.on.words())
                                href=href
                                state=view! { <StateShape state=shape word/> }.into_any()
                                sub=format!("at most once in {}", format::coarse(rest)).into_any()
                            />
                        }
                    })
                    .collect_view()}
            </Rows>
        </Panel>
    }
    .into_any()
}
