//! What registered models and their versions are searched and ordered by.

use super::{
    clause::{Filter, IntegerTest, Keyed, TextTest},
    order::{Direction, OrderBy, OrderKey},
    parser::{Clause, Operand, Parser},
    print::Key,
    scanner::Problem,
};
use crate::model::PROMPT_TAG;
use std::fmt;

/// One comparison of registered models.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelClause {
    /// `name`
    Name(TextTest),
    /// `tags.<key>`
    Tag { key: String, test: Keyed<TextTest> },
    /// It is no prompt: [`PROMPT_TAG`] `!= 'true'`, or `= 'false'`. A model without the tag is none either.
    NoPrompt,
}

/// One comparison of model versions.
#[derive(Debug, Clone, PartialEq)]
pub enum VersionClause {
    /// An attribute that is a text.
    Text { attribute: VersionText, test: TextTest },
    /// `version_number`
    Number(IntegerTest),
    /// `tags.<key>`
    Tag { key: String, test: Keyed<TextTest> },
    /// It is of no prompt: [`PROMPT_TAG`] `!= 'true'`, or `= 'false'`. What makes a prompt are the tags of the versions,
    /// of which one is enough.
    NoPrompt,
}

/// Attributes of a model version that are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionText {
    /// `name`: of its model.
    Name,
    /// `run_id`: 32 hexadecimal digits; versions without a run have none.
    RunId,
    /// `source_path`: the source as the client gave it.
    Source,
}

impl VersionText {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::RunId => "run_id",
            Self::Source => "source_path",
        }
    }
}

/// What registered models can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelOrderKey {
    /// `name`
    Name,
    /// `creation_timestamp`
    Creation,
    /// `last_updated_timestamp`, also called `timestamp`.
    LastUpdated,
}

/// What model versions can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionOrderKey {
    /// `name`: of its model.
    Name,
    /// `version_number`
    Number,
    /// `creation_timestamp`
    Creation,
    /// `last_updated_timestamp`
    LastUpdated,
}

impl Filter<ModelClause> {
    /// Whether the filter says that prompts are wanted, or that they are not. Without that, a search leaves them out.
    #[must_use]
    pub fn mentions_prompts(&self) -> bool {
        self.comparisons().into_iter().any(|clause| match clause {
            ModelClause::NoPrompt => true,
            ModelClause::Tag { key, test } => wants_prompts(key, test),
            _ => false,
        })
    }
}

impl Filter<VersionClause> {
    /// Whether the filter says that prompts are wanted, or that they are not. Without that, a search leaves them out.
    #[must_use]
    pub fn mentions_prompts(&self) -> bool {
        self.comparisons().into_iter().any(|clause| match clause {
            VersionClause::NoPrompt => true,
            VersionClause::Tag { key, test } => wants_prompts(key, test),
            _ => false,
        })
    }
}

/// Whether a comparison of a tag asks for prompts: MLflow's way is [`PROMPT_TAG`] `= 'true'`, or `!= 'false'`.
fn wants_prompts(key: &str, test: &Keyed<TextTest>) -> bool {
    key == PROMPT_TAG
        && match test {
            Keyed::Is(TextTest::Eq(text)) => text.eq_ignore_ascii_case("true"),
            Keyed::Is(TextTest::Ne(text)) => text.eq_ignore_ascii_case("false"),
            _ => false,
        }
}

