//! Environments, promotions and deployments over HTTP: what each role may do, and how refusals are told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::app::{Client, TestApp};
use domain::{
    Digest,
    id::{ModelId, ModelVersionId},
    model::{VersionFile, manifest_digest},
    permission::{Role, Scope},
    promotion::PromotionState,
};
use serde_json::{Value, json};

const POLICY: &str = "/api/v1/environments/production/policy";

pub struct People {
    pub viewer: Client,
    pub contributor: Client,
    pub operator: Client,
    pub approver: Client,
    pub admin: Client,
}

/// A Slipway whose production asks for approvals and no gates, with a version to promote.
pub async fn start(approvals: u8) -> (TestApp, People) {
    let app = TestApp::start().await;
    let people = People {
        viewer: app.member(Role::Viewer).await,
        contributor: app.member(Role::Contributor).await,
        operator: app.member(Role::Operator).await,
        approver: app.member(Role::Approver).await,
        admin: app.member(Role::Admin).await,
    };
    people.admin.put(POLICY, json!({ "gates": [], "rule": { "approvals": approvals } })).await.ok();
    version(&app, 1, "onnx").await;
    (app, people)
}

async fn version(app: &TestApp, number: i32, flavor: &str) {
    sqlx::query("insert into models (id, workspace_id, name) values ($1, $2, 'wine') on conflict do nothing")
        .bind(ModelId::new().0)
        .bind(app.workspace.id.0)
        .execute(&app.database.pool)
        .await
        .unwrap();
    let file = VersionFile { path: "model.onnx".to_owned(), digest: Digest::blake3([0; 32]), size: 1 };
    sqlx::query(
        "with version as (
             insert into model_versions (id, model_id, version, source, digest, flavors)
             select $1, id, $2, 'runs:/x/model', $4, array[$3] from models where name = 'wine'
             returning id
         )
         insert into model_version_files (model_version_id, path, digest, size)
         select id, $5, $6, $7 from version",
    )
    .bind(ModelVersionId::new().0)
    .bind(number)
    .bind(flavor)
    .bind(manifest_digest(std::slice::from_ref(&file)).unwrap().unwrap().as_str())
    .bind(&file.path)
    .bind(file.digest.as_str())
    .bind(file.size)
    .execute(&app.database.pool)
    .await
    .unwrap();
}

/// Somebody asks for a version in production.
pub async fn request(client: &Client, version: i32) -> Value {
    let new = json!({ "model": "wine", "version": version, "environment": "production", "comment": "better" });
    client.post("/api/v1/promotions", new).await.ok()
}

/// What a worker does when it is woken.
pub async fn advance(app: &TestApp, promotion: &Value) -> PromotionState {
    let id = serde_json::from_value(promotion["id"].clone()).unwrap();
    app.services().advance_promotion(id).await.unwrap()
}

async fn digest(client: &Client, number: i64) -> Value {
    client.get(&format!("/api/v1/promotions/{number}")).await.ok()["promotion"]["subject_digest"].clone()
}

#[tokio::test]
async fn a_promotion_is_requested_decided_and_read() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    assert_eq!((&promotion["number"], &promotion["state"]), (&json!(1), &json!("gates_running")));
    assert_eq!(advance(&app, &promotion).await, PromotionState::AwaitingApproval);

    let waiting = people.approver.get("/api/v1/promotions?waiting_for=me").await.ok();
    assert_eq!(waiting["items"][0]["number"], 1);
    assert_eq!(people.contributor.get("/api/v1/promotions?waiting_for=me").await.ok()["items"], json!([]));

    let decision =
        json!({ "verdict": "approve", "comment": "Fine.", "subject_digest": digest(&people.approver, 1).await });
    let first = people.approver.post("/api/v1/promotions/1/decisions", decision.clone()).await;
    assert_eq!(first.status, 201);
    let again = people.approver.post("/api/v1/promotions/1/decisions", decision).await;
    assert_eq!((again.status.as_u16(), again.ok()), (200, first.ok()));

    let detail = people.viewer.get("/api/v1/promotions/1").await.ok();
    assert_eq!(detail["promotion"]["state"], "approved");
    assert_eq!(detail["decisions"][0]["comment"], "Fine.");
    assert_eq!(detail["decisions"][0]["rules"], json!(["production/approvers"]));
    let rule = &detail["rules"][0];
    assert_eq!((&rule["met"], &rule["votes"][0]["user_name"]), (&json!(true), &json!(people.approver.user().name)));
    assert_eq!(rule["people"].as_array().unwrap().len(), 1, "{rule}");
    let open = people.viewer.get("/api/v1/promotions?state=open&model=wine&environment=production").await.ok();
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    people.viewer.get("/api/v1/promotions?state=nowhere").await.refused(400);
}

