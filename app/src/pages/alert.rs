//! Alerts: what somebody should look at, and one of them with what its triggers did.

use crate::{
    islands::LiveRegion,
    pages::{
        monitor::{drift::Features, of_alert},
        pipeline_run::state::of_run,
        promotion,
    },
    ui::prelude::*,
};
use domain::{
    Page,
    audit::AuditEvent,
    id::WorkspaceId,
    monitor::{Alert, AlertState, Check, Firing},
    pipeline_run::PipelineRun,
    promotion::PromotionState,
};
use leptos::prelude::*;

/// What the list of alerts shows.
#[derive(Debug, Clone)]
pub struct AlertsPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The alerts, newest first.
    pub alerts: Page<Alert>,
    /// How many are not resolved.
    pub unresolved: i64,
}

/// The alerts of the workspace: those that are not resolved, or with `show=all` every one.
#[component]
pub fn Alerts(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// What it shows.
    page: AlertsPage,
) -> impl IntoView {
    let AlertsPage { workspace_id, alerts: Page { items, next_page_token }, unresolved } = page;
    let all = address.get("show") == Some("all");
    let choice = vec![
        ("Not resolved".to_owned(), address.without("show").href(), !all),
        ("All".to_owned(), address.with("show", "all").href(), all),
    ];
    let events = links.events(&[format!("alerts:{workspace_id}")]);
    let shown = items.len();
    let nothing = items.is_empty() && address.get("page_token").is_none();
    let table = if nothing {
        let deployments = links.deployments();
        let (title, text) = if all {
            (
                "No alert has opened yet",
                "A monitor compares the traffic of what serves with what it was trained on, and opens an alert when at least half of the features drifted.",
            )
        } else {
            (
                "Nothing is wrong that a monitor knows of",
                "An alert opens when at least half of the features of a model drifted from what it was trained on.",
            )
        };
        view! {
            <div class="panel" id="no-alerts" data-live="">
                <h2 class="sr">"No alert"</h2>
                <Empty symbol=Symbol::Bell title text><ButtonLink text="See what serves" href=deployments/></Empty>
            </div>
        }
        .into_any()
    } else {
        let rows = items.into_iter().map(|alert| view! { <Line links=links.clone() alert/> }).collect_view();
        view! {
            <Table label="Table of alerts" roomy=true keys=true id="alerts" live=true>
                <thead>
                    <tr>
                        <Head label="Alert"/>
                        <Head label="State"/>
                        <Head label="Model"/>
                        <Head label="Opened"/>
                        <Head label="Last seen"/>
                        <Head label="Handled by"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address=address.clone() shown next=next_page_token one="alert" many="alerts" keys=true/>
        }
        .into_any()
    };
    let open = if unresolved == 0 { "None is open".to_owned() } else { format!("{unresolved} not resolved") };
    view! {
        <PageHead title="Alerts".into_any() meta=view! { <span>{open}</span> }.into_any() live=true/>
        <div class="list-bar mt-4"><Choice label="Which" items=choice/></div>
        {table}
        <LiveRegion events/>
    }
}

#[component]
fn Line(links: Links, alert: Alert) -> impl IntoView {
    let (shape, word) = of_alert(alert.state);
    let place = links.endpoint(&alert.environment, &alert.model);
    view! {
        <tr id=format!("alert-{}", alert.number)>
            <th scope="row">
                <a class="strong" href=links.alert(alert.number)>{format::capitalised(&alert.summary)}</a>
                <span class="sub mono">{format!("#{}", alert.number)}</span>
            </th>
            <td><StateMark state=shape word/></td>
            <td>
                <a class="quiet" href=place>{alert.model}</a>
                <span class="sub">{format!("v{} in {}", alert.version, alert.environment)}</span>
            </td>
            <td><When at=alert.opened_at/></td>
            <td><When at=alert.last_seen_at/></td>
            <td><Maybe text=alert.handled_by/></td>
        </tr>
    }
}

/// A version that a run of a trigger registered, and how far its promotion is.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The model.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// Its promotion: number, environment and state.
    pub promotion: Option<(i64, String, PromotionState)>,
}

