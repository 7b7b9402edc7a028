//! A folder of artifacts as a page shows it: a page of what is right in it, and how much there is in all.

use crate::{artifact_path::ArtifactFolder, model::VersionFile};
use std::collections::BTreeMap;

/// The most entries of a page.
pub const PAGE: usize = 200;
/// The most files that are sent as one.
pub const MAX_ARCHIVE_FILES: i64 = 10_000;
/// The most bytes that are sent as one.
pub const MAX_ARCHIVE: i64 = 10 << 30;

/// What lies right in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path, from the root.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// How many bytes it has; a folder, with all that is below it.
    pub size: i64,
    /// How many files it is: 1, or how many are below it.
    pub files: i64,
}

impl TreeEntry {
    /// The last part of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A page of a folder, folders first, each sort by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreePage {
    /// The folder's path; empty for the root.
    pub folder: String,
    /// What is on this page.
    pub entries: Vec<TreeEntry>,
    /// How many entries the folder has.
    pub total: i64,
    /// How many files are below it.
    pub files: i64,
    /// How many bytes they have.
    pub size: i64,
    /// How many entries come before this page.
    pub before: i64,
    /// The path of the first entry of the next page.
    pub next: Option<String>,
}

/// All that lies right in a folder of these files, folders first, each sort by name.
#[must_use]
pub fn entries(files: &[VersionFile], folder: &ArtifactFolder) -> Vec<TreeEntry> {
    // Folders before files: by what is false of them.
    let mut found: BTreeMap<(bool, &str), (i64, i64)> = BTreeMap::new();
    let prefix = folder.prefix();
    for file in files {
        let Some(rest) = file.path.strip_prefix(&prefix) else { continue };
        let (name, is_file) = rest.split_once('/').map_or((rest, true), |(name, _)| (name, false));
        let (size, count) = found.entry((is_file, name)).or_default();
        *size += file.size;
        *count += 1;
    }
    let entry = |((is_file, name), (size, files)): ((bool, &str), (i64, i64))| TreeEntry {
        path: format!("{prefix}{name}"),
        is_dir: !is_file,
        size,
        files,
    };
    found.into_iter().map(entry).collect()
}

impl TreePage {
    /// A page of a folder of these files, beginning with the entry of the name `from`, or with the first.
    #[must_use]
    pub fn of(files: &[VersionFile], folder: &ArtifactFolder, from: Option<&str>, limit: usize) -> Self {
        let entries = entries(files, folder);
        let before = from.and_then(|from| entries.iter().position(|entry| entry.name() == from)).unwrap_or_default();
        Self {
            folder: folder.as_str().to_owned(),
            total: count(entries.len()),
            files: entries.iter().map(|entry| entry.files).sum(),
            size: entries.iter().map(|entry| entry.size).sum(),
            before: count(before),
            next: entries.get(before + limit).map(|entry| entry.path.clone()),
            entries: entries.into_iter().skip(before).take(limit).collect(),
        }
    }
}

fn count(entries: usize) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    #[test]
    fn a_folder_has_pages_with_folders_first() {
        let file = |path: &str| VersionFile { path: path.to_owned(), digest: Digest::blake3([0; 32]), size: 2 };
        let files = ["a.txt", "b/x", "b/y/z", "c/d", "z.txt", "bb"].map(file);
        let root = ArtifactFolder::root();
        let names = |page: &TreePage| page.entries.iter().map(|e| e.path.clone()).collect::<Vec<_>>();
        let first = TreePage::of(&files, &root, None, 3);
        assert_eq!(names(&first), ["b", "c", "a.txt"]);
        assert_eq!((first.total, first.files, first.size, first.before), (5, 6, 12, 0));
        assert_eq!((first.entries[0].size, first.entries[0].files), (4, 2));
        assert_eq!(first.next.as_deref(), Some("bb"));
        let second = TreePage::of(&files, &root, first.next.as_deref(), 3);
        assert_eq!((names(&second), second.before, second.next), (vec!["bb".to_owned(), "z.txt".to_owned()], 3, None));
        let folder = ArtifactFolder::parse("b").unwrap();
        assert_eq!(names(&TreePage::of(&files, &folder, None, 9)), ["b/y", "b/x"]);
        assert_eq!(TreePage::of(&files, &ArtifactFolder::parse("none").unwrap(), None, 9).total, 0);
    }
}
