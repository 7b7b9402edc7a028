//! The page of a promotion: what is approved, on which evidence, by whom, and the decision.

use super::{
    changes,
    decision::Decide,
    discussion::Discussion,
    gates, metrics, overrides, replay,
    rules::{Ballot, Rules},
    state, subject,
};
use crate::{format, islands::LiveRegion, pages::comment::ShownComment, ui::prelude::*};
use chrono::{DateTime, Utc};
use domain::{
    audit::AuditEvent,
    freeze::Standing,
    promotion::{PromotionDetail, PromotionReplay, PromotionState, Subject, Verdict},
    text_diff::TextDiff,
    user::User,
    version_diff::{VersionDiff, VersionSide},
};
use leptos::prelude::*;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct PromotionPage {
    /// The promotion with its evidence.
    pub detail: PromotionDetail,
    /// What happened to it, oldest first.
    pub events: Vec<AuditEvent>,
    /// What people said, oldest first.
    pub comments: Vec<ShownComment>,
    /// Names of the workspace's people, to be mentioned.
    pub people: Vec<String>,
    /// Who looks.
    pub me: User,
    /// What the reader may do.
    pub may: May,
    /// What serves there now, and was promoted on this.
    pub serves: Option<Serving>,
    /// What is different from the version that serves there now.
    pub changed: Option<Box<Changed>>,
    /// What it would have answered to the last recorded predictions; none when nobody asked for that.
    pub replay: Option<PromotionReplay>,
    /// Whether freezes let it be deployed now; none when that is past.
    pub freeze: Option<Standing>,
}

/// What the reader may do with a promotion, whatever its state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a button")]
pub struct May {
    /// Take it back, or submit the draft.
    pub withdraw: bool,
    /// Run its gates, or ask again for it.
    pub request: bool,
    /// Ask for gates or a freeze to be set aside.
    pub override_gates: bool,
    /// Confirm that, or review it.
    pub review: bool,
    /// Say something.
    pub comment: bool,
}

/// What serves where a promotion wants to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Serving {
    /// The version's number.
    pub version: i32,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// What people agreed to then; none when no promotion is known.
    pub subject: Option<Subject>,
}

/// A version beside the one that serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The one that serves.
    pub before: VersionSide,
    /// The one to be promoted.
    pub after: VersionSide,
    /// What is different.
    pub diff: VersionDiff,
    /// What is different in the model's card since that one was live; none when that is not known.
    pub card: Option<TextDiff>,
}

impl PromotionPage {
    /// The gates that must pass, with this verdict.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.detail.gates.iter().filter(|gate| !gate.advisory && gate.verdict() == verdict).count()
    }

    /// What people vote on.
    pub(super) fn ballot(&self) -> Ballot {
        Ballot {
            rules: self.detail.rules.clone(),
            decisions: self.detail.decisions.clone(),
            digest: self.detail.promotion.subject_digest.clone(),
            awaiting: self.detail.promotion.state == PromotionState::AwaitingApproval,
            me: self.me.id,
            nobody: "No policy asks anybody: it goes on when its gates have passed.",
        }
    }

    /// How many rules are met.
    pub(super) fn met(&self) -> usize {
        self.detail.rules.iter().filter(|rule| rule.met).count()
    }

    /// Whether it is open and nobody has ended it.
    pub(super) fn is_open(&self) -> bool {
        self.detail.promotion.state.is_open()
    }
}

