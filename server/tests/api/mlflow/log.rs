//! What is logged to runs.

use super::of;
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

fn metric(key: &str, value: impl Into<Value>, timestamp: i64, step: i64) -> Value {
    json!({ "key": key, "value": value.into(), "timestamp": timestamp, "step": step })
}

#[tokio::test]
async fn the_latest_point_is_the_one_of_the_greatest_step_then_time_then_value() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let points = [
        metric("loss", 0.5, 30, 1),
        metric("loss", 0.9, 10, 2),
        metric("loss", 0.7, 20, 2),
        metric("loss", 0.8, 20, 2),
        metric("loss", 0.1, 99, 0),
    ];
    for point in &points {
        let mut body = point.clone();
        body["run_id"] = id.clone().into();
        ada.ml("runs/log-metric", body).await.ok();
    }
    let latest = ada.read_run(&id).await["data"]["metrics"].clone();
    assert_eq!(latest, json!([metric("loss", 0.8, 20, 2)]));
    // All at once gives the same.
    let other = ada.run("0").await;
    ada.ml("runs/log-batch", json!({ "run_id": other, "metrics": points })).await.ok();
    assert_eq!(ada.read_run(&other).await["data"]["metrics"], latest);
    let history = ada.ml_get(&format!("metrics/get-history?run_id={other}&metric_key=loss")).await.ok();
    let times: Vec<i64> =
        history["metrics"].as_array().unwrap().iter().map(|m| m["timestamp"].as_i64().unwrap()).collect();
    assert_eq!(times, [10, 20, 20, 30, 99]);
}

#[tokio::test]
async fn what_is_sent_again_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let batch = json!({
        "run_id": id,
        "metrics": [metric("a", 1.5, 1, 1), metric("b", "NaN", 1, 1), metric("a", 1.5, 1, 1)],
        "params": [{ "key": "p", "value": "1" }],
        "tags": [{ "key": "t", "value": "x" }, { "key": "t", "value": "y" }],
    });
    ada.ml("runs/log-batch", batch.clone()).await.ok();
    let before = ada.read_run(&id).await;
    ada.ml("runs/log-batch", batch).await.ok();
    assert_eq!(ada.read_run(&id).await, before);
    assert_eq!((of(&before["data"]["params"], "p"), of(&before["data"]["tags"], "t")), (&json!("1"), &json!("y")));
    for key in ["a", "b"] {
        let history = ada.ml_get(&format!("metrics/get-history?run_id={id}&metric_key={key}")).await.ok();
        assert_eq!(history["metrics"].as_array().unwrap().len(), 1, "{key}");
    }
}

#[tokio::test]
async fn numbers_that_are_none_are_kept_as_mlflow_keeps_them() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let values = [
        ("nan", json!("NaN")),
        ("inf", json!("Infinity")),
        ("low", json!("-Infinity")),
        ("text", json!("1.5")),
        ("yes", json!(true)),
    ];
    for (key, value) in values {
        ada.ml("runs/log-metric", json!({ "run_id": id, "key": key, "value": value, "timestamp": 1 })).await.ok();
    }
    let metrics = ada.read_run(&id).await["data"]["metrics"].clone();
    assert_eq!(of(&metrics, "nan"), "NaN");
    assert_eq!(of(&metrics, "inf"), &json!(f64::MAX));
    assert_eq!(of(&metrics, "low"), &json!(f64::MIN));
    assert_eq!((of(&metrics, "text"), of(&metrics, "yes")), (&json!(1.5), &json!(1.0)));
    // Not-a-number counts as nothing where times are equal: a number after it is later, it after a number is not.
    ada.ml("runs/log-metric", json!({ "run_id": id, "key": "nan", "value": 2, "timestamp": 1 })).await.ok();
    ada.ml("runs/log-metric", json!({ "run_id": id, "key": "nan", "value": "NaN", "timestamp": 1 })).await.ok();
    assert_eq!(of(&ada.read_run(&id).await["data"]["metrics"], "nan"), &json!(2.0));
    ada.ml("runs/log-metric", json!({ "run_id": id, "key": "nan", "value": "NaN", "timestamp": 2 })).await.ok();
    assert_eq!(of(&ada.read_run(&id).await["data"]["metrics"], "nan"), "NaN");
    for value in [json!("nan"), json!("abc"), json!([1]), json!(null)] {
        ada.ml("runs/log-metric", json!({ "run_id": id, "key": "x", "value": value, "timestamp": 1 }))
            .await
            .refused(400);
    }
    // The bare words that some encoders write.
    let request = ada.request(axum::http::Method::POST, "/api/2.0/mlflow/runs/log-metric");
    let body = format!(r#"{{"run_id": "{id}", "key": "bare", "value": NaN, "timestamp": 1}}"#);
    ada.send(request.header("content-type", "application/json").body(body.into()).unwrap()).await.ok();
}

