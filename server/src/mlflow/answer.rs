//! Objects as MLflow's clients read them: names in snake case, what is not set left out, times and steps as numbers,
//! not-a-number as a text.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{
    Error,
    artifact_root::{ArtifactOwner, ArtifactRoot},
    experiment::Experiment,
    id::RunId,
    logged_model::{LoggedModel, LoggedModelStatus},
    model::{Model, ModelVersion},
    run::{ArtifactEntry, DatasetInput, Metric, ModelLink, Run, RunInfo},
    series::Point,
    values::MetricValue,
    webhook::{Webhook, WebhookEvent},
};
use futures::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, future::Future};

/// An answer with nothing in it.
pub(super) type Empty = axum::Json<NoFields>;

/// `{}`
#[derive(Debug, Default, Serialize)]
pub(super) struct NoFields {}

/// The answer of an operation that only does something.
pub(super) fn done() -> Empty {
    axum::Json(NoFields {})
}

/// The header that names what was cut, by where it stands in the request.
const TRUNCATED: HeaderName = HeaderName::from_static("x-slipway-truncated");

/// An answer, with what was cut in a header: names with commas between them, or none.
pub(super) fn with_truncated(answer: impl IntoResponse, truncated: &str) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(truncated)
        && !truncated.is_empty()
    {
        response.headers_mut().insert(TRUNCATED, value);
    }
    response
}

/// A tag or parameter.
#[derive(Serialize)]
pub(super) struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<Pair<'_>> {
    map.iter().map(|(key, value)| Pair { key, value }).collect()
}

/// An experiment.
#[derive(Serialize)]
pub(super) struct WireExperiment<'a> {
    experiment_id: String,
    name: &'a str,
    artifact_location: String,
    lifecycle_stage: &'static str,
    last_update_time: i64,
    creation_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    workspace: &'a str,
}

impl<'a> WireExperiment<'a> {
    /// An experiment of the workspace of this slug.
    pub(super) fn new(experiment: &'a Experiment, workspace: &'a str) -> Self {
        Self {
            experiment_id: experiment.id.to_string(),
            name: &experiment.name,
            artifact_location: format!("mlflow-artifacts:/{}", experiment.id),
            lifecycle_stage: experiment.lifecycle_stage.as_str(),
            last_update_time: experiment.last_update_time,
            creation_time: experiment.creation_time,
            tags: pairs(&experiment.tags),
            workspace,
        }
    }
}

/// A run without what was logged.
#[derive(Serialize)]
pub(super) struct WireRunInfo<'a> {
    run_id: String,
    run_uuid: String,
    run_name: &'a str,
    experiment_id: String,
    user_id: &'a str,
    status: &'static str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: String,
    lifecycle_stage: &'static str,
}

impl<'a> From<&'a RunInfo> for WireRunInfo<'a> {
    fn from(info: &'a RunInfo) -> Self {
        let id = info.id.simple();
        let root = ArtifactRoot { experiment_id: info.experiment_id, owner: ArtifactOwner::Run(info.id) };
        Self {
            run_uuid: id.clone(),
            run_id: id,
            run_name: &info.name,
            experiment_id: info.experiment_id.to_string(),
            user_id: &info.user_name,
            status: info.status.as_str(),
            start_time: info.start_time,
            end_time: info.end_time,
            artifact_uri: root.uri(),
            lifecycle_stage: info.lifecycle_stage.as_str(),
        }
    }
}

/// A point of a metric.
#[derive(Serialize)]
pub(super) struct WireMetric<'a> {
    key: &'a str,
    value: Value,
    timestamp: i64,
    step: i64,
}

impl<'a> WireMetric<'a> {
    pub(super) fn new(key: &'a str, point: &Point) -> Self {
        Self { key, value: MetricValue::new(point.value).to_json(), timestamp: point.timestamp, step: point.step }
    }
}

impl<'a> From<&'a Metric> for WireMetric<'a> {
    fn from(metric: &'a Metric) -> Self {
        let Metric { key, value, timestamp, step } = metric;
        Self::new(key, &Point { value: *value, timestamp: *timestamp, step: *step })
    }
}

/// A point of a metric of one of several runs.
#[derive(Serialize)]
pub(super) struct WireRunMetric<'a> {
    #[serde(flatten)]
    metric: WireMetric<'a>,
    run_id: &'a str,
}

impl<'a> WireRunMetric<'a> {
    pub(super) fn new(run_id: &'a str, key: &'a str, point: &Point) -> Self {
        Self { metric: WireMetric::new(key, point), run_id }
    }
}

/// What was logged to a run.
#[derive(Serialize)]
pub(super) struct WireRunData<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<WireMetric<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
}

/// A data set.
#[derive(Serialize)]
pub(super) struct WireDataset<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

