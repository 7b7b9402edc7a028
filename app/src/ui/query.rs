//! Addresses with state in them: filters, order and place in a list are in the URL, so that what I see I can paste.

use std::fmt::Write as _;

/// The address of the page that is shown, to make links that change one thing about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Address {
    /// A path and its query, decoded.
    pub fn new(path: impl Into<String>, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { path: path.into(), pairs: pairs.into_iter().collect() }
    }

    /// The value under this name; empty values count as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value under this name that is not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The same page with these values, on its first page of rows.
    #[must_use]
    pub fn with_all(&self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        let mut changed = self.without(name);
        changed.pairs.extend(values.into_iter().map(|value| (name.to_owned(), value)));
        changed
    }

    /// The same page with one more value under this name, on its first page of rows.
    #[must_use]
    pub fn and(&self, name: &str, value: impl Into<String>) -> Self {
        let mut more = self.without("page_token");
        more.pairs.push((name.to_owned(), value.into()));
        more
    }

    /// The same page without this one of the values under a name, on its first page of rows.
    #[must_use]
    pub fn without_value(&self, name: &str, value: &str) -> Self {
        let mut fewer = self.without("page_token");
        fewer.pairs.retain(|(n, v)| n != name || v != value);
        fewer
    }

    /// The same page with this value, on its first page of rows.
    #[must_use]
    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut changed = self.without(name);
        changed.pairs.push((name.to_owned(), value.into()));
        changed
    }

    /// The same page without this value, on its first page of rows.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let pairs = self.pairs.iter().filter(|(n, _)| n != name && n != "page_token").cloned().collect();
        Self { path: self.path.clone(), pairs }
    }

    /// The same page and the same rows without what is in these names.
    #[must_use]
    pub fn dropping(&self, names: &[&str]) -> Self {
        let pairs = self.pairs.iter().filter(|(n, _)| !names.contains(&n.as_str())).cloned().collect();
        Self { path: self.path.clone(), pairs }
    }

    /// The pairs a filter form has to send along with its own fields, named in `own`.
    pub fn others<'a>(&'a self, own: &'a [&str]) -> impl Iterator<Item = (String, String)> + 'a {
        self.pairs.iter().filter(move |(n, _)| n != "page_token" && !own.contains(&n.as_str())).cloned()
    }

    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole address, encoded.
    #[must_use]
    pub fn href(&self) -> String {
        let query = self.query();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// What stands after the question mark, encoded.
    #[must_use]
    pub fn query(&self) -> String {
        self.pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

/// Percent-encodes one part of a path or query.
#[must_use]
pub fn encode(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The order of a list: a column, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The column's name in the address.
    pub key: String,
    /// Whether the largest or latest comes first.
    pub descending: bool,
}

impl Sort {
    /// Reads `started` or `-started`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(key) => Self { key: key.to_owned(), descending: true },
            None => Self { key: text.to_owned(), descending: false },
        }
    }

    /// As an entry of an order in the search language, which calls the column so.
    #[must_use]
    pub fn order(&self, column: &str) -> String {
        format!("{column} {}", if self.descending { "DESC" } else { "ASC" })
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_changes_one_thing_and_starts_at_the_first_page() {
        let here = Address::new(
            "/w/lab/runs",
            [("q", "a = 'b'"), ("sort", "-started"), ("page_token", "9f")].map(|(n, v)| (n.into(), v.into())),
        );
        assert_eq!(here.with("sort", "name").href(), "/w/lab/runs?q=a%20%3D%20%27b%27&sort=name");
        assert_eq!(here.without("q").href(), "/w/lab/runs?sort=-started");
        assert_eq!(here.get("sort"), Some("-started"));
    }

    #[test]
    fn an_order_reads_as_it_is_written() {
        for text in ["started", "-started"] {
            assert_eq!(Sort::parse(text).to_string(), text);
        }
        assert_eq!(
            ["started", "-started"].map(|text| Sort::parse(text).order("start_time")),
            ["start_time ASC", "start_time DESC"]
        );
    }
}
