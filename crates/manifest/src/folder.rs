//! Folders of files: finding and hashing what is in one, and reading of it what somebody does not have yet. Blocks.

mod cache;
mod plan;
mod write;

pub use cache::Cache;
pub use plan::{Packs, Plan};
pub use write::{Present, Writing, present, write_small};

use crate::{Chunker, Content, Entry, Hash, List, MAX_CHUNKS, SMALL, check_path};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// How much is read at once.
const BUFFER: usize = 1 << 20;
/// A file that changed so many nanoseconds before it was looked at may change again and look the same.
const TOO_YOUNG_NS: i128 = 2_000_000_000;

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It has what no version can have. The sentence is for its owner.
    #[error("{0}")]
    Refused(String),
    /// It, or something in it, could not be read.
    #[error("\"{}\" could not be read: {cause}", at.display())]
    Io {
        /// Where.
        at: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// What is done with links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// A link to a file is the file. One to a folder is refused: it could lead round in circles.
    Follow,
    /// They are refused: whoever made the folder may not read everything that we may.
    Refuse,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl From<&Metadata> for Stat {
    fn from(of: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            device: of.dev(),
            inode: of.ino(),
            size: of.len(),
            modified_ns: ns(of.mtime(), of.mtime_nsec()),
            changed_ns: ns(of.ctime(), of.ctime_nsec()),
        }
    }
}

/// A file of a folder.
#[derive(Debug, Clone)]
pub struct Found {
    path: String,
    at: PathBuf,
    executable: bool,
    stat: Stat,
    links: Links,
}

/// A file of a folder, read.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// As a version has it.
    pub entry: Entry,
    /// Its chunks, when it is a large one.
    pub list: Option<List>,
    at: PathBuf,
    links: Links,
}

/// Finds the files of a folder; or the file, when it is one. Empty folders are not kept.
///
/// # Errors
/// When something is neither a file nor a folder, or has no path that a version can have.
pub fn walk(root: &Path, links: Links) -> Result<Vec<Found>, Trouble> {
    let metadata = fs::metadata(root).map_err(|cause| Trouble::Io { at: root.to_owned(), cause })?;
    let mut found = Vec::new();
    if metadata.is_file() {
        let name = root.file_name().unwrap_or_default().to_owned();
        found.push(found_at(Path::new(&name), root.to_owned(), &metadata, links)?);
        return Ok(found);
    }
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let of_folder = |cause| Trouble::Io { at: folder.clone(), cause };
        for item in fs::read_dir(&folder).map_err(of_folder)? {
            let item = item.map_err(of_folder)?;
            let at = item.path();
            let of_item = |cause| Trouble::Io { at: at.clone(), cause };
            let kind = item.file_type().map_err(of_item)?;
            if kind.is_dir() {
                folders.push(at);
                continue;
            }
            let inside = at.strip_prefix(root).unwrap_or(&at).to_owned();
            let refused = |why: &str| Err(Trouble::Refused(format!("\"{}\" {why}", inside.display())));
            let metadata = if kind.is_symlink() {
                if links == Links::Refuse {
                    return refused("is a link; a dataset has files alone.");
                }
                fs::metadata(&at).map_err(of_item)?
            } else {
                item.metadata().map_err(of_item)?
            };
            if metadata.is_dir() {
                return refused("is a link to a folder, which could lead round in circles; push what it leads to.");
            }
            if !metadata.is_file() {
                return refused("is neither a file nor a folder.");
            }
            found.push(found_at(&inside, at, &metadata, links)?);
        }
    }
    Ok(found)
}

fn found_at(inside: &Path, at: PathBuf, metadata: &Metadata, links: Links) -> Result<Found, Trouble> {
    let refused = |why: &str| Trouble::Refused(format!("The path \"{}\" {why}.", inside.display()));
    let path = inside.to_str().ok_or_else(|| refused("is not UTF-8"))?;
    check_path(path).map_err(refused)?;
    Ok(Found { path: path.to_owned(), at, executable: metadata.mode() & 0o100 != 0, stat: metadata.into(), links })
}

