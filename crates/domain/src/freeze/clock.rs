//! The windows of one freeze: whether one is open at a moment, and until when that stays so.
//!
//! A window of a cron expression is open when the last beginning before the moment is less than its length ago: since all
//! are as long, the last one ends last. Every look at the expression is counted, so that no expression costs more than
//! its share.

use super::{Freeze, FreezeKind, Schedule};
use crate::error::Error;
use chrono::{DateTime, Datelike as _, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use std::cell::Cell;

/// How far ahead anything is looked for.
pub(super) const SIGHT: TimeDelta = TimeDelta::days(2 * 366);

/// How often expressions may still be looked at.
pub(super) struct Budget(Cell<u32>);

impl Budget {
    pub(super) fn new(looks: u32) -> Self {
        Self(Cell::new(looks))
    }

    /// Takes a look, unless none is left.
    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

/// How a freeze stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Whether it means anything: it is not ended.
    pub(super) applies: bool,
    /// Whether a window is open.
    pub(super) is_inside: bool,
    /// Until when that is so.
    pub(super) until: Until,
}

/// Until when something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until then, and no longer.
    At(DateTime<Utc>),
    /// At least until then; what follows was not looked at.
    AtLeast(DateTime<Utc>),
    /// For ever.
    Never,
}

/// The windows of a freeze, ready to be looked at.
pub(super) enum Clock {
    Cron {
        cron: Box<Cron>,
        zone: Tz,
        lasts: TimeDelta,
    },
    Dates {
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    },
    /// A schedule that cannot be read, which was checked once: it closes, so that nothing slips through.
    Unreadable(FreezeKind),
}

impl Clock {
    pub(super) fn of(freeze: &Freeze) -> Self {
        match &freeze.schedule {
            Schedule::Dates { from, to } => Self::Dates { from: *from, to: *to },
            Schedule::Cron { expression, duration_s, timezone } => {
                match (parse(expression), timezone.parse(), TimeDelta::try_seconds(*duration_s)) {
                    (Ok(cron), Ok(zone), Some(lasts)) if lasts > TimeDelta::zero() => {
                        Self::Cron { cron: Box::new(cron), zone, lasts }
                    }
                    _ => Self::Unreadable(freeze.kind),
                }
            }
        }
    }

    /// How the freeze stands at a moment, looked at no further than `end`.
    pub(super) fn run(&self, freeze: &Freeze, at: DateTime<Utc>, end: DateTime<Utc>, budget: &Budget) -> Run {
        if !freeze.is_in_force(at) {
            return Run { applies: false, is_inside: false, until: Until::Never };
        }
        let (is_inside, until) = self.windows(at, end, budget);
        let until = match (freeze.ended_at, until) {
            (Some(ended), Until::At(then)) => Until::At(then.min(ended)),
            (Some(ended), Until::AtLeast(then)) if then < ended => Until::AtLeast(then),
            (Some(ended), _) => Until::At(ended),
            (None, until) => until,
        };
        Run { applies: true, is_inside, until }
    }

    fn windows(&self, at: DateTime<Utc>, end: DateTime<Utc>, budget: &Budget) -> (bool, Until) {
        match self {
            Self::Dates { from, .. } if at < *from => (false, Until::At(*from)),
            Self::Dates { to, .. } if at < *to => (true, Until::At(*to)),
            Self::Dates { .. } => (false, Until::Never),
            Self::Unreadable(kind) => (*kind == FreezeKind::Deny, Until::Never),
            Self::Cron { cron, zone, lasts } => match last(cron, *zone, at, budget) {
                Err(Spent) => (false, Until::AtLeast(at)),
                Ok(Some(start)) if at < start + *lasts => (true, closes(cron, *zone, *lasts, start, end, budget)),
                Ok(_) => match next(cron, *zone, at, budget) {
                    Err(Spent) => (false, Until::AtLeast(at)),
                    Ok(Some(start)) => (false, Until::At(start)),
                    Ok(None) => (false, Until::Never),
                },
            },
        }
    }

