//! The watch over one command.

use super::launch;
use crate::{
    cgroup::Group,
    clock::Deadline,
    protocol::{self, Cause, FromLaunch, FromShim, Report, Start, ToShim},
    reach::Reach,
    sample,
    sandbox::{GroupKind, Sandbox},
    tree,
};
use fork::Fork;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        resource::{UsageWho, getrusage},
        signal::{SigSet, Signal, killpg},
        signalfd::{SfdFlags, SignalFd},
        time::TimeValLike as _,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid, setsid},
};
use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::Duration,
};

/// How long to wait at most: `poll` stands still while the machine sleeps, deadlines do not.
const LOOK: Duration = Duration::from_secs(1);

/// How often to look at the memory of a command that nothing else limits.
const WATCH: Duration = Duration::from_millis(200);

/// How long the last word of a command that left nothing behind takes.
const AT_ONCE: Duration = Duration::from_millis(5);

/// Between two rounds of killing.
const ROUND: Duration = Duration::from_millis(20);

/// When to give up on a process that does not die of SIGKILL: it hangs in the kernel, and nobody can end it.
const GIVE_UP: Duration = Duration::from_secs(10);

/// What the shim waits for.
enum Event {
    Message(ToShim),
    /// The socket has ended: the worker is dead, or has let go.
    WorkerGone,
    /// The command has ended.
    Ended {
        exit_code: Option<i32>,
        signal: Option<i32>,
    },
    /// Nothing that it started is left.
    TreeGone,
}

/// Runs in a process that has one thread and was just forked; in the command's as well, which it returns in when that
/// cannot become the command.
pub(super) fn run(reach: Option<Reach>) -> io::Result<()> {
    // Its own, so that it is stopped and killed apart from the fork server.
    let _ = setsid();
    prctl::set_child_subreaper(true)?;
    // Heard by a file descriptor. From here on, so that none is missed.
    let ends = SigSet::from(Signal::SIGCHLD);
    ends.thread_block()?;

    let own = getpid();
    let mut events = Events {
        worker: UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?),
        is_worker_gone: false,
        read: Vec::new(),
        ends: SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
        command: None,
        is_tree_gone: false,
        next: VecDeque::new(),
    };
    events.say(&FromShim::Ready { pid: own.as_raw() })?;
    let Some(Event::Message(ToShim::Start(start))) = events.wait(None) else {
        return Err(io::Error::other("the worker went before it said what to run"));
    };
    let Start { command, timeout_ms, grace_ms, deadline, limits, cgroups, group_name } = *start;
    if deadline.has_passed() {
        // It took so long until this process was there.
        return events.say(&FromShim::Ended(Report { cause: Some(Cause::Fenced), ..Report::default() }));
    }
    let group = cgroups.make(&format!("{group_name}-{own}"), &limits);
    let (mut launched, theirs) = UnixStream::pair()?;
    let pid = match fork::fork()? {
        Fork::Child => {
            drop((launched, events));
            return launch::run(theirs, own, &command, &group, reach.as_ref());
        }
        Fork::Parent(pid) => Pid::from_raw(pid),
    };
    drop((theirs, reach));
    events.command = Some(pid);
    // From here on nothing can fail between the command's beginning and the watch over it.
    launched.write_all(launch::GO)?;
    let Launched { mut sandbox, joined, refused } = launched_as(launched);
    let kind = group.kind().filter(|_| joined);
    let watched = limits.memory_bytes.filter(|_| kind.is_none());
    sandbox.group = kind.or(watched.map(|_| GroupKind::Watched));
    // Memory may have run out already; then it was killed, and that is told as any other end.
    if let Some(message) = refused {
        group.remove();
        return events.say(&FromShim::NotStarted { message, sandbox });
    }
    // From here on no error may end this process while the command runs.
    let mut watch = Watch {
        events,
        pid,
        deadline,
        timeout: timeout_ms.map(|ms| Deadline::after(Duration::from_millis(ms))),
        grace: Duration::from_millis(grace_ms),
        kill_at: None,
        has_ended: false,
        group,
        watched,
        seen: 0,
        report: Report { sandbox, ..Report::default() },
    };
    let Some(report) = watch.until_the_end() else { return Ok(()) };
    watch.events.say(&FromShim::Ended(report))
}

/// How the process became the command, or did not.
#[derive(Default)]
struct Launched {
    sandbox: Sandbox,
    joined: bool,
    /// The sentence of a command that cannot begin.
    refused: Option<String>,
}

