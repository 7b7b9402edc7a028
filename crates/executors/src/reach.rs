//! What of the machine the steps of a worker can reach besides their own directories: looked up and opened once, since
//! naming all that lies beside what is hidden takes longer than a short step, and again when it may be another.

use crate::{Confinement, sandbox::Inherited};
use landlock::{PathFd, PathFdError};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        resource::{Resource, getrlimit},
        stat::{SFlag, fstat, stat},
    },
};
use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
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

/// Files that a process keeps for other things than places.
const OTHER_FILES: u64 = 128;

/// A directory that changed so few seconds before it was listed may have changed again without looking so.
const UNSURE: i64 = 1;

/// What steps can reach.
pub(crate) struct Reach {
    /// Everything but what is hidden.
    pub(crate) readable: Places,
    pub(crate) writable: Places,
    /// Device files of all graphics processors.
    pub(crate) gpus: Places,
    /// What they are kept from besides, whatever they reach.
    pub(crate) inherited: Inherited,
    listed: Listed,
    /// Paths that were asked for, and where they were: a link may lead elsewhere by now.
    asked: Vec<(PathBuf, Option<PathBuf>)>,
    /// Tells of file systems that are mounted and taken away.
    mounts: Option<File>,
    /// Something could not be opened that may be another time.
    is_part: bool,
}

/// Files and directories, each with all below it. As many as may be are open, the others are opened when they are needed.
#[derive(Default)]
pub(crate) struct Places {
    opened: Vec<Place>,
    named: Vec<PathBuf>,
}

/// A file or directory, and all below it.
pub(crate) struct Place {
    opened: PathFd,
    pub(crate) is_directory: bool,
}

/// A place that is open already, or was opened for this.
pub(crate) enum Held<'a> {
    Open(&'a Place),
    Now(Place),
}

impl Held<'_> {
    pub(crate) fn is_directory(&self) -> bool {
        match self {
            Self::Open(place) => place.is_directory,
            Self::Now(place) => place.is_directory,
        }
    }
}

impl AsFd for Held<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(place) => place.opened.as_fd(),
            Self::Now(place) => place.opened.as_fd(),
        }
    }
}

impl Place {
    pub(crate) fn open(path: &Path) -> Result<Self, PathFdError> {
        let opened = PathFd::new(path)?;
        let kind = fstat(&opened).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        Ok(Self { opened, is_directory: kind == Ok(SFlag::S_IFDIR) })
    }
}

impl Places {
    /// One after the other; those that are not there are left out.
    pub(crate) fn each(&self) -> impl Iterator<Item = Held<'_>> {
        let named = self.named.iter().filter_map(|path| Place::open(path).ok());
        self.opened.iter().map(Held::Open).chain(named.map(Held::Now))
    }

    pub(crate) fn named(paths: Vec<PathBuf>) -> Self {
        Self { opened: Vec::new(), named: paths }
    }
}

impl Reach {
    pub(crate) fn look(confinement: &Confinement, inherited: Inherited) -> Self {
        let mounts = File::open("/proc/self/mountinfo").ok();
        let mut listed = Listed { directories: Vec::new(), at: seconds_now() };
        let mut asked = Vec::new();
        let mut find = |path: &PathBuf| {
            let found = fs::canonicalize(path).ok();
            asked.push((path.clone(), found.clone()));
            found.unwrap_or_else(|| path.clone())
        };
        let hidden: Vec<PathBuf> = confinement.hidden.iter().map(&mut find).collect();
        let mut readable = listed.all_but(Path::new("/"), &hidden);
        readable.extend(confinement.shown.iter().inspect(|path| listed.beside(path)).cloned());
        listed.note(Path::new(DEVICE_FILES));
        let mut writable: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        for path in &confinement.writable {
            listed.beside(path);
            let path = find(path);
            // What is hidden stays so also below them.
            match hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                true => writable.extend(listed.all_but(&path, &hidden)),
                false => writable.push(path),
            }
        }
        let gpus = (0..MOST_GPUS).map(|number| format!("{DEVICE_FILES}/nvidia{number}").into()).collect();
        let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft.saturating_sub(OTHER_FILES));
        let mut opening = Opening { left: most, is_part: false };
        Self {
            writable: opening.all(writable),
            gpus: opening.all(gpus),
            readable: opening.all(readable),
            inherited,
            listed,
            asked,
            mounts,
            is_part: opening.is_part,
        }
    }

    /// Whether looking again might find something else.
    pub(crate) fn is_stale(&self) -> bool {
        let is_mounted_else = self.mounts.as_ref().is_none_or(|mounts| {
            let mut changed = [PollFd::new(mounts.as_fd(), PollFlags::POLLPRI)];
            poll(&mut changed, PollTimeout::ZERO) != Ok(0)
        });
        self.is_part
            || is_mounted_else
            || self.asked.iter().any(|(path, before)| fs::canonicalize(path).ok() != *before)
            || self.listed.is_stale()
    }
}

