//! A run's metrics: the headline, the curves, and the values in a table.

use super::{
    RunPage,
    board::{About, Groups, Owner},
};
use crate::{
    chart::{dimension::in_order, look::Look},
    pages::experiment::compare,
    ui::{metric::slug, prelude::*},
};
use domain::{
    experiment::Champion,
    log_key::is_of_model,
    run::{Metric as Latest, Run, RunStatus},
};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// The most rows of the table on one page.
const ROWS: usize = 200;

/// The metrics to show first: those that a gate names, then those that the champion has too, then what was measured once,
/// which is how a training ended, then by name. What is no number comes last.
fn headline(run: &Run, champion: Option<&Champion>, lengths: &BTreeMap<String, i64>) -> Vec<Latest> {
    let rank = |metric: &Latest| match champion {
        Some(champion) if champion.better.contains_key(&metric.key) => 0,
        Some(champion) if champion.metrics.contains_key(&metric.key) => 1,
        _ if !metric.value.is_finite() => 4,
        _ if lengths.get(&metric.key).is_some_and(|points| *points > 1) => 3,
        _ => 2,
    };
    let mut metrics: Vec<Latest> = run.metrics.iter().filter(|metric| is_of_model(&metric.key)).cloned().collect();
    metrics.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| in_order(&one.key, &other.key)));
    metrics.truncate(4);
    metrics
}

/// Up to four metrics as large numbers, each beside the champion's.
#[component]
pub(super) fn Headline(address: Address, page: RunPage) -> impl IntoView {
    let metrics = headline(&page.run, page.champion.as_ref(), &page.lengths);
    let items: Vec<Answer> = metrics
        .into_iter()
        .map(|metric| Answer {
            href: format!(
                "{}#chart-{}",
                address.with("tab", "metrics").with("metric", metric.key.clone()).href(),
                slug(&metric.key)
            ),
            value: view! { <Num value=metric.value/> }.into_any(),
            reason: match page.champion.as_ref() {
                Some(champion) => match compare(champion, &metric.key, metric.value) {
                    Some((delta, meaning)) => {
                        let text = format!("{} on v{}", format::signed(delta), champion.version);
                        view! { <Delta text meaning/> }.into_any()
                    }
                    None => format!("step {}", format::integer(metric.step)).into_any(),
                },
                None => format!("step {}", format::integer(metric.step)).into_any(),
            },
            question: metric.key,
        })
        .collect();
    (!items.is_empty()).then(|| view! { <Answers label="Headline metrics" id="headline" items live=true/> })
}

/// The board of a run's charts; with `flat` without the heads of groups.
#[component]
pub(super) fn Charts(
    links: Links,
    address: Address,
    page: RunPage,
    about: About,
    #[prop(optional)] flat: bool,
) -> impl IntoView {
    let info = &page.run.info;
    let is_running = info.status == RunStatus::Running;
    let look = Look::of(&address);
    let run =
        BoardRun { id: info.id.to_string(), name: info.name.clone(), start: info.start_time, hue: 0, hidden: false };
    let owners = vec![Owner { run: run.clone(), id: info.id }];
    if page.board.groups.is_empty() && !is_running {
        return nothing(&address, about);
    }
    let series = links.series([&info.id]);
    let has_charts = !page.board.groups.is_empty();
    let rest: usize = page.board.groups.iter().map(|group| group.rest).sum();
    let all = (flat && rest > 0).then(|| {
        let text = format::count(i64::try_from(rest).unwrap_or_default(), "more chart", "more charts");
        view! { <p class="filter-note"><a href=address.with("tab", "metrics").href()>{text}</a></p> }
    });
    let waits = (!has_charts).then(|| {
        view! {
            <Panel title="Curves" id="curves">
                <Body><p class="muted">"No metric has a second point yet. Its curve appears here as it is logged."</p></Body>
            </Panel>
        }
    });
    view! {
        <ChartBoard runs=vec![run] series live=is_running>
            <ChartControls address=address.clone() anew=&["after"]/>
            {waits}
            <Groups address=address.clone() board=page.board about owners champion=page.champion look flat/>
            {all}
        </ChartBoard>
    }
    .into_any()
}

fn nothing(address: &Address, about: About) -> AnyView {
    if address.get("metric").is_some() {
        return view! {
            <p class="filter-note">
                <span>"No metric with a curve has this in its name."</span>
                <a href=address.without("metric").href()>"Clear"</a>
            </p>
        }
        .into_any();
    }
    let (text, code) = match about {
        About::Training => (
            "No metric here has more than one point. Log it with a step, and its curve appears: ",
            "mlflow.log_metric(\"loss\", value, step=i)",
        ),
        About::System => {
            ("Nothing was measured of the machine. Before the run starts: ", "mlflow.enable_system_metrics_logging()")
        }
    };
    view! { <Panel title="Curves" id="curves"><Body><p class="muted">{text}<code>{code}</code></p></Body></Panel> }
        .into_any()
}

