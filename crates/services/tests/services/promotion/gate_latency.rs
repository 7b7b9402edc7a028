//! The gate on latency, in the engine.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World, fixture};
use domain::{
    policy::GateSpec,
    promotion::{
        PromotionState,
        Verdict::{Fail, Inconclusive, Pass},
    },
};
use services::Limits;
use std::time::Duration;

fn budget(max_ms: f64, requests: u32) -> GateSpec {
    GateSpec::LatencyBudget { percentile: 90.0, max_ms, requests }
}

#[tokio::test]
async fn answers_are_timed_one_row_at_a_time() {
    let world = World::start().await;
    let version = world.version().await;
    let found = world.found(&budget(60_000.0, 20), version).await;
    found.is(Pass, "Of 20 requests of 1 row, half were answered within");
    let evidence = &found.finding.evidence;
    assert_eq!((evidence["n"].as_u64(), evidence["warm_up"].as_u64()), (Some(20), Some(2)));
    assert!(evidence["p50"].as_f64() <= evidence["p99"].as_f64());
    // Nobody asks the engine again while people are asked, and times that would be others say nothing.
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval);
    let digest = found.promotion.subject_digest.clone();
    let again = world.again(found).await;
    assert_eq!((again.state, again.promotion.subject_digest), (PromotionState::AwaitingApproval, digest));
}

#[tokio::test]
async fn a_budget_that_is_not_kept_fails() {
    let world = World::start().await;
    let version = world.version().await;
    world.found(&budget(0.000_001, 20), version).await.is(Fail, "Of 20 requests");
}

#[tokio::test]
async fn a_model_that_does_not_come_to_an_end_fails() {
    let limits = Limits { trial: Duration::from_millis(200), ..Limits::default() };
    let world = World::with_limits(limits).await;
    let golden = Some(("input_example.json", br#"{"inputs": {"x": [1.0]}}"#.to_vec()));
    let new = NewVersion { onnx: fixture("endless.onnx"), golden, ..NewVersion::default() };
    let version = world.version_of(MODEL, new).await;
    world.set_policy(PRODUCTION, vec![budget(1_000.0, 20)], 1).await;
    let promotion = world.request_elsewhere(version).await;
    let state = world.advance(&promotion).await;
    world.first(promotion, state).await.is(Fail, "");
}

#[tokio::test]
async fn without_golden_rows_it_cannot_be_told() {
    let world = World::start().await;
    let version = world.version_of(MODEL, NewVersion { golden: None, ..NewVersion::default() }).await;
    world.found(&budget(1_000.0, 20), version).await.is(Inconclusive, "has no golden rows");
}
