//! Policies: their revisions, checking and simulating a draft.

use super::{Listed, change_request::done_or_asked};
use crate::{
    access::{Access, Context},
    error::{ApiError, FileRefused, Problem},
    extract::{Object, Path, Query, too_large},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    Digest, Error, ErrorKind,
    change_request::ChangeRequest,
    permission::Permission,
    pipeline::Problem as FileProblem,
    policy::{FileErrors, Policy, PolicyDocument},
    promotion::PolicySimulation,
};
use serde::{Deserialize, Serialize};
use services::NewPolicy;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .api(read, operation!(list))
        .api(read, operation!(validate))
        .api(read, operation!(get))
        .api(write, operation!(put))
        .api(write, operation!(retire))
        .api(read, operation!(simulate))
}

/// Which policies.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those that hold no more, too.
    #[serde(default)]
    retired: bool,
}

/// The last revision of each policy, in order of name.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policy", params(Wanted),
    responses((status = 200, body = Listed<Policy>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Context(ctx): Context,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<Policy>>, ApiError> {
    Ok(Json(state.services.policies(&ctx, wanted.retired).await?.into()))
}

/// The revisions of a policy, the last first: that is the one in force, unless it says that the policy is retired.
#[utoipa::path(get, path = "/api/v1/policies/{name}", tag = "policy", params(("name" = String, Path)),
    responses((status = 200, body = Listed<Policy>), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
) -> Result<Json<Listed<Policy>>, ApiError> {
    Ok(Json(state.services.policy(&ctx, &name).await?.into()))
}

/// Puts a policy in force; the same as the one in force changes nothing. The body is the document as JSON, or with
/// `Content-Type: application/yaml` its file, which is kept as it was written. With `If-Match`, only instead of the
/// revision of that digest. Open promotions are held against it at once. Where policies for `change_policy` ask for approval,
/// people are asked first: 202, with the change request.
#[utoipa::path(put, path = "/api/v1/policies/{name}", tag = "policy",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content((PolicyDocument = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = Policy), (status = 202, body = ChangeRequest), (status = 400, body = FileRefused),
        (status = 409, body = Problem)))]
async fn put(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, PutError> {
    let instead_of = if_match(&headers)?;
    let Draft { document, source } = Draft::read(request, &state).await?;
    let new = NewPolicy { name, document, source, instead_of };
    let effect = state.services.write_policy(&ctx, new).await?;
    Ok(done_or_asked(&state, &ctx, effect))
}

/// Retires a policy: a last revision says that it holds no more. Doing it again changes nothing. Where policies ask for
/// approval of that, people are asked first: 202, with the change request.
#[utoipa::path(delete, path = "/api/v1/policies/{name}", tag = "policy",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Policy), (status = 202, body = ChangeRequest), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
async fn retire(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let instead_of = if_match(&headers)?;
    let effect = state.services.retire_policy(&ctx, &name, instead_of.as_ref()).await?;
    Ok(done_or_asked(&state, &ctx, effect))
}

/// What is wrong with a draft.
#[derive(Serialize, ToSchema)]
struct Checked {
    /// Each problem with its place in the file; none when it can be put in force. Of JSON the place is the first line.
    problems: Vec<FileProblem>,
}

/// Checks a policy without putting it in force: YAML or JSON, as it would be put.
#[utoipa::path(post, path = "/api/v1/policies/validate", tag = "policy",
    request_body(content((PolicyDocument = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = Checked), (status = 400, body = Problem)))]
async fn validate(State(state): State<AppState>, request: Request) -> Result<Json<Checked>, ApiError> {
    let problems = match Draft::read(request, &state).await {
        Ok(_) => Vec::new(),
        Err(PutError::File(errors)) => errors.0,
        Err(PutError::Document(error)) => vec![FileProblem { line: 1, column: 1, message: error.message }],
        Err(PutError::Other(error)) => return Err(error),
    };
    Ok(Json(Checked { problems }))
}

/// What a draft would have decided on the last 50 promotions that it would hold for, given what their gates found and
/// people decided then. What was not evaluated then is not known, and said so. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/policies/{name}/simulation", tag = "policy", params(("name" = String, Path)),
    request_body(content((PolicyDocument = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = PolicySimulation), (status = 400, body = FileRefused)))]
async fn simulate(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<PolicySimulation>, PutError> {
    let draft = Draft::read(request, &state).await?;
    Ok(Json(state.services.simulate_policy(&ctx, &name, draft.document).await?))
}

/// The digest that a change is to take the place of, when one is named.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Digest>, Error> {
    let digest = headers.get(header::IF_MATCH).map(|value| {
        let text = value.to_str().unwrap_or_default().trim_matches('"');
        text.parse::<Digest>().map_err(|_| Error::invalid("Give the digest of a policy as If-Match, or leave it away."))
    });
    digest.transpose()
}

/// A policy as it was sent.
struct Draft {
    document: PolicyDocument,
    source: Option<String>,
}

impl Draft {
    /// Reads the body, as the YAML that it says to be, or as JSON.
    async fn read(request: Request, state: &AppState) -> Result<Self, PutError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().trim_start().to_ascii_lowercase();
        let is_yaml = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"]
            .iter()
            .any(|yaml| content_type.starts_with(yaml));
        let is_json = content_type
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json" || kind.trim().ends_with("+json"));
        if !is_yaml && !is_json {
            let message = "Send the policy as application/yaml or application/json, and say so in Content-Type.";
            return Err(Error::new(ErrorKind::UnsupportedMediaType, message).into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Error::invalid("The body could not be read to its end."),
        })?;
        if is_yaml {
            let source = String::from_utf8(bytes.into()).map_err(|error| {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
                Error::invalid_field(
                    "source",
                    format!("The file is not UTF-8 text: line {line} has bytes that are none."),
                )
            })?;
            let document = PolicyDocument::parse(&source).map_err(PutError::File)?;
            return Ok(Self { document, source: Some(source) });
        }
        let Object(document): Object<PolicyDocument> = serde_json::from_slice(&bytes).map_err(|error| {
            let reason: String = error.to_string().chars().take(300).collect();
            PutError::Document(Error::invalid(format!("The body does not fit: {reason}.")))
        })?;
        document.validate().map_err(PutError::Document)?;
        Ok(Self { document, source: None })
    }
}

/// Why a policy was not put in force.
enum PutError {
    /// Its file is wrong.
    File(FileErrors),
    /// Its document is.
    Document(Error),
    Other(ApiError),
}

impl<E: Into<Error>> From<E> for PutError {
    fn from(error: E) -> Self {
        Self::Other(error.into().into())
    }
}

impl IntoResponse for PutError {
    fn into_response(self) -> Response {
        let errors = match self {
            Self::Other(error) => return error.into_response(),
            Self::Document(error) => return ApiError(error).into_response(),
            Self::File(errors) => errors,
        };
        FileRefused::answer(Error::from(errors.clone()), errors.0)
    }
}
