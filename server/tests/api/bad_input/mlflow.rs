//! Fields of MLflow's API with strange values.

use super::{
    JSON, World,
    field::{brief, leaves, strange},
};
use serde_json::{Value, json};
use server::access::Route;
use std::collections::BTreeSet;

impl World {
    /// Right bodies of MLflow's operations.
    fn operations(&self) -> Vec<(&'static str, &'static str, Value)> {
        let (run, experiment, model) = (&self.run, &self.experiment, &self.model);
        let tags = json!([{ "key": "k", "value": "v" }]);
        let dataset =
            json!({ "name": "d", "digest": "1", "source_type": "s", "source": "s", "schema": "{}", "profile": "{}" });
        let metric = json!({
            "key": "loss", "value": 1, "timestamp": 1, "step": 1, "model_id": model, "dataset_name": "d", "dataset_digest": "1",
        });
        let mut logged = metric.clone();
        logged["run_id"] = json!(run);
        let search = |mut more: Value| {
            for (name, value) in [("filter", json!("")), ("page_token", json!("")), ("max_results", json!(5))] {
                more[name] = value;
            }
            more
        };
        let model_json =
            json!({ "artifact_path": "a", "flavors": {}, "utc_time_created": "t", "run_id": run }).to_string();
        let stage = json!({ "name": "churn", "version": "1", "stage": "Archived", "archive_existing_versions": true });
        vec![
            ("POST", "experiments/create", json!({ "name": "e", "artifact_location": "", "tags": tags })),
            ("POST", "experiments/search", search(json!({ "order_by": ["name"], "view_type": "ALL" }))),
            ("POST", "experiments/update", json!({ "experiment_id": experiment, "new_name": "wine2" })),
            (
                "POST",
                "experiments/set-experiment-tag",
                json!({ "experiment_id": experiment, "key": "k", "value": "v" }),
            ),
            ("POST", "experiments/delete-experiment-tag", json!({ "experiment_id": experiment, "key": "k" })),
            (
                "POST",
                "runs/create",
                json!({ "experiment_id": experiment, "user_id": "u", "run_name": "n", "start_time": 1, "tags": tags }),
            ),
            ("POST", "runs/update", json!({ "run_id": run, "status": "FINISHED", "end_time": 1, "run_name": "n" })),
            (
                "POST",
                "runs/search",
                search(
                    json!({ "experiment_ids": [experiment], "order_by": ["metrics.loss DESC"], "run_view_type": "ALL" }),
                ),
            ),
            ("POST", "runs/log-metric", logged),
            ("POST", "runs/log-parameter", json!({ "run_id": run, "key": "p", "value": "v" })),
            (
                "POST",
                "runs/log-batch",
                json!({ "run_id": run, "metrics": [metric], "params": [{ "key": "q", "value": "v" }], "tags": tags }),
            ),
            ("POST", "runs/set-tag", json!({ "run_id": run, "key": "k", "value": "v" })),
            ("POST", "runs/delete-tag", json!({ "run_id": run, "key": "k" })),
            (
                "POST",
                "runs/log-inputs",
                json!({ "run_id": run, "datasets": [{ "dataset": dataset, "tags": tags }], "models": [{ "model_id": model }] }),
            ),
            ("POST", "runs/outputs", json!({ "run_id": run, "models": [{ "model_id": model, "step": 1 }] })),
            ("POST", "runs/log-model", json!({ "run_id": run, "model_json": model_json })),
            (
                "POST",
                "logged-models",
                json!({
                    "experiment_id": experiment, "name": "m", "model_type": "t", "source_run_id": run, "params": tags, "tags": tags,
                }),
            ),
            (
                "POST",
                "logged-models/search",
                search(json!({
                    "experiment_ids": [experiment],
                    "datasets": [{ "dataset_name": "d", "dataset_digest": "1" }],
                    "order_by": [{ "field_name": "name", "ascending": true, "dataset_name": "d", "dataset_digest": "1" }],
                })),
            ),
            ("PATCH", "logged-models/{model}", json!({ "model_id": model, "status": "LOGGED_MODEL_READY" })),
            ("PATCH", "logged-models/{model}/tags", json!({ "tags": tags })),
            ("POST", "logged-models/{model}/params", json!({ "params": tags })),
            ("POST", "registered-models/create", json!({ "name": "other", "description": "d", "tags": tags })),
            ("PATCH", "registered-models/update", json!({ "name": "churn", "description": "d" })),
            ("POST", "registered-models/set-tag", json!({ "name": "churn", "key": "k", "value": "v" })),
            ("DELETE", "registered-models/delete-tag", json!({ "name": "churn", "key": "k" })),
            ("POST", "registered-models/alias", json!({ "name": "churn", "alias": "a", "version": "1" })),
            ("DELETE", "registered-models/alias", json!({ "name": "churn", "alias": "a" })),
            ("POST", "registered-models/get-latest-versions", json!({ "name": "churn", "stages": ["None"] })),
            (
                "POST",
                "model-versions/create",
                json!({
                    "name": "churn", "source": format!("runs:/{run}/model"), "run_id": run, "model_id": model, "run_link": "l",
                    "description": "d", "tags": tags,
                }),
            ),
            ("PATCH", "model-versions/update", json!({ "name": "churn", "version": "1", "description": "d" })),
            ("POST", "model-versions/transition-stage", stage),
            ("POST", "model-versions/set-tag", json!({ "name": "churn", "version": "1", "key": "k", "value": "v" })),
            ("DELETE", "model-versions/delete-tag", json!({ "name": "churn", "version": "1", "key": "k" })),
            (
                "POST",
                "webhooks",
                json!({
                    "name": "ci", "url": "https://1.1.1.1/hook", "description": "d", "secret": "s", "status": "ACTIVE",
                    "events": [{ "entity": "MODEL_VERSION", "action": "CREATED" }],
                }),
            ),
            ("POST", "comments/create", json!({ "name": "churn", "version": "1", "comment": "c" })),
            ("PATCH", "comments/update", json!({ "id": super::NOBODY, "comment": "c" })),
            ("DELETE", "comments/delete", json!({ "id": super::NOBODY })),
            (
                "POST",
                "transition-requests/create",
                json!({ "name": "churn", "version": "1", "stage": "Staging", "comment": "c" }),
            ),
            (
                "POST",
                "transition-requests/approve",
                json!({
                    "name": "churn", "version": "1", "stage": "Staging", "archive_existing_versions": true, "comment": "c",
                }),
            ),
            (
                "POST",
                "transition-requests/reject",
                json!({ "name": "churn", "version": "1", "stage": "Staging", "comment": "c" }),
            ),
            (
                "DELETE",
                "transition-requests/delete",
                json!({ "name": "churn", "version": "1", "stage": "Staging", "creator": "c" }),
            ),
            ("POST", "registered-models/rename", json!({ "name": "nobody", "new_name": "somebody" })),
        ]
    }
}

