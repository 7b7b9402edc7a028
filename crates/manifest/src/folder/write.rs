//! Writing the files of a version into a folder: each whole and checked, or not at all, and none twice.

use super::{Links, Trouble, open};
use crate::{Content, Entry, Hash, List};
use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// What is at a path already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    Nothing,
    /// The file.
    Same,
    /// Something else.
    Other,
}

/// What is in a folder at the path of an entry. Reads the file there, when it has the right length.
///
/// # Errors
/// When it cannot be read.
pub fn present(root: &Path, entry: &Entry) -> Result<Present, Trouble> {
    let at = root.join(&entry.path);
    let of_file = |cause| Trouble::Io { at: at.clone(), cause };
    let metadata = match fs::symlink_metadata(&at) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Present::Nothing);
        }
        Err(error) => return Err(of_file(error)),
    };
    let is_executable = metadata.permissions().mode() & 0o100 != 0;
    if !metadata.is_file() || Some(metadata.len()) != entry.size() || is_executable != entry.executable {
        return Ok(Present::Other);
    }
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut open(&at, Links::Refuse)?, &mut hasher).map_err(of_file)?;
    let is_same = entry.digest() == Some(&hasher.finalize().into());
    Ok(if is_same { Present::Same } else { Present::Other })
}

/// A file that is being written beside its place.
pub struct Writing<'a> {
    entry: &'a Entry,
    at: PathBuf,
    part: PathBuf,
    file: File,
    hasher: blake3::Hasher,
}

impl<'a> Writing<'a> {
    /// Begins a file. What a broken off try wrote of a large one is kept, as far as it is what the list says.
    ///
    /// # Errors
    /// When its folder cannot be made or the file not be written.
    pub fn begin(root: &Path, entry: &'a Entry, list: Option<&List>) -> Result<(Self, usize), Trouble> {
        let at = root.join(&entry.path);
        let of_file = |cause| Trouble::Io { at: at.clone(), cause };
        let folder = at.parent().unwrap_or(root);
        // No file is written through a link that somebody put there.
        let mut above = root.to_owned();
        for part in entry.path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
            above.push(part);
            if fs::symlink_metadata(&above).is_ok_and(|metadata| metadata.is_symlink()) {
                let message = format!("\"{}\" is a link; nothing is written through it.", above.display());
                return Err(Trouble::Refused(message));
            }
        }
        fs::create_dir_all(folder).map_err(of_file)?;
        let digest = entry.digest().map(ToString::to_string).unwrap_or_default();
        let name = Hash::of(entry.path.as_bytes()).to_string();
        let part = folder.join(format!(".slipway-{}-{}.part", &name[..8], digest.get(..16).unwrap_or_default()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(list.is_none())
            .open(&part)
            .map_err(of_file)?;
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        for (digest, size) in list.map_or(&[][..], |list| &list.chunks) {
            let mut chunk = vec![0; *size as usize];
            if file.read_exact(&mut chunk).is_err() || Hash::of(&chunk) != *digest {
                break;
            }
            hasher.update(&chunk);
            done += 1;
        }
        file.seek(SeekFrom::Start(hasher.count())).map_err(of_file)?;
        file.set_len(hasher.count()).map_err(of_file)?;
        Ok((Self { entry, at, part, file, hasher }, done))
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|cause| Trouble::Io { at: self.part.clone(), cause })
    }

    /// Puts the file in its place, when it is what the version says.
    ///
    /// # Errors
    /// When it is not, or cannot be put there.
    pub fn end(self) -> Result<(), Trouble> {
        let of_file = |cause| Trouble::Io { at: self.at.clone(), cause };
        let digest: Hash = self.hasher.finalize().into();
        if self.entry.digest() != Some(&digest) || self.entry.size() != Some(self.hasher.count()) {
            let _ = fs::remove_file(&self.part);
            return Err(Trouble::Refused(format!("\"{}\" is damaged where it is stored.", self.entry.path)));
        }
        if self.entry.executable {
            fs::set_permissions(&self.part, Permissions::from_mode(0o755)).map_err(of_file)?;
        }
        fs::rename(&self.part, &self.at).map_err(of_file)
    }
}

/// Writes a small file.
///
/// # Errors
/// When the bytes are not the entry's, or cannot be written.
pub fn write_small(root: &Path, entry: &Entry, bytes: &[u8]) -> Result<(), Trouble> {
    debug_assert!(matches!(entry.content, Content::Small { .. }), "a large file is written chunk by chunk");
    let (mut writing, _) = Writing::begin(root, entry, None)?;
    writing.write(bytes)?;
    writing.end()
}
