//! Where the value of an input comes from, followed through all components that only hand it on.

use super::{Import, dag::Siblings, kind_of_parameter, show};
use crate::{
    fill::MAX_DEPTH,
    import::dag::Scope,
    ir::{Task, TaskArtifact, TaskParameter},
    placeholder::{self, Part, Place, parts},
};
use domain::pipeline::{OutputRef, kfp::KfpKind};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most values that one text may be made of, each counted as often as it is named.
const MAX_VALUES: usize = 1000;

/// A value, where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) from: From,
    pub(crate) kind: KfpKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum From {
    /// The file says it.
    Constant(Value),
    /// The file says it, with placeholders for other values: what each of these stands for.
    Text(Value, BTreeMap<String, Source>),
    /// A param of the pipeline, or one that a loop sets; of it, this field of that field.
    Param(String, Vec<String>),
    /// What another step gives on.
    Output(OutputRef, Vec<String>),
    /// How another step ended.
    Status(String),
    /// An optional input that is not given.
    Absent,
}

/// An artifact, where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) file: OutputRef,
    /// What is told about it, when something is.
    pub(crate) about: Option<OutputRef>,
}

impl Source {
    /// How many values it is made of, and how often one of them names another that names another.
    fn extent(&self) -> (usize, usize) {
        let From::Text(_, values) = &self.from else { return (1, 0) };
        let join = |(count, depth): (usize, usize), (more, below): (usize, usize)| (count + more, depth.max(below + 1));
        values.values().map(Self::extent).fold((1, 1), join)
    }
}

