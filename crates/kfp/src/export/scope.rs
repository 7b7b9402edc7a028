//! What a step sees, and where that comes from.

use domain::pipeline::{OutputRef, OutputSpec, StepSpec, kfp::KfpKind};
use std::collections::BTreeMap;

/// Stands before the name of an input that is the name of a param as well.
const INPUT: &str = "input--";

/// Steps that see each other, and what is around them.
pub(super) struct Frame<'a> {
    pub(super) steps: &'a BTreeMap<String, StepSpec>,
    /// The params that they see.
    pub(super) params: BTreeMap<String, Seen>,
    pub(super) outer: Option<&'a Frame<'a>>,
    /// Where they stand.
    pub(super) place: Vec<String>,
}

/// A param, as the tasks of a component see it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) kind: KfpKind,
    /// The input of the component that it is, or is a field of.
    pub(super) key: String,
    pub(super) field: Option<String>,
}

/// What is needed from outside of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    Param(String),
    Output(OutputRef),
}

/// By the name of the component's input: what it is.
pub(super) type Needs = BTreeMap<String, (Need, KfpKind)>;

/// The step that gives an output itself.
pub(super) struct Leaf<'a> {
    pub(super) place: Vec<String>,
    pub(super) step: &'a StepSpec,
    pub(super) output: &'a str,
    /// Whether there are many of it, seen from where it is asked for.
    pub(super) is_list: bool,
}

impl Leaf<'_> {
    /// Whether it is what is told about an artifact, which goes with that by itself.
    pub(super) fn is_about(&self) -> bool {
        let outputs = self.step.kfp.iter().flat_map(|kfp| kfp.outputs.values());
        outputs.into_iter().any(|output| {
            let told = [output.about.as_deref(), output.numbers.as_deref()];
            told.contains(&Some(self.output))
        })
    }
}

impl<'a> Frame<'a> {
    /// The steps inside of one of these.
    pub(super) fn inside<'b>(&'b self, name: &str, steps: &'b BTreeMap<String, StepSpec>) -> Frame<'b>
    where
        'a: 'b,
    {
        let handed_on = |(name, seen): (&String, &Seen)| {
            (name.clone(), Seen { kind: seen.kind.clone(), key: name.clone(), field: None })
        };
        let params = self.params.iter().map(handed_on).collect();
        let place = self.place.iter().cloned().chain([name.to_owned()]).collect();
        Frame { steps, params, outer: Some(self), place }
    }

    /// Whether a loop around these steps alone sets this param.
    pub(super) fn sets(&self, param: &str) -> bool {
        let Some(outer) = self.outer else { return false };
        let around = self.place.last().and_then(|name| outer.steps.get(name));
        around.is_some_and(|step| step.item_names().any(|item| item == param))
    }

    /// What an input of a step is called there, where params and inputs are one.
    pub(super) fn input_key(&self, step: &StepSpec, input: &str) -> String {
        let is_command = step.steps().is_none() && !step.is_many();
        let is_param = self.params.contains_key(input) || step.params.contains_key(input);
        if is_command && is_param { format!("{INPUT}{input}") } else { input.to_owned() }
    }

    /// What a step of these is called among all.
    pub(super) fn label(&self, name: &str) -> String {
        let mut parts: Vec<&str> = self.place.iter().map(String::as_str).chain([name]).collect();
        // A step that runs many times stands in itself.
        parts.dedup();
        parts.join("-")
    }

    fn find(&self, name: &str) -> Option<(&Self, &'a StepSpec)> {
        match self.steps.get(name) {
            Some(step) => Some((self, step)),
            None => self.outer.and_then(|outer| outer.find_outer(name)),
        }
    }

    fn find_outer<'b>(&'b self, name: &str) -> Option<(&'b Frame<'a>, &'a StepSpec)> {
        self.find(name)
    }

    /// The step that gives this output itself.
    pub(super) fn leaf_of<'r>(&self, output: &'r OutputRef) -> Option<Leaf<'r>>
    where
        'a: 'r,
    {
        let (frame, mut step) = self.find(&output.step)?;
        let mut place: Vec<String> = frame.place.iter().cloned().chain([output.step.clone()]).collect();
        let (mut name, mut is_list): (&'r str, bool) = (&output.output, step.is_many());
        // Within a step that runs many times, one stands for itself.
        if frame.place.last() == Some(&output.step) {
            place.pop();
        }
        loop {
            let from = match step.outputs.get(name)? {
                OutputSpec::Of { from } => from,
                OutputSpec::FirstOf { from } => from.first()?,
                OutputSpec::Path(_) | OutputSpec::Typed { .. } => {
                    return Some(Leaf { place, step, output: name, is_list });
                }
            };
            step = step.steps()?.get(&from.step)?;
            place.push(from.step.clone());
            name = &from.output;
            is_list |= step.is_many();
        }
    }

    /// What an output is called by the task that gives it.
    pub(super) fn key_of(&self, output: &OutputRef) -> String {
        let step = self.find(&output.step).map(|(_, step)| step).filter(|step| !step.is_many());
        let named = step.and_then(|step| step.kfp.as_ref()).and_then(|kfp| {
            kfp.outputs.iter().find(|(_, given)| given.to == output.output).map(|(name, _)| name.clone())
        });
        named.unwrap_or_else(|| output.output.clone())
    }
}
