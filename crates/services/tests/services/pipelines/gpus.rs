//! Graphics processors: who gets which, and when they are free again.

use crate::pipelines::engine::{Engine, LONG, graph, lease};
use domain::{
    gpu::{Gpu, GpuUuid},
    pipeline::ExecutorKind,
    pipeline_run::{AttemptOutcome as O, PipelineRunState},
    worker::Facts,
};
use services::{AttemptEnd, Beat, Claimed, LetGo};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use store::step::limit;
use tokio::task::JoinSet;

fn uuids(names: &[&str]) -> Vec<GpuUuid> {
    names.iter().map(|name| format!("GPU-{name}").parse().unwrap()).collect()
}

fn given(held: &Claimed) -> Vec<&str> {
    held.gpus.iter().map(GpuUuid::as_str).collect()
}

impl Engine {
    /// A worker says that it lives, and hands these out.
    async fn beat(&self, worker: &str, gpus: &[&str]) {
        let gpus: Vec<Gpu> = uuids(gpus).into_iter().map(|uuid| Gpu { uuid, name: "NVIDIA Test".to_owned() }).collect();
        let beat = Beat {
            name: worker,
            label: worker,
            pools: &["default".to_owned()],
            executors: &[ExecutorKind::Process],
            slots: 8,
            sandbox: None,
            gpus: &gpus,
            version: "1",
            facts: &Facts::default(),
        };
        self.services.worker_beats(&beat).await.unwrap();
    }

    async fn claim_with(&self, gpus: &[&str]) -> Option<Claimed> {
        self.claim_in(ExecutorKind::Process, gpus).await
    }

    async fn claim_in(&self, executor: ExecutorKind, gpus: &[&str]) -> Option<Claimed> {
        let pools = ["default".to_owned()];
        self.services.claim_step("worker", "worker", &pools, &[executor], &uuids(gpus), LONG).await.unwrap()
    }

    async fn reasons(&self) -> Vec<String> {
        let ready = self.services.queue(&self.ctx()).await.unwrap().ready;
        ready.into_iter().filter_map(|step| step.waits_for).collect()
    }
}

fn wants(steps: &[(&str, u32)]) -> String {
    let mut yaml = "name: gpus\nsteps:\n".to_owned();
    for (name, gpus) in steps {
        yaml += &format!("  {name}: {{ command: x, resources: {{ gpu: {gpus} }} }}\n");
    }
    yaml
}

#[tokio::test]
async fn a_step_gets_as_many_gpus_as_it_wants_and_none_waits_behind_one_that_wants_more() {
    let engine = Engine::start().await;
    engine.beat("worker", &["a", "b"]).await;
    engine.run(&wants(&[("1-big", 2), ("2-small", 1), ("3-none", 0)])).await;

    // A worker without any takes the one that wants none, and waits for no other.
    let due = |gpus: &[&str]| {
        let (services, gpus) = (engine.services.clone(), uuids(gpus));
        async move { services.next_step_due(&["default".to_owned()], &[ExecutorKind::Process], &gpus).await.unwrap() }
    };
    let none = engine.claim_with(&[]).await.unwrap();
    assert_eq!((none.name.as_str(), given(&none)), ("3-none", vec![]));
    assert!(engine.claim_with(&[]).await.is_none());
    assert_eq!(due(&[]).await, None);

    // One that hands out a single one passes the first step over.
    let small = engine.claim_with(&["b"]).await.unwrap();
    assert_eq!((small.name.as_str(), given(&small)), ("2-small", vec!["GPU-b"]));
    assert!(engine.claim_with(&["a", "b"]).await.is_none());
    assert_eq!(due(&["a", "b"]).await, None);
    engine.end(&small, O::Succeeded).await;
    assert_eq!(due(&["a", "b"]).await, Some(Duration::ZERO));
    let big = engine.claim_with(&["b", "a"]).await.unwrap();
    assert_eq!((big.name.as_str(), given(&big)), ("1-big", vec!["GPU-b", "GPU-a"]));

    // The try says for ever which it had.
    let tries = engine.services.step_attempts(&engine.ctx(), 1, "2-small").await.unwrap();
    assert_eq!(tries[0].gpus.iter().map(ToString::to_string).collect::<Vec<_>>(), ["NVIDIA Test (GPU-b)"]);
}

#[tokio::test]
async fn what_no_worker_has_told_of_is_not_handed_out() {
    let engine = Engine::start().await;
    engine.run(&wants(&[("fit", 1)])).await;
    assert!(engine.claim_with(&["a"]).await.is_none());
    engine.beat("worker", &["a"]).await;
    assert!(engine.claim_with(&["a"]).await.is_some());
}

