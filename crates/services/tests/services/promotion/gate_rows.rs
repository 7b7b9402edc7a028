//! Gates that read evaluation rows.

use super::gate_setup::table;
use crate::promotion::world::{PRODUCTION, World};
use domain::{
    policy::{Better, GateSpec},
    promotion::{
        PromotionState,
        Verdict::{Fail, Inconclusive, Pass},
    },
};

fn better(min_gain: f64) -> GateSpec {
    GateSpec::BetterThanChampion {
        metric: "accuracy".to_owned(),
        better: Better::Higher,
        min_gain,
        confidence: Some(0.95),
    }
}

fn slices(floor: Option<f64>, max_drop: Option<f64>, min_rows: u32) -> GateSpec {
    GateSpec::SliceFloor {
        metric: "accuracy".to_owned(),
        better: Better::Higher,
        columns: vec!["region".to_owned()],
        floor,
        max_drop,
        min_rows,
    }
}

#[tokio::test]
async fn a_gain_counts_when_its_interval_does() {
    let world = World::start().await;
    let champion = world.evaluated(200, 150).await;
    world.champion(champion).await;
    let good = world.evaluated(200, 190).await;
    let found = world.found(&better(0.05), good).await;
    found.is(Pass, "iris v1 has 0.75.");
    let evidence = &found.finding.evidence;
    assert_eq!((evidence["n"].as_u64(), evidence["about"]["champion"].as_str()), (Some(200), Some("iris v1")));
    assert!(
        evidence["low"].as_f64() < evidence["point"].as_f64() && evidence["point"].as_f64() < evidence["high"].as_f64()
    );
    let lucky = world.evaluated(200, 153).await;
    world.found(&better(0.01), lucky).await.is(Inconclusive, "may be chance");
    let worse = world.evaluated(200, 140).await;
    world.found(&better(0.0), worse).await.is(Fail, "so it is better");
}

#[tokio::test]
async fn without_rows_that_pair_it_cannot_be_told() {
    let world = World::start().await;
    let champion = world.evaluated(200, 150).await;
    world.champion(champion).await;
    let bare = world.version().await;
    world.found(&better(0.0), bare).await.is(Inconclusive, "has no evaluation rows: log evaluation.csv");
    let fewer = world.evaluated(199, 190).await;
    world.found(&better(0.0), fewer).await.is(Inconclusive, "Evaluate both versions on the same rows");
    let broken = world.version().await;
    world.log_file(broken, "evaluation.json", "{").await;
    world.found(&better(0.0), broken).await.is(Inconclusive, "evaluation.json is no list of records");
}

#[tokio::test]
async fn the_first_version_has_nobody_to_be_better_than() {
    let world = World::start().await;
    let version = world.version().await;
    world.found(&better(0.1), version).await.is(Pass, "nothing to beat");
}

#[tokio::test]
async fn each_slice_keeps_to_its_floor() {
    let world = World::start().await;
    let good = world.evaluated(100, 96).await;
    let found = world.found(&slices(Some(0.9), None, 30), good).await;
    found.is(Pass, "2 slices keep to it.");
    assert_eq!(found.finding.evidence["slices"][0]["n"], 50);
    let bad = world.version().await;
    // All of the south is wrong.
    let text = table(100, 100).replace(",1,south", ",0,south");
    world.log_file(bad, "eval/evaluation.csv", text).await;
    world.found(&slices(Some(0.4), None, 30), bad).await.is(Fail, "region = south: It has 0, which is worse than 0.4.");
    let few = world.evaluated(58, 58).await;
    world.found(&slices(Some(0.4), None, 30), few).await.is(Inconclusive, "It has 29 rows; 30 are needed.");
}

#[tokio::test]
async fn a_slice_is_held_against_that_of_what_serves() {
    let world = World::start().await;
    let champion = world.evaluated(100, 100).await;
    world.champion(champion).await;
    let close = world.evaluated(100, 92).await;
    world.found(&slices(None, Some(0.1), 30), close).await.is(Pass, "keep to it");
    let worse = world.evaluated(100, 60).await;
    world.found(&slices(None, Some(0.1), 30), worse).await.is(Fail, "where iris v1 has 1");
}

#[tokio::test]
async fn other_rows_are_other_evidence() {
    let world = World::start().await;
    let version = world.evaluated(100, 96).await;
    let found = world.found(&slices(Some(0.9), None, 30), version).await;
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval, "the same rows hold");
    world.log_file(version, "evaluation.csv", table(100, 97)).await;
    assert_eq!(world.advance(&found.promotion).await, PromotionState::Invalidated);
    assert_eq!(world.read(&found.promotion).await.state_reason, "Its metrics or files changed.");
}

#[tokio::test]
async fn rows_wait_while_the_artifact_store_does_not_answer() {
    let world = World::without_engine().await;
    let version = world.evaluated(100, 96).await;
    world.set_policy(PRODUCTION, vec![slices(Some(0.9), None, 30)], 1).await;
    let promotion = world.request(version).await;
    world.silence_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    let found = world.first(promotion, PromotionState::GatesRunning).await;
    assert_eq!(found.finding.reason, "Waits to be tried. The artifact store does not answer.");
    world.let_artifacts_answer();
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval);
}
