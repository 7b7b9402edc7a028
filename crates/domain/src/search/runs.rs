//! What runs are searched and ordered by.

use super::{
    clause::{IntegerTest, Keyed, NumberTest, TextTest},
    order::{Direction, OrderBy, OrderKey},
    parser::{Clause, Operand, Parser, shorten},
    print::Key,
    scanner::Problem,
};
use crate::log_key::KeyKind;
use std::fmt;

/// One comparison of runs.
#[derive(Debug, Clone, PartialEq)]
pub enum RunClause {
    /// `metrics.<key>`: the latest value.
    Metric { key: String, test: Keyed<NumberTest> },
    /// `params.<key>`
    Param { key: String, test: Keyed<TextTest> },
    /// `tags.<key>`
    Tag { key: String, test: Keyed<TextTest> },
    /// An attribute that is a text.
    Text { attribute: RunText, test: TextTest },
    /// An attribute that is a time, in milliseconds since 1970.
    Time { attribute: RunTime, test: IntegerTest },
    /// `datasets.<field>`, of any data set that the run read.
    Dataset { field: DatasetField, test: TextTest },
}

/// Attributes of a run that are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunText {
    /// `run_id`: 32 hexadecimal digits.
    RunId,
    /// `run_name`, also called `run name` and `Run Name`.
    RunName,
    /// `user_id`: the user as the client named it.
    UserId,
    /// `status`, in MLflow's upper case.
    Status,
    /// `artifact_uri`, as clients see it.
    ArtifactUri,
}

/// Attributes of a run that are times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunTime {
    /// `start_time`, also called `created`.
    Start,
    /// `end_time`; runs that still run have none.
    End,
}

/// What is known of a data set that a run read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatasetField {
    /// Its name.
    Name,
    /// Its digest.
    Digest,
    /// What the run used it for: the tag `mlflow.data.context`.
    Context,
}

/// What runs can be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOrderKey {
    /// The latest value of a metric.
    Metric(String),
    /// A parameter, as text.
    Param(String),
    /// A tag, as text.
    Tag(String),
    /// An attribute that is a text.
    Text(RunText),
    /// An attribute that is a time.
    Time(RunTime),
}

impl RunText {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunId => "run_id",
            Self::RunName => "run_name",
            Self::UserId => "user_id",
            Self::Status => "status",
            Self::ArtifactUri => "artifact_uri",
        }
    }
}

impl RunTime {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start_time",
            Self::End => "end_time",
        }
    }
}

impl DatasetField {
    /// The name of the field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Digest => "digest",
            Self::Context => "context",
        }
    }
}

/// What an operand of runs names.
pub(super) enum Field {
    Dataset(DatasetField),
    Sortable(RunOrderKey),
}

pub(super) fn field(operand: &Operand) -> Result<Field, Problem> {
    if let Some(kind) = operand.entity.as_deref().and_then(KeyKind::of_entity) {
        let key = operand.key.clone();
        return Ok(Field::Sortable(match kind {
            KeyKind::Metric => RunOrderKey::Metric(key),
            KeyKind::Param => RunOrderKey::Param(key),
            KeyKind::Tag => RunOrderKey::Tag(key),
        }));
    }
    Ok(Field::Sortable(match operand.entity.as_deref() {
        Some("dataset" | "datasets") => {
            return match operand.key.as_str() {
                "name" => Ok(Field::Dataset(DatasetField::Name)),
                "digest" => Ok(Field::Dataset(DatasetField::Digest)),
                "context" => Ok(Field::Dataset(DatasetField::Context)),
                _ => Err(operand.no_attribute("one of name, digest, context of a data set")),
            };
        }
        entity @ (None | Some("attribute" | "attributes" | "attr" | "run")) => match operand.key.as_str() {
            "run_id" => RunOrderKey::Text(RunText::RunId),
            "run_name" | "run name" | "Run name" | "Run Name" => RunOrderKey::Text(RunText::RunName),
            "user_id" => RunOrderKey::Text(RunText::UserId),
            "status" => RunOrderKey::Text(RunText::Status),
            "artifact_uri" => RunOrderKey::Text(RunText::ArtifactUri),
            "start_time" | "created" | "Created" => RunOrderKey::Time(RunTime::Start),
            "end_time" => RunOrderKey::Time(RunTime::End),
            other => {
                let attributes = "one of run_id, run_name, user_id, status, artifact_uri, start_time, end_time";
                return Err(match entity {
                    // Most likely a metric or parameter whose entity was left out.
                    None => {
                        operand.no_attribute(&format!("{attributes}, or metrics.{0}, params.{0}", Key(&shorten(other))))
                    }
                    Some(_) => operand.no_attribute(attributes),
                });
            }
        },
        Some(_) => return Err(operand.no_entity("metrics, params, tags, datasets or attributes")),
    }))
}

impl Clause for RunClause {
    const SUBJECT: &'static str = "runs";
    const EXAMPLE: &'static str = "metrics.loss < 0.1";

    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem> {
        Ok(match field(&operand)? {
            Field::Dataset(field) => Self::Dataset { field, test: parser.text_test("a data set's field")? },
            Field::Sortable(RunOrderKey::Metric(key)) => Self::Metric { key, test: parser.keyed_number("a metric")? },
            Field::Sortable(RunOrderKey::Param(key)) => Self::Param { key, test: parser.keyed_text("a param")? },
            Field::Sortable(RunOrderKey::Tag(key)) => Self::Tag { key, test: parser.keyed_text("a tag")? },
            Field::Sortable(RunOrderKey::Text(attribute)) => {
                Self::Text { attribute, test: parser.text_test(attribute.as_str())? }
            }
            Field::Sortable(RunOrderKey::Time(attribute)) => {
                Self::Time { attribute, test: parser.integer(attribute.as_str(), false)? }
            }
        })
    }
}

impl fmt::Display for RunClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric { key, test } => write!(f, "metrics.{} {test}", Key(key)),
            Self::Param { key, test } => write!(f, "params.{} {test}", Key(key)),
            Self::Tag { key, test } => write!(f, "tags.{} {test}", Key(key)),
            Self::Text { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
            Self::Time { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
            Self::Dataset { field, test } => write!(f, "datasets.{} {test}", field.as_str()),
        }
    }
}

impl OrderKey for RunOrderKey {
    const SUBJECT: &'static str = "runs";

    fn read(operand: &Operand) -> Result<Self, Problem> {
        match field(operand)? {
            Field::Sortable(key) => Ok(key),
            Field::Dataset(_) => {
                Err(operand.refuse("a run may have read several data sets", "a metric, param, tag or attribute"))
            }
        }
    }

    fn tie_break() -> Vec<OrderBy<Self>> {
        vec![
            OrderBy { key: Self::Time(RunTime::Start), direction: Direction::Desc },
            OrderBy { key: Self::Text(RunText::RunId), direction: Direction::Asc },
        ]
    }
}

impl fmt::Display for RunOrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(key) => write!(f, "metrics.{}", Key(key)),
            Self::Param(key) => write!(f, "params.{}", Key(key)),
            Self::Tag(key) => write!(f, "tags.{}", Key(key)),
            Self::Text(attribute) => f.write_str(attribute.as_str()),
            Self::Time(attribute) => f.write_str(attribute.as_str()),
        }
    }
}
