//! What a step is kept from, on the kernel of this machine. What that has not is told and not tested.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use executors::{
    Confinement, Controls, Deadline, Ended, Finished, GroupKind, Limits, ProcessExecutor, Sandbox, Shim, Task,
};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A worker's data directory, with a key and the directory of another step in it.
struct Bench {
    root: TempDir,
    executor: ProcessExecutor,
    sandbox: Sandbox,
}

impl Bench {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        for (path, text) in [
            ("data/keys/audit.key", "the key\n"),
            ("data/steps/other/work/theirs", "theirs\n"),
            ("data/shown/lib/code.py", "code\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(root.path().join("shared")).unwrap();
        let shim = Shim::at(env!("CARGO_BIN_EXE_step-shim"), &[]);
        let confinement = Confinement {
            enabled: true,
            hidden: vec![data.clone()],
            shown: vec![data.join("shown"), data.join("not-there")],
            writable: vec![root.path().join("shared")],
        };
        let executor = ProcessExecutor::new(shim, data.join("steps")).confined(confinement);
        let sandbox = executor.probe().await.unwrap();
        Self { root, executor, sandbox }
    }

    /// Whether the kernel has landlock; says so when not.
    fn has_landlock(&self) -> bool {
        if self.sandbox.landlock.is_none() {
            eprintln!("not tested: this kernel has no landlock");
        }
        self.sandbox.landlock.is_some()
    }

    async fn run(&self, script: &str) -> (Vec<String>, Finished) {
        run(&self.executor, script, Limits::default()).await
    }

    fn path(&self, path: &str) -> String {
        self.root.path().join(path).display().to_string()
    }
}

async fn run(executor: &ProcessExecutor, script: &str, limits: Limits) -> (Vec<String>, Finished) {
    let dir = executor.prepare("1", BTreeMap::new()).await.unwrap();
    let task = Task {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        grace: Duration::from_secs(30),
        limits,
        ..Task::default()
    };
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(600)));
    let (log, mut lines) = mpsc::channel(64);
    let controls = Controls::new(deadline, CancellationToken::new(), log);
    let read = async {
        let mut texts = Vec::new();
        while let Some(line) = lines.recv().await {
            texts.push(line.text);
        }
        texts
    };
    let (finished, texts) = tokio::join!(executor.run(&dir, &task, controls), read);
    dir.remove().unwrap();
    (texts, finished.unwrap())
}

#[tokio::test]
async fn a_step_cannot_read_what_its_worker_keeps() {
    let bench = Bench::new().await;
    if !bench.has_landlock() {
        return;
    }
    for hidden in ["data/keys/audit.key", "data/steps/other/work/theirs"] {
        let (texts, finished) = bench.run(&format!("cat {0} && cat {0} > copy", bench.path(hidden))).await;
        assert_eq!(finished.ended, Ended::Exited(1), "{hidden}: {texts:?}");
        assert!(texts.concat().contains("Permission denied"), "{hidden}: {texts:?}");
    }
    for listing in ["data", "data/keys", "data/steps"] {
        let (texts, finished) = bench.run(&format!("ls {}", bench.path(listing))).await;
        assert_ne!(finished.ended, Ended::Exited(0), "{listing}: {texts:?}");
    }
    // By another way to the same place.
    let script = format!(
        "cat /proc/self/root{0}; cat $SLIPWAY_STEP_DIR/../../keys/audit.key",
        bench.path("data/keys/audit.key")
    );
    let (texts, _) = bench.run(&script).await;
    assert!(!texts.concat().contains("the key"), "{texts:?}");
}

#[tokio::test]
async fn a_step_reads_the_system_and_writes_to_its_own_directory() {
    let bench = Bench::new().await;
    let script = format!(
        "set -e; cat /etc/passwd > copy; ls /usr/bin > \"$TMPDIR/list\"; echo 1 > \"$HOME/settings\"; mkdir -p a/b; mv copy a/b/c
         echo 1 > /dev/null; echo shared > {}; ls | grep a; rm -r a",
        bench.path("shared/file")
    );
    let (texts, finished) = bench.run(&script).await;
    assert_eq!(finished.ended, Ended::Exited(0), "{texts:?}");
}

