//! The chunks of a large file.

use crate::{
    Hash, MAX_CHUNK,
    wire::{Malformed, Reader, Writer},
};

const MAGIC: &str = "slipway list 1\n";

/// The most chunks of a file: some 110 GiB.
pub const MAX_CHUNKS: usize = 110_000;

/// The chunks of a file, in order: digest and length in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The chunks.
    pub chunks: Vec<(Hash, u32)>,
}

impl List {
    /// How many bytes the chunks have together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.chunks.iter().map(|(_, size)| u64::from(*size)).sum()
    }

    /// Its bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::begin(MAGIC);
        out.number(self.chunks.len() as u64);
        for (digest, size) in &self.chunks {
            out.hash(digest);
            out.number(u64::from(*size));
        }
        out.0
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When these bytes are none.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::begin(bytes, MAGIC, "The list of chunks")?;
        let count = from.count(33)?;
        if count == 0 || count > MAX_CHUNKS {
            return Err(from.wrong(&format!("has {count} chunks; a file has 1 to {MAX_CHUNKS}")));
        }
        let mut list = Self { chunks: Vec::with_capacity(count) };
        for _ in 0..count {
            let digest = from.hash()?;
            let size = u32::try_from(from.number()?).ok().filter(|size| (1..=MAX_CHUNK).contains(size));
            let size = size.ok_or_else(|| from.wrong(&format!("has a chunk of no or more than {MAX_CHUNK} bytes")))?;
            list.chunks.push((digest, size));
        }
        from.end()?;
        Ok(list)
    }
}
