//! Environments, their order, and their policies.

use super::{Listed, change_request::done_or_asked, policy::if_match};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use domain::{
    change_request::ChangeRequest,
    environment::{Environment, EnvironmentDetail, EnvironmentOverview, Tier},
    permission::{Permission, Role},
    policy::{Policy, PolicyDocument},
};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .api(read, operation!(list))
        .api(write, operation!(create))
        .api(write, operation!(reorder))
        .api(read, operation!(get))
        .api(write, operation!(change))
        .api(write, operation!(archive))
        .api(write, operation!(restore))
        .api(write, operation!(set_policy))
}

/// Which environments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those that are archived, instead of those that are not.
    #[serde(default)]
    archived: bool,
}

/// The environments that whoever asks sees, in the order of promotion.
#[utoipa::path(get, path = "/api/v1/environments", tag = "promotion", params(Wanted),
    responses((status = 200, body = Listed<EnvironmentOverview>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<EnvironmentOverview>>, ApiError> {
    let environments = match wanted.archived {
        true => state.services.archived_environments(&ctx).await?,
        false => state.services.environments(&ctx).await?,
    };
    Ok(Json(environments.into()))
}

/// An environment to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEnvironment {
    /// Its name: lower-case letters, digits, underscores and hyphens. It never changes, and is an alias too.
    name: String,
    /// How much depends on it; by its name when nothing is said.
    tier: Option<Tier>,
    /// Its place in the order of promotion, from 1; the last when nothing is said.
    position: Option<i32>,
    /// Whether the alias of its name moves only by a promotion; it does when nothing is said.
    #[serde(default = "yes")]
    protected: bool,
    /// How long an approved version waits before it is deployed, in seconds: up to 30 days.
    #[serde(default)]
    wait_timer_s: i32,
    /// The roles that see it, beside admins; everybody when nothing is said.
    #[schema(value_type = Option<Vec<Role>>)]
    visible_to: Option<BTreeSet<Role>>,
}

fn yes() -> bool {
    true
}

/// Makes an environment, with the policy that one of its tier begins with.
#[utoipa::path(post, path = "/api/v1/environments", tag = "promotion", request_body = NewEnvironment,
    responses((status = 201, body = EnvironmentDetail), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewEnvironment>,
) -> Result<(StatusCode, Json<EnvironmentDetail>), ApiError> {
    let new = services::NewEnvironment {
        name: new.name,
        tier: new.tier,
        position: new.position,
        protected: new.protected,
        wait_timer_s: new.wait_timer_s,
        visible_to: new.visible_to,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_environment(&ctx, new).await?)))
}

/// An order of the environments.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The name of each environment that is not archived, once.
    order: Vec<String>,
}

/// Puts the environments in an order.
#[utoipa::path(put, path = "/api/v1/environments/order", tag = "promotion", request_body = Order,
    responses((status = 200, body = Listed<EnvironmentOverview>), (status = 400, body = Problem)))]
async fn reorder(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<Order>,
) -> Result<Json<Listed<EnvironmentOverview>>, ApiError> {
    Ok(Json(state.services.reorder_environments(&ctx, &new.order).await?.into()))
}

/// What of an environment to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnvironmentChange {
    /// How much depends on it.
    tier: Option<Tier>,
    /// Its place in the order of promotion, from 1.
    position: Option<i32>,
    /// Whether the alias of its name moves only by a promotion.
    protected: Option<bool>,
    /// How long an approved version waits before it is deployed, in seconds.
    wait_timer_s: Option<i32>,
    /// The roles that see it, beside admins; everybody with `null`.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Vec<Role>>)]
    visible_to: Option<Option<BTreeSet<Role>>>,
}

/// Tells `null` from what was not said.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Changes an environment; its name stays.
#[utoipa::path(patch, path = "/api/v1/environments/{environment}", tag = "promotion",
    params(("environment" = String, Path)), request_body = EnvironmentChange,
    responses((status = 200, body = Environment), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
    Body(change): Body<EnvironmentChange>,
) -> Result<Json<Environment>, ApiError> {
    let change = services::EnvironmentChange {
        tier: change.tier,
        position: change.position,
        protected: change.protected,
        wait_timer_s: change.wait_timer_s,
        visible_to: change.visible_to,
    };
    Ok(Json(state.services.change_environment(&ctx, &environment, change).await?))
}

/// Archives an environment in which nothing serves and to which nothing is on its way.
#[utoipa::path(post, path = "/api/v1/environments/{environment}/archive", tag = "promotion",
    params(("environment" = String, Path)),
    responses((status = 200, body = Environment), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn archive(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
) -> Result<Json<Environment>, ApiError> {
    Ok(Json(state.services.archive_environment(&ctx, &environment).await?))
}

/// Brings an archived environment back, as the last in the order.
#[utoipa::path(post, path = "/api/v1/environments/{environment}/restore", tag = "promotion",
    params(("environment" = String, Path)),
    responses((status = 200, body = Environment), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn restore(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
) -> Result<Json<Environment>, ApiError> {
    Ok(Json(state.services.restore_environment(&ctx, &environment).await?))
}

/// An environment with the policy in force and all that were.
#[utoipa::path(get, path = "/api/v1/environments/{environment}", tag = "promotion",
    params(("environment" = String, Path)),
    responses((status = 200, body = EnvironmentDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
) -> Result<Json<EnvironmentDetail>, ApiError> {
    Ok(Json(state.services.environment(&ctx, &environment).await?))
}

/// Puts a policy in force; the same as the one in force changes nothing. With `If-Match`, only instead of the policy of
/// that digest. Open promotions are held against it at once. Where policies for `change_policy` ask for approval, people are
/// asked first: 202, with the change request.
#[utoipa::path(put, path = "/api/v1/environments/{environment}/policy", tag = "promotion",
    params(("environment" = String, Path), ("If-Match" = Option<String>, Header)), request_body = PolicyDocument,
    responses((status = 200, body = Policy), (status = 202, body = ChangeRequest), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn set_policy(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
    headers: HeaderMap,
    Body(document): Body<PolicyDocument>,
) -> Result<Response, ApiError> {
    let instead_of = if_match(&headers)?;
    let effect = state.services.set_policy(&ctx, &environment, document, instead_of.as_ref()).await?;
    Ok(done_or_asked(&state, &ctx, effect))
}
