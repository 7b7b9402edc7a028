//! Where a step runs. [`Executor`] is what all places have in common; here is one of them, an operating-system process in
//! a directory of its own. Containers have crates of their own, so that what they need is compiled beside everything else.
//!
//! [`Executor::prepare`] makes the directory, [`Executor::run`] runs a command in it, and the caller takes the outputs from
//! it and removes it. What runs and what its end means for the pipeline is decided elsewhere; here are the promises about
//! processes:
//!
//! - The command gets a clean environment, no standard input, and no terminal.
//! - Its output arrives line by line and bounded: a step that writes faster than its log is stored waits.
//! - It never runs past its [`Deadline`], which the holder of the lease moves on with every renewal. The watch is kept
//!   by a process of its own, so it holds also when the worker is stopped or out of breath.
//! - It is kept from the rest of the machine as far as the kernel has means, and says how far: [`Sandbox`].
//! - When it ends, is cancelled, or its worker dies, also by `kill -9`, every process that it started ends with it.
//!
//! # How
//! ```text
//! worker ── socket ── shim ── command ── whatever the command starts
//! ```
//! Between the worker and the command stands a small process, the [`shim`], forked by a server that the worker starts
//! once: a step costs the start of one program, its own. The shim is the subreaper of all that the command
//! starts: a grandchild that daemonises itself, or moves into a session of its own, becomes the shim's child when its
//! parent is gone, so the shim can find and kill all of them and knows when none is left. It learns of the worker's end
//! from the end of the socket, which the kernel closes whatever the worker died of. Should the shim itself be killed,
//! the command dies by its parent-death signal, and what the command started is found by a variable in its environment:
//! by the worker, or, when that was killed as well, by the next one that sweeps.
//!
//! A parent-death signal from the worker is not used: it follows the *thread* that started the process, and threads of
//! an asynchronous runtime come and go.

mod cgroup;
mod clock;
mod dir;
mod fork_server;
mod gpu;
mod lines;
mod mask;
mod process;
mod protocol;
mod reach;
mod sample;
mod sandbox;
pub mod shim;
mod supervised;
mod task;
mod tree;

pub use clock::Deadline;
pub use dir::{OutputError, StepDir, StepDirs, StepFiles};
pub use fork_server::Shim;
pub use gpu::{GpuSample, Gpus, gpu, gpus};
pub use lines::Lines;
pub use mask::Mask;
pub use process::{PATH, ProcessExecutor};
pub use sample::{SAMPLE_EVERY, Sample};
pub use sandbox::{Confinement, GroupKind, Sandbox};
pub use task::{Controls, Ended, Executor, Finished, Limits, LogLine, Task, Usage};

/// What keeps a step from running that is no fault of the step.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Error {
    /// What failed.
    what: String,
    /// Why.
    source: std::io::Error,
}

impl Error {
    /// Something failed, for this reason.
    pub fn new(what: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// `io.doing("the file could not be written")?`: says what failed.
trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::new(what, source))
    }
}
