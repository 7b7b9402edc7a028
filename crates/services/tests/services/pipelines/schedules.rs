//! Schedules: one fire however many look, what is made up for, and what a run says of its schedule.

use crate::pipelines::engine::{Engine, graph};
use chrono::{DateTime, Utc};
use domain::{
    ErrorKind,
    backfill::DateFormat,
    pipeline_run::{AttemptOutcome, Concurrency, ConcurrencyPolicy, RunCause},
    schedule::{CatchUp, Fire, FireOutcome, Schedule},
};
use serde_json::{Map, json};
use services::{NewRun, NewSchedule, Rerun, RunFilter, ScheduleChange, ScheduleFilter};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::task::JoinSet;

const PARAMS: &str = "name: params\nparams: { rounds: 20 }\nsteps:\n  only: { command: 'true' }\n";

fn new(name: &str, catch_up: CatchUp) -> NewSchedule {
    NewSchedule {
        name: name.to_owned(),
        pipeline: "graph".to_owned(),
        expression: "* * * * *".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        params: Map::new(),
        param: None,
        param_format: DateFormat::Date,
        catch_up,
        catch_up_limit: 10,
        jitter_s: 0,
        enabled: true,
    }
}

async fn scheduled(engine: &Engine, catch_up: CatchUp) -> Schedule {
    engine.store(&graph(&[("a", &[])])).await;
    engine.services.create_schedule(&engine.ctx(), new("nightly", catch_up)).await.unwrap()
}

/// Lets all workers have been away for so many minutes.
async fn away(engine: &Engine, minutes: i32) {
    let sql = "update schedules
               set next_fire = date_trunc('minute', clock_timestamp()) - make_interval(mins => $1),
                   next_at = date_trunc('minute', clock_timestamp()) - make_interval(mins => $1)";
    sqlx::query(sql).bind(minutes).execute(&engine.database.pool).await.unwrap();
}

async fn fires(engine: &Engine) -> Vec<Fire> {
    engine.services.schedule_fires(&engine.ctx(), "nightly", None, 100).await.unwrap().items
}

#[tokio::test]
async fn however_many_look_each_fire_starts_one_run() {
    let engine = Arc::new(Engine::start().await);
    scheduled(&engine, CatchUp::All).await;
    away(&engine, 5).await;
    let mut lookers = JoinSet::new();
    for _ in 0..12 {
        let engine = Arc::clone(&engine);
        lookers.spawn(async move { while engine.services.fire_schedule().await.unwrap() {} });
    }
    lookers.join_all().await;
    // A lost answer: the schedule stands as it stood before, and the fires are there.
    away(&engine, 5).await;
    while engine.services.fire_schedule().await.unwrap() {}
    let fires = fires(&engine).await;
    assert!(fires.len() >= 6, "{fires:?}");
    assert!(fires.iter().all(|fire| fire.outcome == FireOutcome::Started), "{fires:?}");
    let runs = engine.services.pipeline_runs(&engine.ctx(), &RunFilter::default(), None, 100).await.unwrap().items;
    let started: BTreeSet<DateTime<Utc>> = runs.iter().filter_map(|summary| summary.run.cause_at).collect();
    assert_eq!(started, fires.iter().map(|fire| fire.fire_time).collect());
    assert_eq!(started.len(), runs.len());
}

#[tokio::test]
async fn a_run_says_which_schedule_started_it_and_for_when() {
    let engine = Engine::start().await;
    let schedule = scheduled(&engine, CatchUp::Latest).await;
    away(&engine, 30).await;
    assert!(engine.services.fire_schedule().await.unwrap());
    let run = engine.detail(1).await.run;
    assert_eq!(
        (run.cause, run.cause_id, run.cause_name.as_deref()),
        (RunCause::Schedule, Some(schedule.id.to_string()), Some("nightly"))
    );
    assert_eq!(run.started_by_name, "nightly");
    let fires = fires(&engine).await;
    assert_eq!((run.cause_at, fires[0].run_number), (Some(fires[0].fire_time), Some(1)));
    let missed = fires.iter().filter(|fire| fire.outcome == FireOutcome::Missed).count();
    assert_eq!(missed, fires.len() - 1);
    assert!(missed >= 29);
    assert!(engine.history(1).await[0].contains("started graph #1"));
}

/// The time that the next step is told that its run is for.
async fn scheduled_for(engine: &Engine) -> Option<String> {
    let held = engine.claim().await.unwrap();
    let facts = domain::worker::Facts::default();
    let mut work = engine.services.begin_attempt(&held, "http://slipway", &facts).await.unwrap().unwrap();
    engine.end(&held, AttemptOutcome::Succeeded).await;
    work.invocation.env.remove("SLIPWAY_SCHEDULED_FOR")
}

