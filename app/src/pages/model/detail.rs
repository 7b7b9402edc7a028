//! The page of a model: what serves, its versions, where its aliases pointed when.

use super::Aliases;
use crate::{chart::spark::Spark, format, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    deployment::Endpoint,
    model::{AliasMove, Model, ModelVersion},
    promotion::Promotion,
};
use leptos::prelude::*;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ModelPage {
    /// The model.
    pub model: Model,
    /// One page of its versions, newest first.
    pub versions: Vec<ModelVersion>,
    /// The key of the next page of versions.
    pub next: Option<String>,
    /// Where it serves.
    pub endpoints: Vec<Endpoint>,
    /// Its promotions that are not over.
    pub promotions: Vec<Promotion>,
    /// Where its aliases pointed, newest move first.
    pub moves: Vec<AliasMove>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may ask for promotions.
    pub may_request: bool,
}

/// The page of a model.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// The model.
    page: ModelPage,
) -> impl IntoView {
    let model = page.model.clone();
    let newest = page.versions.iter().map(|version| version.version).max();
    let request = newest.filter(|_| page.may_request).map(|version| {
        let href = links.new_promotion(&model.name, version);
        view! { <ButtonLink text=format!("Promote v{version}") href kind=Kind::Primary symbol=Symbol::Promote/> }
    });
    let tags =
        model.tags.iter().map(|(key, value)| view! { <Tag text=format!("{key}={value}") mono=true/> }).collect_view();
    let description = model.description.clone();
    view! {
        <Crumbs items=vec![Crumb::to("Models", links.models()), Crumb::here(model.name.clone())]/>
        <PageHead
            title=model.name.clone().into_any()
            actions=request.into_any()
            meta=view! {
                <span>"Registered "<When at=model.created_at/></span>
                <Aliases model=model.clone()/>
                {tags}
            }
                .into_any()
        />
        {(!description.is_empty()).then(|| view! { <div class="mt-2"><Prose text=description/></div> })}
        <div class="with-aside mt-4">
            <div class="stack">
                <Serves links=links.clone() page=page.clone()/>
                <Versions links=links.clone() address page=page.clone()/>
            </div>
            <aside class="stack" aria-label="Promotions, aliases and history">
                <Open links=links.clone() promotions=page.promotions/>
                <Moves moves=page.moves/>
                <Happened events=page.events links/>
            </aside>
        </div>
    }
}