/// What a trigger did about an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Consequence {
    /// The firing.
    pub firing: Firing,
    /// The run that it started.
    pub run: Option<PipelineRun>,
    /// What that run registered.
    pub candidates: Vec<Candidate>,
}

/// What the page of an alert shows.
#[derive(Debug, Clone)]
pub struct AlertPage {
    /// The alert.
    pub alert: Alert,
    /// The last check that found it.
    pub check: Option<Check>,
    /// What triggers did.
    pub consequences: Vec<Consequence>,
    /// Whether the monitor has triggers at all.
    pub has_triggers: bool,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may acknowledge and resolve it.
    pub may_handle: bool,
}

/// The page of an alert. Sends to `alerts/{number}/acknowledge` and `…/resolve`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// The alert.
    page: AlertPage,
) -> impl IntoView {
    let AlertPage { alert, check, consequences, has_triggers, events, may_handle } = page;
    let (shape, word) = of_alert(alert.state);
    let action = |verb: &str| format!("{}/{verb}", links.alert(alert.number));
    let acknowledge = (may_handle && alert.state == AlertState::Open)
        .then(|| view! { <Act action=action("acknowledge") text="Acknowledge"/> });
    let resolve = (may_handle && alert.state != AlertState::Resolved)
        .then(|| view! { <Act action=action("resolve") text="Resolve" symbol=Symbol::Check/> });
    let mut topics = vec![format!("alerts:{}", alert.workspace_id), format!("monitor:{}", alert.monitor_id)];
    topics.extend(
        consequences.iter().filter_map(|done| done.firing.pipeline_run_id).map(|id| format!("pipeline_run:{id}")),
    );
    let live = links.events(&topics);
    let place = links.endpoint(&alert.environment, &alert.model);
    let drift = view! { <Drift check/> };
    let done = view! { <Consequences links=links.clone() consequences has_triggers environment=alert.environment.clone() model=alert.model.clone()/> };
    let history = view! { <Timeline events links=links.clone()/> };
    let facts = view! { <About links=links.clone() alert=alert.clone()/> };
    let next = (alert.state == AlertState::Open && may_handle).then(|| {
        view! {
            <Callout symbol=Symbol::Bell>
                <b>"Acknowledge it "</b>
                "to say that you look at it. It is resolved by itself once a check finds the traffic as the reference again."
            </Callout>
        }
    });
    view! {
        <Crumbs items=vec![Crumb::to("Alerts", links.alerts()), Crumb::here(format!("#{}", alert.number))]/>
        <PageHead
            title=view! { {format::capitalised(&alert.summary)} }.into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=view! { {acknowledge}{resolve} }.into_any()
            meta=view! {
                <span><Icon symbol=Symbol::Cube/><a href=place>{format!("{} v{} in {}", alert.model, alert.version, alert.environment)}</a></span>
                <span><Icon symbol=Symbol::Bell/>"Opened "<When at=alert.opened_at/></span>
                {alert.handled_by.clone().map(|name| view! { <span><Avatar name=name.clone() size=AvatarSize::Small/>{format!("{word} by {name}")}</span> })}
            }
                .into_any()
            live=true
        />
        <div class="with-aside mt-4">
            <div class="stack">
                {next}
                <div class="stack" id="done" data-live="">{done}</div>
                {drift}
            </div>
            <aside class="stack" id="beside" data-live="" aria-label="About the alert">
                {facts}
                <Panel title="History" id="history"><Body>{history}</Body></Panel>
            </aside>
        </div>
        <LiveRegion events=live/>
    }
}

#[component]
fn About(links: Links, alert: Alert) -> impl IntoView {
    let (place, monitor) =
        (links.endpoint(&alert.environment, &alert.model), links.monitor(&alert.environment, &alert.model));
    let version = links.version(&alert.model, alert.version);
    view! {
        <Panel title="About" id="about">
            <Body>
                <Facts>
                    <Fact name="Serves"><a href=place>{format!("{} in {}", alert.model, alert.environment)}</a></Fact>
                    <Fact name="Version then"><a href=version>{format!("v{}", alert.version)}</a></Fact>
                    <Fact name="Opened"><When at=alert.opened_at/></Fact>
                    <Fact name="Last seen"><When at=alert.last_seen_at/></Fact>
                    {alert.resolved_at.map(|at| view! { <Fact name="Resolved"><When at/></Fact> })}
                    <Fact name="Found by"><a href=monitor>"its monitor"</a></Fact>
                </Facts>
            </Body>
        </Panel>
    }
}

