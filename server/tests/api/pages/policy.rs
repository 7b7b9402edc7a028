//! Policies are written as files: what is wrong is told at its line, and nobody undoes what they have not seen.

use super::{browser, fields, value};
use crate::app::TestApp;
use domain::permission::Role;

const EDIT: &str = "/policies/production/edit";

fn file(threshold: &str) -> String {
    format!(
        "# what production needs\nscope: {{environments: [production]}}\ngates:\n  - kind: metric_threshold\n    \
         metric: f1\n    threshold: {threshold}\nrule: {{approvals: 2}}\n"
    )
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_told_at_its_line_and_the_file_is_kept() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let seen = value(&admin.get(EDIT).await.shows(200, &["accuracy"]), "instead_of");
    let form = |source: &str| fields(&[("do", "save"), ("instead_of", &seen), ("source", source)]);

    let sideways = format!("{}order: sideways\n", file("0.8"));
    let wrong = admin.form(EDIT, &form(&sideways)).await;
    wrong.shows(400, &["Nothing was changed", "Line 8, column 8", "# what production needs", "order: sideways"]);
    let much = admin.form(EDIT, &form(&file("much"))).await;
    much.shows(400, &["Nothing was changed", "threshold: much"]);
    let empty = admin.form(EDIT, &form("- a\n- b\n")).await;
    empty.shows(400, &["A policy is a mapping", "Line 1, column 1"]);
    let nowhere = file("0.8").replace("[production]", "[moon]");
    admin.form(EDIT, &form(&nowhere)).await.shows(400, &["There is no environment", "moon"]);
    admin.get("/policies/production").await.shows(200, &["Revision 1 of 1"]);
}

#[tokio::test]
async fn a_saved_file_is_a_revision_and_a_stale_one_undoes_nothing() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let seen = value(&admin.get(EDIT).await.text(), "instead_of");
    let form = |source: &str, seen: &str| fields(&[("do", "save"), ("instead_of", seen), ("source", source)]);
    let saved = admin.form(EDIT, &form(&file("0.8"), &seen)).await;
    assert_eq!(saved.leads_to(), "/w/default/policies/production");
    let told =
        ["Revision 2 of production is in force.", "# what production needs", "f1 at least 0.8", "2 of role approver"];
    admin.get("/policies/production").await.shows(200, &told);
    admin.get("/policies/production").await.shows(200, &["What it changed", "Revision 2</a>", "Revision 1</a>"]);
    admin.get("/policies/production?revision=1").await.shows(200, &["Former revision", "accuracy at least 0.7"]);
    admin.get("/policies/production?revision=9").await.shows(404, &[]);
    admin.get("/environments/production").await.shows(200, &["f1 at least 0.8", "/policies/production"]);

    // Somebody who looked at the first revision does not undo the second; what they typed is there still.
    let stale = admin.form(EDIT, &form(&file("0.1"), &seen)).await;
    let html = stale.shows(409, &["Somebody else changed the policy production meanwhile", "threshold: 0.1"]);
    let now = value(&html, "instead_of");
    assert_ne!(now, seen);
    assert_eq!(admin.form(EDIT, &form(&file("0.1"), &now)).await.leads_to(), "/w/default/policies/production");
    admin.form(EDIT, &form(&file("0.2"), "")).await.shows(400, &["open the page again"]);
}

#[tokio::test]
async fn a_new_policy_is_simulated_written_and_retired() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    admin.get("/policies/new").await.shows(200, &["kind: golden_row", "name=\"name\""]);
    let form = |go: &str, name: &str| fields(&[("do", go), ("name", name), ("source", &file("0.9"))]);
    admin
        .form("/policies/new", &form("simulate", "high-risk"))
        .await
        .shows(200, &["Simulated", "No past promotion is one that it would hold for.", "threshold: 0.9"]);
    admin.get("/policies/high-risk").await.shows(404, &[]);
    admin.form("/policies/new", &form("save", "a b")).await.shows(400, &["A policy's name has", "threshold: 0.9"]);
    admin
        .form("/policies/new", &form("save", "production"))
        .await
        .shows(409, &["There is a policy production already"]);
    let made = admin.form("/policies/new", &form("save", "high-risk")).await;
    assert_eq!(made.leads_to(), "/w/default/policies/high-risk");
    admin.get("/policies").await.shows(200, &["high-risk", "staging", "production"]);
    admin.get("/environments/production").await.shows(200, &["high-risk"]);

    let html = admin.get("/policies/high-risk").await.shows(200, &["Retire high-risk?"]);
    let seen = value(&html, "instead_of");
    let retired = admin.form("/policies/high-risk/retire", &fields(&[("instead_of", &seen)])).await;
    assert_eq!(retired.leads_to(), "/w/default/policies/high-risk");
    admin.get("/policies/high-risk").await.shows(200, &["Retired", "Write it anew"]);
    let list = admin.get("/policies").await.text();
    assert!(!list.contains("high-risk"), "{list}");
    admin.get("/policies?retired=1").await.shows(200, &["high-risk"]);
}

#[tokio::test]
async fn who_may_not_write_policies_reads_them() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/policies/production").await.shows(200, &["What it asks for", "In force"]);
    assert!(!html.contains("/edit") && !html.contains("/retire"), "{html}");
    viewer.get(EDIT).await.shows(403, &[]);
    viewer.form("/policies/production/retire", &fields(&[("instead_of", "x")])).await.shows(403, &[]);
    viewer.get("/policies/none").await.shows(404, &[]);
}
