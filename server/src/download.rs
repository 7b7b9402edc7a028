//! Sending stored files: whole or in part, as attachments, which is the rule; or embedded in a page of ours, under a policy that
//! keeps them out of our origin. Why that policy is as it is: `docs/decisions/0010-what-an-artifact-may-do.md`.

use crate::{access::Surface, archive, state::AppState};
use artifacts::ByteRange;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error, ErrorKind,
    preview::{Kind, MAX_EMBEDDED},
};
use services::Artifact;

/// What a picture made of shapes may do: draw itself.
const SVG: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; sandbox";

/// What a document may do: run the scripts that are in it, in an origin of its own, and reach nothing. Within our page, and
/// nowhere else.
const DOCUMENT: &str = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; \
                        img-src data: blob:; media-src data: blob:; font-src data:; connect-src 'none'; form-action 'none'; \
                        base-uri 'none'; frame-ancestors 'self'; sandbox allow-scripts";

/// The file as an answer: `Range`, `If-Range` and `If-None-Match` are heeded. A part that is not there is refused in the
/// form of the surface.
///
/// # Errors
/// When the artifact store does not answer.
pub async fn send(
    state: &AppState,
    surface: Surface,
    artifact: &Artifact,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let etag = format!("\"{}\"", artifact.digest.hex());
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| is_among(&etag, tags)) {
        return Ok(with_validators(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|tag| tag == etag));
    let range = match range.map_or(Wanted::Everything, |range| wanted(range, artifact.size)) {
        Wanted::Everything => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            let message = format!("The file has {} bytes, and none of those that are asked for.", artifact.size);
            let mut response = surface.refuse_as(StatusCode::RANGE_NOT_SATISFIABLE, Error::invalid(message));
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", artifact.size));
            return Ok(response);
        }
    };
    let is_part = range.is_some();
    let content = state.services.artifact_content(artifact, range).await?;
    let mut response = Response::new(Body::from_stream(content.stream));
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let part = format!("bytes {}-{}/{}", content.range.start, content.range.end.saturating_sub(1), content.size);
        set(&mut response, header::CONTENT_RANGE, &part);
    }
    let length = content.range.end - content.range.start;
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::CONTENT_TYPE, kind(&artifact.name));
    set(&mut response, header::CONTENT_DISPOSITION, &attachment(&artifact.name));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    // The bytes as they are: what is compressed on the way has no length, and no parts.
    set(&mut response, header::CONTENT_ENCODING, "identity");
    Ok(with_validators(response, &etag))
}

/// Whether a list of tags has this one. A proxy that compressed the answer has made it a weak one, which will do.
fn is_among(etag: &str, tags: &str) -> bool {
    tags == "*" || tags.split(',').map(str::trim).any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// A file whose bytes are put together while they are sent: all of them, unless the client has them.
pub(crate) fn whole(path: &str, digest: Option<&str>, content: artifacts::Content, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", digest.unwrap_or_default());
    let tags = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if digest.is_some() && tags.is_some_and(|tags| is_among(&etag, tags)) {
        return with_validators(StatusCode::NOT_MODIFIED.into_response(), &etag);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut response = Response::new(Body::from_stream(content.stream));
    set(&mut response, header::CONTENT_LENGTH, &content.size.to_string());
    set(&mut response, header::CONTENT_TYPE, kind(name));
    set(&mut response, header::CONTENT_DISPOSITION, &attachment(name));
    set(&mut response, header::CONTENT_ENCODING, "identity");
    with_validators(response, &etag)
}

/// The file as a part of a page of ours: a picture, or a document in a frame. None when a browser asks for a document as a page
/// of its own: people would take what it shows for ours, whose address stands above it.
///
/// # Errors
/// `Invalid` for other sorts of files; `TooLarge`; when the artifact store does not answer.
pub async fn embed(state: &AppState, artifact: &Artifact, headers: &HeaderMap) -> Result<Option<Response>, Error> {
    let (media, policy) = match Kind::of(&artifact.name) {
        Kind::Image(media) => (media, None),
        Kind::Svg => ("image/svg+xml", Some(SVG)),
        Kind::Html if is_in_a_frame(headers) => ("text/html; charset=utf-8", Some(DOCUMENT)),
        Kind::Html => return Ok(None),
        _ => return Err(Error::invalid("This sort of file is not shown by its own address; download it.")),
    };
    if artifact.size > MAX_EMBEDDED {
        let message = format!("Files of more than {} MiB are not shown; download this one.", MAX_EMBEDDED >> 20);
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut response = send(state, Surface::Api, artifact, headers).await?;
    // Also where a browser is told that its copy is still good: it takes the policy from there.
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        if let Some(policy) = policy {
            set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
        }
        if media.starts_with("text/html") {
            set(&mut response, header::X_FRAME_OPTIONS, "SAMEORIGIN");
        }
        response.headers_mut().remove(header::CONTENT_DISPOSITION);
    }
    if response.status().is_success() {
        set(&mut response, header::CONTENT_TYPE, media);
    }
    Ok(Some(response))
}

/// Whether a browser asks for a document as a part of a page, or does not say for what.
fn is_in_a_frame(headers: &HeaderMap) -> bool {
    let place = headers.get("sec-fetch-dest").and_then(|place| place.to_str().ok());
    place.is_none_or(|place| place == "iframe")
}

/// A document that somebody's program made, as a part of a page of ours, and as nothing else.
pub(crate) fn document(html: String, headers: &HeaderMap) -> Option<Response> {
    if !is_in_a_frame(headers) {
        return None;
    }
    let mut response = Response::new(Body::from(html));
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, header::CONTENT_SECURITY_POLICY, DOCUMENT);
    set(&mut response, header::X_FRAME_OPTIONS, "SAMEORIGIN");
    Some(response)
}

/// Bytes that are no file of the store, to be saved under the last part of this path.
pub(crate) fn bytes(path: &str, bytes: bytes::Bytes) -> Response {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = if name.ends_with(".ipynb") { name.to_owned() } else { format!("{name}.ipynb") };
    let mut response = Response::new(Body::from(bytes));
    set(&mut response, header::CONTENT_TYPE, kind(&name));
    set(&mut response, header::CONTENT_DISPOSITION, &attachment(&name));
    response
}

/// Files as one, to be saved as `<name>.zip`.
pub fn archive(state: &AppState, name: &str, files: Vec<(String, Artifact)>) -> Response {
    let (length, stream) = archive::stream(state.services.clone(), files);
    let mut response = Response::new(Body::from_stream(stream));
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::CONTENT_TYPE, "application/zip");
    set(&mut response, header::CONTENT_DISPOSITION, &attachment(&format!("{name}.zip")));
    set(&mut response, header::CONTENT_ENCODING, "identity");
    response
}

