//! Schedules and the limit of a pipeline's runs, by forms.

use super::{browser, fields};
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

const FILE: &str = "name: wine\nparams: { rounds: 20, day: '' }\nsteps:\n  only:\n    command: 'true'\n";

#[tokio::test]
async fn a_schedule_is_made_changed_paused_and_deleted_in_forms() {
    let app = TestApp::start().await;
    let api = app.member(Role::Contributor).await;
    api.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    let contributor = app.browser(api.user()).await.in_workspace("default");
    contributor.get("/schedules").await.shows(200, &["Nothing starts by the clock", "New schedule"]);
    let form = |params: &str, expression: &str| {
        fields(&[
            ("name", "nightly"),
            ("pipeline", "wine"),
            ("expression", expression),
            ("timezone", "Europe/Berlin"),
            ("params", params),
            ("param", "day"),
            ("param_format", "time"),
            ("catch_up", "all"),
            ("catch_up_limit", "3"),
            ("jitter_s", "0"),
            ("do", "change"),
        ])
    };
    let wrong = contributor.form("/schedules", &form("speed = 1", "0 3 * * *")).await;
    wrong.shows(400, &["has no param", "value=\"nightly\"", "speed = 1"]);
    contributor.form("/schedules", &form("rounds", "0 3 * * *")).await.shows(400, &["write it as name = value"]);
    let made = contributor.form("/schedules", &form("rounds = 500", "0 3 * * *")).await;
    assert_eq!(made.leads_to(), "/w/default/schedules/nightly");
    contributor.get("/schedules/nightly").await.shows(
        200,
        &[
            "nightly starts wine from now on.",
            "It has not fired yet",
            "03:00 Europe/Berlin",
            "Up to 3 missed fires",
            "rounds = 500",
            "The time is the param <code>day</code>",
        ],
    );
    contributor.get("/schedules?state=on&pipeline=wine").await.shows(200, &["/w/default/schedules/nightly"]);
    contributor.get("/schedules?state=paused").await.shows(200, &["No schedule fits"]);
    contributor.get("/pipelines/wine").await.shows(200, &["Schedule nightly"]);
    contributor.form("/schedules/nightly", &form("", "0 4 * * *")).await.leads_to();
    contributor.get("/schedules/nightly").await.shows(200, &["04:00 Europe/Berlin"]);
    contributor.form("/schedules/nightly", "do=pause").await.leads_to();
    contributor.get("/schedules/nightly").await.shows(200, &["It is paused."]);
    contributor.form("/schedules/nightly", "do=resume").await.leads_to();
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/schedules/nightly").await.shows(200, &["04:00 Europe/Berlin"]);
    assert!(!html.contains("Delete nightly?") && !html.contains("name=\"expression\""), "{html}");
    contributor.form("/schedules/nightly", "do=delete").await.leads_to();
    viewer.get("/schedules/nightly").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_limit_is_set_in_a_form_and_a_run_that_waits_says_so() {
    let app = TestApp::start().await;
    let api = app.member(Role::Contributor).await;
    api.put("/api/v1/pipelines", json!({ "source": FILE })).await.ok();
    let contributor = app.browser(api.user()).await.in_workspace("default");
    let set = |policy: &str, limit: &str| fields(&[("policy", policy), ("limit", limit)]);
    contributor.form("/pipelines/wine/settings", &set("queue", "0")).await.shows(400, &["From 1 to 1000"]);
    contributor.form("/pipelines/wine/settings", &set("queue", "1")).await.leads_to();
    for _ in 0..2 {
        contributor.form("/pipelines/wine/runs", "").await.leads_to();
    }
    contributor.get("/pipeline-runs/2").await.shows(200, &["Waits for its turn since"]);
    contributor.form("/pipeline-runs/2/cancel", "").await.leads_to();
    contributor.get("/pipeline-runs/2").await.shows(200, &["The run is cancelled."]);
    let again = fields(&[("key", "k"), ("from", "step:only"), ("params.rounds", "7")]);
    contributor.form("/pipeline-runs/2/rerun", &again).await.leads_to();
    contributor
        .get("/pipeline-runs/3")
        .await
        .shows(200, &["Again after ", "/w/default/pipeline-runs/2", "instead of 20"]);
    let wrong = fields(&[("key", "k"), ("from", "step:only"), ("params.rounds", "many")]);
    contributor.form("/pipeline-runs/2/rerun", &wrong).await.shows(400, &["must be a number", "value=\"many\""]);
    contributor.form("/pipelines/wine/settings", &set("", "")).await.leads_to();
    contributor.get("/pipelines/wine").await.shows(200, &["no limit"]);
}
