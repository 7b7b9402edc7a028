//! Runs: the page of one with its curves, params and files, and several beside each other.

pub mod board;
mod change;
mod compare;
mod inputs;
mod metrics;
mod params;
mod python;

pub use board::{About, Board};
pub use compare::{Compare, ComparePage, MOST_RUNS};

use crate::{
    islands::LiveRegion,
    pages::{
        comment::{self, CommentList},
        experiment::change::{Asked, Menu, Note, Subject},
        files::{Files, FilesPage, Glance, prose},
    },
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    deployment::{Deployment, DeploymentState},
    experiment::{Champion, Experiment, LifecycleStage},
    id::RunId,
    log_key::is_of_model,
    logged_model::LoggedModel,
    preview::Block,
    promotion::Promotion,
    run::{Run, RunLineage, RunStatus},
    values::TagValue,
};
use leptos::prelude::*;
use std::collections::BTreeMap;

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

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// What it is, how it went, what it is held against.
    #[default]
    Overview,
    /// All curves.
    Metrics,
    /// What was measured of the machine.
    System,
    /// All params.
    Params,
    /// Data sets and logged models.
    Inputs,
    /// Its files.
    Artifacts,
    /// What people say of it.
    Comments,
    /// What happened to it.
    History,
}

impl Part {
    /// What an address says under `tab`; the overview when that is no part.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        use Part as P;
        let all = [P::Metrics, P::System, P::Params, P::Inputs, P::Artifacts, P::Comments, P::History];
        all.into_iter().find(|part| Some(part.as_str()) == address.get("tab")).unwrap_or_default()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Metrics => "metrics",
            Self::System => "system",
            Self::Params => "params",
            Self::Inputs => "inputs",
            Self::Artifacts => "artifacts",
            Self::Comments => "comments",
            Self::History => "history",
        }
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
    /// What serves, or served, of the versions made from it, newest first.
    pub deployments: Vec<Deployment>,
    /// What people wrote about it.
    pub about: Vec<Block>,
    /// How many points each metric has.
    pub lengths: BTreeMap<String, i64>,
    /// The charts of the part that is shown.
    pub board: Board,
    /// What it is held against.
    pub champion: Option<Champion>,
    /// Its files, as far as they are looked at.
    pub files: FilesPage,
    /// The logged models that it read or wrote, as far as they are there.
    pub models: Vec<LoggedModel>,
    /// What people say of it.
    pub comments: CommentList,
    /// Whether it has a model to register, and whoever looks may.
    pub may_register: bool,
    /// Whether the reader may change it.
    pub may_write: bool,
    /// What was typed to change it, and what is wrong with that.
    pub draft: Draft,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
    /// What clients use as tracking server.
    pub tracking_url: String,
    /// Versions of datasets that are known to be what it read: the digest that the run logged, the dataset, the number.
    pub versions: Vec<(String, String, i32)>,
}

impl RunPage {
    /// How many charts the overview has.
    const FEW: usize = 6;

    /// The charts of a part of the page, still without their points.
    #[must_use]
    pub fn board(
        part: Part,
        address: &Address,
        run: &Run,
        lengths: &BTreeMap<String, i64>,
        champion: Option<&Champion>,
    ) -> Board {
        match part {
            Part::Overview => Board::few(run, lengths, champion, Self::FEW),
            Part::Metrics => Board::plan(address, lengths, champion, About::Training, board::MOST_CHARTS),
            Part::System => Board::plan(address, lengths, None, About::System, board::MOST_CHARTS),
            Part::Params | Part::Inputs | Part::Artifacts | Part::Comments | Part::History => Board::default(),
        }
    }
}

