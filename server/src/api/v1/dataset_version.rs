//! Versions of datasets: making them, their files, and what is different between two.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    download,
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use domain::{
    Error,
    dataset::{ChecksState, DatasetVersion, VersionLineage, VersionRef},
    expectation::CheckResult,
    permission::Permission,
    table_profile::{TableDiff, TableProfile},
};
use manifest::{Change, Content, Entry};
use serde::{Deserialize, Serialize};
use services::{DatasetFile, NewDatasetVersion};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteDatasets));
    routes
        .api(read, operation!(list))
        .api(write, operation!(create))
        .api(read, operation!(get))
        .api(write, operation!(delete))
        .api(write, operation!(name_version))
        .api(read, operation!(runs))
        .api(read, operation!(lineage))
        .api(read, operation!(files))
        .api(read, operation!(file))
        .api(read, operation!(diff))
        .api(read, operation!(profile))
        .api(write, operation!(check))
        .api(read, operation!(tables))
}

/// The versions of a dataset, the newest first.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions", tag = "datasets", params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<DatasetVersion>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<DatasetVersion>>, ApiError> {
    let page = state.services.dataset_versions(&ctx, &name, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// A version to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewVersion {
    /// The digest of its root, which was sent before with all that it needs.
    root: String,
    /// What its author says of it.
    #[serde(default)]
    message: String,
    /// What MLflow's clients call its content.
    #[serde(default)]
    mlflow_digests: Vec<String>,
}

/// Makes a version of what was sent. The same root again is the version that is there.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/versions", tag = "datasets", params(("name" = String, Path)),
    request_body = NewVersion,
    responses((status = 201, body = DatasetVersion), (status = 200, body = DatasetVersion, description = "Known already"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Something that it needs is not there")))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(body): Body<NewVersion>,
) -> Result<(StatusCode, Json<DatasetVersion>), ApiError> {
    let root = body.root.parse().map_err(|error| Error::invalid_field("root", format!("{error}.")))?;
    let new = NewDatasetVersion { root, message: body.message, mlflow_digests: body.mlflow_digests };
    let (version, is_new) = state.services.make_dataset_version(&ctx, &name, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(version)))
}

/// A version: by its number, its digest, `latest`, or `passed`, which is the newest that passed its checks.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = DatasetVersion), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<DatasetVersion>, ApiError> {
    Ok(Json(state.services.dataset_version(&ctx, &name, &VersionRef::parse(&version)?).await?))
}

/// Deletes a version that no run says to have read. Its number is not given again.
#[utoipa::path(delete, path = "/api/v1/datasets/{name}/versions/{version}", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_dataset_version(&ctx, &name, &VersionRef::parse(&version)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What MLflow's clients call a version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Names {
    /// Their digests of it.
    mlflow_digests: Vec<String>,
}

/// Says what MLflow's clients call a version, beside what was said before. Runs that log a dataset of such a digest are then
/// known to have read the version.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/versions/{version}/mlflow-digests", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)), request_body = Names,
    responses((status = 200, body = DatasetVersion), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn name_version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
    Body(body): Body<Names>,
) -> Result<Json<DatasetVersion>, ApiError> {
    let which = VersionRef::parse(&version)?;
    Ok(Json(state.services.name_dataset_version(&ctx, &name, &which, &body.mlflow_digests).await?))
}

/// A run that read a version.
#[derive(Serialize, ToSchema)]
struct RunThatRead {
    /// The run.
    id: domain::id::RunId,
    /// Its name.
    name: String,
    /// When it started, in milliseconds.
    start_time: Option<i64>,
    /// What it says that it read it for: `training`.
    context: Option<String>,
}

