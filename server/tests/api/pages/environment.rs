//! The board of an environment: what is live, on its way, and when nothing may come.

use super::{browser, fields};
use crate::{app::TestApp, promotion::start};
use domain::permission::Role;

#[tokio::test]
async fn the_board_tells_what_is_live_and_what_is_on_its_way() {
    let (app, people) = start(1).await;
    let contributor = app.browser(people.contributor.user()).await.in_workspace("default");
    contributor.get("/environments/production").await.shows(
        200,
        &[
            "What is live",
            "Nothing yet.",
            "On its way",
            "Windows ahead",
            "No freeze is in sight",
            "/policies/production",
        ],
    );
    let asked = fields(&[("subject", "wine/1"), ("environment", "production"), ("comment", ""), ("do", "request")]);
    contributor.form("/promotions", &asked).await.leads_to();
    contributor.get("/environments/production").await.shows(200, &["wine v1", "Gates running", "/promotions/1"]);
    let staging = contributor.get("/environments/staging").await.text();
    assert!(!staging.contains("/promotions/1"), "{staging}");
}

#[tokio::test]
async fn what_holds_in_an_environment_links_to_its_policies() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    admin.get("/environments").await.shows(200, &["/w/default/policies/staging", "/w/default/policies/production"]);
    admin.get("/environments/production/policy").await.shows(404, &[]);
}
