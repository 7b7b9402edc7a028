//! The hash chain of history: what an entry's hash is made of, checkpoints and their signatures, and bundles, which are
//! verified without a server.
//!
//! Nothing here reads a clock, a file or a socket: the server writes bundles with the same code that `slipway verify` reads
//! them with. What is proven by all this, and what is not, is told in `docs/audit.md`.

mod bundle;
mod checkpoint;
mod entry;
mod hash;
mod key;
mod verify;

#[cfg(test)]
mod tests;

pub use bundle::{
    About, DECISIONS, DecisionLine, EVENTS, FORMAT, FileNote, GAP, Hashed, MANIFEST, Manifest, PAGE, PROMOTION, Place,
    README, SEAL, Seal, WorkspaceNote, event_line, gap_line, readme,
};
pub use checkpoint::{Checkpoint, Signature};
pub use entry::{Event, Object, entry_hash};
pub use hash::{Hash, ParseHashError};
pub use key::{BadKey, KeyId, PrivateKey, PublicKey};
pub use verify::{Check, NotABundle, Options, Report, Source, verify};

/// The canonical JSON of a value (RFC 8785).
///
/// # Errors
/// When the value has no JSON form, such as a number that is not finite.
pub fn canonical<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}
