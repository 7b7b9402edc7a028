//! Fewer boxes where there are too many to read: steps that stand alike become one box with their number.

use super::{Inside, Node, layout};
use crate::ui::state::State;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer make no box of their own.
const LEAST: usize = 3;
/// A column with more boxes than this is folded when nothing else helped.
const TALL: usize = 8;

/// Folds steps until no more than `most` boxes are left, as far as that goes: first those that wait for the same and are
/// waited for by the same, then those that follow each other alone, then those of a tall column. The steps that were
/// folded with `open` stay boxes of their own. `href` is where a fold leads, by the name of its first step.
#[must_use]
pub fn fold(nodes: Vec<Node>, most: usize, open: Option<&str>, href: &dyn Fn(&str) -> String) -> Vec<Node> {
    let mut folded = Folded::new(nodes);
    for way in [Way::Alike, Way::Chain, Way::Column] {
        if folded.groups.len() <= most {
            break;
        }
        folded.merge(way, open);
    }
    folded.into_nodes(href)
}

#[derive(Clone, Copy)]
enum Way {
    Alike,
    Chain,
    Column,
}

struct Folded {
    nodes: Vec<Node>,
    /// What each step waits for, by place.
    needs: Vec<Vec<usize>>,
    /// The steps of each box, in order.
    groups: Vec<Vec<usize>>,
}

impl Folded {
    fn new(nodes: Vec<Node>) -> Self {
        let needs = super::needs(&nodes);
        let groups = (0..nodes.len()).map(|at| vec![at]).collect();
        Self { nodes, needs, groups }
    }

    /// What each box waits for, by place among the boxes, without what others imply.
    fn ties(&self) -> Vec<Vec<usize>> {
        let mut of = vec![0; self.nodes.len()];
        for (group, all) in self.groups.iter().enumerate() {
            all.iter().for_each(|at| of[*at] = group);
        }
        let ties: Vec<Vec<usize>> = self
            .groups
            .iter()
            .enumerate()
            .map(|(group, all)| {
                let needs: BTreeSet<usize> =
                    all.iter().flat_map(|at| self.needs[*at].iter().map(|need| of[*need])).collect();
                needs.into_iter().filter(|need| *need != group).collect()
            })
            .collect();
        layout::reduced(&ties, &self.last())
    }

    fn last(&self) -> Vec<bool> {
        self.groups.iter().map(|all| self.nodes[all[0]].last).collect()
    }

    fn merge(&mut self, way: Way, open: Option<&str>) {
        let (ties, last) = (self.ties(), self.last());
        let mut after = vec![Vec::new(); ties.len()];
        for (to, all) in ties.iter().enumerate() {
            all.iter().for_each(|from| after[*from].push(to));
        }
        let mut sets: BTreeMap<(usize, Vec<usize>, Vec<usize>), Vec<usize>> = BTreeMap::new();
        match way {
            Way::Alike => {
                for at in 0..ties.len() {
                    sets.entry((usize::from(last[at]), ties[at].clone(), after[at].clone())).or_default().push(at);
                }
            }
            Way::Chain => {
                // The first of a chain names it.
                let goes_on = |from: usize| match after[from][..] {
                    [to] if ties[to].len() == 1 && last[to] == last[from] => Some(to),
                    _ => None,
                };
                let continued: BTreeSet<usize> = (0..ties.len()).filter_map(goes_on).collect();
                for first in (0..ties.len()).filter(|at| !continued.contains(at)) {
                    let chain = std::iter::successors(Some(first), |at| goes_on(*at)).collect();
                    sets.insert((first, Vec::new(), Vec::new()), chain);
                }
            }
            Way::Column => {
                let columns = layout::columns(&ties, &last);
                for (at, column) in columns.into_iter().enumerate() {
                    sets.entry((column, Vec::new(), Vec::new())).or_default().push(at);
                }
            }
        }
        let least = if matches!(way, Way::Column) { TALL + 1 } else { LEAST };
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for set in sets.into_values() {
            let steps: Vec<usize> = set.iter().flat_map(|group| self.groups[*group].iter().copied()).collect();
            let is_open = steps.iter().any(|at| Some(self.nodes[*at].name.as_str()) == open);
            if set.len() >= least && !is_open {
                groups.push(steps);
            } else {
                groups.extend(set.into_iter().map(|group| self.groups[group].clone()));
            }
        }
        // In the order of the file.
        groups.sort();
        self.groups = groups;
    }