#[tokio::test]
async fn each_act_takes_its_role() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let new = json!({ "model": "wine", "version": 1, "environment": "staging" });
    people.viewer.post("/api/v1/promotions", new.clone()).await.refused(403);
    people.approver.post("/api/v1/promotions", new).await.refused(403);
    let decision = json!({ "verdict": "approve", "subject_digest": digest(&people.viewer, 1).await });
    // Everybody may try; the rule names approvers.
    for client in [&people.viewer, &people.contributor, &people.operator, &people.admin] {
        let refused = client.post("/api/v1/promotions/1/decisions", decision.clone()).await.refused(403);
        assert!(refused["detail"].as_str().unwrap().starts_with("You may not decide on promotion #1: "), "{refused}");
    }
    people.operator.post("/api/v1/promotions/1/withdraw", json!({})).await.refused(403);
    let rollback = "/api/v1/environments/production/models/wine/rollback";
    let seen = json!({ "deployment": 1 });
    people.contributor.post(rollback, seen.clone()).await.refused(403);
    people.operator.post(rollback, seen).await.refused(404);
    people.contributor.put(POLICY, json!({ "gates": [], "rule": { "approvals": 0 } })).await.refused(403);
    let reader = app.client(people.approver.user(), Scope::Read).await;
    reader.post("/api/v1/promotions/1/decisions", decision).await.refused(403);
}

#[tokio::test]
async fn what_was_seen_before_a_stricter_policy_is_not_decided_on() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let seen = digest(&people.approver, 1).await;
    people.admin.put(POLICY, json!({ "gates": [], "rule": { "approvals": 2 } })).await.ok();
    let decision = json!({ "verdict": "approve", "subject_digest": seen });
    let refused = people.approver.post("/api/v1/promotions/1/decisions", decision).await.refused(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("Promotion #1 is not to be decided on: it was invalidated. The policies became stricter"),
        "{detail}"
    );
    let again = json!({ "model": "wine", "version": 1, "environment": "production", "again": 1 });
    assert_eq!(people.contributor.post("/api/v1/promotions", again).await.ok()["again"], 1);
}

#[tokio::test]
async fn a_gate_that_was_asked_outside_is_answered() {
    let (app, people) = start(1).await;
    let gates = json!([{ "kind": "external", "name": "security scan", "timeout": "1h" }]);
    people.admin.put(POLICY, json!({ "gates": gates, "rule": { "approvals": 1 } })).await.ok();
    let promotion = request(&people.contributor, 1).await;
    assert_eq!(advance(&app, &promotion).await, PromotionState::GatesRunning);
    let pending = people.viewer.get("/api/v1/promotions/1/gates/pending").await.ok();
    assert_eq!(pending["items"][0]["name"], "security scan");

    let answer = |name: &str| format!("/api/v1/promotions/1/gates/{name}/answer");
    let (path, pass) = (answer("security%20scan"), json!({ "verdict": "pass", "url": "https://scan.test/7" }));
    people.viewer.post(&path, pass.clone()).await.refused(403);
    people.contributor.post(&answer("other"), pass.clone()).await.refused(404);
    people.contributor.post(&path, json!({ "verdict": "maybe" })).await.refused(400);
    let wrong = json!({ "verdict": "pass", "url": "ftp://scan.test" });
    assert_eq!(people.contributor.post(&path, wrong).await.refused(400)["field"], "url");
    assert_eq!(people.contributor.post(&path, pass.clone()).await.status, 201);
    assert_eq!(people.contributor.post(&path, pass).await.status, 200);
    people.contributor.post(&path, json!({ "verdict": "fail" })).await.refused(409);
    assert_eq!(advance(&app, &promotion).await, PromotionState::AwaitingApproval);
    let pending = people.viewer.get("/api/v1/promotions/1/gates/pending").await.ok();
    assert_eq!(pending["items"], json!([]));
}

