//! Schedules: when a pipeline is started by the clock, and what is made up for when nobody was there to start it.

use crate::{
    backfill::DateFormat,
    error::Error,
    id::{PipelineId, ScheduleId, WorkspaceId},
    permission::UnknownName,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// When a pipeline is started by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// The schedule.
    pub id: ScheduleId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, in the workspace.
    pub name: String,
    /// What it starts.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// When: minute, hour, day of the month, month, day of the week. A time that the clocks skip is the first one after;
    /// one that they repeat is the first of the two, unless hours or minutes are wildcards.
    pub expression: String,
    /// Where it is that time, by its name in the tz database, such as `Europe/Berlin`.
    pub timezone: String,
    /// Params of its runs that shall not have their defaults.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// The param that gets the time of the fire, if one does.
    pub param: Option<String>,
    /// How it gets it.
    pub param_format: DateFormat,
    /// What happens with fires that nobody was there for.
    pub catch_up: CatchUp,
    /// How many of them are made up for, at most, when all are.
    pub catch_up_limit: i32,
    /// Each fire is put off by up to so many seconds, so that not all start at once. The same fire by the same.
    pub jitter_s: i32,
    /// Whether it fires.
    pub enabled: bool,
    /// The time of its next fire; none while it is paused.
    pub next_fire: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
}

/// What happens with fires whose time passed while no worker was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are missed.
    #[default]
    Skip,
    /// The last of them starts a run, the others are missed.
    Latest,
    /// Each starts a run, up to a limit; those before are missed.
    All,
}

impl CatchUp {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Latest, Self::All];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Latest => "latest",
            Self::All => "all",
        }
    }
}

impl FromStr for CatchUp {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// What came of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FireOutcome {
    /// It started a run.
    Started,
    /// Nobody was there at its time, and the rule is not to make up for it.
    Missed,
    /// As many runs of the pipeline were open as may be, and the pipeline's policy is to skip; or as many waited as may.
    Skipped,
    /// The pipeline does not take the schedule's params any more, has no file, or misses something that it takes.
    Refused,
}

impl FireOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Started, Self::Missed, Self::Skipped, Self::Refused];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// One time of a schedule that has passed, and what came of it. There is one a time, however many servers look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ScheduleFire))]
pub struct Fire {
    /// The time, as the schedule says.
    pub fire_time: DateTime<Utc>,
    /// When it was seen to.
    pub at: DateTime<Utc>,
    /// What came of it.
    pub outcome: FireOutcome,
    /// Why nothing was started.
    pub reason: String,
    /// The number of the run that it started.
    pub run_number: Option<i64>,
}

/// The most fires that are made up for at once.
pub const MAX_CATCH_UP: i32 = 100;
/// The longest that a fire is put off, in seconds.
pub const MAX_JITTER_S: i32 = 3600;
/// The most schedules of a workspace.
pub const MAX_SCHEDULES: i64 = 1000;
/// How many fires that nobody was there for are written down, at most; those before leave no trace.
#[cfg(not(target_arch = "wasm32"))]
const MOST_PASSED: usize = 200;
/// How late a fire may be seen to and still be on time, in seconds.
#[cfg(not(target_arch = "wasm32"))]
const ON_TIME_S: i64 = 60;

/// Fires whose time has come.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Those that start a run, earliest first.
    pub start: Vec<DateTime<Utc>>,
    /// Those that are missed, earliest first.
    pub missed: Vec<DateTime<Utc>>,
    /// The next one.
    pub next: Option<DateTime<Utc>>,
}

