//! Triggers that wait for the end of another pipeline's runs, or for versions of a data set.

use crate::pipelines::{checked::at_least, engine::Engine};
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome, Concurrency, ConcurrencyPolicy, PipelineRun, PipelineRunState, RunCause},
    trigger::{MAX_DEPTH, Trigger, TriggerOn},
};
use serde_json::{Map, json};
use services::{NewDataset, NewPipelineTrigger, NewTriggerOn, RunFilter};
use std::sync::Arc;
use tokio::task::JoinSet;

async fn pipelines(engine: &Engine, names: &[&str]) {
    for name in names {
        engine.store(&format!("name: {name}\nparams: {{ rounds: 20 }}\nsteps:\n  only: {{ command: 'true' }}\n")).await;
    }
}

fn after(source: &str, pipeline: &str, states: &[PipelineRunState]) -> NewPipelineTrigger {
    NewPipelineTrigger {
        pipeline: pipeline.to_owned(),
        on: NewTriggerOn::Pipeline { source: source.to_owned(), states: states.to_vec() },
        params: Map::from_iter([("rounds".to_owned(), json!(7))]),
        enabled: true,
        cool_down_s: 0,
    }
}

async fn set(engine: &Engine, new: NewPipelineTrigger) -> Trigger {
    engine.services.set_pipeline_trigger(&engine.ctx(), new).await.unwrap().0
}

async fn runs_of(engine: &Engine, pipeline: &str) -> Vec<PipelineRun> {
    let filter = RunFilter { pipeline: Some(pipeline.to_owned()), ..RunFilter::default() };
    let runs = engine.services.pipeline_runs(&engine.ctx(), &filter, None, 100).await.unwrap().items;
    runs.into_iter().map(|summary| summary.run).collect()
}

async fn see_to_endings(engine: &Engine) {
    while engine.services.see_to_ending().await.unwrap() {}
}

#[tokio::test]
async fn the_end_of_a_run_starts_another_pipeline_once_however_many_look() {
    let engine = Arc::new(Engine::start().await);
    pipelines(&engine, &["prepare", "train"]).await;
    let trigger = set(&engine, after("prepare", "train", &[])).await;
    engine.again("prepare").await;
    engine.play(|_| AttemptOutcome::Succeeded).await;
    let mut lookers = JoinSet::new();
    for _ in 0..8 {
        let engine = Arc::clone(&engine);
        lookers.spawn(async move { see_to_endings(&engine).await });
    }
    lookers.join_all().await;
    let runs = runs_of(&engine, "train").await;
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!((run.cause, run.cause_name.as_deref(), run.depth), (RunCause::Trigger, Some("prepare #1"), 1));
    assert_eq!(
        (run.cause_page().as_deref(), run.params["rounds"].to_string()),
        (Some("pipeline-runs/1"), "7".to_owned())
    );
    let firings = engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap();
    assert_eq!((firings.len(), firings[0].run_number, firings[0].source.as_str()), (1, Some(2), "prepare #1"));
}

#[tokio::test]
async fn only_the_states_that_are_waited_for_start_something() {
    let engine = Engine::start().await;
    pipelines(&engine, &["prepare", "mend"]).await;
    set(&engine, after("prepare", "mend", &[PipelineRunState::Failed])).await;
    for outcome in [AttemptOutcome::Succeeded, AttemptOutcome::Failed] {
        engine.again("prepare").await;
        engine.play(|_| outcome).await;
        see_to_endings(&engine).await;
    }
    assert_eq!(runs_of(&engine, "mend").await.len(), 1);
    // Set again, it is changed: it is the same trigger.
    let again = NewPipelineTrigger { enabled: false, ..after("prepare", "mend", &[PipelineRunState::Failed]) };
    let (off, is_new) = engine.services.set_pipeline_trigger(&engine.ctx(), again).await.unwrap();
    assert!(!is_new && !off.enabled);
    engine.again("prepare").await;
    engine.play(|_| AttemptOutcome::Failed).await;
    see_to_endings(&engine).await;
    assert_eq!(runs_of(&engine, "mend").await.len(), 1);
    engine.services.delete_pipeline_trigger(&engine.ctx(), off.id).await.unwrap();
    assert_eq!(engine.services.triggers(&engine.ctx()).await.unwrap(), []);
}

