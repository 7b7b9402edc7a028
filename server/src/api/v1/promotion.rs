//! Promotions: asking, deciding, taking back, waiting; evidence, overrides, statistics.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    Digest, Error, ErrorKind,
    duration::{ParseSpanError, Span},
    id::OverrideId,
    permission::Permission,
    promotion::{
        Decision, DecisionVerdict, Override, OverrideKind, Promotion, PromotionDetail, PromotionReplay, PromotionState,
        PromotionStatistics, Uploaded, Verdict, gate::external,
    },
    user::Password,
};
use serde::Deserialize;
use services::PromotionFilter;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, timeout_at},
};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, request) = (Access::Needs(Permission::Read), Access::Needs(Permission::RequestPromotion));
    // Whose word counts, the rules of the policies say.
    let decides = Access::Needs(Permission::DecidePromotion);
    routes
        .api(read, operation!(list))
        .api(request, operation!(create))
        .api(read, operation!(statistics))
        .api(read, operation!(get))
        .api(request, operation!(submit))
        .api(decides, operation!(decide))
        .api(request, operation!(withdraw))
        .api(request, operation!(run_gates))
        .api(read, operation!(replay))
        .api(request, operation!(ask_replay))
        .api(read, operation!(pending_gates))
        .api(request, operation!(answer_gate))
        .api(read, operation!(evidence))
        .api(request, operation!(upload_evidence))
        .api(Access::Needs(Permission::Deploy), operation!(open_override))
        .api(decides, operation!(confirm_override))
        .api(decides, operation!(review_override))
        .api(read, operation!(unreviewed))
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
    /// `me`: only what awaits the decision of whoever asks, or their answer to who mentioned them, oldest first. Goes with no
    /// other filter.
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
    /// Whether it is only written down: nobody is asked, and no gate runs, until it is submitted.
    #[serde(default)]
    draft: bool,
    /// The number of a promotion that has ended and that this one asks again for.
    again: Option<i64>,
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
        draft: new.draft,
        again: new.again,
    };
    Ok((StatusCode::CREATED, Json(state.services.request_promotion(&ctx, new).await?)))
}

/// How long to wait, and for what.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Answers when `until` is so, or when this span has passed, whichever is first: `30s`, at most `60s`. Without it, at once.
    wait: Option<String>,
    /// `decided`: everybody asked has approved it, or it has ended. `live`, as when nothing is said: it is live, or has
    /// ended. Either is so as well while it is blocked by its gates: it does not go on then until somebody does something.
    until: Option<String>,
}

/// The longest that an answer is held back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is waited for.
#[derive(Clone, Copy)]
enum Until {
    Decided,
    Live,
}

impl Until {
    fn is_so(self, state: PromotionState) -> bool {
        let has_ended = !state.is_open() || state == PromotionState::Blocked;
        match self {
            Self::Decided => has_ended || state.is_agreed(),
            Self::Live => has_ended,
        }
    }
}

impl Waiting {
    fn parse(&self) -> Result<(Duration, Until), Error> {
        let until = match self.until.as_deref() {
            None | Some("live") => Until::Live,
            Some("decided") => Until::Decided,
            Some(_) => return Err(Error::invalid_field("until", "What is waited for is decided or live.")),
        };
        let wait = match self.wait.as_deref() {
            None => Duration::ZERO,
            Some(text) => {
                let span: Span =
                    text.parse().map_err(|error: ParseSpanError| Error::invalid_field("wait", format!("{error}.")))?;
                Duration::from_secs(span.seconds())
            }
        };
        if wait > LONGEST_WAIT {
            return Err(Error::invalid_field("wait", "At most 60s are waited; ask again then."));
        }
        Ok((wait, until))
    }
}

