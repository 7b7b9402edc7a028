//! Workers, pools and limits: who runs steps, and how many at once.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    gpu::GpuSlot,
    permission::Permission,
    pipeline::ExecutorKind,
    worker::{Limit, Pool, QueuedStep, Worker},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    let pools = Access::Needs(Permission::ManagePools);
    routes
        .api(read, operation!(queue))
        .api(read, operation!(limits))
        .api(write, operation!(set_limit))
        .api(write, operation!(delete_limit))
        .api(read, operation!(pool_limit))
        .api(pools, operation!(set_pool_limit))
        .api(pools, operation!(delete_pool_limit))
        .api(pools, operation!(set_pool_executor))
        .api(pools, operation!(delete_pool_executor))
}

/// How the workers and the queue stand.
#[derive(Serialize, ToSchema)]
struct Queue {
    /// All workers.
    workers: Vec<Worker>,
    /// The pools. Counts are of all workspaces.
    pools: Vec<Pool>,
    /// The limits that steps of the workspace wait for, with some of the steps that have their places.
    blocking: Vec<Limit>,
    /// The graphics processors that workers hand out or steps have, and the steps of the workspace that have them.
    gpus: Vec<GpuSlot>,
    /// Steps of the workspace that run, those that began first first; up to a hundred.
    running: Vec<QueuedStep>,
    /// Steps of the workspace that could run, those that have waited longest first; up to a hundred.
    ready: Vec<QueuedStep>,
}

/// Who runs steps, which run, and which wait.
#[utoipa::path(get, path = "/api/v1/workers", tag = "pipelines", responses((status = 200, body = Queue)))]
async fn queue(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Queue>, ApiError> {
    let services::Queue { workers, pools, gpus, blocking, running, ready, .. } = state.services.queue(&ctx).await?;
    Ok(Json(Queue { workers, pools, gpus, blocking, running, ready }))
}

/// The limits that steps of the workspace can name.
#[utoipa::path(get, path = "/api/v1/limits", tag = "pipelines", responses((status = 200, body = Listed<Limit>)))]
async fn limits(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Limit>>, ApiError> {
    Ok(Json(state.services.step_limits(&ctx).await?.into()))
}

/// A limit as it shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    /// How many steps may run at once.
    slots: i32,
}

/// Makes a limit, or changes it. Steps that run already go on.
#[utoipa::path(put, path = "/api/v1/limits/{name}", tag = "pipelines", params(("name" = String, Path)),
    request_body = NewLimit,
    responses((status = 200, body = Limit), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn set_limit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(new): Body<NewLimit>,
) -> Result<Json<Limit>, ApiError> {
    Ok(Json(state.services.set_step_limit(&ctx, &name, new.slots).await?))
}

/// Takes a limit away: steps that wait for it run, and runs of pipelines that name it cannot be started any more.
#[utoipa::path(delete, path = "/api/v1/limits/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete_limit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_step_limit(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many steps of a pool may run at once, in all workspaces.
#[utoipa::path(get, path = "/api/v1/pools/{pool}/limit", tag = "pipelines", params(("pool" = String, Path)),
    responses((status = 200, body = Limit), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn pool_limit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(pool): Path<String>,
) -> Result<Json<Limit>, ApiError> {
    Ok(Json(state.services.pool_limit(&ctx, &pool).await?))
}

/// Says how many steps of a pool may run at once, in all workspaces. Steps that run already go on.
#[utoipa::path(put, path = "/api/v1/pools/{pool}/limit", tag = "pipelines", params(("pool" = String, Path)),
    request_body = NewLimit,
    responses((status = 200, body = Limit), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn set_pool_limit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(pool): Path<String>,
    Body(new): Body<NewLimit>,
) -> Result<Json<Limit>, ApiError> {
    Ok(Json(state.services.set_pool_limit(&ctx, &pool, new.slots).await?))
}

/// Takes the limit of a pool away: as many of its steps run as its workers take.
#[utoipa::path(delete, path = "/api/v1/pools/{pool}/limit", tag = "pipelines", params(("pool" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn delete_pool_limit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(pool): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_pool_limit(&ctx, &pool).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The executor of a pool as it shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPoolExecutor {
    /// Where its steps run.
    executor: ExecutorKind,
}

/// Says where the steps of a pool run that do not say so, nor does their pipeline, in all workspaces. Runs that were started
/// already stay as they are.
#[utoipa::path(put, path = "/api/v1/pools/{pool}/executor", tag = "pipelines", params(("pool" = String, Path)),
    request_body = NewPoolExecutor,
    responses((status = 204), (status = 400, body = Problem)))]
async fn set_pool_executor(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(pool): Path<String>,
    Body(new): Body<NewPoolExecutor>,
) -> Result<StatusCode, ApiError> {
    state.services.set_pool_executor(&ctx, &pool, new.executor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the executor of a pool away: its steps run as processes, unless they say otherwise.
#[utoipa::path(delete, path = "/api/v1/pools/{pool}/executor", tag = "pipelines", params(("pool" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn delete_pool_executor(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(pool): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_pool_executor(&ctx, &pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
