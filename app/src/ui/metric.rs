//! Charts of metrics: a board of panels that are looked at in the same way, drawn by the server. The `Charts` island takes
//! them over when somebody reaches for them.

use super::{
    field,
    icon::{Icon, Symbol},
    query::Address,
    value::Num,
};
use crate::{
    chart::{
        Figure,
        curve::{self, Curves, Series},
        look::Look,
        scale::Spread,
    },
    format,
    islands::Charts,
    shell::Assets,
};
use domain::series::Axis;
use leptos::prelude::*;

/// A run whose curves a board draws, for the island.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRun {
    /// Its id, as the address of its points has it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it started, in milliseconds since 1970.
    pub start: i64,
    /// Its place among the colours.
    pub hue: usize,
    /// Whether its curves are left out.
    pub hidden: bool,
}

/// The panels of a page, and the island that they share.
#[component]
pub fn ChartBoard(
    /// Whose curves.
    runs: Vec<BoardRun>,
    /// Where the points of these runs are, but for their metrics.
    #[prop(into)]
    series: String,
    /// Whether points are still logged.
    #[prop(optional)]
    live: bool,
    /// Groups and panels.
    children: Children,
) -> impl IntoView {
    let library = use_context::<Assets>().map(|assets| assets.chart_js);
    let many = runs.len() > 1;
    let runs: Vec<serde_json::Value> = runs
        .into_iter()
        .map(|run| {
            serde_json::json!({ "id": run.id, "name": run.name, "start": run.start, "hue": run.hue, "hidden": run.hidden })
        })
        .collect();
    view! {
        <div
            class=if many { "chart-board many" } else { "chart-board" }
            id="board"
            data-keep=""
            data-library=library
            data-series=series
            data-runs=serde_json::Value::Array(runs).to_string()
            data-running=live.then_some("")
        >
            {children()}
            <output class="sr" data-said=""></output>
            <Charts board="board"/>
        </div>
    }
}

/// What all charts of a page obey, all of it in the address. Links and a form, so that it works without scripts; the
/// island listens to both. Once in a page.
#[component]
pub fn ChartControls(
    /// This page.
    address: Address,
    /// What of the address is the page's own place in a list, and begins anew with other settings.
    #[prop(optional)]
    anew: &'static [&'static str],
) -> impl IntoView {
    let look = Look::of(&address);
    let own = ["smoothing", "outliers", "start", "end"];
    let hidden: Vec<(String, String)> =
        address.others(&own).filter(|(name, _)| !anew.contains(&name.as_str())).collect();
    let unzoomed = address.without("start").without("end");
    let axis = |axis: Axis, word: &'static str| {
        // A range is on one axis, and means nothing on another.
        let href = if axis == Axis::Step { unzoomed.without("x") } else { unzoomed.with("x", axis.as_str()) };
        let current = (look.window.axis == axis).then_some("true");
        view! { <a href=href.href() data-x=axis.as_str() aria-current=current>{word}</a> }
    };
    let spread = |spread: Spread, word: &'static str, value: &'static str| {
        let href = if spread == Spread::Linear { address.without("y") } else { address.with("y", "log") };
        let current = (look.spread == spread).then_some("true");
        view! { <a href=href.href() data-y=value aria-current=current>{word}</a> }
    };
    let smoothing = format!("{:.2}", look.smoothing);
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let unit = match look.window.axis {
        Axis::Step => "step",
        Axis::Time => "ms since 1970",
        Axis::Relative => "s",
    };
    view! {
        <form class="chart-controls" method="get" action=address.path().to_owned() aria-label="How charts are drawn">
            {field::hidden(hidden)}
            <label>
                "Smoothing"
                <input class="range" type="range" name="smoothing" min="0" max="0.99" step="0.01" value=look.smoothing.to_string() autocomplete="off"/>
                <output data-smoothing="">{smoothing}</output>
            </label>
            <div class="seg" role="group" aria-label="X axis">
                {axis(Axis::Step, "Step")}
                {axis(Axis::Relative, "Relative")}
                {axis(Axis::Time, "Time")}
            </div>
            <div class="seg" role="group" aria-label="Y axis">
                {spread(Spread::Linear, "Linear", "linear")}
                {spread(Spread::Log, "Log", "log")}
            </div>
            <label class="check" title="The y axis spans the 5th to the 95th percentile of the values">
                <input type="checkbox" name="outliers" value="ignored" checked=look.inner autocomplete="off"/>
                <span>"Ignore outliers"</span>
            </label>
            <details class="more zoom">
                <summary class="btn ghost">
                    <Icon symbol=Symbol::Sliders/>
                    <span data-zoomed="">{if look.is_zoomed() { "Range set" } else { "Range" }}</span>
                </summary>
                <div class="menu">
                    <p class="muted">"Drag over a chart to zoom all of them, or say from where to where on the x axis."</p>
                    <label>
                        "From "
                        <input class="input" type="number" step="any" name="start" value=number(look.window.start) autocomplete="off"/>
                    </label>
                    <label>
                        "To "
                        <input class="input" type="number" step="any" name="end" value=number(look.window.end) autocomplete="off"/>
                    </label>
                    <p class="muted" data-unit="">{unit}</p>
                    <button class="btn" type="submit">"Apply"</button>
                </div>
            </details>
            <a class="btn" href=unzoomed.href() data-reset="" hidden=!look.is_zoomed()>
                <Icon symbol=Symbol::Undo/>
                "Reset zoom"
            </a>
            <button class="btn no-script" type="submit">"Apply"</button>
        </form>
    }
}

