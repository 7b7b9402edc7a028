//! What the worker and the shim tell each other: JSON, one message a line, over the shim's standard input.

use crate::{Limits, cgroup::Cgroups, clock::Deadline, sandbox::Sandbox};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// From the worker to the shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToShim {
    /// The first message.
    Start(Box<Start>),
    /// The lease was renewed, or is lost.
    Deadline(Deadline),
    /// End the command: politely, then not.
    Cancel,
}

/// What to run, and until when.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) command: Launch,
    pub(crate) timeout_ms: Option<u64>,
    /// Between the polite signal and the other.
    pub(crate) grace_ms: u64,
    pub(crate) deadline: Deadline,
    pub(crate) limits: Limits,
    /// Where groups can be made for it.
    pub(crate) cgroups: Cgroups,
    /// The beginning of the name of such a group.
    pub(crate) group_name: String,
}

/// A command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    /// The device files of the graphics processors that it may use; none: of all.
    pub(crate) gpus: Option<Vec<PathBuf>>,
    /// The step's directory.
    pub(crate) own: PathBuf,
    /// Processors that it may use.
    pub(crate) cpus: Option<f64>,
}

/// From the process that becomes the command to the shim. Silence after that means that it has become it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromLaunch {
    /// It is confined so far.
    Confined { sandbox: Sandbox, joined: bool },
    /// It cannot become the command; this is why, for the step's log.
    Refused { message: String },
}

/// From the shim to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromShim {
    /// There is no supervisor; this is why.
    Failed { message: String },
    /// There is one, this process, and it waits to be told what to run.
    Ready { pid: i32 },
    /// It could not be started; this is why, for the step's log.
    NotStarted { message: String, sandbox: Sandbox },
    /// It has ended, and nothing of it is left.
    Ended(Report),
}

/// Why the shim ended the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    Cancelled,
    TimedOut,
    /// It used more memory than it may.
    OutOfMemory,
    /// The deadline of the lease passed.
    Fenced,
}

/// How the command ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Set when it did not end by itself.
    pub(crate) cause: Option<Cause>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Processes that it left running and that were killed.
    pub(crate) left_behind: u32,
    /// The most memory at once, as well as that is known.
    pub(crate) peak_memory_bytes: u64,
    /// The kernel killed some of it because memory ran out.
    pub(crate) out_of_memory: bool,
    pub(crate) sandbox: Sandbox,
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
}

/// A message and the end of its line.
pub(crate) fn line<T: Serialize>(message: &T) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
