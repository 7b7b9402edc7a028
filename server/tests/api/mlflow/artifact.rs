//! Files through the server.

use crate::app::TestApp;
use axum::{
    body::Body,
    http::{Method, header},
};
use domain::permission::Role;
use serde_json::json;

const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

#[tokio::test]
async fn a_file_comes_back_as_it_went() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let run = ada.run(&experiment).await;
    let root = format!("{experiment}/{run}/artifacts");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let put = ada.upload(&format!("{root}/plots/curve%201.png"), &content).await;
    assert_eq!((put.status.as_u16(), put.body.len()), (200, 0));
    ada.upload(&format!("{root}/plots/curve%201.png"), &content).await.ok();

    let got = ada.download(&format!("{root}/plots/curve%201.png")).await;
    assert_eq!(got.status, 200);
    assert!(got.body == content);
    assert_eq!(got.header("content-type"), "image/png");
    assert_eq!(got.header("content-length"), "3000000");
    assert_eq!(got.header("accept-ranges"), "bytes");
    assert!(got.header("content-disposition").starts_with("attachment; filename=\"curve_1.png\""));
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert!(got.header("content-security-policy").contains("sandbox"));

    ada.upload(&format!("{root}/empty"), b"").await.ok();
    let empty = ada.download(&format!("{root}/empty")).await;
    assert_eq!((empty.status.as_u16(), empty.body.len()), (200, 0));
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_when_it_is_asked_for() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/a.txt"), b"0123456789").await.ok();
    let get = async |headers: &[(header::HeaderName, &str)]| {
        let mut request = ada.request(Method::GET, &format!("{ARTIFACTS}/{root}/a.txt"));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        ada.send(request.body(Body::empty()).unwrap()).await
    };
    let etag = get(&[]).await.header("etag").to_owned();
    assert_eq!(etag.len(), 66);
    for (range, body, told) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = get(&[(header::RANGE, range)]).await;
        assert_eq!((part.status.as_u16(), part.text().as_str(), part.header("content-range")), (206, body, told));
        assert_eq!(part.header("content-length"), body.len().to_string());
    }
    let outside = get(&[(header::RANGE, "bytes=10-")]).await;
    assert_eq!((outside.status.as_u16(), outside.header("content-range")), (416, "bytes */10"));
    assert_eq!(outside.body_json()["message"], "The file has 10 bytes, and none of those that are asked for.");
    for whole in ["lines=1-2", "bytes=0-1,3-4", "bytes=4-2"] {
        assert_eq!(get(&[(header::RANGE, whole)]).await.status, 200, "{whole}");
    }
    assert_eq!(get(&[(header::IF_NONE_MATCH, &etag)]).await.status, 304);
    assert_eq!(get(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, &etag)]).await.status, 206);
    assert_eq!(get(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"old\"")]).await.status, 200);
    // Nothing is squeezed on the way: then there would be no length and no parts.
    let squeezed = get(&[(header::ACCEPT_ENCODING, "gzip, br")]).await;
    assert_eq!(squeezed.text(), "0123456789");
}

#[tokio::test]
async fn folders_are_listed_by_bare_names() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let run = ada.run(&experiment).await;
    let root = format!("{experiment}/{run}/artifacts");
    for path in ["model/MLmodel", "model/data/weights.bin", "model-b/x", "notes.txt"] {
        ada.upload(&format!("{root}/{path}"), b"four").await.ok();
    }
    let list = async |path: &str| ada.get(&format!("{ARTIFACTS}?path={path}")).await.ok();
    assert_eq!(
        list(&root).await,
        json!({ "files": [
            { "path": "model", "is_dir": true },
            { "path": "model-b", "is_dir": true },
            { "path": "notes.txt", "is_dir": false, "file_size": 4 },
        ] })
    );
    assert_eq!(
        list(&format!("{root}/model")).await,
        json!({ "files": [{ "path": "MLmodel", "is_dir": false, "file_size": 4 }, { "path": "data", "is_dir": true }] })
    );
    for nothing in [format!("{root}/none"), format!("{root}/notes.txt"), format!("{root}/mod")] {
        assert_eq!(list(&nothing).await, json!({}), "{nothing}");
    }
    // By the run, paths are from its root.
    let listed = ada.ml_get(&format!("artifacts/list?run_id={run}&path=model")).await.ok();
    assert_eq!(listed["root_uri"], format!("mlflow-artifacts:/{root}"));
    assert_eq!(listed["files"][1], json!({ "path": "model/data", "is_dir": true }));
    ada.ml_get("artifacts/list?run_id=0123456789abcdef0123456789abcdef").await.refused(404);
}

#[tokio::test]
async fn files_of_a_logged_model_lie_below_its_own_root() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let model = ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok()["model"]["info"].clone();
    let root = model["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/data/model.onnx"), b"1").await.ok();
    let id = model["model_id"].as_str().unwrap();
    let listed =
        ada.ml_get(&format!("logged-models/{id}/artifacts/directories?artifact_directory_path=data")).await.ok();
    assert_eq!(listed["root_uri"], model["artifact_uri"]);
    assert_eq!(listed["files"], json!([{ "path": "data/model.onnx", "is_dir": false, "file_size": 1 }]));
}

