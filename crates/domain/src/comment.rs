//! Comments: what people say of runs, model versions and promotions.

use crate::{
    error::Error,
    id::{CommentId, ModelVersionId, PromotionId, RunId, UserId},
    preview::{Block, Inline},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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

/// A piece of a text in which people may be mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text.
    Text(&'a str),
    /// The name of somebody who is mentioned: an at sign stands before it.
    Name(&'a str),
}

/// A text, cut where somebody of these names is mentioned. Of two names that fit the longer one is meant.
#[must_use]
pub fn pieces<'a>(text: &'a str, names: &[String]) -> Vec<Piece<'a>> {
    let mut all = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find('@') {
        let sign = at + found;
        let behind = &text[sign + 1..];
        let length = names
            .iter()
            .filter(|name| !name.is_empty() && behind.starts_with(name.as_str()))
            .map(String::len)
            .filter(|length| !behind[*length..].starts_with(char::is_alphanumeric))
            .max();
        at = sign + 1;
        if let Some(length) = length {
            if from < sign {
                all.push(Piece::Text(&text[from..sign]));
            }
            all.push(Piece::Name(&behind[..length]));
            at += length;
            from = at;
        }
    }
    if from < text.len() {
        all.push(Piece::Text(&text[from..]));
    }
    all
}

/// Whom of these people, by name, a comment mentions: where a reader sees it stressed, so not in code.
#[must_use]
pub fn mentioned<'a>(blocks: &'a [Block], names: &[String]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    in_blocks(blocks, names, &mut found);
    found
}

fn in_blocks<'a>(blocks: &'a [Block], names: &[String], found: &mut BTreeSet<&'a str>) {
    for block in blocks {
        match block {
            Block::Paragraph(parts) => in_line(parts, names, found),
            Block::Quote(inner) => in_blocks(inner, names, found),
            Block::List(_, items) => items.iter().for_each(|item| in_blocks(item, names, found)),
            Block::Heading(..) | Block::Code(_) | Block::Table(..) | Block::Grid(_) | Block::Rule => {}
        }
    }
}

fn in_line<'a>(parts: &'a [Inline], names: &[String], found: &mut BTreeSet<&'a str>) {
    for part in parts {
        match part {
            Inline::Text(text) => found.extend(pieces(text, names).into_iter().filter_map(|piece| match piece {
                Piece::Name(name) => Some(name),
                Piece::Text(_) => None,
            })),
            Inline::Emphasis(inner) | Inline::Strong(inner) => in_line(inner, names, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_mentioned_by_the_longest_name_that_fits_and_not_in_code() {
        let names = ["Ada", "Ada Lovelace", "é"].map(str::to_owned);
        assert_eq!(
            pieces("ask @Ada Lovelace, or @Ada.", &names),
            [
                Piece::Text("ask "),
                Piece::Name("Ada Lovelace"),
                Piece::Text(", or "),
                Piece::Name("Ada"),
                Piece::Text(".")
            ]
        );
        assert_eq!(pieces("@Adam and a@b", &names), [Piece::Text("@Adam and a@b")]);
        assert_eq!(pieces("@é@é", &names), [Piece::Name("é"), Piece::Name("é")]);
        assert_eq!(pieces("", &names), []);
        let blocks = [
            Block::Code("@Ada".to_owned()),
            Block::Paragraph(vec![
                Inline::Code("@Ada".to_owned()),
                Inline::Strong(vec![Inline::Text("@é".to_owned())]),
            ]),
        ];
        assert_eq!(mentioned(&blocks, &names), BTreeSet::from(["é"]));
    }

    #[test]
    fn a_comment_says_something_and_has_an_end() {
        assert_eq!(check_text("  *good*\n"), Ok("*good*"));
        assert!(check_text(&"é".repeat(MAX_COMMENT / 2)).is_ok());
        for wrong in ["", " \n\t", "a\0b", &"x".repeat(MAX_COMMENT + 1)] {
            assert_eq!(check_text(wrong).unwrap_err().field.as_deref(), Some("text"));
        }
    }
}
