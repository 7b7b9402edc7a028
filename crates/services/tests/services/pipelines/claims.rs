//! Who gets a step, and for how long what they say counts.

use crate::pipelines::engine::{Engine, LONG, graph, lease};
use domain::{
    Digest,
    pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState},
    step::StepOutput,
};
use services::{AttemptEnd, LetGo};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

#[tokio::test]
async fn of_many_workers_that_ask_at_once_each_gets_another_step() {
    let engine = Arc::new(Engine::start().await);
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let steps: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), [].as_slice())).collect();
    engine.run(&graph(&steps)).await;

    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let engine = Arc::clone(&engine);
        workers.spawn(async move {
            let mut held = Vec::new();
            // Others may hold the rows that this one looks at: ask until nothing is left.
            while held.len() < 40 {
                match engine.claim_as(&format!("worker-{worker}"), LONG).await {
                    Some(step) => held.push(step),
                    None => break,
                }
            }
            held
        });
    }
    let held = workers.join_all().await.concat();
    let distinct: BTreeSet<_> = held.iter().map(|step| step.name.clone()).collect();
    let fences: BTreeSet<_> = held.iter().map(|step| step.fence).collect();
    assert_eq!((held.len(), distinct.len(), fences.len()), (40, 40, 40));
    assert!(engine.claim().await.is_none());
}

#[tokio::test]
async fn the_word_of_a_worker_that_was_given_up_counts_for_nothing() {
    let engine = Engine::start().await;
    let run = engine.run("name: one\nsteps:\n  only:\n    command: 'true'\n    outputs: { data: out.txt }\n").await;
    let output = |content: &[u8]| StepOutput {
        name: "data".to_owned(),
        path: "out.txt".to_owned(),
        kind: None,
        is_folder: false,
        digest: Digest::blake3(blake3::hash(content).into()),
        size: 1,
        value: None,
        version: None,
    };
    let stopped = engine.claim_as("stopped", LONG).await.unwrap();
    engine.let_expire(&stopped).await;
    let expired = engine.services.expired_leases(Duration::from_secs(1)).await.unwrap();
    assert_eq!(expired.len(), 1);
    let given_up = engine.services.let_go(&expired[0], &LetGo::Expired(Duration::from_secs(1))).await.unwrap();
    assert_eq!(given_up, Some(StepState::Ready));

    let other = engine.claim_as("other", LONG).await.unwrap();
    assert!(other.fence > stopped.fence && other.number == 2);
    assert_eq!(engine.end_with(&stopped, O::Succeeded, vec![output(b"stale")]).await, None);
    assert_eq!(engine.state(run).await, PipelineRunState::Queued);
    assert_eq!(engine.end_with(&other, O::Succeeded, vec![output(b"good")]).await, Some(StepState::Succeeded));
    // And once more, as when the answer to it was lost.
    assert_eq!(engine.end_with(&other, O::Succeeded, vec![output(b"good")]).await, None);

    let detail = engine.detail(run).await;
    assert_eq!(detail.run.state, PipelineRunState::Succeeded);
    assert_eq!(detail.steps[0].outputs, [output(b"good")]);
    assert_eq!(engine.outcomes(run, "only").await, [O::Lost, O::Succeeded]);
}

