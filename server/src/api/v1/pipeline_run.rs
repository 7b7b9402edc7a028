//! Runs of pipelines.

use super::{Listed, Paging, code::NewCode};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::HttpBody as _,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use domain::{
    Error,
    permission::Permission,
    pipeline_run::{PipelineRun, PipelineRunDetail, PipelineRunState, PipelineRunSummary, RunCause, RunRecord},
};
use serde::Deserialize;
use serde_json::Value;
use services::{NewRun, Rerun, RunFilter};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .api(run, operation!(start))
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(run, operation!(cancel))
        .api(run, operation!(rerun))
        .api(run, operation!(reproduce))
        .api(read, operation!(record))
        .api(read, operation!(patch))
        .api(read, operation!(reproductions))
}

/// A run to be started.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct NewPipelineRun {
    /// Values of params that shall not have their defaults, by name.
    params: BTreeMap<String, Value>,
    /// The number of the file's version; the one that was stored last when none is given.
    version: Option<i32>,
    /// The code that it is started from.
    code: Option<NewCode>,
    /// Whether its steps may use what steps gave before; true unless given.
    use_cache: Option<bool>,
    /// Requests with the same key start one run. It may also come as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// Starts a run of a pipeline. Without a body, all params have their defaults.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/runs", tag = "pipelines", params(("name" = String, Path)),
    request_body = NewPipelineRun,
    responses((status = 201, body = PipelineRun),
        (status = 200, body = PipelineRun, description = "Started before by a request with the same key"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn start(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<PipelineRun>), ApiError> {
    let header = idempotency_key(request.headers())?;
    let new = match request.body().is_end_stream() {
        true => NewPipelineRun::default(),
        false => Body::<NewPipelineRun>::from_request(request, &state).await?.0,
    };
    let idempotency_key = one_key(new.idempotency_key, header)?;
    let no_cache = new.use_cache == Some(false);
    let code = new.code.map(NewCode::read).transpose()?;
    let new = NewRun { pipeline: name, version: new.version, params: new.params, no_cache, code, idempotency_key };
    let started = state.services.start_pipeline_run(&ctx, new).await?;
    let status = if started.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(started.run)))
}

/// The key that the body or the header names.
fn one_key(body: Option<String>, header: Option<String>) -> Result<Option<String>, Error> {
    match (body, header) {
        (Some(body), Some(header)) if body != header => {
            let message = "The header Idempotency-Key and the body name different keys; send one of them.";
            Err(Error::invalid_field("idempotency_key", message))
        }
        (body, header) => Ok(body.or(header)),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::invalid("The header Idempotency-Key is not ASCII text."))?;
    Ok(Some(text.to_owned()))
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only runs of this pipeline.
    pipeline: Option<String>,
    /// Only runs in this state.
    #[param(inline)]
    state: Option<PipelineRunState>,
    /// Only runs that were started by this.
    #[param(inline)]
    cause: Option<RunCause>,
    /// Only runs that were started by somebody with this in the name.
    by: Option<String>,
    /// Only runs with this in the names of the pipeline and of what started it, in the values of the params or in its number.
    text: Option<String>,
    /// Only runs that were asked for at this moment or later.
    from: Option<DateTime<Utc>>,
    /// Only runs that were asked for before this moment.
    to: Option<DateTime<Utc>>,
}

/// Runs of the workspace, newest first.
#[utoipa::path(get, path = "/api/v1/pipeline-runs", tag = "pipelines", params(Which, Paging),
    responses((status = 200, body = Listed<PipelineRunSummary>), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<PipelineRunSummary>>, ApiError> {
    let Which { pipeline, state: stands, cause, by, text, from, to } = which;
    let filter = RunFilter { pipeline, state: stands, cause, by, text, from, to };
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.pipeline_runs(&ctx, &filter, token, paging.limit()).await?.into()))
}

