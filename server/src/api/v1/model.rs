//! Registered models, and where their aliases pointed when. They are written through MLflow's API.

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
    as_of::AsOf,
    model::{AliasMove, Model, ModelSummary, ModelVersion},
    page::MAX_PAGE,
    permission::Permission,
};
use serde::{Deserialize, Serialize};
use services::ModelSearch;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(read, operation!(aliases))
        .api(read, operation!(alias_history))
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

/// At which moment.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Moment {
    /// A day (`2026-11-23`) or a time (`2026-11-23T09:05`, `2026-11-23T09:05:12Z`), to its end; without a zone in UTC.
    /// Absent: now.
    as_of: Option<String>,
}

/// Where the aliases of a model pointed at a moment: for each that pointed at a version then, the move that made it so.
#[utoipa::path(get, path = "/api/v1/models/{name}/aliases", tag = "registry", params(("name" = String, Path), Moment),
    responses((status = 200, body = Listed<AliasMove>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn aliases(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(moment): Query<Moment>,
) -> Result<Json<Listed<AliasMove>>, ApiError> {
    let as_of = moment.as_of.as_deref().map(AsOf::parse).transpose()?;
    Ok(Json(state.services.aliases_as_of(&ctx, &name, as_of.as_ref()).await?.into()))
}

/// Every move of an alias of a model, the newest first, also of one that was removed.
#[utoipa::path(get, path = "/api/v1/models/{name}/aliases/{alias}/history", tag = "registry",
    params(("name" = String, Path), ("alias" = String, Path), Paging),
    responses((status = 200, body = Listed<AliasMove>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn alias_history(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, alias)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<AliasMove>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.alias_history(&ctx, &name, Some(&alias), token, paging.limit()).await?.into()))
}
