//! The description of the REST API, and the page to try it on.

use utoipa::{
    OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Continuous delivery of machine-learning models. Every path is also there under `/w/{workspace}`; without \
                       it, the token's workspace is meant. MLflow's own API is under `/api/2.0/mlflow`.",
    ),
    components(schemas(crate::error::Problem)),
    security(("token" = [])),
)]
struct Base;

/// The document without its paths.
#[must_use]
pub fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", token);
    document
}
