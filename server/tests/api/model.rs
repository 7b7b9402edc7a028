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

#[tokio::test]
async fn aliases_are_asked_for_as_they_were() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.model("churn").await;
    for _ in 0..2 {
        ada.empty_version("churn").await;
    }
    for version in ["1", "2"] {
        ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": version })).await.ok();
    }
    let history = ada.get("/api/v1/models/churn/aliases/best/history").await.ok()["items"].clone();
    let steps: Vec<_> = history.as_array().unwrap().iter().map(|one| json!([one["from"], one["version"]])).collect();
    assert_eq!(json!(steps), json!([[1, 2], [null, 1]]));
    assert_eq!((&history[0]["by"], &history[0]["cause"]), (&json!(ada.user().name), &json!(null)));

    let read = async |query: &str| ada.get(&format!("/api/v1/models/churn/aliases{query}")).await.ok()["items"].clone();
    assert_eq!(read("").await[0]["version"], json!(2));
    // The moment of the first move, as it is told.
    let first = history[1]["at"].as_str().unwrap().to_owned();
    assert_eq!(read(&format!("?as_of={first}")).await[0]["version"], json!(1));
    assert_eq!(read("?as_of=2000-01-01").await, json!([]));
    assert_eq!(read("?as_of=2999-01-01T00:00").await[0]["version"], json!(2));

    for wrong in
        ["yesterday", "", "2026-13-40", "2026-11-23T99:00", "1e9", "%00", "99999999-01-01", "2026-11-23T09:05%2B99:00"]
    {
        let refused = ada.get(&format!("/api/v1/models/churn/aliases?as_of={wrong}")).await.refused(400);
        assert!(refused["detail"].as_str().unwrap().contains("2026-11-23T09:05"), "{wrong}: {refused}");
    }
    for nothing in [
        "/api/v1/models/none/aliases",
        "/api/v1/models/churn/aliases/none/history",
        "/api/v1/models/none/aliases/best/history",
    ] {
        ada.get(nothing).await.refused(404);
    }
    ada.get("/api/v1/models/churn/aliases/best/history?page_token=zz").await.refused(400);

    let (_, stranger) = app.second_workspace("elsewhere").await;
    for hidden in [
        "aliases",
        "aliases?as_of=2999-01-01",
        "aliases/best/history",
        "card",
        "card/versions",
        "versions/compare?a=1&b=2",
    ] {
        stranger.get(&format!("/w/elsewhere/api/v1/models/churn/{hidden}")).await.refused(404);
    }
}

#[tokio::test]
async fn two_versions_are_held_against_each_other() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.model("churn").await;
    let mut versions = Vec::new();
    for (depth, accuracy, requirements) in [("3", 0.8, "a==1\nb==2\n"), ("4", 0.9, "a==1\nb==3\n")] {
        let run = ada.run("0").await;
        let metric = json!({ "key": "accuracy", "value": accuracy, "timestamp": 1, "step": 0 });
        let param = json!({ "key": "depth", "value": depth });
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": [metric], "params": [param] })).await.ok();
        let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
        ada.upload(&format!("{root}/model/requirements.txt"), requirements.as_bytes()).await.ok();
        ada.upload(&format!("{root}/model/same.txt"), b"same").await.ok();
        versions.push(ada.version("churn", &format!("runs:/{run}/model")).await);
    }
    let diff = ada.get("/api/v1/models/churn/versions/compare?a=1&b=2").await.ok();
    assert_eq!(diff["metrics"], json!([{ "key": "accuracy", "a": 0.8, "b": 0.9, "better": "higher" }]));
    assert_eq!(diff["params"], json!([{ "name": "depth", "a": "3", "b": "4" }]));
    assert_eq!((&diff["same_files"], &diff["files"][0]["path"]), (&json!(1), &json!("requirements.txt")));
    assert_eq!(diff["environment"][0]["diff"]["hunks"][0][2]["text"], json!("b==3"));
    let same = ada.get("/api/v1/models/churn/versions/compare?a=2&b=2").await.ok();
    assert_eq!((&same["files"], &same["environment"]), (&json!([]), &json!([])));
    for (query, status) in
        [("a=1", 400), ("a=x&b=2", 400), ("a=1&b=9", 404), ("a=-1&b=2", 404), ("a=1&b=99999999999", 400)]
    {
        ada.get(&format!("/api/v1/models/churn/versions/compare?{query}")).await.refused(status);
    }
    ada.get("/api/v1/models/none/versions/compare?a=1&b=2").await.refused(404);
}
