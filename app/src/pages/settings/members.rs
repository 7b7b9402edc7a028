//! Who is a member of the workspace, and what they are there.

use super::{Frame, Part, role_name};
use crate::ui::prelude::*;
use domain::{id::UserId, permission::Role, user::Member};
use leptos::prelude::*;

/// The members of the workspace. `may_manage` shows the forms, which send to `settings/members` and
/// `settings/members/{id}`.
#[component]
pub fn Members(
    /// The addresses of the workspace.
    links: Links,
    /// Everybody, by name.
    members: Vec<Member>,
    /// Whether the reader may change them.
    may_manage: bool,
    /// What was typed to add somebody, and why it was refused.
    #[prop(optional)]
    draft: Draft,
    /// Whose roles were refused, what was chosen, and why.
    #[prop(optional, into)]
    changed: Option<(UserId, Draft)>,
) -> impl IntoView {
    let count = members.len();
    let note = if count == 1 { "1 person".to_owned() } else { format!("{count} people and service accounts") };
    let action = links.to("settings/members");
    let rows = members
        .into_iter()
        .map(|member| {
            let refused = changed.as_ref().filter(|(id, _)| *id == member.user.id).map(|(_, draft)| draft.clone());
            view! { <MemberRow links=links.clone() member may_manage refused/> }
        })
        .collect_view();
    view! {
        <Frame links=links.clone() part=Part::Members>
            <div class="with-aside">
                <Panel title="Members" id="members" note=note>
                    <Table label="Members" roomy=true keys=true>
                        <thead>
                            <tr>
                                <Head label="Who"/>
                                <Head label="Roles"/>
                                <Head label="Last seen"/>
                                <Head label="Change" quiet=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                </Panel>
                <aside class="stack" aria-label="Add somebody">
                    {may_manage
                        .then(|| {
                            view! {
                                <Panel title="Add somebody" id="add">
                                    <Body>
                                        <form class="stack" method="post" action=action>
                                            <FormErrors draft=draft.clone() fields=&["email", "name", "password", "roles"]/>
                                            <TextField label="E-mail" name="email" kind="email" autocomplete="off" draft=draft.clone()/>
                                            <TextField label="Name" name="name" autocomplete="off" optional=true draft=draft.clone()/>
                                            <TextField
                                                label="First password"
                                                name="password"
                                                kind="password"
                                                autocomplete="new-password"
                                                optional=true
                                                hint="For somebody who has no account yet. They change it on their account page."
                                                draft=draft.clone()
                                            />
                                            <RoleChoice draft/>
                                            <Button text="Add" kind=Kind::Primary/>
                                        </form>
                                    </Body>
                                </Panel>
                            }
                        })}
                </aside>
            </div>
        </Frame>
    }
}

#[component]
fn MemberRow(links: Links, member: Member, may_manage: bool, refused: Option<Draft>) -> impl IntoView {
    let user = member.user;
    let action = links.to(&format!("settings/members/{}", user.id));
    let remove = format!("remove-{}", user.id);
    let open = refused.is_some();
    let seen = member.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",");
    let seen = refused.as_ref().and_then(|draft| draft.value("instead_of")).map_or(seen, ToOwned::to_owned);
    let draft = refused.unwrap_or_else(|| Draft::of(member.roles.iter().map(|role| ("roles", role.as_str()))));
    let name = user.name.clone();
    view! {
        <tr>
            <th scope="row">
                <div class="person">
                    <Avatar name=user.name.clone() machine=user.is_service/>
                    <div>
                        <span class="strong">{user.name}</span>
                        <span class="sub">{if user.is_service { "Service account".to_owned() } else { user.email.to_string() }}</span>
                    </div>
                </div>
            </th>
            <td>
                <span class="tags">{member.roles.iter().map(|role| view! { <Tag text=role_name(*role)/> }).collect_view()}</span>
            </td>
            <td>{match member.last_seen_at {
                Some(at) => view! { <When at/> }.into_any(),
                None => view! { <span class="none">"–"</span> }.into_any(),
            }}</td>
            <td class="num">
                {may_manage
                    .then(|| {
                        let (save, opens) = (action.clone(), remove.clone());
                        view! {
                            <More label=format!("Change {name}") open>
                                <form class="stack" method="post" action=save>
                                    <input type="hidden" name="instead_of" value=seen/>
                                    <FormErrors draft=draft.clone() fields=&["roles"]/>
                                    <RoleChoice draft/>
                                    <div class="actions">
                                        <Button text="Save roles" name="do" value="roles"/>
                                        <Button text="Remove" kind=Kind::Danger opens=opens/>
                                    </div>
                                </form>
                            </More>
                            <Confirm
                                id=remove
                                title=format!("Remove {name} from this workspace?")
                                action
                                go=format!("Remove {name}")
                                keep="Keep them"
                                values=vec![("do", "remove".to_owned())]
                            >
                                <p>
                                    "They cannot see this workspace any more, and their tokens stop working here. What they did stays in the history. You can add them again."
                                </p>
                            </Confirm>
                        }
                    })}
            </td>
        </tr>
    }
}

/// What a role may do, for whoever gives it.
fn role_hint(role: Role) -> &'static str {
    match role {
        Role::Viewer => "sees everything",
        Role::Contributor => "logs runs, registers models, runs pipelines, requests promotions",
        Role::Operator => "rolls back, handles alerts, changes monitors",
        Role::Approver => "decides on promotions that others requested",
        Role::Admin => "does all of this but deciding, and manages members, policies and webhooks",
    }
}

#[component]
fn RoleChoice(draft: Draft) -> impl IntoView {
    view! {
        <fieldset class="field">
            <legend class="label">"Roles"</legend>
            {Role::ALL
                .into_iter()
                .map(|role| {
                    view! {
                        <CheckField name="roles" value=role.as_str() draft=draft.clone()>
                            <b>{role_name(role)}</b>
                            " "
                            {role_hint(role)}
                        </CheckField>
                    }
                })
                .collect_view()}
            {draft.error("roles").map(|error| view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error.to_owned()}</span></p> })}
        </fieldset>
    }
}
