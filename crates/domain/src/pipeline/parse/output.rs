//! Reading what a step gives on.

use super::{Reader, StepPlaces, scalar_text};
use crate::{
    pipeline::{NOTEBOOK_OUTPUT, OutputKind, OutputRef, OutputSpec},
    yaml::{Node, Yaml},
};
use std::{collections::BTreeMap, rc::Rc};

impl Reader {
    pub(super) fn outputs(&mut self, node: &Node, places: &mut StepPlaces) -> BTreeMap<String, OutputSpec> {
        let mut outputs = BTreeMap::new();
        for (key, value) in self.entries(node, "outputs", "name: path") {
            let name = self.name(key, "An output's name");
            let output = match &value.yaml {
                Yaml::Map(_) => self.typed_output(value, places),
                _ => {
                    self.text(value, "An output's path").and_then(|text| self.path(value, &text)).map(OutputSpec::Path)
                }
            };
            if let (Some(name), Some(output)) = (name, output) {
                places.variables.push(("OUTPUT", name.clone(), key.at));
                outputs.insert(name, output);
            }
        }
        outputs
    }

    fn typed_output(&mut self, node: &Node, places: &mut StepPlaces) -> Option<OutputSpec> {
        let keys = self.keys(node, "an output", &["path", "type", "name", "tolerance", "varies"])?;
        let Some(path) = keys.get("path") else {
            self.problem(node.at, "An output has no path; write \"name: path\" or \"name: { path: …, type: value }\".");
            return None;
        };
        let text = self.text(path, "An output's path")?;
        let path = self.path(path, &text)?;
        let kind = match keys.get("type") {
            Some(kind) => {
                let kind = self.one_of(kind, "An output's type", &OutputKind::ALL.map(OutputKind::as_str))?;
                OutputKind::ALL.into_iter().find(|known| known.as_str() == kind)
            }
            None => None,
        };
        let name = match keys.get("name") {
            Some(node) if kind == Some(OutputKind::Dataset) => Some(self.dataset_name(node, places)?),
            Some(node) if kind == Some(OutputKind::Model) => Some(self.model_name(node, places)?),
            Some(node) => {
                self.problem(node.at, "A name belongs to an output of the type dataset or model.");
                None
            }
            None => None,
        };
        let tolerance = match keys.get("tolerance") {
            Some(node) if kind.is_some_and(OutputKind::is_value) => self.number(node, "tolerance", 0.0, 1.0),
            Some(node) => {
                self.problem(node.at, "A tolerance belongs to an output of the type value or metrics.");
                None
            }
            None => None,
        };
        let varies = keys.get("varies").and_then(|node| self.boolean(node, "varies")).unwrap_or_default();
        // A file of which nothing more is said makes the digest of one that is its path alone.
        Some(match kind {
            None | Some(OutputKind::File) if !varies => OutputSpec::Path(path),
            kind => OutputSpec::Typed { path, kind: kind.unwrap_or(OutputKind::File), name, tolerance, varies },
        })
    }

    /// What a step with steps of its own gives on: outputs of these.
    pub(super) fn passed_on(&mut self, node: &Node, places: &mut StepPlaces) -> BTreeMap<String, OutputSpec> {
        let mut outputs = BTreeMap::new();
        for (key, value) in self.entries(node, "outputs", "name: step.output") {
            let name = self.name(key, "An output's name");
            let items: Vec<&Node> = match &value.yaml {
                Yaml::List(items) => self.at_most(value, items.iter().map(Rc::as_ref).collect()),
                _ => vec![value],
            };
            let read = |item: &Node| scalar_text(item).unwrap_or_default().parse::<OutputRef>().ok();
            let from: Vec<OutputRef> = items.iter().filter_map(|item| read(item)).collect();
            if from.is_empty() || from.len() != items.len() {
                self.problem(value.at, "A step with steps of its own gives on what these give: name: step.output.");
                continue;
            }
            places.passed_on.extend(from.iter().cloned().zip(items.iter().map(|item| item.at)));
            let output = match <[OutputRef; 1]>::try_from(from) {
                Ok([from]) => OutputSpec::Of { from },
                Err(from) => OutputSpec::FirstOf { from },
            };
            outputs.extend(name.map(|name| (name, output)));
        }
        outputs
    }

    /// Every step with a notebook gives the executed one on. Where it is written need not be said.
    pub(super) fn executed(
        &mut self,
        path: &str,
        node: &Node,
        outputs: &mut BTreeMap<String, OutputSpec>,
        places: &mut StepPlaces,
    ) {
        match outputs.get(NOTEBOOK_OUTPUT) {
            None => {
                // An input is called by its name alone.
                let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".ipynb");
                outputs.insert(NOTEBOOK_OUTPUT.to_owned(), OutputSpec::Path(format!("executed/{name}.ipynb")));
                places.variables.push(("OUTPUT", NOTEBOOK_OUTPUT.to_owned(), node.at));
            }
            Some(OutputSpec::Path(path) | OutputSpec::Typed { path, kind: OutputKind::File, .. })
                if path.ends_with(".ipynb") => {}
            Some(_) => {
                let message = "The output \"notebook\" of a step with a notebook is the executed notebook; \
                               write \"notebook: path.ipynb\", or leave it out.";
                self.problem(node.at, message);
            }
        }
    }
}
