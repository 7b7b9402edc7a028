//! Who goes first, and how many at once.

use crate::pipelines::engine::{Engine, LONG, lease};
use domain::pipeline_run::{AttemptOutcome as O, PipelineRunState};
use services::{Claimed, LetGo};
use std::collections::BTreeSet;
use store::step::limit;
use tokio::task::JoinSet;

fn wide(count: usize, more: &str) -> String {
    let values: Vec<String> = (0..count).map(|value| value.to_string()).collect();
    format!("name: wide\nsteps:\n  each:\n    matrix: {{ n: [{}] }}\n    command: x\n    {more}\n", values.join(", "))
}

async fn all(engine: &Engine) -> Vec<Claimed> {
    let mut held = Vec::new();
    while let Some(step) = engine.claim().await {
        held.push(step);
    }
    held
}

#[tokio::test]
async fn of_many_instances_only_so_many_run_at_once() {
    let engine = Engine::start().await;
    let run = engine.run(&wide(10, "max_parallel: 3")).await;
    let mut seen = BTreeSet::new();
    let mut held = all(&engine).await;
    while !held.is_empty() {
        assert_eq!(held.len(), 3.min(10 - seen.len()));
        seen.extend(held.iter().map(|step| step.name.clone()));
        // One that is given up frees its place as well as one that ends.
        let given_up = usize::from(seen.len() == 3);
        for step in &held[..given_up] {
            engine.services.let_go(&lease(step), &LetGo::Dead("gone".to_owned())).await.unwrap();
            seen.remove(&step.name);
        }
        for step in &held[given_up..] {
            engine.end(step, O::Succeeded).await;
        }
        held = all(&engine).await;
    }
    assert_eq!((seen.len(), engine.state(run).await), (10, PipelineRunState::Succeeded));
    let left: i64 = sqlx::query_scalar("select count(*) from limits").fetch_one(&engine.database.pool).await.unwrap();
    assert_eq!(left, 0, "the limit is gone with its step");
}

#[tokio::test]
async fn of_many_groups_only_so_many_run_at_once() {
    let engine = Engine::start().await;
    let yaml = "name: groups\nsteps:\n  each:\n    matrix: { n: [1, 2, 3, 4, 5] }\n    max_parallel: 2\n    steps: { one: { command: x } }\n";
    let run = engine.run(yaml).await;
    for left in [5, 3, 1] {
        let held = all(&engine).await;
        assert_eq!(held.len(), left.min(2));
        for step in &held {
            // Also when one fails.
            engine.end(step, if left == 5 { O::Failed } else { O::Succeeded }).await;
        }
    }
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
}

async fn set_tag(engine: &Engine, name: &str, slots: i32) {
    let mut conn = engine.database.pool.acquire().await.unwrap();
    let key = limit::tag_key(engine.workspace.id, name);
    limit::set(&mut conn, &key, "tag", Some(engine.workspace.id), name, slots).await.unwrap();
}

#[tokio::test]
async fn workers_that_race_never_take_more_than_a_limit_has() {
    let engine = Engine::start().await;
    set_tag(&engine, "licences", 3).await;
    set_tag(&engine, "rooms", 2).await;
    engine.run(&wide(24, "limits: [licences, rooms]")).await;
    let mut ended = 0;
    while ended < 24 {
        let mut racing = JoinSet::new();
        for worker in 0..8 {
            let services = engine.services.clone();
            racing.spawn(async move {
                let name = format!("worker-{worker}");
                let executors = [domain::pipeline::ExecutorKind::Process];
                services.claim_step(&name, &name, &["default".to_owned()], &executors, &[], LONG).await.unwrap()
            });
        }
        let held: Vec<Claimed> = racing.join_all().await.into_iter().flatten().collect();
        assert!(!held.is_empty() && held.len() <= 2, "{} hold 2 rooms", held.len());
        let holds: i64 =
            sqlx::query_scalar("select count(*) from limit_holds").fetch_one(&engine.database.pool).await.unwrap();
        assert_eq!(holds, 2 * i64::try_from(held.len()).unwrap());
        let mut ending = JoinSet::new();
        for step in held {
            let services = engine.services.clone();
            ended += 1;
            let lease = lease(&step);
            ending.spawn(async move { services.let_go(&lease, &LetGo::Dead("gone".to_owned())).await.unwrap() });
        }
        ending.join_all().await;
    }
}