/// A group of panels that opens.
#[component]
pub fn ChartGroup(
    /// Its name in addresses; empty for metrics without one.
    #[prop(into)]
    name: String,
    /// What it is called.
    #[prop(into)]
    title: String,
    /// How many charts it has in all.
    total: usize,
    /// Whether it is open.
    open: bool,
    /// Where the page is that shows what is missing of it, and how many more that are.
    #[prop(optional_no_strip)]
    load: Option<(String, usize)>,
    /// Its panels, as far as they are drawn.
    panels: Vec<AnyView>,
) -> impl IntoView {
    let id = format!("group-{name}");
    view! {
        <details class="metric-group" id=id data-group=name open=open>
            <summary>
                <Icon symbol=Symbol::ChevronDown/>
                <h2>{title}</h2>
                <span class="n">{format::count(i64::try_from(total).unwrap_or_default(), "chart", "charts")}</span>
            </summary>
            <div class="charts">{panels}</div>
            {load.map(|(href, count)| {
                let text = if count == total { format!("Show {count}") } else { format!("{count} more") };
                view! { <a class="btn load" href=href data-load="">{text}</a> }
            })}
        </details>
    }
}

/// A metric's curves in a panel.
#[component]
pub fn ChartPanel(
    /// The metric: what its points are asked for by.
    #[prop(into)]
    key: String,
    /// What it is called here.
    #[prop(into)]
    title: String,
    /// A few words beside it.
    #[prop(optional_no_strip)]
    note: Option<String>,
    /// Its curves.
    series: Vec<Series>,
    /// A level to compare with, the champion's: name and value.
    #[prop(optional_no_strip)]
    level: Option<(String, f64)>,
    /// How it is looked at.
    look: Look,
    /// Whether its numbers stand below it, for one curve.
    #[prop(optional)]
    figures: bool,
) -> impl IntoView {
    let id = format!("chart-{}", slug(&key));
    let has = |what: fn(f64) -> bool| series.iter().flat_map(|one| &one.points).any(|(_, value)| what(*value));
    let gaps = match (has(f64::is_nan), has(f64::is_infinite)) {
        (true, true) => Some("has NaN, ∞"),
        (true, false) => Some("has NaN"),
        (false, true) => Some("has ∞"),
        (false, false) => None,
    };
    let values =
        || series.iter().flat_map(|one| &one.points).map(|(_, value)| *value).filter(|value| value.is_finite());
    let (last, least, most) =
        (series.first().and_then(Series::last), values().reduce(f64::min), values().reduce(f64::max));
    let of = title.clone();
    let curves = Curves { series, level: level.clone(), look, of };
    view! {
        <section class="panel metric-chart" id=id data-metric=key.clone() aria-label=key.clone()>
            <header>
                <h3 class="ellipsis" title=key.clone()>{title}</h3>
                {note.map(|note| view! { <span class="note n">{note}</span> })}
                {gaps.map(|gaps| view! { <span class="note nan">{gaps}</span> })}
                <span class="at push" aria-hidden="true"></span>
            </header>
            <div class="body">
                <div class="plot"></div>
                <div class="drawn"><Figure drawing=curve::draw(&curves)/></div>
                {(figures || level.is_some())
                    .then(|| {
                        view! {
                            <div class="legend">
                                {figures
                                    .then(|| {
                                        view! {
                                            <span>"last "<b data-last=""><Num value=last/></b></span>
                                            <span>"min "<b data-least=""><Num value=least/></b></span>
                                            <span>"max "<b data-most=""><Num value=most/></b></span>
                                        }
                                    })}
                                {level
                                    .map(|(name, value)| {
                                        view! {
                                            <span data-level=value.to_string() data-name=name.clone()>
                                                <i class="r"></i>
                                                {format!("{name} {}", format::number(value))}
                                            </span>
                                        }
                                    })}
                            </div>
                        }
                    })}
            </div>
        </section>
    }
}

