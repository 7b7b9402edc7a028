//! Times that come again: a cron expression by the clocks of a time zone.
//!
//! A time that the clocks skip is the first one after; one that they repeat is the first of the two, unless hours or
//! minutes are wildcards.

use crate::error::Error;
use chrono::{DateTime, Datelike as _, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// A cron expression and a time zone, read.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Box<Cron>,
    zone: Tz,
}

/// The years that expressions are looked at in.
const YEARS: std::ops::Range<i32> = 1970..4000;

impl Timetable {
    /// Reads an expression of five fields and the name of a time zone.
    ///
    /// # Errors
    /// Of the field `expression` or `timezone`, when it is none, and for an expression that no day fits.
    pub fn read(expression: &str, timezone: &str) -> Result<Self, Error> {
        let wrong = |text: &str| Error::invalid_field("expression", text);
        if expression.len() > 200 || expression.split_whitespace().count() != 5 {
            return Err(wrong(
                "Give five fields: minute, hour, day of the month, month, day of the week, such as 0 18 * * 5.",
            ));
        }
        let cron = parse(expression).map_err(|_| {
            wrong(
                "This is no cron expression. It has minute (0 to 59), hour (0 to 23), day of the month (1 to 31), month \
                 (1 to 12) and day of the week (0 to 7), each a number, *, a range such as 1-5, a list or a step such as \
                 */15.",
            )
        })?;
        let zone: Tz = timezone.parse().map_err(|_| {
            Error::invalid_field(
                "timezone",
                "Give a time zone by its name in the tz database, such as Europe/Berlin or UTC.",
            )
        })?;
        // 29 February comes within eight years of any year but around 2100, and anything that comes at all within that.
        let from = zone.with_ymd_and_hms(2024, 1, 1, 12, 0, 0).earliest();
        let first = from.and_then(|from| cron.find_next_occurrence(&from, true).ok());
        match (from, first) {
            (Some(from), Some(first)) if first - from < TimeDelta::days(28 * 366) => {
                Ok(Self { cron: Box::new(cron), zone })
            }
            _ => Err(wrong("No day fits this expression, so it would never come.")),
        }
    }

    /// The last time at or before a moment.
    #[must_use]
    pub fn last(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !YEARS.contains(&at.year()) {
            return None;
        }
        let found = self.cron.find_previous_occurrence(&whole(at).with_timezone(&self.zone), true);
        found.ok().map(|start| start.to_utc())
    }

    /// The first time after a moment.
    #[must_use]
    pub fn next(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !YEARS.contains(&at.year()) {
            return None;
        }
        let found = self.cron.find_next_occurrence(&whole(at).with_timezone(&self.zone), false);
        found.ok().map(|start| start.to_utc())
    }

    /// The first times after a moment.
    pub fn ahead(&self, at: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next(at), |last| self.next(*last))
    }
}

/// Without parts of a second: beginnings have none.
fn whole(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}

fn parse(expression: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(expression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ahead(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let table = Timetable::read(expression, zone).unwrap();
        table.ahead(utc(from)).take(count).map(|at| at.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn a_night_without_the_hour_fires_once_and_so_does_one_that_has_it_twice() {
        // Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, and back from 03:00 to 02:00 on 25 October.
        assert_eq!(
            ahead("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["28 01:30", "29 01:00", "30 00:30"]
        );
        assert_eq!(
            ahead("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
            ["24 00:30", "25 00:30", "26 01:30"]
        );
        assert_eq!(
            ahead("0 * * * *", "Europe/Berlin", "2026-10-24T22:30:00Z", 5),
            ["24 23:00", "25 00:00", "25 01:00", "25 02:00", "25 03:00"]
        );
    }

    #[test]
    fn what_is_wrong_is_told_at_its_field() {
        let field = |expression, zone| Timetable::read(expression, zone).unwrap_err().field.unwrap();
        assert_eq!(field("every night", "UTC"), "expression");
        assert_eq!(field("0 25 * * *", "UTC"), "expression");
        assert_eq!(field("0 0 31 2 *", "UTC"), "expression");
        assert_eq!(field("0 0 * * *", "Moon/Sea"), "timezone");
    }

    proptest! {
        /// Looked at forwards and backwards, the times are the same: a fire is known by its time.
        #[test]
        fn forwards_and_backwards_it_is_the_same(
            expression in prop::sample::select(vec!["30 2 * * *", "*/15 * * * *", "0 * * * *", "15 1-3 * * *", "0 3 1 * *"]),
            zone in prop::sample::select(vec!["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe"]),
            day in 0_i64..420,
        ) {
            let table = Timetable::read(expression, zone).unwrap();
            let from = utc("2026-01-01T00:00:00Z") + TimeDelta::days(day);
            for at in table.ahead(from).take(30) {
                prop_assert_eq!(table.last(at), Some(at));
                let before = table.last(at - TimeDelta::seconds(1));
                prop_assert_eq!(before.and_then(|before| table.next(before)), Some(at));
            }
        }
    }
}
