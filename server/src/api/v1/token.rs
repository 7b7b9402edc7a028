//! One's own API tokens.

use super::Listed;
use crate::{
    access::{Access, Context, SignedIn},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    id::TokenId,
    permission::{Permission, Scope},
    user::Token,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api(Access::SignedIn(Scope::Read), operation!(list))
        .api(Access::Needs(Permission::MakeTokens), operation!(create))
        .api(Access::SignedIn(Scope::Write), operation!(revoke))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What to call it.
    name: String,
    /// What it may be used for.
    #[serde(default = "write")]
    scope: Scope,
    /// For how many days; 90 when nothing is said, or as long as the token that makes it.
    days: Option<u32>,
}

fn write() -> Scope {
    Scope::Write
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
struct IssuedToken {
    /// The token.
    #[serde(flatten)]
    token: Token,
    /// What to send as `Authorization: Bearer <secret>`. Shown this once.
    secret: String,
}

/// One's own tokens that still work, newest first.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "people",
    responses((status = 200, body = Listed<Token>), (status = 401, body = Problem)))]
async fn list(State(state): State<AppState>, SignedIn(caller): SignedIn) -> Result<Json<Listed<Token>>, ApiError> {
    Ok(Json(state.services.tokens(&caller).await?.into()))
}

/// Makes a token of one's own for the workspace in use. Made with a token, it ends no later than that one.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "people", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    let new = services::NewToken { name: new.name, scope: new.scope, days: new.days };
    let issued = state.services.create_token(&ctx, new).await?;
    Ok((StatusCode::CREATED, Json(IssuedToken { token: issued.token, secret: issued.secret })))
}

/// Revokes one of one's own tokens.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "people", params(("id" = TokenId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn revoke(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, ApiError> {
    state.services.revoke_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