impl Schedule {
    /// Refuses a schedule that makes no sense.
    ///
    /// # Errors
    /// With the field that is wrong.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn check(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        self.timetable()?;
        if !(1..=MAX_CATCH_UP).contains(&self.catch_up_limit) {
            let text = format!("From 1 to {MAX_CATCH_UP} missed fires are made up for.");
            return Err(Error::invalid_field("catch_up_limit", text));
        }
        if !(0..=MAX_JITTER_S).contains(&self.jitter_s) {
            return Err(Error::invalid_field("jitter_s", format!("A fire is put off by 0 to {MAX_JITTER_S} seconds.")));
        }
        Ok(())
    }

    /// Its times.
    ///
    /// # Errors
    /// When its expression or time zone is none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn timetable(&self) -> Result<crate::timetable::Timetable, Error> {
        crate::timetable::Timetable::read(&self.expression, &self.timezone)
    }

    /// The params of the run of a fire that shall not have their defaults.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn params_for(&self, fire_time: DateTime<Utc>) -> serde_json::Map<String, serde_json::Value> {
        let time =
            self.param.iter().map(|param| (param.clone(), self.param_format.write(fire_time, &self.timezone).into()));
        self.params.clone().into_iter().chain(time).collect()
    }

    /// Its next fires, at most so many; none while it is paused.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn ahead(&self, count: usize) -> Vec<DateTime<Utc>> {
        let (Some(first), Ok(table)) = (self.next_fire, self.timetable()) else { return Vec::new() };
        std::iter::once(first).chain(table.ahead(first)).take(count).collect()
    }

    /// By how much a fire is put off.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn jitter(&self, fire_time: DateTime<Utc>) -> chrono::TimeDelta {
        use sha2::{Digest as _, Sha256};
        let hash = Sha256::new().chain_update(self.id.0).chain_update(fire_time.timestamp().to_be_bytes()).finalize();
        let number = hash.iter().take(4).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        chrono::TimeDelta::seconds(number % (i64::from(self.jitter_s) + 1))
    }

    /// The fires from `next_fire` on whose time has come, by the rule for those that nobody was there for.
    ///
    /// # Errors
    /// When its expression or time zone is none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn due(&self, next_fire: DateTime<Utc>, now: DateTime<Utc>) -> Result<Due, Error> {
        use chrono::TimeDelta;
        let table = self.timetable()?;
        let before = |at: &DateTime<Utc>| table.last(*at - TimeDelta::seconds(1));
        let passed = std::iter::successors(table.last(now), before).take_while(|at| *at >= next_fire);
        let mut passed: Vec<DateTime<Utc>> = passed.take(MOST_PASSED).collect();
        passed.reverse();
        let is_put_off = |at: &DateTime<Utc>| *at + self.jitter(*at) > now;
        let next = match passed.iter().position(is_put_off) {
            Some(first) => passed.drain(first..).next(),
            None => table.next(now),
        };
        let is_on_time = |at: &DateTime<Utc>| now - (*at + self.jitter(*at)) <= TimeDelta::seconds(ON_TIME_S);
        let count = match self.catch_up {
            CatchUp::Skip => usize::from(passed.last().is_some_and(is_on_time)),
            CatchUp::Latest => 1,
            CatchUp::All => usize::try_from(self.catch_up_limit).unwrap_or(1),
        };
        let start = passed.split_off(passed.len().saturating_sub(count));
        Ok(Due { start, missed: passed, next })
    }
}

