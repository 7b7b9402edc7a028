//! Secrets of the workspace: set and deleted, and given to steps. No answer holds a value.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    permission::Permission,
    secret::{Secret, SecretValue},
};
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageSecrets));
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(manage, operation!(set))
        .api(manage, operation!(delete))
}

/// The secrets, by name: who set each and when, and never a value.
#[utoipa::path(get, path = "/api/v1/secrets", tag = "pipelines", responses((status = 200, body = Listed<Secret>)))]
async fn list(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Secret>>, ApiError> {
    Ok(Json(state.services.secrets(&ctx).await?.into()))
}

/// The secret of this name, without its value.
#[utoipa::path(get, path = "/api/v1/secrets/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = Secret), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<Secret>, ApiError> {
    Ok(Json(state.services.secret(&ctx, &name).await?))
}

/// The value of a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSecretValue {
    /// The value: 4 bytes to 64 KiB of text. Nothing gives it out again.
    #[schema(write_only)]
    value: String,
}

/// Makes a secret, or gives it another value, which steps get that begin from then on. The same value again changes nothing.
#[utoipa::path(put, path = "/api/v1/secrets/{name}", tag = "pipelines", params(("name" = String, Path)),
    request_body = NewSecretValue,
    responses((status = 200, body = Secret, description = "It has this value now"),
        (status = 201, body = Secret, description = "It is a new secret"), (status = 400, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
async fn set(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(new): Body<NewSecretValue>,
) -> Result<(StatusCode, Json<Secret>), ApiError> {
    let (secret, is_new) = state.services.set_secret(&ctx, &name, SecretValue::choose(new.value)?).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(secret)))
}

/// Deletes a secret with its value. Runs of pipelines that name it are not started any more.
#[utoipa::path(delete, path = "/api/v1/secrets/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_secret(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
