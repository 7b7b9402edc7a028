//! Storing files, and starting runs of them.

use crate::pipelines::engine::{Engine, graph};
use domain::{
    ErrorKind,
    id::{AlertId, TriggerId},
    pipeline_run::{AttemptOutcome, PipelineRunState, RunCause},
};
use serde_json::json;
use services::{NewRun, RunFilter};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;

const PARAMS: &str = "name: params\nparams: { rate: 0.1, rounds: 20 }\nsteps:\n  only: { command: 'true' }\n";

fn new(params: &[(&str, serde_json::Value)], key: Option<&str>) -> NewRun {
    NewRun {
        pipeline: "params".to_owned(),
        version: None,
        no_cache: false,
        code: None,
        params: params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        idempotency_key: key.map(ToOwned::to_owned),
    }
}

#[tokio::test]
async fn a_file_that_says_the_same_is_the_same_version_and_the_newest_again() {
    let engine = Engine::start().await;
    let first = engine.store(&graph(&[("a", &[])])).await;
    let same = engine.store(&format!("# a comment\n{}", graph(&[("a", &[])]))).await;
    assert!(first.is_new && !same.is_new);
    assert_eq!(first.version.id, same.version.id);
    let second = engine.store(&graph(&[("b", &[])])).await;
    assert_eq!(second.version.number, 2);
    let newest = || async { engine.services.pipeline_version(&engine.ctx(), "graph", None).await.unwrap().number };
    assert_eq!(newest().await, 2);
    engine.store(&graph(&[("a", &[])])).await;
    assert_eq!(newest().await, 1);
    let object = (domain::audit::ObjectKind::Pipeline, &*first.pipeline.id.to_string());
    let history = engine.services.audit_events(&engine.ctx(), &[object], None, 10).await.unwrap();
    let history: Vec<_> = history.items.iter().rev().map(|event| event.summary.as_str()).collect();
    assert_eq!(
        history,
        [
            "stored version 1 of the pipeline graph",
            "stored version 2 of the pipeline graph",
            "went back to version 1 of the pipeline graph",
        ]
    );
    let versions = engine.services.pipeline_versions(&engine.ctx(), "graph", None, 1).await.unwrap();
    assert_eq!(versions.items[0].number, 2);
    let token = versions.next_page_token.unwrap();
    let rest = engine.services.pipeline_versions(&engine.ctx(), "graph", Some(&token), 5).await.unwrap();
    assert_eq!(rest.items.iter().map(|version| version.number).collect::<Vec<_>>(), [1]);
    assert_eq!(rest.items[0].source, graph(&[("a", &[])]));
}

#[tokio::test]
async fn versions_stored_at_once_get_numbers_of_their_own() {
    let engine = Arc::new(Engine::start().await);
    let mut writers = JoinSet::new();
    for number in 0..6 {
        let engine = Arc::clone(&engine);
        writers.spawn(async move { engine.store(&graph(&[(&format!("s{}", number / 2), &[])])).await.version.number });
    }
    let mut numbers = writers.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 1, 2, 2, 3, 3]);
}

#[tokio::test]
async fn params_are_checked_and_the_rest_have_their_defaults() {
    let engine = Engine::start().await;
    engine.store(PARAMS).await;
    let started =
        engine.services.start_pipeline_run(&engine.ctx(), new(&[("rounds", json!("50"))], None)).await.unwrap();
    assert_eq!(serde_json::to_value(&started.run.params).unwrap(), json!({ "rate": 0.1, "rounds": 50 }));
    assert_eq!((started.run.number, started.run.cause), (1, RunCause::Api));
    for (name, value, field) in [("rate", json!("fast"), "params.rate"), ("speed", json!(1), "params.speed")] {
        let refused = engine.services.start_pipeline_run(&engine.ctx(), new(&[(name, value)], None)).await.unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some(field)));
    }
    // Nothing is left of what was refused, not even its number.
    assert_eq!(engine.again("params").await.run.number, 2);
}

#[tokio::test]
async fn a_request_that_is_sent_again_starts_nothing() {
    let engine = Arc::new(Engine::start().await);
    engine.store(PARAMS).await;
    let mut senders = JoinSet::new();
    for _ in 0..5 {
        let engine = Arc::clone(&engine);
        senders.spawn(async move {
            let started =
                engine.services.start_pipeline_run(&engine.ctx(), new(&[("rate", json!(0.2))], Some("k"))).await;
            let started = started.unwrap();
            (started.run.number, started.is_new)
        });
    }
    let mut answers = senders.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [(1, false), (1, false), (1, false), (1, false), (1, true)]);
    let other = engine.services.start_pipeline_run(&engine.ctx(), new(&[("rate", json!(0.3))], Some("k"))).await;
    assert_eq!(other.unwrap_err().kind, ErrorKind::Conflict);
    // Nor is one that leaves a param out, or wants another thing of the run, the same.
    for other in [new(&[], Some("k")), NewRun { no_cache: true, ..new(&[("rate", json!(0.2))], Some("k")) }] {
        let refused = engine.services.start_pipeline_run(&engine.ctx(), other).await.unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Conflict, Some("idempotency_key")));
    }
    // It is the same when another file was stored since.
    engine.store(&PARAMS.replace("20", "30")).await;
    let again = engine.services.start_pipeline_run(&engine.ctx(), new(&[("rate", json!(0.2))], Some("k"))).await;
    assert!(!again.unwrap().is_new);
    let odd = engine.services.start_pipeline_run(&engine.ctx(), new(&[], Some("line\nbreak"))).await;
    assert_eq!(odd.unwrap_err().field.as_deref(), Some("idempotency_key"));
}

