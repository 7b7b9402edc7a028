//! An expectation, held against a table row by row.

use super::{
    Value,
    gather::{number, text},
    shortened,
};
use domain::{
    expectation::{CheckResult, Expectation, Outcome, Rule},
    table_profile::TableProfile,
};
use regex::{Regex, RegexBuilder};
use std::collections::HashSet;

/// The most different values of a column that is to have each once.
const MAX_UNIQUE: usize = 20_000_000;
/// How many values that break a rule are told.
const EXAMPLES: usize = 3;

pub(super) struct Checker<'a> {
    expectation: &'a Expectation,
    /// Where its column is; none when there is no such column, or it is about none.
    column: Option<usize>,
    test: Test<'a>,
    wrong: u64,
    examples: Vec<String>,
    /// Why it cannot be found out.
    unknown: Option<String>,
}

enum Test<'a> {
    /// It is about the whole table.
    Table,
    NotNull,
    Unique(HashSet<[u8; 16]>),
    Range(Option<f64>, Option<f64>),
    Fits(Regex),
    Among(HashSet<&'a str>),
}

pub(super) fn pattern(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build();
    built.map_err(|_| format!("\"{}\" is no regular expression, or is too large.", shortened(pattern)))
}

impl<'a> Checker<'a> {
    pub(super) fn new(expectation: &'a Expectation) -> Self {
        let mut unknown = None;
        let test = match &expectation.rule {
            Rule::Schema { .. } | Rule::RowCount { .. } => Test::Table,
            Rule::NotNull { .. } => Test::NotNull,
            Rule::Unique { .. } => Test::Unique(HashSet::new()),
            Rule::Range { min, max, .. } => Test::Range(*min, *max),
            Rule::Regex { pattern: text, .. } => match pattern(text) {
                Ok(regex) => Test::Fits(regex),
                Err(why) => {
                    unknown = Some(why);
                    Test::Table
                }
            },
            Rule::AllowedValues { values, .. } => Test::Among(values.iter().map(String::as_str).collect()),
        };
        Self { expectation, column: None, test, wrong: 0, examples: Vec::new(), unknown }
    }

    fn name(&self) -> Option<&'a str> {
        match &self.expectation.rule {
            Rule::Schema { .. } | Rule::RowCount { .. } => None,
            Rule::NotNull { column }
            | Rule::Unique { column }
            | Rule::Range { column, .. }
            | Rule::Regex { column, .. }
            | Rule::AllowedValues { column, .. } => Some(column),
        }
    }

    pub(super) fn begin(&mut self, names: &[String]) {
        self.column = self.name().and_then(|name| names.iter().position(|known| known == name));
    }

    pub(super) fn row(&mut self, index: u64, values: &[Value<'_>]) {
        let Some(value) = self.column.and_then(|column| values.get(column)) else { return };
        if *value == Value::Missing {
            if matches!(self.test, Test::NotNull) {
                self.breaks(format!("row {}", index + 1));
            }
            return;
        }
        let Some(text) = text(value) else { return };
        let holds = match &mut self.test {
            Test::Table | Test::NotNull => true,
            Test::Unique(seen) => {
                if seen.len() >= MAX_UNIQUE {
                    self.unknown = Some(format!("It has more than {MAX_UNIQUE} different values."));
                    true
                } else {
                    let hash = blake3::hash(text.as_bytes());
                    seen.insert(hash.as_bytes().first_chunk().copied().unwrap_or_default())
                }
            }
            Test::Range(min, max) => number(value)
                .is_some_and(|number| min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)),
            Test::Fits(regex) => regex.is_match(&text),
            Test::Among(values) => values.contains(&*text),
        };
        if !holds {
            self.breaks(format!("\"{}\" in row {}", shortened(&text), index + 1));
        }
    }

    fn breaks(&mut self, example: String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }

    pub(super) fn end(self, table: &TableProfile, is_whole: bool) -> CheckResult {
        let (outcome, found) = self.judge(table, is_whole);
        CheckResult { expectation: self.expectation.clone(), path: table.path.clone(), outcome, found }
    }

    fn judge(&self, table: &TableProfile, is_whole: bool) -> (Outcome, String) {
        let unread = || (Outcome::Inconclusive, table.trouble.clone());
        if table.columns.is_empty() && !is_whole {
            return unread();
        }
        match &self.expectation.rule {
            Rule::Schema { columns } => {
                let missing =
                    columns.iter().filter(|column| !table.columns.iter().any(|known| known.name == column.name));
                let extra =
                    table.columns.iter().filter(|known| !columns.iter().any(|column| column.name == known.name));
                let other = columns.iter().filter_map(|column| {
                    let known = table.columns.iter().find(|known| known.name == column.name)?;
                    let kind = column.kind.filter(|kind| *kind != known.kind && known.missing < table.rows)?;
                    Some(format!("{} is {} and not {}", column.name, known.kind.as_str(), kind.as_str()))
                });
                let wrong: Vec<String> = missing
                    .map(|column| format!("{} is missing", column.name))
                    .chain(extra.map(|known| format!("{} is not expected", known.name)))
                    .chain(other)
                    .collect();
                match wrong.is_empty() {
                    true => (Outcome::Passed, format!("It has these {} columns.", columns.len())),
                    false => (Outcome::Failed, format!("{}.", wrong.join("; "))),
                }
            }
            Rule::RowCount { min, max } => {
                let found = format!("It has {} rows.", table.rows);
                if max.is_some_and(|max| table.rows > max) {
                    return (Outcome::Failed, found);
                }
                match is_whole {
                    false => unread(),
                    true if min.is_some_and(|min| table.rows < min) => (Outcome::Failed, found),
                    true => (Outcome::Passed, found),
                }
            }
            _ if self.column.is_none() => {
                (Outcome::Failed, format!("There is no column {}.", self.name().unwrap_or_default()))
            }
            _ if self.wrong > 0 => {
                let more = if self.wrong > EXAMPLES as u64 { " …" } else { "" };
                let rows = if self.wrong == 1 { "row does" } else { "rows do" };
                let found = format!("{} {rows} not: {}{more}", self.wrong, self.examples.join(", "));
                (Outcome::Failed, found)
            }
            _ => match &self.unknown {
                Some(why) => (Outcome::Inconclusive, why.clone()),
                None if !is_whole => unread(),
                None => (Outcome::Passed, format!("All {} rows do.", table.rows)),
            },
        }
    }
}
