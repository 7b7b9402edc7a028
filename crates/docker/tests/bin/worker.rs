//! A worker that can be killed: runs one script in a container until it ends.
//!
//! `docker-test-worker SOCKET ROOT NAME IMAGE SECONDS SCRIPT`: prints the lines of the script, then how it ended. Its lease ends
//! after so many seconds and is never renewed. `docker-test-worker step-shim …` is the watch over its container.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use docker::DockerExecutor;
use executors::{Controls, Deadline, Executor as _, Shim, Task};
use std::{collections::BTreeMap, ffi::OsStr, process::ExitCode, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|arg| arg == OsStr::new("step-shim")) {
        return executors::shim::main(args.into_iter().skip(1));
    }
    let args: Vec<String> = args.into_iter().map(|arg| arg.into_string().unwrap()).collect();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work(args));
    ExitCode::SUCCESS
}

async fn work(args: Vec<String>) {
    let [socket, root, name, image, seconds, script] = args.try_into().unwrap();
    let executor = DockerExecutor::new(socket, root, "host", Shim::this_program(&["step-shim"]));
    let dir = executor.prepare(&name, BTreeMap::new()).await.unwrap();
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(seconds.parse().unwrap())));
    let (log, mut lines) = mpsc::channel::<executors::LogLine>(16);
    let task = Task {
        argv: ["/bin/sh", "-ec", &script].map(str::to_owned).to_vec(),
        image: Some(image),
        grace: Duration::from_secs(5),
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
