//! Finding objects by name while somebody types.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::ApiError,
    extract::Query,
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{palette::Hit, permission::Permission};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::Needs(Permission::Read), operation!(search))
}

/// What was typed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Typed {
    /// A part of a name, in any case.
    #[serde(default)]
    q: String,
}

/// Up to twenty experiments, runs, models and pipelines in use whose names hold the text; those that begin with it
/// first.
#[utoipa::path(get, path = "/api/v1/search", tag = "workspace", params(Typed),
    responses((status = 200, body = Listed<Hit>)))]
async fn search(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(typed): Query<Typed>,
) -> Result<Json<Listed<Hit>>, ApiError> {
    Ok(Json(state.services.find_by_name(&ctx, &typed.q).await?.into()))
}
