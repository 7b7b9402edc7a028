//! The one authorisation layer. Every route passes it, with the access that the route table gives it: it finds out who
//! asks, in which workspace, whether they may, and hands the answer to the handler as a [`Ctx`].

use crate::{
    error::ApiError,
    extract::too_large,
    inference::InferenceError,
    mlflow::MlflowError,
    pages::{PageError, Unframed, View, sign_in},
    prefix::WorkspaceSlug,
    state::AppState,
};
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    Error, ErrorKind,
    id::{PushHookId, UserId},
    permission::{Permission, Role, Scope},
    upload::Upload,
    user::Workspace,
};
use services::{Caller, Credential, Ctx, ProvedPush};
use std::collections::BTreeSet;
use tower_sessions::Session;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without asking who: for probes, scrapers, and the files that pages load.
    Open,
    /// Everybody; who is signed in is known, for the frame around it.
    Public,
    /// Whoever is signed in, with a session or with a token of at least this scope.
    SignedIn(Scope),
    /// Members of the workspace who have the permission.
    Needs(Permission),
    /// Whoever has the key of an upload: MLflow's clients send the parts of a file without their credentials. Who may begin
    /// one, and make a file of it, is asked there.
    UploadKey,
    /// Whoever knows the secret of the push hook that the address names: forges have neither session nor token. They prove it
    /// by a signature of what they send, so the body is read here.
    PushProof,
}

/// The most bytes that a forge may send.
const MOST_PUSHED: usize = 4 << 20;

/// The header that the key of an upload comes in.
pub(crate) const UPLOAD_KEY: HeaderName = HeaderName::from_static("x-slipway-upload-key");

/// Which sort of client a route is for: how it is told of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// A browser.
    Page,
    /// A program, by the REST API.
    Api,
    /// A client of MLflow.
    Mlflow,
    /// A caller of a model.
    Inference,
}

/// A line of the route table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{parts}`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// How its refusals are told.
    pub surface: Surface,
}

impl Surface {
    /// The refusal as this sort of client understands it.
    #[must_use]
    pub fn refuse(self, error: Error) -> Response {
        match self {
            Self::Page => PageError(error).into_response(),
            Self::Api => ApiError(error).into_response(),
            Self::Mlflow => MlflowError(error).into_response(),
            Self::Inference => InferenceError(error).into_response(),
        }
    }

    /// The same, with a status that no sort of error has.
    #[must_use]
    pub fn refuse_as(self, status: StatusCode, error: Error) -> Response {
        if self == Self::Api {
            // The body says the status, too.
            return ApiError(error).with_status(status);
        }
        let mut response = self.refuse(error);
        *response.status_mut() = status;
        response
    }
}

/// Answers who asks and whether they may, before the handler runs.
pub async fn guard(
    State((state, route)): State<(AppState, Route)>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(route.surface);
    let entered = enter(&state, route, session, &mut request).await;
    match (entered, route.surface) {
        (Err(error), Surface::Page) if error.kind == ErrorKind::Unauthenticated => sign_in::redirect(&request),
        (entered, Surface::Page) => framed(&state, entered, request, next).await,
        (Err(error), surface) => surface.refuse(error),
        (Ok(()), _) => next.run(request).await,
    }
}

/// Runs the handler of a page; what it refuses is told in the frame that the reader expects.
async fn framed(state: &AppState, entered: Result<(), Error>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let view = View::from_request_parts(&mut parts, state).await;
    let response = match entered {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => PageError(error).into_response(),
    };
    match (response.extensions().get::<Unframed>(), view) {
        (Some(Unframed(error)), Ok(view)) => view.trouble(response.status(), error.clone()).await,
        _ => response,
    }
}

