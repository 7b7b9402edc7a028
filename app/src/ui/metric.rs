//! A chart of a metric in its panel: drawn by the server, taken over by the `MetricChart` island when somebody reaches
//! for it.

use super::value::Num;
use crate::{
    chart::{
        Figure,
        curve::{self, Curves, Series},
        scale::Spread,
    },
    format,
    islands::MetricChart,
    shell::Assets,
};
use leptos::prelude::*;

/// One curve of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// What the legend calls it.
    pub name: String,
    /// Where its points can be had, for the browser.
    pub url: String,
    /// Step and value of its points, or of enough of them to draw it.
    pub points: Vec<(f64, f64)>,
}

/// A metric's curves in a panel.
#[component]
pub fn MetricPanel(
    /// Its id, unique in the page.
    #[prop(into)]
    id: String,
    /// The metric.
    #[prop(into)]
    title: String,
    /// A few words beside it.
    #[prop(optional, into)]
    note: Option<String>,
    /// Its curves.
    metrics: Vec<Metric>,
    /// A level to compare with, the champion's: name and value.
    #[prop(optional)]
    level: Option<(String, f64)>,
) -> impl IntoView {
    let library = use_context::<Assets>().map(|assets| assets.chart_js);
    let heading = format!("h-{id}");
    let curves = Curves {
        series: metrics.iter().map(|m| Series { name: m.name.clone(), points: m.points.clone() }).collect(),
        level: level.clone(),
        spread: Spread::Linear,
        of: title.clone(),
    };
    view! {
        <section class="panel metric-chart" id=id.clone() data-library=library aria-labelledby=heading.clone() data-keep="">
            <header>
                <h2 id=heading.clone() class="ellipsis">{title}</h2>
                {note.map(|note| view! { <span class="note n">{note}</span> })}
                <div class="seg push" role="group" aria-label="Y axis">
                    <button type="button" data-scale="linear" aria-pressed="true">"Linear"</button>
                    <button type="button" data-scale="log" aria-pressed="false">"Log"</button>
                </div>
            </header>
            <div class="body">
                <div class="plot"></div>
                <div class="drawn"><Figure drawing=curve::draw(&curves)/></div>
                <div class="legend" role="group" aria-label="Curves">
                    {metrics
                        .into_iter()
                        .enumerate()
                        .map(|(at, metric)| {
                            let last = metric.points.iter().rev().map(|(_, value)| *value).find(|value| value.is_finite());
                            view! {
                                <button type="button" aria-pressed="true" data-url=metric.url data-name=metric.name.clone()>
                                    <i class=curve::COLOURS[at % 5]></i>
                                    {metric.name.clone()}" "
                                    <b><Num value=last/></b>
                                </button>
                            }
                        })
                        .collect_view()}
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
                <p class="failed">"The points could not be loaded; this is the chart as it was rendered."</p>
            </div>
            <MetricChart chart=id.clone()/>
        </section>
    }
}

/// What all charts of a page obey: smoothing, and steps or time on the x axis. Once in a page.
#[component]
pub fn ChartControls() -> impl IntoView {
    view! {
        <div class="chart-controls">
            <label>
                "Smoothing"
                <input class="range" type="range" min="0" max="0.98" step="0.02" value="0" data-smoothing="" autocomplete="off"/>
                <output>"0"</output>
            </label>
            <div class="seg" role="group" aria-label="X axis">
                <button type="button" data-axis="step" aria-pressed="true">"Step"</button>
                <button type="button" data-axis="time" aria-pressed="false">"Time"</button>
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_chart_is_whole_without_scripts_and_names_what_the_island_needs() {
        let html = fragment(|| {
            let metrics = vec![Metric {
                name: "validation".into(),
                url: "/api/v1/x".into(),
                points: vec![(0.0, 1.0), (1.0, 0.5)],
            }];
            view! { <MetricPanel id="m-loss" title="loss" metrics level=("champion".to_owned(), 0.7)/> }
        });
        for part in [
            r#"<path class="s1""#,
            r#"data-url="/api/v1/x""#,
            r#"data-level="0.7""#,
            "<b>0.500</b>",
            r#"data-props="{&quot;chart&quot;:&quot;m-loss&quot;}""#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
