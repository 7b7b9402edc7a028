//! Push hooks: all of them with the form that makes one, and one with what it was told of.

use super::pipeline::{AllOf, FormPanel, MadeBy, OfPipeline, ParamsField, Part, Starts};
use crate::{islands::LiveRegion, ui::prelude::*};
use domain::{
    Page,
    audit::AuditEvent,
    id::WorkspaceId,
    push_hook::{Delivery, Forge, Outcome, PushField, PushHook},
};
use leptos::prelude::*;

/// What the page of push hooks shows.
#[derive(Debug, Clone)]
pub struct PushHooksPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The hooks, by name.
    pub hooks: Page<PushHook>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// Whether the reader may make and change them.
    pub may_write: bool,
}

/// The push hooks of the workspace. The form sends to `push-hooks`.
#[component]
pub fn PushHooks(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `pipeline` filters, `page_token` goes on.
    address: Address,
    /// What it shows.
    page: PushHooksPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let PushHooksPage { workspace_id, hooks, pipelines, may_write } = page;
    let events = links.events(&[format!("push_hooks:{workspace_id}")]);
    let Page { items, next_page_token } = hooks;
    let shown = items.len();
    let list = if items.is_empty() {
        view! {
            <div class="panel" id="no-hooks">
                <Empty
                    symbol=Symbol::Commit
                    title="No push starts anything"
                    text="A push hook is an address that GitHub, GitLab or Gitea tells of pushes; each that fits starts a pipeline. Make one in the form here, or with POST /api/v1/push-hooks."
                />
            </div>
        }
        .into_any()
    } else {
        let rows = items
            .into_iter()
            .map(|hook| {
                let (shape, word) = state(&hook);
                view! {
                    <tr id=format!("hook-{}", hook.name)>
                        <th scope="row"><a class="strong" href=links.push_hook(&hook.name)>{hook.name.clone()}</a></th>
                        <td><StateMark state=shape word/></td>
                        <td><a class="quiet" href=links.pipeline(&hook.pipeline)>{hook.pipeline.clone()}</a></td>
                        <td class="wrap">{crate::format::capitalised(&hook.words())}</td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <Table label="Push hooks" roomy=true keys=true id="hooks" live=true>
                <thead>
                    <tr>
                        <Head label="Push hook"/>
                        <Head label="State"/>
                        <Head label="Starts"/>
                        <Head label="Waits for"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let (action, names) = (links.push_hooks(), pipelines.clone());
    let form = may_write.then(|| {
        let draft = if draft.is_refused() { draft } else { Draft::of([("forge", "github")]) };
        let forges = Forge::ALL.map(|forge| (forge.as_str().to_owned(), forge.title().to_owned()));
        view! {
            <FormPanel title="New push hook" id="new" action go="Make push hook" own=FIELDS draft=draft.clone()>
                <SelectField label="Who tells of pushes" name="forge" options=forges.to_vec() draft=draft.clone()/>
                <Fields pipelines=names draft/>
            </FormPanel>
        }
        .into_any()
    });
    view! {
        <AllOf links part=Part::PushHooks title="Push hooks" form makes="Make a push hook">
            <div class="list-bar"><OfPipeline address=address.clone() pipelines/></div>
            {list}
            <Pager address shown next=next_page_token one="push hook" many="push hooks" keys=true/>
        </AllOf>
        <LiveRegion events/>
    }
}

fn state(hook: &PushHook) -> (State, &'static str) {
    if hook.enabled { (State::Live, "On") } else { (State::Skipped, "Off") }
}

/// What the page of a push hook shows.
#[derive(Debug, Clone)]
pub struct PushHookPage {
    /// The hook.
    pub hook: PushHook,
    /// The address to give to the forge.
    pub url: String,
    /// Its secret, when it was just made: it is shown this once.
    pub secret: Option<String>,
    /// What it was told of, latest first.
    pub deliveries: Page<Delivery>,
    /// What happened to it, latest first.
    pub events: Vec<AuditEvent>,
    /// The names of pipelines.
    pub pipelines: Vec<String>,
    /// Whether the reader may change it.
    pub may_write: bool,
}

/// A push hook. Its forms send to `push-hooks/{name}`, with `do` `change`, `on`, `off`, `secret` or `delete`.
#[component]
pub fn One(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on.
    address: Address,
    /// What it shows.
    page: PushHookPage,
    /// What is in the fields of its form, and why it was refused.
    draft: Draft,
) -> impl IntoView {
    let PushHookPage { hook, url, secret, deliveries, events: history, pipelines, may_write } = page;
    let events = links.events(&[format!("push_hooks:{}", hook.workspace_id)]);
    let (shape, word) = state(&hook);
    let action = links.push_hook(&hook.name);
    let name = hook.name.clone();
    let toggle = if hook.enabled { ("off", "Turn off") } else { ("on", "Turn on") };
    let acts = may_write.then(|| {
        view! {
            <Act action=action.clone() text=toggle.1 values=vec![("do", toggle.0.to_owned())]/>
            <Button text="Another secret" opens="renew-secret"/>
            <Button text="Delete" kind=Kind::Danger opens="delete-hook"/>
        }
    });
    let dialogs = may_write.then(|| {
        view! {
            <Confirm
                id="renew-secret"
                title=format!("Give {name} another secret?")
                action=action.clone()
                go="Make another"
                keep="Keep it"
                values=vec![("do", "secret".to_owned())]
            >
                <p>"Pushes that are signed with the secret of now are refused from then on, until the forge has the new one."</p>
            </Confirm>
            <Confirm
                id="delete-hook"
                title=format!("Delete {name}?")
                action=action.clone()
                go="Delete it"
                keep="Keep it"
                values=vec![("do", "delete".to_owned())]
            >
                <p>"Its address answers nobody any more, and what it was told of is forgotten. The runs that it started stay."</p>
            </Confirm>
        }
    });
    let shown_secret = secret.map(|secret| {
        view! {
            <Panel title="Secret" id="issued" note="Copy it now: it is not shown again">
                <Body><Command text=secret/></Body>
            </Panel>
        }
    });
    let Page { items, next_page_token } = deliveries;
    let shown = items.len();
    let log = if items.is_empty() {
        view! { <div class="panel" id="no-deliveries"><Empty symbol=Symbol::Commit title="Nothing came yet" text="What comes stands here with the answer that it got. What does not prove that its secret is known is refused and leaves no trace."/></div> }.into_any()
    } else {
        let rows = items.into_iter().map(|delivery| view! { <Told links=links.clone() delivery/> }).collect_view();
        view! {
            <Table label="Deliveries" keys=true id="deliveries" live=true>
                <thead>
                    <tr>
                        <Head label="Came"/>
                        <Head label="Outcome"/>
                        <Head label="Push"/>
                        <Head label="Answer"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let form = may_write.then(|| {
        view! {
            <FormPanel title="Change" id="change" action go="Save" own=FIELDS draft=draft.clone() act="change">
                <Fields pipelines draft/>
            </FormPanel>
        }
    });
    let how = match hook.forge {
        Forge::Github => {
            "At GitHub: Settings, Webhooks, Add webhook. Content type application/json, just the push event."
        }
        Forge::Gitlab => "At GitLab: Settings, Webhooks. The secret is the secret token; choose push events.",
        Forge::Gitea => "At Gitea: Settings, Webhooks, Add webhook. Content type application/json, push events.",
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Pipelines", links.pipelines()),
            Crumb::to("Push hooks", links.push_hooks()),
            Crumb::here(hook.name.clone()),
        ]/>
        <PageHead
            title=hook.name.clone().into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=acts.into_any()
            meta=view! {
                <Starts links=links.clone() pipeline=hook.pipeline.clone()/>
                <span><Icon symbol=Symbol::Commit/>{crate::format::capitalised(&hook.words())}</span>
                <MadeBy name=hook.created_by.clone() at=hook.created_at/>
            }
                .into_any()
            live=true
        />
        {dialogs}
        <div class="with-aside mt-4">
            <div class="stack">
                {shown_secret}
                <section aria-labelledby="h-deliveries">
                    <h2 class="sr" id="h-deliveries">"Deliveries"</h2>
                    {log}
                    <Pager address shown next=next_page_token one="delivery" many="deliveries" keys=true/>
                </section>
                <Happened events=history links=links.clone()/>
            </div>
            <aside class="stack" aria-label="Its address, and the form that changes it">
                <Panel title="Address" id="address">
                    <Body><Command text=url/><p class="muted">{how}</p></Body>
                </Panel>
                {form}
            </aside>
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn Told(links: Links, delivery: Delivery) -> impl IntoView {
    let (shape, word) = match delivery.outcome {
        Outcome::Started => (State::Passed, "Started"),
        Outcome::Ignored => (State::Skipped, "Ignored"),
        Outcome::Refused => (State::Failed, "Refused"),
    };
    let commit = delivery.commit.map(|commit| commit.chars().take(10).collect::<String>());
    let answer = match delivery.run_number {
        Some(number) => view! { <a href=links.pipeline_run(number)>{delivery.answer}</a> }.into_any(),
        None => view! { <span class="muted">{delivery.answer}</span> }.into_any(),
    };
    view! {
        <tr>
            <th scope="row"><When at=delivery.at/><span class="sub mono ellipsis">{delivery.delivery}</span></th>
            <td><StateMark state=shape word/></td>
            <td class="wrap">{delivery.branch}<span class="sub mono">{commit}</span></td>
            <td class="wrap">{answer}</td>
        </tr>
    }
}

/// The fields that show their own errors.
const FIELDS: &[&str] = &["name", "pipeline", "forge", "branches", "paths", "params", "from_push"];

/// What a new hook and one that is changed have in common.
#[component]
fn Fields(pipelines: Vec<String>, draft: Draft) -> impl IntoView {
    let known = PushField::ALL.map(PushField::as_str).join(", ");
    view! {
        <TextField label="Name" name="name" autocomplete="off" max=63_usize hint="Such as main-builds." draft=draft.clone()/>
        <TextField label="Pipeline" name="pipeline" autocomplete="off" choices=pipelines draft=draft.clone()/>
        <TextField
            label="Branches"
            name="branches"
            autocomplete="off"
            optional=true
            hint="Names, with commas between; * stands for any characters. All when nothing is written."
            draft=draft.clone()
        />
        <TextField
            label="Changed files"
            name="paths"
            autocomplete="off"
            optional=true
            hint="One must fit, such as train/* or *.py. Any when nothing is written."
            draft=draft.clone()
        />
        <ParamsField label="Params" draft=draft.clone()/>
        <TextArea
            label="Params from the push"
            name="from_push"
            optional=true
            mono=true
            rows=2
            placeholder="revision = commit"
            hint=format!("A line for each that gets what the push says: {known}.")
            draft
        />
    }
}
