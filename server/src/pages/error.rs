//! Errors as pages.

use crate::error::status;
use axum::response::{IntoResponse, Response};
use domain::Error;

/// An error on its way to a browser.
#[derive(Debug)]
pub struct PageError(pub Error);

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        (status(self.0.kind), self.0.message).into_response()
    }
}
