use super::*;
use chrono::{Datelike as _, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use proptest::prelude::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A time of Berlin's clocks; the first of two where they repeat it.
fn berlin(text: &str) -> DateTime<Utc> {
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    Tz::Europe__Berlin.from_local_datetime(&naive).earliest().unwrap().to_utc()
}

fn cron(expression: &str, duration_s: i64, timezone: &str) -> Schedule {
    Schedule::Cron { expression: expression.to_owned(), duration_s, timezone: timezone.to_owned() }
}

fn freeze(kind: FreezeKind, schedule: Schedule) -> Freeze {
    Freeze {
        id: FreezeId::new(),
        workspace_id: WorkspaceId::new(),
        name: "weekend".to_owned(),
        kind,
        schedule,
        selector: Selector::default(),
        manual_override: true,
        overrun: false,
        reason: String::new(),
        created_at: DateTime::UNIX_EPOCH,
        created_by: "Admin".to_owned(),
        ended_at: None,
    }
}

fn deny(schedule: Schedule) -> Freeze {
    freeze(FreezeKind::Deny, schedule)
}

fn allow(schedule: Schedule) -> Freeze {
    freeze(FreezeKind::Allow, schedule)
}

fn at(freezes: &[Freeze], now: DateTime<Utc>) -> Standing {
    standing(freezes, "production", Tier::Production, "churn", now)
}

/// When it opens, which it must be closed for.
fn opens(freezes: &[Freeze], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match at(freezes, now) {
        Standing::Closed { opens_at, .. } => opens_at,
        open @ Standing::Open { .. } => panic!("{open:?} at {now}"),
    }
}

/// Until when it is open, which it must be.
fn closes(freezes: &[Freeze], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match at(freezes, now) {
        Standing::Open { until } => until,
        closed @ Standing::Closed { .. } => panic!("{closed:?} at {now}"),
    }
}

const HOUR: i64 = 3600;

#[test]
fn nothing_is_frozen_where_there_is_no_freeze() {
    assert_eq!(at(&[], utc("2026-11-27T12:00:00Z")), Standing::Open { until: None });
}

#[test]
fn a_weekend_is_closed_from_friday_evening_until_monday_morning() {
    let weekend = [deny(cron("0 18 * * 5", 62 * HOUR, "Europe/Berlin"))];
    assert_eq!(closes(&weekend, berlin("2026-11-27 17:59")), Some(berlin("2026-11-27 18:00")));
    assert_eq!(opens(&weekend, berlin("2026-11-27 18:00")), Some(berlin("2026-11-30 08:00")));
    assert_eq!(opens(&weekend, berlin("2026-11-30 07:59")), Some(berlin("2026-11-30 08:00")));
    assert_eq!(closes(&weekend, berlin("2026-11-30 08:00")), Some(berlin("2026-12-04 18:00")));
}

#[test]
fn a_window_that_allows_closes_all_other_times_and_one_that_denies_closes_it_too() {
    let hours = allow(cron("0 8 * * 1-5", 9 * HOUR, "Europe/Berlin"));
    assert_eq!(opens(std::slice::from_ref(&hours), berlin("2026-11-28 12:00")), Some(berlin("2026-11-30 08:00")));
    assert_eq!(closes(std::slice::from_ref(&hours), berlin("2026-11-30 12:00")), Some(berlin("2026-11-30 17:00")));

    let lunch = deny(cron("0 12 * * *", HOUR, "Europe/Berlin"));
    let both = [hours.clone(), lunch.clone()];
    assert_eq!(closes(&both, berlin("2026-11-30 11:00")), Some(berlin("2026-11-30 12:00")));
    assert_eq!(opens(&both, berlin("2026-11-30 12:30")), Some(berlin("2026-11-30 13:00")));
    let Standing::Closed { because, .. } = at(&both, berlin("2026-11-30 12:30")) else { panic!() };
    assert_eq!(because.iter().map(|one| one.id).collect::<Vec<_>>(), [lunch.id], "what denies, alone");
    let Standing::Closed { because, .. } = at(&both, berlin("2026-11-30 20:00")) else { panic!() };
    assert_eq!((because[0].id, because[0].timezone.as_str()), (hours.id, "Europe/Berlin"));

    let night = allow(cron("0 22 * * *", HOUR, "Europe/Berlin"));
    assert_eq!(closes(&[hours, night], berlin("2026-11-30 22:30")), Some(berlin("2026-11-30 23:00")), "one is enough");
}

#[test]
fn an_allowed_time_that_is_past_opens_nothing_until_somebody_ends_it() {
    let once = Schedule::Dates { from: utc("2026-12-01T20:00:00Z"), to: utc("2026-12-01T22:00:00Z") };
    let mut once = allow(once);
    assert_eq!(opens(std::slice::from_ref(&once), utc("2026-11-27T12:00:00Z")), Some(utc("2026-12-01T20:00:00Z")));
    assert_eq!(closes(std::slice::from_ref(&once), utc("2026-12-01T21:00:00Z")), Some(utc("2026-12-01T22:00:00Z")));
    assert_eq!(opens(std::slice::from_ref(&once), utc("2026-12-02T00:00:00Z")), None);
    once.ended_at = Some(utc("2026-12-02T01:00:00Z"));
    assert_eq!(opens(std::slice::from_ref(&once), utc("2026-12-02T00:00:00Z")), Some(utc("2026-12-02T01:00:00Z")));
    assert_eq!(closes(std::slice::from_ref(&once), utc("2026-12-02T01:00:00Z")), None);
    assert_eq!(now_of(&once, utc("2026-12-02T01:00:00Z")), FreezeState::Ended);
}

#[test]
fn a_window_holds_its_first_moment_and_not_its_last() {
    let once = [deny(Schedule::Dates { from: utc("2026-12-24T00:00:00Z"), to: utc("2026-12-27T00:00:00Z") })];
    assert!(at(&once, utc("2026-12-23T23:59:59Z")).is_open());
    assert!(!at(&once, utc("2026-12-24T00:00:00Z")).is_open());
    assert!(!at(&once, utc("2026-12-26T23:59:59.999Z")).is_open());
    assert!(at(&once, utc("2026-12-27T00:00:00Z")).is_open());
}

#[test]
fn a_night_over_the_skipped_hour_is_as_long_as_another() {
    // In the night to 29 March 2026 Berlin's clocks go from 2:00 to 3:00.
    let night = [deny(cron("0 22 * * *", 8 * HOUR, "Europe/Berlin"))];
    assert_eq!(opens(&night, berlin("2026-03-27 23:00")), Some(berlin("2026-03-28 06:00")));
    assert_eq!(opens(&night, berlin("2026-03-28 23:00")), Some(berlin("2026-03-29 07:00")), "8 hours passed");
    assert_eq!(closes(&night, berlin("2026-03-29 12:00")), Some(utc("2026-03-29T20:00:00Z")), "22:00 by the new clock");
}

#[test]
fn a_beginning_in_the_skipped_hour_is_the_first_moment_after() {
    let early = [deny(cron("30 2 * * *", HOUR, "Europe/Berlin"))];
    assert_eq!(
        closes(&early, berlin("2026-03-29 01:00")),
        Some(utc("2026-03-29T01:00:00Z")),
        "3:00, which 2:00 became"
    );
    assert_eq!(opens(&early, utc("2026-03-29T01:00:00Z")), Some(utc("2026-03-29T02:00:00Z")));
    assert_eq!(closes(&early, utc("2026-03-29T02:00:00Z")), Some(berlin("2026-03-30 02:30")));
}

#[test]
fn a_beginning_in_the_repeated_hour_is_once() {
    // In the night to 25 October 2026 Berlin's clocks go from 3:00 back to 2:00: 0:30 UTC and 1:30 UTC are both 2:30.
    let early = [deny(cron("30 2 * * *", 30 * 60, "Europe/Berlin"))];
    assert_eq!(closes(&early, utc("2026-10-25T00:00:00Z")), Some(utc("2026-10-25T00:30:00Z")));
    assert_eq!(opens(&early, utc("2026-10-25T00:45:00Z")), Some(utc("2026-10-25T01:00:00Z")));
    assert_eq!(closes(&early, utc("2026-10-25T01:45:00Z")), Some(berlin("2026-10-26 02:30")), "not again");

    let night = [deny(cron("0 22 * * *", 8 * HOUR, "Europe/Berlin"))];
    assert_eq!(opens(&night, berlin("2026-10-24 23:00")), Some(utc("2026-10-25T04:00:00Z")), "5:00 by the new clock");

    // Each hour of the clock has a window, also the one that comes twice.
    let hourly = [deny(cron("0 * * * *", 60, "Europe/Berlin"))];
    for hour in ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"] {
        assert!(!at(&hourly, utc(hour)).is_open(), "{hour}");
    }
}

