//! Running a command under a shim, from the worker's side.

use crate::{
    Doing as _, Error,
    clock::Deadline,
    dir::{self, StepDir},
    lines::Lines,
    protocol::{self, Cause, FromShim, Launch, Report, Start, ToShim},
    tree,
};
use domain::pipeline_run::AttemptOutcome;
use nix::sys::signal::Signal;
use std::{
    collections::BTreeMap,
    fmt, io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Where programs are looked for, unless the step says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often to look after the shim itself.
const LOOK: Duration = Duration::from_secs(2);

/// How long after its deadline a shim must have ended its command.
const SHIM_LATE: Duration = Duration::from_secs(3);

/// How long an output stays open after the last process of the step has ended, at most.
const DRAIN: Duration = Duration::from_secs(5);

/// How a program becomes a shim; see [`crate::shim`].
#[derive(Debug, Clone)]
pub struct Shim {
    program: PathBuf,
    args: Vec<String>,
}

impl Shim {
    /// This program itself, with these arguments: `&["step-shim"]`. Also when its file was replaced or removed since.
    #[must_use]
    pub fn this_program(args: &[&str]) -> Self {
        Self::at("/proc/self/exe", args)
    }

    /// The program at this path, with these arguments.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self { program: program.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }
}

/// Runs steps as processes of this machine.
#[derive(Debug, Clone)]
pub struct ProcessExecutor {
    shim: Shim,
    root: PathBuf,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct StepProcess {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables. Besides them the command gets PATH, HOME, TMPDIR, LANG, PYTHONUNBUFFERED and SLIPWAY_STEP_DIR, and
    /// nothing of the worker's own environment. Those given here go first, but for the last.
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
}

/// How the worker holds on to what it runs.
#[derive(Debug)]
pub struct Controls {
    /// The end of the lease. It may be moved on, and back: a lost lease is a deadline of now. When the sender is dropped,
    /// the last one stays.
    pub deadline: watch::Receiver<Deadline>,
    /// Ends the step: SIGTERM, then SIGKILL after the grace.
    pub cancel: CancellationToken,
    /// Takes the log. While it is full, the step waits when it writes. When the receiver is dropped, lines are lost and
    /// the step goes on.
    pub log: mpsc::Sender<LogLine>,
}

/// A line that a step wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whether it was written to standard error.
    pub is_err: bool,
    /// The line without its end: at most 16 KiB, longer ones are split. It never contains NUL.
    pub text: String,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that somebody else sent; `None` when it has no name.
    Killed(Option<i32>),
    /// It never began. The sentence says why, to its author.
    NotStarted(String),
    /// Its timeout passed.
    TimedOut,
    /// Its worker cancelled it.
    Cancelled,
    /// The deadline of its lease passed.
    Fenced,
    /// Its shim died. All that is known to be left was killed.
    Lost,
}

impl Ended {
    /// What it means for the try, as far as the process can tell: whether outputs are there, the caller looks.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Exited(0) => AttemptOutcome::Succeeded,
            Self::Exited(_) | Self::Killed(_) | Self::NotStarted(_) => AttemptOutcome::Failed,
            Self::TimedOut => AttemptOutcome::TimedOut,
            Self::Cancelled => AttemptOutcome::Cancelled,
            Self::Fenced | Self::Lost => AttemptOutcome::Lost,
        }
    }
}

/// For people, as a reason beside the state.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Killed(signal) => {
                let name = signal.and_then(|signal| Signal::try_from(signal).ok()).map_or("a signal", Signal::as_str);
                write!(f, "killed by {name}")?;
                if name == "SIGKILL" { f.write_str(", perhaps because memory ran out") } else { Ok(()) }
            }
            Self::NotStarted(message) => f.write_str(message),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Fenced => f.write_str("its worker could not renew its lease in time"),
            Self::Lost => f.write_str("its supervising process was killed"),
        }
    }
}

/// What a step took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The greatest resident memory of any one of its processes, in bytes. A few megabytes at least: the shim's own
    /// memory counts until the command begins.
    pub max_rss_bytes: u64,
    /// Processor time in user mode, of all its processes.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// From the start of the command to the end of its last process.
    pub wall: Duration,
}

/// The end of a step. Nothing of it runs any more, and all lines have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The status with which the command itself ended, when it did; also of one that was cancelled or timed out.
    pub exit_code: Option<i32>,
    /// Processes that the command left running when it ended, and that were killed.
    pub left_behind: u32,
    /// What it took.
    pub usage: Usage,
}

