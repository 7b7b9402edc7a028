//! The home of a workspace where nothing has happened yet, and the example that it offers.

use super::browser;
use crate::app::TestApp;
use axum::Router;
use domain::permission::Role;
use server::{demo, serve, state::AppState};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same Slipway, able to walk the demo: what that needs is kept in the folder.
fn with_demo(app: &TestApp, data_dir: &Path) -> Router {
    let demo = demo::Background::new(([127, 0, 0, 1], 1).into(), data_dir);
    serve::service(&AppState { demo, ..app.state.clone() })
}

const OFFER: &str = "action=\"/w/default/example\"";

#[tokio::test]
async fn an_empty_workspace_says_how_to_log_a_run_and_offers_the_example() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let service = with_demo(&app, folder.path());
    let admin = browser(&app, Role::Admin).await.of(service.clone());
    let lines = [
        "export MLFLOW_TRACKING_URI=http://slipway.test/w/default",
        "export MLFLOW_TRACKING_TOKEN=",
        "python train.py",
        OFFER,
    ];
    admin.get("").await.shows(200, &lines);
    let viewer = browser(&app, Role::Viewer).await.of(service);
    assert!(!viewer.get("").await.shows(200, &lines[..3]).contains(OFFER));
    viewer.form("/example", "").await.shows(403, &["You may not"]);
}

#[tokio::test]
async fn the_example_is_not_loaded_among_somebodys_work() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let admin = browser(&app, Role::Admin).await.of(with_demo(&app, folder.path()));
    let ada = app.member(Role::Contributor).await;
    // The demo's own model and runs are in nobody's way.
    let own = ada.experiment("cell-screening").await;
    ada.run(&own).await;
    ada.model("cell-screening").await;
    admin.get("").await.shows(200, &[OFFER]);

    let run = ada.run("0").await;
    assert!(!admin.get("").await.text().contains(OFFER));
    admin.form("/example", "").await.shows(409, &["holds runs or models of your own"]);
    ada.ml("runs/delete", serde_json::json!({ "run_id": run })).await.ok();
    admin.get("").await.shows(200, &[OFFER]);

    ada.model("churn").await;
    assert!(!admin.get("").await.text().contains(OFFER));
    admin.form("/example", "").await.shows(409, &["holds runs or models of your own"]);
}

#[tokio::test]
async fn an_example_that_fails_says_why_and_is_offered_again() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    // Nothing can be put below a file.
    let data_dir = folder.path().join("file");
    std::fs::write(&data_dir, "").unwrap();
    let service = with_demo(&app, &data_dir);
    let admin = browser(&app, Role::Admin).await.of(service.clone());
    let viewer = browser(&app, Role::Viewer).await.of(service);

    assert_eq!(admin.form("/example", "").await.leads_to(), "/w/default");
    let deadline = Instant::now() + PATIENCE;
    let html = loop {
        let html = admin.get("").await.text();
        if html.contains("Stopped") {
            break html;
        }
        assert!(Instant::now() < deadline, "the example does not end: {html}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(html.contains("Expected a Python environment for the training, and saw") && html.contains(OFFER), "{html}");
    assert!(!html.contains("http-equiv=\"refresh\""), "{html}");
    let theirs = viewer.get("").await.shows(200, &["Stopped", "an administrator is told why"]);
    assert!(!theirs.contains("Expected a Python"), "{theirs}");
}
