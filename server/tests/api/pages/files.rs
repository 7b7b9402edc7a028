//! Files on the pages of runs and versions: the tree, what is shown, the addresses that show it, and archives.

use super::browser;
use crate::app::{Answer, Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderName, Method, header},
};
use domain::permission::Role;
use serde_json::json;
use std::io::{Cursor, Read as _};

/// Somebody with a run, its id, and where its files go.
struct Logged {
    ada: Client,
    page: Client,
    run: String,
    root: String,
}

async fn logged(app: &TestApp) -> Logged {
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let page = app.browser(ada.user()).await.in_workspace("default");
    Logged { ada, page, run, root }
}

impl Logged {
    async fn upload(&self, path: &str, content: impl AsRef<[u8]>) {
        self.ada.upload(&format!("{}/{path}", self.root), content.as_ref()).await.ok();
    }

    async fn look(&self, path: &str) -> Answer {
        self.page.get(&format!("/runs/{}?tab=artifacts&path={path}", self.run)).await
    }

    async fn shown(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = self.page.request(Method::GET, &format!("/runs/{}/shown?path={path}", self.run));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.page.send(request.body(Body::empty()).unwrap()).await
    }
}

const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What tries to reach out of where it is shown.
const HOSTILE: &str = "<script>parent.document.title = document.cookie; fetch('/api/v1/user')</script>";

#[tokio::test]
async fn each_sort_of_file_is_shown_as_what_it_is() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.upload("a/rows.csv", "name,score\n\"x, y\",0.5\n").await;
    run.upload("a/config.json", r#"{"b":1,"a":[2]}"#).await;
    run.upload(
        "README.md",
        "# Title\n\n<script>alert(1)</script>\n\n[in](a/rows.csv) [out](javascript:alert(2)) ![p](plots/p.png)",
    )
    .await;
    run.upload(
        "work.ipynb",
        json!({ "cells": [{ "cell_type": "code", "source": "show(rows)", "outputs": [
        { "output_type": "display_data", "data": { "text/html": "<b onclick=alert(4)>x</b>" } },
        { "output_type": "display_data", "data": { "text/html": HOSTILE } },
        { "output_type": "display_data", "data": { "application/javascript": "alert(5)" } }] }] })
        .to_string(),
    )
    .await;
    run.upload("page.html", HOSTILE).await;
    run.upload("model.bin", [0_u8, 1, 2]).await;
    run.upload("broken.parquet", b"PAR1 nothing of the sort").await;
    run.upload("train.log", "line one\nline <two>\n").await;

    run.look("").await.shows(200, &["8 files", "train.log", "artifacts.zip", "Choose a file"]);
    run.look("a").await.shows(200, &["config.json", "rows.csv", "artifacts.zip?path=a", "/a\")"]);
    run.look("a/rows.csv").await.shows(200, &["x, y", "score", "1 row.", "aria-current=\"page\""]);
    run.look("a/config.json").await.shows(200, &["\"b\": 1,"]);
    let prose =
        run.look("README.md").await.shows(200, &["Title</h3>", "path=a%2Frows.csv", "/shown?path=plots%2Fp.png"]);
    assert!(!prose.contains("alert("), "{prose}");
    let notebook = run.look("work.ipynb").await.shows(
        200,
        &[
            "show(rows)",
            "<strong>x</strong>",
            "Left out: <code>application/javascript",
            "/shown?path=work.ipynb&amp;cell=0&amp;output=1",
        ],
    );
    assert!(!notebook.contains("alert(") && !notebook.contains("document.cookie"), "{notebook}");
    let framed = run.shown("work.ipynb&cell=0&output=1", &[(DEST, "iframe")]).await;
    assert!(
        framed.text().contains(HOSTILE) && framed.header("content-security-policy").contains("sandbox allow-scripts")
    );
    run.shown("work.ipynb&cell=0&output=1", &[(DEST, "document")]).await.leads_to();
    run.shown("work.ipynb&cell=0&output=9", &[(DEST, "iframe")]).await.refused(404);
    run.shown("train.log&cell=0&output=1", &[(DEST, "iframe")]).await.refused(400);
    let framed = run.look("page.html").await.shows(200, &["<iframe", "sandbox=\"allow-scripts\""]);
    assert!(!framed.contains("document.cookie"), "{framed}");
    run.look("model.bin").await.shows(200, &["This file is not shown"]);
    run.look("broken.parquet").await.shows(200, &["This file cannot be shown"]);
    run.look("train.log").await.shows(200, &["line &lt;two&gt;", "href=\"#L2\""]);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_told_and_an_unsafe_one_refused() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.look("").await.shows(200, &["No files yet", "mlflow artifacts log-artifact --run-id"]);
    run.upload("a/b.txt", "x").await;
    run.look("a/none.txt").await.shows(404, &["Nothing is at a/none.txt", "aria-label=\"Files\""]);
    for unsafe_path in ["..%2Fx", "%2Fetc%2Fpasswd", "a%2F..%2F..%2Fx", "a%5Cb", "%252e%252e%2Fx"] {
        run.look(unsafe_path).await.shows(400, &["aria-label=\"Workspace\""]);
        run.shown(unsafe_path, &[]).await.refused(400);
        run.ada.get(&format!("/api/v1/runs/{}/artifacts.zip?path={unsafe_path}", run.run)).await.refused(400);
    }
    run.shown("a", &[]).await.refused(404);
    run.shown("none.png", &[]).await.refused(404);
    run.ada.get(&format!("/runs/{}/shown", run.run)).await.refused(400);
}

