//! The page of a version: what it is, what made it, where it went.

use crate::{
    format,
    pages::files::{Files as FileTree, FilesPage},
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    deployment::Deployment,
    model::{ModelVersion, SignatureField, VersionFile},
    promotion::{Promotion, PromotionState},
    run::Run,
};
use leptos::prelude::*;

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
    /// Where it serves now.
    pub live: Vec<Deployment>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may ask for promotions.
    pub may_request: bool,
}

/// The page of a version.
#[component]
pub fn Version(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `tab` is `files`, `path` is a folder or file.
    address: Address,
    /// The version.
    page: VersionPage,
) -> impl IntoView {
    let version = page.version.clone();
    let is_files = address.get("tab") == Some("files");
    let plain = address.without("tab").without("path").without("from");
    let files = plain.with("tab", "files");
    let tabs = vec![
        Tab::new("Overview", plain.href()).current(!is_files),
        Tab::new("Files", files.href()).count(page.files.len()).current(is_files),
    ];
    let badge = page.live.first().map_or_else(
        || (!version.is_servable()).then(|| view! { <Badge state=State::Skipped word="Not servable"/> }.into_any()),
        |live| Some(view! { <Badge state=State::Live word=format!("Live in {}", live.environment)/> }.into_any()),
    );
    let request = (page.may_request && version.is_servable()).then(|| {
        let href = links.new_promotion(&version.model, version.version);
        view! { <ButtonLink text="Request promotion" href kind=Kind::Primary symbol=Symbol::Promote/> }
    });
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
            title=view! { {version.model.clone()}" "<span class="mono">{format!("v{}", version.version)}</span> }.into_any()
            badge=badge.into_any()
            actions=request.into_any()
            meta=view! {
                <span>"Registered "<When at=version.created_at/></span>
                {version.digest.clone().map(|digest| view! { <span><DigestText digest/></span> })}
                {aliases}
                {tags}
            }
                .into_any()
        />
        {why_not}
        <Tabs label="Version" items=tabs/>
        {if is_files {
            view! {
                <FileTree
                    links=links.version_files(&version.model, version.version)
                    address
                    page=page.looked_at
                    base=format!("models:/{}/{}", version.model, version.version)
                    empty="It was registered without files of ours. Register it from a logged model, models:/<model id>, to have them noted."
                    command=None
                />
            }
                .into_any()
        } else {
            view! { <Overview links address=files page/> }.into_any()
        }}
    }
}

/// What it is, what made it and where it went.
#[component]
fn Overview(links: Links, address: Address, page: VersionPage) -> impl IntoView {
    let version = page.version.clone();
    view! {
        <Chain links=links.clone() page=page.clone()/>
        {(!version.description.is_empty()).then(|| view! { <div class="mt-4"><Prose text=version.description.clone()/></div> })}
        <div class="with-aside mt-4">
            <div class="stack">
                <Measured page=page.clone()/>
                <Signature version=version.clone()/>
                <Files address files=page.files.clone()/>
            </div>
            <aside class="stack" aria-label="Promotions and history">
                <Promotions links=links.clone() promotions=page.promotions.clone()/>
                <Happened events=page.events links/>
            </aside>
        </div>
    }
}

/// From data to production.
#[component]
fn Chain(links: Links, page: VersionPage) -> impl IntoView {
    let version = &page.version;
    let mut items = Vec::new();
    if let Some(run) = &page.lineage.run {
        if let Some(data) = run.datasets.first() {
            let sub = data.digest.chars().take(12).collect();
            items.push(Station { kind: "Data", name: data.name.clone(), href: None, sub, state: None, here: false });
        }
        if let Some((pipeline, number)) = &page.lineage.pipeline_run {
            items.push(Station {
                kind: "Pipeline run",
                name: format!("{pipeline} #{number}"),
                href: Some(links.pipeline_run(*number)),
                sub: "logged the run".to_owned(),
                state: None,
                here: false,
            });
        }
        items.push(Station {
            kind: "Run",
            name: run.info.name.clone(),
            href: Some(links.run(&run.info.id)),
            sub: run.info.id.simple()[..8].to_owned(),
            state: None,
            here: false,
        });
    }
    items.push(Station {
        kind: "Version",
        name: version.title(),
        href: None,
        sub: "this page".to_owned(),
        state: None,
        here: true,
    });
    if let Some(promotion) = page.promotions.first() {
        let (shape, word) = crate::pages::promotion::state(promotion.state);
        items.push(Station {
            kind: "Promotion",
            name: format!("#{} → {}", promotion.number, promotion.environment),
            href: Some(links.promotion(promotion.number)),
            sub: word.to_owned(),
            state: Some(shape),
            here: false,
        });
    }
    if let Some(live) = page.live.first() {
        items.push(Station {
            kind: "Endpoint",
            name: live.environment.clone(),
            href: Some(links.endpoint(&live.environment, &live.model)),
            sub: "serves".to_owned(),
            state: Some(State::Live),
            here: false,
        });
    }
    view! { <Lineage items/> }
}

/// The metrics of its run.
#[component]
fn Measured(page: VersionPage) -> impl IntoView {
    let metrics = page.lineage.run.map(|run| run.metrics).unwrap_or_default();
    let count = metrics.len().to_string();
    let rows = metrics
        .into_iter()
        .map(|metric| {
            view! {
                <tr>
                    <th scope="row" class="mono">{metric.key}</th>
                    <td class="num strong"><Num value=metric.value/></td>
                    <td class="num muted">{metric.step}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Metrics of its run" id="metrics" note=count.clone()>
            {if count == "0" {
                view! { <Body><p class="muted">"No run is known, or it logged no metrics."</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Metrics">
                        <thead><tr><Head label="Metric"/><Head label="Latest" num=true/><Head label="Step" num=true/></tr></thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// What it takes and gives.
#[component]
fn Signature(version: ModelVersion) -> impl IntoView {
    let side = |title: &'static str, fields: Vec<SignatureField>| {
        fields
            .into_iter()
            .map(move |field| {
                let shape = field.shape.map(|shape| {
                    let axes: Vec<String> =
                        shape.iter().map(|axis| if *axis < 0 { "any".to_owned() } else { axis.to_string() }).collect();
                    format!("[{}]", axes.join(", "))
                });
                view! {
                    <tr>
                        <td class="muted">{title}</td>
                        <th scope="row" class="mono">{field.name.unwrap_or_else(|| "–".to_owned())}</th>
                        <td class="mono">{field.dtype}</td>
                        <td class="mono">{shape}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    match version.signature {
        None => view! {
            <Panel title="Signature" id="signature">
                <Body><p class="muted">"None was logged. Log the model with an input example, so that what it takes is known before it serves."</p></Body>
            </Panel>
        }
        .into_any(),
        Some(signature) => view! {
            <Panel title="Signature" id="signature" note=format!("{} in, {} out", signature.inputs.len(), signature.outputs.len())>
                <Table label="Signature" tall=true>
                    <thead><tr><Head label="Side"/><Head label="Name"/><Head label="Type"/><Head label="Shape"/></tr></thead>
                    <tbody>{side("in", signature.inputs)}{side("out", signature.outputs)}</tbody>
                </Table>
            </Panel>
        }
        .into_any(),
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
