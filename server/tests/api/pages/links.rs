//! Where pages lead: every link is followed, and every form is looked up in the route table.

use super::{browser, pipeline, serving::serving};
use crate::app::{Client, PUBLIC_URL, TestApp};
use axum::{body::Body, http::Method};
use domain::permission::{Role, Scope};
use serde_json::{Value, json};
use server::router;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

const WORKSPACE: &str = "/w/default";

/// A workspace with something of everything: a run with files and curves, versions, what serves and drifted, a
/// promotion that waits, and a pipeline run with a step that goes on.
async fn busy(app: &TestApp) {
    let admin = app.member_with([Role::Admin, Role::Approver], Scope::Admin).await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine & cheese").await;
    let run = ada.run(&experiment).await;
    ada.run(&experiment).await;
    let point = |step: u32| json!({ "key": "val/f1", "value": 0.1 * f64::from(step), "timestamp": step, "step": step });
    let batch = json!({
        "run_id": run, "metrics": [point(1), point(2)], "params": [{ "key": "depth", "value": "3" }],
    });
    ada.ml("runs/log-batch", batch).await.ok();
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    for file in ["notes.txt", "plots/a%20%26%20b.png", "MLmodel"] {
        ada.upload(&format!("{root}/{file}"), b"content").await.ok();
    }
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": "1" })).await.ok();

    serving(app).await;
    sqlx::query(
        "with version as (
             update model_versions set digest = 'sha256:' || repeat('0', 64), flavors = array['onnx']
             where version = 1 and model_id = (select id from models where name = 'wine')
             returning id
         )
         insert into model_version_files (model_version_id, path, digest, size)
         select version.id, 'model.onnx', artifacts.digest, artifacts.size
         from version, artifacts
         where artifacts.path = 'notes.txt'",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    let policy = json!({ "gates": [], "rule": { "approvals": 1 } });
    admin.put("/api/v1/environments/staging/policy", policy).await.ok();
    let asked = json!({ "model": "wine", "version": 1, "environment": "staging", "comment": "better" });
    let promotion = ada.post("/api/v1/promotions", asked).await.ok();
    app.services().advance_promotion(serde_json::from_value(promotion["id"].clone()).unwrap()).await.unwrap();

    ada.put("/api/v1/pipelines", json!({ "source": pipeline::FILE })).await.ok();
    ada.post("/api/v1/pipelines/wine/runs", json!({})).await.ok();
    let pools = ["default".to_owned()];
    let held = app
        .services()
        .claim_step(
            "worker",
            "worker",
            &pools,
            &[domain::pipeline::ExecutorKind::Process],
            &[],
            Duration::from_secs(600),
        )
        .await
        .unwrap()
        .unwrap();
    app.services().begin_attempt(&held, PUBLIC_URL, &domain::worker::Facts::default()).await.unwrap().unwrap();
    let trigger = json!({ "model": "wine", "pipeline": "wine" });
    admin.post("/api/v1/triggers", trigger).await.ok();
    let webhook = json!({ "name": "ci", "url": "https://1.1.1.1/", "events": ["registered_model.created"] });
    admin.post("/api/v1/webhooks", webhook).await.ok();
    ada.model("told").await;
}

/// What a page refers to: method and address.
fn references(html: &str) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    for tag in html.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
        // The addresses that islands work with are texts in a list, quoted once more.
        let text = tag.replace("&quot;", "\"").replace("&amp;", "&");
        let method = if text.contains("method=\"post\"") { "POST" } else { "GET" };
        for address in text.split('"').skip(1).filter(|text| text.starts_with('/') && !text.starts_with("//")) {
            let address = address.split('#').next().unwrap_or_default().to_owned();
            found.insert((method, address));
        }
    }
    found
}

