//! Backfills: runs of a pipeline for dates that have passed.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    backfill::{Backfill, BackfillRun, DateFormat},
    permission::Permission,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .api(read, operation!(list))
        .api(run, operation!(create))
        .api(read, operation!(get))
        .api(read, operation!(runs))
        .api(run, operation!(cancel))
}

/// Which backfills.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this pipeline.
    pipeline: Option<String>,
}

/// The backfills, newest first.
#[utoipa::path(get, path = "/api/v1/backfills", tag = "pipelines", params(Which, Paging),
    responses((status = 200, body = Listed<Backfill>), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Backfill>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.backfills(&ctx, which.pipeline.as_deref(), token, paging.limit()).await?.into()))
}

/// A backfill to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBackfill {
    /// The schedule whose pipeline, times and params it takes where nothing else is said, `param` among them.
    schedule: Option<String>,
    /// The pipeline.
    pipeline: Option<String>,
    /// The first date is not before.
    from: DateTime<Utc>,
    /// The last date is not after.
    to: DateTime<Utc>,
    /// A cron expression of five fields.
    expression: Option<String>,
    /// Or so many seconds from one date to the next, from the first on.
    #[schema(minimum = 60)]
    step_s: Option<i64>,
    /// Where it is that time, by its name in the tz database.
    timezone: Option<String>,
    /// The param that gets the date; that of the schedule when nothing is said.
    param: Option<String>,
    /// How it gets it; `date` when neither this nor a schedule says.
    param_format: Option<DateFormat>,
    /// Params of all its runs that shall not have their defaults.
    params: Option<Map<String, Value>>,
    /// How many of its runs are open at once: 1 to 100.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    at_once: i32,
}

fn one() -> i32 {
    1
}

/// Makes a backfill of up to 1000 dates. Workers start its runs, earliest date first.
#[utoipa::path(post, path = "/api/v1/backfills", tag = "pipelines", request_body = NewBackfill,
    responses((status = 201, body = Backfill), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewBackfill>,
) -> Result<(StatusCode, Json<Backfill>), ApiError> {
    let new = services::NewBackfill {
        schedule: new.schedule,
        pipeline: new.pipeline,
        from: new.from,
        to: new.to,
        expression: new.expression,
        step_s: new.step_s,
        timezone: new.timezone,
        param: new.param,
        param_format: new.param_format,
        params: new.params,
        at_once: new.at_once,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_backfill(&ctx, new).await?)))
}

/// The backfill of this number, and how its runs stand.
#[utoipa::path(get, path = "/api/v1/backfills/{number}", tag = "pipelines", params(("number" = i64, Path)),
    responses((status = 200, body = Backfill), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Backfill>, ApiError> {
    Ok(Json(state.services.backfill(&ctx, number).await?))
}

/// The dates of a backfill, earliest first, each with its run.
#[utoipa::path(get, path = "/api/v1/backfills/{number}/runs", tag = "pipelines", params(("number" = i64, Path), Paging),
    responses((status = 200, body = Listed<BackfillRun>), (status = 404, body = Problem)))]
async fn runs(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<BackfillRun>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.backfill_runs(&ctx, number, token, paging.limit()).await?.into()))
}

/// Cancels a backfill: no more of its runs are started, and those that are open are cancelled. Again changes nothing.
#[utoipa::path(post, path = "/api/v1/backfills/{number}/cancel", tag = "pipelines", params(("number" = i64, Path)),
    responses((status = 200, body = Backfill), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn cancel(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Backfill>, ApiError> {
    Ok(Json(state.services.cancel_backfill(&ctx, number).await?))
}
