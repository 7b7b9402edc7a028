//! Logged models: models as runs wrote them.

use super::{
    MlflowError,
    answer::{self, Empty, done},
    artifact,
    fields::{Fields, logged_model_id},
};
use crate::{
    access::{Access, Context, Surface},
    download,
    extract::Path,
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use domain::{
    Error,
    permission::Permission,
    search::{DatasetRef, LoggedModelOrderField},
};
use serde_json::{Value, json};
use services::{FilesOf, LoggedModelSearch, NewLoggedModel};

/// The most models of one page. More may be asked for, as MLflow has no limit; the rest is on the next pages.
const MAX_PAGE: usize = 10_000;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/logged-models", write, create)
        .mlflow(Method::POST, "/2.0/mlflow/logged-models/search", read, search)
        .mlflow(Method::GET, "/2.0/mlflow/logged-models/{model_id}", read, get)
        .mlflow(Method::PATCH, "/2.0/mlflow/logged-models/{model_id}", write, finalize)
        .mlflow(Method::DELETE, "/2.0/mlflow/logged-models/{model_id}", write, delete)
        .mlflow(Method::PATCH, "/2.0/mlflow/logged-models/{model_id}/tags", write, set_tags)
        .mlflow(Method::DELETE, "/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", write, delete_tag)
        .mlflow(Method::POST, "/2.0/mlflow/logged-models/{model_id}/params", write, log_params)
        .mlflow(Method::GET, "/2.0/mlflow/logged-models/{model_id}/artifacts/directories", read, list_artifacts)
        .ajax(Method::GET, "/2.0/mlflow/logged-models/{model_id}/artifacts/files", read, get_artifact)
}

async fn create(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let new = NewLoggedModel {
        experiment_id: fields.experiment_id()?,
        name: fields.text("name")?.map(ToOwned::to_owned),
        model_type: fields.text_or_empty("model_type")?.to_owned(),
        source_run_id: fields.optional_run("source_run_id")?,
        params: fields.pairs("params")?,
        tags: fields.pairs("tags")?,
    };
    let (model, truncated) = state.services.create_logged_model(&ctx, new).await?;
    Ok(answer::with_truncated(Json(json!({ "model": answer::logged_model(&model) })), &truncated.join(",")))
}

async fn search(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let experiments = fields.experiment_ids()?;
    fields.require("experiment_ids")?;
    let text = |fields: &Fields, name: &str| fields.text(name).map(|text| text.map(ToOwned::to_owned));
    let mut datasets = Vec::new();
    for dataset in fields.objects("datasets")? {
        dataset.required("dataset_name")?;
        datasets.extend(DatasetRef::new(text(&dataset, "dataset_name")?, text(&dataset, "dataset_digest")?)?);
    }
    let mut order = Vec::new();
    for entry in fields.objects("order_by")? {
        order.push(LoggedModelOrderField {
            field_name: entry.required("field_name")?.to_owned(),
            ascending: entry.boolean("ascending")?.unwrap_or(true),
            dataset_name: text(&entry, "dataset_name")?,
            dataset_digest: text(&entry, "dataset_digest")?,
        });
    }
    let wanted = LoggedModelSearch {
        experiments,
        filter: fields.text_or_empty("filter")?,
        datasets,
        order,
        page_token: fields.page_token()?,
        limit: fields.max_results(50, i32::MAX as usize)?.min(MAX_PAGE),
    };
    let page = state.services.search_logged_models(&ctx, &wanted).await?;
    let models: Vec<Value> = page.items.iter().map(answer::logged_model).collect();
    Ok(Json(answer::page("models", &models, page.next_page_token)).into_response())
}

async fn get(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let allow_deleted = fields.boolean("allow_deleted")?.unwrap_or(false);
    let model = state.services.logged_model(&ctx, logged_model_id(&id)?, allow_deleted).await?;
    Ok(Json(json!({ "model": answer::logged_model(&model) })))
}

async fn finalize(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    if fields.text("model_id")?.is_some_and(|given| given != id) {
        return Err(Error::invalid_field("model_id", "The model_id of the body is not the one of the address.").into());
    }
    let status = fields.logged_model_status()?;
    let model = state.services.finalize_logged_model(&ctx, logged_model_id(&id)?, status).await?;
    Ok(Json(json!({ "model": answer::logged_model(&model) })))
}

async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
) -> Result<Empty, MlflowError> {
    state.services.delete_logged_model(&ctx, logged_model_id(&id)?).await?;
    Ok(done())
}

async fn set_tags(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    state.services.set_logged_model_tags(&ctx, logged_model_id(&id)?, &fields.pairs("tags")?).await?;
    Ok(done())
}

async fn delete_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((id, key)): Path<(String, String)>,
) -> Result<Empty, MlflowError> {
    state.services.delete_logged_model_tag(&ctx, logged_model_id(&id)?, &key).await?;
    Ok(done())
}

async fn log_params(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let id = logged_model_id(&id)?;
    let truncated = state.services.log_logged_model_params(&ctx, id, &fields.pairs("params")?).await?;
    Ok(answer::with_truncated(done(), &truncated.join(",")))
}

async fn list_artifacts(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let folder = fields.text_or_empty("artifact_directory_path")?;
    let (root, entries) = state.services.logged_model_artifacts(&ctx, logged_model_id(&id)?, folder).await?;
    Ok(Json(artifact::listing(root, &entries)))
}

async fn get_artifact(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<String>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let path = fields.required("artifact_file_path")?;
    let artifact = state.services.artifact_of(&ctx, &FilesOf::LoggedModel(logged_model_id(&id)?), path).await?;
    Ok(download::send(&state, Surface::Mlflow, &artifact, &headers).await?)
}
