//! Reading what a step takes.

use super::{Reader, StepPlaces, TextKind, scalar_text};
use crate::{
    dataset::{DatasetName, PASSED},
    pipeline::{InputSpec, LATEST, OutputRef},
    prose::sentence,
    yaml::{Node, Yaml},
};
use std::collections::BTreeMap;

impl Reader {
    pub(super) fn inputs(&mut self, node: &Node, places: &mut StepPlaces) -> BTreeMap<String, InputSpec> {
        let mut inputs = BTreeMap::new();
        for (key, value) in self.entries(node, "inputs", "name: step.output") {
            let name = self.name(key, "An input's name");
            let input = match &value.yaml {
                Yaml::Map(_) => self.version_input(value, places),
                _ => match scalar_text(value).unwrap_or_default().parse::<OutputRef>() {
                    Ok(reference) => {
                        places.inputs.push((reference.clone(), value.at));
                        Some(InputSpec::Output(reference))
                    }
                    Err(message) => {
                        self.problem(value.at, sentence(message));
                        None
                    }
                },
            };
            if let (Some(name), Some(input)) = (name, input) {
                places.variables.push(("INPUT", name.clone(), key.at));
                inputs.insert(name, input);
            }
        }
        inputs
    }

    /// `{ dataset: wine-rows, version: 3, checked: true }` or `{ model: wine, version: champion }`.
    fn version_input(&mut self, node: &Node, places: &mut StepPlaces) -> Option<InputSpec> {
        let keys = self.keys(node, "an input", &["dataset", "model", "version", "checked"])?;
        let version = match keys.get("version") {
            Some(node) => self.text(node, "A version").inspect(|text| {
                places.texts.push((TextKind::StepParam, text.clone(), node.at));
            })?,
            None => LATEST.to_owned(),
        };
        let checked = match keys.get("checked") {
            Some(node) => self.boolean(node, "checked")?,
            None => false,
        };
        match (keys.get("dataset"), keys.get("model")) {
            (Some(node), None) => {
                if checked && version == PASSED {
                    self.problem(
                        node.at,
                        "A version that is called \"passed\" has passed its checks; leave \"checked\" out.",
                    );
                }
                let dataset = self.dataset_name(node, places)?;
                Some(InputSpec::Dataset { dataset, version, checked })
            }
            (None, Some(node)) => {
                if let Some(checked) = keys.get("checked") {
                    self.problem(checked.at, "What is checked are datasets, not models; leave \"checked\" out.");
                }
                let model = self.model_name(node, places)?;
                Some(InputSpec::Model { model, version })
            }
            _ => {
                self.problem(
                    node.at,
                    "An input is an output of another step (step.output), a version of a dataset ({ dataset: NAME }) or \
                     one of a model ({ model: NAME }).",
                );
                None
            }
        }
    }

    pub(super) fn dataset_name(&mut self, node: &Node, places: &mut StepPlaces) -> Option<String> {
        let name = self.text(node, "A dataset's name")?;
        places.texts.push((TextKind::StepParam, name.clone(), node.at));
        if !name.contains("${{")
            && let Err(error) = DatasetName::parse(&name)
        {
            self.problem(node.at, error.message);
            return None;
        }
        Some(name)
    }

    pub(super) fn model_name(&mut self, node: &Node, places: &mut StepPlaces) -> Option<String> {
        let name = self.text(node, "A model's name")?;
        places.texts.push((TextKind::StepParam, name.clone(), node.at));
        if name.is_empty() {
            self.problem(node.at, "A model's name is not empty.");
            return None;
        }
        Some(name)
    }
}
