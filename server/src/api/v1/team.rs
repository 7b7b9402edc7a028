//! Teams: members of the workspace whom rules name together.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{id::UserId, permission::Permission, team::Team};
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageMembers));
    routes
        .api(read, operation!(list))
        .api(manage, operation!(create))
        .api(read, operation!(get))
        .api(manage, operation!(change))
        .api(manage, operation!(delete))
        .api(manage, operation!(add_member))
        .api(manage, operation!(remove_member))
}

/// The teams, by name.
#[utoipa::path(get, path = "/api/v1/teams", tag = "people", responses((status = 200, body = Listed<Team>)))]
async fn list(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Team>>, ApiError> {
    Ok(Json(state.services.teams(&ctx).await?.into()))
}

/// A team to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTeam {
    /// Its name: lower-case letters, digits, dots, underscores and hyphens. Rules name it by it, so it never changes.
    name: String,
    /// What it is for.
    #[serde(default)]
    description: String,
}

/// Makes a team, with nobody in it.
#[utoipa::path(post, path = "/api/v1/teams", tag = "people", request_body = NewTeam,
    responses((status = 201, body = Team), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewTeam>,
) -> Result<(StatusCode, Json<Team>), ApiError> {
    Ok((StatusCode::CREATED, Json(state.services.create_team(&ctx, &new.name, &new.description).await?)))
}

/// The team of this name.
#[utoipa::path(get, path = "/api/v1/teams/{team}", tag = "people", params(("team" = String, Path)),
    responses((status = 200, body = Team), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(team): Path<String>,
) -> Result<Json<Team>, ApiError> {
    Ok(Json(state.services.team(&ctx, &team).await?))
}

/// What of a team to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TeamChange {
    /// What it is for.
    description: String,
}

/// Says what a team is for.
#[utoipa::path(patch, path = "/api/v1/teams/{team}", tag = "people", params(("team" = String, Path)),
    request_body = TeamChange,
    responses((status = 200, body = Team), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(team): Path<String>,
    Body(change): Body<TeamChange>,
) -> Result<Json<Team>, ApiError> {
    Ok(Json(state.services.describe_team(&ctx, &team, &change.description).await?))
}

/// Deletes a team that no policy in force names.
#[utoipa::path(delete, path = "/api/v1/teams/{team}", tag = "people", params(("team" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(team): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_team(&ctx, &team).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a member of the workspace into a team; again changes nothing. A service account cannot be in one.
#[utoipa::path(put, path = "/api/v1/teams/{team}/members/{user_id}", tag = "people",
    params(("team" = String, Path), ("user_id" = UserId, Path)),
    responses((status = 200, body = Team), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn add_member(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((team, user)): Path<(String, UserId)>,
) -> Result<Json<Team>, ApiError> {
    Ok(Json(state.services.add_team_member(&ctx, &team, user).await?))
}

/// Takes somebody out of a team.
#[utoipa::path(delete, path = "/api/v1/teams/{team}/members/{user_id}", tag = "people",
    params(("team" = String, Path), ("user_id" = UserId, Path)),
    responses((status = 200, body = Team), (status = 404, body = Problem)))]
async fn remove_member(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((team, user)): Path<(String, UserId)>,
) -> Result<Json<Team>, ApiError> {
    Ok(Json(state.services.remove_team_member(&ctx, &team, user).await?))
}
