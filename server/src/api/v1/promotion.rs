//! Promotions: asking, deciding, taking back.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    Digest, Error,
    permission::Permission,
    promotion::{Decision, DecisionVerdict, Promotion, PromotionDetail, PromotionState},
};
use serde::Deserialize;
use services::PromotionFilter;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, request) = (Access::Needs(Permission::Read), Access::Needs(Permission::RequestPromotion));
    routes
        .api(read, operation!(list))
        .api(request, operation!(create))
        .api(read, operation!(get))
        .api(Access::Needs(Permission::DecidePromotion), operation!(decide))
        .api(request, operation!(withdraw))
        .api(request, operation!(run_gates))
}

/// Which promotions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// States, separated by commas; `open` means all that are not at an end.
    state: Option<String>,
    /// The model's name.
    model: Option<String>,
    /// The version's number.
    version: Option<i32>,
    /// The environment's name.
    environment: Option<String>,
    /// `me`: only what awaits the decision of whoever asks, oldest first. Goes with no other filter.
    waiting_for: Option<String>,
}

impl Wanted {
    fn is_alone(&self) -> bool {
        self.state.is_none() && self.model.is_none() && self.version.is_none() && self.environment.is_none()
    }
}

/// Promotions, newest first.
#[utoipa::path(get, path = "/api/v1/promotions", tag = "promotion", params(Wanted, Paging),
    responses((status = 200, body = Listed<Promotion>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Listed<Promotion>>, ApiError> {
    match wanted.waiting_for.as_deref() {
        None => {}
        Some("me") if wanted.is_alone() && paging.page_token.is_none() => {
            return Ok(Json(state.services.promotions_waiting_for_me(&ctx).await?.into()));
        }
        Some("me") => {
            let message = "What waits for you is one list; it goes with no other filter and has no further pages.";
            return Err(Error::invalid_field("waiting_for", message).into());
        }
        Some(_) => return Err(Error::invalid_field("waiting_for", "Only \"me\" can be waited for.").into()),
    }
    let filter = PromotionFilter {
        states: wanted.state.as_deref().map(parse_states).transpose()?.unwrap_or_default(),
        model: wanted.model,
        version: wanted.version,
        environment: wanted.environment,
    };
    let page = state.services.promotions(&ctx, &filter, paging.page_token.as_deref(), paging.limit()).await?;
    Ok(Json(page.into()))
}

fn parse_states(text: &str) -> Result<Vec<PromotionState>, Error> {
    let mut states = Vec::new();
    for name in text.split(',') {
        match PromotionState::parse(name) {
            Some(state) => states.push(state),
            None if name == "open" => states.extend(PromotionState::open()),
            None => {
                let names = PromotionState::ALL.map(PromotionState::as_str).join(", ");
                return Err(Error::invalid_field("state", format!("A state is open or one of {names}.")));
            }
        }
    }
    Ok(states)
}

/// A version to be promoted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPromotion {
    /// The model's name.
    model: String,
    /// The version's number.
    version: i32,
    /// Where to, by name.
    environment: String,
    /// Why.
    #[serde(default)]
    comment: String,
}

/// Asks for a version to be brought into an environment. Its gates run by themselves, and when they pass, people are
/// asked.
#[utoipa::path(post, path = "/api/v1/promotions", tag = "promotion", request_body = NewPromotion,
    responses((status = 201, body = Promotion), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Body(new): Body<NewPromotion>,
) -> Result<(StatusCode, Json<Promotion>), ApiError> {
    let new = services::NewPromotion {
        model: new.model,
        version: new.version,
        environment: new.environment,
        comment: new.comment,
    };
    Ok((StatusCode::CREATED, Json(state.services.request_promotion(&ctx, new).await?)))
}

/// A promotion with everything an approver looks at.
#[utoipa::path(get, path = "/api/v1/promotions/{number}", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = PromotionDetail), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<PromotionDetail>, ApiError> {
    Ok(Json(state.services.promotion(&ctx, number).await?))
}

/// A verdict to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDecision {
    /// Yes or no.
    verdict: DecisionVerdict,
    /// Why; a no needs one.
    #[serde(default)]
    comment: String,
    /// `subject_digest` of the promotion that was looked at.
    subject_digest: Digest,
}

/// Decides on exactly what was looked at. The same request sent again answers 200 with the same decision.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/decisions", tag = "promotion",
    params(("number" = i64, Path)), request_body = NewDecision,
    responses((status = 201, body = Decision), (status = 200, body = Decision), (status = 400, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Body(new): Body<NewDecision>,
) -> Result<(StatusCode, Json<Decision>), ApiError> {
    let new = services::NewDecision { verdict: new.verdict, comment: new.comment, subject_digest: new.subject_digest };
    let (decision, is_new) = state.services.decide_promotion(&ctx, number, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(decision)))
}

/// Takes a request back.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/withdraw", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = Promotion), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn withdraw(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Promotion>, ApiError> {
    Ok(Json(state.services.withdraw_promotion(&ctx, number).await?))
}

/// Runs the gates again, by the policy in force.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/gates", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 202, body = Promotion), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn run_gates(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<(StatusCode, Json<Promotion>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(state.services.rerun_gates(&ctx, number).await?)))
}
