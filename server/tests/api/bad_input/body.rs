//! Bodies that cannot be read, are too large, or are of another type.

use super::{FORM, JSON, World};
use axum::http::{HeaderValue, StatusCode, header};
use server::access::{Access, Route, Surface};

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let world = World::start().await;
    let deep_list = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let bodies: Vec<(Option<&str>, Vec<u8>)> = [
        "",
        "{",
        "}",
        "null",
        "true",
        "7",
        "[]",
        "[[]]",
        "\"x\"",
        "\"{}\"",
        "{\"a\":1,\"a\":2}",
        "{\"name\":1,\"name\":2}",
        "\u{feff}{}",
        "\0",
        "{\"a\":\"\0\"}",
        "{\"a\":1e999}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{}{}",
        "// {}",
    ]
    .into_iter()
    .chain([deep_list.as_str(), deep_object.as_str()])
    .map(|body| (Some(JSON), body.as_bytes().to_vec()))
    .chain([
        (Some(JSON), b"\xff\xfe{}".to_vec()),
        (Some(JSON), b"{\"name\":\"\xff\"}".to_vec()),
        (Some("application/json; charset=utf-16"), b"{}".to_vec()),
        (None, b"{}".to_vec()),
        (Some("text/plain"), b"{}".to_vec()),
        (Some("application/xml"), b"<a/>".to_vec()),
        (Some("multipart/form-data"), b"--".to_vec()),
        (Some("\u{7f}"), b"{}".to_vec()),
        (Some(FORM), b"%ff=%00&=&&a&a=%zz".to_vec()),
        (Some(FORM), vec![0xff; 100]),
    ])
    .collect();
    let mut all = Vec::new();
    for route in world.table.iter().filter(|route| route.method != "GET" || route.surface == Surface::Mlflow) {
        let path = world.path(route, None);
        for (content_type, body) in &bodies {
            all.extend(world.sent(route, &path, *content_type, body.clone()).map(|mut sent| {
                sent.what += &format!(" with {:.60}", String::from_utf8_lossy(body));
                sent
            }));
        }
    }
    world.send(all).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_type_is_refused_as_that() {
    let world = World::start().await;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    let (mut too_large, mut other_type) = (Vec::new(), Vec::new());
    // What a forge sends is looked at once it has proved itself; its own test is beside push hooks.
    let is_meant = |route: &&Route| route.method != "GET" && route.access != Access::PushProof;
    for route in world.table.iter().filter(is_meant) {
        let path = world.path(route, None);
        match route.surface {
            Surface::Api if world.body_of(route).is_some() => {
                too_large.extend(world.sent(route, &path, Some(JSON), large.clone()));
                // The file of a pipeline may come as it is.
                if route.path != "/api/v1/pipelines" {
                    other_type.extend(world.sent(route, &path, Some("text/plain"), "{}"));
                }
            }
            Surface::Mlflow if !route.path.contains("/mlflow-artifacts/") && route.method == "POST" => {
                let mut sent = world.sent(route, &path, Some(JSON), "{}").unwrap();
                sent.request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("99999999999"));
                too_large.push(sent);
            }
            _ => {}
        }
    }
    for (what, status) in world.send(too_large).await {
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{what}");
    }
    for (what, status) in world.send(other_type).await {
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{what}");
    }
}
