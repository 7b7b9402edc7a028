//! The directory of one try of a step.
//!
//! ```text
//! ROOT/NAME/.lock    held as long as somebody needs the directory
//!           work/    where the command begins: files of the pipeline, inputs/, outputs
//!           home/    HOME
//!           tmp/     TMPDIR
//! ```

use crate::{Doing as _, Error, tree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// The directory of one try of a step.
#[derive(Debug)]
pub struct StepDir {
    path: PathBuf,
    /// Locked until this is dropped or its process ends.
    _lock: File,
}

/// The folder in which the directories of tries lie. Workers of a machine may share it.
#[derive(Debug, Clone)]
pub struct StepDirs {
    root: PathBuf,
}

impl StepDirs {
    /// The folder at this path, which need not be there yet.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // Shims begin elsewhere, and containers know no other directory.
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// Its path, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory of a try with what the step needs in it.
    ///
    /// # Errors
    /// When it exists, a path leaves it, or it cannot be written.
    pub async fn create(&self, name: &str, files: BTreeMap<String, String>) -> Result<StepDir, Error> {
        let (root, name) = (self.root.clone(), name.to_owned());
        blocking("the step's directory", move || StepDir::create(&root, &name, &files)).await
    }

    /// Takes the directory of a try whose worker is gone. None when it is not there, or somebody has it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub async fn open(&self, name: &str) -> Result<Option<StepDir>, Error> {
        let (root, name) = (self.root.clone(), name.to_owned());
        blocking("the step's directory", move || StepDir::open(&root, &name)).await
    }

    /// Takes away the directories that no living process holds, but for these. Returns how many.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn sweep(&self, kept: BTreeSet<String>) -> Result<usize, Error> {
        let root = self.root.clone();
        blocking("directories of steps", move || sweep(&root, &kept)).await
    }
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|join| Error::new(what, io::Error::other(join)))?
}

/// An output that is not there as the pipeline says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// Nothing is at its path.
    #[error("the step did not write \"{0}\"")]
    Missing(String),
    /// It is a link to something outside of the step's directory.
    #[error("\"{0}\" leads out of the step's directory")]
    Outside(String),
    /// It is neither a file nor a directory.
    #[error("\"{0}\" is neither a file nor a directory")]
    Special(String),
    /// It has more bytes than are read of such a file.
    #[error("\"{0}\" has more than {1} bytes")]
    TooLarge(String, u64),
}

impl StepDir {
    /// Makes the directory with what the step needs in it. Blocks.
    ///
    /// # Errors
    /// When it exists, a path leaves it, or it cannot be written.
    fn create(root: &Path, name: &str, files: &BTreeMap<String, String>) -> Result<Self, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_plain) {
            return Err(Error::new("the step's directory could not be named", io::ErrorKind::InvalidInput));
        }
        let path = root.join(name);
        let doing = "the step's directory could not be made";
        fs::create_dir_all(root).doing(doing)?;
        let private = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
        private(&path).doing(doing)?;
        let lock = File::create_new(path.join(LOCK)).doing(doing)?;
        lock.lock().doing(doing)?;
        // From here on an error leaves something that `remove` or a sweep takes away.
        let dir = Self { path, _lock: lock };
        for directory in [dir.work(), dir.home(), dir.tmp()] {
            private(&directory).doing(doing)?;
        }
        for (path, text) in files {
            write_file(&dir.inside(path)?, text).doing(format!("the file \"{path}\" could not be written"))?;
        }
        Ok(dir)
    }

    /// Takes the directory of a try whose worker is gone. None when it is not there, or somebody has it. Blocks.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn open(root: &Path, name: &str) -> Result<Option<Self>, Error> {
        let path = root.join(name);
        let lock = match OpenOptions::new().read(true).write(true).open(path.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("the step's directory could not be taken over")?,
        };
        Ok(lock.try_lock().is_ok().then_some(Self { path, _lock: lock }))
    }

    /// The name of the try.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The whole of it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the command begins, and what paths of outputs are relative to.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// HOME of the command.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// TMPDIR of the command.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    fn inside(&self, path: &str) -> Result<PathBuf, Error> {
        domain::pipeline::check_relative_path(path)
            .map_err(|rule| Error::new(format!("the path \"{path}\" {rule}"), io::ErrorKind::InvalidInput))?;
        Ok(self.work().join(path))
    }

    /// Where this output is: a file or directory, with links resolved. Blocks.
    ///
    /// # Errors
    /// When it is not there, or is a link that leads out of the directory: then it is not the step's to give.
    pub fn output(&self, path: &str) -> Result<PathBuf, OutputError> {
        let missing = || OutputError::Missing(path.to_owned());
        let work = fs::canonicalize(self.work()).map_err(|_| missing())?;
        let found = fs::canonicalize(self.inside(path).map_err(|_| missing())?).map_err(|_| missing())?;
        if !found.starts_with(&work) {
            return Err(OutputError::Outside(path.to_owned()));
        }
        let kind = fs::metadata(&found).map_err(|_| missing())?.file_type();
        if kind.is_file() || kind.is_dir() { Ok(found) } else { Err(OutputError::Special(path.to_owned())) }
    }

    /// What reads files of the step while it runs.
    #[must_use]
    pub fn files(&self) -> StepFiles {
        StepFiles { work: self.work() }
    }

    /// Gives the directory to whom a container runs as, and says who that is, user and group: the worker's own, or nobody
    /// that the machine knows when that is root. Blocks.
    ///
    /// # Errors
    /// When it cannot be given.
    pub fn hand_over(&self) -> Result<(u32, u32), Error> {
        let (user, group) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        if user != 0 {
            return Ok((user, group));
        }
        for path in [self.work(), self.home(), self.tmp()] {
            give(&path).doing("the step's directory could not be handed over")?;
        }
        Ok((NOBODY, NOBODY))
    }

    /// Takes the directory away with all that is in it. Blocks.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> Result<(), Error> {
        // Most are empty, and then there is no need to look into them.
        for part in [self.work(), self.home(), self.tmp()] {
            let _ = fs::remove_dir(part);
        }
        remove(&self.path).doing("the step's directory could not be removed")
    }
}

