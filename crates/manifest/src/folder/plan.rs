//! What of a version somebody may not have yet, and reading it.

use super::{Scanned, Trouble, changed, open};
use crate::{Built, Content, Entry, Hash, MAX_OBJECT, Malformed, PackBuilder, SMALL, build};
use std::{collections::HashSet, fs::File, io::Read as _, os::unix::fs::FileExt as _, vec};

/// A version to be, and where its bytes come from. Whoever is to get it is asked what it does not have: of the pages; of the
/// small files and the lists of those pages; and of the chunks of those lists.
#[derive(Debug)]
pub struct Plan {
    built: Built,
    files: Vec<Scanned>,
}

impl Plan {
    /// The version of these files, and of what lies elsewhere.
    ///
    /// # Errors
    /// When a path is there twice, or is a file and a folder.
    pub fn new(files: Vec<Scanned>, external: Vec<Entry>) -> Result<Self, Malformed> {
        let entries = files.iter().map(|file| file.entry.clone()).chain(external).collect();
        Ok(Self { built: build(entries)?, files })
    }

    /// The root and the pages.
    #[must_use]
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// The pages' digests.
    #[must_use]
    pub fn pages(&self) -> Vec<Hash> {
        self.built.root.pages.iter().map(|page| page.digest).collect()
    }

    /// The small files that these pages need, each once.
    #[must_use]
    pub fn small(&self, pages: &HashSet<Hash>) -> Vec<Hash> {
        self.of_pages(pages, false)
    }

    /// The lists of chunks that these pages need, each once.
    #[must_use]
    pub fn lists(&self, pages: &HashSet<Hash>) -> Vec<Hash> {
        self.of_pages(pages, true)
    }

    fn of_pages(&self, pages: &HashSet<Hash>, lists: bool) -> Vec<Hash> {
        let mut wanted = HashSet::new();
        let mut files = self.files.iter().peekable();
        for page in &self.built.root.pages {
            let is_wanted = pages.contains(&page.digest);
            while let Some(file) = files.next_if(|file| file.entry.path <= page.last) {
                wanted.extend(file.entry.object().filter(|_| is_wanted && file.list.is_some() == lists));
            }
        }
        wanted.into_iter().collect()
    }

    /// The chunks of these lists, each once.
    #[must_use]
    pub fn chunks(&self, lists: &HashSet<Hash>) -> Vec<Hash> {
        let files = self.files.iter().filter(|file| file.entry.object().is_some_and(|list| lists.contains(&list)));
        let chunks = files.filter_map(|file| file.list.as_ref()).flat_map(|list| &list.chunks);
        chunks.map(|(digest, _)| *digest).collect::<HashSet<_>>().into_iter().collect()
    }

    /// Packs with these objects: files' bytes first, then lists, pages and the root, so that nothing is there before what it
    /// names.
    #[must_use]
    pub fn packs(&self, wanted: HashSet<Hash>) -> Packs<'_> {
        let mut descriptions: Vec<(Hash, Vec<u8>)> = Vec::new();
        for list in self.files.iter().filter_map(|file| file.list.as_ref()) {
            let bytes = list.write();
            descriptions.push((Hash::of(&bytes), bytes));
        }
        for (page, bytes) in self.built.root.pages.iter().zip(&self.built.pages) {
            descriptions.push((page.digest, bytes.clone()));
        }
        descriptions.push((self.built.digest, self.built.bytes.clone()));
        descriptions.retain(|(digest, _)| wanted.contains(digest));
        Packs { files: self.files.iter(), large: None, descriptions: descriptions.into_iter(), wanted }
    }
}

/// Packs, as they are read.
pub struct Packs<'a> {
    files: std::slice::Iter<'a, Scanned>,
    /// The file whose chunks are read, the next of them, and where that begins.
    large: Option<(&'a Scanned, File, usize, u64)>,
    descriptions: vec::IntoIter<(Hash, Vec<u8>)>,
    /// What is not packed yet.
    wanted: HashSet<Hash>,
}

impl Iterator for Packs<'_> {
    type Item = Result<Vec<u8>, Trouble>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut pack = PackBuilder::default();
        if let Err(trouble) = self.fill(&mut pack) {
            return Some(Err(trouble));
        }
        (!pack.is_empty()).then(|| Ok(pack.take()))
    }
}

impl Packs<'_> {
    fn fill(&mut self, pack: &mut PackBuilder) -> Result<(), Trouble> {
        while !pack.is_full() {
            if self.large.is_some() {
                self.chunk(pack)?;
                continue;
            }
            let Some(file) = self.files.next() else { break };
            match &file.entry.content {
                Content::Small { size, digest } if *size > 0 && self.wanted.remove(digest) => {
                    pack.push(digest, &small(file, digest)?);
                }
                Content::Large { .. } => {
                    let chunks = file.list.as_ref().map_or(&[][..], |list| &list.chunks);
                    if chunks.iter().any(|(digest, _)| self.wanted.contains(digest)) {
                        self.large = Some((file, open(&file.at, file.links)?, 0, 0));
                    }
                }
                Content::Small { .. } | Content::External(_) => {}
            }
        }
        while !pack.is_full()
            && let Some((digest, bytes)) = self.descriptions.next()
        {
            if self.wanted.remove(&digest) && bytes.len() <= MAX_OBJECT {
                pack.push(&digest, &bytes);
            }
        }
        Ok(())
    }

    /// The next chunk of the large file, when it is wanted.
    fn chunk(&mut self, pack: &mut PackBuilder) -> Result<(), Trouble> {
        let Some((file, source, index, at)) = &mut self.large else { return Ok(()) };
        let Some((digest, size)) = file.list.as_ref().and_then(|list| list.chunks.get(*index)) else {
            self.large = None;
            return Ok(());
        };
        if self.wanted.remove(digest) {
            let mut bytes = vec![0; *size as usize];
            match source.read_exact_at(&mut bytes, *at) {
                Ok(()) if Hash::of(&bytes) == *digest => pack.push(digest, &bytes),
                Ok(()) => return Err(changed(&file.entry.path)),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(changed(&file.entry.path));
                }
                Err(cause) => return Err(Trouble::Io { at: file.at.clone(), cause }),
            }
        }
        *index += 1;
        *at += u64::from(*size);
        Ok(())
    }
}

fn small(file: &Scanned, digest: &Hash) -> Result<Vec<u8>, Trouble> {
    let size = file.entry.size().unwrap_or_default();
    let mut bytes = Vec::with_capacity(size as usize + 1);
    let read = open(&file.at, file.links)?.take(SMALL + 1).read_to_end(&mut bytes);
    read.map_err(|cause| Trouble::Io { at: file.at.clone(), cause })?;
    if Hash::of(&bytes) == *digest { Ok(bytes) } else { Err(changed(&file.entry.path)) }
}