/// Refuses what cannot be the name of a schedule or of another noun that starts pipelines.
///
/// # Errors
/// When it is none.
pub fn check_name(name: &str) -> Result<(), Error> {
    if crate::pipeline::is_name(name) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        "A name is 1 to 63 lower-case letters, digits, - and _, and begins with a letter or digit.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(expression: &str, catch_up: CatchUp) -> Schedule {
        Schedule {
            id: ScheduleId::new(),
            workspace_id: WorkspaceId::new(),
            name: "nightly".to_owned(),
            pipeline_id: PipelineId::new(),
            pipeline: "train".to_owned(),
            expression: expression.to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            params: serde_json::Map::new(),
            param: None,
            param_format: DateFormat::Date,
            catch_up,
            catch_up_limit: 3,
            jitter_s: 0,
            enabled: true,
            next_fire: None,
            created_at: DateTime::UNIX_EPOCH,
            created_by: "Ada".to_owned(),
        }
    }

    #[test]
    fn the_run_of_a_fire_gets_its_time_by_the_clocks_of_the_schedule() {
        let fire = utc("2026-03-28T23:30:00Z");
        let mut nightly = schedule("30 0 * * *", CatchUp::All);
        nightly.params.insert("rounds".to_owned(), 7.into());
        assert_eq!(serde_json::Value::Object(nightly.params_for(fire)), serde_json::json!({ "rounds": 7 }));
        nightly.param = Some("day".to_owned());
        let given = |schedule: &Schedule| schedule.params_for(fire).remove("day").unwrap();
        assert_eq!(given(&nightly), "2026-03-29");
        nightly.param_format = DateFormat::Time;
        assert_eq!(given(&nightly), "2026-03-29T00:30:00+01:00");
    }

    #[test]
    fn after_a_pause_the_rule_says_what_is_made_up_for() {
        let (next, now) = (utc("2026-05-01T00:00:00Z"), utc("2026-05-01T05:30:00Z"));
        let due = |rule| schedule("0 * * * *", rule).due(next, now).unwrap();
        let hours = |times: &[DateTime<Utc>]| times.iter().map(|at| at.format("%H").to_string()).collect::<Vec<_>>();
        let skip = due(CatchUp::Skip);
        assert_eq!((hours(&skip.start).len(), hours(&skip.missed).len()), (0, 6));
        let latest = due(CatchUp::Latest);
        assert_eq!((hours(&latest.start), hours(&latest.missed).len()), (vec!["05".to_owned()], 5));
        let all = due(CatchUp::All);
        assert_eq!(hours(&all.start), ["03", "04", "05"]);
        assert_eq!(hours(&all.missed), ["00", "01", "02"]);
        assert!([skip, latest, all].iter().all(|due| due.next == Some(utc("2026-05-01T06:00:00Z"))));
    }

    #[test]
    fn a_fire_that_is_seen_to_a_moment_late_is_on_time() {
        let fire = utc("2026-05-01T05:00:00Z");
        let due = schedule("0 * * * *", CatchUp::Skip).due(fire, fire + TimeDelta::seconds(7)).unwrap();
        assert_eq!((due.start, due.missed.len()), (vec![fire], 0));
    }

    #[test]
    fn a_month_of_minutes_is_looked_at_in_bounded_time() {
        let due = schedule("* * * * *", CatchUp::All);
        let due = due.due(utc("2026-05-01T00:00:00Z"), utc("2026-06-01T00:00:30Z")).unwrap();
        assert_eq!((due.start.len(), due.missed.len()), (3, MOST_PASSED - 3));
        assert_eq!(due.start.last(), Some(&utc("2026-06-01T00:00:00Z")));
    }

    #[test]
    fn a_fire_in_the_hour_that_the_clocks_skip_comes_once() {
        let nightly = schedule("30 2 * * *", CatchUp::All);
        let due = nightly.due(utc("2026-03-29T00:00:00Z"), utc("2026-03-30T00:00:00Z")).unwrap();
        assert_eq!(due.start, [utc("2026-03-29T01:00:00Z")]);
        let due = nightly.due(utc("2026-10-25T00:00:00Z"), utc("2026-10-25T12:00:00Z")).unwrap();
        assert_eq!(due.start, [utc("2026-10-25T00:30:00Z")]);
    }

    proptest! {
        /// However the looks fall, each fire is seen to once: none twice, none left out.
        #[test]
        fn each_fire_is_seen_to_once(
            steps in prop::collection::vec(1_i64..40_000, 1..12),
            jitter in 0_i32..3600,
            expression in prop::sample::select(vec!["*/20 * * * *", "30 2 * * *", "0 1-4 * * *"]),
        ) {
            let schedule = Schedule { jitter_s: jitter, catch_up_limit: 100, ..schedule(expression, CatchUp::All) };
            let begin = utc("2026-03-28T20:00:00Z");
            let first = schedule.timetable().unwrap().next(begin).unwrap();
            let (mut next, mut now, mut seen) = (first, begin, Vec::new());
            for step in steps {
                now += TimeDelta::seconds(step);
                let due = schedule.due(next, now).unwrap();
                seen.extend(due.missed);
                seen.extend(due.start);
                next = due.next.unwrap();
            }
            let table = schedule.timetable().unwrap();
            let all = std::iter::once(first).chain(table.ahead(first));
            let all: Vec<_> = all.take_while(|at| *at < next).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
