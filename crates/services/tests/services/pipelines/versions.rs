//! Versions of datasets and models that steps take and give on.

use crate::pipelines::engine::{Engine, LONG, lease};
use domain::{
    dataset::VersionRef,
    pipeline_run::{AttemptOutcome, PipelineRunState, StepState},
    run::RunStatus,
    step::{StepOutput, StepRef, Versioned},
};
use executors::{ProcessExecutor, Shim, StepDir};
use services::{
    AttemptEnd, Claimed, ErrorKind, FileTrouble, LetGo, NewDataset, NewPipelineTrigger, NewRun, NewTriggerOn,
    RunFilter, Source, StepWork,
};
use std::{collections::BTreeMap, fs};

const TRAINS: &str = "
name: wine
params: { rows: wine-rows }
steps:
  prepare:
    command: 'true'
    outputs:
      rows: { path: rows, type: dataset, name: '${{ params.rows }}' }
  train:
    command: 'true'
    inputs: { rows: prepare.rows }
    outputs:
      scores: { path: scores.json, type: metrics }
      model: { path: model.onnx, type: model, name: wine }
";

const READS: &str = "
name: reads
steps:
  first:
    command: 'true'
    inputs: { data: { dataset: wine-rows } }
  second:
    needs: first
    command: 'true'
    inputs: { data: { dataset: wine-rows } }
";

/// A directory of a try, and what there is to do in it.
async fn begin(engine: &Engine, held: &Claimed) -> (StepDir, StepWork) {
    let executor = ProcessExecutor::new(Shim::at("/nonexistent", &[]), engine.directory.path().join("steps"));
    let dir = executor.prepare(&held.attempt_id.to_string(), BTreeMap::new()).await.unwrap();
    let work = engine
        .services
        .begin_attempt(held, "http://slipway", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    (dir, work)
}

/// What a worker does when the command has ended well.
async fn succeed(engine: &Engine, held: &Claimed, dir: &StepDir, work: &StepWork) -> Option<StepState> {
    let outputs = engine.services.take_outputs(&work.ctx, dir, &work.outputs).await.unwrap();
    engine.services.track_outputs(&work.ctx, held.attempt_id, &work.pipeline, &outputs).await.unwrap();
    engine.end_with(held, AttemptOutcome::Succeeded, outputs).await
}

fn write(dir: &StepDir, path: &str, text: &str) {
    let path = dir.work().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

async fn outputs(engine: &Engine, run: i64, step: &str) -> Vec<StepOutput> {
    engine.services.step(&engine.ctx(), run, step).await.unwrap().outputs
}

async fn push(engine: &Engine, text: &str) -> i32 {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.csv"), text).unwrap();
    let made = engine
        .services
        .make_dataset_version_of(&engine.ctx(), "wine-rows", folder.path().to_owned(), "")
        .await
        .unwrap();
    made.0.number
}

async fn make_dataset(engine: &Engine) {
    let new = NewDataset { name: "wine-rows".to_owned(), ..NewDataset::default() };
    engine.services.create_dataset(&engine.ctx(), new).await.unwrap();
}

#[tokio::test]
async fn outputs_become_versions_with_the_end_of_their_step() {
    let engine = Engine::start().await;
    let run = engine.run(TRAINS).await;
    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "rows/a.csv", "x,y\n1,2\n");
    let taken = engine.services.take_outputs(&work.ctx, &dir, &work.outputs).await.unwrap();
    let version = engine.services.dataset_version(&engine.ctx(), "wine-rows", &VersionRef::Latest).await;
    assert_eq!(version.unwrap_err().kind, ErrorKind::NotFound, "nobody sees it yet");
    engine.end_with(&held, AttemptOutcome::Succeeded, taken).await;
    let version = engine.services.dataset_version(&engine.ctx(), "wine-rows", &VersionRef::Latest).await.unwrap();
    assert_eq!((version.number, version.files, &*version.message), (1, 1, "wine #1, step prepare"));
    assert_eq!(version.author, "Pipelines");
    let lineage = async || {
        engine.services.dataset_version_lineage(&engine.ctx(), "wine-rows", &VersionRef::Number(1), 9).await.unwrap()
    };
    let made_by = StepRef { pipeline: "wine".to_owned(), run, step: "prepare".to_owned() };
    assert_eq!(lineage().await.made_by.as_ref(), Some(&made_by));
    let of_step = outputs(&engine, run, "prepare").await[0].version.clone().unwrap();
    assert_eq!((of_step.of, &*of_step.name, of_step.number), (Versioned::Dataset, "wine-rows", 1));

    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "scores.json", r#"{"accuracy": 0.93, "rows": 120}"#);
    write(&dir, "model.onnx", "no real model");
    assert_eq!(succeed(&engine, &held, &dir, &work).await, Some(StepState::Succeeded));
    let model = engine.services.model_version(&engine.ctx(), "wine", 1).await.unwrap();
    assert_eq!(model.source, "pipeline-runs:/1/train/model");
    let tracked = engine.services.run(&engine.ctx(), model.run_id.unwrap()).await.unwrap();
    assert_eq!(tracked.info.name, "train");
    let metrics: BTreeMap<&str, f64> =
        tracked.metrics.iter().map(|metric| (metric.key.as_str(), metric.value)).collect();
    assert_eq!(metrics, BTreeMap::from([("accuracy", 0.93), ("rows", 120.0)]));
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);

    // The run read what its step took of another, which became a version.
    let mut conn = engine.database.pool.acquire().await.unwrap();
    let read = store::dataset_version::read_by_run(&mut conn, model.run_id.unwrap()).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|one| (one.dataset, one.number, one.id.is_some(), one.called)).collect();
    assert_eq!(read, [("wine-rows".to_owned(), 1, true, None)]);

    // Whoever makes the same again has made no version.
    engine.again("wine").await;
    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "rows/a.csv", "x,y\n1,2\n");
    succeed(&engine, &held, &dir, &work).await;
    assert_eq!(lineage().await.made_by, Some(made_by));

    // The runs of the steps are nested under one of the pipeline run's.
    let parent = tracked.tags["mlflow.parentRunId"].clone();
    let parent = engine.services.run(&engine.ctx(), parent.parse().unwrap()).await.unwrap();
    assert_eq!((&*parent.info.name, parent.info.status), ("wine #1", RunStatus::Finished));
}

