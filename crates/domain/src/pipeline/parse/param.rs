//! Reading params: of the pipeline with what they take, of a step with their values.

use super::{Reader, scalar_text};
use crate::{
    pipeline::{Param, ParamKind, ParamValue},
    problem::{At, show},
    yaml::{Meaning, Node, Yaml},
};
use serde_json::Value;

const PARAM_KEYS: [&str; 7] = ["type", "default", "optional", "description", "choices", "minimum", "maximum"];

impl Reader {
    /// The params of a pipeline.
    pub(super) fn pipeline_params(&mut self, node: &Node) -> Vec<(String, At, Param)> {
        let mut params = Vec::new();
        for (key, value) in self.entries(node, "params", "name: default") {
            let name = self.name(key, "A param's name");
            let param = match &value.yaml {
                Yaml::Map(entries) if entries.iter().any(|(key, _)| scalar_text(key) == Some("type")) => self.param(value),
                _ => self
                    .value(value, "A param needs a default: a text, a number, true or false, or \"{ type: string }\" when a run must give it.")
                    .map(Param::from),
            };
            if let (Some(name), Some(param)) = (name, param) {
                params.push((name, key.at, param));
            }
        }
        params
    }

    /// A param with what it takes.
    fn param(&mut self, node: &Node) -> Option<Param> {
        let keys = self.keys(node, "a param", &PARAM_KEYS)?;
        let get = |key| keys.get(key).copied();
        let kind = self.one_of(get("type")?, "A param's type", &ParamKind::ALL.map(ParamKind::as_str));
        let kind = ParamKind::parse(&kind?)?;
        let default = get("default").and_then(|node| self.value(node, "A default needs a value."));
        let optional = match get("optional").map(|node| (node, self.value(node, "\"optional\" is true or false."))) {
            Some((node, Some(ParamValue::Bool(true)))) if default.is_some() => {
                self.problem(
                    node.at,
                    "A param with a default can be left out anyway; take \"optional\" or the default away.",
                );
                false
            }
            Some((_, Some(ParamValue::Bool(optional)))) => optional,
            Some((node, Some(_))) => {
                self.problem(node.at, "\"optional\" is true or false.");
                false
            }
            Some((_, None)) | None => false,
        };
        let choices = match get("choices") {
            Some(Node { yaml: Yaml::List(items), .. }) => {
                items.iter().filter_map(|item| self.value(item, "A choice needs a value.")).collect()
            }
            Some(node) => {
                self.problem(node.at, "The choices of a param must be a list.");
                Vec::new()
            }
            None => Vec::new(),
        };
        let is_number = matches!(kind, ParamKind::Number | ParamKind::Integer);
        let bound = |reader: &mut Self, key| {
            let node = get(key)?;
            let number = reader.value(node, "A bound needs a number.").and_then(|value| value.as_number());
            if number.is_none() || !is_number {
                reader.problem(node.at, format!("\"{key}\" is a number, and for params that are numbers."));
            }
            number
        };
        let (minimum, maximum) = (bound(self, "minimum"), bound(self, "maximum"));
        let description = get("description").and_then(|node| self.text(node, "A description")).unwrap_or_default();
        let unchecked = Param { kind, default: None, optional, description, choices: Vec::new(), minimum, maximum };
        for (choice, at) in
            choices.iter().zip(std::iter::repeat_with(|| get("choices").map_or(node.at, |node| node.at)))
        {
            if let Err(rule) = unchecked.check(choice) {
                self.problem(at, format!("The choice \"{}\" {rule}.", show(&choice.to_string())));
            }
        }
        let param = Param { choices, ..unchecked };
        if let (Some(value), Some(node)) = (&default, get("default"))
            && let Err(rule) = param.check(value)
        {
            self.problem(node.at, format!("The default {rule}."));
        }
        Some(Param { default, ..param })
    }

    /// Values of params.
    pub(super) fn params(&mut self, node: &Node) -> Vec<(String, At, ParamValue)> {
        let mut params = Vec::new();
        for (key, value) in self.entries(node, "params", "name: default") {
            let name = self.name(key, "A param's name");
            let value_of =
                self.value(value, "A param needs a default: a text, a number, true or false, a list or a mapping.");
            if let (Some(name), Some(value)) = (name, value_of) {
                params.push((name, key.at, value));
            }
        }
        params
    }

    /// A value: whatever JSON knows, but for nothing.
    pub(super) fn value(&mut self, node: &Node, missing: &str) -> Option<ParamValue> {
        match self.json(node, missing).map(ParamValue::try_from)? {
            Ok(value) => Some(value),
            Err(rule) => {
                self.problem(node.at, format!("The value {rule}."));
                None
            }
        }
    }

    /// The same as JSON, with what makes it no value told.
    pub(super) fn json(&mut self, node: &Node, missing: &str) -> Option<Value> {
        match &node.yaml {
            Yaml::Scalar(scalar) => match scalar.meaning() {
                Meaning::Bool(value) => Some(Value::Bool(value)),
                Meaning::Number(number) => match ParamValue::number(number) {
                    Ok(value) => Some(value.into()),
                    Err(rule) => {
                        self.problem(node.at, format!("The value {rule}."));
                        None
                    }
                },
                Meaning::Text(text) => Some(Value::from(text)),
                Meaning::Unclear(text) => {
                    self.problem(node.at, format!("Write true or false, or \"{text}\" in quotes for the text."));
                    None
                }
                Meaning::Null => {
                    self.problem(node.at, missing);
                    None
                }
            },
            Yaml::List(items) => {
                let items = self.at_most(node, items.iter().collect());
                items.into_iter().map(|item| self.json(item, "An entry of a list needs a value.")).collect()
            }
            Yaml::Map(_) => self
                .entries(node, "a value", "name: value")
                .into_iter()
                .map(|(key, value)| Some((scalar_text(key)?.to_owned(), self.json(value, "An entry needs a value.")?)))
                .collect(),
        }
    }
}
