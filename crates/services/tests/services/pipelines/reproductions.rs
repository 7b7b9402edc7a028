//! What a run is made of, and doing it again from that alone.

use crate::pipelines::engine::Engine;
use domain::{
    Digest,
    log_batch::{LogBatch, RawMetric},
    pipeline::{ExecutorKind, OutputKind},
    pipeline_run::{AttemptOutcome, Code, PipelineRun, RunCause, Sameness},
    step::StepOutput,
    values::MetricValue,
    worker::Facts,
};
use serde_json::{Value, json};
use services::{
    AttemptEnd, Claimed, ErrorKind, Lease, LetGo, NewDataset, NewExperiment, NewExperimentRun, NewRun, PipelineFile,
    Place, Rerun, StoredPipeline,
};
use std::{collections::BTreeMap, fs, time::Duration};

const TRAINS: &str = "
name: wine
params: { rounds: 100 }
seed: 7
steps:
  prepare:
    command: 'true'
    inputs: { raw: { dataset: wine-raw } }
    outputs:
      rows: rows.csv
      log: { path: log.txt, varies: true }
  train:
    command: 'true'
    inputs: { rows: prepare.rows }
    outputs: { scores: { path: scores.json, type: metrics, tolerance: 0.01 } }
";

/// What the steps of a run write.
#[derive(Clone, Copy)]
struct Written<'a> {
    rows: &'a str,
    accuracy: f64,
}

const FIRST: Written<'_> = Written { rows: "a,b", accuracy: 0.9 };

fn output(name: &str, content: &str, kind: Option<OutputKind>, value: Option<Value>) -> StepOutput {
    StepOutput {
        name: name.to_owned(),
        path: name.to_owned(),
        kind,
        is_folder: false,
        digest: Digest::blake3(blake3::hash(content.as_bytes()).into()),
        size: i64::try_from(content.len()).unwrap(),
        value,
        version: None,
    }
}

async fn finish(engine: &Engine, written: Written<'_>, nonce: &str) {
    while let Some(held) = engine.claim().await {
        end(engine, &held, written, nonce).await;
    }
    while engine.services.see_to_ending().await.unwrap() {}
}

async fn end(engine: &Engine, held: &Claimed, written: Written<'_>, nonce: &str) {
    engine.services.begin_attempt(held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
    engine.end_with(held, AttemptOutcome::Succeeded, given(held, written, nonce)).await;
}

/// What a step gives on.
fn given(held: &Claimed, written: Written<'_>, nonce: &str) -> Vec<StepOutput> {
    if held.name == "prepare" {
        vec![output("log", nonce, Some(OutputKind::File), None), output("rows", written.rows, None, None)]
    } else {
        let scores = json!({ "accuracy": written.accuracy });
        vec![output("scores", &scores.to_string(), Some(OutputKind::Metrics), Some(scores.clone()))]
    }
}

async fn engine() -> Engine {
    let engine = Engine::start().await;
    let new = NewDataset { name: "wine-raw".to_owned(), ..NewDataset::default() };
    engine.services.create_dataset(&engine.ctx(), new).await.unwrap();
    push(&engine, "x\n1\n").await;
    engine
}

async fn push(engine: &Engine, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("raw.csv"), text).unwrap();
    let path = folder.path().to_owned();
    engine.services.make_dataset_version_of(&engine.ctx(), "wine-raw", path, "").await.unwrap();
}

async fn reproduce(engine: &Engine, number: i64, written: Written<'_>) -> PipelineRun {
    let run = engine.services.reproduce_pipeline_run(&engine.ctx(), number, None).await.unwrap().run;
    finish(engine, written, "another time").await;
    engine.detail(run.number).await.run
}

#[tokio::test]
async fn a_run_that_comes_to_the_same_is_reproduced() {
    let engine = engine().await;
    let first = engine.run(TRAINS).await;
    finish(&engine, FIRST, "one time").await;
    // What is the latest now is not what it was.
    push(&engine, "x\n2\n").await;

    let run = reproduce(&engine, first, FIRST).await;
    assert_eq!((run.cause, run.reproduces, run.use_cache), (RunCause::Reproduction, Some(first), false));
    let verdict = run.verdict.unwrap();
    assert_eq!((verdict.sameness, verdict.steps, verdict.outputs), (Sameness::Identical, 2, 2));
    let record = engine.services.pipeline_run_record(&engine.ctx(), run.number, None).await.unwrap();
    assert_eq!((record.seed, record.versions[0].number), (7, 1), "from the record, not from what is the latest");
    let of_first = engine.services.reproductions(&engine.ctx(), first).await.unwrap();
    assert_eq!(of_first.iter().map(|run| run.number).collect::<Vec<_>>(), [run.number]);
    let history = engine.history(first).await;
    assert_eq!(
        history.last().unwrap(),
        "pipeline_run.reproduced: wine #2 did wine #1 again: Reproduced, byte for byte."
    );
}

