//! Runs over REST: found, read, their curves and files.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn runs_are_found_and_read_with_their_lineage() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let (one, other) = (ada.run(&experiment).await, ada.run("0").await);
    ada.ml(
        "runs/log-batch",
        json!({ "run_id": one, "metrics": [{ "key": "acc", "value": 0.5, "timestamp": 1, "step": 1 }] }),
    )
    .await
    .ok();
    let found =
        ada.get(&format!("/api/v1/runs?experiment_id={experiment},0&filter=metrics.acc%20%3E%200.4")).await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["metrics"][0]["value"], 0.5);
    assert_eq!(
        ada.get("/api/v1/runs?experiment_id=0&order_by=run_name%20DESC,start_time").await.ok()["items"][0]["info"]["id"],
        id(&other)
    );
    ada.get("/api/v1/runs").await.refused(400);
    ada.get("/api/v1/runs?experiment_id=x").await.refused(400);

    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{one}/model")).await;
    // Both forms of an id are the same run.
    for form in [one.clone(), id(&one)] {
        let read = ada.get(&format!("/api/v1/runs/{form}")).await.ok();
        assert_eq!((&read["run"]["info"]["id"], &read["experiment"]["name"]), (&json!(id(&one)), &json!("wine")));
        assert_eq!(read["lineage"], json!({ "pipeline_run": null, "versions": [["churn", 1]] }));
    }
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.get(&format!("/api/v1/runs/{one}")).await.refused(404);
    stranger.get(&format!("/api/v1/runs/{one}/series?key=acc")).await.refused(404);
    stranger.get(&format!("/api/v1/runs/{one}/artifacts")).await.refused(404);
}

fn id(simple: &str) -> String {
    simple.parse::<domain::id::RunId>().unwrap().to_string()
}

#[tokio::test]
async fn a_curve_is_thinned_and_keeps_its_peaks() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    for start in (0..5000).step_by(1000) {
        let metrics: Vec<Value> = (start..start + 1000)
            .map(|step| json!({ "key": "val/loss", "value": if step == 3210 { 99.0 } else { f64::from(step % 10) }, "timestamp": step, "step": step }))
            .collect();
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    }
    let series = ada.get(&format!("/api/v1/runs/{run}/series?key=val%2Floss&points=100")).await.ok();
    let points = series["points"].as_array().unwrap();
    assert_eq!((&series["total"], &series["key"]), (&json!(5000), &json!("val/loss")));
    assert!((50..=100).contains(&points.len()), "{}", points.len());
    assert!(points.iter().any(|point| point["value"] == 99.0));
    assert_eq!((&points[0]["step"], &points[points.len() - 1]["step"]), (&json!(0), &json!(4999)));
    assert_eq!(
        ada.get(&format!("/api/v1/runs/{run}/series?key=val%2Floss&points=10000")).await.ok()["points"]
            .as_array()
            .unwrap()
            .len(),
        5000
    );
    ada.get(&format!("/api/v1/runs/{run}/series?key=none")).await.refused(404);
    ada.get(&format!("/api/v1/runs/{run}/series")).await.refused(400);
}

#[tokio::test]
async fn files_of_a_run_are_listed_and_saved() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/a/page.html"), b"<p>").await.ok();
    let listed = ada.get(&format!("/api/v1/runs/{run}/artifacts?path=a")).await.ok();
    assert_eq!(listed["items"], json!([{ "path": "a/page.html", "is_dir": false, "size": 3 }]));
    let content = format!("/api/v1/runs/{run}/artifacts/content?path=a/page.html");
    let saved = ada.get(&content).await;
    assert_eq!((saved.text().as_str(), saved.header("content-type")), ("<p>", "application/octet-stream"));
    assert!(saved.header("content-disposition").starts_with("attachment"));
    ada.get(&content.replace("page", "none")).await.refused(404);
    ada.get(&content.replace("a/page", "../x")).await.refused(400);
    ada.get(&format!("/api/v1/runs/{run}/artifacts?path=%2e%2e")).await.refused(400);
}
