//! The process between a worker and a command; see the crate's documentation for why it is there.
//!
//! A program becomes a shim by calling [`main`] before anything else: before it starts a thread or opens a file. In the
//! product that is `slipway-step`, or `slipway step-shim`. The shim has two parts, in two processes of the same program: `supervise` watches
//! over the command, and `launch` is the beginning of the process that becomes the command. Containers have neither, but a
//! process that keeps the `watch` over their lease.

mod launch;
mod supervise;
mod watch;

use std::{ffi::OsString, path::Path, process::ExitCode};

/// The argument that makes a shim the beginning of the command.
const LAUNCH: &str = "launch";

/// The argument that makes a shim the watch over a container.
pub const WATCH: &str = "watch";

/// Acts as a shim. `args` are the arguments after those that brought the program here.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let done = match args.as_slice() {
        [] => supervise::run(),
        [part] if part == LAUNCH => launch::run(),
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
