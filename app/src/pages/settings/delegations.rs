//! Delegations: who decides for whom while they are away.

use super::{Frame, Part};
use crate::ui::prelude::*;
use domain::{
    Page,
    delegation::{Delegation, DelegationState, MAX_DAYS, Scope},
    id::{DelegationId, UserId},
    user::Member,
};
use leptos::prelude::*;

/// What the page of delegations shows.
#[derive(Debug, Clone)]
pub struct DelegationsPage {
    /// The delegations, newest first.
    pub delegations: Page<Delegation>,
    /// Those that the reader may take back.
    pub may_revoke: Vec<DelegationId>,
    /// The members of the workspace, by name.
    pub members: Vec<Member>,
    /// The environments that the reader sees.
    pub environments: Vec<String>,
    /// Who reads.
    pub reader: Option<UserId>,
    /// Whether they may let somebody decide for another.
    pub may_manage: bool,
    /// Whether they may let somebody decide for themselves.
    pub may_delegate: bool,
}

/// The delegations of the workspace. The form sends to `settings/delegations`, taking one back to
/// `settings/delegations/{id}/revoke`.
#[component]
pub fn Delegations(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on.
    address: Address,
    /// What it shows.
    page: DelegationsPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let DelegationsPage { delegations, may_revoke, members, environments, reader, may_manage, may_delegate } = page;
    let Page { items, next_page_token } = delegations;
    let shown = items.len();
    let list = if items.is_empty() && next_page_token.is_none() && address.get("page_token").is_none() {
        view! {
            <Empty
                symbol=Symbol::People
                title="Nobody decides for anybody"
                text="Before you are away, let somebody decide on promotions for you: for a while, and on some environments or models. Say it in the form here."
            />
        }
        .into_any()
    } else {
        let rows = items
            .into_iter()
            .map(|one| {
                let may_revoke = may_revoke.contains(&one.id);
                view! { <Line links=links.clone() one may_revoke/> }
            })
            .collect_view();
        view! {
            <Table label="Delegations" roomy=true keys=true>
                <thead>
                    <tr>
                        <Head label="Who for whom"/>
                        <Head label="State"/>
                        <Head label="From"/>
                        <Head label="Until"/>
                        <Head label="On"/>
                        <Head label="Take back" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let form = may_delegate.then(|| {
        view! {
            <aside class="stack" aria-label="Let somebody decide">
                <New links=links.clone() members environments reader may_manage draft/>
            </aside>
        }
    });
    view! {
        <Frame links=links.clone() part=Part::Delegations>
            <div class=if may_delegate { "with-aside" } else { "stack" }>
                <div>
                    <Panel title="Delegations" id="delegations">{list}</Panel>
                    <Pager address shown next=next_page_token one="delegation" many="delegations" keys=true/>
                </div>
                {form}
            </div>
        </Frame>
    }
}

/// What a delegation is on, in words.
fn on(scope: &Scope) -> String {
    let environments: Vec<&str> = scope.environments.iter().map(String::as_str).collect();
    let places = if environments.is_empty() { "every environment".to_owned() } else { environments.join(", ") };
    if scope.models.is_empty() { places } else { format!("{places}; models {}", scope.models.join(", ")) }
}

#[component]
fn Line(links: Links, one: Delegation, may_revoke: bool) -> impl IntoView {
    let (state, word) = match one.state(now()) {
        DelegationState::Ahead => (State::Waiting, "ahead"),
        DelegationState::InForce => (State::Live, "in force"),
        DelegationState::Over => (State::Passed, "over"),
        DelegationState::Revoked => (State::Cancelled, "taken back"),
    };
    let action = links.to(&format!("settings/delegations/{}/revoke", one.id));
    let scope = on(&one.scope);
    view! {
        <tr>
            <th scope="row">
                <span class="strong">{format!("{} for {}", one.to_name, one.from_name)}</span>
                <span class="sub">{one.reason}</span>
            </th>
            <td><StateMark state word/></td>
            <td><When at=one.starts_at/></td>
            <td><When at=one.ends_at/></td>
            <td class="wrap">{scope}</td>
            <td class="num">{may_revoke.then(|| view! { <Act action text="Take back" kind=Kind::Danger/> })}</td>
        </tr>
    }
}

#[component]
fn New(
    links: Links,
    members: Vec<Member>,
    environments: Vec<String>,
    reader: Option<UserId>,
    may_manage: bool,
    draft: Draft,
) -> impl IntoView {
    let people: Vec<(String, String)> = members
        .iter()
        .filter(|member| !member.user.is_service)
        .map(|member| (member.user.id.to_string(), member.user.name.clone()))
        .collect();
    let own = reader.map(|id| id.to_string()).unwrap_or_default();
    let others: Vec<_> = people.iter().filter(|(id, _)| may_manage || *id != own).cloned().collect();
    let draft = if draft.is_refused() { draft } else { Draft::of([("from", own)]) };
    if others.is_empty() {
        return view! {
            <Panel title="Let somebody decide" id="new">
                <Body><p class="muted">"There is nobody else in this workspace."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let from = may_manage.then(|| view! { <SelectField label="For" name="from" options=people draft=draft.clone()/> });
    let places = environments
        .into_iter()
        .map(
            |name| view! { <CheckField name="environments" value=name.clone() draft=draft.clone()>{name}</CheckField> },
        )
        .collect_view();
    let wrong = draft
        .error("scope/environments")
        .map(|error| view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error.to_owned()}</span></p> });
    view! {
        <Panel title="Let somebody decide" id="new">
            <Body>
                <form class="stack" method="post" action=links.delegations()>
                    <FormErrors
                        draft=draft.clone()
                        fields=&["from", "to", "starts_at", "ends_at", "scope/environments", "scope/models", "reason"]
                    />
                    {from}
                    <SelectField
                        label="Decides"
                        name="to"
                        options=others
                        hint="Their decision counts for the one who is away, never on what they asked for themselves."
                        draft=draft.clone()
                    />
                    <TextField label="From (UTC)" name="starts_at" kind="datetime-local" optional=true hint="From now on when nothing is written." draft=draft.clone()/>
                    <TextField label="Until (UTC)" name="ends_at" kind="datetime-local" hint=format!("At most {MAX_DAYS} days later.") draft=draft.clone()/>
                    <fieldset class="field">
                        <legend class="label">"Environments"</legend>
                        {places}
                        <p class="hint">"All when none is chosen."</p>
                        {wrong}
                    </fieldset>
                    <TextField
                        label="Models"
                        name="scope/models"
                        autocomplete="off"
                        optional=true
                        hint="Names, with commas between; * stands for any characters. All when nothing is written."
                        draft=draft.clone()
                    />
                    <TextField label="Reason" name="reason" autocomplete="off" draft/>
                    <Button text="Let them decide" kind=Kind::Primary/>
                </form>
            </Body>
        </Panel>
    }
    .into_any()
}
