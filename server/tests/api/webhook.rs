//! Webhooks by the REST API, and where they may not send.

use crate::app::TestApp;
use axum::{Router, http::StatusCode, response::IntoResponse as _, routing::post};
use domain::permission::Role;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio_util::task::AbortOnDropHandle;

const HOOKS: &str = "/api/v1/webhooks";

/// A receiver on this machine that answers so, its address, and how often it was asked.
pub async fn receiver(status: u16, location: Option<&str>) -> (String, Arc<AtomicUsize>, AbortOnDropHandle<()>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, location) = (Arc::clone(&asked), location.map(ToOwned::to_owned));
    let answer = move || {
        count.fetch_add(1, Ordering::SeqCst);
        let mut response = (StatusCode::from_u16(status).unwrap(), "heard").into_response();
        if let Some(location) = &location {
            response.headers_mut().insert("location", location.parse().unwrap());
        }
        async move { response }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let service = Router::new().route("/hook", post(answer));
    let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    (url, asked, AbortOnDropHandle::new(serving))
}

fn hook(url: &str) -> Value {
    json!({ "name": "ci", "url": url, "events": ["model_version.created"], "secret": "hush" })
}

#[tokio::test]
async fn a_webhook_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = admin.post(HOOKS, hook("https://1.1.1.1/hook")).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.ok();
    assert_eq!((&made["status"], &made["has_secret"]), (&json!("ACTIVE"), &json!(true)));
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.ok(), made);
    let change = json!({ "events": ["prompt.created", "model_version.created"], "status": "DISABLED", "secret": "" });
    let changed = admin.patch(&path, change).await.ok();
    assert_eq!(changed["events"], json!(["model_version.created", "prompt.created"]));
    assert_eq!((&changed["status"], &changed["has_secret"]), (&json!("DISABLED"), &json!(false)));
    admin.post(HOOKS, hook("https://1.1.1.1/other")).await.ok();
    let first = admin.get(&format!("{HOOKS}?limit=1")).await.ok();
    assert_eq!(first["items"][0]["url"], "https://1.1.1.1/other");
    let token = first["next_page_token"].as_str().unwrap();
    let second = admin.get(&format!("{HOOKS}?limit=1&page_token={token}")).await.ok();
    assert_eq!((&second["items"][0]["id"], second.get("next_page_token")), (&made["id"], None));
    assert!(!format!("{made}{changed}{first}").contains("hush"));
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    admin.get(&path).await.refused(404);
    admin.delete(&path).await.refused(404);
    admin.patch(&path, json!({})).await.refused(404);
}

#[tokio::test]
async fn what_happens_waits_to_be_sent_and_another_workspace_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = admin.post(HOOKS, hook("https://1.1.1.1/hook")).await.ok();
    let path = format!("{HOOKS}/{}/deliveries", made["id"].as_str().unwrap());
    admin.model("churn").await;
    admin.empty_version("churn").await;
    let deliveries = admin.get(&path).await.ok();
    let [delivery] = deliveries["items"].as_array().unwrap().as_slice() else { panic!("{deliveries}") };
    assert_eq!((&delivery["event"], &delivery["state"]), (&json!("model_version.created"), &json!("waiting")));
    assert_eq!((&delivery["attempts"], &delivery["response_status"]), (&json!(0), &Value::Null));

    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get(&path).await.refused(404);
    stranger.get(&format!("{HOOKS}/{}", made["id"].as_str().unwrap())).await.refused(404);
    assert_eq!(stranger.get(HOOKS).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn an_address_inside_is_refused_however_it_is_written() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for url in [
        "http://127.0.0.1/",
        "http://a.example/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://192.168.0.1:8443/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://user@1.1.1.1/",
        "https://1.1.1.1/#x",
        "https://1.1.1.1 @127.0.0.1/",
        "https://1.1.1.1\\@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "",
    ] {
        let refused = admin.post(HOOKS, hook(url)).await.refused(400);
        assert_eq!(refused["field"], "url", "{url}: {refused}");
        let event = json!([{ "entity": "MODEL_VERSION", "action": "CREATED" }]);
        let refused = admin.ml("webhooks", json!({ "name": "ci", "url": url, "events": event })).await.refused(400);
        assert_eq!(refused["error_code"], "INVALID_PARAMETER_VALUE", "{url}");
    }
    let made = admin.post(HOOKS, hook("https://1.1.1.1/")).await.ok();
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    admin.patch(&path, json!({ "url": "https://127.0.0.1/" })).await.refused(400);
    assert_eq!(admin.get(&path).await.ok(), made);
}

