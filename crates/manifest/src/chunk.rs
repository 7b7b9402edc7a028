//! Cutting a large file where its bytes say so.

use fastcdc::v2020::FastCDC;

/// How files are cut, as a root says it. Cut points decide what a version's digest is: another way has another name.
pub const ALGORITHM: &str = "fastcdc-2020 262144 1048576 4194304 normalization 1";
/// The least bytes of a chunk that is not a file's last.
pub const MIN_CHUNK: u32 = 256 << 10;
/// What most chunks have, or somewhat more.
pub const AVERAGE_CHUNK: u32 = 1 << 20;
/// The most bytes of a chunk.
pub const MAX_CHUNK: u32 = 4 << 20;

/// Takes a file's bytes in pieces of any length, and gives its chunks.
#[derive(Default)]
pub struct Chunker {
    held: Vec<u8>,
    /// Up to where chunks were given.
    given: usize,
}

impl Chunker {
    /// Takes bytes, and gives each chunk that they complete.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn push<E>(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.held.extend_from_slice(bytes);
        // Where a chunk ends is decided by at most MAX_CHUNK bytes from its start.
        while self.held.len() - self.given >= MAX_CHUNK as usize {
            self.give(&mut each)?;
        }
        // Moved once in a while, not for each chunk.
        if self.given >= 4 * MAX_CHUNK as usize || self.given == self.held.len() {
            self.held.drain(..self.given);
            self.given = 0;
        }
        Ok(())
    }

    /// Gives the chunks of what is left.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn end<E>(mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while self.given < self.held.len() {
            self.give(&mut each)?;
        }
        Ok(())
    }

    fn give<E>(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let rest = &self.held[self.given..];
        let rest = &rest[..rest.len().min(MAX_CHUNK as usize)];
        let cutter = FastCDC::new(rest, MIN_CHUNK as usize, AVERAGE_CHUNK as usize, MAX_CHUNK as usize);
        let (_, end) = cutter.cut(0, rest.len());
        each(&rest[..end])?;
        self.given += end;
        Ok(())
    }
}
