//! A policy: its file, what it asks for in words, and how that changed.

use super::{Asked, source};
use crate::{format, ui::prelude::*};
use domain::{
    policy::{Action, Policy, PolicyDocument},
    text_diff::TextDiff,
};
use leptos::prelude::*;

/// What the page of a policy shows.
#[derive(Debug, Clone)]
pub struct PolicyPage {
    /// Its revisions, the last first; at least one.
    pub revisions: Vec<Policy>,
    /// The revision that is looked at, as a place in `revisions`.
    pub shown: usize,
    /// Names of the environments where it holds for some models.
    pub environments: Vec<String>,
    /// Whether the reader may change it.
    pub may_write: bool,
}

/// The page of a policy. Retiring it sends to `policies/{name}/retire`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// The policy.
    page: PolicyPage,
) -> impl IntoView {
    let PolicyPage { revisions, shown, environments, may_write } = page;
    let (Some(last), Some(policy)) = (revisions.first().cloned(), revisions.get(shown).cloned()) else {
        return ().into_any();
    };
    let name = policy.name.clone();
    let here = links.policy(&name);
    let is_last = shown == 0;
    let badge = match (last.retired, is_last) {
        (true, _) => view! { <Badge state=State::Cancelled word="Retired"/> },
        (false, true) => view! { <Badge state=State::Passed word="In force"/> },
        (false, false) => view! { <Badge state=State::Skipped word="Former revision"/> },
    };
    let edit = format!("{here}/edit");
    let edit_text = if last.retired { "Write it anew" } else { "Edit" };
    let retire = (may_write && !last.retired).then(|| {
        view! {
            <Button text="Retire" kind=Kind::Danger opens="retire"/>
            <Confirm
                id="retire"
                title=format!("Retire {name}?")
                action=format!("{here}/retire")
                go=format!("Retire {name}")
                keep="Keep it"
                values=vec![("instead_of", last.digest.as_str().to_owned())]
            >
                <p>
                    "It holds for nothing any more, from now on. Its revisions stay, and a new one brings it back. Promotions that people are asked about go on under what they were asked under."
                </p>
            </Confirm>
        }
    });
    let actions = may_write.then(|| {
        view! { {retire}<ButtonLink text=edit_text href=edit kind=Kind::Primary symbol=Symbol::Edit/> }
    });
    let text = source(&policy);
    let former = revisions.get(shown + 1).map(|former| (former.revision, source(former)));
    let diff = former.map(|(revision, former)| {
        let diff = TextDiff::of(&former, &text);
        let (added, removed) = (diff.added, diff.removed);
        let note = format!("revision {revision} → {}", policy.revision);
        view! {
            <Panel title="What it changed" id="diff" note lead=view! { <DiffCount added removed/> }.into_any()>
                <Diff diff label="Changes of the policy"/>
            </Panel>
        }
    });
    let list = view! { <Revisions links=links.clone() revisions=revisions.clone() shown/> };
    let description = Some(policy.document.description.clone()).filter(|text| !text.is_empty());
    let where_ = environments
        .iter()
        .map(|name| view! { <li><a href=links.environment(name)>{name.clone()}</a></li> })
        .collect_view();
    let nowhere = environments.is_empty();
    let digest = policy.digest.clone();
    view! {
        <Crumbs items=vec![Crumb::to("Policies", links.policies()), Crumb::here(name.clone())]/>
        <PageHead
            title=name.clone().into_any()
            badge=badge.into_any()
            actions=actions.into_any()
            meta=view! {
                <span><Icon symbol=Symbol::Layers/>{policy.document.scope.words()}</span>
                <span>{format!("Revision {} of {}, by {}, ", policy.revision, last.revision, policy.created_by)}<When at=policy.created_at/></span>
                <span><DigestText digest/></span>
            }
                .into_any()
        />
        {description.map(|text| view! { <p class="said-why">{text}</p> })}
        {(!is_last)
            .then(|| {
                let words = format!("This is revision {}. Revision {} is the last.", policy.revision, last.revision);
                let here = here.clone();
                view! { <div class="mt-4"><Callout>{words}" "<a href=here>"Show that"</a></Callout></div> }
            })}
        <div class="with-aside mt-4">
            <div class="stack">
                <Panel title="File" id="file" note=format::count(i64::try_from(text.lines().count()).unwrap_or_default(), "line", "lines")>
                    <Body><CodeBlock text label="The policy as YAML"/></Body>
                </Panel>
                {diff}
                {list}
            </div>
            <aside class="stack" aria-label="What it says">
                <Panel title="What it asks for" id="asks"><Body tight=true><Asked document=policy.document.clone()/><Times document=policy.document/></Body></Panel>
                <Panel title="Where it holds" id="where">
                    <Body tight=true>
                        {nowhere.then(|| view! { <p class="muted">"In no environment that you see."</p> })}
                        <ul class="plain">{where_}</ul>
                    </Body>
                </Panel>
            </aside>
        </div>
    }
    .into_any()
}

/// How long things count, and what else a policy says.
#[component]
fn Times(document: PolicyDocument) -> impl IntoView {
    let actions: Vec<String> = document.scope.actions.iter().map(|action| action.as_str().replace('_', " ")).collect();
    let other = document.scope.actions.iter().any(|action| *action != Action::Promote);
    let order = match document.order {
        domain::policy::Order::Follow => "must have served in the environment before",
        domain::policy::Order::Skip => "may skip environments",
    };
    view! {
        <Facts small=true>
            {other.then(|| view! { <Fact name="When somebody wants to">{actions.join(", ")}</Fact> })}
            <Fact name="A version">{order}</Fact>
            <Fact name="A request stands">{document.expires_after.to_string()}</Fact>
            {document.evidence_ttl.map(|ttl| view! { <Fact name="Evidence counts">{ttl.to_string()}</Fact> })}
            <Fact name="Rolling back without approval">{format!("within {}", document.rollback_within)}</Fact>
            {document.reauthenticate.then(|| view! { <Fact name="Each decision">"with the password again"</Fact> })}
        </Facts>
    }
}

#[component]
fn Revisions(links: Links, revisions: Vec<Policy>, shown: usize) -> impl IntoView {
    let count = revisions.len();
    let sources: Vec<String> = revisions.iter().map(source).collect();
    let rows = revisions
        .into_iter()
        .enumerate()
        .map(|(at, policy)| {
            let changed = match sources.get(at + 1) {
                None => view! { <span class="muted">"the first"</span> }.into_any(),
                Some(_) if policy.retired => view! { <span class="muted">"retired"</span> }.into_any(),
                Some(former) => {
                    let diff = TextDiff::of(former, &sources[at]);
                    view! { <DiffCount added=diff.added removed=diff.removed/> }.into_any()
                }
            };
            let href = format!("{}?revision={}", links.policy(&policy.name), policy.revision);
            let current = at == shown;
            view! {
                <tr aria-selected=current.then_some("true")>
                    <th scope="row"><a class="strong" href=href>{format!("Revision {}", policy.revision)}</a></th>
                    <td>{changed}</td>
                    <td>{policy.created_by}</td>
                    <td><When at=policy.created_at/></td>
                    <td><DigestText digest=policy.digest/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Revisions" id="revisions" note=count.to_string()>
            <Table label="Revisions of the policy">
                <thead>
                    <tr>
                        <Head label="Revision"/>
                        <Head label="Changed"/>
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
