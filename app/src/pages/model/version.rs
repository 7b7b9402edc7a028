//! The page of a version: what it is, what made it, where it went.

use super::signature::{Golden, Signature};
use crate::{
    chart::lineage::{Lineage as Graph, Stop},
    format,
    pages::{
        comment::{self, CommentList},
        deployment::of_deployment,
        files::{Files as FileTree, FilesPage},
    },
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    deployment::{Deployment, DeploymentState},
    experiment::Champion,
    log_key::is_of_model,
    model::{ModelVersion, VersionFile},
    policy::Better,
    promotion::{GoldenRows, Promotion, PromotionState},
    run::Run,
    version_diff::COMMIT_TAG,
};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// What made a version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lineage {
    /// The run that logged it, with its metrics.
    pub run: Option<Run>,
    /// The pipeline run whose step logged that run: the pipeline's name and the number.
    pub pipeline_run: Option<(String, i64)>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct VersionPage {
    /// The version.
    pub version: ModelVersion,
    /// Its files.
    pub files: Vec<VersionFile>,
    /// Those that are looked at, on the tab of the files.
    pub looked_at: FilesPage,
    /// What made it.
    pub lineage: Lineage,
    /// Its promotions, newest first.
    pub promotions: Vec<Promotion>,
    /// Where it was brought, newest first.
    pub deployments: Vec<Deployment>,
    /// What it is held against: the version in production.
    pub champion: Option<Champion>,
    /// Its golden rows, or why they are not shown; none when it has none.
    pub golden: Option<Result<GoldenRows, String>>,
    /// Who registered it, by name.
    pub created_by: Option<String>,
    /// The version before it that is still there.
    pub previous: Option<i32>,
    /// What people say of it.
    pub comments: CommentList,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may ask for promotions.
    pub may_request: bool,
}

impl VersionPage {
    /// Where it serves now.
    fn live(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().filter(|deployment| deployment.state == DeploymentState::Live)
    }

    /// What to compare it with first: the version in production, or the one before it.
    fn other(&self) -> Option<i32> {
        let champion = self.champion.as_ref().map(|champion| champion.version);
        champion.filter(|version| *version != self.version.version).or(self.previous)
    }
}

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// What it is, what made it and where it went.
    #[default]
    Overview,
    /// Its files.
    Files,
    /// What people say of it.
    Comments,
}

impl Part {
    /// What an address says under `tab`; the overview when that is no part.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        match address.get("tab") {
            Some("files") => Self::Files,
            Some("comments") => Self::Comments,
            _ => Self::Overview,
        }
    }
}

