//! Finding runs in the search language.

use super::names;
use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::{Value, json};

/// Three runs and one without anything: metric `acc` is 0.9, 0.5, not-a-number and missing.
async fn wine(ada: &Client) -> String {
    let experiment = ada.experiment("wine").await;
    for (at, (name, acc, depth, team)) in [
        ("a", Some(json!(0.9)), Some("3"), Some("Cellar")),
        ("b", Some(json!(0.5)), Some("10"), Some("Cask")),
        ("c", Some(json!("NaN")), None, None),
        ("d", None, None, None),
    ]
    .into_iter()
    .enumerate()
    {
        let new = json!({ "experiment_id": experiment, "run_name": name, "start_time": 1000 + at });
        let id = ada.ml("runs/create", new).await.ok()["run"]["info"]["run_id"].clone();
        let metrics: Vec<Value> = acc
            .into_iter()
            .map(|value| json!({ "key": "val/acc", "value": value, "timestamp": 1, "step": 1 }))
            .collect();
        let params: Vec<Value> = depth.into_iter().map(|value| json!({ "key": "max depth", "value": value })).collect();
        let tags: Vec<Value> = team.into_iter().map(|value| json!({ "key": "team", "value": value })).collect();
        ada.ml("runs/log-batch", json!({ "run_id": id, "metrics": metrics, "params": params, "tags": tags }))
            .await
            .ok();
        if name == "a" {
            ada.ml("runs/update", json!({ "run_id": id, "status": "FINISHED", "end_time": 5000 })).await.ok();
            let input = json!({
                "dataset": { "name": "grapes", "digest": "4f1a", "source_type": "code", "source": "{}" },
                "tags": [{ "key": "mlflow.data.context", "value": "train" }],
            });
            ada.ml("runs/log-inputs", json!({ "run_id": id, "datasets": [input] })).await.ok();
        }
    }
    experiment
}

async fn found(ada: &Client, experiment: &str, filter: &str) -> String {
    let body = json!({ "experiment_ids": [experiment], "filter": filter, "order_by": ["run_name"] });
    names(&ada.ml("runs/search", body).await.ok()["runs"], "/info/run_name").concat()
}

