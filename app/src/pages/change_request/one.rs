//! A change request: what is to be done, who must agree, and the decision.

use super::state;
use crate::{
    format,
    pages::promotion::{Asks, Ballot, Rules, named},
    ui::prelude::*,
};
use domain::{
    audit::AuditEvent,
    change_request::{Change, ChangeRequest},
    policy::PolicyDocument,
    promotion::DecisionVerdict,
    text_diff::TextDiff,
    user::User,
};
use leptos::prelude::*;

/// What the page of a change request shows.
#[derive(Debug, Clone)]
pub struct ChangeRequestPage {
    /// The request.
    pub request: ChangeRequest,
    /// Who is asked, and what they said.
    pub ballot: Ballot,
    /// Whether each decision is given with the password again.
    pub reauthenticate: bool,
    /// What the policy asks for now that is to be changed.
    pub before: Option<PolicyDocument>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Who looks.
    pub me: User,
    /// Whether the reader may take it back.
    pub may_withdraw: bool,
}

/// The page of a change request. Sends to `change-requests/{number}/decisions` and `…/withdraw`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: ChangeRequestPage,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let request = page.request.clone();
    let (shape, word) = state(request.state);
    let here = links.change_request(request.number);
    let withdraw = (page.may_withdraw && request.state.is_open()).then(|| {
        view! {
            <Button text="Withdraw" kind=Kind::Danger opens="withdraw"/>
            <Confirm
                id="withdraw"
                title=format!("Withdraw change request #{}?", request.number)
                action=format!("{here}/withdraw")
                go="Withdraw it"
                keep="Keep it"
            >
                <p>"Nothing changes, and its approvals end with it."</p>
            </Confirm>
        }
    });
    let expires = request.state.is_open().then(|| {
        view! { <span><Icon symbol=Symbol::Wait/>{format!("Stands until {}", format::minute(request.expires_at))}</span> }
    });
    let reason = Some(request.state_reason.clone()).filter(|reason| !reason.is_empty());
    let comment = Some(request.comment.clone()).filter(|comment| !comment.is_empty());
    let history = view! { <Timeline events=page.events.clone() links=links.clone()/> };
    view! {
        <Crumbs items=vec![
            Crumb::to("Policies", links.policies()),
            Crumb::to("Change requests", links.change_requests()),
            Crumb::here(format!("#{}", request.number)),
        ]/>
        <PageHead
            title=format::capitalised(&request.change.title()).into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=withdraw.into_any()
            meta=view! {
                <span><Avatar name=request.requester.clone() size=AvatarSize::Small/>{request.requester.clone()}" asked "<When at=request.created_at/></span>
                <span><DigestText digest=request.digest.clone()/></span>
                {expires}
            }
                .into_any()
        />
        {comment.map(|comment| view! { <p class="said-why">{comment}</p> })}
        {reason
            .map(|reason| view! { <div class="mt-4"><Callout tone=shape.tone() symbol=shape.symbol()>{reason}</Callout></div> })}
        <div class="with-aside mt-4">
            <div class="stack">
                <WhatChanges change=request.change.clone() before=page.before.clone() links=links.clone()/>
                <Rules ballot=page.ballot.clone() links=links.clone()/>
                <Panel title="History" id="history"><Body>{history}</Body></Panel>
            </div>
            <aside class="aside-sticky" aria-label="Decision"><Decide page links draft/></aside>
        </div>
    }
}

