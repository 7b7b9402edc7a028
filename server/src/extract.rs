//! Reading requests: every refusal has a sentence, in the form that the route's clients understand.

use crate::{access::Surface, error::ApiError};
use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, header, request::Parts},
    response::Response,
};
use domain::{Error, ErrorKind};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// The most characters of a reason.
const MOST_SHOWN: usize = 300;

/// A JSON body, of the REST API.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<Object<T>>::from_request(request, state).await {
            Ok(axum::Json(Object(value))) => Ok(Self(value)),
            Err(rejection) => Err(ApiError(body_error(&rejection))),
        }
    }
}

/// What is read from a JSON object alone. Of itself serde takes a list as well, for the fields in their order.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// Why a JSON body was refused, in a sentence.
#[must_use]
pub fn body_error(rejection: &JsonRejection) -> Error {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Error::new(
            ErrorKind::UnsupportedMediaType,
            "Send the body as JSON, with the header Content-Type: application/json.",
        ),
        JsonRejection::JsonDataError(error) => {
            Error::invalid(format!("The body does not fit: {}.", reason(&error.body_text())))
        }
        JsonRejection::JsonSyntaxError(error) => {
            Error::invalid(format!("The body is not well-formed JSON: {}.", reason(&error.body_text())))
        }
        rejection if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Error::invalid("The body could not be read to its end."),
    }
}

/// Names and values of a query, some of them several times. Empty values count as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Named(pub(crate) Vec<(String, String)>);

impl Named {
    /// The first value under this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value under this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
}

/// How long the body is, in bytes, as its sender says.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body is over the limit of the route.
#[must_use]
pub fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "The body is larger than this address takes.")
}

/// The cause behind a rejection's own introduction: `a.b: invalid type: …`. It may repeat what was sent, of any length.
fn reason(text: &str) -> String {
    let cause = text.split_once(": ").map_or(text, |(_, cause)| cause).trim_end_matches('.');
    let cause = plain(cause);
    let shown: String = cause.chars().take(MOST_SHOWN).collect();
    if shown.len() < cause.len() { format!("{shown}…") } else { shown }
}

/// What serde expected, in words that say nothing of our types.
fn plain(cause: &str) -> String {
    let Some((before, expected)) = cause.rsplit_once("expected ") else { return cause.to_owned() };
    let name = expected.split([' ', ',']).next().unwrap_or_default();
    let (known, words) = match name {
        "i8" | "i16" | "i32" | "i64" | "isize" => (name.to_owned(), "a whole number"),
        "u8" | "u16" | "u32" | "u64" | "usize" => (name.to_owned(), "a whole number of 0 or more"),
        "f32" | "f64" => (name.to_owned(), "a number"),
        "struct" => (expected.split(' ').take(2).collect::<Vec<_>>().join(" "), "an object"),
        "internally" => (expected.split(' ').take(4).collect::<Vec<_>>().join(" "), "an object that says its kind"),
        _ => return cause.to_owned(),
    };
    format!("{before}expected {words}{}", &expected[known.len()..])
}

/// The refusal of a part of the request, as the clients of its route understand it.
fn refusal(parts: &Parts, error: Error) -> Response {
    parts.extensions.get().copied().unwrap_or(Surface::Api).refuse(error)
}

/// The parts of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(parts, path_error(&rejection))),
        }
    }
}

/// A part of the path that has the wrong form names nothing that exists.
fn path_error(rejection: &PathRejection) -> Error {
    tracing::debug!(reason = %rejection.body_text(), "a path does not fit its route");
    Error::new(ErrorKind::NotFound, "Nothing is at this address: a part of it has the wrong form.")
}

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(parts, query_error(&rejection))),
        }
    }
}

/// Why a query string was refused, in a sentence.
#[must_use]
pub fn query_error(rejection: &QueryRejection) -> Error {
    Error::invalid(format!("The query does not fit: {}.", reason(&rejection.body_text())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        rows: u8,
    }

    #[test]
    fn a_body_is_an_object_and_no_list_of_its_fields() {
        let Object(row) = serde_json::from_str::<Object<Row>>(r#"{"rows":1}"#).unwrap();
        assert_eq!(row, Row { rows: 1 });
        let refused = |text| plain(&serde_json::from_str::<Object<Row>>(text).err().unwrap().to_string());
        assert!(refused("[1]").starts_with("invalid type: sequence, expected an object"));
        assert!(refused("1").starts_with("invalid type: integer `1`, expected an object"));
        assert!(refused(r#"{"rows":-1}"#).contains("expected a whole number of 0 or more at line 1"));
    }

    #[test]
    fn what_is_expected_is_said_without_our_types() {
        assert_eq!(plain("a: invalid type: map, expected i32"), "a: invalid type: map, expected a whole number");
        assert_eq!(plain("expected struct ApprovalRule at line 1"), "expected an object at line 1");
        let gate = "expected internally tagged enum GateSpec at line 1";
        assert_eq!(plain(gate), "expected an object that says its kind at line 1");
        assert_eq!(plain("expected one of `a`, `b`"), "expected one of `a`, `b`");
        assert_eq!(plain("no more"), "no more");
    }
}
