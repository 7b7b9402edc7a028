//! Real Jobs of a real cluster: how they run, that they end, and that one whose worker was killed is gone on with.
//!
//! `make test-kubernetes` runs these with the cluster of `KUBECONFIG`, or one that `SLIPWAY_TEST_CLUSTER` starts; they are
//! ignored elsewhere. The cluster has one node, this machine, and an image with a shell that is there already.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use executors::{Controls, Deadline, Ended, Executor as _, Finished, Limits, LogLine, Sample, StepDir, Task};
use kubernetes::{KubernetesExecutor, Settings, Volume};
use serde_json::{Value, json};
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

const WORKER: &str = env!("CARGO_BIN_EXE_kubernetes-test-worker");

struct Bench {
    root: TempDir,
    executor: KubernetesExecutor,
}

struct Running {
    lease: watch::Sender<Deadline>,
    cancel: CancellationToken,
    lines: mpsc::Receiver<LogLine>,
    samples: mpsc::Receiver<Sample>,
    task: JoinHandle<(StepDir, Result<Finished, executors::Error>)>,
}

fn image() -> String {
    std::env::var("SLIPWAY_TEST_IMAGE").unwrap_or_else(|_| "busybox:local".to_owned())
}

fn name(root: &TempDir) -> String {
    root.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_lowercase()
}

impl Bench {
    fn new() -> Self {
        Self::with(Duration::from_secs(60), "default")
    }

    fn with(pending: Duration, namespace: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self::at(root, Volume::Host, pending, namespace)
    }

    fn at(root: TempDir, volume: Volume, pending: Duration, namespace: &str) -> Self {
        let settings = Settings {
            namespace: namespace.to_owned(),
            volume,
            installation: name(&root),
            pull_policy: "Never".to_owned(),
            pending,
            fetching: Duration::from_secs(5),
        };
        let executor = KubernetesExecutor::new(root.path(), settings);
        Self { root, executor }
    }

