//! One's own sessions, password and history.

use super::{Frame, Part};
use crate::ui::prelude::*;
use domain::{audit::AuditEvent, mail::MailKind, user::Session};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// One's own sessions and password.
#[component]
pub fn Account(
    /// The addresses of the workspace.
    links: Links,
    /// One's sessions, last used first.
    sessions: Vec<Session>,
    /// The latest history of one's account, newest first.
    events: Vec<AuditEvent>,
    /// Of what one is written.
    mail: BTreeSet<MailKind>,
    /// Whether the installation sends any mail.
    mail_is_sent: bool,
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
                <aside class="stack" aria-label="Change your account">
                    <Written links=links.clone() mail mail_is_sent/>
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

/// Of what one is written. The form sends `mail`, once for each kind that is wanted, to `settings/mail`.
#[component]
fn Written(links: Links, mail: BTreeSet<MailKind>, mail_is_sent: bool) -> impl IntoView {
    let draft = Draft::of(mail.iter().map(|kind| ("mail", kind.as_str())));
    let kinds = MailKind::ALL
        .into_iter()
        .map(|kind| {
            view! { <CheckField name="mail" value=kind.as_str() draft=draft.clone()>{kind.describe()}</CheckField> }
        })
        .collect_view();
    let hint = if mail_is_sent {
        "In every workspace. A message says what happened and links to it; decisions are made here."
    } else {
        "This installation sends no e-mail now. Your choice holds from when it does."
    };
    view! {
        <Panel title="E-mail" id="mail">
            <Body>
                <form class="stack" method="post" action=links.to("settings/mail")>
                    <fieldset class="field">
                        <legend class="label">"Write me when"</legend>
                        {kinds}
                        <p class="hint">{hint}</p>
                    </fieldset>
                    <Button text="Save"/>
                </form>
            </Body>
        </Panel>
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
