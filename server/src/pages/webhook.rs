//! The settings of webhooks: the list with the form to add one, and one with what was sent to it.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::settings::{WebhookPage, WebhookRow, WebhookView, Webhooks},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    id::{DeliveryId, WebhookId},
    permission::Permission,
    webhook::{WebhookEvent, WebhookFormat, WebhookStatus},
};
use leptos::prelude::*;
use services::{NewWebhook, WebhookChange};
use std::collections::BTreeSet;

const WEBHOOKS: &str = "settings/webhooks";
/// How many webhooks or deliveries a page shows.
const ROWS: usize = 50;
const SECTION: Option<Section> = Some(Section::Settings);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageWebhooks));
    routes
        .page(Method::GET, "/settings/webhooks", read, list)
        .page(Method::POST, "/settings/webhooks", manage, add)
        .page(Method::GET, "/settings/webhooks/{id}", manage, show)
        .page(Method::POST, "/settings/webhooks/{id}", manage, change)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let webhooks = if ctx.may(Permission::ManageWebhooks) {
        let page = view.services().webhook_summaries(ctx, chosen.get("page_token"), ROWS).await?;
        Some(page.map(|summary| WebhookRow { webhook: summary.webhook, last: summary.last }))
    } else {
        // The tab is there for everybody; whose it is, it says itself.
        None
    };
    let links = view.links.clone();
    let address = chosen.address(links.to(WEBHOOKS));
    match refused {
        None => view.page("Webhooks", SECTION, move || view! { <Webhooks links address webhooks/> }).await,
        Some((error, draft)) => {
            let again = move || view! { <Webhooks links address webhooks draft/> };
            view.refused(&error, "Webhooks", SECTION, again).await
        }
    }
}

fn events(form: &Form) -> Result<BTreeSet<WebhookEvent>, Error> {
    form.parse_all::<WebhookEvent, _>("events")
}

/// What it is posted; none when the form does not say.
fn format(form: &Form) -> Result<Option<WebhookFormat>, Error> {
    Some(form.text("format")).filter(|text| !text.is_empty()).map(|_| form.parse("format")).transpose()
}

async fn add(view: View, form: Form) -> PageResult {
    let added = async {
        let new = NewWebhook {
            name: form.text("name").to_owned(),
            url: form.text("url").to_owned(),
            events: events(&form)?,
            description: form.text("description").to_owned(),
            secret: form.raw("secret").to_owned(),
            status: WebhookStatus::Active,
            format: format(&form)?.unwrap_or_default(),
        };
        view.services().create_webhook(view.ctx()?, new).await
    };
    match added.await {
        Ok(webhook) => {
            let to = view.links.to(&format!("{WEBHOOKS}/{}", webhook.id));
            view.done(&to, format!("{} is told from now on. Try it.", webhook.name)).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show(view: View, Path(id): Path<WebhookId>, chosen: Chosen) -> PageResult {
    show_page(view, id, chosen, None).await
}

async fn show_page(view: View, id: WebhookId, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let webhook = services.webhook(ctx, id).await?;
    let deliveries = services.webhook_deliveries(ctx, id, chosen.get("page_token"), ROWS).await?;
    let title = format!("{} · Webhooks", webhook.name);
    let page = WebhookPage { webhook, deliveries };
    let links = view.links.clone();
    let address = chosen.address(links.to(&format!("{WEBHOOKS}/{id}")));
    match refused {
        None => view.page(title, SECTION, move || view! { <WebhookView links address page/> }).await,
        Some((error, draft)) => {
            let again = move || view! { <WebhookView links address page draft/> };
            view.refused(&error, title, SECTION, again).await
        }
    }
}

async fn change(view: View, Path(id): Path<WebhookId>, form: Form) -> PageResult {
    let here = view.links.to(&format!("{WEBHOOKS}/{id}"));
    let status = |status| WebhookChange { status: Some(status), ..WebhookChange::default() };
    let switched = match form.text("do") {
        "delete" => {
            let name = view.services().webhook(view.ctx()?, id).await?.name;
            view.services().delete_webhook(view.ctx()?, id).await?;
            return view.done(&view.links.to(WEBHOOKS), format!("{name} is deleted.")).await;
        }
        "test" => {
            let event = Some(form.text("event")).filter(|event| !event.is_empty());
            let event = event.map(|_| form.parse("event")).transpose()?;
            let went = view.services().test_webhook(view.ctx()?, id, event).await?;
            let told = match (went.success, went.response_status) {
                (true, Some(status)) => format!("The example was delivered: the receiver answered {status}."),
                _ => format!("The example was not delivered. {}", went.error.unwrap_or_default()),
            };
            return view.done(&here, told).await;
        }
        "redeliver" => {
            let delivery: DeliveryId = form
                .text("delivery")
                .parse()
                .map_err(|_| Error::new(ErrorKind::NotFound, "No such delivery of this webhook."))?;
            view.services().redeliver(view.ctx()?, id, delivery).await?;
            return view.done(&here, "It is sent again, as a delivery of its own.").await;
        }
        "enable" => Some((WebhookStatus::Active, "It is told from now on.")),
        "disable" => Some((WebhookStatus::Disabled, "It is not told anything any more.")),
        _ => None,
    };
    if let Some((to, notice)) = switched {
        view.services().change_webhook(view.ctx()?, id, status(to)).await?;
        return view.done(&here, notice).await;
    }
    let changed = async {
        let secret = form.raw("secret");
        let is_unsigned = form.text("unsigned") == "on";
        let change = WebhookChange {
            name: Some(form.text("name").to_owned()),
            url: Some(form.text("url").to_owned()),
            events: Some(events(&form)?),
            description: Some(form.text("description").to_owned()),
            secret: (is_unsigned || !secret.is_empty())
                .then(|| if is_unsigned { String::new() } else { secret.to_owned() }),
            status: None,
            format: format(&form)?,
        };
        view.services().change_webhook(view.ctx()?, id, change).await
    };
    match changed.await {
        Ok(_) => view.done(&here, "The webhook is changed.").await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            show_page(view, id, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
