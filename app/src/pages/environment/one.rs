//! One environment: what serves, the policy in force, and every revision of it with what it changed.

use super::{About, Needs, Settings, agreement, gate_words, seen_by, waits};
use crate::{format, pages::deployment::History, ui::prelude::*};
use domain::{
    Page,
    audit::AuditEvent,
    deployment::{Deployment, Endpoint},
    environment::{EnvironmentDetail, Policy, PolicyDocument},
};
use leptos::prelude::*;

/// What the page of an environment shows.
#[derive(Debug, Clone)]
pub struct EnvironmentPage {
    /// The environment, its policy and the revisions of it.
    pub detail: EnvironmentDetail,
    /// What serves there.
    pub serving: Vec<Endpoint>,
    /// What was brought there, newest first.
    pub deployments: Page<Deployment>,
    /// Whether the reader may change the environment and its policy.
    pub may_write: bool,
    /// What happened there, latest first.
    pub events: Vec<AuditEvent>,
}

/// The page of an environment.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on in the deployments.
    address: Address,
    /// The environment.
    page: EnvironmentPage,
    /// What was typed to change it, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let EnvironmentPage { detail, serving, deployments, may_write, events } = page;
    let EnvironmentDetail { environment, policy, revisions } = detail;
    let name = environment.name.clone();
    let edit = format!("{}/policy", links.environment(&name));
    let promotions = format!("{}?environment={name}", links.promotions());
    let serves = view! { <super::Serves links=links.clone() serving environment=name.clone()/> };
    let needs = view! { <Needs document=policy.document.clone()/> };
    let (shown, next) = (deployments.items.len(), deployments.next_page_token);
    let deployments = if deployments.items.is_empty() {
        view! { <Body><p class="muted">"Nothing was brought here yet."</p></Body> }.into_any()
    } else {
        view! { <History links=links.clone() deployments=deployments.items of_place=true/> }.into_any()
    };
    let list = view! { <Revisions revisions/> };
    let badge = match (environment.archived_at.is_some(), environment.protected) {
        (true, _) => view! { <Badge state=State::Cancelled word="Archived"/> },
        (false, true) => view! { <Badge state=State::Passed word="Protected"/> },
        (false, false) => view! { <Badge state=State::Warning word="Not protected"/> },
    };
    let alias = if environment.protected {
        format!("The alias “{name}” moves by a promotion only")
    } else {
        format!("The alias “{name}” moves by a promotion, and by anybody who may move aliases")
    };
    let settings = if may_write {
        view! { <Settings links=links.clone() environment=environment.clone() draft/> }.into_any()
    } else {
        view! { <section class="panel" aria-label="About it"><div class="body"><About environment=environment.clone()/></div></section> }
            .into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Environments", links.environments()), Crumb::here(name.clone())]/>
        <PageHead
            title=name.clone().into_any()
            badge=badge.into_any()
            actions=view! {
                <ButtonLink text="Promotions" href=promotions/>
                {may_write.then(|| view! { <ButtonLink text="Change policy" href=edit/> })}
            }
                .into_any()
            meta=view! { <span>{alias}</span><span>{waits(&environment)}</span><span>{format!("Seen by {}", seen_by(&environment))}</span> }.into_any()
        />
        <div class="with-aside mt-4">
            {list}
            <aside class="stack" aria-label="Policy in force, what serves, and history">
                <section class="panel" aria-label="Policy in force">
                    <div class="body stack tight">{needs}</div>
                    <footer>
                        {format!("Revision {}, by {}, ", policy.revision, policy.created_by)}<When at=policy.created_at/>
                    </footer>
                </section>
                <section class="panel" aria-label="What serves"><div class="body stack tight">{serves}</div></section>
                {settings}
                <Happened events links=links.clone()/>
            </aside>
        </div>
        <div class="mt-4">
            <Panel title="Deployments" id="deployments">{deployments}</Panel>
            <Pager address shown next one="deployment" many="deployments"/>
        </div>
    }
}

/// What a revision changed of the one before: with `+` what came, with `−` what went.
#[must_use]
pub fn changes(before: Option<&PolicyDocument>, after: &PolicyDocument) -> Vec<(char, String)> {
    let Some(before) = before else {
        let gates = after.gates.iter().map(|gate| ('+', gate_words(gate)));
        return gates.chain([('+', agreement(&after.rule))]).collect();
    };
    let (was, is): (Vec<_>, Vec<_>) =
        (before.gates.iter().map(gate_words).collect(), after.gates.iter().map(gate_words).collect());
    let gone = was.iter().filter(|words| !is.contains(words)).map(|words| ('−', words.clone()));
    let come = is.iter().filter(|words| !was.contains(words)).map(|words| ('+', words.clone()));
    let mut all: Vec<_> = gone.chain(come).collect();
    if before.rule != after.rule {
        all.push(('−', agreement(&before.rule)));
        all.push(('+', agreement(&after.rule)));
    }
    if all.is_empty() {
        all.push(('=', "Only the order of its gates changed".to_owned()));
    }
    all
}

#[component]
fn Revisions(revisions: Vec<Policy>) -> impl IntoView {
    let count = revisions.len();
    let older: Vec<Option<PolicyDocument>> =
        (0..count).map(|at| revisions.get(at + 1).map(|policy| policy.document.clone())).collect();
    let rows = revisions
        .into_iter()
        .zip(older)
        .enumerate()
        .map(|(at, (policy, before))| {
            let lines = changes(before.as_ref(), &policy.document)
                .into_iter()
                .map(|(sign, words)| {
                    let kind = match sign {
                        '+' => "come",
                        '−' => "gone",
                        _ => "same",
                    };
                    view! { <li data-change=kind>{sign.to_string()}" "{words}</li> }
                })
                .collect_view();
            let state = if at == 0 {
                view! { <StateMark state=State::Live word="In force"/> }.into_any()
            } else {
                view! { <span class="muted">"before"</span> }.into_any()
            };
            view! {
                <tr>
                    <th scope="row"><span class="strong">{policy.revision}</span></th>
                    <td>{state}</td>
                    <td class="wrap"><ul class="changes">{lines}</ul></td>
                    <td>{policy.created_by}</td>
                    <td><When at=policy.created_at/></td>
                    <td><DigestText digest=policy.digest/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Policy" id="revisions" note=format::count(i64::try_from(count).unwrap_or_default(), "revision", "revisions")>
            <Table label="Revisions of the policy" roomy=true>
                <thead>
                    <tr>
                        <Head label="Revision"/>
                        <Head label="State"/>
                        <Head label="What changed"/>
                        <Head label="By"/>
                        <Head label="When"/>
                        <Head label="Digest"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::environment::{ApprovalRule, Better, GateSpec};

    #[test]
    fn a_revision_tells_what_came_and_what_went() {
        let threshold =
            |threshold| GateSpec::MetricThreshold { metric: "accuracy".into(), better: Better::Higher, threshold };
        let document = |gates, approvals| PolicyDocument { gates, rule: ApprovalRule { approvals } };
        let before = document(vec![threshold(0.7)], 1);
        assert_eq!(
            changes(Some(&before), &document(vec![threshold(0.8)], 2)),
            [
                ('−', "accuracy at least 0.7".to_owned()),
                ('+', "accuracy at least 0.8".to_owned()),
                ('−', "One approver, who is not the requester".to_owned()),
                ('+', "2 different approvers, none of them the requester".to_owned()),
            ]
        );
        assert_eq!(changes(None, &before).len(), 2);
        assert_eq!(changes(Some(&before), &before)[0].0, '=');
    }
}
