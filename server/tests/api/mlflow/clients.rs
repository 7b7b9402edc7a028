//! Requests in the shapes of the clients for R and Java, which cannot be run here.

use super::of;
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

/// R's client sends every value as a text, large numbers with an exponent, and the run by both of its names.
#[tokio::test]
async fn a_run_is_logged_as_from_r() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("from R").await;
    let new = json!({
        "experiment_id": experiment, "user_id": "unknown", "start_time": "1.7e+12",
        "tags": [{ "key": "mlflow.source.type", "value": "LOCAL" }],
    });
    let run = ada.ml("runs/create", new).await.ok()["run"]["info"]["run_uuid"].as_str().unwrap().to_owned();
    for (value, timestamp, step) in
        [("0.5", "1700000000001", "0"), ("NaN", "1.70000000001e+12", "1"), ("-Infinity", "1.7e+12", "2")]
    {
        let point = json!({ "run_uuid": run, "run_id": run, "key": "loss", "value": value, "timestamp": timestamp, "step": step });
        ada.ml("runs/log-metric", point).await.ok();
    }
    let param = json!({ "run_uuid": run, "run_id": run, "key": "depth", "value": "3" });
    ada.ml("runs/log-parameter", param.clone()).await.ok();
    ada.ml("runs/set-tag", param).await.ok();
    let frame = json!([{ "key": "acc", "value": "0.25", "step": "3", "timestamp": "1.7e+12" }]);
    ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": frame, "params": [], "tags": [] })).await.ok();
    let end = json!({ "run_uuid": run, "run_id": run, "status": "FINISHED", "end_time": "1.7e+12" });
    ada.ml("runs/update", end).await.ok();

    let read = ada.ml_get(&format!("runs/get?run_uuid={run}&run_id={run}")).await.ok()["run"].clone();
    assert_eq!(
        (&read["info"]["status"], &read["info"]["start_time"], &read["info"]["end_time"]),
        (&json!("FINISHED"), &json!(1_700_000_000_000_i64), &json!(1_700_000_000_000_i64))
    );
    assert_eq!(of(&read["data"]["metrics"], "acc"), 0.25);
    let history = ada.ml_get(&format!("metrics/get-history?run_uuid={run}&run_id={run}&metric_key=loss")).await.ok();
    let times: Vec<_> = history["metrics"].as_array().unwrap().iter().map(|point| &point["timestamp"]).collect();
    assert_eq!(times, [1_700_000_000_000_i64, 1_700_000_000_001, 1_700_000_000_010]);
    ada.ml_get(&format!("artifacts/list?run_uuid={run}&run_id={run}")).await.ok();
    let search = json!({ "experiment_ids": [experiment], "run_view_type": "ACTIVE_ONLY", "order_by": [] });
    assert_eq!(ada.ml("runs/search", search).await.ok()["runs"][0]["info"]["run_id"], run);
    for operation in ["experiments/search", "registered-models/get-latest-versions"] {
        ada.model(&format!("of {}", operation.len())).await;
        let body = json!({ "max_results": "10", "name": format!("of {}", operation.len()), "view_type": "ALL" });
        ada.ml(operation, body).await.ok();
    }
    ada.ml("runs/delete", json!({ "run_id": run })).await.ok();
    ada.ml("runs/restore", json!({ "run_id": run })).await.ok();
}

/// Java's client writes messages as JSON with the names of the protocol: long numbers are texts, and so is not-a-number.
#[tokio::test]
async fn a_run_is_logged_as_from_java() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let made = ada.ml("experiments/create", json!({ "name": "from Java" })).await.ok();
    let experiment = made["experiment_id"].as_str().unwrap();
    let new =
        json!({ "experiment_id": experiment, "user_id": "ada", "start_time": "1700000000000", "run_name": "one" });
    let run = ada.ml("runs/create", new).await.ok()["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let metric = json!({
        "run_uuid": run, "run_id": run, "key": "loss", "value": "NaN", "timestamp": "1700000000000", "step": "-1",
    });
    ada.ml("runs/log-metric", metric).await.ok();
    let batch = json!({
        "run_id": run,
        "metrics": [{ "key": "acc", "value": 0.5, "timestamp": "1700000000000", "step": "9007199254740993" }],
        "params": [{ "key": "depth", "value": "3" }],
        "tags": [{ "key": "team", "value": "cellar" }],
    });
    ada.ml("runs/log-batch", batch).await.ok();
    ada.ml("runs/update", json!({ "run_uuid": run, "run_id": run, "status": "KILLED", "end_time": "1700000000005" }))
        .await
        .ok();
    let read = ada.read_run(&run).await;
    assert_eq!((&read["info"]["status"], &read["info"]["end_time"]), (&json!("KILLED"), &json!(1_700_000_000_005_i64)));
    let history = ada.ml_get(&format!("metrics/get-history?run_uuid={run}&run_id={run}&metric_key=acc")).await.ok();
    assert_eq!(history["metrics"][0]["step"], 9_007_199_254_740_993_i64, "no digit is lost");
    let search = json!({
        "experiment_ids": [experiment], "filter": "", "run_view_type": "ACTIVE_ONLY", "max_results": 1000, "order_by": [],
    });
    assert_eq!(ada.ml("runs/search", search).await.ok()["runs"][0]["info"]["run_id"], run);
    ada.model("java model").await;
    let version = json!({ "name": "java model", "run_id": run, "source": format!("runs:/{run}/model") });
    ada.ml("model-versions/create", version).await.ok();
    let stage = json!({ "name": "java model", "version": "1", "stage": "Archived" });
    ada.ml("model-versions/transition-stage", stage).await.ok();
    let latest =
        ada.ml_get("registered-models/get-latest-versions?name=java%20model&stages=Archived&stages=None").await.ok();
    assert_eq!(latest["model_versions"][0]["version"], "1");
    ada.ml_get("model-versions/get-download-uri?name=java%20model&version=1").await.ok();
    let found = ada.ml_get("model-versions/search?filter=name%3D%27java%20model%27").await.ok();
    assert_eq!(found["model_versions"][0]["current_stage"], "Archived");
}
