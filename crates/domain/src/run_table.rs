//! The table of an experiment's runs: which columns it has, a page of it, and its runs in groups.

use crate::{
    error::Error,
    id::RunId,
    log_key::KeyKind,
    run::RunInfo,
    search::{Keyed, RunClause, RunFilter, RunText, TextTest},
    series::Point,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The most columns that a table shows.
pub const MAX_COLUMNS: usize = 60;
/// The most columns that stay in view while the others scroll.
pub const MAX_PINNED: usize = 3;
/// The most columns of a file.
pub const MAX_EXPORTED: usize = 1000;
/// The most runs that are changed at once.
pub const MAX_CHANGED: usize = 1000;
/// The most characters of a value that count when runs are ordered or grouped by it: what comes after them makes no
/// difference to a reader, and page tokens stay short. Indexes of the database are of so many.
pub const SORTED_CHARACTERS: usize = 250;

/// A column. Written as it is named in the search language, without quotes: `metrics.val/f1`, `params.lr`, `tags.team`,
/// `status`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RunColumn {
    /// The latest value of a metric.
    Metric(String),
    /// A parameter.
    Param(String),
    /// A tag.
    Tag(String),
    /// What every run has.
    Attribute(RunAttribute),
}

/// What every run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunAttribute {
    /// `run_id`
    Id,
    /// `run_name`
    Name,
    /// `status`
    Status,
    /// `start_time`
    Start,
    /// `end_time`
    End,
    /// `duration`: from start to end.
    Duration,
    /// `user_id`: the user as the client named it.
    User,
    /// `datasets`: the names of the data sets that it read.
    Datasets,
    /// `versions`: the registered versions made from it.
    Versions,
}

impl RunAttribute {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Id,
        Self::Name,
        Self::Status,
        Self::Start,
        Self::End,
        Self::Duration,
        Self::User,
        Self::Datasets,
        Self::Versions,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "run_id",
            Self::Name => "run_name",
            Self::Status => "status",
            Self::Start => "start_time",
            Self::End => "end_time",
            Self::Duration => "duration",
            Self::User => "user_id",
            Self::Datasets => "datasets",
            Self::Versions => "versions",
        }
    }

    /// Whether runs can be ordered by it.
    #[must_use]
    pub fn sorts(self) -> bool {
        !matches!(self, Self::Duration | Self::Datasets | Self::Versions)
    }
}

impl RunColumn {
    /// The column of a key.
    #[must_use]
    pub fn of(kind: KeyKind, name: String) -> Self {
        match kind {
            KeyKind::Metric => Self::Metric(name),
            KeyKind::Param => Self::Param(name),
            KeyKind::Tag => Self::Tag(name),
        }
    }

    /// Of which kind its key is; none of an attribute.
    #[must_use]
    pub fn kind(&self) -> Option<KeyKind> {
        match self {
            Self::Metric(_) => Some(KeyKind::Metric),
            Self::Param(_) => Some(KeyKind::Param),
            Self::Tag(_) => Some(KeyKind::Tag),
            Self::Attribute(_) => None,
        }
    }

    /// The key, or the name of the attribute.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Metric(key) | Self::Param(key) | Self::Tag(key) => key,
            Self::Attribute(attribute) => attribute.as_str(),
        }
    }

    /// Whether its cells are numbers.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Metric(_) | Self::Attribute(RunAttribute::Duration))
    }

    /// Whether runs can be ordered by it.
    #[must_use]
    pub fn sorts(&self) -> bool {
        match self {
            Self::Attribute(attribute) => attribute.sorts(),
            _ => true,
        }
    }

    /// As an entry of an order in the search language.
    #[must_use]
    pub fn order(&self) -> String {
        match self.kind() {
            Some(kind) => format!("{}.`{}`", kind.entity(), self.key().replace('`', "``")),
            None => format!("attributes.{}", self.key()),
        }
    }

    /// Whether runs can be put into groups by it.
    #[must_use]
    pub fn groups(&self) -> bool {
        match self {
            Self::Metric(_) => false,
            Self::Param(_) | Self::Tag(_) => true,
            Self::Attribute(attribute) => {
                matches!(attribute, RunAttribute::Name | RunAttribute::Status | RunAttribute::User)
            }
        }
    }
}

impl fmt::Display for RunColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Some(kind) => write!(f, "{}.{}", kind.entity(), self.key()),
            None => f.write_str(self.key()),
        }
    }
}

