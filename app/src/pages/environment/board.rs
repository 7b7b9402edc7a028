//! The board of an environment: what is live, what is on its way, when nothing may come.

use crate::{
    format,
    pages::{freeze::WindowRow, promotion},
    ui::prelude::*,
};
use domain::{deployment::Endpoint, freeze::FreezeKind, promotion::Promotion};
use leptos::prelude::*;

/// What serves of one model, and who let it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What serves.
    pub endpoint: Endpoint,
    /// Who approved the promotion that brought it; nobody when none did.
    pub approvers: Vec<String>,
}

/// The board.
#[component]
pub fn Board(
    /// The addresses of the workspace.
    links: Links,
    /// The environment's name.
    environment: String,
    /// What serves there, in order of model.
    serving: Vec<Arrival>,
    /// What is on its way there, newest first.
    open: Vec<Promotion>,
    /// The windows of freezes that are open or ahead.
    windows: Vec<WindowRow>,
) -> impl IntoView {
    view! {
        <Live links=links.clone() environment serving/>
        <OnTheirWay links=links.clone() open/>
        <Windows links windows/>
    }
}

#[component]
fn Live(links: Links, environment: String, serving: Vec<Arrival>) -> impl IntoView {
    let count = serving.len();
    if count == 0 {
        return view! {
            <Panel title="What is live" id="live" note="0" live=true>
                <Body><p class="muted">"Nothing yet. A version serves here once its promotion is approved."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let rows = serving
        .into_iter()
        .map(|Arrival { endpoint, approvers }| {
            let drifted = endpoint.drifted == Some(true);
            let deployment = endpoint.deployment;
            let href = links.endpoint(&environment, &deployment.model);
            let version = links.version(&deployment.model, deployment.version);
            let since = deployment.live_at.unwrap_or(deployment.created_at);
            let state = if drifted { (State::Warning, "Live, drifted") } else { (State::Live, "Live") };
            let promotion = deployment.promotion_number.map(|number| {
                let href = links.promotion(number);
                view! { <a href=href>{format!("#{number}")}</a>" " }
            });
            let by = if approvers.is_empty() { "nobody was asked".to_owned() } else { approvers.join(", ") };
            let requests = format::count(endpoint.traffic.requests, "request", "requests");
            view! {
                <tr>
                    <th scope="row"><a class="strong" href=href>{deployment.model}</a></th>
                    <td><a class="mono" href=version>{format!("v{}", deployment.version)}</a></td>
                    <td><StateMark state=state.0 word=state.1/></td>
                    <td><When at=since/></td>
                    <td class="wrap">{promotion}<span class="muted">{by}</span></td>
                    <td class="num">{requests}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="What is live" id="live" note=count.to_string() live=true>
            <Table label="What is live" keys=true>
                <thead>
                    <tr>
                        <Head label="Model"/>
                        <Head label="Version"/>
                        <Head label="State"/>
                        <Head label="Since"/>
                        <Head label="Approved by"/>
                        <Head label="Last day" num=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

#[component]
fn OnTheirWay(links: Links, open: Vec<Promotion>) -> impl IntoView {
    let none = open.is_empty();
    let note = open.len().to_string();
    let rows = open
        .into_iter()
        .map(|one| {
            let (state, word) = promotion::state(one.state);
            let href = links.promotion(one.number);
            let sub = view! { {format!("#{} by {}, ", one.number, one.requester)}<When at=one.created_at/> };
            let end = one.state.may_expire().then(|| view! { <Until at=one.expires_at/> }.into_any());
            let mark = view! { <StateMark state word/> };
            view! {
                <Row title=one.version_title() href sub=sub.into_any() state=mark.into_any() end=end.into_any()/>
            }
        })
        .collect_view();
    view! {
        <Panel title="On its way" id="open" note live=true>
            {if none {
                view! { <Body><p class="muted">"Nothing. A promotion brings a version here."</p></Body> }.into_any()
            } else {
                view! { <Rows>{rows}</Rows> }.into_any()
            }}
        </Panel>
    }
}

#[component]
fn Windows(links: Links, windows: Vec<WindowRow>) -> impl IntoView {
    let freezes = links.freezes();
    let none = windows.is_empty();
    let note = windows.len().to_string();
    let rows = windows
        .into_iter()
        .map(|window| {
            let (state, word) = match (window.kind, window.is_open) {
                (FreezeKind::Deny, true) => (State::Skipped, "Closed now"),
                (FreezeKind::Deny, false) => (State::Queued, "Closed"),
                (FreezeKind::Allow, true) => (State::Live, "Open now"),
                (FreezeKind::Allow, false) => (State::Queued, "Open"),
            };
            let to = window.to.map_or_else(|| "no end in sight".to_owned(), |to| format!("to {to}"));
            let sub = format!("from {} {to}", window.from).into_any();
            let mark = view! { <StateMark state word/> };
            view! { <Row title=window.name state=mark.into_any() sub/> }
        })
        .collect_view();
    view! {
        <Panel title="Windows ahead" id="windows" note actions=view! { <a href=freezes>"Freezes"</a> }.into_any()>
            {if none {
                view! { <Body><p class="muted">"No freeze is in sight: what is approved is deployed at once."</p></Body> }.into_any()
            } else {
                view! { <Rows>{rows}</Rows> }.into_any()
            }}
        </Panel>
    }
}
