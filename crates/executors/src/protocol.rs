//! What the worker and the shim tell each other: JSON, one message a line, over the shim's standard input.

use crate::clock::Deadline;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// From the worker to the shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToShim {
    /// The first message.
    Start(Start),
    /// The lease was renewed, or is lost.
    Deadline(Deadline),
    /// End the command: politely, then not.
    Cancel,
}

/// What to run, and until when.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) command: Launch,
    /// What makes this program act as a shim.
    pub(crate) shim_args: Vec<String>,
    pub(crate) timeout_ms: Option<u64>,
    /// Between the polite signal and the other.
    pub(crate) grace_ms: u64,
    pub(crate) deadline: Deadline,
}

/// A command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    /// The process that must be its parent.
    #[serde(default)]
    pub(crate) parent: i32,
}

/// From the shim to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromShim {
    /// It could not be started; this is why, for the step's log.
    NotStarted { message: String },
    /// It has ended, and nothing of it is left.
    Ended(Report),
}

/// Why the shim ended the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    Cancelled,
    TimedOut,
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
    /// The greatest resident memory of any one process.
    pub(crate) max_rss_bytes: u64,
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
}

/// A message and the end of its line.
pub(crate) fn line<T: Serialize>(message: &T) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
