//! A checkpoint: the head of a chain at a moment, signed where there is a key.

use crate::{Hash, KeyId, PrivateKey, PublicKey, canonical};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use domain::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the statement of a checkpoint begins with, so that its signature is good for nothing else.
const KIND: &str = "slipway.audit.checkpoint/1";

/// A signature, in base64 on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl TryFrom<String> for Signature {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        BASE64_STANDARD.encode(signature.0)
    }
}

/// The head of a chain at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The number of the last entry then.
    pub seq: i64,
    /// Its hash.
    pub head: Hash,
    /// When, by the server's clock, to the microsecond.
    pub at: DateTime<Utc>,
    /// The key that signed; none when there was none.
    pub key: Option<KeyId>,
    /// The signature; none when there was no key.
    pub signature: Option<Signature>,
}

#[derive(Serialize)]
struct Statement<'a> {
    kind: &'static str,
    workspace: Option<WorkspaceId>,
    seq: i64,
    head: &'a Hash,
    at: DateTime<Utc>,
}

impl Checkpoint {
    /// One of this chain, signed when there is a key.
    ///
    /// # Errors
    /// When it has no JSON form, which it always has.
    pub fn sign(
        workspace: Option<WorkspaceId>,
        seq: i64,
        head: Hash,
        at: DateTime<Utc>,
        key: Option<&PrivateKey>,
    ) -> Result<Self, serde_json::Error> {
        let mut checkpoint = Self { seq, head, at, key: None, signature: None };
        if let Some(key) = key {
            checkpoint.signature = Some(key.sign(&checkpoint.statement(workspace)?));
            checkpoint.key = Some(key.public().id());
        }
        Ok(checkpoint)
    }

    /// What is signed: the canonical JSON of `{kind, workspace, seq, head, at}`.
    ///
    /// # Errors
    /// When it has no JSON form, which it always has.
    pub fn statement(&self, workspace: Option<WorkspaceId>) -> Result<Vec<u8>, serde_json::Error> {
        canonical(&Statement { kind: KIND, workspace, seq: self.seq, head: &self.head, at: self.at })
    }

    /// Whether it carries a signature of this key.
    #[must_use]
    pub fn is_signed_by(&self, workspace: Option<WorkspaceId>, key: &PublicKey) -> bool {
        match (&self.signature, self.statement(workspace)) {
            (Some(signature), Ok(statement)) => {
                self.key.as_ref() == Some(&key.id()) && key.has_signed(&statement, signature)
            }
            _ => false,
        }
    }
}