/// Reads files of a step that may still run, and so may put something else in a file's place at any moment.
#[derive(Debug, Clone)]
pub struct StepFiles {
    work: PathBuf,
}

impl StepFiles {
    /// The file at this path, when it has at most so many bytes. Blocks.
    ///
    /// # Errors
    /// When it is not there, is no file, is larger, or leads out of the directory: then it is not the step's to show.
    pub fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, OutputError> {
        let missing = |_| OutputError::Missing(path.to_owned());
        domain::pipeline::check_relative_path(path).map_err(|_| OutputError::Missing(path.to_owned()))?;
        let work = fs::canonicalize(&self.work).map_err(missing)?;
        // A pipe that nobody writes to is opened all the same, and then found to be no file.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(work.join(path))
            .map_err(missing)?;
        // Where it lies is asked of what is open: what the path leads to may be another file by now.
        let place = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).map_err(missing)?;
        if !place.starts_with(&work) {
            return Err(OutputError::Outside(path.to_owned()));
        }
        if !opened.metadata().map_err(missing)?.is_file() {
            return Err(OutputError::Special(path.to_owned()));
        }
        let mut bytes = Vec::new();
        opened.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(missing)?;
        match bytes.len() as u64 > most {
            true => Err(OutputError::TooLarge(path.to_owned(), most)),
            false => Ok(bytes),
        }
    }
}

const LOCK: &str = ".lock";

/// The user and group of containers when the worker is root.
const NOBODY: u32 = 65_532;

/// A directory without a lock is being made, unless it is older than this.
const MAKING: Duration = Duration::from_secs(60);

/// Takes away the directories that no living process holds, but for those with these names. Returns how many. Blocks.
///
/// # Errors
/// When they cannot be listed.
fn sweep(root: &Path, kept: &BTreeSet<String>) -> Result<usize, Error> {
    let doing = "directories of steps could not be listed";
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.doing(doing)?,
    };
    let mut swept = 0;
    for entry in entries {
        let path = entry.doing(doing)?.path();
        let is_kept = path.file_name().is_some_and(|name| kept.contains(name.to_string_lossy().as_ref()));
        if !is_kept && path.is_dir() && is_abandoned(&path) {
            // Nothing, unless the shim was killed together with the worker.
            tree::kill_marked(&path);
            swept += usize::from(remove(&path).is_ok());
        }
    }
    Ok(swept)
}

fn is_abandoned(path: &Path) -> bool {
    match OpenOptions::new().read(true).write(true).open(path.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => {
            let age = fs::metadata(path).and_then(|meta| meta.modified()).ok().and_then(|made| made.elapsed().ok());
            age.is_some_and(|age| age > MAKING)
        }
    }
}

/// Removes a tree, also one whose directories were made read-only.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn give(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        return Ok(());
    }
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}