#[tokio::test]
async fn numbers_may_differ_as_the_file_says() {
    let engine = engine().await;
    let first = engine.run(TRAINS).await;
    finish(&engine, FIRST, "one time").await;
    let run = reproduce(&engine, first, Written { accuracy: 0.905, ..FIRST }).await;
    let verdict = run.verdict.unwrap();
    assert_eq!(verdict.sameness, Sameness::WithinTolerance);
    assert_eq!(verdict.sentence(), "Reproduced within the tolerance.");
    assert!(verdict.differences[0].how.contains("accuracy: 0.9 before, 0.905 now (0.552 % apart)."));

    let run = reproduce(&engine, first, Written { accuracy: 0.8, ..FIRST }).await;
    let verdict = run.verdict.unwrap();
    assert_eq!(
        verdict.sentence(),
        "Diverged first in the output scores of train: accuracy: 0.9 before, 0.8 now (11.111 % apart)."
    );
}

const REPORTS: &str = "
name: nightly
files: { report.ipynb: '{}' }
steps: { report: { notebook: report.ipynb } }
";

/// A notebook of one cell, executed at a second past noon.
fn executed(second: u32, said: &str) -> Value {
    json!({ "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{
        "cell_type": "code", "id": "a", "source": "print(score)", "execution_count": second,
        "metadata": { "execution": { "iopub.status.busy": format!("2026-11-01T12:00:{second:02}Z") } },
        "outputs": [{ "output_type": "stream", "name": "stdout", "text": said }],
    }] })
}

async fn report(engine: &Engine, notebook: &Value) {
    let held = engine.claim().await.unwrap();
    engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
    let artifacts = artifacts::Artifacts::open_dir(engine.directory.path().join("artifacts")).await.unwrap();
    let bytes = notebook.to_string().into_bytes();
    let size = i64::try_from(bytes.len()).unwrap();
    let digest = artifacts.put_bytes(bytes).await.unwrap().digest;
    let given =
        StepOutput { path: "executed/report.ipynb".to_owned(), digest, size, ..output("notebook", "", None, None) };
    engine.end_with(&held, AttemptOutcome::Succeeded, vec![given]).await;
    while engine.services.see_to_ending().await.unwrap() {}
}

#[tokio::test]
async fn executed_notebooks_are_the_same_when_their_cells_are() {
    let engine = Engine::start().await;
    let first = engine.run(REPORTS).await;
    report(&engine, &executed(1, "0.97\n")).await;
    for (again, sameness, how) in [
        (executed(1, "0.97\n"), Sameness::Identical, None),
        (
            executed(2, "0.97\n"),
            Sameness::WithinTolerance,
            Some("The same cells, and the same came of them; only when they ran is other."),
        ),
        (executed(1, "0.96\n"), Sameness::Diverged, Some("Cell 1 (\"print(score)\") has other outputs.")),
        (json!([]), Sameness::Diverged, Some("2 bytes now")),
    ] {
        let run = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run;
        report(&engine, &again).await;
        let verdict = engine.detail(run.number).await.run.verdict.unwrap();
        assert_eq!(verdict.sameness, sameness);
        let told = verdict.differences.first().map(|difference| difference.how.as_str());
        assert!(told.unwrap_or_default().contains(how.unwrap_or_default()), "{told:?}");
        assert_eq!(told.is_some(), how.is_some());
    }
}

#[tokio::test]
async fn the_first_step_that_diverged_is_named() {
    let engine = engine().await;
    let first = engine.run(TRAINS).await;
    finish(&engine, FIRST, "one time").await;
    let run = reproduce(&engine, first, Written { rows: "a,b,c", accuracy: 0.1 }).await;
    let verdict = run.verdict.unwrap();
    assert_eq!(verdict.sameness, Sameness::Diverged);
    let first = verdict.first.unwrap();
    assert_eq!((&*first.step, first.output.as_deref()), ("prepare", Some("rows")));
    assert_eq!(first.how, "3 bytes before, 5 bytes now.");
    assert_eq!(verdict.differences.len(), 2);
}

