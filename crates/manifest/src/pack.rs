//! Objects in one body: its index, then their bytes one after the other. A body is sent, stored and read in part as it is.

use crate::{
    Hash, MAX_OBJECT,
    wire::{Malformed, Reader, Writer},
};

const MAGIC: &str = "slipway pack 1\n";

/// From so many bytes on, a pack is closed.
pub const PACK: usize = 8 << 20;
/// The most bytes of a pack that is read.
pub const MAX_PACK: usize = 32 << 20;
/// The most objects of a pack: an index of a few megabytes.
const MAX_OBJECTS: usize = 65_536;

/// An object of a pack, and where in the body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Which object.
    pub digest: Hash,
    /// Its first byte.
    pub at: u32,
    /// Its length in bytes.
    pub size: u32,
}

/// What is in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The objects, in the order of their bytes.
    pub objects: Vec<Packed>,
}

impl Pack {
    /// Reads a body, and makes sure that each object is what its digest says.
    ///
    /// # Errors
    /// When these bytes are no pack, or an object has another digest.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::begin(body, MAGIC, "The pack")?;
        if body.len() > MAX_PACK {
            return Err(from.wrong(&format!("has more than {MAX_PACK} bytes")));
        }
        let count = from.count(33)?;
        if count > MAX_OBJECTS {
            return Err(from.wrong(&format!("has more than {MAX_OBJECTS} objects")));
        }
        let mut index = Vec::with_capacity(count);
        for _ in 0..count {
            let digest = from.hash()?;
            let size = usize::try_from(from.number()?).ok().filter(|size| (1..=MAX_OBJECT).contains(size));
            index.push((digest, size.ok_or_else(|| from.wrong("has an object that is empty or too large"))?));
        }
        let mut objects = Vec::with_capacity(count);
        for (digest, size) in index {
            let at = from.at();
            let bytes = from.take(size)?;
            if Hash::of(bytes) != digest {
                return Err(from.wrong(&format!("has other bytes than those of the object {digest}")));
            }
            // Both are below MAX_PACK.
            objects.push(Packed { digest, at: at as u32, size: size as u32 });
        }
        from.end()?;
        Ok(Self { objects })
    }
}

/// A body in the making.
#[derive(Default)]
pub struct PackBuilder {
    index: Writer,
    count: usize,
    bytes: Vec<u8>,
}

impl PackBuilder {
    /// Adds an object, which has at least one byte and at most [`MAX_OBJECT`].
    pub fn push(&mut self, digest: &Hash, bytes: &[u8]) {
        self.index.hash(digest);
        self.index.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
    }

    /// Whether it should be closed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK || self.count >= MAX_OBJECTS
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The body. The builder is empty then.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Writer::begin(MAGIC);
        out.number(self.count as u64);
        out.0.extend_from_slice(&std::mem::take(&mut self.index).0);
        out.0.append(&mut self.bytes);
        self.count = 0;
        out.0
    }
}
