//! Who asks.

use crate::{
    access::{Access, SignedIn},
    error::{ApiError, Problem},
    extract::Body,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    mail::MailKind,
    permission::{Role, Scope},
    user::{User, Workspace},
};
use serde::{Deserialize, Serialize};
use services::{Caller, Error};
use std::collections::BTreeSet;
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::SignedIn(Scope::Read), operation!(me)).api(Access::SignedIn(Scope::Write), operation!(change))
}

/// Who asks, and where they may work.
#[derive(Serialize, ToSchema)]
struct Me {
    /// The user.
    user: User,
    /// Their workspaces; the one that is meant when a request names none is first.
    workspaces: Vec<Membership>,
    /// Of what one is written by e-mail, where the installation sends any.
    mail: BTreeSet<MailKind>,
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
    Ok(Json(Me::read(&state, caller).await?))
}

impl Me {
    async fn read(state: &AppState, caller: Caller) -> Result<Self, Error> {
        let workspaces = state.services.workspaces_of(&caller.user).await?;
        let workspaces = workspaces.into_iter().map(|(workspace, roles)| Membership { workspace, roles }).collect();
        let mail = state.services.wanted_mail(&caller).await?;
        Ok(Self { user: caller.user, workspaces, mail })
    }
}

/// What of one's own account is to be another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    /// Of what one wants to be written by e-mail: of these kinds, in every workspace, and of no others.
    mail: Option<BTreeSet<MailKind>>,
}

/// Changes one's own account.
#[utoipa::path(patch, path = "/api/v1/user", tag = "people", request_body = UserChange,
    responses((status = 200, body = Me), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Body(change): Body<UserChange>,
) -> Result<Json<Me>, ApiError> {
    if let Some(mail) = change.mail {
        state.services.set_wanted_mail(&caller, &mail).await?;
    }
    Ok(Json(Me::read(&state, caller).await?))
}
