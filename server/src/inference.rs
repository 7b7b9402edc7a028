//! The data plane: deployed models answer here.

use crate::{error::status, router::Routes};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::Error;
use serde_json::json;

/// An error in the form of the Open Inference Protocol.
#[derive(Debug)]
pub struct InferenceError(pub Error);

impl<E: Into<Error>> From<E> for InferenceError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for InferenceError {
    fn into_response(self) -> Response {
        (status(self.0.kind), Json(json!({ "error": self.0.message }))).into_response()
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
}
