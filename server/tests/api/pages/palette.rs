//! Finding objects by name without scripts.

use super::browser;
use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn the_palettes_form_leads_to_a_page_of_what_was_found() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    ada.model("wine & cheese").await;
    let viewer = browser(&app, Role::Viewer).await;
    let home = viewer.get("").await.shows(200, &["action=\"/w/default/search\""]);
    assert!(home.contains("name=\"q\""), "{home}");
    viewer.get("/search").await.shows(200, &["Search by name"]);
    let found = viewer.get("/search?q=WINE").await;
    found.shows(
        200,
        &["wine &amp; cheese", "href=\"/w/default/models/wine%20%26%20cheese\"", "value=\"WINE\"", "1 name"],
    );
    viewer.get("/search?q=beer").await.shows(200, &["Nothing is called “beer” here"]);
}
