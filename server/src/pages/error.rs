//! Errors as pages.

use crate::error::status;
use axum::response::{IntoResponse, Response};
use domain::Error;

/// An error on its way to a browser. A layer around the pages gives it the frame that its reader expects.
#[derive(Debug)]
pub struct PageError(pub Error);

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What [`super::view`] finds in a response that still has to become a page.
#[derive(Clone)]
pub(crate) struct Unframed(pub(crate) Error);

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = (status(self.0.kind), self.0.message.clone()).into_response();
        response.extensions_mut().insert(Unframed(self.0));
        response
    }
}
