//! Delegations over HTTP: for oneself, for another, and never to a machine.

use crate::app::TestApp;
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use domain::permission::Role;
use serde_json::{Value, json};

const DELEGATIONS: &str = "/api/v1/delegations";

fn in_days(days: i64) -> Value {
    json!(Utc::now() + TimeDelta::days(days))
}

#[tokio::test]
async fn somebody_who_is_away_lets_another_decide_and_takes_it_back() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.member(Role::Approver).await, app.member(Role::Approver).await);
    let new = json!({
        "to": ben.user().id,
        "scope": { "environments": ["production"], "models": ["churn*"] },
        "ends_at": in_days(7),
        "reason": "on leave",
    });
    let made = ada.post(DELEGATIONS, new).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    assert_eq!((&made["from"], &made["to_name"]), (&json!(ada.user().id), &json!(ben.user().name)));
    let path = format!("{DELEGATIONS}/{}", made["id"].as_str().unwrap());
    assert_eq!(app.member(Role::Viewer).await.get(&path).await.ok(), made, "everybody sees who decides for whom");

    let in_force = async || {
        let mut conn = app.database.pool.acquire().await.unwrap();
        store::delegation::in_force(&mut conn, app.workspace.id, Utc::now()).await.unwrap()
    };
    let found = in_force().await;
    assert_eq!((found.len(), found[0].to), (1, ben.user().id));
    assert!(found[0].covers("production", "churn-eu", Utc::now()) && !found[0].covers("staging", "churn", Utc::now()));

    app.member(Role::Operator).await.post(&format!("{path}/revoke"), json!({})).await.refused(403);
    let revoked = ada.post(&format!("{path}/revoke"), json!({})).await.ok();
    assert!(revoked["revoked_at"].is_string());
    assert_eq!(ada.post(&format!("{path}/revoke"), json!({})).await.ok(), revoked, "again changes nothing");
    assert!(in_force().await.is_empty());
    let events = ada.get("/api/v1/audit-events").await.ok();
    let told = events["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let told: Vec<_> = told.filter(|action| action.starts_with("delegation.")).collect();
    assert_eq!(told, ["delegation.revoked", "delegation.created"]);
}

#[tokio::test]
async fn an_admin_says_it_for_another_and_nobody_else_does() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.member(Role::Approver).await, app.member(Role::Approver).await);
    let admin = app.member(Role::Admin).await;
    let new = || json!({ "from": ada.user().id, "to": ben.user().id, "ends_at": in_days(1), "reason": "ill" });
    ben.post(DELEGATIONS, new()).await.refused(403);
    let made = admin.post(DELEGATIONS, new()).await.ok();
    assert_eq!((&made["created_by"], &made["from"]), (&json!(admin.user().name), &json!(ada.user().id)));
    // Whoever leaves decides for nobody, and nobody for them.
    assert_eq!(admin.delete(&format!("/api/v1/members/{}", ben.user().id)).await.status, StatusCode::NO_CONTENT);
    let mut conn = app.database.pool.acquire().await.unwrap();
    assert!(store::delegation::in_force(&mut conn, app.workspace.id, Utc::now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_admin_does_not_make_themselves_stand_in_for_somebody() {
    let app = TestApp::start().await;
    let (admin, ada) = (app.member(Role::Admin).await, app.member(Role::Approver).await);
    let new = json!({ "from": ada.user().id, "to": admin.user().id, "ends_at": in_days(1), "reason": "ill" });
    admin.post(DELEGATIONS, new.clone()).await.refused(403);
    assert_eq!(app.member(Role::Admin).await.post(DELEGATIONS, new).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.member(Role::Approver).await, app.member(Role::Approver).await);
    let machine = app.service_account().await;
    app.join(&machine, &app.workspace, [Role::Approver]).await;
    let (_, stranger) = app.second_workspace("other-lab").await;
    let base = || json!({ "to": ben.user().id, "ends_at": in_days(1), "reason": "on leave" });
    for (status, field, pointer, value) in [
        (400, "to", "to", json!(ada.user().id)),
        (400, "to", "to", json!(machine.id)),
        (404, "to", "to", json!(stranger.user().id)),
        (400, "ends_at", "ends_at", in_days(-1)),
        (400, "ends_at", "ends_at", in_days(91)),
        (400, "ends_at", "starts_at", in_days(2)),
        (400, "reason", "reason", json!(" ")),
        (400, "scope/environments", "scope", json!({ "environments": ["moon"] })),
        (400, "scope/models", "scope", json!({ "models": [" "] })),
    ] {
        let mut new = base();
        new[pointer] = value;
        assert_eq!(ada.post(DELEGATIONS, new.clone()).await.refused(status)["field"], field, "{new}");
    }
    let machine = app.client(&machine, domain::permission::Scope::Write).await;
    assert_eq!(machine.post(DELEGATIONS, base()).await.refused(400)["field"], "from");
    assert_eq!(ada.get(DELEGATIONS).await.ok()["items"], json!([]));
}