#[tokio::test]
async fn a_param_is_logged_once_and_for_all() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let log = async |key: &str, value: &str| {
        ada.ml("runs/log-parameter", json!({ "run_id": id, "key": key, "value": value })).await
    };
    log("p", "1").await.ok();
    log("p", "1").await.ok();
    log("empty", "").await.ok();
    assert_eq!(
        log("p", "2").await.refused(400)["message"],
        format!(
            "Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='{id}'. Attempted logging new value '2'."
        )
    );
}

#[tokio::test]
async fn a_batch_is_logged_whole_or_not_at_all() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    ada.ml("runs/log-parameter", json!({ "run_id": id, "key": "p", "value": "1" })).await.ok();
    let before = ada.read_run(&id).await;
    let batch = |params: Value, metrics: Value| json!({ "run_id": id, "metrics": metrics, "params": params, "tags": [{ "key": "t", "value": "x" }] });
    let refused = ada
        .ml(
            "runs/log-batch",
            batch(json!([{ "key": "new", "value": "1" }, { "key": "p", "value": "2" }]), json!([metric("a", 1, 1, 1)])),
        )
        .await
        .refused(400);
    assert!(refused["message"].as_str().unwrap().contains("Params were already logged='[{'key': 'p'"), "{refused}");
    let wrong = [
        batch(json!([]), json!([metric("a", 1, 1, 1), metric("b@", 1, 1, 1)])),
        batch(json!([]), json!([metric("a", 1, -1, 1)])),
        batch(json!([{ "key": "q", "value": "1" }, { "key": "q", "value": "1" }]), json!([])),
        batch(json!([]), json!([{ "key": "a", "value": 1 }])),
        batch(json!([]), json!([{ "key": "a", "timestamp": 1 }])),
        batch(json!([]), json!([7])),
        batch(json!([]), json!(vec![metric("a", 1, 1, 1); 1001])),
    ];
    for body in wrong {
        ada.ml("runs/log-batch", body).await.refused(400);
    }
    assert_eq!(ada.read_run(&id).await, before);
    ada.ml("runs/log-batch", json!({ "run_id": id })).await.ok();
}

