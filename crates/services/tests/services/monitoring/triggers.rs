//! From an alert to the pipeline that it starts, once.

use crate::monitoring::world::{World, rows};
use domain::{monitor::AlertState, pipeline_run::RunCause};
use futures::future::join_all;
use services::RunFilter;

const DAY: i32 = 86_400;

#[tokio::test]
async fn an_alert_starts_the_pipeline_once_however_often_it_is_seen() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(0, true).await;
    for _ in 0..3 {
        world.shifted().await;
        assert_eq!(world.started().await, 1);
    }
    let alert = world.alerts().await.remove(0);
    let runs = world.services.pipeline_runs(&world.ctx(), &RunFilter::default(), None, 10).await.unwrap().items;
    assert_eq!((runs[0].run.cause, runs[0].run.cause_id.clone()), (RunCause::Trigger, Some(alert.id.to_string())));
    let firings = world.firings(&alert).await;
    assert_eq!((firings.len(), firings[0].pipeline_run_number), (1, Some(runs[0].run.number)));

    // The next alert is another one.
    world.usual().await;
    world.shifted().await;
    assert_eq!(world.started().await, 2);
}

#[tokio::test]
async fn a_trigger_has_a_line_for_what_changed_and_none_for_the_same_again() {
    let world = World::start().await;
    for (cool_down_s, enabled) in [(0, true), (0, true), (DAY, true), (DAY, false), (DAY, false), (0, false), (0, true)]
    {
        world.trigger(cool_down_s, enabled).await;
    }
    let events = world.services.audit_events(&world.ctx(), &[], None, 100).await.unwrap().items;
    let told = events.into_iter().rev().filter(|event| event.action.starts_with("trigger."));
    let told: Vec<String> = told.map(|event| format!("{}: {}", event.action, event.summary)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    trigger.created: let alerts of iris in production start retrain
    trigger.changed: changed how alerts of iris in production start retrain
    trigger.changed: stopped alerts of iris in production from starting retrain
    trigger.changed: changed how alerts of iris in production would start retrain, which is off
    trigger.changed: let alerts of iris in production start retrain
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_that_find_the_same_at_once_start_the_pipeline_once() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(0, true).await;
    for round in 1..=10 {
        for _ in 0..2 {
            world.answer(rows(50, 100.0)).await;
            join_all((0..4).map(|_| world.check())).await;
            assert_eq!(world.started().await, round);
        }
        world.usual().await;
    }
}

#[tokio::test]
async fn a_trigger_that_rests_starts_the_pipeline_when_it_has_rested_and_the_drift_lasts() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(DAY, true).await;
    world.shifted().await;
    world.usual().await;
    for _ in 0..3 {
        world.shifted().await;
    }
    let alert = world.alerts().await.remove(0);
    let held = world.firings(&alert).await.remove(0);
    assert_eq!((held.pipeline_run_id, held.held_back.as_deref()), (None, Some("It fired less than 86400 s ago.")));
    assert_eq!((world.started().await, world.told("trigger.held_back").await), (1, 1));

    world.let_cool_downs_end().await;
    for _ in 0..3 {
        world.shifted().await;
        assert_eq!(world.started().await, 2);
    }
    let fired = world.firings(&alert).await;
    assert_eq!((fired.len(), fired[0].held_back.clone()), (1, None));
    assert!(fired[0].pipeline_run_id.is_some());
    // It rests from when it started something, not from when it held back.
    world.usual().await;
    world.shifted().await;
    assert_eq!(world.started().await, 2);
}

#[tokio::test]
async fn a_trigger_that_held_back_starts_nothing_once_the_drift_is_over_or_it_is_off() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(DAY, true).await;
    world.shifted().await;
    world.usual().await;
    world.shifted().await;
    world.let_cool_downs_end().await;
    world.usual().await;
    assert_eq!((world.started().await, world.alerts().await[0].state), (1, AlertState::Resolved));

    world.meddle("update firings set at = now() where pipeline_run_id is not null").await;
    world.shifted().await;
    world.let_cool_downs_end().await;
    world.trigger(DAY, false).await;
    world.shifted().await;
    assert_eq!(world.started().await, 1);
    world.trigger(DAY, true).await;
    world.shifted().await;
    assert_eq!(world.started().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_that_find_a_trigger_rested_at_once_start_the_pipeline_once() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(DAY, true).await;
    world.shifted().await;
    world.usual().await;
    for round in 2..=8 {
        world.shifted().await;
        assert_eq!(world.started().await, round - 1);
        world.let_cool_downs_end().await;
        world.answer(rows(50, 100.0)).await;
        join_all((0..4).map(|_| world.check())).await;
        assert_eq!(world.started().await, round);
        world.usual().await;
    }
}

#[tokio::test]
async fn a_trigger_whose_pipeline_does_not_take_its_params_starts_it_when_it_does() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(0, true).await;
    world.meddle("update triggers set params = '{\"speed\": 1}'").await;
    world.shifted().await;
    world.shifted().await;
    let alert = world.alerts().await.remove(0);
    let why = world.firings(&alert).await.remove(0).held_back.unwrap();
    assert!(why.contains("speed"), "{why}");
    assert_eq!((world.started().await, world.told("trigger.held_back").await), (0, 1));

    world.meddle("update triggers set params = '{}'").await;
    world.shifted().await;
    assert_eq!(world.started().await, 1);
}

#[tokio::test]
async fn a_trigger_whose_pipeline_misses_something_starts_it_when_that_is_there() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.trigger(0, true).await;
    world.store("name: retrain\nsteps: { train: { command: x, limits: [licence] } }\n").await;
    for _ in 0..2 {
        world.shifted().await;
    }
    let alert = world.alerts().await.remove(0);
    let why = world.firings(&alert).await.remove(0).held_back.unwrap();
    assert!(why.contains("licence"), "{why}");
    assert_eq!((world.started().await, world.told("trigger.held_back").await), (0, 1));

    world.services.set_step_limit(&world.ctx(), "licence", 1).await.unwrap();
    for _ in 0..2 {
        world.shifted().await;
        assert_eq!(world.started().await, 1);
    }
    assert!(world.firings(&alert).await.remove(0).pipeline_run_number.is_some());
}

#[tokio::test]
async fn a_trigger_that_is_made_while_an_alert_is_open_waits_for_the_next() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.shifted().await;
    world.trigger(0, true).await;
    world.shifted().await;
    assert_eq!(world.started().await, 0);
}
