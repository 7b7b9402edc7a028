//! Runs, and what is logged to them.

use super::{
    MlflowError,
    answer::{self, Empty, Part, WireRun, WireRunInfo, done},
    fields::{Fields, logged_model_id},
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
    Error, Page,
    log_batch::{self, LogBatch, RawMetric},
    permission::Permission,
    run::{DatasetInput, ModelLink, Run, RunModel},
};
use serde_json::{Value, json};
use services::{Ctx, NewExperimentRun, RunChange, RunSearch, Services};
use std::sync::Arc;

/// The most runs that are in memory at once, with all that was logged to them, however many are asked for.
const RUNS: usize = 1000;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/runs/create", write, create)
        .mlflow(Method::GET, "/2.0/mlflow/runs/get", read, get)
        .mlflow(Method::POST, "/2.0/mlflow/runs/update", write, update)
        .mlflow(Method::POST, "/2.0/mlflow/runs/delete", write, delete)
        .mlflow(Method::POST, "/2.0/mlflow/runs/restore", write, restore)
        .mlflow(Method::POST, "/2.0/mlflow/runs/search", read, search)
        .mlflow(Method::POST, "/2.0/mlflow/runs/log-metric", write, log_metric)
        .mlflow(Method::POST, "/2.0/mlflow/runs/log-parameter", write, log_param)
        .mlflow(Method::POST, "/2.0/mlflow/runs/log-batch", write, log_batch)
        .mlflow(Method::POST, "/2.0/mlflow/runs/set-tag", write, set_tag)
        .mlflow(Method::POST, "/2.0/mlflow/runs/delete-tag", write, delete_tag)
        .mlflow(Method::POST, "/2.0/mlflow/runs/log-inputs", write, log_inputs)
        .mlflow(Method::POST, "/2.0/mlflow/runs/outputs", write, log_outputs)
        .mlflow(Method::POST, "/2.0/mlflow/runs/log-model", write, log_model)
}

async fn create(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let new = NewExperimentRun {
        experiment_id: fields.optional_experiment("experiment_id")?.unwrap_or_default(),
        user_name: fields.text_or_empty("user_id")?.to_owned(),
        name: fields.text_or_empty("run_name")?.to_owned(),
        start_time: fields.integer("start_time")?.unwrap_or_default(),
        tags: fields.pairs("tags")?,
    };
    let (run, truncated) = state.services.create_run(&ctx, new).await?;
    Ok(answer::with_truncated(Json(json!({ "run": WireRun::new_one(&run) })), &truncated.join(",")))
}

async fn get(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let run = state.services.run(&ctx, fields.run_id()?).await?;
    Ok(Json(json!({ "run": WireRun::from(&*run) })).into_response())
}

async fn update(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let change = RunChange {
        status: fields.run_status()?,
        end_time: fields.integer("end_time")?,
        name: fields.text("run_name")?.map(ToOwned::to_owned),
    };
    let info = state.services.update_run(&ctx, fields.run_id()?, change).await?;
    Ok(Json(json!({ "run_info": WireRunInfo::from(&info) })).into_response())
}

async fn delete(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.delete_run(&ctx, fields.only_run_id()?).await?;
    Ok(done())
}

async fn restore(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.restore_run(&ctx, fields.only_run_id()?).await?;
    Ok(done())
}

