//! Backfills: one run a date, whatever is broken off.

use crate::pipelines::engine::Engine;
use chrono::{DateTime, Utc};
use domain::{
    ErrorKind,
    backfill::{BackfillState, DateFormat},
    pipeline_run::{AttemptOutcome, PipelineRun, PipelineRunState, RunCause},
};
use serde_json::{Map, json};
use services::{NewBackfill, NewSchedule, RunFilter};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::JoinSet;

const FILE: &str = "name: train\nparams: { day: '', rounds: 20 }\nsteps:\n  only: { command: 'true' }\n";

fn new(at_once: i32) -> NewBackfill {
    NewBackfill {
        schedule: None,
        pipeline: Some("train".to_owned()),
        from: "2026-03-27T00:00:00Z".parse().unwrap(),
        to: "2026-04-05T23:00:00Z".parse().unwrap(),
        expression: Some("0 3 * * *".to_owned()),
        step_s: None,
        timezone: Some("Europe/Berlin".to_owned()),
        param: Some("day".to_owned()),
        param_format: None,
        params: None,
        at_once,
    }
}

async fn runs(engine: &Engine) -> Vec<PipelineRun> {
    let runs = engine.services.pipeline_runs(&engine.ctx(), &RunFilter::default(), None, 100).await.unwrap().items;
    runs.into_iter().rev().map(|summary| summary.run).collect()
}

async fn go_on(engine: &Engine) {
    while engine.services.see_to_ending().await.unwrap() {}
    while engine.services.advance_backfill().await.unwrap() {}
}

#[tokio::test]
async fn each_date_has_one_run_whoever_looks_and_whatever_is_broken_off() {
    let engine = Arc::new(Engine::start().await);
    engine.store(FILE).await;
    engine.services.create_backfill(&engine.ctx(), new(4)).await.unwrap();
    for round in 0..30 {
        let mut lookers = JoinSet::new();
        for _ in 0..4 {
            let engine = Arc::clone(&engine);
            lookers.spawn(async move { go_on(&engine).await });
        }
        // Those of every other round are broken off wherever they are.
        if round % 2 == 0 {
            tokio::task::yield_now().await;
            lookers.shutdown().await;
        } else {
            lookers.join_all().await;
        }
        let open = runs(&engine).await.iter().filter(|run| !run.state.is_final()).count();
        assert!(open <= 4, "{open}");
        if round % 3 == 0 {
            engine.play(|_| AttemptOutcome::Succeeded).await;
        }
        if engine.services.backfill(&engine.ctx(), 1).await.unwrap().state == BackfillState::Done {
            break;
        }
    }
    let backfill = engine.services.backfill(&engine.ctx(), 1).await.unwrap();
    assert_eq!((backfill.state, backfill.progress.total, backfill.progress.succeeded), (BackfillState::Done, 10, 10));
    let runs = runs(&engine).await;
    let dates: BTreeSet<DateTime<Utc>> = runs.iter().filter_map(|run| run.cause_at).collect();
    assert_eq!((runs.len(), dates.len()), (10, 10));
    assert!(
        runs.iter().all(|run| run.cause == RunCause::Backfill && run.cause_page().as_deref() == Some("backfills/1"))
    );
    let days: Vec<String> = runs.iter().map(|run| run.params["day"].to_string()).collect();
    assert_eq!((days[0].as_str(), days[2].as_str(), days[9].as_str()), ("2026-03-27", "2026-03-29", "2026-04-05"));
}

#[tokio::test]
async fn a_backfill_that_is_cancelled_starts_no_more_and_ends_what_is_open() {
    let engine = Engine::start().await;
    engine.store(FILE).await;
    engine.services.create_backfill(&engine.ctx(), new(2)).await.unwrap();
    go_on(&engine).await;
    assert_eq!(runs(&engine).await.len(), 2);
    let cancelled = engine.services.cancel_backfill(&engine.ctx(), 1).await.unwrap();
    assert_eq!(
        (cancelled.state, cancelled.progress.failed, cancelled.progress.waiting),
        (BackfillState::Cancelled, 2, 8)
    );
    go_on(&engine).await;
    let runs = runs(&engine).await;
    assert!(runs.len() == 2 && runs.iter().all(|run| run.state == PipelineRunState::Cancelled));
    let again = engine.services.cancel_backfill(&engine.ctx(), 1).await.unwrap();
    assert_eq!(again, cancelled, "again changes nothing");
}

