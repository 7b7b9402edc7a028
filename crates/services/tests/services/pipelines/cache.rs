//! What steps gave before is given again when they would run with the same.

use crate::pipelines::engine::Engine;
use domain::{
    Digest,
    pipeline_run::{AttemptOutcome, CacheOutcome, StepCache, StepState},
    step::StepOutput,
    worker::Facts,
};
use services::{Claimed, LetGo, NewRun};
use std::collections::BTreeMap;

fn yaml(command: &str, cache: &str) -> String {
    format!(
        "name: cached\nparams: {{ rounds: 100 }}\nfiles: {{ a.py: 'print(1)' }}\nsteps:\n  make:\n    command: '{command}'\n    \
         outputs: {{ data: data.txt }}\n    cache: {cache}\n  use:\n    command: 'true'\n    inputs: {{ data: make.data }}\n    \
         cache: {cache}\n"
    )
}

fn facts(environment: u8) -> Facts {
    Facts { machine: None, environment: Some(Digest::blake3([environment; 32])) }
}

/// A worker that says what it is, whose steps write what they are told.
struct Player {
    engine: Engine,
    facts: Facts,
    content: Vec<u8>,
}

impl Player {
    async fn new() -> Self {
        let player = Self { engine: Engine::start().await, facts: Facts::default(), content: b"rows".to_vec() };
        player.on_worker(1).await
    }

    async fn on_worker(mut self, environment: u8) -> Self {
        let mut conn = self.engine.database.pool.acquire().await.unwrap();
        self.facts = facts(environment);
        let digest = self.facts.environment.clone().unwrap();
        store::worker::add_facts(&mut conn, &digest, &serde_json::json!({ "environment": environment })).await.unwrap();
        drop(conn);
        self
    }

    /// Runs what is ready, and says which steps ran.
    async fn play(&self) -> Vec<String> {
        let mut ran = Vec::new();
        while let Some(held) = self.engine.claim().await {
            let work = self.engine.services.begin_attempt(&held, "http://slipway", &self.facts).await.unwrap().unwrap();
            if let Some(hit) = work.cached {
                let how = LetGo::Cached(hit);
                let state = self.engine.services.let_go(&crate::pipelines::engine::lease(&held), &how).await.unwrap();
                assert_eq!(state, Some(StepState::Succeeded));
                continue;
            }
            ran.push(held.name.clone());
            self.end(&held).await;
        }
        ran
    }

    async fn end(&self, held: &Claimed) {
        let artifacts = artifacts::Artifacts::open_dir(self.engine.directory.path().join("artifacts")).await.unwrap();
        let mut outputs = Vec::new();
        if held.name == "make" {
            let blob = artifacts.put_bytes(self.content.clone()).await.unwrap();
            outputs.push(StepOutput {
                name: "data".to_owned(),
                path: "data.txt".to_owned(),
                kind: None,
                is_folder: false,
                digest: blob.digest,
                size: 4,
                value: None,
                version: None,
            });
        }
        self.engine.end_with(held, AttemptOutcome::Succeeded, outputs).await;
    }

    async fn again(&self, rounds: i64, no_cache: bool) -> i64 {
        let new = NewRun {
            pipeline: "cached".to_owned(),
            params: BTreeMap::from([("rounds".to_owned(), rounds.into())]),
            no_cache,
            ..NewRun::default()
        };
        self.engine.services.start_pipeline_run(&self.engine.ctx(), new).await.unwrap().run.number
    }

    async fn cache(&self, run: i64, step: &str) -> StepCache {
        self.engine.services.step(&self.engine.ctx(), run, step).await.unwrap().cache.unwrap()
    }
}

#[tokio::test]
async fn a_step_that_asks_for_which_time_its_run_is_runs_once_for_each() {
    let player = Player::new().await;
    let at = async |number: i64, time: &str| {
        let sql = "update pipeline_runs set cause_at = $2::text::timestamptz where number = $1";
        sqlx::query(sql).bind(number).bind(time).execute(&player.engine.database.pool).await.unwrap();
    };
    for (command, nights, ran) in [
        ("echo $SLIPWAY_SCHEDULED_FOR", ["1", "2", "1"], [true, true, false]),
        ("echo", ["1", "2", "1"], [true, false, false]),
    ] {
        player.engine.store(&yaml(command, "true")).await;
        for (night, ran) in nights.into_iter().zip(ran) {
            let number = player.engine.again("cached").await.run.number;
            at(number, &format!("2026-03-0{night}T03:00:00Z")).await;
            assert_eq!(player.play().await.contains(&"make".to_owned()), ran, "{command}, night {night}");
        }
    }
}

#[tokio::test]
async fn a_step_that_would_run_with_the_same_gives_the_same_without_a_process() {
    let player = Player::new().await;
    let first = player.engine.run(&yaml("make", "true")).await;
    assert_eq!(player.play().await, ["make", "use"]);
    assert_eq!(player.cache(first, "make").await.reasons, ["nothing was kept of this step yet"]);

    let second = player.again(100, false).await;
    assert!(player.play().await.is_empty(), "nothing ran");
    let cache = player.cache(second, "make").await;
    assert_eq!((cache.outcome, cache.run, cache.step.as_deref()), (CacheOutcome::Hit, Some(first), Some("make")));
    assert_eq!(outputs_of(&player, first).await, outputs_of(&player, second).await);
    assert_eq!(player.engine.reason(second, "make").await, "cached from run #1");
}

