//! Several runs beside each other: their curves over each other, what they differ by, and how that goes together.

use super::{
    board::{About, Board, Groups, Owner},
    state,
};
use crate::{
    chart::{
        Figure,
        bars::{self, Bars},
        dimension::{Dimension, in_order},
        hue::{self, Swatch},
        look::Look,
        parallel::{self, Parallel},
        scatter::{self, Scatter},
    },
    ui::prelude::*,
};
use domain::{
    environment::Better,
    experiment::Champion,
    run::{Run, RunStatus},
};
use leptos::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The most runs that are compared: as many as there are colours.
pub const MOST_RUNS: usize = hue::MOST;
/// The most charts that are drawn at once, of many curves each.
const MOST_CHARTS: usize = 12;
/// The most rows of a table.
const ROWS: usize = 300;
/// The most axes beside each other.
const MOST_AXES: usize = 16;

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Curves over each other.
    #[default]
    Charts,
    /// Params and metrics in tables.
    Values,
    /// An axis for each of some params and metrics.
    Parallel,
    /// A point for each run.
    Scatter,
    /// A bar for each run.
    Bars,
}

impl View {
    /// What an address says under `tab`. Without curves, the tables come first.
    #[must_use]
    pub fn of(address: &Address, has_curves: bool) -> Self {
        match address.get("tab") {
            Some("charts") => Self::Charts,
            Some("values") => Self::Values,
            Some("parallel") => Self::Parallel,
            Some("scatter") => Self::Scatter,
            Some("bars") => Self::Bars,
            _ if has_curves => Self::Charts,
            _ => Self::Values,
        }
    }
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ComparePage {
    /// The runs, in the order they were chosen, at most [`MOST_RUNS`].
    pub runs: Vec<Arc<Run>>,
    /// How many points each metric has, of the run that has the most.
    pub lengths: BTreeMap<String, i64>,
    /// The charts that are drawn.
    pub board: Board,
    /// What they are held against.
    pub champion: Option<Champion>,
}

impl ComparePage {
    /// The charts of an address, still without their points.
    #[must_use]
    pub fn board(address: &Address, lengths: &BTreeMap<String, i64>, champion: Option<&Champion>) -> Board {
        let about = if address.get("about") == Some("system") { About::System } else { About::Training };
        let has_curves = lengths.values().any(|points| *points > 1);
        match View::of(address, has_curves) {
            View::Charts => Board::plan(address, lengths, champion, about, MOST_CHARTS),
            _ => Board::default(),
        }
    }

