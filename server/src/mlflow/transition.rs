//! Databricks' dialect of MLflow: requests that a version move to a stage, which are promotions to the environment of that
//! name.

use super::{
    MlflowError,
    fields::{Fields, shown},
};
use crate::{
    access::{Access, Context},
    router::Routes,
    state::AppState,
};
use axum::{Json, extract::State, http::Method};
use domain::{
    Error, ErrorKind,
    model::Stage,
    permission::Permission,
    promotion::{DecisionVerdict, Promotion, PromotionState},
};
use serde_json::{Value, json};
use services::{Ctx, NewDecision, NewPromotion, PromotionFilter};
use std::collections::BTreeMap;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let request = Access::Needs(Permission::RequestPromotion);
    let decide = Access::Needs(Permission::DecidePromotion);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/transition-requests/create", request, create)
        .mlflow(Method::GET, "/2.0/mlflow/transition-requests/list", read, list)
        .mlflow(Method::POST, "/2.0/mlflow/transition-requests/approve", decide, approve)
        .mlflow(Method::POST, "/2.0/mlflow/transition-requests/reject", decide, reject)
        .mlflow(Method::DELETE, "/2.0/mlflow/transition-requests/delete", request, delete)
}

/// The most open requests of a version: one for each environment.
const MAX_OPEN: usize = 100;

/// The stage that a promotion is for; none when its environment has another name.
fn stage_of(promotion: &Promotion) -> Option<Stage> {
    [Stage::Staging, Stage::Production].into_iter().find(|stage| environment_of(*stage) == promotion.environment)
}

fn environment_of(stage: Stage) -> String {
    stage.as_str().to_lowercase()
}

/// The stage in a request, which must be one that is an environment.
fn wanted_stage(fields: &Fields) -> Result<Stage, Error> {
    let stage = services::parse_stage(fields.required("stage")?)?;
    if matches!(stage, Stage::Staging | Stage::Production) {
        return Ok(stage);
    }
    let message = format!(
        "Nobody has to be asked for a transition to {}: only Staging and Production are environments. Use \
         model-versions/transition-stage.",
        stage.as_str()
    );
    Err(Error::invalid_field("stage", message))
}

/// What is meant: the open promotion of a version to a stage, and the stages that it goes from and to.
async fn open_request(state: &AppState, ctx: &Ctx, fields: &Fields) -> Result<(Promotion, (Stage, Stage)), Error> {
    let (name, version, stage) = (fields.model_name()?, fields.version()?, wanted_stage(fields)?);
    let from = state.services.model_version(ctx, name, version).await?.stage;
    let open = open_promotions(state, ctx, name, version).await?;
    let found = open.into_iter().find(|promotion| stage_of(promotion) == Some(stage));
    let promotion = found.ok_or_else(|| {
        let message = format!("There is no open request to move {name} v{version} to {}.", stage.as_str());
        Error::new(ErrorKind::NotFound, message)
    })?;
    Ok((promotion, (from, stage)))
}

async fn open_promotions(state: &AppState, ctx: &Ctx, model: &str, version: i32) -> Result<Vec<Promotion>, Error> {
    let filter = PromotionFilter {
        states: PromotionState::open().collect(),
        model: Some(model.to_owned()),
        version: Some(version),
        environment: None,
    };
    Ok(state.services.promotions(ctx, &filter, None, MAX_OPEN).await?.items)
}

/// A refusal of our rules, with the address where people see why.
fn with_address(state: &AppState, ctx: &Ctx, promotion: &Promotion, mut error: Error) -> Error {
    if matches!(error.kind, ErrorKind::Forbidden | ErrorKind::Conflict) {
        let address = state.services.promotion_address(ctx, promotion.number);
        error.message = format!("{} See {address}", error.message);
    }
    error
}

/// What whoever asks may do about an open request. `waiting` is what waits for their decision.
fn actions(ctx: &Ctx, promotion: &Promotion, waiting: &[Promotion]) -> Vec<&'static str> {
    let mut actions = Vec::new();
    if waiting.iter().any(|one| one.id == promotion.id) {
        actions.extend(["APPROVE_TRANSITION_REQUEST", "REJECT_TRANSITION_REQUEST"]);
    }
    if services::may_withdraw(ctx, promotion) {
        actions.push("CANCEL_TRANSITION_REQUEST");
    }
    actions
}

