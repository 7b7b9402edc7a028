//! What is different between two versions: only pages that differ are read.

use crate::{Entry, Hash, Root};
use std::{collections::HashSet, iter::Peekable};

/// A path that is not the same in two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in the later one alone.
    Added(Entry),
    /// It is in the earlier one alone.
    Removed(Entry),
    /// It is in both, with other content.
    Changed {
        /// What was there.
        before: Entry,
        /// What is there.
        after: Entry,
    },
}

impl Change {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Added(entry) | Self::Removed(entry) | Self::Changed { after: entry, .. } => &entry.path,
        }
    }
}

/// The pages of each of two versions that the other does not have, as indices. What is in the others is the same in both:
/// a page is its entries, and each path is in one page.
#[must_use]
pub fn differing(before: &Root, after: &Root) -> (Vec<usize>, Vec<usize>) {
    fn digests(root: &Root) -> HashSet<Hash> {
        root.pages.iter().map(|page| page.digest).collect()
    }
    fn without(root: &Root, known: &HashSet<Hash>) -> Vec<usize> {
        let other = root.pages.iter().enumerate().filter(|(_, page)| !known.contains(&page.digest));
        other.map(|(index, _)| index).collect()
    }
    (without(before, &digests(after)), without(after, &digests(before)))
}

/// What is different between two lists of entries, each sorted by path.
pub fn changes<A, B>(before: A, after: B) -> impl Iterator<Item = Change>
where
    A: IntoIterator<Item = Entry>,
    B: IntoIterator<Item = Entry>,
{
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    std::iter::from_fn(move || next(&mut before, &mut after))
}

fn next(
    before: &mut Peekable<impl Iterator<Item = Entry>>,
    after: &mut Peekable<impl Iterator<Item = Entry>>,
) -> Option<Change> {
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(one), Some(other)) => one.path.cmp(&other.path),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        if order.is_lt() {
            return before.next().map(Change::Removed);
        }
        if order.is_gt() {
            return after.next().map(Change::Added);
        }
        let (before, after) = (before.next()?, after.next()?);
        if before != after {
            return Some(Change::Changed { before, after });
        }
    }
}
