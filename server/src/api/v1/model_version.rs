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
    version_diff::VersionDiff,
};
use serde::{Deserialize, Serialize};
use services::FilesOf;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(get))
        .api(read, operation!(compare))
        .api(read, operation!(file))
        .api(read, operation!(files))
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

/// Which two versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Pair {
    /// The number of the first.
    a: i32,
    /// The number of the second.
    b: i32,
}

/// What is different between two versions of a model, from `a` to `b`.
#[utoipa::path(get, path = "/api/v1/models/{name}/versions/compare", tag = "registry",
    params(("name" = String, Path), Pair),
    responses((status = 200, body = VersionDiff), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn compare(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(pair): Query<Pair>,
) -> Result<Json<VersionDiff>, ApiError> {
    Ok(Json(state.services.compare_versions(&ctx, &name, pair.a, pair.b).await?.diff))
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
