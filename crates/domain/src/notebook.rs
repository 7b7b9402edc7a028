//! Notebooks that steps run: how far one has come, and what is different between two.

use crate::{Digest, text_diff::TextDiff};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The notebook of a try of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepNotebook {
    /// Where it lay in the step's directory.
    pub path: String,
    /// How far it has come.
    #[serde(flatten)]
    pub progress: NotebookProgress,
    /// The notebook as it was before, a blob. None when it was not there.
    pub source: Option<Digest>,
    /// The executed notebook, a blob, once its try has ended. None while it runs, and when nothing was kept.
    pub executed: Option<Digest>,
    /// How many bytes the executed notebook has, as far as it was written.
    pub size: Option<i64>,
    /// When something was heard of it last.
    pub updated_at: DateTime<Utc>,
}

/// How far a notebook has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotebookProgress {
    /// How many cells of code it has; 0 before that is known.
    pub cells: i32,
    /// How many of them have ended.
    pub done: i32,
    /// The cell that runs, or at which it ended: its number among all cells, from 1; 0 for none.
    pub cell: i32,
    /// The same among the cells of code.
    pub turn: i32,
    /// How that cell begins.
    pub name: String,
    /// When that cell began.
    pub since: Option<DateTime<Utc>>,
    /// Why it failed, in one line, when it did: `cell 5 of 12 ("fit") failed: ValueError: no rows`.
    pub failure: String,
}

impl NotebookProgress {
    /// The cell that it is at, in words: `cell 5 of 12 ("load the rows")`. None before the first.
    #[must_use]
    pub fn at(&self) -> Option<String> {
        let cell = format!("cell {} of {}", self.turn, self.cells);
        match (self.turn, self.name.as_str()) {
            (..=0, _) => None,
            (_, "") => Some(cell),
            (_, name) => Some(format!("{cell} (\"{name}\")")),
        }
    }
}

/// What became of a cell from one notebook to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CellChange {
    /// It is the same in both, what came of it too.
    Same,
    /// It is in both, and is different or has other outputs.
    Changed,
    /// It is in both, in another place among the others; it may be different as well.
    Moved,
    /// It is in the second alone.
    Added,
    /// It is in the first alone.
    Removed,
}

/// What is different between two notebooks. In which turn cells were run, how long that took, and metadata do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotebookDiff {
    /// The cells of both, in an order that fits both; a cell that moved stands where it is in the second.
    pub cells: Vec<CellDiff>,
    /// How many cells were added.
    pub added: usize,
    /// How many cells were removed.
    pub removed: usize,
    /// How many cells have another source.
    pub changed: usize,
    /// How many cells moved.
    pub moved: usize,
    /// How many cells that are in both have other outputs.
    pub outputs: usize,
    /// Whether there are more cells than were compared.
    pub is_cut: bool,
}

impl NotebookDiff {
    /// Whether the notebooks are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.change == CellChange::Same)
    }

    /// The first cell that is not the same, and how, in a sentence. None when the notebooks are the same.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        let cell = self.cells.iter().find(|cell| cell.change != CellChange::Same)?;
        let number = cell.after.or(cell.before).unwrap_or_default();
        let what = match cell.change {
            CellChange::Added => "was not there before",
            CellChange::Removed => "is not there any more",
            CellChange::Moved => "stands in another place",
            CellChange::Changed | CellChange::Same if cell.source.is_empty() => "has other outputs",
            CellChange::Changed | CellChange::Same => "has another source",
        };
        Some(format!("Cell {number} (\"{}\") {what}.", cell.name))
    }
}

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CellDiff {
    /// What became of it.
    pub change: CellChange,
    /// `code`, `markdown` or `raw`.
    pub kind: String,
    /// Its number in the first notebook, from 1.
    pub before: Option<u32>,
    /// Its number in the second notebook, from 1.
    pub after: Option<u32>,
    /// How it begins.
    pub name: String,
    /// Its source, line by line. Of a cell that is in one notebook alone, all of it; without hunks when it is the same.
    pub source: TextDiff,
    /// Its outputs that are not the same.
    pub outputs: Vec<OutputDiff>,
}

/// What became of an output of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputDiff {
    /// What it is: `stdout`, `stderr`, `error`, or a media type.
    pub kind: String,
    /// As text, line by line, when it has a text.
    pub text: Option<TextDiff>,
    /// The picture in the first notebook, as an address that holds it.
    pub before: Option<String>,
    /// The picture in the second notebook, as an address that holds it.
    pub after: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cell_that_is_not_the_same_is_named() {
        let cell = |change, before: Option<u32>, after: Option<u32>, source: TextDiff| CellDiff {
            change,
            kind: "code".to_owned(),
            before,
            after,
            name: "fit".to_owned(),
            source,
            outputs: Vec::new(),
        };
        let told = |last| {
            let same = cell(CellChange::Same, Some(1), Some(1), TextDiff::of("a", "a"));
            NotebookDiff { cells: vec![same, last], ..NotebookDiff::default() }.first()
        };
        let (none, some) = (TextDiff::of("a", "a"), TextDiff::of("a", "b"));
        for (last, sentence) in [
            (cell(CellChange::Changed, Some(2), Some(3), none.clone()), "Cell 3 (\"fit\") has other outputs."),
            (cell(CellChange::Changed, Some(2), Some(2), some), "Cell 2 (\"fit\") has another source."),
            (cell(CellChange::Removed, Some(2), None, none.clone()), "Cell 2 (\"fit\") is not there any more."),
            (cell(CellChange::Added, None, Some(2), none.clone()), "Cell 2 (\"fit\") was not there before."),
            (cell(CellChange::Moved, Some(3), Some(2), none.clone()), "Cell 2 (\"fit\") stands in another place."),
        ] {
            assert_eq!(told(last).as_deref(), Some(sentence));
        }
        assert_eq!(told(cell(CellChange::Same, Some(2), Some(2), none)), None);
    }
}