#[tokio::test]
async fn pipelines_that_would_start_each_other_are_refused_also_when_set_at_once() {
    let engine = Arc::new(Engine::start().await);
    pipelines(&engine, &["a", "b", "c"]).await;
    set(&engine, after("a", "b", &[])).await;
    let mut setters = JoinSet::new();
    for (source, pipeline) in [("b", "c"), ("c", "a")] {
        let engine = Arc::clone(&engine);
        setters.spawn(async move {
            engine.services.set_pipeline_trigger(&engine.ctx(), after(source, pipeline, &[])).await.map(drop)
        });
    }
    let refused: Vec<_> = setters.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].message.starts_with("That is a loop: "), "{refused:?}");
    let itself = engine.services.set_pipeline_trigger(&engine.ctx(), after("a", "a", &[])).await.unwrap_err();
    assert_eq!((itself.kind, itself.field.as_deref()), (ErrorKind::Invalid, Some("source")));
    let running = after("a", "c", &[PipelineRunState::Running]);
    let wrong = engine.services.set_pipeline_trigger(&engine.ctx(), running).await.unwrap_err();
    assert_eq!(wrong.field.as_deref(), Some("states"));
}

#[tokio::test]
async fn a_chain_ends_where_it_is_too_long_and_a_busy_pipeline_holds_back() {
    let engine = Engine::start().await;
    pipelines(&engine, &["prepare", "train"]).await;
    let trigger = set(&engine, after("prepare", "train", &[])).await;
    let number = engine.again("prepare").await.run.number;
    let sql = "update pipeline_runs set depth = $1 where number = $2";
    sqlx::query(sql).bind(MAX_DEPTH).bind(number).execute(&engine.database.pool).await.unwrap();
    engine.play(|_| AttemptOutcome::Succeeded).await;
    see_to_endings(&engine).await;
    let last = async || engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap().remove(0);
    assert!(last().await.held_back.unwrap().contains("runs led to prepare #1 already"));
    let limit = Concurrency { policy: ConcurrencyPolicy::Skip, limit: 1 };
    engine.services.set_concurrency(&engine.ctx(), "train", Some(limit)).await.unwrap();
    engine.again("prepare").await;
    engine.play(|_| AttemptOutcome::Succeeded).await;
    engine.again("train").await;
    see_to_endings(&engine).await;
    assert!(last().await.held_back.unwrap().contains("1 run of train"));
}

async fn version(engine: &Engine, dataset: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), text).unwrap();
    let path = folder.path().to_owned();
    engine.services.make_dataset_version_of(&engine.ctx(), dataset, path, "").await.unwrap();
}

#[tokio::test]
async fn a_run_reads_the_version_that_started_it_also_when_there_is_a_later_one() {
    let engine = Engine::start().await;
    let new = NewDataset { name: "wine".to_owned(), ..NewDataset::default() };
    engine.services.create_dataset(&engine.ctx(), new).await.unwrap();
    // One names it, one finds out which it is when its step begins, and one never reads it.
    let step = |data: &str| format!("only: {{ command: x, inputs: {{ data: {data} }} }}");
    for (name, step) in [
        ("named", step("{ dataset: wine }")),
        ("filled-in", step("{ dataset: '${{ params.of }}' }")),
        ("another", "only: { command: x }".to_owned()),
    ] {
        engine.store(&format!("name: {name}\nparams: {{ of: wine }}\nsteps: {{ {step} }}\n")).await;
        let on = NewTriggerOn::Dataset { dataset: "wine".to_owned(), checked: false };
        set(&engine, NewPipelineTrigger { on, params: Map::new(), ..after("x", name, &[]) }).await;
    }
    version(&engine, "wine", "a\n1\n").await;
    version(&engine, "wine", "a\n2\n").await;
    while let Some(held) = engine.claim().await {
        let facts = domain::worker::Facts::default();
        engine.services.begin_attempt(&held, "http://slipway", &facts).await.unwrap().unwrap();
        engine.end(&held, AttemptOutcome::Succeeded).await;
    }
    for (name, count) in [("named", 1), ("filled-in", 1), ("another", 0)] {
        let runs = runs_of(&engine, name).await;
        assert_eq!(runs.len(), 2);
        for (run, number) in runs.iter().rev().zip([1, 2]) {
            let read = engine.services.run_origin(&engine.ctx(), run).await.unwrap().versions;
            assert_eq!(read.len(), count, "{name}");
            assert!(read.iter().all(|version| version.number == number), "{name}: {read:?}");
        }
    }
}

