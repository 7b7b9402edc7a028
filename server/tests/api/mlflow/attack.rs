//! Shapes of published attacks on MLflow, each of which gets a 4xx and touches nothing.

use crate::app::{Client, TestApp};
use axum::{body::Body, http::Method};
use domain::permission::{Role, Scope};
use serde_json::{Value, json};

const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// Everything that an attack could have changed.
async fn state(app: &TestApp) -> Value {
    sqlx::query_scalar(
        "select jsonb_build_object(
             'experiments', (select count(*) from experiments),
             'runs', (select count(*) from runs),
             'models', (select jsonb_agg(name order by name) from models where deleted_at is null),
             'versions', (select count(*) from model_versions where deleted_at is null),
             'tags', (select count(*) from run_tags),
             'artifacts', (select jsonb_agg(path || digest order by root_id, path) from artifacts))",
    )
    .fetch_one(&app.database.pool)
    .await
    .unwrap()
}

struct Target {
    /// Its database goes with it: whoever does not need it holds it all the same.
    app: TestApp,
    ada: Client,
    run: String,
    root: String,
}

/// A run with a file, and a registered model.
async fn target() -> Target {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/model/MLmodel"), b"flavors: {}").await.ok();
    ada.model("churn").await;
    Target { app, ada, run, root }
}

fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status)
}

