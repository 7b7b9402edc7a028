//! Schedules, the limit of a pipeline's runs and running again, over HTTP.

use crate::app::{Client, TestApp};
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::{Value, json};

const FILE: &str = "name: wine\nparams: { rounds: 20, day: '' }\nsteps:\n  only:\n    command: 'true'\n";

async fn contributor(app: &TestApp) -> Client {
    let contributor = app.member(Role::Contributor).await;
    contributor.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    contributor
}

#[tokio::test]
async fn a_schedule_is_made_shown_with_its_next_fires_paused_and_deleted() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let new = json!({
        "name": "nightly",
        "pipeline": "wine",
        "expression": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "params": { "rounds": 500 },
        "param": "day",
        "param_format": "time",
        "catch_up": "latest",
    });
    let made = contributor.post("/api/v1/schedules", new.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    contributor.post("/api/v1/schedules", new).await.refused(409);
    let viewer = app.member(Role::Viewer).await;
    let shown = viewer.get("/api/v1/schedules/nightly").await.ok();
    let ahead = shown["ahead"].as_array().unwrap();
    assert_eq!((ahead.len(), &ahead[0], &shown["name"]), (5, &shown["next_fire"], &json!("nightly")));
    assert_eq!((&shown["catch_up"], &shown["params"]["rounds"]), (&json!("latest"), &json!(500)));
    assert_eq!((&shown["param"], &shown["param_format"]), (&json!("day"), &json!("time")));
    let changed = contributor.patch("/api/v1/schedules/nightly", json!({ "param": "" })).await.ok();
    assert_eq!(changed["param"], Value::Null);
    let of_pipeline = viewer.get("/api/v1/schedules?pipeline=wine&enabled=true").await.ok();
    assert_eq!(of_pipeline["items"].as_array().unwrap().len(), 1);
    viewer.get("/api/v1/schedules?pipeline=beer").await.refused(404);

    let paused = contributor.patch("/api/v1/schedules/nightly", json!({ "enabled": false })).await.ok();
    assert_eq!((&paused["enabled"], &paused["next_fire"]), (&json!(false), &Value::Null));
    assert_eq!(viewer.get("/api/v1/schedules/nightly").await.ok()["ahead"], json!([]));
    assert_eq!(viewer.get("/api/v1/schedules/nightly/fires").await.ok()["items"], json!([]));
    assert_eq!(contributor.delete("/api/v1/schedules/nightly").await.status, StatusCode::NO_CONTENT);
    contributor.get("/api/v1/schedules/nightly").await.refused(404);
    let events = contributor.get("/api/v1/audit-events").await.ok();
    let told = events["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let told: Vec<_> = told.filter(|action| action.starts_with("schedule.")).collect();
    assert_eq!(told, ["schedule.deleted", "schedule.paused", "schedule.changed", "schedule.created"]);
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused_with_its_field() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    for (field, value) in [
        ("name", json!("Every night")),
        ("expression", json!("nightly")),
        ("timezone", json!("Mars/Base")),
        ("catch_up_limit", json!(0)),
        ("jitter_s", json!(-1)),
        ("param", json!("night")),
        ("params.speed", json!({ "speed": 1 })),
    ] {
        let mut wrong = json!({ "name": "nightly", "pipeline": "wine", "expression": "0 3 * * *" });
        wrong[field.split('.').next().unwrap()] = value;
        assert_eq!(contributor.post("/api/v1/schedules", wrong).await.refused(400)["field"], field);
    }
    let format = json!({ "name": "nightly", "pipeline": "wine", "expression": "0 3 * * *", "param_format": "week" });
    contributor.post("/api/v1/schedules", format).await.refused(400);
    let elsewhere = json!({ "name": "nightly", "pipeline": "beer", "expression": "0 3 * * *" });
    contributor.post("/api/v1/schedules", elsewhere).await.refused(404);
}

#[tokio::test]
async fn a_pipeline_that_is_limited_lets_runs_wait_or_refuses_them() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let settings = "/api/v1/pipelines/wine/settings";
    assert_eq!(contributor.get(settings).await.ok(), json!({ "concurrency": null }));
    let queue = json!({ "concurrency": { "policy": "queue", "limit": 1 } });
    assert_eq!(contributor.put(settings, queue.clone()).await.ok(), queue);
    let start = async || contributor.post("/api/v1/pipelines/wine/runs", json!({})).await;
    assert_eq!(start().await.ok()["held_at"], Value::Null);
    assert!(start().await.ok()["held_at"].is_string());
    contributor.put(settings, json!({ "concurrency": { "policy": "skip", "limit": 1 } })).await.ok();
    let refused = start().await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("1 run of wine"), "{refused}");
    contributor.put(settings, json!({ "concurrency": { "policy": "skip", "limit": 0 } })).await.refused(400);
    contributor.put(settings, json!({ "concurrency": { "policy": "race", "limit": 1 } })).await.refused(400);
    contributor.put("/api/v1/pipelines/beer/settings", json!({ "concurrency": null })).await.refused(404);
}

#[tokio::test]
async fn a_run_is_run_again_with_other_params_and_says_after_which() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    contributor.post("/api/v1/pipelines/wine/runs", json!({})).await.ok();
    let rerun = "/api/v1/pipeline-runs/1/rerun";
    let again = contributor.post(rerun, json!({ "params": { "rounds": 7 }, "idempotency_key": "k" })).await;
    assert_eq!(again.status, StatusCode::CREATED);
    let run = again.ok();
    assert_eq!(
        (&run["cause"], &run["cause_name"], &run["params"]["rounds"]),
        (&json!("rerun"), &json!("#1"), &json!(7))
    );
    let keyed = json!({ "params": { "rounds": 7 }, "idempotency_key": "k" });
    assert_eq!(contributor.post(rerun, keyed).await.status, StatusCode::OK);
    let other = contributor.post(rerun, json!({ "idempotency_key": "k" })).await.refused(409);
    assert_eq!(other["field"], "idempotency_key");
    assert_eq!(contributor.get("/api/v1/pipeline-runs/2").await.ok()["cause_page"], "pipeline-runs/1");
    let refused = contributor.post(rerun, json!({ "from": "failed" })).await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("is not over yet"), "{refused}");
    contributor.post("/api/v1/pipeline-runs/1/cancel", json!({})).await.ok();
    assert_eq!(contributor.post(rerun, json!({ "from": "evaluate" })).await.refused(400)["field"], "from");
    assert_eq!(contributor.post(rerun, json!({ "from": "failed" })).await.ok()["number"], 3);
    contributor.post("/api/v1/pipeline-runs/99/rerun", json!({})).await.refused(404);
}
