//! Alerts.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    monitor::{Alert, AlertState, Firing},
    permission::Permission,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, handle) = (Access::Needs(Permission::Read), Access::Needs(Permission::HandleAlerts));
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(handle, operation!(acknowledge))
        .api(handle, operation!(resolve))
}

/// Which alerts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are not resolved.
    #[serde(default)]
    unresolved: bool,
}

/// Alerts, newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "monitoring", params(Which, Paging),
    responses((status = 200, body = Listed<Alert>)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Alert>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.alerts(&ctx, which.unresolved, token, paging.limit()).await?.into()))
}

/// An alert, and what triggers did for it.
#[derive(Serialize, ToSchema)]
struct AlertDetail {
    /// The alert.
    #[serde(flatten)]
    alert: Alert,
    /// What triggers did, oldest first.
    firings: Vec<Firing>,
}

/// One alert.
#[utoipa::path(get, path = "/api/v1/alerts/{number}", tag = "monitoring", params(("number" = i64, Path)),
    responses((status = 200, body = AlertDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<AlertDetail>, ApiError> {
    let (alert, firings) = state.services.alert_by_number(&ctx, number).await?;
    Ok(Json(AlertDetail { alert, firings }))
}

/// Says that somebody looks at an alert.
#[utoipa::path(post, path = "/api/v1/alerts/{number}/acknowledge", tag = "monitoring", params(("number" = i64, Path)),
    responses((status = 200, body = Alert), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn acknowledge(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(state.services.handle_alert(&ctx, number, AlertState::Acknowledged).await?))
}

/// Says that an alert is over.
#[utoipa::path(post, path = "/api/v1/alerts/{number}/resolve", tag = "monitoring", params(("number" = i64, Path)),
    responses((status = 200, body = Alert), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn resolve(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(state.services.handle_alert(&ctx, number, AlertState::Resolved).await?))
}