#[test]
fn windows_longer_than_their_period_never_open_in_between() {
    let always = [deny(cron("0 0 * * *", 25 * HOUR, "UTC"))];
    assert_eq!(opens(&always, utc("2026-11-27T12:00:00Z")), None);
    let days = [deny(cron("0 0 * * 1-5", 36 * HOUR, "UTC"))];
    assert_eq!(opens(&days, utc("2026-11-24T12:00:00Z")), Some(utc("2026-11-28T12:00:00Z")), "Friday's ends at noon");
}

#[test]
fn a_window_each_minute_costs_no_more_than_another() {
    let always = [deny(cron("* * * * *", 60, "Europe/Berlin"))];
    assert_eq!(opens(&always, utc("2026-11-27T12:00:00Z")), None);
    let workdays = [deny(cron("* * * * 1-5", 60, "UTC"))];
    assert_eq!(opens(&workdays, utc("2026-11-23T12:00:00Z")), Some(utc("2026-11-28T00:00:00Z")));
    assert_eq!(closes(&[allow(cron("* * * * *", 60, "UTC"))], utc("2026-11-27T12:00:00Z")), None);
    // Many of them still say what is now.
    let many = vec![always[0].clone(); MAX_FREEZES];
    assert!(!at(&many, utc("2026-11-27T12:00:00Z")).is_open());
}

