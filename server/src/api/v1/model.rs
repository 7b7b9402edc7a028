//! Registered models. They are written through MLflow's API.

use super::{Listed, Paging, experiment::Wanted};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    model::{AliasMove, Model, ModelSummary, ModelVersion},
    page::MAX_PAGE,
    permission::Permission,
};
use serde::Serialize;
use services::ModelSearch;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::Needs(Permission::Read), operation!(list)).api(Access::Needs(Permission::Read), operation!(get))
}

/// The models, by name, with what their versions come to.
#[utoipa::path(get, path = "/api/v1/models", tag = "registry", params(Wanted, Paging),
    responses((status = 200, body = Listed<ModelSummary>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<ModelSummary>>, ApiError> {
    let search = ModelSearch {
        filter: &wanted.filter,
        order: &wanted.order(),
        page_token: paging.page_token.as_deref(),
        limit: paging.limit(),
    };
    Ok(Json(state.services.model_summaries(&ctx, &search).await?.into()))
}

/// A model with its versions and the history of its aliases.
#[derive(Serialize, ToSchema)]
struct ModelRecord {
    /// The model.
    model: Model,
    /// Its last thousand versions, newest first.
    versions: Vec<ModelVersion>,
    /// The last thousand moves of its aliases, newest first.
    alias_moves: Vec<AliasMove>,
}

/// A model, with its versions and the history of its aliases.
#[utoipa::path(get, path = "/api/v1/models/{name}", tag = "registry", params(("name" = String, Path)),
    responses((status = 200, body = ModelRecord), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<ModelRecord>, ApiError> {
    let detail = state.services.model_detail(&ctx, &name, None, MAX_PAGE).await?;
    Ok(Json(ModelRecord { model: detail.model, versions: detail.versions.items, alias_moves: detail.alias_moves }))
}
