//! What freezes say together: whether something may be deployed now, until when, and which windows are ahead.

use super::{
    Because, Freeze, FreezeKind, FreezeState, Standing, Window,
    clock::{Budget, Clock, Run, SIGHT, Until},
};
use crate::{environment::Tier, error::Error};
use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;

/// How often expressions are looked at for one answer, at most …
const LOOKS: u32 = 20_000;
/// … of which each freeze has as many as another, and at least these.
const LEAST_LOOKS: u32 = 100;
/// How often expressions are looked at for the windows of one freeze ahead, at most.
const LOOKS_AHEAD: u32 = 5_000;
/// The most windows of one freeze ahead.
const MOST_WINDOWS: usize = 200;

/// Whether this model may be deployed to this environment at this moment, by these freezes of its workspace.
///
/// Any freeze that denies and has a window open closes it. Otherwise, where freezes that allow are meant, it is open only
/// while one of them has a window open. A freeze that ended means nothing; one whose one date is past and that allowed
/// still means that nothing is deployed at other times.
///
/// It costs a bounded number of looks at their expressions; what is further away than those reach, or behind windows that
/// run into each other for two years, is told as out of sight.
#[must_use]
pub fn standing(freezes: &[Freeze], environment: &str, tier: Tier, model: &str, now: DateTime<Utc>) -> Standing {
    let end = now.checked_add_signed(SIGHT).unwrap_or(now);
    let meant: Vec<&Freeze> = freezes
        .iter()
        .filter(|freeze| freeze.is_in_force(now) && freeze.selector.covers(environment, tier, model))
        .collect();
    let looks = (LOOKS / u32::try_from(meant.len().max(1)).unwrap_or(u32::MAX)).max(LEAST_LOOKS);
    let mut runs: Vec<Followed<'_>> = meant.into_iter().map(|freeze| Followed::new(freeze, now, end, looks)).collect();
    let because = closing(&runs);
    let changes_at = next_change(&mut runs, !because.is_empty(), end);
    if because.is_empty() {
        return Standing::Open { until: changes_at };
    }
    Standing::Closed {
        opens_at: changes_at,
        may_override: because.iter().all(|freeze| freeze.manual_override),
        may_finish: because.iter().all(|freeze| freeze.overrun),
        because: because
            .into_iter()
            .map(|freeze| Because {
                id: freeze.id,
                name: freeze.name.clone(),
                kind: freeze.kind,
                reason: freeze.reason.clone(),
                timezone: freeze.schedule.timezone().to_owned(),
            })
            .collect(),
    }
}

/// A freeze, and how it stands at the moment that it was followed to.
struct Followed<'a> {
    freeze: &'a Freeze,
    clock: Clock,
    budget: Budget,
    run: Run,
}

impl<'a> Followed<'a> {
    fn new(freeze: &'a Freeze, now: DateTime<Utc>, end: DateTime<Utc>, looks: u32) -> Self {
        let (clock, budget) = (Clock::of(freeze), Budget::new(looks));
        let run = clock.run(freeze, now, end, &budget);
        Self { freeze, clock, budget, run }
    }
}

/// When what they say together is another; none when that is out of sight.
fn next_change(runs: &mut [Followed<'_>], was_closed: bool, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
    loop {
        let at = runs.iter().filter_map(|followed| then(followed.run.until)).min()?;
        for followed in runs.iter_mut().filter(|followed| then(followed.run.until) == Some(at)) {
            followed.run = followed.clock.run(followed.freeze, at, end, &followed.budget);
        }
        // What is not known of one of them is known of none.
        if runs.iter().filter_map(|followed| at_least(followed.run.until)).any(|known| known <= at) {
            return None;
        }
        if closing(runs).is_empty() == was_closed {
            return Some(at);
        }
    }
}

/// The freezes that close: those that deny, or those that allow when none of them does now.
fn closing<'a>(runs: &[Followed<'a>]) -> Vec<&'a Freeze> {
    let of = |kind, is_inside| {
        let fits =
            move |one: &&Followed<'a>| one.run.applies && one.freeze.kind == kind && one.run.is_inside == is_inside;
        runs.iter().filter(fits).map(|one| one.freeze)
    };
    let denying: Vec<_> = of(FreezeKind::Deny, true).collect();
    if !denying.is_empty() {
        return denying;
    }
    match of(FreezeKind::Allow, true).next() {
        Some(_) => Vec::new(),
        None => of(FreezeKind::Allow, false).collect(),
    }
}

fn then(until: Until) -> Option<DateTime<Utc>> {
    match until {
        Until::At(at) => Some(at),
        Until::AtLeast(_) | Until::Never => None,
    }
}

fn at_least(until: Until) -> Option<DateTime<Utc>> {
    match until {
        Until::AtLeast(at) => Some(at),
        Until::At(_) | Until::Never => None,
    }
}