impl From<RunColumn> for String {
    fn from(column: RunColumn) -> Self {
        column.to_string()
    }
}

impl TryFrom<String> for RunColumn {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl FromStr for RunColumn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (entity, name) = text.split_once('.').unwrap_or(("attributes", text));
        if let Some(kind) = KeyKind::ALL.into_iter().find(|kind| kind.entity() == entity) {
            let is_key = !name.is_empty() && !name.contains('\0');
            return if is_key { Ok(Self::of(kind, name.to_owned())) } else { Err(no_column(text)) };
        }
        let attribute = if entity == "attributes" { name } else { text };
        let attribute = RunAttribute::ALL.into_iter().find(|known| known.as_str() == attribute);
        attribute.map(Self::Attribute).ok_or_else(|| no_column(text))
    }
}

fn no_column(text: &str) -> Error {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let attributes = RunAttribute::ALL.map(RunAttribute::as_str).join(", ");
    Error::invalid(format!(
        "There is no column \"{shown}\": name metrics.<key>, params.<key>, tags.<key> or one of {attributes}."
    ))
}

/// A run in a table: what it is, and the values of the columns that are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunRow {
    /// The run.
    pub info: RunInfo,
    /// The latest value of each shown metric that it has; null is not a number.
    pub metrics: BTreeMap<String, f64>,
    /// Each shown parameter that it has.
    pub params: BTreeMap<String, String>,
    /// Each shown tag that it has.
    pub tags: BTreeMap<String, String>,
    /// The data sets that it read, by name.
    pub datasets: Vec<String>,
    /// Registered versions made from it: model name, version.
    pub versions: Vec<(String, i32)>,
    /// The course of the metric that was asked for, thinned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<Point>,
}

/// A page of an experiment's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTable {
    /// The runs, in order.
    pub rows: Vec<RunRow>,
    /// The columns that are shown, in order; the run's name stands before them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub columns: Vec<RunColumn>,
    /// How many runs the experiment has, of those in use or of those put away.
    pub total: i64,
    /// How many of them the filter leaves.
    pub filtered: i64,
    /// Ask with this for the runs after these; absent on the last page.
    pub next_page_token: Option<String>,
}

/// What groups of runs are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSort {
    /// `count`: how many runs.
    Count,
    /// `group`: the value that they share.
    Value,
    /// `latest`: when the last of them started.
    Latest,
    /// `mean.<metric>`
    Mean(String),
    /// `min.<metric>`
    Min(String),
    /// `max.<metric>`
    Max(String),
}

impl GroupSort {
    /// The metric that it needs.
    #[must_use]
    pub fn metric(&self) -> Option<&str> {
        match self {
            Self::Mean(key) | Self::Min(key) | Self::Max(key) => Some(key),
            Self::Count | Self::Value | Self::Latest => None,
        }
    }
}

impl fmt::Display for GroupSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Value => f.write_str("group"),
            Self::Latest => f.write_str("latest"),
            Self::Mean(key) => write!(f, "mean.{key}"),
            Self::Min(key) => write!(f, "min.{key}"),
            Self::Max(key) => write!(f, "max.{key}"),
        }
    }
}

impl FromStr for GroupSort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "count" => return Ok(Self::Count),
            "group" => return Ok(Self::Value),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        match text.split_once('.') {
            Some((_, key)) if key.is_empty() || key.contains('\0') => {}
            Some(("mean", key)) => return Ok(Self::Mean(key.to_owned())),
            Some(("min", key)) => return Ok(Self::Min(key.to_owned())),
            Some(("max", key)) => return Ok(Self::Max(key.to_owned())),
            _ => {}
        }
        Err(Error::invalid_field(
            "sort",
            "Groups are sorted by count, group, latest, mean.<metric>, min.<metric> or max.<metric>; with - before it, largest first.",
        ))
    }
}

/// What the runs of a group come to in a metric. Runs where it is missing or not a number do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricSummary {
    /// How many runs have a number.
    pub runs: i64,
    /// The mean of their latest values.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
    /// The run that has it.
    pub min_run: RunId,
    /// The greatest of them.
    pub max: f64,
    /// The run that has it.
    pub max_run: RunId,
}

