//! Addresses that cannot be read, and methods that an address does not take.

use super::browser;
use crate::app::TestApp;
use axum::{body::Body, http::Method};
use domain::permission::Role;

#[tokio::test]
async fn an_address_that_cannot_be_read_is_told_as_a_page() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    viewer.get("/pipelines/%ff").await.shows(404, &["There is nothing here", "aria-label=\"Workspace\""]);
    viewer.get("/sign-in?next=a&next=b").await.shows(400, &["This request makes no sense", "aria-label=\"Workspace\""]);
    app.anonymous().get("/setup?link=a&link=b").await.shows(400, &["This request makes no sense"]);
    app.anonymous().get("/api/docs/%ff").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_told_in_the_same_frame() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    let refused = viewer.get("/sign-out").await;
    refused.shows(405, &["/sign-out does not take GET.", "aria-label=\"Workspace\""]);
    assert_eq!(refused.header("allow"), "POST");
    viewer.form("/nowhere", "").await.shows(404, &["Nothing is at /nowhere.", "aria-label=\"Workspace\""]);

    let request = |path| viewer.request(Method::PATCH, path).body(Body::empty()).unwrap();
    let problem = viewer.send(request("/api/v1/search")).await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.refused(405)["detail"], "/api/v1/search does not take PATCH.");
    viewer.send(request("/v2/models/wine")).await.refused(405)["error"].as_str().unwrap();
}