#[tokio::test]
async fn a_run_that_goes_on_or_was_cancelled_cannot_be_reproduced() {
    let engine = engine().await;
    let run = engine.run(TRAINS).await;
    let refused = engine.services.reproduce_pipeline_run(&engine.ctx(), run, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "wine #1 has not come to an end that could be reproduced: it is queued.");
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert!(engine.services.reproduce_pipeline_run(&engine.ctx(), run, None).await.is_err());
    let unknown = engine.services.reproduce_pipeline_run(&engine.ctx(), 77, None).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_same_key_reproduces_once() {
    let engine = engine().await;
    let first = engine.run(TRAINS).await;
    finish(&engine, FIRST, "one time").await;
    let one = engine.services.reproduce_pipeline_run(&engine.ctx(), first, Some("k")).await.unwrap();
    let other = engine.services.reproduce_pipeline_run(&engine.ctx(), first, Some("k")).await.unwrap();
    assert!(one.is_new && !other.is_new);
    assert_eq!(one.run.number, other.run.number);
    let refused = engine.services.reproduce_pipeline_run(&engine.ctx(), one.run.number, Some("k")).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_record_says_what_cannot_be_found_again() {
    let engine = engine().await;
    let number = engine.run(TRAINS).await;
    finish(&engine, FIRST, "one time").await;
    let record = engine.services.pipeline_run_record(&engine.ctx(), number, None).await.unwrap();
    let told: Vec<&str> = record.caveats.iter().map(|caveat| caveat.reason.as_str()).collect();
    assert!(told[0].starts_with("No commit is known"), "{told:?}");
    assert_eq!(told[1], "It is not known which packages its worker had.");
    assert_eq!(record.steps.len(), 2);
    assert_eq!(record.steps[1].inputs[0].from, "prepare.rows");

    let code = Code {
        repository: Some("https://name:secret@git.example/wine.git".to_owned()),
        commit: "0123456789abcdef".to_owned(),
        branch: Some("main".to_owned()),
        is_dirty: true,
        patch: None,
        left_out: None,
    };
    let new = |patch: Option<Vec<u8>>| NewRun {
        pipeline: "wine".to_owned(),
        code: Some((code.clone(), patch)),
        ..NewRun::default()
    };
    let start = async |patch| {
        let started = engine.services.start_pipeline_run(&engine.ctx(), new(patch)).await.unwrap();
        engine.services.pipeline_run_record(&engine.ctx(), started.run.number, None).await.unwrap()
    };
    let record = start(Some(b"diff --git a/x b/x\n".to_vec())).await;
    let known = record.code.unwrap();
    assert_eq!(known.repository.as_deref(), Some("https://git.example/wine.git"));
    assert!(known.patch.is_some() && record.caveats.is_empty());
    let patch = engine.services.pipeline_run_patch(&engine.ctx(), record.run).await.unwrap();
    assert_eq!(patch, b"diff --git a/x b/x\n");
    let record = start(None).await;
    assert!(record.caveats[0].reason.ends_with("what was changed was not kept."));
    let nothing = engine.services.pipeline_run_patch(&engine.ctx(), record.run).await.unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::NotFound);
    let large = engine.services.start_pipeline_run(&engine.ctx(), new(Some(vec![b'a'; 2 << 20]))).await.unwrap_err();
    assert_eq!(large.kind, ErrorKind::Invalid);
}

const LOGS: &str = "
name: logs
steps:
  train:
    command: 'true'
    outputs: { log: { path: log.txt, varies: true } }
    metrics: { tolerance: 0.01, varies: ['*_seconds'] }
";

/// Plays a run of a step that logs these metrics to a tracked run, as with the MLflow client, unless there are none.
async fn log(engine: &Engine, metrics: &[(&str, f64)], nonce: &str) {
    let held = engine.claim().await.unwrap();
    let work = engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
    if !metrics.is_empty() {
        let experiment_id = match engine.services.experiment_by_name(&engine.ctx(), "logs").await {
            Ok(known) => known.id,
            Err(_) => {
                let new = NewExperiment { name: "logs".to_owned(), ..NewExperiment::default() };
                engine.services.create_experiment(&work.ctx, new).await.unwrap().id
            }
        };
        let new = NewExperimentRun { experiment_id, ..NewExperimentRun::default() };
        let run = engine.services.create_run(&work.ctx, new).await.unwrap().0.info.id;
        let raw = |(key, value): &(&str, f64)| RawMetric {
            key: (*key).to_owned(),
            value: MetricValue::new(*value),
            timestamp: 1,
            ..RawMetric::default()
        };
        let batch = LogBatch::parse(&metrics.iter().map(raw).collect::<Vec<_>>(), &[], &[]).unwrap();
        engine.services.log_batch(&work.ctx, run, &batch).await.unwrap();
    }
    let outputs = vec![output("log", nonce, Some(OutputKind::File), None)];
    engine.end_with(&held, AttemptOutcome::Succeeded, outputs).await;
    while engine.services.see_to_ending().await.unwrap() {}
}

#[tokio::test]
async fn what_steps_log_is_compared_too() {
    let engine = Engine::start().await;
    let first = engine.run(LOGS).await;
    log(&engine, &[("f1", 0.9), ("fit_seconds", 3.1), ("system/cpu", 40.0)], "one time").await;
    let again = async |metrics: &[(&str, f64)]| {
        let run = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run;
        log(&engine, metrics, "another time").await;
        engine.detail(run.number).await.run.verdict.unwrap()
    };
    let verdict = again(&[("f1", 0.9), ("fit_seconds", 7.0), ("system/cpu", 90.0)]).await;
    assert_eq!((verdict.sameness, verdict.steps, verdict.outputs, verdict.metrics), (Sameness::Identical, 1, 0, 1));
    assert_eq!(again(&[("f1", 0.905)]).await.sameness, Sameness::WithinTolerance);
    let verdict = again(&[("f1", 0.5)]).await;
    assert_eq!(verdict.sentence(), "Diverged first in the metric f1 of train: 0.9 before, 0.5 now (44.444 % apart).");
    assert_eq!(
        again(&[]).await.sentence(),
        "Diverged first in train: It logged the tracked run train before, and not again."
    );
}

#[tokio::test]
async fn a_run_of_which_nothing_can_be_compared_is_not_called_the_same() {
    let engine = Engine::start().await;
    let first = engine.run(LOGS).await;
    log(&engine, &[], "one time").await;
    let run = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run;
    log(&engine, &[], "another time").await;
    let verdict = engine.detail(run.number).await.run.verdict.unwrap();
    assert_eq!((verdict.sameness, verdict.outputs, verdict.metrics), (Sameness::NothingToCompare, 0, 0));
    assert!(verdict.sentence().starts_with("Nothing could be compared"));
}

const INNER: &str = "
name: prepare
params: { day: monday }
steps:
  clean:
    command: 'true'
    inputs: { raw: { dataset: wine-raw } }
    outputs: { rows: rows.csv }
    cache: true
";
const OUTER: &str = "
name: nightly
params: { day: sunday }
steps:
  data:
    pipeline: prepare
    params: { day: '${{ params.day }}' }
    outputs: { rows: clean.rows }
  train:
    command: 'true'
    inputs: { rows: data.rows }
    outputs: { model: model.bin }
";

/// Plays what is open, of runs inside of others too, and says which runs inside there were.
async fn play(engine: &Engine, outer: i64, rows: &str) -> PipelineRun {
    loop {
        while engine.services.see_to_ending().await.unwrap() {}
        if engine.services.see_to_sub_run().await.unwrap() {
            continue;
        }
        let Some(held) = engine.claim().await else { break };
        engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
        let given = match &*held.name {
            "clean" => output("rows", rows, None, None),
            _ => output("model", "a model", None, None),
        };
        engine.end_with(&held, AttemptOutcome::Succeeded, vec![given]).await;
    }
    let inside = engine.services.step(&engine.ctx(), outer, "data").await.unwrap().sub_run.unwrap();
    engine.detail(inside).await.run
}

#[tokio::test]
async fn runs_inside_of_a_run_are_done_again_from_their_records_too() {
    let engine = engine().await;
    engine.store(INNER).await;
    let first = engine.run(OUTER).await;
    let inner = play(&engine, first, "a,b").await;
    // Nothing is as it was: another file, another version of the dataset.
    engine.store(&INNER.replace("'true'", "'false'").replace("rows.csv", "other.csv")).await;
    push(&engine, "x\n2\n").await;

    let again = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run.number;
    let inner_again = play(&engine, again, "a,b").await;
    assert_eq!(
        (inner_again.cause, inner_again.reproduces, inner_again.use_cache, inner_again.version_number),
        (RunCause::Step, Some(inner.number), false, 1)
    );
    assert_eq!(json!(inner_again.params), json!({ "day": "sunday" }));
    let record = engine.services.pipeline_run_record(&engine.ctx(), inner_again.number, None).await.unwrap();
    assert_eq!(record.versions[0].number, 1);
    let verdict = engine.detail(again).await.run.verdict.unwrap();
    assert_eq!((verdict.sameness, verdict.steps, verdict.outputs), (Sameness::Identical, 2, 2));

    // Of a reproduction as of any other run; and what is inside is named.
    let third = engine.services.reproduce_pipeline_run(&engine.ctx(), again, None).await.unwrap().run.number;
    let inner_third = play(&engine, third, "a,b,c").await;
    assert_eq!(inner_third.reproduces, Some(inner_again.number));
    assert_eq!(inner_third.verdict.unwrap().sameness, Sameness::Diverged);
    let verdict = engine.detail(third).await.run.verdict.unwrap();
    assert_eq!(verdict.sentence(), "Diverged first in the output rows of data/clean: 3 bytes before, 5 bytes now.");
}

#[tokio::test]
async fn a_step_that_started_no_run_starts_none_when_it_is_done_again() {
    let engine = engine().await;
    engine.store(INNER).await;
    // The other pipeline takes no such param: the step fails before there is a run.
    let first = engine.run(&OUTER.replace("params: { day: '${{", "params: { month: '${{")).await;
    while engine.services.see_to_sub_run().await.unwrap() {}
    let again = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run.number;
    while engine.services.see_to_sub_run().await.unwrap() {}
    while engine.services.see_to_ending().await.unwrap() {}
    let reason = engine.reason(again, "data").await;
    assert_eq!(reason, format!("In run #{first} it started no run that could be done again."));
    assert_eq!(engine.detail(again).await.run.verdict.unwrap().sameness, Sameness::NothingToCompare);
}

#[tokio::test]
async fn runs_inside_of_a_run_have_its_code_and_do_as_it_does_with_the_cache() {
    let engine = engine().await;
    engine.store(INNER).await;
    let outer = engine.run(OUTER).await;
    let inner = play(&engine, outer, "a,b").await;
    assert_eq!((inner.use_cache, inner.code), (true, None));
    let code = Code {
        repository: None,
        commit: "0123456789abcdef".to_owned(),
        branch: None,
        is_dirty: false,
        patch: None,
        left_out: None,
    };
    let new = NewRun {
        pipeline: "nightly".to_owned(),
        no_cache: true,
        code: Some((code.clone(), None)),
        ..NewRun::default()
    };
    let outer = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap().run.number;
    let inner = play(&engine, outer, "a,b").await;
    assert_eq!((inner.use_cache, inner.code), (false, Some(code)));
}

fn code(repository: &str, commit: &str) -> Code {
    Code {
        repository: Some(format!("https://git.example/{repository}.git")),
        commit: commit.to_owned(),
        branch: Some("main".to_owned()),
        is_dirty: false,
        patch: None,
        left_out: None,
    }
}

async fn store_from(engine: &Engine, yaml: &str, code: Code, patch: Option<&[u8]>) -> StoredPipeline {
    let file = PipelineFile::read(yaml.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
    let file = file.with_code((code, patch.map(<[u8]>::to_vec)));
    engine.services.store_pipeline(&engine.ctx(), file, None).await.unwrap()
}

#[tokio::test]
async fn a_run_that_nobody_starts_from_a_repository_has_the_code_of_its_version() {
    let engine = engine().await;
    let patch = b"diff --git a/x b/x\n";
    let stored = store_from(&engine, INNER, code("wine", "aaaaaaa1"), Some(patch)).await;
    let of_version = stored.version.code.unwrap();
    assert!(of_version.is_dirty && of_version.patch.is_some());
    let kept = engine.services.pipeline_version_patch(&engine.ctx(), "prepare", 1).await.unwrap();
    assert_eq!(kept, patch);
    let first = engine.again("prepare").await.run;
    assert_eq!(first.code.as_ref(), Some(&of_version));
    let record = engine.services.pipeline_run_record(&engine.ctx(), first.number, None).await.unwrap();
    assert!(record.caveats.is_empty(), "{:?}", record.caveats);
    let started_from = code("wine", "bbbbbbb2");
    let new = NewRun { pipeline: "prepare".to_owned(), code: Some((started_from.clone(), None)), ..NewRun::default() };
    let run = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap().run;
    assert_eq!(run.code, Some(started_from), "what it is started from goes before it");

    // The same file of another commit is the same version; who stores it without a commit changes nothing.
    let again = store_from(&engine, INNER, code("wine", "ccccccc3"), None).await;
    assert_eq!((again.is_new, again.version.number), (false, 1));
    assert_eq!(engine.store(INNER).await.version.code, Some(code("wine", "ccccccc3")));
    assert_eq!(engine.again("prepare").await.run.code, Some(code("wine", "ccccccc3")));
    let nothing = engine.services.pipeline_version_patch(&engine.ctx(), "prepare", 1).await.unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::NotFound);
    while let Some(held) = engine.claim().await {
        engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
        engine.end(&held, AttemptOutcome::Succeeded).await;
    }
    let reproduced = engine.services.reproduce_pipeline_run(&engine.ctx(), first.number, None).await.unwrap().run;
    assert_eq!(reproduced.code, Some(of_version), "from the record");

    let wrong = Code { commit: "main".to_owned(), ..code("wine", "") };
    let file = PipelineFile::read(INNER.to_owned()).unwrap().with_code((wrong, None));
    let refused = engine.services.store_pipeline(&engine.ctx(), file, None).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("code.commit")));
}

