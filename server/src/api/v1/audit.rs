//! History.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context, SignedIn},
    bundle,
    error::{ApiError, Problem},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, SubsecRound as _, Utc};
use domain::{
    Error, ErrorKind,
    audit::{AuditEvent, ObjectKind},
    permission::{Permission, Scope},
};
use serde::{Deserialize, Serialize};
use services::BundleOf;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api(Access::Needs(Permission::Read), operation!(list))
        .api(Access::SignedIn(Scope::Read), operation!(of_account))
        .api(Access::Needs(Permission::Read), operation!(head))
        .api(Access::Needs(Permission::Read), operation!(bundle))
        .api(Access::Needs(Permission::Read), operation!(bundle_of_promotion))
        .api(Access::Public, operation!(keys))
        .api(Access::Public, operation!(key))
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

/// Where the chain of history stands.
#[derive(Serialize, ToSchema)]
struct AuditHead {
    /// The number of the last entry; 0 when there is none.
    seq: i64,
    /// Its hash: 64 hexadecimal digits.
    head: String,
    /// Whether committed events wait for their place in the chain. They are there within seconds.
    is_behind: bool,
    /// The last head that was noted.
    checkpoint: Option<AuditCheckpoint>,
}

/// A head of the chain that was noted, and signed where there is a key.
#[derive(Serialize, ToSchema)]
struct AuditCheckpoint {
    /// The number of the last entry then.
    seq: i64,
    /// Its hash.
    head: String,
    /// When.
    at: DateTime<Utc>,
    /// The key that signed.
    key: Option<String>,
    /// The Ed25519 signature of the checkpoint's statement, in base64.
    signature: Option<String>,
}

/// The head of the workspace's chain of history: keep it elsewhere, and a bundle can be held against it.
#[utoipa::path(get, path = "/api/v1/audit/head", tag = "history", responses((status = 200, body = AuditHead)))]
async fn head(State(state): State<AppState>, Context(ctx): Context) -> Result<Json<AuditHead>, ApiError> {
    let found = state.services.audit_head_now(&ctx).await?;
    Ok(Json(AuditHead {
        seq: found.head.seq,
        head: found.head.hash.to_string(),
        is_behind: found.is_behind,
        checkpoint: found.checkpoint.map(|checkpoint| AuditCheckpoint {
            seq: checkpoint.seq,
            head: checkpoint.head.to_string(),
            at: checkpoint.at,
            key: checkpoint.key.map(Into::into),
            signature: checkpoint.signature.map(Into::into),
        }),
    }))
}

/// From when to when.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Period {
    /// From this moment on (RFC 3339), or from the beginning of this day in UTC (`2026-11-26`). Without one, from the
    /// beginning of history.
    from: Option<String>,
    /// Up to this moment, without it, or to the end of this day. Without one, up to now.
    to: Option<String>,
}

/// History of a period as an audit bundle, which `slipway verify` reads without a server.
#[utoipa::path(get, path = "/api/v1/audit/bundle", tag = "history", params(Period),
    responses((status = 200, content_type = "application/zip"), (status = 400, body = Problem)))]
async fn bundle(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(period): Query<Period>,
) -> Result<Response, ApiError> {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let from = said(period.from).map_or(Ok(DateTime::UNIX_EPOCH), |text| moment("from", &text, false))?;
    let to = said(period.to).map_or_else(|| Ok(Utc::now().trunc_subsecs(6)), |text| moment("to", &text, true))?;
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let name = format!("audit-{}-{}-{}", ctx.workspace.slug, day(from), day(to));
    Ok(bundle::send(&state.services, &ctx, BundleOf::Period { from, to }, &name).await?)
}

/// A moment; of a day its beginning, or its end.
fn moment(field: &'static str, text: &str, is_end: bool) -> Result<DateTime<Utc>, Error> {
    let wrong = || {
        let message =
            "Give a moment such as 2026-11-26T09:00:00Z, or a day such as 2026-11-26, from the year 1970 to 9998.";
        Error::invalid_field(field, message)
    };
    let at = match text.parse::<NaiveDate>() {
        Ok(day) => {
            let day = if is_end { day.checked_add_days(Days::new(1)).ok_or_else(wrong)? } else { day };
            day.and_time(NaiveTime::MIN).and_utc()
        }
        Err(_) => DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.to_utc(),
    };
    let years =
        DateTime::UNIX_EPOCH..NaiveDate::from_ymd_opt(9999, 1, 2).ok_or_else(wrong)?.and_time(NaiveTime::MIN).and_utc();
    if years.contains(&at) { Ok(at) } else { Err(wrong()) }
}

/// A promotion with its decisions, evidence and events as an audit bundle, which `slipway verify` reads without a server.
#[utoipa::path(get, path = "/api/v1/promotions/{number}/bundle", tag = "history", params(("number" = i64, Path)),
    responses((status = 200, content_type = "application/zip"), (status = 404, body = Problem)))]
async fn bundle_of_promotion(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(number): Path<i64>,
) -> Result<Response, ApiError> {
    let name = format!("audit-{}-promotion-{number}", ctx.workspace.slug);
    Ok(bundle::send(&state.services, &ctx, BundleOf::Promotion(number), &name).await?)
}

/// A key that checkpoints and bundles are signed with.
#[derive(Serialize, ToSchema)]
struct AuditKey {
    /// Its name: the first 16 hexadecimal digits of the SHA-256 of the public key.
    id: String,
    /// The Ed25519 public key: its 32 bytes, in base64.
    public_key: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was put out of use. What it signed before is still good.
    retired_at: Option<DateTime<Utc>>,
}

/// The public keys of the installation, newest first. For everybody: without a key nothing is verified.
#[utoipa::path(get, path = "/api/v1/audit/keys", tag = "history", responses((status = 200, body = Listed<AuditKey>)))]
async fn keys(State(state): State<AppState>) -> Result<Json<Listed<AuditKey>>, ApiError> {
    let keys = state.services.audit_keys().await?.into_iter().map(|key| AuditKey {
        id: key.id.into(),
        public_key: key.public.into(),
        created_at: key.created_at,
        retired_at: key.retired_at,
    });
    Ok(Json(keys.collect::<Vec<_>>().into()))
}

/// A public key as a file, for `slipway verify --key` and for openssl.
#[utoipa::path(get, path = "/api/v1/audit/keys/{key}/pem", tag = "history", params(("key" = String, Path)),
    responses((status = 200, content_type = "application/x-pem-file", body = String), (status = 404, body = Problem)))]
async fn key(State(state): State<AppState>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let found = state.services.audit_keys().await?.into_iter().find(|known| known.id.as_str() == key);
    let found = found.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such audit key."))?;
    let name = crate::download::attachment(&format!("{}.pem", found.id));
    let headers = [(header::CONTENT_TYPE, "application/x-pem-file".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, found.public.to_pem()).into_response())
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_day_stands_for_the_whole_of_it() {
        let at = |text, is_end| moment("from", text, is_end).map(|at| at.to_rfc3339());
        assert_eq!(at("2026-11-26", false).unwrap(), "2026-11-26T00:00:00+00:00");
        assert_eq!(at("2026-11-26", true).unwrap(), "2026-11-27T00:00:00+00:00");
        assert_eq!(at("2026-11-26T10:00:00+01:00", true).unwrap(), "2026-11-26T09:00:00+00:00");
        for wrong in ["", "yesterday", "2026-13-01", "+262142-12-31", "1969-12-30", "99999999999999999999"] {
            assert_eq!(moment("to", wrong, true).unwrap_err().field.as_deref(), Some("to"), "{wrong}");
        }
    }
}
