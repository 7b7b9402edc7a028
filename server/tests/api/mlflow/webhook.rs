//! Webhooks, as MLflow's client sends and reads them.

use crate::{app::TestApp, webhook::receiver};
use axum::http::Method;
use domain::permission::{Role, Scope};
use serde_json::{Value, json};

const HOOKS: &str = "/api/2.0/mlflow/webhooks";

fn hook() -> Value {
    json!({
        "name": "ci", "url": "https://1.1.1.1/hook", "description": "tells CI", "secret": "hush",
        "events": [
            { "entity": "MODEL_VERSION", "action": "CREATED" },
            { "entity": "MODEL_VERSION_TAG", "action": "SET" },
        ],
    })
}

#[tokio::test]
async fn a_webhook_goes_through_its_life_under_both_prefixes() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = admin.ml("webhooks", hook()).await.ok()["webhook"].clone();
    let id = made["webhook_id"].as_str().unwrap();
    assert!(made["creation_timestamp"].is_i64() && made["last_updated_timestamp"].is_i64());
    let mut expected = hook();
    expected.as_object_mut().unwrap().remove("secret");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!((&made["status"], made.get("secret")), (&json!("ACTIVE"), None));
    let ajax = format!("/ajax-api/2.0/mlflow/webhooks/{id}");
    assert_eq!(admin.get(&ajax).await.ok()["webhook"], made);

    // What is not said stays; an empty description is one, an empty name and empty events say nothing.
    let change = json!({ "name": "", "events": [], "description": "", "status": "DISABLED" });
    let changed = admin.patch(&format!("{HOOKS}/{id}"), change).await.ok()["webhook"].clone();
    assert_eq!((&changed["name"], &changed["events"]), (&made["name"], &made["events"]));
    assert_eq!((changed.get("description"), &changed["status"]), (None, &json!("DISABLED")));
    let by_number = json!({ "events": [{ "entity": 5, "action": 1 }], "status": 1 });
    let changed = admin.patch(&format!("{HOOKS}/{id}"), by_number).await.ok()["webhook"].clone();
    assert_eq!(changed["events"], json!([{ "entity": "PROMPT", "action": "CREATED" }]));
    assert_eq!(changed["status"], "ACTIVE");
    // A status that nobody knows says nothing.
    admin.patch(&format!("{HOOKS}/{id}"), json!({ "status": "NOPE" })).await.ok();

    for name in ["second", "third"] {
        let mut more = hook();
        more["name"] = json!(name);
        admin.ml("webhooks", more).await.ok();
    }
    let names = |page: &Value| -> Vec<String> {
        page["webhooks"].as_array().unwrap().iter().map(|hook| hook["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = admin.ml_get("webhooks?max_results=2").await.ok();
    assert_eq!(names(&first), ["third", "second"]);
    let token = first["next_page_token"].as_str().unwrap();
    let last = admin.ml_get(&format!("webhooks?max_results=2&page_token={token}")).await.ok();
    assert_eq!((names(&last), last.get("next_page_token")), (vec!["ci".to_owned()], None));

    assert_eq!(admin.json(Method::DELETE, &ajax, json!({})).await.ok(), json!({}));
    for refused in [
        admin.get(&format!("{HOOKS}/{id}")).await,
        admin.patch(&format!("{HOOKS}/{id}"), json!({ "name": "x" })).await,
        admin.json(Method::DELETE, &format!("{HOOKS}/{id}"), json!({})).await,
        admin.post(&format!("{HOOKS}/{id}/test"), json!({})).await,
        admin.get(&format!("{HOOKS}/no-id")).await,
    ] {
        let refused = refused.refused(404);
        assert_eq!(refused["error_code"], "RESOURCE_DOES_NOT_EXIST");
        assert!(refused["message"].as_str().unwrap().starts_with("Webhook with ID "));
    }
}

#[tokio::test]
async fn wrong_webhooks_are_refused_in_sentences() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for (field, wrong, expected) in [
        ("name", json!(null), "Missing value for required parameter 'name'."),
        ("name", json!("Über"), "Webhook name 'Über' is invalid."),
        ("url", json!(null), "Missing value for required parameter 'url'."),
        ("url", json!("http://1.1.1.1/"), "The URL begins with http://"),
        ("events", json!(null), "Choose at least one event"),
        ("events", json!([{ "entity": "RUN", "action": "CREATED" }]), "Unknown entity 'RUN'."),
        (
            "events",
            json!([{ "entity": "MODEL_VERSION", "action": "DELETED" }]),
            "Invalid action 'DELETED' for entity 'MODEL_VERSION'.",
        ),
        ("events", json!([{ "entity": "MODEL_VERSION" }]), "Invalid action '' for entity 'MODEL_VERSION'."),
        ("events", json!(["model_version.created"]), "Invalid value"),
    ] {
        let mut body = hook();
        body[field] = wrong;
        let refused = admin.ml("webhooks", body).await.refused(400);
        assert_eq!(refused["error_code"], "INVALID_PARAMETER_VALUE");
        assert!(refused["message"].as_str().unwrap().starts_with(expected), "{refused}");
    }
    for max in ["0", "1001", "x"] {
        admin.ml_get(&format!("webhooks?max_results={max}")).await.refused(400);
    }
    assert_eq!(admin.ml_get("webhooks").await.ok(), json!({}));
}

#[tokio::test]
async fn only_an_administrator_sees_webhooks() {
    let app = TestApp::start().await;
    for role in [Role::Viewer, Role::Contributor, Role::Operator, Role::Approver] {
        let refused = app.member(role).await.ml_get("webhooks").await.refused(403);
        assert_eq!(refused["error_code"], "PERMISSION_DENIED");
    }
    let writer = app.member_with([Role::Admin], Scope::Write).await;
    writer.ml_get("webhooks").await.refused(403);
}

#[tokio::test]
async fn a_test_answers_with_what_the_receiver_said() {
    let app = TestApp::with_private_webhooks().await;
    let admin = app.member(Role::Admin).await;
    let (url, _, _serving) = receiver(418, None).await;
    let mut new = hook();
    new["url"] = json!(url);
    let made = admin.ml("webhooks", new).await.ok();
    let path = format!("webhooks/{}/test", made["webhook"]["webhook_id"].as_str().unwrap());
    let event = json!({ "event": { "entity": "PROMPT_TAG", "action": "SET" } });
    let result = admin.ml(&path, event).await.ok()["result"].clone();
    assert_eq!(
        result,
        json!({
            "success": false, "response_status": 418, "response_body": "heard",
            "error_message": "The receiver answered 418.",
        })
    );
    admin.ml(&path, json!({ "event": { "entity": "RUN", "action": "SET" } })).await.refused(400);
}
