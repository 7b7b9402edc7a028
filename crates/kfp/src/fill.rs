//! Values of the file's own words that name other values: filled in, and bounded.

use crate::{
    message::{Known, of_run, text_of},
    placeholder::{self, Part, Place, parts},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// How often a text may name another that names another.
pub(crate) const MAX_DEPTH: usize = 16;

/// How much may be pasted into the inputs of a step in all: bytes of text, and values.
const MAX_PASTED: usize = 4 * 1024 * 1024;

/// Fills the file's own placeholders in. Each value is made once however often it is named, and what is pasted is bounded
/// in all: a short file may not stand for a long one.
pub(crate) struct Filling<'a> {
    known: &'a Known<'a>,
    raw: &'a BTreeMap<&'a str, Value>,
    done: BTreeMap<&'a str, Value>,
    left: usize,
}

impl<'a> Filling<'a> {
    /// Nothing filled in yet.
    pub(crate) fn new(known: &'a Known<'a>, raw: &'a BTreeMap<&'a str, Value>) -> Self {
        Self { known, raw, done: BTreeMap::new(), left: MAX_PASTED }
    }

    /// A value with everything in it filled in; nothing for one that was not given.
    pub(crate) fn value(&mut self, name: &str, depth: usize) -> Result<Value, String> {
        let Some((name, value)) = self.raw.get_key_value(name) else { return Ok(Value::from("")) };
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        if !self.known.is_own(name) || !placeholder::is_in(value) {
            return Ok(value.clone());
        }
        if depth > MAX_DEPTH {
            return Err(format!("The input \"{name}\" is made of others that are made of it."));
        }
        let filled = self.fill(value, depth)?;
        self.done.insert(name, filled.clone());
        Ok(filled)
    }

    /// What stands where a value is named.
    fn pasted(&mut self, name: &str, depth: usize) -> Result<Value, String> {
        let value = self.value(name, depth + 1)?;
        self.left = self.left.checked_sub(weight(&value)).ok_or_else(|| {
            format!("Its inputs are made of each other and are more than {} MiB together.", MAX_PASTED / 1024 / 1024)
        })?;
        Ok(value)
    }

    fn fill(&mut self, value: &Value, depth: usize) -> Result<Value, String> {
        Ok(match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill(item, depth)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(key, value): (&String, &Value)| Ok((key.clone(), self.fill(value, depth)?));
                Value::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
            }
            Value::String(text) => {
                let found = parts(text).map_err(|part| format!("\"{part}\" is not understood."))?;
                if let [Part::Place(Place::Parameter(name))] = found.as_slice() {
                    return self.pasted(name, depth);
                }
                let mut filled = String::new();
                for part in &found {
                    match part {
                        Part::Text(text) => filled.push_str(text),
                        Part::Place(Place::Parameter(name)) => filled.push_str(&text_of(&self.pasted(name, depth)?)),
                        Part::Place(Place::Run(of)) => filled.push_str(of_run(self.known.run, of)),
                        Part::Place(_) => {}
                    }
                }
                filled.into()
            }
            other => other.clone(),
        })
    }
}

/// Bytes of text and values in it.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => 1 + fields.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>(),
        _ => 1,
    }
}
