//! Headers that mean nothing.

use super::{AT_ONCE, JSON, World};
use axum::http::{HeaderName, HeaderValue, header};
use futures::{StreamExt as _, stream};

#[tokio::test]
async fn a_header_that_means_nothing_is_refused_or_passed_over() {
    let world = World::start().await;
    let named = HeaderName::from_static;
    // Together those that a route may pass over; a request without a right authorisation is refused at the door.
    let groups: [&[(HeaderName, &[u8])]; 5] = [
        &[(header::AUTHORIZATION, b"Basic %%%")],
        &[(header::AUTHORIZATION, b"Bearer \xff")],
        &[(header::AUTHORIZATION, b"Bearer")],
        &[
            (header::COOKIE, b"slipway_session=\xff; slipway_theme=;;=;"),
            (header::IF_MATCH, b"\xff"),
            (header::IF_NONE_MATCH, b"\xff, *"),
            (header::RANGE, b"bytes=-99999999999999999999999"),
            (header::ACCEPT, b"\xff"),
            (named("idempotency-key"), b"\xff"),
            (named("last-event-id"), b"99999999999999999999999"),
            (named("x-mlflow-workspace"), b"..\xff"),
            (named("x-request-id"), b"a b\xff"),
        ],
        &[
            (header::COOKIE, b"slipway_session=AAAAAAAAAAAAAAAAAAAAAA; slipway_theme=x"),
            (header::RANGE, b"bytes=18446744073709551615-"),
        ],
    ];
    let (world, groups) = (&world, &groups);
    stream::iter(&world.table)
        .for_each_concurrent(AT_ONCE, |route| async move {
            let sent = |headers: &[(HeaderName, &[u8])]| {
                let body = if route.method == "GET" { "" } else { "{}" };
                let mut sent = world.sent(route, &world.path(route, None), Some(JSON), body).unwrap();
                for (name, value) in headers {
                    sent.what += &format!(" with {name}: {}", String::from_utf8_lossy(value));
                    sent.request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
                }
                Some(sent)
            };
            let plain = world.answer(sent(&[]).unwrap()).await;
            for group in groups {
                world.answer_in_halves(&plain, group, sent).await;
            }
        })
        .await;
}
