//! Tokens that make tokens, and who may not have any.

use crate::app::TestApp;
use domain::permission::{Role, Scope};
use serde_json::json;

const TOKENS: &str = "/api/v1/tokens";

#[tokio::test]
async fn a_person_makes_tokens_in_a_session_and_with_a_token_of_scope_admin_alone() {
    let app = TestApp::start().await;
    let viewer = app.member_with([Role::Viewer], Scope::Admin).await;
    let new = || json!({ "name": "more", "scope": "read" });
    viewer.post(TOKENS, new()).await.ok();
    app.browser(viewer.user()).await.post(TOKENS, new()).await.ok();
    for scope in [Scope::Read, Scope::Write] {
        let refused = app.client(viewer.user(), scope).await.post(TOKENS, new()).await.refused(403);
        assert_eq!(refused["detail"], "This token may not make tokens: it needs the scope \"admin\".");
    }
}

#[tokio::test]
async fn no_token_makes_one_that_outlives_it() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let own = admin.get(TOKENS).await.ok()["items"][0]["expires_at"].clone();

    let unsaid = admin.post(TOKENS, json!({ "name": "unsaid", "scope": "write" })).await.ok();
    assert_eq!(unsaid["expires_at"], own);
    let shorter = admin.post(TOKENS, json!({ "name": "shorter", "scope": "admin", "days": 1 })).await.ok();
    assert!(shorter["expires_at"].as_str() < own.as_str());
    let refused = admin.post(TOKENS, json!({ "name": "longer", "scope": "write", "days": 366 })).await.refused(403);
    assert_eq!(refused["field"], "days");

    let session = app.browser(admin.user()).await;
    let longer = session.post(TOKENS, json!({ "name": "longer", "scope": "write", "days": 366 })).await.ok();
    assert!(longer["expires_at"].as_str() > own.as_str());
}

#[tokio::test]
async fn a_service_account_makes_no_token_and_sees_and_ends_none_of_its_siblings() {
    let app = TestApp::start().await;
    let account = app.service_account().await;
    app.join(&account, &app.workspace, [Role::Admin]).await;
    let (one, sibling) = (app.client(&account, Scope::Admin).await, app.client(&account, Scope::Write).await);
    let id: uuid::Uuid = sqlx::query_scalar("select id from tokens where user_id = $1 order by id desc limit 1")
        .bind(account.id.0)
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    for refused in [
        one.post(TOKENS, json!({ "name": "more", "scope": "read" })).await,
        one.get(TOKENS).await,
        one.delete(&format!("{TOKENS}/{id}")).await,
    ] {
        assert!(refused.refused(403)["detail"].as_str().unwrap().starts_with("A service account"), "{refused:?}");
    }
    sibling.get("/api/v1/user").await.ok();
}
