//! Running a command under a shim, from the worker's side.

use crate::{
    Confinement, Controls, Doing as _, Ended, Error, Executor, Finished, Limits, LogLine, Mask, Sandbox, StepDir,
    StepDirs, Task, Usage,
    cgroup::Cgroups,
    clock::Deadline,
    fork_server::{self, ForkServer},
    lines::Lines,
    protocol::{self, Cause, FromShim, Launch, Report, Start, ToShim},
    sample, tree,
};
use futures::future::BoxFuture;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe::Receiver},
    },
    process::{Child, Command},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Where programs are looked for, unless the step says otherwise.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often to look after the shim itself.
const LOOK: Duration = Duration::from_secs(2);

/// How long a supervisor takes to begin, at most.
const READY: Duration = Duration::from_secs(10);

/// How long after its deadline a shim must have ended its command.
const SHIM_LATE: Duration = Duration::from_secs(3);

/// How long an output stays open after the last process of the step has ended, at most.
const DRAIN: Duration = Duration::from_secs(5);

/// How a program becomes a shim; see [`crate::shim`].
#[derive(Debug, Clone)]
pub struct Shim {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// Kept open: the program is this one, also when its file was replaced or removed since.
    _file: Option<Arc<File>>,
}

impl Shim {
    /// This program itself, with these arguments: `&["step-shim"]`. Also when its file was replaced or removed since.
    #[must_use]
    pub fn this_program(args: &[&str]) -> Self {
        Self::at("/proc/self/exe", args)
    }

    /// The program of this name that lies beside this one; this program itself, with these arguments, where there is none.
    #[must_use]
    pub fn beside_this_program(name: &str, args: &[&str]) -> Self {
        let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
        match beside.and_then(|path| File::open(path).ok()) {
            Some(file) => {
                let program = format!("/proc/self/fd/{}", file.as_raw_fd());
                Self { program: program.into(), args: Vec::new(), _file: Some(Arc::new(file)) }
            }
            None => Self::this_program(args),
        }
    }

    /// Runs it as the watch over a container; see [`crate::shim`]. It goes on when this process ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn watch(&self, socket: &Path, container: &str, lease: &Path) -> Result<Child, Error> {
        Command::new(&self.program)
            .arg0("slipway-step")
            .args(&self.args)
            .arg(crate::shim::WATCH)
            .arg(socket)
            .arg(container)
            .arg(lease)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing("the watch over the step's container could not be started")
    }

    /// The program at this path, with these arguments.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self { program: program.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), _file: None }
    }
}

/// Runs steps as processes of this machine.
#[derive(Debug, Clone)]
pub struct ProcessExecutor {
    fork_server: ForkServer,
    dirs: StepDirs,
    cgroups: Arc<OnceLock<Cgroups>>,
    /// What steps were found to get.
    probed: Arc<OnceLock<Sandbox>>,
}

impl ProcessExecutor {
    /// Runs steps in directories below `root`, which several workers of a machine may share.
    #[must_use]
    pub fn new(shim: Shim, root: impl Into<PathBuf>) -> Self {
        Self {
            fork_server: ForkServer::new(shim),
            dirs: StepDirs::at(root),
            cgroups: Arc::default(),
            probed: Arc::default(),
        }
    }

    /// Confines steps so, as far as the kernel can.
    #[must_use]
    pub fn confined(self, confinement: Confinement) -> Self {
        Self { fork_server: self.fork_server.confined(confinement), ..self }
    }

    /// As on a machine that lets its workers make no control groups.
    #[must_use]
    pub fn without_groups(self) -> Self {
        Self { cgroups: Arc::new(OnceLock::from(Cgroups::default())), ..self }
    }

    /// Finds out what keeps steps from the rest of this machine, by running one that does nothing.
    ///
    /// # Errors
    /// When no process can be started.
    pub async fn probe(&self) -> Result<Sandbox, Error> {
        let dir = self.prepare(&format!("probe-{}", std::process::id()), BTreeMap::new()).await?;
        let task = Task {
            argv: vec!["true".to_owned()],
            timeout: Some(Duration::from_secs(10)),
            limits: Limits { memory_bytes: Some(256 << 20), ..Limits::default() },
            ..Task::default()
        };
        let (_lease, deadline) = watch::channel(Deadline::after(Duration::from_secs(10)));
        let (log, _lines) = mpsc::channel(1);
        let finished = self.run(&dir, &task, Controls::new(deadline, CancellationToken::new(), log)).await;
        let _ = tokio::task::spawn_blocking(move || dir.remove()).await;
        let sandbox = finished?.sandbox;
        Ok(self.probed.get_or_init(|| sandbox).clone())
    }

    fn cgroups(&self) -> &Cgroups {
        self.cgroups.get_or_init(Cgroups::find)
    }

