//! Running a run again, from where it failed.

use crate::pipelines::engine::Engine;
use domain::{
    Digest, ErrorKind,
    pipeline_run::{AttemptOutcome, Code, Concurrency, ConcurrencyPolicy, PipelineRunState, RunCause, StepState},
    step::StepOutput,
};
use serde_json::json;
use services::{Given, NewDataset, NewRun, Rerun, StartedRun};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;

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
}

#[tokio::test]
async fn a_request_that_is_sent_again_finds_its_run_and_another_with_its_key_is_refused() {
    let engine = Engine::start().await;
    let number = run(&engine, "train").await;
    let keyed = |rerun: Rerun| Rerun { idempotency_key: Some("k".to_owned()), ..rerun };
    let first = rerun(&engine, number, keyed(again("failed", &[("rate", json!(0.5))]))).await;
    let second = rerun(&engine, number, keyed(again("failed", &[("rate", json!("0.5"))]))).await;
    assert!(first.is_new && !second.is_new && first.run.id == second.run.id);
    let other = rerun(&engine, number, again("start", &[])).await.run.number;
    for (number, other) in [
        (number, again("failed", &[])),
        (number, again("failed", &[("rate", json!(0.6))])),
        (number, again("start", &[("rate", json!(0.5))])),
        (number, again("prepare", &[("rate", json!(0.5))])),
        (other, again("start", &[("rate", json!(0.5))])),
    ] {
        let refused = engine.services.rerun_pipeline_run(&engine.ctx(), number, keyed(other.clone())).await;
        let refused = refused.unwrap_err();
        let found = (refused.kind, refused.field.as_deref());
        assert_eq!(found, (ErrorKind::Conflict, Some("idempotency_key")), "{number}, {other:?}");
    }
    // Many at once start one.
    let engine = Arc::new(engine);
    let mut senders = JoinSet::new();
    for _ in 0..5 {
        let engine = Arc::clone(&engine);
        let again = Rerun { idempotency_key: Some("at once".to_owned()), ..again("failed", &[]) };
        senders.spawn(async move { rerun(&engine, number, again).await.is_new });
    }
    assert_eq!(senders.join_all().await.into_iter().filter(|is_new| *is_new).count(), 1);
}

#[tokio::test]
async fn a_run_again_is_of_the_same_commit_and_uses_the_cache_as_the_first_did() {
    let engine = Engine::start().await;
    engine.store(FILE).await;
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let code = Code {
        repository: None,
        commit: commit.to_owned(),
        branch: None,
        is_dirty: false,
        patch: None,
        left_out: None,
    };
    let new = NewRun { pipeline: "wine".to_owned(), no_cache: true, code: Some((code, None)), ..NewRun::default() };
    let first = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap().run;
    finish(&engine, "train").await;
    for from in ["start", "failed"] {
        let second = rerun(&engine, first.number, again(from, &[])).await.run;
        assert_eq!((&second.code, second.use_cache), (&first.code, false), "{from}");
        assert_eq!(second.code.as_ref().unwrap().commit, commit);
        let held = engine.claim().await.unwrap();
        let facts = domain::worker::Facts::default();
        let work = engine.services.begin_attempt(&held, "http://slipway", &facts).await.unwrap().unwrap();
        assert_eq!(work.invocation.env["SLIPWAY_COMMIT"], commit);
        engine.end(&held, AttemptOutcome::Succeeded).await;
        finish(&engine, "nothing").await;
    }
    let plain = engine.again("wine").await.run.number;
    finish(&engine, "nothing").await;
    assert!(rerun(&engine, plain, again("start", &[])).await.run.use_cache);
}

#[tokio::test]
async fn what_runs_again_beside_carried_steps_takes_the_versions_that_those_took() {
    let engine = Engine::start().await;
    let new = NewDataset { name: "rows".to_owned(), ..NewDataset::default() };
    engine.services.create_dataset(&engine.ctx(), new).await.unwrap();
    let push = async |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rows.csv"), text).unwrap();
        let path = folder.path().to_owned();
        engine.services.make_dataset_version_of(&engine.ctx(), "rows", path, "").await.unwrap();
    };
    push("x\n1\n").await;
    let rows = "inputs: { rows: { dataset: rows } }";
    let file = format!(
        "name: reads\nsteps:\n  prepare: {{ command: x, {rows} }}\n  train: {{ command: x, needs: prepare, {rows} }}\n"
    );
    let first = engine.run(&file).await;
    finish(&engine, "train").await;
    push("x\n2\n").await;
    for (from, number) in [("failed", 1), ("start", 2)] {
        let second = rerun(&engine, first, again(from, &[])).await.run;
        finish(&engine, "nothing").await;
        let taken = engine.services.run_origin(&engine.ctx(), &second).await.unwrap().versions;
        assert_eq!(taken.iter().map(|version| version.number).collect::<Vec<_>>(), [number], "{from}");
    }
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