async fn search(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Response, MlflowError> {
    let limit = fields.max_results(1000, 50_000)?;
    let page = found(&state.services, &ctx, &fields, fields.page_token()?, limit).await?;
    let runs: Vec<WireRun<'_>> = page.items.iter().map(|run| WireRun::from(&**run)).collect();
    if page.next_page_token.is_none() || limit <= RUNS {
        return Ok(Json(answer::page("runs", &runs, page.next_page_token)).into_response());
    }
    let first = Part::new(&runs, page.next_page_token)?;
    let (services, fields) = (state.services, Arc::new(fields));
    Ok(answer::in_parts("runs", first, limit, move |token, left| {
        let (services, ctx, fields) = (services.clone(), ctx.clone(), Arc::clone(&fields));
        async move {
            let page = found(&services, &ctx, &fields, Some(&token), left).await?;
            Part::new(&page.items.iter().map(|run| WireRun::from(&**run)).collect::<Vec<_>>(), page.next_page_token)
        }
    }))
}

/// The runs that a search asks for, from a token on: as many as may be in memory.
async fn found(
    services: &Services,
    ctx: &Ctx,
    fields: &Fields,
    page_token: Option<&str>,
    limit: usize,
) -> Result<Page<Arc<Run>>, Error> {
    let order = fields.texts("order_by")?;
    let wanted = RunSearch {
        experiments: fields.experiment_ids()?,
        view: fields.view("run_view_type")?,
        filter: fields.text_or_empty("filter")?,
        order: &order,
        page_token,
        limit: limit.min(RUNS),
    };
    services.search_runs(ctx, &wanted).await
}

/// A metric in a request; `path` is where it stands: empty, or `metrics[3]`.
fn metric(fields: &Fields, path: &str) -> Result<RawMetric, Error> {
    let at = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    Ok(RawMetric {
        key: fields.text_or_empty("key")?.to_owned(),
        value: fields.metric_value("value", &at("value"))?,
        timestamp: fields.required_integer("timestamp", &at("timestamp"))?,
        step: fields.integer("step")?.unwrap_or_default(),
        model_id: fields.optional_logged_model("model_id")?,
        dataset_name: fields.text_or_empty("dataset_name")?.to_owned(),
        dataset_digest: fields.text_or_empty("dataset_digest")?.to_owned(),
    })
}

async fn log_metric(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    fields.required("key")?;
    let (id, metric) = (fields.run_id()?, metric(&fields, "")?);
    if metric.dataset_name.is_empty() != metric.dataset_digest.is_empty() {
        let message = "Both dataset_name and dataset_digest must be provided if one is provided";
        return Err(Error::invalid_field("dataset_name", message).into());
    }
    state.services.log_metric(&ctx, id, &metric).await?;
    Ok(done())
}

async fn log_param(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let (id, key, value) = (fields.run_id()?, fields.required("key")?, fields.text_or_empty("value")?);
    let was_truncated = state.services.log_param(&ctx, id, key, value).await?;
    Ok(answer::with_truncated(done(), if was_truncated { "value" } else { "" }))
}

async fn log_batch(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let id = fields.well_formed_run_id()?;
    let (metrics, params, tags) = (fields.objects("metrics")?, fields.pairs("params")?, fields.pairs("tags")?);
    log_batch::check_counts(metrics.len(), params.len(), tags.len())?;
    let metric = |(index, fields): (usize, &Fields)| metric(fields, &format!("metrics[{index}]"));
    let metrics: Vec<RawMetric> = metrics.iter().enumerate().map(metric).collect::<Result<_, Error>>()?;
    let batch = LogBatch::parse(&metrics, &params, &tags)?;
    state.services.log_batch(&ctx, id, &batch).await?;
    Ok(answer::with_truncated(done(), &batch.truncated.join(",")))
}

async fn set_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let (id, key, value) = (fields.run_id()?, fields.required("key")?, fields.text_or_empty("value")?);
    let was_truncated = state.services.set_run_tag(&ctx, id, key, value).await?;
    Ok(answer::with_truncated(done(), if was_truncated { "value" } else { "" }))
}

async fn delete_tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    state.services.delete_run_tag(&ctx, fields.only_run_id()?, fields.required("key")?).await?;
    Ok(done())
}

async fn log_inputs(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    let id = fields.well_formed_run_id()?;
    let dataset = |input: Fields| -> Result<DatasetInput, Error> {
        let dataset = input.object("dataset")?.unwrap_or_default();
        let text = |name: &str| dataset.text_or_empty(name).map(ToOwned::to_owned);
        Ok(DatasetInput {
            name: text("name")?,
            digest: text("digest")?,
            source_type: text("source_type")?,
            source: text("source")?,
            schema: dataset.text("schema")?.map(ToOwned::to_owned),
            profile: dataset.text("profile")?.map(ToOwned::to_owned),
            tags: input.pairs("tags")?.into_iter().collect(),
        })
    };
    let datasets = fields.objects("datasets")?.into_iter().map(dataset).collect::<Result<_, Error>>()?;
    let models: Vec<_> = fields
        .objects("models")?
        .iter()
        .map(|model| logged_model_id(model.required("model_id")?))
        .collect::<Result<_, Error>>()?;
    state.services.log_inputs(&ctx, id, datasets, &models).await?;
    Ok(done())
}

async fn log_outputs(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    let id = fields.only_run_id()?;
    fields.require("models")?;
    let link = |model: &Fields| -> Result<ModelLink, Error> {
        let model_id = logged_model_id(model.required("model_id")?)?;
        Ok(ModelLink { model_id, step: model.integer("step")?.unwrap_or_default() })
    };
    let models: Vec<ModelLink> = fields.objects("models")?.iter().map(link).collect::<Result<_, Error>>()?;
    state.services.log_outputs(&ctx, id, &models).await?;
    Ok(done())
}

async fn log_model(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    let id = fields.only_run_id()?;
    let model: Value = serde_json::from_str(fields.required("model_json")?)
        .map_err(|_| Error::invalid_field("model_json", "Malformed model info: it is no valid JSON."))?;
    state.services.log_run_model(&ctx, id, RunModel::read(&model)?).await?;
    Ok(done())
}
