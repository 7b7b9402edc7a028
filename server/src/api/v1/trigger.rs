//! Triggers that wait for the end of another pipeline's runs, or for versions of a data set. Those that wait for alerts are
//! set where monitors are.

use super::Listed;
use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    extract::{Body, Path},
    router::{Routes, operation},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    id::TriggerId,
    permission::Permission,
    pipeline_run::PipelineRunState,
    trigger::{Trigger, TriggerFiring},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use services::{NewPipelineTrigger, NewTriggerOn};
use utoipa::ToSchema;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes.api(run, operation!(set)).api(run, operation!(delete)).api(read, operation!(firings))
}

/// What a trigger waits for.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum On {
    /// The end of a run of another pipeline.
    Pipeline {
        /// The other pipeline.
        source: String,
        /// In one of these states: succeeded, failed, cancelled; succeeded when nothing is said.
        #[serde(default)]
        states: Vec<PipelineRunState>,
    },
    /// A new version of a data set, which need not be there yet.
    Dataset {
        /// The data set's name.
        dataset: String,
        /// Whether it starts only when the version has passed its checks, and as soon as it has.
        #[serde(default)]
        checked: bool,
    },
}

/// A trigger to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewStart {
    /// What it waits for.
    on: On,
    /// Params of its runs that shall not have their defaults.
    #[serde(default)]
    params: Map<String, Value>,
    /// Whether it fires.
    #[serde(default = "yes")]
    enabled: bool,
    /// The least time between two firings, in seconds.
    #[serde(default)]
    #[schema(minimum = 0)]
    cool_down_s: i32,
}

fn yes() -> bool {
    true
}

/// Lets the end of another pipeline's runs, or new versions of a data set, start a pipeline; changes the trigger of this
/// source when there is one. Pipelines that would start each other are refused.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/triggers", tag = "pipelines", params(("name" = String, Path)),
    request_body = NewStart,
    responses((status = 201, body = Trigger), (status = 200, body = Trigger, description = "It was there and is changed"),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn set(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(name): Path<String>,
    Body(new): Body<NewStart>,
) -> Result<(StatusCode, Json<Trigger>), ApiError> {
    let on = match new.on {
        On::Pipeline { source, states } => NewTriggerOn::Pipeline { source, states },
        On::Dataset { dataset, checked } => NewTriggerOn::Dataset { dataset, checked },
    };
    let new = NewPipelineTrigger {
        pipeline: name,
        on,
        params: new.params,
        enabled: new.enabled,
        cool_down_s: new.cool_down_s,
    };
    let (trigger, is_new) = state.services.set_pipeline_trigger(&ctx, new).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(trigger)))
}

/// Deletes a trigger that waits for no alert. The runs that it started stay.
#[utoipa::path(delete, path = "/api/v1/triggers/{id}", tag = "pipelines", params(("id" = TriggerId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<TriggerId>,
) -> Result<StatusCode, ApiError> {
    state.services.delete_pipeline_trigger(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The last fifty firings of a trigger that waits for no alert, latest first.
#[utoipa::path(get, path = "/api/v1/triggers/{id}/firings", tag = "pipelines", params(("id" = TriggerId, Path)),
    responses((status = 200, body = Listed<TriggerFiring>), (status = 404, body = Problem)))]
async fn firings(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<TriggerId>,
) -> Result<Json<Listed<TriggerFiring>>, ApiError> {
    Ok(Json(state.services.trigger_firings(&ctx, id).await?.into()))
}