#[tokio::test]
async fn writers_at_once_lose_nothing_and_block_nobody() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let batch = |writer: i64, reversed: bool| {
        let mut metrics: Vec<Value> =
            (0..50).flat_map(|key| (0..4).map(move |step| metric(&format!("m{key}"), writer, writer, step))).collect();
        let mut params: Vec<Value> = (0..20).map(|key| json!({ "key": format!("p{key}"), "value": "same" })).collect();
        let mut tags: Vec<Value> =
            (0..20).map(|key| json!({ "key": format!("t{key}"), "value": writer.to_string() })).collect();
        if reversed {
            metrics.reverse();
            params.reverse();
            tags.reverse();
        }
        json!({ "run_id": id, "metrics": metrics, "params": params, "tags": tags })
    };
    let writers = (0..8).map(|writer| {
        let (ada, body) = (ada.clone(), batch(writer, writer % 2 == 0));
        tokio::spawn(async move { ada.ml("runs/log-batch", body).await.ok() })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let run = ada.read_run(&id).await;
    assert_eq!(run["data"]["params"].as_array().unwrap().len(), 20);
    for latest in run["data"]["metrics"].as_array().unwrap() {
        assert_eq!((&latest["step"], &latest["timestamp"]), (&json!(3), &json!(7)));
    }
    let history = ada.ml_get(&format!("metrics/get-history?run_id={id}&metric_key=m7")).await.ok();
    assert_eq!(history["metrics"].as_array().unwrap().len(), 8 * 4);
}

#[tokio::test]
async fn what_is_cut_is_said_in_a_header() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let long = "é".repeat(8001);
    let answer = ada.ml("runs/log-parameter", json!({ "run_id": id, "key": "p", "value": long })).await;
    answer.ok();
    assert_eq!(answer.header("x-slipway-truncated"), "value");
    let batch =
        json!({ "run_id": id, "params": [{ "key": "q", "value": long }], "tags": [{ "key": "t", "value": long }] });
    let answer = ada.ml("runs/log-batch", batch.clone()).await;
    answer.ok();
    assert_eq!(answer.header("x-slipway-truncated"), "params[0].value,tags[0].value");
    // A value that was cut is the same when it is sent again.
    ada.ml("runs/log-batch", batch).await.ok();
    let data = ada.read_run(&id).await["data"].clone();
    assert_eq!(of(&data["params"], "p").as_str().unwrap().chars().count(), 6000);
    assert_eq!(of(&data["tags"], "t").as_str().unwrap().chars().count(), 8000);
    let answer = ada.ml("runs/set-tag", json!({ "run_id": id, "key": "t", "value": "short" })).await;
    assert_eq!(answer.header("x-slipway-truncated"), "");

    let new = json!({ "experiment_id": "0", "user_id": "u".repeat(257), "tags": [{ "key": "a", "value": "b" }, { "key": "t", "value": long }] });
    let answer = ada.ml("runs/create", new).await;
    answer.ok();
    assert_eq!(answer.header("x-slipway-truncated"), "tags[1].value,user_id");
    let params = json!([{ "key": "a", "value": "b" }, { "key": "p", "value": long }]);
    let answer = ada.ml("logged-models", json!({ "experiment_id": "0", "params": params })).await;
    assert_eq!(answer.header("x-slipway-truncated"), "params[1].value");
    let model = answer.ok()["model"]["info"]["model_id"].as_str().unwrap().to_owned();
    let params = json!([{ "key": "q", "value": long }]);
    let answer = ada.ml(&format!("logged-models/{model}/params"), json!({ "params": params })).await;
    answer.ok();
    assert_eq!(answer.header("x-slipway-truncated"), "params[0].value");
}

#[tokio::test]
async fn a_run_begins_with_as_many_tags_as_it_likes() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let tags: Vec<_> = (0..1100).map(|n| json!({ "key": format!("t{n}"), "value": "v" })).collect();
    let run = ada.ml("runs/create", json!({ "experiment_id": "0", "tags": tags })).await.ok();
    let id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let data = ada.read_run(&id).await["data"].clone();
    assert_eq!((of(&data["tags"], "t0"), of(&data["tags"], "t1099")), (&json!("v"), &json!("v")));
}

#[tokio::test]
async fn a_history_comes_whole_or_in_pages() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let points: Vec<Value> =
        (0..25).map(|n| metric("loss", if n == 7 { json!("NaN") } else { json!(n) }, 1000 + n / 2, n)).collect();
    ada.ml("runs/log-batch", json!({ "run_id": id, "metrics": points })).await.ok();
    let get = async |query: &str| ada.ml_get(&format!("metrics/get-history?run_id={id}&metric_key=loss{query}")).await;
    let whole = get("").await.ok();
    assert_eq!(whole["metrics"].as_array().unwrap().len(), 25);
    assert!(whole.get("next_page_token").is_none());
    let mut paged = Vec::new();
    let mut query = "&max_results=10".to_owned();
    loop {
        let page = get(&query).await.ok();
        paged.extend(page["metrics"].as_array().unwrap().clone());
        match page["next_page_token"].as_str() {
            Some(token) => query = format!("&max_results=10&page_token={token}"),
            None => break,
        }
    }
    assert_eq!(json!(paged), whole["metrics"]);
    for wrong in
        ["&max_results=0", "&max_results=-1", "&max_results=x", "&page_token=zz", "&max_results=1&page_token=7b7d"]
    {
        get(wrong).await.refused(400);
    }
    for nothing in
        ["run_id=0123456789abcdef0123456789abcdef&metric_key=loss".to_owned(), format!("run_id={id}&metric_key=none")]
    {
        assert_eq!(ada.ml_get(&format!("metrics/get-history?{nothing}")).await.ok(), json!({}));
    }
}

