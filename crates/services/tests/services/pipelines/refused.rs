//! What is left of a start that is refused: a reason where somebody looks, and no run.

use crate::pipelines::engine::Engine;
use domain::{
    backfill::{BackfillState, DateFormat},
    id::{AlertId, TriggerId},
    pipeline_run::{AttemptOutcome, Concurrency, ConcurrencyPolicy},
    push_hook::{Forge, Outcome},
    schedule::{CatchUp, FireOutcome},
    secret::SecretValue,
};
use serde_json::{Map, Value, json};
use services::{NewBackfill, NewDataset, NewPipelineTrigger, NewPushHook, NewSchedule, NewTriggerOn, ProvedPush};
use std::collections::BTreeMap;

/// A step of `train` that takes something which is not there, and a part of the sentence that says so.
const CAUSES: [(&str, &str); 6] = [
    ("{ command: x, secrets: [HF_TOKEN] }", "needs the secret HF_TOKEN"),
    ("{ command: x, limits: [licence] }", "names the limit \"licence\""),
    ("{ command: x, inputs: { data: { dataset: gone } } }", "There is no dataset \"gone\""),
    ("{ command: x, inputs: { before: { model: gone } } }", "takes \"before\", which is not there"),
    ("{ approval: { rules: [{ name: risk, eligible: { teams: [risk] } }] } }", "asks the team \"risk\""),
    ("{ pipeline: gone }", "runs the pipeline \"gone\""),
];

/// Has `train` be what needs something that is not there.
async fn store(engine: &Engine, step: &str) {
    engine.store(&format!("name: train\nparams: {{ day: '' }}\nsteps: {{ only: {step} }}\n")).await;
}

/// Everything that starts `train` by itself starts it; each answers with why it did not.
async fn start(engine: &Engine, round: usize) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("schedule", by_schedule(engine).await.1),
        ("push hook", by_push(engine, round).await),
        ("end of a run", by_ending(engine).await),
        ("version of a data set", by_version(engine, round).await),
        ("alert", by_alert(engine, AlertId::new()).await),
        ("backfill", by_backfill(engine).await.1),
    ]
}

async fn set_up(engine: &Engine) {
    let ctx = engine.ctx();
    store(engine, "{ command: x }").await;
    engine.store("name: prepare\nsteps: { only: { command: x } }\n").await;
    let schedule = NewSchedule {
        name: "nightly".to_owned(),
        pipeline: "train".to_owned(),
        expression: "* * * * *".to_owned(),
        timezone: "UTC".to_owned(),
        params: Map::new(),
        param: None,
        param_format: DateFormat::Date,
        catch_up: CatchUp::Latest,
        catch_up_limit: 1,
        jitter_s: 0,
        enabled: true,
    };
    engine.services.create_schedule(&ctx, schedule).await.unwrap();
    let hook = NewPushHook {
        name: "main".to_owned(),
        pipeline: "train".to_owned(),
        forge: Forge::Gitlab,
        branches: Vec::new(),
        paths: Vec::new(),
        params: Map::new(),
        from_push: BTreeMap::new(),
        enabled: true,
    };
    engine.services.create_push_hook(&ctx, hook).await.unwrap();
    let dataset = NewDataset { name: "wine".to_owned(), ..NewDataset::default() };
    engine.services.create_dataset(&ctx, dataset).await.unwrap();
    for on in [
        NewTriggerOn::Pipeline { source: "prepare".to_owned(), states: Vec::new() },
        NewTriggerOn::Dataset { dataset: "wine".to_owned() },
    ] {
        let pipeline = "train".to_owned();
        let trigger = NewPipelineTrigger { pipeline, on, params: Map::new(), enabled: true, cool_down_s: 0 };
        engine.services.set_pipeline_trigger(&ctx, trigger).await.unwrap();
    }
}

