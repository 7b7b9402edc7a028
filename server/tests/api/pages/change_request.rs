//! The pages of change requests.

use super::{browser, fields};
use crate::app::TestApp;
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn the_page_shows_what_changes_and_takes_the_decision() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    admin
        .put(
            "/api/v1/policies/guard",
            json!({
                "scope": { "environments": ["production"], "actions": ["change_policy"] },
                "rules": [{ "name": "owners", "eligible": { "roles": ["approver"] } }],
            }),
        )
        .await
        .ok();
    let request = admin
        .put("/api/v1/policies/production", json!({ "scope": { "environments": ["production"] }, "order": "skip" }))
        .await
        .ok();
    let approver = browser(&app, Role::Approver).await;
    approver.get("/change-requests").await.shows(200, &["Change the policy production", "Waiting for approval"]);
    let digest = request["digest"].as_str().unwrap();
    let page = approver.get("/change-requests/1").await;
    page.shows(200, &["What changes", "Your decision", digest, "Owners"]);
    let form = |verdict: &str, comment: &str| {
        fields(&[("verdict", verdict), ("comment", comment), ("subject_digest", digest)])
    };
    approver.form("/change-requests/1/decisions", &form("reject", "")).await.shows(400, &["Say why", "Your decision"]);
    let done = approver.form("/change-requests/1/decisions", &form("approve", "")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    approver.get("/change-requests/1").await.shows(200, &["Applied", "Approved"]);
    approver.get("/change-requests").await.shows(200, &["No change waits for approval"]);
    approver.get("/change-requests?all=1").await.shows(200, &["Change the policy production"]);
}