/// Fields that say nothing when they say something that nobody knows, as MLflow has it, or of which less is kept.
/// A data set counts only where a metric is asked for.
const LENIENT: [&str; 8] = [
    "/view_type",
    "/run_view_type",
    "/status",
    "/user_id",
    "/datasets/0/dataset_name",
    "/datasets/0/dataset_digest",
    "/order_by/0/dataset_name",
    "/order_by/0/dataset_digest",
];

#[tokio::test]
async fn a_field_of_mlflows_api_with_a_strange_value_is_refused() {
    let world = World::start().await;
    let (mut all, mut nul) = (Vec::new(), Vec::new());
    for (method, operation, right) in world.operations() {
        let path = format!("/api/2.0/mlflow/{}", operation.replace("{model}", &world.model));
        let is_it = |route: &&Route| {
            route.method == method
                && route.path == format!("/api/2.0/mlflow/{}", operation.replace("{model}", "{model_id}"))
        };
        let route = world.table.iter().find(is_it).unwrap_or_else(|| panic!("{method} {path} is no route"));
        let mut places = Vec::new();
        leaves(&right, String::new(), &mut places);
        places.extend(right.as_object().into_iter().flatten().map(|(name, _)| format!("/{name}")));
        for place in places.into_iter().collect::<BTreeSet<_>>() {
            for value in strange() {
                let mut body = right.clone();
                let is_text = right.pointer(&place).is_some_and(Value::is_string);
                *body.pointer_mut(&place).unwrap() = value.clone();
                let mut sent = world.sent(route, &path, Some(JSON), body.to_string()).unwrap();
                sent.what += &format!(" with {place} = {}", brief(&value));
                let is_nul = value == "a\0b" && is_text && !LENIENT.contains(&place.as_str());
                if is_nul { nul.push(sent) } else { all.push(sent) }
            }
        }
    }
    assert!(nul.len() > 80, "few texts are sent: {}", nul.len());
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}
