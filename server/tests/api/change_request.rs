//! Change requests over HTTP: what answers 202, who decides, and what is shown of it.

use crate::app::TestApp;
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::{Value, json};

const REQUESTS: &str = "/api/v1/change-requests";

fn guard() -> Value {
    json!({
        "scope": { "environments": ["production"], "actions": ["change_policy"] },
        "rules": [{ "name": "owners", "eligible": { "roles": ["approver"] } }],
    })
}

fn open() -> Value {
    json!({ "scope": { "environments": ["production"] }, "order": "skip" })
}

#[tokio::test]
async fn a_guarded_policy_answers_202_with_the_request_until_people_agree() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let approver = app.member(Role::Approver).await;
    assert_eq!(admin.put("/api/v1/policies/guard", guard()).await.status, StatusCode::OK);
    let asked = admin.put("/api/v1/policies/production", open()).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    let place = asked.headers["location"].to_str().unwrap();
    assert!(place.ends_with(&format!("/w/default{REQUESTS}/1")), "{place}");
    let request = asked.ok();
    assert_eq!(
        (request["state"].as_str(), request["change"]["kind"].as_str()),
        (Some("awaiting_approval"), Some("write_policy"))
    );
    let by_environment = admin.put("/api/v1/environments/production/policy", json!({ "gates": [] })).await;
    assert_eq!((by_environment.status, by_environment.ok()["number"].as_i64()), (StatusCode::ACCEPTED, Some(2)));
    assert_eq!(admin.delete("/api/v1/policies/guard").await.status, StatusCode::ACCEPTED);

    let place = format!("{REQUESTS}/1/decisions");
    let decision = json!({ "verdict": "approve", "subject_digest": request["digest"] });
    admin.post(&place, decision.clone()).await.refused(403);
    let waiting = approver.get(&format!("{REQUESTS}?waiting_for=me")).await.ok();
    assert_eq!(waiting["items"].as_array().unwrap().len(), 3);
    let other = json!({ "verdict": "approve", "subject_digest": format!("sha256:{}", "0".repeat(64)) });
    approver.post(&place, other).await.refused(409);
    assert_eq!(approver.post(&place, decision.clone()).await.status, StatusCode::CREATED);
    assert_eq!(approver.post(&place, decision).await.status, StatusCode::OK, "the same again");
    let detail = approver.get(&format!("{REQUESTS}/1")).await.ok();
    assert_eq!(
        (detail["request"]["state"].as_str(), detail["rules"][0]["met"].as_bool()),
        (Some("applied"), Some(true))
    );
    assert_eq!(admin.get("/api/v1/policies/production").await.ok()["items"][0]["revision"], 2);
    // What was to take the place of the first revision ends when somebody looks at it.
    let second = approver.get(&format!("{REQUESTS}/2")).await.ok();
    let late = json!({ "verdict": "approve", "subject_digest": second["request"]["digest"] });
    approver.post(&format!("{REQUESTS}/2/decisions"), late).await.refused(409);
    assert_eq!(approver.get(&format!("{REQUESTS}/2")).await.ok()["request"]["state"], "invalidated");
    let withdrawn = admin.post(&format!("{REQUESTS}/3/withdraw"), json!({})).await.ok();
    assert_eq!(withdrawn["state"], "withdrawn");
    assert_eq!(admin.get(&format!("{REQUESTS}?state=open")).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for query in ["state=closed", "waiting_for=you", "waiting_for=me&state=open", "page_token=x", "limit=-1"] {
        admin.get(&format!("{REQUESTS}?{query}")).await.refused(400);
    }
    for number in ["1", "0", "-1", "9223372036854775807"] {
        admin.get(&format!("{REQUESTS}/{number}")).await.refused(404);
    }
    admin.get(&format!("{REQUESTS}/x")).await.refused(404);
    admin.post("/api/v1/deployments/1/retire", json!({})).await.refused(404);
    admin.post("/api/v1/deployments/1/retire", json!({ "why": "x" })).await.refused(400);
    app.member(Role::Contributor).await.post("/api/v1/deployments/1/retire", json!({})).await.refused(403);
    let mut trained = guard();
    trained["rules"][0]["distinct_from"] = json!(["trainer"]);
    let refused = admin.put("/api/v1/policies/guard", trained).await.refused(400);
    assert_eq!(refused["field"], "rules/0/distinct_from");
}
