//! Settings.

use super::{browser, fields};
use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn whoever_makes_a_workspace_administers_it() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    viewer.get("/settings/workspaces").await.shows(200, &["Make a workspace", "/w/default"]);
    let refused = viewer.form("/settings/workspaces", &fields(&[("name", "Fraud lab"), ("slug", "Fraud lab")])).await;
    refused.shows(400, &["lower-case letters, digits and hyphens, and starts with a letter", "Fraud lab"]);
    let made = viewer.form("/settings/workspaces", &fields(&[("name", "Fraud lab"), ("slug", "fraud-lab")])).await;
    assert_eq!(made.leads_to(), "/w/fraud-lab");
    let taken = viewer.form("/settings/workspaces", &fields(&[("name", "Another"), ("slug", "fraud-lab")])).await;
    taken.shows(409, &["There is a workspace at /w/fraud-lab already."]);

    let inside = viewer.clone().in_workspace("fraud-lab");
    inside.get("/settings/workspaces").await.shows(200, &["Fraud lab", "/w/fraud-lab", "Admin"]);
    inside.get("/settings/members").await.shows(200, &["Add somebody"]);
    inside.get("/audit").await.shows(200, &["created the workspace"]);
    let stranger = browser(&app, Role::Admin).await.in_workspace("fraud-lab");
    stranger.get("/settings/members").await.shows(404, &["or you are not a member of it"]);
}