/// Whether a deployment of this model that began at a moment may finish now: it is open, or it was when the deployment
/// began and everything that closes it since lets what began before finish.
#[must_use]
pub fn may_finish(
    freezes: &[Freeze],
    environment: &str,
    tier: Tier,
    model: &str,
    began_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    match standing(freezes, environment, tier, model, now) {
        Standing::Open { .. } => true,
        Standing::Closed { may_finish, .. } => {
            may_finish && standing(freezes, environment, tier, model, began_at).is_open()
        }
    }
}

/// The windows that are open at some moment from `from` until before `to`, by when they begin. Of one freeze at most 200.
#[must_use]
pub fn ahead(freezes: &[Freeze], from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Window> {
    let mut windows: Vec<Window> = freezes.iter().flat_map(|freeze| windows_of(freeze, from, to)).collect();
    windows.sort_by_key(|window| (window.starts_at, window.freeze));
    windows
}

fn windows_of(freeze: &Freeze, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Window> {
    let (budget, clock) = (Budget::new(LOOKS_AHEAD), Clock::of(freeze));
    let end = to.checked_add_signed(SIGHT).unwrap_or(to);
    let mut windows = Vec::new();
    let mut at = from.max(freeze.created_at);
    while at < to && windows.len() < MOST_WINDOWS {
        let run = clock.run(freeze, at, end, &budget);
        if run.is_inside {
            // One that is met on the way begins where it is met.
            let starts_at = if windows.is_empty() { clock.began(at, &Budget::new(LOOKS_AHEAD)) } else { at };
            windows.push(Window {
                freeze: freeze.id,
                name: freeze.name.clone(),
                kind: freeze.kind,
                starts_at,
                ends_at: then(run.until),
            });
        }
        match run.until {
            Until::At(next) => at = next,
            Until::AtLeast(_) | Until::Never => break,
        }
    }
    windows
}

/// How one freeze stands, whatever others say.
#[must_use]
pub fn now_of(freeze: &Freeze, now: DateTime<Utc>) -> FreezeState {
    if !freeze.is_in_force(now) {
        return FreezeState::Ended;
    }
    let end = now.checked_add_signed(SIGHT).unwrap_or(now);
    let run = Clock::of(freeze).run(freeze, now, end, &Budget::new(LOOKS_AHEAD));
    let known = then(run.until);
    if run.is_inside { FreezeState::Inside { until: known } } else { FreezeState::Outside { next: known } }
}

/// The freezes that close an environment now, for some models at least: those that deny and have a window open, and those
/// that allow and have none.
#[must_use]
pub fn active<'a>(freezes: &'a [Freeze], environment: &str, tier: Tier, now: DateTime<Utc>) -> Vec<&'a Freeze> {
    let closes = |freeze: &&Freeze| {
        // Looked at no further than now: until when it is so does not matter here.
        let run = Clock::of(freeze).run(freeze, now, now, &Budget::new(LEAST_LOOKS));
        run.applies && freeze.selector.meets(environment, tier) && run.is_inside == (freeze.kind == FreezeKind::Deny)
    };
    freezes.iter().filter(closes).collect()
}

/// A moment as the clocks of a time zone show it: `Mon 30 Nov 2026 08:00 Europe/Berlin`. In UTC where there is no such
/// zone.
#[must_use]
pub fn in_zone(at: DateTime<Utc>, timezone: &str) -> String {
    let zone: Tz = timezone.parse().unwrap_or(Tz::UTC);
    format!("{} {zone}", at.with_timezone(&zone).format("%a %-d %b %Y %H:%M"))
}

/// The moment that the clocks of a time zone show, as a browser's field has it: `2026-11-30T08:00`. The first of two where
/// they show it twice.
///
/// # Errors
/// When it is no such text, there is no such zone, or its clocks skip that time.
pub fn from_zone(text: &str, timezone: &str) -> Result<DateTime<Utc>, Error> {
    let zone: Tz = timezone.parse().map_err(|_| Error::invalid("Give a time zone, such as Europe/Berlin or UTC."))?;
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local
        .filter(|local| (1970..4000).contains(&local.year()))
        .ok_or_else(|| Error::invalid("Give a date and a time, such as 2026-12-24T18:00."))?;
    let at = zone.from_local_datetime(&local).earliest();
    at.map(|at| at.to_utc())
        .ok_or_else(|| Error::invalid(format!("The clocks of {zone} skip this time; give a later one.")))
}

/// The same the other way round: a moment as the clocks of a time zone show it, as a browser's field has it. Seconds are
/// there when there are any. In UTC where there is no such zone.
#[must_use]
pub fn to_zone(at: DateTime<Utc>, timezone: &str) -> String {
    let zone: Tz = timezone.parse().unwrap_or(Tz::UTC);
    let format = if at.timestamp() % 60 == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    at.with_timezone(&zone).format(format).to_string()
}

/// The names of the time zones, for a form to offer.
#[must_use]
pub fn timezones() -> Vec<&'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect()
}