#[tokio::test]
async fn a_try_that_was_given_up_makes_no_version() {
    let engine = Engine::start().await;
    engine.run(TRAINS).await;
    let held = engine.claim_as("stopped", LONG).await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "rows/a.csv", "x\n1\n");
    let outputs = engine.services.take_outputs(&work.ctx, &dir, &work.outputs).await.unwrap();
    engine.let_expire(&held).await;
    let grace = std::time::Duration::from_secs(1);
    engine.services.let_go(&lease(&held), &LetGo::Expired(grace)).await.unwrap();
    assert_eq!(engine.end_with(&held, AttemptOutcome::Succeeded, outputs).await, None);
    let page = engine.services.dataset_versions(&engine.ctx(), "wine-rows", None, 10).await.unwrap();
    assert!(page.items.is_empty());
}

#[tokio::test]
async fn all_steps_of_a_run_have_the_same_version_of_a_dataset() {
    let engine = Engine::start().await;
    make_dataset(&engine).await;
    push(&engine, "x\n1\n").await;
    let run = engine.run(READS).await;
    // It is pinned from the beginning, not from when the first step that takes it begins.
    push(&engine, "x\n2\n").await;
    for _ in 0..2 {
        let held = engine.claim().await.unwrap();
        let (dir, work) = begin(&engine, &held).await;
        engine.services.put_inputs(&work.ctx, &dir, &work.inputs).await.unwrap();
        assert_eq!(fs::read_to_string(dir.work().join("inputs/data/rows.csv")).unwrap(), "x\n1\n");
        engine.end(&held, AttemptOutcome::Succeeded).await;
    }
    let attempts = engine.services.step_attempts(&engine.ctx(), run, "second").await.unwrap();
    let taken = &attempts[0].inputs[0];
    assert_eq!((&*taken.from, taken.version.as_ref().unwrap().number), ("dataset wine-rows@latest", 1));
    engine.again("reads").await;
    let held = engine.claim().await.unwrap();
    let (_, work) = begin(&engine, &held).await;
    assert!(matches!(&work.inputs[0].source, Source::Dataset { number: 2, .. }));

    let lineage = engine.services.dataset_version_lineage(&engine.ctx(), "wine-rows", &VersionRef::Number(1), 9).await;
    let lineage = lineage.unwrap();
    let taken: Vec<_> = lineage.taken_by.iter().map(|by| (&*by.pipeline, by.run, by.state)).collect();
    assert_eq!(taken, [("reads", run, PipelineRunState::Succeeded)]);
    assert_eq!(lineage.made_by, None, "somebody pushed it");

    let refused = engine.services.delete_dataset_version(&engine.ctx(), "wine-rows", &VersionRef::Number(1)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "wine-rows@1 was read by pipeline run #1, which could not be reproduced.");
}

