//! Experiments and runs over REST.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn experiments_are_listed_with_what_their_runs_come_to() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let wine = ada.experiment("wine").await;
    let (ended, deleted) = (ada.run(&wine).await, ada.run(&wine).await);
    ada.run(&wine).await;
    ada.ml("runs/update", json!({ "run_id": ended, "status": "FINISHED" })).await.ok();
    ada.ml("runs/delete", json!({ "run_id": deleted })).await.ok();
    let gone = ada.experiment("gone").await;
    ada.ml("experiments/delete", json!({ "experiment_id": gone })).await.ok();

    let listed = ada.get("/api/v1/experiments").await.ok()["items"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed[0]["experiment"]["name"], &listed[0]["runs"], &listed[0]["running"]),
        (&json!("wine"), &json!(2), &json!(1))
    );
    assert_eq!(listed[0]["last_run_at"], 1_700_000_000_000_i64);
    assert_eq!((&listed[1]["runs"], &listed[1]["last_run_at"]), (&json!(0), &Value::Null));
    let first = ada.get("/api/v1/experiments?limit=1&order_by=name").await.ok();
    assert_eq!(first["items"][0]["experiment"]["name"], "Default");
    let token = first["next_page_token"].as_str().unwrap();
    let second = ada.get(&format!("/api/v1/experiments?limit=1&order_by=name&page_token={token}")).await.ok();
    assert_eq!(second["items"][0]["experiment"]["name"], "wine");
    assert_eq!(ada.get("/api/v1/experiments?filter=nonsense").await.refused(400)["kind"], "invalid");
    assert_eq!(ada.get("/api/v1/experiments/0").await.ok()["is_default"], true);
    assert_eq!(ada.get("/api/v1/experiments/99999").await.refused(404)["kind"], "not_found");
    ada.get("/api/v1/experiments/x").await.refused(404);
}