    /// About how many points a curve of so many gets, so that a page stays small.
    #[must_use]
    pub fn points(runs: usize) -> usize {
        (3000 / runs.max(1)).clamp(60, 300)
    }
}

/// Several runs beside each other.
#[component]
pub fn Compare(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `run` are the runs, `hide` those whose lines are left out, `tab` is a [`View`].
    address: Address,
    /// What it shows.
    page: ComparePage,
) -> impl IntoView {
    let count = page.runs.len();
    if count < 2 {
        return view! {
            <Crumbs items=vec![Crumb::to("Experiments", links.experiments()), Crumb::here("Compare")]/>
            <PageHead title="Compare runs".into_any()/>
            <div class="panel mt-4">
                <Empty
                    symbol=Symbol::Flask
                    title="Choose two runs or more"
                    text="Tick them in the table of an experiment, then press Compare. Up to 50 stand beside each other."
                >
                    <ButtonLink text="Experiments" href=links.experiments()/>
                </Empty>
            </div>
        }
        .into_any();
    }
    let has_curves = page.lengths.values().any(|points| *points > 1);
    let shown = View::of(&address, has_curves);
    // The runs, which of them are hidden, and how charts are drawn stay from one part to the next.
    let mut plain = address.clone();
    for name in
        ["tab", "metric", "open", "after", "differ", "axis", "sx", "sy", "colour", "bar", "about", "start", "end"]
    {
        plain = plain.without(name);
    }
    let tab = |view: View, name: &'static str, value: &'static str| {
        Tab::new(name, plain.with("tab", value).href()).current(shown == view)
    };
    let tabs = vec![
        tab(View::Charts, "Charts", "charts"),
        tab(View::Values, "Params and metrics", "values"),
        tab(View::Parallel, "Parallel coordinates", "parallel"),
        tab(View::Scatter, "Scatter", "scatter"),
        tab(View::Bars, "Bars", "bars"),
    ];
    let lines = lines(&address, &page.runs);
    let body = match shown {
        View::Charts => {
            view! { <Charts links=links.clone() address=address.clone() page=page.clone() lines=lines.clone()/> }
                .into_any()
        }
        View::Values => view! { <Values address=address.clone() page=page.clone() lines=lines.clone()/> }.into_any(),
        View::Parallel => {
            view! { <ParallelView address=address.clone() page=page.clone() lines=lines.clone()/> }.into_any()
        }
        View::Scatter => {
            view! { <ScatterView address=address.clone() page=page.clone() lines=lines.clone()/> }.into_any()
        }
        View::Bars => view! { <BarsView address=address.clone() page=page.clone() lines=lines.clone()/> }.into_any(),
    };
    view! {
        <Crumbs items=vec![Crumb::to("Experiments", links.experiments()), Crumb::here("Compare")]/>
        <PageHead title=format!("Compare {count} runs").into_any()/>
        <div class="mt-4"><Heads links address runs=page.runs lines/></div>
        <Tabs label="Compare" items=tabs/>
        <div class="stack mt-4">{body}</div>
    }
    .into_any()
}

/// A run's line in the charts of the page.
#[derive(Debug, Clone)]
struct Line {
    name: String,
    hue: usize,
    hidden: bool,
}

/// The lines of the runs. Two runs of one name are told apart by the beginning of their ids.
fn lines(address: &Address, runs: &[Arc<Run>]) -> Vec<Line> {
    let hidden: BTreeSet<&str> = address.all("hide").collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *seen.entry(&run.info.name).or_default() += 1;
    }
    runs.iter()
        .enumerate()
        .map(|(hue, run)| {
            let id = run.info.id.simple();
            let is_twin = seen.get(run.info.name.as_str()).is_some_and(|count| *count > 1);
            // Ids begin with a time: the end tells them apart.
            let name = if is_twin { format!("{} {}", run.info.name, &id[26..]) } else { run.info.name.clone() };
            Line { name, hue, hidden: hidden.contains(id.as_str()) }
        })
        .collect()
}

