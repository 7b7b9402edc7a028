//! Environments over HTTP: made, changed, put in order, archived, and hidden from those who may not see them.

use crate::{
    app::{Client, TestApp},
    pages::serving::serving,
};
use axum::{body::Body, http::StatusCode};
use domain::{id::PromotionId, permission::Role};
use serde_json::{Value, json};
use server::{
    access::{Access, Surface},
    router,
};

const ENVIRONMENTS: &str = "/api/v1/environments";

async fn names(client: &Client) -> Vec<String> {
    let listed = client.get(ENVIRONMENTS).await.ok();
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|one| one["environment"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_environment_is_made_in_its_place_with_a_policy_of_its_tier() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let tiers: Vec<_> = admin.get(ENVIRONMENTS).await.ok()["items"].as_array().unwrap().to_vec();
    assert_eq!(tiers.iter().map(|one| &one["environment"]["tier"]).collect::<Vec<_>>(), ["staging", "production"]);

    let new = json!({ "name": "production-eu", "tier": "production", "position": 2, "wait_timer_s": 600 });
    let made = admin.post(ENVIRONMENTS, new.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    assert_eq!((&made["environment"]["position"], &made["environment"]["protected"]), (&json!(2), &json!(true)));
    let rules = &made["policy"]["document"]["rules"];
    assert_eq!((&made["policy"]["revision"], &rules[0]["approvals"]), (&json!(1), &json!(1)));
    assert_eq!(names(&admin).await, ["staging", "production-eu", "production"]);
    assert_eq!(admin.post(ENVIRONMENTS, new).await.refused(409)["field"], "name");

    admin.post(ENVIRONMENTS, json!({ "name": "testing" })).await.ok();
    let testing = admin.get("/api/v1/environments/testing").await.ok();
    assert_eq!((&testing["environment"]["tier"], &testing["environment"]["position"]), (&json!("testing"), &json!(4)));
    assert_eq!(testing["policy"]["document"]["rules"], json!([]));
    let events = admin.get("/api/v1/audit-events").await.text();
    assert!(events.contains("made the environment production-eu"), "{events}");

    app.member(Role::Operator).await.post(ENVIRONMENTS, json!({ "name": "mine" })).await.refused(403);
    for (field, wrong) in [
        ("name", json!({ "name": "Mine" })),
        ("name", json!({ "name": "v1" })),
        ("wait_timer_s", json!({ "name": "mine", "wait_timer_s": -1 })),
        ("wait_timer_s", json!({ "name": "mine", "wait_timer_s": 2_592_001 })),
        ("visible_to", json!({ "name": "mine", "visible_to": [] })),
    ] {
        assert_eq!(admin.post(ENVIRONMENTS, wrong).await.refused(400)["field"], field);
    }
    admin.post(ENVIRONMENTS, json!({ "name": "mine", "tier": "moon" })).await.refused(400);
}

#[tokio::test]
async fn an_environment_is_changed_and_says_what_was_before() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let path = "/api/v1/environments/staging";
    let change = json!({ "tier": "testing", "wait_timer_s": 60, "visible_to": ["operator"], "position": 2 });
    let changed = admin.patch(path, change).await.ok();
    assert_eq!((&changed["tier"], &changed["wait_timer_s"]), (&json!("testing"), &json!(60)));
    assert_eq!((&changed["position"], &changed["visible_to"]), (&json!(2), &json!(["operator"])));
    assert_eq!(names(&admin).await, ["production", "staging"]);
    let kept = admin.patch(path, json!({})).await.ok();
    assert_eq!(kept, changed, "what is not said stays");
    let shown = admin.patch(path, json!({ "visible_to": null })).await.ok();
    assert_eq!(shown["visible_to"], Value::Null);
    let events = admin.get("/api/v1/audit-events").await.ok();
    let told = events["items"].as_array().unwrap().iter().filter(|one| one["action"] == "environment.changed");
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "doing nothing is no event");
    assert_eq!(told[1]["details"]["before"]["tier"], "staging");
    assert!(admin.patch(path, json!({ "name": "other" })).await.refused(400)["detail"].is_string());
    admin.patch("/api/v1/environments/none", json!({})).await.refused(404);
}

