//! Freezes: change windows. While a window that denies is open nothing is deployed; where one that allows is meant, things
//! are deployed only while one of those is open. Denying goes before allowing, as in Argo CD's sync windows.

#[cfg(not(target_arch = "wasm32"))]
mod clock;
#[cfg(not(target_arch = "wasm32"))]
mod standing;
#[cfg(test)]
mod tests;

#[cfg(not(target_arch = "wasm32"))]
pub use standing::{active, ahead, from_zone, in_zone, may_finish, now_of, standing, timezones, to_zone};

use crate::{
    Digest,
    environment::Tier,
    error::Error,
    glob,
    id::{FreezeId, WorkspaceId},
    permission::UnknownName,
    wording::{check_length, check_nul},
};
use chrono::{DateTime, Utc};
#[cfg(not(target_arch = "wasm32"))]
use chrono::{Datelike as _, TimeDelta};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::FromStr};

/// When nothing is deployed, or only then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freeze {
    /// The freeze.
    pub id: FreezeId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name. Several may have one name.
    pub name: String,
    /// What its windows mean.
    pub kind: FreezeKind,
    /// When its windows are.
    pub schedule: Schedule,
    /// What it is about.
    pub selector: Selector,
    /// Whether somebody who breaks the glass may deploy in spite of it.
    pub manual_override: bool,
    /// Whether a deployment that began before may finish.
    pub overrun: bool,
    /// Why, for whoever waits.
    pub reason: String,
    /// When it was made. It means nothing before.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When somebody ended it. It means nothing from then on.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Freeze {
    /// How it is set, in a word that a form sends back: whoever changes it says what they saw.
    #[must_use]
    pub fn mark(&self) -> String {
        Digest::of_json(self).map(|digest| digest.to_string()).unwrap_or_default()
    }

    /// Whether it means anything at this moment, in a window or not.
    #[must_use]
    pub fn is_in_force(&self, at: DateTime<Utc>) -> bool {
        self.created_at <= at && self.ended_at.is_none_or(|end| at < end)
    }
}

/// What the windows of a freeze mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FreezeKind {
    /// Nothing is deployed in them.
    Deny,
    /// Things are deployed in them alone, or in those of another that allows.
    Allow,
}

impl FreezeKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deny, Self::Allow];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

impl FromStr for FreezeKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// When the windows of a freeze are. A window holds its first moment and not its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FreezeSchedule))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Again and again.
    Cron {
        /// When each begins: minute, hour, day of the month, month, day of the week. A time that the clocks skip is the
        /// first one after; one that they repeat is the first of the two, unless hours or minutes are wildcards.
        expression: String,
        /// How long each lasts, in seconds that pass: one over a change of the clocks is as long as another.
        duration_s: i64,
        /// Where it is that time, by its name in the tz database, such as `Europe/Berlin`.
        timezone: String,
    },
    /// Once.
    Dates {
        /// When it begins.
        from: DateTime<Utc>,
        /// When it ends.
        to: DateTime<Utc>,
    },
}

/// What a freeze is about. All environments where neither names nor tiers are given, all models where no pattern is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FreezeSelector))]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Environments by name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub environments: BTreeSet<String>,
    /// Environments by tier.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Tier>))]
    pub tiers: BTreeSet<Tier>,
    /// Models whose names fit one of these patterns, with `*` and `?`.
    #[serde(default)]
    pub models: Vec<String>,
}

impl Selector {
    /// Whether an environment is meant, for some model.
    #[must_use]
    pub fn meets(&self, environment: &str, tier: Tier) -> bool {
        self.environments.is_empty() && self.tiers.is_empty()
            || self.environments.contains(environment)
            || self.tiers.contains(&tier)
    }

    /// Whether a model in an environment is meant.
    #[must_use]
    pub fn covers(&self, environment: &str, tier: Tier, model: &str) -> bool {
        self.meets(environment, tier) && glob::matches_any(&self.models, model)
    }

    /// In words: `production and all of tier staging, models churn-*`.
    #[must_use]
    pub fn words(&self) -> String {
        let names = self.environments.iter().cloned();
        let tiers = self.tiers.iter().map(|tier| format!("all of tier {}", tier.as_str()));
        let places: Vec<String> = names.chain(tiers).collect();
        let places = if places.is_empty() { "every environment".to_owned() } else { places.join(", ") };
        if self.models.is_empty() { places } else { format!("{places}; models {}", self.models.join(", ")) }
    }
}

