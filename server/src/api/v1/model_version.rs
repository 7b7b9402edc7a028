//! Versions of registered models.

use super::run::At;
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
    model::{ModelVersion, VersionFile},
    permission::Permission,
};
use serde::Serialize;
use services::FilesOf;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.api(read, operation!(get)).api(read, operation!(file)).api(read, operation!(files))
}

/// A version with its files.
#[derive(Serialize, ToSchema)]
struct VersionRecord {
    /// The version.
    version: ModelVersion,
    /// Its files, by path, as they were when it was registered.
    files: Vec<VersionFile>,
}

/// A version of a model, with its files.
#[utoipa::path(get, path = "/api/v1/models/{name}/versions/{version}", tag = "registry",
    params(("name" = String, Path), ("version" = i32, Path)),
    responses((status = 200, body = VersionRecord), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, i32)>,
) -> Result<Json<VersionRecord>, ApiError> {
    let detail = state.services.version_detail(&ctx, &name, version).await?;
    Ok(Json(VersionRecord { version: detail.version, files: detail.files }))
}

/// A file of a version, to be saved. `Range` is heeded.
#[utoipa::path(get, path = "/api/v1/models/{name}/versions/{version}/files/content", tag = "registry",
    params(("name" = String, Path), ("version" = i32, Path), At),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream", description = "The part that Range asks for"),
        (status = 404, body = Problem), (status = 416, body = Problem)))]
async fn file(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, i32)>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let artifact = state.services.artifact_of(&ctx, &FilesOf::Version(name, version), &at.path).await?;
    Ok(download::send(&state, Surface::Api, &artifact, &headers).await?)
}

/// A folder of a version with all that is in it, as one ZIP archive: at most 10,000 files and 10 GiB.
#[utoipa::path(get, path = "/api/v1/models/{name}/versions/{version}/files.zip", tag = "registry",
    params(("name" = String, Path), ("version" = i32, Path), At),
    responses((status = 200, content_type = "application/zip"), (status = 404, body = Problem),
        (status = 413, body = Problem)))]
async fn files(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, i32)>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let file_name = format!("{name}-v{version}");
    let files = state.services.artifacts_below(&ctx, &FilesOf::Version(name, version), &at.path).await?;
    Ok(download::archive(&state, &file_name, files))
}