/// The runs themselves, each with its line in the charts, which a press leaves out.
#[component]
fn Heads(links: Links, address: Address, runs: Vec<Arc<Run>>, lines: Vec<Line>) -> impl IntoView {
    let many = runs.len() > 8;
    let rows = runs
        .into_iter()
        .zip(lines)
        .map(|(run, line)| {
            let (shape, word) = state(run.info.status);
            let started = from_ms(run.info.start_time);
            let id = run.info.id.simple();
            let toggled =
                if line.hidden { address.without_value("hide", &id) } else { address.and("hide", id.clone()) };
            let fewer = address.without_value("run", &id).without_value("run", &run.info.id.to_string());
            let label = format!("{} {}", if line.hidden { "Show" } else { "Hide" }, line.name);
            view! {
                <tr class=line.hidden.then_some("off")>
                    <td class="tick">
                        <a class="line-toggle" href=toggled.href() data-toggle=run.info.id.to_string() aria-label=label>
                            <Swatch at=line.hue/>
                        </a>
                    </td>
                    <th scope="row" class="name"><a class="ellipsis" href=links.run(&run.info.id) title=run.info.name.clone()>{line.name}</a></th>
                    <td><StateMark state=shape word/></td>
                    <td class="muted"><When at=started/></td>
                    <td class="num"><Took from=started to=run.info.end_time.map(from_ms)/></td>
                    <td><Avatar name=run.info.user_name.clone() size=AvatarSize::Row named=true/></td>
                    <td class="end">
                        <a class="icon-btn" href=fewer.href() aria-label=format!("Remove {}", run.info.name)><Icon symbol=Symbol::Close/></a>
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class=if many { "compared many" } else { "compared" }>
            <Table label="Runs" tall=many>
                <thead>
                    <tr>
                        <Head label="Line" quiet=true class="tick"/>
                        <Head label="Run"/>
                        <Head label="State"/>
                        <Head label="Started"/>
                        <Head label="Took" num=true/>
                        <Head label="By"/>
                        <Head label="Remove" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </div>
    }
}

/// Curves over each other.
#[component]
fn Charts(links: Links, address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let about = if address.get("about") == Some("system") { About::System } else { About::Training };
    let has_system = page.lengths.iter().any(|(key, points)| *points > 1 && super::board::is_system(key));
    let owners: Vec<Owner> = page
        .runs
        .iter()
        .zip(lines)
        .map(|(run, line)| Owner {
            id: run.info.id,
            run: BoardRun {
                id: run.info.id.to_string(),
                name: line.name,
                start: run.info.start_time,
                hue: line.hue,
                hidden: line.hidden,
            },
        })
        .collect();
    let is_running = page.runs.iter().any(|run| run.info.status == RunStatus::Running);
    let runs = owners.iter().map(|owner| owner.run.clone()).collect();
    let first = page.board.keys().first().map(|key| crate::ui::query::encode(key));
    let series = format!(
        "{}&key={}",
        links.series(page.runs.iter().map(|run| &run.info.id)),
        first.unwrap_or_else(|| "-".to_owned())
    );
    let is_empty = page.board.groups.is_empty();
    let found = address.without("after").without("open");
    let choice = has_system.then(|| {
        let here = address.without("open").without("after").without("start").without("end");
        let items = vec![
            ("Training".to_owned(), here.without("about").href(), about == About::Training),
            ("System".to_owned(), here.with("about", "system").href(), about == About::System),
        ];
        view! { <Choice label="Which metrics" items/> }
    });
    let nothing = is_empty.then(|| {
        view! { <p class="filter-note">"No metric with a curve is found. Metrics of one point are under Params and metrics."</p> }
    });
    view! {
        <FilterBar label="Find metrics by name" address=found name="metric" placeholder="loss">{choice}</FilterBar>
        <ChartBoard runs series address=address.clone() live=is_running>
            <ChartControls address=address.clone() anew=&["after"]/>
            {nothing}
            <Groups address=address.clone() board=page.board about owners champion=page.champion look=Look::of(&address)/>
        </ChartBoard>
    }
}

/// A run's name as the head of a column.
#[component]
fn Column(line: Line) -> impl IntoView {
    view! {
        <th scope="col" class="num run-column">
            <span class="legend"><Swatch at=line.hue/><span class="ellipsis" title=line.name.clone()>{line.name.clone()}</span></span>
        </th>
    }
}

/// The best of some numbers, where it is known which way is better.
fn best(champion: Option<&Champion>, key: &str, values: &[Option<f64>]) -> Option<f64> {
    let better = *champion?.better.get(key)?;
    let numbers = values.iter().flatten().copied().filter(|value| value.is_finite());
    match better {
        Better::Higher => numbers.reduce(f64::max),
        Better::Lower => numbers.reduce(f64::min),
    }
}

/// Whether not all of these are the same; not-a-number is the same as itself.
fn differ(mut values: impl Iterator<Item = Option<String>>) -> bool {
    let first = values.next();
    values.any(|value| Some(&value) != first.as_ref())
}

/// What runs differ by: params, then metrics.
#[component]
fn Values(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let wants_all = address.get("differ") == Some("all");
    let asked = address.get("metric").unwrap_or_default().to_lowercase();
    let runs = &page.runs;
    let choice = vec![
        ("Differences".to_owned(), address.without("differ").href(), !wants_all),
        ("All".to_owned(), address.with("differ", "all").href(), wants_all),
    ];
    let heads = |lines: &[Line]| lines.iter().map(|line| view! { <Column line=line.clone()/> }).collect_view();
    let (param_heads, metric_heads) = (heads(&lines), heads(&lines));
    let in_names = |keys: BTreeSet<&str>| {
        let mut keys: Vec<String> =
            keys.into_iter().filter(|key| key.to_lowercase().contains(&asked)).map(str::to_owned).collect();
        keys.sort_by(|one, other| in_order(one, other));
        keys
    };

    let params = in_names(runs.iter().flat_map(|run| run.params.keys().map(String::as_str)).collect());
    let all_params = params.len();
    let param_differs = |key: &str| differ(runs.iter().map(|run| run.params.get(key).cloned()));
    let (changed, same): (Vec<String>, Vec<String>) = params.into_iter().partition(|key| param_differs(key));
    let params_note = format!("{} of {all_params} differ", changed.len());
    let rows: Vec<(String, bool)> = changed
        .into_iter()
        .map(|key| (key, true))
        .chain(same.into_iter().filter(|_| wants_all).map(|key| (key, false)))
        .take(ROWS)
        .collect();
    let has_params = !rows.is_empty();
    let param_rows = rows
        .into_iter()
        .map(|(key, differs)| {
            let cells = runs
                .iter()
                .map(|run| {
                    let whole = run.params.get(&key).cloned();
                    let short = whole.as_ref().map(|value| value.chars().take(60).collect::<String>());
                    view! { <td class=if differs { "num mono strong" } else { "num mono muted" } title=whole><Maybe text=short/></td> }
                })
                .collect_view();
            view! { <tr><th scope="row" class="mono pin key">{key.clone()}</th>{cells}</tr> }
        })
        .collect_view();

    let latest: Vec<BTreeMap<&str, f64>> =
        runs.iter().map(|run| run.metrics.iter().map(|metric| (metric.key.as_str(), metric.value)).collect()).collect();
    let metrics = in_names(latest.iter().flat_map(|of| of.keys().copied()).collect());
    let all_metrics = metrics.len();
    let shown: Vec<(String, Vec<Option<f64>>, bool)> = metrics
        .into_iter()
        .map(|key| {
            let values: Vec<Option<f64>> = latest.iter().map(|of| of.get(key.as_str()).copied()).collect();
            let differs = differ(values.iter().map(|value| value.map(|value| value.to_string())));
            (key, values, differs)
        })
        .collect();
    let changed = shown.iter().filter(|row| row.2).count();
    let metrics_note = format!("{changed} of {all_metrics} differ");
    let metric_rows = shown
        .into_iter()
        .filter(|row| row.2 || wants_all)
        .take(ROWS)
        .map(|(key, values, _): (String, Vec<Option<f64>>, bool)| {
            let best = best(page.champion.as_ref(), &key, &values);
            let cells = values
                .into_iter()
                .map(|value| {
                    let is_best = value.is_some() && value == best;
                    view! {
                        <td class=if is_best { "num strong best" } else { "num" }>
                            {is_best.then(|| view! { <Icon symbol=Symbol::Star/><span class="sr">"best "</span> })}
                            <Num value/>
                        </td>
                    }
                })
                .collect_view();
            let champion = page.champion.as_ref().map(|champion| {
                let theirs = champion.metrics.get(&key).copied();
                view! { <td class="num muted"><Num value=theirs/></td> }
            });
            view! { <tr><th scope="row" class="mono pin key">{key}</th>{champion}{cells}</tr> }
        })
        .collect_view();
    let champion = page.champion.as_ref().map(|champion| format!("champion v{}", champion.version));
    let has_metrics = changed > 0 || (wants_all && all_metrics > 0);
    let same = |what: &str| format!("No {what} differs. ");
    let all_link = address.with("differ", "all").href();
    let all_link_too = all_link.clone();
    view! {
        <FilterBar label="Find params and metrics by name" address=address.clone() name="metric" placeholder="loss">
            <Choice label="Which rows" items=choice/>
        </FilterBar>
        <Panel title="Params" id="params" note=params_note>
            {if has_params {
                view! {
                    <Table label="Params of each run" class="of-runs">
                        <thead><tr><Head label="Param" class="pin"/>{param_heads}</tr></thead>
                        <tbody>{param_rows}</tbody>
                    </Table>
                }
                    .into_any()
            } else {
                view! { <Body><p class="muted">{same("param")}<a href=all_link.clone()>"Show all"</a></p></Body> }.into_any()
            }}
        </Panel>
        <Panel title="Metrics" id="metrics" note=metrics_note>
            {if has_metrics {
                view! {
                    <Table label="Metrics of each run" class="of-runs">
                        <thead>
                            <tr>
                                <Head label="Metric" class="pin"/>
                                {champion.map(|name| view! { <Head label=name num=true/> })}
                                {metric_heads}
                            </tr>
                        </thead>
                        <tbody>{metric_rows}</tbody>
                    </Table>
                }
                    .into_any()
            } else {
                view! { <Body><p class="muted">{same("metric")}<a href=all_link_too>"Show all"</a></p></Body> }.into_any()
            }}
        </Panel>
    }
}

/// What runs can be drawn by: names as the search language has them, `params.` and `metrics.`, those that differ first; and
/// how many of them are params that differ.
fn choices(page: &ComparePage) -> (Vec<String>, usize) {
    let mut names: Vec<(bool, bool, String)> = Vec::new();
    let params: BTreeSet<&String> = page.runs.iter().flat_map(|run| run.params.keys()).collect();
    for key in params {
        let first = page.runs[0].params.get(key);
        let is_same = page.runs.iter().all(|run| run.params.get(key) == first);
        names.push((is_same, false, format!("params.{key}")));
    }
    let metrics: BTreeSet<&str> =
        page.runs.iter().flat_map(|run| run.metrics.iter().map(|metric| metric.key.as_str())).collect();
    for key in metrics {
        names.push((super::board::is_system(key), true, format!("metrics.{key}")));
    }
    names.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| in_order(&one.2, &other.2)));
    let first = names.iter().take_while(|name| !name.0).filter(|name| !name.1).count();
    (names.into_iter().map(|(_, _, name)| name).collect(), first)
}