/// Opens places while files may be open.
struct Opening {
    left: u64,
    is_part: bool,
}

impl Opening {
    fn all(&mut self, paths: Vec<PathBuf>) -> Places {
        let mut places = Places::default();
        for path in paths {
            if self.left == 0 {
                places.named.push(path);
                continue;
            }
            match Place::open(&path) {
                Ok(place) => {
                    self.left -= 1;
                    places.opened.push(place);
                }
                Err(PathFdError::OpenCall { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.is_part = true,
            }
        }
        places
    }
}

/// Which directory is at a path, and when it last changed; not to be set by who may write to it, as the time of its last
/// modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

fn seen(directory: &Path) -> Option<Seen> {
    let stat = stat(directory).ok()?;
    Some(Seen { device: stat.st_dev, inode: stat.st_ino, changed: (stat.st_ctime, stat.st_ctime_nsec) })
}

fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Directories whose entries were looked at; none for one that is not there.
struct Listed {
    directories: Vec<(PathBuf, Option<Seen>)>,
    /// Seconds since 1970.
    at: i64,
}

impl Listed {
    fn is_stale(&self) -> bool {
        self.directories.iter().any(|(path, before)| {
            let is_sure = |seen: Seen| self.at.saturating_sub(seen.changed.0) > UNSURE;
            seen(path) != *before || before.is_some_and(|before| !is_sure(before))
        })
    }

    fn note(&mut self, directory: &Path) {
        self.directories.push((directory.to_owned(), seen(directory)));
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
    use std::{
        os::unix::fs::symlink,
        time::{Duration, Instant},
    };

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
        let mut listed = Listed { directories: Vec::new(), at: seconds_now() };
        let mut named = listed.all_but(&root, &[root.join("b/data")]);
        named.sort();
        assert_eq!(named, [root.join("a"), root.join("b/c"), root.join("other")]);
    }

    #[test]
    fn what_may_have_changed_is_looked_at_again() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let (own, data) = (root.join("own"), root.join("own/data"));
        fs::create_dir_all(&data).unwrap();
        symlink(&data, root.join("link")).unwrap();
        let confinement = Confinement { enabled: true, hidden: vec![root.join("link")], ..Confinement::default() };
        // Others may write beside the test at any moment: it looks at its own directory alone.
        let look = || {
            let mut reach = Reach::look(&confinement, Inherited::default());
            reach.listed.directories.retain(|(path, _)| *path == own);
            assert_eq!(reach.listed.directories.len(), 1);
            (reach.is_part, reach.mounts) = (false, Some(File::open("/proc/self/mountinfo").unwrap()));
            reach
        };
        // It was listed in the moment of its change: there may have been another after it.
        assert!(look().is_stale());
        let give_up = Instant::now() + Duration::from_secs(30);
        let reach = loop {
            let reach = look();
            if !reach.is_stale() {
                break reach;
            }
            assert!(Instant::now() < give_up, "it stays unsure");
            std::thread::sleep(Duration::from_millis(50));
        };
        fs::write(data.join("hidden"), "").unwrap();
        assert!(!reach.is_stale());
        // By a time in the far future, as a step may set it, nothing is broken.
        let far = UNIX_EPOCH + Duration::from_secs(i64::MAX.unsigned_abs());
        let _ = File::open(&own).unwrap().set_modified(far);
        assert!(reach.is_stale());
        let mut reach = look();
        reach.listed.directories.clear();
        assert!(!reach.is_stale());
        fs::remove_file(root.join("link")).unwrap();
        symlink(&own, root.join("link")).unwrap();
        assert!(reach.is_stale());
    }

    #[test]
    fn places_that_may_not_all_be_open_are_opened_when_they_are_needed() {
        let root = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..5).map(|number| root.path().join(number.to_string())).collect();
        paths.iter().take(4).for_each(|path| fs::create_dir(path).unwrap());
        let mut opening = Opening { left: 2, is_part: false };
        let places = opening.all(paths);
        assert_eq!((places.opened.len(), places.named.len(), places.each().count()), (2, 3, 4));
        assert!(!opening.is_part && places.each().all(|place| place.is_directory()));
    }
}
