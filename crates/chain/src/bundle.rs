//! What is in a bundle: files of canonical JSON, a list of them with their digests, and a seal over the list.

use crate::{Checkpoint, Hash, KeyId, PrivateKey, PublicKey, Signature, canonical};
use chrono::{DateTime, Utc};
use domain::id::{ChangeRequestId, PromotionId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The first words of a manifest.
pub const FORMAT: &str = "slipway.audit.bundle/1";
/// What is said of the other files.
pub const MANIFEST: &str = "manifest.json";
/// What is said of the manifest.
pub const SEAL: &str = "seal.json";
/// The entries.
pub const EVENTS: &str = "events.jsonl";
/// The decisions that the events tell of.
pub const DECISIONS: &str = "decisions.jsonl";
/// Of a promotion's bundle: what was decided on.
pub const PROMOTION: &str = "promotion.json";
/// The same for people.
pub const PAGE: &str = "index.html";
/// What it proves.
pub const README: &str = "README.txt";
/// How many entries that are not shown a line holds at most.
pub const GAP: usize = 256;

/// What a seal signs begins with this.
const SEALED: &str = "slipway.audit.seal/1";

/// A place in a chain: an entry's number and its hash. Before the first entry: 0 and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Place {
    /// Before the first entry.
    pub const BEGINNING: Self = Self { seq: 0, hash: Hash::ZERO };
}

/// What a bundle is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum About {
    /// A promotion: the events about it and related to it.
    Promotion {
        /// The promotion.
        id: PromotionId,
        /// Its number.
        number: i64,
    },
    /// A period: its events.
    Period {
        /// From this moment on.
        from: DateTime<Utc>,
        /// Up to this one, without it.
        to: DateTime<Utc>,
    },
}

/// The workspace of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceNote {
    /// The workspace: a part of every entry's hash.
    pub id: WorkspaceId,
    /// Its address then.
    pub slug: String,
    /// Its name then.
    pub name: String,
}

/// What the manifest says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileNote {
    /// SHA-256 of its bytes.
    pub sha256: Hash,
    /// How many bytes.
    pub size: u64,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// When it was made, by the server's clock.
    pub made_at: DateTime<Utc>,
    /// By which version.
    pub made_by: String,
    /// Of which workspace.
    pub workspace: WorkspaceNote,
    /// Of what.
    pub about: About,
    /// The entry before the first one here.
    pub start: Place,
    /// The last entry here, which was the head of the chain when the bundle was made.
    pub head: Place,
    /// How many events are shown.
    pub events: u64,
    /// How many entries are here without their events.
    pub undisclosed: u64,
    /// How many decisions are here.
    pub decisions: u64,
    /// A checkpoint of the head.
    pub checkpoint: Option<Checkpoint>,
    /// The key of the checkpoint and of the seal.
    pub key: Option<PublicKey>,
    /// The files, without this one and the seal.
    pub files: BTreeMap<String, FileNote>,
}

/// What is said of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// SHA-256 of the manifest's bytes.
    pub manifest: Hash,
    /// The key that signed; none when there was none.
    pub key: Option<KeyId>,
    /// The signature; none when there was no key.
    pub signature: Option<Signature>,
}

#[derive(Serialize)]
struct Sealed<'a> {
    kind: &'static str,
    manifest: &'a Hash,
}

impl Seal {
    /// The seal of a manifest.
    ///
    /// # Errors
    /// When it has no JSON form, which it always has.
    pub fn of(manifest: &[u8], key: Option<&PrivateKey>) -> Result<Self, serde_json::Error> {
        let mut seal = Self { manifest: Hash::of(manifest), key: None, signature: None };
        if let Some(key) = key {
            seal.signature = Some(key.sign(&seal.statement()?));
            seal.key = Some(key.public().id());
        }
        Ok(seal)
    }

    fn statement(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical(&Sealed { kind: SEALED, manifest: &self.manifest })
    }

    /// Whether it carries a signature of this key.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        match (&self.signature, self.statement()) {
            (Some(signature), Ok(statement)) => {
                self.key.as_ref() == Some(&key.id()) && key.has_signed(&statement, signature)
            }
            _ => false,
        }
    }
}

