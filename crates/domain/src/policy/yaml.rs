//! A policy's document as YAML: read with the line and column of what is wrong, and written for editing.

use super::PolicyDocument;
use crate::{
    problem::{At, Problem, show},
    yaml::{self, Meaning, Node, Yaml},
};
use serde::Serialize;
use serde_json::{Map, Number, Value};
use std::{collections::HashSet, fmt, rc::Rc};

/// The largest file.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// What is wrong in a policy's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyErrors(pub Vec<Problem>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("\n"))
    }
}

impl std::error::Error for PolicyErrors {}

impl From<PolicyErrors> for crate::Error {
    fn from(errors: PolicyErrors) -> Self {
        Self::invalid_field("source", errors.to_string())
    }
}

impl PolicyDocument {
    /// Reads a policy's file.
    ///
    /// # Errors
    /// With what is wrong, and where.
    pub fn parse(source: &str) -> Result<Self, PolicyErrors> {
        let one = |problem: Problem| PolicyErrors(vec![problem]);
        if source.len() > MAX_FILE_BYTES {
            let message = format!("A policy has at most {} KiB.", MAX_FILE_BYTES / 1024);
            return Err(one(Problem::new(At { line: 1, column: 1 }, message)));
        }
        let root = yaml::read(source).map_err(one)?;
        if !matches!(root.yaml, Yaml::Map(_)) {
            return Err(one(Problem::new(
                root.at,
                "A policy is a mapping: gates, rules and the like, each with a colon.",
            )));
        }
        let value = value(&root).map_err(one)?;
        let document: Self = serde_path_to_error::deserialize(&value).map_err(|error| {
            let segments: Vec<String> = error.path().iter().map(ToString::to_string).collect();
            one(Problem::new(find(&root, segments.iter().map(String::as_str)), sentence(&error.inner().to_string())))
        })?;
        document.validate().map_err(|error| {
            let path = error.field.as_deref().unwrap_or_default().to_owned();
            one(Problem::new(find(&root, path.split('/')), error.message))
        })?;
        Ok(document)
    }

    /// Writes it as YAML that [`PolicyDocument::parse`] reads again.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        let mut text = String::new();
        write(&mut text, &value, 0);
        text
    }
}

/// A value as a tree of JSON.
fn value(node: &Rc<Node>) -> Result<Value, Problem> {
    Ok(match &node.yaml {
        Yaml::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Value::Null,
            Meaning::Bool(truth) => Value::Bool(truth),
            Meaning::Text(text) => Value::String(text.to_owned()),
            Meaning::Unclear(text) => {
                let message = format!("Write \"{text}\" in quotes for the text, or true or false.");
                return Err(Problem::new(node.at, message));
            }
            Meaning::Number(number) => whole(number)
                .map(Value::Number)
                .or_else(|| Number::from_f64(number).map(Value::Number))
                .ok_or_else(|| Problem::new(node.at, "This is not a finite number."))?,
        },
        Yaml::List(items) => Value::Array(items.iter().map(value).collect::<Result<_, _>>()?),
        Yaml::Map(entries) => {
            let (mut map, mut seen) = (Map::new(), HashSet::new());
            for (key, item) in entries {
                let Yaml::Scalar(name) = &key.yaml else {
                    return Err(Problem::new(key.at, "A name is expected here."));
                };
                if !seen.insert(name.text.as_str()) {
                    return Err(Problem::new(key.at, format!("\"{}\" is given twice.", show(&name.text))));
                }
                map.insert(name.text.clone(), value(item)?);
            }
            Value::Object(map)
        }
    })
}

/// A whole number that a count can be, as one.
fn whole(number: f64) -> Option<Number> {
    #[allow(clippy::cast_possible_truncation)] // checked
    let fits = number.fract() == 0.0 && number.abs() < 9e15;
    #[allow(clippy::cast_possible_truncation)]
    fits.then(|| Number::from(number as i64))
}

/// Where the last part of a path is that there is.
fn find<'a>(root: &Rc<Node>, path: impl Iterator<Item = &'a str>) -> At {
    let (mut node, mut at) = (Rc::clone(root), root.at);
    for part in path {
        let next = match &node.yaml {
            Yaml::List(items) => part.trim_matches(['[', ']']).parse().ok().and_then(|n: usize| items.get(n).cloned()),
            Yaml::Map(entries) => entries
                .iter()
                .find(|(key, _)| matches!(&key.yaml, Yaml::Scalar(name) if name.text == part))
                .map(|(_, item)| Rc::clone(item)),
            Yaml::Scalar(_) => None,
        };
        match next {
            Some(next) => (at, node) = (next.at, next),
            None => break,
        }
    }
    at
}

