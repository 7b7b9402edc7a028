//! Datasets over REST, as clients use it: asking what is missing, sending it, making versions, fetching them.

use crate::app::{Client, TestApp};
use axum::{
    body::Body,
    http::{Method, header},
};
use domain::permission::Role;
use manifest::{Content, Entry, Hash, Pack, PackBuilder, Page, Root, build};
use serde_json::{Value, json};

const WINE: &str = "/api/v1/datasets/wine";

fn entry(path: &str, bytes: &[u8]) -> Entry {
    let content = Content::Small { size: bytes.len() as u64, digest: Hash::of(bytes) };
    Entry { path: path.to_owned(), executable: false, content }
}

fn pack(objects: &[&[u8]]) -> Vec<u8> {
    let mut pack = PackBuilder::default();
    objects.iter().for_each(|bytes| pack.push(&Hash::of(bytes), bytes));
    pack.take()
}

impl Client {
    async fn pack(&self, dataset: &str, body: Vec<u8>) -> crate::app::Answer {
        let request = self.request(Method::POST, &format!("/api/v1/datasets/{dataset}/packs"));
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A version of these files.
    pub async fn dataset_version(&self, dataset: &str, files: &[(&str, &[u8])]) -> Value {
        let built = build(files.iter().map(|(path, bytes)| entry(path, bytes)).collect()).unwrap();
        let mut objects: Vec<&[u8]> = files.iter().map(|(_, bytes)| *bytes).filter(|bytes| !bytes.is_empty()).collect();
        objects.extend(built.pages.iter().map(Vec::as_slice));
        objects.push(&built.bytes);
        self.pack(dataset, pack(&objects)).await.ok();
        let made = json!({ "root": built.digest.to_string(), "message": "as sent" });
        self.post(&format!("/api/v1/datasets/{dataset}/versions"), made).await.ok()
    }
}

#[tokio::test]
async fn a_version_is_sent_made_and_fetched() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let viewer = app.member(Role::Viewer).await;
    ada.get(WINE).await.refused(404);
    let made = ada.post("/api/v1/datasets", json!({ "name": "wine", "description": "Wines" })).await;
    assert_eq!((made.status.as_u16(), &made.ok()["name"]), (201, &json!("wine")));
    ada.post("/api/v1/datasets", json!({ "name": "wine" })).await.refused(409);

    let built = build(vec![entry("a/one.csv", b"x\n1\n"), entry("b", b"2")]).unwrap();
    let (one, page) = (Hash::of(b"x\n1\n").to_string(), built.root.pages[0].digest.to_string());
    let asked = json!({ "whole": [page], "objects": [one] });
    assert_eq!(ada.post(&format!("{WINE}/missing"), asked.clone()).await.ok(), asked);
    let root = json!({ "root": built.digest.to_string() });
    ada.post(&format!("{WINE}/versions"), root.clone()).await.refused(409);
    let stored = ada.pack("wine", pack(&[b"x\n1\n", b"2", &built.pages[0], &built.bytes])).await.ok();
    assert_eq!(stored, json!({ "objects": 4, "new": 4 }));
    assert_eq!(ada.post(&format!("{WINE}/missing"), asked.clone()).await.ok()["objects"], json!([]));
    let first = ada.post(&format!("{WINE}/versions"), root.clone()).await;
    assert_eq!(first.status.as_u16(), 201);
    let again = ada.post(&format!("{WINE}/versions"), root).await;
    assert_eq!((again.status.as_u16(), again.ok()["id"].clone()), (200, first.ok()["id"].clone()));
    let nothing = json!({ "whole": [], "objects": [] });
    assert_eq!(ada.post(&format!("{WINE}/missing"), asked).await.ok(), nothing);

