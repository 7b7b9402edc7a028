//! Replay: recorded predictions of the version that serves, asked of a candidate in the real engine.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World, fixture, metric_gate};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    deployment::Prediction,
    id::{DeploymentId, PredictionId},
    permission::Role,
    promotion::{DecisionBasis, MAX_REPLAY_ROWS, Promotion, PromotionReplay, PromotionState, REPLAY_ROWS, ReplayState},
};
use serde_json::{Value, json};
use services::{Limits, NewPromotion};
use std::time::Duration;

/// A flower of each of the three kinds, as the fixture's model tells them.
const FLOWERS: [[f64; 4]; 3] = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]];

/// A world in which the first version serves, and what is recorded of it.
async fn serving() -> World {
    let world = World::start().await;
    let version = world.version().await;
    world.live(version).await;
    world
}

async fn deployment(world: &World) -> DeploymentId {
    let endpoints = world.services.endpoints(&world.admin).await.unwrap();
    endpoints.iter().find(|one| one.deployment.environment == PRODUCTION).unwrap().deployment.id
}

/// Records predictions of what serves: features, output, status; the first is the newest.
async fn record(world: &World, all: &[(Value, Value, i16)]) -> Vec<Prediction> {
    let deployment_id = deployment(world).await;
    let now = Utc::now();
    let rows = |features: &Value| features.as_object().and_then(|all| all.values().next()?.as_array().map(Vec::len));
    let predictions: Vec<Prediction> = (0..)
        .zip(all)
        .map(|(at, (features, output, status))| Prediction {
            id: PredictionId::new(),
            request_id: Some(format!("request-{at}")),
            deployment_id,
            version: 1,
            at: now - TimeDelta::seconds(at),
            status: *status,
            latency_us: 900,
            rows: i32::try_from(rows(features).unwrap_or(0)).unwrap(),
            features: features.clone(),
            output: output.clone(),
        })
        .collect();
    store::prediction::insert(&mut world.database.pool.acquire().await.unwrap(), &predictions).await.unwrap();
    predictions
}

/// Flowers by their kind, as a model without a signature has them recorded.
fn flowers(kinds: &[usize]) -> Value {
    let column = |at: usize| kinds.iter().map(|kind| FLOWERS[*kind][at]).collect::<Vec<_>>();
    json!({ "X[0]": column(0), "X[1]": column(1), "X[2]": column(2), "X[3]": column(3) })
}

/// What answered these labels, quite sure of each.
fn labels(kinds: &[usize]) -> Value {
    let column = |class: usize| kinds.iter().map(|kind| if *kind == class { 0.9 } else { 0.05 }).collect::<Vec<_>>();
    json!({
        "label": kinds, "probabilities[0]": column(0), "probabilities[1]": column(1), "probabilities[2]": column(2),
    })
}

async fn replay(world: &World, promotion: &Promotion) -> PromotionReplay {
    world.services.promotion_replay(&world.approver, promotion.number).await.unwrap().unwrap()
}

/// A candidate whose gates have run, and that was replayed.
async fn replayed(world: &World) -> (Promotion, PromotionReplay) {
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    assert_eq!(replay(world, &promotion).await.state, ReplayState::Waiting);
    assert!(world.services.replay_next().await.unwrap());
    let found = replay(world, &promotion).await;
    (promotion, found)
}

