//! A moment in the past that somebody asks about. It reaches as far as it is said: a minute is asked about to its end, a
//! day as well. Who copies a time from a page, where it is cut, so finds what had happened by then.

use crate::error::Error;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// A moment that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    text: String,
    before: DateTime<Utc>,
}

impl AsOf {
    /// Reads a day (`2026-11-23`), or a time of one to the minute, the second or a fraction (`2026-11-23T09:05:12.25`),
    /// with or without a zone (`Z`, `+01:00`); without one, in UTC.
    ///
    /// # Errors
    /// When the text is none of these, there is no such day or time, or it lies before 1970 or after 9999.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        read(text).map(|before| Self { text: text.to_owned(), before }).ok_or_else(|| {
            let given: String = text.chars().take(64).collect();
            Error::invalid_field(
                "as_of",
                format!(
                    "\"{given}\" is neither a day nor a time. Write 2026-11-23, 2026-11-23T09:05 or 2026-11-23T09:05:12Z; a \
                     time without a zone is in UTC."
                ),
            )
        })
    }

    /// What had happened by then happened before this.
    #[must_use]
    pub fn before(&self) -> DateTime<Utc> {
        self.before
    }

    /// The last moment that is asked about, as far as the database tells moments apart.
    #[must_use]
    pub fn last(&self) -> DateTime<Utc> {
        self.before - TimeDelta::microseconds(1)
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The end of what the text names.
fn read(text: &str) -> Option<DateTime<Utc>> {
    let (day, rest) = text.split_at_checked(10)?;
    let well_formed = |part: &str, form: &str| {
        part.len() == form.len()
            && part.bytes().zip(form.bytes()).all(|(c, f)| if f == b'0' { c.is_ascii_digit() } else { c == f })
    };
    if !well_formed(day, "0000-00-00") {
        return None;
    }
    let day = day.parse::<NaiveDate>().ok()?;
    let (from, unit, offset) = match rest.strip_prefix(['T', 't', ' ']) {
        None if rest.is_empty() => (NaiveTime::MIN, TimeDelta::days(1), TimeDelta::zero()),
        None => return None,
        Some(time) => {
            let (time, offset) = zone(time)?;
            let (whole, fraction) = time.split_once('.').map_or((time, None), |(whole, f)| (whole, Some(f)));
            let unit = match fraction {
                None if well_formed(whole, "00:00") => TimeDelta::minutes(1),
                None if well_formed(whole, "00:00:00") => TimeDelta::seconds(1),
                Some(digits) if well_formed(whole, "00:00:00") && digits.bytes().all(|c| c.is_ascii_digit()) => {
                    // The database keeps millionths.
                    let places = u32::try_from(digits.len()).ok().filter(|places| (1..=9).contains(places))?.min(6);
                    TimeDelta::microseconds(10_i64.pow(6 - places))
                }
                _ => return None,
            };
            let padded = if well_formed(time, "00:00") { format!("{time}:00") } else { time.to_owned() };
            (padded.parse::<NaiveTime>().ok()?, unit, offset)
        }
    };
    let from = day.and_time(from).and_utc().checked_sub_signed(offset)?;
    let is_ours = (0..=253_402_300_799).contains(&from.timestamp());
    is_ours.then(|| from.checked_add_signed(unit)).flatten()
}

/// The time without its zone, and how far the zone is ahead of UTC. A `+` that an address did not encode arrives as a
/// space.
fn zone(time: &str) -> Option<(&str, TimeDelta)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, TimeDelta::zero()));
    }
    let Some(at) = time.find(['+', '-', ' ']) else { return Some((time, TimeDelta::zero())) };
    let (time, zone) = time.split_at(at);
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let is_four = digits.len() == 4 && digits.bytes().all(|c| c.is_ascii_digit());
    let (hours, minutes) = is_four.then(|| digits.split_at(2))?;
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    let ahead = TimeDelta::minutes(hours * 60 + minutes);
    (hours < 24 && minutes < 60).then_some((time, if zone.starts_with('-') { -ahead } else { ahead }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(text: &str) -> String {
        AsOf::parse(text).unwrap().before().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }

    #[test]
    fn a_moment_reaches_to_the_end_of_what_is_said() {
        for (text, end) in [
            ("2026-11-23", "2026-11-24T00:00:00.000000Z"),
            ("2026-11-23T09:05", "2026-11-23T09:06:00.000000Z"),
            (" 2026-11-23 09:05 ", "2026-11-23T09:06:00.000000Z"),
            ("2026-11-23T09:05:12", "2026-11-23T09:05:13.000000Z"),
            ("2026-11-23T09:05:12Z", "2026-11-23T09:05:13.000000Z"),
            ("2026-11-23T09:05:12.25Z", "2026-11-23T09:05:12.260000Z"),
            ("2026-11-23T09:05:12.123456z", "2026-11-23T09:05:12.123457Z"),
            ("2026-11-23T09:05:12.123456789Z", "2026-11-23T09:05:12.123457Z"),
            ("2026-11-23T09:05:12+01:00", "2026-11-23T08:05:13.000000Z"),
            ("2026-11-23T09:05:12 0100", "2026-11-23T08:05:13.000000Z"),
            ("2026-11-23T09:05:12-05:30", "2026-11-23T14:35:13.000000Z"),
        ] {
            assert_eq!(before(text), end, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_an_example() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-11-23T",
            "2026-11-23T25:00",
            "2026-11-23T09",
            "2026-11-23T9:5",
            "2026-11-23T09:05:12.",
            "2026-11-23T09:05:12.1234567890",
            "2026-11-23T09:05:12+1",
            "2026-11-23T09:05:12+25:00",
            "2026-11-23T09:05:12+01:00:00",
            "1969-12-31",
            "99999-01-01",
            "+2026-01-01",
            "2026-11-23T09:05\0",
            "２０２６-11-23",
            "9999999999999999999999",
        ] {
            let error = AsOf::parse(text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("as_of"), "{text}");
            assert!(error.message.contains("2026-11-23T09:05"), "{text}");
        }
    }
}
