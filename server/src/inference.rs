//! The data plane: deployed models answer here, by the Open Inference Protocol v2 and in MLflow's form.
//!
//! `/v2/…` is production; `/environments/{environment}/v2/…` is that environment. A base address with or without it is
//! all that a client of the protocol needs to be told.

use crate::{
    access::{Access, Context},
    error::{BEARER, status},
    extract::{Path, Query, content_length},
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error, ErrorKind,
    environment::PRODUCTION,
    inference::{ModelMetadata, Predictions, ServerMetadata},
    permission::Permission,
};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use services::{Admitted, Ctx, LiveEndpoint, Outcome};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The most bytes of a request.
const BODY_LIMIT: usize = 64 << 20;
/// For how long a body may arrive.
const UPLOAD: Duration = Duration::from_secs(60);
/// The header of the protocol's extension for data beside the JSON.
const BINARY: HeaderName = HeaderName::from_static("inference-header-content-length");
/// The header with a prediction's id.
const PREDICTION_ID: HeaderName = HeaderName::from_static("x-prediction-id");

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
        let status = status(self.0.kind);
        let mut response = (status, Json(json!({ "error": self.0.message }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}

type Answer<T = Response> = Result<T, InferenceError>;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, predict) = (Access::Needs(Permission::Read), Access::Needs(Permission::Predict));
    let limit = || DefaultBodyLimit::max(BODY_LIMIT);
    let mut routes = routes
        .inference(Method::GET, "/v2", Access::Open, server)
        .inference(Method::GET, "/v2/health/live", Access::Open, live)
        .inference(Method::GET, "/v2/health/ready", Access::Open, ready)
        // What is said of the server is the same everywhere, and tells nobody which environments there are.
        .inference(Method::GET, "/environments/{environment}/v2", Access::Open, server)
        .inference(Method::GET, "/environments/{environment}/v2/health/live", Access::Open, live)
        .inference(Method::GET, "/environments/{environment}/v2/health/ready", Access::Open, ready);
    let places: [[&'static str; 8]; 2] = [
        [
            "/v2/models/{model}",
            "/v2/models/{model}/versions/{version}",
            "/v2/models/{model}/ready",
            "/v2/models/{model}/versions/{version}/ready",
            "/v2/models/{model}/infer",
            "/v2/models/{model}/versions/{version}/infer",
            "/v2/models/{model}/invocations",
            "/invocations",
        ],
        [
            "/environments/{environment}/v2/models/{model}",
            "/environments/{environment}/v2/models/{model}/versions/{version}",
            "/environments/{environment}/v2/models/{model}/ready",
            "/environments/{environment}/v2/models/{model}/versions/{version}/ready",
            "/environments/{environment}/v2/models/{model}/infer",
            "/environments/{environment}/v2/models/{model}/versions/{version}/infer",
            "/environments/{environment}/v2/models/{model}/invocations",
            "/environments/{environment}/invocations",
        ],
    ];
    for [model, version, ready, version_ready, infer_path, version_infer, invoke_path, invocations] in places {
        routes = routes
            .inference(Method::GET, model, read, metadata)
            .inference(Method::GET, version, read, metadata)
            .inference(Method::GET, ready, read, model_ready)
            .inference(Method::GET, version_ready, read, model_ready)
            .limited(Method::POST, infer_path, predict, limit(), infer)
            .limited(Method::POST, version_infer, predict, limit(), infer)
            .limited(Method::POST, invoke_path, predict, limit(), invoke)
            .limited(Method::POST, invocations, predict, limit(), invoke);
    }
    routes
}

/// The parts of an address of the data plane.
#[derive(Deserialize)]
struct Place {
    environment: Option<String>,
    model: Option<String>,
    version: Option<String>,
}

type PlaceOf = Path<HashMap<String, String>>;

impl Place {
    fn of(Path(mut parts): PlaceOf) -> Self {
        let mut take = |name: &str| parts.remove(name);
        Self { environment: take("environment"), model: take("model"), version: take("version") }
    }

    fn environment(&self) -> &str {
        self.environment.as_deref().unwrap_or(PRODUCTION)
    }

    /// The endpoint that the address names; the environment's only one when it names no model.
    async fn endpoint(&self, state: &AppState, ctx: &Ctx) -> Result<Arc<LiveEndpoint>, Error> {
        let endpoint = match &self.model {
            Some(model) => state.services.endpoint(ctx, self.environment(), model).await?,
            None => state.services.only_endpoint(ctx, self.environment()).await?,
        };
        match &self.version {
            Some(version) if *version != endpoint.version.to_string() => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "Version {version} of model \"{}\" does not serve in {}; version {} does.",
                    endpoint.model, endpoint.environment, endpoint.version
                ),
            )),
            _ => Ok(endpoint),
        }
    }
}

