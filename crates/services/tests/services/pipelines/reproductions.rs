//! What a run is made of, and doing it again from that alone.

use crate::pipelines::engine::Engine;
use domain::{
    Digest,
    pipeline::OutputKind,
    pipeline_run::{AttemptOutcome, Code, PipelineRun, RunCause, Sameness},
    step::StepOutput,
    worker::Facts,
};
use serde_json::{Value, json};
use services::{Claimed, ErrorKind, NewDataset, NewRun};
use std::fs;

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
    let outputs = if held.name == "prepare" {
        vec![output("log", nonce, Some(OutputKind::File), None), output("rows", written.rows, None, None)]
    } else {
        let scores = json!({ "accuracy": written.accuracy });
        vec![output("scores", &scores.to_string(), Some(OutputKind::Metrics), Some(scores.clone()))]
    };
    engine.end_with(held, AttemptOutcome::Succeeded, outputs).await;
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
    let record = engine.services.pipeline_run_record(&engine.ctx(), run.number).await.unwrap();
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
    let record = engine.services.pipeline_run_record(&engine.ctx(), number).await.unwrap();
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
    };
    let new = |patch: Option<Vec<u8>>| NewRun {
        pipeline: "wine".to_owned(),
        code: Some((code.clone(), patch)),
        ..NewRun::default()
    };
    let start = async |patch| {
        let started = engine.services.start_pipeline_run(&engine.ctx(), new(patch)).await.unwrap();
        engine.services.pipeline_run_record(&engine.ctx(), started.run.number).await.unwrap()
    };
    let record = start(Some(b"diff --git a/x b/x\n".to_vec())).await;
    let known = record.code.unwrap();
    assert_eq!(known.repository.as_deref(), Some("https://git.example/wine.git"));
    assert!(known.patch.is_some() && record.caveats.is_empty());
    let patch = engine.services.pipeline_run_patch(&engine.ctx(), record.run).await.unwrap();
    assert_eq!(patch, b"diff --git a/x b/x\n");
    let record = start(None).await;
    assert!(record.caveats[0].reason.contains("too large to be kept"));
    let nothing = engine.services.pipeline_run_patch(&engine.ctx(), record.run).await.unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::NotFound);
    let large = engine.services.start_pipeline_run(&engine.ctx(), new(Some(vec![b'a'; 2 << 20]))).await.unwrap_err();
    assert_eq!(large.kind, ErrorKind::Invalid);
}