#[tokio::test]
async fn a_place_that_one_step_cannot_use_goes_to_the_next() {
    let engine = Engine::start().await;
    set_tag(&engine, "a", 1).await;
    set_tag(&engine, "b", 1).await;
    let yaml = "name: two\nsteps:\n  1-b: { command: x, limits: b }\n  2-a: { command: x, limits: a }\n  3-ab: { command: x, limits: [a, b] }\n  4-a: { command: x, limits: a }\n";
    engine.run(yaml).await;
    let held = all(&engine).await;
    assert_eq!(held.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["1-b", "2-a"]);
    engine.end(&held[1], O::Succeeded).await;
    // The first that waits for `a` waits for `b` as well, which is held.
    assert_eq!(engine.claim().await.unwrap().name, "4-a");
    assert!(engine.claim().await.is_none());
}

#[tokio::test]
async fn a_pool_has_its_limit_and_a_limit_that_is_raised_lets_more_in() {
    let engine = Engine::start().await;
    let key = limit::pool_key("default");
    let mut conn = engine.database.pool.acquire().await.unwrap();
    limit::set(&mut conn, &key, "pool", None, "default", 2).await.unwrap();
    engine.run(&wide(6, "timeout: 1h")).await;
    assert_eq!(all(&engine).await.len(), 2);
    limit::set(&mut conn, &key, "pool", None, "default", 5).await.unwrap();
    engine.services.unblock_steps().await.unwrap();
    assert_eq!(all(&engine).await.len(), 3);
    limit::delete(&mut conn, &key).await.unwrap();
    engine.services.unblock_steps().await.unwrap();
    assert_eq!(all(&engine).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_limit_is_refused_when_a_run_is_started() {
    let engine = Engine::start().await;
    let pipeline = engine.store(&wide(2, "limits: licences")).await.pipeline.name;
    let new = services::NewRun { pipeline, ..services::NewRun::default() };
    let error = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap_err();
    assert_eq!(error.message, "Step \"each\" names the limit \"licences\", which this workspace does not have.");
}

#[tokio::test]
async fn the_higher_priority_goes_first_and_workspaces_take_turns() {
    let engine = Engine::start().await;
    let low = wide(3, "timeout: 1h").replace("name: wide", "name: low\npriority: low");
    let high = wide(2, "timeout: 1h").replace("name: wide", "name: high\npriority: high");
    engine.run(&low).await;
    engine.run(&wide(2, "timeout: 1h")).await;
    engine.run(&high).await;
    let other = engine.run_elsewhere(&wide(2, "timeout: 1h")).await;
    let mut order = Vec::new();
    while let Some(held) = engine.claim().await {
        let (pipeline, workspace): (String, String) = sqlx::query_as(
            "select p.name, w.slug
             from pipeline_runs r
             join pipelines p on p.id = r.pipeline_id
             join workspaces w on w.id = r.workspace_id
             where r.id = $1",
        )
        .bind(held.run_id.0)
        .fetch_one(&engine.database.pool)
        .await
        .unwrap();
        order.push(format!("{pipeline} of {workspace}"));
    }
    let (ours, theirs) = (&engine.workspace.slug, &other.slug);
    let expected = [
        format!("high of {ours}"),
        format!("high of {ours}"),
        // Two of ours run, none of theirs.
        format!("wide of {theirs}"),
        format!("wide of {theirs}"),
        format!("wide of {ours}"),
        format!("wide of {ours}"),
        format!("low of {ours}"),
        format!("low of {ours}"),
        format!("low of {ours}"),
    ];
    assert_eq!(order, expected);
}