#[tokio::test]
async fn a_version_that_misses_something_fails_its_step_with_the_sentence() {
    let engine = Engine::start().await;
    let run = engine.run(TRAINS).await;
    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "rows/a.csv", "x\n");
    let mut outputs = engine.services.take_outputs(&work.ctx, &dir, &work.outputs).await.unwrap();
    // As when what was sent was swept meanwhile.
    outputs[0].version.as_mut().unwrap().digest = Some(domain::Digest::blake3([7; 32]));
    assert_eq!(engine.end_with(&held, AttemptOutcome::Succeeded, outputs).await, Some(StepState::Failed));
    assert!(engine.reason(run, "prepare").await.contains("are not there"), "{}", engine.reason(run, "prepare").await);
    assert_eq!(engine.outcomes(run, "prepare").await, [AttemptOutcome::Failed]);
}

#[tokio::test]
async fn what_a_step_takes_must_be_there_when_the_run_starts() {
    let engine = Engine::start().await;
    engine.store(READS).await;
    let start = async || {
        let new = NewRun { pipeline: "reads".to_owned(), ..NewRun::default() };
        engine.services.start_pipeline_run(&engine.ctx(), new).await
    };
    let refused = start().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(
        refused.message.contains("takes \"data\", which is not there: There is no dataset \"wine-rows\"."),
        "{refused}"
    );
    make_dataset(&engine).await;
    assert!(start().await.unwrap_err().message.contains("no version"));
    push(&engine, "x\n").await;
    start().await.unwrap();

    let model =
        "name: model\nsteps:\n  a:\n    command: 'true'\n    inputs: { m: { model: wine, version: champion } }\n";
    engine.store(model).await;
    let new = NewRun { pipeline: "model".to_owned(), ..NewRun::default() };
    let refused = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_version_that_a_param_names_is_found_when_its_step_begins() {
    let engine = Engine::start().await;
    make_dataset(&engine).await;
    push(&engine, "x\n1\n").await;
    let yaml = "
name: reads
params: { version: { type: string } }
steps:
  a:
    command: 'true'
    inputs: { data: { dataset: wine-rows, version: '${{ params.version }}' } }
";
    engine.store(yaml).await;
    for (version, told) in [("1", None), ("7", Some("There is no version 7"))] {
        let new = NewRun {
            pipeline: "reads".to_owned(),
            params: BTreeMap::from([("version".to_owned(), version.into())]),
            ..NewRun::default()
        };
        engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap();
        let held = engine.claim().await.unwrap();
        let (dir, work) = begin(&engine, &held).await;
        let put = engine.services.put_inputs(&work.ctx, &dir, &work.inputs).await;
        match (put, told) {
            (Ok(()), None) => {}
            (Err(FileTrouble::Step(message)), Some(_)) => assert!(message.contains("is not there"), "{message}"),
            (other, _) => panic!("{version}: {other:?}"),
        }
        engine.end(&held, AttemptOutcome::Failed).await;
    }
}

#[tokio::test]
async fn what_cannot_become_a_version_fails_its_step() {
    let engine = Engine::start().await;
    let run = engine.run(TRAINS).await;
    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "rows/a.csv", "x\n");
    succeed(&engine, &held, &dir, &work).await;
    let held = engine.claim().await.unwrap();
    let (dir, work) = begin(&engine, &held).await;
    write(&dir, "model.onnx", "m");
    for (scores, told) in [
        ("[1]", "The output \"scores\" is no metrics: it must be an object of numbers"),
        (r#"{"a": "b"}"#, "The output \"scores\" is no metrics: \"a\" is no number."),
    ] {
        write(&dir, "scores.json", scores);
        let error = engine.services.take_outputs(&work.ctx, &dir, &work.outputs).await.unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    write(&dir, "scores.json", "{}");
    let mut outputs = engine.services.take_outputs(&work.ctx, &dir, &work.outputs).await.unwrap();
    for output in &mut outputs {
        if let Some(version) = &mut output.version {
            version.name = "no/name".to_owned();
        }
    }
    let end = AttemptEnd {
        outcome: AttemptOutcome::Succeeded,
        reason: String::new(),
        exit_code: Some(0),
        spawned_at: None,
        place: None,
        outputs,
    };
    let state = engine.services.let_go(&lease(&held), &LetGo::Ended(end)).await.unwrap();
    assert_eq!(state, Some(StepState::Failed));
    assert!(engine.reason(run, "train").await.contains("name"), "{}", engine.reason(run, "train").await);
}

/// Plays everything that is ready; the pipeline that trains begins with these rows.
async fn train(engine: &Engine, rows: &str) {
    while let Some(held) = engine.claim().await {
        let (dir, work) = begin(engine, &held).await;
        match &*held.name {
            "prepare" => write(&dir, "rows/a.csv", rows),
            "train" => {
                write(&dir, "scores.json", r#"{"accuracy": 0.93}"#);
                write(&dir, "model.onnx", "no real model");
            }
            _ => {}
        }
        assert_eq!(succeed(engine, &held, &dir, &work).await, Some(StepState::Succeeded));
    }
    while engine.services.see_to_ending().await.unwrap() {}
}

#[tokio::test]
async fn a_reproduction_makes_no_versions_and_starts_nothing() {
    let engine = Engine::start().await;
    let first = engine.run(TRAINS).await;
    train(&engine, "x\n1\n").await;
    engine.store("name: deploys\nsteps: { only: { command: 'true' } }\n").await;
    for on in [
        NewTriggerOn::Pipeline { source: "wine".to_owned(), states: Vec::new() },
        NewTriggerOn::Dataset { dataset: "wine-rows".to_owned() },
    ] {
        let new = NewPipelineTrigger {
            pipeline: "deploys".to_owned(),
            on,
            params: serde_json::Map::new(),
            enabled: true,
            cool_down_s: 0,
        };
        engine.services.set_pipeline_trigger(&engine.ctx(), new).await.unwrap();
    }
    let triggered = async || {
        let filter = RunFilter { pipeline: Some("deploys".to_owned()), ..RunFilter::default() };
        engine.services.pipeline_runs(&engine.ctx(), &filter, None, 10).await.unwrap().items.len()
    };

    let again = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run.number;
    train(&engine, "x\n2\n").await;
    let verdict = engine.detail(again).await.run.verdict.unwrap();
    assert!(verdict.sentence().starts_with("Diverged first in the output rows of prepare"), "{}", verdict.sentence());
    assert_eq!(verdict.outputs, 3, "what is not published is compared all the same");
    let latest = engine.services.dataset_version(&engine.ctx(), "wine-rows", &VersionRef::Latest).await.unwrap();
    assert_eq!(latest.number, 1);
    let second = engine.services.model_version(&engine.ctx(), "wine", 2).await.unwrap_err();
    assert_eq!(second.kind, ErrorKind::NotFound);
    for step in ["prepare", "train"] {
        assert!(outputs(&engine, again, step).await.iter().all(|output| output.version.is_none()), "{step}");
    }
    let attempts = engine.services.step_attempts(&engine.ctx(), again, "train").await.unwrap();
    let tracked = engine.services.run(&engine.ctx(), attempts[0].run_id.unwrap()).await.unwrap();
    assert_eq!(tracked.metrics.len(), 1, "its metrics are logged");
    assert_eq!(triggered().await, 0);

    // Any other run is heard.
    engine.again("wine").await;
    train(&engine, "x\n2\n").await;
    assert_eq!(triggered().await, 2);
    assert_eq!(engine.services.model_version(&engine.ctx(), "wine", 2).await.unwrap().version, 2);
}