/// CVE-2023-1177, 2023-1176, 2023-2780, 2023-2356, 2023-3765, 2023-6977, 2024-3573, 2024-1558, 2023-6974, 2025-11201, 2026-2614.
#[tokio::test]
async fn a_versions_source_opens_no_file_and_no_address() {
    let Target { app, ada, run, root } = target().await;
    let before = state(&app).await;
    let mut sources: Vec<String> = [
        "file:///etc",
        "file:/etc",
        "file:etc",
        "file://./etc",
        "file://localhost/etc",
        "FILE:///etc",
        "/etc",
        "etc/",
        "//proc/self/root",
        "..",
        "../../etc",
        "C:\\Windows",
        "C:/Windows",
        "\\\\host\\share",
        "local:/etc",
        ":/etc",
        "http://h/api/2.0/mlflow-artifacts/artifacts/../../..",
        "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/",
        "https://attacker.example/x",
        "ftp://attacker.example/a",
        "s3://bucket/model",
        "s3://b/../c",
        "dbfs:/x",
        "gs://b/x",
        "mlflow-artifacts://h/../../..",
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts:/%2e%2e%2f",
        "mlflow-artifacts:/..%252f",
        "mlflow-artifacts:",
        "models:/",
        "models:/../1",
        "models:/a%2Fb/1",
        "models://x/1",
        "runs://x/y",
        "runs:/..",
        "http:///?/../../../../etc/",
        "http:///#/../../../../etc/",
        "http://host#/../../etc/",
        "http:///;/../../etc/",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for below in ["..", "../../x", "%2e%2e/x", "..%252f..", "%2%0952e%2%0952e/", "a\\..\\b", "a?/a", "a#/a", "a\u{0}"] {
        sources.push(format!("runs:/{run}/{below}"));
        sources.push(format!("mlflow-artifacts:/{root}/{below}"));
    }
    let prompt_tags = [
        json!([]),
        json!([{ "key": "mlflow.prompt.is_prompt", "value": "true" }]),
        json!([{ "key": "mlflow.prompt.is_prompt", "value": "TRUE" }]),
        json!([{ "key": "mlflow.prompt.is_prompt", "value": "false" }, { "key": "mlflow.prompt.is_prompt", "value": "true" }]),
    ];
    for source in &sources {
        for tags in &prompt_tags {
            let body = json!({ "name": "churn", "source": source, "run_id": run, "tags": tags });
            let answer = ada.ml("model-versions/create", body).await;
            assert!(is_refusal(answer.status.as_u16()), "{source} answered {}: {}", answer.status, answer.text());
            assert!(!answer.text().contains("root:"), "{source}");
        }
    }
    assert_eq!(state(&app).await, before);
}

/// CVE-2023-6909, 2024-1483, 2024-1594, 2024-1593, 2024-2928, 2024-3848, 2024-6838.
#[tokio::test]
async fn an_experiments_artifacts_are_nowhere_but_here() {
    let Target { app, ada, .. } = target().await;
    let before = state(&app).await;
    for (at, location) in [
        "http:///?/../../../../etc/",
        "http:///#/../../../../etc/",
        "http://host#/../../etc/",
        "http:///;/../../etc/",
        "file:///etc",
        "/etc",
        "./mlruns",
        "../x",
        "s3://b/../c",
        "s3://bucket",
        "runs:/x",
        "mlflow-artifacts:/../x",
        "mlflow-artifacts://h/x",
        "C:\\x",
        "ftp://h/x",
        "sqlite:///x",
        &"x".repeat(1_000_000),
    ]
    .into_iter()
    .enumerate()
    {
        let answer =
            ada.ml("experiments/create", json!({ "name": format!("e{at}"), "artifact_location": location })).await;
        assert_eq!(answer.status, 400, "{location:.100}: {}", answer.text());
        assert!(answer.body.len() < 2000, "{location:.100}");
    }
    let huge = ada.ml("experiments/create", json!({ "name": "x".repeat(5_000_000) })).await;
    assert!(is_refusal(huge.status.as_u16()) && huge.body.len() < 2000);
    assert_eq!(state(&app).await, before);
}

/// CVE-2023-6015, 2023-6018, 2023-6753, 2023-6975, 2023-6976, 2026-2033, 2023-6831, 2024-1560, 2023-30172.
#[tokio::test]
async fn no_path_leaves_its_root() {
    let Target { app, ada, run, root } = target().await;
    let before = state(&app).await;
    let mut paths: Vec<String> = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fx",
        "%252e%252e%252fx",
        "%25252e%25252e%25252fx",
        "..%5c..%5cx",
        "%5c..%5cx",
        "C:%5cx",
        "C:/x",
        "%2fetc%2fpasswd",
        "etc/passwd",
        "%2e%2e",
        "..%252f",
        "x%00",
        "%c0%ae%c0%ae/x",
        "%ff",
        "file:%2f%2f%2fetc",
        "http:%2f%2fh%2fx",
        "1",
        "1/2",
        "1/2/artifacts",
        "1/2/artifacts/x",
        "workspaces/default/1/x/artifacts/y",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for below in [
        "..%2fx",
        "../x",
        "%2e%2e/x",
        "%252e%252e/x",
        "a/..%2f..%2fx",
        "a/%2e%2e/%2e%2e/x",
        "..%5cx",
        "a%5cb",
        "a%00b",
        "a%0ab",
        "%2%0952e%2%0952e/x",
        "a%3fb",
        "a%23b",
        "C%3a/x",
        "%43:/x",
        "...%2f",
        ".%2e/x",
        "a/.%20./b",
    ] {
        paths.push(format!("{root}/{below}"));
    }
    for path in &paths {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let Ok(request) = ada.request(method.clone(), &format!("{ARTIFACTS}/{path}")).body(Body::from("evil"))
            else {
                continue;
            };
            let answer = ada.send(request).await;
            assert!(
                is_refusal(answer.status.as_u16()),
                "{method} {path} answered {}: {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains("root:"), "{path}");
        }
        for listing in [
            format!("{ARTIFACTS}?path={path}"),
            format!("/api/2.0/mlflow/artifacts/list?run_id={run}&path=..%2f{path}"),
        ] {
            let Ok(request) = ada.request(Method::GET, &listing).body(Body::empty()) else { continue };
            let answer = ada.send(request).await;
            assert!(
                is_refusal(answer.status.as_u16()) || answer.body == b"{}",
                "{listing} answered {}: {}",
                answer.status,
                answer.text()
            );
        }
    }
    assert_eq!(state(&app).await, before);
}

/// CVE-2023-1177's second half and its relatives: routes that MLflow's own pages use lead to the same files, or nowhere.
#[tokio::test]
async fn there_is_no_second_way_to_an_artifact() {
    let Target { app, ada, run, .. } = target().await;
    let before = state(&app).await;
    for path in [
        format!("/get-artifact?run_uuid={run}&path=../../../../etc/passwd"),
        format!("/get-artifact?run_uuid={run}&path=%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        format!("/get-artifact?run_uuid={run}&path=%252e%252e%252fx"),
        format!("/get-artifact?run_uuid={run}&path=/etc/passwd"),
        format!("/get-artifact?run_uuid={run}&path=C:%5CWindows"),
        "/model-versions/get-artifact?path=passwd&name=churn&version=1".to_owned(),
        "/model-versions/get-artifact?path=../../etc/passwd&name=churn&version=1".to_owned(),
        "/model-versions/get-artifact?path=random&name=..%2f..&version=1".to_owned(),
        format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=..%5C..%5Cx"),
        format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=a?/a"),
        format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=../x"),
        format!("/ajax-api/2.0/mlflow/get-trace-artifact?request_id={run}"),
        "/ajax-api/2.0/mlflow/logged-models/m-x/artifacts/files?artifact_file_path=/etc/passwd".to_owned(),
        "/graphql".to_owned(),
        "/ajax-api/3.0/jobs/".to_owned(),
        "/v1/traces".to_owned(),
        "/api/2.0/mlflow/users/create".to_owned(),
        "//api/2.0/mlflow/users/create".to_owned(),
        "/signup".to_owned(),
        "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=http://169.254.169.254/".to_owned(),
    ] {
        for method in [Method::GET, Method::POST] {
            let request =
                ada.request(method, &path).header("content-type", "application/json").body(Body::from("{}")).unwrap();
            let status = ada.send(request).await.status.as_u16();
            assert!(is_refusal(status), "{path} answered {status}");
        }
    }
    assert_eq!(state(&app).await, before);
}

/// CVE-2024-3099: two names that mean one thing to somebody.
#[tokio::test]
async fn names_of_models_mean_one_thing() {
    let Target { app, ada, .. } = target().await;
    let before = state(&app).await;
    for name in [
        "a/b", "a%2Fb", "a%2fb", "a%252Fb", "a:b", "a%3Ab", "..", ".", "a\\b", "a%5Cb", "a\nb", "a%0Ab", "a\u{0}b",
        "  ", "",
    ] {
        let answer = ada.ml("registered-models/create", json!({ "name": name })).await;
        assert_eq!(answer.status, 400, "{name:?}");
        ada.ml("registered-models/rename", json!({ "name": "churn", "new_name": name })).await.refused(400);
    }
    assert_eq!(state(&app).await, before);
}

/// CVE-2025-1473, 2025-14279, 2026-2611: a browser that is signed in, made to send by another site.
#[tokio::test]
async fn another_site_cannot_make_a_browser_write() {
    let Target { app, ada, run, .. } = target().await;
    let browser = app.browser(ada.user()).await;
    let before = state(&app).await;
    let body = || Body::from(json!({ "run_id": run, "key": "a", "value": "b" }).to_string());
    for headers in [
        [("sec-fetch-site", "cross-site"), ("content-type", "application/json")],
        [("sec-fetch-site", "same-site"), ("content-type", "application/json")],
        [("origin", "https://attacker.example"), ("content-type", "text/plain")],
        [("origin", "null"), ("content-type", "application/json")],
        [("origin", "http://slipway.test.attacker.example"), ("content-type", "application/json")],
    ] {
        let mut request = browser.request(Method::POST, "/api/2.0/mlflow/runs/set-tag").header("host", "slipway.test");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        browser.send(request.body(body()).unwrap()).await.refused(403);
    }
    // A token is no better: browsers remember what was typed for Basic, and send it as they send cookies.
    for client in [app.client(ada.user(), Scope::Write).await, app.client(ada.user(), Scope::Write).await.with_basic()]
    {
        for (name, value) in
            [("sec-fetch-site", "cross-site"), ("origin", "https://attacker.example"), ("origin", "null")]
        {
            for (path, kind) in [
                ("/api/2.0/mlflow/runs/set-tag".to_owned(), "application/json"),
                (format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=a"), "text/plain"),
            ] {
                let request = client.request(Method::POST, &path).header("host", "slipway.test").header(name, value);
                client.send(request.header("content-type", kind).body(body()).unwrap()).await.refused(403);
            }
        }
    }
    // Nor under a name that is the other site's own and leads here.
    for host in ["attacker.example", "slipway.test.attacker.example", "127.0.0.1.attacker.example:3000"] {
        for client in [&ada, &browser, &app.anonymous()] {
            for (method, path) in
                [(Method::POST, "/api/2.0/mlflow/runs/set-tag"), (Method::GET, "/api/2.0/mlflow/runs/get")]
            {
                let request =
                    client.request(method, path).header("host", host).header("content-type", "application/json");
                client.send(request.body(body()).unwrap()).await.refused(403);
            }
        }
    }
    // As a form of the same site could send it, without the type that forms cannot say.
    let request = browser.request(Method::POST, "/api/2.0/mlflow/runs/set-tag").header("content-type", "text/plain");
    browser.send(request.body(body()).unwrap()).await.refused(400);
    assert_eq!(state(&app).await, before);
}

/// CVE-2023-6568, 2026-33865: nothing that was sent is shown to a browser as something to run.
#[tokio::test]
async fn what_was_sent_is_never_shown_as_a_page() {
    let Target { app: _app, ada, root, .. } = target().await;
    let script = b"<script>alert(1)</script>";
    for name in ["x.html", "x.svg", "x.js", "x.xhtml", "x.MHTML"] {
        let request =
            ada.request(Method::PUT, &format!("{ARTIFACTS}/{root}/{name}")).header("content-type", "text/html");
        ada.send(request.body(Body::from(script.to_vec())).unwrap()).await.ok();
        let answer = ada.download(&format!("{root}/{name}")).await;
        assert_eq!(answer.header("content-type"), "application/octet-stream", "{name}");
        assert!(answer.header("content-disposition").starts_with("attachment"), "{name}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
    let request = ada.request(Method::POST, "/api/2.0/mlflow/experiments/create").header("content-type", "<script>");
    let answer = ada.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, "application/json"));
    assert!(!answer.text().contains("<script>"));
}

/// CVE-2026-2652, 2026-2651, 2023-6014: every operation asks who it is, also the odd ones.
#[tokio::test]
async fn nobody_is_let_in_by_a_strange_path() {
    let Target { app, root, .. } = target().await;
    let nobody = app.anonymous();
    for path in [
        "/api/2.0/mlflow/experiments/search".to_owned(),
        "//api/2.0/mlflow/experiments/search".to_owned(),
        "/api//2.0/mlflow/experiments/search".to_owned(),
        "/api/2.0/mlflow/experiments/search/".to_owned(),
        "/w/default/ajax-api/2.0/mlflow/experiments/search".to_owned(),
        "/w/default//api/2.0/mlflow/experiments/search".to_owned(),
        "/w/w/api/2.0/mlflow/experiments/search".to_owned(),
        "/API/2.0/mlflow/experiments/search".to_owned(),
        format!("{ARTIFACTS}/{root}/model/MLmodel"),
        format!("/ajax-api/2.0/mlflow-artifacts/mpu/create/{root}/x"),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let request = nobody.request(method.clone(), &path).header("content-type", "application/json");
            let answer = nobody.send(request.body(Body::from("{\"max_results\": 5}")).unwrap()).await;
            let status = answer.status.as_u16();
            let away = answer.header("location").starts_with("/sign-in");
            assert!(is_refusal(status) || away, "{method} {path} answered {status}: {}", answer.text());
            assert!(!answer.text().contains("Default"), "{path}");
        }
    }
}
