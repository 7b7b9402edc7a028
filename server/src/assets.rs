//! Styles, scripts and wasm of the pages: built by `scripts/build-web.sh`, part of the binary, named by their content.

use crate::{access::Access, extract::Path, router::Routes};
use app::shell::{Assets, FAVICON};
use axum::{
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;
use std::collections::BTreeMap;

#[derive(RustEmbed)]
#[folder = "../site"]
struct Site;

/// Which files a page loads; none when the build of them is missing.
#[must_use]
pub fn load() -> Option<Assets> {
    let manifest = Site::get("manifest.json")?;
    let names: BTreeMap<String, String> = serde_json::from_slice(&manifest.data).ok()?;
    Assets::from_manifest(&names)
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::GET, "/pkg/{*path}", Access::Open, asset).page(
        Method::GET,
        "/favicon.svg",
        Access::Open,
        favicon,
    )
}

async fn favicon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")], FAVICON)
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let path = format!("pkg/{path}");
    let accepts = |encoding: &str| {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.contains(encoding)))
    };
    let encoded = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(encoding))
        .find_map(|(encoding, ending)| Site::get(&format!("{path}{ending}")).map(|file| (Some(encoding), file)));
    let Some((encoding, file)) = encoded.or_else(|| Site::get(&path).map(|file| (None, file))) else {
        return (StatusCode::NOT_FOUND, "No such asset.\n").into_response();
    };
    let kind = match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    // A file's name changes with its content.
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, header::HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static(encoding));
    }
    response
}
