//! What became of the promotions of a period: how long people took, why they said no, and which approvals did not hold.

use crate::{
    format,
    ui::{prelude::*, query},
};
use chrono::TimeDelta;
use domain::promotion::{PromotionCounts, PromotionStatistics, Rejection, RuleStatistics};
use leptos::prelude::*;

/// The periods that can be chosen: days, and how they are called.
pub const PERIODS: [(i64, &str); 4] = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "A year")];

/// Statistics of promotions. The address holds `days`.
#[component]
pub fn Statistics(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen.
    address: Address,
    /// Over how many days.
    days: i64,
    /// What was counted.
    statistics: PromotionStatistics,
) -> impl IntoView {
    let PromotionStatistics { from, promotions, is_cut, environments, policies, rules, rejections, .. } = statistics;
    let periods =
        PERIODS.map(|(each, word)| (word.to_owned(), address.with("days", each.to_string()).href(), each == days));
    let requested = match is_cut {
        true => format!("The last {} requested", format::integer(promotions)),
        false => format!("{} requested", format::count(promotions, "promotion", "promotions")),
    };
    let approved: i64 = environments.iter().map(|one| one.counts.approved).sum();
    let back: i64 = environments.iter().map(|one| one.counts.rolled_back).sum();
    let meta = view! {
        <span>{requested}</span>
        <span>{format!("{} approved", format::integer(approved))}</span>
        <span>{format!("{} rolled back", format::integer(back))}</span>
        <span>"since "{format::minute(from)}</span>
    };
    let several = policies.len() > environments.len();
    let body = if promotions == 0 {
        let all = links.promotions();
        view! {
            <Panel title="Nothing to count" id="nothing">
                <Empty
                    symbol=Symbol::Promote
                    title="No promotion was requested in this time"
                    text="Once some were, this page tells how long people took to approve them, why they said no, and what was rolled back."
                >
                    <ButtonLink text="See all promotions" href=all/>
                </Empty>
            </Panel>
        }
        .into_any()
    } else {
        let list =
            |environment: &str| format!("{}?state=all&environment={}", links.promotions(), query::encode(environment));
        let of_environments: Vec<_> = environments
            .into_iter()
            .map(|one| (links.environment(&one.environment), list(&one.environment), one.environment, one.counts))
            .collect();
        let of_policies: Vec<_> = policies
            .into_iter()
            .map(|one| {
                let name = format!("{} in {}", one.policy, one.environment);
                (links.policy(&one.policy), list(&one.environment), name, one.counts)
            })
            .collect();
        let links = links.clone();
        view! {
            <Panel title="From the request to the last approval" id="time" note="half, and nine of ten, took at most">
                <Times label="By environment" first="Environment" rows=of_environments/>
            </Panel>
            {several
                .then(|| {
                    view! {
                        <Panel title="The same by policy" id="policies" note="counted for each policy that held">
                            <Times label="By policy" first="Policy" rows=of_policies/>
                        </Panel>
                    }
                })}
            <Approvals rules/>
            <Rejections links rejections/>
        }
        .into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Promotions", links.promotions()), Crumb::here("Statistics")]/>
        <PageHead title="Statistics".into_any() meta=meta.into_any()/>
        <div class="list-bar mt-4"><Choice label="Period" items=periods.to_vec()/></div>
        <div class="stack">{body}</div>
    }
}

/// A share of a whole; nothing of nothing.
#[allow(clippy::cast_precision_loss, reason = "there are at most ten thousand")]
fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Seconds, as people say them.
fn spoken(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "no promotion takes that long")]
    let milliseconds = (seconds * 1000.0) as i64;
    format::coarse(TimeDelta::milliseconds(milliseconds))
}

