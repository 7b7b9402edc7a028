//! The chain of history over HTTP.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn a_head_is_told_to_members_and_public_keys_to_everybody() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    let head = viewer.get("/api/v1/audit/head").await.ok();
    assert!(head["seq"].as_i64().unwrap() > 0 && head["head"].as_str().unwrap().len() == 64, "{head}");
    assert_eq!(head["is_behind"], false);
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/api/v1/audit/keys").await.ok(), json!({ "items": [] }));
    anonymous.get("/api/v1/audit/keys/0123456789abcdef/pem").await.refused(404);
    anonymous.get("/api/v1/audit/head").await.refused(401);
}

#[tokio::test]
async fn a_period_is_two_moments_or_days_in_their_order() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    for (query, field) in [
        ("from=yesterday&to=2026-01-01", "from"),
        ("from=2026-01-01&to=%00", "to"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("from=0001-01-01&to=2026-01-01", "from"),
    ] {
        let refused = viewer.get(&format!("/api/v1/audit/bundle?{query}")).await.refused(400);
        assert_eq!(refused["field"], field, "{query}: {refused}");
    }
    let sent = viewer.get("/api/v1/audit/bundle?from=2026-01-01T00:00:00Z&to=2026-01-01").await;
    assert_eq!(sent.status.as_u16(), 200);
    assert_eq!(sent.header("content-type"), "application/zip");
    assert_eq!(sent.header("content-disposition"), "attachment; filename=\"audit-default-2026-01-01-2026-01-02.zip\"");
    assert!(zip::ZipArchive::new(std::io::Cursor::new(sent.body.clone())).unwrap().len() == 6);
    // Of all history when nothing is said, as a form that is left empty says it.
    for query in ["", "?from=&to="] {
        let sent = viewer.get(&format!("/api/v1/audit/bundle{query}")).await;
        assert_eq!(sent.status.as_u16(), 200);
    }
    viewer.get("/api/v1/promotions/7/bundle").await.refused(404);
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get("/w/default/api/v1/audit/bundle?from=2026-01-01&to=2026-01-01").await.refused(404);
}

#[tokio::test]
async fn clients_of_mlflow_see_no_event_that_they_cannot_name() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let add = async |name: &str, events: &[&str]| {
        let new = json!({ "name": name, "url": "https://1.1.1.1/", "events": events });
        admin.post("/api/v1/webhooks", new).await.ok()["id"].as_str().unwrap().to_owned()
    };
    let ours = add("ours", &["audit.checkpoint"]).await;
    let both = add("both", &["audit.checkpoint", "model_version.created"]).await;
    let listed = admin.get("/api/2.0/mlflow/webhooks").await.ok();
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["webhooks"][0]["events"], json!([{ "entity": "MODEL_VERSION", "action": "CREATED" }]));
    admin.get(&format!("/api/2.0/mlflow/webhooks/{ours}")).await.refused(404);
    admin.delete(&format!("/api/2.0/mlflow/webhooks/{ours}")).await.refused(404);
    // Changed by such a client, it is still told of what the client does not know.
    let events = json!({ "events": [{ "entity": "REGISTERED_MODEL", "action": "CREATED" }] });
    admin.patch(&format!("/api/2.0/mlflow/webhooks/{both}"), events).await.ok();
    let kept = admin.get(&format!("/api/v1/webhooks/{both}")).await.ok();
    assert_eq!(kept["events"], json!(["registered_model.created", "audit.checkpoint"]));
}
