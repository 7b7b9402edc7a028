//! Ed25519 keys (RFC 8032), as files that other programs read too: PKCS #8 and SubjectPublicKeyInfo in PEM (RFC 8410).

use crate::{Hash, Signature};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What stands before the 32 bytes of a private key.
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What stands before the 32 bytes of a public key.
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key in PEM")]
pub struct BadKey;

/// The name of a key: the first sixteen hexadecimal digits of the SHA-256 of the public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(text.to_owned())) } else { Err(BadKey) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut text = Hash::of(&self.0).to_string();
        text.truncate(16);
        KeyId(text)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the signature is this key's, of these bytes.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature.bytes()).is_ok()
    }

    /// As a file.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC[..], &self.0].concat())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let bytes = of_pem("PUBLIC KEY", text)?;
        let key = bytes.strip_prefix(&PUBLIC[..]).ok_or(BadKey)?;
        key.try_into().map(Self).map_err(|_| BadKey)
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = BadKey;

    fn try_from(bytes: &[u8]) -> Result<Self, BadKey> {
        bytes.try_into().map(Self).map_err(|_| BadKey)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        BASE64_STANDARD.decode(text).map_err(|_| BadKey)?.as_slice().try_into()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        BASE64_STANDARD.encode(key.0)
    }
}

/// A key that signs. It is shown to nobody.
pub struct PrivateKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

impl PrivateKey {
    /// The key of 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// When no key can be made of them.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, BadKey> {
        Ok(Self { seed, pair: Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey)? })
    }

    /// The key that its signatures are checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().try_into().unwrap_or([0; 32]))
    }

    /// Signs these bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature::of(self.pair.sign(bytes).as_ref())
    }

    /// As a file, for nobody else to read.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &[&PRIVATE[..], &self.seed].concat())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let bytes = of_pem("PRIVATE KEY", text)?;
        let seed = bytes.strip_prefix(&PRIVATE[..]).ok_or(BadKey)?;
        Self::from_seed(seed.try_into().map_err(|_| BadKey)?)
    }
}

fn pem(what: &str, bytes: &[u8]) -> String {
    // At most 48 bytes: one line of 64 characters.
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", BASE64_STANDARD.encode(bytes))
}

fn of_pem(what: &str, text: &str) -> Result<Vec<u8>, BadKey> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {what}-----")).ok_or(BadKey)?;
    let (body, _) = rest.split_once(&format!("-----END {what}-----")).ok_or(BadKey)?;
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).map_err(|_| BadKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_file() {
        let key = PrivateKey::from_seed([7; 32]).unwrap();
        let again = PrivateKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::from_pem(&key.public().to_pem()), Ok(key.public()));
        assert!(PublicKey::from_pem(&key.to_pem()).is_err() && PrivateKey::from_pem("").is_err());
        assert!(!format!("{key:?}").contains("[7"), "it is shown to nobody");
    }

    #[test]
    fn the_example_of_the_standard_holds() {
        // RFC 8032, 7.1, test 2.
        let seed: Hash = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb".parse().unwrap();
        let key = PrivateKey::from_seed(*seed.bytes()).unwrap();
        assert_eq!(
            Hash::from(*key.public().bytes()).to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = key.sign(&[0x72]);
        let first: [u8; 32] = signature.bytes()[..32].try_into().unwrap();
        assert_eq!(Hash::from(first).to_string(), "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da");
        assert!(key.public().has_signed(&[0x72], &signature));
        assert!(!key.public().has_signed(&[0x73], &signature));
    }
}
