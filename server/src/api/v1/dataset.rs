//! Datasets: making and describing them, sending and fetching their bytes, and what is different between versions.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query, too_large},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error, ErrorKind,
    dataset::{Dataset, DatasetSummary},
    expectation::Expectation,
    permission::Permission,
};
use manifest::{Hash, MAX_PACK};
use serde::{Deserialize, Serialize};
use services::{DatasetChange, NewDataset, ObjectsAsked};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteDatasets));
    routes
        .api(read, operation!(list))
        .api(write, operation!(create))
        .api(read, operation!(get))
        .api(write, operation!(change))
        .api(write, operation!(missing))
        .api(write, operation!(put_pack))
        .api(read, operation!(object))
        .api(read, operation!(objects))
}

/// Which datasets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Only those that have this in their name.
    #[serde(default)]
    search: String,
}

/// A dataset to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDatasetBody {
    /// Its name: letters, digits, `-`, `_` and `.`.
    name: String,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// What is expected of the tables of each version.
    #[serde(default)]
    expectations: Vec<Expectation>,
}

/// What is to be otherwise. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DatasetChangeBody {
    /// What it is for.
    description: Option<String>,
    /// What is expected of the tables of each version, in place of what was.
    expectations: Option<Vec<Expectation>>,
}

/// The datasets, by name, each with its latest version.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", params(Search, Paging),
    responses((status = 200, body = Listed<DatasetSummary>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(search): Query<Search>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<DatasetSummary>>, ApiError> {
    let page = state.services.datasets(&ctx, &search.search, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// Makes a dataset.
#[utoipa::path(post, path = "/api/v1/datasets", tag = "datasets", request_body = NewDatasetBody,
    responses((status = 201, body = Dataset), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(body): Body<NewDatasetBody>,
) -> Result<(StatusCode, Json<Dataset>), ApiError> {
    let NewDatasetBody { name, description, expectations } = body;
    let made = state.services.create_dataset(&ctx, NewDataset { name, description, expectations }).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// The dataset of this name.
#[utoipa::path(get, path = "/api/v1/datasets/{name}", tag = "datasets", params(("name" = String, Path)),
    responses((status = 200, body = Dataset), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<Dataset>, ApiError> {
    Ok(Json(state.services.dataset(&ctx, &name).await?))
}

/// Says what a dataset is for, and what is expected of its versions.
#[utoipa::path(patch, path = "/api/v1/datasets/{name}", tag = "datasets", params(("name" = String, Path)),
    request_body = DatasetChangeBody,
    responses((status = 200, body = Dataset), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(body): Body<DatasetChangeBody>,
) -> Result<Json<Dataset>, ApiError> {
    let DatasetChangeBody { description, expectations } = body;
    let change = DatasetChange { description, expectations };
    Ok(Json(state.services.change_dataset(&ctx, &name, change).await?))
}

/// What somebody wants to know of, or what is missing. Digests are those of BLAKE3: 64 hexadecimal digits.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Digests {
    /// Pages of entries, and lists of chunks: is all there that they need?
    #[serde(default)]
    whole: Vec<String>,
    /// Files and chunks: are they there?
    #[serde(default)]
    objects: Vec<String>,
}

fn hashes(texts: &[String], field: &str) -> Result<Vec<Hash>, Error> {
    let read = |text: &String| text.parse().map_err(|error| Error::invalid_field(field, format!("{error}.")));
    texts.iter().map(read).collect()
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

/// What of these a dataset does not have. The others are kept for a day, also when no version needs them: whoever asks need
/// not send them.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/missing", tag = "datasets", params(("name" = String, Path)),
    request_body = Digests,
    responses((status = 200, body = Digests), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn missing(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(body): Body<Digests>,
) -> Result<Json<Digests>, ApiError> {
    let asked = ObjectsAsked { whole: hashes(&body.whole, "whole")?, objects: hashes(&body.objects, "objects")? };
    let missing = state.services.missing_dataset_objects(&ctx, &name, &asked).await?;
    Ok(Json(Digests { whole: texts(&missing.whole), objects: texts(&missing.objects) }))
}

/// What became of a pack.
#[derive(Serialize, ToSchema)]
struct PackStored {
    /// How many objects are in it.
    objects: usize,
    /// How many of them were not there before.
    new: usize,
}

/// Takes objects, in one body of up to 32 MiB: see docs/datasets.md. The same again changes nothing.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/packs", tag = "datasets", params(("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = PackStored), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 413, body = Problem)))]
async fn put_pack(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<PackStored>, ApiError> {
    // Nobody sends megabytes for nothing.
    state.services.dataset(&ctx, &name).await?;
    let body = to_bytes(request.into_body(), MAX_PACK).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.is::<http_body_util::LengthLimitError>() {
                return too_large();
            }
            cause = error.source();
        }
        Error::invalid("The body could not be read to its end.")
    })?;
    let stored = state.services.put_dataset_pack(&ctx, &name, body).await?;
    Ok(Json(PackStored { objects: stored.objects, new: stored.new }))
}

/// Bytes that are not text, and are not worth compressing.
fn octets(bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// The bytes of an object of a dataset.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/objects/{digest}", tag = "datasets",
    params(("name" = String, Path), ("digest" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn object(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, digest)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let digest = digest.parse().map_err(|error| Error::new(ErrorKind::NotFound, format!("{error}.")))?;
    Ok(octets(state.services.dataset_object(&ctx, &name, digest).await?))
}

/// Objects that are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Their digests.
    digests: Vec<String>,
}

/// Objects of a dataset in one body: in the order in which they are asked for, as many as fit, and at least one. Ask for the
/// others again.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/objects", tag = "datasets", params(("name" = String, Path)),
    request_body = Wanted,
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
async fn objects(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(body): Body<Wanted>,
) -> Result<Response, ApiError> {
    let digests = hashes(&body.digests, "digests")?;
    Ok(octets(state.services.dataset_objects(&ctx, &name, &digests).await?))
}