#[tokio::test]
async fn a_document_is_sent_to_a_frame_of_ours_and_may_reach_nothing() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.upload("page.html", HOSTILE).await;
    let framed = run.shown("page.html", &[(DEST, "iframe")]).await;
    assert_eq!((framed.status.as_u16(), framed.text().as_str()), (200, HOSTILE));
    let policy = framed.header("content-security-policy").to_owned();
    let directives: Vec<&str> = policy.split("; ").map(str::trim).collect();
    for directive in [
        "default-src 'none'",
        "connect-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox allow-scripts",
    ] {
        assert!(directives.contains(&directive), "{directive} in {policy}");
    }
    assert!(!policy.contains("allow-same-origin") && !policy.contains("http"), "{policy}");
    assert_eq!(framed.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(framed.header("x-content-type-options"), "nosniff");
    assert_eq!(framed.header("content-type"), "text/html; charset=utf-8");

    // A copy that is still good is still under the policy.
    let etag = framed.header("etag").to_owned();
    let same = run.shown("page.html", &[(DEST, "iframe"), (header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!((same.status.as_u16(), same.header("content-security-policy")), (304, policy.as_str()));

    // Not as a page of its own, below our address.
    for place in ["document", "embed", "object", "frame"] {
        let own = run.shown("page.html", &[(DEST, place)]).await;
        assert_eq!(own.leads_to(), format!("/w/default/runs/{}?tab=artifacts&path=page.html", run.run), "{place}");
        assert!(!own.text().contains("<script>"), "{own:?}");
    }
    // The download stays what it was.
    let saved = run.ada.get(&format!("/api/v1/runs/{}/artifacts/content?path=page.html", run.run)).await;
    assert!(saved.header("content-disposition").starts_with("attachment"));
    assert_eq!(saved.header("content-type"), "application/octet-stream");
    assert!(saved.header("content-security-policy").contains("frame-ancestors 'none'; sandbox"));
    assert_eq!(saved.header("x-frame-options"), "DENY");
}

#[tokio::test]
async fn a_page_has_room_for_a_frame_only_when_it_shows_one() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.upload("page.html", HOSTILE).await;
    run.upload("plot.svg", "<svg/>").await;
    let policy = async |path: &str| run.look(path).await.header("content-security-policy").to_owned();
    assert!(policy("page.html").await.contains("frame-src 'self';"));
    for without in ["", "plot.svg"] {
        assert!(!policy(without).await.contains("frame-src"), "{without}");
    }
}

#[tokio::test]
async fn a_picture_is_sent_as_one_and_runs_nothing() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(document.cookie)\"/>";
    run.upload("plot.svg", svg).await;
    run.upload("fake.png", HOSTILE).await;
    run.upload("notes.txt", HOSTILE).await;
    let picture = run.shown("plot.svg", &[(DEST, "image")]).await;
    assert_eq!((picture.header("content-type"), picture.text().as_str()), ("image/svg+xml", svg));
    let policy = picture.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'unsafe-inline';") && policy.ends_with("; sandbox"),
        "{policy}"
    );
    assert!(!policy.contains("script"), "{policy}");
    // Also when somebody opens it by itself.
    assert_eq!(run.shown("plot.svg", &[(DEST, "document")]).await.header("content-security-policy"), policy);
    let fake = run.shown("fake.png", &[]).await;
    assert_eq!((fake.header("content-type"), fake.header("x-content-type-options")), ("image/png", "nosniff"));
    assert!(
        fake.header("content-security-policy").contains("default-src 'none'")
            && fake.header("content-security-policy").contains("sandbox")
    );
    assert_eq!(run.shown("notes.txt", &[]).await.refused(400)["kind"], "invalid");
}

#[tokio::test]
async fn files_of_another_workspace_are_not_there() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.upload("page.html", HOSTILE).await;
    let (_, stranger) = app.second_workspace("elsewhere").await;
    for path in ["/shown?path=page.html", "?tab=artifacts&path=page.html"] {
        assert_eq!(stranger.get(&format!("/runs/{}{path}", run.run)).await.status, 404, "{path}");
    }
    for path in ["artifacts.zip", "artifacts/content?path=page.html"] {
        stranger.get(&format!("/api/v1/runs/{}/{path}", run.run)).await.refused(404);
    }
    app.anonymous().get(&format!("/runs/{}/shown?path=page.html", run.run)).await.refused(401);
}

