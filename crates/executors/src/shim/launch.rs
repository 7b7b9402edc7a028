//! The beginning of the process that becomes the command.
//!
//! What must be true of this command and of no other is arranged here, in the process itself: forked by a process with one
//! thread, it may do anything before it becomes the command.

use crate::{
    cgroup::Group,
    protocol::{self, FromLaunch, Launch},
    reach::Reach,
    sandbox,
};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SigSet, Signal},
    },
    unistd::{Pid, dup2_stdin, getppid, setpgid},
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::Path,
    process::Command,
};

/// Added to what the kernel counts when memory runs out, so that it takes a step before a worker or the database.
const OOM_SCORE: i32 = 500;

/// What the supervisor says when it is ready to watch over the command.
pub(super) const GO: &[u8] = b"\n";

/// Becomes the command. Returns only when that fails, after having told the supervisor, which is `parent`. The kernel closes
/// the socket to it at the moment the command begins: that is how it knows that it did.
pub(super) fn run(
    mut supervisor: UnixStream,
    parent: Pid,
    launch: &Launch,
    group: &Group,
    reach: Option<&Reach>,
) -> io::Result<()> {
    // All that it starts can be signalled together.
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have gone before the signal was asked for.
    if getppid() != parent {
        return Err(io::Error::other("the supervisor of this step is gone"));
    }
    supervisor.read_exact(&mut [0; GO.len()])?;
    // The mask is inherited, and supervisors block signals that the command must hear.
    SigSet::all().thread_unblock()?;
    prefer_for_oom();
    dup2_stdin(File::open("/dev/null")?)?;
    // First: what it opens from here on counts for the step.
    let joined = group.join().is_ok();
    sandbox::limit();
    if let Some(cpus) = launch.cpus
        && !(joined && group.has_processors())
    {
        // Without it, it runs as well, and takes more.
        let _ = sandbox::bind(cpus, &launch.own);
    }
    // Last: it could not arrange anything afterwards.
    let sandbox = sandbox::confine(reach, launch.gpus.as_deref(), &launch.own);
    let mut say = |word: &FromLaunch| supervisor.write_all(&protocol::line(word)?);
    say(&FromLaunch::Confined { sandbox, joined })?;

    let Some((program, arguments)) = launch.argv.split_first() else {
        return say(&FromLaunch::Refused { message: "The command is empty.".to_owned() });
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&launch.env).current_dir(&launch.cwd);
    let error = command.exec();
    say(&FromLaunch::Refused { message: explain(program, launch, &error) })
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
