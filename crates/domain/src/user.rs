//! People: users, the workspaces they are members of, their sessions and tokens.

use crate::{
    error::Error,
    id::{TokenId, UserId, WorkspaceId},
    permission::{Permission, Role, Scope},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where the addresses of service accounts are: a name that no mail server will ever have.
pub const SERVICE_DOMAIN: &str = "slipway.invalid";

/// Where the addresses of the people of the demo are.
pub const DEMO_DOMAIN: &str = "demo.invalid";

/// An e-mail address, in lower case. Only its shape is checked: something, an at sign, something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// When it has no shape of one, or more than 254 characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().to_lowercase();
        let shaped = text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
        if !shaped || text.len() > 254 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::invalid_field("email", "This is not an e-mail address, such as ada@example.com."));
        }
        Ok(Self(text))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies where Slipway gives addresses to accounts of its own, which nobody else may take.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let host = self.0.rsplit('@').next().unwrap_or_default();
        [SERVICE_DOMAIN, DEMO_DOMAIN].into_iter().any(|reserved| {
            host.strip_suffix(reserved).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A password as it was typed. Its text is never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The least length, in characters (NIST SP 800-63B, 5.1.1.2).
    pub const MIN: usize = 8;
    /// The greatest length, in characters: hashing a book costs the server, not the sender.
    pub const MAX: usize = 1024;

    /// A password that somebody chooses.
    ///
    /// # Errors
    /// When it is shorter than [`Password::MIN`] or longer than [`Password::MAX`] characters.
    pub fn choose(text: String) -> Result<Self, Error> {
        let length = text.chars().count();
        if length < Self::MIN {
            return Err(Error::invalid_field("password", format!("A password has at least {} characters.", Self::MIN)));
        }
        if length > Self::MAX {
            return Err(Error::invalid_field("password", format!("A password has at most {} characters.", Self::MAX)));
        }
        Ok(Self(text))
    }

    /// A password that somebody gives to be compared: any text, cut to the greatest length.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(text.chars().take(Self::MAX + 1).collect())
    }

    /// The text, to be hashed or compared.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A person or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The user.
    pub id: UserId,
    /// The address to sign in with.
    pub email: Email,
    /// The name to show.
    pub name: String,
    /// A service account is a machine: it may ask and log, and never counts as a person who decides.
    pub is_service: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workspace {
    /// The workspace.
    pub id: WorkspaceId,
    /// The name in addresses: `/w/<slug>`.
    pub slug: String,
    /// The name to show.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The slug of the workspace that every installation starts with.
pub const DEFAULT_WORKSPACE: &str = "default";

/// Checks a workspace's slug: lower-case letters, digits and hyphens, 2 to 63 of them, a letter first.
///
/// # Errors
/// When the text is not of that form, or is a word that addresses use.
pub fn parse_slug(text: &str) -> Result<String, Error> {
    let shaped = (2..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !shaped || matches!(text, "api" | "ajax-api" | "static-files" | "workspaces") {
        return Err(Error::invalid_field(
            "slug",
            "A workspace's address is 2 to 63 lower-case letters, digits and hyphens, and starts with a letter.",
        ));
    }
    Ok(text.to_owned())
}

/// A user's place in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// Who.
    pub user: User,
    /// What they are here.
    pub roles: BTreeSet<Role>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When they were last seen, by any session or token.
    pub last_seen_at: Option<DateTime<Utc>>,
}

impl Member {
    /// Whether one of the member's roles carries the permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.iter().any(|role| role.may(permission))
    }
}

/// A browser's session, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// What to revoke it by. Not the cookie's value.
    pub handle: String,
    /// Whether this is the session that asks.
    pub current: bool,
    /// The browser, as it names itself.
    pub user_agent: String,
    /// Where from.
    pub address: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// The token.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// The first characters of the secret, to tell tokens apart.
    pub prefix: String,
    /// What it may be used for.
    pub scope: Scope,
    /// The workspace it works in when a request names none.
    pub workspace: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_in_lower_case() {
        assert_eq!(Email::parse(" Approver@Example.com ").unwrap().as_str(), "approver@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "approver", "@", "a@", "@b", "a b@c", "a@b@c", "a@.c", "a@c.", &format!("{}@c.d", "a".repeat(300))]
        {
            assert!(Email::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_of_slipways_own_accounts_are_nobody_elses() {
        for text in ["pipelines@default.slipway.invalid", "a@slipway.invalid", "Approver@Demo.invalid"] {
            assert!(Email::parse(text).unwrap().is_reserved(), "{text}");
        }
        for text in ["a@notslipway.invalid", "a@slipway.invalid.example.com", "slipway.invalid@example.com"] {
            assert!(!Email::parse(text).unwrap().is_reserved(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::choose("correct horse battery".to_owned()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    #[test]
    fn a_short_password_is_refused() {
        assert!(Password::choose("7 chars".to_owned()).is_err());
        assert!(Password::choose("8 chars!".to_owned()).is_ok());
    }

    #[test]
    fn a_slug_has_the_form_of_an_address() {
        assert!(parse_slug("wine-lab").is_ok());
        for text in ["", "a", "Wine", "1st", "a-", "a b", "api", "ajax-api", "é-lab"] {
            assert!(parse_slug(text).is_err(), "{text}");
        }
    }
}
