//! The beginning of the process that becomes the command.
//!
//! What must be true of the command is arranged here, in the process itself, before it becomes the command: doing it
//! between fork and exec of another process would take unsafe code.

use crate::{
    protocol::{self, FromLaunch, Launch},
    sandbox,
};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SigSet, Signal},
    },
    unistd::{dup2_stdin, getppid},
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream, unix::process::CommandExt as _},
    path::Path,
    process::Command,
};

/// Added to what the kernel counts when memory runs out, so that it takes a step before a worker or the database.
const OOM_SCORE: i32 = 500;

/// Becomes the command. Returns only when that fails, after having told the shim over its standard input.
pub(super) fn run() -> io::Result<()> {
    // Closed by the kernel at the moment the command begins: that is how the shim knows that it did.
    let mut shim = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut message = Vec::new();
    shim.read_to_end(&mut message)?;
    let launch: Launch = serde_json::from_slice(&message)?;

    // The mask is inherited, and the supervisor blocks signals that the command must hear.
    SigSet::all().thread_unblock()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have gone before the signal was asked for.
    if getppid().as_raw() != launch.parent {
        return Err(io::Error::other("the supervisor of this step is gone"));
    }
    prefer_for_oom();
    dup2_stdin(File::open("/dev/null")?)?;
    // First: what it opens from here on counts for the step.
    let joined = launch.group.join().is_ok();
    sandbox::limit();
    if let Some(cpus) = launch.cpus
        && !(joined && launch.group.has_processors())
    {
        // Without it, it runs as well, and takes more.
        let _ = sandbox::bind(cpus, &launch.own);
    }
    // Last: it could not arrange anything afterwards.
    let sandbox = sandbox::confine(&launch.confinement, &launch.own);
    let mut say = |word: &FromLaunch| shim.write_all(&protocol::line(word)?);
    say(&FromLaunch::Confined { sandbox, joined })?;

    let Some((program, arguments)) = launch.argv.split_first() else {
        return say(&FromLaunch::Refused { message: "The command is empty.".to_owned() });
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&launch.env).current_dir(&launch.cwd);
    let error = command.exec();
    say(&FromLaunch::Refused { message: explain(program, &launch, &error) })
}

/// Raising the score needs no privilege; a score that is higher already stays.
fn prefer_for_oom() {
    let path = "/proc/self/oom_score_adj";
    let current = fs::read_to_string(path).ok().and_then(|score| score.trim().parse::<i32>().ok());
    if current.is_some_and(|score| score < OOM_SCORE) {
        // Only a preference: the step runs without it.
        let _ = fs::write(path, OOM_SCORE.to_string());
    }
}

/// Why the command did not begin, for the person who wrote it.
fn explain(program: &str, launch: &Launch, error: &io::Error) -> String {
    let is_path = program.contains('/');
    let exists = is_path && launch.cwd.join(Path::new(program)).exists();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) if exists => {
            format!("\"{program}\" could not be started: the interpreter in its first line was not found.")
        }
        Some(Errno::ENOENT) if is_path => format!("\"{program}\" was not found in the step's directory."),
        Some(Errno::ENOENT) => {
            let path = launch.env.get("PATH").map_or("", String::as_str);
            format!("The command \"{program}\" was not found. PATH is {path}.")
        }
        Some(Errno::EACCES) => format!(
            "\"{program}\" may not be executed. If it is a script of the pipeline, begin it with #! or name its interpreter."
        ),
        Some(Errno::ENOEXEC) => {
            format!("\"{program}\" is no program. If it is a script, begin it with #! and its interpreter.")
        }
        Some(Errno::E2BIG) => {
            format!(
                "\"{program}\" could not be started: its arguments and environment are too long. Put them into files."
            )
        }
        _ => format!("\"{program}\" could not be started: {error}."),
    }
}
