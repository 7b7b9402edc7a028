//! What a version of a dataset is made of. Everything is an *object*: some bytes, named by their BLAKE3 digest.
//!
//! ```text
//! root ──▶ page ──▶ a file of up to 4 MiB
//!   │        └────▶ list ──▶ chunk, chunk, chunk …     a larger file
//!   └────▶ page ──▶ …
//! ```
//! - An [`Entry`] is a path and what is there. Entries are sorted by the bytes of their paths.
//! - A [`Page`] is some entries. It ends where the digest of a path says so, so that a file more or less touches one page,
//!   and the same files make the same pages whoever lists them.
//! - A [`Root`] lists the pages. Its digest names the whole version.
//! - A [`List`] is the chunks of a large file, which are cut where its bytes say so: a byte more or less touches one chunk.
//! - A [`Pack`] is objects in one body, on the wire and in the store. It is no part of what a version is.
//!
//! Each has exactly one form in bytes; whatever else is read is refused. All but [`folder`] knows neither files nor sockets.
//! The form is described in `docs/datasets.md`.

mod build;
mod chunk;
mod diff;
mod entry;
pub mod folder;
mod hash;
mod list;
mod pack;
mod page;
mod root;
mod wire;

pub use build::{Built, build};
pub use chunk::{ALGORITHM, AVERAGE_CHUNK, Chunker, MAX_CHUNK, MIN_CHUNK};
pub use diff::{Change, changes, differing};
pub use entry::{Content, Entry, External, MAX_PATH, MAX_URI, check_path};
pub use hash::{Hash, ParseHashError};
pub use list::{List, MAX_CHUNKS};
pub use pack::{MAX_PACK, PACK, Pack, PackBuilder, Packed};
pub use page::{Page, PageRef, ends_page};
pub use root::Root;
pub use wire::Malformed;

/// A file of up to so many bytes is one object; a larger one is a list of chunks.
pub const SMALL: u64 = 4 << 20;

/// The most bytes of an object: those of a full page whose last entry is as long as one may be.
pub const MAX_OBJECT: usize = (4 << 20) + (64 << 10);