#[tokio::test]
async fn decisions_that_the_candidate_would_have_made_otherwise_are_counted_with_examples() {
    let world = serving().await;
    let recorded = record(
        &world,
        &[
            (flowers(&[0]), labels(&[0]), 200),
            (flowers(&[1, 2, 0]), labels(&[2, 2, 1]), 200),
            (json!({}), json!({}), 400),
            (flowers(&[2]), labels(&[2]), 200),
            (json!({}), json!({}), 503),
        ],
    )
    .await;
    let (promotion, found) = replayed(&world).await;
    assert_eq!(
        (found.state, found.reason.as_str(), found.wanted, found.asker),
        (ReplayState::Done, "", REPLAY_ROWS, None)
    );
    let about = found.about.unwrap();
    assert_eq!(about.model_digest, world.detail(&promotion).await.promotion.subject.unwrap().model_digest.unwrap());
    assert_eq!(about.champion, Some(1));
    let span = (about.first_at.unwrap().timestamp_millis(), about.last_at.unwrap().timestamp_millis());
    assert_eq!(span, (recorded[3].at.timestamp_millis(), recorded[0].at.timestamp_millis()));

    let all = found.found.unwrap();
    assert_eq!(all.basis, DecisionBasis::Label { outputs: vec!["label".to_owned()] });
    assert_eq!((all.all.rows, all.all.flips), (5, 2));
    let transitions: Vec<_> =
        all.transitions.iter().map(|one| (one.from.as_str(), one.to.as_str(), one.rows)).collect();
    assert_eq!(transitions, [("1", "0", 1), ("2", "1", 1)]);
    // Only what was refused between those that were replayed.
    let skipped: Vec<_> = all.skipped.iter().map(|one| (one.reason.as_str(), one.rows)).collect();
    assert_eq!(skipped, [("iris v1 did not answer the request.", 1)]);
    assert_eq!(all.segments.iter().filter(|one| one.feature == "X[0]").map(|one| one.share.flips).sum::<u32>(), 2);

    let example = &found.examples[0];
    assert_eq!((example.prediction_id, example.request_id.as_deref()), (recorded[1].id, Some("request-1")));
    assert_eq!((found.examples.len(), example.row, example.features["X[0]"].as_f64()), (2, 2, Some(5.1)));
    assert_eq!((&example.before["label"], &example.after["label"]), (&json!(1), &json!(0)));

    // It informs people: nothing that they agree to is another, and history says what they were shown.
    let history = world.history((ObjectKind::Promotion, &promotion.id.to_string())).await;
    assert_eq!(history.last().map(String::as_str), Some("Slipway promotion.replayed"));
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn what_was_asked_over_the_wire_is_answered_the_same_by_the_same_model() {
    let world = serving().await;
    let endpoint = world.services.endpoint(&world.admin, PRODUCTION, MODEL).await.unwrap();
    let body: Value = serde_json::from_slice(&fixture("classifier.json")).unwrap();
    for _ in 0..2 {
        let admitted = world.services.admit(&endpoint).unwrap();
        world.services.infer(admitted, body["request"].to_string().into()).await.answer.unwrap();
    }
    world.services.flush_predictions().await;
    let (_, found) = replayed(&world).await;
    let all = found.found.unwrap();
    assert_eq!((all.all.rows, all.all.flips, found.examples.len()), (30, 0, 0));
    assert!(all.differences.iter().all(|one| one.largest == 0.0), "{:?}", all.differences);
}

#[tokio::test]
async fn only_the_last_decisions_are_replayed_and_of_the_oldest_prediction_the_first_rows() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[0]), 200), (flowers(&[0, 1, 2]), labels(&[1, 2, 0]), 200)]).await;
    let (promotion, _) = replayed(&world).await;
    world.services.ask_replay(&world.contributor, promotion.number, Some(3)).await.unwrap();
    assert!(world.services.replay_next().await.unwrap());
    let found = replay(&world, &promotion).await;
    assert_eq!((found.wanted, found.asker.as_deref()), (3, Some(world.contributor.actor().name())));
    let all = found.found.unwrap().all;
    assert_eq!((all.rows, all.flips), (3, 2));
}

#[tokio::test]
async fn without_a_champion_or_without_predictions_there_is_nothing_and_that_is_said() {
    let world = World::start().await;
    let first = world.version().await;
    let promotion = world.awaiting(first).await;
    let told = replay(&world, &promotion).await;
    assert_eq!(told.state, ReplayState::Nothing);
    assert_eq!(told.reason, "No version of iris serves in production: there are no decisions to replay.");
    assert!(!world.services.replay_next().await.unwrap());

    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    record(&world, &[(json!({}), json!({}), 400)]).await;
    let (_, told) = replayed(&world).await;
    assert_eq!(told.state, ReplayState::Nothing);
    assert_eq!(told.reason, "No prediction of iris v1 in production is recorded.");
}