#[tokio::test]
async fn files_and_folders_are_deleted() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    for path in ["a/x", "a/y", "ab", "c"] {
        ada.upload(&format!("{root}/{path}"), b"1").await.ok();
    }
    for path in ["a", "c", "nothing"] {
        ada.delete(&format!("{ARTIFACTS}/{root}/{path}")).await.ok();
    }
    let left = ada.ml_get(&format!("artifacts/list?run_id={run}")).await.ok();
    assert_eq!(left["files"], json!([{ "path": "ab", "is_dir": false, "file_size": 1 }]));
    ada.delete(&format!("{ARTIFACTS}/{root}")).await.refused(400);
    let id = run.parse::<domain::id::RunId>().unwrap();
    let history = ada.get(&format!("/api/v1/audit-events?object=run:{id}")).await.ok();
    let history = history["items"].as_array().unwrap();
    let told: Vec<&str> = history.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["run.artifact_deleted", "run.artifact_deleted", "run.created"]);
    let missing = ada.download(&format!("{root}/c")).await.refused(404);
    assert_eq!(missing["error_code"], "RESOURCE_DOES_NOT_EXIST");
    assert_eq!(missing["message"], format!("No such artifact: '{root}/c'"));
}

#[tokio::test]
async fn a_file_is_no_folder_and_a_folder_no_file() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/a/b"), b"1").await.ok();
    for path in ["a", "a/b/c", "a/"] {
        ada.upload(&format!("{root}/{path}"), b"1").await.refused(400);
    }
    ada.upload(&format!("{root}/a0"), b"1").await.ok();
    ada.upload(&format!("{root}/a-"), b"1").await.ok();
}

#[tokio::test]
async fn whoever_may_not_see_the_run_finds_no_file() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let file = format!("{root}/a.txt");
    ada.upload(&file, b"1").await.ok();
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.download(&file).await.refused(404);
    stranger.upload(&file, b"2").await.refused(404);
    stranger.delete(&format!("{ARTIFACTS}/{file}")).await.refused(404);
    assert_eq!(stranger.get(&format!("{ARTIFACTS}?path={root}")).await.ok(), json!({}));
    // With the id of one's own experiment in front of it the run is still another's.
    let theirs = stranger.experiment("mine").await;
    stranger.download(&format!("{theirs}/{run}/artifacts/a.txt")).await.refused(404);
    app.anonymous().download(&file).await.refused(401);
    let viewer = app.member(Role::Viewer).await;
    assert_eq!(viewer.download(&file).await.text(), "1");
    viewer.upload(&file, b"2").await.refused(403);
    viewer.delete(&format!("{ARTIFACTS}/{file}")).await.refused(403);
    // Nor is it there with the number of another experiment of the same workspace.
    let other = ada.experiment("other").await;
    ada.download(&format!("{other}/{run}/artifacts/a.txt")).await.refused(404);
    assert_eq!(ada.download(&file).await.text(), "1");
}

