//! Comments on runs and model versions.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    comment::Comment,
    id::{CommentId, RunId},
    permission::Permission,
};
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, comment) = (Access::Needs(Permission::Read), Access::Needs(Permission::Comment));
    routes
        .api(read, operation!(of_run))
        .api(comment, operation!(on_run))
        .api(read, operation!(of_version))
        .api(comment, operation!(on_version))
        .api(comment, operation!(update))
        .api(comment, operation!(delete))
}

/// What somebody says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CommentText {
    /// The source of Markdown, of up to 64 KiB.
    text: String,
}

/// The comments on a run, oldest first.
#[utoipa::path(get, path = "/api/v1/runs/{id}/comments", tag = "comments", params(("id" = RunId, Path), Paging),
    responses((status = 200, body = Listed<Comment>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn of_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Comment>>, ApiError> {
    Ok(Json(state.services.run_comments(&ctx, id, paging.page_token.as_deref(), paging.limit()).await?.into()))
}

/// Says something of a run.
#[utoipa::path(post, path = "/api/v1/runs/{id}/comments", tag = "comments", params(("id" = RunId, Path)),
    request_body = CommentText,
    responses((status = 201, body = Comment), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn on_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Body(new): Body<CommentText>,
) -> Result<(StatusCode, Json<Comment>), ApiError> {
    Ok((StatusCode::CREATED, Json(state.services.comment_on_run(&ctx, id, &new.text).await?)))
}

/// The comments on a version, oldest first.
#[utoipa::path(get, path = "/api/v1/models/{name}/versions/{version}/comments", tag = "comments",
    params(("name" = String, Path), ("version" = i32, Path), Paging),
    responses((status = 200, body = Listed<Comment>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn of_version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, i32)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Comment>>, ApiError> {
    let page = state.services.version_comments(&ctx, &name, version, paging.page_token.as_deref(), paging.limit());
    Ok(Json(page.await?.into()))
}

/// Says something of a version.
#[utoipa::path(post, path = "/api/v1/models/{name}/versions/{version}/comments", tag = "comments",
    params(("name" = String, Path), ("version" = i32, Path)), request_body = CommentText,
    responses((status = 201, body = Comment), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn on_version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((name, version)): Path<(String, i32)>,
    Body(new): Body<CommentText>,
) -> Result<(StatusCode, Json<Comment>), ApiError> {
    let comment = state.services.comment_on_version(&ctx, &name, version, &new.text).await?;
    Ok((StatusCode::CREATED, Json(comment)))
}

/// Gives one's own comment another text.
#[utoipa::path(patch, path = "/api/v1/comments/{id}", tag = "comments", params(("id" = CommentId, Path)),
    request_body = CommentText,
    responses((status = 200, body = Comment), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
async fn update(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<CommentId>,
    Body(new): Body<CommentText>,
) -> Result<Json<Comment>, ApiError> {
    Ok(Json(state.services.update_comment(&ctx, id, &new.text).await?))
}

/// Deletes one's own comment. That there was one stays in the history, and what it said does not.
#[utoipa::path(delete, path = "/api/v1/comments/{id}", tag = "comments", params(("id" = CommentId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<CommentId>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_comment(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
