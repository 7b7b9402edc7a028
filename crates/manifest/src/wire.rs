//! How numbers, texts and digests are written. A number is LEB128, in as few bytes as it takes; a text is its length and
//! its bytes.

use crate::Hash;

/// Bytes that are not what they are said to be. The sentence is for whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn begin(magic: &str) -> Self {
        Self(magic.as_bytes().to_vec())
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn hash(&mut self, hash: &Hash) {
        self.0.extend_from_slice(&hash.0);
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what` is what the bytes should be, to begin a sentence: `The page`.
    pub(crate) fn begin(bytes: &'a [u8], magic: &str, what: &'static str) -> Result<Self, Malformed> {
        if !bytes.starts_with(magic.as_bytes()) {
            return Err(Malformed::new(format!("{what} does not begin with \"{}\".", magic.trim_end())));
        }
        Ok(Self { bytes, at: magic.len(), what })
    }

    pub(crate) fn wrong(&self, why: &str) -> Malformed {
        Malformed::new(format!("{} {why}.", self.what))
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.wrong("ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.wrong("has a number in more bytes than it takes"));
                }
                return Ok(number);
            }
        }
        Err(self.wrong("has a number that is too large"))
    }

    /// A number of things that take at least `each` bytes: no more than there is room for.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let room = (self.bytes.len() - self.at) / each.max(1);
        let count = self.number()?;
        usize::try_from(count).ok().filter(|count| *count <= room).ok_or_else(|| self.wrong("ends too early"))
    }

    pub(crate) fn text(&mut self, limit: usize) -> Result<String, Malformed> {
        let length = self.count(1)?;
        if length > limit {
            return Err(self.wrong(&format!("has a text of more than {limit} bytes")));
        }
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.wrong("has a text that is not UTF-8"))
    }

    pub(crate) fn hash(&mut self) -> Result<Hash, Malformed> {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.take(32)?);
        Ok(Hash(hash))
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.wrong("goes on after its end")) }
    }
}
