//! The list of a version's pages. Its digest names the version.

use crate::{
    ALGORITHM, MAX_PATH, PageRef,
    wire::{Malformed, Reader, Writer},
};

const MAGIC: &str = "slipway root 1\n";

/// The pages of a version, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root {
    /// The pages. None for a version without files.
    pub pages: Vec<PageRef>,
}

impl Root {
    /// How many entries the version has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.pages.iter().map(|page| page.entries).fold(0, u64::saturating_add)
    }

    /// How many of them lie elsewhere.
    #[must_use]
    pub fn external(&self) -> u64 {
        self.pages.iter().map(|page| page.external).fold(0, u64::saturating_add)
    }

    /// How many bytes its files have together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pages.iter().map(|page| page.bytes).fold(0, u64::saturating_add)
    }

    /// The first page that may have paths from this one on.
    #[must_use]
    pub fn page_from(&self, path: &str) -> usize {
        self.pages.partition_point(|page| page.last.as_str() < path)
    }

    /// Its bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::begin(MAGIC);
        out.text(ALGORITHM);
        out.number(self.pages.len() as u64);
        for page in &self.pages {
            out.hash(&page.digest);
            out.number(page.entries);
            out.number(page.external);
            out.number(page.bytes);
            out.text(&page.first);
            out.text(&page.last);
            out.byte(u8::from(page.is_ended));
        }
        out.0
    }

    /// Reads a root. What it says of its pages is true only if each says the same of itself, which whoever takes a root from
    /// others must check.
    ///
    /// # Errors
    /// When these bytes are no root, or its pages are not in order.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::begin(bytes, MAGIC, "The root")?;
        let algorithm = from.text(100)?;
        if algorithm != ALGORITHM {
            return Err(from.wrong(&format!("is cut by \"{algorithm}\", and not by \"{ALGORITHM}\"")));
        }
        let count = from.count(38)?;
        let mut root = Self { pages: Vec::with_capacity(count) };
        for index in 0..count {
            let page = PageRef {
                digest: from.hash()?,
                entries: from.number()?,
                external: from.number()?,
                bytes: from.number()?,
                first: from.text(MAX_PATH)?,
                last: from.text(MAX_PATH)?,
                is_ended: match from.byte()? {
                    0 => false,
                    1 => true,
                    _ => return Err(from.wrong("has a page that ends neither by the rule nor at the end")),
                },
            };
            let in_order = root.pages.last().is_none_or(|before| before.last < page.first) && page.first <= page.last;
            if !in_order {
                return Err(from.wrong(&format!("has pages that are not in order: see \"{}\"", page.first)));
            }
            if !page.is_ended && index + 1 < count {
                return Err(from.wrong(&format!("has a page that ends too early, at \"{}\"", page.last)));
            }
            root.pages.push(page);
        }
        from.end()?;
        Ok(root)
    }
}