#[tokio::test]
async fn a_draft_asks_nobody_until_it_is_submitted() {
    let (app, people) = start(1).await;
    let new = json!({ "model": "wine", "version": 1, "environment": "production", "draft": true });
    let draft = people.contributor.post("/api/v1/promotions", new).await.ok();
    assert_eq!((&draft["state"], advance(&app, &draft).await), (&json!("draft"), PromotionState::Draft));
    let scan = json!({ "name": "security-scan", "content": { "findings": 0 } });
    assert_eq!(people.contributor.post("/api/v1/promotions/1/evidence", scan.clone()).await.status, 201);
    assert_eq!(people.contributor.post("/api/v1/promotions/1/evidence", scan.clone()).await.status, 200);
    people.viewer.post("/api/v1/promotions/1/evidence", scan.clone()).await.refused(403);
    for name in ["", "a\nb", &"x".repeat(201)] {
        let wrong = json!({ "name": name, "content": 1 });
        assert_eq!(people.contributor.post("/api/v1/promotions/1/evidence", wrong).await.refused(400)["field"], "name");
    }
    let listed = people.viewer.get("/api/v1/promotions/1/evidence").await.ok();
    assert_eq!(
        (listed["items"].as_array().unwrap().len(), &listed["items"][0]["content"]),
        (1, &json!({ "findings": 0 }))
    );

    people.admin.post("/api/v1/promotions/1/submit", json!({})).await.ok();
    assert_eq!(people.contributor.post("/api/v1/promotions/1/submit", json!({})).await.ok()["state"], "gates_running");
    assert_eq!(advance(&app, &draft).await, PromotionState::AwaitingApproval);
    let late = json!({ "name": "late", "content": 1 });
    people.contributor.post("/api/v1/promotions/1/evidence", late).await.refused(409);
}

#[tokio::test]
async fn whoever_waits_is_told_when_it_is_decided() {
    let (app, people) = start(1).await;
    let telling = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
        app.state.events.clone().listen(app.database.pool.clone()),
    ));
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let waits = people.contributor.clone();
    let waiting = tokio::spawn(async move { waits.get("/api/v1/promotions/1?wait=60s&until=decided").await.ok() });
    let decision =
        json!({ "verdict": "reject", "comment": "No.", "subject_digest": digest(&people.approver, 1).await });
    people.approver.post("/api/v1/promotions/1/decisions", decision).await.ok();
    assert_eq!(waiting.await.unwrap()["promotion"]["state"], "rejected");
    drop(telling);
    // What has ended is not waited for, and neither is anything without a span.
    for path in ["?wait=60s", "?until=live", "", "?wait=60s&until=decided"] {
        people.viewer.get(&format!("/api/v1/promotions/1{path}")).await.ok();
    }
    for (path, field) in [("?wait=61s", "wait"), ("?wait=soon", "wait"), ("?wait=1s&until=dawn", "until")] {
        assert_eq!(people.viewer.get(&format!("/api/v1/promotions/1{path}")).await.refused(400)["field"], field);
    }
    people.viewer.get("/api/v1/promotions/9?wait=60s").await.refused(404);
}

#[tokio::test]
async fn who_waits_longer_than_anything_happens_sees_how_it_stands() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let seen = people.viewer.get("/api/v1/promotions/1?wait=1s&until=live").await.ok();
    assert_eq!(seen["promotion"]["state"], "awaiting_approval");
}

