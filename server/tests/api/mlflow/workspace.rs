//! Workspaces as MLflow's clients see them.

use crate::app::TestApp;
use axum::http::{HeaderName, Method};
use domain::permission::Role;
use serde_json::json;

const WORKSPACES: &str = "/api/3.0/mlflow/workspaces";

#[tokio::test]
async fn a_workspace_is_made_listed_and_described() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = admin.post(WORKSPACES, json!({ "name": "laboratory", "description": "The laboratory" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body_json()["workspace"], json!({ "name": "laboratory", "description": "The laboratory" }));
    let listed = admin.get(WORKSPACES).await.ok();
    assert_eq!(
        listed["workspaces"],
        json!([{ "name": "default", "description": "Default" }, { "name": "laboratory", "description": "The laboratory" }])
    );
    // What was made is what the header names.
    let inside = admin.clone().with(HeaderName::from_static("x-mlflow-workspace"), "laboratory");
    inside.ml("experiments/create", json!({ "name": "inside" })).await.ok();
    admin.ml_get("experiments/get-by-name?experiment_name=inside").await.refused(404);

    let path = format!("{WORKSPACES}/laboratory");
    assert_eq!(admin.get(&path).await.ok()["workspace"]["description"], "The laboratory");
    let renamed = admin.json(Method::PATCH, &path, json!({ "description": "Lab" })).await.ok();
    assert_eq!(renamed["workspace"], json!({ "name": "laboratory", "description": "Lab" }));
    assert_eq!(admin.get(&path).await.ok(), renamed);
    admin.json(Method::PATCH, &path, json!({ "description": "Lab" })).await.ok();
    let told: i64 = sqlx::query_scalar("select count(*) from audit_events where action = 'workspace.renamed'")
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(told, 1);
    let refused = admin.json(Method::DELETE, &path, json!({})).await.refused(501);
    assert_eq!(refused["error_code"], "NOT_IMPLEMENTED");
    let twice = admin.post(WORKSPACES, json!({ "name": "laboratory" })).await.refused(400);
    assert_eq!(twice["error_code"], "RESOURCE_ALREADY_EXISTS");
}

#[tokio::test]
async fn a_workspace_of_others_is_not_there() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    app.second_workspace("other-lab").await;
    assert_eq!(
        viewer.get(WORKSPACES).await.ok()["workspaces"],
        json!([{ "name": "default", "description": "Default" }])
    );
    let path = format!("{WORKSPACES}/other-lab");
    viewer.get(&path).await.refused(404);
    viewer.json(Method::PATCH, &path, json!({ "description": "mine" })).await.refused(404);
    viewer.json(Method::DELETE, &path, json!({})).await.refused(404);
    viewer.json(Method::PATCH, &format!("{WORKSPACES}/default"), json!({ "description": "mine" })).await.refused(403);
    viewer.post(WORKSPACES, json!({ "name": "laboratory" })).await.refused(403);
}

#[tokio::test]
async fn what_no_workspace_can_be_is_refused() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for wrong in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "A B" }),
        json!({ "name": "x".repeat(64) }),
        json!({ "name": "lab", "description": "x".repeat(101) }),
        json!({ "name": "lab", "default_artifact_root": "s3://bucket" }),
        json!({ "name": "lab", "trace_archival_config": { "location": "s3://bucket" } }),
    ] {
        admin.post(WORKSPACES, wrong).await.refused(400);
    }
    admin.json(Method::PATCH, &format!("{WORKSPACES}/default"), json!({})).await.refused(400);
    admin.json(Method::PATCH, &format!("{WORKSPACES}/default"), json!({ "description": "" })).await.refused(400);
}
