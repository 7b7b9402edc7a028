//! Comments on runs and model versions.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn people_comment_on_runs_and_versions_and_change_their_own() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.member(Role::Contributor).await, app.member(Role::Operator).await);
    let run = ada.run("0").await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    for path in [format!("/api/v1/runs/{run}/comments"), "/api/v1/models/churn/versions/1/comments".to_owned()] {
        assert_eq!(ada.get(&path).await.ok()["items"], json!([]));
        let first = ada.post(&path, json!({ "text": "  The **first**.\n" })).await;
        assert_eq!(first.status, 201);
        let first = first.body_json();
        assert_eq!((&first["text"], &first["author"]), (&json!("The **first**."), &json!(ada.user().name)));
        ben.post(&path, json!({ "text": "<script>second</script>" })).await.ok();
        let one = ada.get(&format!("{path}?limit=1")).await.ok();
        assert_eq!(one["items"], json!([first]));
        let next = format!("{path}?limit=1&page_token={}", one["next_page_token"].as_str().unwrap());
        assert_eq!(ada.get(&next).await.ok()["items"][0]["text"], "<script>second</script>");

        let own = format!("/api/v1/comments/{}", first["id"].as_str().unwrap());
        ben.patch(&own, json!({ "text": "not mine" })).await.refused(403);
        ben.delete(&own).await.refused(403);
        let changed = ada.patch(&own, json!({ "text": "Better." })).await.ok();
        assert_eq!((&changed["text"], &changed["created_at"]), (&json!("Better."), &first["created_at"]));
        assert_eq!(ada.patch(&own, json!({ "text": "Better." })).await.ok(), changed, "the same again changes nothing");
        ada.delete(&own).await.ok();
        ada.delete(&own).await.refused(404);
        ada.patch(&own, json!({ "text": "again" })).await.refused(404);
        assert_eq!(ada.get(&path).await.ok()["items"].as_array().unwrap().len(), 1);
    }
    // What was deleted is nowhere any more, and that it was there is.
    let told: Vec<(String, String, Value)> =
        sqlx::query_as("select action, summary, details from audit_events where action like 'comment.%' order by id")
            .fetch_all(&app.database.pool)
            .await
            .unwrap();
    let actions: Vec<&str> = told.iter().map(|(action, ..)| action.as_str()).collect();
    let of_one = ["comment.created", "comment.created", "comment.updated", "comment.deleted"];
    assert_eq!(actions, [of_one, of_one].concat());
    let kept: Vec<String> =
        sqlx::query_scalar("select body from comments order by id").fetch_all(&app.database.pool).await.unwrap();
    assert!(!format!("{told:?}{kept:?}").contains("Better"), "{told:?}");
}

#[tokio::test]
async fn what_is_no_comment_is_refused_and_what_is_not_there_has_none() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let path = format!("/api/v1/runs/{run}/comments");
    for wrong in
        [json!({ "text": " " }), json!({ "text": "a\0b" }), json!({ "text": "x".repeat((64 << 10) + 1) }), json!({})]
    {
        ada.post(&path, wrong).await.refused(400);
    }
    ada.post(&path, json!({ "text": "x".repeat(64 << 10) })).await.ok();
    let viewer = app.member(Role::Viewer).await;
    viewer.get(&path).await.ok();
    viewer.post(&path, json!({ "text": "x" })).await.refused(403);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.get(&path).await.refused(404);
    stranger.post(&path, json!({ "text": "x" })).await.refused(404);
    let comment = ada.get(&path).await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    stranger.delete(&format!("/api/v1/comments/{comment}")).await.refused(404);
    ada.post("/api/v1/models/none/versions/1/comments", json!({ "text": "x" })).await.refused(404);
    ada.get(&format!("{path}?page_token=00")).await.refused(400);
}
