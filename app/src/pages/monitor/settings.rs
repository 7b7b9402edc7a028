//! What a monitor looks at, and what its alerts start.

use crate::{format, ui::prelude::*};
use chrono::TimeDelta;
use domain::{audit::AuditEvent, monitor::Monitor, trigger::Trigger};
use leptos::prelude::*;

/// What the page of a monitor shows.
#[derive(Debug, Clone)]
pub struct MonitorPage {
    /// The monitor.
    pub monitor: Monitor,
    /// What its alerts start.
    pub triggers: Vec<Trigger>,
    /// The names of the workspace's pipelines.
    pub pipelines: Vec<String>,
    /// Whether the reader may change it.
    pub may_write: bool,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
}

/// The page of a monitor. Sends to `…/monitor` (`window_rows`, `min_rows`, `enabled`) and to `…/monitor/triggers`
/// (`pipeline`, `params`, `cool_down` in minutes or
/// `cool_down_s`, `enabled`).
#[component]
pub fn Settings(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: MonitorPage,
    /// What was typed about the monitor, and why it was refused.
    #[prop(optional)]
    draft: Draft,
    /// What was typed about a trigger, and why it was refused.
    #[prop(optional)]
    trigger_draft: Draft,
) -> impl IntoView {
    let MonitorPage { monitor, triggers, pipelines, may_write, events } = page;
    let (environment, model) = (monitor.environment.clone(), monitor.model.clone());
    let action = links.monitor(&environment, &model);
    // One that has a trigger is turned on and off in the list: set anew, it would lose its params.
    let pipelines: Vec<String> = pipelines
        .into_iter()
        .filter(|name| trigger_draft.is_refused() || !triggers.iter().any(|trigger| trigger.pipeline == *name))
        .collect();
    let has_triggers = !triggers.is_empty();
    let list = view! { <Triggers links=links.clone() triggers action=format!("{action}/triggers") may_write/> };
    let new = may_write.then(|| view! { <NewTrigger links=links.clone() pipelines has_triggers action=format!("{action}/triggers") draft=trigger_draft/> });
    let what = if may_write {
        view! { <Watch monitor action draft/> }.into_any()
    } else {
        view! { <Watched monitor/> }.into_any()
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Deployments", links.deployments()),
            Crumb::to(format!("{model} in {environment}"), links.endpoint(&environment, &model)),
            Crumb::here("Monitor"),
        ]/>
        <PageHead title=format!("Monitor of {model} in {environment}").into_any()/>
        <div class="with-aside mt-4">
            <div class="stack">{list}{new}</div>
            <aside class="stack" aria-label="What a check looks at, and history">{what}<Happened events links/></aside>
        </div>
    }
}

#[component]
fn Watch(monitor: Monitor, action: String, draft: Draft) -> impl IntoView {
    let mark = draft.value("instead_of").map_or_else(|| monitor.mark(), ToOwned::to_owned);
    let draft = if draft.is_refused() {
        draft
    } else {
        let mut pairs =
            vec![("window_rows", monitor.window_rows.to_string()), ("min_rows", monitor.min_rows.to_string())];
        if monitor.enabled {
            pairs.push(("enabled", "on".to_owned()));
        }
        Draft::of(pairs)
    };
    view! {
        <Panel title="What a check looks at" id="watch">
            <Body>
                <form class="stack" method="post" action=action>
                    <input type="hidden" name="instead_of" value=mark/>
                    <FormErrors draft=draft.clone() fields=&["window_rows", "min_rows"]/>
                    <TextField
                        label="Rows, at most"
                        name="window_rows"
                        kind="number"
                        hint="The latest rows of the traffic, 10 to 100,000. More rows see smaller drift, and see it later."
                        draft=draft.clone()
                    />
                    <TextField
                        label="Rows, at least"
                        name="min_rows"
                        kind="number"
                        hint="With fewer a check is inconclusive."
                        draft=draft.clone()
                    />
                    <CheckField name="enabled" draft><b>"Check the traffic"</b>" Otherwise no alert opens here."</CheckField>
                    <Button text="Save" kind=Kind::Primary/>
                </form>
            </Body>
        </Panel>
    }
}

#[component]
fn Watched(monitor: Monitor) -> impl IntoView {
    view! {
        <Panel title="What a check looks at" id="watch">
            <Body>
                <Facts>
                    <Fact name="Rows">
                        {format!("{} to {}", format::integer(monitor.min_rows.into()), format::integer(monitor.window_rows.into()))}
                    </Fact>
                    <Fact name="Checks">{if monitor.enabled { "on" } else { "off" }}</Fact>
                </Facts>
            </Body>
        </Panel>
    }
}

