//! E-mail: what people of the workspace were written of promotions.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::Query,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{mail::Mail, permission::Permission};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::Needs(Permission::ManageMembers), operation!(list))
}

/// The messages of the last 30 days to people of the workspace, newest first: to whom, of what, and whether the mail server
/// took them. What stood in them beside the subject is not told.
#[utoipa::path(get, path = "/api/v1/mails", tag = "people", params(Paging),
    responses((status = 200, body = Listed<Mail>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Mail>>, ApiError> {
    Ok(Json(state.services.mails(&ctx, paging.page_token.as_deref(), paging.limit()).await?.into()))
}
