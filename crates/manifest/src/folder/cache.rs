//! What was read of files before, by what tells one state of a file from another.

use super::{Known, Stat};
use crate::{
    Hash, List,
    wire::{Malformed, Reader, Writer},
};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

const MAGIC: &str = "slipway scan 1\n";

/// Digests of files as they were.
#[derive(Debug, Default)]
pub struct Cache(HashMap<Stat, Known>);

impl Cache {
    pub(super) fn get(&self, stat: &Stat) -> Option<&Known> {
        self.0.get(stat)
    }

    pub(super) fn insert(&mut self, stat: Stat, known: Known) {
        self.0.insert(stat, known);
    }

    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was saved in a file. One that is missing or damaged knows nothing: everything is read again.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        fs::read(file).ok().and_then(|bytes| Self::read(&bytes).ok()).unwrap_or_default()
    }

    /// Saves it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let mut out = Writer::begin(MAGIC);
        out.number(self.0.len() as u64);
        for (stat, Known { digest, list }) in &self.0 {
            out.number(stat.device);
            out.number(stat.inode);
            out.number(stat.size);
            for time in [stat.modified_ns, stat.changed_ns] {
                out.0.extend_from_slice(&time.to_le_bytes());
            }
            out.hash(digest);
            let chunks = list.as_ref().map_or(&[][..], |list| &list.chunks);
            out.number(chunks.len() as u64);
            for (digest, size) in chunks {
                out.hash(digest);
                out.number(u64::from(*size));
            }
        }
        // Against half a file; a wrong one would give wrong digests.
        let sum = Hash::of(&out.0);
        out.hash(&sum);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        fs::write(&beside, &out.0)?;
        fs::rename(&beside, file)
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let damaged = || Malformed::new("The cache is damaged.");
        let (body, sum) = bytes.split_last_chunk::<32>().ok_or_else(damaged)?;
        if Hash::of(body).0 != *sum {
            return Err(damaged());
        }
        let mut from = Reader::begin(body, MAGIC, "The cache")?;
        let count = from.count(60)?;
        let mut cache = HashMap::with_capacity(count);
        for _ in 0..count {
            let (device, inode, size) = (from.number()?, from.number()?, from.number()?);
            let mut time =
                || Ok::<_, Malformed>(i128::from_le_bytes(from.take(16)?.try_into().map_err(|_| damaged())?));
            let (modified_ns, changed_ns) = (time()?, time()?);
            let digest = from.hash()?;
            let mut list = List::default();
            for _ in 0..from.count(33)? {
                let chunk = from.hash()?;
                list.chunks.push((chunk, u32::try_from(from.number()?).map_err(|_| damaged())?));
            }
            let list = (!list.chunks.is_empty()).then_some(list);
            cache.insert(Stat { device, inode, size, modified_ns, changed_ns }, Known { digest, list });
        }
        from.end()?;
        Ok(Self(cache))
    }
}
