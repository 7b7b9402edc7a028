//! Digests of content. A digest names what it names for ever: a blob, a pipeline's file, the subject of a promotion.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// `algorithm:hex`, where the algorithm is `blake3` (blobs) or `sha256` (canonical JSON).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is \"blake3:\" or \"sha256:\" and 64 hexadecimal digits")]
pub struct ParseDigestError;

impl Digest {
    /// The digest of a blob whose BLAKE3 hash is this.
    #[must_use]
    pub fn blake3(hash: [u8; 32]) -> Self {
        Self(format!("blake3:{}", hex(&hash)))
    }

    /// SHA-256 of the value's canonical JSON (RFC 8785): independent of key order and white space.
    ///
    /// # Errors
    /// When the value has no JSON form, such as a map with keys that are not strings or a number that is not finite.
    pub fn of_json<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        let canonical = serde_json_canonicalizer::to_vec(value)?;
        Ok(Self(format!("sha256:{}", hex(&Sha256::digest(&canonical)))))
    }

    /// The whole text, `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal part.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The first twelve hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

/// Bytes as text: two hexadecimal digits each, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, hex) = text.split_once(':').ok_or(ParseDigestError)?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if matches!(algorithm, "blake3" | "sha256") && is_hex {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseDigestError)
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_digest_does_not_depend_on_key_order() {
        let one = Digest::of_json(&json!({"b": 1, "a": [true, null]})).unwrap();
        let other = Digest::of_json(&json!({"a": [true, null], "b": 1})).unwrap();
        assert_eq!(one, other);
        // Made with Python: hashlib.sha256(b'{"a":[true,null],"b":1}').hexdigest()
        assert_eq!(one.as_str(), "sha256:51705a2c9eb3e7e410a58f696a770c3ac3885a0cf43eb7fc88f5e47c11d4d30d");
    }

    #[test]
    fn only_whole_digests_parse() {
        assert!("sha256:abc".parse::<Digest>().is_err());
        assert!(format!("md5:{}", "0".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("blake3:{}", "0".repeat(64)).parse::<Digest>().is_ok());
    }
}
