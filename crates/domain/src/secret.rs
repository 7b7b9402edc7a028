//! Secrets of a workspace: values that steps get and nobody reads back.

use crate::{error::Error, wording::quoted};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most characters of a name.
pub const MAX_NAME: usize = 64;
/// The fewest bytes of a value: a log in which a shorter one is masked cannot be read, and hides nothing.
pub const MIN_VALUE: usize = 4;
/// The most bytes of a value: the kernel takes 128 KiB for one variable.
pub const MAX_VALUE: usize = 64 * 1024;
/// The most secrets of a workspace.
pub const MAX_SECRETS: usize = 500;

/// A secret as everybody sees it: without its value, which nothing gives out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Secret {
    /// Its name, unique in the workspace.
    pub name: String,
    /// 1, 2, 3 …: one more for each value.
    pub version: i32,
    /// When it got its first value.
    pub created_at: DateTime<Utc>,
    /// Who gave it.
    pub created_by: String,
    /// When it got the value of now.
    pub updated_at: DateTime<Utc>,
    /// Who gave that.
    pub updated_by: String,
    /// When a step got it, to within a minute; none when none did.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Whether a secret may be called this: 1 to 64 letters, digits and `_`, beginning with no digit, and not with `SLIPWAY_`. So
/// it can be the name of a variable.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with("SLIPWAY_")
}

/// Refuses what is no secret's name.
///
/// # Errors
/// As [`is_name`] says.
pub fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!(
        "{} is no name of a secret: it has 1 to {MAX_NAME} letters, digits and \"_\", begins with no digit and not with \
         SLIPWAY_, such as HF_TOKEN.",
        quoted(name)
    );
    Err(Error::invalid_field("name", message))
}

/// The value of a secret. Its text is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// A value that somebody gives.
    ///
    /// # Errors
    /// When it is shorter than [`MIN_VALUE`] or longer than [`MAX_VALUE`] bytes, or holds NUL, which no variable can.
    pub fn choose(text: String) -> Result<Self, Error> {
        let refuse = |message: String| Err(Error::invalid_field("value", message));
        match text.len() {
            0 => refuse("Give the secret a value.".to_owned()),
            1..MIN_VALUE => refuse(format!(
                "A secret has at least {MIN_VALUE} characters: a shorter one cannot be kept out of logs."
            )),
            MIN_VALUE..=MAX_VALUE if text.contains('\0') => {
                refuse("A secret cannot contain the NUL character: no variable can.".to_owned())
            }
            MIN_VALUE..=MAX_VALUE => Ok(Self(text)),
            _ => refuse(format!("A secret has at most {} KiB.", MAX_VALUE / 1024)),
        }
    }

    /// One that was kept.
    #[must_use]
    pub fn kept(text: String) -> Self {
        Self(text)
    }

    /// The text, for whoever may have it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_that_of_a_variable() {
        for name in ["HF_TOKEN", "a", "_x", "Key2", &"k".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2KEY", "a-b", "a b", "ä", "SLIPWAY_TOKEN", "a.b", "A=B", &"k".repeat(65)] {
            assert!(!is_name(name) && check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_value_is_long_enough_to_be_masked_and_short_enough_for_a_variable() {
        let refused = |text: &str| SecretValue::choose(text.to_owned()).map(|_| ()).unwrap_err().message;
        assert_eq!(SecretValue::choose("hush".to_owned()).unwrap().reveal(), "hush");
        assert!(refused("").starts_with("Give") && refused("abc").contains("at least 4"));
        assert!(refused("ab\0cd").contains("NUL") && refused(&"x".repeat(MAX_VALUE + 1)).contains("64 KiB"));
        assert!(SecretValue::choose("x".repeat(MAX_VALUE)).is_ok());
    }

    #[test]
    fn a_value_is_not_printed() {
        assert_eq!(format!("{:?}", SecretValue::kept("hush".to_owned())), "SecretValue(…)");
    }
}
