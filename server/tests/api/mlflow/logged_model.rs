//! Logged models.

use super::{names, of};
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn a_logged_model_is_pending_until_its_client_says_that_it_is_ready() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let run = ada.run(&experiment).await;
    let new = json!({
        "experiment_id": experiment, "name": "tree", "model_type": "sklearn", "source_run_id": run,
        "params": [{ "key": "depth", "value": "3" }], "tags": [{ "key": "team", "value": "cellar" }],
    });
    let model = ada.ml("logged-models", new).await.ok()["model"].clone();
    let info = &model["info"];
    let id = info["model_id"].as_str().unwrap();
    assert!(id.starts_with("m-") && id.len() == 34, "{id}");
    assert_eq!(info["status"], "LOGGED_MODEL_PENDING");
    assert_eq!(info["artifact_uri"], format!("mlflow-artifacts:/{experiment}/models/{id}/artifacts"));
    assert_eq!((&info["source_run_id"], &info["model_type"]), (&json!(run), &json!("sklearn")));
    assert_eq!((of(&info["tags"], "team"), of(&model["data"]["params"], "depth")), (&json!("cellar"), &json!("3")));

    let path = format!("/api/2.0/mlflow/logged-models/{id}");
    for status in [json!("LOGGED_MODEL_READY"), json!(2)] {
        let ready = ada.patch(&path, json!({ "model_id": id, "status": status })).await.ok();
        assert_eq!(ready["model"]["info"]["status"], "LOGGED_MODEL_READY");
    }
    ada.patch(&path, json!({ "model_id": id, "status": "NOPE" })).await.refused(400);
    ada.patch(&path, json!({ "model_id": "m-other", "status": 2 })).await.refused(400);

    ada.ml("runs/outputs", json!({ "run_id": run, "models": [{ "model_id": id, "step": "7" }] })).await.ok();
    ada.ml("runs/outputs", json!({ "run_id": run, "models": [{ "model_id": id, "step": 8 }] })).await.ok();
    ada.ml("runs/log-inputs", json!({ "run_id": run, "models": [{ "model_id": id }] })).await.ok();
    let run = ada.read_run(&run).await;
    assert_eq!(run["outputs"]["model_outputs"], json!([{ "model_id": id, "step": 7 }]));
    assert_eq!(run["inputs"]["model_inputs"], json!([{ "model_id": id }]));
}

#[tokio::test]
async fn tags_and_params_of_a_logged_model_change_as_mlflow_has_it() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let model = ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok()["model"].clone();
    let path = format!("/api/2.0/mlflow/logged-models/{}", model["info"]["model_id"].as_str().unwrap());
    let pairs = |key: &str, value: &str| json!([{ "key": key, "value": value }]);
    for value in ["1", "2"] {
        assert_eq!(ada.patch(&format!("{path}/tags"), json!({ "tags": pairs("t", value) })).await.ok(), json!({}));
        ada.post(&format!("{path}/params"), json!({ "params": pairs("p", "1") })).await.ok();
    }
    let changed = ada.post(&format!("{path}/params"), json!({ "params": pairs("p", "2") })).await.refused(400);
    assert!(changed["message"].as_str().unwrap().starts_with("Changing param values is not allowed."), "{changed}");
    let read = ada.get(&path).await.ok()["model"].clone();
    assert_eq!((of(&read["info"]["tags"], "t"), of(&read["data"]["params"], "p")), (&json!("2"), &json!("1")));
    ada.delete(&format!("{path}/tags/t")).await.ok();
    ada.delete(&format!("{path}/tags/t")).await.refused(404);
    ada.patch(&format!("{path}/tags"), json!({ "tags": pairs("a@", "1") })).await.refused(400);
}

