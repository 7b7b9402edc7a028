//! The description of the REST API, the page to try it on, and the schema of the file that people write.

use crate::{
    access::Access,
    extract::Path,
    pages::PageError,
    router::{self, Routes},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse as _, Redirect, Response},
};
use domain::{Error, ErrorKind};
use std::sync::{Arc, OnceLock};
use utoipa::{
    OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

/// Where the description is.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// Where the JSON Schema of a pipeline's file is.
const SCHEMA: &str = "/api/v1/schemas/pipeline.json";
/// What the page to try it on may load and do. Its styles stand in elements that its script makes.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .page(Method::GET, DOCUMENT, Access::Open, document)
        .page(Method::GET, SCHEMA, Access::Open, async || {
            ([(header::CONTENT_TYPE, "application/schema+json")], domain::pipeline::SCHEMA)
        })
        .page(Method::GET, "/api/docs", Access::Open, async || Redirect::permanent("/api/docs/"))
        .page(Method::GET, "/api/docs/", Access::Open, async || file("index.html"))
        .page(Method::GET, "/api/docs/{file}", Access::Open, async |Path(name): Path<String>| file(&name))
}

/// The same for as long as the process lives, so it is put together once.
async fn document(State(state): State<AppState>) -> Json<&'static utoipa::openapi::OpenApi> {
    static DESCRIBED: OnceLock<utoipa::openapi::OpenApi> = OnceLock::new();
    Json(DESCRIBED.get_or_init(|| router::routes(&state).finish().1))
}

/// A file of Swagger UI.
fn file(name: &str) -> Result<Response, PageError> {
    let config = Arc::new(utoipa_swagger_ui::Config::from(DOCUMENT));
    let file = utoipa_swagger_ui::serve(name, config).map_err(|error| {
        tracing::error!(%error, name, "a file of the API's page");
        PageError(Error::internal())
    })?;
    let Some(file) = file else {
        return Err(PageError(Error::new(ErrorKind::NotFound, format!("Nothing is at /api/docs/{name}."))));
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok((headers, file.bytes.into_owned()).into_response())
}

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
