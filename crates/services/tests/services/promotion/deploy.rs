//! From approved to live.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World, metric_gate};
use chrono::Utc;
use domain::{
    audit::ObjectKind,
    deployment::DeploymentState,
    drift::{FeatureDrift, Method, Reason, Verdict},
    monitor::{Check, CheckState},
    promotion::PromotionState,
    webhook::WebhookEvent,
};
use services::{DeploymentFilter, NewWebhook};
use std::time::Duration;

#[tokio::test]
async fn going_live_moves_the_alias_starts_the_monitor_and_is_history_of_all_it_concerns() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.live(version).await;
    let deployment = world.services.deployment(&world.admin, 1).await.unwrap();
    assert_eq!((deployment.state, deployment.promotion_number), (DeploymentState::Live, Some(promotion.number)));
    assert_eq!(Some(&deployment.digest), promotion.subject.as_ref().unwrap().model_digest.as_ref());
    assert!(deployment.live_at.is_some());

    let alias = "select v.version::text from aliases a join model_versions v on v.id = a.model_version_id where alias = 'production'";
    assert_eq!(world.text(alias).await.as_deref(), Some("1"));
    assert_eq!(world.count("select count(*) from alias_moves where alias = 'production'").await, 1);
    assert_eq!(world.count("select count(*) from monitors").await, 1);

    let story = [
        "Person 2 promotion.requested",
        "Slipway promotion.gates_passed",
        "Person 3 promotion.approved",
        "Slipway promotion.agreed",
        "Slipway deployment.started",
        "Slipway promotion.verifying",
        "Slipway deployment.live",
    ];
    let environment = world.environment_id(PRODUCTION).await.to_string();
    for (kind, id) in [
        (ObjectKind::Promotion, promotion.id.to_string()),
        (ObjectKind::ModelVersion, promotion.model_version_id.to_string()),
        (ObjectKind::Model, deployment.model_id.to_string()),
        (ObjectKind::Environment, environment),
    ] {
        assert_eq!(world.history((kind, &id)).await, story, "{kind:?}");
    }
}

#[tokio::test]
async fn webhooks_are_told_when_a_promotion_or_a_rollback_moves_the_alias() {
    let world = World::start().await;
    let new = NewWebhook {
        name: "ci".to_owned(),
        url: "https://1.1.1.1/".to_owned(),
        events: [WebhookEvent::ModelVersionAliasCreated].into(),
        ..NewWebhook::default()
    };
    world.services.create_webhook(&world.admin, new).await.unwrap();
    let (first, second) = (world.version().await, world.version().await);
    world.live(first).await;
    world.live(second).await;
    world.roll_back().await.unwrap();
    let told =
        "select string_agg(body::jsonb -> 'data' ->> 'alias' || ' ' || (body::jsonb -> 'data' ->> 'version'), ', '
                               order by id) from webhook_deliveries";
    assert_eq!(world.text(told).await.as_deref(), Some("production 1, production 2, production 1"));
}

#[tokio::test]
async fn an_environment_that_asks_nobody_deploys_by_itself() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.try_request(version, "staging").await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(world.serving().await, None, "production is another environment");
}

#[tokio::test]
async fn a_newer_version_takes_the_place_of_the_one_that_serves() {
    let world = World::start().await;
    let (first, second) = (world.version().await, world.version().await);
    let first = world.live(first).await;
    world.live(second).await;
    assert_eq!(world.read(&first).await.state, PromotionState::Superseded);
    let all = world.services.deployments(&world.admin, &DeploymentFilter::default(), None, 9).await.unwrap().items;
    let states: Vec<_> = all.iter().map(|d| (d.version, d.state)).collect();
    assert_eq!(states, [(2, DeploymentState::Live), (1, DeploymentState::Retired)]);
    assert!(all[1].retired_at.is_some());
    let live = DeploymentFilter { state: Some(DeploymentState::Live), ..DeploymentFilter::default() };
    assert_eq!(world.services.deployments(&world.admin, &live, None, 9).await.unwrap().items.len(), 1);
    // Of one version, however many came after it.
    let first = DeploymentFilter { model: Some(MODEL.to_owned()), version: Some(1), ..DeploymentFilter::default() };
    let found = world.services.deployments(&world.admin, &first, None, 1).await.unwrap().items;
    assert_eq!(found.iter().map(|d| d.version).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn older_versions_that_are_on_their_way_are_superseded_and_newer_ones_have_another_to_beat() {
    let world = World::start().await;
    let (v1, v2, v3) = (world.version().await, world.version().await, world.version().await);
    let (older, newer) = (world.awaiting(v1).await, world.awaiting(v3).await);
    world.live(v2).await;
    let older = world.read(&older).await;
    assert_eq!((older.state, older.state_reason.as_str()), (PromotionState::Superseded, "iris v2 went live."));
    let newer = world.read(&newer).await;
    assert_eq!(newer.state, PromotionState::Invalidated);
    assert_eq!(newer.state_reason, "Production now serves iris v2.");
    let again = world.awaiting(v3).await;
    assert_eq!(again.subject.unwrap().champion.as_deref(), Some("iris v2"));
}

#[tokio::test]
async fn a_version_that_cannot_be_loaded_fails_and_what_serves_goes_on() {
    let world = World::start().await;
    let first = world.version().await;
    world.live(first).await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 0).await;
    let broken = world.version_of(MODEL, NewVersion { onnx: b"no model".to_vec(), ..NewVersion::default() }).await;
    let promotion = world.request_elsewhere(broken).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Aborted);
    let promotion = world.read(&promotion).await;
    assert!(promotion.state_reason.starts_with("The file is not an ONNX model"), "{}", promotion.state_reason);
    let deployment = world.services.deployment(&world.admin, 2).await.unwrap();
    assert_eq!((deployment.state, deployment.state_reason), (DeploymentState::Failed, promotion.state_reason));
    assert_eq!(world.serving().await, Some(1));
}