#[tokio::test]
async fn a_deleted_logged_model_is_read_only_when_asked_for() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let model = ada.ml("logged-models", json!({ "experiment_id": "0", "name": "tree" })).await.ok()["model"].clone();
    let path = format!("/api/2.0/mlflow/logged-models/{}", model["info"]["model_id"].as_str().unwrap());
    for _ in 0..2 {
        ada.delete(&path).await.ok();
    }
    assert_eq!(ada.get(&path).await.refused(404)["error_code"], "RESOURCE_DOES_NOT_EXIST");
    ada.get(&format!("{path}?allow_deleted=true")).await.ok();
    ada.patch(&path, json!({ "status": 2 })).await.refused(404);
    assert_eq!(ada.ml("logged-models/search", json!({ "experiment_ids": ["0"] })).await.ok(), json!({}));
}

#[tokio::test]
async fn a_logged_model_is_known_in_its_workspace_alone() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let model = ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok()["model"].clone();
    let id = model["info"]["model_id"].as_str().unwrap();
    let (_, stranger) = app.second_workspace("elsewhere").await;
    let theirs = stranger.run("0").await;
    stranger.ml_get(&format!("logged-models/{id}")).await.refused(404);
    stranger.ml_get(&format!("logged-models/{id}/artifacts/directories")).await.refused(404);
    for body in [
        json!({ "run_id": theirs, "metrics": [{ "key": "a", "value": 1, "timestamp": 1, "model_id": id }] }),
        json!({ "run_id": theirs, "metrics": [{ "key": "a", "value": 1, "timestamp": 1, "model_id": "nope" }] }),
    ] {
        stranger.ml("runs/log-batch", body).await.refused(404);
    }
    stranger.ml("runs/outputs", json!({ "run_id": theirs, "models": [{ "model_id": id }] })).await.refused(404);
    stranger
        .ml("logged-models", json!({ "experiment_id": "0", "source_run_id": ada.run("0").await }))
        .await
        .refused(404);
}

