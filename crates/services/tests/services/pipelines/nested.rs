//! Steps that stand in each other, that a matrix or a map makes many of, that have conditions, and that run in the end.

use crate::pipelines::engine::Engine;
use domain::pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState as S};
use serde_json::json;
use services::{Claimed, Given, StepWork};
use std::collections::BTreeMap;

async fn begin(engine: &Engine, held: &Claimed) -> StepWork {
    engine
        .services
        .begin_attempt(held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap()
}

const REGIONS: &str = r#"
name: regions
steps:
  list:
    command: list
    outputs: { regions: { path: regions.json, type: value } }
  region:
    map: { region: list.regions }
    steps:
      fetch:
        command: [fetch, "${{ params.region }}"]
        outputs: { rows: { path: rows.json, type: value } }
      train:
        matrix: { rate: [0.1, 0.2] }
        command: [train, "${{ params.region }}", "${{ params.rate }}"]
        inputs: { rows: fetch.rows, all: list.regions }
        outputs: { score: { path: score.json, type: value } }
    outputs: { scores: train.score }
  best:
    command: best
    inputs: { scores: region.scores }
"#;

#[tokio::test]
async fn a_step_runs_for_every_entry_of_a_list_that_another_made() {
    let engine = Engine::start().await;
    let run = engine.run(REGIONS).await;
    let list = engine.claim().await.unwrap();
    assert!(engine.claim().await.is_none(), "how many regions there are is not known yet");
    engine.give(&list, "regions", json!(["north", "south"])).await;

    let mut fetched = Vec::new();
    while let Some(held) = engine.claim().await {
        fetched.push((held.name.clone(), begin(&engine, &held).await.invocation.argv[1].clone()));
        engine.give(&held, "rows", json!(held.name)).await;
        if fetched.len() == 2 {
            break;
        }
    }
    fetched.sort();
    let expected = [("region.0/fetch", "north"), ("region.1/fetch", "south")];
    assert_eq!(fetched, expected.map(|(name, region)| (name.to_owned(), region.to_owned())));

    let mut trained = BTreeMap::new();
    while let Some(held) = engine.claim().await.filter(|held| held.name != "best") {
        let work = begin(&engine, &held).await;
        let rows = work.inputs.iter().find(|files| files.input.name == "rows").unwrap().given().cloned().unwrap();
        trained.insert(held.name.clone(), (work.invocation.argv[1..].join(" "), rows.value().unwrap()));
        let score: f64 = work.invocation.argv[2].parse().unwrap();
        engine.give(&held, "score", json!(score)).await;
        if trained.len() == 4 {
            break;
        }
    }
    assert_eq!(trained["region.1/train.0"], ("south 0.1".to_owned(), json!("region.1/fetch")));
    assert_eq!(trained["region.0/train.1"], ("north 0.2".to_owned(), json!("region.0/fetch")));

    let best = engine.claim().await.unwrap();
    let scores = begin(&engine, &best).await.inputs[0].given().cloned().unwrap();
    assert_eq!(scores.value(), Some(json!([[0.1, 0.2], [0.1, 0.2]])));
    assert!(matches!(scores, Given::Many(regions) if regions.len() == 2));
    engine.end(&best, O::Succeeded).await;
    let detail = engine.detail(run).await;
    assert_eq!(detail.run.state, PipelineRunState::Succeeded);
    assert_eq!((detail.steps_total, detail.steps_ended), (8, 8));
    let region = detail.steps.iter().find(|step| step.name == "region").unwrap();
    assert_eq!((region.state, region.inner.unwrap().total), (S::Succeeded, 2));
}

#[tokio::test]
async fn what_fails_inside_fails_what_is_around_it_and_nothing_beside() {
    let engine = Engine::start().await;
    let run = engine.run(REGIONS).await;
    let list = engine.claim().await.unwrap();
    engine.give(&list, "regions", json!(["north", "south"])).await;
    engine.play(|held| if held.name == "region.0/fetch" { O::Failed } else { O::Succeeded }).await;
    let steps = engine.all_steps(run).await;
    assert_eq!(steps["region.0/train"], S::Skipped);
    assert_eq!((steps["region.0"], steps["region.1"], steps["region"]), (S::Failed, S::Succeeded, S::Failed));
    assert_eq!((steps["best"], engine.state(run).await), (S::Skipped, PipelineRunState::Failed));
    assert_eq!(engine.reason(run, "region").await, "a step inside of it failed");
    assert_eq!(engine.reason(run, "best").await, "region failed");
}

#[tokio::test]
async fn a_list_may_be_empty_and_must_be_a_list() {
    let engine = Engine::start().await;
    let run = engine.run(REGIONS).await;
    let list = engine.claim().await.unwrap();
    engine.give(&list, "regions", json!([])).await;
    let best = engine.claim().await.unwrap();
    assert_eq!(begin(&engine, &best).await.inputs[0].given(), Some(&Given::Many(Vec::new())));
    engine.end(&best, O::Succeeded).await;
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);
    assert_eq!(engine.reason(run, "region").await, "there was nothing to run it for");

    let run = engine.run(REGIONS).await;
    let list = engine.claim().await.unwrap();
    engine.give(&list, "regions", json!("north")).await;
    assert!(engine.claim().await.is_none());
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
    assert_eq!(engine.reason(run, "region").await, "list.regions is no list");
}

