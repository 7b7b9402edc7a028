//! The data plane, as its clients read it.

use crate::app::{Answer, Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderName, Method, header},
};
use domain::{permission::Role, promotion::PromotionState};
use serde_json::{Value, json};
use services::{Ctx, Limits};
use std::{path::Path, time::Duration};

const INFER: &str = "/v2/models/iris/infer";
const INVOKE: &str = "/v2/models/people/invocations";

/// Brings a model of the fixtures of `serving` into production under this name.
async fn serves(app: &TestApp, name: &str, file: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/serving/fixtures");
    let onnx = std::fs::read(fixtures.join(file)).unwrap();
    let admin = app.member(Role::Admin).await;
    let policy = json!({ "gates": [], "rule": { "approvals": 0 } });
    admin.put("/api/v1/environments/production/policy", policy).await.ok();
    let run = admin.run("0").await;
    let root = admin.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    admin.upload(&format!("{root}/model/MLmodel"), b"flavors:\n  onnx:\n    data: model.onnx\n").await.ok();
    admin.upload(&format!("{root}/model/model.onnx"), &onnx).await.ok();
    admin.model(name).await;
    admin.version(name, &format!("runs:/{run}/model")).await;
    let new = json!({ "model": name, "version": 1, "environment": "production" });
    let promotion = admin.post("/api/v1/promotions", new).await.ok();
    let id = serde_json::from_value(promotion["id"].clone()).unwrap();
    assert_eq!(app.services().advance_promotion(id).await.unwrap(), PromotionState::Live);
}

/// A Slipway in which two models serve: `iris` takes a matrix of four columns, `people` one input for each of three.
async fn start() -> (TestApp, Client) {
    let app = TestApp::with_engine(Limits::default()).await;
    serves(&app, "iris", "classifier.onnx").await;
    serves(&app, "people", "columns.onnx").await;
    let viewer = app.member(Role::Viewer).await;
    (app, viewer)
}

/// Sends a body that may be no JSON.
async fn send(client: &Client, path: &str, body: impl Into<Body>) -> Answer {
    client.send(client.request(Method::POST, path).body(body.into()).unwrap()).await
}

/// Each of these bodies is refused with 400 and a sentence that holds these words.
async fn refuses(client: &Client, path: &str, cases: &[(&str, &str)]) {
    for (body, words) in cases {
        let refused = send(client, path, (*body).to_owned()).await.refused(400);
        let told = refused["error"].as_str().unwrap_or_else(|| panic!("{body} is refused without a sentence"));
        assert!(told.contains(words), "{body}: {told}");
    }
}

