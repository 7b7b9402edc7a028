//! Signing in and out, and setting up the installation.

use crate::router::Routes;
use axum::{
    extract::{OriginalUri, Request},
    response::{IntoResponse, Redirect, Response},
};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
}

/// Sends a browser to the sign-in page, and from there back to where it wanted to go.
#[must_use]
pub fn redirect(request: &Request) -> Response {
    let wanted = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().to_string(), |uri| uri.0.to_string());
    let next: String = wanted
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    Redirect::to(&format!("/sign-in?next={next}")).into_response()
}
