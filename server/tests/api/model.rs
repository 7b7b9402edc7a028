//! Registered models over REST.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn models_are_listed_with_what_their_versions_come_to() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for name in ["churn", "bare"] {
        ada.model(name).await;
    }
    for _ in 0..3 {
        ada.empty_version("churn").await;
    }
    ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": "2" })).await.ok();
    ada.delete("/api/2.0/mlflow/model-versions/delete?name=churn&version=3").await.ok();
    let listed = ada.get("/api/v1/models").await.ok()["items"].clone();
    assert_eq!(
        (&listed[0]["model"]["name"], &listed[0]["versions"], &listed[0]["latest"]),
        (&json!("bare"), &json!(0), &json!(null))
    );
    assert_eq!((&listed[1]["versions"], &listed[1]["latest"]), (&json!(2), &json!(2)));
    assert_eq!(listed[1]["model"]["aliases"], json!({ "best": 2 }));

    let read = ada.get("/api/v1/models/churn").await.ok();
    assert_eq!((&read["versions"][0]["version"], &read["versions"][0]["aliases"]), (&json!(2), &json!(["best"])));
    assert_eq!((&read["alias_moves"][0]["alias"], &read["alias_moves"][0]["version"]), (&json!("best"), &json!(2)));
    let version = ada.get("/api/v1/models/churn/versions/1").await.ok();
    assert_eq!((&version["version"]["created_by"], &version["files"]), (&json!(ada.user().id), &json!([])));
    for nothing in [
        "/api/v1/models/none",
        "/api/v1/models/churn/versions/3",
        "/api/v1/models/churn/versions/x",
        "/api/v1/models/%00",
    ] {
        let status = ada.get(nothing).await.status.as_u16();
        assert!((400..500).contains(&status), "{nothing} answered {status}");
    }
}
