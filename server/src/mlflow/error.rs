//! Errors in MLflow's form. Its clients act on the code's name, and retry on a 5xx for minutes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Error, ErrorKind};
use serde_json::json;

/// An error on its way out of the MLflow API.
#[derive(Debug)]
pub struct MlflowError(pub Error);

impl<E: Into<Error>> From<E> for MlflowError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The status and the code that MLflow's clients know.
fn code(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        // MLflow's own status for this code.
        ErrorKind::AlreadyExists => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMETER_VALUE"),
        ErrorKind::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_PARAMETER_VALUE"),
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
        ErrorKind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

impl IntoResponse for MlflowError {
    fn into_response(self) -> Response {
        let (status, code) = code(self.0.kind);
        let mut response = (status, Json(json!({ "error_code": code, "message": self.0.message }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"slipway\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

/// The refusal of an address that is no operation here. Clients know this code, and do without.
#[must_use]
pub fn no_endpoint(path: &str) -> Response {
    let message = format!("No operation is at {path}.");
    (StatusCode::NOT_FOUND, Json(json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": message }))).into_response()
}
