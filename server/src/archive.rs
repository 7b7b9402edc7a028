//! Files as one: a ZIP archive that is sent while it is made. Nothing is compressed, since models and pictures are already, so
//! that its length is known before the first byte, and a browser can say how far it is and whether it has all.
//!
//! Format: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification". The sum of an entry follows its bytes (flag 3), names are UTF-8
//! (flag 11), and what is too large for 32 bits is in the fields of ZIP64. All dates are the first that the format has: the
//! same files are the same archive.

use bytes::Bytes;
use crc32fast::Hasher;
use domain::Error;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use services::{Artifact, Services};
use std::mem;

/// From here on a size or place is in the fields of ZIP64.
const LARGE: u64 = 0xffff_ffff;
/// From here on the number of entries is.
const MANY: u64 = 0xffff;
/// A sum behind the bytes, and UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// 1 January 1980.
const DATE: u16 = 1 << 5 | 1;
/// Made as on Unix, by version 4.5.
const MADE_BY: u16 = 3 << 8 | 45;
/// A file that everybody may read, as Unix writes it.
const MODE: u32 = 0o100_644 << 16;

/// An entry that was written.
struct Entry {
    name: String,
    size: u64,
    sum: u32,
    at: u64,
}

impl Entry {
    fn is_large(&self) -> bool {
        self.size >= LARGE
    }

    fn version(is_large: bool) -> u16 {
        if is_large { 45 } else { 20 }
    }

    /// What stands before its bytes.
    fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(50 + self.name.len());
        put(&mut out, [&0x0403_4b50_u32.to_le_bytes()[..], &Self::version(self.is_large()).to_le_bytes()]);
        put(&mut out, [FLAGS, 0, 0, DATE].map(u16::to_le_bytes));
        // The sum and the sizes follow; where they are large, both here say so.
        let size = if self.is_large() { u32::MAX } else { 0 };
        put(&mut out, [0, size, size].map(u32::to_le_bytes));
        put(&mut out, [short(self.name.len()), if self.is_large() { 20 } else { 0 }].map(u16::to_le_bytes));
        out.extend(self.name.as_bytes());
        if self.is_large() {
            put(&mut out, [1_u16, 16].map(u16::to_le_bytes));
            put(&mut out, [0_u64; 2].map(u64::to_le_bytes));
        }
        out
    }

    /// What stands behind its bytes.
    fn tail(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        put(&mut out, [0x0807_4b50, self.sum].map(u32::to_le_bytes));
        if self.is_large() {
            put(&mut out, [self.size; 2].map(u64::to_le_bytes));
        } else {
            put(&mut out, [whole(self.size); 2].map(u32::to_le_bytes));
        }
        out
    }

    /// What the list at the end says of it.
    fn listed(&self) -> Vec<u8> {
        let mut large = Vec::new();
        if self.is_large() {
            put(&mut large, [self.size; 2].map(u64::to_le_bytes));
        }
        if self.at >= LARGE {
            large.extend(self.at.to_le_bytes());
        }
        let mut out = Vec::with_capacity(80 + self.name.len());
        out.extend(0x0201_4b50_u32.to_le_bytes());
        put(&mut out, [MADE_BY, Self::version(!large.is_empty()), FLAGS, 0, 0, DATE].map(u16::to_le_bytes));
        put(&mut out, [self.sum, whole(self.size), whole(self.size)].map(u32::to_le_bytes));
        let extra = if large.is_empty() { 0 } else { short(large.len() + 4) };
        put(&mut out, [short(self.name.len()), extra, 0, 0, 0].map(u16::to_le_bytes));
        put(&mut out, [MODE, whole(self.at)].map(u32::to_le_bytes));
        out.extend(self.name.as_bytes());
        if !large.is_empty() {
            put(&mut out, [1, short(large.len())].map(u16::to_le_bytes));
            out.extend(large);
        }
        out
    }
}

/// The list of the entries, which begins `at` so many bytes, and the end of the archive.
fn end(entries: &[Entry], at: u64) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(Entry::listed).collect();
    let (count, size) = (entries.len() as u64, out.len() as u64);
    if count >= MANY || size >= LARGE || at >= LARGE {
        let here = at + size;
        out.extend(0x0606_4b50_u32.to_le_bytes());
        out.extend(44_u64.to_le_bytes());
        put(&mut out, [MADE_BY, 45].map(u16::to_le_bytes));
        put(&mut out, [0_u32; 2].map(u32::to_le_bytes));
        put(&mut out, [count, count, size, at].map(u64::to_le_bytes));
        put(&mut out, [0x0706_4b50, 0].map(u32::to_le_bytes));
        out.extend(here.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
    out.extend(0x0605_4b50_u32.to_le_bytes());
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    put(&mut out, [0, 0, count, count].map(u16::to_le_bytes));
    put(&mut out, [whole(size), whole(at)].map(u32::to_le_bytes));
    out.extend(0_u16.to_le_bytes());
    out
}

fn put<const N: usize>(out: &mut Vec<u8>, parts: [impl AsRef<[u8]>; N]) {
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
}

/// A length below 2¹⁶: of names, which the paths of artifacts keep below 2 KiB, and of what is made here.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// A size or place in 32 bits: all of them set where it is elsewhere.
fn whole(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// How many bytes the archive of entries of these names and sizes has.
fn length<'a>(entries: impl Iterator<Item = (&'a str, u64)>) -> u64 {
    let mut at = 0;
    let mut listed = Vec::new();
    for (name, size) in entries {
        let entry = Entry { name: name.to_owned(), size, sum: 0, at };
        at += entry.head().len() as u64 + size + entry.tail().len() as u64;
        listed.push(entry);
    }
    at + end(&listed, at).len() as u64
}

