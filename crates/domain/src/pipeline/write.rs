//! From [`PipelineSpec`] back to a file: the inverse of `parse`, for pipelines that came from elsewhere.

use super::{Cache, PipelineSpec, StepSpec};
use crate::{duration::Span, yaml};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Keys in the order in which people read them. Others follow, by name.
const PIPELINE_ORDER: [&str; 12] = [
    "name",
    "description",
    "executor",
    "image",
    "priority",
    "cache",
    "seed",
    "params",
    "env",
    "files",
    "steps",
    "finally",
];
const STEP_ORDER: [&str; 11] = [
    "description",
    "needs",
    "trigger_rule",
    "if",
    "matrix",
    "map",
    "max_parallel",
    "image",
    "command",
    "params",
    "inputs",
];
/// Keys of a step that come after all others.
const STEP_LAST: [&str; 2] = ["steps", "outputs"];

/// Text of a list or mapping that still stands on one line.
const MAX_LINE: usize = 100;

impl PipelineSpec {
    /// The file that says this. Reading it gives the same again.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut fields = object(serde_json::to_value(self).unwrap_or_default());
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for (name, step) in &self.steps {
            let group = if step.finally { &mut last } else { &mut first };
            group.push((name.clone(), of_step(step)));
        }
        fields.remove("steps");
        write_cache(&mut fields, self.cache);
        let mut out = in_order(fields, &PIPELINE_ORDER, &[]);
        out.push(("steps".to_owned(), Out::Map(first)));
        if !last.is_empty() {
            out.push(("finally".to_owned(), Out::Map(last)));
        }
        let mut text = String::new();
        Out::Map(out).write(0, &mut text);
        text
    }
}

fn of_step(step: &StepSpec) -> Out {
    let mut fields = object(serde_json::to_value(step).unwrap_or_default());
    fields.remove("finally");
    fields.remove("steps");
    if let Some(map) = &step.map {
        fields.insert("map".to_owned(), json!({ (map.item.as_str()): map.over.to_string() }));
    }
    if let Some(seconds) = step.timeout_seconds {
        fields.remove("timeout_seconds");
        fields.insert("timeout".to_owned(), Span::of_seconds(seconds).to_string().into());
    }
    if let Some(Value::Object(retries)) = fields.get_mut("retries") {
        for (from, to, seconds) in [
            ("backoff_seconds", "backoff", step.retries.backoff_seconds),
            ("max_seconds", "max", step.retries.max_seconds),
        ] {
            if retries.remove(from).is_some() {
                retries.insert(to.to_owned(), Span::of_seconds(seconds).to_string().into());
            }
        }
    }
    if let Some(Value::Object(resources)) = fields.get_mut("resources")
        && resources.remove("memory_bytes").is_some()
    {
        let bytes = step.resources.memory_bytes.unwrap_or_default();
        resources.insert("memory".to_owned(), memory(bytes).into());
    }
    if let Some(Value::Object(outputs)) = fields.get_mut("outputs") {
        for output in outputs.values_mut() {
            if let Some(from) = output.get_mut("from").map(Value::take) {
                *output = from;
            }
        }
    }
    write_cache(&mut fields, step.cache);
    let mut out = in_order(fields, &STEP_ORDER, &STEP_LAST);
    if let Some(steps) = step.steps() {
        let steps = steps.iter().map(|(name, step)| (name.clone(), of_step(step))).collect();
        let at = out.iter().position(|(key, _)| key == "outputs").unwrap_or(out.len());
        out.insert(at, ("steps".to_owned(), Out::Map(steps)));
    }
    Out::Map(out)
}

