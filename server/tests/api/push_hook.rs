//! Push hooks over HTTP: who is heard, and what is answered.

use crate::app::{Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderName, Method, StatusCode},
};
use domain::permission::Role;
use serde_json::{Value, json};

const FILE: &str = "name: wine\nparams: { revision: '' }\nsteps:\n  only:\n    command: 'true'\n";

/// A contributor, and a hook of GitLab, whose proof is the secret itself: its address and its secret.
async fn hooked(app: &TestApp) -> (Client, String, String) {
    let contributor = app.member(Role::Contributor).await;
    contributor.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    let new = json!({
        "name": "main",
        "pipeline": "wine",
        "forge": "gitlab",
        "branches": ["main"],
        "from_push": { "revision": "commit" },
    });
    let made = contributor.post("/api/v1/push-hooks", new).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    let path = made["url"].as_str().unwrap().strip_prefix("http://slipway.test").unwrap().to_owned();
    (contributor, path, made["secret"].as_str().unwrap().to_owned())
}

fn forge(app: &TestApp, secret: &str, delivery: &str) -> Client {
    [("x-gitlab-token", secret), ("x-gitlab-event", "Push Hook"), ("idempotency-key", delivery)]
        .into_iter()
        .fold(app.anonymous(), |client, (name, value)| client.with(name.parse::<HeaderName>().unwrap(), value))
}

fn push(branch: &str) -> Value {
    json!({ "ref": format!("refs/heads/{branch}"), "after": "1a2b3c", "commits": [] })
}

#[tokio::test]
async fn a_push_that_proves_the_secret_starts_a_run_once_and_others_are_ignored() {
    let app = TestApp::start().await;
    let (contributor, path, secret) = hooked(&app).await;
    let first = forge(&app, &secret, "d1").post(&path, push("main")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!(first.ok(), json!({ "answer": "started wine #1", "run": 1 }));
    let again = forge(&app, &secret, "d1").post(&path, push("main")).await;
    assert_eq!((again.status, again.ok()), (StatusCode::ACCEPTED, first.ok()));
    let other = forge(&app, &secret, "d2").post(&path, push("dev")).await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(other.ok(), json!({ "answer": "ignored: the branch dev is none of main" }));
    let run = contributor.get("/api/v1/pipeline-runs/1").await.ok();
    assert_eq!((&run["run"]["cause"], &run["cause_page"]), (&json!("push_hook"), &json!("push-hooks/main")));
    assert_eq!(run["run"]["params"]["revision"], "1a2b3c");
    contributor.get("/api/v1/pipeline-runs/2").await.refused(404);
    let log = contributor.get("/api/v1/push-hooks/main/deliveries").await.ok();
    assert_eq!((&log["items"][0]["outcome"], &log["items"][1]["run_number"]), (&json!("ignored"), &json!(1)));
}

#[tokio::test]
async fn who_does_not_prove_the_secret_learns_nothing() {
    let app = TestApp::start().await;
    let (contributor, path, secret) = hooked(&app).await;
    let unknown = "/hooks/01936d6e-0000-7000-8000-000000000000";
    let wrong = forge(&app, "wrong", "d1").post(&path, push("main")).await.refused(401);
    let nowhere = forge(&app, &secret, "d1").post(unknown, push("main")).await.refused(401);
    assert_eq!(wrong["detail"], nowhere["detail"]);
    forge(&app, &secret, "d1").post("/hooks/main", push("main")).await.refused(401);
    // A member's token is no proof, and a browser of another site is not heard at all.
    contributor.post(&path, push("main")).await.refused(401);
    let cross = forge(&app, &secret, "d1").with(HeaderName::from_static("sec-fetch-site"), "cross-site");
    cross.post(&path, push("main")).await.refused(403);
    assert_eq!(contributor.get("/api/v1/push-hooks/main/deliveries").await.ok()["items"], json!([]));
    // The secret is shown once, and ends with the next.
    assert!(!contributor.get("/api/v1/push-hooks/main").await.text().contains(&secret));
    let renewed = contributor.post("/api/v1/push-hooks/main/secret", json!({})).await.ok();
    forge(&app, &secret, "d1").post(&path, push("main")).await.refused(401);
    let heard = forge(&app, renewed["secret"].as_str().unwrap(), "d1").post(&path, push("main")).await;
    assert_eq!(heard.status, StatusCode::ACCEPTED);
    let viewer = app.member(Role::Viewer).await;
    viewer.post("/api/v1/push-hooks/main/secret", json!({})).await.refused(403);
}

#[tokio::test]
async fn a_body_that_no_forge_sends_is_refused() {
    let app = TestApp::start().await;
    let (_, path, secret) = hooked(&app).await;
    let client = forge(&app, &secret, "d1");
    let send = async |body: Vec<u8>| {
        let request = client.request(Method::POST, &path).body(Body::from(body)).unwrap();
        client.send(request).await
    };
    assert!(send(b"payload=%7B%7D".to_vec()).await.refused(400)["detail"].as_str().unwrap().contains("not JSON"));
    send(b"{}".to_vec()).await.refused(400);
    send(vec![b' '; (4 << 20) + 1]).await.refused(413);
}