/// A line of [`DECISIONS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionLine {
    /// The decision, with everything that is kept of it.
    pub decision: Value,
    /// On which promotion, if it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionId>,
    /// On which change request, if it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_request: Option<ChangeRequestId>,
}

/// The line of an entry that is shown: its event's canonical JSON, as it is hashed, the entry's hash and number.
pub fn event_line(out: &mut Vec<u8>, seq: i64, event: &[u8], hash: &Hash) {
    out.extend_from_slice(br#"{"event":"#);
    out.extend_from_slice(event);
    out.extend_from_slice(format!("{HASH}{hash}\",\"seq\":{seq}}}\n").as_bytes());
}

/// What stands between an event and the entry's hash.
pub(crate) const HASH: &str = r#","hash":""#;

/// The line of entries that are not shown, from this number on: the digests of their events, and the hash of the last.
pub fn gap_line(out: &mut Vec<u8>, seq: i64, digests: &[Hash], hash: &Hash) {
    out.extend_from_slice(br#"{"digests":["#);
    for (place, digest) in digests.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        out.extend_from_slice(format!("{comma}\"{digest}\"").as_bytes());
    }
    out.extend_from_slice(format!("]{HASH}{hash}\",\"seq\":{seq}}}\n").as_bytes());
}

/// What is noted of a file while it is written or read.
#[derive(Debug, Clone, Default)]
pub struct Hashed {
    hasher: Sha256,
    size: u64,
}

impl Hashed {
    /// These bytes come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// What the manifest says of the file.
    #[must_use]
    pub fn note(self) -> FileNote {
        FileNote { sha256: Hash::from(<[u8; 32]>::from(self.hasher.finalize())), size: self.size }
    }
}

/// [`README`]: what the bundle proves and what it does not.
#[must_use]
pub fn readme(is_signed: bool) -> String {
    let signature = if is_signed {
        "- That the server's key signed this head, and everything in this bundle: seal.json signs manifest.json, which names\n  \
           the digest of every other file. Whose key it is, the bundle cannot say: give the public key that you got another\n  \
           way, with --key."
    } else {
        "- Nothing here is signed: the server had no key. Whoever can write files can write another bundle that agrees with\n  \
           itself. Compare the head with one that was kept elsewhere, with --head."
    };
    format!(
        "An audit bundle of Slipway\n\
         ==========================\n\n\
         index.html       the same for people, without scripts\n\
         events.jsonl     entries of the chain of history, one a line; of those that are not shown, the digests alone\n\
         decisions.jsonl  the decisions that the events tell of\n\
         promotion.json   what was decided on: subject, policy, gates and what they found (bundles of a promotion)\n\
         manifest.json    what this is of, the chain's head, the checkpoint, and the SHA-256 of every other file\n\
         seal.json        the SHA-256 of manifest.json, and its signature\n\n\
         Verify it without the server and without a network:\n\n    \
             slipway verify bundle.zip [--head HEX] [--key public.pem]\n\n\
         What it proves\n\
         - That the events here are, byte for byte, those of which the chain was made, each at its place: none was changed,\n  \
           taken out, added or moved between the first entry here and the head.\n\
         - That each decision here is the one that its event tells of, and that none of theirs is missing.\n\
         {signature}\n\n\
         What it does not prove\n\
         - That nothing was left out before it came into the chain, or that another chain was not made later. Whoever holds\n  \
           the database, and the key if there is one, can write history anew, from any point on. Only a head that was kept\n  \
           elsewhere shows that: the webhook event audit.checkpoint sends heads. With --head, everything from the first entry\n  \
           here up to that head is as it was when the head was sent.\n\
         - What is in entries that are not shown. That they are there, and where, is proven.\n\
         - That what was written is true: times are of the server's clock, names are those that people had.\n\n\
         How an entry is hashed: SHA-256 of the canonical JSON (RFC 8785) of\n    \
             {{\"event\": SHA-256 of the event's canonical JSON, \"prev\": hash of the entry before, \"seq\": its number, \"workspace\": id}}\n\
         The entry before the first has the number 0 and a hash of zeros.\n"
    )
}
