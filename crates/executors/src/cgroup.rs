//! Control groups: counting and limiting all processes of a step together, where the kernel lets the worker do so.
//!
//! Version 2 is one tree, a part of which may be *delegated* to the worker (`Delegate=yes` in its unit of systemd; in a
//! container, a cgroup of its own that is writable). Version 1 has a tree for each resource. The worker looks once, at its
//! start, where it may make groups; the supervisor of a step makes one there, the command joins it before it begins, and
//! the supervisor takes it away.

use crate::{
    Limits,
    sandbox::{GroupKind, is_writable, number_in},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The beginning of the name of every group of ours.
const NAME: &str = "slipway-step-";
/// Where the worker itself goes, because a group of version 2 that has groups below it has no processes.
const WORKER: &str = "slipway-worker";
/// Processes and threads of a step, at most.
const MOST_TASKS: u64 = 16_384;
/// The period over which processor time is shared out, in microseconds.
const PERIOD_US: u64 = 100_000;
/// A group without processes that is older than this was left behind.
const MAKING: Duration = Duration::from_secs(60);

/// Where groups can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    /// Version 2: the group above those of steps, when it can limit memory.
    unified: Option<PathBuf>,
    /// Version 1.
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

/// The groups of one step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    unified: Option<PathBuf>,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

impl Cgroups {
    /// Looks where this process may make groups. Moves it into one of its own where that is needed.
    pub(crate) fn find() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let trees = trees(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let own = |name: &str| {
            let path = trees.iter().find(|tree| tree.controllers.iter().any(|known| known == name))?.path.clone();
            is_writable(&path).then_some(path)
        };
        let unified = trees.iter().find(|tree| tree.controllers.is_empty()).and_then(|tree| delegated(&tree.path));
        Self { unified, memory: own("memory"), pids: own("pids"), cpu: own("cpu") }
    }

    /// Makes the groups of a step. What cannot be made or set is left out: [`Group::kind`] says what there is.
    pub(crate) fn make(&self, name: &str, limits: &Limits) -> Group {
        let below = |parent: &Option<PathBuf>| {
            let path = parent.as_ref()?.join(format!("{NAME}{name}"));
            fs::create_dir(&path).ok().map(|()| path)
        };
        if let Some(path) = below(&self.unified) {
            let group = Group { unified: Some(path.clone()), ..Group::default() };
            if set_unified(&path, limits).is_ok() {
                return group;
            }
            group.remove();
        }
        // Making and removing three of them takes longer than a short step, and without a limit they tell little.
        if limits.memory_bytes.is_none() && limits.cpus.is_none() {
            return Group::default();
        }
        let checked = |path: Option<PathBuf>, set: &dyn Fn(&Path) -> io::Result<()>| {
            let path = path?;
            if set(&path).is_ok() {
                return Some(path);
            }
            let _ = fs::remove_dir(&path);
            None
        };
        Group {
            unified: None,
            memory: checked(below(&self.memory), &|path| set_memory(path, limits)),
            pids: checked(below(&self.pids), &|path| write(&path.join("pids.max"), MOST_TASKS)),
            cpu: checked(below(&self.cpu), &|path| match limits.cpus {
                Some(cpus) => {
                    write(&path.join("cpu.cfs_period_us"), PERIOD_US)?;
                    write(&path.join("cpu.cfs_quota_us"), quota(cpus))
                }
                None => Ok(()),
            }),
        }
    }

    /// Takes groups away that were left behind. One with a process in it cannot be.
    pub(crate) fn sweep(&self) {
        for parent in [&self.unified, &self.memory, &self.pids, &self.cpu].into_iter().flatten() {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                let is_ours = entry.file_name().to_string_lossy().starts_with(NAME);
                let made = entry.metadata().and_then(|meta| meta.modified()).ok();
                if is_ours && made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > MAKING) {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }
}

impl Group {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.unified, &self.memory, &self.pids, &self.cpu].into_iter().flatten()
    }

    /// What limits memory, when something does.
    pub(crate) fn kind(&self) -> Option<GroupKind> {
        match (&self.unified, &self.memory) {
            (Some(_), _) => Some(GroupKind::V2),
            (None, Some(_)) => Some(GroupKind::V1),
            _ => None,
        }
    }

    /// Whether it shares out processor time.
    pub(crate) fn has_processors(&self) -> bool {
        self.unified.is_some() || self.cpu.is_some()
    }

    /// Moves this process into the groups. It must have one thread only.
    pub(crate) fn join(&self) -> io::Result<()> {
        self.paths().try_for_each(|path| write(&path.join("cgroup.procs"), 0))
    }

    /// How many of its processes the kernel killed because memory ran out.
    pub(crate) fn out_of_memory(&self) -> u64 {
        let file = match (&self.unified, &self.memory) {
            (Some(path), _) => path.join("memory.events"),
            (None, Some(path)) => path.join("memory.oom_control"),
            _ => return 0,
        };
        field(&fs::read_to_string(file).unwrap_or_default(), "oom_kill").unwrap_or(0)
    }

    /// The most memory that it had at once, in bytes.
    pub(crate) fn peak(&self) -> Option<u64> {
        let file = match (&self.unified, &self.memory) {
            (Some(path), _) => path.join("memory.peak"),
            (None, Some(path)) => path.join("memory.max_usage_in_bytes"),
            _ => return None,
        };
        number_in(&file).ok()
    }

    /// Kills all that is in it at one moment, where the kernel has that.
    pub(crate) fn kill(&self) {
        if let Some(path) = &self.unified {
            let _ = write(&path.join("cgroup.kill"), 1);
        }
    }

    /// Takes it away, once nothing is in it.
    pub(crate) fn remove(&self) {
        for path in self.paths() {
            // The kernel may need a moment after the last process. What stays is swept later.
            for _ in 0..20 {
                match fs::remove_dir(path) {
                    Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn set_unified(path: &Path, limits: &Limits) -> io::Result<()> {
    // One process that is killed leaves the others waiting for it.
    let _ = write(&path.join("memory.oom.group"), 1);
    let _ = write(&path.join("pids.max"), MOST_TASKS);
    if let Some(bytes) = limits.memory_bytes {
        write(&path.join("memory.max"), bytes)?;
        // Not there without swap.
        let _ = write(&path.join("memory.swap.max"), 0);
    }
    match limits.cpus {
        Some(cpus) => write(&path.join("cpu.max"), format!("{} {PERIOD_US}", quota(cpus))),
        None => Ok(()),
    }
}

fn set_memory(path: &Path, limits: &Limits) -> io::Result<()> {
    let Some(bytes) = limits.memory_bytes else { return Ok(()) };
    write(&path.join("memory.limit_in_bytes"), bytes)?;
    // With swap. Not there where swap is not counted.
    let _ = write(&path.join("memory.memsw.limit_in_bytes"), bytes);
    Ok(())
}

/// Processor time in a period, in microseconds.
fn quota(cpus: f64) -> u64 {
    // The kernel takes no less than a millisecond.
    let micros = Duration::from_secs_f64(cpus.clamp(0.01, 10_000.0) / 10.0).as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
}

fn write(path: &Path, value: impl ToString) -> io::Result<()> {
    fs::write(path, value.to_string())
}

/// The number after this name: `oom_kill 1`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// The group of this process in one tree.
#[derive(Debug, PartialEq, Eq)]
struct Tree {
    /// None for version 2.
    controllers: Vec<String>,
    path: PathBuf,
}

/// From `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn trees(groups: &str, mounts: &str) -> Vec<Tree> {
    let mounted: Vec<(PathBuf, PathBuf, Vec<String>)> = mounts
        .lines()
        .filter_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let (mut place, mut kind) = (place.split(' ').skip(3), kind.split(' '));
            let (root, point) = (place.next()?, place.next()?);
            let options = match kind.next()? {
                "cgroup2" => Vec::new(),
                "cgroup" => kind.nth(1)?.split(',').map(str::to_owned).collect(),
                _ => return None,
            };
            Some((PathBuf::from(root), PathBuf::from(point), options))
        })
        .collect();
    let of = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let controllers: Vec<String> =
            controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let (root, point, _) = mounted.iter().find(|(_, _, options)| match controllers.first() {
            Some(first) => options.contains(first),
            None => options.is_empty(),
        })?;
        // In a container the mount shows only a part of the tree.
        let inside = Path::new(path).strip_prefix(root).or_else(|_| Path::new(path).strip_prefix("/")).ok()?;
        Some(Tree { controllers, path: point.join(inside) })
    };
    groups.lines().filter_map(of).collect()
}

/// The group of version 2 below which groups of steps can be made, that limit memory.
fn delegated(own: &Path) -> Option<PathBuf> {
    let above = if own.file_name().is_some_and(|name| name == WORKER) { own.parent()? } else { own };
    let lists = |file: &str| fs::read_to_string(above.join(file)).unwrap_or_default();
    let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|known| known == name);
    if !is_writable(above) || !has(&lists("cgroup.controllers"), "memory") {
        return None;
    }
    if !has(&lists("cgroup.subtree_control"), "memory") {
        let worker = above.join(WORKER);
        let _ = fs::create_dir(&worker);
        write(&worker.join("cgroup.procs"), std::process::id()).ok()?;
        let wanted: Vec<String> = ["memory", "cpu", "pids", "io"]
            .into_iter()
            .filter(|name| has(&lists("cgroup.controllers"), name))
            .map(|name| format!("+{name}"))
            .collect();
        if write(&above.join("cgroup.subtree_control"), wanted.join(" ")).is_err() {
            // Somebody else is in it as well: it is not ours to divide.
            let _ = write(&above.join("cgroup.procs"), std::process::id());
            let _ = fs::remove_dir(&worker);
            return None;
        }
    }
    Some(above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trees_of_a_process_are_found() {
        let groups = "5:memory:/a/b\n4:cpu,cpuacct:/a\n1:name=systemd:/\n0::/user.slice/x.service\n";
        let mounts = "\
            30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            31 20 0:27 /a /sys/fs/cgroup/cpu rw,nosuid shared:3 - cgroup cgroup rw,cpu,cpuacct\n\
            32 20 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = trees(groups, mounts);
        let paths: Vec<_> = found.iter().map(|tree| tree.path.to_string_lossy().into_owned()).collect();
        assert_eq!(
            paths,
            ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/cpu/", "/sys/fs/cgroup/unified/user.slice/x.service"]
        );
    }

    #[test]
    fn the_files_of_version_2_are_written_and_read() {
        let root = tempfile::tempdir().unwrap();
        let cgroups = Cgroups { unified: Some(root.path().to_owned()), ..Cgroups::default() };
        let limits = Limits { cpus: Some(1.5), memory_bytes: Some(1 << 20) };
        let group = cgroups.make("a", &limits);
        assert_eq!(group.kind(), Some(GroupKind::V2));
        let path = group.unified.clone().unwrap();
        let text = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(
            (text("memory.max"), text("cpu.max"), text("pids.max")),
            ("1048576".into(), "150000 100000".into(), "16384".into())
        );
        fs::write(path.join("memory.events"), "low 0\noom 1\noom_kill 2\noom_group_kill 1\n").unwrap();
        fs::write(path.join("memory.peak"), "1048576\n").unwrap();
        assert_eq!((group.out_of_memory(), group.peak()), (2, Some(1 << 20)));
    }
}
