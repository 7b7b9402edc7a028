//! Real containers of a real engine: how they run, that they end, and that one whose worker was killed is gone on with.
//!
//! `make test-docker` brings an engine and an image and runs these; they are ignored elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use docker::DockerExecutor;
use domain::pipeline_run::AttemptOutcome;
use executors::{Controls, Deadline, Ended, Executor as _, Finished, Limits, LogLine, Sample, Shim, StepDir, Task};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const WORKER: &str = env!("CARGO_BIN_EXE_docker-test-worker");

struct Bench {
    root: TempDir,
    executor: DockerExecutor,
}

/// A step that runs.
struct Running {
    lease: watch::Sender<Deadline>,
    cancel: CancellationToken,
    lines: mpsc::Receiver<LogLine>,
    samples: mpsc::Receiver<Sample>,
    task: JoinHandle<(StepDir, Result<Finished, executors::Error>)>,
}

fn socket() -> String {
    std::env::var("SLIPWAY_TEST_DOCKER").expect("SLIPWAY_TEST_DOCKER: the socket of an engine. make test-docker")
}

fn image() -> String {
    std::env::var("SLIPWAY_TEST_IMAGE").expect("SLIPWAY_TEST_IMAGE: an image with a shell. make test-docker")
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let executor = DockerExecutor::new(socket(), root.path(), "host", Shim::at(WORKER, &["step-shim"]));
        Self { root, executor }
    }

    /// The name of a try that no other test has: containers share one engine.
    fn name(&self) -> String {
        self.root.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned()
    }

    async fn start(&self, task: Task) -> Running {
        let dir = self.executor.prepare(&self.name(), BTreeMap::new()).await.unwrap();
        self.start_in(dir, task, 0)
    }

    fn start_in(&self, dir: StepDir, task: Task, lines_before: u64) -> Running {
        let (lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(600)));
        let ((log, lines), (sampled, samples)) = (mpsc::channel(64), mpsc::channel(64));
        let cancel = CancellationToken::new();
        let controls =
            Controls { lines_before, samples: Some(sampled), ..Controls::new(deadline, cancel.clone(), log) };
        let executor = self.executor.clone();
        let task = tokio::spawn(async move {
            let finished = executor.run(&dir, &task, controls).await;
            (dir, finished)
        });
        Running { lease, cancel, lines, samples, task }
    }

    async fn run(&self, task: Task) -> (Vec<LogLine>, Finished) {
        let (lines, dir, finished) = self.start(task).await.end().await;
        self.executor.discard(&self.name()).await.unwrap();
        dir.remove().unwrap();
        (lines, finished)
    }

    /// What the engine says of the container: one word of its own language.
    fn engine(&self, arguments: &[&str]) -> String {
        let out =
            Command::new("docker").args(["--host", &format!("unix://{}", socket())]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn status(&self, name: &str) -> String {
        self.engine(&["inspect", "--format", "{{.State.Status}}", &format!("slipway-{name}")])
    }
}

impl Running {
    async fn end(mut self) -> (Vec<LogLine>, StepDir, Finished) {
        let mut lines = Vec::new();
        while let Some(line) = self.lines.recv().await {
            lines.push(line);
        }
        let (dir, finished) = self.task.await.unwrap();
        (lines, dir, finished.unwrap())
    }
}

fn shell(script: &str) -> Task {
    Task {
        argv: ["/bin/sh", "-ec", script].map(str::to_owned).to_vec(),
        image: Some(image()),
        grace: Duration::from_secs(30),
        ..Task::default()
    }
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come true in a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_command_succeeds_and_its_files_are_there() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; echo to err >&2; echo a s3cret; echo \"$X\" > out.txt
                  printf unfinished";
    let task = Task {
        env: [("X", "a\nb"), ("Y", "s3cret")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        secrets: ["Y".to_owned()].into(),
        ..shell(script)
    };
    let (lines, dir, finished) = bench.start(task).await.end().await;
    assert_eq!((finished.ended.clone(), finished.exit_code), (Ended::Exited(0), Some(0)));
    let mut expected: Vec<String> = (0..500).map(|i| format!("line {i}")).collect();
    expected.extend(["a ***", "unfinished"].map(str::to_owned));
    let out: Vec<_> = lines.iter().filter(|line| !line.is_err).map(|line| line.text.clone()).collect();
    assert_eq!(out, expected);
    assert_eq!(lines.iter().filter(|line| line.is_err).map(|line| line.text.as_str()).collect::<Vec<_>>(), ["to err"]);
    assert_eq!(fs::read_to_string(dir.output("out.txt").unwrap()).unwrap(), "a\nb\n");
    assert!(finished.image.unwrap().contains("sha256:"), "what ran is recorded by digest");
    assert_eq!(bench.executor.mask(&bench.name()).await.unwrap().hide("a s3cret".to_owned()), "a ***");
    // It is there until somebody has taken what it gave.
    assert_eq!(bench.status(&bench.name()), "exited");
    bench.executor.discard(&bench.name()).await.unwrap();
    assert_eq!(bench.status(&bench.name()), "");
    dir.remove().unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_container_is_nobody_and_may_nothing() {
    let script =
        "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status; touch /x 2>/dev/null || echo read-only
                  touch /tmp/x && echo tmp; pwd; echo $HOME; ls -a ..";
    let (lines, finished) = Bench::new().run(shell(script)).await;
    assert_eq!(finished.sandbox.level(), 3);
    let own = nix::unistd::getuid().as_raw();
    let user = if own == 0 { 65_532 } else { own }.to_string();
    let none = "0".repeat(16);
    let (effective, bounding) = (format!("CapEff:\t{none}"), format!("CapBnd:\t{none}"));
    let expected = [
        &user,
        &effective,
        &bounding,
        "NoNewPrivs:\t1",
        "read-only",
        "tmp",
        "/slipway/work",
        "/slipway/home",
        ".",
        "..",
        "home",
        "tmp",
        "work",
    ];
    assert_eq!(texts(&lines), expected);
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn failures_are_told_apart() {
    let (_, finished) = Bench::new().run(shell("exit 7")).await;
    assert_eq!((finished.ended, finished.exit_code), (Ended::Exited(7), Some(7)));
    let (_, finished) = Bench::new().run(shell("kill -SEGV $$")).await;
    assert_eq!(finished.ended, Ended::Killed(Some(11)));
    let missing = Task { argv: vec!["pyhton".to_owned()], ..shell("") };
    let (_, finished) = Bench::new().run(missing).await;
    // Its init says so, or the engine: either way it names the command.
    match &finished.ended {
        Ended::NotStarted(message) => assert!(message.contains("pyhton"), "{message}"),
        other => assert_eq!(other, &Ended::Exited(127)),
    }
    let (_, finished) = Bench::new().run(Task { image: None, ..shell("true") }).await;
    assert!(matches!(finished.ended, Ended::NotStarted(_)), "{finished:?}");
    let (_, finished) = Bench::new().run(Task { image: Some("Not An Image".to_owned()), ..shell("true") }).await;
    assert!(matches!(finished.ended, Ended::NotStarted(_)), "{finished:?}");
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn running_out_of_memory_is_told_with_its_limit() {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    let script = "head -c 300000000 /dev/zero | tail -c 300000000 | wc -c; exit 137";
    let (_, finished) = Bench::new().run(Task { limits, ..shell(script) }).await;
    assert_eq!(finished.ended.to_string(), "killed: out of memory at 64.0 of 64.0 MiB");
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Failed);
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_container_may_take_no_longer_than_its_timeout() {
    let script = "trap 'echo bye; exit 3' TERM; echo began; while :; do sleep 0.1; done";
    let (lines, finished) = Bench::new().run(Task { timeout: Some(Duration::from_secs(1)), ..shell(script) }).await;
    assert_eq!((texts(&lines), finished.ended, finished.exit_code), (vec!["began", "bye"], Ended::TimedOut, Some(3)));
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn one_that_is_deaf_to_being_cancelled_is_killed() {
    let bench = Bench::new();
    let task =
        Task { grace: Duration::from_millis(300), ..shell("trap '' TERM; echo began; while :; do sleep 0.1; done") };
    let mut step = bench.start(task).await;
    assert_eq!(step.lines.recv().await.unwrap().text, "began");
    step.cancel.cancel();
    let (_, _dir, finished) = step.end().await;
    assert_eq!(finished.ended, Ended::Cancelled);
    assert_eq!(bench.status(&bench.name()), "exited");
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_container_never_runs_past_its_lease() {
    let bench = Bench::new();
    let mut step = bench.start(shell("trap '' TERM; echo began; sleep 3600")).await;
    step.lines.recv().await.unwrap();
    step.lease.send(Deadline::now()).unwrap();
    let (_, _dir, finished) = step.end().await;
    assert_eq!(finished.ended, Ended::Fenced);
    assert_eq!(bench.status(&bench.name()), "exited");
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn what_a_container_uses_is_sampled() {
    let bench = Bench::new();
    let mut step = bench.start(shell("i=0; while :; do i=$((i+1)); done")).await;
    let sample = step.samples.recv().await.unwrap();
    assert!(sample.cpu > Duration::ZERO && sample.memory_bytes > 0, "{sample:?}");
    step.cancel.cancel();
    let (_, _dir, finished) = step.end().await;
    assert!(finished.usage.user > Duration::ZERO && finished.usage.peak_memory_bytes > 0, "{finished:?}");
    bench.executor.discard(&bench.name()).await.unwrap();
}

/// A worker in a process of its own, with the first line that its script printed.
fn worker(bench: &Bench, lease_seconds: u32, script: &str) -> (Child, String) {
    let mut worker = Command::new(WORKER)
        .args([
            socket(),
            bench.root.path().display().to_string(),
            bench.name(),
            image(),
            lease_seconds.to_string(),
            script.to_owned(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut first, mut lines) = (String::new(), BufReader::new(worker.stdout.take().unwrap()));
    lines.read_line(&mut first).unwrap();
    // It may say more: what nobody can read would end it.
    worker.stdout = Some(lines.into_inner());
    (worker, first.trim().to_owned())
}

fn kill(worker: &mut Child) {
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_container_whose_worker_is_killed_is_gone_on_with() {
    let bench = Bench::new();
    let script = "echo one; echo two; until [ -e go ]; do sleep 0.1; done; echo three; cat go; exit 5";
    let (mut worker, first) = worker(&bench, 600, script);
    assert_eq!(first, "one");
    // Held by a worker that lives, it is nobody else's.
    assert!(bench.executor.adopt(&bench.name()).await.unwrap().is_none());
    kill(&mut worker);
    assert_eq!(bench.executor.left().await.unwrap(), [bench.name()]);
    assert_eq!(bench.executor.sweep().await.unwrap(), 0, "what it needs is not swept");
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    let go = dir.work().join("go");
    // The first line is stored already, the others are not.
    let step = bench.start_in(dir, shell("not what runs"), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    fs::write(go, "four\n").unwrap();
    let (lines, dir, finished) = step.end().await;
    assert_eq!(texts(&lines), ["two", "three", "four"]);
    assert_eq!((finished.ended, finished.exit_code), (Ended::Exited(5), Some(5)));
    bench.executor.discard(&bench.name()).await.unwrap();
    dir.remove().unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn one_that_ended_while_nobody_was_there_is_told_of_as_if_somebody_had_been() {
    let bench = Bench::new();
    let (mut worker, _) = worker(&bench, 600, "echo one; until [ -e go ]; do sleep 0.1; done; echo two > out; exit 0");
    kill(&mut worker);
    fs::write(bench.root.path().join(bench.name()).join("work/go"), "").unwrap();
    until("the container's end", || bench.status(&bench.name()) == "exited").await;
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    let (lines, dir, finished) = bench.start_in(dir, shell("not what runs"), 0).end().await;
    assert_eq!((texts(&lines), finished.ended), (vec!["one"], Ended::Exited(0)));
    assert_eq!(fs::read_to_string(dir.output("out").unwrap()).unwrap(), "two\n");
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn one_that_nobody_goes_on_with_ends_with_its_lease() {
    let bench = Bench::new();
    let (mut worker, _) = worker(&bench, 4, "trap '' TERM; echo one; sleep 3600");
    kill(&mut worker);
    assert_eq!(bench.status(&bench.name()), "running");
    until("the container's end", || bench.status(&bench.name()) == "exited").await;
    bench.executor.discard(&bench.name()).await.unwrap();
    assert_eq!(bench.executor.sweep().await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn one_whose_worker_is_stopped_ends_with_its_lease() {
    let bench = Bench::new();
    let (mut worker, _) = worker(&bench, 4, "trap '' TERM; echo one; sleep 3600");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(worker.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    until("the container's end", || bench.status(&bench.name()) == "exited").await;
    kill(&mut worker);
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn one_that_nobody_wants_is_discarded_with_all_that_it_does() {
    let bench = Bench::new();
    let (mut worker, _) = worker(&bench, 600, "echo one; sleep 3600");
    kill(&mut worker);
    bench.executor.discard(&bench.name()).await.unwrap();
    assert_eq!(bench.status(&bench.name()), "");
    assert_eq!(bench.executor.left().await.unwrap(), Vec::<String>::new());
    // Nothing happens when there is nothing.
    bench.executor.discard(&bench.name()).await.unwrap();
}