async fn outputs_of(player: &Player, run: i64) -> Vec<StepOutput> {
    player.engine.services.step(&player.engine.ctx(), run, "make").await.unwrap().outputs
}

#[tokio::test]
async fn a_miss_says_what_is_other_than_before() {
    let player = Player::new().await;
    player.engine.run(&yaml("make", "true")).await;
    player.play().await;

    let run = player.again(200, false).await;
    assert_eq!(player.play().await, ["make", "use"]);
    assert_eq!(player.cache(run, "make").await.reasons, ["param rounds: 100 → 200"]);

    let run = player.engine.run(&yaml("make --more", "true").replace("print(1)", "print(2)")).await;
    let ran = player.play().await;
    assert_eq!(ran, ["make", "use"]);
    let reasons = player.cache(run, "make").await.reasons;
    assert_eq!(reasons, ["the command changed", "file a.py changed", "param rounds: 200 → 100"]);

    // What a step before it gave is part of what a step runs with, and nothing else of that step.
    let player = Player { content: b"other rows".to_vec(), ..player };
    let run = player.again(100, true).await;
    assert_eq!(player.play().await, ["make", "use"]);
    assert_eq!(player.cache(run, "make").await.reasons, ["the run was started without the cache"]);
    let run = player.again(100, false).await;
    assert!(player.play().await.is_empty(), "what a run without the cache gave is kept");
    assert_eq!(player.cache(run, "use").await.outcome, CacheOutcome::Hit);

    let player = player.on_worker(2).await;
    let run = player.again(100, false).await;
    player.play().await;
    assert_eq!(player.cache(run, "make").await.reasons, ["the system or the packages of the worker changed"]);
}

#[tokio::test]
async fn what_is_gone_or_too_old_is_made_again() {
    let player = Player::new().await;
    player.engine.run(&yaml("make", "{ max_age: 1d }")).await;
    player.play().await;
    let outputs = outputs_of(&player, 1).await;
    let (shard, rest) = outputs[0].digest.hex().split_at(2);
    let blob = player.engine.directory.path().join("artifacts/blobs").join(shard).join(rest);
    std::fs::remove_file(&blob).unwrap();
    let run = player.again(100, false).await;
    assert_eq!(player.play().await, ["make"], "what it makes is the same, so the next is cached");
    assert_eq!(player.cache(run, "make").await.reasons, ["the output \"data\" of run #1 is not there any more"]);

    sqlx::query("update step_cache set created_at = created_at - interval '2 days'")
        .execute(&player.engine.database.pool)
        .await
        .unwrap();
    let run = player.again(100, false).await;
    player.play().await;
    assert_eq!(player.cache(run, "make").await.reasons, ["what run #2 gave is older than its max_age"]);
}

#[tokio::test]
async fn a_secret_counts_by_its_version_and_its_value_is_in_no_key() {
    let player = Player::new().await;
    let set = async |value: &str| {
        let value = domain::secret::SecretValue::kept(value.to_owned());
        player.engine.services.set_secret(&player.engine.ctx(), "TOKEN", value).await.unwrap();
    };
    set("hush-hush-1").await;
    player.engine.run(&yaml("make", "true").replace("files:", "secrets: [TOKEN]\nfiles:")).await;
    assert_eq!(player.play().await, ["make", "use"]);
    player.again(100, false).await;
    assert!(player.play().await.is_empty());
    set("hush-hush-2").await;
    let run = player.again(100, false).await;
    assert_eq!(player.play().await, ["make", "use"]);
    assert_eq!(player.cache(run, "make").await.reasons, ["secret TOKEN changed"]);
    let kept: i64 = sqlx::query_scalar("select count(*) from steps s where s::text like '%hush-hush%'")
        .fetch_one(&player.engine.database.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn what_cannot_be_known_is_not_used_again() {
    let player = Player::new().await;
    let file = yaml("make", "true").replace("files:", "executor: docker\nimage: python:3.13\nfiles:");
    let run = player.engine.run(&file).await;
    let executors = [domain::pipeline::ExecutorKind::Docker];
    let pools = ["default".to_owned()];
    let ttl = crate::pipelines::engine::LONG;
    let held = player.engine.services.claim_step("w", "w", &pools, &executors, &[], ttl).await.unwrap().unwrap();
    let work = player.engine.services.begin_attempt(&held, "http://slipway", &player.facts).await.unwrap().unwrap();
    assert!(work.cached.is_none());
    assert_eq!(player.cache(run, "make").await.reasons, ["its image is not named by its digest"]);

    let player = Player { facts: Facts::default(), ..Player::new().await };
    let run = player.engine.run(&yaml("make", "true")).await;
    player.play().await;
    assert_eq!(player.cache(run, "make").await.reasons, ["its worker does not know its packages yet"]);
}

#[tokio::test]
async fn a_step_that_does_not_say_so_always_runs() {
    let player = Player::new().await;
    player.engine.run(&yaml("make", "false")).await;
    player.play().await;
    let run = player.again(100, false).await;
    assert_eq!(player.play().await, ["make", "use"]);
    assert_eq!(player.engine.services.step(&player.engine.ctx(), run, "make").await.unwrap().cache, None);
}
