//! Where clients are sent for bytes that go apart from the request that asked for them.

use crate::hosts::authority_of;
use axum::http::{HeaderMap, uri::Authority};

/// The address of this server as the client that asks knows it: where its request came to reaches us, and the public
/// address may be one that only browsers can use.
pub(super) fn address(public_url: &str, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").filter(|host| !host.is_empty());
    let public = authority_of(public_url);
    match host {
        Some(host) if public.as_ref().map(Authority::as_str) != Some(host) => {
            let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
            format!("{scheme}://{host}")
        }
        _ => public_url.to_owned(),
    }
}
