//! Policies over HTTP: revisions, files with their mistakes, drafts that are held against what is past.

use crate::{
    app::{Answer, Client, TestApp},
    promotion::{advance, start},
};
use axum::{
    body::Body,
    http::{Method, header},
};
use domain::permission::Role;
use serde_json::{Value, json};

const RISK: &str = "# Models that can do harm.
scope:
  risk_tiers: [high]
rules:
  - name: risk
    eligible: {roles: [approver]}
    approvals: 2
";

async fn yaml(client: &Client, method: Method, path: &str, file: &str) -> Answer {
    let request = client.request(method, path).header(header::CONTENT_TYPE, "application/yaml; charset=utf-8");
    client.send(request.body(Body::from(file.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_policy_is_put_as_a_file_read_back_and_retired() {
    let app = TestApp::start().await;
    let (admin, viewer) = (app.member(Role::Admin).await, app.member(Role::Viewer).await);
    let put = yaml(&admin, Method::PUT, "/api/v1/policies/risk", RISK).await.ok();
    assert_eq!((&put["revision"], &put["source"]), (&json!(1), &json!(RISK)));
    assert_eq!(yaml(&admin, Method::PUT, "/api/v1/policies/risk", RISK).await.ok()["revision"], 1, "the same again");
    let json = json!({ "scope": { "risk_tiers": ["high"] }, "rule": { "approvals": 1 } });
    assert_eq!(admin.put("/api/v1/policies/risk", json.clone()).await.ok()["revision"], 2);
    let stale = admin.clone().with(header::IF_MATCH, &format!("\"{}\"", put["digest"].as_str().unwrap()));
    stale.put("/api/v1/policies/risk", json!({})).await.refused(409);
    stale.delete("/api/v1/policies/risk").await.refused(409);

    let revisions = viewer.get("/api/v1/policies/risk").await.ok();
    let numbers: Vec<&Value> = revisions["items"].as_array().unwrap().iter().map(|one| &one["revision"]).collect();
    assert_eq!(numbers, [2, 1]);
    viewer.put("/api/v1/policies/risk", json).await.refused(403);
    viewer.delete("/api/v1/policies/risk").await.refused(403);
    let names = async |path: &str| -> Vec<String> {
        let list = viewer.get(path).await.ok();
        list["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/api/v1/policies").await, ["production", "risk", "staging"]);
    assert_eq!(admin.delete("/api/v1/policies/risk").await.ok()["retired"], true);
    assert_eq!(names("/api/v1/policies").await, ["production", "staging"]);
    assert_eq!(names("/api/v1/policies?retired=true").await, ["production", "risk", "staging"]);
    viewer.get("/api/v1/policies/none").await.refused(404);
    viewer.get("/api/v1/policies/a%00b").await.refused(404);
    admin.delete("/api/v1/policies/none").await.refused(404);
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_the_place_of_each_mistake() {
    let app = TestApp::start().await;
    let (admin, viewer) = (app.member(Role::Admin).await, app.member(Role::Viewer).await);
    let wrong = RISK.replace("approvals: 2", "approvals: 99");
    let refused = yaml(&admin, Method::PUT, "/api/v1/policies/risk", &wrong).await.refused(400);
    assert_eq!((&refused["problems"][0]["line"], &refused["kind"]), (&json!(7), &json!("invalid")));
    assert!(refused["detail"].as_str().unwrap().starts_with("line 7, column "), "{refused}");
    let checked = yaml(&viewer, Method::POST, "/api/v1/policies/validate", &wrong).await.ok();
    assert_eq!(checked["problems"], refused["problems"]);
    assert_eq!(yaml(&viewer, Method::POST, "/api/v1/policies/validate", RISK).await.ok(), json!({ "problems": [] }));
    let checked = viewer.post("/api/v1/policies/validate", json!({ "gates": 1 })).await.ok();
    assert_eq!(checked["problems"].as_array().unwrap().len(), 1);

    for file in ["", "- a", "gates: [", "scope: {models: [a, a]}\nrulez: []", "a: &a [*a]", &"x".repeat(70_000)] {
        yaml(&admin, Method::PUT, "/api/v1/policies/risk", file).await.refused(400);
        assert_ne!(yaml(&viewer, Method::POST, "/api/v1/policies/validate", file).await.ok()["problems"], json!([]));
    }
    let request = admin.request(Method::PUT, "/api/v1/policies/risk").header(header::CONTENT_TYPE, "application/yaml");
    admin.send(request.body(Body::from(vec![b'a', b'\n', 0xff])).unwrap()).await.refused(400);
    for name in ["a%20b", "%00"] {
        let refused = yaml(&admin, Method::PUT, &format!("/api/v1/policies/{name}"), RISK).await.refused(400);
        assert!(refused.get("problems").is_none(), "{name}: {refused}");
    }
    let moon = "scope: {environments: [moon]}\n";
    assert_eq!(
        yaml(&admin, Method::PUT, "/api/v1/policies/risk", moon).await.refused(400)["field"],
        "scope/environments"
    );
    viewer.get("/api/v1/policies/risk").await.refused(404);
}

#[tokio::test]
async fn a_draft_is_simulated_by_whoever_reads() {
    let (app, people) = start(1).await;
    let new = json!({ "model": "wine", "version": 1, "environment": "production" });
    let promotion = people.contributor.post("/api/v1/promotions", new).await.ok();
    advance(&app, &promotion).await;
    let seen = people.viewer.get("/api/v1/promotions/1").await.ok()["promotion"]["subject_digest"].clone();
    let yes = json!({ "verdict": "approve", "subject_digest": seen });
    people.approver.post("/api/v1/promotions/1/decisions", yes).await.ok();

    let file = "scope: {environments: [production]}\nrule: {approvals: 2}\n";
    let path = "/api/v1/policies/stricter/simulation";
    let simulated = yaml(&people.viewer, Method::POST, path, file).await.ok();
    assert_eq!((&simulated["would_block"], &simulated["looked_at"]), (&json!(1), &json!(1)));
    let one = &simulated["promotions"][0];
    assert_eq!((&one["outcome"], &one["state"]), (&json!("would_block"), &json!("approved")));
    assert_eq!(one["reasons"], json!(["rule \"approvers\" has 1 of 2 approvals"]));
    let same = people.viewer.post(path, json!({ "rule": { "approvals": 1 } })).await.ok();
    assert_eq!(same["would_pass"], 1);
    people.viewer.post(path, json!({ "gates": [{}] })).await.refused(400);
    people.viewer.get("/api/v1/policies/stricter").await.refused(404);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    assert_eq!(stranger.post(path, json!({})).await.ok()["promotions"], json!([]));
}
