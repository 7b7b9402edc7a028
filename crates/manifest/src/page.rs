//! Entries of a version that are kept together.
//!
//! Where a page ends is said by the path of its last entry alone, unless it has become very large: a file more or less
//! touches one page, and at most the one after it.

use crate::{
    Entry, Hash,
    wire::{Malformed, Reader, Writer},
};

const MAGIC: &str = "slipway page 1\n";
/// One path in so many ends a page.
const ENTRIES: u32 = 4096;
/// A page of so many entries ends in any case.
const MAX_ENTRIES: usize = 4 * ENTRIES as usize;
/// A page whose entries take so many bytes ends in any case.
const MAX_BYTES: usize = 4 << 20;

/// Some entries of a version, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries; at least one.
    pub entries: Vec<Entry>,
}

/// A page, as a root knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRef {
    /// Which page.
    pub digest: Hash,
    /// How many entries it has.
    pub entries: u64,
    /// How many of them lie elsewhere.
    pub external: u64,
    /// How many bytes they have together, those that lie elsewhere left out.
    pub bytes: u64,
    /// The path of its first entry.
    pub first: String,
    /// The path of its last.
    pub last: String,
    /// Whether it ends by the rule: all but the last page of a version do.
    pub is_ended: bool,
}

/// Whether a page ends after the entry of this path, when the page has so many entries then, of so many bytes.
#[must_use]
pub fn ends_page(path: &str, entries: usize, bytes: usize) -> bool {
    let hash = blake3::hash(path.as_bytes());
    let first = hash.as_bytes().first_chunk().copied().map_or(0, u32::from_le_bytes);
    first < u32::MAX / ENTRIES || entries >= MAX_ENTRIES || bytes >= MAX_BYTES
}

/// Pages, as they are filled from sorted entries.
#[derive(Default)]
pub(crate) struct Filling {
    entries: Vec<Entry>,
    body: Writer,
}

impl Filling {
    /// Adds an entry. Gives the page that it ends.
    pub(crate) fn push(&mut self, entry: Entry) -> Option<(Vec<u8>, PageRef)> {
        entry.write(&mut self.body);
        let ends = ends_page(&entry.path, self.entries.len() + 1, self.body.0.len());
        self.entries.push(entry);
        if ends { self.take(true) } else { None }
    }

    /// What is left, as the last page.
    pub(crate) fn end(mut self) -> Option<(Vec<u8>, PageRef)> {
        self.take(false)
    }

    fn take(&mut self, is_ended: bool) -> Option<(Vec<u8>, PageRef)> {
        let page = Page { entries: std::mem::take(&mut self.entries) };
        let body = std::mem::take(&mut self.body);
        if page.entries.is_empty() {
            return None;
        }
        let mut out = Writer::begin(MAGIC);
        out.number(page.entries.len() as u64);
        out.0.extend_from_slice(&body.0);
        let reference = page.reference(Hash::of(&out.0), is_ended);
        Some((out.0, reference))
    }
}

impl Page {
    /// Reads a page, and refuses one that is not as it must be: sorted, and ending where it should and not before. Whether it
    /// ends by the rule is in the reference.
    ///
    /// # Errors
    /// When these bytes are no page.
    pub fn read(bytes: &[u8]) -> Result<(Self, PageRef), Malformed> {
        let mut from = Reader::begin(bytes, MAGIC, "The page")?;
        let count = from.count(1)?;
        if count == 0 || count > MAX_ENTRIES {
            return Err(from.wrong(&format!("has {count} entries; a page has 1 to {MAX_ENTRIES}")));
        }
        let start = from.at();
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        let mut is_ended = false;
        for _ in 0..count {
            if is_ended {
                return Err(from.wrong("goes on after an entry that ends a page"));
            }
            let entry = Entry::read(&mut from)?;
            if entries.last().is_some_and(|before| before.path >= entry.path) {
                return Err(from.wrong(&format!("is not sorted by path: \"{}\" comes too late", entry.path)));
            }
            is_ended = ends_page(&entry.path, entries.len() + 1, from.at() - start);
            entries.push(entry);
        }
        from.end()?;
        let page = Self { entries };
        let reference = page.reference(Hash::of(bytes), is_ended);
        Ok((page, reference))
    }

    fn reference(&self, digest: Hash, is_ended: bool) -> PageRef {
        let path = |entry: Option<&Entry>| entry.map(|entry| entry.path.clone()).unwrap_or_default();
        let kept = self.entries.iter().filter(|entry| entry.digest().is_some());
        let bytes = kept.clone().filter_map(Entry::size).fold(0, u64::saturating_add);
        PageRef {
            digest,
            entries: self.entries.len() as u64,
            external: (self.entries.len() - kept.count()) as u64,
            bytes,
            first: path(self.entries.first()),
            last: path(self.entries.last()),
            is_ended,
        }
    }
}