/// A matrix as the classifier takes it, but for one member.
fn x(name: &str, value: Value) -> Value {
    let mut x = json!({ "name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2] });
    x[name] = value;
    x
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_in_the_protocols_form() {
    let app = TestApp::start().await;
    let client = app.member(Role::Viewer).await;
    for path in ["/v2/models/%ff", "/v2/models/%ff/ready", "/environments/%ff/v2/models/wine"] {
        let refused = client.get(path).await.refused(404);
        assert!(refused["error"].as_str().unwrap().starts_with("Nothing is at this address"), "{refused}");
    }
    let refused = client.post("/v2/models/%ff/infer", json!({})).await.refused(404);
    assert!(refused["error"].is_string(), "{refused}");
    let refused = client.post("/invocations?model=a&model=b", json!({})).await.refused(400);
    assert!(refused["error"].as_str().unwrap().starts_with("The query does not fit"), "{refused}");
}

#[tokio::test]
async fn a_model_answers_in_the_protocols_form_and_in_mlflows() {
    let (_app, client) = start().await;
    let answer = client.post(INFER, json!({ "id": "one", "inputs": [x("name", json!("X"))] })).await;
    assert!(!answer.header("x-prediction-id").is_empty());
    let answer = answer.ok();
    assert_eq!((&answer["id"], &answer["outputs"][0]["data"]), (&json!("one"), &json!([0])));
    // A column that the model does not take is left out, as MLflow does.
    let body = json!({ "dataframe_records": [{ "age": 50, "visits": 4, "plan": "pro", "note": "x" }] });
    let answer = client.post("/invocations?model=people", body).await.ok();
    assert_eq!(answer["predictions"]["label"], json!(["stays"]));
}

#[tokio::test]
async fn a_request_that_a_model_does_not_take_is_refused_by_what_is_wrong_with_it() {
    let (_app, client) = start().await;
    let one = |input: Value| json!({ "inputs": [input] }).to_string();
    let data = |data: &str| {
        format!(r#"{{"inputs": [{{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [{data}]}}]}}"#)
    };
    let extra = json!({ "inputs": [x("name", json!("X")), x("name", json!("Y"))] }).to_string();
    let output = json!({ "inputs": [x("name", json!("X"))], "outputs": [{ "name": "odds" }] }).to_string();
    let cases = [
        (one(x("name", json!("Y"))), "The model has no input \"Y\"; it takes \"X\" (FP32 [-1,4])."),
        (json!({ "inputs": [] }).to_string(), "Input \"X\" (FP32 [-1,4]) is missing."),
        (extra, "The model has no input \"Y\"; it takes \"X\" (FP32 [-1,4])."),
        (output, "The model has no output \"odds\"; it gives \"label\""),
        (one(x("shape", json!([4, 1]))), "Input \"X\" has shape [4,1], the model takes [-1,4]."),
        (one(x("shape", json!([4]))), "Input \"X\" has shape [4], the model takes [-1,4]."),
        (one(x("shape", json!([-1, 4]))), "Input \"X\" has shape [-1,4]; a request gives exact lengths."),
        (one(x("datatype", json!("FP64"))), "Input \"X\" is FP64, the model takes FP32."),
        (one(x("datatype", json!("float"))), "Input \"X\" has the unknown datatype \"float\"."),
        (one(x("data", json!([1, 2, 3]))), "Input \"X\" has shape [1,4], and its data has 3 values."),
        (one(x("data", json!([[1, 2], [3, 4]]))), "Input \"X\" has shape [1,4], and its data is nested as [2,2]."),
        (one(x("data", Value::Null)), "Input \"X\" has no data; only data in the JSON is read."),
        (one(json!({ "name": "X", "shape": [0, 4], "datatype": "FP32", "data": [] })), "Input \"X\" has no values."),
        (one(json!({ "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4] })), "missing field `name`"),
        (data("\"1\", \"2\", \"3\", \"4\""), "Input \"X\" is FP32, and its data is text."),
        (data("1, 2, \"3\", 4"), "Input \"X\" has numbers, and its value 2 is text."),
        (data("true, false, true, true"), "Input \"X\" is FP32, and its data is true and false."),
        (data("1, 2, 3, 1e300"), "Input \"X\" is FP32, and its value 3, 1e300, does not fit."),
        (data("1, 2, 3, 1e999"), "The body is not JSON: number out of range at line 1"),
        (data("1, 2, 3, NaN"), "The body is not JSON: expected value at line 1"),
        (data("1, 2, 3, Infinity"), "The body is not JSON: expected value at line 1"),
        (data("1, 2, 3, -Infinity"), "The body is not JSON: invalid number at line 1"),
        ("hello".to_owned(), "The body is not JSON: expected value at line 1"),
        (String::new(), "The body is not JSON: EOF while parsing"),
        ("{\"inputs\": [".to_owned(), "The body is not JSON: EOF while parsing"),
        ("[]".to_owned(), "The request is a list; it has to be an object."),
        ("{}".to_owned(), "missing field `inputs`"),
    ];
    refuses(&client, INFER, &cases.each_ref().map(|(body, words)| (body.as_str(), *words))).await;
    let visits = |value: &str| {
        format!(
            r#"{{"inputs": [{{"name": "age", "shape": [1, 1], "datatype": "FP32", "data": [1]}},
                {{"name": "visits", "shape": [1, 1], "datatype": "INT64", "data": [{value}]}},
                {{"name": "plan", "shape": [1, 1], "datatype": "BYTES", "data": ["pro"]}}]}}"#
        )
    };
    let cases = [
        (visits("99999999999999999999"), "is not a whole number of that type."),
        (visits("18446744073709551615"), "\"visits\" is INT64, and its value 0, 18446744073709551615, does not fit."),
        (visits("1.5"), "\"visits\" is INT64, and its value 0, 1.5, is not a whole number of that type."),
        (visits("null"), "\"visits\" is INT64, and its value 0 is missing."),
    ];
    let path = "/v2/models/people/infer";
    refuses(&client, path, &cases.each_ref().map(|(body, words)| (body.as_str(), *words))).await;
}

#[tokio::test]
async fn a_request_in_mlflows_form_is_refused_by_what_is_wrong_with_it() {
    let (_app, client) = start().await;
    let cases = [
        (r#"{"dataframe_records": [{"age": 1, "plan": "pro"}]}"#, "Column \"visits\" is missing; the model takes"),
        (r#"{"dataframe_records": [{"Age": 1, "visits": 1, "plan": "pro"}]}"#, "Column \"age\" is missing;"),
        (
            r#"{"dataframe_records": [{"age": "old", "visits": 1, "plan": "pro"}]}"#,
            "Input \"age\" is FP32, and its data is text.",
        ),
        (
            r#"{"dataframe_records": [{"age": 1, "visits": 1.5, "plan": "pro"}]}"#,
            "Input \"visits\" is INT64, and its value 0, 1.5,",
        ),
        (
            r#"{"dataframe_records": [{"age": 1, "visits": null, "plan": "pro"}]}"#,
            "Input \"visits\" is INT64, and its value 0 is missing.",
        ),
        (
            r#"{"dataframe_records": [{"age": 1, "visits": 99999999999999999999, "plan": "pro"}]}"#,
            "is not a whole number of that type.",
        ),
        (
            r#"{"dataframe_records": [{"age": 1, "visits": 1, "plan": 2}]}"#,
            "Input \"plan\" is BYTES, and its data is numbers.",
        ),
        (
            r#"{"dataframe_records": [{"age": NaN, "visits": 1, "plan": "pro"}]}"#,
            "The body is not JSON: expected value at line 1",
        ),
        (r#"{"dataframe_records": []}"#, "The request has no rows."),
        (
            r#"{"dataframe_split": {"columns": ["age", "visits"], "data": [[1, 2, "pro"]]}}"#,
            "dataframe_split names 2 columns, its rows have 3.",
        ),
        (
            r#"{"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1, 2, "pro"], [1]]}}"#,
            "row 1 has 1 values, the first row has 3",
        ),
        (r#"{"inputs": [[1, 2, 3]]}"#, "The model takes 3 named inputs;"),
        (r#"{"inputs": {"age": [1], "visits": [1, 2], "plan": ["pro"]}}"#, "has 1 rows and input \"visits\" has 2."),
        (r#"{"rows": [[1]]}"#, "unknown field `rows`"),
        (r#"{"instances": [[1]], "inputs": [[1]]}"#, "A request has exactly one of"),
        ("{}", "A request has exactly one of"),
        ("[[1, 2, 3]]", "The request is a list; it has to be an object."),
        ("age,visits\n1,2\n", "The body is not JSON: expected value at line 1"),
        ("", "The body is not JSON: EOF while parsing"),
    ];
    refuses(&client, INVOKE, &cases).await;
    refuses(&client, "/invocations", &[("{}", "Several models serve in production: iris, people.")]).await;
}

#[tokio::test]
async fn what_does_not_serve_is_not_found_by_its_name() {
    let (_app, client) = start().await;
    for (path, text) in [
        ("/v2/models/wine/infer", "No version of model \"wine\" serves in production. Promote one to it first."),
        (
            "/v2/models/iris/versions/9/infer",
            "Version 9 of model \"iris\" does not serve in production; version 1 does.",
        ),
        (
            "/environments/staging/v2/models/iris/infer",
            "No version of model \"iris\" serves in staging. Promote one to it first.",
        ),
        ("/environments/moon/v2/models/iris/infer", "No environment \"moon\" in this workspace."),
        ("/environments/moon/invocations", "No environment \"moon\" in this workspace."),
        ("/environments/staging/invocations", "No model serves in staging yet."),
        ("/invocations?model=wine", "No version of model \"wine\" serves in production. Promote one to it first."),
    ] {
        assert_eq!(client.post(path, json!({})).await.refused(404)["error"], text, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_by_its_head_or_at_its_limit() {
    let (_app, client) = start().await;
    let limit = 64 << 20;
    for path in [INFER, INVOKE] {
        let with = async |name: HeaderName, value: &str| {
            let request = client.request(Method::POST, path).header(name, value);
            client.send(request.body(Body::from("{}")).unwrap()).await
        };
        let refused = with(HeaderName::from_static("inference-header-content-length"), "2").await.refused(400);
        assert!(refused["error"].as_str().unwrap().contains("binary data extension is not offered"), "{refused}");
        let refused = with(header::CONTENT_ENCODING, "gzip").await.refused(415);
        assert_eq!(refused["error"], "Send the body as it is, without a Content-Encoding.");
        let too_large = "A request has at most 64 MiB; send the rows in several.";
        let refused = with(header::CONTENT_LENGTH, &(limit + 1).to_string()).await.refused(413);
        assert_eq!(refused["error"], too_large);
        // Also when nothing was announced.
        let refused = send(&client, path, vec![b' '; limit + 1]).await.refused(413);
        assert_eq!(refused["error"], too_large);
    }
}

#[tokio::test]
async fn while_a_model_is_busy_or_does_not_end_the_client_is_told_to_come_again() {
    let inference = Duration::from_millis(500);
    let app = TestApp::with_engine(Limits { inference, of_model: 1, ..Limits::default() }).await;
    serves(&app, "endless", "endless.onnx").await;
    let client = app.member(Role::Viewer).await;
    let ask = |rounds: i64| {
        let body = json!({ "inputs": [
            { "name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2] },
            { "name": "rounds", "shape": [1], "datatype": "INT64", "data": [rounds] },
        ] });
        let client = client.clone();
        async move { client.post("/v2/models/endless/infer", body).await }
    };
    ask(1).await.ok();
    let refused = |answer: Answer, text: &str| {
        assert_eq!((answer.header("retry-after"), answer.refused(503)["error"].as_str().unwrap()), ("2", text));
    };
    let ctx = Ctx::system(app.workspace.clone());
    let endpoint = app.services().endpoint(&ctx, "production", "endless").await.unwrap();
    let another = app.services().admit(&endpoint).unwrap();
    let text = "Too many requests to model \"endless\" wait for their answer; send this one again in a moment.";
    refused(ask(1).await, text);
    drop(another);
    let text = "Model \"endless\" v1 did not answer within 0.5 s. Send fewer rows, or try again later.";
    refused(ask(i64::MAX).await, text);
    ask(1).await.ok();
}

#[tokio::test]
async fn what_was_answered_is_replayed_on_a_candidate_and_shown_to_whoever_decides() {
    let app = TestApp::with_engine(Limits::default()).await;
    serves(&app, "iris", "classifier.onnx").await;
    let admin = app.member(Role::Admin).await;
    let asked = json!({ "id": "flower-7", "inputs": [x("data", json!([5.1, 3.5, 1.4, 0.2]))] });
    for _ in 0..4 {
        admin.post(INFER, asked.clone()).await.ok();
    }
    app.services().flush_predictions().await;
    // Of one it is recorded that something else was answered.
    sqlx::query(
        "update predictions set output = jsonb_set(output, '{label}', '[2]')
         where id = (select id from predictions order by at desc limit 1)",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let source: String =
        sqlx::query_scalar("select source from model_versions").fetch_one(&app.database.pool).await.unwrap();
    admin.version("iris", &source).await;
    let policy = json!({ "gates": [], "rule": { "approvals": 1 } });
    admin.put("/api/v1/environments/production/policy", policy).await.ok();
    let new = json!({ "model": "iris", "version": 2, "environment": "production" });
    let promotion = admin.post("/api/v1/promotions", new).await.ok();
    let id = serde_json::from_value(promotion["id"].clone()).unwrap();
    assert_eq!(app.services().advance_promotion(id).await.unwrap(), PromotionState::AwaitingApproval);
    let page = format!("/promotions/{}", promotion["number"]);
    let browser = app.browser(admin.user()).await.in_workspace("default");
    let waits = browser.get(&page).await.text();
    assert!(waits.contains("Replaying the last 500 decisions"), "{waits}");

    assert!(app.services().replay_next().await.unwrap());
    let viewer = app.member(Role::Viewer).await;
    let told = viewer.get(&format!("/api/v1{page}/replay")).await.ok();
    let all = &told["found"]["all"];
    assert_eq!((&told["state"], &all["rows"], &all["flips"]), (&json!("done"), &json!(4), &json!(1)));
    assert_eq!(told["found"]["transitions"], json!([{ "from": "2", "to": "0", "rows": 1 }]));
    let example = &told["examples"][0];
    assert_eq!((&example["request_id"], &example["features"]["X[0]"]), (&json!("flower-7"), &json!(5.1)));
    let html = browser.get(&page).await.text();
    for words in [
        "1 of 4 decisions flips, 25 %",
        "1 of 1 examples",
        "flower-7",
        "A decision is what label says.",
        "Replay again",
    ] {
        assert!(html.contains(words), "{words} in {html}");
    }
}
