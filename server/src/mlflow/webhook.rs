//! Webhooks of the registry.

use super::{
    MlflowError,
    answer::{self, Empty, done},
    fields::{Fields, shown},
};
use crate::{
    access::{Access, Context},
    extract::Path,
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::Method,
    response::{IntoResponse, Response},
};
use domain::{
    Error,
    id::WebhookId,
    permission::Permission,
    webhook::{Webhook, WebhookEvent, WebhookFormat},
};
use serde_json::{Value, json};
use services::{Ctx, NewWebhook, WebhookChange};
use std::collections::BTreeSet;

pub(super) fn routes(routes: Routes) -> Routes {
    let manage = Access::Needs(Permission::ManageWebhooks);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/webhooks", manage, create)
        .mlflow(Method::GET, "/2.0/mlflow/webhooks", manage, list)
        .mlflow(Method::GET, "/2.0/mlflow/webhooks/{webhook_id}", manage, get)
        .mlflow(Method::PATCH, "/2.0/mlflow/webhooks/{webhook_id}", manage, update)
        .mlflow(Method::DELETE, "/2.0/mlflow/webhooks/{webhook_id}", manage, delete)
        .mlflow(Method::POST, "/2.0/mlflow/webhooks/{webhook_id}/test", manage, test)
}

/// Reads a webhook's id; one that has another form is no webhook's.
fn id(text: &str) -> Result<WebhookId, Error> {
    text.parse().map_err(|_| services::no_webhook(shown(text)))
}

fn event(fields: &Fields) -> Result<WebhookEvent, Error> {
    WebhookEvent::parse(&fields.name_or_number("entity", &ENTITIES)?, &fields.name_or_number("action", &ACTIONS)?)
}

/// The names of MLflow's enumerations, in the order of their numbers.
const ENTITIES: [&str; 11] = [
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
];
const ACTIONS: [&str; 6] = ["ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"];

fn events(fields: &Fields) -> Result<BTreeSet<WebhookEvent>, Error> {
    fields.objects("events")?.iter().map(event).collect()
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let new = NewWebhook {
        name: fields.required("name")?.to_owned(),
        url: fields.required("url")?.to_owned(),
        events: events(&fields)?,
        description: fields.text_or_empty("description")?.to_owned(),
        secret: fields.text_or_empty("secret")?.to_owned(),
        status: fields.webhook_status()?.unwrap_or_default(),
        format: WebhookFormat::Mlflow,
    };
    let webhook = state.services.create_webhook(&ctx, new).await?;
    Ok(answered(&webhook))
}

/// The webhook of this id. One that is told of nothing that MLflow knows is not there for its clients: they fail to read a
/// webhook without events.
async fn known(state: &AppState, ctx: &Ctx, text: &str) -> Result<Webhook, Error> {
    let webhook = state.services.webhook(ctx, id(text)?).await?;
    if is_known(&webhook) { Ok(webhook) } else { Err(services::no_webhook(webhook.id)) }
}

fn is_known(webhook: &Webhook) -> bool {
    webhook.events.iter().any(|event| event.is_of_mlflow())
}

fn answered(webhook: &Webhook) -> Json<Value> {
    Json(json!({ "webhook": answer::webhook(webhook) }))
}

async fn list(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let page = state.services.webhooks(&ctx, fields.page_token()?, fields.max_results(100, 1000)?).await?;
    let webhooks: Vec<Value> = page.items.iter().filter(|webhook| is_known(webhook)).map(answer::webhook).collect();
    Ok(Json(answer::page("webhooks", &webhooks, page.next_page_token)).into_response())
}

async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(webhook): Path<String>,
) -> Result<Json<Value>, MlflowError> {
    Ok(answered(&known(&state, &ctx, &webhook).await?))
}

async fn update(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(webhook): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let said = |name: &str| -> Result<Option<String>, Error> { Ok(fields.text(name)?.map(ToOwned::to_owned)) };
    let before = known(&state, &ctx, &webhook).await?;
    let mut events = events(&fields)?;
    if !events.is_empty() {
        // What its client is not shown, it does not mean to take away.
        events.extend(before.events.iter().filter(|event| !event.is_of_mlflow()));
    }
    let change = WebhookChange {
        // An empty name, URL or list says nothing; an empty description or secret takes it away.
        name: said("name")?.filter(|name| !name.is_empty()),
        url: said("url")?.filter(|url| !url.is_empty()),
        events: Some(events).filter(|events| !events.is_empty()),
        description: said("description")?,
        secret: said("secret")?,
        status: fields.webhook_status()?,
        format: None,
    };
    let webhook = state.services.change_webhook(&ctx, before.id, change).await?;
    Ok(answered(&webhook))
}

async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(webhook): Path<String>,
) -> Result<Empty, MlflowError> {
    let webhook = known(&state, &ctx, &webhook).await?;
    state.services.delete_webhook(&ctx, webhook.id).await?;
    Ok(done())
}

async fn test(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(webhook): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let event = fields.object("event")?.map(|fields| event(&fields)).transpose()?;
    let webhook = known(&state, &ctx, &webhook).await?;
    let event = event.or_else(|| webhook.events.iter().copied().find(|event| event.is_of_mlflow()));
    let went = state.services.test_webhook(&ctx, webhook.id, event).await?;
    let mut result = json!({ "success": went.success });
    for (name, value) in [
        ("response_status", went.response_status.map(Value::from)),
        ("response_body", went.response_body.map(Value::from)),
        ("error_message", went.error.map(Value::from)),
    ] {
        if let Some(value) = value {
            result[name] = value;
        }
    }
    Ok(Json(json!({ "result": result })))
}
