//! Storing pipelines.

use crate::app::TestApp;
use axum::{
    body::Body,
    http::{Method, header},
};
use domain::permission::Role;
use serde_json::json;

const FILE: &str = "name: wine\nsteps:\n  only:\n    command: 'true'\n";

#[tokio::test]
async fn a_file_is_stored_once_as_yaml_or_json() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    let yaml = |text: &'static str| {
        let request =
            contributor.request(Method::PUT, "/api/v1/pipelines").header(header::CONTENT_TYPE, "application/yaml");
        contributor.send(request.body(Body::from(text)).unwrap())
    };
    let first = yaml(FILE).await;
    assert_eq!((first.status.as_u16(), first.ok()["number"].as_i64()), (201, Some(1)));
    let again = contributor.put("/api/v1/pipelines", json!({ "source": format!("# the same\n{FILE}") })).await;
    assert_eq!((again.status.as_u16(), again.ok()["id"].clone()), (200, first.ok()["id"].clone()));

    let listed = contributor.get("/api/v1/pipelines").await.ok();
    assert_eq!(listed["items"][0]["pipeline"]["name"], "wine");
    let version = contributor.get("/api/v1/pipelines/wine/versions/1").await.ok();
    assert_eq!((version["source"].as_str(), version["digest"].clone()), (Some(FILE), first.ok()["digest"].clone()));
    assert_eq!(contributor.get("/api/v1/pipelines/wine/versions").await.ok()["items"][0]["number"], 1);
    assert_eq!(contributor.get("/api/v1/pipelines/wine").await.ok()["latest_version"], 1);
    contributor.get("/api/v1/pipelines/wine/versions/2").await.refused(404);
    contributor.get("/api/v1/pipelines/wine/versions/x").await.refused(404);
    contributor.get("/api/v1/pipelines/beer").await.refused(404);
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_told_with_its_place() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    let refused = |source: &str| {
        let body = json!({ "source": source });
        let contributor = contributor.clone();
        async move { contributor.put("/api/v1/pipelines", body).await }
    };
    let cycle = "name: c\nsteps:\n  a: { command: x, needs: b }\n  b: { command: x, needs: [a] }\n  c: { command: x, needs: d }\n";
    let answer = refused(cycle).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    insta::assert_json_snapshot!(answer.refused(400), @r#"
    {
      "detail": "line 4, column 28: These steps wait for each other: a → b → a. Each needs the next; take one of these needs or inputs away.\nline 5, column 27: There is no step \"d\" for \"c\" to need; did you mean \"a\"?",
      "field": "source",
      "kind": "invalid",
      "problems": [
        {
          "column": 28,
          "line": 4,
          "message": "These steps wait for each other: a → b → a. Each needs the next; take one of these needs or inputs away."
        },
        {
          "column": 27,
          "line": 5,
          "message": "There is no step \"d\" for \"c\" to need; did you mean \"a\"?"
        }
      ],
      "status": 400,
      "title": "Bad Request"
    }
    "#);
    let broken = refused("name: [\n").await.refused(400);
    assert!(broken["detail"].as_str().unwrap().starts_with("line "), "{broken}");
    assert_eq!(broken["problems"].as_array().unwrap().len(), 1);

    contributor.put("/api/v1/pipelines", json!({ "yaml": "" })).await.refused(400);
    refused(&"x".repeat(300 << 10)).await.refused(400);
    refused(&"x".repeat(3 << 20)).await.refused(413);
    let request = contributor.request(Method::PUT, "/api/v1/pipelines").body(Body::from(vec![0xff, 0xfe])).unwrap();
    assert_eq!(contributor.send(request).await.refused(400)["field"], "source");
    // Nothing of all this was stored.
    assert_eq!(contributor.get("/api/v1/pipelines").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_version_that_passed_is_asked_for_in_words_that_are_understood() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    let store = async |input: &str| {
        let source = format!("name: reads\nsteps:\n  only:\n    command: x\n    inputs: {{ data: {input} }}\n");
        contributor.put("/api/v1/pipelines", json!({ "source": source })).await
    };
    for (input, told) in [
        ("{ dataset: wine, checked: soon }", "\"checked\" is true or false."),
        ("{ model: wine, checked: true }", "What is checked are datasets"),
        ("{ dataset: wine, version: passed, checked: true }", "leave \"checked\" out"),
        ("{ dataset: wine, cheked: true }", "checked"),
    ] {
        let refused = store(input).await.refused(400).to_string();
        assert!(refused.contains(&told.replace('"', "\\\"")), "{input}: {refused}");
    }
    store("{ dataset: wine, version: passed }").await.ok();
    let start =
        async || contributor.post("/api/v1/pipelines/reads/runs", json!({})).await.refused(409)["detail"].to_string();
    assert!(start().await.contains("There is no dataset"), "{}", start().await);
    contributor.post("/api/v1/datasets", json!({ "name": "wine" })).await.ok();
    contributor.dataset_version("wine", &[("wine.csv", b"x\n1\n")]).await;
    while app.services().profile_next_dataset().await.unwrap() {}
    assert!(start().await.contains("has no version that passed its checks"), "{}", start().await);
}

#[tokio::test]
async fn pipelines_of_another_workspace_are_not_there() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    contributor.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    contributor.post("/api/v1/pipelines/wine/runs", json!({})).await.ok();
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get("/api/v1/pipelines/wine").await.refused(404);
    stranger.get("/api/v1/pipeline-runs/1").await.refused(404);
    stranger.post("/api/v1/pipelines/wine/runs", json!({})).await.refused(404);
    stranger.post("/api/v1/pipeline-runs/1/cancel", json!({})).await.refused(404);
    assert_eq!(stranger.get("/api/v1/pipeline-runs").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn what_kubeflow_pipelines_compiled_is_stored_as_a_file_of_ours() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    let compiled = include_str!("../../../crates/kfp/fixtures/retries.yaml");
    let body = json!({ "source": compiled });
    let stored = contributor.put("/api/v1/pipelines", body.clone()).await;
    assert_eq!(stored.status.as_u16(), 201);
    let stored = stored.ok();
    let source = stored["source"].as_str().unwrap();
    assert!(source.starts_with("# From Kubeflow Pipelines, compiled by kfp-2."), "{source}");
    assert_eq!((&stored["spec"]["name"], &stored["spec"]["executor"]), (&json!("retries"), &json!("docker")));
    assert_eq!(stored["spec"]["steps"]["flaky"]["retries"]["count"], 2);
    // What was stored is a file as any other.
    let again = contributor.put("/api/v1/pipelines", json!({ "source": source })).await;
    assert_eq!(again.status.as_u16(), 200);
    let other = contributor.put("/api/v1/pipelines?executor=kubernetes", body.clone()).await.ok();
    assert_eq!((&other["number"], &other["spec"]["executor"]), (&json!(2), &json!("kubernetes")));
    contributor.put("/api/v1/pipelines?executor=moon", body).await.refused(400);

    let image = "image: python:3.12-slim";
    let wrong = compiled
        .replace(image, "image: \"{{$.inputs.parameters['image']}}\"")
        .replace("maxRetryCount: 2", "maxRetryCount: 99");
    let refused = contributor.put("/api/v1/pipelines", json!({ "source": wrong })).await.refused(400);
    assert_eq!(
        refused["problems"][0]["message"],
        "Task \"flaky\" (component \"comp-flaky\"): an image that is chosen by a value is not supported here; name it."
    );
    assert_eq!(refused["problems"][0]["line"], 2 + wrong.lines().position(|line| line == "    tasks:").unwrap());
}

#[tokio::test]
async fn a_file_may_say_which_code_it_is_from() {
    let app = TestApp::start().await;
    let contributor = app.member(Role::Contributor).await;
    let store = |code: serde_json::Value| {
        let (body, contributor) = (json!({ "source": FILE, "code": code }), contributor.clone());
        async move { contributor.put("/api/v1/pipelines", body).await }
    };
    for (code, field, told) in [
        (json!({ "commit": "main" }), "code.commit", "hexadecimal"),
        (json!({ "commit": "abcdef0", "patch_base64": "%" }), "code.patch_base64", "not base64"),
        (json!({ "commit": "abcdef0", "patch": "a", "patch_base64": "YQ==" }), "code.patch_base64", "not both"),
    ] {
        let refused = store(code).await.refused(400);
        assert_eq!(refused["field"], field, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(told), "{refused}");
    }
    store(json!({ "commit": "abcdef0", "left_out": "other" })).await.refused(400);

    // A patch in no encoding that JSON has.
    let stored = store(json!({ "commit": "abcdef0", "patch_base64": "LWNhZukK" })).await.ok();
    assert_eq!((&stored["code"]["commit"], &stored["code"]["is_dirty"]), (&json!("abcdef0"), &json!(true)));
    let patch = contributor.get("/api/v1/pipelines/wine/versions/1/patch").await;
    assert_eq!((patch.status.as_u16(), patch.header("content-type")), (200, "text/x-patch"));
    assert_eq!(patch.body, b"-caf\xe9\n"[..]);
    store(json!({ "commit": "abcdef1" })).await.ok();
    contributor.get("/api/v1/pipelines/wine/versions/1/patch").await.refused(404);
    let page = contributor.get("/api/v1/pipelines/wine/versions/1").await.ok();
    assert_eq!(page["code"], json!({ "commit": "abcdef1", "is_dirty": false }));
}
