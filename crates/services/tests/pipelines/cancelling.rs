//! Cancelling a run.

use crate::engine::{Engine, LONG, graph, lease};
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState as S},
};
use services::LetGo;

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
