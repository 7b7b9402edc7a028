//! Artifacts: files go through the server, by addresses that it gave. The address names a run or logged model, and
//! whoever may not see that finds nothing there.

use super::{
    MlflowError,
    answer::{self, Empty, done},
    fields::Fields,
};
use crate::{
    access::{Access, Context, Surface},
    download,
    extract::Path,
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use domain::{Error, ErrorKind, artifact_root::ArtifactRoot, permission::Permission, run::ArtifactEntry};
use serde_json::{Value, json};

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::GET, "/2.0/mlflow/artifacts/list", read, list_of_run)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/artifacts", read, list)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/artifacts/{*path}", read, get)
        .mlflow(Method::PUT, "/2.0/mlflow-artifacts/artifacts/{*path}", write, put)
        .mlflow(Method::DELETE, "/2.0/mlflow-artifacts/artifacts/{*path}", write, delete)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/presigned/{*path}", read, not_offered)
        .mlflow(Method::POST, "/2.0/mlflow/artifacts/presigned-upload-url", write, not_offered)
        .mlflow(Method::POST, "/2.0/mlflow/artifacts/presigned-download-url", read, not_offered)
}

/// What lies in a folder, with paths from the root.
pub(super) fn listing(root: ArtifactRoot, entries: &[ArtifactEntry]) -> Value {
    let mut listing = json!({ "root_uri": root.uri() });
    if !entries.is_empty() {
        listing["files"] = entries.iter().map(|entry| answer::file(entry, &entry.path)).collect();
    }
    listing
}

async fn list_of_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (root, entries) = state.services.run_artifacts(&ctx, fields.run_id()?, fields.text_or_empty("path")?).await?;
    Ok(Json(listing(root, &entries)))
}

async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let entries = state.services.list_artifacts(&ctx, fields.required("path")?).await?;
    // Here the paths are bare names.
    let files: Vec<Value> = entries
        .iter()
        .map(|entry| answer::file(entry, entry.path.rsplit_once('/').map_or(&*entry.path, |(_, name)| name)))
        .collect();
    Ok(Json(if files.is_empty() { json!({}) } else { json!({ "files": files }) }))
}

async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    let artifact = state.services.artifact(&ctx, &path).await?;
    Ok(download::send(&state, Surface::Mlflow, &artifact, &headers).await?)
}

async fn put(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let stream = request.into_body().into_data_stream();
    state.services.put_artifact(&ctx, &path, length, stream).await?;
    // The clients look at the status alone.
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(path): Path<String>,
) -> Result<Empty, MlflowError> {
    state.services.delete_artifact(&ctx, &path).await?;
    Ok(done())
}

/// The clients then go through the server.
async fn not_offered() -> Result<Empty, MlflowError> {
    let message = "Presigned addresses are not offered here: files lie on the server, and go and come through it.";
    Err(Error::new(ErrorKind::NotImplemented, message).into())
}
