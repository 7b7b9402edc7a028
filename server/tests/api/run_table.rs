//! The table of an experiment's runs over REST.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn a_table_has_the_columns_that_are_named() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let (one, other) = (ada.run(&experiment).await, ada.run(&experiment).await);
    let metric = |key: &str, value: Value| json!({ "key": key, "value": value, "timestamp": 1, "step": 1 });
    let logged = json!({ "run_id": one, "metrics": [metric("acc", json!(0.1)), metric("loss", json!("NaN"))], "params": [{ "key": "model", "value": "hgb" }] });
    ada.ml("runs/log-batch", logged).await.ok();
    let path = format!("/api/v1/experiments/{experiment}");
    let table = ada
        .get(&format!("{path}/table?col=metrics.acc&col=metrics.loss&col=params.model&sort=-metrics.acc&curve=acc"))
        .await
        .ok();
    assert_eq!(table["columns"], json!(["metrics.acc", "metrics.loss", "params.model"]));
    let row = &table["rows"][0];
    // Not a number is null, and what is missing is not there.
    assert_eq!((&row["metrics"], &row["params"]), (&json!({ "acc": 0.1, "loss": null }), &json!({ "model": "hgb" })));
    assert_eq!(row["curve"][0]["value"], 0.1);
    assert_eq!(table["rows"][1]["metrics"], json!({}));
    assert_eq!((&table["total"], &table["filtered"]), (&json!(2), &json!(2)));

    let groups = ada.get(&format!("{path}/groups?by=params.model&metric=acc&sort=-mean.acc")).await.ok();
    assert_eq!(
        (&groups["all"], &groups["groups"][0]["value"], &groups["groups"][0]["metrics"]["acc"]["mean"]),
        (&json!(2), &json!("hgb"), &json!(0.1))
    );
    assert_eq!(groups["groups"][1]["filter"], "params.model IS NULL");
    let found = ada.get(&format!("{path}/columns?text=mod")).await.ok();
    assert_eq!(found["items"][0]["text"], "params.model");
    let found = ada.get(&format!("{path}/filter-completions?text=params.model%20%3D%20&cursor=15")).await.ok();
    assert_eq!((&found["items"][0]["text"], &found["from"]), (&json!("'hgb' "), &json!(15)));
    let csv = ada.get(&format!("{path}/runs/export?col=metrics.loss&filter=metrics.acc%20%3E%200")).await;
    assert_eq!(csv.text().lines().nth(1).unwrap().rsplit(',').next(), Some("NaN"));
    let parquet = ada.get(&format!("{path}/runs/export?format=parquet")).await;
    assert_eq!((parquet.header("content-type"), parquet.status.as_u16()), ("application/vnd.apache.parquet", 200));

    for wrong in [
        "table?col=nothing",
        "table?sort=nothing",
        "table?view=gone",
        "table?filter=nonsense",
        "groups",
        "groups?by=metrics.acc",
        "groups?by=status&sort=weight",
        "runs/export?format=xlsx",
        "runs/export?run=1",
        "runs/export?filter=nonsense",
    ] {
        assert_eq!(ada.get(&format!("{path}/{wrong}")).await.refused(400)["kind"], "invalid", "{wrong}");
    }
    let change = async |what: &str, body: Value| ada.post(&format!("{path}/runs/{what}"), body).await;
    assert_eq!(change("tag", json!({ "runs": [one, other], "key": "team", "value": "lab" })).await.ok()["changed"], 2);
    assert_eq!(change("delete", json!({ "runs": [one] })).await.ok()["changed"], 1);
    assert_eq!(ada.get(&format!("{path}/table?view=deleted")).await.ok()["total"], 1);
    change("tag", json!({ "runs": [one, other], "key": "team", "value": "x" })).await.refused(400);
    assert_eq!(change("restore", json!({ "runs": [one, other] })).await.ok()["changed"], 1);
    change("delete", json!({ "runs": [] })).await.refused(400);
    let elsewhere = ada.run("0").await;
    change("delete", json!({ "runs": [one, elsewhere] })).await.refused(404);
    assert_eq!(ada.get(&format!("{path}/table")).await.ok()["total"], 2);

    let viewer = app.member(Role::Viewer).await;
    viewer.post(&format!("{path}/runs/delete"), json!({ "runs": [one] })).await.refused(403);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    for path in ["table", "groups?by=status", "columns", "filter-completions", "runs/export"] {
        stranger.get(&format!("/api/v1/experiments/{experiment}/{path}")).await.refused(404);
    }
}
