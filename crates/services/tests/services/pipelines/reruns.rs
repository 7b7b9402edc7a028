//! Running a run again, from where it failed.

use crate::pipelines::engine::Engine;
use domain::{
    Digest, ErrorKind,
    pipeline_run::{AttemptOutcome, Concurrency, ConcurrencyPolicy, PipelineRunState, RunCause, StepState},
    step::StepOutput,
};
use serde_json::json;
use services::{Given, Rerun, StartedRun};
use std::collections::BTreeMap;

const FILE: &str = "
name: wine
params: { rate: 0.1, place: here }
steps:
  prepare: { command: 'echo > data', outputs: { data: data } }
  train: { command: 'echo $PARAM_RATE', inputs: { data: prepare.data } }
  list: { command: [echo, '${{ params.place }}'] }
  report: { command: 'true', needs: [train, list] }
";

fn again(from: &str, params: &[(&str, serde_json::Value)]) -> Rerun {
    Rerun {
        from: from.parse().unwrap(),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        idempotency_key: None,
    }
}

/// A run whose step `fails` failed; every other step gave on what it says.
async fn run(engine: &Engine, fails: &str) -> i64 {
    let number = engine.run(FILE).await;
    finish(engine, fails).await;
    number
}

async fn finish(engine: &Engine, fails: &str) {
    while let Some(held) = engine.claim().await {
        let output = StepOutput {
            name: "data".to_owned(),
            path: "data".to_owned(),
            kind: None,
            is_folder: false,
            digest: Digest::blake3([7; 32]),
            size: 4,
            value: None,
            version: None,
        };
        let outputs = if held.name == "prepare" { vec![output] } else { Vec::new() };
        let outcome = if held.name == fails { AttemptOutcome::Failed } else { AttemptOutcome::Succeeded };
        engine.end_with(&held, outcome, outputs).await;
    }
}

async fn rerun(engine: &Engine, number: i64, rerun: Rerun) -> StartedRun {
    engine.services.rerun_pipeline_run(&engine.ctx(), number, rerun).await.unwrap()
}

fn states(states: &BTreeMap<String, StepState>) -> String {
    states.iter().map(|(step, state)| format!("{step} {}", state.as_str())).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn from_failed_takes_over_what_succeeded_with_its_outputs() {
    let engine = Engine::start().await;
    let first = run(&engine, "train").await;
    assert_eq!(engine.state(first).await, PipelineRunState::Failed);
    let second = rerun(&engine, first, again("failed", &[])).await.run;
    assert_eq!((second.cause, second.cause_name.as_deref()), (RunCause::Rerun, Some("#1")));
    let steps = engine.steps(second.number).await;
    assert_eq!(states(&steps), "list succeeded, prepare succeeded, report waiting, train ready");
    let detail = engine.detail(second.number).await;
    let prepare = detail.steps.iter().find(|step| step.name == "prepare").unwrap();
    assert_eq!((prepare.carried_from, prepare.reason.as_str(), prepare.attempts), (Some(1), "carried from run #1", 0));
    assert_eq!(prepare.outputs[0].digest, Digest::blake3([7; 32]));
    // What comes after finds the outputs as those of any step.
    let held = engine.claim().await.unwrap();
    assert_eq!(held.name, "train");
    let work = engine
        .services
        .begin_attempt(&held, "http://127.0.0.1", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    let given = work.inputs[0].given().unwrap();
    assert!(matches!(given, Given::One(output) if output.digest == Digest::blake3([7; 32])), "{given:?}");
    engine.end(&held, AttemptOutcome::Failed).await;
    assert_eq!(engine.state(second.number).await, PipelineRunState::Failed);
    // Again: what was carried over twice still names the run in which it ran.
    let third = rerun(&engine, second.number, again("failed", &[])).await.run.number;
    finish(&engine, "nothing").await;
    assert_eq!(engine.state(third).await, PipelineRunState::Succeeded);
    let carried: Vec<_> = engine.detail(third).await.steps.into_iter().filter_map(|step| step.carried_from).collect();
    assert_eq!(carried, [1, 1]);
}

#[tokio::test]
async fn other_params_run_again_whatever_reads_them_and_all_after() {
    let engine = Engine::start().await;
    let first = run(&engine, "nothing").await;
    let second = rerun(&engine, first, again("failed", &[("place", json!("there"))])).await.run;
    assert_eq!(second.params["place"].to_string(), "there");
    let steps = engine.steps(second.number).await;
    assert_eq!(states(&steps), "list ready, prepare succeeded, report waiting, train succeeded");
    let third = rerun(&engine, first, again("report", &[("rate", json!(0.5))])).await.run.number;
    assert_eq!(states(&engine.steps(third).await), "list succeeded, prepare succeeded, report waiting, train ready");
    let all = rerun(&engine, first, again("start", &[])).await.run.number;
    assert_eq!(states(&engine.steps(all).await), "list ready, prepare ready, report waiting, train waiting");
}

#[tokio::test]
async fn what_cannot_be_done_again_is_refused_with_a_reason() {
    let engine = Engine::start().await;
    let number = engine.run(FILE).await;
    let refused = async |from: &str, params: &[(&str, serde_json::Value)]| {
        let error = engine.services.rerun_pipeline_run(&engine.ctx(), number, again(from, params)).await.unwrap_err();
        (error.kind, error.field)
    };
    assert_eq!(refused("failed", &[]).await, (ErrorKind::Conflict, None));
    finish(&engine, "nothing").await;
    assert_eq!(refused("failed", &[]).await, (ErrorKind::Conflict, None));
    assert_eq!(refused("trian", &[]).await, (ErrorKind::Invalid, Some("from".to_owned())));
    assert_eq!(refused("start", &[("speed", json!(1))]).await, (ErrorKind::Invalid, Some("params.speed".to_owned())));
    let gone = engine.services.rerun_pipeline_run(&engine.ctx(), 99, again("start", &[])).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
    let keyed = || Rerun { idempotency_key: Some("k".to_owned()), ..again("start", &[]) };
    let (first, second) = (rerun(&engine, number, keyed()).await, rerun(&engine, number, keyed()).await);
    assert!(first.is_new && !second.is_new && first.run.id == second.run.id);
}

#[tokio::test]
async fn one_that_waits_for_its_turn_begins_with_what_it_took_over() {
    let engine = Engine::start().await;
    let first = run(&engine, "train").await;
    let limit = Concurrency { policy: ConcurrencyPolicy::Queue, limit: 1 };
    engine.services.set_concurrency(&engine.ctx(), "wine", Some(limit)).await.unwrap();
    let busy = engine.again("wine").await.run.number;
    let second = rerun(&engine, first, again("failed", &[])).await.run;
    assert!(second.held_at.is_some());
    assert_eq!(
        states(&engine.steps(second.number).await),
        "list succeeded, prepare succeeded, report waiting, train waiting"
    );
    engine.services.cancel_pipeline_run(&engine.ctx(), busy).await.unwrap();
    while engine.services.see_to_ending().await.unwrap() {}
    assert_eq!(
        states(&engine.steps(second.number).await),
        "list succeeded, prepare succeeded, report waiting, train ready"
    );
    finish(&engine, "nothing").await;
    assert_eq!(engine.state(second.number).await, PipelineRunState::Succeeded);
}
