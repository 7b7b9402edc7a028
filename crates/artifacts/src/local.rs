//! What the local file system needs beyond the object store's interface: a root that exists, and no rubbish in it.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// Creates the root, and removes uploads and probes untouched for `abandoned_after`, and parts for longer: a file that
/// comes in parts may take its time. Younger ones may belong to another process that is writing them right now.
pub(crate) fn prepare(root: &Path, abandoned_after: Duration, parts_after: Duration) -> io::Result<()> {
    fs::create_dir_all(root)?;
    sweep(&root.join("uploads"), abandoned_after)?;
    sweep(&root.join("parts"), parts_after)?;
    sweep(&root.join("probes"), abandoned_after)
}

fn sweep(directory: &Path, abandoned_after: Duration) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match remove_if_older(&entry, abandoned_after) {
            // Its writer finished or another process swept it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn remove_if_older(entry: &fs::DirEntry, age: Duration) -> io::Result<()> {
    let touched = entry.metadata()?.modified()?;
    if SystemTime::now().duration_since(touched).is_ok_and(|elapsed| elapsed > age) {
        fs::remove_file(entry.path())?;
    }
    Ok(())
}
