//! Settings.

use super::{browser, fields};
use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn roles_are_changed_only_from_those_that_were_seen() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let member = app.member(Role::Viewer).await.user().id;
    let path = format!("/settings/members/{member}");
    let form = |seen: &str, roles: &[&str]| {
        let roles = roles.iter().map(|role| ("roles", *role));
        fields(&[("do", "roles"), ("instead_of", seen)].into_iter().chain(roles).collect::<Vec<_>>())
    };
    assert!(admin.get("/settings/members").await.text().contains("name=\"instead_of\" value=\"viewer\""));
    admin.form(&path, &form("viewer", &["viewer", "approver"])).await.leads_to();
    let stale = admin.form(&path, &form("viewer", &["contributor"])).await;
    stale.shows(
        409,
        &[
            "since you opened the page: viewer, approver now.",
            "<details open class=\"more\">",
            "name=\"instead_of\" value=\"viewer,approver\"",
        ],
    );
    let nothing = admin.form(&path, &form("viewer,approver", &[])).await;
    nothing.shows(400, &["Choose at least one role.", "Add somebody"]);
    // What it is already needs no question.
    admin.form(&path, &form("viewer", &["viewer", "approver"])).await.leads_to();
    admin.form(&path, &form("viewer,approver", &["contributor"])).await.leads_to();
}

#[tokio::test]
async fn whoever_makes_a_workspace_administers_it() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/settings/workspaces").await.shows(200, &["/w/default"]);
    assert!(!html.contains("Make workspace"), "{html}");
    // Whoever administers a workspace may have commands run there.
    viewer
        .form("/settings/workspaces", &fields(&[("name", "Lab"), ("slug", "lab")]))
        .await
        .shows(403, &["the role admin"]);

    let admin = browser(&app, Role::Admin).await;
    admin.get("/settings/workspaces").await.shows(200, &["Make a workspace", "/w/default"]);
    let refused = admin.form("/settings/workspaces", &fields(&[("name", "Fraud lab"), ("slug", "Fraud lab")])).await;
    refused.shows(400, &["lower-case letters, digits and hyphens, and starts with a letter", "Fraud lab"]);
    let made = admin.form("/settings/workspaces", &fields(&[("name", "Fraud lab"), ("slug", "fraud-lab")])).await;
    assert_eq!(made.leads_to(), "/w/fraud-lab");
    let taken = admin.form("/settings/workspaces", &fields(&[("name", "Another"), ("slug", "fraud-lab")])).await;
    taken.shows(409, &["There is a workspace at /w/fraud-lab already."]);

    let inside = admin.clone().in_workspace("fraud-lab");
    inside.get("/settings/workspaces").await.shows(200, &["Fraud lab", "/w/fraud-lab", "Admin"]);
    inside.get("/settings/members").await.shows(200, &["Add somebody"]);
    inside.get("/audit").await.shows(200, &["created the workspace"]);
    assert_eq!(inside.get("/settings").await.leads_to(), "/w/fraud-lab/settings/members");
    let stranger = browser(&app, Role::Admin).await.in_workspace("fraud-lab");
    stranger.get("/settings/members").await.shows(404, &["or you are not a member of it"]);
}

#[tokio::test]
async fn a_webhook_is_added_tried_changed_and_deleted_by_forms() {
    let app = TestApp::with_private_webhooks().await;
    let viewer = browser(&app, Role::Viewer).await;
    viewer.get("/settings/webhooks").await.shows(200, &["Administrators see the webhooks"]);
    let admin = browser(&app, Role::Admin).await;
    admin.get("/settings/webhooks").await.shows(200, &["Nobody is told yet", "Add a webhook"]);
    let (url, _, _serving) = crate::webhook::receiver(200, None).await;
    let form = |name: &str, more: &[(&str, &str)]| {
        let pairs = [("name", name), ("url", &url), ("events", "model_version.created"), ("secret", "hush-hush")];
        fields(&pairs.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let refused = admin.form("/settings/webhooks", &form("CI", &[])).await;
    let html = refused.shows(400, &["Webhook name 'CI' is invalid", &url, "value=\"model_version.created\" checked"]);
    assert!(!html.contains("hush-hush"), "a secret is not sent back");
    let made = admin.form("/settings/webhooks", &form("ci", &[("events", "prompt.created")])).await;
    let page = made.leads_to().trim_start_matches("/w/default").to_owned();
    let html =
        admin.get(&page).await.shows(200, &["Nothing was sent yet", "with its secret", "ci is told from now on."]);
    assert!(!html.contains("hush-hush"));
    admin.get("/settings/webhooks").await.shows(200, &["and 1 more", "never", "Active"]);

    admin.form(&page, &fields(&[("do", "test"), ("event", "prompt.created")])).await.leads_to();
    admin.get(&page).await.shows(200, &["The example was delivered: the receiver answered 200."]);
    admin.form(&page, &fields(&[("do", "test"), ("event", "nothing")])).await.shows(400, &["is not one of"]);

    let ada = app.member(Role::Contributor).await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    admin.get(&page).await.shows(200, &["<code>model_version.created</code>", "Waits", "0 of 8"]);
    admin.form(&page, &fields(&[("do", "disable")])).await.leads_to();
    admin.get(&page).await.shows(200, &["Disabled", "Enable", "Dropped", "The webhook was disabled."]);
    admin.form(&page, &form("CD", &[("do", "save")])).await.shows(400, &["Webhook name 'CD' is invalid"]);
    admin.form(&page, &form("cd", &[("do", "save"), ("unsigned", "on")])).await.leads_to();
    admin.get(&page).await.shows(200, &["no: it has no secret", "The webhook is changed."]);
    assert_eq!(admin.form(&page, &fields(&[("do", "delete")])).await.leads_to(), "/w/default/settings/webhooks");
    admin.get("/settings/webhooks").await.shows(200, &["cd is deleted.", "Nobody is told yet"]);
    admin.get(&page).await.shows(404, &[]);
}

#[tokio::test]
async fn a_secret_is_set_and_deleted_by_forms_and_its_value_is_not_sent_back() {
    let app = TestApp::start().await;
    let (admin, viewer) = (browser(&app, Role::Admin).await, browser(&app, Role::Viewer).await);
    admin.get("/settings/secrets").await.shows(200, &["No secret yet", "slipway secret set HF_TOKEN"]);
    let set = |name, value| fields(&[("name", name), ("secret", value)]);
    admin.form("/settings/secrets", &set("HF_TOKEN", "hush\r\nhush")).await.leads_to();
    let html = viewer.get("/settings/secrets").await.shows(200, &["HF_TOKEN", "v1", "never"]);
    assert!(!html.contains("hush") && !html.contains("Set a secret"), "{html}");
    let refused = admin.form("/settings/secrets", &set("no-name", "hush-hush")).await;
    let html = refused.shows(400, &["is no name of a secret", "value=\"no-name\""]);
    assert!(!html.contains("hush"), "{html}");
    admin.form("/settings/secrets", &set("HF_TOKEN", "abc")).await.shows(400, &["at least 4 characters"]);
    admin.form("/settings/secrets/HF_TOKEN", "do=delete").await.leads_to();
    admin.get("/settings/secrets").await.shows(200, &["No secret yet"]);
    assert_eq!(admin.form("/settings/secrets/HF_TOKEN", "do=delete").await.status, 404);
    viewer.form("/settings/secrets", &set("HF_TOKEN", "hush-hush")).await.shows(403, &["manage secrets"]);
}