async fn by_schedule(engine: &Engine) -> (FireOutcome, Option<String>) {
    sqlx::query("delete from schedule_fires").execute(&engine.database.pool).await.unwrap();
    let due = "update schedules
               set next_fire = date_trunc('minute', clock_timestamp()), next_at = date_trunc('minute', clock_timestamp())";
    sqlx::query(due).execute(&engine.database.pool).await.unwrap();
    assert!(engine.services.fire_schedule().await.unwrap());
    let fire = engine.services.schedule_fires(&engine.ctx(), "nightly", None, 1).await.unwrap().items.remove(0);
    (fire.outcome, Some(fire.reason).filter(|_| fire.run_number.is_none()))
}

async fn by_push(engine: &Engine, round: usize) -> Option<String> {
    let body = json!({ "ref": "refs/heads/main", "after": "1a2b3c", "commits": [] });
    let push = ProvedPush {
        hook: engine.services.push_hook(&engine.ctx(), "main").await.unwrap(),
        event: "Push Hook".to_owned(),
        delivery: Some(format!("d{round}")),
        body: serde_json::to_vec(&body).unwrap(),
    };
    let delivery = engine.services.receive_push(push).await.unwrap();
    (delivery.outcome == Outcome::Refused && delivery.run_number.is_none()).then_some(delivery.answer)
}

async fn by_ending(engine: &Engine) -> Option<String> {
    engine.again("prepare").await;
    engine.play(|_| AttemptOutcome::Succeeded).await;
    while engine.services.see_to_ending().await.unwrap() {}
    held_back(engine, "pipeline").await
}

async fn by_version(engine: &Engine, round: usize) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), format!("x\n{round}\n")).unwrap();
    let path = folder.path().to_owned();
    engine.services.make_dataset_version_of(&engine.ctx(), "wine", path, "").await.unwrap();
    held_back(engine, "dataset").await
}

/// Why the trigger of this kind did not start anything the last time.
async fn held_back(engine: &Engine, kind: &str) -> Option<String> {
    let triggers = engine.services.triggers(&engine.ctx()).await.unwrap();
    let is_kind = |on: Value| on["kind"] == kind;
    let trigger = triggers.iter().find(|trigger| is_kind(serde_json::to_value(&trigger.on).unwrap())).unwrap();
    let last = engine.services.trigger_firings(&engine.ctx(), trigger.id).await.unwrap().remove(0);
    assert_eq!(last.run_number.is_none(), last.held_back.is_some(), "{last:?}");
    last.held_back
}

async fn by_alert(engine: &Engine, alert: AlertId) -> Option<String> {
    let pipeline = engine.services.pipeline(&engine.ctx(), "train").await.unwrap().pipeline.id;
    let mut tx = engine.database.pool.begin().await.unwrap();
    let (ctx, params, trigger) = (engine.ctx(), BTreeMap::new(), TriggerId(uuid::Uuid::nil()));
    let services = &engine.services;
    let started = services.start_run_for_trigger(&mut tx, &ctx, pipeline, &params, trigger, (alert, 4)).await;
    let refused = started.unwrap().err();
    // Whoever asks goes on.
    tx.commit().await.unwrap();
    refused.map(|refused| refused.why)
}

/// Over two dates, one at once.
async fn by_backfill(engine: &Engine) -> (BackfillState, Option<String>) {
    let new = NewBackfill {
        schedule: None,
        pipeline: Some("train".to_owned()),
        from: "2026-03-27T00:00:00Z".parse().unwrap(),
        to: "2026-03-28T00:00:00Z".parse().unwrap(),
        expression: None,
        step_s: Some(86_400),
        timezone: None,
        param: Some("day".to_owned()),
        param_format: None,
        params: None,
        at_once: 1,
    };
    let number = engine.services.create_backfill(&engine.ctx(), new).await.unwrap().number;
    while engine.services.advance_backfill().await.unwrap() {}
    let dates = engine.services.backfill_runs(&engine.ctx(), number, None, 10).await.unwrap().items;
    let state = engine.services.backfill(&engine.ctx(), number).await.unwrap().state;
    (state, dates[1].refused.clone().filter(|_| dates.iter().all(|date| date.run_number.is_none())))
}

