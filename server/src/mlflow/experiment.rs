//! Experiments.

use super::{
    MlflowError,
    answer::{self, Empty, WireExperiment, done},
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
use domain::permission::Permission;
use serde_json::{Value, json};
use services::{ExperimentSearch, NewExperiment};

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/experiments/create", write, create)
        .mlflow(Method::GET, "/2.0/mlflow/experiments/get", read, get)
        .mlflow(Method::GET, "/2.0/mlflow/experiments/get-by-name", read, get_by_name)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/search", read, search)
        .mlflow(Method::GET, "/2.0/mlflow/experiments/search", read, search)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/update", write, update)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/delete", write, delete)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/restore", write, restore)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/set-experiment-tag", write, set_tag)
        .mlflow(Method::POST, "/2.0/mlflow/experiments/delete-experiment-tag", write, delete_tag)
        .ajax(Method::POST, "/2.0/mlflow/experiments/search-datasets", read, search_datasets)
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let new = NewExperiment {
        name: fields.required("name")?.to_owned(),
        artifact_location: fields.text_or_empty("artifact_location")?.to_owned(),
        tags: fields.pairs("tags")?,
    };
    let experiment = state.services.create_experiment(&ctx, new).await?;
    Ok(Json(json!({ "experiment_id": experiment.id.to_string() })))
}

async fn get(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let experiment = state.services.experiment(&ctx, fields.experiment_id()?).await?;
    Ok(Json(json!({ "experiment": WireExperiment::new(&experiment, &ctx.workspace.slug) })).into_response())
}

async fn get_by_name(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let experiment = state.services.experiment_by_name(&ctx, fields.required("experiment_name")?).await?;
    Ok(Json(json!({ "experiment": WireExperiment::new(&experiment, &ctx.workspace.slug) })).into_response())
}

async fn search(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let order = fields.texts("order_by")?;
    let wanted = ExperimentSearch {
        view: fields.view("view_type")?,
        filter: fields.text_or_empty("filter")?,
        order: &order,
        page_token: fields.page_token()?,
        limit: fields.max_results(1000, 50_000)?,
    };
    let page = state.services.search_experiments(&ctx, &wanted).await?;
    let wire = |experiment| WireExperiment::new(experiment, &ctx.workspace.slug);
    let experiments: Vec<WireExperiment<'_>> = page.items.iter().map(wire).collect();
    Ok(Json(answer::page("experiments", &experiments, page.next_page_token)).into_response())
}

async fn update(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.rename_experiment(&ctx, fields.experiment_id()?, fields.required("new_name")?).await?;
    Ok(done())
}

async fn delete(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.delete_experiment(&ctx, fields.experiment_id()?).await?;
    Ok(done())
}

async fn restore(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.restore_experiment(&ctx, fields.experiment_id()?).await?;
    Ok(done())
}

async fn set_tag(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    let (id, key) = (fields.experiment_id()?, fields.required("key")?);
    state.services.set_experiment_tag(&ctx, id, key, fields.text_or_empty("value")?).await?;
    Ok(done())
}

async fn delete_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    state.services.delete_experiment_tag(&ctx, fields.experiment_id()?, fields.required("key")?).await?;
    Ok(done())
}

async fn search_datasets(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let found = state.services.search_datasets(&ctx, &fields.experiment_ids()?).await?;
    let summaries: Vec<Value> = found
        .iter()
        .map(|found| {
            let mut summary = json!({
                "experiment_id": found.experiment_id.to_string(), "name": found.name, "digest": found.digest,
            });
            if let Some(context) = &found.context {
                summary["context"] = context.as_str().into();
            }
            summary
        })
        .collect();
    Ok(Json(if summaries.is_empty() { json!({}) } else { json!({ "dataset_summaries": summaries }) }))
}