/// The last hundred runs that say that they read a version, by what MLflow's clients call it.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/runs", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = Listed<RunThatRead>), (status = 404, body = Problem)))]
async fn runs(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Listed<RunThatRead>>, ApiError> {
    let runs = state.services.runs_of_dataset_version(&ctx, &name, &VersionRef::parse(&version)?, 100).await?;
    let read = |run: store::dataset_version::ReadBy| RunThatRead {
        id: run.id,
        name: run.name,
        start_time: run.start_time,
        context: run.context,
    };
    Ok(Json(runs.into_iter().map(read).collect::<Vec<_>>().into()))
}

/// The step of a pipeline that made a version, and the last hundred runs of pipelines that took it.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/lineage", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = VersionLineage), (status = 404, body = Problem)))]
async fn lineage(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<VersionLineage>, ApiError> {
    Ok(Json(state.services.dataset_version_lineage(&ctx, &name, &VersionRef::parse(&version)?, 100).await?))
}

/// A file of a version, or a folder with files.
#[derive(Serialize, ToSchema)]
struct FileRecord {
    /// Its path.
    path: String,
    /// How many files are below it; absent when it is a file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    /// Its length in bytes, or that of all files below it; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The digest of its bytes, or what is said to be that of what lies elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Whether it may be executed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    executable: bool,
    /// Where it lies, when that is elsewhere. Nobody but you opens that address.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

impl FileRecord {
    fn of(entry: &Entry) -> Self {
        let (uri, digest) = match &entry.content {
            Content::External(external) => (Some(external.uri.clone()), external.digest.clone()),
            _ => (None, entry.digest().map(|digest| format!("blake3:{digest}"))),
        };
        Self { path: entry.path.clone(), files: None, size: entry.size(), digest, executable: entry.executable, uri }
    }
}

impl From<DatasetFile> for FileRecord {
    fn from(file: DatasetFile) -> Self {
        match &file.entry {
            Some(entry) => Self::of(entry),
            None => Self {
                path: file.path,
                files: file.folder,
                size: file.size,
                digest: None,
                executable: false,
                uri: None,
            },
        }
    }
}

/// Which folder.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Folder {
    /// Its path; absent for what lies right in the version.
    #[serde(default)]
    folder: String,
}

/// What lies right in a folder of a version.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/files", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path), Folder, Paging),
    responses((status = 200, body = Listed<FileRecord>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn files(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
    Query(folder): Query<Folder>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<FileRecord>>, ApiError> {
    let which = VersionRef::parse(&version)?;
    let token = paging.page_token.as_deref();
    let page = state.services.dataset_folder(&ctx, &name, &which, &folder.folder, token, paging.limit()).await?;
    let items = page.files.into_iter().map(FileRecord::from).collect();
    Ok(Json(Listed { items, next_page_token: page.next_page_token }))
}

/// A file of a version.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/files/{*path}", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path), ("path" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
async fn file(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version, path)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (entry, content) = state.services.dataset_file(&ctx, &name, &VersionRef::parse(&version)?, &path).await?;
    Ok(download::whole(&entry.path, entry.digest().map(ToString::to_string).as_deref(), content, &headers))
}

/// Which other version, and of what.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Other {
    /// The version that is held against it, which is the earlier one: a number, a digest, `latest` or `passed`.
    from: String,
    /// The dataset of that version; absent for the same one.
    dataset: Option<String>,
}

/// A path that is not the same in two versions.
#[derive(Serialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
enum ChangeRecord {
    /// It is in the later one alone.
    Added {
        /// What is there.
        after: FileRecord,
    },
    /// It is in the earlier one alone.
    Removed {
        /// What was there.
        before: FileRecord,
    },
    /// It has other content.
    Changed {
        /// What was there.
        before: FileRecord,
        /// What is there.
        after: FileRecord,
    },
}

impl From<Change> for ChangeRecord {
    fn from(change: Change) -> Self {
        let of = |entry: &Entry| FileRecord::of(entry);
        match change {
            Change::Added(after) => Self::Added { after: of(&after) },
            Change::Removed(before) => Self::Removed { before: of(&before) },
            Change::Changed { before, after } => Self::Changed { before: of(&before), after: of(&after) },
        }
    }
}

/// What is different between two versions.
#[derive(Serialize, ToSchema)]
struct DiffRecord {
    /// The earlier one.
    before: DatasetVersion,
    /// The later one.
    after: DatasetVersion,
    /// How many files are in the later one alone.
    added: u64,
    /// How many are in the earlier one alone.
    removed: u64,
    /// How many have other content.
    changed: u64,
    /// A page of the changes, by path.
    changes: Vec<ChangeRecord>,
    /// Ask with this for the changes after these; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// What is different between an earlier version and this one. Of what both have nothing is read.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/diff", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path), Other, Paging),
    responses((status = 200, body = DiffRecord), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn diff(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
    Query(other): Query<Other>,
    Query(paging): Query<Paging>,
) -> Result<Json<DiffRecord>, ApiError> {
    let (before, after) = (VersionRef::parse(&other.from)?, VersionRef::parse(&version)?);
    let of_before = other.dataset.as_deref().filter(|dataset| !dataset.is_empty()).unwrap_or(&name);
    let token = paging.page_token.as_deref();
    let diff = state.services.dataset_diff(&ctx, (of_before, &before), (&name, &after), token, paging.limit()).await?;
    Ok(Json(DiffRecord {
        before: diff.before,
        after: diff.after,
        added: diff.added,
        removed: diff.removed,
        changed: diff.changed,
        changes: diff.changes.into_iter().map(ChangeRecord::from).collect(),
        next_page_token: diff.next_page_token,
    }))
}

/// What was found of a version.
#[derive(Serialize, ToSchema)]
struct ProfileRecord {
    /// Whether it is what is expected of the dataset.
    checks_state: ChecksState,
    /// Why nothing was found, when it could not be looked at; empty otherwise.
    reason: String,
    /// Its tables: the first hundred by path.
    tables: Vec<TableProfile>,
    /// Each expectation, held against each table that it is about.
    checks: Vec<CheckResult>,
}

/// What the tables of a version hold, and whether it is what is expected. `waiting` until a worker has looked.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/profile", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = ProfileRecord), (status = 404, body = Problem)))]
async fn profile(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ProfileRecord>, ApiError> {
    let (version, found) = state.services.dataset_profile(&ctx, &name, &VersionRef::parse(&version)?).await?;
    let mut record =
        ProfileRecord { checks_state: version.checks, reason: String::new(), tables: Vec::new(), checks: Vec::new() };
    if let Some(found) = found {
        record.reason = found.reason;
        record.tables = found.tables.0;
        record.checks = found.checks.0;
        // They are there to be held against those of other versions.
        record.tables.iter_mut().flat_map(|table| &mut table.columns).for_each(|column| column.values.clear());
    }
    Ok(Json(record))
}

/// Has a version checked again, by what is expected of its dataset now. What was found before stands until a worker has looked;
/// the answer says `waiting`.
#[utoipa::path(post, path = "/api/v1/datasets/{name}/versions/{version}/check", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 202, body = DatasetVersion), (status = 404, body = Problem)))]
async fn check(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
) -> Result<(StatusCode, Json<DatasetVersion>), ApiError> {
    let version = state.services.check_dataset_again(&ctx, &name, &VersionRef::parse(&version)?).await?;
    Ok((StatusCode::ACCEPTED, Json(version)))
}

/// How the tables of an earlier version and this one differ: schema, rows, and how far the values of each column have moved.
/// Of those that are in both, are not the same, and were looked at.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/versions/{version}/diff/tables", tag = "datasets",
    params(("name" = String, Path), ("version" = String, Path), Other),
    responses((status = 200, body = Listed<TableDiff>), (status = 404, body = Problem)))]
async fn tables(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, String)>,
    Query(other): Query<Other>,
) -> Result<Json<Listed<TableDiff>>, ApiError> {
    let (before, after) = (VersionRef::parse(&other.from)?, VersionRef::parse(&version)?);
    let of_before = other.dataset.as_deref().filter(|dataset| !dataset.is_empty()).unwrap_or(&name);
    Ok(Json(state.services.dataset_table_diff(&ctx, (of_before, &before), (&name, &after)).await?.tables.into()))
}
