//! Pipelines of Kubeflow Pipelines, version 2: the file that its compiler writes (the *IR*: one YAML document, and one more
//! with what is of a platform), read as a pipeline of ours and written from one.
//!
//! - [`import`] reads a compiled file. Values that theirs hands from component to component are followed to where they come
//!   from, since our steps see those around them. What has no place here is refused with a sentence that names the component
//!   and the feature.
//! - [`export`] writes one.
//! - [`message`] is what happens when a step runs: its command is told its inputs as a message, and answers with another.
//!   What the step has in our file is [`domain::pipeline::kfp::KfpStep`].
//!
//! What is and what is not mapped is told to users in `docs/kfp.md`.

mod export;
mod fill;
mod import;
mod ir;
pub mod message;
mod names;
mod native;
mod placeholder;

pub use export::{Exported, export};
pub use import::{Imported, import};

use domain::document::Document;

/// Whether a file is a compiled pipeline of Kubeflow Pipelines rather than one of ours.
#[must_use]
pub fn is_compiled(source: &str) -> bool {
    // A file of ours is not read twice: the words stand in every compiled one.
    let may_be = source.contains("pipelineInfo") || source.contains("schemaVersion") || source.contains("argoproj.io");
    may_be && Document::read_all(source).is_ok_and(|documents| documents.first().is_some_and(ir::is_compiled))
}
