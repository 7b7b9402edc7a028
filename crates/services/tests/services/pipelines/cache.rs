//! What steps gave before is given again when they would run with the same.

use crate::pipelines::engine::Engine;
use domain::{
    Digest,
    id::PipelineRunId,
    pipeline::Python,
    pipeline_run::{AttemptOutcome, CacheOutcome, Code, LeftOut, StepCache, StepState},
    step::StepOutput,
    worker::Facts,
};
use futures::future::{BoxFuture, FutureExt as _};
use services::{Claimed, LetGo, NewRun, Surroundings};
use std::{collections::BTreeMap, sync::Mutex};

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
    assert_eq!(
        player.cache(run, "make").await.reasons,
        ["the system or the packages of the worker changed", "environment: 1 → 2"]
    );
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

#[tokio::test]
async fn a_step_that_reads_the_commit_runs_again_for_another() {
    let player = Player::new().await;
    player.engine.store(&yaml("git checkout $SLIPWAY_COMMIT", "true")).await;
    let start = async |commit: &str, patch: Option<&str>, left_out: Option<LeftOut>| {
        let code =
            Code { repository: None, commit: commit.to_owned(), branch: None, is_dirty: false, patch: None, left_out };
        let new = NewRun {
            pipeline: "cached".to_owned(),
            code: Some((code, patch.map(|patch| patch.as_bytes().to_vec()))),
            ..NewRun::default()
        };
        player.engine.services.start_pipeline_run(&player.engine.ctx(), new).await.unwrap().run.number
    };
    start("0123456789abcdef", None, None).await;
    assert_eq!(player.play().await, ["make", "use"]);
    start("0123456789abcdef", None, None).await;
    assert!(player.play().await.is_empty());
    let other = start("fedcba9876543210", None, None).await;
    assert_eq!(player.play().await, ["make"], "what it makes is the same, and the other step reads no commit");
    assert_eq!(player.cache(other, "make").await.reasons, ["commit: 0123456789 → fedcba9876"]);
    let patched = start("fedcba9876543210", Some("diff --git a/x b/x\n"), None).await;
    assert_eq!(player.play().await, ["make"]);
    assert_eq!(player.cache(patched, "make").await.reasons, ["patch is new"]);
    for _ in 0..2 {
        let unknown = start("fedcba9876543210", None, Some(LeftOut::TooLarge)).await;
        assert_eq!(player.play().await, ["make"]);
        let reasons = player.cache(unknown, "make").await.reasons;
        assert_eq!(reasons, ["it reads the commit, and what was changed after it is not known"]);
    }
}

/// A worker that knows nothing until it is asked, and is asked for other steps of the run meanwhile.
struct Asked {
    engine: Engine,
    /// What steps find, by the `PATH` that they have.
    found: Mutex<BTreeMap<Option<String>, u8>>,
    asked: Mutex<Vec<Option<String>>>,
    run: Mutex<Option<PipelineRunId>>,
}

impl Surroundings for Asked {
    fn now(&self, _: &Python) -> Facts {
        Facts::default()
    }

    fn find<'a>(&'a self, python: &'a Python) -> BoxFuture<'a, Facts> {
        async move {
            // Its run is free while it looks.
            let run = self.run.lock().unwrap().unwrap();
            let free = sqlx::query("select from pipeline_runs where id = $1 for no key update nowait").bind(run.0);
            free.execute(&self.engine.database.pool).await.unwrap();
            self.asked.lock().unwrap().push(python.path.clone());
            facts(self.found.lock().unwrap()[&python.path])
        }
        .boxed()
    }
}

#[tokio::test]
async fn what_a_step_finds_is_asked_for_by_its_own_path_and_only_when_it_decides_something() {
    let Player { engine, .. } = Player::new().await.on_worker(2).await.on_worker(3).await;
    let venv = Some("/opt/venv/bin:/bin".to_owned());
    let around = Asked {
        engine,
        found: Mutex::new(BTreeMap::from([(None, 1), (venv.clone(), 2)])),
        asked: Mutex::default(),
        run: Mutex::default(),
    };
    let yaml = "name: venv\nsteps:\n  a: { command: 'true', env: { PATH: '/opt/venv/bin:/bin' }, cache: true }\n  b: { command: 'true', cache: true, needs: a }\n  c: { command: 'true', env: { PATH: '/opt/venv/bin:/bin' }, needs: b }\n";
    around.engine.store(yaml).await;
    let play = async || {
        let run = around.engine.again("venv").await.run;
        *around.run.lock().unwrap() = Some(run.id);
        let mut ran = Vec::new();
        while let Some(held) = around.engine.claim().await {
            let work = around.engine.services.begin_attempt(&held, "http://slipway", &around).await.unwrap().unwrap();
            if let Some(hit) = work.cached {
                let lease = crate::pipelines::engine::lease(&held);
                around.engine.services.let_go(&lease, &LetGo::Cached(hit)).await.unwrap();
                continue;
            }
            if let Some(python) = &work.unknown {
                assert_eq!((&*held.name, &python.path), ("c", &venv), "it begins, and what it finds is noted later");
                around.engine.services.note_facts(held.attempt_id, &facts(2)).await.unwrap();
            }
            ran.push(held.name.clone());
            around.engine.end(&held, AttemptOutcome::Succeeded).await;
        }
        (run.number, ran)
    };
    let (run, ran) = play().await;
    assert_eq!(ran, ["a", "b", "c"]);
    assert_eq!(*around.asked.lock().unwrap(), [venv.clone(), None]);
    let record = around.engine.services.pipeline_run_record(&around.engine.ctx(), run, None).await.unwrap();
    let environments: Vec<_> = record.steps.iter().map(|step| step.environment.clone().unwrap()).collect();
    assert_eq!(environments, [2, 1, 2].map(|environment| Digest::blake3([environment; 32])));

    assert_eq!(play().await.1, ["c"]);
    // Something is installed there.
    around.found.lock().unwrap().insert(venv.clone(), 3);
    let (run, ran) = play().await;
    assert_eq!(ran, ["a", "c"]);
    let cache = around.engine.services.step(&around.engine.ctx(), run, "a").await.unwrap().cache.unwrap();
    assert_eq!(cache.reasons, ["the system or the packages of the worker changed", "environment: 2 → 3"]);
}
