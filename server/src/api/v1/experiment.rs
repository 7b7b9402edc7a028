//! Experiments.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State};
use domain::{
    experiment::{Experiment, ExperimentSummary, ViewType},
    id::ExperimentId,
    permission::Permission,
};
use serde::Deserialize;
use services::ExperimentSearch;
use utoipa::IntoParams;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.api(Access::Needs(Permission::Read), operation!(list)).api(Access::Needs(Permission::Read), operation!(get))
}

/// Which, in which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// A filter in the search language: `name LIKE 'wine%'`.
    #[serde(default)]
    pub(super) filter: String,
    /// What to sort by first, then, separated by commas: `name DESC, creation_time`.
    #[serde(default)]
    order_by: String,
}

impl Wanted {
    /// The entries of the order.
    pub(super) fn order(&self) -> Vec<String> {
        self.order_by.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(ToOwned::to_owned).collect()
    }
}

/// The experiments in use, with what their runs come to; the newest first.
#[utoipa::path(get, path = "/api/v1/experiments", tag = "tracking", params(Wanted, Paging),
    responses((status = 200, body = Listed<ExperimentSummary>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<ExperimentSummary>>, ApiError> {
    let search = ExperimentSearch {
        view: ViewType::ActiveOnly,
        filter: &wanted.filter,
        order: &wanted.order(),
        page_token: paging.page_token.as_deref(),
        limit: paging.limit(),
    };
    Ok(Json(state.services.experiment_summaries(&ctx, &search).await?.into()))
}

/// An experiment; `0` is the default one of the workspace.
#[utoipa::path(get, path = "/api/v1/experiments/{id}", tag = "tracking", params(("id" = ExperimentId, Path)),
    responses((status = 200, body = Experiment), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
) -> Result<Json<Experiment>, ApiError> {
    Ok(Json(state.services.experiment(&ctx, id).await?))
}