/// Whether a path is one of a route: part by part, the last of a route perhaps taking the rest.
fn fits(route: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with("{*") => return true,
            (Some(part), Some(given)) if part == given || part.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Below the workspace, as the client asks and the table has it.
fn below(address: &str) -> &str {
    match address.strip_prefix(WORKSPACE) {
        Some("") => "/",
        Some(rest) if rest.starts_with(['/', '?']) => rest,
        _ => address,
    }
}

fn path(address: &str) -> &str {
    match below(address).split('?').next() {
        None | Some("") => "/",
        Some(path) => path,
    }
}

/// The sort of an address: its path and the names in its query, whatever their values.
fn sort(address: &str) -> String {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let names: BTreeSet<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
    format!("{}?{names:?}", path(address))
}

/// What was found by following links from the home page, and from where.
async fn crawl(app: &TestApp, client: &Client) -> BTreeMap<String, String> {
    let table = router::table(&app.state);
    let mut seen = BTreeMap::new();
    let mut broken = Vec::new();
    let mut queue = VecDeque::from([WORKSPACE.to_owned()]);
    while let Some(page) = queue.pop_front() {
        let answer = client.get(below(&page)).await;
        assert!(answer.status.is_success(), "{page} answered {}: {}", answer.status, answer.text());
        for (method, address) in references(&answer.text()) {
            if !table.iter().any(|route| route.method == method && fits(route.path, path(&address))) {
                broken.push(format!("{page} leads to {method} {address}, which is no route"));
            }
            if method == "POST" || !address.starts_with(WORKSPACE) || seen.contains_key(&sort(&address)) {
                continue;
            }
            seen.insert(sort(&address), page.clone());
            // To the address of curves, the script of the charts adds which ones.
            let curves = if path(&address) == "/api/v1/runs/series" { "&key=f1" } else { "" };
            let asked = format!("{}{curves}", below(&address));
            // Files and streams are not read: some have no end.
            let (status, headers) =
                client.head_of(client.request(Method::GET, &asked).body(Body::empty()).unwrap()).await;
            if !status.is_success() {
                broken.push(format!("{page} leads to {address}, which answers {status}"));
            } else if headers["content-type"].to_str().unwrap().starts_with("text/html") {
                queue.push_back(address);
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    seen
}

#[tokio::test]
async fn every_link_and_form_of_a_busy_workspace_leads_somewhere() {
    let app = TestApp::start().await;
    busy(&app).await;
    let member = app.member_with([Role::Admin, Role::Approver], Scope::Admin).await;
    let everybody = app.browser(member.user()).await.in_workspace("default");
    let seen = crawl(&app, &everybody).await;
    // What would not be followed when a page no longer showed it.
    for part in [
        "artifacts/content?{\"path\"}",
        "artifacts.zip?",
        "/files/content?{\"path\"}",
        "/runs/series?{\"run\"}",
        "/attempts/1/log?",
        "/attempts/1/log/stream?",
        "/events?{\"topic\"}",
        "/environments/production/models/wine/monitor?",
        "/policies/production/edit?",
        "/policies/production?",
        "/policies/new?",
        "/promotions/1?",
        "/promotions/new?",
        "/register?",
        "/models?{\"new\"}",
        "/models/churn/aliases?{\"set\"}",
        "/alerts/1?",
        "/deployments/2?",
        "/pipelines/wine/file?",
        "/search?",
        "/settings/account?",
        "/settings/webhooks/",
    ] {
        assert!(seen.keys().any(|sort| sort.contains(part)), "{part} is among {:#?}", seen.keys());
    }
}

#[tokio::test]
async fn every_link_and_form_of_an_empty_workspace_leads_somewhere() {
    let app = TestApp::start().await;
    crawl(&app, &browser(&app, Role::Viewer).await).await;
}

#[tokio::test]
async fn a_file_of_a_run_is_saved_from_its_page() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/plots/a%20%26%20b.txt"), b"seen").await.ok();
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let html = browser.get(&format!("/runs/{run}?tab=artifacts&path=plots%2Fa%20%26%20b.txt")).await.text();
    let (_, file) = references(&html).into_iter().find(|(_, address)| address.contains("content?path=")).unwrap();
    let saved = ada.get(below(&file)).await;
    assert_eq!((saved.status.as_u16(), saved.text().as_str()), (200, "seen"));
}

#[test]
fn a_path_fits_a_route_part_by_part() {
    assert!(fits("/models/{model}/versions/{version}", "/models/a%2Fb/versions/1"));
    assert!(fits("/pkg/{*path}", "/pkg/a/b.css"));
    for path in ["/models", "/models//versions/1", "/models/a/versions/1/x", "/runs/a/versions/1"] {
        assert!(!fits("/models/{model}/versions/{version}", path), "{path}");
    }
    let page = r#"<form method="post" action="/sign-out"><a href="/w/default/x?a=1&amp;b=2#c"><i data-props="{&quot;events&quot;:&quot;/w/default/e&quot;}">"#;
    let found: Vec<Value> = references(page).into_iter().map(|(method, address)| json!([method, address])).collect();
    assert_eq!(
        Value::from(found),
        json!([["GET", "/w/default/e"], ["GET", "/w/default/x?a=1&b=2"], ["POST", "/sign-out"]])
    );
}
