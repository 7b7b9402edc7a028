//! Delegations: who decides for whom while they are away.

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
    delegation::{Delegation, Scope},
    id::{DelegationId, UserId},
    permission::Permission,
};
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, own) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageAccount));
    routes
        .api(read, operation!(list))
        .api(own, operation!(create))
        .api(read, operation!(get))
        .api(own, operation!(revoke))
}

/// The delegations, newest first.
#[utoipa::path(get, path = "/api/v1/delegations", tag = "promotion", params(Paging),
    responses((status = 200, body = Listed<Delegation>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Delegation>>, ApiError> {
    Ok(Json(state.services.delegations(&ctx, paging.page_token.as_deref(), paging.limit()).await?.into()))
}

/// A delegation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDelegation {
    /// For whom is decided; whoever asks when nothing is said. For somebody else an admin says it.
    from: Option<UserId>,
    /// Who decides: a member of the workspace, no service account.
    to: UserId,
    /// On what; on everything when nothing is said.
    #[serde(default)]
    scope: Scope,
    /// From when on; from now on when nothing is said.
    starts_at: Option<DateTime<Utc>>,
    /// Until when: 90 days after the start at most.
    ends_at: DateTime<Utc>,
    /// Why.
    reason: String,
}

/// Lets somebody decide for oneself, or as an admin for another.
#[utoipa::path(post, path = "/api/v1/delegations", tag = "promotion", request_body = NewDelegation,
    responses((status = 201, body = Delegation), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewDelegation>,
) -> Result<(StatusCode, Json<Delegation>), ApiError> {
    let new = services::NewDelegation {
        from: new.from,
        to: new.to,
        scope: new.scope,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        reason: new.reason,
    };
    Ok((StatusCode::CREATED, Json(state.services.create_delegation(&ctx, new).await?)))
}

/// The delegation of this id.
#[utoipa::path(get, path = "/api/v1/delegations/{id}", tag = "promotion", params(("id" = DelegationId, Path)),
    responses((status = 200, body = Delegation), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<DelegationId>,
) -> Result<Json<Delegation>, ApiError> {
    Ok(Json(state.services.delegation(&ctx, id).await?))
}

/// Takes a delegation back from now on: whom it is from, whom it is to, or an admin. Again changes nothing.
#[utoipa::path(post, path = "/api/v1/delegations/{id}/revoke", tag = "promotion", params(("id" = DelegationId, Path)),
    responses((status = 200, body = Delegation), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn revoke(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<DelegationId>,
) -> Result<Json<Delegation>, ApiError> {
    Ok(Json(state.services.revoke_delegation(&ctx, id).await?))
}
