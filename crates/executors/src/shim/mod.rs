//! The process between a worker and a command; see the crate's documentation for why it is there.
//!
//! A program becomes a shim by calling [`main`] before anything else: before it starts a thread or opens a file. In the
//! product that is `slipway-step`, or `slipway step-shim`. It has three parts, in processes that fork one another: `serve`
//! is the worker's, `supervise` watches over one command, and `launch` is the beginning of the process that becomes the
//! command. Containers have none of them, but a process that keeps the `watch` over their lease.

mod launch;
mod serve;
mod supervise;
mod watch;

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::setsid,
};
use std::{ffi::OsString, path::Path, process::ExitCode};

/// The argument that makes a shim the fork server.
pub(crate) const SERVE: &str = "serve";

/// The argument that makes a shim the watch over a container.
pub const WATCH: &str = "watch";

/// Goes apart from the worker, whose terminal and whose group are none of a shim's: who stops all of that group stops the
/// worker, and a shim goes by what the worker does. What a fork inherits of it, `launch` takes back for the command.
fn go_apart() -> std::io::Result<()> {
    // A session of its own: no signals from the worker's terminal, and no terminal to ask for passwords on. Fails only
    // for the leader of a group, which is as well apart.
    let _ = setsid();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT]
        .into_iter()
        .collect::<SigSet>()
        .thread_block()?;
    Ok(())
}

/// Acts as a shim. `args` are the arguments after those that brought the program here.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let done = match args.as_slice() {
        [part, confinement] if part == SERVE => serve::run(&confinement.to_string_lossy()),
        [part, socket, container, lease] if part == WATCH => {
            watch::run(Path::new(socket), &container.to_string_lossy(), Path::new(lease))
        }
        _ => Err(std::io::Error::other("slipway starts this command by itself; it is of no use to people")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the step's log.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("step-shim: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
