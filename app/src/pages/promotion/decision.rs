//! The decision, always in view: beside the evidence, and on a phone a sheet that the bar at the bottom opens.

use super::{detail::PromotionPage, state};
use crate::ui::prelude::*;
use domain::promotion::{DecisionVerdict, PromotionState};
use leptos::prelude::*;

/// The form, or why there is none. Sends `verdict`, `comment` and `subject_digest` to `promotions/{number}/decisions`.
#[component]
pub(super) fn Decide(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let mine = page.detail.eligible.iter().find(|person| person.user.id == page.me.id).cloned();
    let barred = mine.as_ref().and_then(|person| person.barred.clone());
    let decided = mine.as_ref().and_then(|person| person.decision);
    let asked =
        promotion.state == PromotionState::AwaitingApproval && barred.is_none() && decided.is_none() && mine.is_some();
    // What was refused is told beside the form, as long as there is something to decide.
    let again = draft.is_refused() && promotion.state == PromotionState::AwaitingApproval;
    let Some(digest) = promotion.subject_digest.clone().filter(|_| asked || again) else {
        return view! { <Standing page barred decided/> }.into_any();
    };
    let action = format!("{}/decisions", links.promotion(promotion.number));
    let (needs, agreed) = (page.needs(), page.detail.approvals);
    let version = promotion.version;
    let environment = promotion.environment.clone();
    view! {
        <section class="decide" id="decide" popover="" aria-labelledby="decide-title">
            <header>
                <h2 id="decide-title">"Your decision"</h2>
                <p>"You decide as "<b class="strong">{page.me.name.clone()}</b>{format!(", {} of {needs} agreed so far.", agreed.min(needs))}</p>
                <button class="icon-btn" type="button" popovertarget="decide" popovertargetaction="hide" aria-label="Close">
                    <Icon symbol=Symbol::Close/>
                </button>
            </header>
            <form method="post" action=action>
                <FormErrors draft=draft.clone() fields=&["comment"]/>
                <input type="hidden" name="subject_digest" value=digest.as_str().to_owned()/>
                <p class="muted">"Your decision names digest "<code>{digest.short().to_owned()}</code>". It falls away when anything behind it changes."</p>
                <TextArea label="Comment" name="comment" hint="A rejection needs one." optional=true draft=draft.clone()/>
                <button class="btn primary lg block" type="submit" name="verdict" value="approve">
                    <Icon symbol=Symbol::Pass/>
                    {format!("Approve v{version} for {environment}")}
                </button>
                <button class="btn danger block" type="submit" name="verdict" value="reject">"Reject"</button>
            </form>
        </section>
        <div class="actionbar" role="region" aria-label="Decide">
            <p>
                <StateMark state=State::Waiting word="Waits for you"/>
                <span class="ellipsis">{format!("{} of {needs} agreed", agreed.min(needs))}</span>
            </p>
            <div class="row">
                <button class="btn primary lg" type="button" popovertarget="decide">"Decide"</button>
                <a class="btn lg" href="#gates">"Evidence"</a>
            </div>
        </div>
    }
    .into_any()
}

/// Where it stands, for those who are not asked.
#[component]
fn Standing(page: PromotionPage, barred: Option<String>, decided: Option<DecisionVerdict>) -> impl IntoView {
    let promotion = page.detail.promotion;
    let (shape, word) = state(promotion.state);
    let text = match (promotion.state, decided, barred) {
        (_, Some(DecisionVerdict::Approve), _) => "You approved this.".to_owned(),
        (_, Some(DecisionVerdict::Reject), _) => "You rejected this.".to_owned(),
        (PromotionState::AwaitingApproval, None, Some(barred)) => format!("You may not decide: {}", of_reader(&barred)),
        (PromotionState::AwaitingApproval, None, None) => "Approvers of this workspace are asked.".to_owned(),
        (PromotionState::GatesRunning, ..) => "People are asked when every gate has passed.".to_owned(),
        (PromotionState::Blocked, ..) => {
            "A gate failed or could not tell. Mend its cause and run the gates again, or withdraw the request."
                .to_owned()
        }
        (PromotionState::Approved | PromotionState::Deploying, ..) => {
            "It is being brought into the environment by itself.".to_owned()
        }
        (PromotionState::Live, ..) => format!("v{} answers in {} now.", promotion.version, promotion.environment),
        _ => "It has ended. A new request starts from its gates.".to_owned(),
    };
    view! {
        <Panel title="Where it stands" id="standing" lead=view! { <StateMark state=shape word=word/> }.into_any() live=true>
            <Body><p>{text}</p></Body>
        </Panel>
    }
}

/// What is said of somebody, said to them.
fn of_reader(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let lower: String = letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default();
    match lower.strip_prefix("is ") {
        Some(rest) => format!("you are {rest}"),
        None if lower.starts_with("a ") => lower,
        None => format!("you {lower}"),
    }
}
