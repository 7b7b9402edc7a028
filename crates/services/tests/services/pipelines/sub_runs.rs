//! Steps that run another pipeline: started, ended and cancelled with it, however often somebody looks.

use crate::pipelines::engine::Engine;
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome as O, PipelineRunState as R, RunCause, StepState as S},
};
use serde_json::json;
use services::NewRun;
use std::sync::Arc;
use tokio::task::JoinSet;

const CHILD: &str = "name: prepare\nparams: { day: monday, rows: 10 }\nsteps:\n  list: { command: 'true', outputs: { regions: { path: r.json, type: value } } }\n  each: { map: { region: list.regions }, command: 'true', outputs: { score: { path: s.json, type: value } } }\n";
const PARENT: &str = "name: nightly\nparams: { day: sunday }\nsteps:\n  data:\n    pipeline: prepare\n    params: { day: '${{ params.day }}' }\n    outputs: { regions: list.regions, scores: each.score }\n  train: { map: { region: data.regions }, command: 'true', inputs: { scores: data.scores } }\n";

impl Engine {
    /// Does what the steps of runs want, as a worker does.
    async fn see_to_all(&self) {
        while self.services.see_to_ending().await.unwrap() {}
        while self.services.see_to_sub_run().await.unwrap() {}
    }

    /// Starts a run of a stored pipeline; answers with why not.
    async fn try_run(&self, pipeline: &str) -> Result<i64, services::Error> {
        let new = NewRun { pipeline: pipeline.to_owned(), ..NewRun::default() };
        Ok(self.services.start_pipeline_run(&self.ctx(), new).await?.run.number)
    }
}

#[tokio::test]
async fn a_step_ends_as_its_run_does_and_gives_on_what_that_gave() {
    let engine = Engine::start().await;
    engine.store(CHILD).await;
    let run = engine.run(PARENT).await;
    assert_eq!(engine.state(run).await, R::Running);
    assert!(engine.claim().await.is_none(), "no worker is held, nor is there anything to take yet");
    engine.see_to_all().await;
    let child = engine.services.step(&engine.ctx(), run, "data").await.unwrap().sub_run.unwrap();
    let detail = engine.detail(child).await;
    assert_eq!((detail.run.cause, detail.run.cause_name.as_deref()), (RunCause::Step, Some("nightly #1")));
    assert_eq!(detail.cause_page.as_deref(), Some("pipeline-runs/1"));
    assert_eq!(json!(detail.run.params), json!({ "day": "sunday", "rows": 10 }));
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0);
    assert_eq!(engine.services.step(&engine.ctx(), run, "data").await.unwrap().sub_run, Some(child));

    let held = engine.claim().await.unwrap();
    engine.give(&held, "regions", json!(["north", "south"])).await;
    for score in [0.1, 0.2] {
        let held = engine.claim().await.unwrap();
        engine.give(&held, "score", json!(score)).await;
    }
    assert_eq!(engine.state(child).await, R::Succeeded);
    assert_eq!(engine.steps(run).await["data"], S::Running, "nobody has looked yet");
    engine.see_to_all().await;
    assert_eq!(engine.steps(run).await["data"], S::Succeeded);
    let given = engine.services.step(&engine.ctx(), run, "data").await.unwrap().outputs;
    let values: Vec<_> = given.iter().map(|output| (output.name.as_str(), output.value.clone().unwrap())).collect();
    assert_eq!(values, [("regions", json!(["north", "south"])), ("scores", json!([0.1, 0.2]))]);
    engine.play(|_| O::Succeeded).await;
    assert_eq!(engine.state(run).await, R::Succeeded);
    assert_eq!(engine.all_steps(run).await.keys().filter(|name| name.starts_with("train.")).count(), 2);
}

#[tokio::test]
async fn a_run_that_fails_or_is_cancelled_alone_fails_the_step_with_its_name() {
    let engine = Engine::start().await;
    engine.store("name: prepare\nsteps: { only: { command: 'true' } }\n").await;
    let yaml = "name: nightly\nsteps:\n  data: { pipeline: prepare }\n  after: { command: 'true', needs: data, trigger_rule: all_done }\n";
    let run = engine.run(yaml).await;
    engine.see_to_all().await;
    engine.play(|_| O::Failed).await;
    engine.see_to_all().await;
    assert_eq!(engine.reason(run, "data").await, "prepare #2 failed");
    engine.play(|_| O::Succeeded).await;
    assert_eq!(engine.state(run).await, R::Failed);

    let again = engine.again("nightly").await.run.number;
    engine.see_to_all().await;
    let child = engine.services.step(&engine.ctx(), again, "data").await.unwrap().sub_run.unwrap();
    engine.services.cancel_pipeline_run(&engine.ctx(), child).await.unwrap();
    engine.see_to_all().await;
    assert_eq!(engine.steps(again).await["data"], S::Failed);
    assert_eq!(engine.reason(again, "data").await, format!("prepare #{child} was cancelled"));
}

