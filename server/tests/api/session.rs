//! Signing in by cookie and by token.

use crate::app::{Answer, Client, PROXY, TestApp};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, header},
};
use domain::permission::Role;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

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

#[tokio::test]
async fn looking_at_pages_puts_off_the_end_of_a_session_but_not_with_every_page() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    let browser = app.browser(viewer.user()).await.in_workspace("default");
    let kept = async || -> bool {
        sqlx::query_scalar("select expires_at > now() + interval '13 days' from sessions")
            .fetch_one(&app.database.pool)
            .await
            .unwrap()
    };
    assert!(!kept().await, "the session was made for an hour");
    let first = browser.get("/settings/account").await;
    assert!(first.header("set-cookie").starts_with("slipway_session="), "{first:?}");
    assert!(kept().await);
    let again = browser.get("/settings/account").await;
    assert_eq!((again.status.as_u16(), again.header("set-cookie")), (200, ""));

    // As if a minute had gone by.
    sqlx::query(
        "update sessions
         set data = data || jsonb_build_object('seen', (data->>'seen')::bigint - 60),
             expires_at = now() + interval '1 hour'",
    )
    .execute(&app.database.pool)
    .await
    .unwrap();
    assert!(browser.get("/settings/account").await.header("set-cookie").starts_with("slipway_session="));
    assert!(kept().await);
}

#[tokio::test]
async fn what_a_change_has_to_tell_is_told_once() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    let browser = app.browser(viewer.user()).await.in_workspace("default");
    let token = browser.get("/api/v1/tokens").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    browser.form(&format!("/settings/tokens/{token}/revoke"), "").await;
    let told = "The token does not work any more.";
    assert!(browser.get("/settings/tokens").await.text().contains(told));
    assert!(!browser.get("/settings/tokens").await.text().contains(told));
}

#[tokio::test]
async fn ending_a_session_stands_in_the_history() {
    let app = TestApp::start().await;
    let viewer = app.member(Role::Viewer).await;
    let browser = app.browser(viewer.user()).await;
    let handle = browser.get("/api/v1/sessions").await.ok()["items"][0]["handle"].as_str().unwrap().to_owned();
    let events = async || -> Vec<(String, String, Value)> {
        sqlx::query_as("select object_id, summary, details from audit_events where action = 'user.session_ended'")
            .fetch_all(&app.database.pool)
            .await
            .unwrap()
    };
    viewer.delete("/api/v1/sessions/none").await.refused(404);
    assert!(events().await.is_empty());
    viewer.delete(&format!("/api/v1/sessions/{handle}")).await.ok();
    let written = (
        viewer.user().id.to_string(),
        "ended one of their sessions".to_owned(),
        json!({ "user_agent": "", "address": "" }),
    );
    assert_eq!(events().await, [written]);
    browser.get("/api/v1/user").await.refused(401);
}

/// Somebody with a password, and their browser.
async fn reader(app: &TestApp) -> Client {
    let admin = app.member(Role::Admin).await;
    let ada = json!({ "email": "ada@slipway.test", "name": "Ada", "password": "correct horse", "roles": ["viewer"] });
    admin.post("/api/v1/members", ada).await.ok();
    app.anonymous()
}

async fn sign_in(somebody: &Client, password: &str) -> Answer {
    somebody.form("/sign-in", &format!("email=Ada@slipway.test&password={password}")).await
}

#[tokio::test]
async fn signing_in_and_out_stand_in_the_history_of_the_account_and_of_no_workspace() {
    let app = TestApp::start().await;
    let ada = reader(&app).await;
    assert_eq!(sign_in(&ada, "wrong").await.status.as_u16(), 401);
    let entered = sign_in(&ada.clone().with(header::USER_AGENT, "Firefox/140"), "correct+horse").await;
    let cookie = entered.header("set-cookie").split(';').next().unwrap().to_owned();
    let browser = ada.clone().with(header::COOKIE, &cookie);
    let history = browser.get("/api/v1/user/audit-events").await.ok();
    let actions = |history: &Value| -> Vec<String> {
        history["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&history), ["user.signed_in", "user.added"]);
    assert_eq!(history["items"][0]["details"]["user_agent"], "Firefox/140");
    assert!(browser.get("/w/default/settings/account").await.text().contains("</b> signed in"));

    assert_eq!(browser.form("/sign-out", "").await.header("location"), "/sign-in");
    browser.get("/api/v1/user").await.refused(401);
    let again = sign_in(&ada, "correct+horse").await;
    let browser = ada.with(header::COOKIE, again.header("set-cookie").split(';').next().unwrap());
    let history = browser.get("/api/v1/user/audit-events?limit=3").await.ok();
    assert_eq!(actions(&history), ["user.signed_in", "user.signed_out", "user.signed_in"]);
    let next = history["next_page_token"].as_str().unwrap();
    let rest = browser.get(&format!("/api/v1/user/audit-events?limit=3&page_token={next}")).await.ok();
    assert_eq!(actions(&rest), ["user.added"]);
    // It is no workspace's, and nobody else's.
    let other = app.member(Role::Admin).await;
    for path in ["/api/v1/audit-events", "/api/v1/user/audit-events"] {
        let told = actions(&other.get(path).await.ok());
        assert!(!told.is_empty() && told.iter().all(|action| !action.starts_with("user.signed")), "{told:?}");
    }
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_and_knowing_it_is_not() {
    let app = TestApp::start().await;
    let ada = reader(&app).await;
    for _ in 0..12 {
        assert_eq!(sign_in(&ada, "correct+horse").await.status.as_u16(), 303);
    }
    for _ in 0..10 {
        assert_eq!(sign_in(&ada, "wrong").await.status.as_u16(), 401);
    }
    let limited = sign_in(&ada, "correct+horse").await;
    assert_eq!(limited.header("retry-after"), "60");
    assert_eq!(limited.status.as_u16(), 429);
    let page = limited.text();
    assert!(page.contains("Too many attempts to sign in.") && page.contains("Ada@slipway.test"), "{page}");
}

#[tokio::test]
async fn a_session_names_the_client_and_not_the_proxy_that_is_trusted() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let ada = json!({ "email": "ada@slipway.test", "name": "Ada", "password": "correct horse", "roles": ["viewer"] });
    admin.post("/api/v1/members", ada).await.ok();
    let sign_in = async |peer: IpAddr| -> String {
        let request = app
            .anonymous()
            .request(Method::POST, "/sign-in")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-forwarded-for", "198.51.100.1, 203.0.113.7")
            .extension(ConnectInfo(SocketAddr::from((peer, 50_124))))
            .body(Body::from("email=ada@slipway.test&password=correct+horse"))
            .unwrap();
        let answer = app.anonymous().send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
        sqlx::query_scalar("select address from sessions order by created_at desc limit 1")
            .fetch_one(&app.database.pool)
            .await
            .unwrap()
    };
    assert_eq!(sign_in(PROXY).await, "203.0.113.7");
    assert_eq!(sign_in([192, 0, 2, 9].into()).await, "192.0.2.9");
}
