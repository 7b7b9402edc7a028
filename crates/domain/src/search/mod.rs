//! The search language: how people and MLflow's clients say which objects they want, and in which order.
//!
//! One parser for runs, experiments, registered models, model versions and logged models. Text in, a typed
//! [`Filter`] out; nothing here knows SQL. A filter that parsed holds no wrong combination: a metric is only compared
//! with a number, a parameter only with a text, an attribute is one that the object has.
//!
//! ```text
//! filter      := filter OR filter | filter AND filter | NOT filter | '(' filter ')' | comparison
//! comparison  := operand number-op number
//!              | operand text-op text                                -- = != [NOT] LIKE [NOT] ILIKE
//!              | operand [NOT] IN '(' text {',' text} ')'
//!              | operand IS [NOT] NULL                               -- metrics, params, tags
//! operand     := [entity '.'] key                                    -- without an entity: an attribute
//! key         := bare | `quoted` | "quoted" | 'quoted'               -- single quotes only after an entity
//! text        := 'quoted' | "quoted"
//! ```
//!
//! `NOT` binds tighter than `AND`, `AND` tighter than `OR`. Keywords are read in any case, names are not. A quote
//! inside its own kind of quotes is written twice; a backslash is a character like any other. A bare key holds
//! letters, digits and `_ . / : -`. An empty filter is no filter.
//!
//! # What a filter means
//! Every comparison is true or false, never unknown, so that `NOT` gives the rest:
//! - what an object does not have matches nothing: `params.x != 'a'` leaves out runs without `x`, and
//!   `NOT params.x = 'a'` keeps them. `IS NULL` is how to ask for absence. The same holds for empty columns, such as
//!   the end time of a run that still runs;
//! - a metric of a run is its latest value; of a logged model any of its logged values may match;
//! - not-a-number matches `!=` alone, whatever the number. Infinities are kept as the largest finite numbers, and a
//!   literal that is too large is read as that;
//! - `LIKE` minds upper and lower case, `ILIKE` does not; `%` is any text, `_` any character, a backslash takes the
//!   special meaning from the character after it;
//! - ids of runs and logged models compare as texts in the form that clients see them;
//! - dataset conditions are true when any one data set that the run read makes them true.
//!
//! # Orders
//! Each entry is `operand [ASC|DESC]`; of logged models an entry has fields, and what an earlier one named is left out. What the functions here return is complete: default and tie-breaking keys of
//! the object are at its end, so that two objects are never equal and keyset pages are exact. Objects without the
//! value come last in both directions, and not-a-number comes after the numbers and before those.

mod clause;
mod complete;
mod experiments;
mod logged_models;
mod models;
mod order;
mod parser;
mod print;
mod runs;
mod scanner;

#[cfg(test)]
mod tests;

pub use clause::{
    Choice, Filter, Finite, IntegerTest, Keyed, NumberOp, NumberTest, OneOf, Pattern, PatternTest, TextTest, Values,
};
pub use complete::{Completion, KeyPlace, ValueOf, ValuePlace, Word, complete};
pub use experiments::{ExperimentAttribute, ExperimentClause, ExperimentTime};
pub use logged_models::{
    DatasetRef, LoggedModelAttribute, LoggedModelClause, LoggedModelOrderField, LoggedModelOrderKey, LoggedModelText,
    LoggedModelTime, logged_model_order,
};
pub use models::{ModelClause, ModelOrderKey, VersionClause, VersionOrderKey, VersionText};
pub use order::{Direction, OrderBy};
pub use runs::{DatasetField, RunClause, RunOrderKey, RunText, RunTime};

use crate::error::Error;

/// The longest filter, in bytes.
pub const MAX_LENGTH: usize = 128 * 1024;
/// The most comparisons in a filter.
pub const MAX_CLAUSES: usize = 200;
/// How deep parentheses and `NOT` may nest.
pub const MAX_DEPTH: usize = 32;
/// The most values in the list of one `IN`.
pub const MAX_VALUES: usize = 2000;
/// The most entries of an order.
pub const MAX_ORDER: usize = 32;

