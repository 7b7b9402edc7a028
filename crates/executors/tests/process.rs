//! Real processes: how they run, and that they end.
#![allow(clippy::unwrap_used, clippy::panic)]

use domain::pipeline_run::AttemptOutcome;
use executors::{Controls, Deadline, Ended, Finished, LogLine, ProcessExecutor, Shim, StepDir, Task};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Long past the end of every test: what sleeps so long is ended by somebody.
const FOREVER: &str = "sleep 3600";

struct Bench {
    root: TempDir,
    executor: ProcessExecutor,
}

/// A step that runs.
struct Running {
    lease: watch::Sender<Deadline>,
    cancel: CancellationToken,
    lines: mpsc::Receiver<LogLine>,
    task: JoinHandle<(StepDir, Finished)>,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let executor = ProcessExecutor::new(Shim::at(env!("CARGO_BIN_EXE_step-shim"), &[]), root.path().join("steps"));
        Self { root, executor }
    }

    async fn start(&self, step: Task) -> Running {
        let dir = self.executor.prepare("1", BTreeMap::new()).await.unwrap();
        self.start_in(dir, step)
    }

    fn start_in(&self, dir: StepDir, step: Task) -> Running {
        let (lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(600)));
        let (log, lines) = mpsc::channel(64);
        let cancel = CancellationToken::new();
        let controls = Controls::new(deadline, cancel.clone(), log);
        let executor = self.executor.clone();
        let task = tokio::spawn(async move {
            let finished = executor.run(&dir, &step, controls).await.unwrap();
            (dir, finished)
        });
        Running { lease, cancel, lines, task }
    }

    /// Runs a script to its end.
    async fn run(&self, script: &str) -> (Vec<LogLine>, Finished) {
        self.start(shell(script)).await.end().await
    }
}

impl Running {
    async fn end(mut self) -> (Vec<LogLine>, Finished) {
        let mut lines = Vec::new();
        while let Some(line) = self.lines.recv().await {
            lines.push(line);
        }
        (lines, self.task.await.unwrap().1)
    }

    /// The next line, which is a process id.
    async fn pid(&mut self) -> i32 {
        self.lines.recv().await.unwrap().text.trim().parse().unwrap()
    }
}

fn shell(script: &str) -> Task {
    program(&["/bin/sh", "-ec", script])
}

