//! A step that asks people: what it is about, who is asked and what they said, and the form that decides.

use crate::{
    format,
    pages::promotion::{Asks, Ballot, Rules, named},
    ui::prelude::*,
};
use domain::{
    promotion::DecisionVerdict,
    step_approval::{ApprovalState, StepApproval},
    user::User,
};
use leptos::prelude::*;

/// What the page of a run shows of a step that asks.
#[derive(Debug, Clone)]
pub struct ApprovalView {
    /// What it asks.
    pub approval: StepApproval,
    /// Who is asked, and what they said.
    pub ballot: Ballot,
    /// Who looks.
    pub me: User,
}

fn state(state: ApprovalState) -> (State, &'static str) {
    match state {
        ApprovalState::AwaitingApproval => (State::Waiting, "Awaits approval"),
        ApprovalState::Approved => (State::Passed, "Approved"),
        ApprovalState::Rejected => (State::Failed, "Rejected"),
        ApprovalState::Expired => (State::Failed, "Expired"),
        ApprovalState::Cancelled => (State::Cancelled, "Cancelled"),
    }
}

/// What it is about, and who is asked.
#[component]
pub(super) fn Asked(view: ApprovalView, links: Links) -> impl IntoView {
    let ApprovalView { approval, ballot, .. } = view;
    let (shape, word) = state(approval.state);
    let reason = Some(approval.state_reason.clone()).filter(|reason| !reason.is_empty());
    let description = Some(approval.description.clone()).filter(|text| !text.is_empty());
    let inputs = approval
        .inputs
        .clone()
        .into_iter()
        .map(|(name, input)| {
            let version = input.version.as_ref().map(|version| format!("v{}", version.number));
            let shown = match (&input.value, version, &input.digest) {
                (Some(value), ..) => view! { <span class="mono">{value.to_string()}</span> }.into_any(),
                (None, Some(version), _) => version.into_any(),
                (None, None, Some(digest)) => view! { <DigestText digest=digest.clone()/> }.into_any(),
                (None, None, None) => view! { <span class="none">"not given"</span> }.into_any(),
            };
            view! { <Fact name>{shown}" "<span class="muted">{input.from}</span></Fact> }
        })
        .collect_view();
    let until = approval.state.is_open().then(|| {
        view! { <Fact name="Stands until"><When at=approval.expires_at/></Fact> }
    });
    view! {
        <Panel
            title=format!("Approval of {}", approval.step)
            id="approval"
            lead=view! { <StateMark state=shape word/> }.into_any()
        >
            <Body>
                {description.map(|text| view! { <p>{text}</p> })}
                {reason.map(|reason| view! { <Callout tone=shape.tone() symbol=shape.symbol()>{format::capitalised(&reason)}</Callout> })}
                <Facts>
                    <Fact name="Asked"><When at=approval.created_at/></Fact>
                    {until}
                    <Fact name="Run started by">{approval.requester.clone()}</Fact>
                    <Fact name="Agrees to"><DigestText digest=approval.digest.clone()/></Fact>
                    {inputs}
                </Facts>
            </Body>
        </Panel>
        <Rules ballot links/>
    }
}

/// The form, or why there is none. Sends `step`, `verdict`, `comment`, `subject_digest` and what the rules ask for to
/// `pipeline-runs/{number}/decisions`.
#[component]
pub(super) fn Decide(view: ApprovalView, links: Links, draft: Draft) -> impl IntoView {
    let ApprovalView { approval, ballot, me } = view;
    let (mine, earlier) = (ballot.mine(), ballot.decided());
    if !approval.state.is_open() || mine.is_empty() || earlier.is_some() {
        let text = match (approval.state.is_open(), earlier) {
            (true, Some(DecisionVerdict::Approve)) => "You approved this. The run goes on when every rule is met.",
            (true, _) => "The people whom its rules name are asked.",
            (false, Some(DecisionVerdict::Approve)) => "You approved this.",
            (false, Some(_)) => "You rejected this.",
            (false, None) => "It has ended.",
        };
        let (shape, word) = state(approval.state);
        return view! {
            <section class="decide standing" id="standing" aria-labelledby="h-standing">
                <header><h2 id="h-standing"><StateMark state=shape word/></h2><p>{text}</p></header>
                <FormErrors draft/>
            </section>
        }
        .into_any();
    }
    let names: Vec<String> = mine.iter().map(|rule| named(rule, me.id)).collect();
    let justify = mine.iter().any(|rule| rule.rule.justification);
    let hint = if justify { "The rule asks for a reason." } else { "A rejection needs one." };
    let one_rule = mine.len() == 1;
    let asks = mine.into_iter().map(|rule| view! { <Asks rule one_rule draft=draft.clone()/> }).collect_view();
    let password = approval.asks.reauthenticate.then(|| {
        view! { <TextField label="Your password" name="password" kind="password" autocomplete="current-password" draft=draft.clone()/> }
    });
    let action = format!("{}/decisions", links.pipeline_run(approval.run));
    view! {
        <section class="decide shown" id="decide" aria-labelledby="decide-title">
            <header>
                <h2 id="decide-title">"Your decision"</h2>
                <p>"You decide for "<b class="strong">{names.join(", ")}</b>", as "{me.name}"."</p>
            </header>
            <form method="post" action=action>
                <input type="hidden" name="step" value=approval.step.clone()/>
                <input type="hidden" name="subject_digest" value=approval.digest.as_str().to_owned()/>
                <FormErrors draft=draft.clone() fields=&["comment", "password"]/>
                {asks}
                <TextArea label="Comment" name="comment" id="decide-comment" hint optional=!justify draft=draft.clone()/>
                {password}
                <button class="btn primary lg block" type="submit" name="verdict" value="approve">
                    <Icon symbol=Symbol::Pass/>
                    {format!("Approve {}", approval.step)}
                </button>
                <button class="btn danger block" type="submit" name="verdict" value="reject" formnovalidate=true>"Reject"</button>
                <p class="muted small">
                    "With the last yes that its rules ask for, the run goes on. A no fails the step. Your decision names digest "
                    <code>{approval.digest.short().to_owned()}</code>"."
                </p>
            </form>
        </section>
    }
    .into_any()
}
