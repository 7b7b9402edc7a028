//! The process between a worker and a command; see the crate's documentation for why it is there.
//!
//! A program becomes a shim by calling [`main`] before anything else: before it starts a thread or opens a file. In the
//! product that is `slipway step-shim`. The shim has two parts, in two processes of the same program: `supervise` watches
//! over the command, and `launch` is the beginning of the process that becomes the command.

mod launch;
mod supervise;

use std::{ffi::OsString, process::ExitCode};

/// The argument that makes a shim the beginning of the command.
const LAUNCH: &str = "launch";

/// Acts as a shim. `args` are the arguments after those that brought the program here.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let done = match (args.next(), args.next()) {
        (None, None) => supervise::run(),
        (Some(arg), None) if arg == LAUNCH => launch::run(),
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