/// A promotion with everything an approver looks at. With `wait`, the answer is held back until it is decided or live, or
/// the time is over: look at its state, and ask again. To be told of every change instead, listen to
/// `GET /events?topic=promotion:<id>`, which sends an event named `change` (server-sent events) for each.
#[utoipa::path(get, path = "/api/v1/promotions/{number}", tag = "promotion", params(("number" = i64, Path), Waiting),
    responses((status = 200, body = PromotionDetail), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Query(waiting): Query<Waiting>,
) -> Result<Json<PromotionDetail>, ApiError> {
    let (wait, until) = waiting.parse()?;
    // Before it is looked at: what changes in between is not missed.
    let mut changes = state.events.subscribe();
    let deadline = Instant::now() + wait;
    let mut detail = state.services.promotion(&ctx, number).await?;
    let topic = format!("promotion:{}", detail.promotion.id);
    while !until.is_so(detail.promotion.state) {
        let told = async {
            loop {
                match changes.recv().await {
                    Ok(Some(changed)) if *changed != *topic => {}
                    // It changed, or something was missed.
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    // The process stops.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        if timeout_at(deadline, told).await.is_err() {
            break;
        }
        detail = state.services.promotion(&ctx, number).await?;
    }
    Ok(Json(detail))
}

/// Asks for what was drafted: its gates begin to run. Doing it again changes nothing.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/submit", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = Promotion), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn submit(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Promotion>, ApiError> {
    Ok(Json(state.services.submit_promotion(&ctx, number).await?))
}

/// A verdict to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDecision {
    /// Yes, no, or not like this.
    verdict: DecisionVerdict,
    /// Why; what is no yes needs one, and so does a rule that asks for a justification.
    #[serde(default)]
    comment: String,
    /// `subject_digest` of the promotion that was looked at; `digest` of a change request.
    subject_digest: Digest,
    /// The rules that a yes counts for, each `policy/rule`. None: all in which whoever decides has a place; of two that
    /// must have different people, the first that still needs somebody.
    #[serde(default)]
    rules: Vec<String>,
    /// What the rules ask for, by rule and name.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// The lines of the rules' checklists that are confirmed, by rule.
    #[serde(default)]
    checked: BTreeMap<String, Vec<String>>,
    /// The password of whoever decides, where a policy asks for it again.
    password: Option<String>,
}

impl From<NewDecision> for services::NewDecision {
    fn from(new: NewDecision) -> Self {
        Self {
            verdict: new.verdict,
            comment: new.comment,
            subject_digest: new.subject_digest,
            rules: new.rules,
            inputs: new.inputs,
            checked: new.checked,
            password: new.password.as_deref().map(Password::given),
        }
    }
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
    let (decision, is_new) = state.services.decide_promotion(&ctx, number, new.into()).await?;
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

/// Runs the gates again: by the policies in force, or while people are asked by those that they were asked under.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/gates", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 202, body = Promotion), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn run_gates(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<(StatusCode, Json<Promotion>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(state.services.rerun_gates(&ctx, number).await?)))
}

/// What the version would have answered to the last recorded predictions of the one that serves: how many decisions flip, in
/// which segments, and examples. It informs people, and no gate rests on it. It is replayed by itself when the gates have
/// run; before that there is none.
#[utoipa::path(get, path = "/api/v1/promotions/{number}/replay", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = PromotionReplay), (status = 404, body = Problem)))]
async fn replay(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<PromotionReplay>, ApiError> {
    let replay = state.services.promotion_replay(&ctx, number).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Nothing was replayed for promotion #{number} yet; it is when its gates have run."),
        )
    })?;
    Ok(Json(replay))
}

/// How much is replayed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Replaying {
    /// How many of the last decisions, 1 to 5000: rows of the newest predictions. Without it, 500.
    rows: Option<i64>,
}

/// Asks for the last recorded predictions to be replayed, in place of the last replay. A worker does it; the page and the
/// topic `promotion:<id>` tell when. While the same waits already, nothing changes.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/replay", tag = "promotion",
    params(("number" = i64, Path), Replaying),
    responses((status = 202, body = PromotionReplay), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn ask_replay(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Query(replaying): Query<Replaying>,
) -> Result<(StatusCode, Json<PromotionReplay>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(state.services.ask_replay(&ctx, number, replaying.rows).await?)))
}

/// What was uploaded for a promotion, the last of each name.
#[utoipa::path(get, path = "/api/v1/promotions/{number}/evidence", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = Listed<Uploaded>), (status = 404, body = Problem)))]
async fn evidence(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Listed<Uploaded>>, ApiError> {
    Ok(Json(state.services.promotion_evidence(&ctx, number).await?.into()))
}

/// Evidence to be uploaded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEvidence {
    /// What it is about: `dataset/customers`, `security-scan`. Of several of one name the last counts.
    name: String,
    /// What it says: any JSON of at most 256 KiB.
    #[schema(value_type = Object)]
    content: serde_json::Value,
}

/// Adds evidence to a promotion that nobody was asked about yet. The same again answers 200 and changes nothing.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/evidence", tag = "promotion",
    params(("number" = i64, Path)), request_body = NewEvidence,
    responses((status = 201, body = Uploaded), (status = 200, body = Uploaded), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn upload_evidence(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Body(new): Body<NewEvidence>,
) -> Result<(StatusCode, Json<Uploaded>), ApiError> {
    let new = services::NewEvidence { name: new.name, content: new.content };
    let (uploaded, is_new) = state.services.upload_evidence(&ctx, number, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(uploaded)))
}

