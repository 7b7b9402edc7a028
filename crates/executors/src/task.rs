//! What executors run, how they are told to end it, and how it ended: the same words for processes and containers.

use crate::{Deadline, Error, Gpus, Mask, Sample, Sandbox, StepDir};
use domain::pipeline_run::AttemptOutcome;
use futures::future::BoxFuture;
use nix::sys::signal::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Where steps run.
///
/// A try has a name that no other ever has, an id. Its directory is made by [`Executor::prepare`], its command runs by
/// [`Executor::run`], and whoever called takes the outputs from the directory and removes it.
///
/// What runs under an executor that keeps running when its worker dies (a container) is *left*: [`Executor::left`] names
/// such tries, and each is either adopted ([`Executor::adopt`], then [`Executor::run`] as if for the first time) by the
/// one who holds the step now, or discarded. A process never outlives its worker, so none is left.
pub trait Executor: fmt::Debug + Send + Sync {
    /// What a step gets here, in a sentence for its log.
    fn about(&self) -> String;

    /// Makes the directory of a try, with these files in it.
    ///
    /// # Errors
    /// When the directory exists, a path leaves it, or it cannot be written.
    fn prepare<'a>(&'a self, name: &'a str, files: BTreeMap<String, String>) -> BoxFuture<'a, Result<StepDir, Error>>;

    /// Where the command sees the directory in which it begins.
    fn seen(&self, dir: &StepDir) -> PathBuf {
        dir.work()
    }

    /// Runs the command to its end, and the end of all that it started. When it runs already, goes on with it.
    ///
    /// # Errors
    /// When it cannot be run here, which is no fault of the step. A command that cannot be started is no error but
    /// [`Ended::NotStarted`].
    fn run<'a>(
        &'a self,
        dir: &'a StepDir,
        task: &'a Task,
        controls: Controls,
    ) -> BoxFuture<'a, Result<Finished, Error>>;

    /// The names of tries that run here, or have ended here, with nobody watching.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn left(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Takes the directory of a try that is left. None when there is nothing to go on with, or another has it.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn adopt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StepDir>, Error>> {
        let _ = name;
        Box::pin(async { Ok(None) })
    }

    /// What must not be shown of a try that is adopted: who began it knew the values of its secrets, and where it runs they
    /// are known.
    ///
    /// # Errors
    /// When they cannot be found out.
    fn mask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Mask, Error>> {
        let _ = name;
        Box::pin(async { Ok(Mask::default()) })
    }

    /// Ends a try that is left, and confirms that nothing of it runs.
    ///
    /// # Errors
    /// When it may still run.
    fn discard<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let _ = name;
        Box::pin(async { Ok(()) })
    }

    /// Removes directories that workers left behind when they died. Returns how many.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn sweep(&self) -> BoxFuture<'_, Result<usize, Error>>;
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables. A process gets besides them PATH, HOME, TMPDIR, LANG, PYTHONUNBUFFERED and SLIPWAY_STEP_DIR, and nothing
    /// of the worker's own environment. Those given here go first, but for the last. Which graphics processors it sees is
    /// added to them.
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// What it may use.
    pub limits: Limits,
    /// Which graphics processors.
    pub gpus: Gpus,
    /// The image that its container is made from; processes have none.
    pub image: Option<String>,
    /// Variables whose values must not stand in the log.
    pub secrets: BTreeSet<String>,
    /// What people see of it in lists of containers: a pipeline run and a step.
    pub labels: BTreeMap<String, String>,
}

impl Task {
    /// What must not stand in its log.
    #[must_use]
    pub fn mask(&self) -> Mask {
        Mask::new(self.secrets.iter().filter_map(|name| self.env.get(name)).map(String::as_str))
    }
}

/// What a step may use of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Processors: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Memory of all its processes together, in bytes.
    pub memory_bytes: Option<u64>,
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
    /// So many lines of the log have been taken before: of a try that is adopted.
    pub lines_before: u64,
    /// Takes what the step uses, about every two seconds. Samples are dropped while it is full.
    pub samples: Option<mpsc::Sender<Sample>>,
}