/// A request, or what became of it: `kind` is the activity.
fn activity(promotion: &Promotion, kind: &str, (from, to): (Stage, Stage)) -> Value {
    json!({
        "id": promotion.id,
        "activity_type": kind,
        "creation_timestamp": promotion.created_at.timestamp_millis(),
        "last_updated_timestamp": promotion.updated_at.timestamp_millis(),
        "user_id": promotion.requester,
        "from_stage": from.as_str(),
        "to_stage": to.as_str(),
        "comment": promotion.comment,
    })
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (name, version, stage) = (fields.model_name()?, fields.version()?, wanted_stage(&fields)?);
    let new = NewPromotion {
        model: name.to_owned(),
        version,
        environment: environment_of(stage),
        comment: fields.text_or_empty("comment")?.to_owned(),
        draft: false,
        again: None,
    };
    let promotion = match state.services.request_promotion(&ctx, new).await {
        Ok(promotion) => promotion,
        Err(mut error) if error.kind == ErrorKind::AlreadyExists => {
            if let Ok((open, _)) = open_request(&state, &ctx, &fields).await {
                error.message =
                    format!("{} See {}", error.message, state.services.promotion_address(&ctx, open.number));
            }
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    let from = state.services.model_version(&ctx, &promotion.model, promotion.version).await?.stage;
    let mut request = activity(&promotion, "REQUESTED_TRANSITION", (from, stage));
    // Nobody is asked before its gates have run.
    request["available_actions"] = json!(actions(&ctx, &promotion, &[]));
    Ok(Json(json!({ "request": request })))
}

async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (name, version) = (fields.model_name()?, fields.version()?);
    let from = state.services.model_version(&ctx, name, version).await?.stage;
    let open = open_promotions(&state, &ctx, name, version).await?;
    let waiting = state.services.promotions_to_decide(&ctx).await?;
    let request = |promotion: &Promotion| {
        let mut request = activity(promotion, "REQUESTED_TRANSITION", (from, stage_of(promotion)?));
        request["available_actions"] = json!(actions(&ctx, promotion, &waiting));
        Some(request)
    };
    let requests: Vec<Value> = open.iter().filter_map(request).collect();
    Ok(Json(if requests.is_empty() { json!({}) } else { json!({ "requests": requests }) }))
}

async fn approve(state: State<AppState>, ctx: Context, fields: Fields) -> Result<Json<Value>, MlflowError> {
    // What serves there leaves its environment when the version comes in, whatever is said here.
    fields.boolean("archive_existing_versions")?;
    decide(state, ctx, &fields, DecisionVerdict::Approve, "APPROVED_REQUEST").await
}

async fn reject(state: State<AppState>, ctx: Context, fields: Fields) -> Result<Json<Value>, MlflowError> {
    decide(state, ctx, &fields, DecisionVerdict::Reject, "REJECTED_REQUEST").await
}

/// The caller's vote on what is to be decided now.
async fn decide(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: &Fields,
    verdict: DecisionVerdict,
    kind: &str,
) -> Result<Json<Value>, MlflowError> {
    let (promotion, stages) = open_request(&state, &ctx, fields).await?;
    let refused = |error| with_address(&state, &ctx, &promotion, error);
    let subject_digest = promotion.subject_digest.clone().ok_or_else(|| {
        refused(Error::conflict(format!(
            "Promotion #{} is not to be decided on yet: it {}.",
            promotion.number,
            promotion.state.describe()
        )))
    })?;
    // It counts for every rule that the caller has a place in. Rules that ask for more than a comment say so.
    let new = NewDecision {
        verdict,
        comment: fields.text_or_empty("comment")?.to_owned(),
        subject_digest,
        rules: Vec::new(),
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        password: None,
    };
    let decided = state.services.decide_promotion(&ctx, promotion.number, new).await;
    let (decision, _) = decided.map_err(refused)?;
    let mut activity = activity(&promotion, kind, stages);
    activity["id"] = json!(decision.id);
    activity["user_id"] = decision.user_name.into();
    activity["comment"] = decision.comment.into();
    for time in ["creation_timestamp", "last_updated_timestamp"] {
        activity[time] = decision.at.timestamp_millis().into();
    }
    Ok(Json(json!({ "activity": activity })))
}

async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (promotion, stages) = open_request(&state, &ctx, &fields).await?;
    let creator = fields.text_or_empty("creator")?;
    let is_theirs = [Some(promotion.requester.clone()), promotion.requested_by.map(|id| id.to_string())];
    if !creator.is_empty() && !is_theirs.iter().flatten().any(|name| name == creator) {
        let message = format!(
            "{} has no open request to move {} to {}; {} has.",
            shown(creator),
            promotion.version_title(),
            stages.1.as_str(),
            promotion.requester
        );
        return Err(Error::new(ErrorKind::NotFound, message).into());
    }
    let withdrawn = state.services.withdraw_promotion(&ctx, promotion.number).await;
    let withdrawn = withdrawn.map_err(|error| with_address(&state, &ctx, &promotion, error))?;
    Ok(Json(json!({ "activity": activity(&withdrawn, "CANCELLED_REQUEST", stages) })))
}
