//! Starting, listing and cancelling runs. Nothing works on them here.

use crate::app::{Client, TestApp};
use axum::http::{HeaderName, Method};
use domain::permission::Role;
use serde_json::json;

const FILE: &str = "name: wine\nparams: { rounds: 20 }\nsteps:\n  only:\n    command: 'true'\n";

async fn contributor(app: &TestApp) -> Client {
    let contributor = app.member(Role::Contributor).await;
    contributor.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    contributor
}

#[tokio::test]
async fn a_run_gets_a_number_its_params_and_a_line_of_history() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let started = contributor.post("/api/v1/pipelines/wine/runs", json!({ "params": { "rounds": 50 } })).await;
    let run = started.ok();
    assert_eq!(started.status, 201);
    assert_eq!((&run["number"], &run["state"], &run["cause"]), (&json!(1), &json!("queued"), &json!("api")));
    assert_eq!(run["params"], json!({ "rounds": 50 }));
    assert_eq!(run["started_by_name"], json!(contributor.user().name));
    // Without a body, too.
    let request = contributor.request(Method::POST, "/api/v1/pipelines/wine/runs").body(axum::body::Body::empty());
    assert_eq!(contributor.send(request.unwrap()).await.ok()["params"], json!({ "rounds": 20 }));
    let browser = app.browser(contributor.user()).await;
    assert_eq!(browser.post("/api/v1/pipelines/wine/runs", json!({})).await.ok()["cause"], "person");

    let detail = contributor.get("/api/v1/pipeline-runs/1").await.ok();
    assert_eq!((&detail["steps"][0]["name"], &detail["steps"][0]["state"]), (&json!("only"), &json!("ready")));
    let history = format!("/api/v1/audit-events?object=pipeline_run:{}", run["id"].as_str().unwrap());
    assert_eq!(contributor.get(&history).await.ok()["items"][0]["summary"], "started wine #1");
}

#[tokio::test]
async fn params_that_do_not_fit_are_named() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let refused = |body| {
        let contributor = contributor.clone();
        async move {
            let problem = contributor.post("/api/v1/pipelines/wine/runs", body).await.refused(400);
            (problem["field"].clone(), problem["detail"].as_str().unwrap().to_owned())
        }
    };
    let (field, detail) = refused(json!({ "params": { "rounds": "many" } })).await;
    assert_eq!((field, detail.as_str()), (json!("params.rounds"), "The param \"rounds\" must be a number."));
    let (field, detail) = refused(json!({ "params": { "round": 1 } })).await;
    assert_eq!(field, "params.round");
    assert_eq!(detail, "Pipeline \"wine\" has no param \"round\"; did you mean \"rounds\"?");
    refused(json!({ "parms": {} })).await;
    contributor.post("/api/v1/pipelines/wine/runs", json!({ "version": 7 })).await.refused(404);
    contributor.post("/api/v1/pipelines/beer/runs", json!({})).await.refused(404);
}

#[tokio::test]
async fn a_key_in_the_header_or_the_body_starts_one_run() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let keyed = contributor.clone().with(HeaderName::from_static("idempotency-key"), "night-1");
    let first = keyed.post("/api/v1/pipelines/wine/runs", json!({})).await;
    let second = keyed.post("/api/v1/pipelines/wine/runs", json!({})).await;
    let third = contributor.post("/api/v1/pipelines/wine/runs", json!({ "idempotency_key": "night-1" })).await;
    assert_eq!([first.status, second.status, third.status].map(|status| status.as_u16()), [201, 200, 200]);
    assert_eq!(third.ok()["id"], first.ok()["id"]);
    keyed.post("/api/v1/pipelines/wine/runs", json!({ "params": { "rounds": 1 } })).await.refused(409);
    keyed.post("/api/v1/pipelines/wine/runs", json!({ "idempotency_key": "other" })).await.refused(400);
}

#[tokio::test]
async fn runs_are_listed_by_pipeline_and_state_and_can_be_cancelled() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    for _ in 0..3 {
        contributor.post("/api/v1/pipelines/wine/runs", json!({})).await.ok();
    }
    let cancelled = contributor.post("/api/v1/pipeline-runs/2/cancel", json!({})).await.ok();
    assert_eq!(cancelled["state"], "cancelled");
    // A second click changes nothing.
    assert_eq!(contributor.post("/api/v1/pipeline-runs/2/cancel", json!({})).await.ok()["state"], "cancelled");
    let numbers = |query: &'static str| {
        let contributor = contributor.clone();
        async move {
            let listed = contributor.get(&format!("/api/v1/pipeline-runs{query}")).await.ok();
            listed["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["run"]["number"].as_i64().unwrap())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(numbers("").await, [3, 2, 1]);
    assert_eq!(numbers("?state=cancelled").await, [2]);
    assert_eq!(numbers("?pipeline=wine&state=queued&limit=1").await, [3]);
    contributor.get("/api/v1/pipeline-runs?pipeline=beer").await.refused(404);
    contributor.get("/api/v1/pipeline-runs?state=done").await.refused(400);
    contributor.get("/api/v1/pipeline-runs/99").await.refused(404);
    contributor.get("/api/v1/pipeline-runs/1/steps/none/attempts").await.refused(404);
    contributor.get("/api/v1/pipeline-runs/1/steps/only/attempts/1/log").await.refused(404);
}
