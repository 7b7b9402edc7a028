//! Monitors, their checks and triggers, and the predictions they look at.

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
    deployment::Prediction,
    monitor::{Check, Monitor},
    permission::Permission,
    trigger::Trigger,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteMonitors));
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(write, operation!(change))
        .api(read, operation!(checks))
        .api(read, operation!(predictions))
        .api(read, operation!(triggers))
        .api(write, operation!(set_trigger))
}

/// The monitors, by model.
#[utoipa::path(get, path = "/api/v1/monitors", tag = "monitoring", responses((status = 200, body = Listed<Monitor>)))]
async fn list(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Monitor>>, ApiError> {
    Ok(Json(state.services.monitors(&ctx).await?.into()))
}

/// The monitor of a model in an environment. It is there from the first deployment on.
#[utoipa::path(get, path = "/api/v1/environments/{environment}/models/{model}/monitor", tag = "monitoring",
    params(("environment" = String, Path), ("model" = String, Path)),
    responses((status = 200, body = Monitor), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((environment, model)): Path<(String, String)>,
) -> Result<Json<Monitor>, ApiError> {
    Ok(Json(state.services.monitor(&ctx, &environment, &model).await?))
}

/// What of a monitor to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MonitorChange {
    /// How many of the latest rows a check looks at, at most.
    #[schema(minimum = 10, maximum = 100_000)]
    window_rows: Option<i32>,
    /// With fewer rows than this a check says nothing.
    #[schema(minimum = 10, maximum = 100_000)]
    min_rows: Option<i32>,
    /// Whether it checks.
    enabled: Option<bool>,
}

/// Changes what a monitor looks at.
#[utoipa::path(patch, path = "/api/v1/environments/{environment}/models/{model}/monitor", tag = "monitoring",
    params(("environment" = String, Path), ("model" = String, Path)), request_body = MonitorChange,
    responses((status = 200, body = Monitor), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((environment, model)): Path<(String, String)>,
    Body(change): Body<MonitorChange>,
) -> Result<Json<Monitor>, ApiError> {
    let change = services::MonitorChange {
        window_rows: change.window_rows,
        min_rows: change.min_rows,
        enabled: change.enabled,
        instead_of: None,
    };
    Ok(Json(state.services.change_monitor(&ctx, &environment, &model, change).await?))
}

/// The checks of a monitor, newest first, each with every feature.
#[utoipa::path(get, path = "/api/v1/environments/{environment}/models/{model}/checks", tag = "monitoring",
    params(("environment" = String, Path), ("model" = String, Path), Paging),
    responses((status = 200, body = Listed<Check>), (status = 404, body = Problem)))]
async fn checks(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((environment, model)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Check>>, ApiError> {
    let monitor = state.services.monitor(&ctx, &environment, &model).await?;
    let page = state.services.checks(&monitor, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// The predictions of a model in an environment, newest first, with features and output.
#[utoipa::path(get, path = "/api/v1/environments/{environment}/models/{model}/predictions", tag = "monitoring",
    params(("environment" = String, Path), ("model" = String, Path), Paging),
    responses((status = 200, body = Listed<Prediction>), (status = 404, body = Problem)))]
async fn predictions(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((environment, model)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Prediction>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.predictions(&ctx, &environment, &model, token, paging.limit()).await?.into()))
}

/// The triggers, by pipeline.
#[utoipa::path(get, path = "/api/v1/triggers", tag = "monitoring", responses((status = 200, body = Listed<Trigger>)))]
async fn triggers(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Trigger>>, ApiError> {
    Ok(Json(state.services.triggers(&ctx).await?.into()))
}

/// A trigger to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTrigger {
    /// The monitored model.
    model: String,
    /// The monitored environment; production when nothing is said.
    #[serde(default = "production")]
    environment: String,
    /// The pipeline to start when an alert opens.
    pipeline: String,
    /// Parameters of its runs.
    #[serde(default)]
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// Whether it fires.
    #[serde(default = "yes")]
    enabled: bool,
    /// The least time between two firings, in seconds; an hour when nothing is said.
    #[serde(default = "hour")]
    cool_down_s: i32,
}

fn production() -> String {
    domain::environment::PRODUCTION.to_owned()
}

fn yes() -> bool {
    true
}

fn hour() -> i32 {
    3600
}

/// Lets the alerts of a monitor start a pipeline, once for each alert; changes the trigger when there is one already.
#[utoipa::path(post, path = "/api/v1/triggers", tag = "monitoring", request_body = NewTrigger,
    responses((status = 201, body = Trigger), (status = 200, body = Trigger, description = "It was there and is changed"),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn set_trigger(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewTrigger>,
) -> Result<(StatusCode, Json<Trigger>), ApiError> {
    let new = services::NewTrigger {
        model: new.model,
        environment: new.environment,
        pipeline: new.pipeline,
        params: new.params,
        enabled: new.enabled,
        cool_down_s: new.cool_down_s,
    };
    let (trigger, is_new) = state.services.set_trigger(&ctx, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(trigger)))
}