#[tokio::test]
async fn each_sort_of_condition_finds_its_runs() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = wine(&ada).await;
    for (filter, expected) in [
        ("", "abcd"),
        // Metrics: the latest value, and not-a-number is only different from everything.
        ("metrics.`val/acc` > 0.5", "a"),
        ("metrics.`val/acc` >= 0.5", "ab"),
        ("metrics.`val/acc` < 1", "ab"),
        ("metrics.`val/acc` <= 0.5", "b"),
        ("metrics.`val/acc` = 0.5", "b"),
        ("metrics.`val/acc` != 0.5", "ac"),
        ("NOT metrics.`val/acc` > 0.5", "bcd"),
        ("metrics.`val/acc` IS NULL", "d"),
        ("metrics.`val/acc` IS NOT NULL", "abc"),
        ("metrics.unknown > 0", ""),
        ("metrics.unknown IS NULL", "abcd"),
        // Params: what a run lacks matches nothing.
        ("params.`max depth` = '3'", "a"),
        ("params.`max depth` != '3'", "b"),
        ("params.\"max depth\" LIKE '1%'", "b"),
        ("params.`max depth` IN ('3', '10')", "ab"),
        ("params.`max depth` NOT IN ('3')", "b"),
        ("params.`max depth` IS NULL", "cd"),
        // Tags and case.
        ("tags.team = 'Cellar'", "a"),
        ("tags.team LIKE 'c%'", ""),
        ("tags.team ILIKE 'c%'", "ab"),
        ("tags.team NOT ILIKE '%K'", "a"),
        ("tags.mlflow.runName = 'c'", "c"),
        // Attributes.
        ("attributes.run_name = 'b'", "b"),
        ("run_name LIKE '_'", "abcd"),
        ("status = 'FINISHED'", "a"),
        ("attributes.status != 'FINISHED'", "bcd"),
        ("status IN ('FINISHED', 'FAILED')", "a"),
        ("start_time >= 1002", "cd"),
        ("end_time > 0", "a"),
        ("end_time != 0", "a"),
        ("user_id LIKE 'Person%'", "abcd"),
        ("artifact_uri LIKE 'mlflow-artifacts:/%/artifacts'", "abcd"),
        // Data sets.
        ("datasets.name = 'grapes'", "a"),
        ("dataset.context = 'train' AND dataset.digest LIKE '4%'", "a"),
        ("datasets.context = 'eval'", ""),
        // Together.
        ("metrics.`val/acc` > 0.1 AND params.`max depth` = '10'", "b"),
        ("run_name = 'a' OR (run_name = 'd' AND NOT tags.team = 'x')", "ad"),
        ("run_name LIKE '%'' or 1=1 --'", ""),
    ] {
        assert_eq!(found(&ada, &experiment, filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_run_is_found_by_its_id() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (one, other) = (ada.run("0").await, ada.run("0").await);
    let ids = async |filter: String| {
        let answer = ada.ml("runs/search", json!({ "experiment_ids": ["0"], "filter": filter })).await.ok();
        names(&answer["runs"], "/info/run_id")
    };
    assert_eq!(ids(format!("run_id = '{one}'")).await, std::slice::from_ref(&one));
    assert_eq!(ids(format!("attributes.run_id IN ('{one}', 'nope')")).await, std::slice::from_ref(&one));
    assert_eq!(ids(format!("run_id != '{one}'")).await, std::slice::from_ref(&other));
    assert_eq!(ids(format!("run_id LIKE '{}%'", &one[..31])).await.len(), usize::from(one[..31] == other[..31]) + 1);
    assert!(ids("run_id = 'nope'".to_owned()).await.is_empty());
}

#[tokio::test]
async fn orders_put_not_a_number_after_numbers_and_missing_values_last() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = wine(&ada).await;
    for (order, expected) in [
        (vec!["metrics.`val/acc` ASC"], "bacd"),
        (vec!["metrics.`val/acc` DESC"], "abcd"),
        (vec!["params.`max depth`"], "badc"),
        (vec!["params.`max depth` DESC"], "abdc"),
        (vec!["tags.team"], "badc"),
        (vec!["start_time"], "abcd"),
        (vec!["end_time DESC", "run_name DESC"], "adcb"),
        (vec!["status ASC", "run_name"], "abcd"),
        (vec!["metrics.unknown", "attributes.run_id DESC"], "dcba"),
        (vec![], "dcba"),
    ] {
        // Whole, and one run a page.
        for limit in [100, 1] {
            let mut seen = String::new();
            let mut token = Value::Null;
            loop {
                let body = json!({ "experiment_ids": [experiment], "order_by": order, "max_results": limit, "page_token": token });
                let page = ada.ml("runs/search", body).await.ok();
                seen.push_str(&names(&page["runs"], "/info/run_name").concat());
                token = page["next_page_token"].clone();
                if token.is_null() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{order:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_token_belongs_to_its_order() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = wine(&ada).await;
    let search = async |order: Value, token: Value| {
        ada.ml(
            "runs/search",
            json!({ "experiment_ids": [experiment], "order_by": order, "max_results": 1, "page_token": token }),
        )
        .await
    };
    let token = search(json!(["metrics.x"]), Value::Null).await.ok()["next_page_token"].clone();
    for (order, token) in [
        (json!(["start_time", "run_id"]), token.clone()),
        (json!([]), token),
        (json!([]), json!("zz")),
        (json!([]), json!("5b5d")),
        (json!([]), json!("x".repeat(100_000))),
    ] {
        let refused = search(order, token).await.refused(400);
        assert_eq!(refused["error_code"], "INVALID_PARAMETER_VALUE");
    }
}

#[tokio::test]
async fn deleted_runs_are_found_when_they_are_asked_for() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (kept, deleted) = (ada.run("0").await, ada.run("0").await);
    ada.ml("runs/delete", json!({ "run_id": deleted })).await.ok();
    let ids = async |view: Value| {
        let body = json!({ "experiment_ids": ["0"], "run_view_type": view, "order_by": ["run_id"] });
        names(&ada.ml("runs/search", body).await.ok()["runs"], "/info/run_id")
    };
    assert_eq!(ids(json!("ACTIVE_ONLY")).await, std::slice::from_ref(&kept));
    assert_eq!(ids(json!("DELETED_ONLY")).await, std::slice::from_ref(&deleted));
    assert_eq!(ids(json!("ALL")).await, [kept, deleted]);
}

#[tokio::test]
async fn runs_of_several_experiments_are_found_together() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let (one, other) = (ada.run("0").await, ada.run(&experiment).await);
    let ids = async |experiments: Value| {
        let body = json!({ "experiment_ids": experiments, "order_by": ["run_id"] });
        names(&ada.ml("runs/search", body).await.ok()["runs"], "/info/run_id")
    };
    assert_eq!(ids(json!(["0", experiment])).await, [one.clone(), other]);
    assert_eq!(ids(json!(["0"])).await, [one]);
    assert!(ids(json!([])).await.is_empty());
    assert!(ids(json!(["999999"])).await.is_empty());
}

#[tokio::test]
async fn a_search_that_cannot_be_read_says_why() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Viewer).await;
    for body in [
        json!({ "experiment_ids": ["0"], "filter": "metrics.acc > 'x'" }),
        json!({ "experiment_ids": ["0"], "filter": "metrics.acc >" }),
        json!({ "experiment_ids": ["0"], "filter": "params.a > 3" }),
        json!({ "experiment_ids": ["0"], "filter": "nonsense" }),
        json!({ "experiment_ids": ["0"], "filter": "a\u{0} = 'b'" }),
        json!({ "experiment_ids": ["0"], "order_by": ["start_time", "start_time"] }),
        json!({ "experiment_ids": ["0"], "order_by": ["datasets.name"] }),
        json!({ "experiment_ids": ["0"], "order_by": "start_time" }),
        json!({ "experiment_ids": ["x"] }),
        json!({ "experiment_ids": [1] }),
        json!({ "experiment_ids": "0" }),
        json!({ "experiment_ids": ["0"], "max_results": 0 }),
        json!({ "experiment_ids": ["0"], "max_results": 50_001 }),
        json!({ "experiment_ids": ["0"], "max_results": "many" }),
    ] {
        let refused = ada.ml("runs/search", body.clone()).await.refused(400);
        assert!(refused["message"].as_str().unwrap().len() > 10, "{body}");
    }
}

#[tokio::test]
async fn a_page_that_is_too_long_for_the_memory_comes_whole_all_the_same() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    ada.ml("runs/set-tag", json!({ "run_id": run, "key": "k", "value": "v" })).await.ok();
    sqlx::query(
        "insert into runs (id, workspace_id, experiment_id, name, start_time)
         select gen_random_uuid(), workspace_id, experiment_id, 'run ' || n, n
         from runs, generate_series(1, 2499) as n",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let find = async |limit: usize, token: Option<&str>| {
        let order = ["start_time ASC"];
        let body = json!({ "experiment_ids": ["0"], "order_by": order, "max_results": limit, "page_token": token });
        ada.ml("runs/search", body).await.ok()
    };
    let first = find(2400, None).await;
    let names = names(&first["runs"], "/info/run_name");
    assert_eq!(names, (1..=2400).map(|n| format!("run {n}")).collect::<Vec<_>>());
    let rest = find(50_000, first["next_page_token"].as_str()).await;
    assert_eq!((rest["runs"].as_array().unwrap().len(), rest.get("next_page_token")), (100, None));
    assert_eq!(rest["runs"][99]["data"]["tags"].as_array().unwrap().len(), 2, "with what was logged");
    assert_eq!(find(50_000, None).await["runs"].as_array().unwrap().len(), 2500);
}
