//! Gates or a freeze that two people set aside: the banner that tells of it, and the forms that ask, confirm and review.

use super::detail::PromotionPage;
use crate::{format, ui::prelude::*};
use domain::{
    freeze::Standing,
    promotion::{Override, OverrideKind, PromotionState},
};
use leptos::prelude::*;

/// What is set aside, as a noun.
fn noun(kind: OverrideKind) -> &'static str {
    match kind {
        OverrideKind::Gates => "gates",
        OverrideKind::Freeze => "freeze",
    }
}

/// Each override, loud until its review is closed.
#[component]
pub(super) fn Banners(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    let here = links.promotion(page.detail.promotion.number);
    let digest = page.detail.promotion.subject_digest.clone();
    let all = page.detail.overrides.clone();
    let banners = all
        .into_iter()
        .map(|one| {
            let stale = digest.as_ref() != Some(&one.subject_digest);
            let form = format!("override-{}", one.id);
            let draft = if draft.value("override") == Some(one.id.to_string().as_str()) {
                draft.clone()
            } else {
                Draft::default()
            };
            view! { <Banner page=page.clone() one here=here.clone() stale form draft/> }
        })
        .collect_view();
    view! { <div id="overrides" data-live="">{banners}</div> }
}

#[component]
fn Banner(page: PromotionPage, one: Override, here: String, stale: bool, form: String, draft: Draft) -> impl IntoView {
    let me = page.me.id;
    let took_part = one.opened_by == me || one.confirmed_by == Some(me);
    let what = noun(one.kind);
    let reason = one.reason.clone();
    if let (Some(reviewer), Some(review), Some(at)) = (&one.reviewer, &one.review, one.reviewed_at) {
        let words =
            format!("The {what} were overridden by {} and {}.", one.opener, one.confirmer.clone().unwrap_or_default());
        let words = if one.kind == OverrideKind::Freeze { words.replace(" were ", " was ") } else { words };
        let (reviewer, review) = (reviewer.clone(), review.clone());
        return view! {
            <div class="callout override done" id=form>
                <Icon symbol=Symbol::Shield/>
                <div><b>{words}</b>" "{reviewer}" reviewed it "<When at/>": “"{review}"”"</div>
            </div>
        }
        .into_any();
    }
    let confirmed = one.confirmed_at.is_some();
    let action = |verb: &str| format!("{here}/overrides/{}/{verb}", one.id);
    let inner = if confirmed {
        let due = one.review_due_at.map(|due| {
            let late = due < now();
            let words = if late {
                format!("Its review was due {}", format::minute(due))
            } else {
                format!("Its review is due by {}", format::minute(due))
            };
            view! { <p>{words}"."</p> }
        });
        let may = page.may.review && !took_part;
        let review = may.then(|| {
            view! {
                <form class="stack" method="post" action=action("review")>
                    <input type="hidden" name="do" value="review"/>
                    <input type="hidden" name="override" value=one.id.to_string()/>
                    <FormErrors draft=draft.clone() fields=&["review"]/>
                    <TextArea label="Review" name="review" id=format!("{form}-review") rows=2 hint="Was it right? What is done so that it is not needed again?" draft/>
                    <div><Button text="Close the review" kind=Kind::Primary/></div>
                </form>
            }
        });
        let who = (!may).then(|| view! { <p>"Somebody else, an approver or admin, closes the review here."</p> });
        view! { {due}{review}{who} }.into_any()
    } else if stale || !page.detail.promotion.state.may_expire() {
        view! { <p>"Nobody confirmed it, and what it was for is no more."</p> }.into_any()
    } else {
        let requester =
            page.detail.promotion.requested_by == Some(me) || page.detail.promotion.on_behalf_of == Some(me);
        let may = page.may.review && !took_part && !requester;
        let confirm = may.then(|| {
            view! {
                <form class="inline" method="post" action=action("confirm")>
                    <input type="hidden" name="do" value="confirm"/>
                    <input type="hidden" name="override" value=one.id.to_string()/>
                    <FormErrors draft/>
                    <Button text="Confirm the override" kind=Kind::Danger/>
                </form>
            }
        });
        let who = (!may).then(|| view! { <p>"Nothing happens until somebody else confirms it."</p> });
        view! { {confirm}{who} }.into_any()
    };
    let (tone, title) = match (confirmed, one.kind) {
        (true, OverrideKind::Gates) => ("fail", "The gates are overridden"),
        (true, OverrideKind::Freeze) => ("fail", "The freeze is overridden"),
        (false, OverrideKind::Gates) => ("warn", "Overriding the gates is asked for"),
        (false, OverrideKind::Freeze) => ("warn", "Overriding the freeze is asked for"),
    };
    let confirmer = one.confirmer.clone().map(|name| format!(", confirmed by {name}"));
    view! {
        <section class="callout override" data-s=tone id=form role="note">
            <Icon symbol=Symbol::Warn/>
            <div class="stack tight">
                <p><b>{title}</b>" by "{one.opener.clone()}{confirmer}", "<When at=one.confirmed_at.unwrap_or(one.opened_at)/></p>
                <p class="quoted">"“"{reason}"”"</p>
                {inner}
            </div>
        </section>
    }
    .into_any()
}

/// What could be set aside now.
fn possible(page: &PromotionPage) -> Option<OverrideKind> {
    let state = page.detail.promotion.state;
    let kind = match (state, &page.freeze) {
        (PromotionState::Blocked, _) => OverrideKind::Gates,
        (
            PromotionState::AwaitingApproval | PromotionState::Approved | PromotionState::Scheduled,
            Some(Standing::Closed { may_override: true, .. }),
        ) => OverrideKind::Freeze,
        _ => return None,
    };
    let digest = page.detail.promotion.subject_digest.as_ref()?;
    let asked = page.detail.overrides.iter().any(|one| one.kind == kind && one.subject_digest == *digest);
    (page.may.override_gates && !asked).then_some(kind)
}

/// The form that asks for it: closed until one opens it, and open when it was refused.
#[component]
pub(super) fn Ask(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    let Some(kind) = possible(&page) else { return ().into_any() };
    let action = format!("{}/overrides", links.promotion(page.detail.promotion.number));
    let (title, text) = match kind {
        OverrideKind::Gates => (
            "Override the gates…",
            "For emergencies. Somebody else must confirm it, it is told to everybody, and a third person reviews it within 3 days. People are asked all the same.",
        ),
        OverrideKind::Freeze => (
            "Override the freeze…",
            "For emergencies. Somebody else must confirm it, it is told to everybody, and a third person reviews it within 3 days.",
        ),
    };
    let open = draft.is_refused();
    view! {
        <details class="panel break-glass" id="override" open=open>
            <summary><Icon symbol=Symbol::Warn/>{title}</summary>
            <form class="body stack" method="post" action=action>
                <input type="hidden" name="do" value="override"/>
                <input type="hidden" name="kind" value=kind.as_str()/>
                <p class="muted small">{text}</p>
                <FormErrors draft=draft.clone() fields=&["reason"]/>
                <TextArea label="Why it cannot wait" name="reason" rows=3 draft/>
                <div><Button text="Ask for the override" kind=Kind::Danger/></div>
            </form>
        </details>
    }
    .into_any()
}