#[tokio::test]
async fn an_alert_starts_the_pipeline_of_a_trigger_once() {
    let engine = Engine::start().await;
    let pipeline = engine.store(PARAMS).await.pipeline.id;
    let (trigger, alert) = (TriggerId::new(), AlertId::new());
    let params = BTreeMap::from([("rounds".to_owned(), json!(7))]);
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let mut tx = engine.database.pool.begin().await.unwrap();
        let run = engine
            .services
            .start_run_for_trigger(&mut tx, &engine.ctx(), pipeline, &params, trigger, (alert, 4))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((run.cause, &run.cause_id), (RunCause::Trigger, &Some(alert.to_string())));
        assert_eq!(run.cause_page().as_deref(), Some("alerts/4"));
        numbers.push(run.number);
        tx.commit().await.unwrap();
    }
    assert_eq!(numbers, [1, 1]);
    // A sender's key never meets one of a trigger.
    let key = format!("trigger:{trigger}:{alert}");
    let started = engine.services.start_pipeline_run(&engine.ctx(), new(&[], Some(&key))).await.unwrap();
    assert!(started.is_new);
}

#[tokio::test]
async fn lists_show_what_is_asked_for_page_by_page() {
    let engine = Engine::start().await;
    engine.store(&graph(&[("a", &[])])).await;
    engine.store(PARAMS).await;
    for _ in 0..3 {
        engine.again("graph").await;
    }
    engine.play(|_| AttemptOutcome::Succeeded).await;
    engine.again("params").await;
    let list = |pipeline: Option<&str>, state, token: Option<String>| {
        let filter = RunFilter { pipeline: pipeline.map(ToOwned::to_owned), state, ..RunFilter::default() };
        let engine = &engine;
        async move { engine.services.pipeline_runs(&engine.ctx(), &filter, token.as_deref(), 2).await.unwrap() }
    };
    let numbers = |page: &domain::Page<domain::pipeline_run::PipelineRunSummary>| {
        page.items.iter().map(|item| item.run.number).collect::<Vec<_>>()
    };
    let first = list(None, None, None).await;
    assert_eq!(numbers(&first), [4, 3]);
    assert_eq!((first.items[1].steps_total, first.items[1].steps_ended), (1, 1));
    assert_eq!(numbers(&list(None, None, first.next_page_token).await), [2, 1]);
    assert_eq!(numbers(&list(Some("params"), None, None).await), [4]);
    assert_eq!(numbers(&list(None, Some(PipelineRunState::Queued), None).await), [4]);

    let narrowed = |filter: RunFilter| {
        let engine = &engine;
        async move {
            let page = engine.services.pipeline_runs(&engine.ctx(), &filter, None, 10).await.unwrap();
            page.items.iter().map(|item| item.run.number).collect::<Vec<_>>()
        }
    };
    let text = |text: &str| RunFilter { text: Some(text.to_owned()), ..RunFilter::default() };
    assert_eq!(narrowed(text("#4")).await, [4]);
    assert_eq!(narrowed(text("PARAM")).await, [4], "a pipeline's name");
    assert_eq!(narrowed(text("rounds=2")).await, [4], "a param with its name");
    assert_eq!(narrowed(text("0%")).await, [] as [i64; 0], "no pattern");
    let all = engine.services.pipeline_runs(&engine.ctx(), &RunFilter::default(), None, 10).await.unwrap().items;
    let (by, made) = (all[0].run.started_by_name.clone(), all[1].run.created_at);
    assert_eq!(narrowed(RunFilter { by: Some(by.to_uppercase()), ..RunFilter::default() }).await, [4, 3, 2, 1]);
    assert_eq!(narrowed(RunFilter { cause: Some(RunCause::Person), ..RunFilter::default() }).await, [] as [i64; 0]);
    assert_eq!(narrowed(RunFilter { from: Some(made), ..RunFilter::default() }).await, [4, 3]);
    assert_eq!(narrowed(RunFilter { to: Some(made), ..RunFilter::default() }).await, [2, 1]);
    let refused = engine.services.pipeline_runs(&engine.ctx(), &text("a\0"), None, 10).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("text")));
    let open = engine.services.open_pipeline_runs(&engine.ctx()).await.unwrap();
    assert_eq!(open, [(PipelineRunState::Queued, 1)]);

    let pipelines = engine.services.pipelines(&engine.ctx(), None, 10).await.unwrap().items;
    let names: Vec<_> = pipelines.iter().map(|summary| summary.pipeline.name.as_str()).collect();
    assert_eq!(names, ["graph", "params"]);
    assert_eq!(pipelines[0].recent, [PipelineRunState::Succeeded; 3]);
    assert_eq!(pipelines[0].last_run.as_ref().unwrap().number, 3);
    assert_eq!(engine.services.pipeline(&engine.ctx(), "nothing").await.unwrap_err().kind, ErrorKind::NotFound);
}
