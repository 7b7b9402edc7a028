//! Runs: those of the workspace, which can be narrowed in many ways, and the table that a pipeline's page has too.

use super::state;
use crate::{
    format,
    islands::LiveRegion,
    pages::pipeline::{Around, Part},
    ui::prelude::*,
};
use domain::{
    Page,
    id::WorkspaceId,
    pipeline_run::{PipelineRunState, PipelineRunSummary, RunCause},
};
use leptos::prelude::*;

/// What the page of runs shows.
#[derive(Debug, Clone)]
pub struct RunsPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The runs, newest first.
    pub runs: Page<PipelineRunSummary>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// How many runs of the workspace are open, by state.
    pub open: Vec<(PipelineRunState, i64)>,
}

/// The states that a list can be narrowed to, with the word for each.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("running", "Running"),
    ("queued", "Queued"),
    ("failed", "Failed"),
    ("succeeded", "Succeeded"),
    ("cancelled", "Cancelled"),
];

/// What may have started a run, with a word for each.
const CAUSES: [(RunCause, &str); 9] = [
    (RunCause::Person, "Somebody here"),
    (RunCause::Api, "The API"),
    (RunCause::Schedule, "A schedule"),
    (RunCause::PushHook, "A push"),
    (RunCause::Trigger, "A trigger"),
    (RunCause::Backfill, "A backfill"),
    (RunCause::Rerun, "Run again"),
    (RunCause::Reproduction, "Reproduced"),
    (RunCause::Step, "Another pipeline"),
];

/// Words and addresses of the states, with the one that is chosen.
pub(in crate::pages) fn states(address: &Address) -> Vec<(String, String, bool)> {
    let chosen = address.get("state").unwrap_or_default();
    STATES
        .into_iter()
        .map(|(value, word)| {
            let href = if value.is_empty() { address.without("state") } else { address.with("state", value) };
            (word.to_owned(), href.href(), value == chosen)
        })
        .collect()
}

/// The runs of the workspace.
#[component]
pub fn Runs(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `state`, `pipeline`, `cause`, `by`, `from`, `to` and `q` narrow it, `page_token` goes on.
    address: Address,
    /// What it shows.
    page: RunsPage,
    /// What is wrong with what it was narrowed to.
    #[prop(optional_no_strip)]
    error: Option<String>,
) -> impl IntoView {
    let RunsPage { workspace_id, runs, pipelines, open } = page;
    let events = links.events(&[format!("pipeline_runs:{workspace_id}")]);
    let Page { items, next_page_token } = runs;
    let shown = items.len();
    let narrowed = ["state", "pipeline", "cause", "by", "from", "to", "q", "page_token"];
    let is_narrowed = narrowed.iter().any(|name| address.get(name).is_some());
    let table = if items.is_empty() {
        let (title, text) = if is_narrowed {
            ("No run fits", "Choose other states above, or ask for less.")
        } else {
            (
                "Nothing has run yet",
                "A run appears here as soon as somebody starts a pipeline, or something starts it by itself.",
            )
        };
        let all = is_narrowed.then(|| view! { <ButtonLink text="All runs" href=links.pipeline_runs()/> });
        view! { <div id="no-runs" class="panel"><Empty symbol=Symbol::Pipe title text>{all}</Empty></div> }.into_any()
    } else {
        view! { <RunTable links=links.clone() runs=items pipelines=true/> }.into_any()
    };
    let open = open
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            let (shape, word) = state::of_run(state);
            let href = Address::new(links.pipeline_runs(), []).with("state", state.as_str()).href();
            let word = format!("{} {}", format::integer(count), word.to_lowercase());
            view! { <span><a class="quiet" href=href><StateMark state=shape word/></a></span> }
        })
        .collect_view();
    view! {
        <PageHead title="Pipelines".into_any() meta=open.into_any() live=true/>
        <Around links=links.clone() part=Part::Runs/>
        <section class="mt-4" aria-labelledby="h-runs">
            <h2 class="sr" id="h-runs">"Runs"</h2>
            <div class="list-bar"><Choice label="State" items=states(&address)/></div>
            <Filter address=address.clone() pipelines error/>
            {table}
            <Pager address shown next=next_page_token one="run" many="runs" keys=true/>
        </section>
        <LiveRegion events/>
    }
}