#[tokio::test]
async fn a_worker_without_the_engine_leaves_the_deployment_to_another() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    let bare = world.process_without_engine().await;
    for _ in 0..2 {
        assert_eq!(bare.advance_promotion(promotion.id).await.unwrap(), PromotionState::Approved);
    }
    assert!(world.read(&promotion).await.state_reason.contains("make setup"));
    assert_eq!(world.count("select count(*) from deployments").await, 0);
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(world.read(&promotion).await.state_reason, "");
}

#[tokio::test]
async fn a_deployment_waits_while_the_artifact_store_does_not_answer() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    world.silence_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::Deploying);
    assert_eq!(world.read(&promotion).await.state_reason, "Waits to be tried. The artifact store does not answer.");
    // Neither does one without the engine give it up that finds it there.
    let bare = world.process_without_engine().await;
    assert_eq!(bare.advance_promotion(promotion.id).await.unwrap(), PromotionState::Deploying);
    world.let_artifacts_answer();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(world.read(&promotion).await.state_reason, "");
    assert_eq!(world.count("select count(*) from deployments").await, 1);
}

#[tokio::test]
async fn a_version_whose_files_are_gone_fails() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    let version = world.version().await;
    let promotion = world.request_elsewhere(version).await;
    world.empty_artifacts();
    assert_eq!(world.advance(&promotion).await, PromotionState::Aborted);
}

#[tokio::test]
async fn a_deployment_that_has_ended_is_not_moved_again() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    let retired = world.services.deployment(&world.admin, 1).await.unwrap();
    let mut conn = world.database.pool.acquire().await.unwrap();
    for from in [DeploymentState::Deploying, DeploymentState::Live, DeploymentState::Failed] {
        let moved = store::deployment::set_state(&mut conn, retired.id, from, DeploymentState::Failed, "late").await;
        assert!(!moved.unwrap(), "{from:?}");
    }
    assert_eq!(world.services.deployment(&world.admin, 1).await.unwrap(), retired);
}

/// A worker that dies is a future that is dropped: its transaction is rolled back, and nothing else of it is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_may_die_anywhere_and_the_next_one_goes_on() {
    let world = World::start().await;
    for round in 0..10_u64 {
        let version = world.version().await;
        let promotion = world.request(version).await;
        let mut approved = false;
        for turn in 0..200 {
            let services = world.services.clone();
            let id = promotion.id;
            let patience = Duration::from_micros(300 * (turn + round));
            let state = match tokio::time::timeout(patience, services.advance_promotion(id)).await {
                Ok(state) => state.unwrap(),
                Err(_) => world.read(&promotion).await.state,
            };
            if state == PromotionState::AwaitingApproval && !approved {
                let seen = world.read(&promotion).await;
                approved = world.approve(&world.approver, &seen).await.is_ok();
            }
            if state == PromotionState::Live {
                break;
            }
        }
        assert_eq!(world.advance(&promotion).await, PromotionState::Live, "{:?}", world.detail(&promotion).await.gates);
        assert_eq!(world.serving().await, Some(version));
    }
    assert_eq!(world.count("select count(*) from deployments").await, 10, "each was begun once");
    assert_eq!(world.count("select count(*) from alias_moves").await, 10);
}

