//! A pipeline: its runs, and the form that starts one.

use super::{Head as PipelineHead, Shown, limit::Limit, list::Recent};
use crate::{
    format,
    islands::LiveRegion,
    pages::pipeline_run::{RunTable, states},
    ui::prelude::*,
};
use domain::{
    Page,
    audit::AuditEvent,
    pipeline::{Param, ParamKind, PipelineSpec, PipelineSummary, PipelineVersion},
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
    /// The version of its file that runs.
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

/// The page of a pipeline. The form sends to `pipelines/{name}/runs`: `version`, `key`, and `params.<name>` for each
/// param.
#[component]
pub fn Pipeline(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `state` filters, `page_token` goes on.
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
    let spec = version.spec.clone();
    view! {
        <PipelineHead
            links=links.clone()
            name=name.clone()
            description=spec.description.clone()
            version=summary.latest_version
            part=Shown::Runs
            may_write
            may_run
        />
        <div class="with-aside">
            <Runs links=links.clone() name=name.clone() address runs recent=summary.recent/>
            <aside class="stack" aria-label="How it starts, and its history">
                {may_run.then(|| view! { <Start links=links.clone() name=name.clone() version=version.number spec key draft=draft.clone()/> })}
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
fn Start(links: Links, name: String, version: i32, spec: PipelineSpec, key: String, draft: Draft) -> impl IntoView {
    let action = format!("{}/runs", links.pipeline(&name));
    let from = draft.value("from").map(str::to_owned);
    let note = match &from {
        Some(number) => format!("version {version}, params of #{number}"),
        None => format!("version {version}"),
    };
    let fields = spec
        .params
        .iter()
        .map(|(name, param)| view! { <ParamField name=name.clone() param=param.clone() draft=draft.clone()/> })
        .collect_view();
    view! {
        <Panel title="Start a run" id="start" note=note>
            <Body>
                <form class="stack" method="post" action=action>
                    <input type="hidden" name="version" value=version.to_string()/>
                    <input type="hidden" name="key" value=key/>
                    <StartErrors draft spec=spec.clone()/>
                    {if spec.params.is_empty() {
                        view! { <p class="muted">"It takes no params."</p> }.into_any()
                    } else {
                        fields.into_any()
                    }}
                    <Button text="Start run" kind=Kind::Primary symbol=Symbol::Play/>
                </form>
            </Body>
        </Panel>
    }
}

/// What is wrong with the form beside what its fields say themselves.
#[component]
fn StartErrors(draft: Draft, spec: PipelineSpec) -> impl IntoView {
    let fields: Vec<String> = spec.params.keys().map(|name| format!("params.{name}")).collect();
    let shown: Vec<&str> = fields.iter().map(String::as_str).collect();
    let messages = draft.messages(&shown);
    (!messages.is_empty()).then(|| {
        view! {
            <Callout tone=Tone::Fail alert=true>
                {messages.into_iter().map(|message| view! { <p>{message}</p> }).collect_view()}
            </Callout>
        }
    })
}

/// The field of a param. What it is for stands below it, and what it takes.
#[component]
fn ParamField(name: String, param: Param, draft: Draft) -> impl IntoView {
    let field = format!("params.{name}");
    let default = param.default.as_ref().map(ToString::to_string);
    let shown = match default.as_deref() {
        Some("") => "empty in the file".to_owned(),
        Some(text) if text.chars().count() > 60 => "as in the file".to_owned(),
        Some(text) => format!("{text} in the file"),
        None if param.optional => "may be left out".to_owned(),
        None => "needed".to_owned(),
    };
    let draft = match (draft.value(&field), &default) {
        (None, Some(text)) => Draft::of([(field.clone(), text.clone())]),
        _ => draft,
    };
    let bounds = match (param.minimum, param.maximum) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    };
    let kind = match param.kind {
        ParamKind::String => "A text",
        ParamKind::Number => "A number",
        ParamKind::Integer => "A whole number",
        ParamKind::Boolean => "True or false",
        ParamKind::List => "A list, as JSON",
        ParamKind::Object => "A mapping, as JSON",
    };
    let what = format!("{kind}{bounds}, {shown}");
    let hint = match param.description.trim_end_matches('.') {
        "" => what,
        description => format!("{description}. {what}."),
    };
    let choices: Vec<String> = match param.kind {
        ParamKind::Boolean => ["true", "false"].map(str::to_owned).to_vec(),
        _ => param.choices.iter().map(ToString::to_string).collect(),
    };
    if !choices.is_empty() {
        let none = param.optional.then(|| (String::new(), "None".to_owned()));
        let options = none.into_iter().chain(choices.into_iter().map(|word| (word.clone(), word))).collect();
        return view! { <SelectField label=name name=field options hint draft/> }.into_any();
    }
    match param.kind {
        ParamKind::List | ParamKind::Object => {
            view! { <TextArea label=name name=field mono=true hint draft/> }.into_any()
        }
        kind => {
            let optional = param.optional || (kind == ParamKind::String && default.is_some());
            view! { <TextField label=name name=field optional autocomplete="off" mono=true hint draft/> }.into_any()
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::pipeline::ParamValue;

    #[test]
    fn a_param_begins_with_its_default_and_keeps_what_was_typed() {
        let rate = || Param::from(ParamValue::Fraction(0.1));
        let html = fragment(|| view! { <ParamField name="rate".to_owned() param=rate() draft=Draft::default()/> });
        assert!(html.contains(r#"value="0.1""#) && html.contains("A number, 0.1 in the file"), "{html}");
        let typed = Draft::of([("params.rate", "fast")])
            .refused(&domain::Error::invalid_field("params.rate", "The param \"rate\" must be a number."));
        let html = fragment(|| view! { <ParamField name="rate".to_owned() param=rate() draft=typed/> });
        assert!(html.contains(r#"value="fast""#) && html.contains("must be a number"), "{html}");
    }
}