/// What a promotion waits for from outside, each until when.
#[utoipa::path(get, path = "/api/v1/promotions/{number}/gates/pending", tag = "promotion", params(("number" = i64, Path)),
    responses((status = 200, body = Listed<external::Asked>), (status = 404, body = Problem)))]
async fn pending_gates(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Json<Listed<external::Asked>>, ApiError> {
    Ok(Json(state.services.pending_gates(&ctx, number).await?.into()))
}

/// The answer to a gate that was asked outside.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAnswer {
    /// `pass`, `fail` or `inconclusive`.
    verdict: Verdict,
    /// Why, in a sentence.
    #[serde(default)]
    comment: String,
    /// Where more of it stands; it is shown, and never opened by the server.
    url: Option<String>,
}

/// Answers an external gate of a promotion. The same again answers 200 and changes nothing; another answer, or one that
/// comes too late, is 409.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/gates/{name}/answer", tag = "promotion",
    params(("number" = i64, Path), ("name" = String, Path)), request_body = NewAnswer,
    responses((status = 201, body = Uploaded), (status = 200, body = Uploaded), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn answer_gate(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, name)): Path<(i64, String)>,
    Body(new): Body<NewAnswer>,
) -> Result<(StatusCode, Json<Uploaded>), ApiError> {
    let new = services::NewAnswer { verdict: new.verdict, comment: new.comment, url: new.url };
    let (uploaded, is_new) = state.services.answer_gate(&ctx, number, &name, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(uploaded)))
}

/// An override to be asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOverride {
    /// What is to be set aside.
    kind: OverrideKind,
    /// Why it cannot wait, in a sentence.
    reason: String,
}

/// Asks for gates or a freeze to be set aside. Nothing happens until somebody else confirms it.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/overrides", tag = "promotion",
    params(("number" = i64, Path)), request_body = NewOverride,
    responses((status = 201, body = Override), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn open_override(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
    Body(new): Body<NewOverride>,
) -> Result<(StatusCode, Json<Override>), ApiError> {
    let new = services::NewOverride { kind: new.kind, reason: new.reason };
    Ok((StatusCode::CREATED, Json(state.services.open_override(&ctx, number, new).await?)))
}

/// Confirms an override that somebody else asked for: from then on it holds, and its review is open.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/overrides/{id}/confirm", tag = "promotion",
    params(("number" = i64, Path), ("id" = OverrideId, Path)),
    responses((status = 200, body = Override), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn confirm_override(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, id)): Path<(i64, OverrideId)>,
) -> Result<Json<Override>, ApiError> {
    Ok(Json(state.services.confirm_override(&ctx, number, id).await?))
}

/// A review to be closed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReview {
    /// What was found: whether it was right.
    review: String,
}

/// Closes the review of an override. Neither of the two who overrode does.
#[utoipa::path(post, path = "/api/v1/promotions/{number}/overrides/{id}/review", tag = "promotion",
    params(("number" = i64, Path), ("id" = OverrideId, Path)), request_body = NewReview,
    responses((status = 200, body = Override), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn review_override(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, id)): Path<(i64, OverrideId)>,
    Body(new): Body<NewReview>,
) -> Result<Json<Override>, ApiError> {
    Ok(Json(state.services.review_override(&ctx, number, id, &new.review).await?))
}

/// The overrides whose review nobody has closed.
#[utoipa::path(get, path = "/api/v1/overrides/unreviewed", tag = "promotion",
    responses((status = 200, body = Listed<Override>)))]
async fn unreviewed(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<Listed<Override>>, ApiError> {
    Ok(Json(state.services.unreviewed_overrides(&ctx).await?.into()))
}

/// A period.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Period {
    /// From when, such as `2026-11-01T00:00:00Z`. Without it, 90 days before the end.
    from: Option<DateTime<Utc>>,
    /// Until when. Without it, now.
    to: Option<DateTime<Utc>>,
}

/// What became of the promotions that were requested in a period, at most the last 10,000 of them: how long people took,
/// why they said no, and which approvals were followed by a rollback.
#[utoipa::path(get, path = "/api/v1/promotions/statistics", tag = "promotion", params(Period),
    responses((status = 200, body = PromotionStatistics), (status = 400, body = Problem)))]
async fn statistics(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(period): Query<Period>,
) -> Result<Json<PromotionStatistics>, ApiError> {
    Ok(Json(state.services.promotion_statistics(&ctx, period.from, period.to).await?))
}
