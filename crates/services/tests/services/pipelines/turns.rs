//! How many runs of a pipeline are open at once, raced.

use crate::pipelines::engine::{Engine, graph};
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome, Concurrency, ConcurrencyPolicy, PipelineRunState, StepState},
};
use services::{NewRun, RunFilter};
use std::sync::Arc;
use tokio::task::JoinSet;

async fn limited(policy: ConcurrencyPolicy, limit: i32) -> Arc<Engine> {
    let engine = Arc::new(Engine::start().await);
    engine.store(&graph(&[("a", &[]), ("b", &["a"])])).await;
    engine.services.set_concurrency(&engine.ctx(), "graph", Some(Concurrency { policy, limit })).await.unwrap();
    engine
}

/// Starts so many runs at once. Tells how many were started.
async fn start_at_once(engine: &Arc<Engine>, count: usize) -> usize {
    let mut starters = JoinSet::new();
    for _ in 0..count {
        let engine = Arc::clone(engine);
        starters.spawn(async move {
            let new = NewRun { pipeline: "graph".to_owned(), ..NewRun::default() };
            match engine.services.start_pipeline_run(&engine.ctx(), new).await {
                Ok(_) => true,
                Err(error) if error.kind == ErrorKind::Conflict => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    starters.join_all().await.into_iter().filter(|started| *started).count()
}

/// The numbers of the open runs that have begun or may, and of those that wait.
async fn open(engine: &Engine) -> (Vec<i64>, Vec<i64>) {
    let runs = engine.services.pipeline_runs(&engine.ctx(), &RunFilter::default(), None, 1000).await.unwrap().items;
    let open = runs.into_iter().map(|summary| summary.run).filter(|run| !run.state.is_final());
    let (held, begun): (Vec<_>, Vec<_>) = open.partition(|run| run.held_at.is_some());
    let numbers = |runs: Vec<domain::pipeline_run::PipelineRun>| runs.into_iter().map(|run| run.number).rev().collect();
    (numbers(begun), numbers(held))
}

async fn see_to_endings(engine: &Engine) {
    while engine.services.see_to_ending().await.unwrap() {}
}

#[tokio::test]
async fn fifty_starts_at_once_keep_to_the_limit_and_all_run_in_turn() {
    let engine = limited(ConcurrencyPolicy::Queue, 3).await;
    assert_eq!(start_at_once(&engine, 50).await, 50);
    let (begun, held) = open(&engine).await;
    assert_eq!((begun.len(), held.len()), (3, 47));
    let waiting = engine.steps(held[0]).await;
    assert!(waiting.values().all(|state| *state == StepState::Waiting), "{waiting:?}");
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0, "one that waits stands as it should");
    // Workers end steps while others look for endings.
    let mut workers = JoinSet::new();
    for worker in 0..4 {
        let engine = Arc::clone(&engine);
        workers.spawn(async move {
            for _ in 0..500 {
                while let Some(held) =
                    engine.claim_as(&format!("worker-{worker}"), crate::pipelines::engine::LONG).await
                {
                    let (begun, _) = open(&engine).await;
                    assert!(begun.len() <= 3, "{begun:?}");
                    engine.end(&held, AttemptOutcome::Succeeded).await;
                    see_to_endings(&engine).await;
                }
                see_to_endings(&engine).await;
                if open(&engine).await.0.is_empty() && open(&engine).await.1.is_empty() {
                    return;
                }
            }
            panic!("runs are left: {:?}", open(&engine).await);
        });
    }
    workers.join_all().await;
    for number in 1..=50 {
        assert_eq!(engine.state(number).await, PipelineRunState::Succeeded, "#{number}");
    }
}

#[tokio::test]
async fn a_queue_goes_by_who_came_first() {
    let engine = limited(ConcurrencyPolicy::Queue, 1).await;
    for _ in 0..3 {
        engine.again("graph").await;
    }
    assert_eq!(open(&engine).await, (vec![1], vec![2, 3]));
    // One that waits is cancelled at once, and the queue goes on without it.
    engine.services.cancel_pipeline_run(&engine.ctx(), 2).await.unwrap();
    assert_eq!(engine.state(2).await, PipelineRunState::Cancelled);
    engine.play(|_| AttemptOutcome::Failed).await;
    see_to_endings(&engine).await;
    assert_eq!(open(&engine).await, (vec![3], vec![]));
    engine.play(|_| AttemptOutcome::Succeeded).await;
    assert_eq!(engine.state(3).await, PipelineRunState::Succeeded);
}

#[tokio::test]
async fn of_fifty_starts_at_once_those_above_the_limit_are_skipped() {
    let engine = limited(ConcurrencyPolicy::Skip, 2).await;
    assert_eq!(start_at_once(&engine, 50).await, 2);
    assert_eq!(open(&engine).await.0.len(), 2);
    engine.play(|_| AttemptOutcome::Succeeded).await;
    assert_eq!(start_at_once(&engine, 1).await, 1);
}

#[tokio::test]
async fn the_newest_of_fifty_replaces_all_others() {
    let engine = limited(ConcurrencyPolicy::Replace, 1).await;
    engine.again("graph").await;
    let running = engine.claim().await.unwrap();
    assert_eq!(start_at_once(&engine, 50).await, 50);
    engine.services.unstick_runs().await.unwrap();
    // What runs is being stopped; nothing begins beside it.
    assert_eq!(open(&engine).await, (vec![1], vec![51]));
    assert_eq!(engine.state(1).await, PipelineRunState::Cancelling);
    engine.end(&running, AttemptOutcome::Cancelled).await;
    see_to_endings(&engine).await;
    assert_eq!(open(&engine).await, (vec![51], vec![]));
    assert!(engine.history(1).await.iter().any(|line| line.contains("a later run replaces it")));
    engine.play(|_| AttemptOutcome::Succeeded).await;
    assert_eq!(engine.state(51).await, PipelineRunState::Succeeded);
    assert_eq!(engine.state(50).await, PipelineRunState::Cancelled);
}

#[tokio::test]
async fn runs_that_wait_begin_when_the_limit_is_taken_away() {
    let engine = limited(ConcurrencyPolicy::Queue, 1).await;
    for _ in 0..3 {
        engine.again("graph").await;
    }
    engine.services.set_concurrency(&engine.ctx(), "graph", None).await.unwrap();
    engine.services.unstick_runs().await.unwrap();
    assert_eq!(open(&engine).await, (vec![1, 2, 3], vec![]));
    assert_eq!(engine.services.concurrency(&engine.ctx(), "graph").await.unwrap(), None);
    let zero = Concurrency { policy: ConcurrencyPolicy::Queue, limit: 0 };
    let refused = engine.services.set_concurrency(&engine.ctx(), "graph", Some(zero)).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("limit"));
}
