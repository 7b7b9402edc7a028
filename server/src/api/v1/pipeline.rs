//! Pipelines and the versions of their files.

use super::{Listed, Paging, code::NewCode};
use crate::{
    access::{Access, Context},
    error::{ApiError, FileRefused, Problem},
    extract::{Body, Object, Path, Query, too_large},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error,
    permission::Permission,
    pipeline::{ExecutorKind, FileErrors, PipelineSummary, PipelineVersion},
    pipeline_run::Concurrency,
};
use serde::{Deserialize, Serialize};
use services::PipelineFile;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    routes
        .api(read, operation!(list))
        .api(write, operation!(store))
        .api(read, operation!(get))
        .api(read, operation!(versions))
        .api(read, operation!(version))
        .api(read, operation!(patch))
        .api(read, operation!(settings))
        .api(write, operation!(set_settings))
}

/// A pipeline's file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// The YAML.
    source: String,
    /// The code beside it, for runs that are not started from a repository.
    code: Option<NewCode>,
}

/// For files that Kubeflow Pipelines compiled.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Storing {
    /// Where the steps of a file run that Kubeflow Pipelines compiled: in Docker unless given.
    executor: Option<ExecutorKind>,
}

/// Why a file was not stored.
enum StoreError {
    File(FileErrors),
    Other(ApiError),
}

impl<E: Into<Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Other(error.into().into())
    }
}

impl IntoResponse for StoreError {
    fn into_response(self) -> Response {
        let errors = match self {
            Self::Other(error) => return error.into_response(),
            Self::File(errors) => errors,
        };
        FileRefused::answer(Error::from(errors.clone()), errors.0)
    }
}

/// The pipelines, by name.
#[utoipa::path(get, path = "/api/v1/pipelines", tag = "pipelines", params(Paging),
    responses((status = 200, body = Listed<PipelineSummary>)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<PipelineSummary>>, ApiError> {
    Ok(Json(state.services.pipelines(&ctx, paging.page_token.as_deref(), paging.limit()).await?.into()))
}

/// Stores a file as a version of the pipeline that it names. The body is the YAML itself (`application/yaml`), or JSON
/// with it and with the code that it was stored from. A file that says the same as one that was stored before is that version. A file that Kubeflow Pipelines
/// compiled is stored as the file of ours that says the same.
#[utoipa::path(put, path = "/api/v1/pipelines", tag = "pipelines", params(Storing),
    request_body(content((String = "application/yaml"), (File = "application/json"))),
    responses((status = 201, body = PipelineVersion), (status = 200, body = PipelineVersion, description = "Known already"),
        (status = 400, body = FileRefused)))]
async fn store(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(storing): Query<Storing>,
    request: Request,
) -> Result<(StatusCode, Json<PipelineVersion>), StoreError> {
    let File { source, code } = file(request, &state).await?;
    let executor = storing.executor.unwrap_or(ExecutorKind::Docker);
    let mut file = PipelineFile::read_for(source, executor).map_err(StoreError::File)?;
    if let Some(code) = code {
        file = file.with_code(code.read()?);
    }
    let stored = state.services.store_pipeline(&ctx, file, None).await?;
    let status = if stored.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(stored.version)))
}

/// The file in the body.
async fn file(request: Request, state: &AppState) -> Result<File, Error> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| value.trim_start().starts_with("application/json"));
    let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Error::invalid("The body could not be read to its end."),
    })?;
    if is_json {
        let Object(file): Object<File> = serde_json::from_slice(&bytes)
            .map_err(|error| Error::invalid(format!("The body is not JSON with the file as \"source\": {error}.")))?;
        return Ok(file);
    }
    let source = String::from_utf8(bytes.into()).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Error::invalid_field("source", format!("The file is not UTF-8 text: line {line} has bytes that are none."))
    })?;
    Ok(File { source, code: None })
}

/// The pipeline of this name.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineSummary), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<PipelineSummary>, ApiError> {
    Ok(Json(state.services.pipeline(&ctx, &name).await?))
}

/// The versions of a pipeline's file, highest number first; at most a hundred in a page.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions", tag = "pipelines",
    params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<PipelineVersion>), (status = 404, body = Problem)))]
async fn versions(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<PipelineVersion>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.pipeline_versions(&ctx, &name, token, paging.limit()).await?.into()))
}

/// A version of a pipeline's file.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions/{number}", tag = "pipelines",
    params(("name" = String, Path), ("number" = i32, Path)),
    responses((status = 200, body = PipelineVersion), (status = 404, body = Problem)))]
async fn version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, number)): Path<(String, i32)>,
) -> Result<Json<PipelineVersion>, ApiError> {
    Ok(Json(state.services.pipeline_version(&ctx, &name, Some(number)).await?))
}

/// What was changed after the commit that a version was stored from the last time, as `git apply` reads it.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions/{number}/patch", tag = "pipelines",
    params(("name" = String, Path), ("number" = i32, Path)),
    responses((status = 200, content_type = "text/x-patch", body = String), (status = 404, body = Problem)))]
async fn patch(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, number)): Path<(String, i32)>,
) -> Result<impl IntoResponse, ApiError> {
    let patch = state.services.pipeline_version_patch(&ctx, &name, number).await?;
    let name = format!("attachment; filename=\"{name}-{number}.patch\"");
    Ok(([(header::CONTENT_TYPE, "text/x-patch".to_owned()), (header::CONTENT_DISPOSITION, name)], patch))
}

/// What holds for all versions of a pipeline, and is in none of its files.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PipelineSettings {
    /// How many of its runs may be open at once; as many as are started when nothing is said.
    concurrency: Option<Concurrency>,
}

/// What holds for all versions of a pipeline.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/settings", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineSettings), (status = 404, body = Problem)))]
async fn settings(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<PipelineSettings>, ApiError> {
    Ok(Json(PipelineSettings { concurrency: state.services.concurrency(&ctx, &name).await? }))
}

/// Says what holds for all versions of a pipeline. Runs that are open go on; those that wait go by the new rule.
#[utoipa::path(put, path = "/api/v1/pipelines/{name}/settings", tag = "pipelines", params(("name" = String, Path)),
    request_body = PipelineSettings,
    responses((status = 200, body = PipelineSettings), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn set_settings(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(settings): Body<PipelineSettings>,
) -> Result<Json<PipelineSettings>, ApiError> {
    state.services.set_concurrency(&ctx, &name, settings.concurrency).await?;
    Ok(Json(settings))
}
