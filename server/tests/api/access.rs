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
    for route in table.iter().filter(|route| route.access != Access::Public) {
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
    for scope in [Scope::Read, Scope::Write] {
        let client = app.member_with([Role::Admin, Role::Approver], scope).await;
        for route in router::table(&app.state) {
            let Access::Needs(permission) = route.access else { continue };
            let (status, _) = ask(&client, &route, "").await;
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(
                refused,
                permission.scope() > scope,
                "{scope:?} {} {} answered {status}",
                route.method,
                route.path
            );
        }
    }
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
