//! The graph of a pipeline's steps: what waits for what, and what may run when.

use super::spec::PipelineSpec;
use crate::pipeline_run::StepState;
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

    /// The waiting steps all of whose needs have succeeded.
    pub fn ready<'a>(&'a self, states: &BTreeMap<String, StepState>) -> Vec<&'a str> {
        self.waiting(states)
            .filter(|step| self.needs(step).all(|need| state(states, need) == StepState::Succeeded))
            .collect()
    }

    /// The moves to make now that the steps stand like this: waiting steps that become ready, steps skipped because
    /// something before them did not succeed, and, once the run is cancelling, steps cancelled because they have not
    /// begun. After these moves there are no others, until a running step ends.
    #[must_use]
    pub fn moves(&self, states: &BTreeMap<String, StepState>, cancelling: bool) -> Vec<(&str, StepState)> {
        if cancelling {
            let not_begun = |step: &&str| matches!(state(states, step), StepState::Waiting | StepState::Ready);
            return self.names().filter(not_begun).map(|step| (step, StepState::Cancelled)).collect();
        }
        let mut skipped: BTreeSet<&str> = BTreeSet::new();
        // Layer by layer, so that skipping reaches everything downstream in one pass.
        for step in self.layers().into_iter().flatten().filter(|step| state(states, step) == StepState::Waiting) {
            let lost = |need: &str| {
                let state = state(states, need);
                skipped.contains(need) || (state.is_final() && state != StepState::Succeeded)
            };
            if self.needs(step).any(lost) {
                skipped.insert(step);
            }
        }
        let ready = self.ready(states).into_iter().map(|step| (step, StepState::Ready));
        skipped.into_iter().map(|step| (step, StepState::Skipped)).chain(ready).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.needs.keys().map(String::as_str)
    }

    fn waiting<'a>(&'a self, states: &BTreeMap<String, StepState>) -> impl Iterator<Item = &'a str> {
        self.names().filter(|step| state(states, step) == StepState::Waiting)
    }
}

/// A step without a state has not been looked at yet: it waits.
fn state(states: &BTreeMap<String, StepState>, step: &str) -> StepState {
    states.get(step).copied().unwrap_or(StepState::Waiting)
}

impl PipelineSpec {
    /// Its graph: a step needs the steps that it names, and those whose outputs it takes.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let needs = |step: &super::StepSpec| {
            step.needs.iter().chain(step.inputs.values().map(|input| &input.step)).cloned().collect()
        };
        Graph::new(self.steps.iter().map(|(name, step)| (name.clone(), needs(step))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline_run::PipelineRunState;
    use proptest::prelude::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        Graph::new(
            edges
                .iter()
                .map(|(step, needs)| ((*step).to_owned(), needs.iter().map(|n| (*n).to_owned()).collect()))
                .collect(),
        )
    }

    fn states(given: &[(&str, StepState)]) -> BTreeMap<String, StepState> {
        given.iter().map(|(step, state)| ((*step).to_owned(), *state)).collect()
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

    #[test]
    fn a_step_is_ready_when_all_it_needs_succeeded() {
        use StepState as S;
        let one = states(&[("fetch", S::Succeeded), ("left", S::Succeeded), ("right", S::Running)]);
        assert_eq!(diamond().ready(&one), Vec::<&str>::new());
        let both = states(&[("fetch", S::Succeeded), ("left", S::Succeeded), ("right", S::Succeeded)]);
        assert_eq!(diamond().ready(&both), ["join"]);
        assert_eq!(diamond().ready(&BTreeMap::new()), ["fetch"]);
    }

    #[test]
    fn a_failure_skips_all_that_comes_after_it_and_nothing_else() {
        let graph = graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[]), ("e", &["d"])]);
        let after = states(&[("a", StepState::Failed), ("d", StepState::Succeeded)]);
        let moves = graph.moves(&after, false);
        assert_eq!(moves, [("b", StepState::Skipped), ("c", StepState::Skipped), ("e", StepState::Ready)]);
    }

    #[test]
    fn cancelling_leaves_running_steps_to_end() {
        let after =
            states(&[("fetch", StepState::Succeeded), ("left", StepState::Running), ("right", StepState::Ready)]);
        assert_eq!(diamond().moves(&after, true), [("join", StepState::Cancelled), ("right", StepState::Cancelled)]);
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
            prop_assert_eq!(place.len(), graph.names().count());
            prop_assert_eq!(layers.iter().map(Vec::len).sum::<usize>(), place.len());
            for (parent, child) in graph.edges() {
                prop_assert!(place[parent] < place[child]);
            }
        }

        /// Plays a run: whatever fails and whenever it is cancelled, moves are legal and the run ends.
        #[test]
        fn every_run_ends(graph in any_graph(), fates in prop::collection::vec(0_u8..4, 12), cancel_at in 0_usize..30) {
            let mut states: BTreeMap<String, StepState> =
                graph.names().map(|step| (step.to_owned(), StepState::Waiting)).collect();
            let mut run = PipelineRunState::Queued;
            let mut turn = 0;
            while !run.is_final() {
                prop_assert!(turn < 60, "still {run:?}: {states:?}");
                if turn == cancel_at && !run.is_final() {
                    run = run.move_to(PipelineRunState::Cancelling).unwrap();
                }
                let cancelling = run == PipelineRunState::Cancelling;
                let moves: Vec<(String, StepState)> =
                    graph.moves(&states, cancelling).into_iter().map(|(step, to)| (step.to_owned(), to)).collect();
                for (step, to) in moves {
                    let from = states[&step];
                    prop_assert!(from.next().contains(&to));
                    states.insert(step, to);
                }
                prop_assert_eq!(graph.moves(&states, cancelling), vec![]);
                // One worker: what runs ends by its fate, then something ready begins.
                if let Some((index, (step, _))) = states.iter().enumerate().find(|(_, (_, s))| **s == StepState::Running) {
                    let to = match fates[index] { 0 => StepState::Failed, _ if cancelling => StepState::Cancelled, _ => StepState::Succeeded };
                    states.insert(step.clone(), to);
                } else if let Some((step, _)) = states.iter().find(|(_, s)| **s == StepState::Ready) {
                    states.insert(step.clone(), StepState::Running);
                }
                let after = run.after(states.values().copied());
                prop_assert!(after == run || run.next().contains(&after));
                run = after;
                turn += 1;
            }
            for (parent, child) in graph.edges() {
                let ran = !matches!(states[child], StepState::Skipped | StepState::Cancelled);
                prop_assert!(!ran || states[parent] == StepState::Succeeded);
            }
        }
    }
}
