//! Promotions in a list: those that wait for the reader first.

use super::state;
use crate::{format, islands::LiveRegion, ui::prelude::*};
use domain::{
    id::WorkspaceId,
    promotion::{Promotion, PromotionState},
};
use leptos::prelude::*;

/// A promotion in the list.
#[derive(Debug, Clone)]
pub struct ListRow {
    /// The promotion.
    pub promotion: Promotion,
    /// What it waits for, where that is known: `Risk, Product`.
    pub waits_for: Option<String>,
    /// Whether it waits for the reader.
    pub is_mine: bool,
    /// Whether it does because somebody mentioned them.
    pub is_mentioned: bool,
}

/// What the list shows.
#[derive(Debug, Clone)]
pub struct ListPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// One page of them.
    pub rows: Vec<ListRow>,
    /// The key of the next page.
    pub next: Option<String>,
    /// How many wait for the reader.
    pub mine: usize,
    /// Names of the environments, to filter by.
    pub environments: Vec<String>,
    /// Whether the reader may ask for one.
    pub may_request: bool,
}

/// The tabs: a word, and what the address calls it.
const TABS: [(&str, &str); 6] = [
    ("Waiting for me", "mine"),
    ("Open", "open"),
    ("Waiting for approval", "awaiting_approval"),
    ("Blocked", "blocked"),
    ("Live", "live"),
    ("All", "all"),
];

/// Promotions, newest first. The address holds `state`, `environment` and `model`.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen.
    address: Address,
    /// What it shows.
    page: ListPage,
) -> impl IntoView {
    let ListPage { workspace_id, rows, next, mine, environments, may_request } = page;
    let chosen = address.get("state").unwrap_or(if mine > 0 { "mine" } else { "open" }).to_owned();
    let known = TABS.iter().any(|(_, value)| *value == chosen);
    let mut tabs: Vec<Tab> = TABS
        .iter()
        .map(|(word, value)| {
            let tab =
                Tab::new(*word, address.without("page_token").with("state", *value).href()).current(chosen == *value);
            if *value == "mine" && mine > 0 { tab.count(mine) } else { tab }
        })
        .collect();
    if let Some(other) = PromotionState::parse(&chosen).filter(|_| !known) {
        tabs.push(Tab::new(state(other).1, address.href()).current(true));
    }
    let actions = view! {
        <ButtonLink text="Statistics" href=links.to("promotions/statistics")/>
        {may_request
            .then(|| view! { <ButtonLink text="Request promotion" href=links.to("promotions/new") kind=Kind::Primary/> })}
    };
    let events = links.events(&[format!("promotions:{workspace_id}")]);
    let shown = rows.len();
    let filtered = address.get("environment").is_some() || address.get("model").is_some();
    let (open, all) = (address.with("state", "open").href(), address.with("state", "all").href());
    let body = if rows.is_empty() {
        let empty = match (chosen.as_str(), filtered) {
            ("mine", _) => view! {
                <Empty symbol=Symbol::Pass title="Nothing waits for you" text="What rules ask you about stands here until you have decided, and where somebody mentions you until you have answered.">
                    <ButtonLink text="See all that are open" href=open/>
                </Empty>
            }
            .into_any(),
            (_, true) => view! {
                <Empty symbol=Symbol::Promote title="No such promotion" text="None of these fits the filter.">
                    <ButtonLink text="Without the filter" href=links.promotions()/>
                </Empty>
            }
            .into_any(),
            ("open" | "all", false) => view! {
                <Empty
                    symbol=Symbol::Promote
                    title="No promotion here yet"
                    text="Register a version, then request that it be brought to an environment. Gates run by themselves, and people decide."
                >
                    <ButtonLink text="See the models" href=links.models()/>
                </Empty>
            }
            .into_any(),
            _ => view! {
                <Empty symbol=Symbol::Promote title="None of these" text="No promotion stands there now.">
                    <ButtonLink text="See all" href=all/>
                </Empty>
            }
            .into_any(),
        };
        view! { <Panel title="Promotions" id="promotions">{empty}</Panel> }.into_any()
    } else {
        let rows = rows.into_iter().map(|row| view! { <OneRow links=links.clone() row/> }).collect_view();
        view! {
            <Table label="Promotions" roomy=true keys=true id="promotions" live=true>
                <thead>
                    <tr>
                        <Head label="#" num=true class="wide"/>
                        <Head label="Promotion"/>
                        <Head label="State"/>
                        <Head label="Waits for"/>
                        <Head label="Requested by"/>
                        <Head label="Changed"/>
                        <Head label="Expires"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address=address.clone() shown next one="promotion" many="promotions" keys=true/>
        }
        .into_any()
    };
    let place = address.get("environment").unwrap_or_default().to_owned();
    let everywhere =
        ("Everywhere".to_owned(), address.without("page_token").without("environment").href(), place.is_empty());
    let places = std::iter::once(everywhere).chain(environments.into_iter().map(|name| {
        let current = name == place;
        (name.clone(), address.without("page_token").with("environment", name).href(), current)
    }));
    let places: Vec<_> = places.collect();
    let model = address.get("model").map(|model| {
        let href = address.without("page_token").without("model").href();
        view! { <span class="tag">{model.to_owned()}<a href=href aria-label="Every model"><Icon symbol=Symbol::Close/></a></span> }
    });
    view! {
        <PageHead title="Promotions".into_any() actions=actions.into_any()/>
        <Tabs label="Which" items=tabs/>
        <div class="list-bar"><Choice label="Environment" items=places/>{model}</div>
        {body}
        <LiveRegion events/>
    }
}

