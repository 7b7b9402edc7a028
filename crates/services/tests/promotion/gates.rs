//! What gates find, and what comes of it.

use crate::world::{MODEL, NewVersion, PRODUCTION, World, fixture, metric_gate};
use domain::{
    environment::{Better, GateSpec},
    promotion::{Promotion, PromotionState, Verdict},
};

const GOLDEN: GateSpec = GateSpec::GoldenRow { tolerance: 1e-4 };

async fn verdicts(world: &World, promotion: &Promotion) -> Vec<Verdict> {
    world.detail(promotion).await.gates.iter().map(|gate| gate.verdict()).collect()
}

/// What the gate on golden rows says of a version.
async fn golden_finding(world: &World, new: NewVersion) -> (PromotionState, Verdict, String) {
    world.set_policy(PRODUCTION, vec![GOLDEN], 1).await;
    let version = world.version_of(MODEL, new).await;
    let promotion = world.request(version).await;
    let state = world.advance(&promotion).await;
    let finding = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    (state, finding.verdict, finding.reason)
}

#[tokio::test]
async fn a_version_that_passes_all_awaits_approval_of_its_subject() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    assert_eq!(verdicts(&world, &promotion).await, [Verdict::Pass; 3]);
    let subject = promotion.subject.unwrap();
    assert_eq!(subject.datasets, [("flowers".to_owned(), "4f1c".to_owned())]);
    assert_eq!((subject.code.as_deref(), subject.champion), (Some("9f03a71"), None));
    assert_eq!(world.services.promotions_waiting_for_me(&world.approver).await.unwrap().len(), 1);
    assert!(world.services.promotions_waiting_for_me(&world.contributor).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_metric_below_the_threshold_blocks_until_it_is_better() {
    let world = World::start().await;
    let version = world.version_with(0.5).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    assert_eq!(world.read(&promotion).await.state_reason, "Failed: accuracy at least 0.7.");
    assert_eq!(verdicts(&world, &promotion).await, [Verdict::Fail, Verdict::Pass, Verdict::Pass]);

    world.log_to(version, "accuracy", 0.8).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked, "nobody asked");
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
}

#[tokio::test]
async fn a_missing_metric_and_one_that_is_no_number_are_inconclusive_and_block() {
    let world = World::start().await;
    for accuracy in [None, Some(f64::NAN)] {
        let version = world.version_of(MODEL, NewVersion { accuracy, ..NewVersion::default() }).await;
        let promotion = world.request(version).await;
        assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
        assert_eq!(verdicts(&world, &promotion).await[0], Verdict::Inconclusive);
    }
}

#[tokio::test]
async fn the_champion_is_what_serves_in_that_environment() {
    let world = World::start().await;
    let gate = GateSpec::BetterThanChampion { metric: "accuracy".to_owned(), better: Better::Higher, min_gain: 0.01 };
    world.set_policy(PRODUCTION, vec![gate], 1).await;
    let (first, worse, better) =
        (world.version_with(0.8).await, world.version_with(0.805).await, world.version_with(0.9).await);
    world.live(first).await;
    let promotion = world.request(worse).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let finding = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    assert_eq!(finding.reason, "iris v1 has 0.8, so the gain is too small.");

    let promotion = world.awaiting(better).await;
    assert_eq!(promotion.subject.as_ref().unwrap().champion.as_deref(), Some("iris v1"));
    let compared = world.detail(&promotion).await.metrics;
    assert_eq!(
        (compared[0].candidate, compared[0].champion, compared[0].better),
        (Some(0.9), Some(0.8), Some(Better::Higher))
    );
    // Afterwards the page tells what it replaced, whatever serves by then.
    world.approve(&world.approver, &promotion).await.unwrap();
    world.advance(&promotion).await;
    assert_eq!(world.detail(&promotion).await.metrics, compared);
}

#[tokio::test]
async fn golden_rows_are_replayed_in_the_engine() {
    let world = World::start().await;
    let (state, verdict, reason) = golden_finding(&world, NewVersion::default()).await;
    assert_eq!((state, verdict), (PromotionState::AwaitingApproval, Verdict::Pass));
    assert_eq!(reason, "The serving engine answers golden.json as was recorded.");
}

#[tokio::test]
async fn an_answer_that_differs_from_the_recorded_one_fails() {
    let world = World::start().await;
    let golden = br#"{"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}, "outputs": {"label": [2]}}"#.to_vec();
    let new = NewVersion { golden: Some(("golden.json", golden)), ..NewVersion::default() };
    let (state, verdict, reason) = golden_finding(&world, new).await;
    assert_eq!((state, verdict), (PromotionState::Blocked, Verdict::Fail));
    assert_eq!(reason, "The serving engine answers golden.json differently from what was recorded.");
}

#[tokio::test]
async fn an_input_example_of_mlflow_needs_only_be_answered() {
    let world = World::start().await;
    let example = br#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#.to_vec();
    let new = NewVersion { golden: Some(("serving_input_example.json", example)), ..NewVersion::default() };
    let (state, verdict, _) = golden_finding(&world, new).await;
    assert_eq!((state, verdict), (PromotionState::AwaitingApproval, Verdict::Pass));
}

#[tokio::test]
async fn rows_that_the_model_does_not_take_fail() {
    let world = World::start().await;
    let example = br#"{"inputs": [[5.1, 3.5]]}"#.to_vec();
    let new = NewVersion { golden: Some(("serving_input_example.json", example)), ..NewVersion::default() };
    let (state, verdict, reason) = golden_finding(&world, new).await;
    assert_eq!((state, verdict), (PromotionState::Blocked, Verdict::Fail));
    assert!(reason.contains("[-1,4]"), "{reason}");
}

#[tokio::test]
async fn without_golden_rows_or_with_broken_ones_it_cannot_be_told() {
    let world = World::start().await;
    for (golden, words) in [
        (None, "The version has no golden rows"),
        (Some(("golden.json", b"{".to_vec())), "golden.json is not well-formed JSON"),
    ] {
        let (state, verdict, reason) = golden_finding(&world, NewVersion { golden, ..NewVersion::default() }).await;
        assert_eq!((state, verdict), (PromotionState::Blocked, Verdict::Inconclusive));
        assert!(reason.starts_with(words), "{reason}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_model_fails() {
    let world = World::start().await;
    for onnx in [b"not a model".to_vec(), fixture("unknown_operator.onnx")] {
        let (state, verdict, reason) = golden_finding(&world, NewVersion { onnx, ..NewVersion::default() }).await;
        assert_eq!((state, verdict), (PromotionState::Blocked, Verdict::Fail), "{reason}");
    }
}

#[tokio::test]
async fn without_the_engine_it_cannot_be_told_and_the_reason_says_what_to_do() {
    let world = World::without_engine().await;
    let (state, verdict, reason) = golden_finding(&world, NewVersion::default()).await;
    assert_eq!((state, verdict), (PromotionState::Blocked, Verdict::Inconclusive));
    assert!(reason.contains("ONNX Runtime is not installed") && reason.contains("make setup"), "{reason}");
}

#[tokio::test]
async fn gates_that_find_the_same_again_keep_the_approvals() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7), GOLDEN], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.detail(&promotion).await.approvals, 0, "not while the gates run");
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(world.detail(&promotion).await.approvals, 1);
    assert_eq!(world.read(&promotion).await.subject_digest, promotion.subject_digest);
}
