//! History.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context, SignedIn},
    error::{ApiError, Problem},
    extract::Query,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    Error,
    audit::{AuditEvent, ObjectKind},
    permission::{Permission, Scope},
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api(Access::Needs(Permission::Read), operation!(list))
        .api(Access::SignedIn(Scope::Read), operation!(of_account))
}

/// Of what.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct About {
    /// `kind:id`, such as `promotion:0193…`: only what concerns this object.
    object: Option<String>,
}

/// History of the workspace or of one object, newest first.
#[utoipa::path(get, path = "/api/v1/audit-events", tag = "history", params(About, Paging),
    responses((status = 200, body = Listed<AuditEvent>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(about): Query<About>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<AuditEvent>>, ApiError> {
    let object = about.object.as_deref().map(parse_object).transpose()?;
    let objects = object.as_slice();
    let page = state.services.audit_events(&ctx, objects, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

/// History of one's own account, newest first: signing in and out, password, tokens, memberships.
#[utoipa::path(get, path = "/api/v1/user/audit-events", tag = "history", params(Paging),
    responses((status = 200, body = Listed<AuditEvent>), (status = 400, body = Problem)))]
async fn of_account(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<AuditEvent>>, ApiError> {
    let page = state.services.audit_events_of_account(&caller, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

fn parse_object(text: &str) -> Result<(ObjectKind, &str), Error> {
    text.split_once(':')
        .and_then(|(kind, id)| Some((ObjectKind::parse(kind)?, id)))
        .ok_or_else(|| Error::invalid_field("object", "Name the object as kind:id, such as promotion:0193f0c2-…"))
}
