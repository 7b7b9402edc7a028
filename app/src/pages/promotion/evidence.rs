//! The evidence of a promotion, in the order an approver doubts it: what it is, the gates, the metrics, the people.

use super::detail::PromotionPage;
use crate::{format, ui::prelude::*};
use domain::{
    environment::Better,
    promotion::{DecisionVerdict, Gate, MetricComparison, PromotionState, Verdict},
};
use leptos::prelude::*;

/// What is approved: the parts of the digest.
#[component]
pub(super) fn Sealed(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let Some((subject, digest)) = promotion.subject.clone().zip(promotion.subject_digest.clone()) else {
        return view! {
            <Panel title="What is approved" id="subject">
                <Body><p class="muted">"Written down when the gates have run: model, data, code, evidence and policy under one digest."</p></Body>
            </Panel>
        }
        .into_any();
    };
    let part = |name: &'static str, value: AnyView, digest: Option<String>| {
        view! {
            <li>
                <span class="k">{name}</span>
                <span class="v">{value}</span>
                {digest.map(|digest| view! { <span class="mono">{digest}</span> })}
            </li>
        }
    };
    let data = match subject.datasets.as_slice() {
        [] => ("Not logged".to_owned(), None),
        [(name, digest)] => (name.clone(), Some(digest.clone())),
        [(name, _), rest @ ..] => (format!("{name} and {} more", rest.len()), None),
    };
    let code = subject.code.clone().map_or_else(|| "Not logged".to_owned(), |commit| commit.chars().take(7).collect());
    let inputs = subject.signature.as_ref().map_or(0, |signature| signature.inputs.len());
    let signature = match inputs {
        0 => "No signature".to_owned(),
        1 => "1 input".to_owned(),
        many => format!("{many} inputs"),
    };
    let version = links.version(&subject.model, subject.version);
    let environment = links.environment(&subject.environment);
    let gates = format!("{} gates", page.detail.gates.len());
    let (state, place) = (page.detail.promotion.state, &subject.environment);
    let foot = match &subject.champion {
        Some(champion) if state.is_open() => format!("It would replace {champion}, which serves in {place} now."),
        Some(champion) => format!("{champion} served in {place} at that time."),
        None if state.is_open() => format!("Nothing serves in {place} yet."),
        None => format!("Nothing served in {place} at that time."),
    };
    view! {
        <Panel
            title="What is approved"
            id="subject"
            lead=view! { <DigestText digest/> }.into_any()
            actions=view! { <span class="note wide">"An approval counts for exactly this digest"</span> }.into_any()
            foot=foot.into_any()
        >
            <ol class="seal">
                {part("Model", view! { <a href=version>{format!("v{}", subject.version)}</a> }.into_any(), subject.model_digest.map(|digest| digest.short().to_owned()))}
                {part("Data", data.0.into_any(), data.1)}
                {part("Code", code.into_any(), None)}
                {part("Signature", signature.into_any(), None)}
                {part("Evidence", view! { <a href="#gates">{gates}</a> }.into_any(), Some(subject.evidence_digest.short().to_owned()))}
                {part(
                    "Policy",
                    view! { <a href=environment>{format!("revision {}", page.detail.policy.revision)}</a> }.into_any(),
                    Some(subject.policy_digest.short().to_owned()),
                )}
            </ol>
        </Panel>
    }
    .into_any()
}

/// Each gate: the verdict, the measured value and its limit, and why.
#[component]
pub(super) fn Gates(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = &page.detail.promotion;
    let action = format!("{}/gates", links.promotion(promotion.number));
    let again = page.may_rerun && promotion.state.next().contains(&PromotionState::GatesRunning);
    let ran = page.detail.gates.iter().filter_map(|gate| gate.evaluated_at).max();
    let note = ran.map(|at| format!("ran {}", format::relative(at, now())));
    let rows = page.detail.gates.iter().cloned().map(|gate| view! { <GateRow gate/> }).collect_view();
    let none = page.detail.gates.is_empty();
    view! {
        <Panel
            title="Gates"
            id="gates"
            note=note.unwrap_or_default()
            actions=again.then(|| view! { <Act action text="Run again" kind=Kind::Ghost symbol=Symbol::Redo/> }).into_any()
        >
            {none.then(|| view! { <Body><p class="muted">"The policy has no gates."</p></Body> })}
            <ul class="gates">{rows}</ul>
        </Panel>
    }
}

