//! A worker that can be killed: runs one script in a cluster until it ends.
//!
//! `kubernetes-test-worker ROOT NAME IMAGE SECONDS SCRIPT`: prints the lines of the script, then how it ended. Its lease
//! ends after so many seconds and is never renewed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use executors::{Controls, Deadline, Executor as _, Task};
use kubernetes::{KubernetesExecutor, Settings, Volume};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, name, image, seconds, script] = args.try_into().unwrap();
    let settings = Settings {
        namespace: std::env::var("SLIPWAY_TEST_NAMESPACE").unwrap_or_else(|_| "default".to_owned()),
        volume: Volume::Host,
        installation: name.clone(),
        pull_policy: "Never".to_owned(),
        pending: Duration::from_secs(60),
        fetching: Duration::from_secs(5),
    };
    let executor = KubernetesExecutor::new(root, settings);
    let dir = executor.prepare(&name, BTreeMap::new()).await.unwrap();
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(seconds.parse().unwrap())));
    let (log, mut lines) = mpsc::channel::<executors::LogLine>(16);
    let task = Task {
        argv: ["/bin/sh", "-ec", &script].map(str::to_owned).to_vec(),
        image: Some(image),
        grace: Duration::from_secs(1),
        ..Task::default()
    };
    let print = async {
        while let Some(line) = lines.recv().await {
            println!("{}", line.text);
        }
    };
    let run = executor.run(&dir, &task, Controls::new(deadline, CancellationToken::new(), log));
    let (finished, ()) = tokio::join!(run, print);
    println!("{}", finished.unwrap().ended);
}