#[tokio::test]
async fn a_deleted_runs_files_are_read_and_not_changed() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/a"), b"1").await.ok();
    ada.ml("runs/delete", json!({ "run_id": run })).await.ok();
    assert_eq!(ada.download(&format!("{root}/a")).await.text(), "1");
    ada.upload(&format!("{root}/a"), b"2").await.refused(400);
    ada.delete(&format!("{ARTIFACTS}/{root}/a")).await.refused(400);
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_refused_before_it_begins() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let request =
        ada.request(Method::PUT, &format!("{ARTIFACTS}/{root}/a")).header("content-length", (11_u64 << 30).to_string());
    ada.send(request.body(Body::empty()).unwrap()).await.refused(413);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let parts =
        futures::stream::iter([Ok(axum::body::Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    let request = ada.request(Method::PUT, &format!("{ARTIFACTS}/{root}/a"));
    ada.send(request.body(Body::from_stream(parts)).unwrap()).await.refused(400);
    ada.download(&format!("{root}/a")).await.refused(404);
}

#[tokio::test]
async fn a_file_is_had_in_parts_with_what_the_client_came_with() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/a%20%C3%A4%2B.bin"), b"0123456789").await.ok();
    for prefix in ["/api", "/ajax-api", "/w/default/api"] {
        let told = ada.get(&format!("{prefix}/2.0/mlflow-artifacts/presigned/{root}/a%20%C3%A4%2B.bin")).await;
        assert_eq!(told.header("cache-control"), "no-store");
        let told = told.ok();
        assert_eq!(told["file_size"], 10);
        let (_, path) = told["url"].as_str().unwrap().split_once("/w/default/").unwrap();
        let mut request = axum::http::Request::get(format!("/w/default/{path}")).header("range", "bytes=3-5");
        for (name, value) in told["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let part = app.anonymous().send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((part.status.as_u16(), &*part.body), (206, &b"345"[..]));
    }
    let presigned = "/api/2.0/mlflow-artifacts/presigned";
    ada.get(&format!("{presigned}/{root}/none.bin")).await.refused(404);
    ada.get(&format!("{presigned}/{root}/..%2f..%2fetc%2fpasswd")).await.refused(400);
    app.anonymous().get(&format!("{presigned}/{root}/a%20%C3%A4%2B.bin")).await.refused(401);
    let (_, other) = app.second_workspace("other").await;
    other.in_workspace("other").get(&format!("{presigned}/{root}/a%20%C3%A4%2B.bin")).await.refused(404);
}

#[tokio::test]
async fn parts_are_the_rule_where_no_certificate_is_needed() {
    let app = TestApp::start().await;
    let info = async |headers: &[(&str, &str)]| {
        let anonymous = app.anonymous();
        let mut request = axum::http::Request::get("/api/3.0/mlflow/server-info");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        anonymous.send(request.body(Body::empty()).unwrap()).await.ok()["multipart_downloads_enabled"].clone()
    };
    assert_eq!(info(&[("host", "10.0.0.7:3000")]).await, json!(true));
    assert_eq!(info(&[("host", "10.0.0.7:3000"), ("x-forwarded-proto", "https")]).await, json!(false));
}

#[tokio::test]
async fn presigned_addresses_are_not_offered() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let refused = ada.ml("artifacts/presigned-upload-url", json!({ "run_id": "x", "path": "a" })).await.refused(501);
    assert_eq!(refused["error_code"], "NOT_IMPLEMENTED");
    ada.ml("artifacts/presigned-download-url", json!({ "run_id": "x", "path": "a" })).await.refused(501);
    let info = app.anonymous().get("/api/3.0/mlflow/server-info").await.ok();
    assert_eq!((&info["multipart_uploads_enabled"], &info["workspaces_enabled"]), (&json!(true), &json!(true)));
    assert_eq!(app.anonymous().get("/version").await.text(), "3.17.2");
    assert_eq!(app.anonymous().get("/health").await.text(), "OK");
}

#[tokio::test]
async fn a_file_is_also_found_by_its_run_its_version_and_its_logged_model() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/model/page.html"), b"<script>").await.ok();
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    let model = ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok()["model"]["info"].clone();
    let (id, uri) = (model["model_id"].as_str().unwrap(), model["artifact_uri"].as_str().unwrap());
    ada.upload(&format!("{}/page.html", uri.replace("mlflow-artifacts:/", "")), b"<script>").await.ok();

    let (_, stranger) = app.second_workspace("elsewhere").await;
    for (path, file) in [
        (format!("/get-artifact?run_uuid={run}"), "&path=model/page.html"),
        (format!("/get-artifact?run_id={run}"), "&path=model/page.html"),
        ("/model-versions/get-artifact?name=churn&version=1".to_owned(), "&path=page.html"),
        (format!("/ajax-api/2.0/mlflow/logged-models/{id}/artifacts/files?x=1"), "&artifact_file_path=page.html"),
    ] {
        let got = ada.get(&format!("{path}{file}")).await;
        assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "<script>"), "{path}");
        assert!(got.header("content-disposition").starts_with("attachment"), "{path}");
        assert_eq!(got.header("content-type"), "application/octet-stream");
        ada.get(&path).await.refused(400);
        ada.get(&format!("{path}{}", file.replace("page", "other"))).await.refused(404);
        ada.get(&format!("{path}{}", file.replace("page.html", ".."))).await.refused(400);
        stranger.get(&format!("{path}{file}")).await.refused(404);
        ada.get(&format!("/w/elsewhere{path}{file}")).await.refused(404);
    }
    let folder = ada.download(&format!("{root}/model")).await.refused(400);
    assert_eq!(folder["message"], format!("Artifact path refers to a directory, not a file: '{root}/model'"));
}

#[tokio::test]
async fn a_small_file_is_uploaded_by_its_run() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let upload = async |query: String, body: Vec<u8>| {
        let path = format!("/ajax-api/2.0/mlflow/upload-artifact?{query}");
        ada.send(ada.request(Method::POST, &path).body(Body::from(body)).unwrap()).await
    };
    upload(format!("run_uuid={run}&path=plots/a.txt"), b"text".to_vec()).await.ok();
    upload(format!("run_id={run}&path=plots/b.txt"), b"text".to_vec()).await.ok();
    assert_eq!(ada.download(&format!("{root}/plots/b.txt")).await.text(), "text");
    for (query, body) in [
        (format!("run_uuid={run}"), b"text".to_vec()),
        ("path=a".to_owned(), b"text".to_vec()),
        (format!("run_uuid={run}&path=a"), Vec::new()),
        (format!("run_uuid={run}&path=a"), vec![0; (10 << 20) + 1]),
        (format!("run_uuid={run}&path=a/"), b"text".to_vec()),
    ] {
        upload(query, body).await.refused(400);
    }
    upload("run_uuid=0123456789abcdef0123456789abcdef&path=a".to_owned(), b"text".to_vec()).await.refused(404);
    upload(format!("run_uuid={run}&path=full"), vec![0; 10 << 20]).await.ok();
}