#[tokio::test]
async fn the_order_names_each_environment_once() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    admin.post(ENVIRONMENTS, json!({ "name": "canary" })).await.ok();
    let order = "/api/v1/environments/order";
    admin.put(order, json!({ "order": ["canary", "production", "staging"] })).await.ok();
    assert_eq!(names(&admin).await, ["canary", "production", "staging"]);
    for wrong in
        [json!([]), json!(["canary"]), json!(["canary", "canary", "staging"]), json!(["canary", "production", "moon"])]
    {
        assert_eq!(admin.put(order, json!({ "order": wrong })).await.refused(400)["field"], "order");
    }
    assert_eq!(names(&admin).await, ["canary", "production", "staging"]);
}

#[tokio::test]
async fn only_what_nothing_serves_in_is_archived_and_it_comes_back_as_the_last() {
    let app = TestApp::start().await;
    serving(&app).await;
    let admin = app.member_with([Role::Admin], domain::permission::Scope::Admin).await;
    let said = admin.post("/api/v1/environments/production/archive", json!({})).await.refused(409);
    assert!(said["detail"].as_str().unwrap().contains("1 versions serve there"), "{said}");

    let archived = admin.post("/api/v1/environments/staging/archive", json!({})).await.ok();
    assert!(archived["archived_at"].is_string());
    admin.post("/api/v1/environments/staging/archive", json!({})).await.ok();
    assert_eq!(names(&admin).await, ["production"]);
    assert_eq!(
        admin.get("/api/v1/environments?archived=true").await.ok()["items"][0]["environment"]["name"],
        "staging"
    );
    admin.get("/api/v1/environments/staging").await.ok();
    let new = json!({ "model": "wine", "version": 1, "environment": "staging" });
    let said = admin.post("/api/v1/promotions", new).await.refused(409);
    assert!(said["detail"].as_str().unwrap().contains("staging is archived"), "{said}");
    admin.patch("/api/v1/environments/staging", json!({ "tier": "other" })).await.refused(409);
    let taken = admin.post(ENVIRONMENTS, json!({ "name": "staging" })).await.refused(409);
    assert!(taken["detail"].as_str().unwrap().contains("can be restored"), "{taken}");

    let restored = admin.post("/api/v1/environments/staging/restore", json!({})).await.ok();
    assert_eq!((&restored["archived_at"], &restored["position"]), (&Value::Null, &json!(2)));
    assert_eq!(names(&admin).await, ["production", "staging"]);
}

#[tokio::test]
async fn an_alias_is_protected_while_its_environment_is() {
    let app = TestApp::start().await;
    let (admin, contributor) = (app.member(Role::Admin).await, app.member(Role::Contributor).await);
    contributor.model("churn").await;
    for _ in 0..3 {
        contributor.empty_version("churn").await;
    }
    let alias = |version| json!({ "name": "churn", "alias": "staging", "version": version });
    contributor.ml("registered-models/alias", alias("1")).await.refused(403);
    admin.patch("/api/v1/environments/staging", json!({ "protected": false })).await.ok();
    contributor.ml("registered-models/alias", alias("1")).await.ok();
    admin.patch("/api/v1/environments/staging", json!({ "protected": true })).await.ok();
    contributor.ml("registered-models/alias", alias("2")).await.refused(403);
    admin.post("/api/v1/environments/staging/archive", json!({})).await.ok();
    contributor.ml("registered-models/alias", alias("3")).await.ok();
}