/// A data set that a run read.
#[derive(Serialize)]
pub(super) struct WireDatasetInput<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    dataset: WireDataset<'a>,
}

impl<'a> From<&'a DatasetInput> for WireDatasetInput<'a> {
    fn from(input: &'a DatasetInput) -> Self {
        Self {
            tags: pairs(&input.tags),
            dataset: WireDataset {
                name: &input.name,
                digest: &input.digest,
                source_type: &input.source_type,
                source: &input.source,
                schema: input.schema.as_deref(),
                profile: input.profile.as_deref(),
            },
        }
    }
}

/// A logged model that a run read or wrote.
#[derive(Serialize)]
pub(super) struct WireModelLink {
    model_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct WireInputs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<WireDatasetInput<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<WireModelLink>,
}

#[derive(Serialize)]
pub(super) struct WireOutputs {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<WireModelLink>,
}

/// A run.
#[derive(Serialize)]
pub(super) struct WireRun<'a> {
    info: WireRunInfo<'a>,
    data: WireRunData<'a>,
    inputs: WireInputs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<WireOutputs>,
}

impl<'a> WireRun<'a> {
    /// A run that was just made: of its outputs nothing is said.
    pub(super) fn new_one(run: &'a Run) -> Self {
        Self { outputs: None, ..run.into() }
    }
}

impl<'a> From<&'a Run> for WireRun<'a> {
    fn from(run: &'a Run) -> Self {
        let input = |link: &ModelLink| WireModelLink { model_id: link.model_id.wire(), step: None };
        let output = |link: &ModelLink| WireModelLink { model_id: link.model_id.wire(), step: Some(link.step) };
        Self {
            info: (&run.info).into(),
            data: WireRunData {
                metrics: run.metrics.iter().map(Into::into).collect(),
                params: pairs(&run.params),
                tags: pairs(&run.tags),
            },
            inputs: WireInputs {
                dataset_inputs: run.datasets.iter().map(Into::into).collect(),
                model_inputs: run.model_inputs.iter().map(input).collect(),
            },
            outputs: Some(WireOutputs { model_outputs: run.model_outputs.iter().map(output).collect() }),
        }
    }
}

/// A page of a list under its name, with the token of the next page when there is one.
pub(super) fn page<'a, T>(name: &'static str, items: &'a [T], next_page_token: Option<String>) -> Page<'a, T> {
    Page { name, items, next_page_token }
}

/// A page of a list.
pub(super) struct Page<'a, T> {
    name: &'static str,
    items: &'a [T],
    next_page_token: Option<String>,
}

impl<T: Serialize> Serialize for Page<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if !self.items.is_empty() {
            map.serialize_entry(self.name, self.items)?;
        }
        if let Some(token) = &self.next_page_token {
            map.serialize_entry("next_page_token", token)?;
        }
        map.end()
    }
}

/// A part of a list that is sent while it is read.
pub(super) struct Part {
    /// The items as JSON, with commas between.
    items: String,
    count: usize,
    /// The token of what comes after them.
    next: Option<String>,
}