/// A client that goes away takes its request with it, wherever that stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_leaves_no_transaction_open() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    for turn in 0..300 {
        let patience = Duration::from_micros(5 * turn);
        let asked = world.services.withdraw_promotion(&world.approver, promotion.number);
        let _ = tokio::time::timeout(patience, asked).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in %'";
    while world.count(open).await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "a transaction stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn endpoints_tell_the_traffic_of_the_last_day() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    world
        .meddle(
            "insert into predictions (id, deployment_id, at, status, latency_us, rows, features, output)
             select gen_random_uuid(), d.id, now() - make_interval(mins => 90 * n), case when n = 3 then 503 else 200 end,
                 case when n = 3 then 90000000 else n * 1000 end, 1, '{}', '{}'
             from deployments d, generate_series(1, 100) n
             where d.number = 1 or n <= 2",
        )
        .await;
    let endpoints = world.services.endpoints(&world.admin).await.unwrap();
    assert_eq!(endpoints.len(), 1);
    let (endpoint, traffic) = (&endpoints[0], &endpoints[0].traffic);
    assert_eq!((endpoint.deployment.version, endpoint.previous), (2, Some(1)));
    assert_eq!((endpoint.drift_share, endpoint.drifted), (None, None));
    // Sixteen of the old deployment lie within 24 hours (1.5 h apart, the last exactly on the edge or just beyond).
    assert!(matches!(traffic.requests, 17 | 18), "{traffic:?}");
    assert_eq!((traffic.errors, traffic.series.len()), (1, 24));
    assert_eq!(traffic.series.iter().sum::<i64>(), traffic.requests);
    assert_eq!(traffic.series[22], 2, "ninety minutes ago, of both deployments: {:?}", traffic.series);
    assert!(traffic.p50_ms.unwrap() <= traffic.p99_ms.unwrap());
    assert!(traffic.p99_ms.unwrap() <= 16.0, "a request that was refused has no latency: {traffic:?}");

    world
        .meddle(
            "insert into checks (monitor_id, deployment_id, state, rows, share)
             select m.id, d.id, 'drifted', 100, 0.6 from monitors m, deployments d where d.number = 2",
        )
        .await;
    let endpoint = world.services.endpoints(&world.admin).await.unwrap().remove(0);
    assert_eq!((endpoint.drift_share, endpoint.drifted), (Some(0.6), Some(true)));
}

#[tokio::test]
async fn environments_tell_what_goes_on_there() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.awaiting(v2).await;
    let overview = world.services.environments(&world.contributor).await.unwrap();
    let told: Vec<_> =
        overview.iter().map(|e| (e.environment.name.as_str(), e.live_models, e.open_promotions)).collect();
    assert_eq!(told, [("staging", 0, 0), (PRODUCTION, 1, 1)]);
    assert_eq!(world.services.promotions_awaiting_approval(&world.contributor).await.unwrap(), 1);
    let gauges = world.services.gauges().await.unwrap();
    assert_eq!(gauges.promotions_pending, [(PRODUCTION.to_owned(), 1), ("staging".to_owned(), 0)]);
    assert_eq!((gauges.alerts_open, gauges.drift, gauges.steps_waiting), (0, Vec::new(), Vec::new()));
}

#[tokio::test]
async fn gauges_tell_the_last_check_of_what_serves() {
    let world = World::start().await;
    let monitor = async || world.services.monitor(&world.admin, PRODUCTION, MODEL).await.unwrap();
    let check = async |deployment: i64, score: f64| {
        let live = world.services.deployment(&world.admin, deployment).await.unwrap();
        let of = |name: &str, verdict| FeatureDrift {
            feature: name.to_owned(),
            verdict,
            reference_rows: 400,
            reference_nulls: 0,
            current_rows: 60,
            current_nulls: 0,
            bins: None,
        };
        let scored = Verdict::Scored { method: Method::Wasserstein, score, threshold: 0.1, drifted: true };
        let check = Check {
            at: Utc::now(),
            deployment_id: live.id,
            version: live.version,
            state: CheckState::Drifted,
            reason: "1 of 1 features drifted".to_owned(),
            rows: 60,
            share: Some(1.0),
            features: vec![of("acid", scored), of("sort", Verdict::Inconclusive { reason: Reason::Constant })],
        };
        let monitor = monitor().await;
        let mut conn = world.database.pool.acquire().await.unwrap();
        let key = store::monitor::insert_check(&mut conn, monitor.id, &check).await.unwrap();
        (monitor, key)
    };
    let drift = async || {
        let drift = world.services.gauges().await.unwrap().drift;
        drift.into_iter().map(|told| (told.model, told.version, told.feature, told.score)).collect::<Vec<_>>()
    };
    let told = |version: i32, score: f64| vec![(MODEL.to_owned(), version, "acid".to_owned(), score)];
    let (v1, v2) = (world.version().await, world.version().await);

    world.live(v1).await;
    assert!(drift().await.is_empty());
    check(1, 0.25).await;
    let (monitor, found) = check(1, 0.5).await;
    assert_eq!(drift().await, told(v1, 0.5));
    let deployment = world.services.deployment(&world.admin, 1).await.unwrap();
    let mut conn = world.database.pool.acquire().await.unwrap();
    store::alert::open(&mut conn, &monitor, deployment.id, 1, found, "drift").await.unwrap().unwrap();
    assert_eq!(world.services.gauges().await.unwrap().alerts_open, 1);

    world.live(v2).await;
    assert!(drift().await.is_empty(), "what serves now was not checked yet");
    check(2, 0.125).await;
    assert_eq!(drift().await, told(v2, 0.125));
}
