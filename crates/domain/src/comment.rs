//! Comments: what people say of runs, model versions and promotions.

use crate::{
    error::Error,
    id::{CommentId, ModelVersionId, PromotionId, RunId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The most bytes of a comment.
pub const MAX_COMMENT: usize = 64 << 10;

/// What a comment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A run.
    Run(RunId),
    /// A model version.
    ModelVersion(ModelVersionId),
    /// A promotion.
    Promotion(PromotionId),
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comment {
    /// The comment.
    pub id: CommentId,
    /// Who wrote it.
    pub author_id: UserId,
    /// Their name then.
    pub author: String,
    /// What they wrote: the source of Markdown, which nobody has made safe to show as HTML.
    pub text: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When they last changed it.
    pub updated_at: DateTime<Utc>,
}

/// Checks what somebody writes, and takes the white space around it away.
///
/// # Errors
/// When it is blank, too long, or holds the NUL character.
pub fn check_text(text: &str) -> Result<&str, Error> {
    let text = text.trim();
    let wrong = |message: String| Err(Error::invalid_field("text", message));
    if text.is_empty() {
        return wrong("Write something: a comment is not empty.".to_owned());
    }
    if text.len() > MAX_COMMENT {
        return wrong(format!("A comment has at most {} KiB; this one has {} bytes.", MAX_COMMENT >> 10, text.len()));
    }
    if text.contains('\0') {
        return wrong("A comment cannot hold the NUL character.".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_something_and_has_an_end() {
        assert_eq!(check_text("  *good*\n"), Ok("*good*"));
        assert!(check_text(&"é".repeat(MAX_COMMENT / 2)).is_ok());
        for wrong in ["", " \n\t", "a\0b", &"x".repeat(MAX_COMMENT + 1)] {
            assert_eq!(check_text(wrong).unwrap_err().field.as_deref(), Some("text"));
        }
    }
}
