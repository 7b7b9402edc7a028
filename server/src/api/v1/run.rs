//! Runs: found, read, their curves and files. They are written through MLflow's API.

use super::{Listed, Paging, experiment::Wanted};
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
    Error,
    experiment::{Experiment, ViewType},
    id::RunId,
    permission::Permission,
    run::{ArtifactEntry, MetricSeries, Run, RunLineage},
};
use serde::{Deserialize, Serialize};
use services::{FilesOf, RunSearch};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(read, operation!(series))
        .api(read, operation!(artifacts))
        .api(read, operation!(artifact))
        .api(read, operation!(archive))
}

/// Of which experiments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Within {
    /// Experiments, separated by commas; `0` is the default one of the workspace.
    experiment_id: String,
}

/// The active runs of experiments, with the latest of all that was logged to each; the last started first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "tracking", params(Within, Wanted, Paging),
    responses((status = 200, body = Listed<Run>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(within): Query<Within>,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Arc<Run>>>, ApiError> {
    let wrong = |_| Error::invalid_field("experiment_id", "Name experiments by their numbers: experiment_id=3,7");
    let search = RunSearch {
        experiments: within
            .experiment_id
            .split(',')
            .map(|id| id.trim().parse().map_err(wrong))
            .collect::<Result<_, _>>()?,
        view: ViewType::ActiveOnly,
        filter: &wanted.filter,
        order: &wanted.order(),
        page_token: paging.page_token.as_deref(),
        limit: paging.limit(),
    };
    Ok(Json(state.services.search_runs(&ctx, &search).await?.into()))
}

/// A run with its experiment, what made it and what it made.
#[derive(Serialize, ToSchema)]
struct RunRecord {
    /// The run.
    run: Run,
    /// Its experiment.
    experiment: Experiment,
    /// What made it and what it made.
    lineage: RunLineage,
}

/// A run, with the latest of all that was logged to it.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "tracking", params(("id" = RunId, Path)),
    responses((status = 200, body = RunRecord), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
) -> Result<Json<RunRecord>, ApiError> {
    let detail = state.services.run_detail(&ctx, id).await?;
    Ok(Json(RunRecord { run: detail.run, experiment: detail.experiment, lineage: detail.lineage }))
}

/// Which curve, how fine.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Curve {
    /// The metric's key.
    key: String,
    /// About how many points; extremes are kept.
    #[param(minimum = 2, maximum = 10_000)]
    points: Option<usize>,
}

/// The points of a metric, thinned for a chart: the first, the last, and the least and the greatest of each stretch
/// between.
#[utoipa::path(get, path = "/api/v1/runs/{id}/series", tag = "tracking", params(("id" = RunId, Path), Curve),
    responses((status = 200, body = MetricSeries), (status = 404, body = Problem)))]
async fn series(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(curve): Query<Curve>,
) -> Result<Json<MetricSeries>, ApiError> {
    Ok(Json(state.services.metric_series(&ctx, id, &curve.key, curve.points.unwrap_or(1000)).await?))
}

/// Where among the files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// The path from the root; empty for the root itself.
    #[serde(default)]
    pub(super) path: String,
}

/// What lies in a folder of a run.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts", tag = "tracking", params(("id" = RunId, Path), At),
    responses((status = 200, body = Listed<ArtifactEntry>), (status = 404, body = Problem)))]
async fn artifacts(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(at): Query<At>,
) -> Result<Json<Listed<ArtifactEntry>>, ApiError> {
    let (_, entries) = state.services.run_artifacts(&ctx, id, &at.path).await?;
    Ok(Json(entries.into()))
}

/// A file of a run, to be saved. `Range` is heeded.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts/content", tag = "tracking", params(("id" = RunId, Path), At),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream", description = "The part that Range asks for"),
        (status = 404, body = Problem), (status = 416, body = Problem)))]
async fn artifact(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let artifact = state.services.artifact_of(&ctx, &FilesOf::Run(id), &at.path).await?;
    Ok(download::send(&state, Surface::Api, &artifact, &headers).await?)
}

/// A folder of a run with all that is in it, as one ZIP archive: at most 10,000 files and 10 GiB.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts.zip", tag = "tracking", params(("id" = RunId, Path), At),
    responses((status = 200, content_type = "application/zip"), (status = 404, body = Problem),
        (status = 413, body = Problem)))]
async fn archive(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let files = state.services.artifacts_below(&ctx, &FilesOf::Run(id), &at.path).await?;
    Ok(download::archive(&state, &id.simple(), files))
}