#[tokio::test]
async fn logged_models_are_found_by_what_was_logged_of_them() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    for (name, depth, train, test) in [("a", "3", 0.9, 0.5), ("b", "4", 0.8, 0.7)] {
        let new = json!({ "experiment_id": "0", "name": name, "source_run_id": run, "params": [{ "key": "depth", "value": depth }] });
        let id = ada.ml("logged-models", new).await.ok()["model"]["info"]["model_id"].clone();
        let point = |dataset: &str, value: f64, step: i64| json!({ "key": "acc", "value": value, "timestamp": step, "step": step, "model_id": id, "dataset_name": dataset, "dataset_digest": "1" });
        let metrics = json!([point("train", train, 1), point("test", test, 1)]);
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    }
    ada.ml("logged-models", json!({ "experiment_id": "0", "name": "bare" })).await.ok();

    let search = async |body: Value| {
        let mut all = json!({ "experiment_ids": ["0"] });
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        ada.ml("logged-models/search", all).await
    };
    let by = async |body: Value| names(&search(body).await.ok()["models"], "/info/name").concat();
    let name = json!([{ "field_name": "name" }]);
    assert_eq!(by(json!({ "order_by": name })).await, "abbare");
    assert_eq!(by(json!({ "filter": "metrics.acc > 0.6", "order_by": name })).await, "ab");
    let test = json!([{ "dataset_name": "test" }]);
    assert_eq!(by(json!({ "filter": "metrics.acc > 0.6", "datasets": test })).await, "b");
    assert_eq!(by(json!({ "filter": "metrics.acc IS NULL" })).await, "bare");
    assert_eq!(by(json!({ "filter": "params.depth = '3'" })).await, "a");
    assert_eq!(by(json!({ "filter": "params.depth IS NULL" })).await, "bare");
    assert_eq!(
        by(json!({ "filter": "name IN ('a', 'bare') AND status = 'PENDING'", "order_by": name })).await,
        "abare"
    );
    assert_eq!(by(json!({ "filter": format!("source_run_id = '{run}'"), "order_by": name })).await, "ab");
    assert_eq!(by(json!({ "filter": format!("source_run_id != '{run}'") })).await, "bare");
    assert_eq!(by(json!({ "filter": "tags.x IS NOT NULL OR tags.x ILIKE 'a'" })).await, "");
    assert_eq!(by(json!({ "filter": "creation_timestamp > 0 AND model_type = ''", "order_by": name })).await, "abbare");
    let metric = |dataset: &str, ascending: bool| json!([{ "field_name": "metrics.acc", "ascending": ascending, "dataset_name": dataset, "dataset_digest": "1" }]);
    assert_eq!(by(json!({ "order_by": metric("train", false) })).await, "abbare");
    assert_eq!(by(json!({ "order_by": metric("test", false) })).await, "babare");
    assert_eq!(by(json!({ "order_by": [{ "field_name": "source_run_id" }, { "field_name": "status" }, { "field_name": "model_id" }] })).await, "bareab");

    let read = search(json!({ "filter": "name = 'a'" })).await.ok()["models"][0].clone();
    let metrics = read["data"]["metrics"].as_array().unwrap().clone();
    assert_eq!(metrics.len(), 2, "a repeated batch adds nothing");
    assert_eq!((&metrics[0]["run_id"], &metrics[0]["model_id"]), (&json!(run), &read["info"]["model_id"]));
    let id = read["info"]["model_id"].as_str().unwrap();
    assert_eq!(by(json!({ "filter": format!("model_id = '{id}'") })).await, "a");

    let first = search(json!({ "max_results": 2, "order_by": name })).await.ok();
    let rest = search(json!({ "max_results": 2, "order_by": name, "page_token": first["next_page_token"] })).await.ok();
    assert_eq!(names(&rest["models"], "/info/name"), ["bare"]);
    for wrong in [
        json!({ "page_token": first["next_page_token"] }),
        json!({ "filter": "nonsense > 3" }),
        json!({ "order_by": [{ "field_name": "nonsense" }] }),
        json!({ "order_by": [{ "field_name": "metrics.a", "dataset_digest": "1" }] }),
        json!({ "datasets": [{ "dataset_digest": "1" }] }),
        json!({ "experiment_ids": null }),
    ] {
        search(wrong).await.refused(400);
    }
}

#[tokio::test]
async fn datasets_without_a_metric_find_what_was_measured_on_them() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    for (name, dataset, digest) in [("a", "train", "1"), ("b", "train", "2"), ("c", "test", "1"), ("d", "", "")] {
        let id = ada.ml("logged-models", json!({ "experiment_id": "0", "name": name })).await.ok()["model"]["info"]["model_id"].clone();
        let point = json!({ "key": "acc", "value": 1, "timestamp": 1, "model_id": id, "dataset_name": dataset, "dataset_digest": digest });
        ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": [point] })).await.ok();
    }
    let on = async |datasets: Value, filter: &str| {
        let order = json!([{ "field_name": "name" }]);
        let body = json!({ "experiment_ids": ["0"], "datasets": datasets, "filter": filter, "order_by": order });
        names(&ada.ml("logged-models/search", body).await.ok()["models"], "/info/name").concat()
    };
    assert_eq!(on(json!([]), "").await, "abcd");
    assert_eq!(on(json!([{ "dataset_name": "train" }]), "").await, "ab");
    assert_eq!(on(json!([{ "dataset_name": "train", "dataset_digest": "2" }]), "").await, "b");
    let both = json!([{ "dataset_name": "train", "dataset_digest": "1" }, { "dataset_name": "test" }]);
    assert_eq!(on(both.clone(), "").await, "ac");
    assert_eq!(on(both.clone(), "name != 'a' OR name = 'd'").await, "c");
    assert_eq!(on(both.clone(), "metrics.acc > 0").await, "ac");
    assert_eq!(on(both, "metrics.acc IS NULL").await, "bd", "a metric in the filter is the one that is meant");
    assert_eq!(on(json!([{ "dataset_name": "nowhere" }]), "").await, "");
}

