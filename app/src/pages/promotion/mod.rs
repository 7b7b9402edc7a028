//! Promotions: the list, the page of one with its evidence and the decision, and the form that asks for one.

mod decision;
mod detail;
mod evidence;
mod request;

pub use detail::{Detail, PromotionPage};
pub use request::{Request, RequestPage};

use crate::ui::prelude::*;
use domain::promotion::{Promotion, PromotionState};
use leptos::prelude::*;

/// Shape and word of a state.
#[must_use]
pub fn state(state: PromotionState) -> (State, &'static str) {
    match state {
        PromotionState::GatesRunning => (State::Running, "Gates running"),
        PromotionState::Blocked => (State::Failed, "Blocked by a gate"),
        PromotionState::AwaitingApproval => (State::Waiting, "Waiting for approval"),
        PromotionState::Approved => (State::Rolling, "Approved"),
        PromotionState::Deploying => (State::Rolling, "Deploying"),
        PromotionState::Live => (State::Live, "Live"),
        PromotionState::Rejected => (State::Failed, "Rejected"),
        PromotionState::Withdrawn => (State::Cancelled, "Withdrawn"),
        PromotionState::Invalidated => (State::Warning, "Fell away"),
        PromotionState::Superseded => (State::Skipped, "Superseded"),
        PromotionState::Failed => (State::Failed, "Deployment failed"),
        PromotionState::RolledBack => (State::Skipped, "Rolled back"),
    }
}

/// Promotions, newest first.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `state`.
    address: Address,
    /// One page of them.
    promotions: Vec<Promotion>,
    /// The key of the next page.
    next: Option<String>,
    /// The numbers of those that wait for the reader.
    mine: Vec<i64>,
    /// Whether the reader may ask for one.
    may_request: bool,
) -> impl IntoView {
    let chosen = address.get("state").unwrap_or("all").to_owned();
    let choice = |name: &str, value: &str| {
        let href = if value == "all" { address.without("state").href() } else { address.with("state", value).href() };
        (name.to_owned(), href, chosen == value)
    };
    let choices = vec![
        choice("All", "all"),
        choice("Open", "open"),
        choice("Waiting", "awaiting_approval"),
        choice("Live", "live"),
    ];
    let shown = promotions.len();
    let waiting = mine.len();
    let waits = match waiting {
        0 => "Nothing waits for you".to_owned(),
        1 => "1 waits for you".to_owned(),
        many => format!("{many} wait for you"),
    };
    let actions = may_request
        .then(|| view! { <ButtonLink text="Request promotion" href=links.to("promotions/new") kind=Kind::Primary/> });
    let body = if promotions.is_empty() {
        view! {
            <Panel title="Promotions" id="promotions">
                <Empty
                    symbol=Symbol::Promote
                    title="No promotion here yet"
                    text="Register a version, then request that it be brought to an environment. Gates run by themselves, and people decide."
                >
                    <ButtonLink text="See the models" href=links.models()/>
                </Empty>
            </Panel>
        }
        .into_any()
    } else {
        let rows = promotions
            .into_iter()
            .map(|promotion| {
                let is_mine = mine.contains(&promotion.number);
                view! { <ListRow links=links.clone() promotion is_mine/> }
            })
            .collect_view();
        view! {
            <Table label="Promotions" roomy=true keys=true id="promotions" live=true>
                <thead>
                    <tr>
                        <Head label="Promotion"/>
                        <Head label="State"/>
                        <Head label="Requested by"/>
                        <Head label="Changed"/>
                        <Head label="Number" num=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next one="promotion" many="promotions" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead
            title="Promotions".into_any()
            actions=actions.into_any()
            meta=view! { <span>{waits}</span> }.into_any()
        />
        <div class="filter mt-4"><Choice label="Which" items=choices/></div>
        {body}
    }
}

#[component]
fn ListRow(links: Links, promotion: Promotion, is_mine: bool) -> impl IntoView {
    let (shape, word) = state(promotion.state);
    let sub = if is_mine { "Waits for you".to_owned() } else { promotion.state_reason.clone() };
    let sub = if sub.is_empty() { promotion.comment.lines().next().unwrap_or_default().to_owned() } else { sub };
    view! {
        <tr>
            <th scope="row">
                <a class="strong" href=links.promotion(promotion.number)>{promotion.title()}</a>
                <span class="sub ellipsis">{sub}</span>
            </th>
            <td><StateMark state=shape word=word/></td>
            <td><span class="person"><Avatar name=promotion.requester.clone() size=AvatarSize::Row/>{promotion.requester}</span></td>
            <td><When at=promotion.updated_at/></td>
            <td class="num mono">{format!("#{}", promotion.number)}</td>
        </tr>
    }
}
