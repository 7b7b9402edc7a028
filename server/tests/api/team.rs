//! Teams over HTTP: who is in them, and who cannot be.

use crate::app::TestApp;
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::json;

const TEAMS: &str = "/api/v1/teams";

#[tokio::test]
async fn a_team_is_made_filled_emptied_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let ada = app.member(Role::Approver).await;
    let made = admin.post(TEAMS, json!({ "name": "risk", "description": "Looks at losses" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.ok()["members"], json!([]));
    assert_eq!(admin.post(TEAMS, json!({ "name": "risk" })).await.refused(409)["field"], "name");

    let place = format!("{TEAMS}/risk/members/{}", ada.user().id);
    let put = admin.put(&place, json!({})).await.ok();
    assert_eq!(put["members"], json!([ada.user().id]));
    assert_eq!(admin.put(&place, json!({})).await.ok(), put, "again changes nothing");
    assert_eq!(ada.get(TEAMS).await.ok()["items"], json!([put]), "everybody reads");
    let described = admin.patch(&format!("{TEAMS}/risk"), json!({ "description": "" })).await.ok();
    assert_eq!(described["description"], "");

    assert_eq!(admin.delete(&place).await.ok()["members"], json!([]));
    admin.delete(&place).await.refused(404);
    assert_eq!(admin.delete(&format!("{TEAMS}/risk")).await.status, StatusCode::NO_CONTENT);
    admin.get(&format!("{TEAMS}/risk")).await.refused(404);
    let events = admin.get("/api/v1/audit-events").await.ok();
    let told = events["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
    let told: Vec<_> = told.filter(|action| action.starts_with("team.")).collect();
    assert_eq!(told, ["team.deleted", "team.member_removed", "team.described", "team.member_added", "team.created"]);
}

#[tokio::test]
async fn a_team_has_people_of_the_workspace_alone_and_loses_who_leaves_it() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    admin.post(TEAMS, json!({ "name": "risk" })).await.ok();
    let machine = app.service_account().await;
    app.join(&machine, &app.workspace, [Role::Approver]).await;
    let place = |id| format!("{TEAMS}/risk/members/{id}");
    let refused = admin.put(&place(machine.id), json!({})).await.refused(400);
    assert!(refused["detail"].as_str().unwrap().contains("service account"), "{refused}");
    let (_, stranger) = app.second_workspace("other-lab").await;
    admin.put(&place(stranger.user().id), json!({})).await.refused(404);
    stranger.get("/w/default/api/v1/teams").await.refused(404);

    let ada = app.member(Role::Approver).await;
    admin.put(&place(ada.user().id), json!({})).await.ok();
    assert_eq!(admin.delete(&format!("/api/v1/members/{}", ada.user().id)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&format!("{TEAMS}/risk")).await.ok()["members"], json!([]));
    let mut conn = app.database.pool.acquire().await.unwrap();
    let teams = store::team::memberships(&mut conn, app.workspace.id).await.unwrap();
    assert!(teams["risk"].is_empty(), "{teams:?}");
    for name in ["", "Risk", "a b", "-a"] {
        assert_eq!(admin.post(TEAMS, json!({ "name": name })).await.refused(400)["field"], "name");
    }
    app.member(Role::Operator).await.post(TEAMS, json!({ "name": "mine" })).await.refused(403);
}

#[tokio::test]
async fn a_team_stays_while_a_policy_in_force_names_it() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let rule = |team: &str| json!({ "rules": [{ "name": "risk", "eligible": { "teams": [team] }, "approvals": 1 }] });
    let refused = admin.put("/api/v1/policies/credit", rule("risk")).await.refused(400);
    assert_eq!(refused["field"], "rules");
    assert!(refused["detail"].as_str().unwrap().contains("no team \"risk\""), "{refused}");
    admin.post(TEAMS, json!({ "name": "risk" })).await.ok();
    for policy in ["credit", "loans"] {
        admin.put(&format!("/api/v1/policies/{policy}"), rule("risk")).await.ok();
    }
    let refused = admin.delete(&format!("{TEAMS}/risk")).await.refused(409);
    let told = refused["detail"].as_str().unwrap();
    assert!(told.contains("The policies credit and loans name it"), "{told}");
    admin.delete("/api/v1/policies/credit").await.ok();
    let refused = admin.delete(&format!("{TEAMS}/risk")).await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("The policy loans names it"), "{refused}");
    let browser = app.browser(admin.user()).await.in_workspace("default");
    let page = browser.form("/settings/teams/risk", "do=delete").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("The policy loans names it"), "{}", page.text());
    admin.put("/api/v1/policies/loans", json!({ "rule": { "approvals": 1 } })).await.ok();
    assert_eq!(admin.delete(&format!("{TEAMS}/risk")).await.status, StatusCode::NO_CONTENT);
    admin.put("/api/v1/policies/loans", rule("risk")).await.refused(400);
}