/// The page of a version.
#[component]
pub fn Version(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `tab` is a [`Part`], `path` is a folder or file.
    address: Address,
    /// The version.
    page: VersionPage,
) -> impl IntoView {
    let version = page.version.clone();
    let part = Part::of(&address);
    let plain = address.without("tab").without("path").without("from");
    let files = plain.with("tab", "files");
    let tabs = vec![
        Tab::new("Overview", plain.href()).current(part == Part::Overview),
        Tab::new("Files", files.href()).count(page.files.len()).current(part == Part::Files),
        Tab::new("Comments", plain.with("tab", "comments").href())
            .count(format::integer(page.comments.total))
            .current(part == Part::Comments),
    ];
    let live: Vec<String> = page.live().map(|deployment| deployment.environment.clone()).collect();
    let badge = if live.is_empty() {
        (!version.is_servable()).then(|| view! { <Badge state=State::Skipped word="Not servable"/> }.into_any())
    } else {
        Some(view! { <Badge state=State::Live word=format!("Live in {}", live.join(", "))/> }.into_any())
    };
    let other = page.other();
    let compare = other.map(|other| {
        let href = links.compare_versions(&version.model, other, version.version);
        view! { <ButtonLink text=format!("Compare with v{other}") href/> }
    });
    let request = (page.may_request && version.is_servable()).then(|| {
        let href = links.new_promotion(&version.model, version.version);
        view! { <ButtonLink text="Request promotion" href kind=Kind::Primary symbol=Symbol::Promote/> }
    });
    let by = page.created_by.clone();
    let request = view! { {compare}{request} };
    let aliases =
        version.aliases.iter().map(|alias| view! { <Tag text=format!("@{alias}") mono=true/> }).collect_view();
    let tags =
        version.tags.iter().map(|(key, value)| view! { <Tag text=format!("{key}={value}") mono=true/> }).collect_view();
    let why_not = (!version.is_servable()).then(|| {
        let text = if version.digest.is_none() {
            "It holds no files of ours, so it cannot be served. Register it from a logged model: models:/<model id>."
        } else {
            "It holds no ONNX model, so it cannot be promoted. Log one with mlflow.onnx.log_model."
        };
        view! { <div class="mt-4"><Callout>{text}</Callout></div> }
    });
    view! {
        <Crumbs items=vec![
            Crumb::to("Models", links.models()),
            Crumb::to(version.model.clone(), links.model(&version.model)),
            Crumb::here(format!("v{}", version.version)),
        ]/>
        <PageHead
            title=view! { <span class="breaks">{version.model.clone()}</span>" "<span class="mono">{format!("v{}", version.version)}</span> }.into_any()
            badge=badge.into_any()
            actions=request.into_any()
            meta=view! {
                <span>
                    {by.map(|name| view! { <Avatar name=name.clone() size=AvatarSize::Small/>{name}" registered it " })
                        .map_or_else(|| "Registered ".into_any(), |by| by.into_any())}
                    <When at=version.created_at/>
                </span>
                {version.digest.clone().map(|digest| view! { <span><DigestText digest/></span> })}
                {aliases}
                {tags}
            }
                .into_any()
        />
        {why_not}
        <Tabs label="Version" items=tabs/>
        {match part {
            Part::Overview => view! { <Overview links address=files page/> }.into_any(),
            Part::Files => view! {
                <FileTree
                    links=links.version_files(&version.model, version.version)
                    address
                    page=page.looked_at
                    base=format!("models:/{}/{}", version.model, version.version)
                    empty="It was registered without files of ours. Register it from a logged model, models:/<model id>, to have them noted."
                    command=None
                />
            }
            .into_any(),
            Part::Comments => view! {
                <div class="mt-4">
                    <comment::All
                        here=links.version(&version.model, version.version)
                        files=links.version_files(&version.model, version.version)
                        artifacts=files
                        address
                        noun="version"
                        comments=page.comments
                    />
                </div>
            }
            .into_any(),
        }}
    }
}

/// What it is, what made it and where it went.
#[component]
fn Overview(links: Links, address: Address, page: VersionPage) -> impl IntoView {
    let version = page.version.clone();
    view! {
        {(!version.description.is_empty()).then(|| view! { <div class="described mb-4"><Prose text=version.description.clone()/></div> })}
        <section class="panel" id="lineage" aria-labelledby="h-lineage">
            <header><h2 id="h-lineage">"Lineage"</h2><span class="note">"from the data it saw to where it runs"</span></header>
            <Graph stops=lineage(&links, &page)/>
        </section>
        <div class="with-aside mt-4">
            <div class="stack">
                <Measured links=links.clone() page=page.clone()/>
                <Signature signature=version.signature.clone()/>
                <Golden rows=page.golden.clone()/>
                <Files address files=page.files.clone()/>
            </div>
            <aside class="stack" aria-label="Where it came from, promotions and history">
                <Made links=links.clone() page=page.clone()/>
                <Deployments links=links.clone() deployments=page.deployments.clone()/>
                <Promotions links=links.clone() promotions=page.promotions.clone()/>
                <Happened events=page.events links/>
            </aside>
        </div>
    }
}

/// The most data sets, promotions and deployments that are drawn.
const MOST_DRAWN: usize = 4;

