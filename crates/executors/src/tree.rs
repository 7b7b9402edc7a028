//! The processes below a process, read from `/proc`.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    thread,
    time::Duration,
};

/// A process that has not been reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) group: i32,
    /// It has ended and waits for its parent to take notice.
    pub(crate) is_zombie: bool,
}

/// All processes below this one, zombies included.
pub(crate) fn below(ancestor: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Gone between listing and reading: not below anything any more.
        let Some((parent, process)) =
            fs::read_to_string(entry.path().join("stat")).ok().and_then(|stat| parse_stat(pid, &stat))
        else {
            continue;
        };
        children.entry(parent).or_default().push(process);
    }
    let (mut found, mut seen, mut next) = (Vec::new(), HashSet::from([ancestor]), vec![ancestor]);
    while let Some(parent) = next.pop() {
        for process in children.get(&parent).into_iter().flatten().filter(|process| seen.insert(process.pid)) {
            found.push(*process);
            next.push(process.pid);
        }
    }
    found
}

/// Kills all processes below this one and says how many were alive.
pub(crate) fn kill_below(ancestor: i32) -> u32 {
    let alive = below(ancestor).into_iter().filter(|process| !process.is_zombie);
    alive.filter(|process| kill(Pid::from_raw(process.pid), Signal::SIGKILL).is_ok()).map(|_| 1).sum()
}

/// The variable by which the processes of a step are known when their parents are gone: the step's directory.
pub(crate) const MARK: &str = "SLIPWAY_STEP_DIR";

/// How often to look again for marked processes: one may start another between the look and the kill.
const ROUNDS: usize = 100;

/// Kills all processes that carry the mark of this directory, wherever they stand in the tree, and returns when none is
/// left. For what is left of a step whose shim was killed. Blocks.
pub(crate) fn kill_marked(directory: &Path) {
    let mark = [MARK.as_bytes(), b"=", directory.as_os_str().as_bytes()].concat();
    for _ in 0..ROUNDS {
        let mut found = false;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            // Empty for a zombie, and not to be read of another user's processes.
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environ.split(|byte| *byte == 0).any(|variable| variable == mark) {
                found |= kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok();
            }
        }
        if !found {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The parent and the process of a line `pid (name) state ppid pgrp …`. The name may hold anything, brackets too.
fn parse_stat(pid: i32, stat: &str) -> Option<(i32, Process)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some((parent, Process { pid, group, is_zombie: matches!(state, "Z" | "X") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let (parent, process) = parse_stat(7, "7 (a) Z 1 (x) S 42 7 7 0 -1").unwrap();
        assert_eq!((parent, process), (42, Process { pid: 7, group: 7, is_zombie: false }));
        assert!(parse_stat(7, "7 (a) S").is_none());
    }

    #[test]
    fn a_child_is_found_and_killed() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(below(own).iter().any(|process| process.pid == pid));
        assert!(below(pid).is_empty());
        kill_below(own);
        assert!(!child.wait().unwrap().success());
    }
}
