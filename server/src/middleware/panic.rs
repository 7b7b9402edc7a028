//! A handler that panics: a mistake of ours, told in the form that its client understands, without its text.

use crate::access::Surface;
use axum::{body::Body, response::Response};
use domain::Error;
use std::any::Any;
use tower_http::catch_panic::ResponseForPanic;

/// Answers for a handler that panicked, to this sort of client.
#[derive(Debug, Clone, Copy)]
pub struct Panicked(pub Surface);

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send + 'static>) -> Response {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        tracing::error!(panic = text.unwrap_or("unknown"), "a handler panicked");
        self.0.refuse(Error::internal())
    }
}