#[tokio::test]
async fn a_lease_that_is_renewed_in_time_cannot_be_taken_away() {
    let engine = Engine::start().await;
    engine.run(&graph(&[("only", &[])])).await;
    let held = engine.claim().await.unwrap();
    assert!(engine.services.expired_leases(Duration::ZERO).await.unwrap().is_empty());
    let early = engine.services.let_go(&lease(&held), &LetGo::Expired(Duration::ZERO)).await.unwrap();
    assert_eq!(early, None);

    let renewed = engine.services.renew_leases(&[(held.step_id, held.fence)], LONG).await.unwrap();
    assert_eq!(renewed.iter().map(|lease| (lease.fence, lease.cancelling)).collect::<Vec<_>>(), [(held.fence, false)]);
    let wrong_fence = engine.services.renew_leases(&[(held.step_id, held.fence + 1)], LONG).await.unwrap();
    assert!(wrong_fence.is_empty());
    engine.let_expire(&held).await;
    assert!(engine.services.renew_leases(&[(held.step_id, held.fence)], LONG).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_worker_takes_steps_of_its_pools_only() {
    let engine = Engine::start().await;
    engine.run("name: pools\nsteps:\n  big:\n    command: 'true'\n    pool: gpu\n").await;
    assert!(engine.claim().await.is_none());
    assert_eq!(engine.services.gauges().await.unwrap().steps_waiting, [("gpu".to_owned(), 1)]);
    let gpu = engine
        .services
        .claim_step(
            "worker",
            "worker",
            &["default".to_owned(), "gpu".to_owned()],
            &[domain::pipeline::ExecutorKind::Process],
            &[],
            LONG,
        )
        .await
        .unwrap();
    assert_eq!(gpu.unwrap().name, "big");
}

#[tokio::test]
async fn what_was_taken_without_hearing_so_can_be_found() {
    let engine = Engine::start().await;
    engine.run(&graph(&[("a", &[]), ("b", &[])])).await;
    let known = engine.claim().await.unwrap();
    let unheard = engine.claim().await.unwrap();
    let besides = engine.services.held_besides("worker", &[known.fence]).await.unwrap();
    assert_eq!(besides.iter().map(|lease| lease.fence).collect::<Vec<_>>(), [unheard.fence]);
    assert_eq!(engine.services.lease_owners().await.unwrap(), ["worker"]);
    assert!(engine.services.held_besides("other", &[]).await.unwrap().is_empty());
}

/// Random graphs, random failures and random losses, many workers at once.
#[tokio::test]
async fn every_run_ends_and_every_step_succeeds_at_most_once_whatever_happens() {
    let engine = Arc::new(Engine::start().await);
    let mut random = Random(20_261_123);
    let mut runs = Vec::new();
    let mut edges: HashMap<(i64, String), Vec<String>> = HashMap::new();
    for _ in 0..6 {
        let mut yaml = "name: random\nsteps:\n".to_owned();
        let mut needs_of = Vec::new();
        for step in 0..12_usize {
            let needs: Vec<String> =
                (0..step).filter(|_| random.below(4) == 0).map(|need| format!("s{need}")).collect();
            yaml += &format!("  s{step}:\n    command: 'true'\n    retries: 1\n    needs: [{}]\n", needs.join(", "));
            needs_of.push((format!("s{step}"), needs));
        }
        let run = engine.run(&yaml).await;
        edges.extend(needs_of.into_iter().map(|(step, needs)| ((run, step), needs)));
        runs.push(run);
    }
    let succeeded = Arc::new(Mutex::new(HashMap::<domain::id::StepId, u32>::new()));
    let mut workers = JoinSet::new();
    for worker in 0..6_u64 {
        let (engine, succeeded) = (Arc::clone(&engine), Arc::clone(&succeeded));
        workers.spawn(async move {
            let mut random = Random(worker + 1);
            let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
            loop {
                assert!(tokio::time::Instant::now() < deadline, "the runs do not end");
                // Nobody waits for the time of another try.
                sqlx::query("update steps set next_at = now() where state = 'ready' and next_at > now()")
                    .execute(&engine.database.pool)
                    .await
                    .unwrap();
                let Some(held) = engine.claim_as(&format!("w{worker}"), LONG).await else {
                    let open: bool =
                        sqlx::query_scalar("select exists (select from pipeline_runs where ended_at is null)")
                            .fetch_one(&engine.database.pool)
                            .await
                            .unwrap();
                    if open {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    return;
                };
                match random.below(10) {
                    0 => drop(engine.end(&held, O::Failed).await),
                    1 => {
                        engine.let_expire(&held).await;
                        let how = LetGo::Expired(Duration::from_secs(1));
                        engine.services.let_go(&lease(&held), &how).await.unwrap();
                        assert_eq!(engine.end(&held, O::Succeeded).await, None);
                    }
                    _ => {
                        if engine.end(&held, O::Succeeded).await.is_some() {
                            *succeeded.lock().unwrap().entry(held.step_id).or_default() += 1;
                        }
                    }
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    assert!(succeeded.lock().unwrap().values().all(|count| *count == 1));
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0);
    for run in runs {
        let detail = engine.detail(run).await;
        let states = engine.steps(run).await;
        let all = states.values().all(|state| *state == StepState::Succeeded);
        assert_eq!(detail.run.state, if all { PipelineRunState::Succeeded } else { PipelineRunState::Failed });
        for step in &detail.steps {
            let needs: Vec<_> = edges[&(run, step.name.clone())].iter().map(|need| states[need]).collect();
            let could_run = needs.iter().all(|need| *need == StepState::Succeeded);
            assert_eq!(step.attempts > 0, could_run, "{} of #{run}", step.name);
            assert_eq!(step.state == StepState::Skipped, !could_run);
        }
    }
}

/// A small generator of numbers that are the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test]
async fn what_the_worker_of_a_step_takes_next_wakes_nobody_and_all_else_does() {
    let engine = Engine::start().await;
    // Ends `first` of a run as a worker that goes on, or not; tells what was promised to it, and for how many pools others were woken.
    let ended = async |rest: &str, goes_on: bool| {
        let count = || sqlx::query_scalar("select count(*) from apalis.jobs").fetch_one(engine.services.pool());
        engine.run(&format!("name: next\nsteps:\n  first: {{ command: 'true' }}\n{rest}")).await;
        let held = engine.claim().await.unwrap();
        let before: i64 = count().await.unwrap();
        let end = AttemptEnd {
            outcome: O::Succeeded,
            reason: String::new(),
            exit_code: None,
            spawned_at: None,
            place: None,
            outputs: Vec::new(),
        };
        let how = LetGo::Ended(end);
        let promised = match goes_on {
            true => engine.services.let_go_for_next(&lease(&held), &how).await.unwrap().unwrap().1,
            false => {
                engine.services.let_go(&lease(&held), &how).await.unwrap();
                None
            }
        };
        let next = engine.claim().await;
        assert!(promised.is_none() || promised == next.map(|next| next.step_id), "what was promised is ready");
        let woken = count().await.unwrap() - before;
        while engine.claim().await.is_some() {}
        (promised.is_some(), woken)
    };
    let one = "  second: { command: 'true', needs: first }\n";
    assert_eq!(ended(one, true).await, (true, 0));
    assert_eq!(ended(one, false).await, (false, 1));
    let two = format!("{one}  third: {{ command: 'true', needs: first }}\n");
    assert_eq!(ended(&two, true).await, (true, 1), "the other step is for others");
    assert_eq!(ended("  second: { command: 'true', needs: first, pool: big }\n", true).await, (false, 1));
    let boxed = "  second: { command: 'true', needs: first, executor: docker, image: a }\n";
    assert_eq!(ended(boxed, true).await, (false, 1));
    assert_eq!(ended("  second: { command: 'true', needs: first, resources: { gpu: 1 } }\n", true).await, (false, 1));
}
