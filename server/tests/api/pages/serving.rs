//! What serves, what is watched of it, and what happens when it drifts.

use super::{browser, fields, pipeline, value};
use crate::app::TestApp;
use chrono::{TimeDelta, Utc};
use domain::{
    Digest,
    deployment::{Deployment, DeploymentState, Prediction},
    drift::{Bins, FeatureDrift, Method, Verdict},
    environment::Sight,
    id::{DeploymentId, ModelId, ModelVersionId, PredictionId},
    monitor::{Check, CheckState},
    permission::Role,
};
use serde_json::json;

const ENDPOINT: &str = "/environments/production/models/wine";

/// Production serves wine v2, before it v1; it drifted, and an alert is open.
pub(crate) async fn serving(app: &TestApp) {
    let mut conn = app.database.pool.acquire().await.unwrap();
    let workspace = app.workspace.id;
    let environment =
        store::environment::by_name(&mut conn, &Sight::all(workspace), "production").await.unwrap().unwrap();
    let model = ModelId::new();
    sqlx::query("insert into models (id, workspace_id, name) values ($1, $2, 'wine')")
        .bind(model.0)
        .bind(workspace.0)
        .execute(&mut *conn)
        .await
        .unwrap();
    let mut live = DeploymentId::new();
    for number in 1..=2 {
        let version = ModelVersionId::new();
        sqlx::query("insert into model_versions (id, model_id, version, source) values ($1, $2, $3, 'runs:/x/model')")
            .bind(version.0)
            .bind(model.0)
            .bind(number)
            .execute(&mut *conn)
            .await
            .unwrap();
        if number == 2 {
            let (from, to) = (DeploymentState::Live, DeploymentState::Retired);
            assert!(store::deployment::set_state(&mut conn, live, from, to, "").await.unwrap());
        }
        live = DeploymentId::new();
        let deployment = Deployment {
            id: live,
            workspace_id: workspace,
            number: number.into(),
            environment_id: environment.id,
            environment: environment.name.clone(),
            model_id: model,
            model: "wine".to_owned(),
            model_version_id: version,
            version: number,
            digest: Digest::blake3([7; 32]),
            promotion_id: None,
            promotion_number: None,
            rollback_of: None,
            state: DeploymentState::Deploying,
            state_reason: String::new(),
            created_by: "Risk approver".to_owned(),
            created_at: Utc::now(),
            live_at: None,
            retired_at: None,
        };
        store::deployment::insert(&mut conn, &deployment).await.unwrap();
        let (from, to) = (DeploymentState::Deploying, DeploymentState::Live);
        assert!(store::deployment::set_state(&mut conn, live, from, to, "").await.unwrap());
    }
    let answered = |status| Prediction {
        id: PredictionId::new(),
        request_id: None,
        deployment_id: live,
        version: 2,
        at: Utc::now() - TimeDelta::minutes(1),
        status,
        latency_us: 2400,
        rows: 1,
        features: if status == 200 { json!({ "alcohol": [9.4], "pH": [3.5] }) } else { json!({}) },
        output: if status == 200 { json!({ "label": [6] }) } else { json!({}) },
    };
    store::prediction::insert(&mut conn, &[answered(200), answered(200), answered(400)]).await.unwrap();

    store::monitor::ensure(&mut conn, workspace, environment.id, model).await.unwrap();
    let monitor = store::monitor::find(&mut conn, &Sight::all(workspace), "production", "wine").await.unwrap().unwrap();
    let feature = FeatureDrift {
        feature: "alcohol".to_owned(),
        verdict: Verdict::Scored { method: Method::KolmogorovSmirnov, score: 1e-9, threshold: 0.05, drifted: true },
        reference_rows: 400,
        reference_nulls: 0,
        current_rows: 60,
        current_nulls: 0,
        bins: Some(Bins::Ranges { edges: vec![8.0, 9.0, 10.0], reference: vec![0.9, 0.1], current: vec![0.1, 0.9] }),
    };
    let check = Check {
        at: Utc::now(),
        deployment_id: live,
        version: 2,
        state: CheckState::Drifted,
        reason: "1 of 1 features drifted".to_owned(),
        rows: 60,
        share: Some(1.0),
        features: vec![feature],
    };
    let found = store::monitor::insert_check(&mut conn, monitor.id, &check).await.unwrap();
    store::alert::open(&mut conn, &monitor, live, 1, found, &check.reason).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_serves_is_told_with_its_traffic_drift_and_the_way_back() {
    let app = TestApp::start().await;
    serving(&app).await;
    let operator = browser(&app, Role::Operator).await;
    operator.get("/deployments").await.shows(200, &["1 model, 2 environments", "33 %", "100 %", "#2"]);
    operator.get("/deployments?state=retired").await.shows(200, &["#1", "v1"]);
    operator.get("/deployments/1").await.shows(200, &["wine v1 → production", "Retired"]);
    operator.get("/environments").await.shows(200, &["wine"]);
    operator.get(ENDPOINT).await.shows(
        200,
        &[
            "Roll back wine in production from v2 to v1?",
            "Live, alert #1",
            "1 of 3 requests",
            "p &lt; 0.0001",
            "alcohol 9.4, pH 3.5",
            "curl http://slipway.test/w/default/v2/models/wine",
        ],
    );
    let html = browser(&app, Role::Viewer).await.get(ENDPOINT).await.shows(200, &["Live, alert #1"]);
    assert!(!html.contains("Roll back"), "{html}");
}

#[tokio::test]
async fn a_monitor_is_changed_and_a_wrong_number_is_kept() {
    let app = TestApp::start().await;
    serving(&app).await;
    let operator = browser(&app, Role::Operator).await;
    let path = format!("{ENDPOINT}/monitor");
    let wrong = fields(&[("window_rows", "100"), ("min_rows", "5000"), ("enabled", "on")]);
    operator.form(&path, &wrong).await.shows(400, &["more than the window holds", "value=\"5000\""]);
    operator.form(&path, &fields(&[("window_rows", "many"), ("min_rows", "50")])).await.shows(400, &["whole number"]);
    let right = fields(&[("window_rows", "200"), ("min_rows", "50")]);
    assert_eq!(operator.form(&path, &right).await.leads_to(), format!("/w/default{path}"));
    operator.get(&path).await.shows(200, &["Saved. The monitor is off.", "value=\"200\"", "changed the monitor of"]);
    browser(&app, Role::Viewer).await.get(&path).await.shows(200, &["50 to 200"]);

    // Somebody else was faster: nothing is overwritten, and what was typed stays.
    let seen = value(&operator.get(&path).await.text(), "instead_of");
    let form = |rows: &str, seen: &str| fields(&[("window_rows", rows), ("min_rows", "60"), ("instead_of", seen)]);
    operator.form(&path, &form("300", &seen)).await.leads_to();
    let stale = operator.form(&path, &form("400", &seen)).await;
    let html = stale.shows(409, &["Somebody changed this monitor since you opened the page.", "value=\"400\""]);
    operator.form(&path, &form("400", &value(&html, "instead_of"))).await.leads_to();
    operator.get(&path).await.shows(200, &["value=\"400\""]);
}

#[tokio::test]
async fn a_trigger_is_set_refused_and_turned_off() {
    let app = TestApp::start().await;
    serving(&app).await;
    let contributor = browser(&app, Role::Contributor).await;
    contributor.form("/pipelines/new", &fields(&[("source", pipeline::FILE)])).await.leads_to();
    let operator = browser(&app, Role::Operator).await;
    let path = format!("{ENDPOINT}/monitor/triggers");
    let set = |params| fields(&[("pipeline", "wine"), ("params", params), ("cool_down", "60"), ("enabled", "on")]);
    operator.form(&path, &set("rounds 3")).await.shows(400, &["Write each param as name=value", "rounds 3"]);
    operator.form(&path, &set("rounds=many")).await.shows(400, &["must be a number", "rounds=many"]);
    operator.form(&path, &set("rounds=30")).await.leads_to();
    operator.get(&format!("{ENDPOINT}/monitor")).await.shows(200, &["once in 1 h", "rounds=30", "Turn off"]);
    operator.get("/pipelines/wine").await.shows(200, &["Alerts of wine in production"]);

    let off = fields(&[("pipeline", "wine"), ("params", "rounds=30"), ("cool_down_s", "3600")]);
    operator.form(&path, &off).await.leads_to();
    operator.get(&format!("{ENDPOINT}/monitor")).await.shows(200, &["Turn on", "once in 1 h"]);
}

#[tokio::test]
async fn an_alert_shows_the_check_that_found_it_last() {
    let app = TestApp::start().await;
    serving(&app).await;
    let mut conn = app.database.pool.acquire().await.unwrap();
    let monitor =
        store::monitor::find(&mut conn, &Sight::all(app.workspace.id), "production", "wine").await.unwrap().unwrap();
    let mut check = store::monitor::checks(&mut conn, monitor.id, None, 1).await.unwrap().remove(0).1;
    check.at = Utc::now();
    check.features[0].feature = "sulphates".to_owned();
    // Made right after the first, before the alert notes that it is there still.
    let later = store::monitor::insert_check(&mut conn, monitor.id, &check).await.unwrap();
    let operator = browser(&app, Role::Operator).await;
    let html = operator.get("/alerts/1").await.shows(200, &["alcohol"]);
    assert!(!html.contains("sulphates"), "{html}");

    let (alert, _) = store::alert::unresolved(&mut conn, monitor.id).await.unwrap().unwrap();
    store::alert::seen(&mut conn, alert, later, "1 of 1 features drifted").await.unwrap();
    let html = operator.get("/alerts/1").await.shows(200, &["sulphates"]);
    assert!(!html.contains("alcohol"), "{html}");
}

#[tokio::test]
async fn an_alert_is_acknowledged_then_resolved() {
    let app = TestApp::start().await;
    serving(&app).await;
    let operator = browser(&app, Role::Operator).await;
    operator.get("/alerts").await.shows(200, &["1 of 1 features drifted", "1 not resolved"]);
    operator.get("/alerts/1").await.shows(200, &["Acknowledge", "Set a trigger", "p &lt; 0.0001"]);
    assert_eq!(operator.form("/alerts/1/acknowledge", "").await.leads_to(), "/w/default/alerts/1");
    let name = operator.user().name.clone();
    operator.get("/alerts/1").await.shows(200, &["You look at it.", &format!("Acknowledged by {name}")]);
    operator.form("/alerts/1/resolve", "").await.leads_to();
    let html = operator.get("/alerts/1").await.shows(200, &["The alert is resolved."]);
    assert!(!html.contains("/alerts/1/resolve"), "{html}");
    operator.get("/alerts").await.shows(200, &["None is open"]);
    operator.form("/alerts/1/acknowledge", "").await.shows(409, &["Somebody was faster"]);
}

#[tokio::test]
async fn a_refused_rollback_shows_the_form_again_with_what_was_typed() {
    let app = TestApp::start().await;
    serving(&app).await;
    let operator = browser(&app, Role::Operator).await;
    let path = format!("{ENDPOINT}/rollback");
    let stale = fields(&[("deployment", "1"), ("comment", "Refuses <every> third.")]);
    let html = operator.form(&path, &stale).await.shows(
        409,
        &[
            "Deployment #1 does not serve \"wine\" in production; #2 does, with v2. Look again before you roll back.",
            "Refuses &lt;every> third.",
            "v2 serves now, as deployment #2. v1 was live before it.",
            "Live, alert #1",
        ],
    );
    assert_eq!(value(&html, "deployment"), "2", "the form is about what serves now");
    for missing in [fields(&[("comment", "Why not.")]), fields(&[("deployment", "x"), ("comment", "Why not.")])] {
        let texts = ["The form does not say which deployment you looked at.", "Why not."];
        operator.form(&path, &missing).await.shows(400, &texts);
    }
    operator.get("/deployments/2").await.shows(200, &["Live"]);
    operator.form("/environments/production/models/beer/rollback", &stale).await.shows(404, &["There is nothing here"]);
}