impl Import<'_> {
    /// Where a parameter of a task comes from.
    pub(super) fn parameter(
        &self,
        task: &Task,
        given: &TaskParameter,
        scope: &Scope,
        siblings: &Siblings,
    ) -> Result<Source, String> {
        self.parameter_within(task, given, scope, siblings, 0)
    }

    /// The same, of one that others name, so many one after the other.
    fn parameter_within(
        &self,
        task: &Task,
        given: &TaskParameter,
        scope: &Scope,
        siblings: &Siblings,
        depth: usize,
    ) -> Result<Source, String> {
        let selector = given.parameter_expression_selector.as_str();
        let source = if let Some(name) = &given.component_input_parameter {
            let found = scope.parameters.get(name);
            found.cloned().ok_or_else(|| format!("there is no input \"{}\" around it", show(name)))?
        } else if let Some(output) = &given.task_output_parameter {
            siblings.value(&output.producer_task, &output.output_parameter_key)?
        } else if let Some(status) = &given.task_final_status {
            Source { from: From::Status(siblings.step(&status.producer_task)?.to_owned()), kind: KfpKind::FinalStatus }
        } else if let Some(value) = &given.runtime_value {
            if let Some(name) = &value.runtime_parameter {
                scope
                    .parameters
                    .get(name)
                    .cloned()
                    .ok_or_else(|| format!("there is no parameter \"{}\"", show(name)))?
            } else {
                let old = value.constant_value.as_ref();
                let old = old
                    .and_then(|old| old.int_value.as_ref().or(old.double_value.as_ref()).or(old.string_value.as_ref()));
                let constant = value.constant.as_ref().or(old).cloned().unwrap_or(Value::Null);
                self.constant(task, constant, scope, siblings, depth)?
            }
        } else {
            return Err("it says nothing of where it comes from".to_owned());
        };
        if selector.is_empty() {
            return Ok(source);
        }
        let fields = fields(selector)
            .ok_or_else(|| format!("the expression \"{}\" is not understood; fields of a value are", show(selector)))?;
        let with = |mut known: Vec<String>| {
            known.extend(fields.clone());
            known
        };
        let from = match source.from {
            From::Param(name, known) => From::Param(name, with(known)),
            From::Output(output, known) => From::Output(output, with(known)),
            From::Constant(value) => {
                let found = fields.iter().try_fold(&value, |value, field| value.get(field));
                From::Constant(found.cloned().ok_or_else(|| format!("there is no field \"{}\"", fields.join(".")))?)
            }
            From::Text(..) | From::Status(_) | From::Absent => {
                return Err("a field is taken of what has none".to_owned());
            }
        };
        // Of a field nothing is known, so it stays what it is.
        Ok(Source { from, kind: KfpKind::Struct })
    }

    fn constant(
        &self,
        task: &Task,
        constant: Value,
        scope: &Scope,
        siblings: &Siblings,
        depth: usize,
    ) -> Result<Source, String> {
        let kind = match &constant {
            Value::Null => return Ok(Source { from: From::Absent, kind: KfpKind::Struct }),
            Value::Bool(_) => KfpKind::Boolean,
            Value::Number(_) => KfpKind::Double,
            Value::String(_) => KfpKind::String,
            Value::Array(_) => KfpKind::List,
            Value::Object(_) => KfpKind::Struct,
        };
        if !placeholder::is_in(&constant) {
            return Ok(Source { from: From::Constant(constant), kind });
        }
        let too_much = || format!("it is made of itself, or of more than {MAX_VALUES} other values");
        if depth > MAX_DEPTH {
            return Err(too_much());
        }
        let (mut values, mut count) = (BTreeMap::new(), 1);
        for text in texts(&constant) {
            let found = parts(text).map_err(|part| format!("\"{}\" is not supported here", show(part)))?;
            for part in found {
                match part {
                    Part::Text(_) | Part::Place(Place::Run(_)) => {}
                    Part::Place(Place::Parameter(name)) if values.contains_key(name) => {}
                    Part::Place(Place::Parameter(name)) => {
                        let given = task.inputs.parameters.get(name);
                        let given = given
                            .ok_or_else(|| format!("it names the input \"{}\", which is not given", show(name)))?;
                        let source = self.parameter_within(task, given, scope, siblings, depth + 1)?;
                        let (more, below) = source.extent();
                        count += more;
                        if count > MAX_VALUES || below >= MAX_DEPTH {
                            return Err(too_much());
                        }
                        values.insert(name.to_owned(), source);
                    }
                    Part::Place(_) => {
                        return Err(format!("\"{}\" has a placeholder that is for commands alone", show(text)));
                    }
                }
            }
        }
        Ok(Source { from: From::Text(constant, values), kind })
    }

    /// Where an artifact of a task comes from.
    pub(super) fn artifact(
        &self,
        given: &TaskArtifact,
        scope: &Scope,
        siblings: &Siblings,
    ) -> Result<Option<Artifact>, String> {
        if let Some(name) = &given.component_input_artifact {
            let found = scope.artifacts.get(name);
            return found.cloned().ok_or_else(|| format!("there is no input \"{}\" around it", show(name)));
        }
        let output = given.task_output_artifact.as_ref().ok_or("it says nothing of where it comes from")?;
        siblings.artifact(&output.producer_task, &output.output_artifact_key).map(Some)
    }

    /// Where each parameter of a component comes from when this task runs it, and what each is.
    pub(super) fn parameters(
        &self,
        task: &Task,
        component: &str,
        scope: &Scope,
        siblings: &Siblings,
    ) -> Result<BTreeMap<String, Source>, String> {
        let mut found = BTreeMap::new();
        let Some(component) = self.components.get(component) else { return Ok(found) };
        let item = task.parameter_iterator.as_ref().map(|iterator| iterator.item_input.as_str());
        for (name, definition) in &component.input_definitions.parameters {
            if item == Some(name.as_str()) {
                continue;
            }
            let of = |message: String| format!("its input \"{}\": {message}", show(name));
            let kind =
                kind_of_parameter(definition.parameter_type.as_deref(), definition.r#type.as_deref()).map_err(of)?;
            let source = match (task.inputs.parameters.get(name), &definition.default_value) {
                (Some(given), _) => match self.parameter(task, given, scope, siblings) {
                    Ok(source) => source.from,
                    // Their compiler hands on more than there is; what nobody asks for is not missed.
                    Err(_) if component.dag.is_some() && given.component_input_parameter.is_some() => continue,
                    Err(message) => return Err(of(message)),
                },
                (None, Some(default)) => From::Constant(default.clone()),
                (None, None) if definition.is_optional || kind == KfpKind::FinalStatus => From::Absent,
                // What is only handed on may not be needed at all.
                (None, None) if component.dag.is_some() => continue,
                (None, None) => return Err(of("it is not given, and has no default".to_owned())),
            };
            let source = match (source, &definition.default_value) {
                (From::Absent, Some(default)) => From::Constant(default.clone()),
                (source, _) => source,
            };
            found.insert(name.clone(), Source { from: source, kind });
        }
        Ok(found)
    }
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// `parseJson(string_value)["a"]["b"]`: the fields.
fn fields(selector: &str) -> Option<Vec<String>> {
    let mut rest = selector.trim().strip_prefix("parseJson(string_value)")?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix('[')?;
        let quote = rest.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (field, after) = rest[1..].split_once(quote)?;
        fields.push(field.to_owned());
        rest = after.strip_prefix(']')?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn fields_of_an_item_are_read() {
        assert_eq!(fields("parseJson(string_value)[\"a\"]"), Some(vec!["a".to_owned()]));
        assert_eq!(fields("parseJson(string_value)['a']['b c']"), Some(vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(fields("parseJson(string_value)[0]"), None);
        assert_eq!(fields("string_value + 1"), None);
    }
}
