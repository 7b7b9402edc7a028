//! What experiments are searched and ordered by.

use super::{
    clause::{IntegerTest, Keyed, OneOf, TextTest},
    order::{Direction, OrderBy, OrderKey},
    parser::{Clause, Operand, Parser},
    print::{self, Key},
    scanner::Problem,
};
use crate::id::ExperimentId;
use std::fmt;

/// One comparison of experiments.
#[derive(Debug, Clone, PartialEq)]
pub enum ExperimentClause {
    /// `name`
    Name(TextTest),
    /// `experiment_id`, as clients see it: `0` is the default experiment of the workspace.
    Id(OneOf<ExperimentId>),
    /// An attribute that is a time, in milliseconds since 1970.
    Time { attribute: ExperimentTime, test: IntegerTest },
    /// `tags.<key>`
    Tag { key: String, test: Keyed<TextTest> },
}

/// Attributes of an experiment that are times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExperimentTime {
    /// `creation_time`
    Creation,
    /// `last_update_time`
    LastUpdate,
}

impl ExperimentTime {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creation => "creation_time",
            Self::LastUpdate => "last_update_time",
        }
    }
}

/// The attributes of an experiment, which are what experiments can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExperimentAttribute {
    /// `name`
    Name,
    /// `experiment_id`, as a number.
    Id,
    /// A time.
    Time(ExperimentTime),
}

enum Field {
    Attribute(ExperimentAttribute),
    Tag(String),
}

fn field(operand: &Operand) -> Result<Field, Problem> {
    match operand.entity.as_deref() {
        Some("tag" | "tags") => Ok(Field::Tag(operand.key.clone())),
        None | Some("attribute" | "attributes" | "attr") => Ok(Field::Attribute(match operand.key.as_str() {
            "name" => ExperimentAttribute::Name,
            "experiment_id" => ExperimentAttribute::Id,
            "creation_time" => ExperimentAttribute::Time(ExperimentTime::Creation),
            "last_update_time" => ExperimentAttribute::Time(ExperimentTime::LastUpdate),
            _ => return Err(operand.no_attribute("one of name, experiment_id, creation_time, last_update_time")),
        })),
        Some(_) => Err(operand.no_entity("tags or attributes")),
    }
}

impl Clause for ExperimentClause {
    const SUBJECT: &'static str = "experiments";
    const EXAMPLE: &'static str = "name LIKE 'churn%'";

    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem> {
        Ok(match field(&operand)? {
            Field::Tag(key) => Self::Tag { key, test: parser.keyed_text("a tag")? },
            Field::Attribute(ExperimentAttribute::Name) => Self::Name(parser.text_test("name")?),
            Field::Attribute(ExperimentAttribute::Id) => {
                Self::Id(parser.one_of("experiment_id", "a quoted number of an experiment", |text| text.parse().ok())?)
            }
            Field::Attribute(ExperimentAttribute::Time(attribute)) => {
                Self::Time { attribute, test: parser.integer(attribute.as_str(), false)? }
            }
        })
    }
}

impl fmt::Display for ExperimentClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(test) => write!(f, "name {test}"),
            Self::Id(one_of) => {
                f.write_str("experiment_id ")?;
                print::one_of(f, one_of, ToString::to_string)
            }
            Self::Time { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
            Self::Tag { key, test } => write!(f, "tags.{} {test}", Key(key)),
        }
    }
}

impl OrderKey for ExperimentAttribute {
    const SUBJECT: &'static str = "experiments";

    fn read(operand: &Operand) -> Result<Self, Problem> {
        match field(operand)? {
            Field::Attribute(attribute) => Ok(attribute),
            Field::Tag(_) => {
                Err(operand.refuse("tags give no order", "name, experiment_id, creation_time or last_update_time"))
            }
        }
    }

    fn default_order() -> Vec<OrderBy<Self>> {
        vec![
            OrderBy { key: Self::Time(ExperimentTime::Creation), direction: Direction::Desc },
            OrderBy { key: Self::Id, direction: Direction::Asc },
        ]
    }

    fn tie_break() -> Vec<OrderBy<Self>> {
        vec![OrderBy { key: Self::Id, direction: Direction::Desc }]
    }
}

impl fmt::Display for ExperimentAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Id => "experiment_id",
            Self::Time(time) => time.as_str(),
        })
    }
}
