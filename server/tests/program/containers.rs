//! Steps in containers of a real engine, run by the real program: make test-docker.

use crate::slipway::{Process, Slipway, until};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

fn options() -> Vec<String> {
    let socket =
        std::env::var("SLIPWAY_TEST_DOCKER").expect("SLIPWAY_TEST_DOCKER: the socket of an engine. make test-docker");
    ["--docker-socket", &socket, "--lease", "20", "--steps", "2"].map(str::to_owned).to_vec()
}

fn image() -> String {
    std::env::var("SLIPWAY_TEST_IMAGE").expect("SLIPWAY_TEST_IMAGE: an image with a shell. make test-docker")
}

fn work(slipway: &Slipway) -> Process {
    let options = options();
    slipway.work(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Where the command of the only try works.
fn work_dir(slipway: &Slipway) -> Option<PathBuf> {
    let dirs = fs::read_dir(slipway.data().join("containers")).ok()?;
    Some(dirs.flatten().next()?.path().join("work"))
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_step_in_a_container_is_gone_on_with_when_its_worker_is_killed() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let mut first = work(&slipway);
    let yaml = format!(
        "name: contained\nexecutor: docker\nimage: {}\nsteps:\n  hold:\n    command: |\n      echo one; echo $SLIPWAY_TOKEN; \
         touch began\n      until [ -e go ]; do sleep 0.1; done\n      echo two; cat go > out\n    outputs: {{ out: out }}\n",
        image()
    );
    let run = slipway.run(&yaml).await;
    until("the step runs", || work_dir(&slipway).is_some_and(|dir| dir.join("began").exists())).await;
    first.kill();
    let mut second = work(&slipway);
    // Whatever the second worker finds, it finds it running: it may end only once we say so.
    let path = format!("pipeline-runs/{run}/steps/hold/attempts");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let log = slipway.get(&format!("{path}/1/log")).await;
        if log.to_string().contains("goes on with it") {
            break;
        }
        assert!(Instant::now() < deadline, "nobody goes on with it: {log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fs::write(work_dir(&slipway).unwrap().join("go"), "given\n").unwrap();
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    assert_eq!(slipway.outcomes(&detail).await, [("hold".to_owned(), vec!["succeeded".to_owned()])]);
    let attempts = slipway.get(&path).await;
    let attempt = &attempts["items"][0];
    assert_eq!(attempt["executor"], "docker");
    assert!(attempt["image"].as_str().unwrap().contains("sha256:"), "{attempt}");
    let log = slipway.get(&format!("{path}/1/log")).await;
    let own: Vec<&str> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["stream"] == "out")
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!(own, ["one", "***", "two"], "each line once, and no secret in it");
    let output = slipway.download(&format!("pipeline-runs/{run}/steps/hold/outputs/out")).await;
    assert_eq!(output, b"given\n");
    until("the directory is removed", || work_dir(&slipway).is_none()).await;
    second.stop();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn a_container_that_runs_out_of_memory_fails_its_step_with_the_figures() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let mut worker = work(&slipway);
    let yaml = format!(
        "name: greedy\nsteps:\n  eat:\n    executor: docker\n    image: {}\n    command: tail -c 300000000 /dev/zero | wc -c; exit 137\n    \
         resources: {{ memory: 64Mi }}\n",
        image()
    );
    let run = slipway.run(&yaml).await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "failed");
    let step = slipway.get(&format!("pipeline-runs/{run}/steps/eat")).await;
    assert_eq!(step["reason"], "killed: out of memory at 64.0 of 64.0 MiB", "{step}");
    worker.stop();
}

#[tokio::test]
#[ignore = "needs an engine: make test-docker"]
async fn containers_of_kubeflow_pipelines_run_as_they_were_compiled() {
    let (slipway, _server) = Slipway::start(&["--no-worker"]).await;
    let mut worker = work(&slipway);
    let compiled = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/kfp/fixtures/containers.yaml");
    let compiled = fs::read_to_string(compiled).unwrap().replace("alpine:3.20", &image());
    let run = slipway.run(&compiled).await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let value = async |step: &str, output: &str| {
        let step = slipway.get(&format!("pipeline-runs/{run}/steps/{step}")).await;
        let outputs = step["outputs"].as_array().unwrap().clone();
        outputs.into_iter().find(|given| given["name"] == output).unwrap()["value"].clone()
    };
    assert_eq!(value("shout-2", "said").await, "it's \"quoted\" $HOME");
    assert_eq!(value("read", "words").await, "--none\n<it's \"quoted\" $HOME>\n");
    let told = value("read", "whole").await;
    assert_eq!(told["inputs"]["artifacts"]["paper"]["artifacts"][0]["uri"], "/slipway/work/inputs/paper");
    let attempts = slipway.get(&format!("pipeline-runs/{run}/steps/read/attempts")).await;
    assert_eq!(attempts["items"][0]["executor"], "docker");
    worker.stop();
}