impl Part {
    /// These items, and the token of those after them.
    pub(super) fn new<T: Serialize>(items: &[T], next: Option<String>) -> Result<Self, Error> {
        let json = serde_json::to_string(items).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            Error::internal()
        })?;
        Ok(Self { items: json[1..json.len() - 1].to_owned(), count: items.len(), next })
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A page that is too long to be in memory as a whole: it is sent part by part, `first` and then what `read` gives after a
/// token, of which it may be so many items. The page ends after `limit` items, with a token when there are more.
pub(super) fn in_parts<R, F>(name: &'static str, first: Part, limit: usize, read: R) -> Response
where
    R: Fn(String, usize) -> F + Send + 'static,
    F: Future<Output = Result<Part, Error>> + Send,
{
    let opening = format!("{{\"{name}\":[{}", first.items);
    let left = limit.saturating_sub(first.count);
    let rest = stream::try_unfold((Some(first.next), left, read), |(next, left, read)| async move {
        let text = match next {
            Some(Some(token)) if left > 0 => {
                let part = read(token, left).await?;
                let comma = if part.items.is_empty() { "" } else { "," };
                let state = (Some(part.next), left.saturating_sub(part.count), read);
                return Ok(Some((format!("{comma}{}", part.items), state)));
            }
            Some(Some(token)) => format!("],\"next_page_token\":{}}}", Value::from(token)),
            Some(None) => "]}".to_owned(),
            None => return Ok(None),
        };
        Ok::<_, Error>(Some((text, (None, 0, read))))
    });
    let body = Body::from_stream(stream::once(async move { Ok::<_, Error>(opening) }).chain(rest));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A file or folder; `path` is as the operation has it.
pub(super) fn file(entry: &ArtifactEntry, path: &str) -> Value {
    let mut file = json!({ "path": path, "is_dir": entry.is_dir });
    if let Some(size) = entry.size.filter(|size| *size > 0) {
        file["file_size"] = size.into();
    }
    file
}

/// A logged model.
pub(super) fn logged_model(model: &LoggedModel) -> Value {
    let status = match model.status {
        LoggedModelStatus::Pending => "LOGGED_MODEL_PENDING",
        LoggedModelStatus::Ready => "LOGGED_MODEL_READY",
        LoggedModelStatus::UploadFailed => "LOGGED_MODEL_UPLOAD_FAILED",
    };
    let root = ArtifactRoot { experiment_id: model.experiment_id, owner: ArtifactOwner::LoggedModel(model.id) };
    let metrics: Vec<Value> = model
        .metrics
        .iter()
        .map(|metric| {
            let mut point = json!({
                "key": metric.point.key,
                "value": MetricValue::new(metric.point.value).to_json(),
                "timestamp": metric.point.timestamp,
                "step": metric.point.step,
                "model_id": model.id.wire(),
                "run_id": metric.run_id.simple(),
            });
            set(&mut point, "dataset_name", &metric.dataset_name);
            set(&mut point, "dataset_digest", &metric.dataset_digest);
            point
        })
        .collect();
    let mut info = json!({
        "model_id": model.id.wire(),
        "experiment_id": model.experiment_id.to_string(),
        "name": model.name,
        "creation_timestamp_ms": model.creation_time,
        "last_updated_timestamp_ms": model.last_update_time,
        "artifact_uri": root.uri(),
        "status": status,
        "model_type": model.model_type,
        "source_run_id": model.source_run_id.as_ref().map(RunId::simple).unwrap_or_default(),
    });
    set(&mut info, "status_message", &model.status_message);
    let mut data = json!({});
    if !model.tags.is_empty() {
        info["tags"] = json!(pairs(&model.tags));
    }
    if !model.params.is_empty() {
        data["params"] = json!(pairs(&model.params));
    }
    if !metrics.is_empty() {
        data["metrics"] = metrics.into();
    }
    json!({ "info": info, "data": data })
}

/// A version of a registered model.
pub(super) fn version(version: &ModelVersion, run_link: Option<&str>) -> Value {
    let mut wire = json!({
        "name": version.model,
        "version": version.version.to_string(),
        "creation_timestamp": version.created_at.timestamp_millis(),
        "last_updated_timestamp": version.updated_at.timestamp_millis(),
        "current_stage": version.stage.as_str(),
        "source": version.source,
        "status": "READY",
        "description": version.description,
        "run_id": version.run_id.as_ref().map(RunId::simple).unwrap_or_default(),
        "run_link": run_link.unwrap_or_default(),
    });
    set(&mut wire, "model_id", &version.logged_model_id.map(|id| id.wire()).unwrap_or_default());
    if !version.tags.is_empty() {
        wire["tags"] = json!(pairs(&version.tags));
    }
    if !version.aliases.is_empty() {
        wire["aliases"] = json!(version.aliases);
    }
    wire
}

/// A webhook. Its secret is never answered.
pub(super) fn webhook(webhook: &Webhook) -> Value {
    let event = |event: &WebhookEvent| json!({ "entity": event.entity().to_uppercase(), "action": event.action().to_uppercase() });
    let mut wire = json!({
        "webhook_id": webhook.id.to_string(),
        "name": webhook.name,
        "url": webhook.url,
        // Of ours its client knows nothing, and would fail.
        "events": webhook.events.iter().filter(|event| event.is_of_mlflow()).map(event).collect::<Vec<_>>(),
        "status": webhook.status.as_str(),
        "creation_timestamp": webhook.created_at.timestamp_millis(),
        "last_updated_timestamp": webhook.updated_at.timestamp_millis(),
    });
    set(&mut wire, "description", &webhook.description);
    wire
}

/// A registered model. `latest` are the newest versions of its stages.
pub(super) fn model(model: &Model, latest: &[ModelVersion]) -> Value {
    let latest: Vec<Value> =
        latest.iter().filter(|version| version.model_id == model.id).map(|latest| version(latest, None)).collect();
    let mut wire = json!({
        "name": model.name,
        "creation_timestamp": model.created_at.timestamp_millis(),
        "last_updated_timestamp": model.updated_at.timestamp_millis(),
    });
    set(&mut wire, "description", &model.description);
    if !latest.is_empty() {
        wire["latest_versions"] = latest.into();
    }
    if !model.tags.is_empty() {
        wire["tags"] = json!(pairs(&model.tags));
    }
    if !model.aliases.is_empty() {
        let aliases =
            model.aliases.iter().map(|(alias, version)| json!({ "alias": alias, "version": version.to_string() }));
        wire["aliases"] = aliases.collect();
    }
    wire
}

/// Sets a text that is not empty.
fn set(object: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        object[key] = text.into();
    }
}
