//! What is known of a column, value by value.

use super::{Value, shortened};
use domain::table_profile::{ColumnKind, ColumnProfile, SAMPLED};
use std::{borrow::Cow, collections::HashMap};

/// The most different values that are counted.
const MAX_DISTINCT: usize = 10_000;
/// How many of the most frequent values are told.
const TOP: usize = 10;

pub(super) struct Gathered {
    name: String,
    missing: i64,
    /// Which sorts every value fits, so far.
    fits_boolean: bool,
    fits_integer: bool,
    fits_number: bool,
    count: f64,
    mean: f64,
    /// The sum of squared distances from the mean (Welford).
    squares: f64,
    least: f64,
    greatest: f64,
    first: Option<String>,
    last: Option<String>,
    counts: HashMap<String, i64>,
    is_cut: bool,
    values: Vec<Option<String>>,
}

/// A value as text; none for a missing one.
pub(super) fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Missing => None,
        Value::Boolean(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Integer(value) => Some(Cow::Owned(value.to_string())),
        Value::Number(value) => Some(Cow::Owned(value.to_string())),
        Value::Text(text) | Value::Written(text) => Some(Cow::Borrowed(text)),
    }
}

/// A value as a number; none when it is none.
pub(super) fn number(value: &Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Integer(value) => *value as f64,
        Value::Number(value) => *value,
        Value::Written(text) => text.trim().parse().ok()?,
        Value::Missing | Value::Boolean(_) | Value::Text(_) => return None,
    };
    Some(number)
}

impl Gathered {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            missing: 0,
            fits_boolean: true,
            fits_integer: true,
            fits_number: true,
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            first: None,
            last: None,
            counts: HashMap::new(),
            is_cut: false,
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, value: &Value<'_>, is_kept: bool) {
        let Some(text) = text(value) else {
            self.missing += 1;
            if is_kept {
                self.values.push(None);
            }
            return;
        };
        match value {
            Value::Boolean(_) => (self.fits_integer, self.fits_number) = (false, false),
            Value::Integer(_) => self.fits_boolean = false,
            Value::Number(_) => (self.fits_boolean, self.fits_integer) = (false, false),
            Value::Text(_) => (self.fits_boolean, self.fits_integer, self.fits_number) = (false, false, false),
            Value::Written(written) => {
                let written = written.trim();
                self.fits_boolean &= written.eq_ignore_ascii_case("true") || written.eq_ignore_ascii_case("false");
                self.fits_integer = self.fits_integer && written.parse::<i64>().is_ok();
                self.fits_number = self.fits_number && written.parse::<f64>().is_ok();
            }
            Value::Missing => {}
        }
        if self.fits_number
            && let Some(number) = number(value).filter(|number| number.is_finite())
        {
            self.count += 1.0;
            let distance = number - self.mean;
            self.mean += distance / self.count;
            self.squares += distance * (number - self.mean);
            self.least = self.least.min(number);
            self.greatest = self.greatest.max(number);
        }
        if self.first.as_deref().is_none_or(|first| *text < *first) {
            self.first = Some(shortened(&text));
        }
        if self.last.as_deref().is_none_or(|last| *text > *last) {
            self.last = Some(shortened(&text));
        }
        let has_room = self.counts.len() < MAX_DISTINCT;
        match self.counts.get_mut(&*text) {
            Some(count) => *count += 1,
            None if has_room => _ = self.counts.insert(text.clone().into_owned(), 1),
            None => self.is_cut = true,
        }
        if is_kept {
            self.values.push(Some(shortened(&text)));
        }
    }

    /// Whether twice as many values are kept as are wanted.
    pub(super) fn is_full(&self) -> bool {
        self.values.len() >= 2 * SAMPLED
    }

    /// Drops every other value that was kept.
    pub(super) fn thin(&mut self) {
        let mut index = 0;
        self.values.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }

    pub(super) fn end(mut self) -> ColumnProfile {
        let has_values = self.first.is_some();
        let kind = match () {
            () if has_values && self.fits_boolean => ColumnKind::Boolean,
            () if has_values && self.fits_integer => ColumnKind::Integer,
            () if has_values && self.fits_number => ColumnKind::Number,
            () => ColumnKind::Text,
        };
        let is_number = matches!(kind, ColumnKind::Integer | ColumnKind::Number) && self.count > 0.0;
        let (min, max) = match is_number {
            true => (Some(self.least.to_string()), Some(self.greatest.to_string())),
            false => (self.first, self.last),
        };
        let mut top: Vec<(String, i64)> = Vec::new();
        let distinct = self.counts.len() as i64;
        if !self.is_cut {
            top = self.counts.into_iter().filter(|(_, count)| *count > 1 || distinct <= TOP as i64).collect();
            top.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            top.truncate(TOP);
            top.iter_mut().for_each(|(text, _)| *text = shortened(text));
        }
        if kind == ColumnKind::Boolean {
            self.values.iter_mut().flatten().for_each(|text| text.make_ascii_lowercase());
        }
        ColumnProfile {
            name: self.name,
            kind,
            missing: self.missing,
            distinct,
            is_distinct_cut: self.is_cut,
            min,
            max,
            mean: is_number.then_some(self.mean),
            deviation: (is_number && self.count > 1.0).then(|| (self.squares / (self.count - 1.0)).sqrt()),
            top,
            values: self.values,
        }
    }
}
