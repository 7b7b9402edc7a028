//! Workers, pools and limits.

use crate::{
    app::TestApp,
    step::{Worker, ended, start},
};
use domain::permission::Role;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a_worker_says_that_it_lives_and_leaves_when_it_stops() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    let queue = loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if !queue["workers"].as_array().unwrap().is_empty() {
            break queue;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(queue["workers"][0]["slots"], 3);
    assert_eq!(queue["pools"][0]["name"], "default");
    assert_eq!(queue["pools"][0]["workers"], 1);
    let page = client.get("/w/default/workers").await.text();
    assert!(page.contains("Alive") && page.contains("No step of this workspace waits"), "{page}");
    worker.stop().await;
    assert_eq!(client.get("/api/v1/workers").await.ok()["workers"], json!([]));
}

#[tokio::test]
async fn a_limit_is_made_used_raised_and_taken_away() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let limit = client.put("/api/v1/limits/licences", json!({ "slots": 0 })).await.ok();
    assert_eq!((limit["slots"].as_i64(), limit["held"].as_i64()), (Some(0), Some(0)));
    let run = start(&client, "name: limited\nsteps:\n  a: { command: 'true', limits: licences }\n").await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if queue["ready"][0]["blocked_by"] == "licences" {
            break;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    }
    let page = client.get("/w/default/workers").await.text();
    assert!(page.contains("For a place of the limit licences"), "{page}");
    assert_eq!(client.get("/api/v1/limits").await.ok()["items"][0]["waiting"], 1);
    client.put("/api/v1/limits/licences", json!({ "slots": 1 })).await.ok();
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    worker.stop().await;

    for (path, body, says) in [
        ("/api/v1/limits/licences", json!({ "slots": -1 }), "From 0 to 100000 steps"),
        ("/api/v1/limits/No", json!({ "slots": 1 }), "A limit's name is"),
    ] {
        let refused = client.put(path, body).await.refused(400);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    let viewer = app.member(Role::Viewer).await;
    viewer.put("/api/v1/limits/licences", json!({ "slots": 5 })).await.refused(403);
    client.delete("/api/v1/limits/licences").await;
    client.delete("/api/v1/limits/licences").await.refused(404);
    let path = "/api/v1/pipelines/limited/runs";
    let refused = client.post(path, json!({})).await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("names the limit \"licences\""), "{refused}");
    let history = client.get("/api/v1/audit-events").await.ok().to_string();
    assert!(history.contains("limit.set") && history.contains("limit.deleted"), "{history}");
}
