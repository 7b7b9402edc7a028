//! From drift to an alert and back.

use crate::monitoring::world::{MODEL, PRODUCTION, World, rows};
use domain::{
    audit::ObjectKind,
    monitor::{AlertState, CheckState},
};
use futures::future::join_all;
use store::event::Listener;

#[tokio::test]
async fn drift_opens_one_alert_which_ends_when_the_traffic_is_back() {
    let world = World::start().await;
    world.watch_fifty().await;
    let check = world.usual().await;
    assert_eq!((check.state, check.rows, check.version, check.share), (CheckState::Ok, 50, 1, Some(0.0)));
    assert!(world.alerts().await.is_empty());

    let check = world.shifted().await;
    assert_eq!((check.state, check.reason.as_str()), (CheckState::Drifted, "2 of 2 features drifted"));
    let opened = world.alerts().await.remove(0);
    assert_eq!((opened.model.as_str(), opened.environment.as_str(), opened.version), (MODEL, PRODUCTION, 1));
    assert_eq!((opened.state, opened.summary.as_str()), (AlertState::Open, "2 of 2 features drifted"));

    world.shifted().await;
    let seen = world.alerts().await;
    assert_eq!((seen.len(), seen[0].id, seen[0].opened_at), (1, opened.id, opened.opened_at));
    assert!(seen[0].last_seen_at > opened.last_seen_at);

    world.usual().await;
    let ended = world.alerts().await.remove(0);
    assert_eq!(
        (ended.id, ended.state, ended.handled_by.as_deref()),
        (opened.id, AlertState::Resolved, Some("Slipway"))
    );

    world.shifted().await;
    assert_eq!(world.alerts().await[0].number, opened.number + 1);
    assert_eq!((world.told("alert.opened").await, world.told("alert.resolved").await), (2, 1));
}

#[tokio::test]
async fn an_acknowledged_alert_ends_by_itself_as_well() {
    let world = World::start().await;
    world.watch_fifty().await;
    world.shifted().await;
    world.services.handle_alert(&world.ctx(), 1, AlertState::Acknowledged).await.unwrap();
    world.shifted().await;
    assert_eq!(world.alerts().await[0].state, AlertState::Acknowledged);
    world.usual().await;
    assert_eq!(world.alerts().await[0].state, AlertState::Resolved);
    let monitor = world.monitor().await;
    let (id, model, environment) =
        (monitor.id.to_string(), monitor.model_id.to_string(), monitor.environment_id.to_string());
    let (model, environment) = ((ObjectKind::Model, model.as_str()), (ObjectKind::Environment, environment.as_str()));
    for objects in [&[(ObjectKind::Monitor, id.as_str())][..], &[model], &[environment], &[model, environment]] {
        let told = world.services.audit_events(&world.ctx(), objects, None, 3).await.unwrap();
        let told: Vec<&str> = told.items.iter().map(|event| event.action.as_str()).collect();
        assert_eq!(told, ["alert.resolved", "alert.acknowledged", "alert.opened"], "{objects:?}");
    }
    // What concerns the one and not the other is no part of their history together.
    let none = [model, (ObjectKind::Environment, "elsewhere")];
    assert!(world.services.audit_events(&world.ctx(), &none, None, 3).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn open_pages_are_told_of_an_alert_that_opens_is_seen_again_and_ends() {
    let world = World::start().await;
    world.watch_fifty().await;
    let monitor = world.monitor().await;
    let mut listener = Listener::open(&world.database.pool).await.unwrap();
    // Up to the topic that every check tells last.
    let mut told = async || {
        let (last, mut told) = (format!("monitor:{}", monitor.id), Vec::new());
        loop {
            let topic = listener.next().await.unwrap().unwrap();
            if topic == last {
                return told;
            }
            told.push(topic);
        }
    };
    let alerts = [format!("alerts:{}", monitor.workspace_id)];
    world.usual().await;
    assert_eq!(told().await, [""; 0]);
    for by in [100.0, 100.0, 0.0] {
        world.answer(rows(50, by)).await;
        world.check().await;
        assert_eq!(told().await, alerts, "{by}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_that_find_the_same_at_once_open_one_alert() {
    let world = World::start().await;
    world.watch_fifty().await;
    for round in 1..=10 {
        world.answer(rows(50, 100.0)).await;
        join_all((0..4).map(|_| world.check())).await;
        assert_eq!(world.alerts().await.len(), round);
        world.usual().await;
        assert_eq!(world.checks().await.len(), 2 * round);
    }
}
