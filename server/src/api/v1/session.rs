//! One's own browser sessions.

use super::Listed;
use crate::{
    access::{Access, SignedIn},
    error::{ApiError, Problem},
    extract::Path,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{permission::Scope, user::Session};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::SignedIn(Scope::Read), operation!(list)).api(Access::SignedIn(Scope::Write), operation!(revoke))
}

/// One's own sessions, last used first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "people",
    responses((status = 200, body = Listed<Session>), (status = 401, body = Problem)))]
async fn list(State(state): State<AppState>, SignedIn(caller): SignedIn) -> Result<Json<Listed<Session>>, ApiError> {
    Ok(Json(state.services.sessions(&caller).await?.into()))
}

/// Ends one of one's own sessions.
#[utoipa::path(delete, path = "/api/v1/sessions/{handle}", tag = "people",
    params(("handle" = String, Path, description = "The session's handle")),
    responses((status = 204), (status = 404, body = Problem)))]
async fn revoke(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Path(handle): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.revoke_session(&caller, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}
