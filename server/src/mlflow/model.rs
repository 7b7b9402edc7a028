//! Registered models and their aliases.

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
use domain::{model::Model, permission::Permission};
use serde_json::{Value, json};
use services::{Ctx, ModelSearch, NewModel};

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteRegistry);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/registered-models/create", write, create)
        .mlflow(Method::GET, "/2.0/mlflow/registered-models/get", read, get)
        .mlflow(Method::PATCH, "/2.0/mlflow/registered-models/update", write, update)
        .mlflow(Method::POST, "/2.0/mlflow/registered-models/rename", write, rename)
        .mlflow(Method::DELETE, "/2.0/mlflow/registered-models/delete", write, delete)
        .mlflow(Method::GET, "/2.0/mlflow/registered-models/search", read, search)
        .mlflow(Method::POST, "/2.0/mlflow/registered-models/get-latest-versions", read, latest_versions)
        .mlflow(Method::GET, "/2.0/mlflow/registered-models/get-latest-versions", read, latest_versions)
        .mlflow(Method::POST, "/2.0/mlflow/registered-models/set-tag", write, set_tag)
        .mlflow(Method::DELETE, "/2.0/mlflow/registered-models/delete-tag", write, delete_tag)
        .mlflow(Method::POST, "/2.0/mlflow/registered-models/alias", write, set_alias)
        .mlflow(Method::DELETE, "/2.0/mlflow/registered-models/alias", write, delete_alias)
        .mlflow(Method::GET, "/2.0/mlflow/registered-models/alias", read, version_by_alias)
}

/// The model as an answer, with the newest versions of its stages.
async fn registered(state: &AppState, ctx: &Ctx, model: &Model) -> Result<Json<Value>, MlflowError> {
    let latest = state.services.latest_versions(ctx, std::slice::from_ref(model)).await?;
    Ok(Json(json!({ "registered_model": answer::model(model, &latest) })))
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let new = NewModel {
        name: fields.required("name")?.to_owned(),
        description: fields.text_or_empty("description")?.to_owned(),
        tags: fields.pairs("tags")?,
    };
    let model = state.services.create_model(&ctx, new).await?;
    Ok(Json(json!({ "registered_model": answer::model(&model, &[]) })))
}

async fn get(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Json<Value>, MlflowError> {
    let model = state.services.model(&ctx, fields.model_name()?).await?;
    registered(&state, &ctx, &model).await
}

async fn update(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let description = fields.text_or_empty("description")?;
    let model = state.services.describe_model(&ctx, fields.model_name()?, description).await?;
    registered(&state, &ctx, &model).await
}

async fn rename(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let model = state.services.rename_model(&ctx, fields.model_name()?, fields.required("new_name")?).await?;
    registered(&state, &ctx, &model).await
}

async fn delete(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.delete_model(&ctx, fields.model_name()?).await?;
    Ok(done())
}

async fn search(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let order = fields.texts("order_by")?;
    let wanted = ModelSearch {
        filter: fields.text_or_empty("filter")?,
        order: &order,
        page_token: fields.page_token()?,
        limit: fields.max_results(100, 1000)?,
    };
    let page = state.services.search_models(&ctx, &wanted).await?;
    let latest = state.services.latest_versions(&ctx, &page.items).await?;
    let models: Vec<Value> = page.items.iter().map(|model| answer::model(model, &latest)).collect();
    Ok(Json(answer::page("registered_models", &models, page.next_page_token)).into_response())
}

async fn latest_versions(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let stages = fields.texts("stages")?;
    let stages = stages.iter().map(|stage| services::parse_stage(stage)).collect::<Result<Vec<_>, _>>()?;
    let model = state.services.model(&ctx, fields.model_name()?).await?;
    let latest = state.services.latest_versions(&ctx, &[model]).await?;
    let versions: Vec<Value> = latest
        .iter()
        .filter(|version| stages.is_empty() || stages.contains(&version.stage))
        .map(|version| answer::version(version, None))
        .collect();
    Ok(Json(answer::page("model_versions", &versions, None)).into_response())
}

async fn set_tag(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    let (name, key) = (fields.model_name()?, fields.required("key")?);
    state.services.set_model_tag(&ctx, name, key, fields.text_or_empty("value")?).await?;
    Ok(done())
}

async fn delete_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    state.services.delete_model_tag(&ctx, fields.model_name()?, fields.required("key")?).await?;
    Ok(done())
}

async fn set_alias(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    let (name, alias) = (fields.model_name()?, fields.required("alias")?);
    state.services.set_alias(&ctx, name, alias, fields.version()?).await?;
    Ok(done())
}

async fn delete_alias(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    state.services.delete_alias(&ctx, fields.model_name()?, fields.required("alias")?).await?;
    Ok(done())
}

async fn version_by_alias(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let version = state.services.version_by_alias(&ctx, fields.model_name()?, fields.required("alias")?).await?;
    Ok(Json(json!({ "model_version": answer::version(&version, None) })))
}