impl ProcessExecutor {
    /// Runs steps in directories below `root`, which several workers of a machine may share.
    #[must_use]
    pub fn new(shim: Shim, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // Shims begin elsewhere.
        Self { shim, root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// Makes the directory of a try. Its name, of letters, digits, `-` and `_`, must not have been used before: an id or
    /// a fence is a good one.
    ///
    /// # Errors
    /// When the directory exists, a path leaves it, or it cannot be written.
    pub async fn prepare(&self, name: &str, files: BTreeMap<String, String>) -> Result<StepDir, Error> {
        let (root, name) = (self.root.clone(), name.to_owned());
        let create = move || StepDir::create(&root, &name, &files);
        tokio::task::spawn_blocking(create)
            .await
            .map_err(|join| Error::new("the step's directory", io::Error::other(join)))?
    }

    /// Removes directories that workers left behind when they died. Returns how many.
    ///
    /// # Errors
    /// When the root cannot be listed.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let root = self.root.clone();
        let sweep = move || dir::sweep(&root);
        tokio::task::spawn_blocking(sweep)
            .await
            .map_err(|join| Error::new("directories of steps", io::Error::other(join)))?
    }

    /// Runs the command to its end, and the end of every process that it started. Dropping the future ends them as well,
    /// in the background.
    ///
    /// Lines of one stream arrive in the order in which they were written. Between standard output and standard error the
    /// order is that of arrival: what is written to both within the same moment may change places.
    ///
    /// # Errors
    /// When no process could be started on this machine. A command that cannot be started is no error but
    /// [`Ended::NotStarted`].
    pub async fn run(&self, dir: &StepDir, step: &StepProcess, controls: Controls) -> Result<Finished, Error> {
        let Controls { deadline, cancel, log } = controls;
        let doing = "the step's supervisor could not be started";
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().doing(doing)?;
        ours.set_nonblocking(true).doing(doing)?;
        let mut socket = UnixStream::from_std(ours).doing(doing)?;
        let mut child = Command::new(&self.shim.program)
            .arg0("slipway-step")
            .args(&self.shim.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .doing(doing)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let start = Start {
            command: Launch { argv: step.argv.clone(), env: environment(dir, &step.env), cwd: dir.work(), parent: 0 },
            shim_args: self.shim.args.clone(),
            timeout_ms: step.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            grace_ms: u64::try_from(step.grace.as_millis()).unwrap_or(u64::MAX),
            deadline: *deadline.borrow(),
        };
        socket.write_all(&protocol::line(&ToShim::Start(start)).doing(doing)?).await.doing(doing)?;

        let begun = Instant::now();
        let ended = Arc::new(CancellationToken::new());
        let output = forward(stdout, stderr, &log, &ended);
        let watched = async {
            let supervised = Supervised { child, socket, deadline, cancel, dir: dir.path().to_owned() };
            let finished = supervised.watch(begun).await;
            ended.cancel();
            finished
        };
        let (finished, ()) = tokio::join!(watched, output);
        Ok(finished)
    }
}

/// All variables of the command.
fn environment(dir: &StepDir, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), text(dir.home())),
        ("TMPDIR".to_owned(), text(dir.tmp())),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        // Python keeps output back when it is no terminal; a log that follows must not wait for it.
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
    ]);
    env.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    // By this the processes of the step are found when their shim is gone.
    env.insert(tree::MARK.to_owned(), text(dir.path().to_owned()));
    env
}

/// A shim at work.
struct Supervised {
    child: Child,
    socket: UnixStream,
    deadline: watch::Receiver<Deadline>,
    cancel: CancellationToken,
    /// The step's directory, by which its processes are known.
    dir: PathBuf,
}

impl Supervised {
    async fn watch(mut self, begun: Instant) -> Finished {
        let report = self.until_report().await;
        // It has said its last word, or is dead or to die; either way it is gone in a moment.
        let _ = self.child.wait().await;
        let finished = |ended, report: Report| Finished {
            ended,
            exit_code: report.exit_code,
            left_behind: report.left_behind,
            usage: Usage {
                max_rss_bytes: report.max_rss_bytes,
                user: Duration::from_millis(report.user_ms),
                system: Duration::from_millis(report.system_ms),
                wall: begun.elapsed(),
            },
        };
        match report {
            Some(FromShim::Ended(report)) => {
                let ended = match (report.cause, report.exit_code) {
                    (Some(Cause::Cancelled), _) => Ended::Cancelled,
                    (Some(Cause::TimedOut), _) => Ended::TimedOut,
                    (Some(Cause::Fenced), _) => Ended::Fenced,
                    (None, Some(code)) => Ended::Exited(code),
                    (None, None) => Ended::Killed(report.signal),
                };
                finished(ended, report)
            }
            Some(FromShim::NotStarted { message }) => finished(Ended::NotStarted(message), Report::default()),
            None => finished(Ended::Lost, Report::default()),
        }
    }

