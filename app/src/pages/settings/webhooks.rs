//! Webhooks: addresses that are told what happens in the registry, and what was sent to one of them.

use super::{Frame, Part};
use crate::ui::prelude::*;
use domain::{
    Page,
    webhook::{Delivery, DeliveryState, MAX_ATTEMPTS, Webhook, WebhookEvent, WebhookFormat, WebhookStatus, WebhookUrl},
};
use leptos::prelude::*;

/// A line of the list.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    /// The webhook.
    pub webhook: Webhook,
    /// The last that was sent to it, or is to be.
    pub last: Option<Delivery>,
}

/// The webhooks of the workspace, with the form to add one, which sends to `settings/webhooks`.
#[component]
pub fn Webhooks(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// The webhooks, newest first; none for a reader who may not see them.
    webhooks: Option<Page<WebhookRow>>,
    /// What was typed to add one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let action = links.to("settings/webhooks");
    let content = match webhooks {
        None => view! {
            <div class="panel">
                <h2 class="sr">"Webhooks"</h2>
                <Empty
                    symbol=Symbol::Bell
                    title="Administrators see the webhooks"
                    text="A webhook tells another service what happens to registered models. Its address may hold a secret of that service, so administrators alone see and change them."
                />
            </div>
        }
        .into_any(),
        Some(Page { items, next_page_token }) => {
            let shown = items.len();
            let list = if items.is_empty() && next_page_token.is_none() && address.get("page_token").is_none() {
                view! {
                    <Panel title="Webhooks" id="webhooks">
                        <Empty
                            symbol=Symbol::Bell
                            title="Nobody is told yet"
                            text="A webhook tells a service of yours, such as CI or a chat, when a model or version is registered, tagged or gets an alias. Add one in the form here."
                        />
                    </Panel>
                }
                .into_any()
            } else {
                let rows = items.into_iter().map(|row| view! { <Line links=links.clone() row/> }).collect_view();
                view! {
                    <Panel title="Webhooks" id="webhooks">
                        <Table label="Webhooks" roomy=true keys=true>
                            <thead>
                                <tr>
                                    <Head label="Name"/>
                                    <Head label="State"/>
                                    <Head label="Told of"/>
                                    <Head label="Last delivery"/>
                                </tr>
                            </thead>
                            <tbody>{rows}</tbody>
                        </Table>
                    </Panel>
                    <Pager address=address.clone() shown next=next_page_token one="webhook" many="webhooks" keys=true/>
                }
                .into_any()
            };
            view! {
                <div class="with-aside">
                    <div>{list}</div>
                    <aside class="stack" aria-label="Add a webhook">
                        <Panel title="Add a webhook" id="add">
                            <Body>
                                <form class="stack" method="post" action=action>
                                    <Fields draft=draft.clone()/>
                                    <TextField
                                        label="Secret"
                                        name="secret"
                                        kind="password"
                                        autocomplete="off"
                                        optional=true
                                        hint="Deliveries are signed with it, so that the receiver knows that they are from here."
                                        draft
                                    />
                                    <Button text="Add webhook" kind=Kind::Primary/>
                                </form>
                            </Body>
                        </Panel>
                    </aside>
                </div>
            }
            .into_any()
        }
    };
    view! { <Frame links=links part=Part::Webhooks>{content}</Frame> }
}

#[component]
fn Line(links: Links, row: WebhookRow) -> impl IntoView {
    let WebhookRow { webhook, last } = row;
    let (state, word) = of_status(webhook.status);
    let host = WebhookUrl::parse(&webhook.url, true).map(|url| url.host().to_owned()).unwrap_or_default();
    let events = webhook.events.len();
    let first = webhook.events.first().map(|event| event.as_str()).unwrap_or_default();
    view! {
        <tr>
            <th scope="row">
                <a class="strong" href=links.to(&format!("settings/webhooks/{}", webhook.id))>{webhook.name}</a>
                // The path of an address may be a secret of another service, and is long.
                <span class="sub">{host}</span>
            </th>
            <td><StateMark state word/></td>
            <td>
                <code>{first}</code>
                {(events > 1).then(|| view! { <span class="sub">{format!("and {} more", events - 1)}</span> })}
            </td>
            <td>{match last {
                Some(delivery) => {
                    let (state, word) = of_delivery(&delivery);
                    view! { <StateMark state word/>" "<span class="sub"><When at=delivery.ended_at.unwrap_or(delivery.created_at)/></span> }
                        .into_any()
                }
                None => view! { <span class="none">"never"</span> }.into_any(),
            }}</td>
        </tr>
    }
}

fn of_status(status: WebhookStatus) -> (State, &'static str) {
    match status {
        WebhookStatus::Active => (State::Passed, "Active"),
        WebhookStatus::Disabled => (State::Cancelled, "Disabled"),
    }
}

