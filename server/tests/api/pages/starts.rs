//! Push hooks, triggers and backfills, by forms.

use super::{browser, fields};
use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::json;

async fn contributor(app: &TestApp) -> Client {
    let api = app.member(Role::Contributor).await;
    for name in ["prepare", "train"] {
        let source = format!("name: {name}\nparams: {{ day: '' }}\nsteps:\n  only:\n    command: 'true'\n");
        api.put("/api/v1/pipelines", json!({ "source": source })).await.ok();
    }
    app.browser(api.user()).await.in_workspace("default")
}

#[tokio::test]
async fn a_push_hook_is_made_its_secret_shown_once_changed_and_deleted() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let form = |mapping: &str, branches: &str| {
        fields(&[
            ("name", "main"),
            ("pipeline", "train"),
            ("forge", "github"),
            ("branches", branches),
            ("from_push", mapping),
            ("do", "change"),
        ])
    };
    contributor.form("/push-hooks", &form("day = moon", "")).await.shows(400, &["is not one of", "value=\"main\""]);
    let html = contributor
        .form("/push-hooks", &form("day = commit", "main"))
        .await
        .shows(200, &["Copy it now", "http://slipway.test/hooks/", "Nothing came yet", "Pushes at GitHub to main"]);
    assert!(html.contains("day = commit"), "{html}");
    let html = contributor.get("/push-hooks/main").await.shows(200, &["Nothing came yet"]);
    assert!(!html.contains("Copy it now"), "{html}");
    contributor.form("/push-hooks/main", &form("day = branch", "release-*")).await.leads_to();
    contributor.get("/push-hooks").await.shows(200, &["Pushes at GitHub to release-*"]);
    contributor.get("/pipelines/train").await.shows(200, &["Push hook main"]);
    contributor.form("/push-hooks/main", "do=secret").await.shows(200, &["Copy it now"]);
    contributor.form("/push-hooks/main", "do=off").await.leads_to();
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/push-hooks/main").await.shows(200, &["Off"]);
    assert!(!html.contains("Another secret"), "{html}");
    contributor.form("/push-hooks/main", "do=delete").await.leads_to();
    viewer.get("/push-hooks/main").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_trigger_is_made_in_a_form_that_refuses_loops_and_is_deleted() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let form = |source: &str, pipeline: &str| {
        fields(&[
            ("kind", "pipeline"),
            ("source", source),
            ("states", "succeeded"),
            ("states", "failed"),
            ("pipeline", pipeline),
            ("cool_down_s", "0"),
        ])
    };
    contributor.form("/triggers", &form("prepare", "train")).await.leads_to();
    contributor.form("/triggers", &form("train", "prepare")).await.shows(400, &["That is a loop"]);
    let html =
        contributor.get("/triggers").await.shows(200, &["Runs of prepare that have succeeded or failed", "Delete it"]);
    let id = html.split("delete-").nth(1).unwrap()[..36].to_owned();
    contributor.form(&format!("/triggers/{id}"), "do=delete").await.leads_to();
    let of_data =
        [("kind", "dataset"), ("dataset", "wine"), ("checked", "true"), ("pipeline", "train"), ("cool_down_s", "0")];
    contributor.form("/triggers", &fields(&of_data)).await.leads_to();
    let shown = "Versions of the data set wine that passed their checks";
    let html = contributor.get("/triggers").await.shows(200, &[shown, "Only versions that passed their checks"]);
    let id = html.split("delete-").nth(1).unwrap()[..36].to_owned();
    contributor.form(&format!("/triggers/{id}"), "do=delete").await.leads_to();
    contributor.get("/triggers").await.shows(200, &["Nothing starts because of something else"]);
}

#[tokio::test]
async fn a_backfill_is_made_in_a_form_shown_and_cancelled() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let form = |param: &str| {
        fields(&[
            ("pipeline", "train"),
            ("from", "2026-03-28T00:00"),
            ("to", "2026-03-30T12:00"),
            ("expression", "0 3 * * *"),
            ("timezone", "Europe/Berlin"),
            ("param", param),
            ("param_format", "date"),
            ("at_once", "2"),
        ])
    };
    contributor.form("/backfills", &form("date")).await.shows(400, &["It gets a date", "value=\"2026-03-28T00:00\""]);
    assert_eq!(contributor.form("/backfills", &form("day")).await.leads_to(), "/w/default/backfills/1");
    contributor.get("/backfills/1").await.shows(200, &["2026-03-29", "To come", "Cancel the backfill #1?"]);
    contributor.get("/backfills").await.shows(200, &["0 of 3"]);
    contributor.form("/backfills/1/cancel", "").await.leads_to();
    contributor.get("/backfills/1").await.shows(200, &["Cancelled", "The backfill is cancelled."]);
}
