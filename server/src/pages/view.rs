//! From a request to the frame of its page: who looks, where, in which light.

use super::PageError;
use crate::{
    access::SignedIn,
    error::status,
    middleware::{security::page_policy, telemetry::REQUEST_ID},
    prefix::SentAddress,
    state::AppState,
};
use app::{
    links::Links,
    pages::trouble::Trouble,
    render::render,
    shell::{Chrome, Counts, Document, Section, Theme, UserChip, WorkspaceChip},
};
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use domain::{
    Error,
    audit::{AuditEvent, ObjectKind},
    user::User,
};
use leptos::prelude::*;
use services::{Caller, Ctx};
use tower_sessions::{Session, cookie::Cookie};

/// The cookie of the chosen theme.
pub(super) const THEME_COOKIE: &str = "slipway_theme";
/// What a session keeps to be told once, on the page after a redirect.
const NOTICE: &str = "notice";
/// What a session keeps of when its end was last put off: seconds since 1970.
const SEEN: &str = "seen";
/// How many seconds pass before its end is put off again.
const SEEN_EVERY: i64 = 60;

/// What a handler needs to answer with a page.
pub(crate) struct View {
    /// Who looks, in which workspace; none outside of any.
    pub(crate) ctx: Option<Ctx>,
    /// The pages of the workspace.
    pub(crate) links: Links,
    state: AppState,
    caller: Option<Caller>,
    session: Session,
    here: String,
    theme: Theme,
    request_id: String,
    has_frame: bool,
}

impl FromRequestParts<AppState> for View {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, PageError> {
        let caller = <SignedIn as OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await;
        let session = Session::from_request_parts(parts, state).await.map_err(|_| PageError(Error::internal()))?;
        let ctx = parts.extensions.get::<Ctx>().cloned();
        let slug = ctx.as_ref().map_or("", |ctx| ctx.workspace.slug.as_str());
        let here = parts.extensions.get::<SentAddress>().map_or_else(|| parts.uri.to_string(), |sent| sent.0.clone());
        Ok(Self {
            links: Links::new(slug),
            ctx,
            state: state.clone(),
            caller: caller.ok().flatten().map(|SignedIn(caller)| caller),
            session,
            here,
            theme: theme(&parts.headers),
            request_id: parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned(),
            has_frame: false,
        })
    }
}

impl View {
    /// The same, for a page that shows a document in a frame.
    pub(crate) fn with_frame(mut self, has_frame: bool) -> Self {
        self.has_frame = has_frame;
        self
    }

    /// The use cases.
    pub(crate) fn services(&self) -> &services::Services {
        &self.state.services
    }

    /// Who looks, in the workspace. For pages whose route needs a permission.
    pub(crate) fn ctx(&self) -> Result<&Ctx, Error> {
        self.ctx.as_ref().ok_or_else(|| {
            tracing::error!(page = %self.here, "a page wants a workspace that its route does not give");
            Error::internal()
        })
    }

    /// Who looks.
    pub(crate) fn caller(&self) -> Result<&Caller, Error> {
        self.caller.as_ref().ok_or_else(|| Error::unauthenticated("Sign in first."))
    }

    /// The latest history of an object of the workspace, newest first.
    pub(crate) async fn history(
        &self,
        kind: ObjectKind,
        id: impl ToString,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, Error> {
        let id = id.to_string();
        Ok(self.services().audit_events(self.ctx()?, &[(kind, id.as_str())], None, limit).await?.items)
    }

    /// The address that people and clients use.
    pub(crate) fn public_url(&self) -> &str {
        &self.state.public_url
    }

    /// The request, to be found in the log.
    pub(crate) fn request_id(&self) -> Option<&str> {
        Some(self.request_id.as_str()).filter(|id| !id.is_empty())
    }

    /// The session of the browser.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Answers with a page.
    pub(crate) async fn page<V: IntoView + 'static>(
        self,
        title: impl Into<String>,
        section: Option<Section>,
        page: impl FnOnce() -> V + Send + 'static,
    ) -> super::PageResult {
        self.page_with(StatusCode::OK, title, section, page).await
    }

