//! Secrets over HTTP: set by admins, seen by name alone.

use crate::app::TestApp;
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::json;

const SECRETS: &str = "/api/v1/secrets";

#[tokio::test]
async fn a_secret_is_set_changed_and_deleted_and_its_value_never_comes_back() {
    let app = TestApp::start().await;
    let (admin, reader) = (app.member(Role::Admin).await, app.member(Role::Viewer).await);
    let path = format!("{SECRETS}/HF_TOKEN");
    let made = admin.put(&path, json!({ "value": "hush-hush-1" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    assert_eq!((&made["name"], &made["version"]), (&json!("HF_TOKEN"), &json!(1)));
    let again = admin.put(&path, json!({ "value": "hush-hush-1" })).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.ok(), made, "the same value changes nothing");
    let changed = admin.put(&path, json!({ "value": "hush-hush-2\nof two lines" })).await.ok();
    assert_eq!(changed["version"], 2);

    assert_eq!(reader.get(&path).await.ok(), changed);
    assert_eq!(reader.get(SECRETS).await.ok()["items"], json!([changed]));
    let history = admin.get("/api/v1/audit-events").await.ok();
    let told = history["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let told: Vec<_> = told.filter(|action| action.starts_with("secret.")).collect();
    assert_eq!(told, ["secret.changed", "secret.created"]);
    for shown in [history, reader.get(SECRETS).await.ok(), changed, made] {
        assert!(!shown.to_string().contains("hush"), "{shown}");
    }

    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    reader.get(&path).await.refused(404);
    admin.delete(&path).await.refused(404);
}

#[tokio::test]
async fn who_may_write_pipelines_may_use_secrets_but_not_set_them() {
    let app = TestApp::start().await;
    let path = format!("{SECRETS}/KEY");
    for role in [Role::Viewer, Role::Contributor, Role::Operator, Role::Approver] {
        let member = app.member(role).await;
        member.put(&path, json!({ "value": "hush-hush" })).await.refused(403);
        member.delete(&path).await.refused(403);
    }
    app.member(Role::Admin).await.put(&path, json!({ "value": "hush-hush" })).await.ok();
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get(&format!("/w/default{path}")).await.refused(404);
    stranger.get(&path).await.refused(404);
}

#[tokio::test]
async fn what_is_no_name_or_value_is_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for name in ["2KEY", "a-b", "SLIPWAY_X", "%00", "a%2Fb", &"k".repeat(65)] {
        let refused = admin.put(&format!("{SECRETS}/{name}"), json!({ "value": "hush-hush" })).await.refused(400);
        assert_eq!(refused["field"], "name", "{refused}");
        admin.get(&format!("{SECRETS}/{name}")).await.refused(404);
        admin.delete(&format!("{SECRETS}/{name}")).await.refused(404);
    }
    for value in ["", "abc", "ab\0cd", &"x".repeat(64 * 1024 + 1)] {
        let refused = admin.put(&format!("{SECRETS}/KEY"), json!({ "value": value })).await.refused(400);
        assert_eq!(refused["field"], "value", "{refused}");
    }
    admin.put(&format!("{SECRETS}/KEY"), json!({ "value": 7 })).await.refused(400);
    admin.put(&format!("{SECRETS}/KEY"), json!({ "value": "hush-hush", "more": 1 })).await.refused(400);
    assert_eq!(admin.get(SECRETS).await.ok()["items"], json!([]));
}