    fn name(&self) -> String {
        name(&self.root)
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

    async fn run(&self, task: Task) -> (Vec<LogLine>, Result<Finished, executors::Error>) {
        let (lines, _dir, finished) = self.start(task).await.end().await;
        self.executor.discard(&self.name()).await.unwrap();
        (lines, finished)
    }
}

impl Running {
    /// As when its worker is killed: nobody is told, and the directory is free.
    async fn die(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn end(mut self) -> (Vec<LogLine>, StepDir, Result<Finished, executors::Error>) {
        let mut lines = Vec::new();
        while let Some(line) = self.lines.recv().await {
            lines.push(line);
        }
        let (dir, finished) = self.task.await.unwrap();
        (lines, dir, finished)
    }
}

/// Asks the cluster itself.
async fn api(method: &str, path: &str, body: Value) -> Result<Value, kube::Error> {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    kube::Client::try_default().await.unwrap().request(request.body(body).unwrap()).await
}

/// What the cluster has of this kind in the namespace of the tests.
fn in_namespace(kind: &str) -> String {
    match kind {
        "jobs" => "/apis/batch/v1/namespaces/default/jobs".to_owned(),
        _ => format!("/api/v1/namespaces/default/{kind}"),
    }
}

fn shell(script: &str) -> Task {
    Task {
        argv: ["/bin/sh", "-ec", script].map(str::to_owned).to_vec(),
        image: Some(image()),
        grace: Duration::from_secs(5),
        ..Task::default()
    }
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_command_succeeds_and_its_files_are_there() {
    let bench = Bench::new();
    let script =
        "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; echo \"$X\"; echo a $Y; id -u > out.txt";
    let env = [("X", "$(HOME) $HOME"), ("Y", "s3cret")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let task = Task { env: env.into(), secrets: ["Y".to_owned()].into(), ..shell(script) };
    let (lines, dir, finished) = bench.start(task).await.end().await;
    let finished = finished.unwrap();
    assert_eq!((finished.ended, finished.exit_code), (Ended::Exited(0), Some(0)));
    let mut expected: Vec<String> = (0..300).map(|i| format!("line {i}")).collect();
    expected.extend(["$(HOME) $HOME", "a ***"].map(str::to_owned));
    assert_eq!(texts(&lines), expected);
    assert_ne!(fs::read_to_string(dir.output("out.txt").unwrap()).unwrap(), "0\n");
    assert!(finished.image.unwrap().contains("sha256:"));
    bench.executor.discard(&bench.name()).await.unwrap();
    assert_eq!(bench.executor.left().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn failures_are_told_apart() {
    let (_, finished) = Bench::new().run(shell("echo no; exit 7")).await;
    assert_eq!(finished.unwrap().ended, Ended::Exited(7));
    let (_, finished) = Bench::new().run(Task { argv: vec!["pyhton".to_owned()], ..shell("") }).await;
    let ended = finished.unwrap().ended;
    assert!(matches!(&ended, Ended::NotStarted(message) if message.contains("pyhton")), "{ended:?}");
    let (_, finished) = Bench::new().run(Task { image: Some("none:none".to_owned()), ..shell("true") }).await;
    let ended = finished.unwrap().ended;
    assert!(matches!(&ended, Ended::NotStarted(message) if message.contains("no such image")), "{ended:?}");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn running_out_of_memory_is_told_with_its_limit() {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    let script = "exec tail -c 300000000 /dev/zero";
    let (_, finished) = Bench::new().run(Task { limits, ..shell(script) }).await;
    assert_eq!(finished.unwrap().ended.to_string(), "killed: out of memory at 64.0 of 64.0 MiB");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn what_no_node_has_room_for_is_given_back_with_the_clusters_words() {
    let limits = Limits { cpus: Some(5000.0), ..Limits::default() };
    let bench = Bench::with(Duration::from_secs(3), "default");
    let (_, finished) = bench.run(Task { limits, ..shell("true") }).await;
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("no room") && error.contains("Insufficient cpu"), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn what_a_pod_uses_is_sampled_also_by_whoever_adopts_it() {
    const HELD: u64 = 40 << 20;
    let bench = Bench::new();
    let script = format!(
        "held=$(head -c {HELD} /dev/zero | tr '\\0' x); echo ready
         until [ -e go ]; do :; done; ls /proc | grep -c '^[0-9]*$'"
    );
    let (mut worker, first) = worker(&bench, 600, &script);
    assert_eq!(first, "ready");
    worker.kill().unwrap();
    worker.wait().unwrap();
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    let go = dir.work().join("go");
    let mut step = bench.start_in(dir, shell("not what runs"), 1);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(step.samples.recv().await.expect("the step runs"));
    }
    fs::write(go, "").unwrap();
    let (lines, _dir, finished) = step.end().await;
    for pair in seen.windows(2) {
        assert!(pair[1].cpu > pair[0].cpu && pair[1].at_ms > pair[0].at_ms, "{pair:?}");
        assert!(pair[1].memory_bytes >= HELD && pair[1].memory_bytes < 4 * HELD, "{pair:?}");
    }
    let usage = finished.unwrap().usage;
    assert!(usage.user >= seen[2].cpu && usage.peak_memory_bytes >= HELD, "{usage:?}");
    // Its own shell, `ls`, `grep`, and the one that tells, with no trace of the one that the killed worker had asked.
    assert!(texts(&lines)[0].parse::<usize>().unwrap() <= 5, "{lines:?}");
    bench.executor.discard(&bench.name()).await.unwrap();
}

/// A claim that is bound to this folder of the node, and has the name of the bench.
async fn claim(name: &str, path: &str) -> Volume {
    let volume = json!({ "metadata": { "name": name }, "spec": {
        "capacity": { "storage": "1Mi" },
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": { "path": path, "type": "Directory" },
        "claimRef": { "namespace": "default", "name": name },
    } });
    api("POST", "/api/v1/persistentvolumes", volume).await.unwrap();
    let claim = json!({ "metadata": { "name": name }, "spec": {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": { "requests": { "storage": "1Mi" } },
    } });
    api("POST", &in_namespace("persistentvolumeclaims"), claim).await.unwrap();
    let claim = format!("{}/{name}", in_namespace("persistentvolumeclaims"));
    let give_up = Instant::now() + Duration::from_secs(60);
    while api("GET", &claim, Value::Null).await.unwrap()["status"]["phase"] != "Bound" {
        assert!(Instant::now() < give_up, "the claim is not bound");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Volume::Claim(name.to_owned())
}

async fn unclaim(name: &str) {
    api("DELETE", &format!("{}/{name}", in_namespace("persistentvolumeclaims")), Value::Null).await.unwrap();
    api("DELETE", &format!("/api/v1/persistentvolumes/{name}"), Value::Null).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn files_go_through_a_claim_that_worker_and_pods_share() {
    let root = tempfile::tempdir().unwrap();
    let claim = claim(&name(&root), &root.path().display().to_string()).await;
    let bench = Bench::at(root, claim, Duration::from_secs(60), "default");
    let (_, dir, finished) = bench.start(shell("echo made > out.txt")).await.end().await;
    assert_eq!(finished.unwrap().ended, Ended::Exited(0));
    assert_eq!(fs::read_to_string(dir.output("out.txt").unwrap()).unwrap(), "made\n");
    bench.executor.discard(&bench.name()).await.unwrap();
    unclaim(&bench.name()).await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_pod_that_its_node_cannot_begin_is_given_back_with_the_nodes_words() {
    let root = tempfile::tempdir().unwrap();
    let claim = claim(&name(&root), "/nowhere").await;
    let bench = Bench::at(root, claim, Duration::from_secs(5), "default");
    let (_, finished) = bench.run(shell("true")).await;
    unclaim(&bench.name()).await;
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("does not begin") && error.contains("/nowhere"), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_quota_that_is_full_is_told_as_such() {
    let bench = Bench::with(Duration::from_secs(3), "default");
    let namespace = format!("quota-{}", bench.name());
    let named = json!({ "metadata": { "name": namespace } });
    api("POST", "/api/v1/namespaces", named).await.unwrap();
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    api("POST", &format!("/api/v1/namespaces/{namespace}/resourcequotas"), quota).await.unwrap();
    let bench = Bench::with(Duration::from_secs(3), &namespace);
    let (_, finished) = bench.run(shell("true")).await;
    api("DELETE", &format!("/api/v1/namespaces/{namespace}"), Value::Null).await.unwrap();
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("no room") && error.contains("exceeded quota"), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_pod_may_take_no_longer_than_its_timeout() {
    let script = "trap 'echo bye; exit 3' TERM; echo began; while :; do sleep 0.1; done";
    let (lines, finished) = Bench::new().run(Task { timeout: Some(Duration::from_secs(2)), ..shell(script) }).await;
    assert_eq!((texts(&lines), finished.unwrap().ended), (vec!["began", "bye"], Ended::TimedOut));
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn one_that_is_deaf_to_being_cancelled_is_killed() {
    let bench = Bench::new();
    let task = Task { grace: Duration::from_secs(1), ..shell("trap '' TERM; echo began; while :; do sleep 0.1; done") };
    let mut step = bench.start(task).await;
    assert_eq!(step.lines.recv().await.unwrap().text, "began");
    step.cancel.cancel();
    assert_eq!(step.end().await.2.unwrap().ended, Ended::Cancelled);
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_pod_never_runs_past_its_lease() {
    let bench = Bench::new();
    let mut step = bench.start(shell("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    // Renewed, it goes on; lost, it is ended.
    step.lease.send(Deadline::after(Duration::from_secs(300))).unwrap();
    step.lease.send(Deadline::now()).unwrap();
    assert_eq!(step.end().await.2.unwrap().ended, Ended::Fenced);
    bench.executor.discard(&bench.name()).await.unwrap();
}

/// A worker in a process of its own, with the first line that its script printed.
fn worker(bench: &Bench, lease_seconds: u32, script: &str) -> (Child, String) {
    let mut worker = Command::new(WORKER)
        .args([&bench.root.path().display().to_string(), &bench.name(), &image(), &lease_seconds.to_string(), script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut first, mut lines) = (String::new(), BufReader::new(worker.stdout.take().unwrap()));
    lines.read_line(&mut first).unwrap();
    // It may say more: what nobody can read would end it.
    worker.stdout = Some(lines.into_inner());
    (worker, first.trim().to_owned())
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_job_whose_worker_is_killed_is_gone_on_with() {
    let bench = Bench::new();
    let script = "echo one; echo two; until [ -e go ]; do sleep 0.1; done; echo three; cat go; exit 5";
    let (mut worker, first) = worker(&bench, 600, script);
    assert_eq!(first, "one");
    assert!(bench.executor.adopt(&bench.name()).await.unwrap().is_none(), "its worker lives");
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(bench.executor.left().await.unwrap(), [bench.name()]);
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    let go = dir.work().join("go");
    let step = bench.start_in(dir, shell("not what runs"), 1);
    fs::write(go, "four\n").unwrap();
    let (lines, _dir, finished) = step.end().await;
    assert_eq!((texts(&lines), finished.unwrap().ended), (vec!["two", "three", "four"], Ended::Exited(5)));
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn one_that_nobody_goes_on_with_is_ended_by_the_cluster() {
    let bench = Bench::new();
    let (mut worker, _) = worker(&bench, 15, "echo one; while :; do sleep 0.1; done");
    worker.kill().unwrap();
    worker.wait().unwrap();
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    // Whoever comes too late finds that its time was up.
    let give_up = Instant::now() + Duration::from_secs(90);
    let (lines, _dir, finished) =
        bench.start_in(dir, Task { grace: Duration::from_secs(1), ..shell("x") }, 0).end().await;
    assert!(Instant::now() < give_up);
    assert_eq!((texts(&lines), finished.unwrap().ended), (vec!["one"], Ended::Fenced));
    bench.executor.discard(&bench.name()).await.unwrap();
}

const VALUE: &str = "sword$(HOME)$fish-4711";

/// A step with a secret, which stands in another variable as well.
fn with_secret(script: &str) -> Task {
    let env = [("KEY", VALUE.to_owned()), ("URL", format!("https://me:{VALUE}@host"))];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into();
    Task { env, secrets: ["KEY".to_owned()].into(), ..shell(script) }
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn secrets_reach_the_pod_and_stand_in_nothing_but_their_secret() {
    let bench = Bench::new();
    let script = "echo $KEY; echo $URL; echo ${#KEY} ${#URL} > lengths; until [ -e go ]; do sleep 0.1; done";
    let mut step = bench.start(with_secret(script)).await;
    let seen = [step.lines.recv().await.unwrap().text, step.lines.recv().await.unwrap().text];
    assert_eq!(seen, ["***", "https://me:***@host"]);

    let name = format!("slipway-{}", bench.name());
    for kind in ["jobs", "pods", "events"] {
        let all = api("GET", &in_namespace(kind), Value::Null).await.unwrap().to_string();
        assert!(all.contains(&name), "{kind}: {all}");
        assert!(!all.contains("fish-4711"), "{kind}: {all}");
    }
    let job = api("GET", &format!("{}/{name}", in_namespace("jobs")), Value::Null).await.unwrap();
    let secret = api("GET", &format!("{}/{name}", in_namespace("secrets")), Value::Null).await.unwrap();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"], "{secret}");
    assert_eq!(secret["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["KEY", "URL"]);

    let work = bench.root.path().join(bench.name()).join("work");
    fs::write(work.join("go"), "").unwrap();
    let (_, dir, finished) = step.end().await;
    assert_eq!(finished.unwrap().ended, Ended::Exited(0));
    let lengths = fs::read_to_string(dir.output("lengths").unwrap()).unwrap();
    assert_eq!(lengths.trim(), format!("{} {}", VALUE.len(), VALUE.len() + "https://me:@host".len()));
    bench.executor.discard(&bench.name()).await.unwrap();
    let gone = api("GET", &format!("{}/{name}", in_namespace("secrets")), Value::Null).await.unwrap_err();
    assert!(gone.to_string().contains("not found"), "{gone}");
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn whoever_adopts_a_job_keeps_its_secrets_out_of_the_log() {
    let bench = Bench::new();
    let mut step = bench.start(with_secret("echo began; until [ -e go ]; do sleep 0.1; done; echo $KEY")).await;
    assert_eq!(step.lines.recv().await.unwrap().text, "began");
    step.die().await;
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    fs::write(dir.work().join("go"), "").unwrap();
    let mask = bench.executor.mask(&bench.name()).await.unwrap();
    assert_eq!(mask.hide(format!("as {VALUE}")), "as ***");
    let (lines, _dir, finished) = bench.start_in(dir, shell("not what runs"), 1).end().await;
    assert_eq!((texts(&lines), finished.unwrap().ended), (vec!["***"], Ended::Exited(0)));
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_job_whose_worker_died_before_it_gave_the_secrets_is_no_fault_of_the_step() {
    let bench = Bench::new();
    let mut step = bench.start(with_secret("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    step.die().await;
    let secret = format!("{}/slipway-{}", in_namespace("secrets"), bench.name());
    api("DELETE", &secret, Value::Null).await.unwrap();
    let dir = bench.executor.adopt(&bench.name()).await.unwrap().unwrap();
    let (_, _dir, finished) = bench.start_in(dir, shell("not what runs"), 0).end().await;
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("never began") && error.contains("secrets"), "{error}");
    bench.executor.discard(&bench.name()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_secret_that_comes_after_its_job_is_gone_is_deleted_by_the_cluster() {
    let bench = Bench::new();
    let mut step = bench.start(with_secret("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    // As a worker would make it that was stopped in between.
    let path = format!("{}/slipway-{}", in_namespace("secrets"), bench.name());
    let mut late = api("GET", &path, Value::Null).await.unwrap();
    step.die().await;
    bench.executor.discard(&bench.name()).await.unwrap();
    for given in ["resourceVersion", "uid", "creationTimestamp"] {
        late["metadata"].as_object_mut().unwrap().remove(given);
    }
    api("POST", &in_namespace("secrets"), late).await.unwrap();
    let give_up = Instant::now() + Duration::from_secs(120);
    while api("GET", &path, Value::Null).await.is_ok() {
        assert!(Instant::now() < give_up, "it stays");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_pod_that_is_drained_is_no_fault_of_the_step() {
    let bench = Bench::new();
    // Told to end, it fails in a way of its own.
    let script = "trap 'exit 9' TERM; echo began; while :; do sleep 0.1; done";
    let mut step = bench.start(shell(script)).await;
    step.lines.recv().await.unwrap();
    let pods = format!("{}?labelSelector=job-name%3Dslipway-{}", in_namespace("pods"), bench.name());
    api("DELETE", &pods, Value::Null).await.unwrap();
    let (_, _dir, finished) = step.end().await;
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("the step's pod was lost"), "{error}");
    bench.executor.discard(&bench.name()).await.unwrap();
}

/// The node's own process, stopped until this is dropped.
struct Silent(String);

impl Silent {
    fn node() -> Self {
        let silent = Self(std::env::var("SLIPWAY_TEST_KUBELET").expect("SLIPWAY_TEST_KUBELET: the node's kubelet"));
        silent.tell("STOP");
        silent
    }

    fn tell(&self, signal: &str) {
        assert!(Command::new("kill").args(["-s", signal, self.0.trim()]).status().unwrap().success());
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.tell("CONT");
    }
}

/// Nothing else can run meanwhile: see `.config/nextest.toml`.
#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_node_that_is_silent_does_not_hold_up_its_steps() {
    let bench = Bench::new();
    let mut step = bench.start(shell("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    let silent = Silent::node();
    // The cluster tells the pod to end and makes no other, as newer ones do of a node that they gave up.
    let job = format!("{}/slipway-{}", in_namespace("jobs"), bench.name());
    api("PATCH", &job, json!({ "spec": { "parallelism": 0 } })).await.unwrap();
    let (_, _dir, finished) = step.end().await;
    drop(silent);
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("its node is not heard of"), "{error}");
    bench.executor.discard(&bench.name()).await.unwrap();
}

/// Nothing else can run meanwhile: see `.config/nextest.toml`.
#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_node_that_is_taken_out_of_the_cluster_loses_its_pods() {
    let bench = Bench::new();
    let mut step = bench.start(shell("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    let nodes = api("GET", "/api/v1/nodes", Value::Null).await.unwrap();
    let mut node = nodes["items"][0].clone();
    let path = format!("/api/v1/nodes/{}", node["metadata"]["name"].as_str().unwrap());
    api("DELETE", &path, Value::Null).await.unwrap();
    let (_, _dir, finished) = step.end().await;
    for given in ["resourceVersion", "uid", "creationTimestamp"] {
        node["metadata"].as_object_mut().unwrap().remove(given);
    }
    api("POST", "/api/v1/nodes", node).await.unwrap();
    let error = finished.unwrap_err().to_string();
    assert!(error.contains("the step's pod was lost"), "{error}");
    bench.executor.discard(&bench.name()).await.unwrap();
    // The node takes pods again.
    let (lines, finished) = Bench::new().run(shell("echo back")).await;
    assert_eq!((texts(&lines), finished.unwrap().ended), (vec!["back"], Ended::Exited(0)));
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_job_that_is_taken_away_is_no_fault_of_the_step() {
    let bench = Bench::new();
    let mut step = bench.start(shell("echo began; while :; do sleep 0.1; done")).await;
    step.lines.recv().await.unwrap();
    // As when somebody cleans up.
    bench.executor.discard(&bench.name()).await.unwrap();
    let (_, _dir, finished) = step.end().await;
    match finished {
        Err(error) => assert!(error.to_string().contains("lost"), "{error}"),
        Ok(finished) => assert_eq!(finished.ended, Ended::Lost),
    }
}
