//! The page of a model: what each environment runs, its versions, what it takes and gives.

use super::{
    parts::{Part, Through, Top, VersionLink},
    signature::{Golden, Signature},
};
use crate::{chart::spark::Spark, format, pages::files::prose, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    deployment::Endpoint,
    environment::Environment,
    model::{AliasMove, Model, Signature as Takes, Stage, VersionRow, VersionTable},
    preview::Block,
    promotion::{GoldenRows, Promotion},
};
use leptos::prelude::*;

/// The card of a model in few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLead {
    /// Its number.
    pub number: i32,
    /// Who saved it, by name.
    pub author: String,
    /// When.
    pub at: chrono::DateTime<chrono::Utc>,
    /// Its beginning.
    pub blocks: Vec<Block>,
}

/// The version whose signature and golden rows the page shows: the one in production, else the newest.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Its number.
    pub version: i32,
    /// What it takes and gives.
    pub signature: Option<Takes>,
    /// Its golden rows, or why they are not shown; none when it has none.
    pub golden: Option<Result<GoldenRows, String>>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ModelPage {
    /// The model.
    pub model: Model,
    /// One page of its versions, newest first.
    pub versions: VersionTable,
    /// The environments of the workspace, in the order of promotion.
    pub environments: Vec<Environment>,
    /// Where it serves.
    pub endpoints: Vec<Endpoint>,
    /// Its promotions that are not over.
    pub promotions: Vec<Promotion>,
    /// The last moves of its aliases, newest first.
    pub moves: Vec<AliasMove>,
    /// Its card.
    pub card: Option<CardLead>,
    /// What it takes and gives, by one of its versions.
    pub described: Option<Described>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may ask for promotions.
    pub may_request: bool,
    /// Whether the reader may write its card.
    pub may_write: bool,
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
    let newest = page
        .versions
        .rows
        .iter()
        .map(|row| &row.version)
        .filter(|version| version.is_servable())
        .map(|v| v.version)
        .max();
    let request = newest.filter(|_| page.may_request).map(|version| {
        let href = links.new_promotion(&model.name, version);
        view! { <ButtonLink text=format!("Promote v{version}") href kind=Kind::Primary symbol=Symbol::Promote/> }
            .into_any()
    });
    let described = page.described.clone();
    view! {
        <Top links=links.clone() model=model.clone() part=Part::Overview has_card=page.card.is_some() actions=request/>
        <div class="with-aside">
            <div class="stack">
                <Environments links=links.clone() page=page.clone()/>
                <Lead links=links.clone() page=page.clone()/>
                <Versions links=links.clone() address page=page.clone()/>
                {described
                    .map(|described| {
                        view! {
                            <Signature signature=described.signature of=Some(format!("v{}", described.version))/>
                            <Golden rows=described.golden/>
                        }
                    })}
            </div>
            <aside class="stack" aria-label="Promotions, aliases and history">
                <Open links=links.clone() promotions=page.promotions/>
                <Moves links=links.clone() model=model.name moves=page.moves/>
                <Happened events=page.events links/>
            </aside>
        </div>
    }
}

/// What the card begins with.
#[component]
fn Lead(links: Links, page: ModelPage) -> impl IntoView {
    let href = links.card(&page.model.name);
    match page.card {
        Some(card) => {
            let note = view! { {format!("version {}, by {} ", card.number, card.author)}<When at=card.at/> };
            view! {
                <section class="panel" id="card" aria-labelledby="h-card">
                    <header>
                        <h2 id="h-card">"Card"</h2>
                        <span class="note">{note}</span>
                        <div class="push actions"><a href=href>"Read all"</a></div>
                    </header>
                    <div class="body doc lead">{prose::alone(card.blocks)}</div>
                </section>
            }
            .into_any()
        }
        None if page.may_write => view! {
            <Callout symbol=Symbol::File>
                "No card says yet what this model is for, which data it saw and who answers for it. "
                <a href=format!("{href}?edit=1")>"Write one"</a>"."
            </Callout>
        }
        .into_any(),
        None => ().into_any(),
    }
}

