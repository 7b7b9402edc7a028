//! Steps of pipeline runs: which there are, their tries and outputs.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context, Surface},
    download,
    error::{ApiError, Problem},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use domain::{
    permission::Permission,
    pipeline_run::StepState,
    step::{Step, StepAttempt},
};
use serde::Deserialize;
use services::StepFilter;
use utoipa::IntoParams;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(read, operation!(attempts))
        .api(read, operation!(output))
}

/// Which steps.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those directly inside of the step of this name.
    parent: Option<String>,
    /// Only steps in this state.
    #[param(inline)]
    state: Option<StepState>,
    /// Only commands: what a worker runs.
    #[serde(default)]
    commands: bool,
}

/// The steps of a run, those inside of others among them.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps", tag = "pipelines",
    params(("number" = i64, Path), Which, Paging),
    responses((status = 200, body = Listed<Step>), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Step>>, ApiError> {
    let filter = StepFilter { parent: which.parent, state: which.state, commands: which.commands };
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.steps(&ctx, number, &filter, token, paging.limit()).await?.into()))
}

/// A step of a run.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path)),
    responses((status = 200, body = Step), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step)): Path<(i64, String)>,
) -> Result<Json<Step>, ApiError> {
    Ok(Json(state.services.step(&ctx, number, &step).await?))
}

/// The tries of a step, first to last.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path)),
    responses((status = 200, body = Listed<StepAttempt>), (status = 404, body = Problem)))]
async fn attempts(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step)): Path<(i64, String)>,
) -> Result<Json<Listed<StepAttempt>>, ApiError> {
    Ok(Json(state.services.step_attempts(&ctx, number, &step).await?.into()))
}

/// An output of a step that has succeeded: the bytes of a file, or the list of files of a folder as JSON.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/outputs/{name}", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn output(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, name)): Path<(i64, String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let output = state.services.step_output(&ctx, number, &step, &name).await?;
    Ok(download::send(&state, Surface::Api, &output, &headers).await?)
}
