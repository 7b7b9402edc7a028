//! What gates find, and what comes of it.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World, fixture, metric_gate};
use domain::{
    permission::Role,
    policy::{Better, GateSpec},
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
    let promotion = world.request_elsewhere(version).await;
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
    let gate = GateSpec::BetterThanChampion {
        metric: "accuracy".to_owned(),
        better: Better::Higher,
        min_gain: 0.01,
        confidence: None,
    };
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
async fn a_worker_without_the_engine_leaves_the_gates_to_another_and_says_what_to_do() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    let bare = world.process_without_engine().await;
    for _ in 0..2 {
        assert_eq!(bare.advance_promotion(promotion.id).await.unwrap(), PromotionState::GatesRunning);
        assert_eq!(verdicts(&world, &promotion).await, [Verdict::Pending; 3]);
        let reason = world.detail(&promotion).await.gates[2].finding.clone().unwrap().reason;
        assert!(reason.contains("ONNX Runtime is not installed") && reason.contains("make setup"), "{reason}");
    }
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(verdicts(&world, &promotion).await, [Verdict::Pass; 3]);
}

#[tokio::test]
async fn a_worker_without_the_engine_runs_the_gates_that_need_none() {
    let world = World::without_engine().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    let version = world.version().await;
    world.awaiting(version).await;
}

#[tokio::test]
async fn gates_wait_while_the_artifact_store_does_not_answer() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    world.silence_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    let reason = world.detail(&promotion).await.gates[2].finding.clone().unwrap().reason;
    assert_eq!(reason, "Waits to be tried. The artifact store does not answer.");
    world.let_artifacts_answer();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    // The model is in memory by now, and its golden rows are not.
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    world.silence_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    world.let_artifacts_answer();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
}

#[tokio::test]
async fn a_file_that_is_gone_is_the_versions_fault() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.request_elsewhere(version).await;
    world.empty_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let finding = world.detail(&promotion).await.gates[2].finding.clone().unwrap();
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(finding.reason.starts_with("model.onnx cannot be read: No stored content"), "{}", finding.reason);
}

/// Numbers whose text is long, and that a reader of JSON who is not careful reads as their neighbours.
#[tokio::test]
async fn what_is_agreed_on_stays_the_same_whatever_numbers_it_holds() {
    let world = World::start().await;
    let metrics =
        [("accuracy", 0.966_666_666_666_666_7), ("sum", 0.1 + 0.2), ("single", f64::from(0.1_f32)), ("tiny", 1.3e-300)];
    let threshold = |(metric, value): (&str, f64)| GateSpec::MetricThreshold {
        metric: metric.to_owned(),
        better: Better::Higher,
        threshold: value / 3.0,
    };
    let mut gates: Vec<GateSpec> = metrics.into_iter().map(threshold).collect();
    gates.extend((0..40).map(|n| GateSpec::GoldenRow { tolerance: 0.1 + 0.2 + f64::from(n) / 30.0 }));
    world.set_policy(PRODUCTION, gates, 1).await;
    let mut fixture: serde_json::Value = serde_json::from_slice(&fixture("classifier.json")).unwrap();
    for (at, value) in fixture["outputs"][1]["data"].as_array_mut().unwrap().iter_mut().enumerate() {
        *value = (value.as_f64().unwrap() + 0.1 / (at + 1) as f64).into();
    }
    let golden = serde_json::json!({ "inputs": fixture["request"]["inputs"], "outputs": fixture["outputs"] });
    let golden = Some(("golden.json", golden.to_string().into_bytes()));
    let version = world.version_of(MODEL, NewVersion { golden, ..NewVersion::default() }).await;
    for (metric, value) in metrics {
        world.log_to(version, metric, value).await;
    }
    let promotion = world.awaiting(version).await;
    // Whoever sweeps computes the digest again, from what is stored.
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let seen = world.read(&promotion).await;
    assert_eq!((&seen.subject_digest, seen.state_reason.as_str()), (&promotion.subject_digest, ""));
    assert_eq!(seen.updated_at, promotion.updated_at, "it did not run its gates again");
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn gates_that_find_the_same_again_keep_the_approvals() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7), GOLDEN], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    let meanwhile = world.approve(&world.member(&[Role::Approver]).await, &promotion).await.unwrap_err();
    assert!(meanwhile.message.ends_with("when its gates have run."), "{}", meanwhile.message);
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(world.approvals(&promotion).await, 1);
    assert_eq!(world.read(&promotion).await.subject_digest, promotion.subject_digest);
}
