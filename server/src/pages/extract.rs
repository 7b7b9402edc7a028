//! What pages read from a path. A part that has the wrong form names nothing that exists, and is told in the frame that
//! the reader expects.

use super::PageError;
use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{Error, ErrorKind};
use serde::de::DeserializeOwned;

/// The parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(PageError(Error::new(ErrorKind::NotFound, "There is no page at this address."))),
        }
    }
}