/// Whether something may be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FreezeStanding))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    Open {
        /// When it may not any more; none when nothing in sight closes it.
        until: Option<DateTime<Utc>>,
    },
    /// It may not.
    Closed {
        /// The freezes that close it: those that deny, or when none does, those that allow at other times.
        because: Vec<Because>,
        /// When it may again; none when nothing in sight opens it.
        opens_at: Option<DateTime<Utc>>,
        /// Whether somebody who breaks the glass may deploy: every one of these freezes lets them.
        may_override: bool,
        /// Whether a deployment that began while it was open may finish: every one of these freezes lets it.
        may_finish: bool,
    },
}

impl Standing {
    /// Whether something may be deployed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// A freeze that closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FreezeBecause))]
pub struct Because {
    /// The freeze.
    pub id: FreezeId,
    /// Its name.
    pub name: String,
    /// Whether it denies now, or allows at other times.
    pub kind: FreezeKind,
    /// Why it is there.
    pub reason: String,
    /// Where its times are told; `UTC` for dates.
    pub timezone: String,
}

/// A window of a freeze. Those that touch or overlap are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FreezeWindow))]
pub struct Window {
    /// Its freeze.
    pub freeze: FreezeId,
    /// Its name.
    pub name: String,
    /// What it means.
    pub kind: FreezeKind,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends; none when that is out of sight.
    pub ends_at: Option<DateTime<Utc>>,
}

/// How one freeze stands, whatever others say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeState {
    /// Somebody ended it.
    Ended,
    /// One of its windows is open.
    Inside {
        /// When it closes; none when that is out of sight.
        until: Option<DateTime<Utc>>,
    },
    /// None is.
    Outside {
        /// When the next opens; none when none does.
        next: Option<DateTime<Utc>>,
    },
}

/// The shortest window, in seconds.
pub const MIN_DURATION_S: i64 = 60;
/// The longest window that comes again and again, in seconds: 31 days.
pub const MAX_DURATION_S: i64 = 31 * 24 * 60 * 60;
/// The longest window that comes once, in days.
pub const MAX_DAYS: i64 = 5 * 366;
/// The most characters of a name.
pub const MAX_NAME: usize = 100;
/// The most characters of a reason.
const MAX_REASON: usize = 1000;
/// The most freezes of a workspace that nobody ended.
pub const MAX_FREEZES: usize = 200;

/// Refuses a name that nobody could tell from another.
///
/// # Errors
/// When it is empty, has more than 100 characters, or one that cannot be seen.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid_field(
            "name",
            format!("Give the freeze a name of 1 to {MAX_NAME} visible characters."),
        ));
    }
    Ok(())
}

/// Refuses a reason that cannot be kept.
///
/// # Errors
/// When it has more than 1000 characters, or holds the NUL character.
pub fn check_reason(reason: &str) -> Result<(), Error> {
    check_nul(reason, "reason")?;
    check_length(reason, MAX_REASON, "reason", "reason")
}

/// Refuses a selector that makes no sense. Whether its environments are there is not looked at.
///
/// # Errors
/// When it names too much, or its patterns are none.
pub fn check_selector(selector: &Selector) -> Result<(), Error> {
    if selector.environments.len() > glob::MAX_PATTERNS {
        let text = format!("Name at most {} environments, or choose a tier.", glob::MAX_PATTERNS);
        return Err(Error::invalid_field("selector/environments", text));
    }
    glob::check(&selector.models, "selector/models")
}

impl Schedule {
    /// Refuses a schedule that is never, or longer than anybody means.
    ///
    /// # Errors
    /// With the field that is wrong.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Cron { expression, duration_s, timezone } => {
                if !(MIN_DURATION_S..=MAX_DURATION_S).contains(duration_s) {
                    return Err(Error::invalid_field(
                        "schedule/duration_s",
                        "A window that comes again lasts one minute to 31 days.",
                    ));
                }
                clock::check(expression, timezone)
            }
            Self::Dates { from, to } if to <= from => {
                Err(Error::invalid_field("schedule/to", "A window ends after it begins."))
            }
            Self::Dates { from, to } if *to - *from > TimeDelta::days(MAX_DAYS) => {
                Err(Error::invalid_field("schedule/to", "A window that comes once lasts at most five years."))
            }
            Self::Dates { from, .. } if !(2000..=2200).contains(&from.year()) => {
                Err(Error::invalid_field("schedule/from", "A window begins between the years 2000 and 2200."))
            }
            Self::Dates { .. } => Ok(()),
        }
    }

    /// Where its times are told.
    #[must_use]
    pub fn timezone(&self) -> &str {
        match self {
            Self::Cron { timezone, .. } => timezone,
            Self::Dates { .. } => "UTC",
        }
    }
}
