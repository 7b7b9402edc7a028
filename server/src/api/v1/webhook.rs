//! Webhooks: addresses that are told what happens in the registry and to promotions, and what was sent to them.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    id::{DeliveryId, WebhookId},
    permission::Permission,
    webhook::{Delivery, Webhook, WebhookEvent, WebhookFormat, WebhookStatus},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let manage = Access::Needs(Permission::ManageWebhooks);
    routes
        .api(manage, operation!(list))
        .api(manage, operation!(create))
        .api(manage, operation!(get))
        .api(manage, operation!(change))
        .api(manage, operation!(delete))
        .api(manage, operation!(test))
        .api(manage, operation!(deliveries))
        .api(manage, operation!(redeliver))
}

/// The webhooks, newest first.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "registry", params(Paging),
    responses((status = 200, body = Listed<Webhook>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Webhook>>, ApiError> {
    Ok(Json(state.services.webhooks(&ctx, paging.page_token.as_deref(), paging.limit()).await?.into()))
}

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// Its name: lower-case letters, digits, dots, underscores and hyphens.
    name: String,
    /// Where deliveries are sent: a public address, by https.
    url: String,
    /// What it is told of, such as `model_version.created` or `promotion.live`.
    #[schema(value_type = Vec<String>)]
    events: BTreeSet<WebhookEvent>,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// What deliveries are signed with. Never shown again.
    #[serde(default)]
    secret: String,
    /// Whether it is told anything; it is when nothing is said.
    #[serde(default)]
    status: WebhookStatus,
    /// What it is posted: MLflow's body, or the sentence and link that a chat shows.
    #[serde(default)]
    format: WebhookFormat,
}

/// Makes a webhook. Its host is looked up: it must have public addresses alone.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "registry", request_body = NewWebhook,
    responses((status = 201, body = Webhook), (status = 400, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewWebhook>,
) -> Result<(StatusCode, Json<Webhook>), ApiError> {
    let new = services::NewWebhook {
        name: new.name,
        url: new.url,
        events: new.events,
        description: new.description,
        secret: new.secret,
        status: new.status,
        format: new.format,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_webhook(&ctx, new).await?)))
}

/// The webhook of this id.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "registry", params(("id" = WebhookId, Path)),
    responses((status = 200, body = Webhook), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<WebhookId>,
) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(state.services.webhook(&ctx, id).await?))
}

/// What of a webhook to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    /// Its name.
    name: Option<String>,
    /// Where deliveries are sent.
    url: Option<String>,
    /// What it is told of.
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<BTreeSet<WebhookEvent>>,
    /// What it is for.
    description: Option<String>,
    /// What deliveries are signed with; empty for nothing.
    secret: Option<String>,
    /// Whether it is told anything. Disabling it drops what waits.
    status: Option<WebhookStatus>,
    /// What it is posted.
    format: Option<WebhookFormat>,
}

/// Changes a webhook.
#[utoipa::path(patch, path = "/api/v1/webhooks/{id}", tag = "registry", params(("id" = WebhookId, Path)),
    request_body = WebhookChange,
    responses((status = 200, body = Webhook), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<WebhookId>,
    Body(change): Body<WebhookChange>,
) -> Result<Json<Webhook>, ApiError> {
    let change = services::WebhookChange {
        name: change.name,
        url: change.url,
        events: change.events,
        description: change.description,
        secret: change.secret,
        status: change.status,
        format: change.format,
    };
    Ok(Json(state.services.change_webhook(&ctx, id, change).await?))
}

/// Deletes a webhook. What waits to be sent to it is dropped.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "registry", params(("id" = WebhookId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<WebhookId>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_webhook(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What to send as an example.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Example {
    /// The event; the first that the webhook is told of when nothing is said.
    #[schema(value_type = Option<String>)]
    event: Option<WebhookEvent>,
}

/// How a try with an example went.
#[derive(Serialize, ToSchema)]
struct WebhookTest {
    /// Whether the receiver took it.
    success: bool,
    /// The status of its answer.
    response_status: Option<u16>,
    /// The beginning of its answer.
    response_body: Option<String>,
    /// Why it did not go well.
    error: Option<String>,
}

/// Sends an example of an event to a webhook, once, now.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "registry", params(("id" = WebhookId, Path)),
    request_body = Example,
    responses((status = 200, body = WebhookTest), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn test(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<WebhookId>,
    Body(example): Body<Example>,
) -> Result<Json<WebhookTest>, ApiError> {
    let services::WebhookTest { success, response_status, response_body, error } =
        state.services.test_webhook(&ctx, id, example.event).await?;
    Ok(Json(WebhookTest { success, response_status, response_body, error }))
}

/// What was sent to a webhook in the last 30 days and what is to be, newest first.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "registry",
    params(("id" = WebhookId, Path), Paging),
    responses((status = 200, body = Listed<Delivery>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn deliveries(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<WebhookId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Delivery>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.webhook_deliveries(&ctx, id, token, paging.limit()).await?.into()))
}

/// Sends once more what was sent to a webhook, as a delivery with an id of its own.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", tag = "registry",
    params(("id" = WebhookId, Path), ("delivery" = DeliveryId, Path)),
    responses((status = 202, body = Delivery), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn redeliver(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((id, delivery)): Path<(WebhookId, DeliveryId)>,
) -> Result<(StatusCode, Json<Delivery>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(state.services.redeliver(&ctx, id, delivery).await?)))
}
