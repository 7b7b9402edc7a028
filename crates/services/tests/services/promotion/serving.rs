//! What serves, and what it may take: time, room, and space in the database.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World, fixture, metric_gate};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Error, ErrorKind,
    deployment::Prediction,
    id::{PredictionId, TokenId, UserId},
    monitor::{Check, CheckState},
    permission::Scope,
    policy::GateSpec,
    promotion::{PromotionState, Verdict},
};
use futures::FutureExt as _;
use serde_json::{Value, json};
use services::{Limits, LiveEndpoint, NewToken};
use std::{sync::Arc, time::Duration};

/// A model that negates a row as often as it is told, and when its golden rows say so, for ever.
fn endless(golden_rounds: i64) -> NewVersion {
    let golden = json!({ "inputs": asked(golden_rounds)["inputs"], "outputs": { "y": [[1.0, 2.0]] } });
    NewVersion {
        onnx: fixture("endless.onnx"),
        golden: Some(("golden.json", golden.to_string().into_bytes())),
        ..NewVersion::default()
    }
}

/// A request to it.
fn asked(rounds: i64) -> Value {
    json!({ "inputs": [
        { "name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2] },
        { "name": "rounds", "shape": [1], "datatype": "INT64", "data": [rounds] },
    ] })
}

const FOR_EVER: i64 = i64::MAX;

fn short() -> Limits {
    let limit = Duration::from_secs(1);
    Limits { inference: limit, trial: limit, ..Limits::default() }
}

/// A world in which the endless model serves.
async fn serving(limits: Limits) -> (World, Arc<LiveEndpoint>) {
    let world = World::with_limits(limits).await;
    let version = world.version_of(MODEL, endless(2)).await;
    world.live(version).await;
    let endpoint = endpoint(&world).await.unwrap();
    (world, endpoint)
}

async fn endpoint(world: &World) -> Result<Arc<LiveEndpoint>, Error> {
    world.services.endpoint(&world.admin, PRODUCTION, MODEL).await
}

async fn infer(world: &World, endpoint: &Arc<LiveEndpoint>, body: &Value) -> Result<Value, Error> {
    let admitted = world.services.admit(endpoint)?;
    let answer = world.services.infer(admitted, body.to_string().into()).await.answer?;
    Ok(serde_json::to_value(answer).unwrap())
}

async fn recorded(world: &World) -> Vec<Prediction> {
    world.services.flush_predictions().await;
    world.services.predictions(&world.admin, PRODUCTION, MODEL, None, 100).await.unwrap().items
}

#[tokio::test]
async fn golden_rows_that_are_never_answered_are_inconclusive() {
    let world = World::with_limits(short()).await;
    world.set_policy(PRODUCTION, vec![GateSpec::GoldenRow { tolerance: 1e-4 }], 1).await;
    let version = world.version_of(MODEL, endless(FOR_EVER)).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let finding = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    let told = (finding.verdict, finding.reason.as_str());
    assert_eq!(told, (Verdict::Inconclusive, "The model did not answer its golden rows within 1 s."));
}

#[tokio::test]
async fn a_version_that_never_answers_its_golden_rows_is_not_deployed() {
    let world = World::with_limits(short()).await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    let version = world.version_of(MODEL, endless(FOR_EVER)).await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Aborted);
    let reason = world.read(&promotion).await.state_reason;
    assert_eq!(reason, "The model did not answer its golden rows within 1 s.");
}

#[tokio::test]
async fn a_version_that_takes_too_long_to_load_is_inconclusive() {
    let world = World::with_limits(Limits { load: Duration::ZERO, ..Limits::default() }).await;
    world.set_policy(PRODUCTION, vec![GateSpec::GoldenRow { tolerance: 1e-4 }], 1).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let finding = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    let told = (finding.verdict, finding.reason.as_str());
    assert_eq!(told, (Verdict::Inconclusive, "The model could not be loaded within 0 s."));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_refused_recorded_and_makes_room_for_the_next() {
    let (world, endpoint) = serving(short()).await;
    for _ in 0..3 {
        let refused = infer(&world, &endpoint, &asked(FOR_EVER)).await.unwrap_err();
        let text = "Model \"iris\" v1 did not answer within 1 s. Send fewer rows, or try again later.";
        assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Unavailable, text));
    }
    let answer = infer(&world, &endpoint, &asked(3)).await.unwrap();
    assert_eq!(answer["outputs"][0]["data"], json!([-1.0, -2.0]));
    let statuses: Vec<i16> = recorded(&world).await.iter().map(|prediction| prediction.status).collect();
    assert_eq!(statuses, [200, 503, 503, 503]);
}

