//! Model cards: what people should know of a model, in Markdown. Each saving adds one; the latest counts.

use crate::error::Error;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A model card as it was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelCard {
    /// 1, 2, 3 …: which of the model's cards it is. The greatest is the one in force.
    pub number: i32,
    /// Markdown. Empty when the card was taken away.
    pub text: String,
    /// Who saved it, by name.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A model card in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelCardEntry {
    /// Which of the model's cards it is.
    pub number: i32,
    /// How many characters it has.
    pub characters: i32,
    /// Who saved it, by name.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The text of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardText(String);

impl CardText {
    /// The most characters.
    pub const MAX: usize = 100_000;
    /// The most lines.
    pub const MAX_LINES: usize = 5_000;

    /// Reads a text. Lines end with a line feed, whatever a browser sends.
    ///
    /// # Errors
    /// When it is too long or holds the character NUL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(Error::invalid_field("text", "A model card cannot hold the character NUL."));
        }
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let characters = text.chars().count();
        if characters > Self::MAX {
            return Err(Error::invalid_field(
                "text",
                format!("A model card has at most {} characters; this one has {characters}.", Self::MAX),
            ));
        }
        if text.lines().count() > Self::MAX_LINES {
            return Err(Error::invalid_field("text", format!("A model card has at most {} lines.", Self::MAX_LINES)));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_form_are_lines() {
        assert_eq!(CardText::parse("a\r\nb\rc\n").unwrap().as_str(), "a\nb\nc\n");
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        assert!(CardText::parse(&"ä".repeat(CardText::MAX)).is_ok());
        for text in ["a\0b".to_owned(), "ä".repeat(CardText::MAX + 1), "\n".repeat(CardText::MAX_LINES + 1)] {
            assert_eq!(CardText::parse(&text).unwrap_err().field.as_deref(), Some("text"));
        }
    }
}
