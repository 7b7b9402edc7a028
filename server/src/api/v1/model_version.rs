//! Versions of registered models.

use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::Path,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    model::{ModelVersion, VersionFile},
    permission::Permission,
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::Needs(Permission::Read), operation!(get))
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