    /// Passes on what the worker wants until the shim says how it ended. `None` when the shim is dead.
    async fn until_report(&mut self) -> Option<FromShim> {
        let (read, mut write) = self.socket.split();
        let mut messages = BufReader::new(read);
        let mut line = Vec::new();
        let (mut cancelled, mut renewable) = (false, true);
        loop {
            let send = tokio::select! {
                // `read_until` keeps what it has read in `line` when another branch is first.
                read = messages.read_until(b'\n', &mut line) => {
                    let last = read.ok().filter(|count| *count > 0).and_then(|_| serde_json::from_slice(&line).ok());
                    if last.is_some() {
                        return last;
                    }
                    break;
                }
                () = self.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    Some(ToShim::Cancel)
                }
                changed = self.deadline.changed(), if renewable => {
                    renewable = changed.is_ok();
                    changed.ok().map(|()| ToShim::Deadline(*self.deadline.borrow_and_update()))
                }
                () = sleep(LOOK) => {
                    let deadline = *self.deadline.borrow();
                    if deadline.plus(SHIM_LATE).has_passed() {
                        break;
                    }
                    None
                }
            };
            // When it cannot be told, it is dead; the end of the socket comes next.
            if let Some(line) = send.and_then(|message| protocol::line(&message).ok()) {
                let _ = write.write_all(&line).await;
            }
        }
        self.kill().await;
        None
    }

    /// Ends what a shim that is dead, or does not answer, leaves.
    async fn kill(&mut self) {
        tracing::warn!(dir = %self.dir.display(), "the supervisor of a step is gone; killing what is left of the step");
        // It may be gone already.
        let _ = self.child.start_kill();
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || tree::kill_marked(&dir)).await;
    }
}

/// Sends the lines of both streams until both end. After the end of the step they end by themselves, unless a process
/// that does not die holds them.
async fn forward(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    log: &mpsc::Sender<LogLine>,
    ended: &CancellationToken,
) {
    let mut out = Stream::new(stdout.map(|source| Box::new(source) as Source), false);
    let mut err = Stream::new(stderr.map(|source| Box::new(source) as Source), true);
    // The one that was silent last goes first, so that neither is drowned by the other.
    let mut out_first = true;
    while out.is_open() || err.is_open() {
        let late = async {
            ended.cancelled().await;
            sleep(DRAIN).await;
        };
        let (first, second) = if out_first { (&mut out, &mut err) } else { (&mut err, &mut out) };
        let stream = tokio::select! {
            biased;
            () = first.fill(), if first.is_open() => Some(first),
            () = second.fill(), if second.is_open() => Some(second),
            () = late => None,
        };
        if let Some(stream) = stream {
            out_first = stream.is_err;
            stream.send(log).await;
        } else {
            for stream in [&mut out, &mut err] {
                stream.source = None;
                stream.send(log).await;
            }
        }
    }
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// One output of the command.
struct Stream {
    source: Option<Source>,
    is_err: bool,
    lines: Lines,
    buffer: Vec<u8>,
    read: usize,
}

impl Stream {
    fn new(source: Option<Source>, is_err: bool) -> Self {
        Self { source, is_err, lines: Lines::default(), buffer: vec![0; 16 * 1024], read: 0 }
    }

    fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// Reads what is there. Closes at the end.
    async fn fill(&mut self) {
        let Some(source) = &mut self.source else { return };
        self.read = source.read(&mut self.buffer).await.unwrap_or(0);
        if self.read == 0 {
            self.source = None;
        }
    }

    /// Sends the lines that were ended by what was read.
    async fn send(&mut self, log: &mpsc::Sender<LogLine>) {
        let mut lines = Vec::new();
        self.lines.push(&self.buffer[..std::mem::take(&mut self.read)], &mut lines);
        if !self.is_open() {
            self.lines.finish(&mut lines);
        }
        let at_ms = chrono::Utc::now().timestamp_millis();
        for text in lines {
            // Nobody reads any more: the step goes on without a log.
            let _ = log.send(LogLine { at_ms, is_err: self.is_err, text }).await;
        }
    }
}
