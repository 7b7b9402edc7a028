//! Model cards.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    Error, ErrorKind,
    model_card::{ModelCard, ModelCardEntry},
    permission::Permission,
};
use serde::Deserialize;
use services::no_card;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(get))
        .api(Access::Needs(Permission::WriteRegistry), operation!(put))
        .api(read, operation!(list))
        .api(read, operation!(version))
}

/// The card of a model: the one that was saved last.
#[utoipa::path(get, path = "/api/v1/models/{name}/card", tag = "registry", params(("name" = String, Path)),
    responses((status = 200, body = ModelCard), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<ModelCard>, ApiError> {
    let card = state.services.model_card(&ctx, &name, None).await?;
    let none = || Error::new(ErrorKind::NotFound, format!("The model {name} has no card yet; put one here."));
    Ok(Json(card.ok_or_else(none)?))
}

/// A card to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCard {
    /// Markdown, at most 100,000 characters. Empty takes the card away.
    text: String,
    /// The number of the card that it replaces; absent for the first. When another one is in force, nothing changes.
    instead_of: Option<i32>,
}

/// Saves a card of a model. The text that is in force already changes nothing.
#[utoipa::path(put, path = "/api/v1/models/{name}/card", tag = "registry", params(("name" = String, Path)),
    request_body = NewCard,
    responses((status = 200, body = ModelCard), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn put(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(new): Body<NewCard>,
) -> Result<Json<ModelCard>, ApiError> {
    Ok(Json(state.services.save_model_card(&ctx, &name, &new.text, new.instead_of).await?))
}

/// Every card that a model has had, the newest first, without their texts.
#[utoipa::path(get, path = "/api/v1/models/{name}/card/versions", tag = "registry",
    params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<ModelCardEntry>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<ModelCardEntry>>, ApiError> {
    let page = state.services.model_cards(&ctx, &name, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// A card that a model has, or had.
#[utoipa::path(get, path = "/api/v1/models/{name}/card/versions/{number}", tag = "registry",
    params(("name" = String, Path), ("number" = i32, Path)),
    responses((status = 200, body = ModelCard), (status = 404, body = Problem)))]
async fn version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, number)): Path<(String, i32)>,
) -> Result<Json<ModelCard>, ApiError> {
    let card = state.services.model_card(&ctx, &name, Some(number)).await?;
    Ok(Json(card.ok_or_else(|| no_card(&name, number))?))
}
