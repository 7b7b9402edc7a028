//! Runs: the page of one with its curves, params and files, and several beside each other.

mod compare;
mod metrics;

pub use compare::{Compare, ComparePage, MOST_RUNS};

use crate::{
    islands::LiveRegion,
    pages::files::{Files, FilesPage, Glance},
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    experiment::{Champion, Experiment, LifecycleStage},
    promotion::Promotion,
    run::{DatasetInput, MetricSeries, Run, RunLineage, RunStatus},
};
use leptos::prelude::*;

/// Shape and word of a run's state.
#[must_use]
pub fn state(status: RunStatus) -> (State, &'static str) {
    match status {
        RunStatus::Running => (State::Running, "Running"),
        RunStatus::Scheduled => (State::Queued, "Scheduled"),
        RunStatus::Finished => (State::Passed, "Finished"),
        RunStatus::Failed => (State::Failed, "Failed"),
        RunStatus::Killed => (State::Cancelled, "Killed"),
    }
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct RunPage {
    /// The run, with the latest of all that was logged to it.
    pub run: Run,
    /// Its experiment.
    pub experiment: Experiment,
    /// What made it, and what it made.
    pub lineage: RunLineage,
    /// Promotions of the versions made from it, newest first.
    pub promotions: Vec<Promotion>,
    /// The curves that are drawn: of the metrics in [`RunPage::charted`].
    pub series: Vec<MetricSeries>,
    /// What it is held against.
    pub champion: Option<Champion>,
    /// Its files, as far as they are looked at.
    pub files: FilesPage,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
}

/// The most charts of a page.
pub const MOST_CHARTS: usize = 12;

impl RunPage {
    /// The metrics to draw as curves: those that match what was asked for, those that a gate names first. A metric of
    /// one point is no curve; whether it has more is the caller's to find out.
    #[must_use]
    pub fn charted(run: &Run, champion: Option<&Champion>, asked: Option<&str>) -> Vec<String> {
        let asked = asked.map(str::to_lowercase);
        let named = |key: &str| champion.is_some_and(|champion| champion.better.contains_key(key));
        let mut keys: Vec<String> = run
            .metrics
            .iter()
            .map(|metric| metric.key.clone())
            .filter(|key| asked.as_ref().is_none_or(|asked| key.to_lowercase().contains(asked)))
            .filter(|key| asked.is_some() || !key.starts_with("system/"))
            .collect();
        keys.sort_by_key(|key| (!named(key), key.clone()));
        keys.truncate(MOST_CHARTS);
        keys
    }
}

/// The page of a run.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `tab` is `metrics` or `artifacts`, `metric` finds metrics, `path` is a
    /// folder or file.
    address: Address,
    /// What it shows.
    page: RunPage,
) -> impl IntoView {
    let info = page.run.info.clone();
    let (shape, word) = state(info.status);
    let id = info.id.simple();
    let tab = address.get("tab").unwrap_or("overview").to_owned();
    let plain = address.without("tab").without("path").without("from").without("metric");
    let tabs = vec![
        Tab::new("Overview", plain.href()).current(tab == "overview"),
        Tab::new("Metrics", plain.with("tab", "metrics").href())
            .count(page.run.metrics.len())
            .current(tab == "metrics"),
        Tab::new("Artifacts", plain.with("tab", "artifacts").href())
            .count(format::integer(page.files.all().0))
            .current(tab == "artifacts"),
    ];
    let commit = page.run.tags.get("mlflow.source.git.commit").cloned();
    let events = (info.status == RunStatus::Running).then(|| links.events(&[format!("run:{}", info.id)]));
    let version = page.lineage.versions.last().cloned();
    let actions = version.map(|(model, version)| {
        view! { <ButtonLink text=format!("Open v{version}") href=links.version(&model, version) kind=Kind::Primary/> }
    });
    let started = from_ms(info.start_time);
    let meta = view! {
        <span>
            <Avatar name=info.user_name.clone() size=AvatarSize::Small/>
            {info.user_name.clone()}" started "
            <When at=started/>
        </span>
        <span><Icon symbol=Symbol::Wait/><Took from=started to=info.end_time.map(from_ms)/></span>
        {commit.map(|commit| {
            let short: String = commit.chars().take(7).collect();
            view! { <span><Icon symbol=Symbol::Commit/><span class="mono" title=commit>{short}</span></span> }
        })}
        <span class="digest">
            <Icon symbol=Symbol::File/>
            <span class="mono">{id.clone()}</span>
            <CopyButton text=id.clone() label="Copy run id"/>
        </span>
        <Tags run=page.run.clone()/>
    };
    let put_away = info.lifecycle_stage == LifecycleStage::Deleted;
    let crumbs = vec![
        Crumb::to("Experiments", links.experiments()),
        Crumb::to(page.experiment.name.clone(), links.experiment(page.experiment.id)),
        Crumb::here(info.name.clone()),
    ];
    let body = match tab.as_str() {
        "metrics" => view! { <metrics::All links=links.clone() address=address.clone() page/> }.into_any(),
        "artifacts" => {
            let run = info.id;
            let command = format!("mlflow artifacts log-artifact --run-id {} --local-file plot.png", run.simple());
            view! {
                <Files
                    links=links.run_files(&run)
                    address=address.without("metric")
                    page=page.files.clone()
                    base=format!("runs:/{}", run.simple())
                    empty="What the run logs with mlflow.log_artifact appears here: plots, tables, models. To add a file to it:"
                    command=Some(command)
                    live=true
                />
            }
            .into_any()
        }
        _ => view! { <Overview links=links.clone() address=plain page/> }.into_any(),
    };
    view! {
        <Crumbs items=crumbs/>
        <PageHead
            title=info.name.into_any()
            badge=view! {
                <Badge state=shape word/>
                {put_away.then(|| view! { <Badge state=State::Cancelled word="Deleted"/> })}
            }
                .into_any()
            actions=actions.into_any()
            meta=meta.into_any()
            live=true
        />
        <Tabs label="Run" items=tabs/>
        {body}
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

/// The tags that people set; those of clients begin with `mlflow.`.
#[component]
fn Tags(run: Run) -> impl IntoView {
    let tags: Vec<String> = run
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with("mlflow."))
        .take(6)
        .map(|(key, value)| format!("{key}={value}").chars().take(48).collect())
        .collect();
    (!tags.is_empty())
        .then(|| view! { <span>{tags.into_iter().map(|text| view! { <Tag text mono=true/> }).collect_view()}</span> })
}

#[component]
fn Overview(links: Links, address: Address, page: RunPage) -> impl IntoView {
    let description = page.run.tags.get("mlflow.note.content").cloned();
    let chain = lineage(&page, &links);
    view! {
        {(chain.len() > 1).then(|| view! { <Lineage items=chain/> })}
        <div class="with-aside mt-4">
            <div class="stack">
                {description
                    .map(|text| {
                        view! { <Panel title="About" id="about"><Body><div class="prose"><Prose text/></div></Body></Panel> }
                    })}
                <metrics::Headline address=address.clone() page=page.clone()/>
                <metrics::Charts links=links.clone() address=address.clone() page=page.clone()/>
            </div>
            <aside class="stack" aria-label="Details">
                <Params run=page.run.clone()/>
                <Glance address=address.with("tab", "artifacts") page=page.files/>
                <Datasets datasets=page.run.datasets/>
                <Happened events=page.events links/>
            </aside>
        </div>
    }
}

/// From the data to production, as far as it is known.
fn lineage(page: &RunPage, links: &Links) -> Vec<Station> {
    let mut chain = Vec::new();
    if let Some(data) = page.run.datasets.first() {
        let more = page.run.datasets.len() - 1;
        chain.push(Station {
            kind: "Data",
            name: data.name.clone(),
            href: None,
            sub: if more > 0 { format!("{}, and {more} more", data.digest) } else { data.digest.clone() },
            state: None,
            here: false,
        });
    }
    if let Some((_, pipeline, number)) = &page.lineage.pipeline_run {
        chain.push(Station {
            kind: "Pipeline run",
            name: format!("{pipeline} #{number}"),
            href: Some(links.pipeline_run(*number)),
            sub: "logged by a step".to_owned(),
            state: None,
            here: false,
        });
    }
    chain.push(Station {
        kind: "Run",
        name: page.run.info.id.simple().chars().skip(24).collect(),
        href: None,
        sub: "this page".to_owned(),
        state: None,
        here: true,
    });
    for (model, version) in &page.lineage.versions {
        chain.push(Station {
            kind: "Version",
            name: format!("{model} v{version}"),
            href: Some(links.version(model, *version)),
            sub: "registered from it".to_owned(),
            state: None,
            here: false,
        });
    }
    if let Some(promotion) = page.promotions.first() {
        let (state, word) = crate::pages::promotion::state(promotion.state);
        chain.push(Station {
            kind: "Promotion",
            name: format!("#{} → {}", promotion.number, promotion.environment),
            href: Some(links.promotion(promotion.number)),
            sub: word.to_lowercase(),
            state: Some(state),
            here: false,
        });
    }
    chain
}

#[component]
fn Params(run: Run) -> impl IntoView {
    let count = run.params.len();
    view! {
        <Panel title="Params" id="params" note=count.to_string()>
            {if run.params.is_empty() {
                view! { <Body><p class="muted">"It logged no params."</p></Body> }.into_any()
            } else {
                view! {
                    <Body>
                        <Facts small=true>
                            {run
                                .params
                                .into_iter()
                                .take(200)
                                .map(|(key, value)| {
                                    view! { <Fact name=key mono=true>{value.chars().take(400).collect::<String>()}</Fact> }
                                })
                                .collect_view()}
                        </Facts>
                        {(count > 200).then(|| view! { <p class="muted">{format!("and {} more", count - 200)}</p> })}
                    </Body>
                }
                    .into_any()
            }}
        </Panel>
    }
}

#[component]
fn Datasets(datasets: Vec<DatasetInput>) -> impl IntoView {
    (!datasets.is_empty()).then(|| {
        view! {
            <Panel title="Data" id="data" note=datasets.len().to_string()>
                <ul class="list">
                    {datasets
                        .into_iter()
                        .map(|data| {
                            let context = data.tags.get("mlflow.data.context").cloned();
                            view! {
                                <li>
                                    <div class="grow">
                                        <span class="t">{data.name}</span>
                                        <div class="sub mono">{data.digest}</div>
                                    </div>
                                    {context.map(|text| view! { <Tag text/> })}
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </Panel>
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn page(query: &[(&str, &str)]) -> String {
        let pairs: Vec<(String, String)> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fragment(move || {
            let address = Address::new("/w/lab/runs/1", pairs);
            view! { <Detail links=Links::new("lab") address page=samples::run()/> }
        })
    }

    #[test]
    fn a_run_shows_what_made_it_and_what_it_made() {
        let html = page(&[]);
        for part in ["train-wine #511", "/w/lab/pipeline-runs/511", "wine-quality v14", "#87 → production", "this page"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn each_headline_metric_says_what_its_difference_means() {
        let html = page(&[]);
        assert!(html.contains("+0.036 on v12"), "{html}");
        assert!(html.contains(r#"data-d="better""#) && html.contains(r#"data-d="worse""#), "{html}");
    }

    #[test]
    fn gates_metrics_are_drawn_first_and_system_metrics_only_when_asked_for() {
        let page = samples::run();
        let keys = RunPage::charted(&page.run, page.champion.as_ref(), None);
        assert_eq!(keys.first().map(String::as_str), Some("f1_macro"));
        assert!(!keys.iter().any(|key| key.starts_with("system/")), "{keys:?}");
        assert_eq!(RunPage::charted(&page.run, None, Some("SYSTEM/")), ["system/cpu"]);
    }

    #[test]
    fn files_are_on_a_tab_of_their_own_and_named_beside_the_curves() {
        let html = page(&[("tab", "artifacts"), ("path", "model")]);
        assert!(html.contains("4.6 MiB") && html.contains("model.onnx"), "{html}");
        let html = page(&[]);
        assert!(html.contains("?tab=artifacts&amp;path=model\"") && !html.contains("model.onnx"), "{html}");
    }
}
