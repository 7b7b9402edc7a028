//! What is wrong in a file that a person writes, and where.

use serde::Serialize;
use std::fmt;

/// A place in the file, both from 1.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FileProblem))]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead. A sentence.
    pub message: String,
}

#[cfg(not(target_arch = "wasm32"))]
impl Problem {
    pub(crate) fn new(at: At, message: impl Into<String>) -> Self {
        Self { line: at.line, column: at.column, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Everything that is wrong in a file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileErrors(pub Vec<Problem>);

impl fmt::Display for FileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FileErrors {}

impl From<FileErrors> for crate::Error {
    fn from(errors: FileErrors) -> Self {
        Self::invalid_field("source", errors.to_string())
    }
}

/// The end of a sentence about a name that is not known: `did you mean "x"?` for a near one, or the names there are.
pub(crate) fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let distance = |name: &&&str| strsim::damerau_levenshtein(given, name);
    let near = |name: &&&str| given.len() <= 64 && distance(name) <= 1 + name.len().min(given.len()) / 4;
    match known.iter().filter(near).min_by_key(distance) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if known.is_empty() => "none is declared.".to_owned(),
        None if known.len() == 1 => format!("there is {}.", known[0]),
        None if known.len() > 12 => format!("there are {}, … .", known[..12].join(", ")),
        None => format!("there are {}.", known.join(", ")),
    }
}

/// Cut to a length that fits in a message, without line breaks.
pub(crate) fn show(text: &str) -> String {
    let mut shown: String = text.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}