fn launched_as(mut launched: UnixStream) -> Launched {
    let mut words = Vec::new();
    // An error here is the sudden end of the other process, which is reaped like any other end.
    let _ = launched.read_to_end(&mut words);
    let mut found = Launched::default();
    for word in words.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(word) {
            Ok(FromLaunch::Confined { sandbox, joined }) => (found.sandbox, found.joined) = (sandbox, joined),
            Ok(FromLaunch::Refused { message }) => found.refused = Some(message),
            Err(_) => {}
        }
    }
    found
}

/// What comes from the worker and from the kernel, in the order in which it came. One thread waits for both.
struct Events {
    worker: UnixStream,
    is_worker_gone: bool,
    /// What the worker has said since its last whole line.
    read: Vec<u8>,
    /// Readable when a process has ended.
    ends: SignalFd,
    /// None before it is there.
    command: Option<Pid>,
    is_tree_gone: bool,
    next: VecDeque<Event>,
}

impl Events {
    fn say(&mut self, message: &FromShim) -> io::Result<()> {
        self.worker.write_all(&protocol::line(message)?)
    }

    /// The next, if it comes within this time.
    fn wait(&mut self, time: Option<Duration>) -> Option<Event> {
        let until = time.map(Deadline::after);
        while self.next.is_empty() {
            // Whole milliseconds, not less: else it would not sleep at all in the last of them.
            let left = |until: Deadline| PollTimeout::try_from(until.remaining() + Duration::from_micros(999));
            let left = until.map_or(PollTimeout::NONE, |until| left(until).unwrap_or(PollTimeout::MAX));
            let mut ready = vec![PollFd::new(self.ends.as_fd(), PollFlags::POLLIN)];
            if !self.is_worker_gone {
                ready.push(PollFd::new(self.worker.as_fd(), PollFlags::POLLIN));
            }
            let _ = poll(&mut ready, left);
            let is_ready = |at: usize| ready.get(at).and_then(PollFd::any).unwrap_or(false);
            let has_spoken = is_ready(1);
            // Whether told of an end or not: nothing may hang on one signal.
            if self.command.is_some() {
                self.reap();
            }
            if has_spoken {
                self.hear();
            }
            if until.is_some_and(Deadline::has_passed) {
                break;
            }
        }
        self.next.pop_front()
    }

    /// Takes notice of every process that has ended. Being the subreaper, this process gets all of them; when it has no
    /// children any more, nothing that the command started is left.
    fn reap(&mut self) {
        while let Ok(Some(_)) = self.ends.read_signal() {}
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if Some(pid) == self.command => {
                    self.next.push_back(Event::Ended { exit_code: Some(code), signal: None });
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if Some(pid) == self.command => {
                    self.next.push_back(Event::Ended { exit_code: None, signal: Some(signal as i32) });
                }
                Ok(WaitStatus::StillAlive) => return,
                Err(Errno::ECHILD) => {
                    if !std::mem::replace(&mut self.is_tree_gone, true) {
                        self.next.push_back(Event::TreeGone);
                    }
                    return;
                }
                _ => {}
            }
        }
    }

    /// Reads what the worker has said.
    fn hear(&mut self) {
        let mut buffer = [0; 8 << 10];
        let count = match self.worker.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            read => read.unwrap_or(0),
        };
        self.read.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let mut is_clear = count > 0;
        while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.read.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(message) => self.next.push_back(Event::Message(message)),
                Err(_) => is_clear = false,
            }
        }
        if !is_clear {
            self.is_worker_gone = true;
            self.next.push_back(Event::WorkerGone);
        }
    }
}

struct Watch {
    events: Events,
    pid: Pid,
    deadline: Deadline,
    timeout: Option<Deadline>,
    grace: Duration,
    /// Set by the polite signal.
    kill_at: Option<Deadline>,
    has_ended: bool,
    group: Group,
    /// The memory that the command may have, when no group counts it.
    watched: Option<u64>,
    /// The most memory that was seen.
    seen: u64,
    report: Report,
}

/// What to do next.
enum Next {
    Wait,
    /// End all that is left, now.
    Kill,
    /// Nothing is left.
    Done,
    /// Nobody is there to report to: end all that is left, and go.
    Abandon,
}