/// A param or metric of all runs, by its name among the [`choices`].
fn dimension(page: &ComparePage, name: &str) -> Option<Dimension> {
    if let Some(key) = name.strip_prefix("params.") {
        let texts: Vec<Option<&str>> = page.runs.iter().map(|run| run.params.get(key).map(String::as_str)).collect();
        return texts.iter().any(Option::is_some).then(|| Dimension::of_texts(key, &texts));
    }
    let key = name.strip_prefix("metrics.")?;
    let numbers: Vec<Option<f64>> = page.runs.iter().map(|run| run.metric(key)).collect();
    numbers.iter().any(Option::is_some).then(|| Dimension::of_numbers(key, numbers))
}

/// Of the names, the metric that a gate names first, else the first metric.
fn main_metric(page: &ComparePage, names: &[String]) -> Option<String> {
    let gated = page.champion.as_ref().and_then(|champion| {
        names.iter().find(|name| name.strip_prefix("metrics.").is_some_and(|key| champion.better.contains_key(key)))
    });
    gated.or_else(|| names.iter().find(|name| name.starts_with("metrics."))).cloned()
}

/// What is written of a name in a choice.
fn option(name: &str) -> String {
    match name.split_once('.') {
        Some(("params", key)) => format!("{key} (param)"),
        Some((_, key)) => key.to_owned(),
        None => name.to_owned(),
    }
}

