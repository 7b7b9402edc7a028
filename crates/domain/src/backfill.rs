//! Backfills: runs of a pipeline for dates that have passed, one a date.

#[cfg(not(target_arch = "wasm32"))]
use crate::error::Error;
use crate::{
    id::{BackfillId, PipelineId, WorkspaceId},
    permission::UnknownName,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Runs of a pipeline for dates that have passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backfill {
    /// The backfill.
    pub id: BackfillId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its number in the workspace, for people.
    pub number: i64,
    /// What it runs.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its dates.
    #[serde(flatten)]
    pub range: Range,
    /// The param that gets the date of a run.
    pub param: String,
    /// How it gets it.
    pub param_format: DateFormat,
    /// Params of all its runs that shall not have their defaults.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// How many of its runs are open at once.
    pub at_once: i32,
    /// Where it stands.
    pub state: BackfillState,
    /// How its runs stand.
    pub progress: Progress,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = BackfillRange))]
pub struct Range {
    /// The first of them is not before.
    pub from: DateTime<Utc>,
    /// The last of them is not after.
    pub to: DateTime<Utc>,
    /// A cron expression of five fields; or none, when a step is given.
    pub expression: Option<String>,
    /// So many seconds from one to the next, from the first on.
    pub step_s: Option<i64>,
    /// Where it is that time, by its name in the tz database.
    pub timezone: String,
}

/// How a param gets a date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DateFormat {
    /// The day by the clocks of the time zone: `2026-03-29`.
    #[default]
    Date,
    /// The moment: `2026-03-29T03:00:00+02:00`.
    Time,
}

impl DateFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Date, Self::Time];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
        }
    }

    /// A date as a param gets it.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn write(self, at: DateTime<Utc>, timezone: &str) -> String {
        let local = at.with_timezone(&timezone.parse().unwrap_or(chrono_tz::Tz::UTC));
        match self {
            Self::Date => local.format("%Y-%m-%d").to_string(),
            Self::Time => local.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        }
    }
}

impl FromStr for DateFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// Where a backfill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Runs are open, or to be started.
    Running,
    /// Each of its dates had its run, and all have ended.
    Done,
    /// Somebody cancelled it: no more runs are started.
    Cancelled,
}

impl BackfillState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The states that this one may become: all legal moves of a backfill.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Running => &[Self::Done, Self::Cancelled],
            Self::Done | Self::Cancelled => &[],
        }
    }
}

/// How the runs of a backfill stand: numbers of dates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = BackfillProgress))]
pub struct Progress {
    /// All of them.
    pub total: i64,
    /// No run was started yet.
    pub waiting: i64,
    /// Their run is open.
    pub open: i64,
    /// Their run succeeded.
    pub succeeded: i64,
    /// Their run failed or was cancelled.
    pub failed: i64,
    /// Their run could not be started.
    pub refused: i64,
}

/// A date of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackfillRun {
    /// The date.
    pub date: DateTime<Utc>,
    /// The number of its run.
    pub run_number: Option<i64>,
    /// How that stands.
    pub run_state: Option<crate::pipeline_run::PipelineRunState>,
    /// Why none could be started.
    pub refused: Option<String>,
}

/// The most dates of a backfill.
pub const MAX_DATES: usize = 1000;
/// The most runs of a backfill that are open at once.
pub const MAX_AT_ONCE: i32 = 100;

#[cfg(not(target_arch = "wasm32"))]
impl Range {
    /// Its dates, earliest first.
    ///
    /// # Errors
    /// With the field that is wrong; when there is no date, or there are more than 1000.
    pub fn dates(&self) -> Result<Vec<DateTime<Utc>>, Error> {
        use crate::timetable::Timetable;
        use chrono::{TimeDelta, Timelike as _};
        if self.to < self.from {
            return Err(Error::invalid_field("to", "The last date is not before the first."));
        }
        let to = self.to;
        let up_to_end = |at: &DateTime<Utc>| *at <= to;
        let from = self.from.with_nanosecond(0).unwrap_or(self.from);
        let dates: Vec<DateTime<Utc>> = match (&self.expression, self.step_s) {
            (Some(expression), None) => {
                let table = Timetable::read(expression, &self.timezone)?;
                table.ahead(from - TimeDelta::seconds(1)).take_while(up_to_end).take(MAX_DATES + 1).collect()
            }
            (None, Some(step)) => {
                // The time zone is read for the params.
                Timetable::read("0 0 * * *", &self.timezone)?;
                let wrong = || Error::invalid_field("step_s", "A step is 60 seconds to 366 days.");
                let step = TimeDelta::try_seconds(step)
                    .filter(|step| *step >= TimeDelta::minutes(1) && *step <= TimeDelta::days(366))
                    .ok_or_else(wrong)?;
                let next = |at: &DateTime<Utc>| at.checked_add_signed(step);
                std::iter::successors(Some(from), next).take_while(up_to_end).take(MAX_DATES + 1).collect()
            }
            _ => {
                let text = "Give a cron expression, or a step from one date to the next.";
                return Err(Error::invalid_field("expression", text));
            }
        };
        match dates.len() {
            0 => Err(Error::invalid_field("to", "No date lies between these.")),
            1..=MAX_DATES => Ok(dates),
            _ => {
                Err(Error::invalid_field("to", format!("More than {MAX_DATES} dates lie between these; make several.")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str, expression: Option<&str>, step_s: Option<i64>) -> Range {
        Range {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            expression: expression.map(str::to_owned),
            step_s,
            timezone: "Europe/Berlin".to_owned(),
        }
    }

    #[test]
    fn dates_are_those_of_the_expression_with_both_ends_across_a_change_of_clocks() {
        let days = range("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", Some("0 0 * * *"), None).dates().unwrap();
        let written: Vec<String> = days.iter().map(|at| DateFormat::Date.write(*at, "Europe/Berlin")).collect();
        assert_eq!(written, ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"]);
        assert_eq!(DateFormat::Time.write(days[2], "Europe/Berlin"), "2026-03-30T00:00:00+02:00");
    }

    #[test]
    fn dates_by_a_step_begin_with_the_first() {
        let weeks = range("2026-01-05T06:00:00.5Z", "2026-01-19T06:00:00Z", None, Some(7 * 86_400)).dates().unwrap();
        assert_eq!(weeks.iter().map(|at| at.format("%d").to_string()).collect::<Vec<_>>(), ["05", "12", "19"]);
    }

    #[test]
    fn what_is_no_range_is_told_at_its_field() {
        let field = |range: Range| range.dates().unwrap_err().field.unwrap();
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        assert_eq!(field(range(late, early, Some("0 0 * * *"), None)), "to");
        assert_eq!(field(range(early, late, None, None)), "expression");
        assert_eq!(field(range(early, late, Some("0 0 * * *"), Some(60))), "expression");
        assert_eq!(field(range(early, late, Some("never"), None)), "expression");
        assert_eq!(field(range(early, late, None, Some(5))), "step_s");
        assert_eq!(field(range(early, late, Some("* * * * *"), None)), "to", "too many");
        assert_eq!(field(range(early, early, Some("0 5 * * *"), None)), "to", "none");
        let nowhere = Range { timezone: "Moon".to_owned(), ..range(early, late, None, Some(86_400)) };
        assert_eq!(field(nowhere), "timezone");
    }
}
