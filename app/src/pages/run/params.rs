//! A run's params: some beside the curves, all on a part of their own.

use crate::{chart::dimension::in_order, ui::prelude::*};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// How many stand beside the curves, and how many on a page of all.
const FEW: usize = 24;
const MANY: usize = 1000;

fn sorted(params: BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut params: Vec<(String, String)> = params.into_iter().collect();
    params.sort_by(|one, other| in_order(&one.0, &other.0));
    params
}

/// The first params, with the way to all of them.
#[component]
pub(super) fn Few(address: Address, params: BTreeMap<String, String>) -> impl IntoView {
    let count = params.len();
    let all = address.with("tab", "params").href();
    let foot = (count > FEW).then(|| view! { <a href=all>{format!("{} more", count - FEW)}</a> }.into_any());
    let facts = sorted(params)
        .into_iter()
        .take(FEW)
        .map(|(key, value)| {
            let value = value.chars().take(200).collect::<String>();
            view! { <Fact name=key mono=true><span class="breaks">{value}</span></Fact> }
        })
        .collect_view();
    let body = if count == 0 {
        view! { <p class="muted">"It logged no params."</p> }.into_any()
    } else {
        view! { <Facts small=true>{facts}</Facts> }.into_any()
    };
    match foot {
        Some(foot) => {
            view! { <Panel title="Params" id="params" note=count.to_string() foot live=true><Body>{body}</Body></Panel> }
                .into_any()
        }
        None => view! { <Panel title="Params" id="params" note=count.to_string() live=true><Body>{body}</Body></Panel> }
            .into_any(),
    }
}

/// All params, found by a part of their name or value.
#[component]
pub(super) fn All(address: Address, params: BTreeMap<String, String>) -> impl IntoView {
    let asked = address.get("param").unwrap_or_default().to_lowercase();
    let total = params.len();
    let found: Vec<(String, String)> = sorted(params)
        .into_iter()
        .filter(|(key, value)| key.to_lowercase().contains(&asked) || value.to_lowercase().contains(&asked))
        .collect();
    let foot = match found.len() {
        many if many > MANY => format!("{MANY} of {many} params; find the others by name"),
        some if some < total => format!("{some} of {total} params"),
        _ => format::count(i64::try_from(total).unwrap_or_default(), "param", "params"),
    };
    view! {
        <div class="stack">
            <FilterBar label="Find params by name or value" address=address.clone() name="param" placeholder="learning_rate"/>
            <Table label="Params">
                <thead><tr><Head label="Param" class="pin"/><Head label="Value"/></tr></thead>
                <tbody>
                    {found
                        .into_iter()
                        .take(MANY)
                        .map(|(key, value)| {
                            view! {
                                <tr>
                                    <th scope="row" class="mono pin key">{key}</th>
                                    <td class="mono breaks value">{value}</td>
                                </tr>
                            }
                        })
                        .collect_view()}
                </tbody>
                <tfoot><tr><td colspan="2">{foot}</td></tr></tfoot>
            </Table>
        </div>
    }
}
