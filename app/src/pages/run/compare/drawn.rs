//! What runs differ by, drawn: as lines over axes, as points, as bars.

use super::{
    ComparePage, Line,
    choice::{Axes, choices, dimension, main_metric},
};
use crate::{
    chart::{
        Figure,
        bars::{self, Bars},
        dimension::Dimension,
        hue::Swatch,
        parallel::{self, Parallel},
        scatter::{self, Scatter},
    },
    pages::run::board::level,
    ui::prelude::*,
};
use domain::{policy::Better, run::Run};
use leptos::prelude::*;
use std::sync::Arc;

/// The most axes beside each other.
const MOST_AXES: usize = 16;

/// The runs whose lines are shown; and the name of each, with its place among the colours.
fn shown(runs: &[Arc<Run>], lines: &[Line]) -> (Vec<Arc<Run>>, Vec<(String, usize)>) {
    runs.iter()
        .zip(lines)
        .filter(|(_, line)| !line.hidden)
        .map(|(run, line)| (Arc::clone(run), (line.name.clone(), line.hue)))
        .unzip()
}

/// Nothing is left to be drawn.
fn all_hidden() -> AnyView {
    view! { <p class="filter-note">"All runs are hidden. Press the lines beside their names to show them."</p> }
        .into_any()
}

/// An axis for each of some params and metrics.
#[component]
pub(super) fn ParallelView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (runs, called) = shown(&page.runs, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let (names, differing) = choices(&runs);
    let chosen: Vec<String> = address.all("axis").take(MOST_AXES).map(str::to_owned).collect();
    let chosen: Vec<String> = if chosen.is_empty() {
        let params = names.iter().take(differing.min(6));
        let main = main_metric(page.champion.as_ref(), &names);
        let metrics = names.iter().filter(|name| name.starts_with("metrics.") && Some(*name) != main.as_ref()).take(1);
        params.chain(metrics).cloned().chain(main.clone()).collect()
    } else {
        chosen
    };
    let axes: Vec<Dimension> = chosen.iter().filter_map(|name| dimension(&runs, name)).collect();
    let count = axes.len();
    let total = runs.len();
    let drawing = parallel::draw(&Parallel { axes, runs: called });
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
            {field::hidden(hidden)}
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

/// A point for each run.
#[component]
pub(super) fn ScatterView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (runs, called) = shown(&page.runs, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let (names, _) = choices(&runs);
    let chosen = |name: &str| address.get(name).map(str::to_owned).filter(|name| names.contains(name));
    let y = chosen("sy").or_else(|| main_metric(page.champion.as_ref(), &names));
    let x = chosen("sx").or_else(|| names.iter().find(|name| Some(*name) != y.as_ref()).cloned());
    let colour = chosen("colour");
    let (Some(xs), Some(ys)) =
        (x.as_deref().and_then(|name| dimension(&runs, name)), y.as_deref().and_then(|name| dimension(&runs, name)))
    else {
        return view! { <p class="filter-note">"These runs have no two params or metrics to be drawn by."</p> }
            .into_any();
    };
    let shade = colour.as_deref().and_then(|name| dimension(&runs, name));
    let legend = shade.as_ref().map(legend);
    let title = format!("{} by {}", ys.name, xs.name);
    let scatter = Scatter { x: xs, y: ys, colour: shade, runs: called };
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
pub(super) fn BarsView(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let (runs, called) = shown(&page.runs, &lines);
    if runs.is_empty() {
        return all_hidden();
    }
    let names: Vec<String> = choices(&runs).0.into_iter().filter(|name| name.starts_with("metrics.")).collect();
    let chosen = address
        .get("bar")
        .map(str::to_owned)
        .filter(|name| names.contains(name))
        .or_else(|| main_metric(page.champion.as_ref(), &names));
    let Some(name) = chosen.clone() else {
        return view! { <p class="filter-note">"These runs have no metrics."</p> }.into_any();
    };
    let key = name.strip_prefix("metrics.").unwrap_or(&name).to_owned();
    let lower = page
        .champion
        .as_ref()
        .and_then(|champion| champion.better.get(&key))
        .is_some_and(|better| *better == Better::Lower);
    let mut values: Vec<(String, Option<f64>, usize)> =
        runs.iter().zip(called).map(|(run, (name, hue))| (name, run.metric(&key), hue)).collect();
    // The best on top; where that is not known, the greatest.
    let rank = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
        None => f64::INFINITY,
        Some(value) if lower => value,
        Some(value) => -value,
    };
    values.sort_by(|one, other| rank(one.1).total_cmp(&rank(other.1)));
    let level = page.champion.as_ref().and_then(|champion| level(champion, &key));
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
