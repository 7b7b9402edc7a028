//! What a table of a dataset holds: its columns, their statistics, and some of its rows.

use crate::drift::{Cell, Column, Kind};
use serde::{Deserialize, Serialize};

/// How many values of each column are kept, to hold other versions against.
pub const SAMPLED: usize = 2000;
/// How many rows are kept to be shown.
pub const SHOWN_ROWS: usize = 20;

/// The sort of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// True and false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Texts, and whatever is none of the others.
    Text,
}

impl ColumnKind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
        }
    }
}

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableProfile {
    /// The file.
    pub path: String,
    /// How many rows it has.
    pub rows: i64,
    /// Its columns, in order.
    pub columns: Vec<ColumnProfile>,
    /// Its first rows, as text; none for a missing value.
    pub sample: Vec<Vec<Option<String>>>,
    /// Why it could not be read, or not to its end; empty when it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// The sort of its values.
    pub kind: ColumnKind,
    /// How many are missing.
    pub missing: i64,
    /// How many different values there are, counted up to a limit.
    pub distinct: i64,
    /// Whether there are more than were counted.
    pub is_distinct_cut: bool,
    /// The least: a number, or the first text in the order of bytes.
    pub min: Option<String>,
    /// The greatest.
    pub max: Option<String>,
    /// The mean of numbers.
    pub mean: Option<f64>,
    /// The standard deviation of numbers (of the sample, divided by n − 1).
    pub deviation: Option<f64>,
    /// The most frequent values with how often each is there, when they were counted to the end.
    pub top: Vec<(String, i64)>,
    /// Values as text, evenly from the whole column; none for a missing one. Other versions are held against them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Option<String>>,
}

impl ColumnProfile {
    /// The sampled values, as drift is measured.
    #[must_use]
    pub fn column(&self, kind: ColumnKind) -> Column {
        let drift_kind = match kind {
            ColumnKind::Boolean => Kind::Boolean,
            ColumnKind::Integer => Kind::Integer,
            ColumnKind::Number => Kind::Real,
            ColumnKind::Text => Kind::Text,
        };
        let cells = self.values.iter().map(|value| {
            let text = value.as_deref()?;
            match kind {
                ColumnKind::Boolean => text.parse().ok().map(Cell::Boolean),
                ColumnKind::Integer | ColumnKind::Number => text.parse().ok().map(Cell::Number),
                ColumnKind::Text => Some(Cell::Text(text)),
            }
        });
        Column::of(drift_kind, cells)
    }
}

impl ColumnProfile {
    /// The same without its sampled values.
    #[must_use]
    pub fn without_values(&self) -> Self {
        Self { values: Vec::new(), ..self.clone() }
    }
}

/// How a table of two versions differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableDiff {
    /// The file.
    pub path: String,
    /// How many rows it had, and has.
    pub rows: (i64, i64),
    /// Columns that are new.
    pub added: Vec<String>,
    /// Columns that are gone.
    pub removed: Vec<String>,
    /// Columns with other sorts of values: name, before, after.
    pub retyped: Vec<(String, ColumnKind, ColumnKind)>,
    /// How far the values of each column that is in both have moved.
    pub drift: Vec<crate::drift::FeatureDrift>,
    /// What its columns held.
    pub before: Vec<ColumnProfile>,
    /// What they hold.
    pub after: Vec<ColumnProfile>,
}