#[tokio::test]
async fn a_run_inside_of_another_has_its_code_unless_it_is_of_another_repository() {
    let engine = engine().await;
    let around = code("wine", "bbbbbbb2");
    for (of_inner, expected) in
        [(code("wine", "aaaaaaa1"), &around), (code("cleaning", "aaaaaaa1"), &code("cleaning", "aaaaaaa1"))]
    {
        store_from(&engine, INNER, of_inner, None).await;
        engine.store(OUTER).await;
        let new = NewRun { pipeline: "nightly".to_owned(), code: Some((around.clone(), None)), ..NewRun::default() };
        let outer = engine.services.start_pipeline_run(&engine.ctx(), new).await.unwrap().run.number;
        assert_eq!(play(&engine, outer, "a,b").await.code.as_ref(), Some(expected));
    }
}

#[tokio::test]
async fn what_was_other_on_the_machines_stands_beside_what_diverged() {
    let engine = engine().await;
    let environment = async |numpy: &str| {
        let content = json!({ "python": { "version": "3.12.1", "packages": { "numpy": numpy } } });
        Facts { machine: None, environment: Some(engine.services.worker_facts(&content).await.unwrap()) }
    };
    let (old, new) = (environment("2.1.0").await, environment("2.2.0").await);
    let first = engine.run(TRAINS).await;
    let played = async |facts: &Facts, written: Written<'_>| {
        while let Some(held) = engine.claim().await {
            engine.services.begin_attempt(&held, "http://slipway", facts).await.unwrap().unwrap();
            engine.end_with(&held, AttemptOutcome::Succeeded, given(&held, written, "a time")).await;
        }
        while engine.services.see_to_ending().await.unwrap() {}
    };
    played(&old, FIRST).await;
    let reproduced = async |facts: &Facts, written: Written<'_>| {
        let run = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run.number;
        played(facts, written).await;
        engine.detail(run).await.run.verdict.unwrap()
    };
    let verdict = reproduced(&new, Written { accuracy: 0.5, ..FIRST }).await;
    assert_eq!((verdict.sameness, verdict.surroundings), (Sameness::Diverged, vec!["numpy: 2.1.0 → 2.2.0".to_owned()]));
    assert!(reproduced(&old, Written { accuracy: 0.5, ..FIRST }).await.surroundings.is_empty());
    assert!(reproduced(&new, FIRST).await.surroundings.is_empty(), "what came to the same needs no excuse");
}

