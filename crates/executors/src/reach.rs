//! What of the machine the steps of a worker can reach besides their own directories: looked up and opened once, since
//! naming all that lies beside what is hidden takes longer than a short step, and again when it may be another.

use crate::{Confinement, sandbox};
use landlock::{PathFd, PathFdError};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{SFlag, fstat},
};
use seccompiler::BpfProgram;
use std::{
    fs::{self, File},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Devices that everybody may write to; those that do not exist are left out.
const DEVICES: [&str; 18] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
    "/dev/dri",
    "/dev/kfd",
    "/dev/fuse",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-modeset",
    "/dev/nvidia-caps",
    "/dev/infiniband",
];

/// Where the device files of graphics processors are.
const DEVICE_FILES: &str = "/dev";
/// The most graphics processors of a machine.
const MOST_GPUS: usize = 16;

/// A directory that changed so shortly before it was listed may have changed again without looking so.
const UNSURE: Duration = Duration::from_secs(1);

/// What steps can reach.
pub(crate) struct Reach {
    /// Everything but what is hidden.
    pub(crate) readable: Vec<Place>,
    pub(crate) writable: Vec<Place>,
    /// Device files of all graphics processors.
    pub(crate) gpus: Vec<Place>,
    /// The system calls that they have not.
    pub(crate) refused: Vec<BpfProgram>,
    /// Directories on whose entries that depends, and when each had changed last; none for one that is not there.
    listed: Vec<(PathBuf, Option<SystemTime>)>,
    listed_at: SystemTime,
    /// Tells of file systems that are mounted and taken away.
    mounts: Option<File>,
}

/// A file or directory, and all below it.
pub(crate) struct Place {
    opened: PathFd,
    pub(crate) is_directory: bool,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

impl Place {
    pub(crate) fn open(path: &Path) -> Result<Self, PathFdError> {
        let opened = PathFd::new(path)?;
        let kind = fstat(&opened).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        Ok(Self { opened, is_directory: kind != Ok(SFlag::S_IFREG) })
    }

    /// Those of them that are there.
    fn all(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Self> {
        paths.into_iter().filter_map(|path| Self::open(&path).ok()).collect()
    }
}

impl Reach {
    pub(crate) fn look(confinement: &Confinement) -> Self {
        let mounts = File::open("/proc/self/mountinfo").ok();
        let mut listed = Listed::default();
        let hidden: Vec<PathBuf> =
            confinement.hidden.iter().map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.clone())).collect();
        let mut readable = listed.all_but(Path::new("/"), &hidden);
        readable.extend(confinement.shown.iter().inspect(|path| listed.beside(path)).cloned());
        listed.note(Path::new(DEVICE_FILES));
        let mut writable: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        for path in &confinement.writable {
            listed.beside(path);
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            // What is hidden stays so also below them.
            match hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                true => writable.extend(listed.all_but(&path, &hidden)),
                false => writable.push(path),
            }
        }
        Self {
            readable: Place::all(readable),
            writable: Place::all(writable),
            gpus: Place::all((0..MOST_GPUS).map(|number| format!("{DEVICE_FILES}/nvidia{number}").into())),
            refused: sandbox::refusals().unwrap_or_default(),
            listed: listed.directories,
            listed_at: listed.at,
            mounts,
        }
    }

    /// Whether looking again might find something else.
    pub(crate) fn is_stale(&self) -> bool {
        let mounted = self.mounts.as_ref().is_none_or(|mounts| {
            let mut changed = [PollFd::new(mounts.as_fd(), PollFlags::POLLPRI)];
            poll(&mut changed, PollTimeout::ZERO) != Ok(0)
        });
        let is_sure = |changed: SystemTime| changed + UNSURE < self.listed_at;
        mounted
            || self.listed.iter().any(|(path, before)| {
                let now = changed_at(path);
                now != *before || !now.is_none_or(is_sure)
            })
    }
}

fn changed_at(directory: &Path) -> Option<SystemTime> {
    fs::metadata(directory).and_then(|meta| meta.modified()).ok()
}

/// Directories whose entries were looked at.
struct Listed {
    directories: Vec<(PathBuf, Option<SystemTime>)>,
    at: SystemTime,
}

impl Default for Listed {
    fn default() -> Self {
        Self { directories: Vec::new(), at: SystemTime::now() }
    }
}

impl Listed {
    fn note(&mut self, directory: &Path) {
        self.directories.push((directory.to_owned(), changed_at(directory)));
    }

    /// What lies at this path may be replaced.
    fn beside(&mut self, path: &Path) {
        if let Some(parent) = path.parent() {
            self.note(parent);
        }
    }

    /// Paths that together are all that is below a directory, but for what is hidden. A rule of landlock gives a right to
    /// a whole tree, and none takes one back: so on the way to what is hidden each neighbour is named.
    fn all_but(&mut self, directory: &Path, hidden: &[PathBuf]) -> Vec<PathBuf> {
        self.note(directory);
        let mut named = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            // What a link leads to is named where it is.
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                let leads_to_hidden = |target: PathBuf| {
                    hidden.iter().any(|hidden| hidden.starts_with(&target) || target.starts_with(hidden))
                };
                if fs::canonicalize(entry.path()).map_or(true, leads_to_hidden) {
                    continue;
                }
            }
            let path = entry.path();
            if hidden.contains(&path) {
                continue;
            }
            if hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                named.extend(self.all_but(&path, hidden));
            } else {
                named.push(path);
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn all_but_what_is_hidden_is_named_and_no_link_leads_to_it() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        for path in ["a", "b/c", "b/data/steps", "b/data/keys"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        symlink("b/data", root.join("link")).unwrap();
        symlink("b", root.join("above")).unwrap();
        symlink("a", root.join("other")).unwrap();
        let mut named = Listed::default().all_but(&root, &[root.join("b/data")]);
        named.sort();
        assert_eq!(named, [root.join("a"), root.join("b/c"), root.join("other")]);
    }

    #[test]
    fn what_may_have_changed_is_looked_at_again() {
        let root = tempfile::tempdir().unwrap();
        let (own, data) = (root.path().join("own"), root.path().join("own/data"));
        fs::create_dir_all(&data).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let set = |path: &Path| File::open(path).unwrap().set_modified(long_ago).unwrap();
        set(&own);
        let confinement = Confinement { enabled: true, hidden: vec![data.clone()], ..Confinement::default() };
        // Others may write beside the test at any moment: it looks at its own directory alone.
        let look = || {
            let mut reach = Reach::look(&confinement);
            reach.listed.retain(|(path, _)| fs::canonicalize(path).unwrap() == fs::canonicalize(&own).unwrap());
            assert_eq!(reach.listed.len(), 1);
            reach
        };
        let reach = look();
        assert!(!reach.is_stale());
        fs::write(data.join("hidden"), "").unwrap();
        assert!(!reach.is_stale());
        fs::write(own.join("more"), "").unwrap();
        assert!(reach.is_stale());
        // It was listed in the moment of its change: there may have been another after it.
        assert!(look().is_stale());
    }
}
