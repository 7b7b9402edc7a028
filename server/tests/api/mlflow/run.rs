//! Runs: made, read, changed, put away.

use super::of;
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn a_run_starts_with_what_the_client_says() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let new = json!({
        "experiment_id": experiment, "start_time": "1700000000000", "user_id": "ada", "run_name": "first",
        "tags": [{ "key": "mlflow.source.name", "value": "train.py" }],
    });
    let run = ada.ml("runs/create", new).await.ok()["run"].clone();
    let info = &run["info"];
    let id = info["run_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(info["run_uuid"], id);
    assert_eq!(info["artifact_uri"], format!("mlflow-artifacts:/{experiment}/{id}/artifacts"));
    assert_eq!(
        (&info["status"], &info["start_time"], &info["user_id"], &info["run_name"], &info["lifecycle_stage"]),
        (&json!("RUNNING"), &json!(1_700_000_000_000_i64), &json!("ada"), &json!("first"), &json!("active"))
    );
    assert!(info.get("end_time").is_none());
    assert_eq!(of(&run["data"]["tags"], "mlflow.runName"), "first");
    assert_eq!(of(&run["data"]["tags"], "mlflow.source.name"), "train.py");
    let mut read = ada.read_run(id).await;
    // What it wrote is told of a run that is read, and not of one that begins.
    assert_eq!(read.as_object_mut().unwrap().remove("outputs"), Some(json!({})));
    assert_eq!(read, run);
}

#[tokio::test]
async fn a_run_without_a_name_gets_one() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.ml("runs/create", json!({})).await.ok()["run"].clone();
    let name = run["info"]["run_name"].as_str().unwrap();
    assert_eq!(name.split('-').count(), 3, "{name}");
    assert_eq!(of(&run["data"]["tags"], "mlflow.runName"), name);
    assert_eq!(run["info"]["user_id"], ada.user().name);
    let tagged = json!({ "tags": [{ "key": "mlflow.runName", "value": "by tag" }] });
    assert_eq!(ada.ml("runs/create", tagged.clone()).await.ok()["run"]["info"]["run_name"], "by tag");
    let mut both = tagged;
    both["run_name"] = "other".into();
    assert!(ada.ml("runs/create", both).await.refused(400)["message"].as_str().unwrap().contains("different values"));
}

#[tokio::test]
async fn a_run_is_ended_renamed_and_stays_readable_by_its_old_name_for_ids() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let ended = json!({ "run_uuid": id, "status": "FINISHED", "end_time": 1_700_000_001_000_i64, "run_name": "best" });
    let info = ada.ml("runs/update", ended).await.ok()["run_info"].clone();
    assert_eq!((&info["status"], &info["end_time"]), (&json!("FINISHED"), &json!(1_700_000_001_000_i64)));
    let run = ada.ml_get(&format!("runs/get?run_uuid={id}")).await.ok()["run"].clone();
    assert_eq!(of(&run["data"]["tags"], "mlflow.runName"), "best");
    ada.ml("runs/set-tag", json!({ "run_id": id, "key": "mlflow.runName", "value": "better" })).await.ok();
    assert_eq!(ada.read_run(&id).await["info"]["run_name"], "better");
    // A status that nobody knows says nothing.
    let info = ada.ml("runs/update", json!({ "run_id": id, "status": "NOPE" })).await.ok()["run_info"].clone();
    assert_eq!(info["status"], "FINISHED");
}

#[tokio::test]
async fn a_deleted_run_is_read_and_not_written() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    for _ in 0..2 {
        ada.ml("runs/delete", json!({ "run_id": id })).await.ok();
    }
    assert_eq!(ada.read_run(&id).await["info"]["lifecycle_stage"], "deleted");
    for (operation, body) in [
        ("runs/log-metric", json!({ "run_id": id, "key": "a", "value": 1, "timestamp": 1 })),
        ("runs/log-parameter", json!({ "run_id": id, "key": "a", "value": "1" })),
        ("runs/log-batch", json!({ "run_id": id, "tags": [{ "key": "a", "value": "1" }] })),
        ("runs/set-tag", json!({ "run_id": id, "key": "a", "value": "1" })),
        ("runs/delete-tag", json!({ "run_id": id, "key": "mlflow.runName" })),
        ("runs/update", json!({ "run_id": id, "status": "FAILED" })),
        ("runs/log-inputs", json!({ "run_id": id, "datasets": [] })),
        ("runs/outputs", json!({ "run_id": id, "models": [] })),
    ] {
        let refused = ada.ml(operation, body).await.refused(400);
        assert_eq!(refused["error_code"], "INVALID_PARAMETER_VALUE");
        assert_eq!(
            refused["message"],
            format!("The run {id} must be in the 'active' state. Current state is deleted."),
            "{operation}"
        );
    }
    for _ in 0..2 {
        ada.ml("runs/restore", json!({ "run_id": id })).await.ok();
    }
    ada.ml("runs/log-parameter", json!({ "run_id": id, "key": "a", "value": "1" })).await.ok();
}

#[tokio::test]
async fn a_run_that_does_not_exist_is_told_in_mlflows_words() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for id in ["0123456789abcdef0123456789abcdef", "nope", "0123456789ABCDEF0123456789ABCDEF"] {
        let refused = ada.ml_get(&format!("runs/get?run_id={id}")).await.refused(404);
        assert_eq!(refused["error_code"], "RESOURCE_DOES_NOT_EXIST");
        assert_eq!(refused["message"], format!("Run with id={id} not found"));
    }
}

#[tokio::test]
async fn a_viewer_reads_runs_and_writes_none() {
    let app = TestApp::start().await;
    let id = app.member(Role::Contributor).await.run("0").await;
    let viewer = app.member(Role::Viewer).await;
    viewer.read_run(&id).await;
    let refused = viewer.ml("runs/set-tag", json!({ "run_id": id, "key": "a", "value": "b" })).await.refused(403);
    assert_eq!(refused["error_code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn the_workspace_is_named_by_address_or_header() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (other, _) = app.second_workspace("lab").await;
    app.join(ada.user(), &other, [Role::Contributor]).await;
    let name = "x-mlflow-workspace".parse::<axum::http::HeaderName>().unwrap();
    let by_address = ada.clone().in_workspace("lab");
    let by_header = ada.clone().with(name.clone(), "lab");
    let id = by_address.run("0").await;
    by_header.read_run(&id).await;
    ada.ml_get(&format!("runs/get?run_id={id}")).await.refused(404);
    by_address.clone().with(name.clone(), "lab").read_run(&id).await;
    by_address.with(name.clone(), "default").ml_get(&format!("runs/get?run_id={id}")).await.refused(400);
    ada.with(name, "nowhere").ml_get("experiments/get?experiment_id=0").await.refused(404);
}
