//! Errors of use cases as HTTP answers of the REST API: problem details (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Error, ErrorKind, pipeline::Problem as FileProblem};
use serde::Serialize;
use utoipa::ToSchema;

/// An answer to a request that was refused or failed: `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The sort of problem, for programs: `not_found`, `invalid`, `conflict` …
    #[schema(value_type = String)]
    pub kind: ErrorKind,
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What happened, to what, and what to do next.
    pub detail: String,
    /// The input that is wrong, when one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// What a client without a token is told to send.
pub(crate) const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"slipway\"");

/// The status that a sort of refusal has on the web.
#[must_use]
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error on its way out of the REST API.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl Problem {
    fn of(error: Error, status: StatusCode) -> Self {
        let Error { kind, message, field } = error;
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        Self { kind, status: status.as_u16(), title, detail: message, field }
    }
}

/// An answer of problem details.
fn details(status: StatusCode, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// A file that is wrong: `application/problem+json` with each problem and its place.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileRefused {
    #[serde(flatten)]
    problem: Problem,
    /// What is wrong, in the order of the file.
    problems: Vec<FileProblem>,
}

impl FileRefused {
    /// The answer: 400, with the error that sums the problems up.
    pub fn answer(error: Error, problems: Vec<FileProblem>) -> Response {
        let status = StatusCode::BAD_REQUEST;
        details(status, Self { problem: Problem::of(error, status), problems })
    }
}

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ApiError {
    /// The answer with another status than that of its kind.
    pub fn with_status(self, status: StatusCode) -> Response {
        let mut response = details(status, Problem::of(self.0, status));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = status(self.0.kind);
        self.with_status(status)
    }
}
