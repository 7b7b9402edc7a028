//! Errors of use cases as HTTP answers of the REST API: problem details (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Error, ErrorKind};
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

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ApiError {
    /// The answer with another status than that of its kind.
    pub fn with_status(self, status: StatusCode) -> Response {
        let Error { kind, message, field } = self.0;
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let problem = Problem { kind, status: status.as_u16(), title, detail: message, field };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, BEARER);
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
