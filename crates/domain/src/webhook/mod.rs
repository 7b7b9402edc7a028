//! Webhooks: addresses that are told when something happens in the registry, or to a promotion. Names, events and bodies of
//! the registry are those of MLflow.

mod address;
mod chat;
mod delivery;
mod event;
mod promotion;
mod step;

pub use address::{WebhookUrl, is_public};
pub use chat::waiting as chat_body;
pub use delivery::{Delivery, DeliveryState, Ending, MAX_ATTEMPTS, after_attempt, excerpt, retry_delay};
pub use event::{Announced, Happening, WebhookEvent};
pub use promotion::{PromotionEvent, completed};
pub use step::StepEvent;

use crate::{
    error::Error,
    id::{WebhookId, WorkspaceId},
    permission::UnknownName,
    wording::{check_length, check_nul, is_word},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::FromStr};

/// A webhook. Its secret is not among this: whoever set it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// The webhook.
    pub id: WebhookId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name. Several may have one name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where deliveries are sent, as it was given.
    pub url: String,
    /// What it is told of.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub events: BTreeSet<WebhookEvent>,
    /// What it is posted.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Whether anything is sent.
    pub status: WebhookStatus,
    /// Whether deliveries are signed.
    pub has_secret: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a webhook is posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// The event with its data, as MLflow posts it.
    #[default]
    Mlflow,
    /// One sentence with a link, in the field `text`: for Slack, Mattermost, Microsoft Teams and their like.
    Chat,
}

impl WebhookFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mlflow, Self::Chat];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mlflow => "mlflow",
            Self::Chat => "chat",
        }
    }
}

impl FromStr for WebhookFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// Whether a webhook is told anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookStatus {
    /// It is.
    #[default]
    Active,
    /// It is not, and what waited to be sent is dropped.
    Disabled,
}

impl WebhookStatus {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disabled => "DISABLED",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// The most characters of a name.
const MAX_NAME: usize = 63;
/// The most characters of a description.
const MAX_DESCRIPTION: usize = 1000;
/// The most characters of a secret.
const MAX_SECRET: usize = 1000;

/// Refuses what is no webhook's name.
///
/// # Errors
/// When it is empty, longer than 63 characters, holds anything but lower-case letters, digits, dots, underscores and
/// hyphens, or begins or ends with one of the last three.
pub fn check_name(name: &str) -> Result<(), Error> {
    if is_word(name, MAX_NAME) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
    Err(Error::invalid_field(
        "name",
        format!(
            "Webhook name '{shown}' is invalid. It has at most {MAX_NAME} lower-case letters, digits, dots (.), \
             underscores (_) and hyphens (-), and starts and ends with a letter or digit."
        ),
    ))
}

/// Refuses a description that is too long.
///
/// # Errors
/// When it has more than 1000 characters, or holds the NUL character.
pub fn check_description(text: &str) -> Result<(), Error> {
    check_nul(text, "description")?;
    check_length(text, MAX_DESCRIPTION, "description", "description")
}

/// Refuses a secret that cannot be kept. An empty one is none.
///
/// # Errors
/// When it has more than 1000 characters, or holds the NUL character. The message does not repeat it.
pub fn check_secret(secret: &str) -> Result<(), Error> {
    if secret.contains('\0') {
        return Err(Error::invalid_field("secret", "A secret cannot hold the NUL character."));
    }
    check_length(secret, MAX_SECRET, "secret", "secret")
}

/// Refuses a webhook that is told of nothing.
///
/// # Errors
/// When there is no event.
pub fn check_events(events: &BTreeSet<WebhookEvent>) -> Result<(), Error> {
    if events.is_empty() {
        return Err(Error::invalid_field("events", "Choose at least one event that the webhook is told of."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_word_of_lower_case_letters() {
        for name in ["a", "7", "ci-hook", "a.b_c-d", "0-0", &"x".repeat(63)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " ", "A", "Hook", "-a", "a-", ".a", "a_", "a b", "é", "a\n", "a\0b", &"x".repeat(64)] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("name"), "{name:?}");
            assert!(error.message.len() < 400);
        }
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        assert_eq!(check_secret(""), Ok(()));
        assert_eq!(check_secret(&"s".repeat(1000)), Ok(()));
        for secret in ["hush\0", &"hush".repeat(300)] {
            assert!(!check_secret(secret).unwrap_err().message.contains("hush"));
        }
    }

    #[test]
    fn a_webhook_is_told_of_something() {
        assert!(check_events(&BTreeSet::new()).is_err());
        assert!(check_events(&BTreeSet::from([WebhookEvent::PromptCreated])).is_ok());
    }
}
