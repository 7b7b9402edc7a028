//! Cancelling a run.

use crate::pipelines::engine::{Engine, LONG, graph, lease};
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState as S},
};
use services::LetGo;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn what_runs_is_told_and_what_has_not_begun_does_not_begin() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &[]), ("c", &["a"])])).await;
    let held = engine.claim().await.unwrap();
    let cancelled = engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert_eq!(cancelled.state, PipelineRunState::Cancelling);
    assert!(engine.claim().await.is_none());
    let renewed = engine.services.renew_leases(&[(held.step_id, held.fence)], LONG).await.unwrap();
    assert!(renewed[0].cancelling);
    // Asking again changes nothing.
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();

    assert_eq!(engine.end(&held, O::Cancelled).await, Some(S::Cancelled));
    assert!(engine.steps(run).await.values().all(|state| *state == S::Cancelled));
    assert_eq!(engine.state(run).await, PipelineRunState::Cancelled);
    insta::assert_snapshot!(engine.history(run).await.join("\n"), @r"
    pipeline_run.started: started graph #1
    pipeline_run.cancelled: cancelled graph #1
    pipeline_run.ended: ended graph #1, which was cancelled
    ");
}

#[tokio::test]
async fn a_run_of_which_nothing_runs_is_cancelled_at_once() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &["a"])])).await;
    let cancelled = engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert_eq!(cancelled.state, PipelineRunState::Cancelled);
    assert!(cancelled.ended_at.is_some());
}

#[tokio::test]
async fn a_step_is_not_tried_again_once_its_run_is_cancelled() {
    for lost in [false, true] {
        let engine = Engine::start().await;
        let run = engine.run("name: r\nsteps:\n  only:\n    command: 'true'\n    retries: 3\n").await;
        let held = engine.claim().await.unwrap();
        engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
        if lost {
            let back = LetGo::GivenBack("its worker stopped".to_owned());
            engine.services.let_go(&lease(&held), &back).await.unwrap();
        } else {
            engine.end(&held, O::Failed).await;
        }
        assert_eq!(engine.state(run).await, PipelineRunState::Cancelled);
    }
}

#[tokio::test]
async fn a_run_that_has_ended_cannot_be_cancelled() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    engine.play(|_| O::Succeeded).await;
    let refused = engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap_err();
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Conflict, "graph #1 has succeeded already."));
}

#[tokio::test]
async fn a_step_that_is_taken_while_its_run_is_cancelled_ends_before_the_run() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &[]), ("c", &["a"])])).await;
    // A worker has taken a step and the database has not said so to anybody yet.
    let mut taking = engine.database.pool.begin().await.unwrap();
    let held = store::step::claim::claim(
        &mut taking,
        "worker",
        "worker",
        &["default".to_owned()],
        &[domain::pipeline::ExecutorKind::Process],
        &[],
        LONG,
    )
    .await;
    let held = held.unwrap().unwrap();
    let (services, ctx) = (engine.services.clone(), engine.ctx());
    let cancelling = tokio::spawn(async move { services.cancel_pipeline_run(&ctx, run).await.unwrap() });
    engine.until_waiting(1).await;
    taking.commit().await.unwrap();

    assert_eq!(cancelling.await.unwrap().state, PipelineRunState::Cancelling);
    assert_eq!(engine.steps(run).await[&held.name], S::Running);
    assert!(engine.claim().await.is_none(), "nothing else is taken");
    let begun = engine
        .services
        .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    assert!(begun.cancelling);
    engine.end(&held, O::Cancelled).await;
    assert_eq!(engine.state(run).await, PipelineRunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_run_ends_while_a_worker_holds_one_of_its_steps_whoever_is_first() {
    let engine = Arc::new(Engine::start().await);
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let steps: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), [].as_slice())).collect();
    engine.store(&graph(&steps)).await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(engine.again("graph").await.run.number);
    }

    let mut racers = JoinSet::new();
    for worker in 0..4 {
        let engine = Arc::clone(&engine);
        racers.spawn(async move {
            let mut held = Vec::new();
            while let Some(step) = engine.claim_as(&format!("worker-{worker}"), LONG).await {
                held.push(step);
            }
            held
        });
    }
    for half in runs.chunks(10) {
        let (engine, half) = (Arc::clone(&engine), half.to_vec());
        racers.spawn(async move {
            for run in half {
                engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
            }
            Vec::new()
        });
    }
    let held = racers.join_all().await.concat();

    for run in &runs {
        let is_held = engine.steps(*run).await.values().any(|state| *state == S::Running);
        let expected = if is_held { PipelineRunState::Cancelling } else { PipelineRunState::Cancelled };
        assert_eq!(engine.state(*run).await, expected, "#{run}");
    }
    for step in &held {
        assert_eq!(engine.end(step, O::Cancelled).await, Some(S::Cancelled));
    }
    for run in &runs {
        assert_eq!(engine.state(*run).await, PipelineRunState::Cancelled, "#{run}");
        assert!(engine.steps(*run).await.values().all(|state| *state == S::Cancelled));
    }
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0);
}