#[test]
fn overlapping_freezes_open_when_the_last_of_them_does() {
    let day = |from: &str, to: &str| Schedule::Dates { from: utc(from), to: utc(to) };
    let both = [
        deny(day("2026-12-20T00:00:00Z", "2026-12-27T00:00:00Z")),
        deny(day("2026-12-26T00:00:00Z", "2027-01-04T00:00:00Z")),
        deny(day("2027-01-04T00:00:00Z", "2027-01-05T00:00:00Z")),
    ];
    assert_eq!(opens(&both, utc("2026-12-21T00:00:00Z")), Some(utc("2027-01-05T00:00:00Z")));
}

#[test]
fn a_freeze_is_about_what_it_names() {
    let now = utc("2026-12-25T00:00:00Z");
    let dates = || Schedule::Dates { from: utc("2026-12-24T00:00:00Z"), to: utc("2026-12-27T00:00:00Z") };
    let about = |environments: &[&str], tiers: &[Tier], models: &[&str]| {
        let selector = Selector {
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
            tiers: tiers.iter().copied().collect(),
            models: models.iter().map(|name| (*name).to_owned()).collect(),
        };
        at(&[Freeze { selector, ..deny(dates()) }], now).is_open()
    };
    assert!(!about(&["production"], &[], &[]) && about(&["staging"], &[], &[]));
    assert!(!about(&[], &[Tier::Production], &[]) && about(&[], &[Tier::Staging], &[]));
    assert!(!about(&["staging"], &[Tier::Production], &[]), "one of both is enough");
    assert!(!about(&["production"], &[], &["ch*"]) && about(&["production"], &[], &["wine"]));
}

#[test]
fn the_glass_may_be_broken_and_what_began_may_finish_when_every_freeze_lets_it() {
    let now = utc("2026-12-25T00:00:00Z");
    let dates = || Schedule::Dates { from: utc("2026-12-24T00:00:00Z"), to: utc("2026-12-27T00:00:00Z") };
    let lenient = Freeze { overrun: true, ..deny(dates()) };
    let strict = Freeze { manual_override: false, ..deny(dates()) };
    let lets = |freezes: &[Freeze]| match at(freezes, now) {
        Standing::Closed { may_override, may_finish, .. } => (may_override, may_finish),
        Standing::Open { .. } => panic!(),
    };
    assert_eq!(lets(std::slice::from_ref(&lenient)), (true, true));
    assert_eq!(lets(&[lenient.clone(), strict.clone()]), (false, false));

    let finish = |freezes: &[Freeze], began| may_finish(freezes, "production", Tier::Production, "churn", began, now);
    let (before, within) = (utc("2026-12-23T23:59:00Z"), utc("2026-12-24T00:01:00Z"));
    assert!(finish(std::slice::from_ref(&lenient), before) && !finish(std::slice::from_ref(&lenient), within));
    assert!(!finish(&[strict], before));
    let later = Freeze { created_at: within, ..lenient };
    assert!(finish(&[later], within - TimeDelta::seconds(1)), "it was not there yet");
}

