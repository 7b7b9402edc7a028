//! Lines of a step's log.

use serde::{Deserialize, Serialize};

/// A line of a step's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// 1, 2, 3 …
    pub number: i64,
    /// When it was read, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which stream.
    pub stream: LogStream,
    /// The line, without its end.
    pub text: String,
}

/// Where a line of a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// The command's standard output.
    Out,
    /// The command's standard error.
    Err,
    /// Slipway: what it did around the command.
    Sys,
}
