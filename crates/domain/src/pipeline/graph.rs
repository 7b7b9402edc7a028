//! The graph of a pipeline's steps: what waits for what, and what may run when.

use super::spec::PipelineSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Which steps each step needs, by name. Steps are in alphabetical order wherever nothing else orders them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The graph of these steps and what they need. Needs that are no steps are left out.
    #[must_use]
    pub fn new(mut needs: BTreeMap<String, BTreeSet<String>>) -> Self {
        let names: BTreeSet<String> = needs.keys().cloned().collect();
        needs.values_mut().for_each(|needed| needed.retain(|name| names.contains(name)));
        Self { needs }
    }

    /// What this step needs. Nothing, when there is no such step.
    pub fn needs<'a>(&'a self, step: &str) -> impl Iterator<Item = &'a str> {
        self.needs.get(step).into_iter().flatten().map(String::as_str)
    }

    /// Every (needed, needing) pair.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.needs.iter().flat_map(|(child, needs)| needs.iter().map(|parent| (parent.as_str(), child.as_str())))
    }

    /// The steps in layers: each step stands in the first layer in which all it needs stand before it. The order of a
    /// drawing, from left to right. Steps on a cycle, which a checked file does not have, are left out.
    #[must_use]
    pub fn layers(&self) -> Vec<Vec<&str>> {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (parent, child) in self.edges() {
            children.entry(parent).or_default().push(child);
        }
        let mut missing: BTreeMap<&str, usize> =
            self.needs.iter().map(|(step, needs)| (step.as_str(), needs.len())).collect();
        let mut layer: Vec<&str> = missing.iter().filter(|(_, count)| **count == 0).map(|(step, _)| *step).collect();
        let mut layers = Vec::new();
        while !layer.is_empty() {
            let mut next = Vec::new();
            for child in layer.iter().flat_map(|step| children.get(step).into_iter().flatten()) {
                if let Some(count) = missing.get_mut(child) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(*child);
                    }
                }
            }
            next.sort_unstable();
            layers.push(std::mem::replace(&mut layer, next));
        }
        layers
    }
}

impl PipelineSpec {
    /// The graph of its steps, without those inside of them: a step needs the steps that it names, and those whose outputs
    /// it or a step inside of it takes.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::of(&self.steps)
    }
}

impl Graph {
    /// The graph of steps that see each other.
    #[must_use]
    pub fn of(steps: &BTreeMap<String, super::StepSpec>) -> Self {
        let needs = |step: &super::StepSpec| step.all_needs().into_iter().map(ToOwned::to_owned).collect();
        Self::new(steps.iter().map(|(name, step)| (name.clone(), needs(step))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        Graph::new(
            edges
                .iter()
                .map(|(step, needs)| ((*step).to_owned(), needs.iter().map(|n| (*n).to_owned()).collect()))
                .collect(),
        )
    }

    fn diamond() -> Graph {
        graph(&[("fetch", &[]), ("left", &["fetch"]), ("right", &["fetch"]), ("join", &["left", "right", "fetch"])])
    }

    #[test]
    fn a_step_stands_in_the_layer_after_the_last_it_needs() {
        assert_eq!(diamond().layers(), [vec!["fetch"], vec!["left", "right"], vec!["join"]]);
    }

    #[test]
    fn layers_of_a_cycle_end() {
        assert_eq!(graph(&[("a", &["b"]), ("b", &["a"]), ("c", &[]), ("d", &["gone"])]).layers(), [vec!["c", "d"]]);
    }

    /// A graph of up to 12 steps without cycles: each needs only steps before it.
    fn any_graph() -> impl Strategy<Value = Graph> {
        prop::collection::vec(any::<u16>(), 1..12).prop_map(|masks| {
            let name = |index: usize| format!("s{index:02}");
            let needs = |(index, mask): (usize, u16)| {
                (name(index), (0..index).filter(|other| mask >> other & 1 == 1).map(name).collect())
            };
            Graph::new(masks.into_iter().enumerate().map(needs).collect())
        })
    }

    proptest! {
        #[test]
        fn every_step_stands_once_and_after_what_it_needs(graph in any_graph()) {
            let layers = graph.layers();
            let place: BTreeMap<&str, usize> =
                layers.iter().enumerate().flat_map(|(at, layer)| layer.iter().map(move |step| (*step, at))).collect();
            prop_assert_eq!(place.len(), graph.needs.len());
            prop_assert_eq!(layers.iter().map(Vec::len).sum::<usize>(), place.len());
            for (parent, child) in graph.edges() {
                prop_assert!(place[parent] < place[child]);
            }
        }
    }
}