#[component]
fn OneRow(links: Links, row: ListRow) -> impl IntoView {
    let ListRow { promotion, waits_for, is_mine, is_mentioned } = row;
    let (shape, word) = state(promotion.state);
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let sub = if promotion.state_reason.is_empty() {
        first(&promotion.comment)
    } else {
        format::capitalised(&promotion.state_reason)
    };
    let waits = match (promotion.state, waits_for) {
        (_, Some(rules)) => rules,
        (PromotionState::GatesRunning, None) => "its gates".to_owned(),
        (PromotionState::Blocked, None) => "a gate to be mended".to_owned(),
        (PromotionState::Draft, None) => format!("{} to submit it", promotion.requester),
        (PromotionState::AwaitingApproval, None) => "people".to_owned(),
        (PromotionState::Scheduled, None) => "its time".to_owned(),
        (state, None) if state.is_open() => "the deployment".to_owned(),
        _ => String::new(),
    };
    let discussion = format!("{}#discussion", links.promotion(promotion.number));
    let expires = promotion.state.may_expire().then_some(promotion.expires_at);
    let soon = expires.is_some_and(|at| at - now() < chrono::TimeDelta::hours(24));
    view! {
        <tr>
            <td class="num mono muted wide">{promotion.number}</td>
            <th scope="row">
                <a class="strong" href=links.promotion(promotion.number)>
                    {promotion.model.clone()}" "<span class="mono">{format!("v{}", promotion.version)}</span>" → "{promotion.environment.clone()}
                </a>
                <span class="sub ellipsis">{sub}</span>
            </th>
            <td><StateMark state=shape word=word/></td>
            <td>
                {is_mine.then(|| view! { <Tag text="you"/>" " })}
                <span class="muted">{waits}</span>
                {is_mentioned.then(|| view! { <span class="sub"><a href=discussion>"You are mentioned"</a></span> })}
            </td>
            <td><span class="person"><Avatar name=promotion.requester.clone() size=AvatarSize::Row/>{promotion.requester}</span></td>
            <td><When at=promotion.updated_at/></td>
            <td class=soon.then_some("soon")>
                {match expires {
                    Some(at) => view! { <Until at/> }.into_any(),
                    None => view! { <span class="none">"–"</span> }.into_any(),
                }}
            </td>
        </tr>
    }
}
