//! Signing in and out, setting up the installation, and the theme.

use super::{Form, PageResult, View, form::can_mend, view::THEME_COOKIE};
use crate::{
    access::Access, extract::Query, peer::ClientAddress, prefix::SentAddress, router::Routes, state::AppState,
};
use app::{
    pages::door::{Setup, SignIn},
    shell::Theme,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Redirect, Response},
};
use domain::{
    Error,
    user::{Email, Password, User},
};
use leptos::prelude::*;
use serde::Deserialize;
use services::{Browser, NewUser};
use std::net::IpAddr;
use store::session::key;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .page(Method::GET, "/sign-in", Access::Public, show)
        .page(Method::POST, "/sign-in", Access::Public, sign_in)
        .page(Method::POST, "/sign-out", Access::Public, sign_out)
        .page(Method::GET, "/setup", Access::Public, show_setup)
        .page(Method::POST, "/setup", Access::Public, set_up)
        .page(Method::POST, "/preferences/theme", Access::Public, set_theme)
}

/// Sends a browser to the sign-in page, and from there back to where it wanted to go.
#[must_use]
pub fn redirect(request: &Request) -> Response {
    // Only what can be asked for again: a form's target is no page.
    let wanted = request
        .extensions()
        .get::<SentAddress>()
        .filter(|_| request.method() == Method::GET)
        .map(|sent| sent.0.as_str());
    let query =
        wanted.filter(|wanted| *wanted != "/").and_then(|next| serde_urlencoded::to_string([("next", next)]).ok());
    Redirect::to(&query.map_or_else(|| "/sign-in".to_owned(), |query| format!("/sign-in?{query}"))).into_response()
}

/// A path of ours to go to, or home: never another site.
fn local(next: &str) -> &str {
    // Browsers drop tabs and line ends, and take a backslash for a slash: `/\t/` would begin another host's address.
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_plain && next.starts_with('/') && !next.starts_with("//") { next } else { "/" }
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

async fn show(view: View, Query(query): Query<Next>) -> PageResult {
    view.page("Sign in", None, move || view! { <SignIn next=query.next.unwrap_or_default()/> }).await
}

async fn sign_in(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    view: View,
    form: Form,
) -> PageResult {
    let entered = async {
        state.sign_in_limit.check(form.text("email"), address)?;
        state.services.sign_in(form.text("email"), form.raw("password")).await
    };
    match entered.await {
        Ok(user) => {
            begin_session(&view, &user, &headers, address).await?;
            state.sign_in_limit.forget(form.text("email"));
            Ok(Redirect::to(local(form.text("next"))).into_response())
        }
        Err(error) if can_mend(&error) => {
            let (draft, next) = (form.refused(&error), form.text("next").to_owned());
            view.refused(&error, "Sign in", None, move || view! { <SignIn draft next/> }).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Begins the session anew, so that an id from before cannot become a signed-in one.
async fn begin_session(view: &View, user: &User, headers: &HeaderMap, address: Option<IpAddr>) -> Result<(), Error> {
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let agent: String = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect();
    let from = Browser { user_agent: agent, address };
    view.services().begin_session(user, &from, view.request_id()).await?;
    let session = view.session();
    let begin = async {
        session.cycle_id().await?;
        session.insert(key::USER, user.id).await?;
        session.insert(key::USER_AGENT, from.user_agent).await?;
        session.insert(key::ADDRESS, from.address).await
    };
    begin.await.map_err(|error: tower_sessions::session::Error| {
        tracing::warn!(%error, "a session could not be begun");
        Error::new(domain::ErrorKind::Unavailable, "The session could not be stored; try again in a moment.")
    })
}

async fn sign_out(view: View) -> PageResult {
    if let Ok(caller) = view.caller() {
        view.services().sign_out(caller).await?;
    }
    view.session().flush().await.map_err(|error| {
        tracing::warn!(%error, "a session could not be ended");
        Error::internal()
    })?;
    Ok(Redirect::to("/sign-in").into_response())
}

#[derive(Deserialize)]
struct Link {
    link: Option<String>,
}

async fn show_setup(State(state): State<AppState>, view: View, Query(query): Query<Link>) -> PageResult {
    let link = query.link.unwrap_or_default();
    if !state.services.is_setup_link(&link).await? {
        return Err(services::used_link().into());
    }
    view.page("Set up", None, move || view! { <Setup token=link/> }).await
}

async fn set_up(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    view: View,
    form: Form,
) -> PageResult {
    let added = async {
        let email = Email::parse(form.text("email"))?;
        let password = Password::choose(form.raw("password").to_owned())?;
        let new = NewUser { email, name: form.text("name").to_owned(), password };
        state.services.set_up(form.text("token"), new).await
    };
    match added.await {
        Ok(user) => {
            begin_session(&view, &user, &headers, address).await?;
            view.done("/", "Welcome. You administer this installation.").await
        }
        Err(error) if can_mend(&error) => {
            let (draft, token) = (form.refused(&error), form.text("token").to_owned());
            view.refused(&error, "Set up", None, move || view! { <Setup token draft/> }).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_theme(view: View, form: Form) -> PageResult {
    let theme = Theme::parse(form.text("theme"));
    let secure = if view.public_url().starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!("{THEME_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}", theme.as_str());
    let mut response = Redirect::to(local(form.text("next"))).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn one_is_never_sent_to_another_site() {
        assert_eq!(local("/w/lab/runs?x=1"), "/w/lab/runs?x=1");
        for next in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\t\\evil.example",
            "/\u{b}/evil.example",
            "/\r/evil.example",
            "/\u{7f}/evil.example",
            "/\u{85}/evil.example",
            "/ /evil.example",
            " //evil.example",
            "/w/lab\t",
            "javascript:alert(1)",
            "/a\nb",
        ] {
            assert_eq!(local(next), "/", "{next:?}");
        }
    }
}
