//! Schedules: all of them with the form that makes one, and one with its fires.

use super::pipeline::{AllOf, FormPanel, MadeBy, OfPipeline, ParamsField, Part, Starts};
use crate::{islands::LiveRegion, ui::prelude::*};
use domain::{
    Page,
    audit::AuditEvent,
    id::WorkspaceId,
    schedule::{CatchUp, Fire, FireOutcome, MAX_CATCH_UP, Schedule},
};
use leptos::prelude::*;

/// A schedule in the list.
#[derive(Debug, Clone)]
pub struct ScheduleRow {
    /// The schedule.
    pub schedule: Schedule,
    /// Its next fire by the clock of its zone; none while it is paused.
    pub next: Option<String>,
}

/// What the page of schedules shows.
#[derive(Debug, Clone)]
pub struct SchedulesPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The schedules, by name.
    pub schedules: Page<ScheduleRow>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// The names of time zones.
    pub timezones: Vec<&'static str>,
    /// Whether the reader may make and change them.
    pub may_run: bool,
}

/// The states that the list can be narrowed to, with the word for each.
const FILTERS: [(&str, &str); 3] = [("", "All"), ("on", "On"), ("paused", "Paused")];

/// The schedules of the workspace. The form sends to `schedules`.
#[component]
pub fn Schedules(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `state` and `pipeline` filter, `page_token` goes on.
    address: Address,
    /// What it shows.
    page: SchedulesPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let SchedulesPage { workspace_id, schedules, pipelines, timezones, may_run } = page;
    let events = links.events(&[format!("schedules:{workspace_id}")]);
    let Page { items, next_page_token } = schedules;
    let (shown, is_filtered) =
        (items.len(), ["state", "pipeline", "page_token"].iter().any(|name| address.get(name).is_some()));
    let chosen = address.get("state").unwrap_or_default().to_owned();
    let choice = FILTERS
        .into_iter()
        .map(|(value, word)| {
            let href = if value.is_empty() { address.without("state") } else { address.with("state", value) };
            (word.to_owned(), href.href(), value == chosen)
        })
        .collect();
    let list = if items.is_empty() {
        let (title, text) = if is_filtered {
            ("No schedule fits", "Choose other states or another pipeline above.")
        } else {
            (
                "Nothing starts by the clock",
                "A schedule starts a pipeline again and again, such as each night at three. Make one in the form here, or with POST /api/v1/schedules.",
            )
        };
        view! { <div class="panel" id="no-schedules"><Empty symbol=Symbol::Wait title text/></div> }.into_any()
    } else {
        let rows = items.into_iter().map(|row| view! { <Line links=links.clone() row/> }).collect_view();
        view! {
            <Table label="Schedules" roomy=true keys=true id="schedules" live=true>
                <thead>
                    <tr>
                        <Head label="Schedule"/>
                        <Head label="State"/>
                        <Head label="Starts"/>
                        <Head label="When"/>
                        <Head label="Next"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let form =
        may_run.then(|| view! { <New links=links.clone() pipelines=pipelines.clone() timezones draft/> }.into_any());
    view! {
        <AllOf links part=Part::Schedules title="Schedules" form makes="Make a schedule">
            <div class="list-bar">
                <OfPipeline address=address.clone() pipelines/>
                <Choice label="State" items=choice/>
            </div>
            {list}
            <Pager address shown next=next_page_token one="schedule" many="schedules" keys=true/>
        </AllOf>
        <LiveRegion events/>
    }
}

fn state(schedule: &Schedule) -> (State, &'static str) {
    if schedule.enabled { (State::Live, "On") } else { (State::Skipped, "Paused") }
}

#[component]
fn Line(links: Links, row: ScheduleRow) -> impl IntoView {
    let ScheduleRow { schedule, next } = row;
    // The zone stands beside the expression.
    let next =
        next.map(|next| next.strip_suffix(&schedule.timezone).map_or(next.clone(), |time| time.trim_end().to_owned()));
    let (shape, word) = state(&schedule);
    view! {
        <tr id=format!("schedule-{}", schedule.name)>
            <th scope="row"><a class="strong" href=links.schedule(&schedule.name)>{schedule.name.clone()}</a></th>
            <td><StateMark state=shape word/></td>
            <td><a class="quiet" href=links.pipeline(&schedule.pipeline)>{schedule.pipeline.clone()}</a></td>
            <td class="wrap"><code>{schedule.expression.clone()}</code><span class="sub">{schedule.timezone.clone()}</span></td>
            <td class="wrap">
                {schedule.next_fire.map(|at| view! { <When at/> })}
                <span class="sub">{next}</span>
            </td>
        </tr>
    }
}

/// What the page of a schedule shows.
#[derive(Debug, Clone)]
pub struct SchedulePage {
    /// The schedule.
    pub schedule: Schedule,
    /// Its next fires, by the clock of its zone.
    pub ahead: Vec<String>,
    /// What came of its fires, latest first, each with its time by the clock of its zone.
    pub fires: Page<(Fire, String)>,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// The names of time zones.
    pub timezones: Vec<&'static str>,
    /// Whether the reader may change it.
    pub may_run: bool,
}

/// A schedule. Its forms send to `schedules/{name}`, with `do` `change`, `pause`, `resume` or `delete`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on.
    address: Address,
    /// What it shows.
    page: SchedulePage,
    /// What is in the fields of its form, and why it was refused.
    draft: Draft,
) -> impl IntoView {
    let SchedulePage { schedule, ahead, fires, events: history, pipelines, timezones, may_run } = page;
    let events = links.events(&[format!("schedules:{}", schedule.workspace_id)]);
    let (shape, word) = state(&schedule);
    let action = links.schedule(&schedule.name);
    let name = schedule.name.clone();
    let toggle = if schedule.enabled { ("pause", "Pause") } else { ("resume", "Let it go on") };
    let acts = may_run.then(|| {
        view! {
            <Act action=action.clone() text=toggle.1 values=vec![("do", toggle.0.to_owned())]/>
            <Button text="Delete" kind=Kind::Danger opens="delete-schedule"/>
        }
    });
    let pipeline = schedule.pipeline.clone();
    let dialog = may_run.then(|| {
        view! {
            <Confirm
                id="delete-schedule"
                title=format!("Delete {name}?")
                action=action.clone()
                go="Delete it"
                keep="Keep it"
                values=vec![("do", "delete".to_owned())]
            >
                <p>{format!("It does not start {} any more, and what came of its fires is forgotten. The runs that it started stay.", pipeline)}</p>
            </Confirm>
        }
    });
    let next = if ahead.is_empty() {
        view! { <Body><p class="muted">"It is paused."</p></Body> }.into_any()
    } else {
        let rows = ahead
            .into_iter()
            .map(|at| view! { <Row title=at state=view! { <StateShape state=State::Waiting word="to come"/> }.into_any()/> })
            .collect_view();
        view! { <Rows>{rows}</Rows> }.into_any()
    };
    let Page { items, next_page_token } = fires;
    let shown = items.len();
    let past = if items.is_empty() {
        view! { <div class="panel" id="no-fires"><Empty symbol=Symbol::Wait title="It has not fired yet" text="What comes of each of its times stands here."/></div> }.into_any()
    } else {
        let rows = items.into_iter().map(|(fire, time)| view! { <Past links=links.clone() fire time/> }).collect_view();
        view! {
            <Table label="Fires" keys=true id="fires" live=true>
                <thead>
                    <tr>
                        <Head label="Fire"/>
                        <Head label="Outcome"/>
                        <Head label="Run"/>
                        <Head label="Seen to"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let form = may_run.then(|| {
        view! {
            <FormPanel title="Change" id="change" action go="Save" own=FIELDS draft=draft.clone() act="change">
                <Fields pipelines timezones draft/>
            </FormPanel>
        }
    });
    let params = (!schedule.params.is_empty()).then(|| {
        let rows = schedule
            .params
            .clone()
            .into_iter()
            .map(|(name, value)| view! { <Fact name mono=true>{super::pipeline::plain(&value)}</Fact> })
            .collect_view();
        view! { <Panel title="Params" id="params"><Body><Facts small=true>{rows}</Facts></Body></Panel> }
    });
    view! {
        <Crumbs items=vec![
            Crumb::to("Pipelines", links.pipelines()),
            Crumb::to("Schedules", links.schedules()),
            Crumb::here(schedule.name.clone()),
        ]/>
        <PageHead
            title=schedule.name.clone().into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=acts.into_any()
            meta=view! {
                <Starts links=links.clone() pipeline=schedule.pipeline.clone()/>
                <span><Icon symbol=Symbol::Wait/><code>{schedule.expression.clone()}</code>" "{schedule.timezone.clone()}</span>
                <span>{rule(&schedule)}</span>
                {schedule.param.clone().map(|param| view! { <span>"The time is the param "<code>{param}</code></span> })}
                <MadeBy name=schedule.created_by.clone() at=schedule.created_at/>
            }
                .into_any()
            live=true
        />
        {dialog}
        <div class="with-aside mt-4">
            <div class="stack">
                <section aria-labelledby="h-fires">
                    <h2 class="sr" id="h-fires">"Fires"</h2>
                    {past}
                    <Pager address shown next=next_page_token one="fire" many="fires" keys=true/>
                </section>
                <Happened events=history links=links.clone()/>
            </div>
            <aside class="stack" aria-label="Its next fires, its params, and the form that changes it">
                <Panel title="Next" id="next" live=true>{next}</Panel>
                {params}
                {form}
            </aside>
        </div>
        <LiveRegion events/>
    }
}

/// What happens with fires that nobody was there for, in words.
fn rule(schedule: &Schedule) -> String {
    let rule = match schedule.catch_up {
        CatchUp::Skip => "Missed fires stay missed".to_owned(),
        CatchUp::Latest => "The last missed fire is made up for".to_owned(),
        CatchUp::All => format!("Up to {} missed fires are made up for", schedule.catch_up_limit),
    };
    if schedule.jitter_s == 0 { rule } else { format!("{rule}; put off by up to {} s", schedule.jitter_s) }
}

#[component]
fn Past(links: Links, fire: Fire, time: String) -> impl IntoView {
    let (shape, word) = match fire.outcome {
        FireOutcome::Started => (State::Passed, "Started"),
        FireOutcome::Missed => (State::Warning, "Missed"),
        FireOutcome::Skipped => (State::Skipped, "Skipped"),
        FireOutcome::Refused => (State::Failed, "Refused"),
    };
    let run = match fire.run_number {
        Some(number) => view! { <a class="mono" href=links.pipeline_run(number)>{format!("#{number}")}</a> }.into_any(),
        None => view! { <span class="muted">{fire.reason}</span> }.into_any(),
    };
    view! {
        <tr>
            <th scope="row">{time}</th>
            <td><StateMark state=shape word/></td>
            <td class="wrap">{run}</td>
            <td><When at=fire.at/></td>
        </tr>
    }
}

/// The fields that show their own errors.
const FIELDS: &[&str] = &[
    "name",
    "pipeline",
    "expression",
    "timezone",
    "params",
    "param",
    "param_format",
    "catch_up",
    "catch_up_limit",
    "jitter_s",
];

#[component]
fn New(links: Links, pipelines: Vec<String>, timezones: Vec<&'static str>, draft: Draft) -> impl IntoView {
    let draft = if draft.is_refused() || draft.value("pipeline").is_some() {
        draft
    } else {
        Draft::of([
            ("timezone", "UTC"),
            ("param_format", "date"),
            ("catch_up", "skip"),
            ("catch_up_limit", "10"),
            ("jitter_s", "0"),
        ])
    };
    view! {
        <FormPanel title="New schedule" id="new" action=links.schedules() go="Make schedule" own=FIELDS draft=draft.clone()>
            <Fields pipelines timezones draft/>
        </FormPanel>
    }
}

/// What a new schedule and one that is changed have in common.
#[component]
fn Fields(pipelines: Vec<String>, timezones: Vec<&'static str>, draft: Draft) -> impl IntoView {
    let rules = [
        ("skip", "Stay missed"),
        ("latest", "The last of them starts a run"),
        ("all", "Each starts a run, up to a limit"),
    ]
    .map(|(value, word)| (value.to_owned(), word.to_owned()));
    view! {
        <TextField label="Name" name="name" autocomplete="off" max=63_usize hint="Such as nightly." draft=draft.clone()/>
        <TextField label="Pipeline" name="pipeline" autocomplete="off" choices=pipelines draft=draft.clone()/>
        <TextField
            label="When"
            name="expression"
            autocomplete="off"
            mono=true
            hint="Minute, hour, day, month, day of the week: 0 3 * * 1-5 is each working day at 03:00."
            draft=draft.clone()
        />
        <TextField
            label="Time zone"
            name="timezone"
            autocomplete="off"
            choices=timezones.into_iter().map(str::to_owned).collect()
            hint="Such as Europe/Berlin. A time that clocks skip comes when they go on; one that they repeat comes once."
            draft=draft.clone()
        />
        <ParamsField label="Params" draft=draft.clone()/>
        <TextField
            label="The param that gets the time"
            name="param"
            autocomplete="off"
            mono=true
            hint="None when this is empty. Every step has the time in SLIPWAY_SCHEDULED_FOR."
            draft=draft.clone()
        />
        <SelectField label="How it gets it" name="param_format" options=super::backfill::formats() draft=draft.clone()/>
        <SelectField
            label="Fires that no worker was there for"
            name="catch_up"
            options=rules.to_vec()
            draft=draft.clone()
        />
        <TextField
            label="The limit, when each is made up for"
            name="catch_up_limit"
            kind="number"
            autocomplete="off"
            hint=format!("1 to {MAX_CATCH_UP}.")
            draft=draft.clone()
        />
        <TextField
            label="Put off by up to, in seconds"
            name="jitter_s"
            kind="number"
            autocomplete="off"
            hint="So that not all start at once; 0 to 3600."
            draft
        />
    }
}