/// A key as a part of an id: letters and digits stay, what is between becomes a hyphen. Keys that differ by marks alone
/// would meet, so the sum of the key's bytes is added.
#[must_use]
pub fn slug(key: &str) -> String {
    let text: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let sum = key.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{text}-{sum}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_chart_is_whole_without_scripts_and_names_what_the_island_needs() {
        let html = fragment(|| {
            let series =
                vec![Series { name: "run".into(), points: vec![(0.0, 1.0), (1.0, 0.5), (2.0, f64::NAN)], hue: 0 }];
            view! {
                <ChartBoard runs=Vec::new() series="/api/v1/x?run=1">
                    <ChartPanel
                        key="val/loss"
                        title="loss"
                        note=None
                        series
                        level=Some(("champion".to_owned(), 0.7))
                        look=Look::default()
                        figures=true
                    />
                </ChartBoard>
            }
        });
        for part in [
            r#"<path class="line k1 d0""#,
            r#"data-series="/api/v1/x?run=1""#,
            r#"data-metric="val/loss""#,
            r#"data-level="0.7""#,
            r#"<b data-last="">0.500</b>"#,
            "has NaN",
            r#"data-props="{&quot;board&quot;:&quot;board&quot;}""#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn each_setting_is_a_link_or_a_field_that_keeps_the_others() {
        let html = fragment(|| {
            let pairs = [("tab", "metrics"), ("y", "log"), ("start", "3"), ("after", "m9")];
            let address = Address::new("/runs/1", pairs.map(|(n, v)| (n.to_owned(), v.to_owned())));
            view! { <ChartControls address anew=&["after"]/> }
        });
        for part in [
            "/runs/1?tab=metrics&amp;y=log&amp;after=m9&amp;x=time",
            r#"type="hidden" name="y" value="log""#,
            r#"name="start" value="3""#,
            "Reset zoom",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains(r#"name="after""#), "{html}");
    }

    #[test]
    fn keys_that_differ_by_marks_have_ids_of_their_own() {
        assert_ne!(slug("a/b"), slug("a.b"));
        assert_ne!(slug("ab/ba"), slug("ba/ab"));
    }
}