#[tokio::test]
async fn cancelling_a_run_cancels_those_inside_of_it() {
    let engine = Engine::start().await;
    engine.store("name: inner\nsteps: { only: { command: 'true' } }\n").await;
    engine.store("name: middle\nsteps: { in: { pipeline: inner } }\n").await;
    let run =
        engine.run("name: outer\nsteps: { in: { pipeline: middle }, wait: { command: 'true', needs: in } }\n").await;
    engine.see_to_all().await;
    let held = engine.claim().await.unwrap();
    assert_eq!(engine.detail(3).await.run.pipeline_name, "inner");
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert_eq!(engine.state(run).await, R::Cancelling, "it ends when those inside have");
    engine.see_to_all().await;
    assert_eq!((engine.state(2).await, engine.state(3).await), (R::Cancelling, R::Cancelling));
    engine.end(&held, O::Cancelled).await;
    engine.see_to_all().await;
    for number in [3, 2, run] {
        assert_eq!(engine.state(number).await, R::Cancelled, "#{number}");
    }
    assert_eq!(engine.steps(run).await["wait"], S::Cancelled);
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_its_step_got_one_starts_none() {
    let engine = Engine::start().await;
    engine.store("name: prepare\nsteps: { only: { command: 'true' } }\n").await;
    let run = engine.run("name: nightly\nsteps: { data: { pipeline: prepare } }\n").await;
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    engine.see_to_all().await;
    assert_eq!(engine.state(run).await, R::Cancelled);
    assert_eq!(engine.services.step(&engine.ctx(), run, "data").await.unwrap().sub_run, None);
}

#[tokio::test]
async fn pipelines_that_run_each_other_or_stand_too_deep_are_refused() {
    let engine = Engine::start().await;
    engine.store("name: a\nsteps: { in: { pipeline: b } }\n").await;
    let refused = engine.try_run("a").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.message, "Step \"in\" runs the pipeline \"b\", which this workspace does not have.");
    engine.store("name: b\nsteps: { group: { steps: { in: { pipeline: a } } } }\n").await;
    let refused = engine.try_run("a").await.unwrap_err();
    assert_eq!(refused.message, "Pipelines run each other, without an end: a → b → a.");
    engine.store("name: self\nsteps: { in: { pipeline: self } }\n").await;
    assert_eq!(
        engine.try_run("self").await.unwrap_err().message,
        "Pipelines run each other, without an end: self → self."
    );

    engine.store("name: d6\nsteps: { only: { command: 'true' } }\n").await;
    for depth in (1..6).rev() {
        engine.store(&format!("name: d{depth}\nsteps: {{ in: {{ pipeline: d{} }} }}\n", depth + 1)).await;
    }
    let refused = engine.try_run("d1").await.unwrap_err();
    assert!(refused.message.starts_with("Pipelines run each other 5 deep and not deeper: d1 → d2"), "{refused:?}");
    engine.try_run("d2").await.unwrap();
    let version = engine.store("name: v\nsteps: { in: { pipeline: { name: d6, version: 7 } } }\n").await;
    assert!(engine.try_run(&version.pipeline.name).await.unwrap_err().message.starts_with("Step \"in\": "));
}

#[tokio::test]
async fn what_a_file_becomes_while_runs_wait_makes_no_circle_either() {
    let engine = Engine::start().await;
    engine.store("name: b\nsteps: { only: { command: 'true' } }\n").await;
    let run = engine.run("name: a\nsteps: { in: { pipeline: b } }\n").await;
    engine.store("name: b\nsteps: { in: { pipeline: a } }\n").await;
    engine.see_to_all().await;
    assert_eq!(engine.state(run).await, R::Failed);
    assert!(engine.reason(run, "in").await.contains("without an end: b → a → b"), "{}", engine.reason(run, "in").await);
}

#[tokio::test]
async fn params_that_the_other_does_not_take_fail_the_step_with_its_sentence() {
    let engine = Engine::start().await;
    engine.store("name: b\nparams: { rows: 1 }\nsteps: { only: { command: 'true' } }\n").await;
    let run = engine.run("name: a\nsteps: { in: { pipeline: b, params: { days: 2 } } }\n").await;
    engine.see_to_all().await;
    assert_eq!(engine.steps(run).await["in"], S::Failed);
    assert!(engine.reason(run, "in").await.contains("has no param \"days\""));
    let missing = engine
        .run("name: c\nsteps: { in: { pipeline: b, params: { rows: 2 }, outputs: { x: only.nothing } } }\n")
        .await;
    engine.see_to_all().await;
    engine.play(|_| O::Succeeded).await;
    engine.see_to_all().await;
    assert!(engine.reason(missing, "in").await.ends_with("succeeded, but it gave no only.nothing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_started_once_however_many_look() {
    let engine = Arc::new(Engine::start().await);
    engine.store("name: b\nsteps: { only: { command: 'true' } }\n").await;
    engine.run("name: a\nsteps: { in: { pipeline: b, matrix: { n: [1, 2, 3, 4, 5] } } }\n").await;
    let mut looking = JoinSet::new();
    for _ in 0..6 {
        let engine = Arc::clone(&engine);
        looking.spawn(async move { while engine.services.see_to_sub_run().await.unwrap() {} });
    }
    looking.join_all().await;
    let runs: i64 = sqlx::query_scalar("select count(*) from pipeline_runs where cause = 'step'")
        .fetch_one(&engine.database.pool)
        .await
        .unwrap();
    assert_eq!(runs, 5);
    engine.play(|_| O::Succeeded).await;
    engine.see_to_all().await;
    assert_eq!(engine.state(1).await, R::Succeeded);
}
