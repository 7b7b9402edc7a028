//! The policies of a workspace in a list.

use crate::{format, ui::prelude::*};
use domain::policy::Policy;
use leptos::prelude::*;

/// The last revision of each policy. `retired=1` shows those that hold no more, too.
#[component]
pub fn Policies(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen.
    address: Address,
    /// The policies, in order of name.
    policies: Vec<Policy>,
    /// Whether the reader may change them.
    may_write: bool,
) -> impl IntoView {
    let retired = address.get("retired").is_some();
    let shown = policies.len();
    let new = may_write.then(|| view! { <ButtonLink text="New policy" href=links.new_policy() kind=Kind::Primary/> });
    let actions = view! { <ButtonLink text="Change requests" href=links.change_requests()/>{new} };
    let choices = vec![
        ("In force".to_owned(), address.without("retired").href(), !retired),
        ("With retired".to_owned(), address.with("retired", "1").href(), retired),
    ];
    let rows = policies.into_iter().map(|policy| view! { <OneRow links=links.clone() policy/> }).collect_view();
    let body = if shown == 0 {
        view! {
            <Panel title="Policies" id="policies">
                <Empty
                    symbol=Symbol::Shield
                    title="No policy holds"
                    text="A policy says which gates run and who must agree before a version enters an environment. Each environment begins with one of its own name."
                />
            </Panel>
        }
        .into_any()
    } else {
        view! {
            <Table label="Policies" roomy=true keys=true id="policies">
                <thead>
                    <tr>
                        <Head label="Policy"/>
                        <Head label="Holds for"/>
                        <Head label="Gates" num=true/>
                        <Head label="Rules" num=true/>
                        <Head label="Revision" num=true/>
                        <Head label="By"/>
                        <Head label="When"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next=None one="policy" many="policies" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead
            title="Policies".into_any()
            actions=actions.into_any()
            meta=view! { <span>"All policies whose scope fits hold together: none makes another one weaker"</span> }.into_any()
        />
        <div class="list-bar mt-4"><Choice label="Which" items=choices/></div>
        {body}
    }
}

#[component]
fn OneRow(links: Links, policy: Policy) -> impl IntoView {
    let document = policy.document;
    let (gates, advisory) = (document.gates.len(), document.advisory.len());
    let advisory = (advisory > 0).then(|| view! { <span class="sub">{format!("{advisory} advisory")}</span> });
    let people: usize = document.rules.iter().map(|rule| usize::from(rule.approvals)).sum();
    let people = (people > 0)
        .then(|| view! { <span class="sub">{format::count(i64::try_from(people).unwrap_or_default(), "yes", "yeses")}</span> });
    let first = document.description.lines().next().unwrap_or_default().to_owned();
    view! {
        <tr>
            <th scope="row">
                <a class="strong" href=links.policy(&policy.name)>{policy.name.clone()}</a>
                {policy.retired.then(|| view! { " "<Tag text="retired"/> })}
                {(!first.is_empty()).then(|| view! { <span class="sub ellipsis">{first}</span> })}
            </th>
            <td>{document.scope.words()}</td>
            <td class="num">{gates}{advisory}</td>
            <td class="num">{document.rules.len()}{people}</td>
            <td class="num">{policy.revision}</td>
            <td>{policy.created_by}</td>
            <td><When at=policy.created_at/></td>
        </tr>
    }
}