/// What stands in the path of a route in the place of its parts, so that it names what is in the vault.
fn into_the_vault(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{environment}" => "vault",
        "{model}" | "{name}" => "wine",
        "{id}" | "{user_id}" | "{run_id}" => "01936d6e-0000-7000-8000-000000000000",
        part if part.starts_with('{') => "1",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Wine v2 serves in the vault, an alert is open there, a promotion waits, and a freeze and a delegation name it; operators
/// alone see it.
async fn vault(app: &TestApp, admin: &Client) {
    serving(app).await;
    let pool = &app.database.pool;
    sqlx::query("update environments set name = 'vault' where name = 'production'").execute(pool).await.unwrap();
    sqlx::query(
        "insert into policies (id, workspace_id, name, revision, document, digest, created_by)
         select gen_random_uuid(), workspace_id, 'vault', 1,
             document || '{\"scope\": {\"environments\": [\"vault\"]}}', digest, created_by
         from policies
         where name = 'production'",
    )
    .execute(pool)
    .await
    .unwrap();
    admin.patch("/api/v1/environments/vault", json!({ "visible_to": ["operator"] })).await.ok();
    sqlx::query(
        "insert into promotions (id, workspace_id, number, model_version_id, model_id, environment_id, state,
             requester, subject_digest, expires_at)
         select $1, d.workspace_id, 1, d.model_version_id, d.model_id, d.environment_id, 'awaiting_approval',
             'Somebody', 'sha256:0000000000000000000000000000000000000000000000000000000000000000', now() + interval '1 day'
         from deployments d
         where d.state = 'live'",
    )
    .bind(PromotionId::new().0)
    .execute(pool)
    .await
    .unwrap();
    let pinned =
        "insert into promotion_policies select o.id, y.id from promotions o, policies y where y.name = 'vault'";
    sqlx::query(pinned).execute(pool).await.unwrap();
    let freeze = json!({
        "name": "nights",
        "kind": "deny",
        "schedule": { "kind": "cron", "expression": "0 22 * * *", "duration_s": 28800, "timezone": "UTC" },
        "selector": { "environments": ["vault"] },
    });
    admin.post("/api/v1/freezes", freeze).await.ok();
    let (from, to) = (app.member(Role::Operator).await, app.member(Role::Operator).await);
    let delegation = json!({
        "from": from.user().id,
        "to": to.user().id,
        "scope": { "environments": ["vault"] },
        "ends_at": chrono::Utc::now() + chrono::TimeDelta::days(3),
        "reason": "on leave",
    });
    admin.post("/api/v1/delegations", delegation).await.ok();
}

#[tokio::test]
async fn whoever_may_not_see_an_environment_finds_nothing_of_it_anywhere() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    vault(&app, &admin).await;
    let blind = app.member_with([Role::Contributor, Role::Approver], domain::permission::Scope::Write).await;
    let operator = app.member(Role::Operator).await;
    let (mut there, mut gone) = (0, 0);
    for route in router::table(&app.state) {
        let is_stream = route.path == "/events" || route.path.ends_with("/stream");
        // What is open says the same of every environment, whether it is there or not.
        if route.method != "GET" || is_stream || matches!(route.access, Access::Open | Access::Public) {
            continue;
        }
        let path = into_the_vault(route.path);
        let of_vault = path.contains("vault");
        let ask = async |client: &Client| {
            client.send(client.request(axum::http::Method::GET, &path).body(Body::empty()).unwrap()).await
        };
        let (theirs, seen) = (ask(&blind).await, ask(&operator).await);
        assert!(!theirs.status.is_server_error() || route.surface == Surface::Inference, "{path}: {theirs:?}");
        if of_vault {
            assert!(
                theirs.status.is_client_error() || theirs.status.is_server_error(),
                "{path} answered {}",
                theirs.status
            );
            gone += usize::from(seen.status.is_success());
        } else {
            assert!(!theirs.text().contains("vault"), "{path}: {}", theirs.text());
            there += usize::from(seen.text().contains("vault"));
        }
    }
    assert!(gone >= 5, "operators see few pages of the vault: {gone}");
    assert!(there >= 12, "operators see the vault in few lists: {there}");

    for (method, path, body) in [
        ("POST", "/api/v1/promotions", json!({ "model": "wine", "version": 1, "environment": "vault" })),
        (
            "POST",
            "/api/v1/promotions/1/decisions",
            json!({ "verdict": "approve", "subject_digest": "sha256:".to_owned() + &"0".repeat(64) }),
        ),
        ("POST", "/api/v1/promotions/1/gates", json!({})),
        ("POST", "/api/v1/promotions/1/replay", json!({})),
    ] {
        let refused = blind.json(method.parse().unwrap(), path, body).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}: {refused:?}");
    }
    assert_eq!(blind.get("/api/v1/promotions?waiting_for=me").await.ok()["items"], json!([]));
    assert_eq!(blind.get("/api/v1/promotions?environment=vault").await.ok()["items"], json!([]));
    assert_eq!(blind.get("/api/v1/deployments?model=wine").await.ok()["items"], json!([]));

    // It is one rule: whoever gets the role finds it all.
    admin.patch("/api/v1/environments/vault", json!({ "visible_to": ["operator", "approver"] })).await.ok();
    blind.get("/api/v1/environments/vault").await.ok();
    assert_eq!(blind.get("/api/v1/promotions?waiting_for=me").await.ok()["items"][0]["number"], 1);
}
