//! Push hooks: addresses that GitHub, GitLab and Gitea tell of pushes; and what answers there.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context, Proved},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    id::PushHookId,
    permission::Permission,
    push_hook::{Delivery, Forge, Outcome, PushField, PushHook},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    routes
        .api(read, operation!(list))
        .api(write, operation!(create))
        .api(read, operation!(get))
        .api(write, operation!(change))
        .api(write, operation!(delete))
        .api(write, operation!(renew))
        .api(read, operation!(deliveries))
        .api(Access::PushProof, operation!(receive))
}

/// Which push hooks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this pipeline.
    pipeline: Option<String>,
}

/// The push hooks, by name.
#[utoipa::path(get, path = "/api/v1/push-hooks", tag = "pipelines", params(Which, Paging),
    responses((status = 200, body = Listed<PushHook>), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<PushHook>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.push_hooks(&ctx, which.pipeline.as_deref(), token, paging.limit()).await?.into()))
}

/// A push hook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPushHook {
    /// Its name, in the workspace: lower-case letters, digits, `-` and `_`.
    name: String,
    /// The pipeline that it starts.
    pipeline: String,
    /// Who tells of pushes.
    forge: Forge,
    /// Branches whose pushes start it: patterns with `*` and `?`; all when there is none.
    #[serde(default)]
    branches: Vec<String>,
    /// Changed files, one of which must fit one of these patterns; any when there is none.
    #[serde(default)]
    paths: Vec<String>,
    /// Params of its runs that shall not have their defaults.
    #[serde(default)]
    params: Map<String, Value>,
    /// Params that get what the push says: name of the param to `commit`, `branch`, `author_email` or `repository`.
    #[serde(default)]
    from_push: BTreeMap<String, PushField>,
    /// Whether pushes start anything.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// A push hook with its secret, which is not shown again.
#[derive(Serialize, ToSchema)]
struct IssuedPushHook {
    /// The hook.
    #[serde(flatten)]
    hook: PushHook,
    /// The address to give to the forge.
    url: String,
    /// The secret to give to the forge.
    secret: String,
}

fn issued(state: &AppState, (hook, secret): (PushHook, String)) -> Json<IssuedPushHook> {
    Json(IssuedPushHook { url: format!("{}/hooks/{}", state.public_url, hook.id), hook, secret })
}

/// Makes a push hook. The answer holds its address and its secret, for the forge; the secret is not shown again.
#[utoipa::path(post, path = "/api/v1/push-hooks", tag = "pipelines", request_body = NewPushHook,
    responses((status = 201, body = IssuedPushHook), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewPushHook>,
) -> Result<(StatusCode, Json<IssuedPushHook>), ApiError> {
    let new = services::NewPushHook {
        name: new.name,
        pipeline: new.pipeline,
        forge: new.forge,
        branches: new.branches,
        paths: new.paths,
        params: new.params,
        from_push: new.from_push,
        enabled: new.enabled,
    };
    let made = state.services.create_push_hook(&ctx, new).await?;
    Ok((StatusCode::CREATED, issued(&state, made)))
}

/// The push hook of this name.
#[utoipa::path(get, path = "/api/v1/push-hooks/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PushHook), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<PushHook>, ApiError> {
    Ok(Json(state.services.push_hook(&ctx, &name).await?))
}

/// What of a push hook to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PushHookChange {
    /// Its name.
    name: Option<String>,
    /// The pipeline that it starts.
    pipeline: Option<String>,
    /// Branches whose pushes start it.
    branches: Option<Vec<String>>,
    /// Changed files, one of which must fit.
    paths: Option<Vec<String>>,
    /// Params of its runs: all of them.
    params: Option<Map<String, Value>>,
    /// Params that get what the push says: all of them.
    from_push: Option<BTreeMap<String, PushField>>,
    /// Whether pushes start anything.
    enabled: Option<bool>,
}

/// Changes a push hook. Its address and its secret stay.
#[utoipa::path(patch, path = "/api/v1/push-hooks/{name}", tag = "pipelines", params(("name" = String, Path)),
    request_body = PushHookChange,
    responses((status = 200, body = PushHook), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(change): Body<PushHookChange>,
) -> Result<Json<PushHook>, ApiError> {
    let change = services::PushHookChange {
        name: change.name,
        pipeline: change.pipeline,
        branches: change.branches,
        paths: change.paths,
        params: change.params,
        from_push: change.from_push,
        enabled: change.enabled,
    };
    Ok(Json(state.services.change_push_hook(&ctx, &name, change).await?))
}

/// Deletes a push hook. The runs that it started stay.
#[utoipa::path(delete, path = "/api/v1/push-hooks/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_push_hook(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a push hook another secret, which is not shown again. That before does not work any more.
#[utoipa::path(post, path = "/api/v1/push-hooks/{name}/secret", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = IssuedPushHook), (status = 404, body = Problem)))]
async fn renew(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<IssuedPushHook>, ApiError> {
    let renewed = state.services.renew_push_hook_secret(&ctx, &name).await?;
    Ok(issued(&state, renewed))
}

/// What a push hook was told of and what it answered, latest first. Those of the last 30 days are kept.
#[utoipa::path(get, path = "/api/v1/push-hooks/{name}/deliveries", tag = "pipelines",
    params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<Delivery>), (status = 404, body = Problem)))]
async fn deliveries(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Delivery>>, ApiError> {
    let token = paging.page_token.as_deref();
    Ok(Json(state.services.push_deliveries(&ctx, &name, token, paging.limit()).await?.into()))
}

/// The answer to a forge.
#[derive(Serialize, ToSchema)]
struct PushAnswer {
    /// What came of it: `started train #12`, or `ignored: ` and why.
    answer: String,
    /// The number of the run that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
}

/// Where forges send pushes to. It takes neither session nor token: what comes must be signed with the hook's secret, or for
/// GitLab hold it. A delivery that is sent again starts nothing and gets the answer that it got.
#[utoipa::path(post, path = "/hooks/{id}", tag = "pipelines", params(("id" = PushHookId, Path)),
    request_body(content = Object, description = "As the forge sends it, up to 4 MiB"),
    responses((status = 202, body = PushAnswer, description = "It started a run"),
        (status = 200, body = PushAnswer, description = "It started nothing"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 413, body = Problem)))]
async fn receive(
    State(state): State<AppState>,
    Proved(proved): Proved,
) -> Result<(StatusCode, Json<PushAnswer>), ApiError> {
    let delivery = state.services.receive_push(proved).await?;
    let status = if delivery.outcome == Outcome::Started { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(PushAnswer { answer: delivery.answer, run: delivery.run_number })))
}
