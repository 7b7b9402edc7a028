//! Histories of several runs at once.

use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::{Value, json};

const SAMPLED: &str = "metrics/get-history-bulk-interval";
const WHOLE: &str = "/ajax-api/2.0/mlflow/metrics/get-history-bulk";

/// A run with so many points of `loss`, one a step.
async fn run_with(client: &Client, points: usize) -> String {
    let run = client.run("0").await;
    for chunk in (0..points).collect::<Vec<_>>().chunks(1000) {
        let point = |step: &usize| json!({ "key": "loss", "value": step, "timestamp": 1000 + step, "step": step });
        let metrics: Vec<Value> = chunk.iter().map(point).collect();
        client.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    }
    run
}

fn steps(answer: &Value, run: &str) -> Vec<i64> {
    let metrics = answer["metrics"].as_array().cloned().unwrap_or_default();
    metrics.iter().filter(|metric| metric["run_id"] == run).map(|metric| metric["step"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn each_run_is_sampled_with_its_first_and_last_point() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (short, long) = (run_with(&ada, 3).await, run_with(&ada, 6000).await);
    let nothing = ada.run("0").await;
    let ask = async |query: &str| ada.ml_get(&format!("{SAMPLED}?metric_key=loss&{query}")).await;
    let both = format!("run_ids={nothing}&run_ids={short}&run_ids={long}");

    let sampled = ask(&format!("{both}&max_results=4")).await.ok();
    assert_eq!(steps(&sampled, &short), [0, 1, 2]);
    assert_eq!(steps(&sampled, &long), [0, 1500, 3000, 5999]);
    assert_eq!(
        sampled["metrics"][0],
        json!({ "key": "loss", "value": 0.0, "timestamp": 1000, "step": 0, "run_id": short })
    );
    assert_eq!(steps(&ask(&both).await.ok(), &long).len(), 2500, "of each run, unless fewer are asked for");
    let within = ask(&format!("{both}&start_step=2&end_step=11&max_results=5")).await.ok();
    assert_eq!((steps(&within, &short), steps(&within, &long)), (vec![2], vec![2, 4, 6, 8, 11]));
    assert_eq!(steps(&ask(&format!("{both}&max_results=1")).await.ok(), &long), [5999]);
    assert_eq!(ask(&format!("run_ids={nothing}&run_ids=x")).await.ok(), json!({}));

    for wrong in [
        "max_results=5".to_owned(),
        format!("run_ids={short}&max_results=0"),
        format!("run_ids={short}&max_results=2501"),
        format!("run_ids={short}&start_step=1"),
        format!("run_ids={short}&end_step=1"),
        format!("run_ids={short}&start_step=2&end_step=1"),
        format!("run_ids={short}&start_step=x&end_step=1"),
        format!("run_ids={short}").repeat(1) + &format!("&run_ids={short}").repeat(100),
    ] {
        ask(&wrong).await.refused(400);
    }
    ada.ml_get(&format!("{SAMPLED}?run_ids={short}")).await.refused(400);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    assert_eq!(stranger.ml_get(&format!("{SAMPLED}?metric_key=loss&{both}")).await.ok(), json!({}));
}

#[tokio::test]
async fn histories_of_several_runs_come_whole_up_to_a_number() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let mut runs = [run_with(&ada, 12_000).await, run_with(&ada, 12_000).await, run_with(&ada, 12_000).await];
    runs.sort();
    let [one, two, three] = &runs;
    let ask = async |query: &str| ada.get(&format!("{WHOLE}?metric_key=loss&{query}")).await;
    let all = ask(&format!("run_id={three}&run_id={one}&run_id={two}")).await.ok();
    assert_eq!(
        [one, two, three].map(|run| steps(&all, run).len()),
        [12_000, 12_000, 1000],
        "in the order of the ids, and 25,000 in all"
    );
    assert!(steps(&all, two).is_sorted());
    let few = ask(&format!("run_id={one}&run_id={two}&max_results=5")).await.ok();
    assert_eq!(steps(&few, one), [0, 1, 2, 3, 4]);
    assert_eq!(ask("run_id=x").await.ok(), json!({ "metrics": [] }));
    ask("max_results=5").await.refused(400);
    ask(&"run_id=x&".repeat(101)).await.refused(400);
    ada.get(&format!("{WHOLE}?run_id={one}")).await.refused(400);
}
