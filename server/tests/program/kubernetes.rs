//! Steps as Jobs of a real cluster, run by the real program with the account of `deploy/kubernetes`: make test-kubernetes.

use crate::slipway::{PATIENCE, Process, Slipway, signal, until};
use domain::document::Document;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A namespace of one test's own, and a worker's account in it.
struct Cluster {
    namespace: String,
    /// How a worker finds the cluster.
    kubeconfig: PathBuf,
}

impl Cluster {
    async fn open(slipway: &Slipway) -> Self {
        let namespace = format!("slipway-{}", uuid::Uuid::now_v7());
        let made = json!({ "metadata": { "name": namespace } });
        api("POST", "/api/v1/namespaces", &made).await;
        let account = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes/worker.yaml");
        for document in Document::read_all(&fs::read_to_string(account).unwrap()).unwrap() {
            let text = document
                .value()
                .to_string()
                .replace("\"namespace\":\"slipway\"", &format!("\"namespace\":\"{namespace}\""));
            let object: Value = serde_json::from_str(&text).unwrap();
            let group = match object["apiVersion"].as_str().unwrap() {
                "v1" => "api/v1".to_owned(),
                group => format!("apis/{group}"),
            };
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            api("POST", &format!("/{group}/namespaces/{namespace}/{kind}s"), &object).await;
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/slipway-worker/token");
        let token = api("POST", &path, &json!({ "spec": { "audiences": [], "expirationSeconds": 3600 } })).await;
        let known = kube::config::Kubeconfig::from_env().unwrap().expect("KUBECONFIG: a cluster. make test-kubernetes");
        let mut config = serde_json::to_value(known).unwrap();
        for user in config["users"].as_array_mut().unwrap() {
            user["user"] = json!({ "token": token["status"]["token"] });
        }
        let kubeconfig = slipway.data().join("kubeconfig");
        fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { namespace, kubeconfig }
    }

    fn work(&self, slipway: &Slipway) -> Process {
        let mut command = slipway.command(&["worker", "--public-url", &slipway.url, "--lease", "20", "--steps", "4"]);
        command.args(["--kubernetes-namespace", &self.namespace, "--kubernetes-pull-policy", "Never"]);
        Process::spawn(command.env("KUBECONFIG", &self.kubeconfig))
    }

    /// What the cluster has of this kind, as it says it.
    async fn all(&self, kind: &str) -> Value {
        let group = if kind == "jobs" { "apis/batch/v1" } else { "api/v1" };
        api("GET", &format!("/{group}/namespaces/{}/{kind}", self.namespace), &Value::Null).await
    }

    /// How many of this kind are there for steps. A pod that has ended is there for a while yet.
    async fn count(&self, kind: &str) -> usize {
        let all = self.all(kind).await;
        let is_ours = |object: &&Value| object["metadata"]["labels"]["slipway.dev/try"].is_string();
        let has_ended = |object: &Value| matches!(object["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
        all["items"].as_array().unwrap().iter().filter(is_ours).filter(|object| !has_ended(object)).count()
    }

    /// Waits until the cluster knows that a pod runs.
    async fn runs(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.all("pods").await["items"][0]["status"]["phase"] != "Running" {
            assert!(Instant::now() < deadline, "no pod runs");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until nothing of steps is left, and takes the namespace away.
    async fn close(self) {
        let deadline = Instant::now() + PATIENCE;
        for kind in ["jobs", "secrets", "pods"] {
            while self.count(kind).await > 0 {
                assert!(Instant::now() < deadline, "{kind} are left: {:#}", self.all(kind).await);
                sleep(Duration::from_millis(200)).await;
            }
        }
        api("DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &Value::Null).await;
    }
}

/// Asks the cluster, as its admin.
async fn api(method: &str, path: &str, body: &Value) -> Value {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let client = kube::Client::try_default().await.expect("KUBECONFIG: a cluster. make test-kubernetes");
    client.request(request.body(body).unwrap()).await.unwrap()
}

fn image() -> String {
    std::env::var("SLIPWAY_TEST_IMAGE").unwrap_or_else(|_| "busybox:local".to_owned())
}

/// A pipeline of Jobs with these steps.
fn pipeline(name: &str, steps: &str) -> String {
    format!("name: {name}\nexecutor: kubernetes\nimage: {}\nsteps:\n{steps}", image())
}

/// Where the commands of tries work.
fn work_dirs(slipway: &Slipway) -> Vec<PathBuf> {
    let dirs = fs::read_dir(slipway.data().join("jobs")).into_iter().flatten().flatten();
    dirs.map(|dir| dir.path().join("work")).collect()
}

/// Waits until the only try of a run has begun, and tells where it works.
async fn begun(slipway: &Slipway) -> PathBuf {
    let begun = || work_dirs(slipway).into_iter().find(|dir| dir.join("began").exists());
    until("the step runs", || begun().is_some()).await;
    begun().unwrap()
}

/// Waits until the log of a try says so.
async fn said(slipway: &Slipway, attempt: &str, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while let log = slipway.get(&format!("{attempt}/log")).await
        && !log.to_string().contains(what)
    {
        assert!(Instant::now() < deadline, "it does not say \"{what}\": {log}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// What a try used in its first seconds, once that is known.
async fn sampled(slipway: &Slipway, attempt: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut samples = slipway.get(&format!("{attempt}/samples")).await;
        if let Some(first) = samples["items"].get_mut(0) {
            return first.take();
        }
        assert!(Instant::now() < deadline, "it has no samples");
        sleep(Duration::from_millis(100)).await;
    }
}

/// What the command of a try wrote.
async fn written(slipway: &Slipway, attempt: &str) -> Vec<String> {
    let log = slipway.get(&format!("{attempt}/log")).await;
    let lines = log["items"].as_array().unwrap().iter().filter(|line| line["stream"] == "out");
    lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn steps_hand_on_what_they_made_and_no_secret_is_seen() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let admin = slipway.token_of("admin", "admin");
    let set = slipway.cli_as(&admin, &["secret", "set", "HF_TOKEN"], "swordfish-4711\n");
    assert!(set.status.success(), "{set:?}");
    let run = slipway
        .run(&pipeline(
            "jobs",
            r#"  make:
    secrets: { KEY: HF_TOKEN }
    command: |
      echo "key $KEY ${#KEY}; $SLIPWAY_TOKEN $MLFLOW_TRACKING_TOKEN"
      echo "$SLIPWAY_TOKEN" > token; touch began; until [ -e go ]; do sleep 0.1; done
      echo 42 > number
    outputs: { number: number }
  use:
    command: expr "$(cat "$INPUT_NUMBER")" + 1 > more
    inputs: { number: make.number }
    outputs: { more: more }
"#,
        ))
        .await;
    let dir = begun(&slipway).await;
    let token = fs::read_to_string(dir.join("token")).unwrap();
    for kind in ["jobs", "pods", "events"] {
        let all = cluster.all(kind).await.to_string();
        assert!(!all.contains("swordfish-4711") && !all.contains(token.trim()), "{kind}: {all}");
    }
    assert_eq!((cluster.count("jobs").await, cluster.count("secrets").await), (1, 1));
    fs::write(dir.join("go"), "").unwrap();
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let lines = written(&slipway, &format!("pipeline-runs/{run}/steps/make/attempts/1")).await;
    assert_eq!(lines, ["key *** 14; *** ***"]);
    let more = slipway.download(&format!("pipeline-runs/{run}/steps/use/outputs/more")).await;
    assert_eq!(more, b"43\n");
    let attempts = slipway.get(&format!("pipeline-runs/{run}/steps/use/attempts")).await;
    let attempt = &attempts["items"][0];
    assert_eq!(attempt["executor"], "kubernetes");
    assert!(attempt["image"].as_str().unwrap().contains("sha256:"), "{attempt}");
    worker.stop();
    cluster.close().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn jobs_that_fail_say_why() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let run = slipway
        .run(&pipeline(
            "failing",
            r#"  fails: { command: "echo no; exit 7", retries: 1 }
  eats: { command: "exec tail -c 300000000 /dev/zero", resources: { memory: 64Mi } }
  late: { command: "while :; do sleep 0.1; done", timeout: 2s }
  misspelt: { command: [pyhton] }
  elsewhere: { command: "true", image: "none:none" }
"#,
        ))
        .await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "failed", "{detail:#}");
    for (step, outcomes, reason) in [
        ("fails", vec!["failed", "failed"], "exit status 7"),
        ("eats", vec!["failed"], "killed: out of memory at 64.0 of 64.0 MiB"),
        ("late", vec!["timed_out"], "timed out"),
        ("misspelt", vec!["failed"], "pyhton"),
        ("elsewhere", vec!["failed"], "There is no such image."),
    ] {
        let found = slipway.get(&format!("pipeline-runs/{run}/steps/{step}")).await;
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found:#}");
        let all = slipway.outcomes(&detail).await;
        let of_step = all.into_iter().find(|(name, _)| name == step).unwrap();
        assert_eq!(of_step.1, outcomes, "{step}");
    }
    worker.stop();
    cluster.close().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_job_is_ended_when_its_run_is_cancelled() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let steps =
        "  hold: { command: \"trap 'echo bye; exit 3' TERM; echo began; touch began; while :; do sleep 0.1; done\" }\n";
    let run = slipway.run(&pipeline("slow", steps)).await;
    let attempt = format!("pipeline-runs/{run}/steps/hold/attempts/1");
    begun(&slipway).await;
    said(&slipway, &attempt, "began").await;
    let cancelled = slipway.cli(&["pipeline", "cancel", &run.to_string()]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "cancelled", "{detail:#}");
    assert_eq!(written(&slipway, &attempt).await, ["began", "bye"]);
    // With the worker still there: it removes what it made.
    cluster.close().await;
    worker.stop();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_job_whose_worker_is_killed_is_gone_on_with_and_runs_once() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut first = cluster.work(&slipway);
    let steps = r#"  hold:
    command: |
      echo one; echo $SLIPWAY_TOKEN; touch began
      until [ -e go ]; do sleep 0.1; done
      echo two; echo $SLIPWAY_TOKEN; cat go > out
    outputs: { out: out }
"#;
    let run = slipway.run(&pipeline("held", steps)).await;
    begun(&slipway).await;
    first.kill();
    let mut second = cluster.work(&slipway);
    let attempt = format!("pipeline-runs/{run}/steps/hold/attempts/1");
    said(&slipway, &attempt, "goes on with it").await;
    assert_eq!(cluster.count("pods").await, 1);
    let used = sampled(&slipway, &attempt).await;
    assert!(used["memory_max"].as_i64() > Some(0) && used["cpu_mean"].as_f64() > Some(0.0), "{used}");
    fs::write(begun(&slipway).await.join("go"), "given\n").unwrap();
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    assert_eq!(slipway.outcomes(&detail).await, [("hold".to_owned(), vec!["succeeded".to_owned()])]);
    let lines = written(&slipway, &attempt).await;
    assert_eq!(lines, ["one", "***", "two", "***"], "each line once, and no secret in it");
    assert_eq!(slipway.download(&format!("pipeline-runs/{run}/steps/hold/outputs/out")).await, b"given\n");
    until("the directory is removed", || work_dirs(&slipway).is_empty()).await;
    second.stop();
    cluster.close().await;
}

/// The node's own process, stopped until this is dropped.
struct Silent(i32);

impl Silent {
    fn node() -> Self {
        let pid =
            std::env::var("SLIPWAY_TEST_KUBELET").expect("SLIPWAY_TEST_KUBELET: the process id of the node's kubelet");
        let pid = pid.trim().parse().unwrap();
        signal(pid, "STOP");
        Self(pid)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

/// Nothing else can run meanwhile: see `.config/nextest.toml`.
#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_node_that_is_silent_loses_its_steps_and_they_run_again() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let steps = r#"  hold:
    command: |
      touch began
      while [ $SLIPWAY_ATTEMPT = 1 ]; do sleep 0.1; done
      echo again
"#;
    let run = slipway.run(&pipeline("held", steps)).await;
    begun(&slipway).await;
    cluster.runs().await;
    let nodes = api("GET", "/api/v1/nodes", &Value::Null).await;
    let node = format!("/api/v1/nodes/{}", nodes["items"][0]["metadata"]["name"].as_str().unwrap());
    let silent = Silent::node();
    // What the cluster does by itself when it has not heard of a node for five minutes.
    let gone = json!([{ "key": "slipway.dev/gone", "effect": "NoExecute" }]);
    api("PATCH", &node, &json!({ "spec": { "taints": gone } })).await;
    let attempt = format!("pipeline-runs/{run}/steps/hold/attempts");
    let deadline = Instant::now() + PATIENCE;
    let lost = loop {
        let attempts = slipway.get(&attempt).await;
        let first = attempts["items"].as_array().unwrap().iter().find(|attempt| attempt["number"] == 1).cloned();
        if let Some(first) = first.filter(|first| first["outcome"] != "running") {
            break Some(first);
        }
        if Instant::now() > deadline {
            break None;
        }
        sleep(Duration::from_millis(200)).await;
    };
    drop(silent);
    api("PATCH", &node, &json!({ "spec": { "taints": null } })).await;
    let lost = lost.expect("the first try ends");
    assert_eq!(lost["outcome"], "lost", "{lost:#}");
    assert!(lost["reason"].as_str().unwrap().contains("the step's pod was lost"), "{lost:#}");
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    // With no retries of its own: a node's end is none of the step's failures.
    assert_eq!(slipway.outcomes(&detail).await, [("hold".to_owned(), vec!["lost".to_owned(), "succeeded".to_owned()])]);
    assert_eq!(written(&slipway, &format!("{attempt}/2")).await, ["again"]);
    worker.stop();
    cluster.close().await;
}

/// Stores a file that Kubeflow Pipelines' compiler wrote, for a cluster, with this image in the place of its own, and runs it.
async fn run_compiled(slipway: &Slipway, name: &str, (theirs, ours): (&str, &str)) -> (i64, Value) {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../crates/kfp/fixtures/{name}.yaml"));
    let compiled = fs::read_to_string(compiled).unwrap().replace(theirs, ours);
    let file = slipway.data().join("compiled.yaml");
    fs::write(&file, compiled).unwrap();
    let stored = slipway.cli(&["pipeline", "apply", "--executor", "kubernetes", file.to_str().unwrap()]);
    assert!(stored.status.success(), "{stored:?}");
    let started = slipway.cli(&["pipeline", "run", name]);
    assert!(started.status.success(), "{started:?}");
    let run = String::from_utf8(started.stdout).unwrap().trim().parse().unwrap();
    (run, slipway.ended(run).await)
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn containers_of_kubeflow_pipelines_run_as_they_were_compiled() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let (run, detail) = run_compiled(&slipway, "containers", ("alpine:3.20", &image())).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let read = slipway.get(&format!("pipeline-runs/{run}/steps/read")).await;
    let words = read["outputs"].as_array().unwrap().iter().find(|given| given["name"] == "words").unwrap();
    assert_eq!(words["value"], "--none\n<it's \"quoted\" $HOME>\n");
    let attempts = slipway.get(&format!("pipeline-runs/{run}/steps/read/attempts")).await;
    assert_eq!(attempts["items"][0]["executor"], "kubernetes");
    worker.stop();
    cluster.close().await;
}

fn python_image() -> String {
    std::env::var("SLIPWAY_TEST_PYTHON_IMAGE")
        .expect("SLIPWAY_TEST_PYTHON_IMAGE: an image with python3, nbclient, ipykernel and kfp")
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn components_in_python_run_in_an_image_that_has_it() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let (_, detail) = run_compiled(&slipway, "artifacts", ("python:3.12-slim", &python_image())).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    worker.stop();
    cluster.close().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kubernetes"]
async fn a_notebook_in_python_runs_in_an_image_that_has_it() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let cluster = Cluster::open(&slipway).await;
    let mut worker = cluster.work(&slipway);
    let cell = |source: &str| json!({ "cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": source });
    let cells = ["import os\nprint(f'{rows} rows, {os.environ[\"SLIPWAY_TOKEN\"]}')", "print(2 * rows)"].map(cell);
    let report = json!({ "nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells });
    let file = json!({
        "name": "nightly", "executor": "kubernetes", "image": python_image(), "params": { "rows": 21 },
        "files": { "report.ipynb": report.to_string() }, "steps": { "report": { "notebook": "report.ipynb" } },
    });
    let run = slipway.run(&file.to_string()).await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let executed = slipway.download(&format!("pipeline-runs/{run}/steps/report/outputs/notebook")).await;
    let executed = String::from_utf8(executed).unwrap();
    assert!(executed.contains("21 rows, ***") && executed.contains("42"), "{executed}");
    worker.stop();
    cluster.close().await;
}
