//! What is expected of the tables of a dataset, declared once and held against each version.

use crate::{error::Error, glob};
use serde::{Deserialize, Serialize};

/// The most expectations of a dataset.
pub const MAX_EXPECTATIONS: usize = 100;
/// The most characters of a column's name, a pattern or an allowed value.
pub const MAX_TEXT: usize = 500;
/// The most values that may be allowed, and the most columns of a schema.
pub const MAX_VALUES: usize = 1000;

/// Something that is expected of tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expectation {
    /// Which files: a pattern of paths in which `*` stands for any characters. Absent: every table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// What is expected.
    #[serde(flatten)]
    pub rule: Rule,
}

/// What is expected of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExpectationRule))]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// It has these columns, and no others.
    Schema {
        /// The columns, in whatever order.
        columns: Vec<ExpectedColumn>,
    },
    /// It has so many rows.
    RowCount {
        /// At least so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
    },
    /// No value of a column is missing.
    NotNull {
        /// The column.
        column: String,
    },
    /// No value of a column is there twice. Missing ones do not count.
    Unique {
        /// The column.
        column: String,
    },
    /// The numbers of a column lie between two. Missing values do not count.
    Range {
        /// The column.
        column: String,
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The greatest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    },
    /// The values of a column fit a regular expression from their beginning to their end. Missing ones do not count.
    Regex {
        /// The column.
        column: String,
        /// The expression, in the syntax of Rust's `regex`.
        pattern: String,
    },
    /// The values of a column are some of these. Missing ones do not count.
    AllowedValues {
        /// The column.
        column: String,
        /// The values, as text.
        values: Vec<String>,
    },
}

/// A column that a table is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExpectedColumn {
    /// Its name.
    pub name: String,
    /// The sort of its values; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<crate::table_profile::ColumnKind>,
}

/// Whether an expectation is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is.
    Passed,
    /// It is not.
    Failed,
    /// It could not be found out.
    Inconclusive,
}

/// What was found when an expectation was held against a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckResult {
    /// What was expected.
    pub expectation: Expectation,
    /// The table's path; empty when no table fits.
    pub path: String,
    /// Whether it is met.
    pub outcome: Outcome,
    /// What was found, in a sentence.
    pub found: String,
}

impl Expectation {
    /// What is expected, to go on after the table's path.
    #[must_use]
    pub fn describe(&self) -> String {
        fn between<T: std::fmt::Display>(min: Option<&T>, max: Option<&T>) -> String {
            match (min, max) {
                (Some(min), Some(max)) => format!("between {min} and {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, Some(max)) => format!("at most {max}"),
                (None, None) => "anything".to_owned(),
            }
        }
        match &self.rule {
            Rule::Schema { columns } => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                format!("has the columns {}", names.join(", "))
            }
            Rule::RowCount { min, max } => format!("has {} rows", between(min.as_ref(), max.as_ref())),
            Rule::NotNull { column } => format!("{column} is never missing"),
            Rule::Unique { column } => format!("{column} is unique"),
            Rule::Range { column, min, max } => format!("{column} is {}", between(min.as_ref(), max.as_ref())),
            Rule::Regex { column, pattern } => format!("{column} fits {pattern}"),
            Rule::AllowedValues { column, values } => format!("{column} is one of {}", values.join(", ")),
        }
    }

    /// Whether it is about the table of this path.
    #[must_use]
    pub fn is_about(&self, path: &str) -> bool {
        self.files.as_deref().is_none_or(|pattern| glob::matches_star(pattern, path))
    }

