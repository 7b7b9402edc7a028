//! Experiments.

use super::{names, of};
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_workspace_has_a_default_experiment_that_clients_call_0() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let default = ada.ml_get("experiments/get?experiment_id=0").await.ok();
    assert_eq!(default["experiment"]["name"], "Default");
    let id = default["experiment"]["experiment_id"].as_str().unwrap();
    assert_eq!(default["experiment"]["artifact_location"], format!("mlflow-artifacts:/{id}"));
    assert_eq!(ada.ml_get(&format!("experiments/get?experiment_id={id}")).await.ok(), default);
    assert_eq!(ada.ml_get("experiments/get-by-name?experiment_name=Default").await.ok(), default);
    let run = ada.run("0").await;
    assert_eq!(ada.read_run(&run).await["info"]["experiment_id"], id);
}

#[tokio::test]
async fn an_experiment_is_made_with_its_tags() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let new = json!({ "name": "wine / v2", "tags": [{ "key": "team", "value": "cellar" }], "unknown": 1 });
    let id = ada.ml("experiments/create", new).await.ok()["experiment_id"].as_str().unwrap().to_owned();
    let made = ada.ml_get(&format!("experiments/get?experiment_id={id}")).await.ok()["experiment"].clone();
    assert_eq!((&made["name"], &made["lifecycle_stage"]), (&json!("wine / v2"), &json!("active")));
    assert_eq!(of(&made["tags"], "team"), "cellar");
    assert!(made["creation_time"].is_i64() && made["creation_time"] == made["last_update_time"]);
}

#[tokio::test]
async fn a_name_is_taken_once_also_by_a_deleted_experiment() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    for _ in 0..2 {
        let refused = ada.ml("experiments/create", json!({ "name": "wine" })).await.refused(400);
        assert_eq!(refused["error_code"], "RESOURCE_ALREADY_EXISTS");
        assert!(!refused["message"].as_str().unwrap().contains("sql"), "{refused}");
        ada.ml("experiments/delete", json!({ "experiment_id": id })).await;
    }
    let other = ada.experiment("beer").await;
    let refused =
        ada.ml("experiments/update", json!({ "experiment_id": other, "new_name": "wine" })).await.refused(400);
    assert_eq!(refused["error_code"], "RESOURCE_ALREADY_EXISTS");
}

#[tokio::test]
async fn deleting_puts_the_runs_away_too_and_restoring_brings_them_back() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    let run = ada.run(&id).await;
    let stage = |run: Value| run["info"]["lifecycle_stage"].clone();
    ada.ml("experiments/delete", json!({ "experiment_id": id })).await.ok();
    assert_eq!(stage(ada.read_run(&run).await), "deleted");
    assert_eq!(
        ada.ml_get(&format!("experiments/get?experiment_id={id}")).await.ok()["experiment"]["lifecycle_stage"],
        "deleted"
    );
    assert_eq!(
        ada.ml_get("experiments/get-by-name?experiment_name=wine").await.ok()["experiment"]["lifecycle_stage"],
        "deleted"
    );

    for (operation, body, status) in [
        ("experiments/delete", json!({ "experiment_id": id }), 404),
        ("experiments/update", json!({ "experiment_id": id, "new_name": "x" }), 400),
        ("experiments/set-experiment-tag", json!({ "experiment_id": id, "key": "a", "value": "b" }), 400),
        ("runs/create", json!({ "experiment_id": id, "start_time": 1 }), 400),
        ("logged-models", json!({ "experiment_id": id, "name": "m" }), 400),
    ] {
        ada.ml(operation, body).await.refused(status);
    }
    ada.ml("experiments/restore", json!({ "experiment_id": id })).await.ok();
    assert_eq!(stage(ada.read_run(&run).await), "active");
    ada.ml("experiments/restore", json!({ "experiment_id": id })).await.refused(404);
}

#[tokio::test]
async fn renaming_and_tagging_change_an_experiment() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    ada.ml("experiments/update", json!({ "experiment_id": id, "new_name": "port" })).await.ok();
    for value in ["1", "2", "2"] {
        ada.ml("experiments/set-experiment-tag", json!({ "experiment_id": id, "key": "t", "value": value })).await.ok();
    }
    let read = ada.ml_get(&format!("experiments/get?experiment_id={id}")).await.ok()["experiment"].clone();
    assert_eq!((&read["name"], of(&read["tags"], "t")), (&json!("port"), &json!("2")));
    ada.ml("experiments/delete-experiment-tag", json!({ "experiment_id": id, "key": "t" })).await.ok();
    ada.ml("experiments/delete-experiment-tag", json!({ "experiment_id": id, "key": "t" })).await.refused(404);
    ada.ml("experiments/set-experiment-tag", json!({ "experiment_id": id, "key": "t", "value": "x".repeat(20_001) }))
        .await
        .refused(400);
}