/// What comes next.
enum Next {
    /// The entry of the next file.
    Begin,
    /// The bytes of a file, and how many have come.
    Bytes(Entry, BoxStream<'static, Result<Bytes, artifacts::Error>>, u64, Hasher),
    /// Nothing.
    Done,
}

/// The archive of these files, each under its name, and its length. Each file is opened when its turn comes; when nobody takes
/// the stream any more, nothing more is read.
pub(crate) fn stream(
    services: Services,
    files: Vec<(String, Artifact)>,
) -> (u64, impl Stream<Item = Result<Bytes, Error>> + Send + 'static) {
    let length = length(files.iter().map(|(name, file)| (name.as_str(), file.size)));
    let start = (services, files.into_iter(), Vec::<Entry>::new(), 0_u64, Next::Begin);
    let stream = stream::try_unfold(start, |(services, mut files, mut entries, mut at, mut next)| async move {
        loop {
            let out = match mem::replace(&mut next, Next::Done) {
                Next::Begin => match files.next() {
                    Some((name, file)) => {
                        let content = services.artifact_content(&file, None).await?;
                        let entry = Entry { name, size: file.size, sum: 0, at };
                        let head = entry.head();
                        next = Next::Bytes(entry, content.stream, 0, Hasher::new());
                        Bytes::from(head)
                    }
                    None => Bytes::from(end(&entries, at)),
                },
                Next::Bytes(mut entry, mut content, taken, mut hasher) => match content.next().await.transpose()? {
                    Some(bytes) => {
                        hasher.update(&bytes);
                        next = Next::Bytes(entry, content, taken + bytes.len() as u64, hasher);
                        bytes
                    }
                    None if taken == entry.size => {
                        entry.sum = hasher.finalize();
                        let tail = entry.tail();
                        entries.push(entry);
                        next = Next::Begin;
                        Bytes::from(tail)
                    }
                    None => {
                        tracing::error!(
                            name = entry.name,
                            taken,
                            size = entry.size,
                            "a stored file has another length"
                        );
                        return Err(Error::internal());
                    }
                },
                Next::Done => return Ok(None),
            };
            at += out.len() as u64;
            if !out.is_empty() {
                return Ok(Some((out, (services, files, entries, at, next))));
            }
        }
    });
    (length, stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of these entries, without a stream.
    fn write(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut entries = Vec::new();
        for (name, bytes) in files {
            let sum = crc32fast::hash(bytes);
            let entry = Entry { name: name.clone(), size: bytes.len() as u64, sum, at: out.len() as u64 };
            out.extend(entry.head());
            out.extend(bytes);
            out.extend(entry.tail());
            entries.push(entry);
        }
        let at = out.len() as u64;
        out.extend(end(&entries, at));
        out
    }

    #[test]
    fn more_entries_than_sixteen_bits_count_are_read_back() {
        let files: Vec<(String, Vec<u8>)> = (0..70_000).map(|n| (format!("{n}.txt"), vec![b'x'; n % 3])).collect();
        let written = write(&files);
        assert_eq!(length(files.iter().map(|(name, bytes)| (name.as_str(), bytes.len() as u64))), written.len() as u64);
        let mut read = zip::ZipArchive::new(std::io::Cursor::new(written)).unwrap();
        assert_eq!(read.len(), files.len());
        let mut last = read.by_name("69999.txt").unwrap();
        assert_eq!(std::io::copy(&mut last, &mut std::io::sink()).unwrap(), 69_999 % 3);
    }

    #[test]
    fn what_is_too_large_for_thirty_two_bits_is_in_the_other_fields() {
        let entry = Entry { name: "big".to_owned(), size: 5 << 30, sum: 7, at: 6 << 30 };
        assert_eq!((entry.head().len(), entry.tail().len()), (30 + 3 + 20, 24));
        let listed = entry.listed();
        assert_eq!(&listed[20..28], &[0xff; 8]);
        assert_eq!(&listed[listed.len() - 28..listed.len() - 24], &[1, 0, 24, 0]);
        assert_eq!(&listed[listed.len() - 8..], &(6_u64 << 30).to_le_bytes());
        let far = end(&[entry], 11 << 30);
        assert_eq!(&far[far.len() - 6..far.len() - 2], &[0xff; 4]);
    }
}
