//! Filters and orders back into text, so that reading it gives the same again.

use super::clause::{Choice, Filter, Finite, IntegerTest, Keyed, NumberTest, OneOf, PatternTest, TextTest};
use std::fmt;

/// A key, in backticks when it would not be read whole without.
pub(super) struct Key<'a>(pub(super) &'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            f.write_str(self.0)
        } else {
            write!(f, "`{}`", self.0.replace('`', "``"))
        }
    }
}

/// A text in quotes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// `('a', 'b')`
fn list<T: AsRef<str>>(f: &mut fmt::Formatter<'_>, values: &[T]) -> fmt::Result {
    for (index, value) in values.iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "(" } else { ", " }, Quoted(value.as_ref()))?;
    }
    f.write_str(")")
}

/// What stands after an operand that is one of known values, whose texts `written` gives.
pub(super) fn one_of<T>(f: &mut fmt::Formatter<'_>, one_of: &OneOf<T>, written: impl Fn(&T) -> String) -> fmt::Result {
    let texts: Vec<String> = one_of.values.iter().map(written).collect();
    match &texts[..] {
        [only] => write!(f, "{} {}", if one_of.negated { "!=" } else { "=" }, Quoted(only)),
        several => {
            f.write_str(if one_of.negated { "NOT IN " } else { "IN " })?;
            list(f, several)
        }
    }
}

/// The same of an attribute whose names may also be compared with a pattern.
pub(super) fn choice<T>(f: &mut fmt::Formatter<'_>, choice: &Choice<T>, written: impl Fn(&T) -> String) -> fmt::Result {
    match choice {
        Choice::OneOf(values) => one_of(f, values, written),
        Choice::Like(test) => write!(f, "{test}"),
    }
}

impl fmt::Display for PatternTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "NOT " } else { "" };
        let like = if self.any_case { "ILIKE" } else { "LIKE" };
        write!(f, "{not}{like} {}", Quoted(self.pattern.as_str()))
    }
}

impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shortest digits that read back as the same number, with an exponent when it is very large or small.
        write!(f, "{:?}", self.get())
    }
}

impl fmt::Display for NumberTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.value)
    }
}

impl fmt::Display for IntegerTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.value)
    }
}

impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eq(text) => write!(f, "= {}", Quoted(text)),
            Self::Ne(text) => write!(f, "!= {}", Quoted(text)),
            Self::Like(pattern) => write!(f, "LIKE {}", Quoted(pattern.as_str())),
            Self::NotLike(pattern) => write!(f, "NOT LIKE {}", Quoted(pattern.as_str())),
            Self::ILike(pattern) => write!(f, "ILIKE {}", Quoted(pattern.as_str())),
            Self::NotILike(pattern) => write!(f, "NOT ILIKE {}", Quoted(pattern.as_str())),
            Self::In(values) | Self::NotIn(values) => {
                f.write_str(if matches!(self, Self::In(_)) { "IN " } else { "NOT IN " })?;
                list(f, values)
            }
        }
    }
}

impl<T: fmt::Display> fmt::Display for Keyed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("IS NOT NULL"),
            Self::Absent => f.write_str("IS NULL"),
            Self::Is(test) => test.fmt(f),
        }
    }
}

impl<C: fmt::Display> fmt::Display for Filter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, between) = match self {
            Self::Is(comparison) => return comparison.fmt(f),
            Self::Not(part) => return write!(f, "NOT {}", Part(part)),
            Self::And(parts) => (parts, " AND "),
            Self::Or(parts) => (parts, " OR "),
        };
        for (index, part) in parts.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { between }, Part(part))?;
        }
        Ok(())
    }
}

/// A filter inside another: in parentheses when it has several parts.
struct Part<'a, C>(&'a Filter<C>);

impl<C: fmt::Display> fmt::Display for Part<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::And(_) | Filter::Or(_) => write!(f, "({})", self.0),
            Filter::Not(_) | Filter::Is(_) => self.0.fmt(f),
        }
    }
}