    // Whoever reads gets it by its number, as the latest, and by its digest; and its bytes by theirs.
    let digest = built.digest.to_string();
    for name in ["1", "latest", &digest] {
        assert_eq!(viewer.get(&format!("{WINE}/versions/{name}")).await.ok()["number"], json!(1), "{name}");
    }
    let bytes = viewer.get(&format!("{WINE}/objects/{digest}")).await;
    assert_eq!(Root::read(&bytes.body).unwrap(), built.root);
    let page = viewer.get(&format!("{WINE}/objects/{page}")).await;
    assert_eq!(Page::read(&page.body).unwrap().0.entries.len(), 2);
    let wanted = json!({ "digests": [Hash::of(b"2").to_string(), one] });
    let body = viewer.post(&format!("{WINE}/objects"), wanted).await;
    let got: Vec<Hash> = Pack::read(&body.body).unwrap().objects.iter().map(|object| object.digest).collect();
    assert_eq!(got, [Hash::of(b"2"), Hash::of(b"x\n1\n")]);
    let file = viewer.get(&format!("{WINE}/versions/1/files/a/one.csv")).await;
    assert_eq!(
        (file.text().as_str(), file.header("content-disposition")),
        ("x\n1\n", "attachment; filename=\"one.csv\"")
    );
    let listed = viewer.get(&format!("{WINE}/versions/1/files")).await.ok();
    assert_eq!(listed["items"][0], json!({ "path": "a", "files": 1, "size": 4 }));
    let events = ada.get("/api/v1/audit-events?limit=10").await.ok();
    let actions: Vec<&str> =
        events["items"].as_array().unwrap().iter().filter_map(|event| event["action"].as_str()).collect();
    assert!(actions.contains(&"dataset.created") && actions.contains(&"dataset_version.created"), "{actions:?}");
}