/// Only those whose lines are shown, with the places of what is left among all.
fn left(lines: &[Line]) -> Vec<(usize, &Line)> {
    lines.iter().enumerate().filter(|(_, line)| !line.hidden).collect()
}

/// The same page with only the runs whose lines are shown.
fn shown_runs(page: &ComparePage, lines: &[Line]) -> (ComparePage, Vec<(String, usize)>) {
    let left = left(lines);
    let mut fewer = page.clone();
    fewer.runs = left.iter().map(|(at, _)| Arc::clone(&page.runs[*at])).collect();
    (fewer, left.into_iter().map(|(_, line)| (line.name.clone(), line.hue)).collect())
}

/// Nothing is left to be drawn.
fn all_hidden() -> AnyView {
    view! { <p class="filter-note">"All runs are hidden. Press the lines beside their names to show them."</p> }
        .into_any()
}

/// An axis for each of some params and metrics.
#[component]
fn ParallelView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (page, runs) = shown_runs(&page, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let (names, differing) = choices(&page);
    let chosen: Vec<String> = address.all("axis").take(MOST_AXES).map(str::to_owned).collect();
    let chosen: Vec<String> = if chosen.is_empty() {
        let params = names.iter().take(differing.min(6));
        let main = main_metric(&page, &names);
        let metrics = names.iter().filter(|name| name.starts_with("metrics.") && Some(*name) != main.as_ref()).take(1);
        params.chain(metrics).cloned().chain(main.clone()).collect()
    } else {
        chosen
    };
    let axes: Vec<Dimension> = chosen.iter().filter_map(|name| dimension(&page, name)).collect();
    let count = axes.len();
    let total = runs.len();
    let drawing = parallel::draw(&Parallel { axes, runs });
    let hidden: Vec<(String, String)> = address.others(&["axis"]).collect();
    let boxes = |prefix: &'static str| {
        names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .take(200)
            .map(|name| {
                let checked = chosen.contains(name);
                view! {
                    <label class="check">
                        <input type="checkbox" name="axis" value=name.clone() checked=checked autocomplete="off"/>
                        <span class="mono">{name[prefix.len()..].to_owned()}</span>
                    </label>
                }
            })
            .collect_view()
    };
    let (params, metrics) = (boxes("params."), boxes("metrics."));
    let library = use_context::<crate::shell::Assets>().map(|assets| assets.chart_js);
    let actions = view! {
        <form method="get" action=address.path().to_owned()>
            {hidden.into_iter().map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view()}
            <details class="more columns">
                <summary class="btn"><Icon symbol=Symbol::Columns/>"Axes "<span class="muted">{count}</span></summary>
                <div class="menu">
                    <p class="label">"Params"</p>
                    <div class="checks">{params}</div>
                    <p class="label">"Metrics"</p>
                    <div class="checks">{metrics}</div>
                    <div class="go">
                        <Button text="Show these" kind=Kind::Primary/>
                        <a class="btn" href=address.without("axis").href()>"Those that differ"</a>
                    </div>
                </div>
            </details>
        </form>
    };
    view! {
        <Panel title="Parallel coordinates" id="parallel" note=format!("{total} runs over {count} axes") actions=actions.into_any()>
            <div class="body">
                <p class="brush-note muted">
                    "Drag along an axis to keep the runs that pass through it; with keys, arrows move a range, Shift and arrows its upper end, Escape lifts it."
                </p>
                <div class="scroll-x" id="brush" tabindex="0" role="group" aria-label="Parallel coordinates" data-library=library><Figure drawing/></div>
                <output class="brush-said muted" data-brushed=""></output>
            </div>
            <crate::islands::Charts board="brush"/>
        </Panel>
    }
    .into_any()
}