/// What each environment runs, with its traffic.
#[component]
fn Environments(links: Links, page: ModelPage) -> impl IntoView {
    let rows = page
        .environments
        .into_iter()
        .map(|environment| {
            let endpoint = page.endpoints.iter().find(|one| one.deployment.environment_id == environment.id).cloned();
            match endpoint {
                Some(endpoint) => view! { <Serves links=links.clone() endpoint/> }.into_any(),
                None => view! {
                    <tr>
                        <th scope="row">{environment.name}</th>
                        <td colspan="6"><StateMark state=State::Skipped word="Runs no version"/></td>
                    </tr>
                }
                .into_any(),
            }
        })
        .collect_view();
    view! {
        <Panel title="Environments" id="serves" note="Traffic of the last 24 hours">
            <Table label="What each environment runs" roomy=true>
                <thead>
                    <tr>
                        <Head label="Environment"/>
                        <Head label="Runs"/>
                        <Head label="Requests, 24 h" quiet=true/>
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
}

#[component]
fn Serves(links: Links, endpoint: Endpoint) -> impl IntoView {
    let live = endpoint.deployment;
    let href = links.endpoint(&live.environment, &live.model);
    let traffic = endpoint.traffic;
    let errors = crate::pages::deployment::share(traffic.errors, traffic.requests);
    // Requests of an hour are few enough.
    #[allow(clippy::cast_precision_loss)]
    let series: Vec<f64> = traffic.series.iter().map(|count| *count as f64).collect();
    let drift = match (endpoint.drifted, endpoint.drift_share) {
        (Some(true), Some(share)) => view! { <StateMark state=State::Unsure word=format::percent(share)/> }.into_any(),
        (Some(false), Some(share)) => view! { <StateMark state=State::Passed word=format::percent(share)/> }.into_any(),
        _ => view! { <span class="none">"–"</span> }.into_any(),
    };
    let through = match (live.rollback_of, live.promotion_number) {
        (Some(_), _) => view! { ", "<a href=links.deployment(live.number)>"rolled back"</a> }.into_any(),
        (None, Some(number)) => view! { ", "<a href=links.promotion(number)>{format!("#{number}")}</a> }.into_any(),
        (None, None) => ().into_any(),
    };
    view! {
        <tr>
            <th scope="row"><a class="strong" href=href>{live.environment}</a></th>
            <td>
                <span class="live-version">
                    <StateShape state=State::Live word="Live:"/>
                    <a class="mono strong" href=links.version(&live.model, live.version)>{format!("v{}", live.version)}</a>
                </span>
                <span class="sub">{live.live_at.map(|at| view! { "since "<When at/> })}{through}</span>
            </td>
            <td><Spark values=series of="Requests an hour"/></td>
            <td class="num">{format::integer(traffic.requests)}</td>
            <td class="num">{traffic.p99_ms.map_or_else(|| "–".to_owned(), format::latency)}</td>
            <td class="num">{errors.map_or_else(|| "–".to_owned(), format::percent)}</td>
            <td>{drift}</td>
        </tr>
    }
}

#[component]
fn Versions(links: Links, address: Address, page: ModelPage) -> impl IntoView {
    let VersionTable { rows, metric_keys, total, next_page_token } = page.versions;
    let shown = rows.len();
    let live: Vec<(i32, String)> = page
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.deployment.version, endpoint.deployment.environment.clone()))
        .collect();
    if shown == 0 && address.get("page_token").is_none() {
        let command = format!("mlflow.register_model(\"models:/<model id>\", \"{}\")", page.model.name);
        return view! {
            <Panel title="Versions" id="versions">
                <Empty symbol=Symbol::Cube title="No version yet" text="Register what a run logged: it gets the next number, and its files are noted by their digests." command/>
            </Panel>
        }
        .into_any();
    }
    // From what is in production to the newest is what people ask first; else from the second to the first.
    let newest = rows.first().map(|row| row.version.version);
    let second = rows.get(1).map(|row| row.version.version);
    let in_production =
        live.iter().find(|(_, environment)| environment == domain::environment::PRODUCTION).map(|(v, _)| *v);
    let is_here = |number: &i32| rows.iter().any(|row| row.version.version == *number) && Some(*number) != newest;
    let from = in_production.filter(is_here).or(second);
    let several = shown > 1;
    let heads = metric_keys.iter().map(|key| view! { <Head label=key.clone() num=true class="mono"/> }).collect_view();
    let body = rows
        .into_iter()
        .map(|row| {
            let number = row.version.version;
            let serves = live.iter().filter(|(version, _)| *version == number).map(|(_, name)| name.clone()).collect();
            let marks = (from == Some(number), newest == Some(number));
            view! { <VersionLine links=links.clone() row serves metric_keys=metric_keys.clone() several marks/> }
        })
        .collect_view();
    let action = format!("{}/versions/compare", links.model(&page.model.name));
    view! {
        <form class="panel" id="versions" method="get" action=action aria-labelledby="h-versions">
            <header>
                <h2 id="h-versions">"Versions"</h2>
                <span class="note n">{format::integer(total)}</span>
                {several.then(|| view! { <div class="push actions"><Button text="Compare the chosen two"/></div> })}
            </header>
            <Table label="Versions" roomy=true keys=true>
                <thead>
                    <tr>
                        {several.then(|| view! { <Head label="Compare" quiet=true class="pair"/> })}
                        <Head label="Version"/>
                        <Head label="Stands for"/>
                        {heads}
                        <Head label="From"/>
                        <Head label="Registered"/>
                    </tr>
                </thead>
                <tbody>{body}</tbody>
            </Table>
        </form>
        <Pager address shown total next=next_page_token one="version" many="versions" keys=true/>
    }
    .into_any()
}