/// From data to where it runs.
fn lineage(links: &Links, page: &VersionPage) -> Vec<Stop> {
    let version = &page.version;
    let stop = |id: String, kind: &'static str, name: String, note: String| Stop {
        id,
        kind,
        name,
        note,
        href: None,
        state: None,
        after: Vec::new(),
    };
    let mut stops = Vec::new();
    let mut before_version = Vec::new();
    if let Some(run) = &page.lineage.run {
        let run_page = links.run(&run.info.id);
        let mut before_run = Vec::new();
        let mut seen = BTreeSet::new();
        let sets = run.datasets.iter().filter(|data| seen.insert((&data.name, &data.digest)));
        for (at, data) in sets.take(MOST_DRAWN).enumerate() {
            let id = format!("data-{at}");
            let digest = data.digest.chars().take(12).collect();
            let mut one = stop(id.clone(), "Data", data.name.clone(), digest);
            one.href = Some(run_page.clone());
            stops.push(one);
            before_run.push(id);
        }
        if let Some((pipeline, number)) = &page.lineage.pipeline_run {
            let mut one = stop("pipeline".to_owned(), "Pipeline run", format!("{pipeline} #{number}"), String::new());
            one.href = Some(links.pipeline_run(*number));
            stops.push(one);
            before_run.push("pipeline".to_owned());
        }
        let (state, word) = crate::pages::run::state(run.info.status);
        let mut one = stop("run".to_owned(), "Run", run.info.name.clone(), word.to_owned());
        one.href = Some(run_page);
        one.state = Some(state);
        one.after = before_run;
        stops.push(one);
        before_version.push("run".to_owned());
    }
    let digest = version.digest.as_ref().map_or_else(String::new, |digest| digest.short().to_owned());
    stops.push(Stop {
        after: before_version,
        ..stop("version".to_owned(), "Version, this page", format!("v{} of {}", version.version, version.model), digest)
    });
    for promotion in page.promotions.iter().take(MOST_DRAWN) {
        let (state, word) = crate::pages::promotion::state(promotion.state);
        let name = format!("#{} → {}", promotion.number, promotion.environment);
        let mut one = stop(format!("promotion-{}", promotion.number), "Promotion", name, word.to_owned());
        one.href = Some(links.promotion(promotion.number));
        one.state = Some(state);
        one.after = vec!["version".to_owned()];
        stops.push(one);
    }
    for deployment in page.deployments.iter().take(MOST_DRAWN) {
        let (state, word) = of_deployment(deployment.state);
        let kind = if deployment.rollback_of.is_some() { "Rollback" } else { "Deployment" };
        let name = format!("#{} in {}", deployment.number, deployment.environment);
        let mut one = stop(format!("deployment-{}", deployment.number), kind, name, word.to_owned());
        one.href = Some(links.deployment(deployment.number));
        one.state = Some(state);
        let promotion = deployment.promotion_number.map(|number| format!("promotion-{number}"));
        let drawn = promotion.filter(|id| stops.iter().any(|stop| stop.id == *id));
        one.after = vec![drawn.unwrap_or_else(|| "version".to_owned())];
        stops.push(one);
    }
    stops
}

/// What made it.
#[component]
fn Made(links: Links, page: VersionPage) -> impl IntoView {
    let version = page.version;
    let run = page.lineage.run;
    let commit = run.as_ref().and_then(|run| run.tags.get(COMMIT_TAG).cloned());
    let name = run.as_ref().map(|run| run.info.name.clone());
    let flavors = (!version.flavors.is_empty()).then(|| version.flavors.join(", "));
    let pipeline = page.lineage.pipeline_run;
    let pipeline = pipeline.map(|(name, number)| (links.pipeline_run(number), format!("{name} #{number}")));
    let made_by = match (version.run_id, name) {
        (Some(id), Some(name)) => view! { <a class="breaks" href=links.run(&id)>{name}</a> }.into_any(),
        _ => view! { <span class="muted">"not known"</span> }.into_any(),
    };
    view! {
        <Panel title="Made from" id="made">
            <Body>
                <Facts small=true>
                    <Fact name="Run">
                        {made_by}
                    </Fact>
                    {pipeline.map(|(href, name)| view! { <Fact name="Pipeline run"><a href=href>{name}</a></Fact> })}
                    {commit.map(|commit| view! {
                        <Fact name="Commit"><span class="mono" title=commit.clone()>{commit.chars().take(10).collect::<String>()}</span></Fact>
                    })}
                    <Fact name="Source"><span class="mono breaks">{version.source}</span></Fact>
                    {flavors.map(|flavors| view! { <Fact name="Flavours">{flavors}</Fact> })}
                    {(version.stage != domain::model::Stage::None).then(|| view! { <Fact name="Stage">{version.stage.as_str()}</Fact> })}
                </Facts>
            </Body>
        </Panel>
    }
}

/// Where it was brought.
#[component]
fn Deployments(links: Links, deployments: Vec<Deployment>) -> impl IntoView {
    let none = deployments.is_empty();
    let rows = deployments
        .into_iter()
        .map(|deployment| {
            let (state, word) = of_deployment(deployment.state);
            let href = if deployment.state == DeploymentState::Live {
                links.endpoint(&deployment.environment, &deployment.model)
            } else {
                links.deployment(deployment.number)
            };
            view! {
                <Row
                    title=deployment.environment.clone()
                    href
                    sub=format!("#{}, {}", deployment.number, word.to_lowercase()).into_any()
                    state=view! { <StateShape state word=word/> }.into_any()
                    end=view! { <When at=deployment.live_at.unwrap_or(deployment.created_at)/> }.into_any()
                />
            }
        })
        .collect_view();
    view! {
        <Panel title="Where it runs" id="deployments">
            {if none {
                view! { <Body><p class="muted">"It was never deployed."</p></Body> }.into_any()
            } else {
                view! { <Rows>{rows}</Rows> }.into_any()
            }}
        </Panel>
    }
}