/// The fields that narrow the list.
#[component]
fn Filter(address: Address, pipelines: Vec<String>, error: Option<String>) -> impl IntoView {
    let own = ["q", "pipeline", "cause", "by", "from", "to"];
    let hidden: Vec<_> = address.others(&own).collect();
    let value = |name: &str| address.get(name).unwrap_or_default().to_owned();
    let option = |value: String, word: String, chosen: &str| {
        let selected = value == chosen;
        view! { <option value=value selected=selected>{word}</option> }
    };
    let (pipeline, cause) = (value("pipeline"), value("cause"));
    let mut names = pipelines;
    // One that the list of names left out is chosen all the same.
    if !pipeline.is_empty() && !names.contains(&pipeline) {
        names.push(pipeline.clone());
    }
    let names = names.into_iter().map(|name| option(name.clone(), name, &pipeline)).collect_view();
    let causes =
        CAUSES.into_iter().map(|(of, word)| option(of.as_str().to_owned(), word.to_owned(), &cause)).collect_view();
    let clear = own.iter().any(|name| address.get(name).is_some()).then(|| {
        let href = address.dropping(&[&own[..], &["page_token"]].concat()).href();
        view! { <a class="btn ghost" href=href>"Clear"</a> }
    });
    let date = |name: &'static str, word: &'static str| {
        view! {
            <label class="with-label">
                <span>{word}</span>
                <input class="input" type="date" name=name value=value(name)/>
            </label>
        }
    };
    view! {
        <form class="filter run-filter" role="search" aria-label="Filter runs" method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
            <div class="query">
                <Icon symbol=Symbol::Search/>
                <input
                    type="text"
                    id="filter"
                    name="q"
                    value=value("q")
                    placeholder="#512, a param’s value"
                    aria-label="Text in a run"
                    maxlength="200"
                    spellcheck="false"
                    autocomplete="off"
                    data-filter=""
                />
                <kbd class="only-wide">"/"</kbd>
            </div>
            <select class="input" name="pipeline" aria-label="Pipeline">
                <option value="">"Every pipeline"</option>
                {names}
            </select>
            <select class="input" name="cause" aria-label="What started it">
                <option value="">"Started by anything"</option>
                {causes}
            </select>
            <input class="input by" type="text" name="by" value=value("by") placeholder="By whom" aria-label="By whom" maxlength="200" autocomplete="off"/>
            {date("from", "From")}
            {date("to", "to")}
            <button class="btn" type="submit">"Filter"</button>
            {clear}
        </form>
        {error
            .map(|error| {
                view! {
                    <div class="filter-note error" role="alert"><Icon symbol=Symbol::Warn/><span>{error}</span></div>
                }
            })}
    }
}

/// The table of runs.
#[component]
pub(in crate::pages) fn RunTable(
    links: Links,
    runs: Vec<PipelineRunSummary>,
    /// Whether it says of which pipeline each is.
    #[prop(optional)]
    pipelines: bool,
) -> impl IntoView {
    let now = now();
    let rows = runs
        .into_iter()
        .map(|summary| {
            let (run, total) = (summary.run, summary.steps_total);
            let (shape, word) = state::of_run(run.state);
            let word = if run.held_at.is_some() && run.state == PipelineRunState::Queued { "Held" } else { word };
            let took = state::took(run.started_at, run.ended_at, now).map(format::duration);
            let machine = run.cause != RunCause::Person;
            let params = run.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("  ");
            let pipeline = pipelines.then(|| {
                let name = run.pipeline_name.clone();
                view! { <td class="named"><a class="quiet ellipsis" href=links.pipeline(&name) title=name.clone()>{name.clone()}</a></td> }
            });
            let steps = format!("{} of {}", format::integer(summary.steps_ended), format::integer(total));
            view! {
                <tr id=format!("run-{}", run.number)>
                    <th scope="row" class="pin id"><a class="strong mono" href=links.pipeline_run(run.number)>{format!("#{}", run.number)}</a></th>
                    {pipeline}
                    <td><StateMark state=shape word/></td>
                    <td class="num">{steps}</td>
                    <td>
                        <span class="by" title=run.started_by_name.clone()>
                            <Avatar name=run.started_by_name.clone() machine size=AvatarSize::Row/>
                            <span class="ellipsis">{run.started_by_name.clone()}</span>
                        </span>
                    </td>
                    <td><When at=run.created_at/></td>
                    <td class="num"><Maybe text=took/></td>
                    <td class="num">{format!("v{}", run.version_number)}</td>
                    <td class="params"><span class="mono muted ellipsis" title=params.clone()>{params.clone()}</span></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Table label="Table of runs" keys=true id="runs" live=true class="of-runs">
            <thead>
                <tr>
                    <Head label="Run" class="pin"/>
                    {pipelines.then(|| view! { <Head label="Pipeline"/> })}
                    <Head label="State"/>
                    <Head label="Steps" num=true/>
                    <Head label="By"/>
                    <Head label="Started"/>
                    <Head label="Took" num=true/>
                    <Head label="File" num=true/>
                    <Head label="Params"/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}
