//! From entries to pages and a root.

use crate::{Entry, Hash, Malformed, Root, page::Filling};

/// A version's root and pages, as objects.
#[derive(Debug, Clone)]
pub struct Built {
    /// The root.
    pub root: Root,
    /// Its digest: the version's.
    pub digest: Hash,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The bytes of each page, in the order of the root.
    pub pages: Vec<Vec<u8>>,
}

/// Makes the pages and the root of these entries, in whatever order they come.
///
/// # Errors
/// When an entry is none, a path is there twice, or is a file and a folder.
pub fn build(mut entries: Vec<Entry>) -> Result<Built, Malformed> {
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    for entry in &entries {
        entry.check()?;
    }
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(Malformed::new(format!("The path \"{}\" is there twice.", pair[0].path)));
    }
    let is_file = |path: &str| entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).is_ok();
    // Sorted, so whatever is in one folder comes together: it is asked once.
    let mut asked = "";
    for entry in &entries {
        let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder == asked {
            continue;
        }
        asked = folder;
        for (end, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            if is_file(&folder[..end]) {
                return Err(Malformed::new(format!("The path \"{}\" is a file and a folder.", &folder[..end])));
            }
        }
    }
    let (mut filling, mut root, mut pages) = (Filling::default(), Root::default(), Vec::new());
    let mut add = |page: Option<(Vec<u8>, crate::PageRef)>| {
        if let Some((bytes, reference)) = page {
            root.pages.push(reference);
            pages.push(bytes);
        }
    };
    for entry in entries {
        add(filling.push(entry));
    }
    add(filling.end());
    let bytes = root.write();
    Ok(Built { digest: Hash::of(&bytes), root, bytes, pages })
}
