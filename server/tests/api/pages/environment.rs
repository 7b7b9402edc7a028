//! A policy is changed in a form whose rows come and go by buttons.

use super::{browser, fields, value};
use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn rows_come_and_go_before_anything_is_saved() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let html = admin.get("/environments/staging/policy").await.shows(200, &["1. The model answers its golden rows"]);
    let seen = value(&html, "instead_of");
    let form = |button| {
        fields(&[
            ("do", button),
            ("instead_of", &seen),
            ("gates/0/kind", "golden_row"),
            ("gates/0/number", "0.01"),
            ("rule/approvals", "2"),
        ])
    };
    let added = admin.form("/environments/staging/policy", &form("add:metric_threshold")).await;
    added.shows(200, &["2. A metric reaches a threshold", "value=\"0.01\"", "Revision 1 is in force"]);
    let removed = admin.form("/environments/staging/policy", &form("remove:0")).await;
    removed.shows(200, &["No gate runs: only people decide.", "value=\"2\""]);
    admin.get("/environments/staging").await.shows(200, &["Nobody is asked"]);
}

#[tokio::test]
async fn a_saved_policy_is_a_revision_and_a_wrong_one_is_kept() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let seen = value(&admin.get("/environments/production/policy").await.text(), "instead_of");
    let form = |threshold| {
        fields(&[
            ("do", "save"),
            ("instead_of", &seen),
            ("gates/0/kind", "metric_threshold"),
            ("gates/0/metric", "f1"),
            ("gates/0/better", "higher"),
            ("gates/0/number", threshold),
            ("rule/approvals", "2"),
        ])
    };
    let wrong = admin.form("/environments/production/policy", &form("much")).await;
    wrong.shows(400, &["Give a number, such as 0.7.", "value=\"much\"", "value=\"f1\""]);

    let saved = admin.form("/environments/production/policy", &form("0.8")).await;
    assert_eq!(saved.leads_to(), "/w/default/environments/production");
    let policy = ["Revision 2 is in force.", "f1 at least 0.8", "2 different approvers", "accuracy at least 0.7"];
    admin.get("/environments/production").await.shows(200, &policy);
    admin.get("/environments/production").await.shows(200, &["changed the policy of"]);

    // Somebody who looked at the first revision does not undo the second.
    let stale = admin.form("/environments/production/policy", &form("0.1")).await;
    stale.shows(409, &["value=\"0.1\"", "Revision 2 is in force"]);
}