#[tokio::test]
async fn a_version_of_a_data_set_starts_what_waits_for_it_once() {
    let engine = Engine::start().await;
    pipelines(&engine, &["train"]).await;
    let on = NewTriggerOn::Dataset { dataset: "wine".to_owned(), checked: false };
    let trigger = set(&engine, NewPipelineTrigger { on, cool_down_s: 3600, ..after("x", "train", &[]) }).await;
    assert_eq!(trigger.on, TriggerOn::Dataset { dataset: "wine".to_owned(), checked: false });
    engine.wine(Vec::new()).await;
    let new = NewDataset { name: "beer".to_owned(), description: String::new(), expectations: Vec::new() };
    engine.services.create_dataset(&engine.ctx(), new).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), "x\n").unwrap();
    engine.services.make_dataset_version_of(&engine.ctx(), "beer", folder.path().to_owned(), "").await.unwrap();
    engine.push_rows(1).await;
    let runs = runs_of(&engine, "train").await;
    assert_eq!(runs.len(), 1, "nobody waited for a check");
    assert_eq!((runs[0].cause_name.as_deref(), runs[0].depth), (Some("wine v1"), 0));
    // The same again is no new version.
    engine.push_rows(1).await;
    engine.push_rows(2).await;
    engine.check_all().await;
    assert_eq!(runs_of(&engine, "train").await.len(), 1);
    let firings = engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap();
    assert_eq!(firings.len(), 2);
    assert!(firings[0].held_back.as_ref().unwrap().contains("3600 s ago"), "it rests: {firings:?}");
}

#[tokio::test]
async fn a_version_starts_what_waits_for_it_to_pass_once_it_has() {
    let engine = Engine::start().await;
    pipelines(&engine, &["train"]).await;
    let on = NewTriggerOn::Dataset { dataset: "wine".to_owned(), checked: true };
    let trigger = set(&engine, NewPipelineTrigger { on, ..after("x", "train", &[]) }).await;
    assert_eq!(trigger.on.words(), "versions of the data set wine that passed their checks");
    let firings = async || engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap();
    let started = async || runs_of(&engine, "train").await.into_iter().map(|run| run.cause_name.unwrap()).collect();
    engine.wine(at_least(2)).await;
    engine.push_rows(2).await;
    assert!(firings().await.is_empty(), "nobody has looked yet");
    engine.check_all().await;
    let names: Vec<String> = started().await;
    assert_eq!(names, ["wine v1"]);

    engine.push_rows(1).await;
    engine.check_all().await;
    let last = firings().await.remove(0);
    assert_eq!((last.source.as_str(), last.run_number), ("wine v2", None));
    let told = "wine@2 is not what is expected of it: \"has at least 2 rows\" in rows.csv is not met (It has 1 rows).";
    assert_eq!(last.held_back.as_deref(), Some(told));
    let names: Vec<String> = started().await;
    assert_eq!(names, ["wine v1"]);

    // What is expected changes, and the version passes after all; once.
    for rows in [1, 0, 2, 1] {
        engine.expect(at_least(rows)).await;
        engine.check_all().await;
    }
    let mut names: Vec<String> = started().await;
    names.sort();
    assert_eq!(names, ["wine v1", "wine v2"]);
    assert_eq!(firings().await.len(), 2);

    // Nothing is expected: nothing has passed.
    engine.expect(Vec::new()).await;
    engine.push_rows(7).await;
    engine.check_all().await;
    assert!(firings().await[0].held_back.as_ref().unwrap().contains("wine@3 was checked for nothing"));

    // One that takes every version is told of no check.
    let on = NewTriggerOn::Dataset { dataset: "wine".to_owned(), checked: false };
    let changed = set(&engine, NewPipelineTrigger { on, ..after("x", "train", &[]) }).await;
    assert_eq!((changed.id, changed.on.words().as_str()), (trigger.id, "new versions of the data set wine"));
    engine.push_rows(8).await;
    engine.check_all().await;
    assert_eq!(runs_of(&engine, "train").await.len(), 3);
}

#[tokio::test]
async fn a_chain_of_runs_by_versions_that_passed_has_an_end() {
    let engine = Engine::start().await;
    pipelines(&engine, &["train"]).await;
    let on = NewTriggerOn::Dataset { dataset: "wine".to_owned(), checked: true };
    let trigger = set(&engine, NewPipelineTrigger { on, ..after("x", "train", &[]) }).await;
    engine.wine(at_least(1)).await;
    for (number, depth) in [(1, None), (2, Some(3)), (3, Some(MAX_DEPTH))] {
        engine.push_rows(number).await;
        let made = "update dataset_versions set run_depth = $1 where number = $2";
        let number = i32::try_from(number).unwrap();
        sqlx::query(made).bind(depth).bind(number).execute(&engine.database.pool).await.unwrap();
        engine.check_all().await;
    }
    let mut depths: Vec<i32> = runs_of(&engine, "train").await.into_iter().map(|run| run.depth).collect();
    depths.sort_unstable();
    assert_eq!(depths, [0, 4]);
    let last = engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap().remove(0);
    assert!(last.held_back.unwrap().contains("runs led to wine v3 already"));
}