/// How many runs of `train` there are, and what history has of them; and the steps and pins of all runs.
async fn left(engine: &Engine) -> (i64, i64, i64) {
    let count =
        "select (select count(*) from pipeline_runs r join pipelines p on p.id = r.pipeline_id where p.name = 'train'),
                     (select count(*) from audit_events where summary like 'started train%'),
                     (select count(*) from pipeline_run_pins)";
    sqlx::query_as(count).fetch_one(&engine.database.pool).await.unwrap()
}

#[tokio::test]
async fn whatever_is_missing_and_whoever_starts_no_run_is_left_and_the_reason_is_told() {
    let engine = Engine::start().await;
    set_up(&engine).await;
    for (round, (step, told)) in CAUSES.into_iter().enumerate() {
        store(&engine, step).await;
        for (starter, why) in start(&engine, round).await {
            assert!(why.as_ref().is_some_and(|why| why.contains(told)), "{starter}, {step}: {why:?}");
        }
        // A run without steps would be set right as one that succeeded.
        engine.services.settle_runs().await.unwrap();
        assert_eq!(left(&engine).await, (0, 0, 0), "{step}");
    }
    // The numbers of runs have no gap.
    store(&engine, "{ command: x }").await;
    let prepared = i64::try_from(CAUSES.len()).unwrap();
    assert_eq!(engine.again("train").await.run.number, prepared + 1);
}

#[tokio::test]
async fn a_fire_is_refused_for_what_is_missing_and_skipped_when_the_pipeline_is_busy() {
    let engine = Engine::start().await;
    set_up(&engine).await;
    store(&engine, CAUSES[0].0).await;
    assert_eq!(by_schedule(&engine).await.0, FireOutcome::Refused);
    store(&engine, "{ command: x }").await;
    let limit = Concurrency { policy: ConcurrencyPolicy::Skip, limit: 1 };
    engine.services.set_concurrency(&engine.ctx(), "train", Some(limit)).await.unwrap();
    engine.again("train").await;
    assert_eq!(by_schedule(&engine).await.0, FireOutcome::Skipped);
}

#[tokio::test]
async fn a_backfill_ends_when_all_dates_are_refused_and_waits_while_the_pipeline_is_busy() {
    let engine = Engine::start().await;
    set_up(&engine).await;
    store(&engine, CAUSES[2].0).await;
    let (state, why) = by_backfill(&engine).await;
    assert_eq!(state, BackfillState::Done);
    assert!(why.unwrap().contains(CAUSES[2].1));
    store(&engine, "{ command: x }").await;
    let limit = Concurrency { policy: ConcurrencyPolicy::Skip, limit: 1 };
    engine.services.set_concurrency(&engine.ctx(), "train", Some(limit)).await.unwrap();
    engine.again("train").await;
    assert_eq!(by_backfill(&engine).await, (BackfillState::Running, None));
}

#[tokio::test]
async fn an_alert_that_could_start_nothing_starts_its_run_when_what_was_missing_is_there() {
    let engine = Engine::start().await;
    set_up(&engine).await;
    store(&engine, CAUSES[0].0).await;
    let alert = AlertId::new();
    for _ in 0..2 {
        assert!(by_alert(&engine, alert).await.unwrap().contains(CAUSES[0].1));
    }
    let value = SecretValue::choose("hush".to_owned()).unwrap();
    engine.services.set_secret(&engine.ctx(), "HF_TOKEN", value).await.unwrap();
    for _ in 0..2 {
        assert_eq!(by_alert(&engine, alert).await, None);
    }
    assert_eq!(left(&engine).await.0, 1);
}