/// Runs that share a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunGroup {
    /// The value, up to its first 250 characters; none of the runs that have none.
    pub value: Option<String>,
    /// How many they are.
    pub runs: i64,
    /// When the last of them started, in milliseconds since 1970.
    pub latest: i64,
    /// What they come to in each metric that was asked for; without those that none of them has.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// The filter that leaves exactly these runs.
    pub filter: String,
}

/// The runs of an experiment in groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunGroups {
    /// What they are grouped by.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub by: RunColumn,
    /// The metrics that are summed up, in order.
    pub metrics: Vec<String>,
    /// The first groups, in order.
    pub groups: Vec<RunGroup>,
    /// How many groups there are.
    pub all: i64,
    /// How many runs they hold together.
    pub runs: i64,
}

/// The condition that a run has this value, cut to [`SORTED_CHARACTERS`], of what runs are grouped by; or none.
#[must_use]
pub fn group_filter(by: &RunColumn, value: Option<&str>) -> Option<RunFilter> {
    let test = match value {
        // What follows the characters that count is anything.
        Some(value) if value.chars().count() >= SORTED_CHARACTERS => {
            let mut pattern = String::new();
            for c in value.chars() {
                if matches!(c, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
            pattern.push('%');
            Some(TextTest::Like(crate::search::Pattern::new(pattern)?))
        }
        value => value.map(|value| TextTest::Eq(value.to_owned())),
    };
    let keyed = |test: Option<TextTest>| test.map_or(Keyed::Absent, Keyed::Is);
    Some(RunFilter::Is(match by {
        RunColumn::Param(key) => RunClause::Param { key: key.clone(), test: keyed(test) },
        RunColumn::Tag(key) => RunClause::Tag { key: key.clone(), test: keyed(test) },
        RunColumn::Attribute(attribute) => RunClause::Text {
            attribute: match attribute {
                RunAttribute::Name => RunText::RunName,
                RunAttribute::Status => RunText::Status,
                RunAttribute::User => RunText::UserId,
                _ => return None,
            },
            test: test?,
        },
        RunColumn::Metric(_) => return None,
    }))
}

/// A key or a value that completes what somebody types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Suggestion {
    /// What is put there.
    pub text: String,
    /// What is shown.
    pub label: String,
    /// What it is.
    pub detail: String,
}

/// What may stand where somebody types.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Suggestions {
    /// Where what it replaces begins: characters before that place.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// The best first.
    pub items: Vec<Suggestion>,
    /// What is expected, where nothing can be listed.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::run_filter;

    #[test]
    fn a_column_reads_back_as_written() {
        for text in ["metrics.val/f1 macro", "params.lr", "tags.mlflow.user", "status", "duration", "metrics.a.b`c"] {
            assert_eq!(text.parse::<RunColumn>().unwrap().to_string(), text);
        }
        assert_eq!("attributes.status".parse::<RunColumn>().unwrap().to_string(), "status");
        for text in ["", "metrics.", "nothing", "datasets.name", "metrics.a\0"] {
            assert!(text.parse::<RunColumn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_column_with_odd_characters_is_an_order() {
        for column in ["metrics.val/f1 `macro`", "params.a b", "tags.x", "status", "run_id"] {
            let order = column.parse::<RunColumn>().unwrap().order();
            assert!(crate::search::run_order(&[order]).is_ok(), "{column}");
        }
    }

    #[test]
    fn groups_are_sorted_by_what_they_show() {
        for text in ["count", "group", "latest", "mean.a.b", "min.x", "max.`"] {
            assert_eq!(text.parse::<GroupSort>().unwrap().to_string(), text);
        }
        assert!("mean.".parse::<GroupSort>().is_err() && "weight".parse::<GroupSort>().is_err());
    }

    #[test]
    fn the_filter_of_a_group_is_one_of_the_search_language() {
        let long = "50%_\\".repeat(50);
        for (by, value) in [
            ("params.a b", Some("it's")),
            ("params.a", Some(long.as_str())),
            ("tags.`", None),
            ("status", Some("FINISHED")),
            ("user_id", Some("")),
        ] {
            let filter = group_filter(&by.parse().unwrap(), value).unwrap();
            assert_eq!(run_filter(&filter.to_string()).unwrap(), Some(filter), "{by}");
        }
        assert_eq!(group_filter(&"status".parse().unwrap(), None), None);
        assert_eq!(group_filter(&"metrics.a".parse().unwrap(), Some("1")), None);
    }
}