#[tokio::test]
async fn a_gpu_is_free_again_with_whatever_ends_the_hold_on_its_step() {
    let engine = Engine::start().await;
    engine.beat("worker", &["a"]).await;
    engine
        .run("name: ends\nsteps:\n  fit: { command: x, retries: { count: 3, backoff: 0s }, resources: { gpu: 1 } }\n")
        .await;
    let failed = AttemptEnd {
        outcome: O::Failed,
        reason: "exit status 1".to_owned(),
        exit_code: Some(1),
        spawned_at: None,
        place: None,
        outputs: Vec::new(),
    };
    for how in [
        LetGo::GivenBack("its worker stopped".to_owned()),
        LetGo::Dead("gone".to_owned()),
        LetGo::Expired(Duration::from_secs(1)),
        LetGo::Ended(failed),
    ] {
        let held = engine.claim_with(&["a"]).await.unwrap();
        assert_eq!(given(&held), ["GPU-a"]);
        if let LetGo::Expired(_) = how {
            engine.let_expire(&held).await;
        }
        assert_eq!(engine.services.gauges().await.unwrap().gpus, (1, 1));
        engine.services.let_go(&lease(&held), &how).await.unwrap().unwrap();
        assert_eq!(engine.services.gauges().await.unwrap().gpus, (1, 0));
        sqlx::query("update steps set next_at = now()").execute(&engine.database.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_step_that_is_taken_over_keeps_its_gpus() {
    let engine = Engine::start().await;
    engine.beat("worker", &["a", "b"]).await;
    engine.run(&wants(&[("1-fit", 1), ("2-fit", 2)])).await;
    let first = engine.claim_with(&["a", "b"]).await.unwrap();
    let taken = engine.services.take_step_over(&lease(&first), "other", "other", LONG).await.unwrap().unwrap();
    assert!(taken.fence > first.fence);
    assert_eq!(given(&taken), ["GPU-a"]);
    // The word of the one who had it frees nothing.
    assert_eq!(engine.end(&first, O::Succeeded).await, None);
    assert!(engine.claim_with(&["a", "b"]).await.is_none());
    engine.end(&taken, O::Succeeded).await.unwrap();
    assert_eq!(given(&engine.claim_with(&["a", "b"]).await.unwrap()), ["GPU-a", "GPU-b"]);
}

#[tokio::test]
async fn a_step_of_a_cluster_needs_no_gpus_of_its_worker_and_a_container_does() {
    let engine = Engine::start().await;
    let yaml = |name: &str, executor: &str| {
        format!(
            "name: {name}\nexecutor: {executor}\nimage: a\nsteps: {{ fit: {{ command: [x], resources: {{ gpu: 8 }} }} }}\n"
        )
    };
    engine.run(&yaml("cluster", "kubernetes")).await;
    engine.run(&yaml("container", "docker")).await;
    assert!(engine.claim_in(ExecutorKind::Kubernetes, &[]).await.is_some());
    assert!(engine.claim_in(ExecutorKind::Docker, &[]).await.is_none());
    assert_eq!(engine.reasons().await, ["for a worker of the pool default, of which there is none"]);
}

#[tokio::test]
async fn a_step_that_waits_for_a_limit_leaves_its_gpu_to_others() {
    let engine = Engine::start().await;
    engine.beat("worker", &["a"]).await;
    let mut conn = engine.database.pool.acquire().await.unwrap();
    let key = limit::tag_key(engine.workspace.id, "licences");
    limit::set(&mut conn, &key, "tag", Some(engine.workspace.id), "licences", 0).await.unwrap();
    let yaml = "name: limited\nsteps:\n  1-fit: { command: x, limits: licences, resources: { gpu: 1 } }\n  2-fit: { command: x, resources: { gpu: 1 } }\n";
    engine.run(yaml).await;
    let held = engine.claim_with(&["a"]).await.unwrap();
    assert_eq!((held.name.as_str(), given(&held)), ("2-fit", vec!["GPU-a"]));
    assert_eq!(engine.reasons().await, ["for a place of the limit licences"]);
}

#[tokio::test]
async fn a_step_that_waits_is_told_who_has_the_gpus_and_not_what_other_workspaces_do() {
    let engine = Engine::start().await;
    engine.beat("poor", &[]).await;
    engine.run(&wants(&[("1-fit", 1), ("2-fit", 2)])).await;
    let none = |count: &str| format!("for {count}: no worker of the pool default has one");
    assert_eq!(engine.reasons().await, [none("a GPU"), none("2 GPUs")]);
    engine.beat("rich", &["a", "b"]).await;
    assert_eq!(engine.reasons().await, ["for a worker to take it"; 2]);
    let held = engine.claim_with(&["a", "b"]).await.unwrap();
    assert_eq!(held.name, "1-fit");
    let reasons = engine.reasons().await;
    assert_eq!(reasons, ["for 2 GPUs: those of the pool default are in use by gpus #1: 1-fit"]);
    let steps = engine.detail(1).await.steps;
    let id = |name: &str| steps.iter().find(|step| step.name == name).unwrap().id;
    let told = engine.services.step_waits_for(&engine.ctx(), id("2-fit")).await.unwrap();
    assert_eq!(told.as_ref(), reasons.first());
    assert_eq!(engine.services.step_waits_for(&engine.ctx(), id("1-fit")).await.unwrap(), None);

    let slots = engine.services.queue(&engine.ctx()).await.unwrap().gpus;
    let told: Vec<_> = slots
        .iter()
        .map(|slot| (slot.gpu.uuid.as_str(), slot.held, slot.holder.as_ref().map(ToString::to_string)))
        .collect();
    assert_eq!(told, [("GPU-a", true, Some("gpus #1: 1-fit".to_owned())), ("GPU-b", false, None)]);
    let elsewhere = engine.run_elsewhere(&wants(&[("3-fit", 2)])).await;
    let theirs = services::Ctx::system(elsewhere);
    let queue = engine.services.queue(&theirs).await.unwrap();
    let reason = "for 2 GPUs: those of the pool default are in use by another workspace";
    assert_eq!(queue.ready[0].waits_for.as_deref(), Some(reason));
    assert!(queue.gpus[0].held && queue.gpus[0].holder.is_none());
}

#[tokio::test]
async fn all_workers_are_told_of_a_step_that_wants_gpus_and_of_those_that_it_gives_back() {
    let engine = Engine::start().await;
    engine.beat("worker", &["a"]).await;
    let mut heard = store::event::Listener::of_workers(&engine.database.pool).await.unwrap();
    let mut told = async || {
        // What others are told comes in order, so this one is the end of what was told before.
        store::event::notify_workers(&mut engine.database.pool.acquire().await.unwrap(), "end").await.unwrap();
        let mut count = 0;
        loop {
            match heard.next().await.unwrap() {
                Some(topic) if topic == store::step::READY => count += 1,
                Some(topic) if topic == "end" => return count,
                _ => {}
            }
        }
    };
    engine.run(&graph(&[("a", &[])])).await;
    let none = engine.claim().await.unwrap();
    engine.end(&none, O::Succeeded).await;
    assert_eq!(told().await, 0);
    engine.run(&wants(&[("fit", 1)])).await;
    assert_eq!(told().await, 1);
    let held = engine.claim_with(&["a"]).await.unwrap();
    engine.end(&held, O::Succeeded).await;
    assert_eq!(told().await, 1);
}

/// Workers of one machine that name the same processors, steps that want several, and a limit that some want besides.
#[tokio::test]
async fn workers_that_race_never_hand_out_a_gpu_twice() {
    let engine = Arc::new(Engine::start().await);
    let names = ["a", "b", "c", "d"];
    engine.beat("worker", &names).await;
    let mut conn = engine.database.pool.acquire().await.unwrap();
    let key = limit::tag_key(engine.workspace.id, "licences");
    limit::set(&mut conn, &key, "tag", Some(engine.workspace.id), "licences", 2).await.unwrap();
    let mut yaml = "name: race\nsteps:\n".to_owned();
    for step in 0..60 {
        let limits = if step % 5 == 0 { "limits: licences, " } else { "" };
        yaml += &format!("  s{step}: {{ command: x, {limits}resources: {{ gpu: {} }} }}\n", step % 4);
    }
    let run = engine.run(&yaml).await;

    let in_use = Arc::new(Mutex::new(BTreeSet::new()));
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let (engine, in_use) = (Arc::clone(&engine), Arc::clone(&in_use));
        workers.spawn(async move {
            let mut own = names;
            own.rotate_left(worker % names.len());
            let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
            while !engine.state(run).await.is_final() {
                assert!(tokio::time::Instant::now() < deadline, "the run does not end");
                let Some(held) = engine.claim_with(&own).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let wanted = held.name[1..].parse::<usize>().unwrap() % 4;
                assert_eq!(held.gpus.len(), wanted, "{}", held.name);
                {
                    let mut in_use = in_use.lock().unwrap();
                    for gpu in &held.gpus {
                        assert!(in_use.insert(gpu.clone()), "{gpu} is in use already");
                    }
                }
                tokio::task::yield_now().await;
                in_use.lock().unwrap().retain(|gpu| !held.gpus.contains(gpu));
                engine.end(&held, O::Succeeded).await.unwrap();
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);
}
