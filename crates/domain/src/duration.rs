//! Spans of time as people write them: `90s`, `15m`, `1h30m`, `7d`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A span of time in whole seconds, written as `90s`, `1h30m` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

impl Span {
    /// A span of so many seconds.
    #[must_use]
    pub const fn of_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// A span of so many days.
    #[must_use]
    pub const fn of_days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// How many seconds it has.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The same, for arithmetic with times; at most what a calendar holds.
    #[must_use]
    pub fn delta(self) -> chrono::TimeDelta {
        let most = 100 * 366 * 86_400;
        chrono::TimeDelta::seconds(i64::try_from(self.0.min(most)).unwrap_or_default())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a span of time as 90s, 15m, 1h30m or 7d")]
pub struct ParseSpanError;

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        seconds(text).map(Self).ok_or(ParseSpanError)
    }
}

impl TryFrom<String> for Span {
    type Error = ParseSpanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// Seconds of a span such as `1h30m`. Units are `d`, `h`, `m` and `s`, the larger first, each at most once.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let (mut total, mut last_unit) = (0_u64, u64::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let letter = rest[digits..].chars().next()?;
        let (_, unit) = UNITS.into_iter().find(|(unit, _)| *unit == letter)?;
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::{Span, seconds};

    #[test]
    fn a_span_is_written_as_it_is_read() {
        for text in ["90s", "15m", "1h30m", "7d", "1d1h1m1s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse(), Ok(span), "{text}");
        }
        assert_eq!(Span::of_seconds(90).to_string(), "1m30s");
        assert_eq!(Span::of_days(7).to_string(), "7d");
        assert!("7 days".parse::<Span>().is_err());
    }

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, expected) in
            [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604_800), ("1d1h1m1s", 90_061), ("0s", 0)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_span() {
        for text in [
            "",
            "90",
            "m",
            "1.5h",
            "30m1h",
            "1m1m",
            "1h 30m",
            "-5s",
            "5ms",
            "99999999999999999999s",
            "9999999999999999999d",
            "1µ",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
