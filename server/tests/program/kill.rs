//! Who is killed, and what becomes of the run.

use crate::{
    evidence,
    slipway::{PATIENCE, Process, Slipway, postgres_pid, signal, until},
};
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// How many lines of evidence there are: the run goes on when they grow.
fn beats(evidence: &Path) -> usize {
    let files = std::fs::read_dir(evidence).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default().lines().count()).sum()
}

/// Waits until commands have written so many lines more: something is in the middle of its work.
async fn mid_step(evidence: &Path, more: usize) {
    let before = beats(evidence);
    until("steps run", || beats(evidence) >= before + more).await;
}

/// Every step of the run has succeeded, once.
async fn succeeded_once(slipway: &Slipway, detail: &Value) {
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    for (step, outcomes) in slipway.outcomes(detail).await {
        let succeeded = outcomes.iter().filter(|outcome| *outcome == "succeeded").count();
        assert!(succeeded == 1 && outcomes.last().unwrap() == "succeeded", "{step}: {outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome == "succeeded" || outcome == "lost"), "{step}: {outcomes:?}");
    }
}

#[tokio::test]
async fn workers_are_killed_in_the_middle_of_steps() {
    let evidence = tempfile::tempdir().unwrap();
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let options = ["--lease", "8", "--steps", "2"];
    let mut workers: Vec<Process> = (0..2).map(|_| slipway.work(&options)).collect();

    let layers = [3, 3, 2];
    let run = slipway.run(&evidence::pipeline(evidence.path(), &layers, 25)).await;
    let mut kills = 0;
    while kills < 5 && slipway.state(run).await.as_deref() != Some("succeeded") {
        mid_step(evidence.path(), 15).await;
        let worker = &mut workers[kills % 2];
        worker.kill();
        *worker = slipway.work(&options);
        kills += 1;
    }
    let detail = slipway.ended(run).await;
    succeeded_once(&slipway, &detail).await;
    let found = evidence::check(evidence.path(), &layers);
    assert!(kills >= 2 && found.broken_off >= 1, "{kills} kills met nobody at work: {found:?}");
    // What the last step took shows that it got what those before it gave.
    let out = slipway.cli(&["pipeline", "logs", &run.to_string(), "l2-0"]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("Succeeded, with 1 output stored."), "{out:?}");
    println!("{kills} workers killed; {found:?}");
    workers.iter_mut().for_each(Process::stop);
}

#[tokio::test]
async fn a_worker_is_stopped_for_longer_than_its_lease_and_goes_on() {
    let evidence = tempfile::tempdir().unwrap();
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let mut stopped = slipway.work(&["--lease", "8", "--steps", "2"]);
    let layers = [2, 1];
    // However fast the machine, they outlast the lease of a worker that does not renew it.
    let hold = evidence.path().join(evidence::HOLD);
    std::fs::write(&hold, "").unwrap();
    let run = slipway.run(&evidence::pipeline(evidence.path(), &layers, 10)).await;
    mid_step(evidence.path(), 10).await;
    signal(stopped.pid(), "STOP");
    // The commands end by themselves, though their worker is not there to end them; then another takes the steps over.
    let mut other = slipway.work(&["--lease", "8", "--steps", "2"]);
    until("somebody else runs the steps", || {
        evidence::read(evidence.path()).values().filter(|executions| executions.len() > 1).count() == 2
    })
    .await;
    signal(stopped.pid(), "CONT");
    std::fs::remove_file(hold).unwrap();
    let detail = slipway.ended(run).await;
    succeeded_once(&slipway, &detail).await;
    let found = evidence::check(evidence.path(), &layers);
    assert_eq!(found.broken_off, 2, "{found:?}");
    stopped.stop();
    other.stop();
}

#[tokio::test]
async fn the_server_is_killed_with_its_worker_and_started_again() {
    let evidence = tempfile::tempdir().unwrap();
    // The leases last for longer than anybody here waits.
    let options = ["--steps", "2", "--lease", "600"];
    let (mut slipway, mut server) = Slipway::start_private(&options);
    let address = slipway.url.trim_start_matches("http://").to_owned();
    let layers = [2, 1];
    let run = slipway.run(&evidence::pipeline(evidence.path(), &layers, 40)).await;
    mid_step(evidence.path(), 10).await;
    server.kill();
    let mut server = slipway.serve(&address, &options);
    // The run ends: that the holder of the leases is dead was seen without waiting for their end.
    let detail = slipway.ended(run).await;
    succeeded_once(&slipway, &detail).await;
    let found = evidence::check(evidence.path(), &layers);
    assert_eq!(found.broken_off, 2, "{found:?}");
    server.stop();
}

#[tokio::test]
async fn postgres_is_killed_in_the_middle_of_steps() {
    let evidence = tempfile::tempdir().unwrap();
    let (slipway, mut server) = Slipway::start_private(&["--steps", "2", "--lease", "30"]);
    let layers = [2, 2, 1];
    let run = slipway.run(&evidence::pipeline(evidence.path(), &layers, 40)).await;
    for _ in 0..2 {
        mid_step(evidence.path(), 20).await;
        let pid = postgres_pid(slipway.data()).expect("the private PostgreSQL runs");
        signal(pid, "KILL");
        let deadline = Instant::now() + PATIENCE;
        while postgres_pid(slipway.data()).is_none_or(|now| now == pid) {
            assert!(Instant::now() < deadline, "PostgreSQL is started again");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let detail = slipway.ended(run).await;
    succeeded_once(&slipway, &detail).await;
    let found = evidence::check(evidence.path(), &layers);
    // What ran went on: nothing was begun twice because the database was away.
    assert_eq!((found.executions, found.broken_off), (5, 0), "{found:?}");
    server.stop();
}