#[tokio::test]
async fn requests_beyond_the_room_of_a_model_are_refused_before_they_are_read() {
    let (world, endpoint) = serving(Limits { of_model: 2, ..Limits::default() }).await;
    let first = world.services.admit(&endpoint).unwrap();
    let _second = world.services.admit(&endpoint).unwrap();
    let refused = world.services.admit(&endpoint).unwrap_err();
    let text = "Too many requests to model \"iris\" wait for their answer; send this one again in a moment.";
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Unavailable, text));
    drop(first);
    assert!(infer(&world, &endpoint, &asked(1)).await.is_ok());
}

#[tokio::test]
async fn requests_beyond_the_room_of_the_process_are_refused_by_number_and_by_size() {
    let (world, endpoint) = serving(Limits { requests: 2, bytes: 100, ..Limits::default() }).await;
    let mut first = world.services.admit(&endpoint).unwrap();
    let mut second = world.services.admit(&endpoint).unwrap();
    let refused = world.services.admit(&endpoint).unwrap_err();
    assert_eq!(refused.message, "Too many requests to models wait for their answer; send this one again in a moment.");

    first.make_room(40).unwrap();
    first.make_room(60).unwrap();
    second.make_room(40).unwrap();
    assert!(second.make_room(41).unwrap_err().message.starts_with("The requests that are being answered take all"));
    assert!(second.make_room(usize::MAX).is_err());
    drop(first);
    second.make_room(100).unwrap();
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_holds_its_room_until_its_model_is_done() {
    let inference = Duration::from_secs(1);
    let (world, endpoint) = serving(Limits { inference, of_model: 1, ..Limits::default() }).await;
    let admitted = world.services.admit(&endpoint).unwrap();
    // It begins, and its client goes away.
    assert!(world.services.infer(admitted, asked(FOR_EVER).to_string().into()).now_or_never().is_none());
    assert_eq!(world.services.admit(&endpoint).unwrap_err().kind, ErrorKind::Unavailable);
    while let Err(refused) = infer(&world, &endpoint, &asked(1)).await {
        assert_eq!(refused.kind, ErrorKind::Unavailable, "{refused:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_goes_live_here_answers_at_once_though_it_was_just_asked_for_in_vain() {
    let world = World::start().await;
    let version = world.version().await;
    let missing = endpoint(&world).await.unwrap_err();
    assert_eq!(missing.message, "No version of model \"iris\" serves in production. Promote one to it first.");
    let missing = world.services.only_endpoint(&world.admin, PRODUCTION).await.unwrap_err();
    assert_eq!(missing.message, "No model serves in production yet.");
    for missing in [
        world.services.endpoint(&world.admin, "moon", MODEL).await.unwrap_err(),
        world.services.only_endpoint(&world.admin, "moon").await.unwrap_err(),
    ] {
        let told = (missing.kind, missing.message.as_str());
        assert_eq!(told, (ErrorKind::NotFound, "No environment \"moon\" in this workspace."));
    }

    world.live(version).await;
    assert_eq!(endpoint(&world).await.unwrap().version, 1);
    let next = world.version().await;
    world.live(next).await;
    answers(&world, 2).await;
    world.roll_back().await.unwrap();
    answers(&world, 1).await;
    assert_eq!(world.services.only_endpoint(&world.admin, PRODUCTION).await.unwrap().version, 1);
}

/// Waits until this version answers. The one before does while it is being loaded.
async fn answers(world: &World, version: i32) {
    let followed = async {
        while endpoint(world).await.unwrap().version != version {
            world.services.follow_endpoints().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), followed).await.expect("the version answers");
}

#[tokio::test]
async fn a_live_version_whose_files_are_not_those_that_were_deployed_does_not_answer() {
    let world = World::start().await;
    let version = world.version().await;
    world.live(version).await;
    world.unseal_files().await;
    world
        .meddle("update model_version_files set digest = 'blake3:' || repeat('0', 64) where path = 'model.onnx'")
        .await;
    let refused = endpoint(&world).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let text = "Model \"iris\" v1 is to serve in production, but cannot be loaded here: ";
    assert!(refused.message.starts_with(text), "{}", refused.message);
}

#[tokio::test]
async fn many_that_ask_for_a_model_at_once_are_all_answered_by_it() {
    let world = World::start().await;
    let version = world.version().await;
    world.live(version).await;
    let found = futures::future::join_all((0..20).map(|_| endpoint(&world))).await;
    let first = found[0].as_ref().unwrap();
    assert!(found.iter().all(|one| Arc::ptr_eq(one.as_ref().unwrap(), first)));
}

/// A world in which a model serves that takes an age, visits and a plan, which is a text.
async fn with_columns() -> (World, Arc<LiveEndpoint>) {
    let world = World::start().await;
    let columns: Value = serde_json::from_slice(&fixture("columns.json")).unwrap();
    let golden = json!({ "inputs": columns["request"]["inputs"], "outputs": columns["outputs"] });
    let new = NewVersion {
        onnx: fixture("columns.onnx"),
        golden: Some(("golden.json", golden.to_string().into_bytes())),
        ..NewVersion::default()
    };
    let version = world.version_of(MODEL, new).await;
    world.live(version).await;
    let endpoint = endpoint(&world).await.unwrap();
    (world, endpoint)
}

fn people(id: &str, plans: &[&str]) -> Value {
    let rows = plans.len();
    json!({ "id": id, "inputs": [
        { "name": "age", "shape": [rows, 1], "datatype": "FP32", "data": vec![40; rows] },
        { "name": "visits", "shape": [rows, 1], "datatype": "INT64", "data": vec![2; rows] },
        { "name": "plan", "shape": [rows, 1], "datatype": "BYTES", "data": plans },
    ] })
}

#[tokio::test]
async fn a_huge_value_is_recorded_shortened_beside_all_others() {
    let (world, endpoint) = with_columns().await;
    let long = "x".repeat(5 << 20);
    let requests = [people("one", &["pro"]), people("two", &[&long]), people("three", &["basic"])];
    let sent = requests.iter().map(|request| infer(&world, &endpoint, request));
    assert!(futures::future::join_all(sent).await.iter().all(Result::is_ok));

    let mut recorded = recorded(&world).await;
    recorded.sort_by(|one, other| one.request_id.cmp(&other.request_id));
    let ids: Vec<_> = recorded.iter().map(|prediction| prediction.request_id.clone().unwrap()).collect();
    assert_eq!(ids, ["one", "three", "two"]);
    assert_eq!(recorded[0].features["plan"], json!(["pro"]));
    let plan = recorded[2].features["plan"][0].as_str().unwrap();
    assert!(plan.len() < 2000 && plan.ends_with("x…"), "{plan}");
}

#[tokio::test]
async fn a_prediction_that_cannot_be_written_takes_no_other_with_it() {
    let (world, endpoint) = with_columns().await;
    world.meddle("alter table predictions add constraint not_two check (rows <> 2)").await;
    // While the first one waits for the table, the others come together.
    let mut held = world.database.pool.begin().await.unwrap();
    sqlx::query("lock table predictions in exclusive mode").execute(&mut *held).await.unwrap();
    for plans in [&["pro"][..], &["pro", "pro"], &["pro", "pro", "pro"], &["basic"]] {
        infer(&world, &endpoint, &people("a", plans)).await.unwrap();
    }
    held.commit().await.unwrap();
    let mut rows: Vec<i32> = recorded(&world).await.iter().map(|prediction| prediction.rows).collect();
    rows.sort_unstable();
    assert_eq!(rows, [1, 1, 3]);
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

#[tokio::test]
async fn old_predictions_are_deleted_the_oldest_first() {
    let (world, endpoint) = serving(Limits::default()).await;
    let made = |at: DateTime<Utc>| {
        let at_id =
            uuid::Timestamp::from_unix(uuid::NoContext, at.timestamp().unsigned_abs(), at.timestamp_subsec_nanos());
        Prediction {
            id: PredictionId(uuid::Uuid::new_v7(at_id)),
            request_id: None,
            deployment_id: endpoint.deployment_id,
            version: 1,
            at,
            status: 200,
            latency_us: 1,
            rows: 1,
            features: json!({}),
            output: json!({}),
        }
    };
    let mut conn = world.database.pool.acquire().await.unwrap();
    store::prediction::insert(&mut conn, &[40, 31, 29, 50, 1].map(|days| made(days_ago(days)))).await.unwrap();
    let mut delete = async || store::prediction::delete_before(&mut conn, days_ago(30), 2).await.unwrap();
    assert_eq!([delete().await, delete().await, delete().await], [2, 1, 0]);
    let left: Vec<i64> = recorded(&world).await.iter().map(|p| (Utc::now() - p.at).num_days()).collect();
    assert_eq!(left, [1, 29]);
}

#[tokio::test]
async fn old_checks_are_deleted_but_those_of_alerts_and_the_last_one() {
    let (world, endpoint) = serving(Limits::default()).await;
    let monitor = world.services.monitor(&world.admin, PRODUCTION, MODEL).await.unwrap();
    let mut conn = world.database.pool.acquire().await.unwrap();
    for days in [90, 80, 70, 60] {
        let check = Check {
            at: days_ago(days),
            deployment_id: endpoint.deployment_id,
            version: 1,
            state: CheckState::Drifted,
            reason: days.to_string(),
            rows: 100,
            share: None,
            features: Vec::new(),
        };
        let key = store::monitor::insert_check(&mut conn, monitor.id, &check).await.unwrap();
        if days == 80 {
            let deployment = endpoint.deployment_id;
            store::alert::open(&mut conn, &monitor, deployment, 1, key, "drift").await.unwrap().unwrap();
        }
    }
    assert_eq!(store::monitor::delete_checks_before(&mut conn, days_ago(85), 100).await.unwrap(), 1);
    assert_eq!(store::monitor::delete_checks_before(&mut conn, days_ago(30), 100).await.unwrap(), 1);
    let left = store::monitor::checks(&mut conn, monitor.id, None, 100).await.unwrap();
    assert_eq!(left.iter().map(|(_, check)| check.reason.as_str()).collect::<Vec<_>>(), ["60", "80"]);
}

#[tokio::test]
async fn tokens_that_ended_long_ago_are_deleted() {
    let world = World::without_engine().await;
    let person = world.admin.user().unwrap().clone();
    let token = async |name: &str| {
        let new = NewToken { name: name.to_owned(), scope: Scope::Read, days: Some(1) };
        world.services.create_token_for(&person.email, new).await.unwrap().token.id
    };
    let (expired, revoked, works) = (token("expired").await, token("revoked").await, token("works").await);
    world.meddle("update tokens set expires_at = now() - interval '40 days' where name = 'expired'").await;
    world.meddle("update tokens set revoked_at = now() - interval '35 days' where name = 'revoked'").await;
    let delete = async |days: i64| {
        let mut conn = world.database.pool.acquire().await.unwrap();
        store::token::delete_ended_before(&mut conn, days_ago(days), 100).await.unwrap()
    };
    let left = async || tokens_of(&world, person.id).await;
    assert_eq!((delete(50).await, left().await), (0, vec![expired, revoked, works]));
    assert_eq!((delete(38).await, left().await), (1, vec![revoked, works]));
    assert_eq!((delete(30).await, left().await), (1, vec![works]));
}

async fn tokens_of(world: &World, user: UserId) -> Vec<TokenId> {
    sqlx::query_scalar("select id from tokens where user_id = $1 order by id")
        .bind(user)
        .fetch_all(&world.database.pool)
        .await
        .unwrap()
}
