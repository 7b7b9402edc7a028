//! Pipelines: the file that a user writes, and the graph of steps that it describes.
//!
//! [`PipelineSpec`] is the file after reading: typed, checked, without comments, order or position. `parse` makes it from
//! YAML and says everything that is wrong with the line and column; `graph` answers what may run when; `expand` turns a
//! step and the values of the params into the command line and environment of a process. The format is described for
//! users in `docs/pipelines.md`.

mod expand;
mod graph;
mod input;
pub mod kfp;
mod metrics;
mod output;
mod param;
mod python;
mod spec;
pub mod template;
mod value;

// Files are read by the server alone; pages get what they say.
#[cfg(not(target_arch = "wasm32"))]
mod check;
#[cfg(not(target_arch = "wasm32"))]
pub mod condition;
#[cfg(not(target_arch = "wasm32"))]
mod parse;
#[cfg(test)]
mod tests;
#[cfg(not(target_arch = "wasm32"))]
mod write;

/// The JSON Schema of a pipeline's file, for editors. What it allows and [`PipelineSpec::parse`] refuses is told with a
/// sentence by the latter alone: names that must exist, circles, placeholders.
#[cfg(not(target_arch = "wasm32"))]
pub const SCHEMA: &str = include_str!("schema.json");

pub use crate::problem::{FileErrors, Problem};
pub use expand::{INPUTS_DIR, Invocation, NOTEBOOK_PROGRAM, OWN_DIR, input_path};
pub use graph::Graph;
pub use input::{InputSpec, LATEST, OutputRef, VersionInput};
pub use metrics::MetricsSpec;
pub use output::{OutputKind, OutputSpec};
pub use param::{Param, ParamKind};
#[cfg(not(target_arch = "wasm32"))]
pub use parse::{MAX_FILE_BYTES, MAX_STEPS};
pub use python::Python;
pub use spec::{
    Cache, Command, ExecutorKind, ListRef, MAX_INSTANCES, MapSpec, NOTEBOOK_OUTPUT, PipelineSpec, Priority, Resources,
    Retries, StepSpec, SubPipeline, TriggerRule, Work,
};
pub use value::ParamValue;
#[cfg(not(target_arch = "wasm32"))]
pub use write::yaml;

use crate::{
    id::{PipelineId, PipelineVersionId, WorkspaceId},
    pipeline_run::{Code, PipelineRun, PipelineRunState},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A pipeline: the name under which versions of a file are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pipeline {
    /// The pipeline.
    pub id: PipelineId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, as in its file.
    pub name: String,
    /// When its first version was stored.
    pub created_at: DateTime<Utc>,
}

/// One version of a pipeline's file. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineVersion {
    /// The version.
    pub id: PipelineVersionId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// 1, 2, 3 …
    pub number: i32,
    /// Of the spec: the same for files that differ in comments, order of keys or spelling only.
    pub digest: crate::Digest,
    /// The file as it was written.
    pub source: String,
    /// What it says.
    pub spec: PipelineSpec,
    /// The code that it was stored from the last time, when that is known: that of runs which are started without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Who stored it.
    pub created_by: String,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineSummary {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The number of its newest version.
    pub latest_version: i32,
    /// Its last run.
    pub last_run: Option<PipelineRun>,
    /// The states of its last runs, newest first, up to twelve.
    pub recent: Vec<PipelineRunState>,
}

/// Whether a pipeline, step, param, input, output or pool may be called this: 1 to 63 lower-case letters, digits, `-` and
/// `_`, beginning with a letter or digit.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// The environment variable that carries the param, input or output of this name: `env_name("PARAM", "learning-rate")`
/// is `PARAM_LEARNING_RATE`.
#[must_use]
pub fn env_name(kind: &str, name: &str) -> String {
    format!("{kind}_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The path, if it names something below the directory that it is taken from: relative, not empty, without `.`, `..`,
/// doubled slashes, back slashes and control characters.
///
/// # Errors
/// With the rule that the path breaks, to follow the path in a sentence.
pub fn check_relative_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty; give a path relative to the step's directory");
    }
    if path.starts_with('/') {
        return Err("is absolute; give a path relative to the step's directory");
    }
    if path.len() > 255 {
        return Err("is longer than 255 bytes");
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err("contains a back slash or a control character");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("leaves the step's directory; \"..\" is not allowed");
    }
    if path.split('/').any(|part| part.is_empty() || part == ".") {
        return Err("has an empty part or a \".\"; write it as a/b/c");
    }
    Ok(())
}
