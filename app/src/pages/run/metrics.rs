//! A run's metrics: the headline, the curves, and all of them in a table.

use super::{MOST_CHARTS, RunPage};
use crate::{pages::experiment::compare, ui::prelude::*};
use domain::{
    experiment::Champion,
    run::{Metric as Latest, MetricSeries, Run},
};
use leptos::prelude::*;

/// The most metrics of the table; the rest is found by name.
const MOST_ROWS: usize = 300;

/// The metrics to show first: those that a gate names, then those that the champion has too, then by name.
fn headline(run: &Run, champion: Option<&Champion>) -> Vec<Latest> {
    let rank = |key: &str| match champion {
        Some(champion) if champion.better.contains_key(key) => 0,
        Some(champion) if champion.metrics.contains_key(key) => 1,
        _ => 2,
    };
    let mut metrics: Vec<Latest> =
        run.metrics.iter().filter(|metric| !metric.key.starts_with("system/")).cloned().collect();
    metrics.sort_by_key(|metric| (rank(&metric.key), metric.key.clone()));
    metrics.truncate(4);
    metrics
}

/// Up to four metrics as large numbers, each beside the champion's.
#[component]
pub(super) fn Headline(address: Address, page: RunPage) -> impl IntoView {
    let metrics = headline(&page.run, page.champion.as_ref());
    let items: Vec<Answer> = metrics
        .into_iter()
        .map(|metric| Answer {
            href: format!("{}#m-{}", address.with("tab", "metrics").href(), slug(&metric.key)),
            value: view! { <Num value=metric.value/> }.into_any(),
            reason: match page.champion.as_ref() {
                Some(champion) => match compare(champion, &metric.key, metric.value) {
                    Some((delta, meaning)) => {
                        let text = format!("{} on v{}", format::signed(delta), champion.version);
                        view! { <Delta text meaning/> }.into_any()
                    }
                    None => format!("step {}", format::integer(metric.step)).into_any(),
                },
                None => format!("step {}", format::integer(metric.step)).into_any(),
            },
            question: metric.key,
        })
        .collect();
    (!items.is_empty()).then(|| view! { <Answers label="Headline metrics" id="headline" items live=true/> })
}

/// The curves. A metric of one point has none; the table has it.
#[component]
pub(super) fn Charts(links: Links, address: Address, page: RunPage) -> impl IntoView {
    let run = page.run.info.id;
    let level = |key: &str| {
        let champion = page.champion.as_ref()?;
        champion.metrics.get(key).map(|value| (format!("champion v{}", champion.version), *value))
    };
    let charts: Vec<AnyView> = page
        .series
        .iter()
        .filter(|series| series.points.len() > 1)
        .map(|series| {
            let note = format!("{} points", format::integer(series.total));
            let metrics = vec![curve(&links, run, series, "this run")];
            let id = format!("chart-{}", slug(&series.key));
            match level(&series.key) {
                Some(level) => view! { <MetricPanel id title=series.key.clone() note metrics level/> }.into_any(),
                None => view! { <MetricPanel id title=series.key.clone() note metrics/> }.into_any(),
            }
        })
        .collect();
    if charts.is_empty() {
        return view! {
            <Panel title="Curves" id="curves">
                <Body>
                    <p class="muted">
                        "No metric here has more than one point. Log it with a step, and its curve appears: "
                        <code>"mlflow.log_metric(\"loss\", value, step=i)"</code>
                    </p>
                </Body>
            </Panel>
        }
        .into_any();
    }
    let more = page.run.metrics.len() > MOST_CHARTS;
    view! {
        <div class="filter-note">
            <ChartControls/>
            {more
                .then(|| {
                    view! {
                        <a class="push" href=address.with("tab", "metrics").href()>
                            {format!("All {} metrics", format::integer(i64::try_from(page.run.metrics.len()).unwrap_or_default()))}
                        </a>
                    }
                })}
        </div>
        <div class="charts">{charts}</div>
    }
    .into_any()
}

/// A series as a curve of a chart.
pub(super) fn curve(links: &Links, run: domain::id::RunId, series: &MetricSeries, name: &str) -> Metric {
    // Steps are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let points = series.points.iter().map(|point| (point.step as f64, point.value)).collect();
    Metric { name: name.to_owned(), url: links.metric_series(&run, &series.key), points }
}

/// A key as a part of an id: letters and digits stay, what is between becomes a hyphen. Keys that differ by marks alone
/// would meet, so the key's length is added.
pub(super) fn slug(key: &str) -> String {
    let text: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    format!("{text}-{}", key.bytes().map(u32::from).sum::<u32>())
}

/// All metrics: the charts of those that were asked for, and a table.
#[component]
pub(super) fn All(links: Links, address: Address, page: RunPage) -> impl IntoView {
    let asked = address.get("metric").unwrap_or_default().to_lowercase();
    let found: Vec<Latest> =
        page.run.metrics.iter().filter(|metric| metric.key.to_lowercase().contains(&asked)).cloned().collect();
    let (shown, total) = (found.len().min(MOST_ROWS), found.len());
    let champion = page.champion.clone();
    let against = champion.as_ref().map(|champion| format!("v{}", champion.version));
    let has_champion = against.is_some();
    let foot = if total > shown {
        format!("{shown} of {total} metrics; find the others by name")
    } else {
        format!("{total} metrics")
    };
    view! {
        <div class="stack">
            <FilterBar label="Find metrics by name" address=address.clone() name="metric" placeholder="loss"/>
            <Charts links address page/>
            <Table label="Metrics">
                <thead>
                    <tr>
                        <Head label="Metric"/>
                        <Head label="Latest" num=true/>
                        {against.map(|name| view! { <Head label=name num=true/><Head label="Difference" num=true/> })}
                        <Head label="Step" num=true/>
                        <Head label="Logged"/>
                    </tr>
                </thead>
                <tbody>
                    {found
                        .into_iter()
                        .take(MOST_ROWS)
                        .map(|metric| {
                            let beside = champion
                                .as_ref()
                                .map(|champion| {
                                    let theirs = champion.metrics.get(&metric.key).copied();
                                    let delta = compare(champion, &metric.key, metric.value);
                                    view! {
                                        <td class="num"><Num value=theirs/></td>
                                        <td class="num">
                                            {match delta {
                                                Some((delta, meaning)) => {
                                                    view! { <Delta text=format::signed(delta) meaning/> }.into_any()
                                                }
                                                None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                                            }}
                                        </td>
                                    }
                                });
                            view! {
                                <tr id=format!("m-{}", slug(&metric.key))>
                                    <th scope="row" class="mono">{metric.key.clone()}</th>
                                    <td class="num strong"><Num value=metric.value/></td>
                                    {beside}
                                    <td class="num">{format::integer(metric.step)}</td>
                                    <td class="muted"><When at=from_ms(metric.timestamp)/></td>
                                </tr>
                            }
                        })
                        .collect_view()}
                </tbody>
                <tfoot><tr><td colspan=if has_champion { "6" } else { "4" }>{foot}</td></tr></tfoot>
            </Table>
        </div>
    }
}
