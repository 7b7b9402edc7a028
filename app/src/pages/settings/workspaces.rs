//! The workspaces that one is a member of.

use super::{Frame, Part, role_name};
use crate::ui::prelude::*;
use domain::{permission::Role, user::Workspace};
use leptos::prelude::*;
use std::collections::BTreeSet;

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
                {may_make
                    .then(|| {
                        view! {
                            <aside class="stack" aria-label="Make a workspace">
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
                            </aside>
                        }
                    })}
            </div>
        </Frame>
    }
}
