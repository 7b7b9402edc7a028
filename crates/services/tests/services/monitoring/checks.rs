//! What is checked, when, and what of it is written.

use crate::monitoring::world::{MODEL, PRODUCTION, World, reference, rows};
use chrono::{TimeDelta, Utc};
use domain::{deployment::DeploymentState, monitor::CheckState};
use serde_json::json;
use services::MonitorChange;

const OFF: MonitorChange = MonitorChange { window_rows: None, min_rows: None, enabled: Some(false), instead_of: None };

#[tokio::test]
async fn traffic_is_checked_once_and_new_traffic_again() {
    let world = World::start().await;
    world.check().await;
    assert!(world.checks().await.is_empty());
    world.answer(rows(50, 0.0)).await;
    world.check().await;
    world.check().await;
    let check = world.checks().await;
    assert_eq!((check.len(), check[0].state), (1, CheckState::Inconclusive));
    assert_eq!((check[0].reason.as_str(), check[0].rows), ("50 rows so far; a check needs 100.", 50));
    world.answer(rows(50, 0.0)).await;
    world.check().await;
    let checks = world.checks().await;
    assert_eq!((checks.len(), checks[0].state, checks[0].rows), (2, CheckState::Ok, 100));
}

#[tokio::test]
async fn a_check_looks_at_the_latest_rows_and_no_more() {
    let world = World::start().await;
    world.change(MonitorChange { window_rows: Some(70), min_rows: Some(70), enabled: None, instead_of: None }).await;
    world.answer(rows(50, 100.0)).await;
    world.answer(rows(50, 0.0)).await;
    world.check().await;
    let check = world.checks().await.remove(0);
    assert_eq!((check.rows, check.features[0].current_rows), (70, 70));
    // 20 rows of the older request are among them.
    assert_eq!(check.state, CheckState::Drifted);
    world.answer(rows(70, 0.0)).await;
    world.check().await;
    assert_eq!(world.checks().await[0].state, CheckState::Ok);
}

#[tokio::test]
async fn a_monitor_that_is_off_does_not_check() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.change(OFF).await;
    world.answer(rows(50, 100.0)).await;
    world.check().await;
    assert!(world.checks().await.is_empty() && world.alerts().await.is_empty());
    world.change(MonitorChange { enabled: Some(true), ..OFF }).await;
    world.check().await;
    assert_eq!(world.checks().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_written_of_a_deployment_that_was_replaced_while_it_was_checked() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.usual().await;
    world.answer(rows(50, 100.0)).await;
    let mut tx = world.database.pool.begin().await.unwrap();
    let (live, from, to) = (world.live().await.id, DeploymentState::Live, DeploymentState::Retired);
    assert!(store::deployment::set_state(&mut tx, live, from, to, "").await.unwrap());
    let replace = async {
        world.until_somebody_waits().await;
        tx.commit().await.unwrap();
    };
    tokio::join!(world.check(), replace);
    assert!(world.checks().await.len() == 1 && world.alerts().await.is_empty());

    // What serves now is checked.
    let version = world.version(&[("reference.csv", &reference())], None).await;
    let live = world.deploy(version).await;
    assert_eq!(world.shifted().await.deployment_id, live);
}

#[tokio::test]
async fn nothing_is_written_of_a_monitor_that_was_turned_off_while_it_checked() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.answer(rows(50, 100.0)).await;
    let mut tx = world.database.pool.begin().await.unwrap();
    sqlx::query("update monitors set enabled = false").execute(&mut *tx).await.unwrap();
    let turn_off = async {
        world.until_somebody_waits().await;
        tx.commit().await.unwrap();
    };
    tokio::join!(world.check(), turn_off);
    assert!(world.checks().await.is_empty() && world.alerts().await.is_empty());
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_hide_what_comes_after() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.answer_at(Utc::now() + TimeDelta::days(1), rows(50, 0.0)).await;
    world.check().await;
    assert_eq!(world.checks().await.len(), 1);
    let checked_up_to: chrono::DateTime<Utc> =
        sqlx::query_scalar("select checked_up_to from monitors").fetch_one(&world.database.pool).await.unwrap();
    assert!(checked_up_to <= Utc::now());
    world.meddle("delete from predictions where at > now()").await;
    world.shifted().await;
    assert_eq!((world.checks().await.len(), world.checks().await[0].state), (2, CheckState::Drifted));
}

#[tokio::test]
async fn a_model_with_more_features_than_can_be_compared_says_so() {
    let world = World::without_model().await;
    let columns: serde_json::Map<_, _> = (0..3000).map(|i| (format!("f{i}"), json!([1, 2]))).collect();
    let file = serde_json::Value::Object(columns).to_string();
    world.deploy(world.version(&[("reference.json", &file)], None).await).await;
    world
        .change(MonitorChange { window_rows: Some(1000), min_rows: Some(1000), enabled: None, instead_of: None })
        .await;
    world.answer(json!({ "f1": [1, 2] })).await;
    world.check().await;
    let check = world.checks().await.remove(0);
    assert_eq!(check.state, CheckState::Inconclusive);
    let sentence = "reference.json has 3000 features: of so many a check reads 699 rows at most, and it needs 1000.";
    assert_eq!(check.reason, sentence);
}

#[tokio::test]
async fn a_model_whose_rows_are_not_recorded_says_so() {
    let world = World::start().await;
    world.answer(json!({})).await;
    world.check().await;
    let check = world.checks().await.remove(0);
    let sentence = "The values of this model's requests are not recorded: a row of them is too large.";
    assert_eq!((check.state, check.reason.as_str()), (CheckState::Inconclusive, sentence));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_monitor_at_once_are_all_kept() {
    let world = World::start().await;
    for round in 0..20 {
        let window = MonitorChange { window_rows: Some(1000 + round), min_rows: None, enabled: None, instead_of: None };
        let least = MonitorChange { window_rows: None, min_rows: Some(100 + round), enabled: None, instead_of: None };
        let enabled = MonitorChange { enabled: Some(round % 2 == 0), ..OFF };
        tokio::join!(world.change(window), world.change(least), world.change(enabled));
        let monitor = world.monitor().await;
        assert_eq!(
            (monitor.window_rows, monitor.min_rows, monitor.enabled),
            (1000 + round, 100 + round, round % 2 == 0)
        );
    }
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_told() {
    let world = World::start().await;
    let monitor = world.monitor().await;
    let same = MonitorChange {
        window_rows: Some(monitor.window_rows),
        min_rows: Some(monitor.min_rows),
        enabled: Some(monitor.enabled),
        instead_of: None,
    };
    for change in [MonitorChange::default(), same] {
        let unchanged = world.services.change_monitor(&world.ctx(), PRODUCTION, MODEL, change).await.unwrap();
        assert_eq!(unchanged, monitor);
    }
    assert_eq!(world.told("monitor.changed").await, 0);
    world.change(OFF).await;
    assert_eq!(world.told("monitor.changed").await, 1);
}