#[component]
fn Triggers(links: Links, triggers: Vec<Trigger>, action: String, may_write: bool) -> impl IntoView {
    let count = triggers.len();
    if triggers.is_empty() {
        return view! {
            <Panel title="When an alert opens" id="triggers">
                <Empty
                    symbol=Symbol::Bell
                    title="Nothing starts by itself"
                    text="A trigger starts a pipeline once for each alert. What it trains is a candidate: it is promoted like any other version."
                />
            </Panel>
        }
        .into_any();
    }
    let rows = triggers
        .into_iter()
        .map(|trigger| {
            let (shape, word) = if trigger.enabled { (State::Live, "On") } else { (State::Skipped, "Off") };
            let params = written(&trigger);
            let rest = format::coarse(TimeDelta::seconds(i64::from(trigger.cool_down_s)));
            let turn = if trigger.enabled { "Turn off" } else { "Turn on" };
            let mut values = vec![
                ("pipeline", trigger.pipeline.clone()),
                ("params", params.clone()),
                ("cool_down_s", trigger.cool_down_s.to_string()),
            ];
            if !trigger.enabled {
                values.push(("enabled", "on".to_owned()));
            }
            let act = may_write.then(|| view! { <Act action=action.clone() text=turn values/> });
            let with = params.lines().collect::<Vec<_>>().join("  ");
            view! {
                <tr>
                    <th scope="row"><a class="strong" href=links.pipeline(&trigger.pipeline)>{trigger.pipeline.clone()}</a></th>
                    <td><StateMark state=shape word/></td>
                    <td>{format!("once in {rest}")}</td>
                    <td class="params">{if with.is_empty() { view! { <span class="none">"as in the file"</span> }.into_any() } else { view! { <span class="mono ellipsis" title=with.clone()>{with.clone()}</span> }.into_any() }}</td>
                    <td class="num">{act}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="When an alert opens" id="triggers" note=format::count(i64::try_from(count).unwrap_or_default(), "trigger", "triggers")>
            <Table label="Triggers" roomy=true>
                <thead>
                    <tr>
                        <Head label="Starts"/>
                        <Head label="State"/>
                        <Head label="At most"/>
                        <Head label="Params"/>
                        <Head label="Change" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

/// The params of a trigger as the form takes them: `name=value`, one a line.
#[must_use]
pub fn written(trigger: &Trigger) -> String {
    let line = |(name, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    trigger.params.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[component]
fn NewTrigger(links: Links, pipelines: Vec<String>, has_triggers: bool, action: String, draft: Draft) -> impl IntoView {
    if pipelines.is_empty() && has_triggers {
        return ().into_any();
    }
    if pipelines.is_empty() {
        let pipelines = links.pipelines();
        return view! {
            <Panel title="Start a pipeline when an alert opens" id="new-trigger">
                <Body><p class="muted">"There is no pipeline yet. "<a href=pipelines>"Write one"</a>" that trains this model anew."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let draft = if draft.is_refused() { draft } else { Draft::of([("cool_down", "1440"), ("enabled", "on")]) };
    let options = pipelines.into_iter().map(|name| (name.clone(), name)).collect();
    view! {
        <Panel title="Start a pipeline when an alert opens" id="new-trigger">
            <Body>
                <form class="stack" method="post" action=action>
                    <FormErrors draft=draft.clone() fields=&["pipeline", "params", "cool_down"]/>
                    <SelectField label="Pipeline" name="pipeline" options draft=draft.clone()/>
                    <TextArea
                        label="Params"
                        name="params"
                        optional=true
                        mono=true
                        placeholder="learning-rate=0.05"
                        hint="One name=value to a line, for what shall not be as in the file."
                        draft=draft.clone()
                    />
                    <TextField
                        label="Minutes between two starts, at least"
                        name="cool_down"
                        kind="number"
                        hint="0: every alert starts it. An alert opens once, however often its checks find the same."
                        draft=draft.clone()
                    />
                    <CheckField name="enabled" draft><b>"On"</b>" It starts the pipeline once for each alert."</CheckField>
                    <div class="form"><div class="go"><Button text="Set trigger" kind=Kind::Primary/></div></div>
                </form>
            </Body>
        </Panel>
    }
    .into_any()
}