#[test]
fn a_schedule_that_cannot_be_read_closes() {
    for kind in FreezeKind::ALL {
        let broken = [freeze(kind, cron("every day", HOUR, "UTC"))];
        assert_eq!(opens(&broken, utc("2026-12-25T00:00:00Z")), None, "{kind:?}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_its_field() {
    let wrong = |schedule: Schedule| schedule.check().unwrap_err().field.unwrap();
    for right in ["0 18 * * 5", "*/15 * * * *", "0 0 29 2 *", "0 8 * JAN-MAR MON-FRI", "0 0 L * *"] {
        assert_eq!(cron(right, HOUR, "Europe/Berlin").check(), Ok(()), "{right}");
    }
    for expression in
        ["", "x", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "@daily", "0 0 * * \0", &"* ".repeat(200)]
    {
        assert_eq!(wrong(cron(expression, HOUR, "UTC")), "schedule/expression", "{expression:?}");
    }
    for zone in ["", "Berlin", "Europe/Berlin ", "+01:00", "\0"] {
        assert_eq!(wrong(cron("0 18 * * 5", HOUR, zone)), "schedule/timezone", "{zone:?}");
    }
    for seconds in [i64::MIN, -1, 0, 59, MAX_DURATION_S + 1, i64::MAX] {
        assert_eq!(wrong(cron("0 18 * * 5", seconds, "UTC")), "schedule/duration_s", "{seconds}");
    }
    let dates = |from, to| Schedule::Dates { from, to };
    let now = utc("2026-12-25T00:00:00Z");
    assert_eq!(wrong(dates(now, now)), "schedule/to");
    assert_eq!(wrong(dates(now, now + TimeDelta::days(MAX_DAYS + 1))), "schedule/to");
    let early = utc("1999-12-31T00:00:00Z");
    assert_eq!(wrong(dates(early, early + TimeDelta::hours(1))), "schedule/from");
    assert_eq!(wrong(dates(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC)), "schedule/to");
    assert_eq!(dates(now, now + TimeDelta::hours(1)).check(), Ok(()));
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let freezes = [
        deny(cron("* * * * *", 60, "Europe/Berlin")),
        allow(cron("0 0 29 2 *", MAX_DURATION_S, "America/New_York")),
        deny(Schedule::Dates { from: DateTime::<Utc>::MIN_UTC, to: DateTime::<Utc>::MAX_UTC }),
    ];
    for now in [DateTime::<Utc>::MAX_UTC, utc("2026-01-01T00:00:00Z"), DateTime::UNIX_EPOCH] {
        for freeze in &freezes {
            let one = std::slice::from_ref(freeze);
            let _ = (at(one, now), ahead(one, now, DateTime::<Utc>::MAX_UTC), now_of(freeze, now));
        }
    }
}

#[test]
fn windows_ahead_are_in_order_and_one_that_is_open_tells_when_it_began() {
    let weekend = deny(cron("0 18 * * 5", 62 * HOUR, "Europe/Berlin"));
    let once = allow(Schedule::Dates { from: utc("2026-12-01T20:00:00Z"), to: utc("2026-12-01T22:00:00Z") });
    let from = berlin("2026-11-28 12:00");
    let windows = ahead(&[once.clone(), weekend.clone()], from, from + TimeDelta::days(7));
    let told: Vec<_> = windows.iter().map(|window| (window.freeze, window.starts_at, window.ends_at)).collect();
    assert_eq!(
        told,
        [
            (weekend.id, berlin("2026-11-27 18:00"), Some(berlin("2026-11-30 08:00"))),
            (once.id, utc("2026-12-01T20:00:00Z"), Some(utc("2026-12-01T22:00:00Z"))),
            (weekend.id, berlin("2026-12-04 18:00"), Some(berlin("2026-12-07 08:00"))),
        ]
    );
    let always = ahead(&[deny(cron("* * * * *", 60, "UTC"))], from, from + TimeDelta::days(7));
    assert_eq!((always.len(), always[0].ends_at), (1, None));
    let many = ahead(&[deny(cron("*/2 * * * *", 60, "UTC"))], from, from + TimeDelta::days(365));
    assert_eq!(many.len(), 200);
}

#[test]
fn what_closes_an_environment_is_counted_for_any_model() {
    let now = berlin("2026-11-28 12:00");
    let weekend = deny(cron("0 18 * * 5", 62 * HOUR, "Europe/Berlin"));
    let office = allow(cron("0 8 * * 1-5", 9 * HOUR, "Europe/Berlin"));
    let selector = Selector { models: vec!["wine".to_owned()], ..Selector::default() };
    let wine = Freeze { selector, ..weekend.clone() };
    let elsewhere = Selector { environments: BTreeSet::from(["staging".to_owned()]), ..Selector::default() };
    let elsewhere = Freeze { selector: elsewhere, ..weekend.clone() };
    let all = [weekend, office, wine, elsewhere];
    assert_eq!(active(&all, "production", Tier::Production, now).len(), 3);
    assert_eq!(active(&all, "production", Tier::Production, berlin("2026-11-30 12:00")).len(), 0);
}

#[test]
fn a_moment_is_told_by_the_clock_of_its_zone() {
    assert_eq!(in_zone(utc("2026-11-30T07:00:00Z"), "Europe/Berlin"), "Mon 30 Nov 2026 08:00 Europe/Berlin");
    assert_eq!(from_zone("2026-11-30T08:00", "Europe/Berlin"), Ok(utc("2026-11-30T07:00:00Z")));
    for (text, zone) in [
        ("2026-03-29T02:30", "Europe/Berlin"),
        ("2026-11-30", "UTC"),
        ("99999-11-30T08:00", "UTC"),
        ("2026-11-30T08:00", "Nowhere"),
        ("\0", "UTC"),
    ] {
        assert!(from_zone(text, zone).is_err(), "{text} {zone}");
    }
    assert_eq!(in_zone(utc("2026-11-30T07:00:00Z"), "Nowhere"), "Mon 30 Nov 2026 07:00 UTC");
    assert!(timezones().contains(&"Europe/Berlin"));
    for (at, zone, text) in [
        ("2026-11-30T07:00:00Z", "Europe/Berlin", "2026-11-30T08:00"),
        ("2026-11-30T07:00:30Z", "UTC", "2026-11-30T07:00:30"),
        ("2026-11-30T07:00:00Z", "Nowhere", "2026-11-30T07:00"),
    ] {
        assert_eq!(to_zone(utc(at), zone), text);
        assert!(zone == "Nowhere" || from_zone(text, zone) == Ok(utc(at)));
    }
}

/// A field of an expression, and which values fit it.
fn field(values: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(values)
}

fn fits(field: &str, value: u32) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
            None if range == "*" => (0, u32::MAX),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        (first..=last).contains(&value) && (value - first).is_multiple_of(step)
    })
}