#[tokio::test]
async fn what_is_different_between_two_versions_is_told_a_page_at_a_time() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.post("/api/v1/datasets", json!({ "name": "wine" })).await.ok();
    ada.dataset_version("wine", &[("a", b"1"), ("b", b"2"), ("c", b"3")]).await;
    ada.dataset_version("wine", &[("b", b"two"), ("c", b"3"), ("d", b"4")]).await;
    let diff = ada.get(&format!("{WINE}/versions/latest/diff?from=1&limit=2")).await.ok();
    assert_eq!((&diff["added"], &diff["removed"], &diff["changed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(
        (&diff["changes"][0]["change"], &diff["changes"][0]["before"]["path"]),
        (&json!("removed"), &json!("a"))
    );
    assert_eq!(diff["changes"][1]["after"]["size"], json!(3));
    let token = diff["next_page_token"].as_str().unwrap();
    let rest = ada.get(&format!("{WINE}/versions/2/diff?from=1&limit=2&page_token={token}")).await.ok();
    assert_eq!((&rest["changes"][0]["after"]["path"], rest.get("next_page_token")), (&json!("d"), None));
    ada.get(&format!("{WINE}/versions/2/diff")).await.refused(400);
    ada.get(&format!("{WINE}/versions/2/diff?from=9")).await.refused(404);
    ada.delete(&format!("{WINE}/versions/1")).await;
    ada.get(&format!("{WINE}/versions/1")).await.refused(404);
}

#[tokio::test]
async fn what_is_expected_is_held_against_each_version() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let expected = json!([
        { "rule": "not_null", "column": "age" },
        { "rule": "range", "column": "age", "min": 0.0, "max": 120.0 },
        { "rule": "row_count", "min": 2 },
        { "rule": "allowed_values", "column": "kind", "values": ["red", "white"] },
    ]);
    ada.post("/api/v1/datasets", json!({ "name": "wine", "expectations": expected })).await.ok();
    let version = ada.dataset_version("wine", &[("wine.csv", b"age,kind\n3,red\n,white\n500,rose\n")]).await;
    assert_eq!(version["checks"], json!("waiting"));
    while app.services().profile_next_dataset().await.unwrap() {}
    let found = ada.get(&format!("{WINE}/versions/1/profile")).await.ok();
    assert_eq!((&found["checks_state"], &found["tables"][0]["rows"]), (&json!("failed"), &json!(3)));
    let outcomes: Vec<&str> =
        found["checks"].as_array().unwrap().iter().map(|check| check["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "failed", "passed", "failed"]);
    assert_eq!(found["checks"][1]["found"], json!("1 row does not: \"500\" in row 3"));
    ada.dataset_version("wine", &[("wine.csv", b"age,kind\n3,red\n4,white\n")]).await;
    while app.services().profile_next_dataset().await.unwrap() {}
    assert_eq!(ada.get(&format!("{WINE}/versions/2")).await.ok()["checks"], json!("passed"));
    let tables = ada.get(&format!("{WINE}/versions/2/diff/tables?from=1")).await.ok();
    assert_eq!(tables["items"][0]["rows"], json!([3, 2]));
    // With other expectations, the latest is looked at again.
    let change = json!({ "expectations": [{ "rule": "unique", "column": "kind" }, { "rule": "regex", "column": "kind", "pattern": "r.*" }] });
    ada.patch(WINE, change).await.ok();
    assert_eq!(ada.get(&format!("{WINE}/versions/2")).await.ok()["checks"], json!("waiting"));
    while app.services().profile_next_dataset().await.unwrap() {}
    assert_eq!(ada.get(&format!("{WINE}/versions/2")).await.ok()["checks"], json!("failed"));
    for wrong in [json!([{ "rule": "regex", "column": "a", "pattern": "(" }]), json!([{ "rule": "none" }]), json!([{}])]
    {
        ada.patch(WINE, json!({ "expectations": wrong })).await.refused(400);
    }
}

#[tokio::test]
async fn a_version_is_checked_again_and_says_in_one_line_what_failed() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let viewer = app.member(Role::Viewer).await;
    let rows = |min| json!({ "expectations": [{ "rule": "row_count", "min": min }] });
    ada.post("/api/v1/datasets", json!({ "name": "wine" })).await.ok();
    ada.patch(WINE, rows(2)).await.ok();
    for text in [&b"x\n1\n"[..], b"x\n1\n2\n3\n"] {
        ada.dataset_version("wine", &[("wine.csv", text)]).await;
    }
    while app.services().profile_next_dataset().await.unwrap() {}
    assert_eq!(viewer.get(&format!("{WINE}/versions/passed")).await.ok()["number"], json!(2));
    let told = "wine@1 is not what is expected of it: \"has at least 2 rows\" in wine.csv is not met (It has 1 rows).";
    let browser = app.browser(ada.user()).await;
    let page = browser.get("/datasets/wine/versions/1").await.text();
    let line = told.replace('"', "&quot;");
    assert!(page.contains(&line) || page.contains(told), "{page}");
    assert!(page.contains("Check again"));
    assert!(!app.browser(viewer.user()).await.get("/datasets/wine/versions/1").await.text().contains("Check again"));

    viewer.post(&format!("{WINE}/versions/1/check"), json!({})).await.refused(403);
    ada.patch(WINE, rows(1)).await.ok();
    let asked = ada.post(&format!("{WINE}/versions/1/check"), json!({})).await;
    assert_eq!((asked.status.as_u16(), &asked.ok()["checks"]), (202, &json!("waiting")));
    while app.services().profile_next_dataset().await.unwrap() {}
    assert_eq!(ada.get(&format!("{WINE}/versions/1")).await.ok()["checks"], json!("passed"));
    let sent = browser.form("/datasets/wine/versions/1/check", "").await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, "/w/default/datasets/wine/versions/1"));
    assert_eq!(ada.get(&format!("{WINE}/versions/1")).await.ok()["checks"], json!("waiting"));
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let viewer = app.member(Role::Viewer).await;
    ada.post("/api/v1/datasets", json!({ "name": "wine" })).await.ok();
    for (path, body) in [
        ("missing", json!({ "objects": ["x"] })),
        ("missing", json!({ "whole": ["A".repeat(64)] })),
        ("objects", json!({ "digests": [] })),
        ("objects", json!({ "digests": ["0"] })),
        ("versions", json!({ "root": "0" })),
        ("versions", json!({})),
        ("versions/1/mlflow-digests", json!({ "mlflow_digests": "x" })),
    ] {
        ada.post(&format!("{WINE}/{path}"), body).await.refused(400);
    }
    let unknown = "0".repeat(64);
    ada.post(&format!("{WINE}/objects"), json!({ "digests": [unknown] })).await.refused(404);
    ada.get(&format!("{WINE}/objects/{unknown}")).await.refused(404);
    ada.pack("wine", b"nonsense".to_vec()).await.refused(400);
    ada.pack("wine", vec![0; (32 << 20) + 1]).await.refused(413);
    ada.pack("none", Vec::new()).await.refused(404);
    viewer.pack("wine", Vec::new()).await.refused(403);
    for nothing in [
        "versions/latest",
        "versions/passed",
        "versions/1",
        "versions/x",
        "versions/1/files",
        "versions/1/profile",
        "versions/1/lineage",
        "versions/x/lineage",
    ] {
        ada.get(&format!("{WINE}/{nothing}")).await.refused(404);
    }
    for nothing in ["wine/versions/1", "wine/versions/passed", "wine/versions/x", "beer/versions/1"] {
        ada.post(&format!("/api/v1/datasets/{nothing}/check"), json!({})).await.refused(404);
    }
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get(&format!("/w/default{WINE}")).await.refused(404);
    stranger.get(WINE).await.refused(404);
}

