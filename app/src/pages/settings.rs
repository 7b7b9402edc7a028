//! Settings: who is a member, one's own tokens, sessions and password, and workspaces.

use crate::ui::prelude::*;
use domain::{
    audit::AuditEvent,
    permission::{Role, Scope},
    user::{Member, Session, Token, Workspace},
};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// Which of the settings is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Members,
    Tokens,
    Account,
    Workspaces,
}

#[component]
fn Frame(links: Links, part: Part, children: Children) -> impl IntoView {
    let tab = |name: &str, path: &str, this: Part| Tab::new(name, links.to(path)).current(part == this);
    view! {
        <PageHead title="Settings".into_any()/>
        <Tabs
            label="Settings"
            items=vec![
                tab("Members", "settings/members", Part::Members),
                tab("Your tokens", "settings/tokens", Part::Tokens),
                tab("Your account", "settings/account", Part::Account),
                tab("Workspaces", "settings/workspaces", Part::Workspaces),
            ]
        />
        {children()}
    }
}

/// What a role may do, for whoever gives it.
fn role_hint(role: Role) -> &'static str {
    match role {
        Role::Viewer => "sees everything",
        Role::Contributor => "logs runs, registers models, runs pipelines, requests promotions",
        Role::Operator => "rolls back, handles alerts, changes monitors",
        Role::Approver => "decides on promotions that others requested",
        Role::Admin => "does all of this but deciding, and manages members and policies",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Contributor => "Contributor",
        Role::Operator => "Operator",
        Role::Approver => "Approver",
        Role::Admin => "Admin",
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
) -> impl IntoView {
    let count = members.len();
    let note = if count == 1 { "1 person".to_owned() } else { format!("{count} people and service accounts") };
    let action = links.to("settings/members");
    let rows =
        members.into_iter().map(|member| view! { <MemberRow links=links.clone() member may_manage/> }).collect_view();
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
fn MemberRow(links: Links, member: Member, may_manage: bool) -> impl IntoView {
    let user = member.user;
    let action = links.to(&format!("settings/members/{}", user.id));
    let remove = format!("remove-{}", user.id);
    let draft = Draft::of(member.roles.iter().map(|role| ("roles", role.as_str())));
    let seen = member.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",");
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
                            <More label=format!("Change {name}")>
                                <form class="stack" method="post" action=save>
                                    <input type="hidden" name="instead_of" value=seen/>
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

/// One's own tokens. `issued` is the secret of one that was just made, and is shown this once.
#[component]
pub fn Tokens(
    /// The addresses of the workspace.
    links: Links,
    /// Those that still work, newest first.
    tokens: Vec<Token>,
    /// Name and secret of the one just made.
    #[prop(optional)]
    issued: Option<(String, String)>,
    /// The address that clients use.
    #[prop(into)]
    public_url: String,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let action = links.to("settings/tokens");
    let tracking_uri = format!("{public_url}{}", links.home());
    let rows = tokens
        .into_iter()
        .map(|token| {
            let action = links.to(&format!("settings/tokens/{}/revoke", token.id));
            view! {
                <tr>
                    <th scope="row"><span class="strong">{token.name}</span><code class="sub">{token.prefix}"…"</code></th>
                    <td><Tag text=token.scope.as_str()/></td>
                    <td><code>{token.workspace}</code></td>
                    <td>{match token.last_used_at {
                        Some(at) => view! { <When at/> }.into_any(),
                        None => view! { <span class="none">"never"</span> }.into_any(),
                    }}</td>
                    <td><Until at=token.expires_at/></td>
                    <td class="num"><Act action text="Revoke" kind=Kind::Danger/></td>
                </tr>
            }
        })
        .collect_view();
    let scopes = Scope::ALL.into_iter().map(|scope| {
        let what = match scope {
            Scope::Read => "read: look, and send inference requests",
            Scope::Write => "write: also log, register, run, request, decide",
            Scope::Admin => "admin: also change members and policies",
        };
        (scope.as_str().to_owned(), what.to_owned())
    });
    let draft = if draft.is_refused() { draft } else { Draft::of([("scope", "write"), ("days", "90")]) };
    view! {
        <Frame links=links.clone() part=Part::Tokens>
            {issued
                .map(|(name, secret)| {
                    view! {
                        <Panel title=format!("Token {name}") id="issued" note="Copy it now: it is not shown again">
                            <Body>
                                <Command text=format!(
                                    "export MLFLOW_TRACKING_URI={tracking_uri}\nexport MLFLOW_TRACKING_TOKEN={secret}",
                                )/>
                            </Body>
                        </Panel>
                    }
                })}
            <div class="with-aside">
                <Panel title="Your tokens" id="tokens">
                    <Table label="Your tokens" roomy=true keys=true>
                        <thead>
                            <tr>
                                <Head label="Name"/>
                                <Head label="Scope"/>
                                <Head label="Workspace"/>
                                <Head label="Last used"/>
                                <Head label="Expires"/>
                                <Head label="Revoke" quiet=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                </Panel>
                <aside class="stack" aria-label="Make a token">
                    <Panel title="Make a token" id="make">
                        <Body>
                            <form class="stack" method="post" action=action>
                                <FormErrors draft=draft.clone() fields=&["name", "scope", "days"]/>
                                <TextField label="Name" name="name" autocomplete="off" hint="Where it is used: laptop, CI." draft=draft.clone()/>
                                <SelectField label="Scope" name="scope" options=scopes.collect() draft=draft.clone()/>
                                <TextField label="Days" name="days" kind="number" hint="1 to 366." draft/>
                                <Button text="Make token" kind=Kind::Primary/>
                            </form>
                        </Body>
                    </Panel>
                </aside>
            </div>
        </Frame>
    }
}

/// One's own sessions and password.
#[component]
pub fn Account(
    /// The addresses of the workspace.
    links: Links,
    /// One's sessions, last used first.
    sessions: Vec<Session>,
    /// The latest history of one's account, newest first.
    events: Vec<AuditEvent>,
    /// What was typed to change the password, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let action = links.to("settings/account");
    let rows = sessions
        .into_iter()
        .map(|session| {
            let action = links.to(&format!("settings/sessions/{}/revoke", session.handle));
            let device =
                if session.user_agent.is_empty() { "Unknown browser".to_owned() } else { browser(&session.user_agent) };
            view! {
                <tr>
                    <th scope="row"><span class="strong">{device}</span><span class="sub">{session.address}</span></th>
                    <td><When at=session.created_at/></td>
                    <td><When at=session.last_seen_at/></td>
                    <td class="num">
                        {if session.current {
                            view! { <span class="muted">"This one"</span> }.into_any()
                        } else {
                            view! { <Act action text="End" kind=Kind::Danger/> }.into_any()
                        }}
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Frame links=links.clone() part=Part::Account>
            <div class="with-aside">
                <div class="stack">
                <Panel title="Your sessions" id="sessions">
                    <Table label="Your sessions" roomy=true keys=true>
                        <thead>
                            <tr>
                                <Head label="Browser"/>
                                <Head label="Signed in"/>
                                <Head label="Last used"/>
                                <Head label="End" quiet=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                </Panel>
                <Happened events links=links.clone()/>
                </div>
                <aside class="stack" aria-label="Change your password">
                    <Panel title="Change your password" id="password-panel">
                        <Body>
                            <form class="stack" method="post" action=action>
                                <FormErrors draft=draft.clone() fields=&["present", "password"]/>
                                <TextField label="Present password" name="present" kind="password" autocomplete="current-password" draft=draft.clone()/>
                                <TextField
                                    label="New password"
                                    name="password"
                                    kind="password"
                                    autocomplete="new-password"
                                    hint=format!("At least {} characters. Your other sessions end.", domain::user::Password::MIN)
                                    draft
                                />
                                <Button text="Change password" kind=Kind::Primary/>
                            </form>
                        </Body>
                    </Panel>
                </aside>
            </div>
        </Frame>
    }
}

/// The workspaces that one is a member of, and the form to make another, which sends `name` and `slug` to
/// `settings/workspaces`.
#[component]
pub fn Workspaces(
    /// The addresses of the workspace in use.
    links: Links,
    /// One's workspaces, with one's roles there.
    workspaces: Vec<(Workspace, BTreeSet<Role>)>,
    /// Whether the reader may make another.
    may_make: bool,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let action = links.to("settings/workspaces");
    let rows = workspaces
        .into_iter()
        .map(|(workspace, roles)| {
            let home = Links::new(workspace.slug.clone()).home();
            view! {
                <tr>
                    <th scope="row">
                        <a class="strong" href=home.clone()>{workspace.name}</a>
                        <code class="sub">{home}</code>
                    </th>
                    <td>
                        <span class="tags">{roles.into_iter().map(|role| view! { <Tag text=role_name(role)/> }).collect_view()}</span>
                    </td>
                    <td><When at=workspace.created_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Frame links=links part=Part::Workspaces>
            <div class="with-aside">
                <Panel title="Your workspaces" id="workspaces-panel">
                    <Table label="Your workspaces" roomy=true keys=true>
                        <thead>
                            <tr>
                                <Head label="Name"/>
                                <Head label="Your roles"/>
                                <Head label="Made"/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                </Panel>
                <aside class="stack" aria-label="Make a workspace">
                    {may_make
                        .then(|| {
                            view! {
                                <Panel title="Make a workspace" id="make">
                                    <Body>
                                        <p class="muted">
                                            "A workspace has its own experiments, models, pipelines, environments and members. You administer those that you make."
                                        </p>
                                        <form class="stack" method="post" action=action>
                                            <FormErrors draft=draft.clone() fields=&["name", "slug"]/>
                                            <TextField label="Name" name="name" autocomplete="off" draft=draft.clone()/>
                                            <TextField
                                                label="Address"
                                                name="slug"
                                                autocomplete="off"
                                                hint="What follows /w/ in its addresses: lower-case letters, digits and hyphens. It stays as it is."
                                                draft
                                            />
                                            <Button text="Make workspace" kind=Kind::Primary/>
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

/// The browser's name, and its system, out of what it says of itself.
fn browser(agent: &str) -> String {
    let first =
        |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let name = first(&[("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (name, system) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        _ => agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_by_its_own_words() {
        assert_eq!(
            browser("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36"),
            "Chrome on Linux"
        );
        assert_eq!(browser("curl/8"), "curl/8");
    }
}
