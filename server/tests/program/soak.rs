//! Workers that are killed and stopped at random, and a database that is restarted, while pipelines with failing steps run.
//!
//! For as long as `SOAK` says, in seconds; without it for a minute. `SEED` repeats the order of what is done to whom.

use crate::{
    evidence,
    slipway::{Process, Slipway, postgres_pid, signal},
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LEASE: u64 = 4;
const WORKERS: usize = 3;
const LAYERS: [usize; 4] = [4, 4, 4, 2];
const BEATS: usize = 6;
/// How many runs go on at once.
const RUNS: usize = 2;

/// The same seed gives the same numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What is done to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// `kill -9` of a worker.
    Kill,
    /// SIGSTOP of a worker, for up to three of its leases.
    Stop,
    /// An end of the database, which starts again.
    Restart,
}

/// What was done, and what was found.
#[derive(Debug, Default)]
struct Account {
    kills: usize,
    stops: usize,
    restarts: usize,
    runs: usize,
    steps: usize,
    executions: usize,
    broken_off: usize,
    failed: usize,
    lost: usize,
}

struct Worker {
    process: Process,
    /// It is stopped until then.
    stopped: Option<Instant>,
}

fn options() -> [String; 4] {
    ["--lease".to_owned(), LEASE.to_string(), "--steps".to_owned(), "3".to_owned()]
}

fn worker(slipway: &Slipway) -> Worker {
    let options = options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Worker { process: slipway.work(&options), stopped: None }
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_whoever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let lasts = Duration::from_secs(number("SOAK").unwrap_or(60));
    let seed = number("SEED").unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    println!("SEED={seed} SOAK={}", lasts.as_secs());
    let mut dice = Dice(seed);
    let mut account = Account::default();
    // However short, each happens.
    let mut sure = vec![Harm::Kill, Harm::Restart, Harm::Stop];
    let (slipway, mut server) = Slipway::start_private(&["--no-worker"]);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| worker(&slipway)).collect();
    let mut going: Vec<(i64, tempfile::TempDir)> = Vec::new();
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        while going.len() < RUNS {
            let folder = tempfile::tempdir().unwrap();
            let run = slipway.run(&evidence::failing_pipeline(folder.path(), &LAYERS, BEATS)).await;
            going.push((run, folder));
        }
        let chosen = sure.last().copied().unwrap_or_else(|| match dice.roll(20) {
            0 => Harm::Restart,
            1..=6 => Harm::Stop,
            _ => Harm::Kill,
        });
        if harm(chosen, &slipway, &mut workers, &mut dice, &mut account).await {
            sure.pop();
        }
        let mut open = Vec::new();
        for (run, folder) in going {
            match slipway.state(run).await.as_deref() {
                Some("succeeded") => look(&slipway, run, &folder, &mut account).await,
                Some("failed" | "cancelled") => panic!("{:#}", slipway.ended(run).await),
                _ => open.push((run, folder)),
            }
        }
        going = open;
    }
    for worker in &mut workers {
        if worker.stopped.take().is_some() {
            signal(worker.process.pid(), "CONT");
        }
    }
    for (run, folder) in going {
        slipway.ended(run).await;
        look(&slipway, run, &folder, &mut account).await;
    }
    println!("{account:#?}\n0 steps lost, 0 committed twice, 0 executions that overlap");
    assert!(account.kills > 0 && account.stops > 0 && account.restarts > 0 && account.runs > 0);
    workers.iter_mut().for_each(|worker| worker.process.stop());
    server.stop();
}

/// Waits a moment, then does this to somebody. Tells whether there was somebody to do it to.
async fn harm(harm: Harm, slipway: &Slipway, workers: &mut [Worker], dice: &mut Dice, account: &mut Account) -> bool {
    sleep(Duration::from_millis(200 + dice.roll(900))).await;
    for worker in workers.iter_mut() {
        if worker.stopped.is_some_and(|until| until <= Instant::now()) {
            signal(worker.process.pid(), "CONT");
            worker.stopped = None;
        }
    }
    let chosen = usize::try_from(dice.roll(WORKERS as u64)).unwrap();
    match harm {
        Harm::Restart => {
            let Some(pid) = postgres_pid(slipway.data()) else { return false };
            // At once, or after it has told its clients.
            signal(pid, if dice.roll(2) == 0 { "KILL" } else { "INT" });
            account.restarts += 1;
        }
        Harm::Stop if workers[chosen].stopped.is_some() => return false,
        Harm::Stop => {
            signal(workers[chosen].process.pid(), "STOP");
            let pause = Duration::from_millis(LEASE * 200 + dice.roll(LEASE * 2_000));
            workers[chosen].stopped = Some(Instant::now() + pause);
            account.stops += 1;
        }
        Harm::Kill => {
            workers[chosen].process.kill();
            workers[chosen] = worker(slipway);
            account.kills += 1;
        }
    }
    true
}

/// Reads what the commands of a run noted, and what is recorded of their tries.
async fn look(slipway: &Slipway, run: i64, folder: &tempfile::TempDir, account: &mut Account) {
    let detail: Value = slipway.get(&format!("pipeline-runs/{run}")).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    for (step, outcomes) in slipway.outcomes(&detail).await {
        let count = |what: &str| outcomes.iter().filter(|outcome| *outcome == what).count();
        assert_eq!(count("succeeded"), 1, "{step} of #{run}: {outcomes:?}");
        assert_eq!(count("succeeded") + count("lost") + count("failed"), outcomes.len(), "{step}: {outcomes:?}");
        account.failed += count("failed");
        account.lost += count("lost");
        account.steps += 1;
    }
    let found = evidence::check(folder.path(), &LAYERS);
    account.runs += 1;
    account.executions += found.executions;
    account.broken_off += found.broken_off;
}
