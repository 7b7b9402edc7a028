//! Everything that is wrong in a pipeline's file.

use crate::problem::Problem;
use serde::Serialize;
use std::fmt;

/// Everything that is wrong in a file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineErrors(pub Vec<Problem>);

impl fmt::Display for PipelineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PipelineErrors {}

impl From<PipelineErrors> for crate::Error {
    fn from(errors: PipelineErrors) -> Self {
        Self::invalid_field("source", errors.to_string())
    }
}
