//! Names: theirs are any text, ours are lower-case letters, digits, `-` and `_`, and two that are one variable of the
//! environment cannot stand beside each other.

use std::collections::BTreeSet;

/// What their compiler puts before the names of values that are handed through.
const CHANNEL: &str = "pipelinechannel--";

/// Leaves room for what is added to tell it from others.
const MAX: usize = 48;

/// Names that are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// A name for this that is not taken yet, and is from here on.
    pub(crate) fn take(&mut self, theirs: &str) -> String {
        let base = plain(theirs);
        let mut name = base.clone();
        for number in 2.. {
            if self.0.insert(variable(&name)) {
                break;
            }
            name = format!("{base}-{number}");
        }
        name
    }
}

fn variable(name: &str) -> String {
    name.replace('-', "_")
}

/// The nearest name of ours.
pub(crate) fn plain(theirs: &str) -> String {
    let text = theirs.strip_prefix(CHANNEL).unwrap_or(theirs).to_lowercase();
    let letter = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
    let text: String = text.chars().map(letter).collect();
    let text: String = text.trim_start_matches(['-', '_']).chars().take(MAX).collect();
    let text = text.trim_end_matches(['-', '_']);
    if text.is_empty() { "x".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_and_each_is_there_once() {
        let mut names = Names::default();
        let taken: Vec<String> =
            ["Output", "pipelinechannel--train-Output", "output", "Größe", "train_output", "__", &"x".repeat(80)]
                .map(|name| names.take(name))
                .into();
        assert_eq!(taken[..6], ["output", "train-output", "output-2", "gr--e", "train_output-2", "x"]);
        assert!(taken.iter().all(|name| domain::pipeline::is_name(name)));
    }
}