    /// When the window that is open at a moment began; one that another runs into is one with it, as far back as looks are
    /// left.
    pub(super) fn began(&self, at: DateTime<Utc>, budget: &Budget) -> DateTime<Utc> {
        match self {
            Self::Dates { from, .. } => *from,
            Self::Unreadable(_) => at,
            Self::Cron { cron, zone, lasts } => {
                let mut start = last(cron, *zone, at, budget).ok().flatten().unwrap_or(at);
                while let Ok(Some(before)) = last(cron, *zone, start - TimeDelta::seconds(1), budget)
                    && before + *lasts >= start
                {
                    start = before;
                }
                start
            }
        }
    }
}

/// No look is left.
struct Spent;

/// When the windows that run into each other from this one on are over.
fn closes(cron: &Cron, zone: Tz, lasts: TimeDelta, start: DateTime<Utc>, end: DateTime<Utc>, budget: &Budget) -> Until {
    let mut last_start = start;
    loop {
        let over = last_start + lasts;
        if over > end {
            return Until::AtLeast(end);
        }
        match last(cron, zone, over, budget) {
            Err(Spent) => return Until::AtLeast(over),
            Ok(Some(further)) if further > last_start => last_start = further,
            Ok(_) => return Until::At(over),
        }
    }
}

/// The last beginning at or before a moment.
fn last(cron: &Cron, zone: Tz, at: DateTime<Utc>, budget: &Budget) -> Result<Option<DateTime<Utc>>, Spent> {
    if !budget.take() {
        return Err(Spent);
    }
    if !YEARS.contains(&at.year()) {
        return Ok(None);
    }
    Ok(cron.find_previous_occurrence(&whole(at).with_timezone(&zone), true).ok().map(|start| start.to_utc()))
}

/// The first beginning after a moment.
fn next(cron: &Cron, zone: Tz, at: DateTime<Utc>, budget: &Budget) -> Result<Option<DateTime<Utc>>, Spent> {
    if !budget.take() {
        return Err(Spent);
    }
    if !YEARS.contains(&at.year()) {
        return Ok(None);
    }
    Ok(cron.find_next_occurrence(&whole(at).with_timezone(&zone), false).ok().map(|start| start.to_utc()))
}

/// The years that expressions are looked at in.
const YEARS: std::ops::Range<i32> = 1970..4000;

/// Without parts of a second: beginnings have none.
fn whole(at: DateTime<Utc>) -> DateTime<Utc> {
    at.with_nanosecond(0).unwrap_or(at)
}

fn parse(expression: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(expression)
}

/// Refuses an expression or a time zone that is none, and an expression that is never.
pub(super) fn check(expression: &str, timezone: &str) -> Result<(), Error> {
    let wrong = |text: &str| Error::invalid_field("schedule/expression", text);
    if expression.len() > 200 || expression.split_whitespace().count() != 5 {
        return Err(wrong(
            "Give five fields: minute, hour, day of the month, month, day of the week, such as 0 18 * * 5.",
        ));
    }
    let cron = parse(expression).map_err(|_| {
        wrong(
            "This is no cron expression. It has minute (0 to 59), hour (0 to 23), day of the month (1 to 31), month (1 to \
             12) and day of the week (0 to 7), each a number, *, a range such as 1-5, a list or a step such as */15.",
        )
    })?;
    let zone: Tz = timezone.parse().map_err(|_| {
        Error::invalid_field(
            "schedule/timezone",
            "Give a time zone by its name in the tz database, such as Europe/Berlin or UTC.",
        )
    })?;
    // 29 February comes within eight years of any year but around 2100, and anything that comes at all within that.
    let from = zone.with_ymd_and_hms(2024, 1, 1, 12, 0, 0).earliest();
    let first = from.and_then(|from| cron.find_next_occurrence(&from, true).ok());
    match (from, first) {
        (Some(from), Some(first)) if first - from < TimeDelta::days(28 * 366) => Ok(()),
        _ => Err(wrong("No day fits this expression, so no window would ever open.")),
    }
}