/// The metrics of its run, beside those of the version in production.
#[component]
fn Measured(links: Links, page: VersionPage) -> impl IntoView {
    let number = page.version.version;
    let champion = page.champion.filter(|champion| champion.version != number);
    let better = |key: &str| champion.as_ref().and_then(|champion| champion.better.get(key).copied());
    let mut metrics = page.lineage.run.map(|run| run.metrics).unwrap_or_default();
    metrics.retain(|metric| is_of_model(&metric.key));
    metrics.sort_by_key(|metric| (better(&metric.key).is_none(), metric.key.clone()));
    let count = format::count(i64::try_from(metrics.len()).unwrap_or(0), "metric", "metrics");
    let none = metrics.is_empty();
    let title = champion.as_ref().map_or_else(
        || "Metrics of its run".to_owned(),
        |champion| format!("Metrics against v{} in production", champion.version),
    );
    let has_champion = champion.is_some();
    let rows = metrics
        .into_iter()
        .take(300)
        .map(|metric| {
            let theirs = champion.as_ref().and_then(|champion| champion.metrics.get(&metric.key).copied());
            let better = better(&metric.key);
            view! {
                <tr>
                    <th scope="row"><span class="mono strong">{metric.key}</span>" "<span class="muted">{better.map(Better::words)}</span></th>
                    {has_champion.then(|| view! { <td class="num"><Num value=theirs/></td> })}
                    <td class="num strong"><Num value=metric.value/></td>
                    {has_champion.then(|| view! { <td class="num"><Difference from=theirs to=Some(metric.value) better/></td> })}
                    {(!has_champion).then(|| view! { <td class="num muted">{metric.step}</td> })}
                </tr>
            }
        })
        .collect_view();
    let theirs = champion.as_ref().map(|champion| {
        let href = links.compare_versions(&page.version.model, champion.version, number);
        (format!("v{}", champion.version), view! { <a href=href>"All differences"</a> })
    });
    let (theirs, actions) = theirs.unzip();
    view! {
        <Panel title id="metrics" note=count actions=actions.into_any()>
            {if none {
                view! { <Body><p class="muted">"No run is known, or it logged no metrics."</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Metrics">
                        <thead>
                            <tr>
                                <Head label="Metric"/>
                                {theirs.map(|theirs| view! { <Head label=theirs num=true/> })}
                                <Head label=format!("v{number}") num=true/>
                                <Head label=if has_champion { "Difference" } else { "Step" } num=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// Its files, as they were when it was registered.
#[component]
fn Files(address: Address, files: Vec<VersionFile>) -> impl IntoView {
    let total: i64 = files.iter().map(|file| file.size).sum();
    let note = format!(
        "{}, {}",
        format::count(i64::try_from(files.len()).unwrap_or(0), "file", "files"),
        format::bytes(total.unsigned_abs())
    );
    let rows = files
        .into_iter()
        .map(|file| {
            let href = address.with("path", file.path.clone()).href();
            view! {
                <tr>
                    <th scope="row" class="mono"><a href=href>{file.path}</a></th>
                    <td class="num">{format::bytes(file.size.unsigned_abs())}</td>
                    <td><code>{file.digest.short().to_owned()}</code></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Files" id="files" note=note>
            <Table label="Files">
                <thead><tr><Head label="File"/><Head label="Size" num=true/><Head label="Digest"/></tr></thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
}

#[component]
fn Promotions(links: Links, promotions: Vec<Promotion>) -> impl IntoView {
    let none = promotions.is_empty();
    let rows = promotions
        .into_iter()
        .map(|promotion| {
            let (shape, word) = crate::pages::promotion::state(promotion.state);
            let sub = if promotion.state == PromotionState::Live { "Serves" } else { word };
            view! {
                <Row
                    title=format!("#{} → {}", promotion.number, promotion.environment)
                    href=links.promotion(promotion.number)
                    sub=sub.into_any()
                    state=view! { <StateShape state=shape word=word/> }.into_any()
                    end=view! { <When at=promotion.updated_at/> }.into_any()
                />
            }
        })
        .collect_view();
    view! {
        <Panel title="Promotions" id="promotions">
            {if none {
                view! { <Body><p class="muted">"None was asked for yet."</p></Body> }.into_any()
            } else {
                view! { <Rows>{rows}</Rows> }.into_any()
            }}
        </Panel>
    }
}