#[tokio::test]
async fn what_is_shown_of_what_is_hidden_is_read_and_not_written() {
    let bench = Bench::new().await;
    if !bench.has_landlock() {
        return;
    }
    let shown = bench.path("data/shown");
    let (texts, finished) = bench.run(&format!("ls {shown}/lib && cat {shown}/lib/code.py")).await;
    assert_eq!(finished.ended, Ended::Exited(0), "{texts:?}");
    for attempt in [format!("echo x > {shown}/lib/code.py"), format!("ls {shown}/..")] {
        let (texts, finished) = bench.run(&attempt).await;
        assert_ne!(finished.ended, Ended::Exited(0), "{attempt}: {texts:?}");
    }
}

#[tokio::test]
async fn a_step_writes_nowhere_else() {
    let bench = Bench::new().await;
    if !bench.has_landlock() {
        return;
    }
    fs::write(bench.root.path().join("mine"), "as it was").unwrap();
    let mine = bench.path("mine");
    for attempt in [
        format!("echo x > {}", bench.path("new")),
        format!("echo x > {mine}"),
        format!("rm {mine}"),
        format!("ln -s x {}", bench.path("link")),
        "echo x > /var/tmp/slipway-test-of-the-sandbox".to_owned(),
    ] {
        let (texts, finished) = bench.run(&attempt).await;
        assert_ne!(finished.ended, Ended::Exited(0), "{attempt}: {texts:?}");
    }
    assert_eq!(fs::read_to_string(bench.root.path().join("mine")).unwrap(), "as it was");
    assert!(!Path::new("/var/tmp/slipway-test-of-the-sandbox").exists());
}

#[tokio::test]
async fn a_step_gains_no_privileges_and_dangerous_calls_are_refused() {
    let bench = Bench::new().await;
    let (texts, finished) = bench.run("grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status; ulimit -c").await;
    assert!(bench.sandbox.no_new_privileges && bench.sandbox.seccomp, "{}", bench.sandbox);
    assert_eq!(texts, ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "0"]);
    assert_eq!(finished.sandbox.seccomp, bench.sandbox.seccomp);
    for attempt in ["unshare -U true", "unshare -m true", "mkdir m && mount -t tmpfs none m", "chroot / true", "dmesg"]
    {
        let (texts, finished) = bench.run(attempt).await;
        assert_ne!(finished.ended, Ended::Exited(0), "{attempt}: {texts:?}");
        let said = texts.concat().to_lowercase();
        assert!(said.contains("not permitted") || said.contains("denied"), "{attempt}: {texts:?}");
    }
}

#[tokio::test]
async fn what_is_new_beside_the_hidden_can_be_read_and_no_step_breaks_that_for_the_next() {
    let bench = Bench::new().await;
    let root = bench.root.path();
    bench.run("true").await;
    fs::write(root.join("new"), "seen\n").unwrap();
    let (texts, finished) = bench.run(&format!("cat {}", root.join("new").display())).await;
    assert_eq!((finished.ended, texts), (Ended::Exited(0), vec!["seen".to_owned()]));
    // Times of directories are a step's to set, where they are its worker's.
    bench.run(&format!("touch -d @9223372036854775807 {}", root.display())).await;
    let open = "echo /proc/self/fd/*";
    let (texts, finished) = bench.run(open).await;
    assert_eq!(finished.ended, Ended::Exited(0));
    let ours = std::process::Command::new("/bin/sh").args(["-c", open]).output().unwrap();
    assert_eq!(texts, [String::from_utf8_lossy(&ours.stdout).trim_end()], "none of what its supervisor has open");
}

#[tokio::test]
async fn a_step_cannot_look_into_its_worker_or_end_it() {
    let bench = Bench::new().await;
    if bench.sandbox.landlock.is_none_or(|version| version < 6) {
        eprintln!("not tested: this kernel's landlock does not hold signals back");
        return;
    }
    let worker = std::process::id();
    for attempt in [format!("kill -0 {worker}"), format!("cat /proc/{worker}/environ")] {
        let (texts, finished) = bench.run(&attempt).await;
        assert_ne!(finished.ended, Ended::Exited(0), "{attempt}: {texts:?}");
    }
    let (texts, finished) = bench.run("sleep 600 & kill $!; wait $!; [ $? = 143 ]").await;
    assert_eq!(finished.ended, Ended::Exited(0), "its own it ends: {texts:?}");
}

