//! YAML that is not ours: documents as JSON, and where in the text each part of them stands.

use crate::{
    problem::{At, Problem, show},
    yaml::{self, Meaning, Node, Yaml},
};
use serde_json::Value;
use std::rc::Rc;

/// A document of a YAML file.
#[derive(Debug)]
pub struct Document {
    root: Rc<Node>,
    value: Value,
}

impl Document {
    /// The documents of a file, in their order.
    ///
    /// # Errors
    /// What makes it no YAML, or something that JSON cannot say, and where.
    pub fn read_all(source: &str) -> Result<Vec<Self>, Problem> {
        let roots = yaml::read_all(source)?;
        roots.into_iter().map(|root| Ok(Self { value: json(&root)?, root })).collect()
    }

    /// What it says.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// A problem with what stands at this path of keys, or with the nearest part around it that there is.
    #[must_use]
    pub fn problem(&self, path: &[&str], message: impl Into<String>) -> Problem {
        let mut node = &self.root;
        let mut at = node.at;
        for key in path {
            let found = match &node.yaml {
                Yaml::Map(entries) => entries.iter().find(|(name, _)| text(name) == Some(key)),
                Yaml::Scalar(_) | Yaml::List(_) => None,
            };
            let Some((name, value)) = found else { break };
            (at, node) = (name.at, value);
        }
        Problem::new(at, message)
    }
}

/// A problem with a file as a whole.
#[must_use]
pub fn whole(message: impl Into<String>) -> Problem {
    Problem::new(At { line: 1, column: 1 }, message)
}

fn text(node: &Node) -> Option<&str> {
    match &node.yaml {
        Yaml::Scalar(scalar) => Some(&scalar.text),
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}

fn json(node: &Node) -> Result<Value, Problem> {
    Ok(match &node.yaml {
        Yaml::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Value::Null,
            Meaning::Bool(value) => value.into(),
            // Digits that a number of JSON would lose are refused where they matter.
            Meaning::Number(number) => match scalar.text.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => Value::from(number),
            },
            Meaning::Text(text) | Meaning::Unclear(text) => text.into(),
        },
        Yaml::List(items) => items.iter().map(|item| json(item)).collect::<Result<_, _>>()?,
        Yaml::Map(entries) => {
            let mut fields = serde_json::Map::new();
            for (key, value) in entries {
                let name = text(key).ok_or_else(|| Problem::new(key.at, "A key must be a text."))?;
                if fields.insert(name.to_owned(), json(value)?).is_some() {
                    return Err(Problem::new(key.at, format!("\"{}\" stands here twice.", show(name))));
                }
            }
            fields.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_json_and_know_where_their_parts_stand() {
        let all = Document::read_all("a: 1\nb:\n  c: [x, 2.5, null, 'yes']\n---\nd: true\n").unwrap();
        assert_eq!(all[0].value(), &json!({ "a": 1, "b": { "c": ["x", 2.5, null, "yes"] } }));
        assert_eq!(all[1].value(), &json!({ "d": true }));
        let problem = all[0].problem(&["b", "c", "gone"], "It is wrong.");
        assert_eq!((problem.line, problem.column), (3, 3));
        assert_eq!(Document::read_all("a: 1\na: 2\n").unwrap_err().line, 2);
    }
}
