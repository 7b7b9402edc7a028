//! One's own API tokens.

use super::{Frame, Part};
use crate::ui::prelude::*;
use domain::{permission::Scope, user::Token};
use leptos::prelude::*;

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
            Scope::Admin => "admin: also change members, policies and webhooks",
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
