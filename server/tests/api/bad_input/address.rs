//! Addresses with a part that names nothing, and methods that an address does not take.

use super::{JSON, World, wrong_words};
use axum::{body::Body, http::Method};

#[tokio::test]
async fn an_address_with_a_wrong_part_names_nothing() {
    let world = World::start().await;
    let mut all = Vec::new();
    for route in &world.table {
        for (place, part) in route.path.split('/').enumerate().filter(|(_, part)| part.starts_with('{')) {
            let deeper = part.starts_with("{*").then(|| world.part(route, part));
            for word in wrong_words() {
                let path = world.path(route, Some((place, &word)));
                all.extend(world.sent(route, &path, Some(JSON), if route.method == "GET" { "" } else { "{}" }));
                if let Some(known) = &deeper {
                    let path = world.path(route, Some((place, &format!("{known}/{word}"))));
                    all.extend(world.sent(route, &path, Some(JSON), ""));
                }
            }
        }
    }
    world.send(all).await;
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_refused() {
    let world = World::start().await;
    for route in &world.table {
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            if world.table.iter().any(|other| other.path == route.path && other.method == method.as_str()) {
                continue;
            }
            let request = world.admin.request(method.clone(), &world.path(route, None)).body(Body::empty()).unwrap();
            let (status, ..) = world.admin.start_of(request).await;
            assert!(status.is_client_error(), "{method} {} answered {status}", route.path);
        }
    }
}
