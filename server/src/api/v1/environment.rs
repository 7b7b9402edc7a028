//! Environments and their policies.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use domain::{
    Digest, Error,
    environment::{EnvironmentDetail, EnvironmentOverview, Policy, PolicyDocument},
    permission::Permission,
};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api(Access::Needs(Permission::Read), operation!(list))
        .api(Access::Needs(Permission::Read), operation!(get))
        .api(Access::Needs(Permission::WritePolicies), operation!(set_policy))
}

/// The environments, in the order of promotion.
#[utoipa::path(get, path = "/api/v1/environments", tag = "promotion",
    responses((status = 200, body = Listed<EnvironmentOverview>)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
) -> Result<Json<Listed<EnvironmentOverview>>, ApiError> {
    Ok(Json(state.services.environments(&ctx).await?.into()))
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
/// that digest. Open promotions are held against it at once.
#[utoipa::path(put, path = "/api/v1/environments/{environment}/policy", tag = "promotion",
    params(("environment" = String, Path), ("If-Match" = Option<String>, Header)), request_body = PolicyDocument,
    responses((status = 200, body = Policy), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn set_policy(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(environment): Path<String>,
    headers: HeaderMap,
    Body(document): Body<PolicyDocument>,
) -> Result<Json<Policy>, ApiError> {
    let instead_of = headers.get(header::IF_MATCH).map(|value| {
        let text = value.to_str().unwrap_or_default().trim_matches('"');
        text.parse::<Digest>().map_err(|_| Error::invalid("Give the digest of a policy as If-Match, or leave it away."))
    });
    let instead_of = instead_of.transpose()?;
    Ok(Json(state.services.set_policy(&ctx, &environment, document, instead_of.as_ref()).await?))
}
