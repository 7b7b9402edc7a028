//! Artifacts: files go through the server, by addresses that it gave. The address names a run or logged model, and
//! whoever may not see that finds nothing there.

use super::{
    MlflowError,
    address::address,
    answer::{self, Empty, done},
    fields::{Fields, run_id},
};
use crate::{
    access::{Access, Context, Surface},
    download,
    extract::{Path, Query, content_length},
    router::Routes,
    state::AppState,
};
use app::ui::query::encode;
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Error, ErrorKind, artifact_root::ArtifactRoot, permission::Permission, run::ArtifactEntry};
use serde_json::{Value, json};
use services::FilesOf;
use std::collections::BTreeMap;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::GET, "/2.0/mlflow/artifacts/list", read, list_of_run)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/artifacts", read, list)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/artifacts/{*path}", read, get)
        .mlflow(Method::PUT, "/2.0/mlflow-artifacts/artifacts/{*path}", write, put)
        .mlflow(Method::DELETE, "/2.0/mlflow-artifacts/artifacts/{*path}", write, delete)
        .mlflow_root(Method::GET, "/get-artifact", read, get_of_run)
        .mlflow_root(Method::GET, "/model-versions/get-artifact", read, get_of_version)
        .ajax(Method::POST, "/2.0/mlflow/upload-artifact", write, upload_to_run)
        .mlflow(Method::GET, "/2.0/mlflow-artifacts/presigned/{*path}", read, get_in_parts)
        .mlflow(Method::POST, "/2.0/mlflow/artifacts/presigned-upload-url", write, none_to_ask_for)
        .mlflow(Method::POST, "/2.0/mlflow/artifacts/presigned-download-url", read, none_to_ask_for)
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
    let entries = state.services.list_artifacts(&ctx, fields.text_or_empty("path")?).await?;
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

/// Where a file is to be had in parts, by `Range`, and with what headers. The client reads the parts without its
/// credentials, so it is told to send those that it came with: they are good for what it may see, and nothing is made
/// that would have to be signed or to expire.
async fn get_in_parts(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    let artifact = state.services.artifact(&ctx, &path).await?;
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let path: Vec<String> = path.split('/').map(encode).collect();
    let answer = json!({
        "url": format!(
            "{}/w/{}/api/2.0/mlflow-artifacts/artifacts/{}",
            address(&state.public_url, &headers),
            ctx.workspace.slug,
            path.join("/")
        ),
        "headers": credentials.map_or_else(|| json!({}), |value| json!({ header::AUTHORIZATION.as_str(): value })),
        "file_size": artifact.size,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

async fn put(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    let length = content_length(request.headers());
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

/// A file of a run, by the run.
async fn get_of_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let artifact = state.services.artifact_of(&ctx, &FilesOf::Run(fields.run_id()?), fields.required("path")?).await?;
    Ok(download::send(&state, Surface::Mlflow, &artifact, &headers).await?)
}

/// A file of a model version, by the version.
async fn get_of_version(
    State(state): State<AppState>,
    Context(ctx): Context,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let (name, version, path) = (fields.model_name()?, fields.version()?, fields.required("path")?);
    let artifact = state.services.artifact_of(&ctx, &FilesOf::Version(name.to_owned(), version), path).await?;
    Ok(download::send(&state, Surface::Mlflow, &artifact, &headers).await?)
}

/// The most bytes of a file that is sent by the run: such are plots and tables of somebody's own page.
const SMALL: usize = 10 << 20;

/// A small file for a run: the query says whose and where, and the body is the file.
async fn upload_to_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Result<Response, MlflowError> {
    let given = |name: &str| query.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let run = given("run_uuid").or_else(|| given("run_id"));
    let run = run.ok_or_else(|| Error::invalid_field("run_uuid", "Request must specify run_uuid."))?;
    let path = given("path").ok_or_else(|| Error::invalid_field("path", "Request must specify path."))?;
    let too_large = || Error::invalid("Artifact size is too large. Max size is 10MB.");
    if content_length(request.headers()).is_some_and(|length| length > SMALL as u64) {
        return Err(too_large().into());
    }
    let root = state.services.run_root(&ctx, run_id(run)?).await?;
    let bytes = axum::body::to_bytes(request.into_body(), SMALL).await.map_err(|_| too_large())?;
    if bytes.is_empty() {
        return Err(Error::invalid("Request must specify data.").into());
    }
    let size = bytes.len() as u64;
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    state.services.put_artifact(&ctx, &format!("{root}/{path}"), Some(size), stream).await?;
    Ok(Response::new(Body::empty()))
}

/// A folder on the server's disk has no addresses of its own that could be signed: the clients then go through the server.
async fn none_to_ask_for(_: Fields) -> Result<Empty, MlflowError> {
    let message = "Presigned addresses are not offered here: files lie on the server, and go and come through it.";
    Err(Error::new(ErrorKind::NotImplemented, message).into())
}