/// Why a filter or an order could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// One sentence: what was asked, what is wrong with it, and where.
    pub message: String,
    /// Where it went wrong: characters before that place, from 0.
    pub position: usize,
    /// What would have been right there.
    pub expected: String,
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::invalid(error.message)
    }
}

/// A condition on runs.
pub type RunFilter = Filter<RunClause>;
/// A condition on experiments.
pub type ExperimentFilter = Filter<ExperimentClause>;
/// A condition on registered models.
pub type ModelFilter = Filter<ModelClause>;
/// A condition on model versions.
pub type VersionFilter = Filter<VersionClause>;
/// A condition on logged models.
pub type LoggedModelFilter = Filter<LoggedModelClause>;

/// Reads a filter of runs: `metrics.`, `params.`, `tags.`, `datasets.` and the attributes [`RunText`], [`RunTime`].
///
/// # Errors
/// When the text is no such filter.
pub fn run_filter(text: &str) -> Result<Option<RunFilter>, ParseError> {
    parser::filter(text)
}

/// Reads a filter of experiments: `tags.` and the attributes `name`, `experiment_id`, [`ExperimentTime`].
///
/// # Errors
/// When the text is no such filter.
pub fn experiment_filter(text: &str) -> Result<Option<ExperimentFilter>, ParseError> {
    parser::filter(text)
}

/// Reads a filter of registered models: `tags.` and the attribute `name`.
///
/// Searches leave prompts out unless the filter says otherwise: see [`ModelFilter::mentions_prompts`].
///
/// # Errors
/// When the text is no such filter.
pub fn model_filter(text: &str) -> Result<Option<ModelFilter>, ParseError> {
    parser::filter(text)
}

/// Reads a filter of model versions: `tags.` and the attributes `version_number` and [`VersionText`].
///
/// Searches leave prompts out unless the filter says otherwise: see [`VersionFilter::mentions_prompts`].
///
/// # Errors
/// When the text is no such filter.
pub fn version_filter(text: &str) -> Result<Option<VersionFilter>, ParseError> {
    parser::filter(text)
}

/// Reads a filter of logged models: `metrics.`, `params.`, `tags.` and the attributes `status`, [`LoggedModelText`],
/// [`LoggedModelTime`].
///
/// # Errors
/// When the text is no such filter.
pub fn logged_model_filter(text: &str) -> Result<Option<LoggedModelFilter>, ParseError> {
    parser::filter(text)
}

/// Reads an order of runs. Ends with `start_time DESC, run_id ASC`.
///
/// # Errors
/// When an entry is no such order, or names what an earlier one named.
pub fn run_order(entries: &[impl AsRef<str>]) -> Result<Vec<OrderBy<RunOrderKey>>, ParseError> {
    order::order(entries)
}

/// Reads an order of experiments. Without entries `creation_time DESC, experiment_id ASC`, otherwise it ends with
/// `experiment_id DESC`, as MLflow has it.
///
/// # Errors
/// When an entry is no such order, or names what an earlier one named.
pub fn experiment_order(entries: &[impl AsRef<str>]) -> Result<Vec<OrderBy<ExperimentAttribute>>, ParseError> {
    order::order(entries)
}

/// Reads an order of registered models. Ends with `name ASC`.
///
/// # Errors
/// When an entry is no such order, or names what an earlier one named.
pub fn model_order(entries: &[impl AsRef<str>]) -> Result<Vec<OrderBy<ModelOrderKey>>, ParseError> {
    order::order(entries)
}

/// Reads an order of model versions. Without entries `last_updated_timestamp DESC`; ends with
/// `name ASC, version_number DESC`.
///
/// # Errors
/// When an entry is no such order, or names what an earlier one named.
pub fn version_order(entries: &[impl AsRef<str>]) -> Result<Vec<OrderBy<VersionOrderKey>>, ParseError> {
    order::order(entries)
}