#[tokio::test]
async fn other_wrong_fields_are_refused_with_their_name() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    for (field, wrong) in [
        ("name", json!("CI")),
        ("name", json!("")),
        ("events", json!([])),
        ("description", json!("x".repeat(1001))),
        ("secret", json!("x".repeat(1001))),
    ] {
        let mut body = hook("https://1.1.1.1/");
        body[field] = wrong;
        assert_eq!(admin.post(HOOKS, body).await.refused(400)["field"], field);
    }
    for (field, wrong) in [("events", json!(["run.created"])), ("status", json!("OFF")), ("more", json!(1))] {
        let mut body = hook("https://1.1.1.1/");
        body[field] = wrong;
        admin.post(HOOKS, body).await.refused(400);
    }
    for missing in ["name", "url", "events"] {
        let mut body = hook("https://1.1.1.1/");
        body.as_object_mut().unwrap().remove(missing);
        assert!(admin.post(HOOKS, body).await.refused(400)["detail"].as_str().unwrap().contains(missing));
    }
    assert_eq!(admin.get(HOOKS).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn an_example_is_sent_and_a_redirect_to_somebody_inside_is_not_followed() {
    let app = TestApp::with_private_webhooks().await;
    let admin = app.member(Role::Admin).await;
    let (inside, knocked, _inside) = receiver(200, None).await;
    let test = async |url: &str, event: Value| {
        let made = admin.post(HOOKS, hook(url)).await.ok();
        admin.post(&format!("{HOOKS}/{}/test", made["id"].as_str().unwrap()), event).await
    };
    let (open, asked, _open) = receiver(202, None).await;
    let went = test(&open, json!({})).await.ok();
    assert_eq!(went, json!({ "success": true, "response_status": 202, "response_body": "heard", "error": null }));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for status in [301, 302, 303, 307, 308] {
        let (redirecting, _, _serving) = receiver(status, Some(&inside)).await;
        let went = test(&redirecting, json!({ "event": "prompt.created" })).await.ok();
        assert_eq!((&went["success"], &went["response_status"]), (&json!(false), &json!(status)));
    }
    assert_eq!(knocked.load(Ordering::SeqCst), 0);
    test(&open, json!({ "event": "run.created" })).await.refused(400);
}

#[tokio::test]
async fn what_mlflow_has_no_words_for_is_kept_from_its_clients_and_kept_for_ours() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = async |name: &str, events: Value| {
        let new = json!({ "name": name, "url": "https://1.1.1.1/hook", "events": events });
        admin.post(HOOKS, new).await.ok()["id"].as_str().unwrap().to_owned()
    };
    let mixed = made("mixed", json!(["model_version.created", "promotion.live"])).await;
    let ours = made("ours", json!(["promotion.live"])).await;
    let listed = admin.get("/api/2.0/mlflow/webhooks").await.ok();
    let [one] = listed["webhooks"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(one["events"], json!([{ "entity": "MODEL_VERSION", "action": "CREATED" }]));
    admin.get(&format!("/api/2.0/mlflow/webhooks/{ours}")).await.refused(404);
    admin.delete(&format!("/api/2.0/mlflow/webhooks/{ours}")).await.refused(404);

    let events = json!([{ "entity": "PROMPT", "action": "CREATED" }]);
    admin.patch(&format!("/api/2.0/mlflow/webhooks/{mixed}"), json!({ "events": events })).await.ok();
    assert_eq!(
        admin.get(&format!("{HOOKS}/{mixed}")).await.ok()["events"],
        json!(["prompt.created", "promotion.live"])
    );
    let unknown = json!([{ "entity": "PROMOTION", "action": "LIVE" }]);
    let refused = admin.patch(&format!("/api/2.0/mlflow/webhooks/{mixed}"), json!({ "events": unknown })).await;
    assert!(!refused.refused(400)["message"].as_str().unwrap().contains("promotion,"));
    assert_eq!(admin.get(HOOKS).await.ok()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_delivery_is_sent_again_when_somebody_asks() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let made = admin.post(HOOKS, hook("https://1.1.1.1/hook")).await.ok();
    let path = format!("{HOOKS}/{}/deliveries", made["id"].as_str().unwrap());
    admin.model("churn").await;
    admin.empty_version("churn").await;
    let first = admin.get(&path).await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    let again = admin.post(&format!("{path}/{first}/redeliver"), json!({})).await;
    assert_eq!((again.status, &again.ok()["redelivery_of"]), (StatusCode::ACCEPTED, &json!(first)));
    assert_eq!(admin.get(&path).await.ok()["items"].as_array().unwrap().len(), 2);
    admin.post(&format!("{path}/{}/redeliver", made["id"].as_str().unwrap()), json!({})).await.refused(404);
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.post(&format!("{path}/{first}/redeliver"), json!({})).await.refused(404);
    let hook = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    admin.patch(&hook, json!({ "status": "DISABLED" })).await.ok();
    admin.post(&format!("{path}/{first}/redeliver"), json!({})).await.refused(409);
}