#[tokio::test]
async fn a_backfill_of_a_schedule_takes_its_times_and_params() {
    let engine = Engine::start().await;
    engine.store(FILE).await;
    let schedule = NewSchedule {
        name: "nightly".to_owned(),
        pipeline: "train".to_owned(),
        expression: "0 3 * * *".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        params: Map::from_iter([("rounds".to_owned(), json!(7))]),
        param: Some("day".to_owned()),
        param_format: DateFormat::Time,
        catch_up: domain::schedule::CatchUp::Skip,
        catch_up_limit: 1,
        jitter_s: 0,
        enabled: true,
    };
    engine.services.create_schedule(&engine.ctx(), schedule).await.unwrap();
    let of_schedule = NewBackfill {
        schedule: Some("nightly".to_owned()),
        pipeline: None,
        expression: None,
        timezone: None,
        param: None,
        ..new(1)
    };
    let backfill = engine.services.create_backfill(&engine.ctx(), of_schedule).await.unwrap();
    assert_eq!((backfill.pipeline.as_str(), backfill.progress.total), ("train", 10));
    go_on(&engine).await;
    let run = runs(&engine).await.remove(0);
    assert_eq!(serde_json::to_value(&run.params).unwrap(), json!({ "day": "2026-03-27T03:00:00+01:00", "rounds": 7 }));
    // A file that takes no date any more: each date says why it has no run, and the backfill ends.
    engine.store(&FILE.replace("day: '', ", "")).await;
    engine.play(|_| AttemptOutcome::Failed).await;
    go_on(&engine).await;
    let ended = engine.services.backfill(&engine.ctx(), 1).await.unwrap();
    assert_eq!((ended.state, ended.progress.failed, ended.progress.refused), (BackfillState::Done, 1, 9));
    let dates = engine.services.backfill_runs(&engine.ctx(), 1, None, 3).await.unwrap();
    assert!(dates.items[1].refused.as_ref().unwrap().contains("\"day\"") && dates.next_page_token.is_some());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_its_field() {
    let engine = Engine::start().await;
    engine.store(FILE).await;
    let refused = async |change: fn(&mut NewBackfill)| {
        let mut wrong = new(1);
        change(&mut wrong);
        let error = engine.services.create_backfill(&engine.ctx(), wrong).await.unwrap_err();
        (error.kind, error.field.unwrap_or_default())
    };
    let invalid = |field: &str| (ErrorKind::Invalid, field.to_owned());
    assert_eq!(refused(|new| new.pipeline = None).await, invalid("pipeline"));
    assert_eq!(
        refused(|new| new.schedule = Some("none".to_owned())).await,
        (ErrorKind::NotFound, "schedule".to_owned())
    );
    assert_eq!(refused(|new| new.param = None).await, invalid("param"));
    assert_eq!(refused(|new| new.param = Some("date".to_owned())).await, invalid("param"));
    assert_eq!(refused(|new| new.param = Some("rounds".to_owned())).await, invalid("param"));
    assert_eq!(refused(|new| new.at_once = 0).await, invalid("at_once"));
    assert_eq!(refused(|new| new.step_s = Some(60)).await, invalid("expression"));
    let none = engine.services.backfills(&engine.ctx(), Some("train"), None, 10).await.unwrap();
    assert!(none.items.is_empty());
    assert_eq!(engine.services.backfill(&engine.ctx(), 1).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_param_that_gets_the_date_needs_no_default() {
    let engine = Engine::start().await;
    engine.store(&FILE.replace("day: ''", "day: { type: string }")).await;
    engine.services.create_backfill(&engine.ctx(), new(1)).await.unwrap();
    go_on(&engine).await;
    assert_eq!(runs(&engine).await[0].params["day"].to_string(), "2026-03-27");
    // One that cannot be a date is told by its field.
    let rounds = NewBackfill { param: Some("rounds".to_owned()), ..new(1) };
    let refused = engine.services.create_backfill(&engine.ctx(), rounds).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("params.day")));
    let both = NewBackfill {
        param: Some("rounds".to_owned()),
        params: Some(Map::from_iter([("day".to_owned(), json!("x"))])),
        ..new(1)
    };
    let refused = engine.services.create_backfill(&engine.ctx(), both).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("param")));
}