#[tokio::test]
async fn files_of_a_form_become_a_version_and_its_pages_show_it() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await;
    browser.form("/datasets", "name=wine&description=Wines").await;
    let form = |files: &[(&str, &str)]| {
        let mut body = String::new();
        for (path, text) in files {
            body += &format!(
                "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{path}\"\r\n\r\n{text}\r\n"
            );
        }
        body + "--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nby hand\r\n--x--\r\n"
    };
    let send = async |body: String| {
        let request = browser.request(Method::POST, "/datasets/wine/versions");
        let request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        browser.send(request.body(Body::from(body)).unwrap()).await
    };
    let large = "x".repeat(5 << 20);
    let sent = send(form(&[("data/wine.csv", "age\n1\n2\n"), ("large.txt", &large)])).await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, "/w/default/datasets/wine/versions/1"));
    while app.services().profile_next_dataset().await.unwrap() {}
    let page = browser.get("/datasets/wine/versions/1").await.text();
    for shown in ["by hand", "data/", "large.txt", "data/wine.csv", "2 rows", "slipway data get wine@1"] {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    assert!(browser.get("/datasets/wine/versions/1?folder=data").await.text().contains("wine.csv"));
    for wrong in [form(&[]), form(&[("../up", "x")]), form(&[("a", "x"), ("a", "y")]), "nonsense".to_owned()] {
        let refused = send(wrong).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    send(form(&[("data/wine.csv", "age\n1\n2\n3\n")])).await;
    let page = browser.get("/datasets/wine/versions/2/diff").await.text();
    assert!(page.contains("wine@2 is being profiled; look again in a moment."), "{page}");
    while app.services().profile_next_dataset().await.unwrap() {}
    let page = browser.get("/datasets/wine/versions/2/diff?from=1").await.text();
    for shown in ["large.txt", "Removed", "2 to 3 rows", "wine@1 to wine@2"] {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    assert!(browser.get("/datasets").await.text().contains("Wines"));
    let refused = browser.form("/datasets/wine", "description=d&expectations=%5B%7B%7D%5D").await;
    assert_eq!(refused.status.as_u16(), 400);
    browser.form("/datasets/wine/versions/1/delete", "").await;
    assert_eq!(browser.get("/datasets/wine/versions/1").await.status.as_u16(), 404);
    let shown = browser.get("/datasets/wine").await.text();
    assert!(shown.contains("v2") && shown.contains("deleted"));
}

#[tokio::test]
async fn a_run_that_logged_a_digest_links_to_the_version_that_has_it() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.post("/api/v1/datasets", json!({ "name": "wine" })).await.ok();
    ada.dataset_version("wine", &[("a", b"1")]).await;
    let experiment = ada.experiment("wines").await;
    let run = ada.run(&experiment).await;
    let input =
        json!({ "tags": [], "dataset": { "name": "w", "digest": "4f1a90cc", "source_type": "local", "source": "{}" } });
    ada.ml("runs/log-inputs", json!({ "run_id": run, "datasets": [input] })).await.ok();
    let digests = json!({ "mlflow_digests": ["4f1a90cc"] });
    ada.post(&format!("{WINE}/versions/1/mlflow-digests"), digests).await.ok();
    let runs = ada.get(&format!("{WINE}/versions/1/runs")).await.ok();
    assert_eq!(runs["items"].as_array().unwrap().len(), 1);
    ada.delete(&format!("{WINE}/versions/1")).await.refused(409);
    let browser = app.browser(ada.user()).await;
    let page = browser.get(&format!("/runs/{run}?tab=inputs")).await.text();
    assert!(page.contains("/datasets/wine/versions/1\">wine@1<"), "{page}");
    assert!(browser.get("/datasets/wine/versions/1").await.text().contains("4f1a90cc"));
}
