//! Several runs beside each other: their curves in one chart each, what they reached, and the params that differ.

use super::{metrics, state};
use crate::{chart::curve, ui::prelude::*};
use domain::{
    experiment::Champion,
    run::{MetricSeries, Run},
};
use leptos::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The most runs that are compared: as many as there are colours.
pub const MOST_RUNS: usize = 5;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ComparePage {
    /// The runs, in the order they were chosen, at most [`MOST_RUNS`].
    pub runs: Vec<Arc<Run>>,
    /// For each metric that is drawn, the curve of each run that has one; in the order of `runs`.
    pub series: BTreeMap<String, Vec<Option<MetricSeries>>>,
    /// What they are held against.
    pub champion: Option<Champion>,
}

/// Several runs beside each other.
#[component]
pub fn Compare(
    /// The addresses of the workspace.
    links: Links,
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
                    text="Tick them in the table of an experiment, then press Compare."
                >
                    <ButtonLink text="Experiments" href=links.experiments()/>
                </Empty>
            </div>
        }
        .into_any();
    }
    let charts = page
        .series
        .iter()
        .map(|(key, series)| {
            let curves: Vec<Metric> = page
                .runs
                .iter()
                .zip(series)
                .filter_map(|(run, series)| Some(metrics::curve(&links, run.info.id, series.as_ref()?, &run.info.name)))
                .collect();
            let id = format!("chart-{}", metrics::slug(key));
            view! { <MetricPanel id title=key.clone() metrics=curves/> }
        })
        .collect_view();
    let has_charts = !page.series.is_empty();
    view! {
        <Crumbs items=vec![Crumb::to("Experiments", links.experiments()), Crumb::here("Compare")]/>
        <PageHead title=format!("Compare {count} runs").into_any()/>
        <div class="stack mt-4">
            <Heads links=links.clone() runs=page.runs.clone()/>
            {has_charts.then(|| view! { <ChartControls/><div class="charts">{charts}</div> })}
            <Metrics runs=page.runs.clone() champion=page.champion/>
            <Params runs=page.runs/>
        </div>
    }
    .into_any()
}

/// The runs themselves, each with its colour in the charts.
#[component]
fn Heads(links: Links, runs: Vec<Arc<Run>>) -> impl IntoView {
    view! {
        <Table label="Runs">
            <thead><tr><Head label="Run"/><Head label="State"/><Head label="Started"/><Head label="Took" num=true/><Head label="By"/></tr></thead>
            <tbody>
                {runs
                    .into_iter()
                    .enumerate()
                    .map(|(at, run)| {
                        let (shape, word) = state(run.info.status);
                        let started = from_ms(run.info.start_time);
                        view! {
                            <tr>
                                <th scope="row">
                                    <span class="legend"><i class=curve::COLOURS[at % 5]></i><a href=links.run(&run.info.id)>{run.info.name.clone()}</a></span>
                                </th>
                                <td><StateMark state=shape word/></td>
                                <td class="muted"><When at=started/></td>
                                <td class="num"><Took from=started to=run.info.end_time.map(from_ms)/></td>
                                <td><Avatar name=run.info.user_name.clone() size=AvatarSize::Row named=true/></td>
                            </tr>
                        }
                    })
                    .collect_view()}
            </tbody>
        </Table>
    }
}

/// A run's name as the head of a column.
#[component]
fn Column(at: usize, name: String) -> impl IntoView {
    view! {
        <th scope="col" class="num">
            <span class="legend"><i class=curve::COLOURS[at % 5]></i><span class="ellipsis">{name}</span></span>
        </th>
    }
}

/// What each run reached. The best of a row is strong, where it is known which way is better.
#[component]
fn Metrics(runs: Vec<Arc<Run>>, champion: Option<Champion>) -> impl IntoView {
    let keys: BTreeSet<String> =
        runs.iter().flat_map(|run| run.metrics.iter().map(|metric| metric.key.clone())).collect();
    let total = keys.len();
    let best = |key: &str, values: &[Option<f64>]| {
        let better = *champion.as_ref()?.better.get(key)?;
        let mut present: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        present.sort_by(|a, b| better.gain(*b, *a).total_cmp(&0.0));
        present.first().copied()
    };
    let rows = keys
        .into_iter()
        .take(200)
        .map(|key| {
            let values: Vec<Option<f64>> = runs.iter().map(|run| run.metric(&key)).collect();
            let best = best(&key, &values);
            let cells = values
                .into_iter()
                .map(|value| {
                    let strong = value.is_some() && value == best;
                    view! { <td class=if strong { "num strong" } else { "num" }><Num value/></td> }
                })
                .collect_view();
            view! { <tr><th scope="row" class="mono">{key}</th>{cells}</tr> }
        })
        .collect_view();
    let heads =
        runs.iter().enumerate().map(|(at, run)| view! { <Column at name=run.info.name.clone()/> }).collect_view();
    view! {
        <Panel title="Metrics" id="metrics" note=format::count(i64::try_from(total).unwrap_or_default(), "metric", "metrics")>
            <Table label="Metrics of each run"><thead><tr><Head label="Metric"/>{heads}</tr></thead><tbody>{rows}</tbody></Table>
        </Panel>
    }
}

/// The params of each run, those that differ first.
#[component]
fn Params(runs: Vec<Arc<Run>>) -> impl IntoView {
    let keys: BTreeSet<String> = runs.iter().flat_map(|run| run.params.keys().cloned()).collect();
    let differs = |key: &String| {
        let mut values = runs.iter().map(|run| run.params.get(key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let (changed, same): (Vec<String>, Vec<String>) = keys.into_iter().partition(differs);
    let note = format!("{} of {} differ", changed.len(), changed.len() + same.len());
    let row = |key: String, differs: bool| {
        let cells = runs
            .iter()
            .map(|run| {
                let value = run.params.get(&key).map(|value| value.chars().take(60).collect::<String>());
                view! { <td class=if differs { "num mono strong" } else { "num mono" }><Maybe text=value/></td> }
            })
            .collect_view();
        view! { <tr><th scope="row" class="mono">{key.clone()}</th>{cells}</tr> }
    };
    let rows: Vec<_> =
        changed.into_iter().map(|key| (key, true)).chain(same.into_iter().map(|key| (key, false))).take(200).collect();
    let rows = rows.into_iter().map(|(key, differs)| row(key, differs)).collect_view();
    let heads =
        runs.iter().enumerate().map(|(at, run)| view! { <Column at name=run.info.name.clone()/> }).collect_view();
    view! {
        <Panel title="Params" id="params" note>
            <Table label="Params of each run"><thead><tr><Head label="Param"/>{heads}</tr></thead><tbody>{rows}</tbody></Table>
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    #[test]
    fn params_that_differ_come_first() {
        let html = fragment(|| {
            view! { <Compare links=Links::new("lab") page=samples::compare()/> }
        });
        assert!(html.contains("1 of 4 differ"), "{html}");
        let place = |text: &str| html.find(&format!(">{text}</th>")).unwrap_or(usize::MAX);
        assert!(place("max_depth") < place("learning_rate"), "{html}");
    }

    #[test]
    fn one_run_alone_is_not_compared() {
        let mut page = samples::compare();
        page.runs.truncate(1);
        let html = fragment(|| view! { <Compare links=Links::new("lab") page/> });
        assert!(html.contains("Choose two runs or more"), "{html}");
    }
}
