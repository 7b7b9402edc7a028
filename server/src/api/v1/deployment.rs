//! Deployments, what serves, and going back.

use super::{Listed, Paging, change_request::done_or_asked};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use domain::{
    Error,
    change_request::ChangeRequest,
    deployment::{Deployment, DeploymentState, Endpoint},
    permission::Permission,
};
use serde::Deserialize;
use services::{DeploymentFilter, NewRollback};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(read, operation!(endpoints))
        .api(Access::Needs(Permission::Deploy), operation!(rollback))
        .api(Access::Needs(Permission::Deploy), operation!(retire))
}

/// Which deployments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The model's name.
    model: Option<String>,
    /// The environment's name.
    environment: Option<String>,
    /// `deploying`, `live`, `retired` or `failed`.
    state: Option<String>,
}

/// Deployments, newest first.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployment", params(Wanted, Paging),
    responses((status = 200, body = Listed<Deployment>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Deployment>>, ApiError> {
    let parse = |name: &str| {
        DeploymentState::parse(name)
            .ok_or_else(|| Error::invalid_field("state", "A state is deploying, live, retired or failed."))
    };
    let filter = DeploymentFilter {
        state: wanted.state.as_deref().map(parse).transpose()?,
        model: wanted.model,
        environment: wanted.environment,
        ..DeploymentFilter::default()
    };
    let page = state.services.deployments(&ctx, &filter, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// One deployment.
#[utoipa::path(get, path = "/api/v1/deployments/{number}", tag = "deployment", params(("number" = i64, Path)),
    responses((status = 200, body = Deployment), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Deployment>, ApiError> {
    Ok(Json(state.services.deployment(&ctx, number).await?))
}

/// What serves, with the traffic of the last day.
#[utoipa::path(get, path = "/api/v1/endpoints", tag = "deployment", responses((status = 200, body = Listed<Endpoint>)))]
async fn endpoints(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Endpoint>>, ApiError> {
    Ok(Json(state.services.endpoints(&ctx).await?.into()))
}

/// Why, and from what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Why.
    #[serde(default)]
    comment: String,
    /// The number of the deployment to be left, as you saw it; when another one serves by now, nothing happens. So a
    /// request that is sent twice goes back once.
    deployment: i64,
}

/// Brings back the version that was live before, at once.
#[utoipa::path(post, path = "/api/v1/environments/{environment}/models/{model}/rollback", tag = "deployment",
    params(("environment" = String, Path), ("model" = String, Path)), request_body = Rollback,
    responses((status = 201, body = Deployment), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn rollback(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((environment, model)): Path<(String, String)>,
    Body(why): Body<Rollback>,
) -> Result<(StatusCode, Json<Deployment>), ApiError> {
    let new = NewRollback { environment, model, deployment: why.deployment, comment: why.comment };
    Ok((StatusCode::CREATED, Json(state.services.rollback(&ctx, new).await?)))
}

/// Why something is taken out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retirement {
    /// Why.
    #[serde(default)]
    comment: String,
}

/// Takes what serves out of its environment, with nothing in its place. Where policies for `retire` ask for approval, people
/// are asked first: 202, with the change request.
#[utoipa::path(post, path = "/api/v1/deployments/{number}/retire", tag = "deployment", params(("number" = i64, Path)),
    request_body = Retirement,
    responses((status = 200, body = Deployment), (status = 202, body = ChangeRequest), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn retire(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Body(why): Body<Retirement>,
) -> Result<Response, ApiError> {
    let effect = state.services.retire_deployment(&ctx, number, &why.comment).await?;
    Ok(done_or_asked(&state, &ctx, effect))
}