fn open_up(directory: &Path) {
    // What cannot be opened up shows when it cannot be removed.
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn create(root: &Path, name: &str) -> StepDir {
        let files = BTreeMap::from([
            ("train.py".to_owned(), "print(1)\n".to_owned()),
            ("bin/run".to_owned(), "#!/bin/sh\n".to_owned()),
        ]);
        StepDir::create(root, name, &files).unwrap()
    }

    #[test]
    fn files_lie_where_the_pipeline_says_and_scripts_can_be_run() {
        let root = tempfile::tempdir().unwrap();
        let dir = create(root.path(), "7");
        assert_eq!(fs::read_to_string(dir.work().join("train.py")).unwrap(), "print(1)\n");
        let mode = |path: &str| fs::metadata(dir.work().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("bin/run"), mode("train.py")), (0o755, 0o644));
    }

    #[test]
    fn paths_that_leave_the_directory_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for path in ["/tmp/x", "../x", "a/../../x"] {
            let files = BTreeMap::from([(path.to_owned(), String::new())]);
            assert!(StepDir::create(root.path(), &format!("n{}", path.len()), &files).is_err(), "{path}");
        }
        for name in ["", "..", "a/b", "."] {
            assert!(StepDir::create(root.path(), name, &BTreeMap::new()).is_err(), "{name}");
        }
    }

    #[test]
    fn outputs_must_be_there_and_be_the_steps_own() {
        let root = tempfile::tempdir().unwrap();
        let dir = create(root.path(), "1");
        fs::write(dir.work().join("model.onnx"), "x").unwrap();
        symlink("model.onnx", dir.work().join("latest")).unwrap();
        symlink("/etc/hostname", dir.work().join("stolen")).unwrap();
        symlink("..", dir.work().join("up")).unwrap();
        assert!(dir.output("model.onnx").is_ok() && dir.output("bin").is_ok());
        assert_eq!(dir.output("latest"), dir.output("model.onnx"));
        assert_eq!(dir.output("none"), Err(OutputError::Missing("none".to_owned())));
        assert_eq!(dir.output("stolen"), Err(OutputError::Outside("stolen".to_owned())));
        assert_eq!(dir.output("up"), Err(OutputError::Outside("up".to_owned())));
        let pipe = dir.work().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(dir.output("pipe"), Err(OutputError::Special("pipe".to_owned())));
    }

    #[test]
    fn a_file_of_a_step_that_runs_is_read_only_where_it_is_the_steps_own() {
        let root = tempfile::tempdir().unwrap();
        let dir = create(root.path(), "1");
        let files = dir.files();
        assert_eq!(files.read("train.py", 100).unwrap(), b"print(1)\n");
        assert_eq!(files.read("train.py", 3), Err(OutputError::TooLarge("train.py".to_owned(), 3)));
        symlink("/etc/hostname", dir.work().join("stolen")).unwrap();
        symlink("/etc", dir.work().join("out")).unwrap();
        symlink("train.py", dir.work().join("latest")).unwrap();
        nix::unistd::mkfifo(&dir.work().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(files.read("stolen", 100), Err(OutputError::Outside("stolen".to_owned())));
        assert_eq!(files.read("out/hostname", 100), Err(OutputError::Outside("out/hostname".to_owned())));
        assert!(files.read("latest", 100).is_ok());
        assert_eq!(files.read("pipe", 100), Err(OutputError::Special("pipe".to_owned())));
        assert_eq!(files.read("bin", 100), Err(OutputError::Special("bin".to_owned())));
        for path in ["none", "../1/work/train.py", "/etc/hostname"] {
            assert_eq!(files.read(path, 100), Err(OutputError::Missing(path.to_owned())));
        }
    }

    #[test]
    fn a_directory_made_read_only_is_removed_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        let dir = create(root.path(), "1");
        fs::set_permissions(dir.work().join("bin"), Permissions::from_mode(0o500)).unwrap();
        dir.remove().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_sweep_takes_only_what_nobody_holds() {
        let root = tempfile::tempdir().unwrap();
        let held = create(root.path(), "held");
        drop(create(root.path(), "left"));
        fs::create_dir(root.path().join("being-made")).unwrap();
        assert_eq!(sweep(root.path(), &BTreeSet::new()).unwrap(), 1);
        assert!(held.work().exists() && root.path().join("being-made").exists() && !root.path().join("left").exists());
        assert_eq!(sweep(&root.path().join("nothing"), &BTreeSet::new()).unwrap(), 0);
    }
}
