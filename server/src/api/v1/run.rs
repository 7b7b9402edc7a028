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
    run::{ArtifactEntry, MetricSeries, Run, RunLineage, RunSeries},
    series::{Axis, Window},
};
use serde::{Deserialize, Serialize};
use services::{Ctx, Curves, FilesOf, RunSearch, Services};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(read, operation!(series))
        .api(read, operation!(series_of_runs))
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

/// Which curves, how fine, and which part of them.
#[derive(Deserialize, IntoParams)]
#[serde(try_from = "Vec<(String, String)>")]
#[into_params(parameter_in = Query)]
struct WantedCurves {
    /// Keys of metrics: `key=train/loss&key=val/loss`, at most 50.
    #[param(required = true)]
    key: Vec<String>,
    /// About how many points each may have; extremes are kept. With many curves each gets fewer.
    #[param(minimum = 2, maximum = 10_000)]
    points: Option<usize>,
    /// What `start` and `end` are on: `step`, `time` in milliseconds since 1970, or `relative` in seconds since the run's
    /// start. The points come in its order.
    axis: Option<Axis>,
    /// Only what lies from here on, and one point before it.
    start: Option<f64>,
    /// Only what lies up to here, and one point after it.
    end: Option<f64>,
}

impl TryFrom<Vec<(String, String)>> for WantedCurves {
    type Error = String;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let one = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let number = |name: &str| {
            let wrong = |text: &str| format!("{name} is a number, not {text:?}");
            one(name).map(|text| text.parse::<f64>().map_err(|_| wrong(text))).transpose()
        };
        let points =
            one("points").map(|text| text.parse().map_err(|_| format!("points is a whole number, not {text:?}")));
        let axis = one("axis").map(|text| Axis::parse(text).ok_or("axis is step, time or relative"));
        Ok(Self {
            key: pairs.iter().filter(|(name, _)| name == "key").map(|(_, key)| key.clone()).collect(),
            points: points.transpose()?,
            axis: axis.transpose()?,
            start: number("start")?,
            end: number("end")?,
        })
    }
}

impl WantedCurves {
    /// The curves of these runs.
    async fn of(&self, services: &Services, ctx: &Ctx, runs: &[RunId]) -> Result<Vec<RunSeries>, Error> {
        let mut keys: Vec<&str> = Vec::new();
        for key in &self.key {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Err(Error::invalid_field("key", "Name the metrics by their keys: key=train/loss&key=val/loss"));
        }
        let window = Window { axis: self.axis.unwrap_or_default(), start: self.start, end: self.end };
        services.metric_series(ctx, runs, &Curves { keys: &keys, points: self.points.unwrap_or(1000), window }).await
    }
}

/// The points of metrics of a run, thinned for charts: the first, the last, and the least, the greatest and one that is no
/// number of each stretch between. Metrics that the run does not have are left out.
#[utoipa::path(get, path = "/api/v1/runs/{id}/series", tag = "tracking", params(("id" = RunId, Path), WantedCurves),
    responses((status = 200, body = Listed<MetricSeries>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn series(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(wanted): Query<WantedCurves>,
) -> Result<Json<Listed<MetricSeries>>, ApiError> {
    let found = wanted.of(&state.services, &ctx, &[id]).await?;
    if found.is_empty() {
        return Err(Error::not_found("metric of this run", wanted.key.join(", ")).into());
    }
    let items: Vec<MetricSeries> = found.into_iter().map(|found| found.series).collect();
    Ok(Json(items.into()))
}

/// Whose.
#[derive(Deserialize, IntoParams)]
#[serde(try_from = "Vec<(String, String)>")]
#[into_params(parameter_in = Query)]
struct OfRuns {
    /// Runs: `run=…&run=…`, at most 50.
    #[param(required = true)]
    run: Vec<RunId>,
}

impl TryFrom<Vec<(String, String)>> for OfRuns {
    type Error = String;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut run: Vec<RunId> = Vec::new();
        for (_, text) in pairs.iter().filter(|(name, _)| name == "run") {
            let id = text.parse().map_err(|_| "run is the id of a run".to_owned())?;
            if !run.contains(&id) {
                run.push(id);
            }
        }
        Ok(Self { run })
    }
}

/// The same of several runs, by metric and then by run, in the orders that are asked for.
#[utoipa::path(get, path = "/api/v1/runs/series", tag = "tracking", params(OfRuns, WantedCurves),
    responses((status = 200, body = Listed<RunSeries>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn series_of_runs(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(of): Query<OfRuns>,
    Query(wanted): Query<WantedCurves>,
) -> Result<Json<Listed<RunSeries>>, ApiError> {
    if of.run.is_empty() {
        return Err(Error::invalid_field("run", "Name the runs by their ids: run=…&run=…").into());
    }
    Ok(Json(wanted.of(&state.services, &ctx, &of.run).await?.into()))
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
