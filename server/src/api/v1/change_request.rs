//! Change requests: what policies let nobody do alone, besides promoting.

use super::{Listed, Paging, promotion::NewDecision};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error, Page,
    change_request::ChangeRequest,
    permission::Permission,
    policy::PolicySet,
    promotion::{Decision, RuleStanding},
};
use serde::{Deserialize, Serialize};
use services::{Ctx, Effect};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    // Whose word counts, the rules of the policies say.
    let decides = Access::Needs(Permission::DecidePromotion);
    routes
        .api(read, operation!(list))
        .api(read, operation!(get))
        .api(decides, operation!(decide))
        // Whoever may ask for any such change may take their own back.
        .api(Access::Needs(Permission::Deploy), operation!(withdraw))
}

/// What became of something that a policy may let nobody do alone: the thing itself with 200, or with 202 the request that
/// people are asked about, and where it is.
pub(super) fn done_or_asked<T: Serialize>(state: &AppState, ctx: &Ctx, effect: Effect<T>) -> Response {
    match effect {
        Effect::Done(done) => Json(done).into_response(),
        Effect::Requested(request) => {
            let (base, slug) = (&state.public_url, &ctx.workspace.slug);
            let place = format!("{base}/w/{slug}/api/v1/change-requests/{}", request.number);
            (StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(*request)).into_response()
        }
    }
}

/// Which change requests.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `open`: those that can still be decided on.
    state: Option<String>,
    /// `me`: only what awaits the decision of whoever asks. Goes with no other filter, and is one page.
    waiting_for: Option<String>,
}

/// Change requests, newest first.
#[utoipa::path(get, path = "/api/v1/change-requests", tag = "policy", params(Wanted, Paging),
    responses((status = 200, body = Listed<ChangeRequest>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<ChangeRequest>>, ApiError> {
    let services = &state.services;
    match (wanted.waiting_for.as_deref(), wanted.state.as_deref()) {
        (Some("me"), None) => {
            let items = services.change_requests_waiting_for_me(&ctx).await?;
            Ok(Json(Page { items, next_page_token: None }.into()))
        }
        (Some(_), _) => Err(Error::invalid_field("waiting_for", "It is me, and goes with no other filter.").into()),
        (None, None | Some("open")) => {
            let open = wanted.state.is_some();
            let page = services.change_requests(&ctx, open, paging.page_token.as_deref(), paging.limit()).await?;
            Ok(Json(page.into()))
        }
        (None, Some(_)) => Err(Error::invalid_field("state", "It is open, or left away for all.").into()),
    }
}

/// A change request with what decides about it.
#[derive(Serialize, ToSchema)]
struct ChangeRequestDetail {
    /// The request.
    request: ChangeRequest,
    /// The policies that ask for approval.
    policies: PolicySet,
    /// How each of their rules stands.
    rules: Vec<RuleStanding>,
    /// Decisions, oldest first.
    decisions: Vec<Decision>,
}

/// A change request, its rules, and what was decided.
#[utoipa::path(get, path = "/api/v1/change-requests/{number}", tag = "policy", params(("number" = i64, Path)),
    responses((status = 200, body = ChangeRequestDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<ChangeRequestDetail>, ApiError> {
    let detail = state.services.change_request(&ctx, number).await?;
    Ok(Json(ChangeRequestDetail {
        request: detail.request,
        policies: detail.policies,
        rules: detail.rules,
        decisions: detail.decisions,
    }))
}

/// Decides on exactly what was looked at: `subject_digest` is the `digest` of the request. With the last yes that the rules
/// ask for, the change is made. The same request sent again answers 200 with the same decision.
#[utoipa::path(post, path = "/api/v1/change-requests/{number}/decisions", tag = "policy",
    params(("number" = i64, Path)), request_body = NewDecision,
    responses((status = 201, body = Decision), (status = 200, body = Decision), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Body(new): Body<NewDecision>,
) -> Result<(StatusCode, Json<Decision>), ApiError> {
    let (decision, is_new) = state.services.decide_change(&ctx, number, new.into()).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(decision)))
}

/// Takes a change request back.
#[utoipa::path(post, path = "/api/v1/change-requests/{number}/withdraw", tag = "policy", params(("number" = i64, Path)),
    responses((status = 200, body = ChangeRequest), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn withdraw(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<ChangeRequest>, ApiError> {
    Ok(Json(state.services.withdraw_change(&ctx, number).await?))
}