    /// Answers with a page that has a form: refused when that is why it is shown again.
    pub(crate) async fn form_page<V: IntoView + 'static>(
        self,
        refused: Option<&Error>,
        title: impl Into<String>,
        section: Option<Section>,
        page: impl FnOnce() -> V + Send + 'static,
    ) -> super::PageResult {
        let status = refused.map_or(StatusCode::OK, |error| status(error.kind));
        self.page_with(status, title, section, page).await
    }

    /// Answers with a page that shows a form again, and why it was refused.
    pub(crate) async fn refused<V: IntoView + 'static>(
        self,
        error: &Error,
        title: impl Into<String>,
        section: Option<Section>,
        page: impl FnOnce() -> V + Send + 'static,
    ) -> super::PageResult {
        self.page_with(status(error.kind), title, section, page).await
    }

    async fn page_with<V: IntoView + 'static>(
        self,
        status: StatusCode,
        title: impl Into<String>,
        section: Option<Section>,
        page: impl FnOnce() -> V + Send + 'static,
    ) -> super::PageResult {
        let chrome = self.chrome(title.into(), section).await?;
        Ok(document(status, self.has_frame, chrome, page))
    }

    /// Sends the browser to a page of ours, after a change. `notice` is told there, once.
    pub(crate) async fn done(&self, to: &str, notice: impl Into<String>) -> super::PageResult {
        if let Err(error) = self.session.insert(NOTICE, notice.into()).await {
            tracing::debug!(%error, "a notice is lost");
        }
        Ok(Redirect::to(to).into_response())
    }

    async fn chrome(&self, title: String, section: Option<Section>) -> Result<Chrome, Error> {
        let (workspaces, counts) = match &self.caller {
            Some(caller) => {
                let memberships = self.state.services.workspaces_of(&caller.user).await?;
                let chips = memberships
                    .into_iter()
                    .map(|(workspace, _)| WorkspaceChip { slug: workspace.slug, name: workspace.name });
                (chips.collect(), self.counts().await?)
            }
            None => (Vec::new(), Counts::default()),
        };
        let notice = match &self.caller {
            Some(caller) if caller.session().is_some() => {
                self.keep_session(&caller.user).await;
                self.notice().await
            }
            _ => None,
        };
        Ok(Chrome {
            assets: self.state.assets.as_ref().clone(),
            title,
            here: self.here.clone(),
            theme: self.theme,
            user: self.caller.as_ref().map(|caller| UserChip {
                name: caller.user.name.clone(),
                email: caller.user.email.to_string(),
                roles: self
                    .ctx
                    .iter()
                    .flat_map(|ctx| &ctx.roles)
                    .map(|role| role.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            workspace: self
                .ctx
                .as_ref()
                .map(|ctx| WorkspaceChip { slug: ctx.workspace.slug.clone(), name: ctx.workspace.name.clone() }),
            workspaces,
            section,
            counts,
            notice,
            now: chrono::Utc::now(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    /// What the last change has to tell. Looked for first: removing what is not there would write the session as well, and
    /// over what another request has put into it since.
    async fn notice(&self) -> Option<String> {
        self.session.get_value(NOTICE).await.ok().flatten()?;
        self.session.remove(NOTICE).await.ok().flatten()
    }

    /// Puts off the end of the session, in the database and in the browser: once a minute, since it is a write.
    async fn keep_session(&self, user: &User) {
        let now = chrono::Utc::now().timestamp();
        let kept = async {
            match self.session.get::<i64>(SEEN).await? {
                Some(seen) if now - seen < SEEN_EVERY => return Ok(()),
                _ => self.session.insert(SEEN, now).await?,
            }
            if let Err(error) = self.services().seen(user).await {
                tracing::debug!(%error, "when somebody was last seen is not noted");
            }
            Ok(())
        };
        let kept: Result<(), tower_sessions::session::Error> = kept.await;
        if let Err(error) = kept {
            tracing::debug!(%error, "the end of a session is not put off");
        }
    }

    /// What waits, for the numbers in the navigation.
    async fn counts(&self) -> Result<Counts, Error> {
        let Some(ctx) = &self.ctx else { return Ok(Counts::default()) };
        let services = &self.state.services;
        Ok(Counts {
            promotions: services.promotions_awaiting_approval(ctx).await?,
            alerts: services.unresolved_alerts(ctx).await?,
            mine: services.count_waiting_for_me(ctx).await?,
        })
    }

    /// Answers with the page of an error.
    pub(crate) async fn trouble(self, status: StatusCode, error: Error) -> Response {
        let links = self.ctx.is_some().then(|| self.links.clone());
        let request_id = self.request_id.clone();
        match self.chrome("Error".to_owned(), None).await {
            Ok(chrome) => {
                let code = status.as_u16();
                document(status, false, chrome, move || view! { <Trouble status=code error links request_id/> })
            }
            // The frame needs the database, which may be what is missing.
            Err(_) => (status, error.message).into_response(),
        }
    }
}

fn document<V: IntoView + 'static>(
    status: StatusCode,
    has_frame: bool,
    chrome: Chrome,
    page: impl FnOnce() -> V + Send + 'static,
) -> Response {
    let rendered = render(move || view! { <Document chrome>{page()}</Document> });
    let mut response = (status, Html(rendered.html)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&page_policy(&rendered.nonce, has_frame)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn theme(headers: &HeaderMap) -> Theme {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == THEME_COOKIE)
        .map_or(Theme::System, |cookie| Theme::parse(cookie.value()))
}