/// Choices of axes as a form.
#[component]
fn Axes(
    address: Address,
    names: Vec<String>,
    /// Label, name in the address, what is chosen, and whether it may be nothing.
    fields: Vec<(&'static str, &'static str, Option<String>, bool)>,
) -> impl IntoView {
    let own: Vec<&'static str> = fields.iter().map(|field| field.1).collect();
    let hidden: Vec<(String, String)> = address.others(&own).collect();
    let selects = fields
        .into_iter()
        .map(|(label, name, chosen, may_be_none)| {
            let options = names
                .iter()
                .take(1000)
                .map(|value| {
                    let selected = Some(value) == chosen.as_ref();
                    view! { <option value=value.clone() selected=selected>{option(value)}</option> }
                })
                .collect_view();
            view! {
                <label>
                    {label}" "
                    <select class="input" name=name data-send="" autocomplete="off">
                        {may_be_none.then(|| view! { <option value="">"Run"</option> })}
                        {options}
                    </select>
                </label>
            }
        })
        .collect_view();
    view! {
        <form class="chart-controls" method="get" action=address.path().to_owned()>
            {hidden.into_iter().map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view()}
            {selects}
            <button class="btn" type="submit">"Draw"</button>
        </form>
    }
}

/// A point for each run.
#[component]
fn ScatterView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (page, runs) = shown_runs(&page, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let (names, _) = choices(&page);
    let chosen = |name: &str| address.get(name).map(str::to_owned).filter(|name| names.contains(name));
    let y = chosen("sy").or_else(|| main_metric(&page, &names));
    let x = chosen("sx").or_else(|| names.iter().find(|name| Some(*name) != y.as_ref()).cloned());
    let colour = chosen("colour");
    let (Some(xs), Some(ys)) =
        (x.as_deref().and_then(|name| dimension(&page, name)), y.as_deref().and_then(|name| dimension(&page, name)))
    else {
        return view! { <p class="filter-note">"These runs have no two params or metrics to be drawn by."</p> }
            .into_any();
    };
    let shade = colour.as_deref().and_then(|name| dimension(&page, name));
    let legend = shade.as_ref().map(legend);
    let title = format!("{} by {}", ys.name, xs.name);
    let scatter = Scatter { x: xs, y: ys, colour: shade, runs };
    let fields = vec![("X", "sx", x, false), ("Y", "sy", y, false), ("Colour", "colour", colour, true)];
    view! {
        <Axes address names fields/>
        <Panel title id="scatter">
            <div class="body">
                <div class="scroll-x" tabindex="0" role="group" aria-label="Scatter plot"><Figure drawing=scatter::draw(&scatter)/></div>
                {legend}
            </div>
        </Panel>
    }
    .into_any()
}