    fn check(&self, field: &str) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::invalid_field(field, message));
        let text = |text: &str, what: &str| {
            if text.is_empty() || text.chars().count() > MAX_TEXT || text.contains('\0') {
                return wrong(format!("{what} has 1 to {MAX_TEXT} characters."));
            }
            Ok(())
        };
        if let Some(files) = &self.files {
            text(files, "A pattern of paths")?;
        }
        match &self.rule {
            Rule::Schema { columns } => {
                if columns.is_empty() || columns.len() > MAX_VALUES {
                    return wrong(format!("A schema has 1 to {MAX_VALUES} columns."));
                }
                columns.iter().try_for_each(|column| text(&column.name, "A column's name"))
            }
            Rule::RowCount { min, max } => match (min, max) {
                (None, None) => wrong("Say min, max or both.".to_owned()),
                (Some(min), Some(max)) if min > max => wrong("min is greater than max.".to_owned()),
                _ if [min, max].into_iter().flatten().any(|bound| *bound < 0) => {
                    wrong("A number of rows is 0 or more.".to_owned())
                }
                _ => Ok(()),
            },
            Rule::NotNull { column } | Rule::Unique { column } => text(column, "A column's name"),
            Rule::Range { column, min, max } => {
                text(column, "A column's name")?;
                match (min, max) {
                    (None, None) => wrong("Say min, max or both.".to_owned()),
                    (Some(min), Some(max)) if min > max => wrong("min is greater than max.".to_owned()),
                    _ => Ok(()),
                }
            }
            Rule::Regex { column, pattern } => {
                text(column, "A column's name")?;
                text(pattern, "A regular expression")
            }
            Rule::AllowedValues { column, values } => {
                text(column, "A column's name")?;
                if values.is_empty() || values.len() > MAX_VALUES {
                    return wrong(format!("1 to {MAX_VALUES} values can be allowed."));
                }
                let is_wrong = |value: &String| value.chars().count() > MAX_TEXT || value.contains('\0');
                if values.iter().any(is_wrong) {
                    return wrong(format!("A value has at most {MAX_TEXT} characters."));
                }
                Ok(())
            }
        }
    }
}

/// Refuses expectations that say nothing, or more than is kept. Whether a regular expression is one is not known here.
///
/// # Errors
/// `Invalid`, naming the expectation.
pub fn check(expectations: &[Expectation]) -> Result<(), Error> {
    if expectations.len() > MAX_EXPECTATIONS {
        let message = format!("A dataset has at most {MAX_EXPECTATIONS} expectations.");
        return Err(Error::invalid_field("expectations", message));
    }
    expectations.iter().enumerate().try_for_each(|(index, one)| one.check(&format!("expectations[{index}]")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Expectation {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_expectation_is_written_as_it_is_read() {
        for value in [
            json!({ "rule": "not_null", "column": "age" }),
            json!({ "files": "train/*.csv", "rule": "range", "column": "age", "min": 0.0, "max": 120.0 }),
            json!({ "rule": "row_count", "min": 10 }),
            json!({ "rule": "schema", "columns": [{ "name": "age", "kind": "integer" }, { "name": "x" }] }),
        ] {
            let expectation = read(value.clone());
            check(std::slice::from_ref(&expectation)).unwrap();
            assert_eq!(serde_json::to_value(expectation).unwrap(), value);
        }
    }

    #[test]
    fn what_says_nothing_or_contradicts_itself_is_refused() {
        for value in [
            json!({ "rule": "row_count" }),
            json!({ "rule": "row_count", "min": 5, "max": 4 }),
            json!({ "rule": "row_count", "min": -1 }),
            json!({ "rule": "range", "column": "age" }),
            json!({ "rule": "range", "column": "", "min": 1.0 }),
            json!({ "rule": "allowed_values", "column": "age", "values": [] }),
            json!({ "rule": "schema", "columns": [] }),
            json!({ "files": "", "rule": "not_null", "column": "age" }),
        ] {
            let error =
                check(&[read(json!({ "rule": "not_null", "column": "age" })), read(value.clone())]).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("expectations[1]"), "{value}");
        }
        let many = vec![read(json!({ "rule": "not_null", "column": "age" })); 101];
        assert!(check(&many).is_err());
    }

    #[test]
    fn an_expectation_is_about_files_whose_path_fits() {
        let of = read(json!({ "files": "train/*.csv", "rule": "not_null", "column": "age" }));
        assert!(of.is_about("train/a.csv") && !of.is_about("test/a.csv"));
        assert!(read(json!({ "rule": "not_null", "column": "age" })).is_about("anything.parquet"));
    }
}