async fn enter(state: &AppState, route: Route, session: Session, request: &mut Request) -> Result<(), Error> {
    if route.access == Access::Open {
        return Ok(());
    }
    state.hosts.check(request.headers(), request.uri())?;
    if is_cross_site(request.method(), request.headers()) {
        return Err(cross_site());
    }
    if route.access == Access::UploadKey {
        let key = request.headers().get(UPLOAD_KEY).and_then(|key| key.to_str().ok());
        let found = match key {
            Some(key) => state.services.upload_of_key(key).await?,
            None => None,
        };
        let upload = found.ok_or_else(|| Error::unauthenticated("This upload is over, or its key is another."))?;
        request.extensions_mut().insert(upload);
        return Ok(());
    }
    if route.access == Access::PushProof {
        let proved = prove_push(state, request).await?;
        request.extensions_mut().insert(proved);
        return Ok(());
    }
    let request_id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(ToOwned::to_owned);
    let named = named_workspace(route.surface, request);
    let slug = named.as_ref().ok().and_then(Option::as_deref);
    let found = identify(state, request.headers(), session, request_id, slug).await;
    let by_token = matches!(&found, Ok(Some((caller, _))) if matches!(caller.credential, Credential::Token(_)));
    let found = match found {
        Err(_) if route.access == Access::Public => None,
        found => found?,
    };
    match (route.access, found) {
        (Access::Open | Access::UploadKey | Access::PushProof | Access::Public, found) => {
            if let Some((caller, _)) = found {
                // Only for the frame around what everybody may see.
                if let Some(WorkspaceSlug(slug)) = request.extensions().get::<WorkspaceSlug>().cloned()
                    && let Some(ctx) = state.services.enter(caller.clone(), Some(&slug)).await?
                {
                    request.extensions_mut().insert(ctx);
                }
                request.extensions_mut().insert(caller);
            }
        }
        (_, None) => return Err(Error::unauthenticated("Sign in, or send an API token.")),
        (Access::SignedIn(scope), Some((caller, _))) => {
            if caller.scope < scope {
                return Err(Error::forbidden(format!(
                    "This token may not do this: it needs the scope \"{}\".",
                    scope.as_str()
                )));
            }
            request.extensions_mut().insert(caller);
        }
        (Access::Needs(permission), Some((caller, place))) => {
            let slug = named?;
            let ctx = match (&caller.credential, place) {
                (Credential::Token(_), place) => {
                    place.map(|(workspace, roles)| Ctx { caller: Some(caller.clone()), workspace, roles })
                }
                (Credential::Session(_), _) => state.services.enter(caller.clone(), slug.as_deref()).await?,
            };
            let ctx = ctx.ok_or_else(|| match slug {
                Some(slug) => Error::new(
                    ErrorKind::NotFound,
                    format!("There is no workspace at /w/{slug}, or you are not a member of it."),
                ),
                None if by_token => {
                    Error::new(ErrorKind::NotFound, "You are no longer a member of the workspace of this token.")
                }
                None => Error::new(
                    ErrorKind::Forbidden,
                    "You are not a member of any workspace; ask an administrator to add you.",
                ),
            })?;
            // Also for the frame around a refusal.
            let is_allowed = ctx.require(permission);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(ctx);
            is_allowed?;
        }
    }
    Ok(())
}

/// What a forge sent to the push hook that the address names, when it proves that whoever sent it knows the hook's secret.
/// Nobody learns by the answer whether there is such a hook.
async fn prove_push(state: &AppState, request: &mut Request) -> Result<ProvedPush, Error> {
    let body = std::mem::take(request.body_mut());
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: usize| length > MOST_PUSHED) {
        return Err(too_large());
    }
    let body = axum::body::to_bytes(body, MOST_PUSHED).await.map_err(|_| match said {
        Some(_) => Error::invalid("The body could not be read to its end."),
        None => too_large(),
    })?;
    let headers = request.headers().clone();
    let header = move |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let id = request.uri().path().rsplit('/').next().and_then(|id| id.parse::<PushHookId>().ok());
    let proved = match id {
        Some(id) => state.services.prove_push(id, &header, &body).await?,
        None => None,
    };
    proved.ok_or_else(|| {
        Error::unauthenticated("There is no such push hook, or what came does not prove that its secret is known.")
    })
}

fn cross_site() -> Error {
    Error::forbidden("This request came from another site, so it was not carried out.")
}

/// The workspace that the request names: by its address, or as MLflow's clients may, by a header.
fn named_workspace(surface: Surface, request: &Request) -> Result<Option<String>, Error> {
    let by_address = request.extensions().get::<WorkspaceSlug>().map(|slug| slug.0.clone());
    let header = request.headers().get("x-mlflow-workspace").filter(|_| surface == Surface::Mlflow);
    let Some(header) = header else { return Ok(by_address) };
    let by_header = header.to_str().map_or("?", str::trim).to_owned();
    match by_address {
        // As a variable of the client that is set to nothing.
        by_address if by_header.is_empty() => Ok(by_address),
        Some(slug) if slug != by_header => Err(Error::invalid(format!(
            "The address names the workspace {slug}, and the header X-MLFLOW-WORKSPACE another; send one of them."
        ))),
        _ => Ok(Some(by_header)),
    }
}

/// A workspace, and somebody's roles there.
type Place = (Workspace, BTreeSet<Role>);

