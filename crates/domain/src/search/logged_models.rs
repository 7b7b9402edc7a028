//! What logged models are searched and ordered by.

use super::{
    MAX_ORDER, ParseError,
    clause::{Choice, Filter, IntegerTest, Keyed, NumberTest, OneOf, TextTest},
    order::{Direction, OrderBy, complete},
    parser::{Clause, Operand, Parser, check_text, shorten},
    print::{self, Key},
    scanner::Problem,
};
use crate::{id::ExperimentId, logged_model::LoggedModelStatus};
use std::fmt;

/// One comparison of logged models.
#[derive(Debug, Clone, PartialEq)]
pub enum LoggedModelClause {
    /// `metrics.<key>`: any value that was logged for the model.
    Metric { key: String, test: Keyed<NumberTest> },
    /// `params.<key>`
    Param { key: String, test: Keyed<TextTest> },
    /// `tags.<key>`
    Tag { key: String, test: Keyed<TextTest> },
    /// An attribute that is a text.
    Text { attribute: LoggedModelText, test: TextTest },
    /// `status`: `PENDING`, `READY` or `FAILED`. A pattern may also be of the long names that are in answers.
    Status(Choice<LoggedModelStatus>),
    /// `experiment_id`, as clients see it: `0` is the default experiment of the workspace.
    Experiment(OneOf<ExperimentId>),
    /// An attribute that is a time, in milliseconds since 1970.
    Time { attribute: LoggedModelTime, test: IntegerTest },
}

impl Filter<LoggedModelClause> {
    /// Whether the filter says something about metrics.
    #[must_use]
    pub fn mentions_metrics(&self) -> bool {
        self.comparisons().into_iter().any(|clause| matches!(clause, LoggedModelClause::Metric { .. }))
    }
}

/// Attributes of a logged model that are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedModelText {
    /// `name`
    Name,
    /// `model_id`: `m-` and 32 hexadecimal digits.
    ModelId,
    /// `model_type`
    ModelType,
    /// `source_run_id`: 32 hexadecimal digits; of models without a run an empty text.
    SourceRunId,
    /// `artifact_location`: the address of its files that clients are given.
    ArtifactLocation,
    /// `lifecycle_stage`: `active`, since deleted ones are not found.
    LifecycleStage,
    /// `status_message`: why it failed; others have none.
    StatusMessage,
}

impl LoggedModelText {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::ModelId => "model_id",
            Self::ModelType => "model_type",
            Self::SourceRunId => "source_run_id",
            Self::ArtifactLocation => "artifact_location",
            Self::LifecycleStage => "lifecycle_stage",
            Self::StatusMessage => "status_message",
        }
    }
}

/// Attributes of a logged model that are times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedModelTime {
    /// `creation_timestamp`, also called `creation_time`.
    Creation,
    /// `last_updated_timestamp`, also called `last_updated_time`.
    LastUpdated,
}

impl LoggedModelTime {
    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creation => "creation_timestamp",
            Self::LastUpdated => "last_updated_timestamp",
        }
    }
}

/// The attributes of a logged model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedModelAttribute {
    /// One that is a text.
    Text(LoggedModelText),
    /// `status`
    Status,
    /// `experiment_id`, as a number.
    Experiment,
    /// One that is a time.
    Time(LoggedModelTime),
}

impl LoggedModelAttribute {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "name" => Self::Text(LoggedModelText::Name),
            "model_id" => Self::Text(LoggedModelText::ModelId),
            "model_type" => Self::Text(LoggedModelText::ModelType),
            "source_run_id" => Self::Text(LoggedModelText::SourceRunId),
            "artifact_location" => Self::Text(LoggedModelText::ArtifactLocation),
            "lifecycle_stage" => Self::Text(LoggedModelText::LifecycleStage),
            "status_message" => Self::Text(LoggedModelText::StatusMessage),
            "status" => Self::Status,
            "experiment_id" => Self::Experiment,
            "creation_timestamp" | "creation_time" | "creation_timestamp_ms" => Self::Time(LoggedModelTime::Creation),
            "last_updated_timestamp" | "last_updated_time" | "last_updated_timestamp_ms" => {
                Self::Time(LoggedModelTime::LastUpdated)
            }
            _ => return None,
        })
    }
}

const ATTRIBUTES: &str = "one of name, model_id, model_type, status, experiment_id, source_run_id, \
                          creation_timestamp, last_updated_timestamp, artifact_location, lifecycle_stage, status_message";

/// The name of a status in this language.
fn status_name(status: &LoggedModelStatus) -> String {
    match status {
        LoggedModelStatus::Pending => "PENDING",
        LoggedModelStatus::Ready => "READY",
        LoggedModelStatus::UploadFailed => "FAILED",
    }
    .to_owned()
}

/// Reads the name of a status, also in the long form that it has in answers.
fn status(text: &str) -> Option<LoggedModelStatus> {
    let text = text.to_ascii_uppercase();
    match text.strip_prefix("LOGGED_MODEL_").unwrap_or(&text) {
        "PENDING" => Some(LoggedModelStatus::Pending),
        "READY" => Some(LoggedModelStatus::Ready),
        "FAILED" | "UPLOAD_FAILED" => Some(LoggedModelStatus::UploadFailed),
        _ => None,
    }
}