/// Days before and after the moment that the model looks at, minute by minute.
const BEFORE: i64 = 4;
const AFTER: i64 = 9;

/// Whether a window of each freeze is open, at each minute around a moment.
fn minutes(freeze: &Freeze, now: DateTime<Utc>) -> Vec<bool> {
    let first = now - TimeDelta::days(BEFORE);
    let mut last_start: Option<DateTime<Utc>> = None;
    (0..(BEFORE + AFTER) * 24 * 60)
        .map(|minute| {
            let at = first + TimeDelta::minutes(minute);
            match &freeze.schedule {
                Schedule::Dates { from, to } => *from <= at && at < *to,
                Schedule::Cron { expression, duration_s, timezone } => {
                    let local = at.with_timezone(&timezone.parse::<Tz>().unwrap());
                    let fields: Vec<&str> = expression.split(' ').collect();
                    let is_start = fits(fields[0], local.minute())
                        && fits(fields[1], local.hour())
                        && fits(fields[4], local.weekday().num_days_from_sunday());
                    if is_start {
                        last_start = Some(at);
                    }
                    last_start.is_some_and(|start| at < start + TimeDelta::seconds(*duration_s))
                }
            }
        })
        .collect()
}

fn any_freeze() -> impl Strategy<Value = Freeze> {
    let crons = (
        field(&["0", "30", "*/15", "*", "5,50"]),
        field(&["*", "8", "22", "8-17", "*/6"]),
        field(&["*", "1-5", "0,6", "5"]),
        proptest::sample::select(vec![60, 900, HOUR, 9 * HOUR, 26 * HOUR, 3 * 24 * HOUR]),
        field(&["UTC", "Asia/Kolkata", "Europe/Berlin"]),
    )
        .prop_map(|(minute, hour, day, lasts, zone)| cron(&format!("{minute} {hour} * * {day}"), lasts, zone));
    let dates = (-3 * 24 * 60..9 * 24 * 60_i64, 1..4 * 24 * 60_i64).prop_map(|(from, lasts)| {
        let from = utc("2026-11-20T00:00:00Z") + TimeDelta::minutes(from);
        Schedule::Dates { from, to: from + TimeDelta::minutes(lasts) }
    });
    let ended = proptest::option::weighted(0.2, 0..12 * 24 * 60_i64);
    (any::<bool>(), prop_oneof![3 => crons.boxed(), 1 => dates.boxed()], ended).prop_map(|(denies, schedule, ended)| {
        Freeze {
            ended_at: ended.map(|minute| utc("2026-11-18T00:00:00Z") + TimeDelta::minutes(minute)),
            ..freeze(if denies { FreezeKind::Deny } else { FreezeKind::Allow }, schedule)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_is_what_looking_at_every_minute_says(
        freezes in proptest::collection::vec(any_freeze(), 0..4),
        minute in 0..6 * 24 * 60_i64,
    ) {
        let now = utc("2026-11-18T00:00:00Z") + TimeDelta::minutes(minute);
        let models: Vec<_> = freezes.iter().map(|freeze| minutes(freeze, now)).collect();
        let is_open = |index: usize| {
            let at = now + TimeDelta::minutes(i64::try_from(index).unwrap() - BEFORE * 24 * 60);
            let of = |kind| {
                let ours = freezes.iter().zip(&models).filter(move |(freeze, _)| freeze.kind == kind && freeze.is_in_force(at));
                ours.map(move |(_, model)| model[index]).collect::<Vec<_>>()
            };
            let (denies, allows) = (of(FreezeKind::Deny), of(FreezeKind::Allow));
            !denies.contains(&true) && (allows.is_empty() || allows.contains(&true))
        };
        let here = usize::try_from(BEFORE * 24 * 60).unwrap();
        let end = usize::try_from((BEFORE + AFTER) * 24 * 60).unwrap();
        let change = (here..end).find(|index| is_open(*index) != is_open(here));
        let change = change.map(|index| now + TimeDelta::minutes(i64::try_from(index - here).unwrap()));
        // Windows that follow each other by the minute cost a look each, and looks end: then it says that it does not know.
        let by_the_minute = |one: &Freeze| matches!(one.schedule, Schedule::Cron { duration_s: 60, .. });
        let known = if freezes.iter().any(by_the_minute) { now + TimeDelta::days(4) } else { now + TimeDelta::days(AFTER) };
        let said = at(&freezes, now);
        prop_assert_eq!(said.is_open(), is_open(here));
        let (Standing::Open { until: told } | Standing::Closed { opens_at: told, .. }) = said;
        match change {
            Some(change) if change > known => prop_assert!(told.is_none_or(|told| told == change), "{:?}", told),
            Some(change) => prop_assert_eq!(told, Some(change)),
            None => prop_assert!(told.is_none_or(|told| told >= now + TimeDelta::days(AFTER)), "{:?}", told),
        }
    }

    #[test]
    fn windows_ahead_are_the_minutes_that_are_open(one in any_freeze(), minute in 0..6 * 24 * 60_i64) {
        let one = Freeze { ended_at: None, ..one };
        let now = utc("2026-11-18T00:00:00Z") + TimeDelta::minutes(minute);
        let windows = ahead(std::slice::from_ref(&one), now, now + TimeDelta::days(2));
        for (index, is_inside) in minutes(&one, now).into_iter().enumerate() {
            let at = now + TimeDelta::minutes(i64::try_from(index).unwrap() - BEFORE * 24 * 60);
            if at < now || at >= now + TimeDelta::days(2) || windows.len() == 200 {
                continue;
            }
            let told = windows.iter().any(|window| window.starts_at <= at && window.ends_at.is_none_or(|end| at < end));
            prop_assert_eq!(told, is_inside, "{}", at);
        }
    }
}