/// A run with its steps.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}", tag = "pipelines", params(("number" = i64, Path)),
    responses((status = 200, body = PipelineRunDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<PipelineRunDetail>, ApiError> {
    Ok(Json(state.services.pipeline_run(&ctx, number).await?))
}

/// Cancels a run: what has not begun does not begin, and what runs is ended.
#[utoipa::path(post, path = "/api/v1/pipeline-runs/{number}/cancel", tag = "pipelines", params(("number" = i64, Path)),
    responses((status = 200, body = PipelineRun), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It has ended otherwise")))]
async fn cancel(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<PipelineRun>, ApiError> {
    Ok(Json(state.services.cancel_pipeline_run(&ctx, number).await?))
}

/// How a run is done again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRerun {
    /// From where: `start`, `failed`, or the name of a step. `step:failed` is a step of such a name.
    #[serde(default = "from_start")]
    from: String,
    /// Params that shall have another value than they had. Each step that reads one runs again, and all after it.
    #[serde(default)]
    params: BTreeMap<String, Value>,
    /// Requests with the same key start one run. It may also come as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

fn from_start() -> String {
    "start".to_owned()
}

/// Runs a run again, by the same version of the file, as a new run. Steps that need not run are there as they were, with
/// their outputs: those that succeeded, come after nothing that runs again, and read no param that is another.
#[utoipa::path(post, path = "/api/v1/pipeline-runs/{number}/rerun", tag = "pipelines", params(("number" = i64, Path)),
    request_body = NewRerun,
    responses((status = 201, body = PipelineRun),
        (status = 200, body = PipelineRun, description = "Started before by a request with the same key"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It goes on, or there is nothing to run again")))]
async fn rerun(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    headers: HeaderMap,
    Body(new): Body<NewRerun>,
) -> Result<(StatusCode, Json<PipelineRun>), ApiError> {
    let header = idempotency_key(&headers)?;
    let from = new.from.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
    let rerun = Rerun { from, params: new.params, idempotency_key: one_key(new.idempotency_key, header)? };
    let started = state.services.rerun_pipeline_run(&ctx, number, rerun).await?;
    let status = if started.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(started.run)))
}

/// Which steps of a record.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecordPage {
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// What a run is made of: code, versions of the file, datasets and models, params, images, environments and machines; and why
/// it may not come to the same when it is done again. It has a thousand steps a page.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/record", tag = "pipelines",
    params(("number" = i64, Path), RecordPage),
    responses((status = 200, body = RunRecord), (status = 404, body = Problem)))]
async fn record(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Query(page): Query<RecordPage>,
) -> Result<Json<RunRecord>, ApiError> {
    Ok(Json(state.services.pipeline_run_record(&ctx, number, page.page_token.as_deref()).await?))
}

/// What was changed after the commit that a run was started from, as `git apply` reads it.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/patch", tag = "pipelines", params(("number" = i64, Path)),
    responses((status = 200, content_type = "text/x-patch", body = String), (status = 404, body = Problem)))]
async fn patch(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<impl IntoResponse, ApiError> {
    let patch = state.services.pipeline_run_patch(&ctx, number).await?;
    let name = format!("attachment; filename=\"pipeline-run-{number}.patch\"");
    Ok(([(header::CONTENT_TYPE, "text/x-patch".to_owned()), (header::CONTENT_DISPOSITION, name)], patch))
}

/// How a run is reproduced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct NewReproduction {
    /// Requests with the same key start one run. It may also come as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// Does a run again from its record alone, as a new run in which every step runs. When that has ended, its `verdict` says
/// whether it came to the same.
#[utoipa::path(post, path = "/api/v1/pipeline-runs/{number}/reproduce", tag = "pipelines", params(("number" = i64, Path)),
    request_body = NewReproduction,
    responses((status = 201, body = PipelineRun),
        (status = 200, body = PipelineRun, description = "Started before by a request with the same key"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It goes on, or was cancelled")))]
async fn reproduce(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    request: Request,
) -> Result<(StatusCode, Json<PipelineRun>), ApiError> {
    let header = idempotency_key(request.headers())?;
    let new = match request.body().is_end_stream() {
        true => NewReproduction::default(),
        false => Body::<NewReproduction>::from_request(request, &state).await?.0,
    };
    let key = one_key(new.idempotency_key, header)?;
    let started = state.services.reproduce_pipeline_run(&ctx, number, key.as_deref()).await?;
    let status = if started.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(started.run)))
}

/// Runs that did this one again, the last first; up to twenty.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/reproductions", tag = "pipelines",
    params(("number" = i64, Path)),
    responses((status = 200, body = Vec<PipelineRun>), (status = 404, body = Problem)))]
async fn reproductions(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Vec<PipelineRun>>, ApiError> {
    Ok(Json(state.services.reproductions(&ctx, number).await?))
}
