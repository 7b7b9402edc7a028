//! A supervisor, from the worker's side: having one, telling it what to run, and what it says of the end.

use crate::{
    Doing as _, Ended, Error, Finished, Usage,
    clock::Deadline,
    fork_server::{DOING, ForkServer, socket_pair},
    protocol::{self, Cause, FromShim, Report, Start, ToShim},
    tree,
};
use nix::sys::signal;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe::Receiver},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often to look after the supervisor itself.
const LOOK: Duration = Duration::from_secs(2);

/// How long one takes to begin, at most.
const READY: Duration = Duration::from_secs(10);

/// How long after its deadline one must have ended its command.
const LATE: Duration = Duration::from_secs(3);

/// How long one takes to be gone after its last word, at most.
const GOING: Duration = Duration::from_secs(5);

/// A supervisor.
pub(crate) struct Supervisor {
    pub(crate) pid: i32,
    process: Process,
    messages: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// How it can be killed.
enum Process {
    /// This process and no other, also when its number has become another's.
    Held(OwnedFd),
    /// The kernel, or what keeps this process in, knows of no such thing.
    Numbered(i32),
    Gone,
}

impl Process {
    fn of(number: i32) -> Self {
        let Some(pid) = Pid::from_raw(number) else { return Self::Gone };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(held) => Self::Held(held),
            Err(rustix::io::Errno::SRCH) => Self::Gone,
            Err(_) => Self::Numbered(number),
        }
    }

    /// It may be gone already.
    fn kill(&self) {
        match self {
            Self::Held(held) => {
                let _ = pidfd_send_signal(held, Signal::KILL);
            }
            Self::Numbered(number) => {
                let _ = signal::kill(nix::unistd::Pid::from_raw(*number), signal::Signal::SIGKILL);
            }
            Self::Gone => {}
        }
    }
}

impl Supervisor {
    /// One that waits to be told what to run, and what its command will write to both outputs.
    ///
    /// # Errors
    /// When there is none within ten seconds.
    pub(crate) async fn fork(server: &ForkServer) -> Result<(Self, Receiver, Receiver), Error> {
        if let Some(forked) = Self::try_fork(server).await? {
            return Ok(forked);
        }
        // It went with a server that was given up, and has begun nothing.
        let gone = || Error::new(DOING, io::Error::other("it was gone before it said a word"));
        Self::try_fork(server).await?.ok_or_else(gone)
    }

    async fn try_fork(server: &ForkServer) -> Result<Option<(Self, Receiver, Receiver)>, Error> {
        let (ours, theirs) = socket_pair()?;
        let (read, write) = ours.into_split();
        let (stdout, out) = io::pipe().doing(DOING)?;
        let (stderr, err) = io::pipe().doing(DOING)?;
        // Nobody else may hold their ends, or they have none.
        let asked = server.fork([theirs, out.into(), err.into()]).await?;
        let mut messages = BufReader::new(read);
        let said = timeout(READY, said(&mut messages, &mut Vec::new())).await.inspect_err(|_| server.give_up(&asked));
        let pid = match said.doing(DOING)? {
            Some(FromShim::Ready { pid }) => pid,
            Some(FromShim::Failed { message }) => return Err(Error::new(DOING, io::Error::other(message))),
            // Mostly it went with its server, whose end whoever asks next finds out.
            _ => return Ok(None),
        };
        let receiver = |end: io::PipeReader| Receiver::from_owned_fd(end.into()).doing(DOING);
        let supervisor = Self { pid, process: Process::of(pid), messages, write };
        Ok(Some((supervisor, receiver(stdout)?, receiver(stderr)?)))
    }

    /// Tells it what to run.
    ///
    /// # Errors
    /// When it does not hear it.
    pub(crate) async fn start(&mut self, start: Start) -> Result<(), Error> {
        let start = protocol::line(&ToShim::Start(Box::new(start))).doing(DOING)?;
        self.write.write_all(&start).await.doing(DOING)
    }
}

/// A shim at work.
pub(crate) struct Supervised {
    pub(crate) supervisor: Supervisor,
    pub(crate) deadline: watch::Receiver<Deadline>,
    pub(crate) cancel: CancellationToken,
    /// The step's directory, by which its processes are known.
    pub(crate) dir: PathBuf,
    pub(crate) memory_limit: Option<u64>,
}

impl Supervised {
    /// Follows it to its end.
    pub(crate) async fn watch(mut self, begun: Instant) -> Finished {
        let report = self.until_report().await;
        // It has said its last word, or is dead or to die; either way it is gone in a moment, and its socket ends.
        let _ = timeout(GOING, self.supervisor.messages.read_to_end(&mut Vec::new())).await;
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
                    if deadline.plus(LATE).has_passed() {
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
        self.supervisor.process.kill();
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || tree::kill_marked(&dir)).await;
    }
}

/// What a shim says next. Cancel-safe: `line` keeps what has arrived of it. `None` when it says nothing any more.
async fn said(messages: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Option<FromShim> {
    let read = messages.read_until(b'\n', line).await;
    read.ok().filter(|count| *count > 0).and_then(|_| serde_json::from_slice(line).ok())
}