#[tokio::test]
async fn logged_models_are_found_as_mlflow_finds_them() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let other = ada.experiment("other").await;
    let run = ada.run(&other).await;
    for (experiment, name, source) in [("0", "a", ""), (&other, "b", &run), (&other, "c", "")] {
        let new = json!({ "experiment_id": experiment, "name": name, "source_run_id": source });
        ada.ml("logged-models", new).await.ok();
    }
    let search = async |body: Value| {
        let mut all = json!({ "experiment_ids": ["0", other], "order_by": [{ "field_name": "name" }] });
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        ada.ml("logged-models/search", all).await.ok()
    };
    let by = async |body: Value| names(&search(body).await["models"], "/info/name").concat();
    for (filter, found) in [
        // Without a run, its id is an empty text.
        ("source_run_id = ''".to_owned(), "ac"),
        ("source_run_id != 'x'".to_owned(), "abc"),
        (format!("source_run_id != '{run}'"), "ac"),
        (format!("source_run_id IN ('{run}', '')"), "abc"),
        ("source_run_id LIKE '_%'".to_owned(), "b"),
        ("experiment_id = '0'".to_owned(), "a"),
        (format!("experiment_id != '{other}'"), "a"),
        (format!("attributes.experiment_id IN ('0', '{other}')"), "abc"),
        ("experiment_id NOT IN ('0')".to_owned(), "bc"),
        ("status LIKE 'P%'".to_owned(), "abc"),
        ("status LIKE 'p%'".to_owned(), ""),
        ("status ILIKE 'logged_model_p%'".to_owned(), "abc"),
        ("status NOT LIKE 'R%'".to_owned(), "abc"),
        ("status NOT ILIKE '%ending'".to_owned(), ""),
        ("lifecycle_stage = 'active'".to_owned(), "abc"),
        ("lifecycle_stage != 'active'".to_owned(), ""),
        (format!("artifact_location LIKE 'mlflow-artifacts:/{other}/models/m-%/artifacts'"), "bc"),
        ("status_message = ''".to_owned(), ""),
        ("status_message != 'x'".to_owned(), ""),
    ] {
        assert_eq!(by(json!({ "filter": filter })).await, found, "{filter}");
    }
    let field = |name: &str, ascending: bool| json!({ "field_name": name, "ascending": ascending });
    for (order, found) in [
        (json!([field("name", false), field("name", true)]), "cba"),
        (json!([field("source_run_id", true), field("name", true)]), "acb"),
        (json!([field("source_run_id", false), field("name", true)]), "bac"),
        (json!([field("experiment_id", false), field("name", false)]), "cba"),
        (json!([field("lifecycle_stage", true), field("status_message", false), field("name", false)]), "cba"),
        (json!([field("artifact_location", true)]), "abc"),
    ] {
        // Page by page the order is the same.
        let (mut paged, mut token) = (String::new(), Value::Null);
        loop {
            let page = search(json!({ "order_by": order, "max_results": 1, "page_token": token })).await;
            paged += &names(&page["models"], "/info/name").concat();
            token = page["next_page_token"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(paged, found, "{order}");
        assert_eq!(by(json!({ "order_by": order })).await, found, "{order}");
    }
    assert_eq!(search(json!({ "experiment_ids": [] })).await, json!({}));
    assert_eq!(by(json!({ "max_results": i32::MAX })).await, "abc");
    let beyond = json!({ "experiment_ids": ["0"], "max_results": i64::from(i32::MAX) + 1 });
    ada.ml("logged-models/search", beyond).await.refused(400);
}

#[tokio::test]
async fn a_logged_models_name_is_checked() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for name in ["a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"] {
        ada.ml("logged-models", json!({ "experiment_id": "0", "name": name })).await.refused(400);
    }
    let unnamed = ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok();
    assert!(!unnamed["model"]["info"]["name"].as_str().unwrap().is_empty());
}
