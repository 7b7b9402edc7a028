//! All steps of a run at the top: as a graph, or over time.

use super::{RunPage, gantt, graph, state};
use crate::{
    chart::{dag::Dag, gantt::Gantt},
    ui::prelude::*,
};
use leptos::prelude::*;

/// The panel of the steps. `view=gantt` in the address shows them over time, `graph=whole` all of the graph at once, and
/// `open` names a step of those that were put into one box and shall not be.
#[component]
pub(super) fn Steps(
    /// The run.
    page: RunPage,
    /// The page, with what was chosen.
    address: Address,
    /// The step that is shown.
    shown: Option<String>,
) -> impl IntoView {
    let now = now();
    let is_gantt = address.get("view") == Some("gantt");
    let fit = address.get("graph") == Some("whole");
    let views = vec![
        ("Graph".to_owned(), address.without("view").href(), !is_gantt),
        ("Gantt".to_owned(), address.with("view", "gantt").href(), is_gantt),
    ];
    let sizes = vec![
        ("To read".to_owned(), address.without("graph").href(), !fit),
        ("Whole".to_owned(), address.with("graph", "whole").href(), fit),
    ];
    let nodes = graph::nodes(&page, &address, shown.as_deref(), now);
    let is_large = !is_gantt && nodes.len() > graph::LARGE;
    let lanes = gantt::lanes(&page, &address, shown.as_deref(), now);
    let fold = address.get("open").map(|_| {
        let href = address.without("open").href();
        view! { <a href=href>"Fold again"</a> }
    });
    view! {
        <div class="views" id="views" data-live="" data-view=if is_gantt { "gantt" } else { "graph" }>
            <Panel
                title="Steps"
                id="steps"
                note=state::step_counts(&page.detail.steps)
                actions=view! {
                    {fold}
                    {is_large.then(|| view! { <Choice label="Size of the graph" items=sizes/> })}
                    <Choice label="View" items=views/>
                }
                    .into_any()
            >
                <Dag nodes fit/>
                <Gantt lanes now/>
            </Panel>
        </div>
    }
}

/// The same page with this step shown, and this try of it.
pub(super) fn href(address: &Address, step: &str, attempt: Option<i32>) -> String {
    let chosen = address.dropping(&["attempt", "find", "find_after", "line", "after", "inside"]).with("step", step);
    match attempt {
        Some(number) => chosen.with("attempt", number.to_string()).href(),
        None => chosen.href(),
    }
}