/// What serves, with its traffic.
#[component]
fn Serves(links: Links, page: ModelPage) -> impl IntoView {
    if page.endpoints.is_empty() {
        return view! {
            <Panel title="Serves" id="serves">
                <Body><p class="muted">"No version serves yet. Promote one to an environment; its gates run by themselves."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let rows = page
        .endpoints
        .into_iter()
        .map(|endpoint| {
            let href = links.endpoint(&endpoint.deployment.environment, &endpoint.deployment.model);
            let traffic = endpoint.traffic;
            let errors = if traffic.requests == 0 { None } else { Some(share(traffic.errors, traffic.requests)) };
            // Requests of an hour are few enough.
            #[allow(clippy::cast_precision_loss)]
            let series: Vec<f64> = traffic.series.iter().map(|count| *count as f64).collect();
            let drift = match (endpoint.drifted, endpoint.drift_share) {
                (Some(true), Some(share)) => {
                    view! { <StateMark state=State::Unsure word=format::percent(share)/> }.into_any()
                }
                (Some(false), Some(share)) => {
                    view! { <StateMark state=State::Passed word=format::percent(share)/> }.into_any()
                }
                _ => view! { <span class="none">"–"</span> }.into_any(),
            };
            let since = endpoint.deployment.live_at;
            view! {
                <tr>
                    <th scope="row"><a class="strong" href=href>{endpoint.deployment.environment}</a></th>
                    <td>
                        <StateMark state=State::Live word=format!("v{}", endpoint.deployment.version)/>
                        <span class="sub">{since.map(|at| view! { "since "<When at/> })}</span>
                    </td>
                    <td><Spark values=series of="Requests an hour"/></td>
                    <td class="num">{format::integer(traffic.requests)}</td>
                    <td class="num">{traffic.p99_ms.map_or_else(|| "–".to_owned(), format::latency)}</td>
                    <td class="num">{errors.map_or_else(|| "–".to_owned(), format::percent)}</td>
                    <td>{drift}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Serves" id="serves" note="Traffic of the last 24 hours">
            <Table label="Where it serves" roomy=true>
                <thead>
                    <tr>
                        <Head label="Environment"/>
                        <Head label="Version"/>
                        <Head label="Requests, 24 h"/>
                        <Head label="Requests" num=true/>
                        <Head label="p99" num=true/>
                        <Head label="Errors" num=true/>
                        <Head label="Drifted features"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

/// A share of two counts.
#[allow(clippy::cast_precision_loss, reason = "counts of requests are far below the limit")]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[component]
fn Versions(links: Links, address: Address, page: ModelPage) -> impl IntoView {
    let shown = page.versions.len();
    let live: Vec<(i32, String)> = page
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.deployment.version, endpoint.deployment.environment.clone()))
        .collect();
    let rows = page
        .versions
        .into_iter()
        .map(|version| {
            let serves = live
                .iter()
                .filter(|(number, _)| *number == version.version)
                .map(|(_, environment)| view! { <StateMark state=State::Live word=environment.clone()/> })
                .collect_view();
            let aliases = version.aliases.iter().map(|alias| view! { <Tag text=format!("@{alias}") mono=true/> }).collect_view();
            view! {
                <tr>
                    <th scope="row">
                        <a class="strong mono" href=links.version(&version.model, version.version)>{format!("v{}", version.version)}</a>
                    </th>
                    <td>{serves}<span class="tags">{aliases}</span></td>
                    <td>{version.flavors.join(", ")}</td>
                    <td>{version.digest.map(|digest| view! { <code>{digest.short().to_owned()}</code> })}</td>
                    <td class="num">{format::bytes(version.size.unsigned_abs())}</td>
                    <td>
                        {version
                            .run_id
                            .map(|run| view! { <a class="mono" href=links.run(&run)>{run.simple()[..8].to_owned()}</a> })}
                    </td>
                    <td><When at=version.created_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Versions" id="versions">
            {if shown == 0 {
                view! { <Empty symbol=Symbol::Cube title="No version yet" text="Register what a run logged." command="mlflow.register_model(\"models:/<model id>\", \"…\")"/> }
                    .into_any()
            } else {
                view! {
                    <Table label="Versions" keys=true>
                        <thead>
                            <tr>
                                <Head label="Version"/>
                                <Head label="Stands for"/>
                                <Head label="Flavours"/>
                                <Head label="Digest"/>
                                <Head label="Size" num=true/>
                                <Head label="Run"/>
                                <Head label="Registered"/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
        {(page.next.is_some()).then(|| view! { <Pager address shown next=page.next one="version" many="versions" keys=true/> })}
    }
}

/// Promotions that are not over.
#[component]
fn Open(links: Links, promotions: Vec<Promotion>) -> impl IntoView {
    let count = promotions.len().to_string();
    let rows = promotions
        .into_iter()
        .map(|promotion| {
            let (shape, word) = crate::pages::promotion::state(promotion.state);
            view! {
                <Row
                    title=format!("v{} → {}", promotion.version, promotion.environment)
                    href=links.promotion(promotion.number)
                    sub=word.into_any()
                    state=view! { <StateShape state=shape word=word/> }.into_any()
                    end=view! { <When at=promotion.updated_at/> }.into_any()
                />
            }
        })
        .collect_view();
    (count != "0").then(|| view! { <Panel title="Open promotions" id="open" note=count><Rows>{rows}</Rows></Panel> })
}

/// Where aliases pointed.
#[component]
fn Moves(moves: Vec<AliasMove>) -> impl IntoView {
    let none = moves.is_empty();
    let rows = moves
        .into_iter()
        .map(|one| {
            let to = one.version.map_or_else(|| "removed".to_owned(), |version| format!("→ v{version}"));
            view! {
                <Row
                    title=format!("@{} {to}", one.alias)
                    sub=one.by.into_any()
                    end=view! { <When at=one.at/> }.into_any()
                />
            }
        })
        .collect_view();
    (!none).then(|| view! { <Panel title="Aliases over time" id="moves"><Rows>{rows}</Rows></Panel> })
}
