//! Versions of registered models.

use super::{
    MlflowError,
    answer::{self, Empty, done},
    fields::Fields,
};
use crate::{
    access::{Access, Context},
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::Method,
    response::{IntoResponse, Response},
};
use domain::{
    artifact_root::{Lineage, ModelSource},
    model::{ModelVersion, PROMPT_TAG},
    permission::Permission,
};
use serde_json::{Value, json};
use services::{NewModelVersion, VersionSearch};

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteRegistry);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/model-versions/create", write, create)
        .mlflow(Method::GET, "/2.0/mlflow/model-versions/get", read, get)
        .mlflow(Method::PATCH, "/2.0/mlflow/model-versions/update", write, update)
        .mlflow(Method::DELETE, "/2.0/mlflow/model-versions/delete", write, delete)
        .mlflow(Method::GET, "/2.0/mlflow/model-versions/search", read, search)
        .mlflow(Method::GET, "/2.0/mlflow/model-versions/get-download-uri", read, download_uri)
        .mlflow(Method::POST, "/2.0/mlflow/model-versions/transition-stage", write, transition)
        .mlflow(Method::POST, "/2.0/mlflow/model-versions/set-tag", write, set_tag)
        .mlflow(Method::DELETE, "/2.0/mlflow/model-versions/delete-tag", write, delete_tag)
}

/// The most versions of one page. Clients may ask for more and then get a token of the next page.
const MAX_PAGE: usize = 10_000;

/// The version as an answer.
async fn registered(state: &AppState, version: &ModelVersion) -> Result<Json<Value>, MlflowError> {
    let links = state.services.version_run_links(std::slice::from_ref(version)).await?;
    let link = links.get(&version.id).map(String::as_str);
    Ok(Json(json!({ "model_version": answer::version(version, link) })))
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let new = NewModelVersion {
        model: fields.required("name")?.to_owned(),
        source: fields.required("source")?.to_owned(),
        run_id: fields.optional_run("run_id")?,
        logged_model_id: fields.optional_logged_model("model_id")?,
        run_link: fields.text_or_empty("run_link")?.to_owned(),
        description: fields.text_or_empty("description")?.to_owned(),
        tags: fields.pairs("tags")?,
    };
    // Of a tag that stands there twice the last counts, here as when it is kept.
    let prompt_tag = new.tags.iter().rfind(|(key, _)| key == PROMPT_TAG);
    let lineage = Lineage {
        run_id: new.run_id,
        model_id: new.logged_model_id,
        is_prompt: prompt_tag.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")),
    };
    lineage.check(&ModelSource::parse(&new.source)?, &new.source)?;
    let version = state.services.create_model_version(&ctx, new).await?;
    registered(&state, &version).await
}

async fn get(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Json<Value>, MlflowError> {
    let version = state.services.model_version(&ctx, fields.model_name()?, fields.version()?).await?;
    registered(&state, &version).await
}

async fn update(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (name, version) = (fields.model_name()?, fields.version()?);
    let description = fields.text_or_empty("description")?;
    let version = state.services.describe_version(&ctx, name, version, description).await?;
    registered(&state, &version).await
}

async fn delete(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.delete_model_version(&ctx, fields.model_name()?, fields.version()?).await?;
    Ok(done())
}

async fn search(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let order = fields.texts("order_by")?;
    let wanted = VersionSearch {
        filter: fields.text_or_empty("filter")?,
        order: &order,
        page_token: fields.page_token()?,
        limit: fields.max_results(MAX_PAGE, 200_000)?.min(MAX_PAGE),
    };
    let page = state.services.search_model_versions(&ctx, &wanted).await?;
    let links = state.services.version_run_links(&page.items).await?;
    let link = |version: &ModelVersion| links.get(&version.id).map(String::as_str);
    let versions: Vec<Value> = page.items.iter().map(|version| answer::version(version, link(version))).collect();
    Ok(Json(answer::page("model_versions", &versions, page.next_page_token)).into_response())
}

async fn download_uri(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let uri = state.services.version_download_uri(&ctx, fields.model_name()?, fields.version()?).await?;
    Ok(Json(json!({ "artifact_uri": uri })))
}

async fn transition(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (name, version, stage) = (fields.model_name()?, fields.version()?, fields.required("stage")?);
    let archive_others = fields.boolean("archive_existing_versions")?.unwrap_or(false);
    let version = state.services.move_to_stage(&ctx, name, version, stage, archive_others).await?;
    registered(&state, &version).await
}

async fn set_tag(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    let (name, version, key) = (fields.model_name()?, fields.version()?, fields.required("key")?);
    state.services.set_version_tag(&ctx, name, version, key, fields.text_or_empty("value")?).await?;
    Ok(done())
}

async fn delete_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    let (name, version, key) = (fields.model_name()?, fields.version()?, fields.required("key")?);
    state.services.delete_version_tag(&ctx, name, version, key).await?;
    Ok(done())
}
