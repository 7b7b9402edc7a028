//! Signing in by cookie and by token.

use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn a_session_and_both_forms_of_a_token_are_the_same_person() {
    let app = TestApp::start().await;
    let client = app.member(Role::Viewer).await;
    let browser = app.browser(client.user()).await;
    for somebody in [client.clone(), client.clone().with_basic(), browser] {
        let me = somebody.get("/api/v1/user").await.ok();
        assert_eq!(me["user"]["email"], client.user().email.as_str());
    }
    app.anonymous().get("/api/v1/user").await.refused(401);
}