/// How a delivery stands, as it is drawn and said.
fn of_delivery(delivery: &Delivery) -> (State, &'static str) {
    match delivery.state {
        DeliveryState::Waiting if delivery.attempts == 0 => (State::Queued, "Waits"),
        DeliveryState::Waiting => (State::Warning, "Tried again"),
        DeliveryState::Sending => (State::Running, "Is sent"),
        DeliveryState::Delivered => (State::Passed, "Delivered"),
        DeliveryState::Failed => (State::Failed, "Failed"),
        DeliveryState::Dropped => (State::Skipped, "Dropped"),
    }
}

/// The fields that adding and changing have in common, with what is wrong above them.
#[component]
fn Fields(draft: Draft) -> impl IntoView {
    let events = WebhookEvent::ALL
        .into_iter()
        .filter(|event| *event != WebhookEvent::BudgetPolicyExceeded || draft.has("events", event.as_str()))
        .map(|event| {
            view! {
                <CheckField name="events" value=event.as_str() draft=draft.clone()>
                    {event.describe()}
                    " "
                    <code class="muted">{event.as_str()}</code>
                </CheckField>
            }
        })
        .collect_view();
    let formats = [
        (WebhookFormat::Mlflow, "the event with its data, as MLflow has it"),
        (WebhookFormat::Chat, "a sentence and a link, for Slack, Mattermost or Teams"),
    ];
    let formats = formats.map(|(format, words)| (format.as_str().to_owned(), words.to_owned())).to_vec();
    view! {
        <FormErrors draft=draft.clone() fields=&["name", "url", "format", "secret", "description", "events"]/>
        <TextField label="Name" name="name" autocomplete="off" max=63_usize hint="Lower-case letters, digits, dots, underscores and hyphens." draft=draft.clone()/>
        <TextField label="URL" name="url" kind="url" autocomplete="off" max=500_usize hint="Where deliveries are posted: a public address, by https." draft=draft.clone()/>
        <SelectField label="It is posted" name="format" options=formats draft=draft.clone()/>
        <TextField label="Description" name="description" autocomplete="off" optional=true draft=draft.clone()/>
        <fieldset class="field">
            <legend class="label">"Told when"</legend>
            {events}
            {draft.error("events").map(|error| view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error.to_owned()}</span></p> })}
        </fieldset>
    }
}

/// What the page of one webhook shows.
#[derive(Debug, Clone)]
pub struct WebhookPage {
    /// The webhook.
    pub webhook: Webhook,
    /// What was sent to it and is to be, newest first.
    pub deliveries: Page<Delivery>,
}

/// One webhook with its deliveries, and what can be done with it: forms that send to `settings/webhooks/{id}`.
#[component]
pub fn WebhookView(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// What it shows.
    page: WebhookPage,
    /// What was typed to change it, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let WebhookPage { webhook, deliveries } = page;
    let action = links.to(&format!("settings/webhooks/{}", webhook.id));
    let (state, word) = of_status(webhook.status);
    let (switch, switch_to) = match webhook.status {
        WebhookStatus::Active => ("Disable", "disable"),
        WebhookStatus::Disabled => ("Enable", "enable"),
    };
    let draft = if draft.is_refused() { draft } else { present(&webhook) };
    let examples = webhook.events.iter().map(|event| (event.as_str().to_owned(), event.as_str().to_owned())).collect();
    let again = (webhook.status == WebhookStatus::Active).then(|| action.clone());
    let Webhook { name, url, description, has_secret, created_at, updated_at, .. } = webhook;
    let (save, test, delete) = (action.clone(), action.clone(), action.clone());
    view! {
        <Frame links=links.clone() part=Part::Webhooks>
            <div class="with-aside">
                <div class="stack">
                    <Panel
                        title=name.clone()
                        id="webhook"
                        lead=view! { <StateMark state word/> }.into_any()
                        actions=view! {
                            <Act action=action text=switch values=vec![("do", switch_to.to_owned())]/>
                            <Button text="Delete" kind=Kind::Danger opens="delete"/>
                        }
                        .into_any()
                    >
                        <Body>
                            <Facts>
                                {(!description.is_empty()).then(|| view! { <Fact name="For">{description}</Fact> })}
                                <Fact name="URL"><code class="breaks">{url}</code></Fact>
                                <Fact name="Signed">{if has_secret { "with its secret" } else { "no: it has no secret" }}</Fact>
                                <Fact name="Added"><When at=created_at/></Fact>
                                <Fact name="Changed"><When at=updated_at/></Fact>
                            </Facts>
                        </Body>
                    </Panel>
                    <Deliveries address deliveries again/>
                </div>
                <aside class="stack" aria-label="Try and change it">
                    <Panel title="Try it" id="test" note="Sends an example, once, now">
                        <Body>
                            <form class="stack" method="post" action=test>
                                <SelectField label="Event" name="event" options=examples/>
                                <Button text="Send example" name="do" value="test"/>
                            </form>
                        </Body>
                    </Panel>
                    <Panel title="Change it" id="change">
                        <Body>
                            <form class="stack" method="post" action=save>
                                <Fields draft=draft.clone()/>
                                <TextField
                                    label="Another secret"
                                    name="secret"
                                    kind="password"
                                    autocomplete="off"
                                    optional=true
                                    hint="Stays as it is when nothing is written here."
                                    draft=draft.clone()
                                />
                                {has_secret
                                    .then(|| view! { <CheckField name="unsigned" draft>"Remove the secret, and sign no more"</CheckField> })}
                                <Button text="Save" name="do" value="save"/>
                            </form>
                        </Body>
                    </Panel>
                </aside>
            </div>
            <Confirm
                id="delete"
                title=format!("Delete the webhook {name}?")
                action=delete
                go=format!("Delete {name}")
                keep="Keep it"
                values=vec![("do", "delete".to_owned())]
            >
                <p>"Nothing is sent to it any more, and what waits to be sent is dropped. Its secret is forgotten. This cannot be undone."</p>
            </Confirm>
        </Frame>
    }
}