#[tokio::test]
async fn threads_and_processes_work_as_ever() {
    let (texts, finished) = Bench::new()
        .await
        .run(
            "command -v python3 >/dev/null || exit 0; python3 -c '
import multiprocessing, os, threading, tempfile, socket
def square(x): return x * x
with multiprocessing.get_context(\"fork\").Pool(2) as pool: assert pool.map(square, [1, 2, 3]) == [1, 4, 9]
threads = [threading.Thread(target=lambda: None) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
with tempfile.TemporaryDirectory() as d: open(os.path.join(d, \"x\"), \"w\").write(\"x\")
socket.socket(socket.AF_INET).close()
'",
        )
        .await;
    assert_eq!(finished.ended, Ended::Exited(0), "{texts:?}");
}

#[tokio::test]
async fn a_step_that_needs_more_memory_than_it_may_have_is_told_so() {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    // Not the command itself but a process that it starts.
    let script = "head -c 300000000 /dev/zero | tail -c 300000000 | wc -c; exit 137";
    let bench = Bench::new().await;
    let (texts, finished) = run(&bench.executor, script, limits).await;
    let (Ended::OutOfMemory { limit, .. }, Some(kind)) = (&finished.ended, finished.sandbox.group) else {
        panic!("{finished:?}: {texts:?}");
    };
    assert_eq!(*limit, limits.memory_bytes);
    if kind != GroupKind::Watched {
        assert_eq!(finished.ended.to_string(), "killed: out of memory at 64.0 of 64.0 MiB");
    }
    // Where the kernel counts nothing, its supervisor does.
    let script = "head -c 600000000 /dev/zero | tail -c 600000000 | sleep 600";
    let (_, finished) = run(&bench.executor.clone().without_groups(), script, limits).await;
    assert_eq!(finished.sandbox.group, Some(GroupKind::Watched));
    assert_eq!(finished.ended.to_string(), "killed: out of memory at 64.0 of 64.0 MiB");
}

#[tokio::test]
async fn a_step_that_goes_on_without_what_was_killed_says_itself_how_it_ended() {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    let script = "head -c 300000000 /dev/zero | tail -c 300000000 > /dev/null; echo smaller; exit 0";
    let bench = Bench::new().await;
    if bench.sandbox.group.is_none_or(|kind| kind == GroupKind::Watched) {
        eprintln!("not tested: this worker may make no control groups");
        return;
    }
    let (texts, finished) = run(&bench.executor, script, limits).await;
    assert_eq!(finished.ended, Ended::Exited(0));
    assert!(texts.contains(&"smaller".to_owned()), "{texts:?}");
}

#[tokio::test]
async fn half_a_processor_is_half_a_processor() {
    let bench = Bench::new().await;
    if bench.sandbox.group.is_none_or(|kind| kind == GroupKind::Watched) {
        eprintln!("not tested: this worker may make no control groups");
        return;
    }
    let limits = Limits { cpus: Some(0.2), ..Limits::default() };
    let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let (_, finished) = run(&bench.executor, script, limits).await;
    // However busy the machine is, it has no more than its share.
    let used = finished.usage.user + finished.usage.system;
    assert!(used < finished.usage.wall.mul_f64(0.5), "{finished:?}");
}

#[tokio::test]
async fn without_groups_a_step_has_whole_processors() {
    let bench = Bench::new().await;
    let limits = Limits { cpus: Some(0.5), ..Limits::default() };
    let alone = bench.executor.clone().without_groups();
    let (texts, _) = run(&alone, "nproc; test $(ulimit -n) -gt 1024 || ulimit -Hn", limits).await;
    assert_eq!(texts, ["1"]);
    let (texts, _) = run(&alone, "nproc", Limits { cpus: Some(10_000.0), ..Limits::default() }).await;
    let all = std::thread::available_parallelism().unwrap();
    assert_eq!(texts, [all.to_string()]);
}

#[tokio::test]
async fn nothing_is_kept_from_a_step_where_nothing_is_wanted() {
    let bench = Bench::new().await;
    let open = bench.executor.clone().confined(Confinement::default());
    let (texts, finished) = run(&open, &format!("cat {}", bench.path("data/keys/audit.key")), Limits::default()).await;
    assert_eq!((texts.concat().as_str(), finished.sandbox.level()), ("the key", 0));
}

/// `cargo nextest run -p executors --run-ignored only --success-output final`
#[tokio::test]
#[ignore = "measures"]
async fn what_a_sandbox_costs() {
    let bench = Bench::new().await;
    for (what, executor) in [
        ("confined, with groups", bench.executor.clone()),
        ("confined, without groups", bench.executor.clone().without_groups()),
        ("neither", bench.executor.clone().confined(Confinement::default()).without_groups()),
    ] {
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            run(&executor, "true", Limits::default()).await;
        }
        eprintln!("{what}: {:?} a step", begun.elapsed() / 100);
    }
}