#[component]
fn VersionLine(
    links: Links,
    row: VersionRow,
    serves: Vec<String>,
    metric_keys: Vec<String>,
    several: bool,
    marks: (bool, bool),
) -> impl IntoView {
    let VersionRow { version, created_by, run, metrics } = row;
    let number = version.version;
    let nothing =
        serves.is_empty() && version.aliases.is_empty() && version.stage == Stage::None && version.tags.is_empty();
    let aliases = version
        .aliases
        .iter()
        // An environment's own alias says the same again.
        .filter(|alias| !serves.contains(alias))
        .map(|alias| view! { <Tag text=format!("@{alias}") mono=true/> })
        .collect_view();
    let environments =
        serves.iter().map(|name| view! { <StateMark state=State::Live word=name.clone()/> }).collect_view();
    let stage =
        (version.stage != Stage::None).then(|| view! { <Tag text=format!("stage {}", version.stage.as_str())/> });
    let more = version.tags.len().saturating_sub(1);
    let all_tags = version.tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
    let cut = |text: String| {
        if text.chars().count() > 24 { format!("{}…", text.chars().take(23).collect::<String>()) } else { text }
    };
    let tags = version
        .tags
        .iter()
        .take(1)
        .map(|(key, value)| view! { <Tag text=cut(format!("{key}={value}")) mono=true/> })
        .collect_view();
    let source = match (version.run_id, run) {
        (Some(id), Some(name)) => {
            let title = name.clone();
            view! { <a class="ellipsis run-name" href=links.run(&id) title=title>{name}</a> }.into_any()
        }
        _ => view! { <span class="none">"–"</span> }.into_any(),
    };
    let holds = match version.digest {
        None => "no files of ours".to_owned(),
        Some(_) => {
            let flavors: Vec<&str> =
                version.flavors.iter().map(String::as_str).filter(|name| *name != "python_function").collect();
            let flavors = if flavors.is_empty() { "files".to_owned() } else { flavors.join(", ") };
            format!("{flavors}, {}", format::bytes(version.size.unsigned_abs()))
        }
    };
    let radio = |name: &'static str, label: String, checked: bool| {
        view! { <input type="radio" name=name value=number.to_string() aria-label=label checked=checked/> }
    };
    let cells = metric_keys
        .iter()
        .map(|key| view! { <td class="num"><Num value=metrics.get(key).copied()/></td> })
        .collect_view();
    view! {
        <tr>
            {several
                .then(|| {
                    view! {
                        <td class="pair">
                            <span class="pair">
                                {radio("a", format!("Compare from v{number}"), marks.0)}
                                {radio("b", format!("Compare to v{number}"), marks.1)}
                            </span>
                        </td>
                    }
                })}
            <th scope="row"><a class="strong mono" href=links.version(&version.model, number)>{format!("v{number}")}</a></th>
            <td>
                {if nothing {
                    view! { <span class="none">"–"</span> }.into_any()
                } else {
                    view! {
                        <span class="tags" title=all_tags>
                            {environments}{aliases}{stage}{tags}
                            {(more > 0).then(|| view! { <span class="muted">{format!("{more} more")}</span> })}
                        </span>
                    }
                        .into_any()
                }}
            </td>
            {cells}
            <td>{source}<span class="sub">{holds}</span></td>
            <td><When at=version.created_at/><span class="sub">{created_by.map(|name| format!("by {name}"))}</span></td>
        </tr>
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

/// The last moves of its aliases.
#[component]
fn Moves(links: Links, model: String, moves: Vec<AliasMove>) -> impl IntoView {
    let none = moves.is_empty();
    let href = links.aliases(&model);
    let rows = moves
        .into_iter()
        .map(|one| {
            let by = one.by.clone();
            let (at, is_removed) = (one.at, one.version.is_none());
            let step = view! {
                <VersionLink links=links.clone() model=model.clone() version=one.from/>
                " → "
                {if is_removed {
                    view! { <span class="muted">"removed"</span> }.into_any()
                } else {
                    view! { <VersionLink links=links.clone() model=model.clone() version=one.version deleted=one.is_deleted/> }.into_any()
                }}
            };
            view! {
                <li>
                    <div class="grow">
                        <div class="ellipsis"><span class="t mono">{format!("@{} ", one.alias)}</span>{step}</div>
                        <div class="sub ellipsis">{by}", "<Through links=links.clone() one/></div>
                    </div>
                    <span class="end"><When at/></span>
                </li>
            }
        })
        .collect_view();
    (!none).then(|| {
        view! {
            <Panel
                title="Aliases over time"
                id="moves"
                actions=view! { <a href=href>"All, and as of a date"</a> }.into_any()
            >
                <ul class="list">{rows}</ul>
            </Panel>
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples::models};

    fn html(page: ModelPage) -> String {
        fragment(move || {
            view! { <Detail links=Links::new("lab") address=Address::new("/w/lab/models/wine", []) page/> }
        })
    }

    #[test]
    fn an_environment_that_runs_nothing_says_so() {
        let mut page = models::model();
        page.endpoints.truncate(1);
        let html = html(page);
        assert!(html.contains("Runs no version"), "{html}");
    }

    #[test]
    fn two_versions_are_chosen_to_be_compared_from_the_one_in_production() {
        let html = html(models::model());
        assert!(html.contains(r#"action="/w/lab/models/wine-quality-classifier/versions/compare""#), "{html}");
        assert!(html.contains(r#"name="a" value="12" aria-label="Compare from v12" checked"#), "{html}");
        assert!(html.contains(r#"name="b" value="14" aria-label="Compare to v14" checked"#), "{html}");
    }

    #[test]
    fn a_model_without_versions_shows_the_command_with_its_name() {
        let mut page = models::model();
        page.versions.rows.clear();
        page.versions.total = 0;
        page.described = None;
        assert!(html(page).contains("mlflow.register_model"));
    }
}