/// The page of a run.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `tab` is a [`Part`], `edit` is `note` where that is written; `metric` and `param` find by name, `open` and `after` say which
    /// charts, [`crate::chart::look::Look`] has how they are drawn; `path` is a folder or file.
    address: Address,
    /// What it shows.
    page: RunPage,
) -> impl IntoView {
    let info = page.run.info.clone();
    let (shape, word) = state(info.status);
    let id = info.id.simple();
    let part = Part::of(&address);
    // How charts are drawn stays from one part to the next; what is found and opened in one does not.
    let mut plain = address.clone();
    for name in [
        "tab",
        "edit",
        "path",
        "from",
        "metric",
        "param",
        "open",
        "after",
        "rows",
        "values",
        "start",
        "end",
        "page_token",
    ] {
        plain = plain.without(name);
    }
    let tab = |part_of: Part, name: &'static str| {
        let href = if part_of == Part::Overview { plain.href() } else { plain.with("tab", part_of.as_str()).href() };
        Tab::new(name, href).current(part == part_of)
    };
    let whole = |count: usize| format::integer(i64::try_from(count).unwrap_or_default());
    let system = page.run.metrics.iter().filter(|metric| !is_of_model(&metric.key)).count();
    let inputs = page.run.datasets.len() + page.run.model_inputs.len() + page.run.model_outputs.len();
    let mut tabs = vec![
        tab(Part::Overview, "Overview"),
        tab(Part::Metrics, "Metrics").count(whole(page.run.metrics.len() - system)),
        tab(Part::Params, "Params").count(whole(page.run.params.len())),
        tab(Part::Artifacts, "Artifacts").count(format::integer(page.files.all().0)),
    ];
    if system > 0 || part == Part::System {
        tabs.push(tab(Part::System, "System metrics").count(whole(system)));
    }
    tabs.push(tab(Part::Inputs, "Inputs and outputs").count(whole(inputs)));
    tabs.push(tab(Part::Comments, "Comments").count(format::integer(page.comments.total)));
    tabs.push(tab(Part::History, "History"));
    let commit = page.run.tags.get("mlflow.source.git.commit").cloned();
    let running = if info.status == RunStatus::Running { vec![info.id] } else { Vec::new() };
    let version = page.lineage.versions.last().cloned();
    let open = version.map(|(model, version)| {
        view! { <ButtonLink text=format!("Open v{version}") href=links.version(&model, version) kind=Kind::Primary/> }
    });
    let register = page.may_register.then(|| {
        // There is one primary button: where it is registered already, the version is what is looked for.
        let kind = if open.is_some() { Kind::Plain } else { Kind::Primary };
        view! { <ButtonLink text="Register model" href=links.register(&info.id) kind/> }
    });
    let subject = change::subject(&address, &plain, &page);
    let actions = view! { <python::CopyAsPython page=page.clone()/>{register}{open}<Menu subject=subject.clone()/> };
    let started = from_ms(info.start_time);
    let source = page.run.tags.get("mlflow.source.name").filter(|name| !name.is_empty()).cloned();
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
        {source.map(|source| {
            let short = source.rsplit('/').next().unwrap_or(&source).chars().take(40).collect::<String>();
            view! { <span><Icon symbol=Symbol::Play/><span class="mono" title=source>{short}</span></span> }
        })}
        <span class="digest">
            <Icon symbol=Symbol::File/>
            <span class="mono">{id.clone()}</span>
            <CopyButton text=id.clone() label="Copy run id"/>
        </span>
    };
    let put_away = info.lifecycle_stage == LifecycleStage::Deleted;
    let crumbs = vec![
        Crumb::to("Experiments", links.experiments()),
        Crumb::to(page.experiment.name.clone(), links.experiment(page.experiment.id)),
        Crumb::here(info.name.clone()),
    ];
    let body = match part {
        Part::Metrics => view! { <metrics::All links=links.clone() address=address.clone() page/> }.into_any(),
        Part::System => view! { <metrics::System links=links.clone() address=address.clone() page/> }.into_any(),
        Part::Params => view! { <params::All address=address.clone() params=page.run.params/> }.into_any(),
        Part::Inputs => view! { <inputs::All links=links.clone() page/> }.into_any(),
        Part::Comments => {
            let (here, files) = (links.run(&info.id), links.run_files(&info.id));
            let (artifacts, comments) = (plain.with("tab", "artifacts"), page.comments);
            view! { <comment::All here files artifacts address=address.clone() noun="run" comments/> }.into_any()
        }
        Part::History => view! { <Happened events=page.events links=links.clone()/> }.into_any(),
        Part::Artifacts => {
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
        Part::Overview => {
            let here = address.clone();
            view! { <Overview links=links.clone() address=here plain subject=subject.clone() page/> }.into_any()
        }
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
        <Asked
            subject
            lost="Its metrics, params, tags and files are put away with it, and MLflow's clients do not find it any more. It can be restored here. Versions that were registered from it stay as they are."
        />
        <Tabs label="Run" items=tabs/>
        <div class="mt-4">{body}</div>
        <Whole links running/>
    }
}