fn write_cache(fields: &mut Map<String, Value>, cache: Option<Cache>) {
    if let Some(cache) = cache {
        let written = match cache.max_age_seconds.filter(|_| cache.enabled) {
            Some(seconds) => json!({ "max_age": Span::of_seconds(seconds).to_string() }),
            None => cache.enabled.into(),
        };
        fields.insert("cache".to_owned(), written);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn in_order(fields: Map<String, Value>, first: &[&str], last: &[&str]) -> Vec<(String, Out)> {
    let place = |key: &str| match (first.iter().position(|known| *known == key), last.contains(&key)) {
        (Some(index), _) => index,
        (None, false) => first.len(),
        (None, true) => first.len() + 1,
    };
    let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
    fields.sort_by(|(one, _), (other, _)| (place(one), one).cmp(&(place(other), other)));
    fields.into_iter().map(|(key, value)| (key, Out::Value(value))).collect()
}

fn memory(bytes: u64) -> String {
    let units = [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let unit = units.into_iter().find(|(_, factor)| bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// A value as YAML, a key a line.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    Out::Value(value.clone()).write(0, &mut text);
    text
}

/// What is written: JSON, or a mapping whose keys stand in this order, each on a line of its own.
enum Out {
    Value(Value),
    Map(Vec<(String, Out)>),
}

impl Out {
    /// Writes it in lines of their own.
    fn write(&self, indent: usize, text: &mut String) {
        match self {
            Self::Map(entries) => {
                for (key, value) in entries {
                    let _ = write!(text, "{}{}:", " ".repeat(indent), scalar(key, false));
                    value.write_after(indent, text);
                }
            }
            Self::Value(Value::Object(fields)) if !fields.is_empty() => {
                for (key, value) in fields {
                    let _ = write!(text, "{}{}:", " ".repeat(indent), scalar(key, false));
                    Self::Value(value.clone()).write_after(indent, text);
                }
            }
            Self::Value(Value::Array(items)) if !items.is_empty() => {
                for item in items {
                    let _ = write!(text, "{}-", " ".repeat(indent));
                    Self::Value(item.clone()).write_after(indent, text);
                }
            }
            Self::Value(value) => {
                let _ = writeln!(text, "{}{}", " ".repeat(indent), line(value));
            }
        }
    }

    /// Writes it after a key or a dash: on the same line when it fits there.
    fn write_after(&self, indent: usize, text: &mut String) {
        match self {
            Self::Value(Value::String(value)) if is_block(value) => {
                // Where the first line is indented, how far the block itself is must be said.
                let hint = if value.starts_with([' ', '\n']) { "2" } else { "" };
                let keep = match value.strip_suffix('\n') {
                    None => "-",
                    Some(rest) if rest.ends_with('\n') => "+",
                    Some(_) => "",
                };
                let _ = writeln!(text, " |{hint}{keep}");
                for one in value.strip_suffix('\n').unwrap_or(value).split('\n') {
                    let _ = match one {
                        "" => writeln!(text),
                        _ => writeln!(text, "{}{one}", " ".repeat(indent + 2)),
                    };
                }
            }
            Self::Value(value) => {
                let short = line(value);
                let is_nested = |value: &Value| {
                    matches!(value, Value::Array(a) if !a.is_empty())
                        || matches!(value, Value::Object(o) if !o.is_empty())
                };
                let is_flat = match value {
                    Value::Array(items) => !items.iter().any(is_nested),
                    Value::Object(fields) => !fields.values().any(|value| is_nested(value) && !value.is_array()),
                    _ => true,
                };
                if is_flat && (short.len() + indent <= MAX_LINE || !is_nested(value)) {
                    let _ = writeln!(text, " {short}");
                } else {
                    text.push('\n');
                    self.write(indent + 2, text);
                }
            }
            Self::Map(entries) if entries.is_empty() => text.push_str(" {}\n"),
            Self::Map(_) => {
                text.push('\n');
                self.write(indent + 2, text);
            }
        }
    }
}

/// Whether a text is written line by line.
fn is_block(text: &str) -> bool {
    let is_plain = |c: char| {
        c == '\n' || c == '\t' || !(c.is_control() || ('\u{fe00}'..).contains(&c) || c == '\u{2028}' || c == '\u{2029}')
    };
    let is_blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    text.trim_end_matches('\n').contains('\n')
        && text.chars().all(is_plain)
        && !text.starts_with('\t')
        && !text.split('\n').any(is_blank)
}

/// A value on one line.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text, true),
        Value::Array(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", scalar(key, true), line(value));
            format!("{{ {} }}", fields.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A text as it is where nothing else can be read from it, in quotes otherwise.
fn scalar(text: &str, is_inside: bool) -> String {
    let is_word = |c: char| {
        c.is_ascii_alphanumeric() || "_./+-".contains(c) || (!is_inside && c == ' ') || (is_inside && c == '@')
    };
    let is_known =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    if begins && !text.ends_with(' ') && text.chars().all(is_word) && !is_known {
        return text.to_owned();
    }
    yaml::quoted(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use proptest::prelude::*;

    #[test]
    fn a_pipeline_is_read_again_as_it_was_written() {
        let source = r#"
name: everything
description: "All: of it"
executor: docker
image: python:3.12
priority: high
cache: { max_age: 7d }
seed: 4
params:
  rate: 0.1
  rows: { type: integer, default: 10, minimum: 1, description: "How many?" }
  opts: { type: object, default: { a: [1, "x"] } }
  day: { type: string }
  who: { type: string, optional: true }
env: { A: "yes", B: "${{ params.day }}" }
files:
  train.py: |
    import os

      # indented
    print(os.environ)
  empty/__init__.py:
  odd: "  first\n\nlast\n\n"
steps:
  list: { command: "echo [] > out", outputs: { all: { path: out, type: value }, d: { path: d, type: dataset, name: x }, m: { path: m, type: metrics, tolerance: 0.1 } } }
  region:
    map: { region: list.all }
    max_parallel: 3
    if: "size(params.day) > 0"
    needs: [list]
    steps:
      good: { if: "params.rate > 0.5", command: [a, "${{ params.region }}"], outputs: { out: a.txt }, cache: false, metrics: { tolerance: 0.01, varies: ["*_seconds"] } }
      bad: { command: [b], outputs: { out: b.txt }, timeout: 90m, retries: { count: 2, backoff: 1h, max: 2h, jitter: 0 } }
      many: { matrix: { x: [1, 2], y: [a] }, command: [c], resources: { cpu: 0.5, memory: 512Mi, gpu: 1 }, limits: gpu }
    outputs: { out: [good.out, bad.out], same: good.out }
  shout:
    command: [sh, -c, "echo {{$.inputs.parameters['x']}} ${{ not ours }}", "{{$}}"]
    inputs: { all: list.all, rows: { dataset: "rows-${{ params.day }}", version: 3, checked: true }, best: { dataset: rows, version: passed }, wine: { model: wine } }
    params: { x: 5 }
    outputs: { out: out, out-about: { path: about, type: value } }
    kfp:
      inputs:
        x: { type: NUMBER_INTEGER, from: params.x }
        All: { type: LIST, from: inputs.all, field: [a b] }
      outputs: { Out: { type: system.Model@0.0.1, to: out, about: out-about } }
finally:
  clean: { command: rm -rf x, pool: small }
"#;
        let spec = PipelineSpec::parse(source).unwrap();
        let written = spec.to_yaml();
        let again = PipelineSpec::parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again, spec, "{written}");
        assert!(written.contains("  train.py: |\n    import os\n\n      # indented\n"), "{written}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_again(text in "[a-z \\n\\t:#'\"\\\\{}\\[\\]|>\u{7f}\u{85}\u{2028}\u{feff}\u{fffe}\u{ffff}é-]{0,40}", key in "[a-zA-Z0-9 :{}'-]{1,10}") {
            let value = json!({ "a": text, "list": [text, [text]], (format!("k{key}")): { "x": [{ "y": text, "b": [text] }] } });
            let written = yaml(&value);
            let read = Document::read_all(&written).map_err(|problem| TestCaseError::fail(format!("{problem}\n{written}")))?;
            prop_assert_eq!(read[0].value(), &value, "{}", written);
        }
    }
}