/// What the colours of a scatter plot mean.
fn legend(dimension: &Dimension) -> AnyView {
    let name = dimension.name.clone();
    let items = if dimension.is_numbers() {
        let (_, ticks) = dimension.places(2);
        let ends = (ticks.first().map(|tick| tick.1.clone()), ticks.last().map(|tick| tick.1.clone()));
        let shades = (1..=scatter::SHADES)
            .map(|at| view! { <svg class="swatch" viewBox="0 0 20 8" aria-hidden="true"><rect class=format!("mark q{at}") width="20" height="8"></rect></svg> })
            .collect_view();
        view! { <span class="shades">{ends.0}{shades}{ends.1}</span> }.into_any()
    } else {
        dimension
            .words()
            .iter()
            .take(20)
            .enumerate()
            .map(|(at, word)| view! { <span><Swatch at/>{word.clone()}</span> })
            .collect_view()
            .into_any()
    };
    view! { <div class="legend"><b>{name}</b>{items}</div> }.into_any()
}

/// A bar for each run.
#[component]
fn BarsView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (page, runs) = shown_runs(&page, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let names: Vec<String> = choices(&page).0.into_iter().filter(|name| name.starts_with("metrics.")).collect();
    let chosen = address
        .get("bar")
        .map(str::to_owned)
        .filter(|name| names.contains(name))
        .or_else(|| main_metric(&page, &names));
    let Some(name) = chosen.clone() else {
        return view! { <p class="filter-note">"These runs have no metrics."</p> }.into_any();
    };
    let key = name.trim_start_matches("metrics.").to_owned();
    let lower = page
        .champion
        .as_ref()
        .and_then(|champion| champion.better.get(&key))
        .is_some_and(|better| *better == Better::Lower);
    let mut values: Vec<(String, Option<f64>, usize)> =
        page.runs.iter().zip(runs).map(|(run, (name, hue))| (name, run.metric(&key), hue)).collect();
    // The best on top; where that is not known, the greatest.
    let rank = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
        None => f64::INFINITY,
        Some(value) if lower => value,
        Some(value) => -value,
    };
    values.sort_by(|one, other| rank(one.1).total_cmp(&rank(other.1)));
    let level = page
        .champion
        .as_ref()
        .and_then(|champion| Some((format!("champion v{}", champion.version), *champion.metrics.get(&key)?)));
    let note = level.as_ref().map(|(name, value)| format!("dashed: {name}, {}", format::number(*value)));
    let drawing = bars::draw(&Bars { of: key.clone(), bars: values, level });
    let fields = vec![("Metric", "bar", chosen, false)];
    view! {
        <Axes address names fields/>
        <Panel title=key id="bars" note=note.unwrap_or_else(|| "greatest first".to_owned())>
            <div class="body"><div class="scroll-x" tabindex="0" role="group" aria-label="Bars"><Figure drawing/></div></div>
        </Panel>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn html(pairs: &[(&str, &str)]) -> String {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fragment(move || {
            let address = Address::new("/w/lab/runs/compare", pairs);
            view! { <Compare links=Links::new("lab") address page=samples::compare()/> }
        })
    }

    #[test]
    fn only_what_differs_is_listed_until_all_is_asked_for() {
        let some = html(&[("tab", "values")]);
        assert!(some.contains("1 of 4 differ"), "{some}");
        assert!(some.contains(">max_depth</th>") && !some.contains(">learning_rate</th>"), "{some}");
        let all = html(&[("tab", "values"), ("differ", "all")]);
        let place = |text: &str| all.find(&format!(">{text}</th>")).unwrap_or(usize::MAX);
        assert!(place("max_depth") < place("learning_rate") && place("learning_rate") < usize::MAX, "{all}");
    }

    #[test]
    fn curves_of_all_runs_are_over_each_other_and_one_can_be_left_out() {
        let all = html(&[]);
        assert!(all.contains("line k1 d0\" d=") && all.contains("line k2 d0\" d="), "{all}");
        let page = samples::compare();
        let address = Address::new("/", [("hide".to_owned(), page.runs[0].info.id.simple())]);
        let some = fragment(move || view! { <Compare links=Links::new("lab") address page/> });
        assert!(
            !some.contains("line k1 d0\" d=") || some.matches("line k1 d0").count() < all.matches("line k1 d0").count(),
            "{some}"
        );
    }

    #[test]
    fn each_way_of_comparing_is_drawn() {
        for (tab, part) in [("parallel", "as lines over"), ("scatter", "2 runs by"), ("bars", "of 2 runs")] {
            let html = html(&[("tab", tab)]);
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn the_best_is_marked_where_it_is_known_which_way_is_better() {
        let champion = samples::champion();
        let values = [Some(0.5), None, Some(f64::NAN), Some(0.7)];
        assert_eq!(best(Some(&champion), "f1_macro", &values), Some(0.7));
        assert_eq!(best(Some(&champion), "loss", &values), Some(0.5));
        assert_eq!(best(Some(&champion), "accuracy", &values), None);
    }

    #[test]
    fn runs_of_one_name_are_told_apart() {
        let mut page = samples::compare();
        let twin = Arc::make_mut(&mut page.runs[0]);
        twin.info.name = "a".to_owned();
        let mut other = twin.clone();
        other.info.id = domain::id::RunId::new();
        page.runs[1] = Arc::new(other);
        let lines = lines(&Address::default(), &page.runs);
        assert_ne!(lines[0].name, lines[1].name);
    }

    #[test]
    fn one_run_alone_is_not_compared() {
        let mut page = samples::compare();
        page.runs.truncate(1);
        let html = fragment(|| view! { <Compare links=Links::new("lab") address=Address::default() page/> });
        assert!(html.contains("Choose two runs or more"), "{html}");
    }
}
