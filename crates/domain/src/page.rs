//! Keyset pages: a list answers with the rows after a key, and the key of the next page.

use crate::{digest::hex, error::Error};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// Ask with this for the rows after these; absent on the last page.
    pub next_page_token: Option<String>,
}

impl<T> Page<T> {
    /// A page of up to `limit` of `items`, of which one more than `limit` was asked for. `key` gives the sort key of
    /// the last row shown, which the next page starts after.
    pub fn cut<K: Serialize>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        if items.len() <= limit {
            return Self { items, next_page_token: None };
        }
        items.truncate(limit);
        let next_page_token = items.last().map(|last| encode(&key(last)));
        Self { items, next_page_token }
    }

    /// The same page with other rows.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next_page_token: self.next_page_token }
    }
}

/// The longest token that is read. Keys of lists that are sorted by many texts are the longest.
const MAX_TOKEN: usize = 64 * 1024;

/// How many rows a page may have, when a list does not say otherwise.
pub const MAX_PAGE: usize = 1000;

/// Writes a sort key as an opaque token: hexadecimal of its JSON.
pub fn encode<K: Serialize>(key: &K) -> String {
    hex(&serde_json::to_vec(key).unwrap_or_default())
}

/// The refusal of a token that another list or order gave.
#[must_use]
pub fn foreign_token() -> Error {
    Error::invalid_field("page_token", "This page token is not one of this list; start again without it.")
}

/// Reads a token made by [`encode`].
///
/// # Errors
/// When the text is not a token of this list.
pub fn decode<K: DeserializeOwned>(token: &str) -> Result<K, Error> {
    if !token.len().is_multiple_of(2) || token.len() > MAX_TOKEN || !token.is_ascii() {
        return Err(foreign_token());
    }
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok()).collect();
    serde_json::from_slice(&bytes.ok_or_else(foreign_token)?).map_err(|_| foreign_token())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_more_behind_it_carries_the_key_of_its_last_row() {
        let page = Page::cut(vec![1, 2, 3], 2, |n| *n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(decode::<i32>(&page.next_page_token.unwrap()), Ok(2));
        assert_eq!(Page::cut(vec![1, 2], 2, |n| *n).next_page_token, None);
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "zz", "abc", "7b7d", "é0"] {
            assert!(decode::<(i64, String)>(token).is_err(), "{token}");
        }
    }
}
