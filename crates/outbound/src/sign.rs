//! Signatures: MLflow's, which follow the conventions of Standard Webhooks.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The signature of a message: `v1,` and the base64 of the HMAC-SHA-256 of `id.timestamp.body` under the secret.
#[must_use]
pub fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    // A key may have any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_signature_is_the_one_that_mlflow_makes() {
        // python3: base64.b64encode(hmac.new(b"hush", b'id.17.{"a":1}', hashlib.sha256).digest())
        assert_eq!(signature("hush", "id", "17", "{\"a\":1}"), "v1,cR2AwzwT2kZu408O0y4X2BrR7L0HtyiBV5FLoE9sWm0=");
    }
}