const POOLED: &str = "
name: pooled
image: python:3.13
steps:
  first: { command: 'true', pool: big }
  each: { command: 'true', pool: big, needs: first, matrix: { n: [1, 2] } }
";

/// The names of all steps that a worker with this executor alone gets.
async fn names(engine: &Engine, executor: ExecutorKind) -> Vec<String> {
    let (pools, ttl) = (["big".to_owned()], Duration::from_secs(600));
    let mut names = Vec::new();
    while let Some(held) = engine.services.claim_step("w", "w", &pools, &[executor], &[], ttl).await.unwrap() {
        engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
        engine.end(&held, AttemptOutcome::Succeeded).await;
        names.push(held.name);
    }
    while engine.services.see_to_ending().await.unwrap() {}
    names
}

#[tokio::test]
async fn a_run_and_doing_it_again_have_the_executors_of_pools_that_it_was_started_with() {
    let engine = Engine::start().await;
    let set = async |executor| {
        let mut conn = engine.services.pool().acquire().await.unwrap();
        store::worker::set_pool_executor(&mut conn, "big", executor).await.unwrap();
    };
    set(ExecutorKind::Kubernetes).await;
    let first = engine.run(POOLED).await;
    set(ExecutorKind::Process).await;
    let all = ["first", "each.0", "each.1"];
    // Those of the matrix come to be when it begins.
    assert_eq!(names(&engine, ExecutorKind::Kubernetes).await, all);
    let again = engine.services.reproduce_pipeline_run(&engine.ctx(), first, None).await.unwrap().run;
    assert_eq!(names(&engine, ExecutorKind::Process).await, [""; 0]);
    assert_eq!(names(&engine, ExecutorKind::Kubernetes).await, all);
    assert_eq!(engine.detail(again.number).await.run.verdict.unwrap().steps, 3);
    engine.again("pooled").await;
    assert_eq!(names(&engine, ExecutorKind::Process).await, all);
}

