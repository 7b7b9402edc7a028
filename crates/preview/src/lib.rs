//! What of a file is shown on a page.
//!
//! Pure functions of bytes: what comes out are values of [`domain::preview`], in which nothing is left that a browser
//! could run. Files come from programs that anybody in the workspace may write, so every one of these functions takes
//! any bytes, and what it gives is bounded: in bytes, rows, columns, cells and depth.
//!
//! One function reads a file to its end, since a table may be larger than memory: [`profile`].
//!
//! A crate of its own, below which nothing else stands: what it is built from is large.

mod html;
mod json;
mod markdown;
mod math;
pub mod notebook;
pub mod parquet;
mod profile;
mod records;
mod table;
mod text;
mod thrift;

pub use profile::{check_pattern, is_table, profile};
pub use records::evaluation;

use domain::preview::{Block, Kind, MAX_EMBEDDED, Part, Preview, Reason};

/// How many bytes from a file's beginning are read to show it. Parquet is read from its end: see [`parquet`].
#[must_use]
pub fn wanted(kind: Kind) -> u64 {
    match kind {
        // Shown by an address of its own.
        Kind::Image(_) | Kind::Svg | Kind::Html | Kind::Parquet => 0,
        Kind::Json | Kind::Delimited(_) => 1 << 20,
        Kind::Notebook => 8 << 20,
        Kind::Markdown | Kind::Text | Kind::Unknown => text::MOST_BYTES,
    }
}

/// What is shown of the file at this path, which has `size` bytes and begins with these: the first [`wanted`], or all.
#[must_use]
pub fn read(path: &str, bytes: &[u8], size: u64) -> Preview {
    let part = Part { shown: bytes.len() as u64, of: size };
    match Kind::of(path) {
        _ if size == 0 => Preview::Nothing(Reason::Empty),
        Kind::Image(_) | Kind::Svg | Kind::Html if size > MAX_EMBEDDED => {
            Preview::Nothing(Reason::TooLarge(MAX_EMBEDDED))
        }
        Kind::Image(_) | Kind::Svg => Preview::Image,
        Kind::Html => Preview::Frame,
        Kind::Parquet => Preview::Nothing(Reason::Binary),
        _ if text::is_binary(bytes) => Preview::Nothing(Reason::Binary),
        Kind::Json => json::read(bytes, part),
        Kind::Delimited(delimiter) => table::read(bytes, part, delimiter),
        Kind::Markdown => Preview::Markdown { blocks: markdown::read(&String::from_utf8_lossy(bytes), path), part },
        Kind::Notebook => notebook::read(bytes, part, path),
        Kind::Text | Kind::Unknown => Preview::Text(text::read(bytes, part)),
    }
}

/// Markdown that stands by itself, without files around it: what it says of other files is words alone.
#[must_use]
pub fn prose(text: &str) -> Vec<Block> {
    markdown::read(text, "")
}