/// How long it took and what became of them: in each row a page, the list of what was counted, a name, and the counts.
#[component]
fn Times(
    label: &'static str,
    first: &'static str,
    rows: Vec<(String, String, String, PromotionCounts)>,
) -> impl IntoView {
    let longest = rows.iter().filter_map(|(_, _, _, counts)| counts.p90_seconds).fold(0.0, f64::max);
    let lasting = move |seconds: Option<f64>| match seconds {
        Some(seconds) => {
            let share = if longest > 0.0 { seconds / longest } else { 0.0 };
            view! { <span class="lasts"><span class="num">{spoken(seconds)}</span><Meter share short=true/></span> }
                .into_any()
        }
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
    };
    let few = |number: i64| match number {
        0 => view! { <span class="none">"0"</span> }.into_any(),
        number => format::integer(number).into_any(),
    };
    let rows = rows
        .into_iter()
        .map(|(href, list, name, counts)| {
            let of = format!("{} of {}", format::integer(counts.approved), format::integer(counts.promotions));
            view! {
                <tr>
                    <th scope="row"><a class="strong" href=href>{name}</a><span class="sub"><a href=list>{of}" approved"</a></span></th>
                    <td>{lasting(counts.median_seconds)}</td>
                    <td>{lasting(counts.p90_seconds)}</td>
                    <td class="num">{few(counts.rejected)}</td>
                    <td class="num">{few(counts.expired)}</td>
                    <td class="num">{few(counts.invalidated)}</td>
                    <td class="num">{few(counts.rolled_back)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Table label roomy=true>
            <thead>
                <tr>
                    <Head label=first/>
                    <Head label="Half took"/>
                    <Head label="Nine of ten"/>
                    <Head label="Rejected" num=true/>
                    <Head label="Expired" num=true/>
                    <Head label="Invalidated" num=true/>
                    <Head label="Rolled back" num=true/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}

#[component]
fn Approvals(rules: Vec<RuleStatistics>) -> impl IntoView {
    let table = if rules.is_empty() {
        view! { <Body><p class="muted">"No rule had an approval that counted in this time."</p></Body> }.into_any()
    } else {
        let rows = rules
            .into_iter()
            .map(|rule| {
                let of = format!("{} of {}", format::integer(rule.rolled_back), format::integer(rule.approved));
                let share = share(rule.rolled_back, rule.approved);
                view! {
                    <tr>
                        <th scope="row"><span class="strong">{rule.rule}</span><span class="sub">{rule.environment}</span></th>
                        <td>
                            <span class="lasts"><span class="num">{of}</span><Meter share short=true/></span>
                        </td>
                        <td class="num wide">{format::percent(share)}</td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <Table label="Approvals that were rolled back later" roomy=true>
                <thead>
                    <tr>
                        <Head label="Rule"/>
                        <Head label="Rolled back of approved"/>
                        <Head label="Share" num=true class="wide"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    view! { <Panel title="Approvals that were rolled back later" id="rolled-back">{table}</Panel> }
}

#[component]
fn Rejections(links: Links, rejections: Vec<Rejection>) -> impl IntoView {
    let count = i64::try_from(rejections.len()).unwrap_or_default();
    let list = if rejections.is_empty() {
        view! { <Body><p class="muted">"Nobody said no in this time."</p></Body> }.into_any()
    } else {
        let rows = rejections
            .into_iter()
            .map(|one| {
                let title = format!("{} v{} → {}", one.model, one.version, one.environment);
                view! {
                    <li>
                        <StateShape state=State::Failed word="Rejected"/>
                        <div class="grow">
                            <p class="said">{one.comment}</p>
                            <div class="sub text">
                                <a href=links.promotion(one.number)>{title}</a>{format!(", by {}, ", one.by)}<When at=one.at/>
                            </div>
                        </div>
                    </li>
                }
            })
            .collect_view();
        view! { <ul class="list">{rows}</ul> }.into_any()
    };
    view! { <Panel title="Why people said no" id="rejections" note=format::integer(count)>{list}</Panel> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn html(statistics: PromotionStatistics) -> String {
        let address = Address::new("/w/lab/promotions/statistics", []);
        fragment(move || view! { <Statistics links=Links::new("lab") address days=90 statistics/> })
    }

    #[test]
    fn each_environment_has_its_times_and_each_no_its_reason() {
        let html = html(samples::promotions::statistics());
        for part in
            ["production", "Half took", "2 d", "41 of 52", "product/risk", "Slower for the kiosk", "4.9 %", "A year"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(html.contains("?state=all&amp;environment=production"), "{html}");
    }

    #[test]
    fn a_time_in_which_nothing_was_requested_says_so() {
        let none = PromotionStatistics {
            promotions: 0,
            environments: Vec::new(),
            policies: Vec::new(),
            rules: Vec::new(),
            rejections: Vec::new(),
            ..samples::promotions::statistics()
        };
        let html = html(none);
        assert!(html.contains("No promotion was requested in this time") && !html.contains("<table"), "{html}");
    }
}
