//! The one authorisation layer, walked: every route, as everybody.

use crate::app::{Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, header},
};
use domain::permission::{Role, Scope};
use server::{
    access::{Access, Route, Surface},
    router,
};

/// A path that fits the route and names nothing that exists.
fn example(route: &Route) -> String {
    let mut path = String::new();
    for part in route.path.split('/').skip(1) {
        path.push('/');
        path.push_str(match part {
            part if !part.starts_with('{') => part,
            "{id}" | "{user_id}" | "{run_id}" => "01936d6e-0000-7000-8000-000000000000",
            _ => "1",
        });
    }
    path
}

async fn ask(client: &Client, route: &Route, prefix: &str) -> (StatusCode, HeaderMap) {
    let method: Method = route.method.parse().unwrap();
    let path = format!("{prefix}{}", example(route));
    let request = client.request(method, &path).header(header::CONTENT_TYPE, "application/json");
    client.head_of(request.body(Body::from("{}")).unwrap()).await
}

fn is_sent_to_sign_in(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::SEE_OTHER
        && headers.get(header::LOCATION).is_some_and(|to| to.to_str().unwrap().starts_with("/sign-in"))
}

#[tokio::test]
async fn nobody_gets_further_than_the_table_says() {
    let app = TestApp::start().await;
    let table = router::table(&app.state);
    assert!(table.len() > 30, "the table is read");
    for route in table.iter().filter(|route| !matches!(route.access, Access::Open | Access::Public)) {
        let (status, headers) = ask(&app.anonymous(), route, "").await;
        let stopped = match route.surface {
            Surface::Page => is_sent_to_sign_in(status, &headers),
            _ => status == StatusCode::UNAUTHORIZED,
        };
        assert!(stopped, "anonymous {} {} answered {status}", route.method, route.path);
    }
}

#[tokio::test]
async fn a_role_without_the_permission_is_refused_and_one_with_it_is_not() {
    let app = TestApp::start().await;
    for role in Role::ALL {
        let client = app.member(role).await;
        for route in router::table(&app.state) {
            let Access::Needs(permission) = route.access else { continue };
            let (status, _) = ask(&client, &route, "").await;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {} {}", route.method, route.path);
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, !role.may(permission), "{role} {} {} answered {status}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn a_token_does_no_more_than_its_scope() {
    let app = TestApp::start().await;
    for scope in Scope::ALL {
        let client = app.member_with([Role::Admin, Role::Approver], scope).await;
        for route in router::table(&app.state) {
            let needed = match route.access {
                Access::Open | Access::Public | Access::UploadKey | Access::PushProof => continue,
                Access::SignedIn(needed) => needed,
                Access::Needs(permission) => permission.scope(),
            };
            let (status, _) = ask(&client, &route, "").await;
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, needed > scope, "{scope:?} {} {} answered {status}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn a_token_that_reads_leaves_the_account_of_its_owner_alone() {
    let app = TestApp::start().await;
    let reader = app.member_with([Role::Admin], Scope::Read).await;
    let browser = app.browser(reader.user()).await;
    let handle = browser.get("/api/v1/sessions").await.ok()["items"][0]["handle"].as_str().unwrap().to_owned();
    let token = browser.get("/api/v1/tokens").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    for refused in [
        reader.delete(&format!("/api/v1/sessions/{handle}")).await,
        reader.delete(&format!("/api/v1/tokens/{token}")).await,
        reader.form(&format!("/settings/sessions/{handle}/revoke"), "").await,
        reader.form(&format!("/settings/tokens/{token}/revoke"), "").await,
        reader.form("/settings/tokens", "name=more&scope=read").await,
        reader.form("/settings/account", "present=a&password=b").await,
    ] {
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
        assert!(refused.text().contains("needs the scope"), "{refused:?}");
    }
    reader.get("/api/v1/sessions").await.ok();
    browser.get("/api/v1/user").await.ok();
}

#[tokio::test]
async fn a_page_that_listens_without_a_session_is_refused_and_not_redirected() {
    let app = TestApp::start().await;
    let refused = app.anonymous().get("/events?topic=promotion:1").await;
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.refused(401)["kind"], "unauthenticated");
    let (_, stranger) = app.second_workspace("other-lab").await;
    stranger.get("/w/default/events?topic=promotion:1").await.refused(404);
    let viewer = app.member(Role::Viewer).await;
    let request = viewer.request(Method::GET, "/events?topic=promotion:1").body(Body::empty()).unwrap();
    let (status, headers) = viewer.head_of(request).await;
    assert_eq!((status, headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "text/event-stream"));
}

#[tokio::test]
async fn what_is_open_asks_nobody_who_they_are() {
    let app = TestApp::start().await;
    let client = app.member(Role::Viewer).await;
    let used = async || -> bool {
        sqlx::query_scalar("select last_used_at is not null from tokens").fetch_one(&app.database.pool).await.unwrap()
    };
    for route in router::table(&app.state) {
        if route.access == Access::Open {
            ask(&client, &route, "").await;
            assert!(!used().await, "{} {} looked the token up", route.method, route.path);
        }
    }
    for path in ["/healthz", "/readyz", "/metrics", "/version", "/health", "/favicon.svg", "/pkg/{*path}"] {
        let table = router::table(&app.state);
        assert!(table.iter().any(|route| route.path == path && route.access == Access::Open), "{path}");
    }
    client.get("/api/v1/user").await.ok();
    assert!(used().await, "a use is noted elsewhere");
}

#[tokio::test]
async fn another_workspace_is_not_there_at_all() {
    let app = TestApp::start().await;
    let (_, stranger) = app.second_workspace("other-lab").await;
    for route in router::table(&app.state) {
        let Access::Needs(_) = route.access else { continue };
        let (status, _) = ask(&stranger, &route, "/w/default").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{} /w/default{}", route.method, route.path);
    }
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let browser = app.browser(admin.user()).await;
    for route in router::table(&app.state) {
        if route.method == "GET" {
            continue;
        }
        let cross = browser.clone().with(header::HeaderName::from_static("sec-fetch-site"), "cross-site");
        let (status, _) = ask(&cross, &route, "").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{} {}", route.method, route.path);
    }
}
