//! Workspaces and their members.

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
    id::UserId,
    permission::{Permission, Role},
    user::{Email, Member, Password, User, Workspace},
};
use serde::Deserialize;
use services::NewUser;
use std::collections::BTreeSet;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api(Access::Needs(Permission::MakeWorkspaces), operation!(create))
        .api(Access::Needs(Permission::Read), operation!(members))
        .api(Access::Needs(Permission::ManageMembers), operation!(add_member))
        .api(Access::Needs(Permission::ManageMembers), operation!(set_roles))
        .api(Access::Needs(Permission::ManageMembers), operation!(remove_member))
}

/// A workspace to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWorkspace {
    /// Its name in addresses: 2 to 63 lower-case letters, digits and hyphens.
    slug: String,
    /// The name to show.
    name: String,
}

/// Makes a workspace; whoever makes it is its administrator. It takes the role admin in the workspace that is named.
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "people", request_body = NewWorkspace,
    responses((status = 201, body = Workspace), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Body(new): Body<NewWorkspace>,
) -> Result<(StatusCode, Json<Workspace>), ApiError> {
    let workspace = state.services.create_workspace(&caller, &new.slug, &new.name).await?;
    Ok((StatusCode::CREATED, Json(workspace)))
}

/// The members, by name.
#[utoipa::path(get, path = "/api/v1/members", tag = "people", responses((status = 200, body = Listed<Member>)))]
async fn members(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Member>>, ApiError> {
    Ok(Json(state.services.members(&ctx).await?.into()))
}

/// Somebody to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// Their address.
    email: String,
    /// Their name, when they have no account yet.
    #[serde(default)]
    name: String,
    /// Their first password, when they have no account yet.
    password: Option<String>,
    /// What they shall be.
    roles: BTreeSet<Role>,
}

/// Adds somebody: who has an account, or with a password somebody new.
#[utoipa::path(post, path = "/api/v1/members", tag = "people", request_body = NewMember,
    responses((status = 201, body = User), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn add_member(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewMember>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let email = Email::parse(&new.email)?;
    let user = match new.password {
        Some(password) => {
            let new_user = NewUser { email, name: new.name, password: Password::choose(password)? };
            state.services.add_new_member(&ctx, new_user, new.roles).await?
        }
        None => state.services.add_member(&ctx, &email, new.roles).await?,
    };
    Ok((StatusCode::CREATED, Json(user)))
}

/// What a member shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Roles {
    /// All their roles from now on.
    roles: BTreeSet<Role>,
}

/// Changes a member's roles.
#[utoipa::path(put, path = "/api/v1/members/{user_id}", tag = "people", params(("user_id" = UserId, Path)),
    request_body = Roles, responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn set_roles(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(user): Path<UserId>,
    Body(new): Body<Roles>,
) -> Result<StatusCode, ApiError> {
    state.services.set_member_roles(&ctx, user, new.roles, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a membership.
#[utoipa::path(delete, path = "/api/v1/members/{user_id}", tag = "people", params(("user_id" = UserId, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn remove_member(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(user): Path<UserId>,
) -> Result<StatusCode, ApiError> {
    state.services.remove_member(&ctx, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