#[component]
fn Drift(check: Option<Check>) -> impl IntoView {
    match check {
        None => view! {
            <Panel title="What drifted" id="drift"><Body><p class="muted">"The check that found it is not kept any more."</p></Body></Panel>
        }
        .into_any(),
        Some(check) => {
            let note = format!("{} rows of v{}", crate::format::integer(check.rows), check.version);
            view! {
                <Panel title="What drifted" id="drift" note actions=view! { <span class="muted">"checked "<When at=check.at/></span> }.into_any()>
                    <Features features=check.features/>
                </Panel>
            }
            .into_any()
        }
    }
}

#[component]
fn Consequences(
    links: Links,
    consequences: Vec<Consequence>,
    has_triggers: bool,
    environment: String,
    model: String,
) -> impl IntoView {
    let monitor = links.monitor(&environment, &model);
    if consequences.is_empty() {
        let text = if has_triggers {
            "No trigger has fired yet."
        } else {
            "Nothing starts by itself when an alert opens here. "
        };
        return view! {
            <Panel title="What was done about it" id="consequences">
                <Body><p class="muted prose">{text}{(!has_triggers).then(|| view! { <a href=monitor>"Set a trigger"</a> })}</p></Body>
            </Panel>
        }
        .into_any();
    }
    let rows = consequences.into_iter().map(|done| view! { <Done links=links.clone() done/> }).collect_view();
    view! { <Panel title="What was done about it" id="consequences"><ul class="list done">{rows}</ul></Panel> }
        .into_any()
}

/// What a trigger did: the run it started, and the version that waits because of it.
#[component]
fn Done(links: Links, done: Consequence) -> impl IntoView {
    let Consequence { firing, run, candidates } = done;
    let Some(run) = run else {
        let why = firing.held_back.unwrap_or_else(|| "It is being started.".to_owned());
        return view! {
            <li>
                <StateMark state=State::Skipped word="Held back"/>
                <div class="grow"><div class="t">"A trigger started nothing"</div><div class="sub">{why}</div></div>
                <span class="end"><When at=firing.at/></span>
            </li>
        }
        .into_any();
    };
    let (shape, word) = of_run(run.state);
    let href = links.pipeline_run(run.number);
    let made = candidates
        .into_iter()
        .map(|candidate| {
            let version = links.version(&candidate.model, candidate.version);
            let (state, word, next) = match candidate.promotion {
                Some((number, environment, state)) => {
                    let (shape, word) = promotion::state(state);
                    let href = links.promotion(number);
                    (
                        shape,
                        word.to_owned(),
                        view! { <a href=href>{format!("Promotion #{number} to {environment}")}</a> }.into_any(),
                    )
                }
                None => {
                    let ask = links.new_promotion(&candidate.model, candidate.version);
                    (
                        State::Unsure,
                        "Candidate".to_owned(),
                        view! { <a href=ask>"Request its promotion"</a> }.into_any(),
                    )
                }
            };
            view! {
                <li>
                    <StateMark state word/>
                    <div class="grow">
                        <div><a class="t" href=version>{format!("{} v{}", candidate.model, candidate.version)}</a></div>
                        <div class="sub">"What it registered. It walks the same way as any other version."</div>
                    </div>
                    <span class="end">{next}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <li>
            <StateMark state=shape word/>
            <div class="grow">
                <div><a class="t" href=href>{format!("{} #{}", run.pipeline_name, run.number)}</a></div>
                <div class="sub">"Started by a trigger, once for this alert"</div>
            </div>
            <span class="end"><When at=firing.at/></span>
        </li>
        {made}
    }
    .into_any()
}
