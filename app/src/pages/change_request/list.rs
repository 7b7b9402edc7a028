//! The change requests of a workspace in a list.

use super::state;
use crate::{format, ui::prelude::*};
use domain::{Page, change_request::ChangeRequest};
use leptos::prelude::*;

/// Change requests, newest first. `all=1` shows those that have ended, too.
#[component]
pub fn ChangeRequests(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen.
    address: Address,
    /// The requests.
    page: Page<ChangeRequest>,
) -> impl IntoView {
    let all = address.get("all").is_some();
    let Page { items, next_page_token } = page;
    let shown = items.len();
    let choices = vec![
        ("Open".to_owned(), address.without("all").href(), !all),
        ("All".to_owned(), address.with("all", "1").href(), all),
    ];
    let rows = items.into_iter().map(|request| view! { <OneRow links=links.clone() request/> }).collect_view();
    let body = if shown == 0 {
        view! {
            <Panel title="Change requests" id="change-requests">
                <Empty
                    symbol=Symbol::Shield
                    title=if all { "Nobody asked for a change" } else { "No change waits for approval" }
                    text="Where a policy for change_policy or retire has rules, changing a policy or taking a version out of service is asked for here, and done when the people whom the rules name agree."
                />
            </Panel>
        }
        .into_any()
    } else {
        view! {
            <Table label="Change requests" roomy=true keys=true id="change-requests">
                <thead>
                    <tr>
                        <Head label="Change"/>
                        <Head label="State"/>
                        <Head label="Asked by"/>
                        <Head label="When"/>
                        <Head label="Stands until"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next=next_page_token one="change request" many="change requests" keys=true/>
        }
        .into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Policies", links.policies()), Crumb::here("Change requests")]/>
        <PageHead
            title="Change requests".into_any()
            meta=view! { <span>"What policies let nobody do alone"</span> }.into_any()
        />
        <div class="list-bar mt-4"><Choice label="Which" items=choices/></div>
        {body}
    }
}

#[component]
fn OneRow(links: Links, request: ChangeRequest) -> impl IntoView {
    let (shape, word) = state(request.state);
    let until = if request.state.is_open() { format::minute(request.expires_at) } else { "–".to_owned() };
    view! {
        <tr>
            <th scope="row">
                <a class="strong" href=links.change_request(request.number)>{format::capitalised(&request.change.title())}</a>
                <span class="sub">{format!("#{}", request.number)}</span>
            </th>
            <td><StateMark state=shape word/></td>
            <td>{request.requester}</td>
            <td><When at=request.created_at/></td>
            <td>{until}</td>
        </tr>
    }
}