    /// Makes the directory of a try. Its name, of letters, digits, `-` and `_`, must not have been used before: an id or
    /// a fence is a good one.
    ///
    /// # Errors
    /// When the directory exists, a path leaves it, or it cannot be written.
    pub async fn prepare(&self, name: &str, files: BTreeMap<String, String>) -> Result<StepDir, Error> {
        self.dirs.create(name, files).await
    }

    /// Removes directories that workers left behind when they died. Returns how many.
    ///
    /// # Errors
    /// When the root cannot be listed.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let cgroups = self.cgroups().clone();
        tokio::task::spawn_blocking(move || cgroups.sweep())
            .await
            .map_err(|join| Error::new("control groups of steps", io::Error::other(join)))?;
        self.dirs.sweep(BTreeSet::new()).await
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
    pub async fn run(&self, dir: &StepDir, step: &Task, controls: Controls) -> Result<Finished, Error> {
        let Controls { deadline, cancel, log, samples, .. } = controls;
        let mask = Arc::new(step.mask());
        let (mut supervisor, stdout, stderr) = self.supervisor().await?;
        let pid = supervisor.pid;
        let start = Start {
            command: Launch {
                argv: step.argv.clone(),
                env: environment(dir, step),
                cwd: dir.work(),
                gpus: step.gpus.nodes(),
                own: dir.path().to_owned(),
                cpus: step.limits.cpus,
            },
            limits: step.limits,
            cgroups: self.cgroups().clone(),
            group_name: dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            timeout_ms: step.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            grace_ms: u64::try_from(step.grace.as_millis()).unwrap_or(u64::MAX),
            deadline: *deadline.borrow(),
        };
        let start = protocol::line(&ToShim::Start(Box::new(start))).doing(fork_server::DOING)?;
        supervisor.write.write_all(&start).await.doing(fork_server::DOING)?;

        let begun = Instant::now();
        let ended = Arc::new(CancellationToken::new());
        let output = forward(stdout, stderr, &log, &mask, &ended);
        let watched = async {
            let supervised = Supervised {
                supervisor,
                deadline,
                cancel,
                dir: dir.path().to_owned(),
                memory_limit: step.limits.memory_bytes,
            };
            let finished = tokio::select! {
                finished = supervised.watch(begun) => finished,
                never = sample::watch(pid, &step.gpus, samples) => match never {},
            };
            ended.cancel();
            finished
        };
        let (finished, ()) = tokio::join!(watched, output);
        Ok(finished)
    }

    /// A supervisor that waits to be told what to run, and what the command will write.
    async fn supervisor(&self) -> Result<(Supervisor, Receiver, Receiver), Error> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().doing(fork_server::DOING)?;
        ours.set_nonblocking(true).doing(fork_server::DOING)?;
        let (read, write) = UnixStream::from_std(ours).doing(fork_server::DOING)?.into_split();
        let (stdout, out) = io::pipe().doing(fork_server::DOING)?;
        let (stderr, err) = io::pipe().doing(fork_server::DOING)?;
        // Nobody else may hold their ends, or they have none.
        self.fork_server.fork([theirs.into(), out.into(), err.into()]).await?;
        let mut messages = BufReader::new(read);
        let said = match timeout(READY, said(&mut messages, &mut Vec::new())).await {
            Ok(said) => said,
            Err(late) => {
                self.fork_server.give_up().await;
                return Err(Error::new(fork_server::DOING, late));
            }
        };
        let pid = match said {
            Some(FromShim::Ready { pid }) => pid,
            Some(FromShim::Failed { message }) => {
                return Err(Error::new(fork_server::DOING, io::Error::other(message)));
            }
            _ => return Err(Error::new(fork_server::DOING, io::Error::other("it is gone"))),
        };
        let receiver = |end: io::PipeReader| Receiver::from_owned_fd(end.into()).doing(fork_server::DOING);
        let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok((Supervisor { pid, process, messages, write }, receiver(stdout)?, receiver(stderr)?))
    }
}

/// What a shim says next. Cancel-safe: `line` keeps what has arrived of it. `None` when it says nothing any more.
async fn said(messages: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Option<FromShim> {
    let read = messages.read_until(b'\n', line).await;
    read.ok().filter(|count| *count > 0).and_then(|_| serde_json::from_slice(line).ok())
}

impl Executor for ProcessExecutor {
    fn about(&self) -> String {
        match self.probed.get() {
            Some(sandbox) => format!("A process of the worker's machine, {sandbox}"),
            None => "A process of the worker's machine".to_owned(),
        }
    }

    fn prepare<'a>(&'a self, name: &'a str, files: BTreeMap<String, String>) -> BoxFuture<'a, Result<StepDir, Error>> {
        Box::pin(ProcessExecutor::prepare(self, name, files))
    }

    fn run<'a>(
        &'a self,
        dir: &'a StepDir,
        task: &'a Task,
        controls: Controls,
    ) -> BoxFuture<'a, Result<Finished, Error>> {
        Box::pin(ProcessExecutor::run(self, dir, task, controls))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Error>> {
        Box::pin(ProcessExecutor::sweep(self))
    }
}

