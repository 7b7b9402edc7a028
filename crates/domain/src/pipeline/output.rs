//! What a step gives on.

use super::input::OutputRef;
use serde::{Deserialize, Serialize};

/// What a step gives on. In the JSON form a file or folder is its path alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum OutputSpec {
    /// A file or folder at this path in the step's directory.
    Path(String),
    /// One of a kind that Slipway looks into.
    Typed {
        /// Its path in the step's directory.
        path: String,
        /// What it is.
        #[serde(rename = "type")]
        kind: OutputKind,
        /// The dataset or model of which it becomes a version; called as the output when none is given. It may contain
        /// `${{ params.NAME }}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Of numbers: by how much another run of the same may differ and still count as a reproduction, as a share of the
        /// number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance: Option<f64>,
        /// Whether it is other each time by its nature, as what has the time in it, so that a reproduction does not compare
        /// it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        varies: bool,
    },
    /// Of a step that has steps of its own: an output of one of these.
    Of {
        /// Which.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        from: OutputRef,
    },
}

impl OutputSpec {
    /// The path in the step's directory, of an output that has one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Path(path) | Self::Typed { path, .. } => Some(path),
            Self::Of { .. } => None,
        }
    }

    /// What it is; none for a file or folder as any other.
    #[must_use]
    pub fn kind(&self) -> Option<OutputKind> {
        match self {
            Self::Typed { kind, .. } => Some(*kind),
            Self::Path(_) | Self::Of { .. } => None,
        }
    }

    /// Whether it is a value, or an output of an inner step that may be one.
    #[must_use]
    pub fn may_be_value(&self) -> bool {
        matches!(self, Self::Of { .. }) || self.kind().is_some_and(OutputKind::is_value)
    }

    /// Whether it is other each time by its nature.
    #[must_use]
    pub fn varies(&self) -> bool {
        matches!(self, Self::Typed { varies: true, .. })
    }

    /// By how much its numbers may differ in another run of the same, as a share; exactly nothing when nothing is said.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        match self {
            Self::Typed { tolerance, .. } => tolerance.unwrap_or_default(),
            Self::Path(_) | Self::Of { .. } => 0.0,
        }
    }
}

/// A kind of output that Slipway looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A file or folder as any other, of which something more is said.
    File,
    /// A JSON value, which conditions and maps can use.
    Value,
    /// A JSON object of numbers: a value, and metrics of the tracked run of the try.
    Metrics,
    /// A file or folder that becomes a version of a dataset.
    Dataset,
    /// A file or folder that becomes a version of a registered model.
    Model,
}

impl OutputKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::File, Self::Value, Self::Metrics, Self::Dataset, Self::Model];

    /// The name in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Value => "value",
            Self::Metrics => "metrics",
            Self::Dataset => "dataset",
            Self::Model => "model",
        }
    }

    /// Whether it is a JSON value that conditions and maps can use.
    #[must_use]
    pub fn is_value(self) -> bool {
        matches!(self, Self::Value | Self::Metrics)
    }

    /// Whether it becomes a version of something that has a name.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Dataset | Self::Model)
    }
}