/// The form as it stands when nothing was typed.
fn present(webhook: &Webhook) -> Draft {
    let texts = [
        ("name", webhook.name.as_str()),
        ("url", webhook.url.as_str()),
        ("format", webhook.format.as_str()),
        ("description", webhook.description.as_str()),
    ];
    Draft::of(texts.into_iter().chain(webhook.events.iter().map(|event| ("events", event.as_str()))))
}

#[component]
fn Deliveries(
    address: Address,
    deliveries: Page<Delivery>,
    /// Where a delivery is sent again from, while anything is sent.
    again: Option<String>,
) -> impl IntoView {
    let Page { items, next_page_token } = deliveries;
    let shown = items.len();
    if items.is_empty() && address.get("page_token").is_none() {
        return view! {
            <Panel title="Deliveries" id="deliveries">
                <Empty
                    symbol=Symbol::Inbox
                    title="Nothing was sent yet"
                    text="A delivery stands here as soon as something happens that this webhook is told of, and for 30 days. Examples are not among them."
                />
            </Panel>
        }
        .into_any();
    }
    let rows = items
        .into_iter()
        .map(|delivery| {
            let (state, word) = of_delivery(&delivery);
            let answer = delivery.response_status.map(|status| status.to_string());
            let has_ended = delivery.ended_at.is_some();
            let repeat = again.clone().filter(|_| has_ended).map(|action| {
                let values = vec![("do", "redeliver".to_owned()), ("delivery", delivery.id.to_string())];
                view! { <Act action text="Send again" values/> }
            });
            view! {
                <tr>
                    <th scope="row">
                        <code>{delivery.event.as_str()}</code>
                        <span class="sub mono">{delivery.id.to_string()}</span>
                        {delivery.redelivery_of.map(|first| view! { <span class="sub">"Again: "<span class="mono">{first.to_string()}</span></span> })}
                    </th>
                    <td>
                        <StateMark state word/>
                        {(!delivery.error.is_empty()).then(|| view! { <span class="sub">{delivery.error.clone()}</span> })}
                        {(!delivery.response_excerpt.is_empty())
                            .then(|| view! { <span class="sub breaks">"Answer: "{delivery.response_excerpt.clone()}</span> })}
                        {delivery.next_at.filter(|_| delivery.attempts > 0).map(|at| view! { <span class="sub">"Next try: "<Until at/></span> })}
                    </td>
                    <td class="num">{match answer {
                        Some(status) => view! { <code>{status}</code> }.into_any(),
                        None => view! { <span class="none">"–"</span> }.into_any(),
                    }}</td>
                    <td class="num">{format!("{} of {MAX_ATTEMPTS}", delivery.attempts)}</td>
                    <td><When at=delivery.created_at/>{repeat}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div>
            <Panel title="Deliveries" id="deliveries" note="Kept for 30 days">
                <Table label="Deliveries" roomy=true>
                    <thead>
                        <tr>
                            <Head label="Event"/>
                            <Head label="State"/>
                            <Head label="Answer" num=true/>
                            <Head label="Tries" num=true/>
                            <Head label="Happened"/>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </Table>
            </Panel>
            <Pager address shown next=next_page_token one="delivery" many="deliveries"/>
        </div>
    }
    .into_any()
}