#[tokio::test]
async fn experiments_are_searched_by_post_and_get_a_page_at_a_time() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for (name, team) in [("wine-a", "x"), ("wine-b", "y"), ("beer", "x"), ("wine-c", "x")] {
        let tags = json!([{ "key": "team", "value": team }]);
        ada.ml("experiments/create", json!({ "name": name, "tags": tags })).await.ok();
    }
    let found = async |body: Value| names(&ada.ml("experiments/search", body).await.ok()["experiments"], "/name");
    let mut order = json!(["name ASC"]);
    assert_eq!(
        found(json!({ "max_results": 10, "filter": "name LIKE 'wine%' AND tags.team = 'x'", "order_by": order })).await,
        ["wine-a", "wine-c"]
    );
    assert_eq!(found(json!({ "max_results": 10, "filter": "tags.team IS NULL" })).await, ["Default"]);
    assert_eq!(
        found(json!({ "max_results": 10, "filter": "name ILIKE 'WINE%' AND NOT tags.team = 'x'" })).await,
        ["wine-b"]
    );
    assert_eq!(found(json!({ "max_results": 10, "filter": "experiment_id IN ('0')" })).await, ["Default"]);
    assert_eq!(found(json!({ "max_results": 10, "filter": "creation_time > 0 AND experiment_id NOT IN ('0')", "order_by": order })).await.len(), 4);

    order = json!(["name DESC"]);
    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let body = json!({ "max_results": "2", "order_by": order, "page_token": token });
        let page = ada.ml("experiments/search", body).await.ok();
        seen.extend(names(&page["experiments"], "/name"));
        token = page["next_page_token"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["wine-c", "wine-b", "wine-a", "beer", "Default"]);
    let by_get = ada.ml_get("experiments/search?max_results=2&order_by=name&order_by=creation_time%20DESC").await.ok();
    assert_eq!(names(&by_get["experiments"], "/name"), ["Default", "beer"]);
    assert_eq!(found(json!({ "max_results": 10 })).await[4], "Default", "the newest come first");
}

#[tokio::test]
async fn a_deleted_experiment_is_found_when_it_is_asked_for() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    ada.ml("experiments/delete", json!({ "experiment_id": id })).await.ok();
    let found = async |view: Value| {
        let answer = ada.ml("experiments/search", json!({ "max_results": 10, "view_type": view })).await.ok();
        names(&answer["experiments"], "/name")
    };
    assert_eq!(found(json!("ACTIVE_ONLY")).await, ["Default"]);
    assert_eq!(found(json!("DELETED_ONLY")).await, ["wine"]);
    assert_eq!(found(json!(3)).await, ["wine", "Default"]);
}

#[tokio::test]
async fn an_experiment_of_another_workspace_is_not_there() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    let run = ada.run(&id).await;
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.ml_get(&format!("experiments/get?experiment_id={id}")).await.refused(404);
    stranger.ml_get(&format!("runs/get?run_id={run}")).await.refused(404);
    stranger.ml("runs/log-parameter", json!({ "run_id": run, "key": "a", "value": "b" })).await.refused(404);
    stranger.ml("runs/create", json!({ "experiment_id": id })).await.refused(404);
    stranger.ml("experiments/delete", json!({ "experiment_id": id })).await.refused(404);
    assert_eq!(stranger.ml("runs/search", json!({ "experiment_ids": [id] })).await.ok(), json!({}));
    // Names are free in each workspace.
    stranger.experiment("wine").await;
}

#[tokio::test]
async fn changes_of_experiments_are_history() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.experiment("wine").await;
    let run = ada.run(&id).await;
    ada.ml("experiments/update", json!({ "experiment_id": id, "new_name": "port" })).await.ok();
    ada.ml("runs/delete", json!({ "run_id": run })).await.ok();
    ada.ml("experiments/delete", json!({ "experiment_id": id })).await.ok();
    let events = ada.get(&format!("/api/v1/audit-events?object=experiment:{id}")).await.ok();
    assert_eq!(
        names(&events["items"], "/action"),
        ["experiment.deleted", "run.deleted", "experiment.renamed", "run.created", "experiment.created"]
    );
    assert_eq!(events["items"][0]["actor"]["id"], ada.user().id.to_string());
}

#[tokio::test]
async fn data_sets_are_summed_up_over_experiments() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (wine, other) = (ada.experiment("wine").await, ada.experiment("other").await);
    for (experiment, name, context) in [
        (&wine, "grapes", Some("training")),
        (&wine, "grapes", Some("training")),
        (&wine, "grapes", Some("eval")),
        (&other, "hops", None),
    ] {
        let run = ada.run(experiment).await;
        let tags: Vec<Value> =
            context.iter().map(|context| json!({ "key": "mlflow.data.context", "value": context })).collect();
        let dataset = json!({ "name": name, "digest": "1", "source_type": "s", "source": "s" });
        let inputs = json!({ "run_id": run, "datasets": [{ "dataset": dataset, "tags": tags }] });
        ada.ml("runs/log-inputs", inputs).await.ok();
    }
    let path = "/ajax-api/2.0/mlflow/experiments/search-datasets";
    let found = ada.post(path, json!({ "experiment_ids": [wine, other] })).await.ok();
    assert_eq!(
        found["dataset_summaries"],
        json!([
            { "experiment_id": wine, "name": "grapes", "digest": "1", "context": "eval" },
            { "experiment_id": wine, "name": "grapes", "digest": "1", "context": "training" },
            { "experiment_id": other, "name": "hops", "digest": "1" },
        ])
    );
    assert_eq!(ada.post(path, json!({ "experiment_ids": ["0"] })).await.ok(), json!({}));
    ada.post(path, json!({})).await.refused(400);
    ada.post(path, json!({ "experiment_ids": vec!["0"; 21] })).await.refused(400);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    assert_eq!(stranger.post(path, json!({ "experiment_ids": [wine] })).await.ok(), json!({}));
}
