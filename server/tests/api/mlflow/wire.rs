//! The form of requests and answers, whatever the operation.

use crate::app::TestApp;
use axum::http::Method;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn both_prefixes_are_the_same_api() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let api = ada.get("/api/2.0/mlflow/experiments/get?experiment_id=0").await.ok();
    assert_eq!(ada.get("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0").await.ok(), api);
    assert_eq!(ada.in_workspace("default").get("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0").await.ok(), api);
}

#[tokio::test]
async fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.clone().with_basic().ml_get("experiments/get?experiment_id=0").await.ok();
    let refused = app.anonymous().ml_get("experiments/get?experiment_id=0").await;
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"slipway\"");
    assert_eq!(refused.refused(401)["error_code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let send = async |content_type: Option<&str>, body: &str| {
        let mut request = ada.request(Method::POST, "/api/2.0/mlflow/experiments/create");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        ada.send(request.body(body.to_owned().into()).unwrap()).await
    };
    send(Some("application/json; charset=utf-8"), r#"{"name": "a"}"#).await.ok();
    send(Some("application/json"), r#""{\"name\": \"b\"}""#).await.ok();
    for (content_type, body) in [
        (None, r#"{"name": "c"}"#),
        (Some("text/plain"), r#"{"name": "c"}"#),
        (Some("application/x-www-form-urlencoded"), "name=c"),
        (Some("application/json"), "{"),
        (Some("application/json"), r#"["name"]"#),
        (Some("application/json"), r#"{"name": 1}"#),
        (Some("application/json"), r#"{"name": ["c"]}"#),
        (Some("application/json"), r#"{"name": ""}"#),
        (Some("application/json"), r#"{"name": "a\u0000b"}"#),
        (Some("application/json"), "\u{feff}{}"),
        (Some("application/json"), ""),
        (None, ""),
    ] {
        let refused = send(content_type, body).await.refused(400);
        assert_eq!(refused["error_code"], "INVALID_PARAMETER_VALUE", "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    send(Some("application/json"), &deep).await.refused(400);
}

#[tokio::test]
async fn a_body_has_a_greatest_size() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    // What MLflow takes is taken: a profile of 16 MB.
    let dataset = |profile: usize| {
        let dataset =
            json!({ "name": "a", "digest": "1", "source_type": "x", "source": "y", "profile": "x".repeat(profile) });
        json!({ "run_id": run, "datasets": [{ "dataset": dataset }] })
    };
    ada.ml("runs/log-inputs", dataset(16_000_000)).await.ok();
    ada.ml("runs/log-inputs", dataset(40_000_000)).await.refused(413);
    let request =
        ada.request(Method::POST, "/api/2.0/mlflow/runs/log-batch").header("content-type", "application/json");
    let endless =
        futures::stream::iter((0..50).map(|_| Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b' '; 1 << 20]))));
    ada.send(request.body(axum::body::Body::from_stream(endless)).unwrap()).await.refused(413);
}

#[tokio::test]
async fn one_field_is_not_spelt_two_ways() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let (mine, other) = (ada.run("0").await, ada.run("0").await);
    for body in [
        json!({ "run_id": mine, "runId": other, "key": "a", "value": "b" }),
        json!({ "run_id": mine, "run_uuid": other, "key": "a", "value": "b" }),
    ] {
        ada.ml("runs/set-tag", body).await.refused(400);
    }
    // What must be there has its own name alone; of the rest, either does.
    ada.ml("runs/set-tag", json!({ "runId": mine, "key": "a", "value": "b" })).await.refused(400);
    ada.ml("runs/update", json!({ "run_id": mine, "runName": "camel" })).await.ok();
    assert_eq!(ada.read_run(&mine).await["info"]["run_name"], "camel");
    ada.ml_get(&format!("runs/get?run_id={mine}&run_id={other}")).await.refused(400);
    ada.ml_get(&format!("runs/get?runId={mine}")).await.refused(400);
}

#[tokio::test]
async fn a_get_without_a_query_may_have_a_body() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let answer = ada.json(Method::GET, "/api/2.0/mlflow/runs/get", json!({ "run_id": run })).await.ok();
    assert_eq!(answer["run"]["info"]["run_id"], run);
}

/// What MLflow 3.18 offers under either prefix is here, or says in a form that clients know that it is not.
#[tokio::test]
async fn every_operation_of_mlflow_is_here_or_says_that_it_is_not() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let table = server::router::table(&app.state);
    // Names of parts differ, and what stands for them does not.
    let shape = |path: &str| -> String {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
    };
    let (mut here, mut missing) = (0, 0);
    for line in include_str!("endpoints.txt").lines() {
        let (method, path) = line.split_once(' ').unwrap();
        for prefix in ["/api", "/ajax-api"] {
            let path = format!("{prefix}{path}");
            if table.iter().any(|route| route.method == method && shape(route.path) == shape(&path)) {
                here += 1;
                continue;
            }
            let sent = shape(&path).replace("{}", "1");
            let answer = admin.json(method.parse().unwrap(), &sent, json!({})).await;
            let (status, body) = (answer.status.as_u16(), answer.body_json());
            // Where another operation has the address, it is the method that is not taken.
            assert!([404, 405].contains(&status), "{method} {sent} answered {status}: {body}");
            assert!(body["error_code"].is_string() && body["message"].is_string(), "{method} {sent}: {body}");
            missing += 1;
        }
    }
    assert!(here > 120 && missing > 100, "{here} are here, {missing} are not");
    for path in ["/v1/traces", "/graphql", "/w/default/v1/traces", "/gateway/chat/invocations"] {
        let refused = admin.post(path, json!({})).await.refused(404);
        assert_eq!(refused["error_code"], "ENDPOINT_NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_an_error_that_clients_know() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for path in ["/api/3.0/mlflow/traces", "/api/2.0/mlflow/nothing", "/ajax-api/2.0/mlflow/gateway-proxy"] {
        let refused = ada.post(path, json!({})).await.refused(404);
        assert_eq!(refused["error_code"], "ENDPOINT_NOT_FOUND", "{path}");
    }
    ada.put("/api/2.0/mlflow/runs/get", json!({})).await.refused(405);
}

#[tokio::test]
async fn no_answer_of_a_wrong_request_is_a_failure_of_ours() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let strange = [
        json!(null),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("\u{0}"),
        json!("x".repeat(10_000)),
        json!("💥"),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("9223372036854775808"),
        json!("'; drop table runs --"),
        json!(["\u{0}"]),
        json!([{}]),
    ];
    let operations: [(&str, &[&str]); 14] = [
        ("experiments/create", &["name", "artifact_location", "tags"]),
        ("experiments/search", &["max_results", "filter", "order_by", "page_token", "view_type"]),
        ("runs/create", &["experiment_id", "user_id", "run_name", "start_time", "tags"]),
        ("runs/update", &["run_id", "status", "end_time", "run_name"]),
        ("runs/search", &["experiment_ids", "filter", "order_by", "page_token", "max_results", "run_view_type"]),
        (
            "runs/log-metric",
            &["run_id", "key", "value", "timestamp", "step", "model_id", "dataset_name", "dataset_digest"],
        ),
        ("runs/log-parameter", &["run_id", "key", "value"]),
        ("runs/log-batch", &["run_id", "metrics", "params", "tags"]),
        ("runs/log-inputs", &["run_id", "datasets", "models"]),
        ("logged-models", &["experiment_id", "name", "model_type", "source_run_id", "params", "tags"]),
        ("logged-models/search", &["experiment_ids", "filter", "datasets", "order_by", "max_results", "page_token"]),
        ("registered-models/create", &["name", "description", "tags"]),
        ("model-versions/create", &["name", "source", "run_id", "model_id", "run_link", "description", "tags"]),
        ("registered-models/alias", &["name", "alias", "version"]),
    ];
    ada.model("churn").await;
    for (operation, fields) in operations {
        for field in fields {
            for value in &strange {
                // Otherwise a right request.
                let mut body = json!({
                    "experiment_id": "0", "experiment_ids": ["0"], "run_id": run, "key": "k", "value": 1, "timestamp": 1, "name": "churn",
                    "source": "dummy-source", "alias": "a", "version": "1",
                });
                body[*field] = value.clone();
                let status = ada.ml(operation, body).await.status;
                assert!(status.as_u16() < 500, "{operation} with {field} = {value:.60} answered {status}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_in_mlflows_form() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for (method, path) in [
        (Method::GET, "mlflow/logged-models/%ff"),
        (Method::DELETE, "mlflow/logged-models/%ff/tags/a"),
        (Method::GET, "mlflow-artifacts/artifacts/%ff"),
        (Method::PUT, "mlflow-artifacts/artifacts/%ff"),
    ] {
        let request = ada.request(method, &format!("/api/2.0/{path}")).body(axum::body::Body::empty()).unwrap();
        assert_eq!(ada.send(request).await.refused(404)["error_code"], "RESOURCE_DOES_NOT_EXIST", "{path}");
    }
}
