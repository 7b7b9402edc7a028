//! Steps of pipeline runs: their tries and outputs.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::Path,
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{permission::Permission, step::StepAttempt};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.api(read, operation!(attempts)).api(read, operation!(output))
}

/// The tries of a step, first to last.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path)),
    responses((status = 200, body = Listed<StepAttempt>), (status = 404, body = Problem)))]
async fn attempts(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step)): Path<(i64, String)>,
) -> Result<Json<Listed<StepAttempt>>, ApiError> {
    Ok(Json(state.services.step_attempts(&ctx, number, &step).await?.into()))
}

/// An output of a step that has succeeded: the bytes of a file, or the list of files of a folder as JSON.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/outputs/{name}", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn output(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, name)): Path<(i64, String, String)>,
) -> Result<Response, ApiError> {
    let (output, content) = state.services.step_output(&ctx, number, &step, &name).await?;
    let file = output.path.rsplit('/').next().unwrap_or_default();
    // Nothing in the name can end the quotes or the header.
    let plain: String =
        file.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') { c } else { '_' }).collect();
    let (content_type, suffix) =
        if output.is_folder { ("application/json", ".json") } else { ("application/octet-stream", "") };
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_LENGTH, content.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}{suffix}\"")),
    ];
    Ok((headers, Body::from_stream(content.stream)).into_response())
}
