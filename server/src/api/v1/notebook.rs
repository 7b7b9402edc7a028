//! Notebooks that steps run, and what is different between two.

use crate::{
    access::{Access, Context, Surface},
    download,
    error::{ApiError, Problem},
    extract::{Path, Query},
    notebook,
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{
    Error,
    notebook::{NotebookDiff, StepNotebook},
    permission::Permission,
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(get))
        .api(read, operation!(content))
        .api(read, operation!(source))
        .api(read, operation!(html))
        .api(read, operation!(diff))
        .api(read, operation!(pipeline_diff))
}

/// Which try: run, step, number of the try.
type Which = (i64, String, i32);

/// The notebook that a try runs: how far it has come, and where it failed.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path)),
    responses((status = 200, body = StepNotebook), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
) -> Result<Json<StepNotebook>, ApiError> {
    Ok(Json(state.services.step_notebook(&ctx, number, &step, attempt).await?.1))
}

/// The executed notebook as a file: while its try runs, and when its worker was lost, as far as it had come.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook/content",
    tag = "pipelines", params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn content(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (id, notebook) = state.services.step_notebook(&ctx, number, &step, attempt).await?;
    if let Some(file) = state.services.notebook_file(&notebook).await? {
        return Ok(download::send(&state, Surface::Api, &file, &headers).await?);
    }
    let content = state.services.notebook_content(id, &notebook).await?.ok_or_else(notebook::nothing_yet)?;
    Ok(download::bytes(&notebook.path, content))
}

/// The notebook as it was before it was executed, as a file.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook/source",
    tag = "pipelines", params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn source(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
) -> Result<Response, ApiError> {
    let (_, notebook) = state.services.step_notebook(&ctx, number, &step, attempt).await?;
    let content = state.services.notebook_source(&notebook).await?;
    Ok(download::bytes(&notebook.path, content))
}

/// The executed notebook as a document to keep or send: prose, code and outputs, with nothing in it that runs.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook/html",
    tag = "pipelines", params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path)),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404, body = Problem),
        (status = 413, body = Problem)))]
async fn html(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
) -> Result<Response, ApiError> {
    let (id, notebook) = state.services.step_notebook(&ctx, number, &step, attempt).await?;
    let content = state.services.notebook_content(id, &notebook).await?.ok_or_else(notebook::nothing_yet)?;
    Ok(notebook::as_html(&notebook.path, content).await?.into_response())
}

/// What an executed notebook is held against.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Against {
    /// `source`: itself before it was executed, which it is when nothing is said. Or the number of another run, whose
    /// notebook of the same step it is held against.
    against: Option<String>,
    /// Which try of that run: the last when nothing is said.
    attempt: Option<i32>,
}

/// What is different in the executed notebook of a try, cell by cell. In which turn cells ran, how long that took, and
/// metadata do not count.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook/diff",
    tag = "pipelines", params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path), Against),
    responses((status = 200, body = NotebookDiff), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 413, body = Problem)))]
async fn diff(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
    Query(query): Query<Against>,
) -> Result<Json<NotebookDiff>, ApiError> {
    let against = notebook::against(query.against.as_deref().unwrap_or("source"), query.attempt)?;
    Ok(Json(state.services.compare_notebook(&ctx, number, &step, attempt, &against).await?))
}

/// Which notebook of which versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Versions {
    /// The notebook's path among the pipeline's files.
    path: String,
    /// The number of the earlier version.
    before: i32,
    /// The number of the later version.
    after: i32,
}

/// What is different between two versions of a pipeline in a notebook that it brings, cell by cell.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/notebook-diff", tag = "pipelines",
    params(("name" = String, Path), Versions),
    responses((status = 200, body = NotebookDiff), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn pipeline_diff(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(which): Query<Versions>,
) -> Result<Json<NotebookDiff>, ApiError> {
    let Versions { path, before, after } = which;
    if path.is_empty() {
        return Err(Error::invalid_field("path", "Give the notebook's path among the pipeline's files.").into());
    }
    Ok(Json(state.services.compare_pipeline_notebook(&ctx, &name, &path, before, after).await?))
}
