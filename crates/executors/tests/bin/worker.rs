//! A worker that can be killed: runs one script under a shim until it ends.
//!
//! `test-worker SHIM ROOT SECONDS SCRIPT`: prints the lines of the script, then how it ended. Its lease ends after so
//! many seconds and is never renewed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use executors::{Controls, Deadline, ProcessExecutor, Shim, Task};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [shim, root, seconds, script] = args.try_into().unwrap();
    let executor = ProcessExecutor::new(Shim::at(shim, &[]), root);
    let dir = executor.prepare("killed", BTreeMap::new()).await.unwrap();
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(seconds.parse().unwrap())));
    let (log, mut lines) = mpsc::channel::<executors::LogLine>(16);
    let step = Task {
        argv: vec!["/bin/sh".to_owned(), "-ec".to_owned(), script],
        grace: Duration::from_secs(5),
        ..Task::default()
    };
    let print = async {
        while let Some(line) = lines.recv().await {
            println!("{}", line.text);
        }
    };
    let run = executor.run(&dir, &step, Controls::new(deadline, CancellationToken::new(), log));
    let (finished, ()) = tokio::join!(run, print);
    println!("{}", finished.unwrap().ended);
}