/// An archive that is made while it is sent, to be saved as `<name>.zip`. Its length is not known before its end.
pub(crate) fn zip(body: Body, name: &str) -> Response {
    let mut response = Response::new(body);
    set(&mut response, header::CONTENT_TYPE, "application/zip");
    set(&mut response, header::CONTENT_DISPOSITION, &attachment(&format!("{name}.zip")));
    set(&mut response, header::CONTENT_ENCODING, "identity");
    set(&mut response, header::CACHE_CONTROL, "private, no-store");
    response
}

pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A path may get other content, so whoever keeps a copy asks whether it is still good.
fn with_validators(mut response: Response, etag: &str) -> Response {
    set(&mut response, header::ETAG, etag);
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    response
}

/// Which bytes a `Range` header asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// All: the header says something that is not understood, or several parts.
    Everything,
    /// These.
    Part(ByteRange),
    /// Some that the file does not have.
    Nothing,
}

fn wanted(header: &str, size: u64) -> Wanted {
    let Some(range) = header.strip_prefix("bytes=").filter(|range| !range.contains(',')) else {
        return Wanted::Everything;
    };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Everything };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => match first < size {
            true => Wanted::Part(ByteRange::Bounded(first..last.saturating_add(1).min(size))),
            false => Wanted::Nothing,
        },
        (Ok(first), Err(_)) if last.is_empty() => match first < size {
            true => Wanted::Part(ByteRange::Offset(first)),
            false => Wanted::Nothing,
        },
        (Err(_), Ok(last)) if first.is_empty() => match last > 0 && size > 0 {
            true => Wanted::Part(ByteRange::Suffix(last.min(size))),
            false => Wanted::Nothing,
        },
        _ => Wanted::Everything,
    }
}

/// The content type by the file's ending. What a browser could run is only bytes.
fn kind(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "txt" | "log" | "md" | "yaml" | "yml" | "toml" | "cfg" | "ini" | "py" | "sql" | "mlmodel" => {
            "text/plain; charset=utf-8"
        }
        "csv" => "text/csv; charset=utf-8",
        "tsv" => "text/tab-separated-values; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}

/// To be saved under this name, whatever characters it has.
pub(crate) fn attachment(name: &str) -> String {
    use std::fmt::Write as _;
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_bytes_that_the_file_has() {
        assert_eq!(wanted("bytes=0-3", 10), Wanted::Part(ByteRange::Bounded(0..4)));
        assert_eq!(wanted("bytes=8-99", 10), Wanted::Part(ByteRange::Bounded(8..10)));
        assert_eq!(wanted("bytes=0-18446744073709551615", 10), Wanted::Part(ByteRange::Bounded(0..10)));
        assert_eq!(wanted("bytes=4-", 10), Wanted::Part(ByteRange::Offset(4)));
        assert_eq!(wanted("bytes=-99", 10), Wanted::Part(ByteRange::Suffix(10)));
        for outside in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(wanted(outside, 10), Wanted::Nothing, "{outside}");
        }
        assert_eq!(wanted("bytes=-5", 0), Wanted::Nothing);
        for strange in ["lines=1-2", "bytes=3-1", "bytes=a-b", "bytes=0-1,3-4", "bytes=-", "bytes", "bytes=--1"] {
            assert_eq!(wanted(strange, 10), Wanted::Everything, "{strange}");
        }
    }

    #[test]
    fn a_file_is_saved_under_its_own_name() {
        assert_eq!(attachment("plot.png"), "attachment; filename=\"plot.png\"");
        assert_eq!(
            attachment("Übersicht \"1\".png"),
            "attachment; filename=\"_bersicht__1_.png\"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.png"
        );
    }

    #[test]
    fn what_could_run_in_a_browser_is_bytes() {
        for name in ["a.html", "a.svg", "a.js", "a.xhtml", "a.xml", "a.pdf", "a.HTM", "a"] {
            assert_eq!(kind(name), "application/octet-stream", "{name}");
        }
        assert_eq!(kind("MLmodel"), "text/plain; charset=utf-8");
    }
}