#[tokio::test]
async fn a_condition_skips_a_step_and_the_run_succeeds_all_the_same() {
    let engine = Engine::start().await;
    let yaml = r#"
name: conditional
params: { deploy: true }
steps:
  score:
    command: score
    outputs: { accuracy: { path: a.json, type: value } }
  deploy:
    if: params.deploy && inputs.accuracy > 0.9 && steps.score == "succeeded"
    command: deploy
    inputs: { accuracy: score.accuracy }
  announce:
    command: announce
    needs: deploy
  wrong:
    if: inputs.accuracy.rows > 1
    command: wrong
    inputs: { accuracy: score.accuracy }
"#;
    let run = engine.run(&yaml.replace("  wrong:", "  other:").replace("accuracy.rows", "accuracy + 0.0")).await;
    let score = engine.claim().await.unwrap();
    engine.give(&score, "accuracy", json!(0.8)).await;
    assert!(engine.claim().await.is_none());
    let steps = engine.steps(run).await;
    assert_eq!((steps["deploy"], steps["announce"], steps["other"]), (S::Skipped, S::Skipped, S::Skipped));
    assert_eq!(engine.reason(run, "deploy").await, "its condition is not true");
    assert_eq!(engine.reason(run, "announce").await, "deploy was skipped");
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);

    let run = engine.run(yaml).await;
    let score = engine.claim().await.unwrap();
    engine.give(&score, "accuracy", json!(0.95)).await;
    engine.play(|_| O::Succeeded).await;
    let steps = engine.steps(run).await;
    assert_eq!((steps["deploy"], steps["announce"], steps["wrong"]), (S::Succeeded, S::Succeeded, S::Failed));
    assert!(engine.reason(run, "wrong").await.starts_with("its condition cannot be evaluated: "));
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
}

const LAST: &str = r#"
name: last
steps:
  make:
    command: make
    outputs: { data: data.csv }
  use: { command: use, inputs: { data: make.data } }
  look: { command: look, needs: make, trigger_rule: all_done }
finally:
  tell:
    if: steps.make == "failed"
    command: tell
    inputs: { data: make.data }
  sweep: { command: sweep, needs: tell, trigger_rule: all_done }
"#;

#[tokio::test]
async fn what_runs_in_the_end_runs_whatever_became_of_the_others() {
    let engine = Engine::start().await;
    let run = engine.run(LAST).await;
    let make = engine.claim().await.unwrap();
    engine.end(&make, O::Failed).await;
    let look = engine.claim().await.unwrap();
    assert_eq!(look.name, "look", "it waits for the end of make, not for its success");
    assert!(engine.claim().await.is_none(), "a step still runs");
    engine.end(&look, O::Succeeded).await;
    let tell = engine.claim().await.unwrap();
    let work = begin(&engine, &tell).await;
    assert!(work.inputs.is_empty() && !work.invocation.env.contains_key("INPUT_DATA"), "make gave nothing");
    assert_eq!(engine.state(run).await, PipelineRunState::Running);
    engine.end(&tell, O::Failed).await;
    engine.play(|_| O::Succeeded).await;
    let steps = engine.steps(run).await;
    assert_eq!((steps["use"], steps["tell"], steps["sweep"]), (S::Skipped, S::Failed, S::Succeeded));
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
}

#[tokio::test]
async fn what_runs_in_the_end_runs_after_a_cancelled_run_too_and_is_not_cancelled_with_it() {
    let engine = Engine::start().await;
    let run = engine.run(&LAST.replace("steps.make == \"failed\"", "steps.make == \"cancelled\"")).await;
    let make = engine.claim().await.unwrap();
    begin(&engine, &make).await;
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert!(engine.claim().await.is_none());
    engine.end(&make, O::Cancelled).await;
    let tell = engine.claim().await.unwrap();
    assert_eq!(tell.name, "tell");
    assert!(!begin(&engine, &tell).await.cancelling);
    let lease = [(tell.step_id, tell.fence)];
    let renewed = engine.services.renew_leases(&lease, std::time::Duration::from_secs(60)).await.unwrap();
    assert!(!renewed[0].cancelling, "it goes on");
    engine.end(&tell, O::Succeeded).await;
    engine.play(|_| O::Succeeded).await;
    let steps = engine.steps(run).await;
    assert_eq!((steps["look"], steps["tell"], steps["sweep"]), (S::Cancelled, S::Succeeded, S::Succeeded));
    assert_eq!(engine.state(run).await, PipelineRunState::Cancelled);
}

#[tokio::test]
async fn a_run_that_lost_count_of_its_steps_is_set_right() {
    let engine = Engine::start().await;
    let run = engine.run(REGIONS).await;
    let list = engine.claim().await.unwrap();
    engine.give(&list, "regions", json!(["north", "south"])).await;
    for sql in [
        "update steps set needs_left = 7 where state = 'waiting'",
        "update steps set inner_open = 9 where kind <> 'command'",
        "update pipeline_runs set top_open = 0, steps_ended = 70",
    ] {
        sqlx::query(sql).execute(&engine.database.pool).await.unwrap();
    }
    for _ in 0..20 {
        engine.services.settle_runs().await.unwrap();
        engine.play(|_| O::Succeeded).await;
    }
    let detail = engine.detail(run).await;
    assert_eq!(detail.run.state, PipelineRunState::Succeeded, "{:?}", engine.all_steps(run).await);
    assert_eq!((detail.steps_total, detail.steps_ended), (8, 8));
}
