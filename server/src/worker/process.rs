//! Which process a worker is, and whether a worker of this machine is dead: what `/proc` says for certain.
//!
//! A worker's name says where to look: `host/pid/start/namespace/boot`. A process id alone may be another's by now; with
//! the time of its start, in the namespace that counts it and since the boot that counts time, it is one process for
//! ever. Of a process in another namespace or of another boot nothing is known here, so it counts as alive.

use std::{fmt, fs, os::unix::ffi::OsStrExt as _, path::Path};

/// A process, named so that no other ever has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessName {
    host: String,
    pid: u32,
    /// When it started, in ticks since the boot.
    started: u64,
    /// The namespace in which the process id counts.
    namespace: String,
    /// The beginning of the boot's id.
    boot: String,
}

impl ProcessName {
    /// This process. None where `/proc` does not tell.
    pub(super) fn own() -> Option<Self> {
        let pid = std::process::id();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            host: nix::unistd::gethostname().ok()?.into_string().ok()?,
            pid,
            started: Stat::of(pid)?.started,
            namespace: namespace.chars().filter(char::is_ascii_digit).collect(),
            boot: boot.trim().chars().filter(char::is_ascii_hexdigit).take(12).collect(),
        })
    }

    /// Reads a name; none when it does not name a process.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let name = Self {
            host: parts.next()?.to_owned(),
            pid: parts.next()?.parse().ok()?,
            started: parts.next()?.parse().ok()?,
            namespace: parts.next()?.to_owned(),
            boot: parts.next()?.to_owned(),
        };
        parts.next().is_none().then_some(name)
    }

    /// Whether the process has certainly ended. `own` is this process.
    pub(super) fn is_dead(&self, own: &Self) -> bool {
        let is_known_here = self.boot == own.boot && self.namespace == own.namespace;
        is_known_here && Stat::of(self.pid).is_none_or(|stat| stat.started != self.started || stat.has_ended)
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}/{}", self.host, self.pid, self.started, self.namespace, self.boot)
    }
}

/// What `/proc/<pid>/stat` says.
struct Stat {
    started: u64,
    /// It has ended, and its parent has not taken notice.
    has_ended: bool,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `pid (name) state …`, the start being the 22nd field. The name may hold anything, brackets too.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X");
        Some(Self { started: fields.nth(18)?.parse().ok()?, has_ended })
    }
}

/// Whether a process of this machine still has to do with one of these tries: begins in its directory, or has that in its
/// environment. Blocks.
pub(super) fn is_any_left(attempts: &[String]) -> bool {
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        is_process && attempts.iter().any(|attempt| belongs_to(&entry.path(), attempt.as_bytes()))
    })
}

/// A try's id is in the name of its directory, and nowhere else by chance.
fn belongs_to(process: &Path, attempt: &[u8]) -> bool {
    let names = |text: &[u8]| text.windows(attempt.len()).any(|part| part == attempt);
    fs::read_link(process.join("cwd")).is_ok_and(|cwd| names(cwd.as_os_str().as_bytes()))
        || fs::read(process.join("environ")).is_ok_and(|environ| names(&environ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        let own = ProcessName::own().unwrap();
        assert_eq!(ProcessName::parse(&own.to_string()), Some(own));
        for other in ["", "host-0193", "a/b/c/d/e", "host/1/2/3", "host/1/2/3/4/5"] {
            assert_eq!(ProcessName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_process_that_has_certainly_ended_is_dead() {
        let own = ProcessName::own().unwrap();
        assert!(!own.is_dead(&own));
        let another_start = ProcessName { started: own.started + 1, ..own.clone() };
        assert!(another_start.is_dead(&own), "the process id is another's by now");
        let elsewhere = ProcessName { namespace: "1".to_owned(), ..another_start.clone() };
        let before = ProcessName { boot: "0".to_owned(), ..another_start };
        assert!(!elsewhere.is_dead(&own) && !before.is_dead(&own));
    }

    #[test]
    fn a_child_that_was_not_waited_for_has_ended() {
        let own = ProcessName::own().unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let name = ProcessName { pid: child.id(), started: Stat::of(child.id()).unwrap().started, ..own.clone() };
        assert!(!name.is_dead(&own));
        child.kill().unwrap();
        while !name.is_dead(&own) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(name.is_dead(&own));
    }

    #[test]
    fn a_try_is_left_while_a_process_works_in_its_directory_or_knows_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let attempt = uuid::Uuid::now_v7().to_string();
        let path = directory.path().join(&attempt);
        fs::create_dir(&path).unwrap();
        let attempts = ["0193".repeat(9), attempt];
        assert!(!is_any_left(&attempts));
        let within = |command: &mut std::process::Command| {
            let mut child = command.arg("600").spawn().unwrap();
            // The kernel lets the parent go on a moment before the child's environment can be read.
            while fs::read(format!("/proc/{}/environ", child.id())).unwrap().is_empty() {
                std::thread::yield_now();
            }
            let left = is_any_left(&attempts);
            child.kill().unwrap();
            child.wait().unwrap();
            left
        };
        assert!(within(std::process::Command::new("sleep").current_dir(&path)));
        assert!(within(std::process::Command::new("sleep").env("HOME", path.join("home"))));
        assert!(!is_any_left(&attempts));
    }
}
