//! Steps of pipeline runs that ask people.

use super::{Listed, Paging, promotion::NewDecision};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    Error, Page,
    permission::Permission,
    promotion::{Decision, RuleStanding},
    step_approval::StepApproval,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        // Whose word counts, the rules of the step say.
        .api(Access::Needs(Permission::DecidePromotion), operation!(decide))
}

/// Which approvals.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `open`: those that can still be decided on.
    state: Option<String>,
    /// `me`: only what awaits the decision of whoever asks. Goes with no other filter, and is one page.
    waiting_for: Option<String>,
}

/// Steps that ask people, those that asked last first.
#[utoipa::path(get, path = "/api/v1/step-approvals", tag = "pipelines", params(Wanted, Paging),
    responses((status = 200, body = Listed<StepApproval>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<StepApproval>>, ApiError> {
    let services = &state.services;
    match (wanted.waiting_for.as_deref(), wanted.state.as_deref()) {
        (Some("me"), None) => {
            let items = services.step_approvals_waiting_for_me(&ctx).await?;
            Ok(Json(Page { items, next_page_token: None }.into()))
        }
        (Some(_), _) => Err(Error::invalid_field("waiting_for", "It is me, and goes with no other filter.").into()),
        (None, None | Some("open")) => {
            let open = wanted.state.is_some();
            let page = services.step_approvals(&ctx, open, paging.page_token.as_deref(), paging.limit()).await?;
            Ok(Json(page.into()))
        }
        (None, Some(_)) => Err(Error::invalid_field("state", "It is open, or left away for all.").into()),
    }
}

/// A step that asks, with what decides about it.
#[derive(Serialize, ToSchema)]
struct StepApprovalDetail {
    /// What it asks.
    approval: StepApproval,
    /// How each of its rules stands.
    rules: Vec<RuleStanding>,
    /// Decisions, oldest first.
    decisions: Vec<Decision>,
}

/// What a step asks, whom, and what they said.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/approval", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path)),
    responses((status = 200, body = StepApprovalDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step)): Path<(i64, String)>,
) -> Result<Json<StepApprovalDetail>, ApiError> {
    let detail = state.services.step_approval(&ctx, number, &step).await?;
    Ok(Json(StepApprovalDetail { approval: detail.approval, rules: detail.rules, decisions: detail.decisions }))
}

/// Decides on exactly what was looked at: `subject_digest` is the `digest` of the approval. With the last yes that its rules
/// ask for the step succeeds, with a no it fails. The same request sent again answers 200 with the same decision.
#[utoipa::path(post, path = "/api/v1/pipeline-runs/{number}/steps/{step}/approval/decisions", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path)), request_body = NewDecision,
    responses((status = 201, body = Decision), (status = 200, body = Decision), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step)): Path<(i64, String)>,
    Body(new): Body<NewDecision>,
) -> Result<(StatusCode, Json<Decision>), ApiError> {
    let (decision, is_new) = state.services.decide_step(&ctx, number, &step, new.into()).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(decision)))
}
