//! The page of a promotion: what is approved, on which evidence, by whom, and the decision.

use super::{decision::Decide, evidence, state};
use crate::{islands::LiveRegion, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    promotion::{PromotionDetail, PromotionState, Verdict},
    user::User,
};
use leptos::prelude::*;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct PromotionPage {
    /// The promotion with its evidence.
    pub detail: PromotionDetail,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Who looks.
    pub me: User,
    /// Whether the reader may withdraw it.
    pub may_withdraw: bool,
    /// Whether the reader may run its gates again.
    pub may_rerun: bool,
}

impl PromotionPage {
    fn passed(&self) -> usize {
        self.detail.gates.iter().filter(|gate| gate.verdict() == Verdict::Pass).count()
    }

    pub(super) fn needs(&self) -> u8 {
        self.detail.policy.document.rule.approvals
    }
}

/// The page of a promotion. Sends to `promotions/{number}/decisions`, `…/gates` and `…/withdraw`.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// The promotion.
    page: PromotionPage,
    /// What was typed to decide, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let topic = format!("promotion:{}", promotion.id);
    let events = promotion.state.is_open().then(|| links.events(&[topic]));
    let gates = page.detail.gates.len();
    let metrics = page.detail.metrics.len();
    let people = format!("{}/{}", page.detail.approvals.min(page.needs()), page.needs());
    let talk = page.events.len();
    view! {
        <Crumbs items=vec![
            Crumb::to("Models", links.models()),
            Crumb::to(promotion.model.clone(), links.model(&promotion.model)),
            Crumb::to("Promotions", links.promotions()),
            Crumb::here(format!("#{}", promotion.number)),
        ]/>
        <DetailHead page=page.clone() links=links.clone()/>
        <Summary page=page.clone()/>
        <Tabs
            label="On this page"
            sticky=true
            items=vec![
                Tab::new("Subject", "#subject").current(true),
                Tab::new("Gates", "#gates").count(gates),
                Tab::new("Metrics", "#metrics").count(metrics),
                Tab::new("Rules", "#rules").count(people),
                Tab::new("History", "#history").count(talk),
            ]
        />
        <div class="with-aside">
            <div class="stack" id="evidence" data-live="">
                <evidence::Sealed page=page.clone() links=links.clone()/>
                <evidence::Gates page=page.clone() links=links.clone()/>
                <evidence::Metrics page=page.clone()/>
                <evidence::People page=page.clone()/>
                <section id="history" aria-labelledby="history-title">
                    <h2 class="section-title" id="history-title">"History"<span class="n">{talk}</span></h2>
                    <Timeline events=page.events.clone() links=links.clone()/>
                </section>
            </div>
            <aside class="aside-sticky" aria-label="Decision">
                <Decide page=page.clone() links=links.clone() draft/>
            </aside>
        </div>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

#[component]
fn DetailHead(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let (shape, word) = state(promotion.state);
    let action = |verb: &str| format!("{}/{verb}", links.promotion(promotion.number));
    let withdraw = (page.may_withdraw && promotion.state.next().contains(&PromotionState::Withdrawn)).then(|| {
        view! {
            <Button text="Withdraw" kind=Kind::Danger opens="withdraw"/>
            <Confirm
                id="withdraw"
                title=format!("Withdraw promotion #{}?", promotion.number)
                action=action("withdraw")
                go="Withdraw it"
                keep="Keep it"
            >
                <p>"Its approvals end with it. You can request the same version again, and its gates run anew."</p>
            </Confirm>
        }
    });
    let reason = Some(promotion.state_reason.clone()).filter(|reason| !reason.is_empty()).map(|reason| {
        view! { <div class="mt-4"><Callout tone=shape.tone()>{reason}</Callout></div> }
    });
    let comment = Some(promotion.comment.clone()).filter(|comment| !comment.is_empty());
    let policy = format!("{} policy, revision {}", promotion.environment, page.detail.policy.revision);
    view! {
        <PageHead
            title=view! {
                {promotion.model.clone()}
                " "
                <span class="mono">{format!("v{}", promotion.version)}</span>
                " "
                <span class="to">"→"</span>
                " "
                {promotion.environment.clone()}
            }
                .into_any()
            badge=view! { <Badge state=shape word=word/> }.into_any()
            actions=view! {
                <ButtonLink text="Audit bundle" href=links.to(&format!("api/v1/promotions/{}/bundle", promotion.number))/>
                {withdraw}
            }
                .into_any()
            meta=view! {
                <span><Avatar name=promotion.requester.clone() size=AvatarSize::Small/>{promotion.requester.clone()}" requested "<When at=promotion.created_at/></span>
                <span><Icon symbol=Symbol::Cube/><a href=links.version(&promotion.model, promotion.version)>{promotion.version_title()}</a></span>
                <span><Icon symbol=Symbol::Shield/><a href=links.environment(&promotion.environment)>{policy}</a></span>
            }
                .into_any()
            live=true
        />
        {comment.map(|comment| view! { <p class="muted mt-2 breaks">{comment}</p> })}
        {reason}
    }
}

#[component]
fn Summary(page: PromotionPage) -> impl IntoView {
    let gates = page.detail.gates.len();
    let passed = page.passed();
    let unsure = page.detail.gates.iter().filter(|gate| gate.verdict() == Verdict::Inconclusive).count();
    let failed = page.detail.gates.iter().filter(|gate| gate.verdict() == Verdict::Fail).count();
    let pending = gates - passed - unsure - failed;
    let shape = match (failed, unsure, pending) {
        (0, 0, 0) => State::Passed,
        (0, 0, _) => State::Running,
        (0, _, _) => State::Unsure,
        _ => State::Failed,
    };
    let words = [(failed, "failed"), (unsure, "inconclusive"), (pending, "running")];
    let words: Vec<String> = words.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let gate_reason = if words.is_empty() { "Nothing failed".to_owned() } else { words.join(", ") };
    let needs = page.needs();
    let agreed = page.detail.approvals;
    let who = match needs {
        0 => "The policy asks nobody".to_owned(),
        1 => "1 approver, not the requester".to_owned(),
        many => format!("{many} different approvers, not the requester"),
    };
    let (better, worse) = page.detail.metrics.iter().fold((0, 0), |(better, worse), metric| {
        let meaning = evidence::meaning(metric);
        (better + i32::from(meaning == Meaning::Better), worse + i32::from(meaning == Meaning::Worse))
    });
    let against = page.detail.champion.map_or_else(
        || ("Champion".to_owned(), "None yet".to_owned(), "Nothing serves there now".to_owned()),
        |champion| {
            let reason = format!(
                "{} metrics on both sides",
                page.detail.metrics.iter().filter(|m| m.champion.is_some() && m.candidate.is_some()).count()
            );
            (format!("Against v{champion}"), format!("{better} better, {worse} worse"), reason)
        },
    );
    let digest = page.detail.promotion.subject_digest.clone();
    let sealed = digest.map_or_else(
        || ("–".to_owned(), "Written when the gates have run".to_owned()),
        |digest| (digest.short().to_owned(), "An approval counts for exactly this".to_owned()),
    );
    view! {
        <Answers
            label="Summary"
            id="summary"
            live=true
            items=vec![
                Answer {
                    question: "Gates".to_owned(),
                    value: view! { <StateMark state=shape word=format!("{passed} of {gates} pass")/> }.into_any(),
                    reason: gate_reason.into_any(),
                    href: "#gates".to_owned(),
                },
                Answer {
                    question: "Approvals".to_owned(),
                    value: format!("{} of {needs}", agreed.min(needs)).into_any(),
                    reason: who.into_any(),
                    href: "#rules".to_owned(),
                },
                Answer { question: against.0, value: against.1.into_any(), reason: against.2.into_any(), href: "#metrics".to_owned() },
                Answer {
                    question: "Digest".to_owned(),
                    value: view! { <code>{sealed.0}</code> }.into_any(),
                    reason: sealed.1.into_any(),
                    href: "#subject".to_owned(),
                },
            ]
        />
    }
}
