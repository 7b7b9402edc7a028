//! Strange things that may be logged.

use super::World;
use axum::http::StatusCode;
use serde_json::json;

/// What clients may log is shown, however little sense it makes.
#[tokio::test]
async fn the_greatest_and_the_strangest_that_can_be_logged_are_shown() {
    let world = World::start().await;
    let admin = &world.admin;
    let name = "\u{1f4a5}\u{202e}<script>'\"&".repeat(10);
    let new = json!({ "experiment_id": world.experiment, "start_time": i64::MAX, "run_name": name, "user_id": name });
    let made = admin.ml("runs/create", new).await.ok();
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let values = [json!(f64::MAX), json!(f64::MIN), json!("NaN"), json!("-Infinity"), json!(5e-324), json!(0)];
    let points = values.iter().enumerate().flat_map(|(at, value)| {
        [i64::MIN, -1, i64::MAX].map(|step| {
            let timestamp = if step < 0 { 0 } else { i64::MAX };
            json!({ "key": format!("m{}", at % 2), "value": value, "timestamp": timestamp, "step": step })
        })
    });
    let params = json!([{ "key": "p", "value": name.repeat(20) }]);
    let batch = json!({ "run_id": run, "metrics": points.collect::<Vec<_>>(), "params": params });
    admin.ml("runs/log-batch", batch).await.ok();
    let ended = json!({ "run_id": run, "status": "FAILED", "end_time": 0 });
    admin.ml("runs/update", ended).await.ok();
    let other = admin.run(&world.experiment).await;
    for path in [
        format!("/runs/{run}"),
        format!("/runs/{run}?metric=m0"),
        format!("/runs/compare?run={run}&run={other}"),
        format!("/experiments/{}", world.experiment),
        format!("/experiments/{}?sort=-metrics.m0", world.experiment),
        "/experiments".to_owned(),
        "/audit".to_owned(),
        "/".to_owned(),
        format!("/api/v1/runs/{run}"),
        format!("/api/v1/runs/{run}/series?key=m0&points=2"),
        format!("/api/v1/runs?experiment_id={}", world.experiment),
        format!("/api/2.0/mlflow/runs/get?run_id={run}"),
        format!("/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=m1"),
    ] {
        let answer = admin.clone().in_workspace("default").get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:.600}", answer.text());
        assert!(path.starts_with("/api") || !answer.text().contains("<script>'"), "{path}");
    }
}
