//! By what runs are drawn: which params and metrics there are, and the form that chooses among them.

use super::values::differ;
use crate::{
    chart::dimension::{Dimension, in_order},
    ui::prelude::*,
};
use domain::{experiment::Champion, log_key::is_of_model, run::Run};
use leptos::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

/// What runs can be drawn by: names as the search language has them, `params.` and `metrics.`, those that differ first; and
/// how many of them are params that differ.
pub(super) fn choices(runs: &[Arc<Run>]) -> (Vec<String>, usize) {
    let mut names: Vec<(bool, bool, String)> = Vec::new();
    let params: BTreeSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
    for key in params {
        let is_same = !differ(runs.iter().map(|run| run.params.get(key)));
        names.push((is_same, false, format!("params.{key}")));
    }
    let metrics: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.metrics.iter().map(|metric| metric.key.as_str())).collect();
    for key in metrics {
        names.push((!is_of_model(key), true, format!("metrics.{key}")));
    }
    names.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| in_order(&one.2, &other.2)));
    let first = names.iter().take_while(|name| !name.0).filter(|name| !name.1).count();
    (names.into_iter().map(|(_, _, name)| name).collect(), first)
}

/// A param or metric of all runs, by its name among the [`choices`].
pub(super) fn dimension(runs: &[Arc<Run>], name: &str) -> Option<Dimension> {
    if let Some(key) = name.strip_prefix("params.") {
        let texts: Vec<Option<&str>> = runs.iter().map(|run| run.params.get(key).map(String::as_str)).collect();
        return texts.iter().any(Option::is_some).then(|| Dimension::of_texts(key, &texts));
    }
    let key = name.strip_prefix("metrics.")?;
    let numbers: Vec<Option<f64>> = runs.iter().map(|run| run.metric(key)).collect();
    numbers.iter().any(Option::is_some).then(|| Dimension::of_numbers(key, numbers))
}

/// Of the names, the metric that a gate names first, else the first metric.
pub(super) fn main_metric(champion: Option<&Champion>, names: &[String]) -> Option<String> {
    let gated = champion.and_then(|champion| {
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

/// Choices of axes as a form.
#[component]
pub(super) fn Axes(
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
                    <select class="input" name=name autocomplete="off">
                        {may_be_none.then(|| view! { <option value="">"Run"</option> })}
                        {options}
                    </select>
                </label>
            }
        })
        .collect_view();
    view! {
        <form class="chart-controls" method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
            {selects}
            <button class="btn" type="submit">"Draw"</button>
        </form>
    }
}
