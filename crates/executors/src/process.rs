//! Running a command under a shim, from the worker's side.

use crate::{
    Confinement, Controls, Error, Executor, Finished, Limits, LogLine, Mask, Sandbox, Shim, StepDir, StepDirs, Task,
    cgroup::Cgroups,
    clock::Deadline,
    fork_server::ForkServer,
    lines::Lines,
    protocol::{Launch, Start},
    sample,
    supervised::{Supervised, Supervisor},
    tree,
};
use futures::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::Receiver,
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Where programs are looked for, unless the step says otherwise.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long an output stays open after the last process of the step has ended, at most.
const DRAIN: Duration = Duration::from_secs(5);

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
        // Before there is another process in this one's group.
        let cgroups = self.cgroups().clone();
        let (mut supervisor, stdout, stderr) = Supervisor::fork(&self.fork_server).await?;
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
            cgroups,
            group_name: dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            timeout_ms: step.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            grace_ms: u64::try_from(step.grace.as_millis()).unwrap_or(u64::MAX),
            deadline: *deadline.borrow(),
        };
        supervisor.start(start).await?;

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
