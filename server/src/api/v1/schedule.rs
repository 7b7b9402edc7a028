//! Schedules: when pipelines are started by the clock.

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
    backfill::DateFormat,
    permission::Permission,
    schedule::{CatchUp, Fire, Schedule},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use services::ScheduleFilter;
use utoipa::{IntoParams, ToSchema};

/// How many fires ahead are shown.
const AHEAD: usize = 5;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .api(read, operation!(list))
        .api(run, operation!(create))
        .api(read, operation!(get))
        .api(run, operation!(change))
        .api(run, operation!(delete))
        .api(read, operation!(fires))
}

/// Which schedules.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this pipeline.
    pipeline: Option<String>,
    /// Only those that fire, or only those that are paused.
    enabled: Option<bool>,
}

/// The schedules, by name.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "pipelines", params(Which, Paging),
    responses((status = 200, body = Listed<Schedule>), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Schedule>>, ApiError> {
    let filter = ScheduleFilter { pipeline: which.pipeline, enabled: which.enabled };
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.schedules(&ctx, &filter, token, paging.limit()).await?.into()))
}

/// A schedule to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSchedule {
    /// Its name, in the workspace: lower-case letters, digits, `-` and `_`.
    name: String,
    /// The pipeline that it starts.
    pipeline: String,
    /// When: minute, hour, day of the month, month, day of the week.
    expression: String,
    /// Where it is that time, by its name in the tz database; UTC when nothing is said.
    #[serde(default = "utc")]
    timezone: String,
    /// Params of its runs that shall not have their defaults.
    #[serde(default)]
    params: Map<String, Value>,
    /// The param that gets the time of the fire; none when nothing is said.
    param: Option<String>,
    /// How it gets it: as the day, or as the moment.
    #[serde(default)]
    param_format: DateFormat,
    /// What happens with fires whose time passed while no worker was there; they are missed when nothing is said.
    #[serde(default)]
    catch_up: CatchUp,
    /// How many of them are made up for, when all are: 1 to 100.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 100)]
    catch_up_limit: i32,
    /// Each fire is put off by up to so many seconds, so that not all start at once.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3600)]
    jitter_s: i32,
    /// Whether it fires.
    #[serde(default = "yes")]
    enabled: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn ten() -> i32 {
    10
}

fn yes() -> bool {
    true
}

/// Makes a schedule. It fires from now on.
#[utoipa::path(post, path = "/api/v1/schedules", tag = "pipelines", request_body = NewSchedule,
    responses((status = 201, body = Schedule), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewSchedule>,
) -> Result<(StatusCode, Json<Schedule>), ApiError> {
    let new = services::NewSchedule {
        name: new.name,
        pipeline: new.pipeline,
        expression: new.expression,
        timezone: new.timezone,
        params: new.params,
        param: new.param,
        param_format: new.param_format,
        catch_up: new.catch_up,
        catch_up_limit: new.catch_up_limit,
        jitter_s: new.jitter_s,
        enabled: new.enabled,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_schedule(&ctx, new).await?)))
}

/// A schedule, and when it fires next.
#[derive(Serialize, ToSchema)]
struct ScheduleDetail {
    /// The schedule.
    #[serde(flatten)]
    schedule: Schedule,
    /// Its next five fires; none while it is paused.
    ahead: Vec<DateTime<Utc>>,
}

/// The schedule of this name, with its next five fires.
#[utoipa::path(get, path = "/api/v1/schedules/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = ScheduleDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<ScheduleDetail>, ApiError> {
    let schedule = state.services.schedule(&ctx, &name).await?;
    let ahead = schedule.ahead(AHEAD);
    Ok(Json(ScheduleDetail { schedule, ahead }))
}

/// What of a schedule to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleChange {
    /// Its name.
    name: Option<String>,
    /// The pipeline that it starts.
    pipeline: Option<String>,
    /// When.
    expression: Option<String>,
    /// Where it is that time.
    timezone: Option<String>,
    /// Params of its runs: all of them.
    params: Option<Map<String, Value>>,
    /// The param that gets the time of the fire; an empty text for none.
    param: Option<String>,
    /// How it gets it.
    param_format: Option<DateFormat>,
    /// What happens with fires whose time passed while no worker was there.
    catch_up: Option<CatchUp>,
    /// How many of them are made up for, when all are.
    #[schema(minimum = 1, maximum = 100)]
    catch_up_limit: Option<i32>,
    /// By up to how many seconds a fire is put off.
    #[schema(minimum = 0, maximum = 3600)]
    jitter_s: Option<i32>,
    /// Whether it fires. What passes while it does not is never made up for.
    enabled: Option<bool>,
}

/// Changes a schedule: pauses it, lets it go on, or has it be another.
#[utoipa::path(patch, path = "/api/v1/schedules/{name}", tag = "pipelines", params(("name" = String, Path)),
    request_body = ScheduleChange,
    responses((status = 200, body = Schedule), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(change): Body<ScheduleChange>,
) -> Result<Json<Schedule>, ApiError> {
    let change = services::ScheduleChange {
        name: change.name,
        pipeline: change.pipeline,
        expression: change.expression,
        timezone: change.timezone,
        params: change.params,
        param: change.param,
        param_format: change.param_format,
        catch_up: change.catch_up,
        catch_up_limit: change.catch_up_limit,
        jitter_s: change.jitter_s,
        enabled: change.enabled,
    };
    Ok(Json(state.services.change_schedule(&ctx, &name, change).await?))
}

/// Deletes a schedule. The runs that it started stay.
#[utoipa::path(delete, path = "/api/v1/schedules/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_schedule(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What came of the fires of a schedule, latest first. Those of the last 180 days are kept.
#[utoipa::path(get, path = "/api/v1/schedules/{name}/fires", tag = "pipelines", params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<Fire>), (status = 404, body = Problem)))]
async fn fires(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Fire>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.schedule_fires(&ctx, &name, token, paging.limit()).await?.into()))
}
