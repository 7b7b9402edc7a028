//! What is different between two texts, line by line, with a few equal lines around each change.

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff as Diff};
use std::time::Duration;

/// How many equal lines stand before and after a change.
const AROUND: usize = 3;
/// After this, what is left is told coarsely: lines removed, then lines added.
const PATIENCE: Duration = Duration::from_millis(300);

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineChange {
    /// It is in both.
    Same,
    /// It is in the first alone.
    Removed,
    /// It is in the second alone.
    Added,
}

/// A line of one of two texts, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiffLine {
    /// What became of it.
    pub change: LineChange,
    /// Its number in the first text, from 1.
    pub before: Option<u32>,
    /// Its number in the second text, from 1.
    pub after: Option<u32>,
    /// The line, without its end.
    pub text: String,
}

/// What is different between two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TextDiff {
    /// Runs of changed lines with those around them, in order. Equal texts have none.
    pub hunks: Vec<Vec<DiffLine>>,
    /// How many lines were added.
    pub added: usize,
    /// How many lines were removed.
    pub removed: usize,
}

impl TextDiff {
    /// Holds one text against another. What only ends differently, with or without a last line feed, is equal.
    #[must_use]
    pub fn of(before: &str, after: &str) -> Self {
        let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        let diff = Diff::configure().timeout(PATIENCE).diff_slices(&before, &after);
        let number = |index: Option<usize>| index.and_then(|index| u32::try_from(index + 1).ok());
        let mut all = Self::default();
        for group in diff.grouped_ops(AROUND) {
            let mut hunk = Vec::new();
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let tag = match change.tag() {
                    ChangeTag::Equal => LineChange::Same,
                    ChangeTag::Delete => LineChange::Removed,
                    ChangeTag::Insert => LineChange::Added,
                };
                all.added += usize::from(tag == LineChange::Added);
                all.removed += usize::from(tag == LineChange::Removed);
                hunk.push(DiffLine {
                    change: tag,
                    before: number(change.old_index()),
                    after: number(change.new_index()),
                    text: change.value().to_owned(),
                });
            }
            all.hunks.push(hunk);
        }
        all
    }

    /// Whether the texts are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hunks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(diff: &TextDiff) -> String {
        let line = |line: &DiffLine| {
            let sign = match line.change {
                LineChange::Same => ' ',
                LineChange::Removed => '-',
                LineChange::Added => '+',
            };
            let number = |number: Option<u32>| number.map_or_else(|| ".".to_owned(), |number| number.to_string());
            format!("{} {} {sign}{}", number(line.before), number(line.after), line.text)
        };
        let hunks: Vec<String> =
            diff.hunks.iter().map(|hunk| hunk.iter().map(line).collect::<Vec<_>>().join("\n")).collect();
        hunks.join("\n@\n")
    }

    #[test]
    fn changes_stand_among_a_few_equal_lines() {
        let before: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let after = before.replace("line 4\n", "line four\n").replace("line 20\n", "");
        let diff = TextDiff::of(&before, &after);
        assert_eq!((diff.added, diff.removed), (1, 2));
        insta::assert_snapshot!(shown(&diff), @r"
        1 1  line 1
        2 2  line 2
        3 3  line 3
        4 . -line 4
        . 4 +line four
        5 5  line 5
        6 6  line 6
        7 7  line 7
        @
        17 17  line 17
        18 18  line 18
        19 19  line 19
        20 . -line 20
        ");
    }

    #[test]
    fn equal_texts_have_no_hunks_however_they_end() {
        assert!(TextDiff::of("a\nb\n", "a\nb").is_empty());
        assert!(TextDiff::of("", "").is_empty());
        assert_eq!(TextDiff::of("", "a").added, 1);
    }

    #[test]
    fn texts_without_a_common_line_are_told_all_the_same() {
        let text = |word: &str| (0..5000).map(|n| format!("{word} {n}\n")).collect::<String>();
        let diff = TextDiff::of(&text("a"), &text("b"));
        assert_eq!((diff.added, diff.removed), (5000, 5000));
    }
}