/// What an archive holds, by name.
fn unpacked(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/zip"), "{}", answer.text());
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(answer.body.clone())).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut file = archive.by_index(at).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

#[tokio::test]
async fn a_folder_is_downloaded_as_one_archive() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    run.upload("model/weights.bin", &large).await;
    run.upload("model/data/%C3%9Cber%20%26.txt", "four").await;
    run.upload("empty", "").await;
    let zip = async |path: &str| run.ada.get(&format!("/api/v1/runs/{}/artifacts.zip{path}", run.run)).await;
    let all = zip("").await;
    assert_eq!(all.header("content-disposition"), format!("attachment; filename=\"{}.zip\"", run.run));
    let expected = [("empty", b"".to_vec()), ("model/data/Über &.txt", b"four".to_vec()), ("model/weights.bin", large)];
    assert_eq!(unpacked(&all), expected.map(|(name, content)| (name.to_owned(), content)));
    let below = unpacked(&zip("?path=model/data").await);
    assert_eq!(below, [("data/Über &.txt".to_owned(), b"four".to_vec())]);
    assert!(zip("").await.body == all.body, "the same files are the same archive");
    zip("?path=none").await.refused(404);
}

#[tokio::test]
async fn an_archive_has_a_limit_that_is_told_before_it_begins() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    let path = format!("/api/v1/runs/{}/artifacts.zip", run.run);
    assert_eq!(run.ada.get(&path).await.refused(404)["detail"], "There are no files here.");
    many(&app, &run, 10_001).await;
    let refused = run.ada.get(&path).await.refused(413);
    assert!(refused["detail"].as_str().unwrap().contains("at most 10000 files and 10 GiB"), "{refused}");
    run.look("").await.shows(200, &["10,001 files"]);
    run.look("many").await.shows(200, &["Too much for one zip"]);
}

/// So many files in one folder, as rows alone.
async fn many(app: &TestApp, run: &Logged, count: i32) {
    sqlx::query(
        "insert into artifacts (root_id, path, root_kind, digest, size)
         select $1, 'many/' || lpad(n::text, 5, '0') || '.bin', 'run', 'blake3:' || repeat('0', 64), 2
         from generate_series(1, $2) n",
    )
    .bind(run.run.parse::<domain::id::RunId>().unwrap().0)
    .bind(count)
    .execute(&app.database.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_folder_of_thousands_comes_in_pages() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    many(&app, &run, 3000).await;
    let first = run.look("many").await.shows(200, &["200 of 3,000", "Next 200", "from=many%2F00201.bin", "00200.bin"]);
    assert!(!first.contains(">00201.bin<"), "{first}");
    let second = run.look("many&from=many%2F00201.bin").await;
    second.shows(200, &["201 to 400 of 3,000", "First", "00400.bin"]);
    // A file that somebody sends on is on the page that opens, though its content is gone.
    run.look("many%2F02950.bin")
        .await
        .shows(200, &["2,950 to 3,000 of 3,000", "This file cannot be shown", "02950.bin"]);
}

#[tokio::test]
async fn the_files_of_a_version_are_looked_at_as_they_were_registered() {
    let app = TestApp::start().await;
    let run = logged(&app).await;
    run.upload("model/MLmodel", "flavors: {}\n").await;
    run.upload("model/report.html", HOSTILE).await;
    run.ada.model("churn").await;
    run.ada.version("churn", &format!("runs:/{}/model", run.run)).await;
    run.upload("model/MLmodel", "flavors: {changed: 1}\n").await;
    let version = browser(&app, Role::Viewer).await;
    version.get("/models/churn/versions/1").await.shows(200, &["?tab=files&amp;path=MLmodel"]);
    version.get("/models/churn/versions/1?tab=files").await.shows(200, &["report.html", "models:/churn/1"]);
    let html = version.get("/models/churn/versions/1?tab=files&path=MLmodel").await.shows(200, &["flavors: {}"]);
    assert!(!html.contains("changed"), "{html}");
    version.get("/models/churn/versions/1?tab=files&path=none").await.shows(404, &["Nothing is at none"]);
    let framed = version.get("/models/churn/versions/1/shown?path=report.html").await;
    assert!(framed.header("content-security-policy").ends_with("sandbox allow-scripts"), "{framed:?}");
    let files = version.get("/api/v1/models/churn/versions/1/files.zip").await;
    assert_eq!(files.header("content-disposition"), "attachment; filename=\"churn-v1.zip\"");
    let names: Vec<String> = unpacked(&files).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["MLmodel", "report.html"]);
    let saved = version.get("/api/v1/models/churn/versions/1/files/content?path=MLmodel").await;
    assert_eq!((saved.text().as_str(), saved.status.as_u16()), ("flavors: {}\n", 200));
    version.get("/api/v1/models/churn/versions/1/files/content?path=..%2Fx").await.refused(400);
    version.get("/api/v1/models/churn/versions/2/files.zip").await.refused(404);
}
