//! Experiments: the list, and the table of the runs of one.

mod columns;
mod groups;
mod runs;
mod selected;
mod table;
mod typed;

pub(super) use runs::compare;
pub use runs::{ExperimentPage, Runs, ShownRuns, WrongFilter};
pub use selected::TagRuns;

use crate::ui::prelude::*;
use domain::experiment::{ExperimentSummary, LifecycleStage};
use leptos::prelude::*;

/// Experiments. The order is `sort` in the address: `name`, `created`, `updated`.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`, `sort`.
    address: Address,
    /// One page of them.
    experiments: Vec<ExperimentSummary>,
    /// The key of the next page.
    next: Option<String>,
    /// Where MLflow's clients log to: the address of the workspace.
    #[prop(into)]
    tracking_uri: String,
    /// What is wrong with the filter.
    #[prop(optional_no_strip)]
    error: Option<String>,
) -> impl IntoView {
    let shown = experiments.len();
    let is_filtered = address.get("q").is_some();
    let sort = Sort::parse(address.get("sort").unwrap_or("-updated"));
    // The default experiment is there from the beginning, and as good as nothing while it has no runs.
    let is_new = experiments.iter().all(|summary| summary.runs == 0) && !is_filtered && error.is_none();
    let heading = address.clone();
    let body = if is_new {
        view! {
            <Panel title="Experiments" id="experiments">
                <Empty
                    symbol=Symbol::Flask
                    title="No run is logged yet"
                    text="Every MLflow client logs here as it is. Set two variables, and train what you have."
                    command=format!(
                        "export MLFLOW_TRACKING_URI={tracking_uri}\nexport MLFLOW_TRACKING_TOKEN=…   # one of your tokens\npython train.py",
                    )
                >
                    <ButtonLink text="Your tokens" href=links.to("settings/tokens") symbol=Symbol::Key/>
                </Empty>
            </Panel>
        }
        .into_any()
    } else if experiments.is_empty() {
        view! { <Nothing address=address.clone()/> }.into_any()
    } else {
        view! {
            <Table label="Experiments" keys=true id="experiments" live=true>
                <thead>
                    <tr>
                        <SortHead label="Experiment" key="name" address=heading.clone() sort=sort.clone()/>
                        <Head label="Runs" num=true/>
                        <Head label="State"/>
                        <Head label="Last run"/>
                        <SortHead label="Changed" key="updated" address=heading.clone() sort=sort.clone() descending=true/>
                        <SortHead label="Made" key="created" address=heading sort descending=true/>
                    </tr>
                </thead>
                <tbody>
                    {experiments.into_iter().map(|summary| view! { <Line links=links.clone() summary/> }).collect_view()}
                </tbody>
            </Table>
            <Pager address=address.clone() shown next one="experiment" many="experiments" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead title="Experiments".into_any()/>
        <div class="mt-4">
            {(!is_new)
                .then(|| {
                    view! {
                        <FilterBar
                            label="Filter experiments"
                            address=address.clone()
                            placeholder="wine, or name LIKE 'wine%' AND tags.team = 'lab'"
                            error
                        />
                    }
                })}
            {body}
        </div>
    }
}

#[component]
fn Line(links: Links, summary: ExperimentSummary) -> impl IntoView {
    let experiment = summary.experiment;
    let put_away = experiment.lifecycle_stage == LifecycleStage::Deleted;
    view! {
        <tr id=format!("experiment-{}", experiment.id)>
            <th scope="row">
                <a class="strong" href=links.experiment(experiment.id)>{experiment.name}</a>
                {experiment.is_default.then(|| view! { " "<Tag text="default"/> })}
                {put_away.then(|| view! { " "<Tag text="put away"/> })}
            </th>
            <td class="num">{format::integer(summary.runs)}</td>
            <td>
                {(summary.running > 0)
                    .then(|| {
                        view! { <StateMark state=State::Running word=format!("{} running", format::integer(summary.running))/> }
                    })}
            </td>
            <td class="muted">
                {match summary.last_run_at {
                    Some(ms) => view! { <When at=from_ms(ms)/> }.into_any(),
                    None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                }}
            </td>
            <td class="muted"><When at=from_ms(experiment.last_update_time)/></td>
            <td class="muted"><When at=from_ms(experiment.creation_time)/></td>
        </tr>
    }
}

/// A filter that leaves nothing.
#[component]
pub(crate) fn Nothing(address: Address) -> impl IntoView {
    view! {
        <div class="panel">
            <Empty
                symbol=Symbol::Search
                title="Nothing matches this filter"
                text="Take a part of it away, or look at all of them."
            >
                <ButtonLink text="Clear filter" href=address.without("q").href()/>
            </Empty>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn list(experiments: Vec<ExperimentSummary>, query: Option<&str>) -> String {
        let pairs = query.map(|q| ("q".to_owned(), q.to_owned()));
        fragment(move || {
            let address = Address::new("/w/lab/experiments", pairs);
            view! { <List links=Links::new("lab") address experiments next=None tracking_uri="http://localhost/w/lab" error=None/> }
        })
    }

    #[test]
    fn a_workspace_without_runs_says_how_to_log_one() {
        let mut empty = samples::experiments();
        empty.iter_mut().for_each(|summary| summary.runs = 0);
        let html = list(empty, None);
        assert!(html.contains("MLFLOW_TRACKING_URI=http://localhost/w/lab"), "{html}");
    }

    #[test]
    fn a_filter_that_finds_nothing_is_not_an_empty_workspace() {
        let html = list(Vec::new(), Some("nope"));
        assert!(
            html.contains("Nothing matches this filter") && html.contains(r#"href="/w/lab/experiments""#),
            "{html}"
        );
    }

    #[test]
    fn each_experiment_leads_to_its_runs() {
        let html = list(samples::experiments(), None);
        assert!(html.contains(r#"href="/w/lab/experiments/1""#) && html.contains("1,284"), "{html}");
    }
}
