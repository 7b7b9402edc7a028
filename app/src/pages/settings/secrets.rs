//! Secrets: values that steps get and nobody reads back.

use super::{Frame, Part};
use crate::ui::prelude::*;
use domain::secret::{MAX_NAME, Secret};
use leptos::prelude::*;

/// What the page of secrets shows.
#[derive(Debug, Clone)]
pub struct SecretsPage {
    /// The secrets, by name.
    pub secrets: Vec<Secret>,
    /// Whether the reader may set and delete them.
    pub may_manage: bool,
}

/// The secrets of the workspace. The form to set one sends `name` and `secret` to `settings/secrets`; to delete one, `do` goes
/// to `settings/secrets/{name}`.
#[component]
pub fn Secrets(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: SecretsPage,
    /// What was typed, and why it was refused. A value is not sent back.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let SecretsPage { secrets, may_manage } = page;
    let list = if secrets.is_empty() {
        view! {
            <div class="panel" id="no-secrets">
                <Empty
                    symbol=Symbol::Key
                    title="No secret yet"
                    text="A secret is a password or key that steps get as a variable: \"secrets: [HF_TOKEN]\" in a pipeline's file. Set one in the form here, or from a terminal:"
                />
                <Body><Command text="slipway secret set HF_TOKEN < token.txt"/></Body>
            </div>
        }
        .into_any()
    } else {
        let rows = secrets
            .iter()
            .map(|secret| view! { <Row links=links.clone() secret=secret.clone() may_manage/> })
            .collect_view();
        view! {
            <Panel title="Secrets" id="secrets" note="Steps get them as variables; nobody reads them back">
                <Table label="Secrets" roomy=true keys=true>
                    <thead>
                        <tr>
                            <Head label="Name"/>
                            <Head label="Version"/>
                            <Head label="Set"/>
                            <Head label="Last used"/>
                            {may_manage.then(|| view! { <Head label="Delete" quiet=true/> })}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </Table>
            </Panel>
        }
        .into_any()
    };
    let dialogs = secrets
        .iter()
        .filter(|_| may_manage)
        .map(|secret| {
            let name = &secret.name;
            view! {
                <Confirm
                    id=format!("delete-{name}")
                    title=format!("Delete {name}?")
                    action=links.secret(name)
                    go=format!("Delete {name}")
                    keep="Keep it"
                    values=vec![("do", "delete".to_owned())]
                >
                    <p>
                        "Its value is gone for good. Runs of pipelines that need it are not started any more, and steps that were to get it fail."
                    </p>
                </Confirm>
            }
        })
        .collect_view();
    let (action, names) = (links.secrets(), secrets.into_iter().map(|secret| secret.name).collect::<Vec<_>>());
    let form = may_manage.then(|| {
        view! {
            <aside class="stack" aria-label="Set a secret">
                <Panel title="Set a secret" id="set">
                    <Body>
                        <form class="stack" method="post" action=action autocomplete="off">
                            <FormErrors draft=draft.clone() fields=&["name", "secret"]/>
                            <TextField
                                label="Name"
                                name="name"
                                autocomplete="off"
                                max=MAX_NAME
                                choices=names
                                hint="Letters, digits and _. The name of one that there is gives it another value."
                                draft=draft.clone()
                            />
                            <TextArea
                                label="Value"
                                name="secret"
                                mono=true
                                rows=4
                                hint="Kept encrypted, and hidden in the logs of steps that get it. It is not shown again."
                                draft=draft.clone()
                            />
                            <Button text="Set secret" kind=Kind::Primary/>
                        </form>
                    </Body>
                </Panel>
            </aside>
        }
    });
    view! {
        <Frame links=links.clone() part=Part::Secrets>
            <div class=if may_manage { "with-aside" } else { "stack" }>
                <div class="stack">{list}</div>
                {form}
            </div>
            {dialogs}
        </Frame>
    }
}

#[component]
fn Row(links: Links, secret: Secret, may_manage: bool) -> impl IntoView {
    let Secret { name, version, updated_at, updated_by, last_used_at, .. } = secret;
    let dialog = format!("delete-{name}");
    view! {
        <tr id=format!("secret-{name}")>
            <th scope="row"><code class="strong">{name.clone()}</code></th>
            <td>{format!("v{version}")}</td>
            <td><When at=updated_at/><span class="sub">{format!("by {updated_by}")}</span></td>
            <td>{match last_used_at {
                Some(at) => view! { <When at/> }.into_any(),
                None => view! { <span class="none">"never"</span> }.into_any(),
            }}</td>
            {may_manage
                .then(|| {
                    view! {
                        <td class="num">
                            <Button text="Delete" kind=Kind::Danger opens=dialog/>
                            <noscript><Act action=links.secret(&name) text="Delete" kind=Kind::Danger values=vec![("do", "delete".to_owned())]/></noscript>
                        </td>
                    }
                })}
        </tr>
    }
}