#[tokio::test]
async fn glass_is_broken_by_two_and_reviewed_by_a_third() {
    let (app, people) = start(0).await;
    let gate = json!({ "kind": "metric_threshold", "metric": "accuracy", "threshold": 0.7 });
    people.admin.put(POLICY, json!({ "gates": [gate], "rule": { "approvals": 1 } })).await.ok();
    let promotion = request(&people.contributor, 1).await;
    assert_eq!(advance(&app, &promotion).await, PromotionState::Blocked);
    let open = json!({ "kind": "gates", "reason": "Customers cannot pay without it." });
    for client in [&people.viewer, &people.contributor, &people.approver] {
        client.post("/api/v1/promotions/1/overrides", open.clone()).await.refused(403);
    }
    let hurried = json!({ "kind": "gates", "reason": "Now!" });
    assert_eq!(people.operator.post("/api/v1/promotions/1/overrides", hurried).await.refused(400)["field"], "reason");
    let opened = people.operator.post("/api/v1/promotions/1/overrides", open).await;
    assert_eq!(opened.status, 201);
    let path = format!("/api/v1/promotions/1/overrides/{}", opened.ok()["id"].as_str().unwrap());
    people.operator.post(&format!("{path}/confirm"), json!({})).await.refused(403);
    people.viewer.post(&format!("{path}/confirm"), json!({})).await.refused(403);
    people.approver.post(&format!("{path}/confirm"), json!({})).await.ok();
    assert_eq!(advance(&app, &promotion).await, PromotionState::AwaitingApproval);

    let open = people.viewer.get("/api/v1/overrides/unreviewed").await.ok();
    assert_eq!(open["items"][0]["promotion_number"], 1);
    people.approver.post(&format!("{path}/review"), json!({ "review": "Right." })).await.refused(403);
    assert_eq!(
        people.admin.post(&format!("{path}/review"), json!({ "review": "" })).await.refused(400)["field"],
        "review"
    );
    people.admin.post(&format!("{path}/review"), json!({ "review": "It was right." })).await.ok();
    assert_eq!(people.viewer.get("/api/v1/overrides/unreviewed").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn statistics_are_of_a_period() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let no =
        json!({ "verdict": "reject", "comment": "Too slow.", "subject_digest": digest(&people.approver, 1).await });
    people.approver.post("/api/v1/promotions/1/decisions", no).await.ok();
    let statistics = people.viewer.get("/api/v1/promotions/statistics").await.ok();
    assert_eq!((&statistics["promotions"], &statistics["policies"][0]["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(statistics["rejections"][0]["comment"], "Too slow.");
    let before = people.viewer.get("/api/v1/promotions/statistics?to=2020-01-01T00:00:00Z").await.ok();
    assert_eq!((&before["promotions"], &before["rejections"]), (&json!(0), &json!([])));
    for wrong in ["from=yesterday", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"] {
        people.viewer.get(&format!("/api/v1/promotions/statistics?{wrong}")).await.refused(400);
    }
}

#[tokio::test]
async fn bad_input_is_a_problem_with_a_sentence_and_changes_nothing() {
    let (app, people) = start(1).await;
    version(&app, 2, "sklearn").await;
    let asked = request(&people.contributor, 1).await;
    let refused = |body: Value| {
        let client = people.contributor.clone();
        async move { client.post("/api/v1/promotions", body).await }
    };
    let of = |version: i32| json!({ "model": "wine", "version": version, "environment": "production" });
    assert_eq!(refused(of(1)).await.refused(409)["kind"], "already_exists");
    assert_eq!(refused(of(2)).await.refused(400)["field"], "version");
    assert_eq!(refused(of(3)).await.refused(404)["field"], "version");
    refused(json!({ "model": "wine", "version": 1, "environment": "moon" })).await.refused(404);
    refused(json!({ "model": "w\u{0}ne", "version": 1, "environment": "production" })).await.refused(404);
    refused(json!({ "model": "wine", "version": 1, "environment": "staging", "comment": "\u{0}" })).await.refused(400);
    refused(json!({ "model": "wine", "version": "1", "environment": "production" })).await.refused(400);
    refused(json!({ "model": "wine", "version": 1, "environment": "production", "more": 1 })).await.refused(400);

    advance(&app, &asked).await;
    let decide = |body: Value| {
        let client = people.approver.clone();
        async move { client.post("/api/v1/promotions/1/decisions", body).await }
    };
    decide(json!({ "verdict": "perhaps", "subject_digest": "sha256:00" })).await.refused(400);
    decide(json!({ "verdict": "approve", "subject_digest": "sha256:00" })).await.refused(400);
    let digest = digest(&people.approver, 1).await;
    let refused = decide(json!({ "verdict": "reject", "subject_digest": digest })).await.refused(400);
    assert_eq!(refused["field"], "comment");
    people
        .approver
        .post("/api/v1/promotions/99/decisions", json!({ "verdict": "approve", "subject_digest": digest }))
        .await
        .refused(404);
    people.viewer.get("/api/v1/promotions/none").await.refused(404);
    people.viewer.get("/api/v1/promotions?page_token=zz").await.refused(400);
    people.viewer.get("/api/v1/promotions?model=a%00b").await.ok();
    people.viewer.get("/api/v1/environments/a%00b").await.refused(404);
    let rollback = |model: &str| format!("/api/v1/environments/production/models/{model}/rollback");
    people.operator.post(&rollback("a%00b"), json!({ "deployment": 1 })).await.refused(404);
    let refused = people.operator.post(&rollback("wine"), json!({ "comment": "Back." })).await.refused(400);
    assert!(refused["detail"].as_str().unwrap().contains("deployment"), "{refused}");
    let count: i64 = sqlx::query_scalar("select count(*) from decisions").fetch_one(&app.database.pool).await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_request_is_withdrawn_and_its_gates_run_again() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let again = people.contributor.post("/api/v1/promotions/1/gates", json!({})).await;
    assert_eq!((again.status.as_u16(), &again.ok()["state"]), (202, &json!("gates_running")));
    for _ in 0..2 {
        let withdrawn = people.contributor.post("/api/v1/promotions/1/withdraw", json!({})).await.ok();
        assert_eq!(withdrawn["state"], "withdrawn");
    }
    people.contributor.post("/api/v1/promotions/1/gates", json!({})).await.refused(409);
}

#[tokio::test]
async fn a_replay_is_read_and_asked_for_again_within_bounds() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    let path = "/api/v1/promotions/1/replay";
    let none = people.viewer.get(path).await.refused(404);
    assert_eq!(none["detail"], "Nothing was replayed for promotion #1 yet; it is when its gates have run.");
    advance(&app, &promotion).await;
    let told = people.viewer.get(path).await.ok();
    assert_eq!((&told["state"], &told["wanted"], &told["found"]), (&json!("nothing"), &json!(500), &Value::Null));
    assert_eq!(told["reason"], "No version of wine serves in production: there are no decisions to replay.");
    assert_eq!(told["about"]["champion"], Value::Null);

    for client in [&people.viewer, &people.approver, &people.operator] {
        client.post(path, json!({})).await.refused(403);
    }
    let reader = app.client(people.contributor.user(), Scope::Read).await;
    reader.post(path, json!({})).await.refused(403);
    for rows in ["0", "-1", "5001", "9223372036854775807"] {
        let refused = people.contributor.post(&format!("{path}?rows={rows}"), json!({})).await.refused(400);
        assert_eq!(
            (&refused["field"], &refused["detail"]),
            (&json!("rows"), &json!("Between 1 and 5000 of the last decisions can be replayed."),)
        );
    }
    for wrong in ["rows=many", "rows=", "rows=9223372036854775808", "rows=1.5"] {
        people.contributor.post(&format!("{path}?{wrong}"), json!({})).await.refused(400);
    }
    assert_eq!(people.viewer.get(path).await.ok(), told, "what is refused changes nothing");
    people.contributor.post("/api/v1/promotions/99/replay", json!({})).await.refused(404);

    let asked = people.contributor.post(&format!("{path}?rows=200"), json!({})).await;
    assert_eq!(asked.status, 202);
    let asked = asked.ok();
    let told = (&asked["state"], &asked["wanted"], &asked["asker"]);
    assert_eq!(told, (&json!("waiting"), &json!(200), &json!(people.contributor.user().name)));
    assert_eq!(people.contributor.post(&format!("{path}?rows=200"), json!({})).await.ok(), asked);
    let id = promotion["id"].as_str().unwrap();
    let events = people.viewer.get(&format!("/api/v1/audit-events?object=promotion:{id}")).await.ok();
    let asks = events["items"].as_array().unwrap().iter().filter(|event| event["action"] == "promotion.replay_asked");
    assert_eq!(asks.count(), 1);

    people.contributor.post("/api/v1/promotions/1/withdraw", json!({})).await.ok();
    people.contributor.post(path, json!({})).await.refused(409);
}

#[tokio::test]
async fn a_policy_is_changed_only_instead_of_the_one_that_was_seen() {
    let (_app, people) = start(1).await;
    let environment = people.viewer.get("/api/v1/environments/production").await.ok();
    assert_eq!(
        (&environment["policy"]["revision"], environment["revisions"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
    let seen = environment["policy"]["digest"].as_str().unwrap().to_owned();
    let stricter = json!({ "gates": [{ "kind": "golden_row" }], "rule": { "approvals": 2 } });
    let admin = people.admin.clone().with(axum::http::header::IF_MATCH, &format!("\"{seen}\""));
    assert_eq!(admin.put(POLICY, stricter.clone()).await.ok()["revision"], 3);
    admin.put(POLICY, json!({ "gates": [], "rule": { "approvals": 0 } })).await.refused(409);
    assert_eq!(people.admin.put(POLICY, stricter).await.ok()["revision"], 3, "the same again is no change");
    let unknown = json!({ "gates": [{ "kind": "golden_row", "tolerence": 1 }], "rule": { "approvals": 1 } });
    people.admin.put(POLICY, unknown).await.refused(400);
    let broken = people.admin.clone().with(axum::http::header::IF_MATCH, "today's");
    broken.put(POLICY, json!({ "gates": [], "rule": { "approvals": 0 } })).await.refused(400);
    let list = people.viewer.get("/api/v1/environments").await.ok();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|e| &e["environment"]["name"]).collect();
    assert_eq!(names, ["staging", "production"]);
}

#[tokio::test]
async fn deployments_and_endpoints_are_listed_and_a_failed_one_says_why() {
    let (app, people) = start(0).await;
    let promotion = request(&people.contributor, 1).await;
    // There is no engine here, which says nothing of the version.
    assert_eq!(advance(&app, &promotion).await, PromotionState::Approved);
    let waits = people.viewer.get("/api/v1/promotions/1").await.ok()["promotion"]["state_reason"].clone();
    assert!(waits.as_str().unwrap().contains("make setup"), "{waits}");
    assert_eq!(people.viewer.get("/api/v1/deployments").await.ok()["items"], json!([]));
    sqlx::query(
        "insert into deployments (id, workspace_id, number, environment_id, model_id, model_version_id, digest,
             promotion_id, state, state_reason, created_by)
         select gen_random_uuid(), p.workspace_id, 1, p.environment_id, p.model_id, p.model_version_id, v.digest, p.id,
             'failed', 'The file is not an ONNX model.', p.requester
         from promotions p
         join model_versions v on v.id = p.model_version_id",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let deployments =
        people.viewer.get("/api/v1/deployments?model=wine&environment=production&state=failed").await.ok();
    assert_eq!((&deployments["items"][0]["number"], &deployments["items"][0]["version"]), (&json!(1), &json!(1)));
    let deployment = people.viewer.get("/api/v1/deployments/1").await.ok();
    assert_ne!(deployment["state_reason"], "");
    people.viewer.get("/api/v1/deployments/2").await.refused(404);
    people.viewer.get("/api/v1/deployments?state=gone").await.refused(400);
    assert_eq!(people.viewer.get("/api/v1/endpoints").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn another_workspace_sees_none_of_it() {
    let (app, people) = start(1).await;
    let promotion = request(&people.contributor, 1).await;
    advance(&app, &promotion).await;
    let (_, owner) = app.second_workspace("elsewhere").await;
    owner.get("/api/v1/promotions/1").await.refused(404);
    owner.post("/api/v1/promotions/1/withdraw", json!({})).await.refused(404);
    owner.post("/api/v1/promotions/1/gates", json!({})).await.refused(404);
    owner.get("/api/v1/promotions/1/replay").await.refused(404);
    owner.post("/api/v1/promotions/1/replay", json!({})).await.refused(404);
    assert_eq!(owner.get("/api/v1/promotions").await.ok()["items"], json!([]));
}