#[tokio::test]
async fn what_the_candidate_does_not_take_is_counted_with_the_reason() {
    let world = serving().await;
    let long = format!("{}…", "x".repeat(1024));
    let mut too_few = flowers(&[1]);
    too_few.as_object_mut().unwrap().remove("X[3]");
    record(
        &world,
        &[
            (flowers(&[0]), labels(&[0]), 200),
            (too_few.clone(), labels(&[1]), 200),
            (json!({ "plan": [long] }), labels(&[0]), 200),
            (json!({}), json!({}), 200),
        ],
    )
    .await;
    let (promotion, found) = replayed(&world).await;
    let all = found.found.unwrap();
    assert_eq!((all.all.rows, all.skipped.len()), (1, 3));
    for words in [
        "Input \"X\" has shape [1,3], the model takes [-1,4].",
        "A long text was cut when it was recorded.",
        "It is too large to be recorded: what was asked is not known.",
    ] {
        assert!(all.skipped.iter().any(|one| one.reason == words && one.rows == 1), "{words}: {:?}", all.skipped);
    }

    world.meddle("delete from predictions").await;
    record(&world, &[(too_few, labels(&[1]), 200)]).await;
    world.services.ask_replay(&world.contributor, promotion.number, None).await.unwrap();
    assert!(world.services.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    let why = "None of them could be replayed. Input \"X\" has shape [1,3], the model takes [-1,4].";
    assert_eq!((told.state, told.reason.as_str(), told.found), (ReplayState::Failed, why, None));
}

#[tokio::test]
async fn a_candidate_that_says_something_else_or_never_answers_is_told() {
    let world = World::with_limits(Limits { trial: Duration::from_millis(200), ..Limits::default() }).await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    let version = world.version().await;
    world.live(version).await;
    record(&world, &[(json!({ "x[0]": [1.0], "x[1]": [2.0], "rounds": [i64::MAX] }), labels(&[0]), 200)]).await;
    let golden = Some(("input_example.json", br#"{"inputs": {"x": [[1.0, 2.0]], "rounds": [1]}}"#.to_vec()));
    let new = NewVersion { onnx: fixture("endless.onnx"), golden, ..NewVersion::default() };
    let version = world.version_of(MODEL, new).await;
    let promotion = world.awaiting(version).await;
    assert!(world.services.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    assert_eq!(told.state, ReplayState::Failed);
    assert!(told.reason.starts_with("None of them could be replayed. The candidate did not"), "{}", told.reason);

    world.meddle("delete from predictions").await;
    record(&world, &[(json!({ "x[0]": [1.0], "x[1]": [2.0], "rounds": [1] }), labels(&[0]), 200)]).await;
    world.services.ask_replay(&world.contributor, promotion.number, None).await.unwrap();
    assert!(world.services.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    assert!(told.reason.ends_with("there is nothing to compare."), "{told:?}");
}

#[tokio::test]
async fn a_replay_that_a_process_died_over_is_done_by_the_next_one_and_given_up_at_last() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let take = async || {
        let mut conn = world.database.pool.acquire().await.unwrap();
        store::promotion::take_replay(&mut conn, Duration::from_secs(60)).await.unwrap()
    };
    // Somebody takes it, and dies.
    let taken = take().await.unwrap();
    assert_eq!((taken.promotion_id, taken.tries), (promotion.id, 1));
    assert!(!world.services.replay_next().await.unwrap(), "it is held");
    world.meddle("update replays set held_until = now() - interval '1 second'").await;
    assert!(world.services.replay_next().await.unwrap());
    assert_eq!(replay(&world, &promotion).await.state, ReplayState::Done);
    assert!(!world.services.replay_next().await.unwrap());

    world.services.ask_replay(&world.contributor, promotion.number, None).await.unwrap();
    world.meddle("update replays set tries = 5").await;
    assert!(world.services.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    assert!(told.state == ReplayState::Failed && told.reason.contains("given up"), "{told:?}");
}

#[tokio::test]
async fn what_was_asked_for_again_meanwhile_is_not_answered_by_what_was_found_before() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let mut conn = world.database.pool.acquire().await.unwrap();
    let taken = store::promotion::take_replay(&mut conn, Duration::from_secs(60)).await.unwrap().unwrap();
    world.services.ask_replay(&world.contributor, promotion.number, Some(7)).await.unwrap();
    let ended = store::promotion::EndedReplay {
        state: ReplayState::Failed,
        reason: "Too late.".to_owned(),
        about: None,
        found: None,
    };
    assert!(!store::promotion::end_replay(&mut conn, promotion.id, taken.round, &ended).await.unwrap());
    let waits = replay(&world, &promotion).await;
    assert_eq!((waits.state, waits.wanted), (ReplayState::Waiting, 7));
    // The same again changes nothing.
    let again = world.services.ask_replay(&world.admin, promotion.number, Some(7)).await;
    assert_eq!(again.unwrap(), waits);
}

#[tokio::test]
async fn a_replay_waits_while_it_cannot_be_done_here_and_holds_up_no_gate() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    assert!(!world.process_without_engine().await.replay_next().await.unwrap());
    world.silence_artifacts();
    // Another process has loaded nothing yet.
    let other = world.process_with_engine().await;
    assert!(other.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    assert_eq!((told.state, told.found), (ReplayState::Waiting, None));
    assert!(!told.reason.is_empty());
    assert!(!other.replay_next().await.unwrap(), "it rests");
    world.let_artifacts_answer();
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn what_has_ended_is_not_replayed() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap();
    assert!(!world.services.replay_next().await.unwrap());
    let told = replay(&world, &promotion).await;
    let why = "The promotion ended before it was replayed.";
    assert_eq!((told.state, told.reason.as_str()), (ReplayState::Nothing, why));
    let refused = world.services.ask_replay(&world.contributor, promotion.number, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn gates_that_run_again_replay_again_only_for_another_champion_or_candidate() {
    let world = serving().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.95)], 1).await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    assert!(world.services.replay_next().await.unwrap());
    let first = replay(&world, &promotion).await;
    assert_eq!(first.state, ReplayState::Done);
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    assert_eq!(replay(&world, &promotion).await, first);
}

#[tokio::test]
async fn it_is_asked_for_within_bounds_for_what_is_open_and_seen() {
    let world = serving().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let ask = async |rows| world.services.ask_replay(&world.contributor, promotion.number, rows).await;
    for rows in [0, -1, i64::from(MAX_REPLAY_ROWS) + 1, i64::MAX] {
        let refused: Error = ask(Some(rows)).await.unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("rows")), "{rows}");
        assert_eq!(refused.message, "Between 1 and 5000 of the last decisions can be replayed.");
    }
    ask(Some(i64::from(MAX_REPLAY_ROWS))).await.unwrap();
    let unknown = world.services.ask_replay(&world.contributor, 999, None).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::NotFound);

    let new = NewPromotion {
        model: MODEL.to_owned(),
        version,
        environment: "staging".to_owned(),
        comment: String::new(),
        draft: true,
        again: None,
    };
    let draft = world.services.request_promotion(&world.contributor, new).await.unwrap();
    let refused = world.services.ask_replay(&world.contributor, draft.number, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(world.services.promotion_replay(&world.contributor, draft.number).await.unwrap(), None);
}

#[tokio::test]
async fn who_does_not_see_the_environment_sees_neither_predictions_nor_what_was_replayed_of_them() {
    let world = serving().await;
    record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let (promotion, found) = replayed(&world).await;
    assert_eq!(found.examples.len(), 1);
    world
        .meddle("update environments set visible_to = array['approver', 'contributor'] where name = 'production'")
        .await;
    let viewer = world.member(&[Role::Viewer]).await;
    let hidden = world.services.promotion_replay(&viewer, promotion.number).await.unwrap_err();
    let predictions = world.services.predictions(&viewer, PRODUCTION, MODEL, None, 10).await.unwrap_err();
    assert_eq!((hidden.kind, predictions.kind), (ErrorKind::NotFound, ErrorKind::NotFound));
}

#[tokio::test]
async fn examples_go_with_the_predictions_that_they_show() {
    let world = serving().await;
    let recorded = record(&world, &[(flowers(&[0]), labels(&[1]), 200)]).await;
    let (promotion, _) = replayed(&world).await;
    let at: DateTime<Utc> = recorded[0].at;
    world.services.delete_old(at - TimeDelta::seconds(1)).await.unwrap();
    assert_eq!(replay(&world, &promotion).await.examples.len(), 1);
    world.services.delete_old(at + TimeDelta::seconds(1)).await.unwrap();
    let kept = replay(&world, &promotion).await;
    assert_eq!((kept.examples.len(), kept.found.unwrap().all.flips), (0, 1));
}