#[tokio::test]
async fn each_run_that_is_made_up_for_knows_for_which_time_it_is() {
    let engine = Engine::start().await;
    engine.store("name: dated\nparams: { day: { type: string } }\nsteps: { only: { command: x } }\n").await;
    let dated = NewSchedule {
        pipeline: "dated".to_owned(),
        param: Some("day".to_owned()),
        param_format: DateFormat::Time,
        ..new("nightly", CatchUp::All)
    };
    engine.services.create_schedule(&engine.ctx(), dated).await.unwrap();
    away(&engine, 3).await;
    assert!(engine.services.fire_schedule().await.unwrap());
    let (mut times, mut told) = (BTreeSet::new(), BTreeSet::new());
    let count = fires(&engine).await.len();
    for number in (1..).take(count) {
        let run = engine.detail(number).await.run;
        let given: DateTime<Utc> = run.params["day"].to_string().parse().unwrap();
        assert_eq!(Some(given), run.cause_at);
        times.insert(given);
        told.insert(scheduled_for(&engine).await.unwrap().parse().unwrap());
    }
    assert!(count >= 4 && times.len() == count);
    assert_eq!(times, told);
    // Run again, it is for the same time; one that somebody starts is for none.
    let again = Rerun { from: "start".parse().unwrap(), params: BTreeMap::new(), idempotency_key: None };
    let again = engine.services.rerun_pipeline_run(&engine.ctx(), 1, again).await.unwrap().run;
    assert_eq!(again.cause_at, engine.detail(1).await.run.cause_at);
    assert!(scheduled_for(&engine).await.is_some());
    let by_hand = NewRun {
        pipeline: "dated".to_owned(),
        params: BTreeMap::from([("day".to_owned(), json!("2026-03-29"))]),
        ..NewRun::default()
    };
    engine.services.start_pipeline_run(&engine.ctx(), by_hand).await.unwrap();
    assert_eq!(scheduled_for(&engine).await, None);
    // Without the param the pipeline cannot be scheduled, as nothing else gives it.
    let none = ScheduleChange { param: Some(String::new()), ..ScheduleChange::default() };
    let refused = engine.services.change_schedule(&engine.ctx(), "nightly", none).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("params.day")));
}

#[tokio::test]
async fn what_a_pause_left_out_is_not_made_up_for() {
    let engine = Engine::start().await;
    scheduled(&engine, CatchUp::All).await;
    let pause = |enabled| ScheduleChange { enabled: Some(enabled), ..ScheduleChange::default() };
    let ctx = engine.ctx();
    let paused = engine.services.change_schedule(&ctx, "nightly", pause(false)).await.unwrap();
    assert_eq!(paused.next_fire, None);
    assert_eq!(engine.services.next_start_due().await.unwrap(), None);
    assert!(!engine.services.fire_schedule().await.unwrap());
    let resumed = engine.services.change_schedule(&ctx, "nightly", pause(true)).await.unwrap();
    assert!(resumed.next_fire.unwrap() > Utc::now() - chrono::TimeDelta::seconds(1));
    assert!(engine.services.next_start_due().await.unwrap().is_some());
    engine.services.delete_schedule(&ctx, "nightly").await.unwrap();
    let gone = engine.services.schedule(&ctx, "nightly").await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_fire_that_can_start_nothing_says_why_and_the_next_is_tried() {
    let engine = Engine::start().await;
    scheduled(&engine, CatchUp::Latest).await;
    let limit = Concurrency { policy: ConcurrencyPolicy::Skip, limit: 1 };
    engine.services.set_concurrency(&engine.ctx(), "graph", Some(limit)).await.unwrap();
    engine.again("graph").await;
    away(&engine, 0).await;
    assert!(engine.services.fire_schedule().await.unwrap());
    let fire = fires(&engine).await.remove(0);
    assert_eq!((fire.outcome, fire.run_number), (FireOutcome::Skipped, None));
    assert!(fire.reason.contains("1 run of graph"), "{fire:?}");
    // A file that does not know the schedule's params any more.
    engine.store(PARAMS).await;
    let params = Map::from_iter([("rounds".to_owned(), json!(7))]);
    let change =
        ScheduleChange { pipeline: Some("params".to_owned()), params: Some(params), ..ScheduleChange::default() };
    engine.services.change_schedule(&engine.ctx(), "nightly", change).await.unwrap();
    engine.store(&PARAMS.replace("rounds", "epochs")).await;
    sqlx::query("delete from schedule_fires").execute(&engine.database.pool).await.unwrap();
    away(&engine, 0).await;
    assert!(engine.services.fire_schedule().await.unwrap());
    let fire = fires(&engine).await.remove(0);
    assert!(fire.outcome == FireOutcome::Refused && fire.reason.contains("rounds"), "{fire:?}");
    let next = engine.services.schedule(&engine.ctx(), "nightly").await.unwrap().next_fire;
    assert!(next.unwrap() > fire.fire_time);
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused_at_its_field() {
    let engine = Engine::start().await;
    scheduled(&engine, CatchUp::Skip).await;
    let refused = async |change: fn(&mut NewSchedule)| {
        let mut wrong = new("other", CatchUp::Skip);
        change(&mut wrong);
        let error = engine.services.create_schedule(&engine.ctx(), wrong).await.unwrap_err();
        (error.kind, error.field.unwrap_or_default())
    };
    let invalid = |field: &str| (ErrorKind::Invalid, field.to_owned());
    assert_eq!(refused(|new| new.name = "Every night".to_owned()).await, invalid("name"));
    assert_eq!(refused(|new| new.expression = "0 0 31 2 *".to_owned()).await, invalid("expression"));
    assert_eq!(refused(|new| new.timezone = "Berlin".to_owned()).await, invalid("timezone"));
    assert_eq!(refused(|new| new.catch_up_limit = 0).await, invalid("catch_up_limit"));
    assert_eq!(refused(|new| new.jitter_s = -1).await, invalid("jitter_s"));
    assert_eq!(refused(|new| drop(new.params.insert("speed".to_owned(), json!(1)))).await, invalid("params.speed"));
    assert_eq!(refused(|new| new.param = Some("day".to_owned())).await, invalid("param"));
    assert_eq!(refused(|new| new.name = "nightly".to_owned()).await, (ErrorKind::AlreadyExists, "name".to_owned()));
    assert_eq!(refused(|new| new.pipeline = "gone".to_owned()).await.0, ErrorKind::NotFound);
    let filter = ScheduleFilter { pipeline: Some("graph".to_owned()), enabled: Some(true) };
    let listed = engine.services.schedules(&engine.ctx(), &filter, None, 10).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}
