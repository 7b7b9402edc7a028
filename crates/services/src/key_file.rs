//! The files of keys, in the data folder: read by nobody else, and written so that they outlast a power cut.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Writes a key into a new file of this name, in a folder that is made with the first.
pub(crate) fn keep(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Its name, too.
    fs::File::open(folder)?.sync_all()
}

/// Deletes the file of a key, unless it is gone already.
pub(crate) fn delete(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
