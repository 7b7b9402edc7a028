//! The windows of one freeze: whether one is open at a moment, and until when that stays so.
//!
//! A window of a cron expression is open when the last beginning before the moment is less than its length ago: since all
//! are as long, the last one ends last. Every look at the expression is counted, so that no expression costs more than
//! its share.

use super::{Freeze, FreezeKind, Schedule};
use crate::{error::Error, timetable::Timetable};
use chrono::{DateTime, TimeDelta, Utc};
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
        table: Timetable,
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
                match (Timetable::read(expression, timezone), TimeDelta::try_seconds(*duration_s)) {
                    (Ok(table), Some(lasts)) if lasts > TimeDelta::zero() => Self::Cron { table, lasts },
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
            Self::Cron { table, lasts } => match last(table, at, budget) {
                Err(Spent) => (false, Until::AtLeast(at)),
                Ok(Some(start)) if at < start + *lasts => (true, closes(table, *lasts, start, end, budget)),
                Ok(_) => match next(table, at, budget) {
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
            Self::Cron { table, lasts } => {
                let mut start = last(table, at, budget).ok().flatten().unwrap_or(at);
                while let Ok(Some(before)) = last(table, start - TimeDelta::seconds(1), budget)
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
fn closes(table: &Timetable, lasts: TimeDelta, start: DateTime<Utc>, end: DateTime<Utc>, budget: &Budget) -> Until {
    let mut last_start = start;
    loop {
        let over = last_start + lasts;
        if over > end {
            return Until::AtLeast(end);
        }
        match last(table, over, budget) {
            Err(Spent) => return Until::AtLeast(over),
            Ok(Some(further)) if further > last_start => last_start = further,
            Ok(_) => return Until::At(over),
        }
    }
}

/// The last beginning at or before a moment.
fn last(table: &Timetable, at: DateTime<Utc>, budget: &Budget) -> Result<Option<DateTime<Utc>>, Spent> {
    if budget.take() { Ok(table.last(at)) } else { Err(Spent) }
}

/// The first beginning after a moment.
fn next(table: &Timetable, at: DateTime<Utc>, budget: &Budget) -> Result<Option<DateTime<Utc>>, Spent> {
    if budget.take() { Ok(table.next(at)) } else { Err(Spent) }
}

/// Refuses an expression or a time zone that is none, and an expression that is never.
pub(super) fn check(expression: &str, timezone: &str) -> Result<(), Error> {
    let in_schedule = |error: Error| {
        let field = format!("schedule/{}", error.field.as_deref().unwrap_or("expression"));
        error.in_field(field)
    };
    Timetable::read(expression, timezone).map(drop).map_err(in_schedule)
}