/// The metrics' tab: find, charts by group, values.
#[component]
pub(super) fn All(links: Links, address: Address, page: RunPage) -> impl IntoView {
    let found = address.without("after").without("rows").without("open");
    view! {
        <div class="stack">
            <FilterBar label="Find metrics by name" address=found name="metric" placeholder="loss"/>
            <Charts links address=address.clone() page=page.clone() about=About::Training/>
            <Values address page/>
        </div>
    }
}

/// What was measured of the machine.
#[component]
pub(super) fn System(links: Links, address: Address, page: RunPage) -> impl IntoView {
    view! { <div class="stack"><Charts links address page about=About::System/></div> }
}

/// The latest values in a table: of metrics without a curve, or of all.
#[component]
fn Values(address: Address, page: RunPage) -> impl IntoView {
    let asked = address.get("metric").unwrap_or_default().to_lowercase();
    let mut all: Vec<Latest> = page
        .run
        .metrics
        .iter()
        .filter(|metric| is_of_model(&metric.key) && metric.key.to_lowercase().contains(&asked))
        .cloned()
        .collect();
    all.sort_by(|one, other| in_order(&one.key, &other.key));
    let points = |key: &str| page.lengths.get(key).copied().unwrap_or(1);
    let total = all.len();
    let single: Vec<Latest> = all.iter().filter(|metric| points(&metric.key) < 2).cloned().collect();
    let singles = single.len();
    let wants_all = match address.get("values") {
        Some("all") => true,
        Some("single") => false,
        _ => singles == 0,
    };
    let listed = if wants_all { all } else { single };
    if total == 0 {
        return ().into_any();
    }
    let from = address
        .get("rows")
        .and_then(|after| listed.iter().position(|metric| metric.key == after))
        .map_or(0, |at| at + 1);
    let shown: Vec<Latest> = listed.iter().skip(from).take(ROWS).cloned().collect();
    let next = (from + shown.len() < listed.len()).then(|| shown.last().map(|metric| metric.key.clone())).flatten();
    let place = address.without("rows");
    let choice = vec![
        (format!("One point {singles}"), format!("{}#values", place.with("values", "single").href()), !wants_all),
        (format!("All {total}"), format!("{}#values", place.with("values", "all").href()), wants_all),
    ];
    let champion = page.champion.clone();
    let against = champion.as_ref().map(|champion| format!("v{}", champion.version));
    let columns = if against.is_some() { "7" } else { "5" };
    let foot = format!("{} to {} of {}", from + 1, from + shown.len(), listed.len());
    let rows = shown
        .into_iter()
        .map(|metric| {
            let beside = champion.as_ref().map(|champion| {
                let theirs = champion.metrics.get(&metric.key).copied();
                let delta = compare(champion, &metric.key, metric.value);
                view! {
                    <td class="num"><Num value=theirs/></td>
                    <td class="num">
                        {match delta {
                            Some((delta, meaning)) => view! { <Delta text=format::signed(delta) meaning/> }.into_any(),
                            None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                        }}
                    </td>
                }
            });
            view! {
                <tr id=format!("m-{}", slug(&metric.key))>
                    <th scope="row" class="mono pin key">{metric.key.clone()}</th>
                    <td class="num strong"><Num value=metric.value/></td>
                    {beside}
                    <td class="num">{format::integer(points(&metric.key))}</td>
                    <td class="num">{format::integer(metric.step)}</td>
                    <td class="muted"><When at=from_ms(metric.timestamp)/></td>
                </tr>
            }
        })
        .collect_view();
    let body = if listed.is_empty() {
        view! { <Body><p class="muted">"Each metric has a curve above."</p></Body> }.into_any()
    } else {
        view! {
            <Table label="Values of metrics" id="metric-values" live=true>
                <thead>
                    <tr>
                        <Head label="Metric" class="pin"/>
                        <Head label="Latest" num=true/>
                        {against.map(|name| view! { <Head label=name num=true/><Head label="Difference" num=true/> })}
                        <Head label="Points" num=true/>
                        <Head label="Step" num=true/>
                        <Head label="Logged"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
                <tfoot>
                    <tr>
                        <td colspan=columns>
                            {foot}
                            {next.map(|after| {
                                let href = format!("{}#values", address.with("rows", after).href());
                                view! { " " <a href=href rel="next">"Next"</a> }
                            })}
                        </td>
                    </tr>
                </tfoot>
            </Table>
        }
        .into_any()
    };
    view! {
        <Panel title="Values" id="values" actions=view! { <Choice label="Which values" items=choice/> }.into_any()>{body}</Panel>
    }
    .into_any()
}