async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: "slipway".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: Vec::new(),
    })
}

async fn live() -> Json<serde_json::Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(state): State<AppState>) -> Response {
    let ready = state.services.models().is_ok() && state.readiness.look(&state.services).await.has_database();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready }))).into_response()
}

async fn metadata(State(state): State<AppState>, Context(ctx): Context, place: PlaceOf) -> Answer<Json<ModelMetadata>> {
    Ok(Json(Place::of(place).endpoint(&state, &ctx).await?.metadata()))
}

async fn model_ready(State(state): State<AppState>, Context(ctx): Context, place: PlaceOf) -> Answer {
    let endpoint = Place::of(place).endpoint(&state, &ctx).await?;
    Ok(Json(json!({ "name": endpoint.model, "ready": true })).into_response())
}

async fn infer(State(state): State<AppState>, Context(ctx): Context, place: PlaceOf, request: Request) -> Answer {
    let endpoint = Place::of(place).endpoint(&state, &ctx).await?;
    let (admitted, body) = take_in(&state, &endpoint, request).await?;
    let outcome = state.services.infer(admitted, body).await;
    Ok(answer(outcome, |response| Json(response).into_response()))
}

#[derive(Deserialize)]
struct Named {
    model: Option<String>,
}

async fn invoke(
    State(state): State<AppState>,
    Context(ctx): Context,
    place: PlaceOf,
    Query(named): Query<Named>,
    request: Request,
) -> Answer {
    let mut place = Place::of(place);
    place.model = place.model.or(named.model);
    let endpoint = place.endpoint(&state, &ctx).await?;
    let (admitted, body) = take_in(&state, &endpoint, request).await?;
    let outcome = state.services.invoke(admitted, body).await;
    Ok(answer(outcome, |response| Json(Predictions(&response)).into_response()))
}

/// Takes a request in and reads its body, making room for that as it arrives.
async fn take_in(state: &AppState, endpoint: &Arc<LiveEndpoint>, request: Request) -> Result<(Admitted, Bytes), Error> {
    check_head(request.headers())?;
    let mut admitted = state.services.admit(endpoint)?;
    let body = tokio::time::timeout(UPLOAD, read(&mut admitted, request.into_body())).await.unwrap_or_else(|_| {
        Err(Error::invalid(format!("The body did not arrive within {} s; send it again.", UPLOAD.as_secs())))
    })?;
    Ok((admitted, body.into()))
}

/// Refuses a body that could not be understood or is too long, before it is read.
fn check_head(headers: &HeaderMap) -> Result<(), Error> {
    if headers.contains_key(BINARY) {
        return Err(Error::invalid(
            "The protocol's binary data extension is not offered: send all data in the JSON, and no \
             Inference-Header-Content-Length.",
        ));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let text = "Send the body as it is, without a Content-Encoding.";
        return Err(Error::new(ErrorKind::UnsupportedMediaType, text));
    }
    if content_length(headers).is_some_and(|length| length > BODY_LIMIT as u64) { Err(too_large()) } else { Ok(()) }
}

async fn read(admitted: &mut Admitted, body: Body) -> Result<Vec<u8>, Error> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Error::invalid("The body did not arrive whole; send it again."))?;
        let length = whole.len() + chunk.len();
        if length > BODY_LIMIT {
            return Err(too_large());
        }
        admitted.make_room(length)?;
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

fn too_large() -> Error {
    let text = format!("A request has at most {} MiB; send the rows in several.", BODY_LIMIT >> 20);
    Error::new(ErrorKind::TooLarge, text)
}

/// The answer with the id it is recorded under, also when it is a refusal.
fn answer(outcome: Outcome, write: impl FnOnce(domain::inference::InferResponse) -> Response) -> Response {
    let mut response = match outcome.answer {
        Ok(response) => write(response),
        Err(error) => InferenceError(error).into_response(),
    };
    if let Ok(id) = HeaderValue::from_str(&outcome.prediction_id.to_string()) {
        response.headers_mut().insert(PREDICTION_ID, id);
    }
    response
}