/// `missing field x` as `Missing field x.`
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn write(text: &mut String, value: &Value, indent: usize) {
    use std::fmt::Write as _;
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                match item {
                    Value::Object(inner) if !inner.is_empty() => {
                        let _ = writeln!(text, "{pad}{key}:");
                        write(text, item, indent + 1);
                    }
                    Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                        let _ = writeln!(text, "{pad}{key}:");
                        write(text, item, indent + 1);
                    }
                    _ => {
                        let _ = writeln!(text, "{pad}{key}: {}", inline(item));
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                write(&mut inner, item, indent + 1);
                let _ = write!(text, "{pad}- {}", inner.trim_start());
            }
        }
        other => {
            let _ = writeln!(text, "{pad}{}", inline(other));
        }
    }
}

/// A value on one line: a list of simple ones in brackets, a text in quotes only where it needs them.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = |c: char| c.is_alphanumeric() || "_-./@ ".contains(c);
            let simple = text.chars().all(plain)
                && text.chars().next().is_some_and(char::is_alphabetic)
                && text.trim() == text
                && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
            // A span of time begins with a digit and is still a text.
            if simple || text.parse::<crate::duration::Span>().is_ok() { text.clone() } else { value.to_string() }
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{environment::PRODUCTION, policy::Rule};

    const RISKY: &str = "
description: Credit decisions
scope:
  models: [credit-*]
  risk_tiers: [high]
  tiers: [production]
order: skip
gates:
  - kind: better_than_champion
    metric: accuracy
    min_gain: 0.01
    confidence: 0.95
  - kind: cel
    name: No gate is close
    expression: gates.all(g, g.passed)
advisory:
  - {kind: latency_budget, max_ms: 20}
rules:
  - name: risk
    eligible: {teams: [risk-approvers]}
    approvals: 2
    distinct_from: [requester, trainer, code_author, 'rule:product']
    checklist: [I read the model card]
    inputs:
      - {name: ticket}
      - {name: severity, kind: choice, choices: [low, high]}
    justification: true
  - name: product
    eligible: {users: [owner@example.com], roles: [approver]}
expires_after: 2d
evidence_ttl: 12h
reauthenticate: true
";

    #[test]
    fn a_file_becomes_a_document_and_is_written_to_be_read_again() {
        let document = PolicyDocument::parse(RISKY).unwrap();
        assert_eq!((document.rules.len(), document.gates.len(), document.advisory.len()), (2, 2, 1));
        assert_eq!(document.rules[0].approvals, 2);
        assert_eq!(PolicyDocument::parse(&document.to_yaml()), Ok(document));
        for initial in [PolicyDocument::initial(PRODUCTION), PolicyDocument::default()] {
            assert_eq!(PolicyDocument::parse(&initial.to_yaml()), Ok(initial.clone()), "{}", initial.to_yaml());
        }
        let odd = PolicyDocument {
            description: "\"yes\": # no\n- x".to_owned(),
            rules: vec![Rule { name: "0x1F".to_owned(), ..Rule::of_approvers(1) }],
            ..PolicyDocument::default()
        };
        assert_eq!(PolicyDocument::parse(&odd.to_yaml()), Ok(odd.clone()), "{}", odd.to_yaml());
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (source, line, words) in [
            ("", 1, "The file is empty."),
            ("- a", 1, "A policy is a mapping"),
            ("gates: [\n", 1, "not valid YAML"),
            ("gates:\n  - kind: golden_row\n    tolerance: -1\n", 3, "0 or more"),
            ("gates:\n  - kind: golden_row\n    tolerence: 1\n", 2, "Unknown field `tolerence`"),
            ("gates:\n  - kind: golden\n", 2, "Unknown variant `golden`"),
            ("rules:\n  - name: a\n    eligible: {roles: [boss]}\n", 3, "Unknown variant `boss`"),
            ("rules:\n  - name: a\n    eligible: {roles: [approver]}\n    approvals: 300\n", 4, "u8"),
            ("rules:\n  - name: a\n    eligible: {roles: [approver]}\n    approvals: 0\n", 4, "from 1 to 20"),
            (
                "rules:\n  - name: a\n    eligible: {roles: [approver]}\n    distinct_from: [boss]\n",
                4,
                "One of requester",
            ),
            ("expires_after: 3 weeks\n", 1, "Write a span of time as"),
            ("expires_after: 7d\nexpires_after: 8d\n", 2, "given twice"),
            ("description: yes\n", 1, "in quotes"),
            ("scope:\n  actions: []\n", 2, "at least one action"),
            ("rules: []\nwhatever: 1\n", 2, "Unknown field `whatever`"),
        ] {
            let errors = PolicyDocument::parse(source).unwrap_err();
            let problem = &errors.0[0];
            assert!(problem.message.contains(words), "{source:?}: {problem}");
            assert_eq!(problem.line, line, "{source:?}: {problem}");
        }
    }
}