impl Watch {
    /// Returns when nothing of the command is left; without a report when nobody is there to read it.
    fn until_the_end(&mut self) -> Option<Report> {
        let abandoned = loop {
            match self.next() {
                Next::Wait => {}
                Next::Done => break false,
                Next::Kill => {
                    self.kill();
                    break false;
                }
                Next::Abandon => {
                    self.kill();
                    break true;
                }
            }
        };
        let mut report = std::mem::take(&mut self.report);
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) {
            let positive = |number: i64| u64::try_from(number).unwrap_or_default();
            report.peak_memory_bytes = (positive(usage.max_rss()) * 1024).max(self.seen);
            report.user_ms = positive(usage.user_time().num_milliseconds());
            report.system_ms = positive(usage.system_time().num_milliseconds());
        }
        report.peak_memory_bytes = self.group.peak().unwrap_or(report.peak_memory_bytes);
        report.out_of_memory = self.group.out_of_memory() > 0;
        self.group.remove();
        (!abandoned).then_some(report)
    }

    fn next(&mut self) -> Next {
        let wakes = [Some(self.deadline), self.kill_at.or(self.timeout)];
        let wait = wakes.into_iter().flatten().map(Deadline::remaining).min().unwrap_or(LOOK).min(LOOK);
        let wait = if self.watched.is_some() { wait.min(WATCH) } else { wait };
        match self.events.wait(Some(wait)) {
            Some(Event::Message(ToShim::Deadline(deadline))) => self.deadline = deadline,
            Some(Event::Message(ToShim::Cancel)) => self.end_politely(Cause::Cancelled),
            Some(Event::Message(ToShim::Start(_))) | None => {}
            Some(Event::WorkerGone) => return Next::Abandon,
            Some(Event::Ended { exit_code, signal }) => {
                self.ended(exit_code, signal);
                // What it left is given the time that it was given itself.
                if self.kill_at.is_none() {
                    return Next::Kill;
                }
            }
            Some(Event::TreeGone) => return Next::Done,
        }
        if self.deadline.has_passed() {
            self.report.cause.get_or_insert(Cause::Fenced);
            return Next::Kill;
        }
        if self.kill_at.is_some_and(Deadline::has_passed) {
            return Next::Kill;
        }
        if let Some(limit) = self.watched.filter(|_| !self.has_ended) {
            self.seen = self.seen.max(sample::memory_below(getpid().as_raw()));
            if self.seen > limit {
                self.report.cause = Some(Cause::OutOfMemory);
                return Next::Kill;
            }
        }
        if self.timeout.is_some_and(Deadline::has_passed) {
            self.end_politely(Cause::TimedOut);
        }
        Next::Wait
    }

    fn ended(&mut self, exit_code: Option<i32>, signal: Option<i32>) {
        self.has_ended = true;
        self.report.exit_code = exit_code;
        self.report.signal = signal;
    }

    fn end_politely(&mut self, cause: Cause) {
        if self.kill_at.is_some() || self.has_ended {
            return;
        }
        self.report.cause = Some(cause);
        self.kill_at = Some(Deadline::after(self.grace));
        let _ = killpg(self.pid, Signal::SIGTERM);
        // A stopped process hears nothing.
        let _ = killpg(self.pid, Signal::SIGCONT);
    }

    /// Kills until nothing is left. More than one round, because a process may have started another between the look
    /// and the kill.
    fn kill(&mut self) {
        let give_up = Deadline::after(GIVE_UP);
        // Mostly the command was all there was, and its end says so at once.
        if self.has_ended && self.is_gone(AT_ONCE) {
            return;
        }
        let count_left_behind = self.has_ended;
        let mut rounds = 0;
        while !give_up.has_passed() {
            self.group.kill();
            if !self.has_ended {
                // All at one moment, before any of them can start another.
                let _ = killpg(self.pid, Signal::SIGKILL);
            }
            let killed = tree::kill_below(getpid().as_raw());
            if count_left_behind && rounds == 0 {
                self.report.left_behind = killed;
            }
            rounds += 1;
            if self.is_gone(ROUND) {
                return;
            }
        }
    }

    /// Waits so long for the end of the last process.
    fn is_gone(&mut self, wait: Duration) -> bool {
        let until = Deadline::after(wait);
        loop {
            match self.events.wait(Some(until.remaining())) {
                Some(Event::TreeGone) => return true,
                Some(Event::Ended { exit_code, signal }) => self.ended(exit_code, signal),
                Some(Event::Message(_) | Event::WorkerGone) => {}
                None => return false,
            }
        }
    }
}
