//! Backfills and triggers over HTTP. Nothing works on them here.

use crate::app::{Client, TestApp};
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::json;

async fn contributor(app: &TestApp) -> Client {
    let contributor = app.member(Role::Contributor).await;
    for name in ["prepare", "train"] {
        let source = format!("name: {name}\nparams: {{ day: '' }}\nsteps:\n  only:\n    command: 'true'\n");
        contributor.put("/api/v1/pipelines", json!({ "source": source })).await.ok();
    }
    contributor
}

#[tokio::test]
async fn a_backfill_is_made_shown_with_its_dates_and_cancelled() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let new = json!({
        "pipeline": "train",
        "from": "2026-03-28T00:00:00Z",
        "to": "2026-03-30T12:00:00Z",
        "expression": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "param": "day",
        "at_once": 2,
    });
    let made = contributor.post("/api/v1/backfills", new.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!((&made.ok()["number"], &made.ok()["progress"]["waiting"]), (&json!(1), &json!(3)));
    let viewer = app.member(Role::Viewer).await;
    let dates = viewer.get("/api/v1/backfills/1/runs").await.ok();
    assert_eq!(dates["items"][2]["date"], "2026-03-30T01:00:00Z", "the clocks went forward on the 29th");
    assert_eq!(viewer.get("/api/v1/backfills?pipeline=train").await.ok()["items"].as_array().unwrap().len(), 1);
    for (field, value) in
        [("expression", json!("daily")), ("param", json!("date")), ("at_once", json!(0)), ("timezone", json!("Moon"))]
    {
        let mut wrong = new.clone();
        wrong[field] = value;
        assert_eq!(contributor.post("/api/v1/backfills", wrong).await.refused(400)["field"], field);
    }
    let schedule = json!({ "name": "nightly", "pipeline": "train", "expression": "0 3 * * *", "param": "day" });
    contributor.post("/api/v1/schedules", schedule).await.ok();
    let of_schedule = json!({ "schedule": "nightly", "from": new["from"], "to": new["to"] });
    let of_schedule = contributor.post("/api/v1/backfills", of_schedule).await.ok();
    assert_eq!((&of_schedule["param"], &of_schedule["param_format"]), (&json!("day"), &json!("date")));
    let unnamed = json!({ "pipeline": "train", "from": new["from"], "to": new["to"], "expression": "0 3 * * *" });
    assert_eq!(contributor.post("/api/v1/backfills", unnamed).await.refused(400)["field"], "param");
    let cancelled = contributor.post("/api/v1/backfills/1/cancel", json!({})).await.ok();
    assert_eq!(cancelled["state"], "cancelled");
    contributor.get("/api/v1/backfills/7").await.refused(404);
}

#[tokio::test]
async fn a_trigger_waits_for_another_pipeline_and_loops_are_refused() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let after = |source: &str| json!({ "on": { "kind": "pipeline", "source": source, "states": ["succeeded"] } });
    let set = contributor.post("/api/v1/pipelines/train/triggers", after("prepare")).await;
    assert_eq!(set.status, StatusCode::CREATED);
    let trigger = set.ok();
    assert_eq!(
        (&trigger["kind"], &trigger["source"], &trigger["pipeline"]),
        (&json!("pipeline"), &json!("prepare"), &json!("train"))
    );
    let loops = contributor.post("/api/v1/pipelines/prepare/triggers", after("train")).await.refused(400);
    assert!(loops["detail"].as_str().unwrap().contains("prepare starts train"), "{loops}");
    contributor.post("/api/v1/pipelines/train/triggers", json!({ "on": { "kind": "moon" } })).await.refused(400);
    let data = json!({ "on": { "kind": "dataset", "dataset": "wine" }, "cool_down_s": 60 });
    assert_eq!(contributor.post("/api/v1/pipelines/train/triggers", data).await.ok()["checked"], json!(false));
    let checked = json!({ "on": { "kind": "dataset", "dataset": "wine", "checked": true } });
    let set = contributor.post("/api/v1/pipelines/train/triggers", checked).await;
    assert_eq!((set.status, set.ok()["checked"].clone()), (StatusCode::OK, json!(true)), "it is the same trigger");
    for wrong in [
        json!({ "kind": "dataset", "dataset": "wine", "checked": "yes" }),
        json!({ "kind": "dataset", "dataset": "wine", "cheked": true }),
        json!({ "kind": "pipeline", "source": "prepare", "checked": true }),
    ] {
        contributor.post("/api/v1/pipelines/train/triggers", json!({ "on": wrong })).await.refused(400);
    }
    let listed = app.member(Role::Viewer).await.get("/api/v1/triggers").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let path = format!("/api/v1/triggers/{}", trigger["id"].as_str().unwrap());
    assert_eq!(contributor.get(&format!("{path}/firings")).await.ok()["items"], json!([]));
    assert_eq!(contributor.delete(&path).await.status, StatusCode::NO_CONTENT);
    contributor.delete(&path).await.refused(404);
}