#[component]
fn GateRow(gate: Gate) -> impl IntoView {
    let (shape, word, mark) = match gate.verdict() {
        Verdict::Pass => (State::Passed, "Passed", "ok"),
        Verdict::Fail => (State::Failed, "Failed", "fail"),
        Verdict::Inconclusive => (State::Unsure, "Inconclusive", "warn"),
        Verdict::Pending if gate.finding.is_some() => (State::Waiting, "Waits", "warn"),
        Verdict::Pending => (State::Running, "Running", "ok"),
    };
    let (reason, measured, limit) = gate.finding.map_or_else(
        || ("Being evaluated".to_owned(), String::new(), String::new()),
        |finding| (finding.reason, finding.measured, finding.limit),
    );
    view! {
        <li data-s=mark>
            <StateMark state=shape word=word/>
            <div class="what"><div class="t">{gate.spec.title()}</div><div class="sub">{reason}</div></div>
            <div class="m"><span class="strong">{measured}</span><span class="sub">{limit}</span></div>
        </li>
    }
}

/// What the difference between candidate and champion means.
pub(super) fn meaning(metric: &MetricComparison) -> Meaning {
    match (metric.champion, metric.candidate) {
        (Some(champion), Some(candidate)) => Meaning::of(champion, candidate, metric.better),
        _ => Meaning::Plain,
    }
}

/// The candidate's metrics beside the champion's.
#[component]
pub(super) fn Metrics(page: PromotionPage) -> impl IntoView {
    let champion = page.detail.champion.map(|champion| format!("v{champion}"));
    let title = champion.as_ref().map_or_else(|| "Metrics".to_owned(), |version| format!("Metrics against {version}"));
    let ours = format!("v{}", page.detail.promotion.version);
    let none = page.detail.metrics.is_empty();
    let rows = page
        .detail
        .metrics
        .iter()
        .cloned()
        .map(|metric| {
            view! {
                <tr>
                    <th scope="row"><span class="strong mono">{metric.key}</span><span class="sub">{metric.better.map(Better::words)}</span></th>
                    <td class="num"><Num value=metric.champion/></td>
                    <td class="num strong"><Num value=metric.candidate/></td>
                    <td class="num"><Difference from=metric.champion to=metric.candidate better=metric.better/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title=title id="metrics">
            {if none {
                view! { <Body><p class="muted">"The version's run logged no metrics."</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Metrics" roomy=true>
                        <thead>
                            <tr>
                                <Head label="Metric"/>
                                <Head label=champion.unwrap_or_else(|| "Champion".to_owned()) num=true/>
                                <Head label=ours num=true/>
                                <Head label="Difference" num=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// Who must agree, who did, and who may not and why.
#[component]
pub(super) fn People(page: PromotionPage) -> impl IntoView {
    let (needs, agreed) = (page.needs(), page.detail.approvals);
    let met = agreed >= needs;
    let left = needs.saturating_sub(agreed);
    let need = match needs {
        0 => "Nobody is asked".to_owned(),
        1 => "1 approver, not the requester".to_owned(),
        many => format!("{many} different approvers, not the requester"),
    };
    let awaiting = page.detail.promotion.state == PromotionState::AwaitingApproval;
    let decisions = page.detail.decisions.clone();
    let me = page.me.id;
    let digest = page.detail.promotion.subject_digest.clone();
    let rows = page
        .detail
        .eligible
        .iter()
        .cloned()
        .map(|person| {
            let decision = decisions.iter().rev().find(|decision| {
                decision.user_id == person.user.id && Some(&decision.subject_digest) == digest.as_ref()
            });
            let (shape, word) = match (&person.barred, person.decision) {
                (_, Some(DecisionVerdict::Approve)) => (State::Passed, "Approved"),
                (_, Some(DecisionVerdict::Reject)) => (State::Failed, "Rejected"),
                (Some(_), None) => (State::Skipped, "May not"),
                (None, None) if met || !awaiting => (State::Queued, "Not asked"),
                (None, None) => (State::Queued, "Can approve"),
            };
            let why = match (decision, &person.barred) {
                (Some(decision), _) => {
                    let when = format::relative(decision.at, now());
                    if decision.comment.is_empty() { when } else { format!("{when}: “{}”", decision.comment) }
                }
                (None, Some(barred)) => barred.clone(),
                (None, None) => String::new(),
            };
            view! {
                <li class=person.barred.is_some().then_some("barred")>
                    <Avatar name=person.user.name.clone() machine=person.user.is_service/>
                    <span class="who">
                        {person.user.name}
                        {(person.user.id == me).then(|| view! { " "<Tag text="you"/> })}
                    </span>
                    <StateMark state=shape word=word/>
                    <span class="why">{why}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <Panel title="Rules" id="rules" note=format!("{} policy, revision {}", page.detail.promotion.environment, page.detail.policy.revision)>
            <article class="rule">
                <header>
                    <h3>"Approvers"</h3>
                    <span class="need">{need}</span>
                    {if met {
                        view! { <StateMark state=State::Passed word="Met"/> }
                    } else {
                        view! { <StateMark state=State::Waiting word=format!("Needs {left}")/> }
                    }}
                </header>
                <ul class="people">{rows}</ul>
            </article>
        </Panel>
    }
}
