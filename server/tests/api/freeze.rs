//! Freezes over HTTP: made, asked, ended, and refused when they make no sense.

use crate::app::TestApp;
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use domain::permission::Role;
use serde_json::{Value, json};

const FREEZES: &str = "/api/v1/freezes";

/// From yesterday until in three days.
fn dates() -> Value {
    json!({ "kind": "dates", "from": Utc::now() - TimeDelta::days(1), "to": Utc::now() + TimeDelta::days(3) })
}

#[tokio::test]
async fn a_freeze_closes_what_it_names_until_it_is_ended() {
    let app = TestApp::start().await;
    let (admin, viewer) = (app.member(Role::Admin).await, app.member(Role::Viewer).await);
    let standing = async |environment: &str, model: &str| -> Value {
        viewer.get(&format!("{FREEZES}/standing?environment={environment}&model={model}")).await.ok()
    };
    assert_eq!(standing("production", "churn").await, json!({ "state": "open", "until": null }));
    let new = json!({
        "name": "Holidays",
        "kind": "deny",
        "schedule": dates(),
        "selector": { "tiers": ["production"], "models": ["churn*"] },
        "manual_override": true,
        "reason": "Nobody is here",
    });
    let made = admin.post(FREEZES, new).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    let closed = standing("production", "churn-eu").await;
    assert_eq!((&closed["state"], &closed["because"][0]["name"]), (&json!("closed"), &json!("Holidays")));
    assert_eq!((&closed["may_override"], &closed["may_finish"]), (&json!(true), &json!(false)));
    assert_eq!(closed["opens_at"], made["schedule"]["to"]);
    assert_eq!(standing("staging", "churn").await["state"], "open");
    assert_eq!(standing("production", "wine").await["state"], "open");
    let windows = viewer.get(&format!("{FREEZES}/windows")).await.ok();
    assert_eq!(windows["items"][0]["starts_at"], made["schedule"]["from"]);
    viewer.get(&format!("{FREEZES}/standing?environment=moon&model=churn")).await.refused(404);
    viewer.get(&format!("{FREEZES}/standing")).await.refused(400);

    let path = format!("{FREEZES}/{}", made["id"].as_str().unwrap());
    let changed = admin.patch(&path, json!({ "overrun": true, "selector": {} })).await.ok();
    assert_eq!((&changed["name"], &changed["overrun"]), (&json!("Holidays"), &json!(true)));
    assert_eq!(standing("staging", "wine").await["may_finish"], true);

    let ended = admin.post(&format!("{path}/end"), json!({})).await.ok();
    assert_eq!(admin.post(&format!("{path}/end"), json!({})).await.ok(), ended, "again changes nothing");
    assert_eq!(standing("production", "churn").await["state"], "open");
    assert_eq!(viewer.get(FREEZES).await.ok()["items"], json!([]));
    assert_eq!(viewer.get(&format!("{FREEZES}?ended=true")).await.ok()["items"], json!([ended]));
    admin.patch(&path, json!({ "name": "Again" })).await.refused(409);

    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    admin.get(&path).await.refused(404);
    let events = admin.get("/api/v1/audit-events").await.ok();
    let told = events["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let told: Vec<_> = told.filter(|action| action.starts_with("freeze.")).collect();
    assert_eq!(told, ["freeze.deleted", "freeze.ended", "freeze.changed", "freeze.created"]);
    assert_eq!(events["items"][0]["details"]["reason"], "Nobody is here", "history keeps what it was");
}

#[tokio::test]
async fn a_freeze_that_makes_no_sense_is_refused_with_its_field() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let cron = |expression: &str, duration: i64, zone: &str| json!({ "kind": "cron", "expression": expression, "duration_s": duration, "timezone": zone });
    let freeze = |name: &str, schedule: Value, selector: Value| json!({ "name": name, "kind": "deny", "schedule": schedule, "selector": selector });
    let right = || cron("0 18 * * 5", 3600, "Europe/Berlin");
    for (field, wrong) in [
        ("name", freeze(" ", right(), json!({}))),
        ("schedule/expression", freeze("x", cron("every day", 3600, "UTC"), json!({}))),
        ("schedule/expression", freeze("x", cron("0 0 31 2 *", 3600, "UTC"), json!({}))),
        ("schedule/duration_s", freeze("x", cron("0 18 * * 5", 1, "UTC"), json!({}))),
        ("schedule/timezone", freeze("x", cron("0 18 * * 5", 3600, "Mars/Base"), json!({}))),
        (
            "schedule/to",
            freeze(
                "x",
                json!({ "kind": "dates", "from": Utc::now(), "to": Utc::now() - TimeDelta::hours(1) }),
                json!({}),
            ),
        ),
        ("selector/environments", freeze("x", right(), json!({ "environments": ["prodction"] }))),
        ("selector/models", freeze("x", right(), json!({ "models": [""] }))),
    ] {
        assert_eq!(admin.post(FREEZES, wrong.clone()).await.refused(400)["field"], field, "{wrong}");
    }
    let unknown = json!({ "name": "x", "kind": "maybe", "schedule": right() });
    admin.post(FREEZES, unknown).await.refused(400);
    app.member(Role::Operator).await.post(FREEZES, freeze("x", right(), json!({}))).await.refused(403);
    assert_eq!(admin.get(FREEZES).await.ok()["items"], json!([]));
}
