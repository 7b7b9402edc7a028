//! Backfills: all of them with the form that makes one, and one with its dates.

use super::pipeline::{AllOf, FormPanel, MadeBy, OfPipeline, ParamsField, Part, Starts};
use crate::{islands::LiveRegion, pages::pipeline_run::state as of, ui::prelude::*};
use domain::{
    Page,
    audit::AuditEvent,
    backfill::{Backfill, BackfillRun, BackfillState, DateFormat, MAX_AT_ONCE, Progress as Runs},
    id::WorkspaceId,
};
use leptos::prelude::*;

/// What the page of backfills shows.
#[derive(Debug, Clone)]
pub struct BackfillsPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The backfills, newest first.
    pub backfills: Page<Backfill>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// The names of time zones.
    pub timezones: Vec<&'static str>,
    /// Whether the reader may make them.
    pub may_run: bool,
}

/// The backfills of the workspace. The form sends to `backfills`.
#[component]
pub fn Backfills(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `pipeline` filters, `page_token` goes on.
    address: Address,
    /// What it shows.
    page: BackfillsPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let BackfillsPage { workspace_id, backfills, pipelines, timezones, may_run } = page;
    let events = links.events(&["backfills", "pipeline_runs"].map(|noun| format!("{noun}:{workspace_id}")));
    let Page { items, next_page_token } = backfills;
    let shown = items.len();
    let list = if items.is_empty() {
        view! {
            <div class="panel" id="no-backfills">
                <Empty
                    symbol=Symbol::Layers
                    title="No backfill yet"
                    text="A backfill runs a pipeline once for each of many dates that have passed, some at a time. Make one in the form here, or with POST /api/v1/backfills."
                />
            </div>
        }
        .into_any()
    } else {
        let rows = items
            .into_iter()
            .map(|backfill| {
                let (shape, word) = state(backfill.state);
                view! {
                    <tr id=format!("backfill-{}", backfill.number)>
                        <th scope="row"><a class="strong mono" href=links.backfill(backfill.number)>{format!("#{}", backfill.number)}</a></th>
                        <td><StateMark state=shape word/></td>
                        <td><a class="quiet" href=links.pipeline(&backfill.pipeline)>{backfill.pipeline.clone()}</a></td>
                        <td class="wrap">{words(&backfill)}</td>
                        <td class="num">{done(&backfill.progress)}</td>
                        <td><When at=backfill.created_at/><span class="sub ellipsis">{backfill.created_by}</span></td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <Table label="Backfills" roomy=true keys=true id="backfills" live=true>
                <thead>
                    <tr>
                        <Head label="Backfill"/>
                        <Head label="State"/>
                        <Head label="Runs"/>
                        <Head label="Dates"/>
                        <Head label="Ended" num=true/>
                        <Head label="Made"/>
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
        <AllOf links part=Part::Backfills title="Backfills" form makes="Make a backfill">
            <div class="list-bar"><OfPipeline address=address.clone() pipelines/></div>
            {list}
            <Pager address shown next=next_page_token one="backfill" many="backfills" keys=true/>
        </AllOf>
        <LiveRegion events/>
    }
}

fn state(state: BackfillState) -> (State, &'static str) {
    match state {
        BackfillState::Running => (State::Running, "Running"),
        BackfillState::Done => (State::Passed, "Done"),
        BackfillState::Cancelled => (State::Cancelled, "Cancelled"),
    }
}

/// Which dates, in words.
fn words(backfill: &Backfill) -> String {
    let range = &backfill.range;
    let every = match (&range.expression, range.step_s) {
        (Some(expression), _) => expression.clone(),
        (None, Some(step)) => format!("every {}", crate::format::coarse(chrono::TimeDelta::seconds(step))),
        (None, None) => String::new(),
    };
    let day = |at: chrono::DateTime<chrono::Utc>| at.format("%-d %b %Y").to_string();
    format!("{} to {}, {every}, {}", day(range.from), day(range.to), range.timezone)
}

/// How many of its dates are over.
fn done(runs: &Runs) -> String {
    format!("{} of {}", runs.succeeded + runs.failed + runs.refused, runs.total)
}

/// What the page of a backfill shows.
#[derive(Debug, Clone)]
pub struct BackfillPage {
    /// The backfill.
    pub backfill: Backfill,
    /// Its dates, earliest first, each as its param gets it.
    pub dates: Page<(BackfillRun, String)>,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may cancel it.
    pub may_run: bool,
}

/// A backfill. Its form sends to `backfills/{number}/cancel`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on.
    address: Address,
    /// What it shows.
    page: BackfillPage,
) -> impl IntoView {
    let BackfillPage { backfill, dates, events: history, may_run } = page;
    let topics = ["backfills", "pipeline_runs"].map(|noun| format!("{noun}:{}", backfill.workspace_id));
    let events = (backfill.state == BackfillState::Running).then(|| links.events(&topics));
    let (shape, word) = state(backfill.state);
    let may_cancel = may_run && backfill.state == BackfillState::Running;
    let Runs { total, waiting, open, succeeded, failed, refused } = backfill.progress;
    // A date that has no run any more, or never had one, is done with as well.
    #[allow(clippy::cast_precision_loss)] // at most a thousand
    let share = (total - waiting - open) as f64 / total.max(1) as f64;
    let counts = [
        (State::Passed, succeeded, "succeeded"),
        (State::Failed, failed, "failed or cancelled"),
        (State::Failed, refused, "refused"),
        (State::Running, open, "open"),
        (State::Queued, waiting, "to come"),
    ];
    let counts = counts
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(state, count, word)| view! { <StateMark state word=format!("{} {word}", format::integer(count))/> })
        .collect_view();
    let action = format!("{}/cancel", links.backfill(backfill.number));
    let dialog = may_cancel.then(|| {
        view! {
            <Confirm
                id="cancel-backfill"
                title=format!("Cancel the backfill #{}?", backfill.number)
                action
                go="Cancel backfill"
                keep="Let it go on"
            >
                <p>{format!("{waiting} of its dates get no run any more, and {open} open runs are cancelled.")}</p>
            </Confirm>
        }
    });
    let Page { items, next_page_token } = dates;
    let shown = items.len();
    let rows = items
        .into_iter()
        .map(|(one, date)| {
            let (mark, run) = match (one.run_number, one.run_state) {
                (Some(number), Some(state)) => {
                    let (shape, word) = of::of_run(state);
                    let href = links.pipeline_run(number);
                    let run = view! { <a class="mono" href=href>{format!("#{number}")}</a> }.into_any();
                    (view! { <StateMark state=shape word/> }.into_any(), run)
                }
                _ => match one.refused {
                    Some(why) => (
                        view! { <StateMark state=State::Failed word="Refused"/> }.into_any(),
                        view! { <span class="muted">{why}</span> }.into_any(),
                    ),
                    None => (view! { <StateMark state=State::Queued word="To come"/> }.into_any(), ().into_any()),
                },
            };
            view! {
                <tr>
                    <th scope="row">{date}</th>
                    <td>{mark}</td>
                    <td class="wrap">{run}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Crumbs items=vec![
            Crumb::to("Pipelines", links.pipelines()),
            Crumb::to("Backfills", links.backfills()),
            Crumb::here(format!("#{}", backfill.number)),
        ]/>
        <PageHead
            title=view! { {backfill.pipeline.clone()}" "<span class="mono">{format!("#{}", backfill.number)}</span> }.into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=may_cancel.then(|| view! { <Button text="Cancel backfill" kind=Kind::Danger opens="cancel-backfill"/> }).into_any()
            meta=view! {
                <Starts links=links.clone() pipeline=backfill.pipeline.clone()/>
                <span><Icon symbol=Symbol::Wait/>{words(&backfill)}</span>
                <span>"The date is the param "<code>{backfill.param.clone()}</code>{format!("; {} at once", backfill.at_once)}</span>
                <MadeBy name=backfill.created_by.clone() at=backfill.created_at/>
            }
                .into_any()
            live=true
        />
        {dialog}
        <div class="stack mt-4">
            <Panel title="Progress" id="progress" note=format!("{total} dates") live=true>
                <Body>
                    <Progress share/>
                    <p class="counts">{counts}</p>
                </Body>
            </Panel>
            <Table label="Dates" keys=true id="dates" live=true>
                <thead>
                    <tr>
                        <Head label="Date"/>
                        <Head label="State"/>
                        <Head label="Run"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next=next_page_token one="date" many="dates" keys=true/>
            <Happened events=history links/>
        </div>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

/// The fields that show their own errors.
const FIELDS: &[&str] = &[
    "schedule",
    "pipeline",
    "from",
    "to",
    "expression",
    "step_s",
    "timezone",
    "param",
    "param_format",
    "params",
    "at_once",
];

/// How a param gets a date, for a form to offer.
pub(super) fn formats() -> Vec<(String, String)> {
    DateFormat::ALL
        .map(|format| {
            let word = match format {
                DateFormat::Date => "As a day: 2026-03-29",
                DateFormat::Time => "As a moment: 2026-03-29T03:00:00+02:00",
            };
            (format.as_str().to_owned(), word.to_owned())
        })
        .to_vec()
}

#[component]
fn New(links: Links, pipelines: Vec<String>, timezones: Vec<&'static str>, draft: Draft) -> impl IntoView {
    let draft = if draft.is_refused() {
        draft
    } else {
        Draft::of([("timezone", "UTC"), ("expression", "0 0 * * *"), ("param_format", "date"), ("at_once", "1")])
    };
    view! {
        <FormPanel title="New backfill" id="new" action=links.backfills() go="Begin backfill" own=FIELDS draft=draft.clone()>
            <TextField label="Pipeline" name="pipeline" autocomplete="off" choices=pipelines draft=draft.clone()/>
            <TextField label="From" name="from" kind="datetime-local" draft=draft.clone()/>
            <TextField label="To" name="to" kind="datetime-local" draft=draft.clone()/>
            <TextField
                label="Dates"
                name="expression"
                autocomplete="off"
                mono=true
                hint="Minute, hour, day, month, day of the week: 0 0 * * * is each day."
                draft=draft.clone()
            />
            <TextField
                label="Time zone"
                name="timezone"
                autocomplete="off"
                choices=timezones.into_iter().map(str::to_owned).collect()
                hint="Of all these times."
                draft=draft.clone()
            />
            <TextField label="The param that gets the date" name="param" autocomplete="off" mono=true draft=draft.clone()/>
            <SelectField label="How it gets it" name="param_format" options=formats() draft=draft.clone()/>
            <ParamsField label="Other params" draft=draft.clone()/>
            <TextField
                label="Runs at once"
                name="at_once"
                kind="number"
                autocomplete="off"
                hint=format!("1 to {MAX_AT_ONCE}.")
                draft
            />
        </FormPanel>
    }
}