/// All variables of the command.
fn environment(dir: &StepDir, step: &Task) -> BTreeMap<String, String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), text(dir.home())),
        ("TMPDIR".to_owned(), text(dir.tmp())),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        // Python keeps output back when it is no terminal; a log that follows must not wait for it.
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
    ]);
    env.extend(step.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    env.extend(step.gpus.variables().into_iter().map(|(name, value)| (name.to_owned(), value)));
    // By this the processes of the step are found when their shim is gone.
    env.insert(tree::MARK.to_owned(), text(dir.path().to_owned()));
    env
}

/// A shim that one talks to.
struct Supervisor {
    pid: i32,
    /// This process and no other, also when its number has become another's. None when it has ended already.
    process: Option<OwnedFd>,
    messages: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// A shim at work.
struct Supervised {
    supervisor: Supervisor,
    deadline: watch::Receiver<Deadline>,
    cancel: CancellationToken,
    /// The step's directory, by which its processes are known.
    dir: PathBuf,
    memory_limit: Option<u64>,
}

impl Supervised {
    async fn watch(mut self, begun: Instant) -> Finished {
        let report = self.until_report().await;
        // It has said its last word, or is dead or to die; either way it is gone in a moment, and its socket ends.
        let _ = self.supervisor.messages.read_to_end(&mut Vec::new()).await;
        let finished = |ended, report: Report| Finished {
            ended,
            exit_code: report.exit_code,
            left_behind: report.left_behind,
            usage: Usage {
                peak_memory_bytes: report.peak_memory_bytes,
                user: Duration::from_millis(report.user_ms),
                system: Duration::from_millis(report.system_ms),
                wall: begun.elapsed(),
            },
            sandbox: report.sandbox,
            image: None,
        };
        let limit = self.memory_limit;
        let out_of_memory = |report: &Report| Ended::OutOfMemory { peak: report.peak_memory_bytes, limit };
        match report {
            Some(FromShim::Ended(report)) => {
                let ended = match (report.cause, report.exit_code) {
                    (Some(Cause::Cancelled), _) => Ended::Cancelled,
                    (Some(Cause::TimedOut), _) => Ended::TimedOut,
                    (Some(Cause::Fenced), _) => Ended::Fenced,
                    (Some(Cause::OutOfMemory), _) => out_of_memory(&report),
                    // It went on without what was killed, and says itself how that ended.
                    (None, Some(0)) => Ended::Exited(0),
                    (None, _) if report.out_of_memory => out_of_memory(&report),
                    (None, Some(code)) => Ended::Exited(code),
                    (None, None) => Ended::Killed(report.signal),
                };
                finished(ended, report)
            }
            Some(FromShim::NotStarted { message, sandbox }) => {
                finished(Ended::NotStarted(message), Report { sandbox, ..Report::default() })
            }
            Some(FromShim::Failed { .. } | FromShim::Ready { .. }) | None => finished(Ended::Lost, Report::default()),
        }
    }

    /// Passes on what the worker wants until the shim says how it ended. `None` when the shim is dead.
    async fn until_report(&mut self) -> Option<FromShim> {
        let Supervisor { messages, write, .. } = &mut self.supervisor;
        let mut line = Vec::new();
        let (mut cancelled, mut renewable) = (false, true);
        loop {
            let send = tokio::select! {
                said = said(messages, &mut line) => {
                    if said.is_some() {
                        return said;
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
        if let Some(supervisor) = &self.supervisor.process {
            let _ = pidfd_send_signal(supervisor, Signal::KILL);
        }
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || tree::kill_marked(&dir)).await;
    }
}

/// Sends the lines of both streams until both end. After the end of the step they end by themselves, unless a process
/// that does not die holds them.
async fn forward(
    stdout: Receiver,
    stderr: Receiver,
    log: &mpsc::Sender<LogLine>,
    mask: &Arc<Mask>,
    ended: &CancellationToken,
) {
    let mut out = Stream::new(stdout, false, mask);
    let mut err = Stream::new(stderr, true, mask);
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

/// One output of the command.
struct Stream {
    source: Option<Receiver>,
    is_err: bool,
    lines: Lines,
    buffer: Vec<u8>,
    read: usize,
}

impl Stream {
    fn new(source: Receiver, is_err: bool, mask: &Arc<Mask>) -> Self {
        Self { source: Some(source), is_err, lines: Lines::new(Arc::clone(mask)), buffer: vec![0; 16 * 1024], read: 0 }
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
