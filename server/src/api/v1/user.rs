//! Who asks.

use crate::{
    access::{Access, SignedIn},
    error::{ApiError, Problem},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    permission::{Role, Scope},
    user::{User, Workspace},
};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::SignedIn(Scope::Read), operation!(me))
}

/// Who asks, and where they may work.
#[derive(Serialize, ToSchema)]
struct Me {
    /// The user.
    user: User,
    /// Their workspaces; the one that is meant when a request names none is first.
    workspaces: Vec<Membership>,
}

/// A workspace, and what one is there.
#[derive(Serialize, ToSchema)]
struct Membership {
    /// The workspace.
    workspace: Workspace,
    /// One's roles there.
    roles: BTreeSet<Role>,
}

/// Who the credential belongs to.
#[utoipa::path(get, path = "/api/v1/user", tag = "people",
    responses((status = 200, body = Me), (status = 401, body = Problem)))]
async fn me(State(state): State<AppState>, SignedIn(caller): SignedIn) -> Result<Json<Me>, ApiError> {
    let workspaces = state.services.workspaces_of(&caller.user).await?;
    let workspaces = workspaces.into_iter().map(|(workspace, roles)| Membership { workspace, roles }).collect();
    Ok(Json(Me { user: caller.user, workspaces }))
}
