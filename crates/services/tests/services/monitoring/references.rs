//! What traffic is compared with, and as what kind of values.

use crate::monitoring::world::{MODEL, PRODUCTION, World, reference, rows};
use domain::{
    drift::{Method, Verdict},
    monitor::{Check, CheckState},
};
use serde_json::json;
use services::NewRollback;

/// Another reference, with which the usual traffic drifts.
fn moved() -> String {
    let rows = (0..100).map(|i| f64::from(i) + 500.0).map(|x| format!("{x},{x}\n"));
    format!("x,y\n{}", rows.collect::<String>())
}

fn method(check: &Check, feature: &str) -> Method {
    match check.features.iter().find(|found| found.feature == feature).unwrap().verdict {
        Verdict::Scored { method, .. } => method,
        inconclusive @ Verdict::Inconclusive { .. } => panic!("{inconclusive:?}"),
    }
}

#[tokio::test]
async fn a_missing_reference_is_told_and_taken_when_it_comes() {
    let world = World::without_model().await;
    let version = world.version(&[("data/other.csv", &reference())], None).await;
    world.deploy(version).await;
    world.watch_fifty().await;
    let check = world.usual().await;
    assert_eq!((check.state, check.rows), (CheckState::Inconclusive, 50));
    assert_eq!(check.reason, "The version has no reference: log reference.csv or reference.json with its run.");
    world.log_artifact(version, "data/reference.csv", &reference()).await;
    assert_eq!(world.usual().await.state, CheckState::Ok);
}

#[tokio::test]
async fn a_reference_that_cannot_be_read_is_not_a_missing_one() {
    for (file, text, sentence) in [
        ("reference.csv", "x,y\n1\n", "reference.csv cannot be read: line 2 has 1 values, the head has 2."),
        ("reference.csv", "a,b\n1,2\n", "No feature of the traffic has the name of a column of reference.csv."),
        ("reference.csv", "", "reference.csv is empty."),
    ] {
        let world = World::without_model().await;
        world.deploy(world.version(&[(file, text)], None).await).await;
        world.watch_fifty().await;
        let check = world.usual().await;
        assert_eq!((check.state, check.reason.as_str()), (CheckState::Inconclusive, sentence));
    }
}

#[tokio::test]
async fn a_reference_whose_content_is_gone_is_told() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.usual().await;
    world
        .meddle(
            "update deployments
             set reference_digest = left(reference_digest, -1)
                 || case right(reference_digest, 1) when '0' then '1' else '0' end",
        )
        .await;
    let check = world.usual().await;
    assert_eq!(check.state, CheckState::Inconclusive);
    assert_eq!(check.reason, "reference.csv is not in the artifact store any more, or damaged.");
}

#[tokio::test]
async fn who_writes_to_the_run_later_does_not_change_what_is_compared() {
    let world = World::without_model().await;
    let version = world.version(&[("reference.csv", &reference())], None).await;
    world.deploy(version).await;
    world.watch_fifty().await;
    assert_eq!(world.usual().await.state, CheckState::Ok);
    world.log_artifact(version, "reference.csv", &moved()).await;
    world.log_artifact(version, "r/reference.json", "{}").await;
    assert_eq!(world.usual().await.state, CheckState::Ok);
    // Nor when the version is deployed again.
    world.deploy(version).await;
    assert_eq!(world.usual().await.state, CheckState::Ok);
}

#[tokio::test]
async fn the_reference_is_fixed_when_a_version_goes_live() {
    let world = World::without_model().await;
    let first = world.version(&[("reference.csv", &reference())], None).await;
    world.deploy(first).await;
    let second = world.version(&[("reference.csv", &moved())], None).await;
    world.deploy(second).await;
    let (environment, model) = (PRODUCTION.to_owned(), MODEL.to_owned());
    let new = NewRollback { environment, model, deployment: 2, comment: String::new() };
    world.services.rollback(&world.ctx(), new).await.unwrap();
    assert_eq!(world.live().await.model_version_id, first.id);
    // Before the first check.
    world.log_artifact(first, "reference.csv", &moved()).await;
    world.watch_fifty().await;
    assert_eq!(world.usual().await.state, CheckState::Ok);
}

#[tokio::test]
async fn the_signature_says_what_the_numbers_of_a_matrix_are() {
    let world = World::without_model().await;
    let signature = json!({ "inputs": [
        { "name": "gold", "dtype": "boolean", "shape": null },
        { "name": "rooms", "dtype": "long", "shape": null },
        { "name": "age", "dtype": "double", "shape": null },
    ], "outputs": [] });
    let lines = (0..100).map(|i| format!("{},{},{}\n", ["True", "False"][i % 2], i % 8, i % 8));
    let file = format!("gold,rooms,age\n{}", lines.collect::<String>());
    world.deploy(world.version(&[("reference.csv", &file)], Some(signature)).await).await;
    world.watch_fifty().await;
    // As a model records it that takes one matrix of FP32.
    let cells = |n: u32| (0..50).map(|i| f64::from(i % n)).collect::<Vec<_>>();
    world.answer(json!({ "gold": cells(2), "rooms": cells(8), "age": cells(8) })).await;
    world.check().await;
    let check = world.checks().await.remove(0);
    assert_eq!((check.state, check.share), (CheckState::Ok, Some(0.0)), "{:?}", check.features);
    assert_eq!(method(&check, "gold"), Method::ZTest);
    assert_eq!(method(&check, "rooms"), Method::ChiSquare);
    assert_eq!(method(&check, "age"), Method::KolmogorovSmirnov);
}

#[tokio::test]
async fn a_feature_of_lists_is_left_out() {
    let world = World::start().await;
    world.watch_fifty().await;
    let mut features = rows(50, 0.0);
    features["y"] = (0..50).map(|i| json!([i, i])).collect();
    world.answer(features).await;
    world.check().await;
    let check = world.checks().await.remove(0);
    let names: Vec<_> = check.features.iter().map(|feature| feature.feature.as_str()).collect();
    assert_eq!(names, ["x"]);
}