/// What is to be done, as far as there is something to read.
#[component]
fn WhatChanges(change: Change, before: Option<PolicyDocument>, links: Links) -> impl IntoView {
    match change {
        Change::WritePolicy { name, document, source, .. } => {
            let after = source.unwrap_or_else(|| document.to_yaml());
            match before {
                Some(before) => {
                    let diff = TextDiff::of(&before.to_yaml(), &document.to_yaml());
                    let (added, removed) = (diff.added, diff.removed);
                    view! {
                        <Panel title="What changes" id="diff" note=name lead=view! { <DiffCount added removed/> }.into_any()>
                            <Diff diff label="Changes of the policy"/>
                        </Panel>
                    }
                    .into_any()
                }
                None => view! {
                    <Panel title="The policy" id="file" note=name><Body><CodeBlock text=after label="The policy as YAML"/></Body></Panel>
                }
                .into_any(),
            }
        }
        Change::RetirePolicy { name, document, .. } => view! {
            <Panel title="What ends" id="file" note=name><Body><CodeBlock text=document.to_yaml() label="The policy as YAML"/></Body></Panel>
        }
        .into_any(),
        Change::RetireDeployment { deployment, environment, model, version, .. } => {
            let (of_version, of_environment) = (links.version(&model, version), links.environment(&environment));
            let of_deployment = links.deployment(deployment);
            view! {
            <Panel title="What stops serving" id="facts">
                <Body>
                    <Facts>
                        <Fact name="Version"><a href=of_version>{format!("{model} v{version}")}</a></Fact>
                        <Fact name="In"><a href=of_environment>{environment}</a></Fact>
                        <Fact name="Deployment"><a href=of_deployment>{format!("#{deployment}")}</a></Fact>
                    </Facts>
                    <p class="muted small mt-2">"Nothing takes its place: requests to it are answered with 404 from then on."</p>
                </Body>
            </Panel>
        }
        .into_any()
        }
    }
}

/// The form, or why there is none.
#[component]
fn Decide(page: ChangeRequestPage, links: Links, draft: Draft) -> impl IntoView {
    let request = page.request;
    let mine = page.ballot.mine();
    let earlier = page.ballot.decided();
    let undecided = matches!(earlier, None | Some(DecisionVerdict::RequestChanges));
    if !request.state.is_open() || mine.is_empty() || !undecided {
        let text = match (request.state.is_open(), earlier) {
            (true, Some(_)) => "You decided. It is done when every rule is met.",
            (true, None) => "The people whom its rules name are asked.",
            (false, _) => "It has ended.",
        };
        let (shape, word) = state(request.state);
        return view! {
            <section class="decide standing" id="standing" aria-labelledby="h-standing">
                <header><h2 id="h-standing"><StateMark state=shape word/></h2><p>{text}</p></header>
                <FormErrors draft/>
            </section>
        }
        .into_any();
    }
    let names: Vec<String> = mine.iter().map(|rule| named(rule, page.me.id)).collect();
    let justify = mine.iter().any(|rule| rule.rule.justification);
    let hint = if justify { "The rule asks for a reason." } else { "A rejection and a request for changes need one." };
    let one_rule = mine.len() == 1;
    let asks = mine.into_iter().map(|rule| view! { <Asks rule one_rule draft=draft.clone()/> }).collect_view();
    let password = page.reauthenticate.then(|| {
        view! { <TextField label="Your password" name="password" kind="password" autocomplete="current-password" draft=draft.clone()/> }
    });
    let action = format!("{}/decisions", links.change_request(request.number));
    view! {
        <section class="decide shown" id="decide" aria-labelledby="decide-title">
            <header>
                <h2 id="decide-title">"Your decision"</h2>
                <p>"You decide for "<b class="strong">{names.join(", ")}</b>", as "{page.me.name}"."</p>
            </header>
            <form method="post" action=action>
                <input type="hidden" name="subject_digest" value=request.digest.as_str().to_owned()/>
                <FormErrors draft=draft.clone() fields=&["comment", "password"]/>
                {asks}
                <TextArea label="Comment" name="comment" id="decide-comment" hint optional=!justify draft=draft.clone()/>
                {password}
                <button class="btn primary lg block" type="submit" name="verdict" value="approve">
                    <Icon symbol=Symbol::Pass/>
                    "Approve"
                </button>
                <div class="two">
                    <button class="btn" type="submit" name="verdict" value="request_changes" formnovalidate=true>"Request changes"</button>
                    <button class="btn danger" type="submit" name="verdict" value="reject" formnovalidate=true>"Reject"</button>
                </div>
                <p class="muted small">"It is done with the last yes that its rules ask for. Your decision names digest "<code>{request.digest.short().to_owned()}</code>"."</p>
            </form>
        </section>
    }
    .into_any()
}