/// Reads the files, except those that the cache knows in their present state, and puts what it learns into the cache. Files
/// that are not among them are forgotten. `threads` read at once.
///
/// # Errors
/// When one cannot be read, is too large, or changes meanwhile.
pub fn scan(found: Vec<Found>, cache: &mut Cache, threads: usize) -> Result<Vec<Scanned>, Trouble> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
    let next = AtomicUsize::new(0);
    let (known, files) = (&*cache, &found);
    let read = || {
        let mut read = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let state = match known.get(&file.stat) {
                Some(state) => state.clone(),
                None => hash(file)?,
            };
            read.push((file, state));
        }
        Ok::<_, Trouble>(read)
    };
    let parts: Vec<Result<Vec<(&Found, Known)>, Trouble>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(read)).collect();
        let broken = || Err(Trouble::Refused("Reading the files was broken off.".to_owned()));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| broken())).collect()
    });
    let (mut fresh, mut scanned) = (Cache::default(), Vec::with_capacity(files.len()));
    for part in parts {
        for (file, state) in part? {
            let Known { digest, list } = state.clone();
            let size = file.stat.size;
            let content = match &list {
                None => Content::Small { size, digest },
                Some(list) => Content::Large { size, digest, list: Hash::of(&list.write()) },
            };
            let entry = Entry { path: file.path.clone(), executable: file.executable, content };
            scanned.push(Scanned { entry, list, at: file.at.clone(), links: file.links });
            if file.stat.modified_ns.max(file.stat.changed_ns) + TOO_YOUNG_NS < now_ns {
                fresh.insert(file.stat, state);
            }
        }
    }
    *cache = fresh;
    scanned.sort_unstable_by(|one, other| one.entry.path.cmp(&other.entry.path));
    Ok(scanned)
}

/// What reading a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) digest: Hash,
    pub(crate) list: Option<List>,
}

/// Opens a file. One that has become a link meanwhile is not followed, when links are refused.
fn open(at: &Path, links: Links) -> Result<File, Trouble> {
    const NO_FOLLOW: i32 = 0o400_000;
    let mut options = File::options();
    options.read(true);
    if links == Links::Refuse && cfg!(target_os = "linux") {
        options.custom_flags(NO_FOLLOW);
    }
    options.open(at).map_err(|cause| Trouble::Io { at: at.to_owned(), cause })
}

fn changed(path: &str) -> Trouble {
    Trouble::Refused(format!("\"{path}\" changed while it was read; try again when nothing writes there."))
}

fn hash(found: &Found) -> Result<Known, Trouble> {
    let of_file = |cause| Trouble::Io { at: found.at.clone(), cause };
    let mut file = open(&found.at, found.links)?;
    let size = found.stat.size;
    let mut whole = blake3::Hasher::new();
    let known = if size <= SMALL {
        let mut bytes = Vec::with_capacity(size as usize + 1);
        (&mut file).take(SMALL + 1).read_to_end(&mut bytes).map_err(of_file)?;
        whole.update(&bytes);
        Known { digest: whole.finalize().into(), list: None }
    } else {
        let (mut chunker, mut list) = (Chunker::default(), List::default());
        let mut add = |chunk: &[u8]| {
            // A chunk has at most MAX_CHUNK bytes.
            list.chunks.push((Hash::of(chunk), chunk.len() as u32));
            Ok::<_, Trouble>(())
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer).map_err(of_file)?;
            if read == 0 {
                break;
            }
            whole.update(&buffer[..read]);
            chunker.push(&buffer[..read], &mut add)?;
        }
        chunker.end(&mut add)?;
        if list.chunks.len() > MAX_CHUNKS {
            return Err(Trouble::Refused(format!("\"{}\" is larger than a file may be; split it.", found.path)));
        }
        Known { digest: whole.finalize().into(), list: Some(list) }
    };
    // Also when it only grew or shrank: what was read is of no one state of it.
    let is_same = whole.count() == size && Stat::from(&file.metadata().map_err(of_file)?) == found.stat;
    if is_same { Ok(known) } else { Err(changed(&found.path)) }
}