fn program(argv: &[&str]) -> Task {
    Task { argv: argv.iter().map(|arg| (*arg).to_owned()).collect(), grace: Duration::from_secs(30), ..Task::default() }
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// Whether the process runs: there, and no zombie.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come true in 30 seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn gone(pids: &[i32]) {
    until(&format!("the end of {pids:?}"), || !pids.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn lines_arrive_in_the_order_they_were_written() {
    let bench = Bench::new();
    let (lines, finished) = bench.run("for i in $(seq 1 5000); do echo line $i; done; echo last >&2").await;
    assert_eq!(finished.ended, Ended::Exited(0));
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Succeeded);
    let out: Vec<_> = lines.iter().filter(|line| !line.is_err).map(|line| line.text.clone()).collect();
    assert_eq!(out, (1..=5000).map(|i| format!("line {i}")).collect::<Vec<_>>());
    let err: Vec<_> = lines.iter().filter(|line| line.is_err).map(|line| line.text.as_str()).collect();
    assert_eq!(err, ["last"]);
    assert!(lines.is_sorted_by_key(|line| line.at_ms));
}

#[tokio::test]
async fn both_streams_are_merged_as_they_come() {
    let bench = Bench::new();
    let dir = bench.executor.prepare("1", BTreeMap::new()).await.unwrap();
    let gates = ["first", "second"].map(|name| dir.work().join(name));
    for gate in &gates {
        nix::unistd::mkfifo(gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let script = "echo one; read go < first; echo two >&2; read go < second; echo three";
    let mut step = bench.start_in(dir, shell(script));
    let mut gates = gates.iter();
    let mut seen = Vec::new();
    while let Some(line) = step.lines.recv().await {
        seen.push((line.text, line.is_err));
        if let Some(gate) = gates.next() {
            tokio::fs::write(gate, "go\n").await.unwrap();
        }
    }
    assert_eq!(seen, [("one".to_owned(), false), ("two".to_owned(), true), ("three".to_owned(), false)]);
    step.end().await;
}

#[tokio::test]
async fn the_exit_status_is_told() {
    let (_, finished) = Bench::new().run("exit 7").await;
    assert_eq!((finished.ended.clone(), finished.exit_code), (Ended::Exited(7), Some(7)));
    assert_eq!(finished.ended.to_string(), "exit status 7");
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Failed);
}

#[tokio::test]
async fn a_signal_is_told_by_its_name() {
    let (_, finished) = Bench::new().run("kill -SEGV $$").await;
    assert_eq!(finished.ended, Ended::Killed(Some(11)));
    assert_eq!(finished.ended.to_string(), "killed by SIGSEGV");
    let (_, finished) = Bench::new().run("kill -KILL $$").await;
    assert_eq!(finished.ended.to_string(), "killed by SIGKILL, perhaps because memory ran out");
}

#[tokio::test]
async fn a_command_that_is_missing_fails_with_a_sentence() {
    for (argv, sentence) in [
        (&["pyhton", "train.py"][..], "The command \"pyhton\" was not found. PATH is /usr/local/sbin:"),
        (&["./train.sh"], "\"./train.sh\" was not found in the step's directory."),
        (&["/etc"], "\"/etc\" may not be executed."),
        (&[""], "The command \"\" was not found."),
        (&[], "The command is empty."),
    ] {
        let (lines, finished) = Bench::new().start(program(argv)).await.end().await;
        let Ended::NotStarted(message) = &finished.ended else { panic!("{argv:?}: {finished:?}") };
        assert!(message.starts_with(sentence), "{message}");
        assert_eq!(finished.ended.outcome(), AttemptOutcome::Failed);
        assert_eq!(texts(&lines), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_script_without_its_interpreter_fails_with_a_sentence() {
    let bench = Bench::new();
    let files = BTreeMap::from([("run".to_owned(), "#!/nowhere/interpreter\n".to_owned())]);
    let dir = bench.executor.prepare("1", files).await.unwrap();
    let (_, finished) = bench.start_in(dir, program(&["./run"])).end().await;
    assert!(finished.ended.to_string().contains("the interpreter in its first line was not found"), "{finished:?}");
}

#[tokio::test]
async fn a_machine_without_the_shim_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let executor = ProcessExecutor::new(Shim::at("/nowhere/shim", &[]), root.path());
    let dir = executor.prepare("1", BTreeMap::new()).await.unwrap();
    let (log, _lines) = mpsc::channel(1);
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(60)));
    let controls = Controls::new(deadline, CancellationToken::new(), log);
    let error = executor.run(&dir, &shell("true"), controls).await.unwrap_err();
    assert!(error.to_string().starts_with("the step's supervisor could not be started"), "{error}");
}

#[tokio::test]
async fn a_command_sees_its_own_environment_only() {
    let bench = Bench::new();
    let step = Task {
        env: BTreeMap::from([("PARAM_X".to_owned(), "a\nb $(c)".to_owned())]),
        ..shell("env -0 | tr '\\n\\0' '|\\n' | sort")
    };
    let (lines, _) = bench.start(step).await.end().await;
    let work = bench.root.path().join("steps/1").display().to_string();
    let seen: Vec<String> = lines.iter().map(|line| line.text.replace(&work, "DIR")).collect();
    assert_eq!(
        seen,
        [
            "HOME=DIR/home",
            "LANG=C.UTF-8",
            "PARAM_X=a|b $(c)",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PWD=DIR/work",
            "PYTHONUNBUFFERED=1",
            "SLIPWAY_STEP_DIR=DIR",
            "TMPDIR=DIR/tmp",
        ]
    );
}

#[tokio::test]
async fn a_command_has_no_input_no_terminal_and_no_line_to_its_worker() {
    let script = "cat; readlink /proc/self/fd/0; (: < /dev/tty) 2>/dev/null && echo terminal || echo none
                  readlink /proc/self/fd/* | grep socket || echo none";
    let (lines, _) = Bench::new().run(script).await;
    assert_eq!(texts(&lines), ["/dev/null", "none", "none"]);
}

#[tokio::test]
async fn files_are_there_and_outputs_are_found() {
    let bench = Bench::new();
    let make = "#!/bin/sh\nmkdir out && cp data.csv out/copy.csv\n";
    let files = [("bin/make", make), ("data.csv", "1,2\n")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let dir = bench.executor.prepare("1", files).await.unwrap();
    let running = bench.start_in(dir, program(&["bin/make"]));
    let (dir, finished) = running.task.await.unwrap();
    assert_eq!(finished.ended, Ended::Exited(0));
    assert_eq!(fs::read_to_string(dir.output("out").unwrap().join("copy.csv")).unwrap(), "1,2\n");
    dir.remove().unwrap();
    assert!(!bench.root.path().join("steps/1").exists());
}

#[tokio::test]
async fn a_directory_is_not_used_twice() {
    let bench = Bench::new();
    let _first = bench.executor.prepare("1", BTreeMap::new()).await.unwrap();
    assert!(bench.executor.prepare("1", BTreeMap::new()).await.is_err());
}

#[tokio::test]
async fn a_step_may_take_no_longer_than_its_timeout() {
    let bench = Bench::new();
    let script = format!("trap 'echo bye; exit 3' TERM; echo $$; {FOREVER} & wait");
    let mut step = bench.start(Task { timeout: Some(Duration::from_millis(500)), ..shell(&script) }).await;
    let pid = step.pid().await;
    let (lines, finished) = step.end().await;
    // It was asked politely, said goodbye, and its own exit status is known.
    assert_eq!(texts(&lines), ["bye"]);
    assert_eq!((finished.ended.clone(), finished.exit_code), (Ended::TimedOut, Some(3)));
    assert_eq!(finished.ended.outcome(), AttemptOutcome::TimedOut);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn cancelling_ends_all_that_the_step_started() {
    let bench = Bench::new();
    // In the background; in a session of its own; orphaned and in a session of its own; deaf to the polite signal.
    let script = format!(
        "{FOREVER} & echo $!
         setsid {FOREVER} & echo $!
         (setsid sh -c 'echo $$; exec {FOREVER}' &)
         sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' &
         wait; wait"
    );
    let mut step = bench.start(Task { grace: Duration::from_millis(300), ..shell(&script) }).await;
    let pids = [step.pid().await, step.pid().await, step.pid().await, step.pid().await];
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    step.cancel.cancel();
    let (_, finished) = step.end().await;
    assert_eq!(finished.ended, Ended::Cancelled);
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Cancelled);
    // Not "soon": a step that has ended has ended whole.
    assert_eq!(pids.map(is_alive), [false; 4]);
}

#[tokio::test]
async fn a_stopped_step_can_be_cancelled() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("echo $$; exec {FOREVER}"))).await;
    let pid = step.pid().await;
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    step.cancel.cancel();
    assert_eq!(step.end().await.1.ended, Ended::Cancelled);
}

#[tokio::test]
async fn what_a_step_leaves_running_ends_with_it() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("setsid {FOREVER} & echo $!; exit 0"))).await;
    let pid = step.pid().await;
    let (_, finished) = step.end().await;
    assert_eq!((finished.ended, finished.left_behind), (Ended::Exited(0), 1));
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_step_never_runs_past_its_lease() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("trap '' TERM; echo $$; {FOREVER} & echo $!; wait; wait"))).await;
    let pids = [step.pid().await, step.pid().await];
    // Renewed, it goes on; lost, it is killed without a question.
    step.lease.send(Deadline::after(Duration::from_secs(300))).unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    step.lease.send(Deadline::now()).unwrap();
    let (_, finished) = step.end().await;
    assert_eq!(finished.ended, Ended::Fenced);
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Lost);
    assert_eq!(pids.map(is_alive), [false; 2]);
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_by_itself() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("echo $$; exec {FOREVER}"))).await;
    let pid = step.pid().await;
    step.lease.send(Deadline::after(Duration::from_millis(400))).unwrap();
    assert_eq!(step.end().await.1.ended, Ended::Fenced);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_step_whose_worker_lets_go_ends() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("setsid {FOREVER} & echo $!; echo $$; wait"))).await;
    let pids = [step.pid().await, step.pid().await];
    step.task.abort();
    gone(&pids).await;
}

#[tokio::test]
async fn a_step_whose_lease_has_run_out_does_not_begin() {
    let bench = Bench::new();
    let dir = bench.executor.prepare("1", BTreeMap::new()).await.unwrap();
    let (_lease, deadline) = watch::channel(Deadline::now());
    let (log, _lines) = mpsc::channel(64);
    let controls = Controls::new(deadline, CancellationToken::new(), log);
    let finished = bench.executor.run(&dir, &shell("echo begun > begun"), controls).await.unwrap();
    assert_eq!(finished.ended, Ended::Fenced);
    assert!(!dir.work().join("begun").exists());
}

#[tokio::test]
async fn a_step_ends_also_where_who_started_its_worker_ignores_the_ends_of_children() {
    let root = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new("/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_test-worker")])
        .arg(env!("CARGO_BIN_EXE_step-shim"))
        .arg(root.path())
        .args(["600", "(exit 3) || exit 4"])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(30), output).await.expect("it ends").unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit status 4\n");
}

/// A worker in a process of its own, and the process ids that its script printed.
fn worker(root: &Path, lease_seconds: u32, script: &str, pids: usize) -> (Child, Vec<i32>) {
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_test-worker"))
        .arg(env!("CARGO_BIN_EXE_step-shim"))
        .arg(root)
        .args([&lease_seconds.to_string(), script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let pids = lines.take(pids).map(|line| line.unwrap().trim().parse().unwrap()).collect();
    (worker, pids)
}

/// The command, a child in the background, a grandchild in a session of its own whose parent is gone.
fn family() -> String {
    format!("echo $$; {FOREVER} & echo $!; (setsid sh -c 'echo $$; exec {FOREVER}' &); wait; {FOREVER}")
}

fn parent_of(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_of_a_step_outlives_a_worker_that_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let (mut worker, mut pids) = worker(root.path(), 600, &family(), 3);
    let shim = parent_of(pids[0]);
    pids.push(shim);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    worker.kill().unwrap();
    worker.wait().unwrap();
    gone(&pids).await;
    // Another worker clears up.
    let executor = ProcessExecutor::new(Shim::this_program(&[]), root.path());
    assert_eq!(executor.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn a_worker_that_is_stopped_does_not_keep_its_step_alive() {
    let root = tempfile::tempdir().unwrap();
    let (mut worker, pids) = worker(root.path(), 2, &family(), 3);
    let worker_pid = Pid::from_raw(i32::try_from(worker.id()).unwrap());
    kill(worker_pid, Signal::SIGSTOP).unwrap();
    gone(&pids).await;
    kill(worker_pid, Signal::SIGKILL).unwrap();
    worker.wait().unwrap();
}

#[tokio::test]
async fn nothing_of_a_step_outlives_its_shim() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&family())).await;
    let pids = [step.pid().await, step.pid().await, step.pid().await];
    kill(Pid::from_raw(parent_of(pids[0])), Signal::SIGKILL).unwrap();
    let (_, finished) = step.end().await;
    assert_eq!(finished.ended, Ended::Lost);
    assert_eq!(finished.ended.outcome(), AttemptOutcome::Lost);
    gone(&pids).await;
}

#[tokio::test]
async fn what_outlives_both_worker_and_shim_ends_with_the_next_sweep() {
    let root = tempfile::tempdir().unwrap();
    let (mut worker, pids) = worker(root.path(), 600, &family(), 3);
    let shim = Pid::from_raw(parent_of(pids[0]));
    // Stopped first, so that it cannot do its work when the worker dies.
    kill(shim, Signal::SIGSTOP).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    kill(shim, Signal::SIGKILL).unwrap();
    // The command itself dies by its parent-death signal.
    gone(&pids[..1]).await;
    ProcessExecutor::new(Shim::this_program(&[]), root.path()).sweep().await.unwrap();
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert!(!root.path().join("killed").exists());
}

#[tokio::test]
async fn a_shim_that_does_not_answer_is_ended_with_its_step() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&family())).await;
    let pids = [step.pid().await, step.pid().await, step.pid().await];
    kill(Pid::from_raw(parent_of(pids[0])), Signal::SIGSTOP).unwrap();
    step.lease.send(Deadline::now()).unwrap();
    assert_eq!(step.end().await.1.ended, Ended::Lost);
    gone(&pids).await;
}

#[tokio::test]
async fn a_process_that_nobody_can_find_does_not_hold_up_the_end_of_its_step() {
    let bench = Bench::new();
    // Without its mark, in a session of its own, and with the log still open.
    let script = format!("env -i setsid sh -c 'printf unfinished; echo $$ >&2; exec {FOREVER}' & wait");
    let mut step = bench.start(shell(&script)).await;
    let hidden = step.pid().await;
    let shim = parent_of(parent_of(hidden));
    kill(Pid::from_raw(shim), Signal::SIGKILL).unwrap();
    let (lines, finished) = step.end().await;
    kill(Pid::from_raw(hidden), Signal::SIGKILL).unwrap();
    assert_eq!(finished.ended, Ended::Lost);
    assert_eq!(texts(&lines), ["unfinished"]);
}

#[tokio::test]
async fn a_shim_does_not_end_by_the_signals_that_stop_a_worker() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("echo $$; exec {FOREVER}"))).await;
    let shim = parent_of(step.pid().await);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::from_raw(shim), signal).unwrap();
    }
    assert!(is_alive(shim));
    step.cancel.cancel();
    // The command hears the polite signal although its supervisor does not.
    let finished = step.end().await.1;
    assert_eq!((finished.ended, finished.exit_code), (Ended::Cancelled, None));
}

#[tokio::test]
async fn steps_go_on_without_the_fork_server_and_the_next_has_another() {
    let bench = Bench::new();
    let mut step = bench.start(shell("echo $$; while [ ! -e go ]; do sleep 0.05; done")).await;
    let server = parent_of(parent_of(step.pid().await));
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    gone(&[server]).await;
    let second = bench.start_in(bench.executor.prepare("2", BTreeMap::new()).await.unwrap(), shell("exit 3"));
    assert_eq!(second.end().await.1.ended, Ended::Exited(3));
    fs::write(bench.root.path().join("steps/1/work/go"), "").unwrap();
    assert_eq!(step.end().await.1.ended, Ended::Exited(0));
}

#[tokio::test]
async fn a_fork_server_that_does_not_answer_is_given_up() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("echo $$; exec {FOREVER}"))).await;
    let server = parent_of(parent_of(step.pid().await));
    step.cancel.cancel();
    step.end().await;
    kill(Pid::from_raw(server), Signal::SIGSTOP).unwrap();
    let dir = bench.executor.prepare("2", BTreeMap::new()).await.unwrap();
    let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(600)));
    let (log, _lines) = mpsc::channel(64);
    let controls = Controls::new(deadline, CancellationToken::new(), log);
    let error = bench.executor.run(&dir, &shell("exit 3"), controls).await.unwrap_err().to_string();
    assert!(error.starts_with("the step's supervisor could not be started: "), "{error}");
    gone(&[server]).await;
    let third = bench.start_in(bench.executor.prepare("3", BTreeMap::new()).await.unwrap(), shell("exit 3"));
    assert_eq!(third.end().await.1.ended, Ended::Exited(3));
}

#[tokio::test]
async fn a_fork_server_keeps_no_zombies() {
    let bench = Bench::new();
    let mut step = bench.start(shell(&format!("echo $$; exec {FOREVER}"))).await;
    let shim = parent_of(step.pid().await);
    step.cancel.cancel();
    step.end().await;
    until("the end of the supervisor is taken notice of", || !Path::new(&format!("/proc/{shim}")).exists()).await;
}

#[tokio::test]
async fn much_output_does_not_take_much_memory() {
    let bench = Bench::new();
    let line = "x".repeat(999);
    let mut step = bench.start(shell(&format!("yes {line} | head -c 100000000; printf end"))).await;
    let before = peak_memory_kib();
    let (mut bytes, mut last) = (0, String::new());
    while let Some(line) = step.lines.recv().await {
        bytes += line.text.len() + 1;
        last = line.text;
    }
    assert_eq!((bytes, last.as_str()), (100_000_004, "end"));
    assert_eq!(step.task.await.unwrap().1.ended, Ended::Exited(0));
    let grown = peak_memory_kib() - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn one_endless_line_does_not_take_much_memory() {
    let bench = Bench::new();
    let mut step = bench.start(shell("head -c 10000000 /dev/zero")).await;
    let before = peak_memory_kib();
    while let Some(line) = step.lines.recv().await {
        // Three bytes for each NUL, which is replaced.
        assert!(line.text.len() <= 3 * 16 * 1024);
    }
    assert!(peak_memory_kib() - before < 32 * 1024);
    step.task.await.unwrap();
}

#[tokio::test]
async fn a_step_goes_on_when_nobody_reads_its_log() {
    let bench = Bench::new();
    let mut step = bench.start(shell("yes | head -c 1000000; echo done > done")).await;
    step.lines.close();
    let (dir, finished) = step.task.await.unwrap();
    assert_eq!(finished.ended, Ended::Exited(0));
    assert!(dir.output("done").is_ok());
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_a_step_took_is_told() {
    let script =
        "head -c 60000000 /dev/zero | tail -c 60000000 > /dev/null; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let (_, finished) = Bench::new().run(script).await;
    assert_eq!(finished.ended, Ended::Exited(0));
    assert!(finished.usage.peak_memory_bytes > 50_000_000, "{finished:?}");
    assert!(finished.usage.user > Duration::ZERO && finished.usage.wall > Duration::ZERO);
}

#[tokio::test]
async fn many_steps_run_beside_each_other() {
    let bench = Bench::new();
    let mut steps = Vec::new();
    for number in 0..20 {
        let dir = bench.executor.prepare(&format!("n{number}"), BTreeMap::new()).await.unwrap();
        steps.push(bench.start_in(dir, shell(&format!("echo {number}; exit {number}"))));
    }
    for (number, step) in steps.into_iter().enumerate() {
        let (lines, finished) = step.end().await;
        assert_eq!(texts(&lines), [number.to_string()]);
        assert_eq!(finished.ended, Ended::Exited(i32::try_from(number).unwrap()));
    }
}
