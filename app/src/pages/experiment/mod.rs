//! Experiments: the list, and the table of the runs of one.

pub(super) mod change;
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
use domain::{
    experiment::{ExperimentSummary, LifecycleStage},
    names::ExperimentName,
};
use leptos::prelude::*;

/// Experiments. The order is `sort` in the address: `name`, `created`, `updated`.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`, `sort`, `view`.
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
    /// Whether the reader may make one.
    may_write: bool,
    /// What was typed to make one, and what is wrong with that.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let shown = experiments.len();
    let is_filtered = address.get("q").is_some();
    let sort = Sort::parse(address.get("sort").unwrap_or("-updated"));
    // The default experiment is there from the beginning, and as good as nothing while it has no runs.
    let of_deleted = address.get("view") == Some("deleted");
    let is_bare = |summary: &ExperimentSummary| summary.runs == 0 && summary.experiment.is_default;
    let is_new = experiments.iter().all(is_bare) && !is_filtered && !of_deleted && error.is_none();
    let heading = address.clone();
    let (tokens, all) = (links.to("settings/tokens"), links.experiments());
    let (in_use, deleted) = (address.without("view").href(), address.with("view", "deleted").href());
    let leave = in_use.clone();
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
                    <ButtonLink text="Your tokens" href=tokens symbol=Symbol::Key/>
                </Empty>
            </Panel>
        }
        .into_any()
    } else if experiments.is_empty() && of_deleted && !is_filtered {
        view! {
            <div class="panel">
                <Empty symbol=Symbol::Flask title="No experiment is deleted" text="What is deleted stays here, and can be restored.">
                    <ButtonLink text="Experiments in use" href=leave/>
                </Empty>
            </div>
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
    let new = may_write.then(|| view! { <Button text="New experiment" symbol=Symbol::Plus opens="new-experiment"/> });
    let ask = may_write.then(|| {
        view! {
            <Ask
                id="new-experiment"
                title="New experiment"
                action=all.clone()
                go="Make experiment"
                leave=all
                draft=draft.clone()
                fields=&["name"]
            >
                <TextField
                    label="Name"
                    name="name"
                    max=ExperimentName::MAX
                    autocomplete="off"
                    focus=true
                    hint="What mlflow.set_experiment is given; runs are logged to it from any client."
                    draft
                />
            </Ask>
        }
    });
    view! {
        <PageHead title="Experiments".into_any() actions=new.into_any()/>
        {ask}
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
                        <p class="filter-note">
                            {if of_deleted {
                                view! { <a href=in_use>"Experiments in use"</a> }
                            } else {
                                view! { <a href=deleted>"Deleted experiments"</a> }
                            }}
                        </p>
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
                {put_away.then(|| view! { " "<Tag text="deleted"/> })}
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
            view! { <List links=Links::new("lab") address experiments next=None tracking_uri="http://localhost/w/lab" error=None may_write=true/> }
        })
    }

    #[test]
    fn a_workspace_without_runs_says_how_to_log_one() {
        let mut empty = samples::experiments();
        empty.truncate(1);
        empty.iter_mut().for_each(|summary| (summary.runs, summary.experiment.is_default) = (0, true));
        let html = list(empty, None);
        assert!(html.contains("MLFLOW_TRACKING_URI=http://localhost/w/lab"), "{html}");
    }

    #[test]
    fn an_experiment_that_was_made_is_listed_before_it_has_runs() {
        let mut empty = samples::experiments();
        empty.iter_mut().for_each(|summary| (summary.runs, summary.experiment.is_default) = (0, false));
        let html = list(empty, None);
        assert!(html.contains(r#"href="/w/lab/experiments/1""#) && html.contains("New experiment"), "{html}");
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
