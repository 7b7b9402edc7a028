//! What a pipeline's file says.
//!
//! The JSON form is stored, and its canonical bytes are what the digest names. So a field that has its default is left
//! out: a field added later changes no digest of a file that does not use it.

use super::value::ParamValue;
use crate::Digest;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

/// A pipeline's file, read and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineSpec {
    /// The pipeline's name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its params, with their defaults. The default's kind is the param's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, ParamValue>,
    /// Files that it brings: path to text. They are written into the directory of every step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Environment of every step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Its steps by name.
    pub steps: BTreeMap<String, StepSpec>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepSpec {
    /// What it runs.
    pub command: Command,
    /// Steps that must have succeeded before it begins, besides those whose outputs it takes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// Params of this step alone; they go before the pipeline's of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, ParamValue>,
    /// Outputs of other steps that it takes, by the name that it has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub inputs: BTreeMap<String, OutputRef>,
    /// What it gives on: name to path in its directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Its environment; goes before the pipeline's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How long a try may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "Retries::is_default")]
    pub retries: Retries,
    /// Which workers may run it.
    #[serde(default = "default_pool", skip_serializing_if = "is_default_pool")]
    pub pool: String,
}

/// The pool of a step that names none.
pub(super) const DEFAULT_POOL: &str = "default";

fn default_pool() -> String {
    DEFAULT_POOL.to_owned()
}

fn is_default_pool(pool: &str) -> bool {
    pool == DEFAULT_POOL
}

/// What a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Command {
    /// A script for `sh -ec`.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// An output of another step: `prepare.dataset`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputRef {
    /// The step that makes it.
    pub step: String,
    /// The output's name there.
    pub output: String,
}

impl FromStr for OutputRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((step, output)) if super::is_name(step) && super::is_name(output) => {
                Ok(Self { step: step.to_owned(), output: output.to_owned() })
            }
            _ => Err("an input is written as step.output, such as prepare.dataset"),
        }
    }
}

impl fmt::Display for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step, self.output)
    }
}

impl TryFrom<String> for OutputRef {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OutputRef> for String {
    fn from(reference: OutputRef) -> Self {
        reference.to_string()
    }
}

/// How often a step is tried again after a failure, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retries {
    /// Tries after the first.
    pub count: u32,
    /// The wait after the first failure; it doubles with every further one.
    pub backoff_seconds: u64,
}

impl Retries {
    /// The wait of a step that gives only a count.
    pub const DEFAULT_BACKOFF_SECONDS: u64 = 10;

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { count: 0, backoff_seconds: Self::DEFAULT_BACKOFF_SECONDS }
    }
}

impl PipelineSpec {
    /// What names this version of the pipeline, code in `files` included: SHA-256 of the canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Every key is a text and every number finite, so there is a JSON form.
        Digest::of_json(self).unwrap_or_else(|_| unreachable!("a spec has a JSON form"))
    }
}
