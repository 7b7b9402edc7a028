//! Model cards over REST.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

const CARD: &str = "/api/v1/models/churn/card";

#[tokio::test]
async fn a_card_is_put_instead_of_the_one_that_was_seen() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let viewer = app.member(Role::Viewer).await;
    ada.model("churn").await;
    ada.get(CARD).await.refused(404);
    let first = ada.put(CARD, json!({ "text": "# Churn" })).await.ok();
    assert_eq!((&first["number"], &first["author"]), (&json!(1), &json!(ada.user().name)));
    // A client that repeats itself changes nothing.
    assert_eq!(ada.put(CARD, json!({ "text": "# Churn" })).await.ok(), first);
    assert_eq!(ada.put(CARD, json!({ "text": "# Churn, twice", "instead_of": 1 })).await.ok()["number"], json!(2));
    let refused = ada.put(CARD, json!({ "text": "mine", "instead_of": 1 })).await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("saved version 2"), "{refused}");
    assert_eq!(viewer.get(CARD).await.ok()["text"], json!("# Churn, twice"));
    assert_eq!(viewer.get(&format!("{CARD}/versions/1")).await.ok(), first);

    let page = viewer.get(&format!("{CARD}/versions?limit=1")).await.ok();
    assert_eq!((&page["items"][0]["number"], &page["items"][0]["characters"]), (&json!(2), &json!(14)));
    assert_eq!(page["items"][0].get("text"), None);
    let token = page["next_page_token"].as_str().unwrap();
    let rest = viewer.get(&format!("{CARD}/versions?limit=1&page_token={token}")).await.ok();
    assert_eq!((&rest["items"][0]["number"], rest.get("next_page_token")), (&json!(1), None));

    let model = ada.get("/api/v1/models/churn").await.ok();
    assert_eq!(model["model"]["description"], json!(""), "the description is another text");
}

#[tokio::test]
async fn what_is_no_card_is_refused() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.model("churn").await;
    app.member(Role::Viewer).await.put(CARD, json!({ "text": "x" })).await.refused(403);
    for (body, status) in [
        (json!({}), 400),
        (json!({ "text": 7 }), 400),
        (json!({ "text": "x", "instead_of": "one" }), 400),
        (json!({ "text": "x", "instead_of": 99_999_999_999_i64 }), 400),
        (json!({ "text": "x", "number": 1 }), 400),
        (json!({ "text": "" }), 400),
        (json!({ "text": "a\u{0}b" }), 400),
        (json!({ "text": "x".repeat(100_001) }), 400),
        (json!({ "text": "\n".repeat(6000) }), 400),
        (json!({ "text": "x", "instead_of": 1 }), 409),
    ] {
        ada.put(CARD, body).await.refused(status);
    }
    ada.put("/api/v1/models/none/card", json!({ "text": "x" })).await.refused(404);
    for nothing in ["", "/versions/1", "/versions/x", "/versions/-1"] {
        let status = ada.get(&format!("{CARD}{nothing}")).await.status.as_u16();
        assert!((400..500).contains(&status), "{nothing} answered {status}");
    }
    assert_eq!(ada.get(&format!("{CARD}/versions")).await.ok()["items"], json!([]));
    ada.get(&format!("{CARD}/versions?page_token=zz")).await.refused(400);
}