#[tokio::test]
async fn a_history_that_is_too_long_for_the_memory_comes_whole_all_the_same() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    ada.ml("runs/log-metric", json!({ "run_id": id, "key": "loss", "value": 0, "timestamp": 0, "step": 0 })).await.ok();
    sqlx::query(
        "insert into metric_journal (run_key, points)
         select run_key, int4send(key_id) || int8send(n) || int8send(n / 3)
             || float8send(case n when 20001 then 'NaN' else n::float8 end)
         from latest_metrics, generate_series(1, 25000) as n",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let get = async |query: &str| ada.ml_get(&format!("metrics/get-history?run_id={id}&metric_key=loss{query}")).await;
    let answer = get("").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let whole = answer.ok();
    let steps: Vec<i64> =
        whole["metrics"].as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, (0..=25_000).collect::<Vec<_>>());
    assert_eq!((&whole["metrics"][20_001]["value"], whole.get("next_page_token")), (&json!("NaN"), None));

    let first = get("&max_results=24000").await.ok();
    assert_eq!(first["metrics"].as_array().unwrap(), &whole["metrics"].as_array().unwrap()[..24_000]);
    let rest = get(&format!("&max_results=24000&page_token={}", first["next_page_token"].as_str().unwrap())).await.ok();
    assert_eq!(rest["metrics"].as_array().unwrap(), &whole["metrics"].as_array().unwrap()[24_000..]);
    assert!(rest.get("next_page_token").is_none());
}

#[tokio::test]
async fn data_sets_are_noted_once_by_name_and_digest() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (one, other) = (ada.run("0").await, ada.run("0").await);
    let input = |context: &str| {
        json!({
            "dataset": { "name": "wine", "digest": "4f1a", "source_type": "code", "source": "{}", "profile": "{\"num_rows\": 178}" },
            "tags": [{ "key": "mlflow.data.context", "value": context }],
        })
    };
    for run in [&one, &one, &other] {
        let context = if *run == one { "train" } else { "eval" };
        ada.ml("runs/log-inputs", json!({ "run_id": run, "datasets": [input(context), input("ignored")] })).await.ok();
    }
    let inputs = ada.read_run(&one).await["inputs"]["dataset_inputs"].clone();
    assert_eq!(inputs.as_array().unwrap().len(), 1);
    assert_eq!(inputs[0]["dataset"]["profile"], "{\"num_rows\": 178}");
    assert!(inputs[0]["dataset"].get("schema").is_none());
    assert_eq!(of(&inputs[0]["tags"], "mlflow.data.context"), "train");
    assert_eq!(of(&ada.read_run(&other).await["inputs"]["dataset_inputs"][0]["tags"], "mlflow.data.context"), "eval");
    let refused =
        ada.ml("runs/log-inputs", json!({ "run_id": one, "datasets": [{ "dataset": { "name": "x" } }] })).await;
    assert!(refused.refused(400)["message"].as_str().unwrap().contains("datasets[0].dataset.digest"));
}

#[tokio::test]
async fn tags_are_set_and_removed() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    ada.ml("runs/set-tag", json!({ "run_id": id, "key": "t", "value": "1" })).await.ok();
    ada.ml("runs/set-tag", json!({ "run_id": id, "key": "t", "value": "2" })).await.ok();
    assert_eq!(of(&ada.read_run(&id).await["data"]["tags"], "t"), "2");
    ada.ml("runs/delete-tag", json!({ "run_id": id, "key": "t" })).await.ok();
    ada.ml("runs/delete-tag", json!({ "run_id": id, "key": "t" })).await.refused(404);
}

#[tokio::test]
async fn models_of_old_clients_are_listed_in_a_tag() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let id = ada.run("0").await;
    let model =
        |path: &str| json!({ "artifact_path": path, "flavors": {}, "utc_time_created": "x", "run_id": id }).to_string();
    for path in ["a", "b", "b"] {
        ada.ml("runs/log-model", json!({ "run_id": id, "model_json": model(path) })).await.ok();
    }
    let tag = of(&ada.read_run(&id).await["data"]["tags"], "mlflow.log-model.history").as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&tag).unwrap().as_array().unwrap().len(), 2);
    for wrong in ["{", "{}", "[]", "7"] {
        ada.ml("runs/log-model", json!({ "run_id": id, "model_json": wrong })).await.refused(400);
    }
}