/// Who asks; and, of a token, what its owner is in the workspace of this slug, or in the token's own when none is named.
/// None when no credential came; an error when one came that does not work.
async fn identify(
    state: &AppState,
    headers: &HeaderMap,
    session: Session,
    request_id: Option<String>,
    slug: Option<&str>,
) -> Result<Option<(Caller, Option<Place>)>, Error> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let secret = value.to_str().ok().and_then(secret).ok_or_else(|| {
            Error::unauthenticated("Send the token as \"Authorization: Bearer <token>\", or as the password of Basic.")
        })?;
        let bearer = state.services.bearer(&secret, slug).await?.ok_or_else(|| {
            Error::unauthenticated("This token does not work: it is unknown, has expired or was revoked.")
        })?;
        let credential = Credential::Token(bearer.token_id);
        let caller = Caller { user: bearer.user, credential, scope: bearer.scope, request_id };
        return Ok(Some((caller, bearer.place)));
    }
    let unavailable = |error: tower_sessions::session::Error| {
        tracing::warn!(%error, "a session could not be read");
        Error::new(ErrorKind::Unavailable, "The session could not be read; try again in a moment.")
    };
    let Some(user_id) = session.get::<UserId>(store::session::key::USER).await.map_err(unavailable)? else {
        return Ok(None);
    };
    let Some(user) = state.services.user(user_id).await? else { return Ok(None) };
    let id = session.id().map(|id| id.to_string()).unwrap_or_default();
    // A session may do whatever its user may.
    Ok(Some((Caller { user, credential: Credential::Session(id), scope: Scope::Admin, request_id }, None)))
}

/// The token in an Authorization header: bearer, or the password of basic.
fn secret(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
        return pair.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

/// Whether a browser sent this on behalf of another site. A browser says where an unsafe request comes from, by
/// `Sec-Fetch-Site` or at least by `Origin`; other clients say neither. Whatever came with it is
/// refused: browsers send a password that they remember as they send cookies.
fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        None => false,
        Some(origin) => {
            let origin_host = origin.split_once("://").map(|(_, host)| host);
            origin_host.is_none() || origin_host != text(header::HOST)
        }
    }
}

/// Handlers take the context as an argument; the guard has put it there.
impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Ctx>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(path = %parts.uri.path(), "a handler wants a context that its route does not give");
            ApiError(Error::internal())
        })
    }
}

/// The context that the guard made. For routes with [`Access::Needs`].
pub struct Context(pub Ctx);

/// The upload whose key came. For routes with [`Access::UploadKey`].
pub(crate) struct Uploading(pub(crate) Upload);

impl<S: Send + Sync> FromRequestParts<S> for Uploading {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Upload>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(path = %parts.uri.path(), "a handler wants an upload that its route does not give");
            ApiError(Error::internal())
        })
    }
}

/// What a forge sent and proved. For routes with [`Access::PushProof`].
pub(crate) struct Proved(pub(crate) ProvedPush);

impl<S: Send + Sync> FromRequestParts<S> for Proved {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<ProvedPush>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(path = %parts.uri.path(), "a handler wants a push that its route does not give");
            ApiError(Error::internal())
        })
    }
}

/// Who asks. For routes with [`Access::SignedIn`], or any, when optional.
pub struct SignedIn(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Caller>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(path = %parts.uri.path(), "a handler wants a caller that its route does not give");
            ApiError(Error::internal())
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        Ok(parts.extensions.get::<Caller>().cloned().map(Self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_form_of_another_site_is_cross_site() {
        let site = |pairs| is_cross_site(&Method::POST, &headers(pairs));
        assert!(site(&[("sec-fetch-site", "cross-site")]));
        assert!(site(&[("sec-fetch-site", "same-site")]));
        assert!(site(&[("origin", "https://evil.example"), ("host", "slipway.example")]));
        assert!(site(&[("origin", "null"), ("host", "slipway.example")]));
        assert!(!site(&[("sec-fetch-site", "same-origin"), ("origin", "https://slipway.example")]));
        assert!(!site(&[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:3000")]));
        assert!(!site(&[("host", "slipway.example")]));
    }

    #[test]
    fn following_a_link_from_another_site_is_allowed() {
        assert!(!is_cross_site(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")])));
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
        assert_eq!(secret("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(secret("bearer abc").as_deref(), Some("abc"));
        assert_eq!(secret(&format!("Basic {}", BASE64_STANDARD.encode("anyone:abc:d"))).as_deref(), Some("abc:d"));
        assert_eq!(secret("Digest abc"), None);
        assert_eq!(secret("Basic %%%"), None);
    }
}