/// Whether a comparison of a tag asks for all that is no prompt, whether it has the tag or not.
fn wants_no_prompts(key: &str, test: &Keyed<TextTest>) -> bool {
    key == PROMPT_TAG
        && match test {
            Keyed::Is(TextTest::Eq(text)) => text.eq_ignore_ascii_case("false"),
            Keyed::Is(TextTest::Ne(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
}

fn write_no_prompt(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "tags.{PROMPT_TAG} != 'true'")
}

/// A tag, or the name of an attribute.
enum Field<'a> {
    Tag(String),
    Attribute(&'a str),
}

fn field(operand: &Operand) -> Result<Field<'_>, Problem> {
    match operand.entity.as_deref() {
        Some("tag" | "tags") => Ok(Field::Tag(operand.key.clone())),
        None | Some("attribute" | "attributes" | "attr") => Ok(Field::Attribute(&operand.key)),
        Some(_) => Err(operand.no_entity("tags or attributes")),
    }
}

impl Clause for ModelClause {
    const SUBJECT: &'static str = "registered models";
    const EXAMPLE: &'static str = "name LIKE 'churn%'";

    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem> {
        match field(&operand)? {
            Field::Tag(key) => {
                let test = parser.keyed_text("a tag")?;
                Ok(if wants_no_prompts(&key, &test) { Self::NoPrompt } else { Self::Tag { key, test } })
            }
            Field::Attribute("name") => Ok(Self::Name(parser.text_test("name")?)),
            Field::Attribute(_) => Err(operand.no_attribute("name or tags.<key>")),
        }
    }
}

impl Clause for VersionClause {
    const SUBJECT: &'static str = "model versions";
    const EXAMPLE: &'static str = "name = 'churn'";

    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem> {
        let mut text = |attribute: VersionText| {
            let test = parser.text_test(attribute.as_str())?;
            Ok(Self::Text { attribute, test })
        };
        match field(&operand)? {
            Field::Attribute("name") => text(VersionText::Name),
            Field::Attribute("run_id") => text(VersionText::RunId),
            Field::Attribute("source_path") => text(VersionText::Source),
            Field::Attribute("version_number") => Ok(Self::Number(parser.integer("version_number", true)?)),
            Field::Attribute(_) => Err(operand.no_attribute("one of name, version_number, run_id, source_path")),
            Field::Tag(key) => {
                let test = parser.keyed_text("a tag")?;
                Ok(if wants_no_prompts(&key, &test) { Self::NoPrompt } else { Self::Tag { key, test } })
            }
        }
    }
}

impl fmt::Display for ModelClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(test) => write!(f, "name {test}"),
            Self::Tag { key, test } => write!(f, "tags.{} {test}", Key(key)),
            Self::NoPrompt => write_no_prompt(f),
        }
    }
}

impl fmt::Display for VersionClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
            Self::Number(test) => write!(f, "version_number {test}"),
            Self::Tag { key, test } => write!(f, "tags.{} {test}", Key(key)),
            Self::NoPrompt => write_no_prompt(f),
        }
    }
}

impl OrderKey for ModelOrderKey {
    const SUBJECT: &'static str = "registered models";

    fn read(operand: &Operand) -> Result<Self, Problem> {
        match field(operand)? {
            Field::Attribute("name") => Ok(Self::Name),
            Field::Attribute("creation_timestamp") => Ok(Self::Creation),
            Field::Attribute("last_updated_timestamp" | "timestamp") => Ok(Self::LastUpdated),
            Field::Attribute(_) => Err(operand.no_attribute("one of name, creation_timestamp, last_updated_timestamp")),
            Field::Tag(_) => Err(operand.refuse("tags give no order", "name or last_updated_timestamp")),
        }
    }

    fn tie_break() -> Vec<OrderBy<Self>> {
        vec![OrderBy { key: Self::Name, direction: Direction::Asc }]
    }
}

impl OrderKey for VersionOrderKey {
    const SUBJECT: &'static str = "model versions";

    fn read(operand: &Operand) -> Result<Self, Problem> {
        match field(operand)? {
            Field::Attribute("name") => Ok(Self::Name),
            Field::Attribute("version_number") => Ok(Self::Number),
            Field::Attribute("creation_timestamp") => Ok(Self::Creation),
            Field::Attribute("last_updated_timestamp") => Ok(Self::LastUpdated),
            Field::Attribute(_) => {
                Err(operand.no_attribute("one of name, version_number, creation_timestamp, last_updated_timestamp"))
            }
            Field::Tag(_) => Err(operand.refuse("tags give no order", "name or version_number")),
        }
    }

    fn default_order() -> Vec<OrderBy<Self>> {
        vec![OrderBy { key: Self::LastUpdated, direction: Direction::Desc }]
    }

    fn tie_break() -> Vec<OrderBy<Self>> {
        vec![
            OrderBy { key: Self::Name, direction: Direction::Asc },
            OrderBy { key: Self::Number, direction: Direction::Desc },
        ]
    }
}

impl fmt::Display for ModelOrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Creation => "creation_timestamp",
            Self::LastUpdated => "last_updated_timestamp",
        })
    }
}

impl fmt::Display for VersionOrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Number => "version_number",
            Self::Creation => "creation_timestamp",
            Self::LastUpdated => "last_updated_timestamp",
        })
    }
}