/// The page of a promotion. Sends to `promotions/{number}/decisions`, `…/gates`, `…/replay`, `…/submit`, `…/withdraw`, `…/again`,
/// `…/overrides`, `…/overrides/{id}/confirm`, `…/overrides/{id}/review` and `…/comments`.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// The promotion.
    page: PromotionPage,
    /// What was typed into one of its forms, which says which as `do`, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let topic = format!("promotion:{}", promotion.id);
    let events = promotion.state.is_open().then(|| links.events(&[topic]));
    let talk = page.comments.len();
    let mut tabs = vec![
        Tab::new("Subject", "#subject").current(true),
        Tab::new("Gates", "#gates").count(page.detail.gates.len()),
        Tab::new("Metrics", "#metrics").count(page.detail.metrics.len()),
    ];
    if let Some(changed) = &page.changed {
        tabs.push(Tab::new("Changes", "#changes").count(changes::count(changed)));
    }
    if replay::is_shown(&page) {
        tabs.push(Tab::new(replay::title(&page), "#flips"));
    }
    tabs.push(Tab::new("Rules", "#rules").count(format!("{}/{}", page.met(), page.detail.rules.len())));
    tabs.push(Tab::new("Discussion", "#discussion").count(talk));
    view! {
        <Crumbs items=vec![
            Crumb::to("Models", links.models()),
            Crumb::to(promotion.model.clone(), links.model(&promotion.model)),
            Crumb::to("Promotions", links.promotions()),
            Crumb::here(format!("#{}", promotion.number)),
        ]/>
        <DetailHead page=page.clone() links=links.clone()/>
        <overrides::Banners page=page.clone() links=links.clone() draft=draft.clone()/>
        <Summary page=page.clone()/>
        <Tabs label="On this page" sticky=true items=tabs/>
        <div class="with-aside">
            <div class="stack" id="evidence" data-live="">
                <subject::Sealed page=page.clone() links=links.clone()/>
                <gates::Gates page=page.clone() links=links.clone()/>
                <metrics::Metrics page=page.clone() links=links.clone()/>
                <changes::Changes page=page.clone() links=links.clone()/>
                <replay::Flips page=page.clone() links=links.clone() draft=draft.of_form("replay")/>
                <Rules ballot=page.ballot() links=links.clone()/>
                <Discussion page=page.clone() links=links.clone() draft=draft.of_form("comment")/>
            </div>
            <aside class="aside-sticky" aria-label="Decision">
                <Decide page=page.clone() links=links.clone() draft=draft.of_form("decide")/>
                <overrides::Ask page=page.clone() links=links.clone() draft=draft.of_form("override")/>
                <Validity page=page.clone() links=links.clone()/>
            </aside>
        </div>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

/// How long a request has left, in words.
pub(super) fn time_left(until: DateTime<Utc>) -> String {
    let left = until - now();
    if left.num_seconds() <= 0 { "over".to_owned() } else { format::coarse(left) }
}

#[component]
fn DetailHead(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let (shape, word) = state(promotion.state);
    let action = |verb: &str| format!("{}/{verb}", links.promotion(promotion.number));
    let may_withdraw = page.may.withdraw && promotion.state.next().contains(&PromotionState::Withdrawn);
    let withdraw = may_withdraw.then(|| {
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
    let submit = (page.may.withdraw && promotion.state == PromotionState::Draft)
        .then(|| view! { <Act action=action("submit") text="Submit" kind=Kind::Primary symbol=Symbol::Promote/> });
    let ended = !promotion.state.is_open() && promotion.state != PromotionState::Live;
    let again = (ended && page.may.request)
        .then(|| view! { <Act action=action("again") text="Request again" kind=Kind::Primary symbol=Symbol::Redo/> });
    let policies = page
        .detail
        .policies
        .policies()
        .iter()
        .map(|policy| {
            let href = format!("{}?revision={}", links.policy(&policy.name), policy.revision);
            view! { <span><Icon symbol=Symbol::Shield/><a href=href>{policy.title()}</a></span> }
        })
        .collect_view();
    let expires = promotion.state.may_expire().then(|| {
        let words = format!("Expires in {}, {}", time_left(promotion.expires_at), format::minute(promotion.expires_at));
        view! { <span><Icon symbol=Symbol::Wait/>{words}</span> }
    });
    let former = promotion.again.map(|former| {
        let href = links.promotion(former);
        view! { <span><Icon symbol=Symbol::Redo/>"asks again for "<a href=href>{format!("#{former}")}</a></span> }
    });
    let comment = Some(promotion.comment.clone()).filter(|comment| !comment.is_empty());
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
                {withdraw}{submit}{again}
            }
                .into_any()
            meta=view! {
                <span><Avatar name=promotion.requester.clone() size=AvatarSize::Small/>{promotion.requester.clone()}" requested "<When at=promotion.created_at/></span>
                <span><Icon symbol=Symbol::Cube/><a href=links.version(&promotion.model, promotion.version)>{promotion.version_title()}</a></span>
                <span><Icon symbol=Symbol::Layers/><a href=links.environment(&promotion.environment)>{promotion.environment.clone()}</a></span>
                {policies}
                {former}
                {expires}
            }
                .into_any()
            live=true
        />
        {comment.map(|comment| view! { <p class="said-why">{comment}</p> })}
        <Why page/>
    }
}

/// Why it stands where it stands, where that needs a word.
#[component]
fn Why(page: PromotionPage) -> impl IntoView {
    let promotion = page.detail.promotion;
    let (shape, _) = state(promotion.state);
    let reason =
        Some(promotion.state_reason).filter(|reason| !reason.is_empty()).map(|reason| format::capitalised(&reason));
    view! {
        <div id="why" data-live="">
            {reason.map(|reason| view! { <div class="mt-4"><Callout tone=shape.tone() symbol=shape.symbol()>{reason}</Callout></div> })}
        </div>
    }
}

/// What would end it by itself.
#[component]
fn Validity(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    if !promotion.state.may_expire() || promotion.state == PromotionState::Draft {
        return ().into_any();
    }
    let serves = match &page.serves {
        Some(serving) => format!("v{} is no longer what serves in {}", serving.version, promotion.environment),
        None => format!("another version begins to serve in {}", promotion.environment),
    };
    let ttl = page.detail.policies.evidence_ttl();
    let oldest = page.detail.gates.iter().filter(|gate| !gate.advisory).filter_map(|gate| gate.evaluated_at).min();
    let evidence = ttl.zip(oldest).map(|(ttl, oldest)| {
        let until = oldest + ttl.delta();
        view! { <li>{format!("what its gates found is older than {ttl}, {}", format::minute(until))}</li> }
    });
    let frozen = match &page.freeze {
        Some(Standing::Open { until: Some(until) }) => {
            Some(format!("It can be deployed until {}, when a freeze begins.", format::minute(*until)))
        }
        Some(Standing::Closed { because, opens_at, .. }) => {
            let names: Vec<&str> = because.iter().map(|freeze| freeze.name.as_str()).collect();
            let opens = opens_at.map_or_else(String::new, |at| format!(" until {}", format::minute(at)));
            Some(format!("{} keeps it from being deployed{opens}.", names.join(", ")))
        }
        _ => None,
    };
    let freezes = links.freezes();
    view! {
        <Panel title=format!("Valid for {}", time_left(promotion.expires_at)) id="validity" live=true>
            <Body tight=true>
                <p class="muted small">{format!("Expires {}. It ends by itself before that when", format::minute(promotion.expires_at))}</p>
                <ul class="ends">
                    <li>"a part of the subject changes"</li>
                    <li>{serves}</li>
                    <li>"a policy that holds for it becomes stricter"</li>
                    <li>"somebody whose yes it needs no longer counts"</li>
                    {evidence}
                </ul>
                {frozen.map(|frozen| view! { <p class="small"><a href=freezes>{frozen}</a></p> })}
            </Body>
        </Panel>
    }
    .into_any()
}

#[component]
fn Summary(page: PromotionPage) -> impl IntoView {
    let promotion = &page.detail.promotion;
    let gates = page.detail.gates.iter().filter(|gate| !gate.advisory).count();
    let (passed, unsure, failed) =
        (page.count(Verdict::Pass), page.count(Verdict::Inconclusive), page.count(Verdict::Fail));
    let pending = gates - passed - unsure - failed;
    let advisory = page.detail.gates.iter().filter(|gate| gate.advisory && gate.verdict() == Verdict::Fail).count();
    let shape = match (failed, unsure, pending) {
        (0, 0, 0) => State::Passed,
        (0, 0, _) if promotion.state == PromotionState::Draft => State::Queued,
        (0, 0, _) if page.is_open() => State::Running,
        (0, 0, _) => State::Skipped,
        (0, _, _) => State::Unsure,
        _ => State::Failed,
    };
    let to_come = if promotion.state == PromotionState::GatesRunning { "running" } else { "not run" };
    let words = [(failed, "failed"), (unsure, "inconclusive"), (pending, to_come), (advisory, "advisory failed")];
    let words: Vec<String> = words.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let gate_reason = match (gates, words.is_empty()) {
        (0, true) => "No policy asks for one".to_owned(),
        (_, true) => "Nothing failed".to_owned(),
        _ => words.join(", "),
    };
    let (met, rules) = (page.met(), page.detail.rules.len());
    let open: Vec<&str> =
        page.detail.rules.iter().filter(|rule| !rule.met).map(|rule| rule.rule.name.as_str()).collect();
    let who = match (rules, open.as_slice()) {
        (0, _) => "Nobody is asked".to_owned(),
        (_, []) => "Everybody asked has agreed".to_owned(),
        (_, [one]) => format!("{} to go", format::capitalised(one)),
        (_, many) => format!("{} to go", format::capitalised(&many.join(", "))),
    };
    let against = metrics::summary(&page);
    let subject = match (&promotion.subject_digest, subject::changed(&page)) {
        (None, _) => ("–".to_owned(), "Written down with its gates".to_owned()),
        (Some(digest), Some(0)) => (digest.short().to_owned(), "The same as what serves".to_owned()),
        (Some(digest), Some(n)) => (digest.short().to_owned(), format!("{n} of 6 parts differ from what serves")),
        (Some(digest), None) => (digest.short().to_owned(), "An approval counts for exactly this".to_owned()),
    };
    let valid = match promotion.state {
        _ if promotion.state.may_expire() => {
            (time_left(promotion.expires_at), format!("until {}", format::minute(promotion.expires_at)))
        }
        PromotionState::Live => ("Live".to_owned(), format!("since {}", format::minute(promotion.updated_at))),
        _ if promotion.state.is_under_way() => ("Now".to_owned(), "It is on its way".to_owned()),
        _ => ("Ended".to_owned(), format::minute(promotion.updated_at)),
    };
    let answer = |question: &str, value: AnyView, reason: String, href: &str| Answer {
        question: question.to_owned(),
        value,
        reason: reason.into_any(),
        href: href.to_owned(),
    };
    // The subject stands right below; what flips stands further down.
    let fourth = match replay::summary(&page) {
        Some((value, reason)) => answer(replay::title(&page), value, reason, "#flips"),
        None => answer("Subject", view! { <code>{subject.0}</code> }.into_any(), subject.1, "#subject"),
    };
    let gate_word = if gates == 0 { "No gates".to_owned() } else { format!("{passed} of {gates} pass") };
    let rule_word = if rules == 0 { "No rules".to_owned() } else { format!("{met} of {rules} met") };
    view! {
        <Answers
            label="Summary"
            id="summary"
            live=true
            items=vec![
                answer("Gates", view! { <StateMark state=shape word=gate_word/> }.into_any(), gate_reason, "#gates"),
                answer("Rules", rule_word.into_any(), who, "#rules"),
                answer(&against.0, against.1, against.2, "#metrics"),
                fourth,
                answer("Valid for", valid.0.into_any(), valid.1, "#validity"),
            ]
        />
    }
}
