//! What runs differ by, in tables: params, then metrics.

use super::{ComparePage, Line};
use crate::{
    chart::{dimension::in_order, hue::Swatch},
    ui::prelude::*,
};
use domain::{experiment::Champion, policy::Better};
use leptos::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The most rows of a table.
const ROWS: usize = 300;

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

/// Whether not all of these are the same.
pub(super) fn differ<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    let first = values.next();
    values.any(|value| Some(&value) != first.as_ref())
}

/// What runs differ by: params, then metrics.
#[component]
pub(super) fn Values(address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
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
    let param_differs = |key: &str| differ(runs.iter().map(|run| run.params.get(key)));
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
            // In words, in which not-a-number is the same as itself.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_best_is_marked_where_it_is_known_which_way_is_better() {
        let champion = samples::champion();
        let values = [Some(0.5), None, Some(f64::NAN), Some(0.7)];
        assert_eq!(best(Some(&champion), "f1_macro", &values), Some(0.7));
        assert_eq!(best(Some(&champion), "loss", &values), Some(0.5));
        assert_eq!(best(Some(&champion), "accuracy", &values), None);
    }
}
