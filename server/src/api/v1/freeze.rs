//! Freezes: when nothing is deployed, or only then.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    freeze::{Freeze, FreezeKind, Schedule, Selector, Standing, Window},
    id::FreezeId,
    permission::Permission,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .api(read, operation!(list))
        .api(write, operation!(create))
        .api(read, operation!(standing))
        .api(read, operation!(windows))
        .api(read, operation!(get))
        .api(write, operation!(change))
        .api(write, operation!(delete))
        .api(write, operation!(end))
}

/// Which freezes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Also those that somebody ended.
    #[serde(default)]
    ended: bool,
}

/// The freezes, newest first.
#[utoipa::path(get, path = "/api/v1/freezes", tag = "promotion", params(Wanted),
    responses((status = 200, body = Listed<Freeze>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<Freeze>>, ApiError> {
    Ok(Json(state.services.freezes(&ctx, wanted.ended).await?.into()))
}

/// A freeze to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFreeze {
    /// Its name.
    name: String,
    /// What its windows mean.
    kind: FreezeKind,
    /// When they are.
    schedule: Schedule,
    /// What it is about; everything when nothing is said.
    #[serde(default)]
    selector: Selector,
    /// Whether somebody who breaks the glass may deploy in spite of it.
    #[serde(default)]
    manual_override: bool,
    /// Whether a deployment that began before may finish.
    #[serde(default)]
    overrun: bool,
    /// Why, for whoever waits.
    #[serde(default)]
    reason: String,
}

/// Makes a freeze, in force at once.
#[utoipa::path(post, path = "/api/v1/freezes", tag = "promotion", request_body = NewFreeze,
    responses((status = 201, body = Freeze), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewFreeze>,
) -> Result<(StatusCode, Json<Freeze>), ApiError> {
    let new = services::NewFreeze {
        name: new.name,
        kind: new.kind,
        schedule: new.schedule,
        selector: new.selector,
        manual_override: new.manual_override,
        overrun: new.overrun,
        reason: new.reason,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_freeze(&ctx, new).await?)))
}

/// Of what is asked.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Place {
    /// The environment's name.
    environment: String,
    /// The model's name.
    model: String,
}

/// Whether a model may be deployed to an environment now, by all freezes together, and until when that is so.
#[utoipa::path(get, path = "/api/v1/freezes/standing", tag = "promotion", params(Place),
    responses((status = 200, body = Standing), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn standing(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(place): Query<Place>,
) -> Result<Json<Standing>, ApiError> {
    Ok(Json(state.services.freeze_standing(&ctx, &place.environment, &place.model).await?))
}

/// How far to look.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Ahead {
    /// For so many days from now on; 30 when nothing is said.
    #[param(minimum = 1, maximum = 366)]
    days: Option<i64>,
}

/// The windows that are open at some moment of the next days, by when they begin.
#[utoipa::path(get, path = "/api/v1/freezes/windows", tag = "promotion", params(Ahead),
    responses((status = 200, body = Listed<Window>), (status = 400, body = Problem)))]
async fn windows(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(ahead): Query<Ahead>,
) -> Result<Json<Listed<Window>>, ApiError> {
    let windows = state.services.freeze_windows(&ctx, chrono::Utc::now(), ahead.days.unwrap_or(30)).await?;
    Ok(Json(windows.into()))
}

/// The freeze of this id.
#[utoipa::path(get, path = "/api/v1/freezes/{id}", tag = "promotion", params(("id" = FreezeId, Path)),
    responses((status = 200, body = Freeze), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<FreezeId>,
) -> Result<Json<Freeze>, ApiError> {
    Ok(Json(state.services.freeze(&ctx, id).await?))
}

/// What of a freeze to change. What its windows mean stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FreezeChange {
    /// Its name.
    name: Option<String>,
    /// When its windows are.
    schedule: Option<Schedule>,
    /// What it is about.
    selector: Option<Selector>,
    /// Whether somebody who breaks the glass may deploy in spite of it.
    manual_override: Option<bool>,
    /// Whether a deployment that began before may finish.
    overrun: Option<bool>,
    /// Why.
    reason: Option<String>,
}

/// Changes a freeze that nobody ended.
#[utoipa::path(patch, path = "/api/v1/freezes/{id}", tag = "promotion", params(("id" = FreezeId, Path)),
    request_body = FreezeChange,
    responses((status = 200, body = Freeze), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<FreezeId>,
    Body(change): Body<FreezeChange>,
) -> Result<Json<Freeze>, ApiError> {
    let change = services::FreezeChange {
        name: change.name,
        schedule: change.schedule,
        selector: change.selector,
        manual_override: change.manual_override,
        overrun: change.overrun,
        reason: change.reason,
        instead_of: None,
    };
    Ok(Json(state.services.change_freeze(&ctx, id, change).await?))
}

/// Ends a freeze now: it means nothing from then on. Again changes nothing.
#[utoipa::path(post, path = "/api/v1/freezes/{id}/end", tag = "promotion", params(("id" = FreezeId, Path)),
    responses((status = 200, body = Freeze), (status = 404, body = Problem)))]
async fn end(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<FreezeId>,
) -> Result<Json<Freeze>, ApiError> {
    Ok(Json(state.services.end_freeze(&ctx, id).await?))
}

/// Deletes a freeze. The history keeps what it was.
#[utoipa::path(delete, path = "/api/v1/freezes/{id}", tag = "promotion", params(("id" = FreezeId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<FreezeId>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_freeze(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
