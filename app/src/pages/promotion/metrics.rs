//! The candidate's metrics beside those of what serves now.

use super::{detail::PromotionPage, finding::Interval};
use crate::{format, ui::prelude::*};
use domain::{
    policy::{Better, GateSpec},
    promotion::MetricComparison,
};
use leptos::prelude::*;

/// What the difference between candidate and champion means.
fn meaning(metric: &MetricComparison) -> Meaning {
    match (metric.champion, metric.candidate) {
        (Some(champion), Some(candidate)) => Meaning::of(champion, candidate, metric.better),
        _ => Meaning::Plain,
    }
}

/// The interval of a metric's gain, when a gate measured one.
fn interval(page: &PromotionPage, key: &str) -> Option<Interval> {
    page.detail.gates.iter().find_map(|gate| match &gate.spec {
        GateSpec::BetterThanChampion { metric, confidence: Some(_), .. } if metric == key => {
            Interval::of(&gate.finding.as_ref()?.evidence)
        }
        _ => None,
    })
}

/// What the summary says of them: a question, an answer, why.
pub(super) fn summary(page: &PromotionPage) -> (String, AnyView, String) {
    let Some(champion) = page.detail.champion else {
        return ("Champion".to_owned(), "None yet".into_any(), "Nothing serves there".to_owned());
    };
    let metrics = &page.detail.metrics;
    let told =
        |metric: &MetricComparison| interval(page, &metric.key).map_or_else(|| meaning(metric), Interval::meaning);
    let count = |wanted: Meaning| metrics.iter().filter(|metric| told(metric) == wanted).count();
    let (better, worse, unsure) = (count(Meaning::Better), count(Meaning::Worse), count(Meaning::Unsure));
    let rest: Vec<String> = [(unsure, "unsure"), (worse, "worse")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let differences: Vec<String> = metrics
        .iter()
        .filter(|metric| metric.better.is_some())
        .filter_map(|metric| Some((metric, metric.candidate? - metric.champion?)))
        .filter(|(_, difference)| difference.is_finite())
        .take(2)
        .map(|(metric, difference)| format!("{} {}", metric.key, format::signed(difference)))
        .collect();
    let both = metrics.iter().filter(|m| m.champion.is_some() && m.candidate.is_some()).count();
    let reason = if differences.is_empty() { format!("{both} metrics on both sides") } else { differences.join(", ") };
    let value = view! { {format!("{better} better")}" "<small>{rest.join(", ")}</small> };
    (format!("Against v{champion}"), value.into_any(), reason)
}

/// The candidate's metrics beside the champion's.
#[component]
pub(super) fn Metrics(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = &page.detail.promotion;
    let champion = page.detail.champion.map(|champion| format!("v{champion}"));
    let title = champion.as_ref().map_or_else(|| "Metrics".to_owned(), |version| format!("Metrics against {version}"));
    let ours = format!("v{}", promotion.version);
    let compare = page
        .detail
        .champion
        .map(|champion| links.compare_versions(&promotion.model, champion, promotion.version))
        .map(|href| view! { <a href=href>"Compare versions"</a> });
    if page.detail.metrics.is_empty() {
        return view! {
            <Panel title=title id="metrics" actions=compare.into_any()>
                <Body><p class="muted">"The version's run logged no metrics."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let intervals: Vec<Option<Interval>> =
        page.detail.metrics.iter().map(|metric| interval(&page, &metric.key)).collect();
    let drawn = intervals.iter().any(Option::is_some);
    let rows = page
        .detail
        .metrics
        .iter()
        .cloned()
        .zip(intervals)
        .map(|(metric, interval)| {
            let told = interval.map_or_else(|| meaning(&metric), Interval::meaning);
            let difference = match metric.champion.zip(metric.candidate).filter(|(a, b)| a.is_finite() && b.is_finite()) {
                Some((from, to)) => {
                    let word = (!told.word().is_empty()).then(|| view! { <span class="sub">{told.word()}</span> });
                    view! { <Delta text=format::signed(to - from) meaning=told/>{word} }.into_any()
                }
                None => view! { <span class="none">{format::NONE}</span> }.into_any(),
            };
            let line = drawn.then(|| {
                view! {
                    <td class="middle">{interval.map(Interval::drawn)}</td>
                    <td class="num muted wide">{interval.map(Interval::ends)}</td>
                }
            });
            view! {
                <tr>
                    <th scope="row"><span class="strong">{metric.key}</span><span class="sub">{metric.better.map(Better::words)}</span></th>
                    <td class="num"><Num value=metric.champion/></td>
                    <td class="num strong"><Num value=metric.candidate/></td>
                    <td class="num">{difference}</td>
                    {line}
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title=title id="metrics" actions=compare.into_any()>
            <Table label="Metrics" roomy=true>
                <thead>
                    <tr>
                        <Head label="Metric"/>
                        <Head label=champion.unwrap_or_else(|| "Champion".to_owned()) num=true/>
                        <Head label=ours num=true/>
                        <Head label="Difference" num=true/>
                        {drawn.then(|| view! { <Head label="Worse ← interval → better" class="middle"/><Head label="Interval" num=true class="wide"/> })}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}