impl Controls {
    /// Nothing sampled, from the first line on.
    #[must_use]
    pub fn new(deadline: watch::Receiver<Deadline>, cancel: CancellationToken, log: mpsc::Sender<LogLine>) -> Self {
        Self { deadline, cancel, log, lines_before: 0, samples: None }
    }
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
    /// It needed more memory than there was.
    OutOfMemory {
        /// The most that it had, in bytes; 0 when nobody knows.
        peak: u64,
        /// What it might have; none when the machine ran out.
        limit: Option<u64>,
    },
    /// It never began. The sentence says why, to its author.
    NotStarted(String),
    /// Its timeout passed.
    TimedOut,
    /// Its worker cancelled it.
    Cancelled,
    /// The deadline of its lease passed.
    Fenced,
    /// Its supervisor died, or its container was taken away. All that is known to be left was killed.
    Lost,
}

impl Ended {
    /// What it means for the try, as far as the process can tell: whether outputs are there, the caller looks.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Exited(0) => AttemptOutcome::Succeeded,
            Self::Exited(_) | Self::Killed(_) | Self::OutOfMemory { .. } | Self::NotStarted(_) => {
                AttemptOutcome::Failed
            }
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
            Self::OutOfMemory { peak, limit } => out_of_memory(f, *peak, *limit),
            Self::NotStarted(message) => f.write_str(message),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Fenced => f.write_str("its worker could not renew its lease in time"),
            Self::Lost => f.write_str("its supervising process was killed"),
        }
    }
}

/// `killed: out of memory at 1.0 of 1.0 GiB`
fn out_of_memory(f: &mut fmt::Formatter<'_>, peak: u64, limit: Option<u64>) -> fmt::Result {
    f.write_str("killed: out of memory")?;
    let largest = limit.unwrap_or(0).max(peak);
    let (unit, name) = if largest >= 1 << 30 { (1_u64 << 30, "GiB") } else { (1 << 20, "MiB") };
    // Tenths, rounded down: what ran out at 1023 MiB did not have the whole of its GiB.
    let tenths = |bytes: u64| {
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match limit {
        Some(limit) if peak == 0 => write!(f, ", of which it may have {} {name}", tenths(limit)),
        Some(limit) => write!(f, " at {} of {} {name}", tenths(peak.min(limit)), tenths(limit)),
        None if peak == 0 => Ok(()),
        None => write!(f, " at {} {name}", tenths(peak)),
    }
}

/// What a step took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most memory that it had at once, in bytes: of all its processes where the kernel counts it, else of the largest
    /// of them; then a few megabytes at least, because its supervisor's memory counts until the command begins.
    pub peak_memory_bytes: u64,
    /// Processor time in user mode, of all its processes.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// From the start of the command to the end of its last process.
    pub wall: Duration,
}

/// The end of a step. Nothing of it runs any more, and all lines have been sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The status with which the command itself ended, when it did; also of one that was cancelled or timed out.
    pub exit_code: Option<i32>,
    /// Processes that the command left running when it ended, and that were killed.
    pub left_behind: u32,
    /// What it took.
    pub usage: Usage,
    /// What kept it from the rest of the machine.
    pub sandbox: Sandbox,
    /// The image that its container was made from, by digest.
    pub image: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_memory_is_told_with_what_there_was() {
        let said = |peak, limit| Ended::OutOfMemory { peak, limit }.to_string();
        assert_eq!(said(1 << 30, Some(1 << 30)), "killed: out of memory at 1.0 of 1.0 GiB");
        assert_eq!(said((1 << 30) - 4096, Some(1 << 30)), "killed: out of memory at 0.9 of 1.0 GiB");
        assert_eq!(said(64 << 20, Some(64 << 20)), "killed: out of memory at 64.0 of 64.0 MiB");
        assert_eq!(said(0, Some(512 << 20)), "killed: out of memory, of which it may have 512.0 MiB");
        assert_eq!(said(3 << 30, None), "killed: out of memory at 3.0 GiB");
        assert_eq!(said(0, None), "killed: out of memory");
    }
}
