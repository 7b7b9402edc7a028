//! Steps that ask people, over HTTP.

use crate::app::{Client, TestApp};
use axum::http::StatusCode;
use domain::permission::Role;
use serde_json::{Value, json};

const FILE: &str = "name: train\nsteps:\n  release: { approval: { rules: [{ name: risk, eligible: { roles: [approver] }, checklist: [I read it] }] } }\n  group: { steps: { inner: { approval: {} } } }\n";
const RELEASE: &str = "/api/v1/pipeline-runs/1/steps/release/approval";

async fn asking(app: &TestApp) -> (Client, Client) {
    let contributor = app.member(Role::Contributor).await;
    contributor.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    contributor.post("/api/v1/pipelines/train/runs", json!({})).await.ok();
    (contributor, app.member(Role::Approver).await)
}

fn yes(detail: &Value, checked: &[&str]) -> Value {
    json!({
        "verdict": "approve", "comment": "fine", "subject_digest": detail["approval"]["digest"],
        "checked": { "approval/risk": checked },
    })
}

#[tokio::test]
async fn a_step_is_decided_on_and_the_same_again_is_the_same() {
    let app = TestApp::start().await;
    let (contributor, approver) = asking(&app).await;
    let detail = approver.get(RELEASE).await.ok();
    assert_eq!(detail["approval"]["state"], "awaiting_approval");
    assert_eq!((&detail["rules"][0]["met"], &detail["decisions"]), (&json!(false), &json!([])));
    let waiting = approver.get("/api/v1/step-approvals?waiting_for=me").await.ok();
    let steps: Vec<&str> =
        waiting["items"].as_array().unwrap().iter().map(|one| one["step"].as_str().unwrap()).collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!(contributor.get("/api/v1/step-approvals?waiting_for=me").await.ok()["items"], json!([]));

    let decisions = format!("{RELEASE}/decisions");
    let unticked = approver.post(&decisions, yes(&detail, &[])).await.refused(400);
    assert_eq!(unticked["field"], "checked");
    let made = approver.post(&decisions, yes(&detail, &["I read it"])).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let again = approver.post(&decisions, yes(&detail, &["I read it"])).await;
    assert_eq!((again.status, again.ok()), (StatusCode::OK, made.ok()));
    let step = contributor.get("/api/v1/pipeline-runs/1/steps/release").await.ok();
    assert_eq!((&step["kind"], &step["state"]), (&json!("approval"), &json!("succeeded")));
    assert_eq!(contributor.get("/api/v1/step-approvals?state=open").await.ok()["items"].as_array().unwrap().len(), 1);
    assert_eq!(contributor.get("/api/v1/step-approvals").await.ok()["items"].as_array().unwrap().len(), 2);

    let inner = "/api/v1/pipeline-runs/1/steps/group%2Finner/approval";
    let digest = approver.get(inner).await.ok()["approval"]["digest"].clone();
    let no = json!({ "verdict": "reject", "comment": "not yet", "subject_digest": digest });
    approver.post(&format!("{inner}/decisions"), no).await.ok();
    let run = contributor.get("/api/v1/pipeline-runs/1").await.ok();
    assert_eq!(run["run"]["state"], "failed");
    let step = contributor.get("/api/v1/pipeline-runs/1/steps/group%2Finner").await.ok();
    assert!(step["reason"].as_str().unwrap().ends_with("said no: not yet"), "{step}");
}

#[tokio::test]
async fn what_cannot_be_decided_is_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let (contributor, approver) = asking(&app).await;
    let detail = approver.get(RELEASE).await.ok();
    let decisions = format!("{RELEASE}/decisions");
    contributor.post(&decisions, yes(&detail, &["I read it"])).await.refused(403);
    let of_other = json!({ "verdict": "approve", "subject_digest": format!("sha256:{}", "0".repeat(64)) });
    approver.post(&decisions, of_other).await.refused(409);
    for wrong in [
        json!({}),
        json!({ "verdict": "maybe", "subject_digest": detail["approval"]["digest"] }),
        json!({ "verdict": "approve", "subject_digest": "x" }),
        json!({ "verdict": "request_changes", "comment": "x", "subject_digest": detail["approval"]["digest"] }),
        json!({ "verdict": "approve", "subject_digest": detail["approval"]["digest"], "rules": ["approval/nobody"] }),
        json!({ "verdict": "approve", "subject_digest": detail["approval"]["digest"], "comment": "\u{0}" }),
    ] {
        approver.post(&decisions, wrong).await.refused(400);
    }
    for nowhere in ["1/steps/nothing", "7/steps/release", "1/steps/group"] {
        approver.get(&format!("/api/v1/pipeline-runs/{nowhere}/approval")).await.refused(404);
        let path = format!("/api/v1/pipeline-runs/{nowhere}/approval/decisions");
        approver.post(&path, yes(&detail, &["I read it"])).await.refused(404);
    }
    approver.get("/api/v1/pipeline-runs/1/steps/%00/approval").await.refused(400);
    approver.get("/api/v1/step-approvals?waiting_for=you").await.refused(400);
    approver.get("/api/v1/step-approvals?state=shut").await.refused(400);
    approver.get("/api/v1/step-approvals?page_token=x").await.refused(400);
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get(&format!("/w/default{RELEASE}")).await.refused(404);
    assert_eq!(approver.get(RELEASE).await.ok()["approval"]["state"], "awaiting_approval");
}
