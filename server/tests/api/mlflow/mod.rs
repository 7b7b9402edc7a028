//! MLflow's API, by raw requests. The real client is walked by `end2end/mlflow`.

mod artifact;
mod attack;
mod clients;
mod experiment;
mod history;
mod log;
mod logged_model;
mod registry;
mod run;
mod search;
mod transition;
mod upload;
mod webhook;
mod wire;
mod workspace;

use crate::app::{Answer, Client};
use serde_json::{Value, json};

/// What the modules here say over and over.
impl Client {
    /// Sends a POST below `/api/2.0/mlflow`.
    pub async fn ml(&self, operation: &str, body: Value) -> Answer {
        self.post(&format!("/api/2.0/mlflow/{operation}"), body).await
    }

    /// Sends a GET below `/api/2.0/mlflow`.
    pub async fn ml_get(&self, operation: &str) -> Answer {
        self.get(&format!("/api/2.0/mlflow/{operation}")).await
    }

    /// Makes an experiment and gives its id.
    pub async fn experiment(&self, name: &str) -> String {
        let made = self.ml("experiments/create", json!({ "name": name })).await.ok();
        made["experiment_id"].as_str().unwrap().to_owned()
    }

    /// Starts a run of an experiment and gives its id.
    pub async fn run(&self, experiment: &str) -> String {
        let new = json!({ "experiment_id": experiment, "start_time": 1_700_000_000_000_i64, "user_id": "ada" });
        let made = self.ml("runs/create", new).await.ok();
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    /// The run as the client reads it.
    pub async fn read_run(&self, id: &str) -> Value {
        self.ml_get(&format!("runs/get?run_id={id}")).await.ok()["run"].clone()
    }

    /// Makes a registered model.
    pub async fn model(&self, name: &str) {
        self.ml("registered-models/create", json!({ "name": name })).await.ok();
    }

    /// Registers a version from a source and gives its number.
    pub async fn version(&self, model: &str, source: &str) -> String {
        let made = self.ml("model-versions/create", version_of(model, source)).await.ok();
        made["model_version"]["version"].as_str().unwrap().to_owned()
    }

    /// Registers a version that has no files and gives its number.
    pub async fn empty_version(&self, model: &str) -> String {
        let run = self.run("0").await;
        self.version(model, &format!("runs:/{run}/nothing")).await
    }

    /// Uploads a file and gives the answer.
    pub async fn upload(&self, path: &str, content: &[u8]) -> Answer {
        let request = self.request(axum::http::Method::PUT, &format!("/api/2.0/mlflow-artifacts/artifacts/{path}"));
        self.send(request.body(axum::body::Body::from(content.to_vec())).unwrap()).await
    }

    /// Downloads a file.
    pub async fn download(&self, path: &str) -> Answer {
        self.get(&format!("/api/2.0/mlflow-artifacts/artifacts/{path}")).await
    }
}

/// A version to be registered, with the run or logged model that its source lies in, as clients name it.
pub fn version_of(model: &str, source: &str) -> Value {
    let mut new = json!({ "name": model, "source": source });
    let (scheme, path) = source.split_once(":/").unwrap_or_default();
    let part = |at: usize| path.split('/').nth(at).unwrap_or_default();
    match (scheme, part(0), part(1)) {
        ("runs", run, _) => new["run_id"] = run.into(),
        ("models", model, _) if model.starts_with("m-") => new["model_id"] = model.into(),
        ("mlflow-artifacts", experiment, "models") if experiment != "versions" => new["model_id"] = part(2).into(),
        ("mlflow-artifacts", experiment, run) if experiment != "versions" => new["run_id"] = run.into(),
        _ => {}
    }
    new
}

/// The value of a key among `[{key, value}]`.
fn of<'a>(pairs: &'a Value, key: &str) -> &'a Value {
    let found = pairs.as_array().into_iter().flatten().find(|pair| pair["key"] == key);
    found.map_or(&Value::Null, |pair| &pair["value"])
}

/// The names at a path of each item: `names(&answer["runs"], "/info/run_name")`.
fn names(list: &Value, pointer: &str) -> Vec<String> {
    let items = list.as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
}

/// A text as a query has it.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