    fn into_nodes(self, href: &dyn Fn(&str) -> String) -> Vec<Node> {
        let ties = self.ties();
        let name = |group: usize| self.nodes[self.groups[group][0]].name.clone();
        let needs: Vec<Vec<String>> = ties.iter().map(|all| all.iter().map(|group| name(*group)).collect()).collect();
        self.groups
            .iter()
            .zip(needs)
            .map(|(all, needs)| match all.as_slice() {
                [one] => Node { needs, ..self.nodes[*one].clone() },
                all => group(&all.iter().map(|at| &self.nodes[*at]).collect::<Vec<_>>(), needs, href),
            })
            .collect()
    }
}

/// The box of several steps.
fn group(steps: &[&Node], needs: Vec<String>, href: &dyn Fn(&str) -> String) -> Node {
    let count = |wanted: &dyn Fn(State) -> bool| steps.iter().filter(|step| wanted(step.state)).count();
    let failed = count(&|state| state == State::Failed);
    let running = count(&|state| state == State::Running);
    let waiting = count(&|state| matches!(state, State::Queued | State::Waiting));
    let inside = Inside { total: steps.len(), open: running + waiting, running, failed };
    let state = match (failed, running, waiting) {
        (1.., ..) => State::Failed,
        (0, 1.., _) => State::Running,
        (0, 0, 1..) => State::Queued,
        _ if count(&|state| state == State::Passed) > 0 => State::Passed,
        _ => steps[0].state,
    };
    let first = &steps[0].name;
    Node {
        name: first.clone(),
        label: Some(label(steps)),
        needs,
        href: href(first),
        state,
        word: format!("{} steps", steps.len()),
        note: match (failed, inside.open) {
            (1.., _) => format!("{failed} failed"),
            (0, 0) => "all ended".to_owned(),
            (0, open) => format!("{open} to go"),
        },
        inside: Some(inside),
        current: steps.iter().any(|step| step.current),
        last: steps[0].last,
    }
}

/// What the names of steps have in common at their beginning, or the first of them.
fn label(steps: &[&Node]) -> String {
    let name = |step: &Node| step.label.clone().unwrap_or_else(|| step.name.clone());
    let first = name(steps[0]);
    let shared = steps.iter().fold(first.len(), |shared, step| {
        let same = first.chars().zip(name(step).chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        shared.min(same)
    });
    match &first[..shared] {
        short if short.chars().count() < 2 => format!("{first} …"),
        shared => format!("{shared}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::step, *};

    fn folded(nodes: &[Node], most: usize, open: Option<&str>) -> Vec<String> {
        let nodes = fold(nodes.to_vec(), most, open, &|name| format!("?open={name}"));
        nodes.iter().map(|node| node.label.clone().unwrap_or_else(|| node.name.clone())).collect()
    }

    #[test]
    fn steps_that_stand_alike_become_one_box_that_can_be_opened() {
        let mut nodes = vec![step("begin", &[])];
        nodes.extend((0..20).map(|n| step(&format!("part-{n:02}"), &["begin"])));
        let names: Vec<String> = (0..20).map(|n| format!("part-{n:02}")).collect();
        nodes.push(step("end", &names.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(folded(&nodes, 200, None).len(), 22);
        assert_eq!(folded(&nodes, 10, None), ["begin", "part-…", "end"]);
        assert_eq!(folded(&nodes, 10, Some("part-07")).len(), 22);
        let all = fold(nodes, 10, None, &|name| format!("?open={name}"));
        assert_eq!(
            (all[1].href.as_str(), all[1].word.as_str(), all[1].note.as_str()),
            ("?open=part-00", "20 steps", "all ended")
        );
        assert_eq!(all[2].needs, ["part-00"]);
    }

    #[test]
    fn a_chain_becomes_one_box() {
        let nodes: Vec<Node> = (0..30)
            .map(|n| if n == 0 { step("s00", &[]) } else { step(&format!("s{n:02}"), &[&format!("s{:02}", n - 1)]) })
            .collect();
        assert_eq!(folded(&nodes, 10, None), ["s00 …"]);
    }

    #[test]
    fn a_tangle_is_folded_by_columns_and_says_what_failed() {
        // Each waits for two of the column before, no two for the same.
        let mut nodes: Vec<Node> = (0..300)
            .map(|n| {
                let before = |m: usize| format!("n{:03}", n / 30 * 30 - 30 + m % 30);
                match n {
                    0..30 => step(&format!("n{n:03}"), &[]),
                    _ => step(&format!("n{n:03}"), &[&before(n), &before(n * 7 + 3)]),
                }
            })
            .collect();
        nodes[40].state = State::Failed;
        let all = fold(nodes, 200, None, &|_| String::new());
        assert_eq!(all.len(), 10);
        assert_eq!((all[1].state, all[1].note.as_str()), (State::Failed, "1 failed"));
        assert!(all.iter().skip(1).all(|node| node.needs.len() == 1));
    }
}