impl Clause for LoggedModelClause {
    const SUBJECT: &'static str = "logged models";
    const EXAMPLE: &'static str = "metrics.loss < 0.1";

    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem> {
        let attribute = match operand.entity.as_deref() {
            Some("metric" | "metrics") => {
                return Ok(Self::Metric { test: parser.keyed_number("a metric")?, key: operand.key });
            }
            Some("param" | "params" | "parameter" | "parameters") => {
                return Ok(Self::Param { test: parser.keyed_text("a param")?, key: operand.key });
            }
            Some("tag" | "tags") => {
                return Ok(Self::Tag { test: parser.keyed_text("a tag")?, key: operand.key });
            }
            None | Some("attribute" | "attributes" | "attr") => LoggedModelAttribute::parse(&operand.key),
            Some(_) => return Err(operand.no_entity("metrics, params, tags or attributes")),
        };
        Ok(match attribute.ok_or_else(|| operand.no_attribute(ATTRIBUTES))? {
            LoggedModelAttribute::Text(attribute) => {
                Self::Text { attribute, test: parser.text_test(attribute.as_str())? }
            }
            LoggedModelAttribute::Status => {
                Self::Status(parser.choice("status", "'PENDING', 'READY' or 'FAILED'", status)?)
            }
            LoggedModelAttribute::Experiment => {
                let number = |text: &str| text.parse().ok();
                Self::Experiment(parser.one_of("experiment_id", "a quoted number of an experiment", number)?)
            }
            LoggedModelAttribute::Time(attribute) => {
                Self::Time { attribute, test: parser.integer(attribute.as_str(), false)? }
            }
        })
    }
}

impl fmt::Display for LoggedModelClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric { key, test } => write!(f, "metrics.{} {test}", Key(key)),
            Self::Param { key, test } => write!(f, "params.{} {test}", Key(key)),
            Self::Tag { key, test } => write!(f, "tags.{} {test}", Key(key)),
            Self::Text { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
            Self::Status(choice) => {
                f.write_str("status ")?;
                print::choice(f, choice, status_name)
            }
            Self::Experiment(one_of) => {
                f.write_str("experiment_id ")?;
                print::one_of(f, one_of, ToString::to_string)
            }
            Self::Time { attribute, test } => write!(f, "{} {test}", attribute.as_str()),
        }
    }
}

/// A data set that metrics were measured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetRef {
    /// Its name.
    pub name: String,
    /// Its digest; without one, every data set of that name.
    pub digest: Option<String>,
}

impl DatasetRef {
    /// A data set by the fields of a request: a digest needs a name.
    ///
    /// # Errors
    /// When the name is missing, with the reason.
    pub fn new(name: Option<String>, digest: Option<String>) -> Result<Option<Self>, ParseError> {
        match (name.filter(|name| !name.is_empty()), digest.filter(|digest| !digest.is_empty())) {
            (Some(name), digest) => Ok(Some(Self { name, digest })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ParseError {
                message: "a dataset_digest needs the dataset_name beside it".to_owned(),
                position: 0,
                expected: "a dataset_name".to_owned(),
            }),
        }
    }
}

/// What logged models can be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedModelOrderKey {
    /// An attribute.
    Attribute(LoggedModelAttribute),
    /// The latest value of a metric: of the greatest time, then step. On one data set, when one is named.
    Metric { key: String, dataset: Option<DatasetRef> },
}

/// One entry of an order, as clients send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedModelOrderField {
    /// An attribute, or `metrics.` and a key that needs no quotes.
    pub field_name: String,
    /// Small to large; clients that say nothing mean that.
    pub ascending: bool,
    /// The data set that the metric was measured on.
    pub dataset_name: Option<String>,
    /// Its digest.
    pub dataset_digest: Option<String>,
}

/// Reads an order of logged models. Ends with `creation_timestamp DESC, model_id ASC`. An entry that names what an earlier
/// one named changes nothing, and is left out.
///
/// # Errors
/// When an entry names nothing to order by, or a digest without a name.
pub fn logged_model_order(fields: Vec<LoggedModelOrderField>) -> Result<Vec<OrderBy<LoggedModelOrderKey>>, ParseError> {
    let refused = |name: &str, reason: &str, expected: &str| ParseError {
        message: format!("logged models cannot be ordered by \"{}\": {reason} (at 0)", shorten(name)),
        position: 0,
        expected: expected.to_owned(),
    };
    if fields.len() > MAX_ORDER {
        return Err(refused("…", &format!("there are more than {MAX_ORDER} entries"), "fewer entries"));
    }
    let mut order: Vec<OrderBy<LoggedModelOrderKey>> = Vec::with_capacity(fields.len() + 2);
    for field in fields {
        let name = field.field_name.trim();
        check_text(name, 2048).map_err(|problem| refused(name, &problem.reason, &problem.expected))?;
        let key = match name.strip_prefix("metrics.").filter(|key| !key.is_empty()) {
            Some(key) => LoggedModelOrderKey::Metric {
                key: unquoted(key).to_owned(),
                dataset: DatasetRef::new(field.dataset_name, field.dataset_digest)?,
            },
            None => {
                let name = name.strip_prefix("attributes.").unwrap_or(name);
                let attribute = LoggedModelAttribute::parse(name).ok_or_else(|| {
                    let expected = format!("{ATTRIBUTES}, or metrics.<key>");
                    refused(name, &format!("expected {expected}"), &expected)
                })?;
                LoggedModelOrderKey::Attribute(attribute)
            }
        };
        if order.iter().any(|by| by.key == key) {
            continue;
        }
        let direction = if field.ascending { Direction::Asc } else { Direction::Desc };
        order.push(OrderBy { key, direction });
    }
    let attribute = |attribute, direction| OrderBy { key: LoggedModelOrderKey::Attribute(attribute), direction };
    Ok(complete(
        order,
        vec![
            attribute(LoggedModelAttribute::Time(LoggedModelTime::Creation), Direction::Desc),
            attribute(LoggedModelAttribute::Text(LoggedModelText::ModelId), Direction::Asc),
        ],
    ))
}

/// A key without the quotes around it.
fn unquoted(key: &str) -> &str {
    ['`', '"'].iter().find_map(|quote| key.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(key)
}
