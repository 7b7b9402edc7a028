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
    let series = &series["items"][0];
    let points = series["points"].as_array().unwrap();
    assert_eq!((&series["total"], &series["key"]), (&json!(5000), &json!("val/loss")));
    assert!((50..=100).contains(&points.len()), "{}", points.len());
    assert!(points.iter().any(|point| point["value"] == 99.0));
    assert_eq!((&points[0]["step"], &points[points.len() - 1]["step"]), (&json!(0), &json!(4999)));
    let whole = ada.get(&format!("/api/v1/runs/{run}/series?key=val%2Floss&points=10000")).await.ok();
    assert_eq!(whole["items"][0]["points"].as_array().unwrap().len(), 5000);
    ada.get(&format!("/api/v1/runs/{run}/series?key=none")).await.refused(404);
    ada.get(&format!("/api/v1/runs/{run}/series")).await.refused(400);
}

/// The steps of a curve.
fn steps(series: &Value) -> Vec<i64> {
    series["points"].as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_part_of_several_curves_comes_finer_with_a_point_beyond_either_end() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let metrics: Vec<Value> = (0..500)
        .flat_map(|step| {
            ["a", "b"].map(|key| json!({ "key": key, "value": step, "timestamp": 1000 * step, "step": step }))
        })
        .collect();
    ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    let get = async |query: &str| ada.get(&format!("/api/v1/runs/{run}/series?{query}")).await;

    let found = get("key=b&key=none&key=a&key=b&points=50&start=100&end=104.5").await.ok();
    let keys: Vec<&str> = found["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["b", "a"], "in the order asked for, each once");
    assert_eq!(steps(&found["items"][0]), [99, 100, 101, 102, 103, 104, 105]);
    assert_eq!(found["items"][0]["total"], 500);
    let by_time = get("key=a&axis=time&start=3000&end=4000").await.ok();
    assert_eq!(steps(&by_time["items"][0]), [2, 3, 4, 5]);
    let info = ada.read_run(&run).await["info"]["start_time"].as_i64().unwrap();
    let relative = get(&format!("key=a&axis=relative&end={}", 2.0 - info as f64 / 1000.0)).await.ok();
    assert_eq!(steps(&relative["items"][0]), [0, 1, 2, 3]);

    for wrong in
        ["key=a&start=x", "key=a&start=NaN", "key=a&start=9&end=3", "key=a&axis=up", "key=a&points=-1", "points=3"]
    {
        get(wrong).await.refused(400);
    }
    let many: Vec<String> = (0..51).map(|at| format!("key=m{at}")).collect();
    assert!(get(&many.join("&")).await.refused(400).to_string().contains("at most 50"));
}

#[tokio::test]
async fn curves_of_several_runs_come_in_one_answer() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (one, other) = (ada.run("0").await, ada.run("0").await);
    for (run, keys) in [(&one, vec!["loss", "acc"]), (&other, vec!["loss"])] {
        let metrics: Vec<Value> =
            keys.iter().map(|key| json!({ "key": key, "value": 1, "timestamp": 0, "step": 0 })).collect();
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    }
    let found = ada.get(&format!("/api/v1/runs/series?run={other}&run={one}&key=loss&key=acc")).await.ok();
    let found: Vec<(String, String)> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["run_id"].as_str().unwrap().to_owned(), item["key"].as_str().unwrap().to_owned()))
        .collect();
    let wanted = [(&other, "loss"), (&one, "loss"), (&one, "acc")].map(|(run, key)| (id(run), key.to_owned()));
    assert_eq!(found, wanted);

    ada.get("/api/v1/runs/series?key=loss").await.refused(400);
    ada.get("/api/v1/runs/series?run=x&key=loss").await.refused(400);
    ada.get(&format!("/api/v1/runs/series?run={one}&run={}&key=loss", domain::id::RunId::new())).await.refused(404);
    let many: Vec<String> = (0..51).map(|_| format!("run={}", domain::id::RunId::new())).collect();
    ada.get(&format!("/api/v1/runs/series?{}&key=loss", many.join("&"))).await.refused(400);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.get(&format!("/api/v1/runs/series?run={one}&key=loss")).await.refused(404);
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