/// What the charts look at to know when they are whole, kept current while a run of the page runs.
#[component]
fn Whole(
    links: Links,
    /// The runs that run still.
    running: Vec<RunId>,
) -> impl IntoView {
    let is = if running.is_empty() { "over" } else { "running" };
    let topics: Vec<String> = running.iter().map(|id| format!("run:{id}")).collect();
    let events = (!topics.is_empty()).then(|| links.events(&topics));
    view! {
        <span id="run-running" hidden data-live="" data-is=is></span>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

#[component]
fn Overview(links: Links, address: Address, plain: Address, subject: Subject, page: RunPage) -> impl IntoView {
    let chain = lineage(&page, &links);
    let files = links.run_files(&page.run.info.id);
    let artifacts = plain.with("tab", "artifacts");
    let note = (!page.about.is_empty()).then(|| prose(page.about.clone(), &files, &artifacts));
    let metrics_tab = plain.clone();
    view! {
        {(chain.len() > 1).then(|| view! { <Lineage items=chain/> })}
        <div class="with-aside mt-4">
            <div class="stack">
                <Note subject=subject.clone() text=note most=TagValue::MAX_RUN/>
                <metrics::Headline address=metrics_tab page=page.clone()/>
                <metrics::Charts links=links.clone() address page=page.clone() about=About::Training flat=true/>
            </div>
            <aside class="stack" aria-label="Details">
                <params::Few address=plain.clone() params=page.run.params.clone()/>
                <Glance address=artifacts page=page.files.clone()/>
                <inputs::Datasets address=plain.clone() datasets=page.run.datasets.clone()/>
                <Source tags=page.run.tags.clone()/>
                <change::Tags subject page=page.clone()/>
                <Happened events=page.events.iter().take(6).cloned().collect() links/>
            </aside>
        </div>
    }
}

/// Which code made the run, as its client says. Nothing of it is opened, so that only what is plainly an address is a link.
#[component]
fn Source(tags: BTreeMap<String, String>) -> impl IntoView {
    let names = [
        ("Source", "mlflow.source.name"),
        ("Type", "mlflow.source.type"),
        ("Commit", "mlflow.source.git.commit"),
        ("Branch", "mlflow.source.git.branch"),
        ("Repository", "mlflow.source.git.repoURL"),
        ("Project entry", "mlflow.project.entryPoint"),
    ];
    let facts: Vec<(&str, String)> = names
        .into_iter()
        .filter_map(|(word, tag)| Some((word, tags.get(tag).filter(|value| !value.is_empty())?.clone())))
        .collect();
    (!facts.is_empty()).then(|| {
        view! {
            <Panel title="Source" id="source">
                <Body>
                    <Facts small=true>
                        {facts
                            .into_iter()
                            .map(|(name, value)| {
                                let shown: String = value.chars().take(200).collect();
                                let link = value.starts_with("https://") && name == "Repository";
                                view! {
                                    <Fact name=name.to_owned() mono=true>
                                        {if link {
                                            view! { <a class="breaks" href=value rel="noopener noreferrer nofollow">{shown}</a> }.into_any()
                                        } else {
                                            view! { <span class="breaks">{shown}</span> }.into_any()
                                        }}
                                    </Fact>
                                }
                            })
                            .collect_view()}
                    </Facts>
                </Body>
            </Panel>
        }
    })
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
    // What answers now, of each environment; without any, what did last.
    let live = page.deployments.iter().filter(|deployment| deployment.state == DeploymentState::Live);
    let shown: Vec<&Deployment> = match live.collect::<Vec<_>>() {
        none if none.is_empty() => page.deployments.iter().take(1).collect(),
        live => live,
    };
    for deployment in shown {
        let (state, word) = crate::pages::deployment::of_deployment(deployment.state);
        chain.push(Station {
            kind: "Deployment",
            name: format!("#{} in {}", deployment.number, deployment.environment),
            href: Some(links.deployment(deployment.number)),
            sub: word.to_lowercase(),
            state: Some(state),
            here: false,
        });
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};
    use domain::experiment::NOTE_TAG;

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
    fn a_run_with_a_model_leads_to_the_form_that_registers_it_for_those_who_may() {
        let html = page(&[]);
        assert!(html.contains("/register\"") && html.contains("Register model"), "{html}");
        let page = RunPage { may_register: false, ..samples::run() };
        let html = fragment(move || {
            view! { <Detail links=Links::new("lab") address=Address::new("/w/lab/runs/1", []) page/> }
        });
        assert!(!html.contains("Register model"), "{html}");
    }

    #[test]
    fn each_headline_metric_says_what_its_difference_means() {
        let html = page(&[]);
        assert!(html.contains("+0.036 on v12"), "{html}");
        assert!(html.contains(r#"data-d="better""#) && html.contains(r#"data-d="worse""#), "{html}");
    }

    #[test]
    fn gates_metrics_are_drawn_first_and_the_machines_on_a_part_of_their_own() {
        let page = samples::run();
        let board = |part, pairs: &[(&str, &str)]| {
            let address = Address::new("/", pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
            let board = RunPage::board(part, &address, &page.run, &page.lengths, page.champion.as_ref());
            board.keys().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(board(Part::Overview, &[]), ["f1_macro", "loss"]);
        assert_eq!(board(Part::Metrics, &[("metric", "LOSS")]), ["loss"]);
        assert_eq!(board(Part::System, &[]), ["system/cpu_utilization_percentage"]);
    }

    #[test]
    fn each_part_of_a_run_is_shown() {
        for (tab, part) in [
            ("metrics", "Ignore outliers"),
            ("system", "CPU utilization"),
            ("params", "learning_rate"),
            ("inputs", "wine-quality@2026-11"),
            ("comments", "its recall says little"),
            ("history", "History"),
            ("nonsense", "Headline metrics"),
        ] {
            let html = page(&[("tab", tab)]);
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    fn changed(query: &[(&str, &str)], change: impl FnOnce(&mut RunPage)) -> String {
        let pairs: Vec<(String, String)> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut page = samples::run();
        page.run.tags.insert("team".to_owned(), "wine".to_owned());
        change(&mut page);
        fragment(move || {
            let address = Address::new("/w/lab/runs/1", pairs);
            view! { <Detail links=Links::new("lab") address page/> }
        })
    }

    #[test]
    fn who_may_changes_name_note_and_tags_where_they_are_shown() {
        let html = changed(&[("x", "time")], |_| {});
        for part in [
            r#"popovertarget="rename""#,
            r#"popovertarget="delete""#,
            r#"href="/w/lab/runs/1?x=time&amp;edit=note""#,
            r#"aria-label="Remove the tag team""#,
            r#"name="back" value="x=time""#,
            "Add a tag",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        let html = changed(&[("edit", "note")], |page| {
            page.run.tags.insert(NOTE_TAG.to_owned(), "**why**".to_owned());
        });
        assert!(html.contains("**why**</textarea>") && html.contains("Save note"), "{html}");
        let html = changed(&[("edit", "note")], |page| page.may_write = false);
        for part in ["popovertarget", "Remove the tag", "Add a tag", "Save note"] {
            assert!(!html.contains(part), "{part} in {html}");
        }
        assert!(html.contains("wine"), "{html}");
    }

    #[test]
    fn a_deleted_run_says_so_and_offers_the_way_back() {
        let html = changed(&[], |page| page.run.info.lifecycle_stage = LifecycleStage::Deleted);
        assert!(html.contains("This run is deleted") && html.contains("Restore run"), "{html}");
        assert!(!html.contains("popovertarget") && !html.contains("Add a tag"), "{html}");
    }

    #[test]
    fn a_tag_that_was_refused_is_shown_with_what_was_typed() {
        let html = changed(&[], |page| {
            let typed = Draft::of([("do", "tag"), ("key", "a@b"), ("value", "v")]);
            page.draft = typed.refused(&domain::Error::invalid_field("key", "Not so."));
        });
        let open = html.find(r#"<details open class="add-tag""#).unwrap();
        assert!(html[open..].contains(r#"value="a@b""#) && html.contains("Not so."), "{html}");
        assert!(html.contains(r#"id="rename" popover"#), "the other forms are as they were: {html}");
    }

    #[test]
    fn files_are_on_a_tab_of_their_own_and_named_beside_the_curves() {
        let html = page(&[("tab", "artifacts"), ("path", "model")]);
        assert!(html.contains("4.6 MiB") && html.contains("model.onnx"), "{html}");
        let html = page(&[]);
        assert!(html.contains("?tab=artifacts&amp;path=model\"") && !html.contains("model.onnx"), "{html}");
    }
}