const BOXED: &str = "
name: boxed
executor: docker
image: python:3.13
steps:
  prepare: { command: 'true' }
  train: { command: 'true', needs: prepare }
";

#[tokio::test]
async fn a_step_that_was_taken_over_is_done_again_in_the_image_that_it_ran_in() {
    const IMAGE: &str = "python@sha256:0000000000000000000000000000000000000000000000000000000000000001";
    let engine = Engine::start().await;
    let first = engine.run(BOXED).await;
    // Plays all steps that are ready one after the other; answers with the image that each is to run in.
    let play = async |outcome_of_train| {
        let (pools, ttl) = (["default".to_owned()], Duration::from_secs(600));
        let mut images = Vec::new();
        while let Some(held) =
            engine.services.claim_step("w", "w", &pools, &[ExecutorKind::Docker], &[], ttl).await.unwrap()
        {
            let work =
                engine.services.begin_attempt(&held, "http://slipway", &Facts::default()).await.unwrap().unwrap();
            images.push(work.image.unwrap());
            let place = Place { executor: "docker", image: Some(IMAGE.to_owned()), ..Place::default() };
            let end = AttemptEnd {
                outcome: if held.name == "train" { outcome_of_train } else { AttemptOutcome::Succeeded },
                reason: String::new(),
                exit_code: None,
                spawned_at: None,
                place: Some(place),
                outputs: Vec::new(),
            };
            let lease =
                Lease { step_id: held.step_id, run_id: held.run_id, attempt_id: held.attempt_id, fence: held.fence };
            engine.services.let_go(&lease, &LetGo::Ended(end)).await.unwrap();
        }
        while engine.services.see_to_ending().await.unwrap() {}
        images
    };
    assert_eq!(play(AttemptOutcome::Failed).await, ["python:3.13"; 2]);
    let rerun = Rerun { from: "failed".parse().unwrap(), params: BTreeMap::new(), idempotency_key: None };
    let second = engine.services.rerun_pipeline_run(&engine.ctx(), first, rerun).await.unwrap().run.number;
    assert_eq!(play(AttemptOutcome::Succeeded).await, ["python:3.13"], "train alone runs again");
    let record = engine.services.pipeline_run_record(&engine.ctx(), second, None).await.unwrap();
    let known: Vec<_> = record.steps.iter().map(|step| (step.from_run, step.image.as_deref())).collect();
    assert_eq!(known, [(Some(first), Some(IMAGE)), (None, Some(IMAGE))]);
    engine.services.reproduce_pipeline_run(&engine.ctx(), second, None).await.unwrap();
    assert_eq!(play(AttemptOutcome::Succeeded).await, [IMAGE; 2]);
}
