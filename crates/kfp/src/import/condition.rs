//! Conditions: theirs look at `inputs.parameter_values['x']` of a task, ours at params and inputs of a step.

use super::{
    leaf::{Taken, literal},
    show,
    source::{From, Source},
};

/// Translates a condition. `source` says where an input of the task comes from; what other steps give is added to `taken`.
pub(super) fn translate(
    condition: &str,
    taken: &mut Taken,
    mut source: impl FnMut(&str) -> Result<Source, String>,
) -> Result<String, String> {
    let mut out = String::new();
    for part in split(condition) {
        match part {
            Ok(text) => out.push_str(text),
            Err(name) => out.push_str(&operand(name, &source(name)?, taken)?),
        }
    }
    Ok(out)
}

fn operand(name: &str, source: &Source, taken: &mut Taken) -> Result<String, String> {
    let (mut path, fields) = match &source.from {
        From::Constant(value) => {
            return literal(value).ok_or_else(|| format!("it asks for \"{}\", which is no single value", show(name)));
        }
        From::Param(param, fields) => (member("params", param), fields.as_slice()),
        From::Output(output, fields) => (member("inputs", &taken.input(name, output)), fields.as_slice()),
        From::Text(..) | From::Status(_) | From::Absent => {
            return Err(format!("it asks for \"{}\", which is not known before the step begins", show(name)));
        }
    };
    for field in fields {
        path = member(&path, field);
    }
    Ok(path)
}

fn member(of: &str, name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_plain { format!("{of}.{name}") } else { format!("{of}[{}]", serde_json::Value::from(name)) }
}

/// The parts of a condition: text as it is, or the name of an input.
fn split(condition: &str) -> Vec<Result<&str, &str>> {
    const BEFORE: &str = "inputs.parameter_values[";
    let (mut parts, mut start, mut at, mut quote) = (Vec::new(), 0, 0, None);
    let bytes = condition.as_bytes();
    while at < bytes.len() {
        match (bytes[at], quote) {
            (b'\\', Some(_)) => at += 1,
            (byte, Some(open)) if byte == open => quote = None,
            (b'\'' | b'"', None) => quote = Some(bytes[at]),
            (b'i', None) if condition[at..].starts_with(BEFORE) => {
                let rest = &condition[at + BEFORE.len()..];
                let name = rest.chars().next().filter(|c| ['\'', '"'].contains(c));
                let name = name.and_then(|open| rest[1..].split_once(open)).filter(|(_, rest)| rest.starts_with(']'));
                if let Some((name, after)) = name {
                    parts.extend([Ok(&condition[start..at]), Err(name)]);
                    start = condition.len() - after.len() + 1;
                    at = start;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(Ok(condition.get(start..).unwrap_or_default()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::pipeline::{OutputRef, kfp::KfpKind};
    use serde_json::json;

    #[test]
    fn conditions_look_at_params_and_inputs() {
        let mut taken = Taken::default();
        let mut of = |condition: &str| {
            translate(condition, &mut taken, |name| {
                Ok(match name {
                    "acc" => Source {
                        from: From::Output(OutputRef { step: "train".into(), output: "accuracy".into() }, Vec::new()),
                        kind: KfpKind::Double,
                    },
                    "item" => Source { from: From::Param("loop-item".into(), vec!["a".into()]), kind: KfpKind::String },
                    "const" => Source { from: From::Constant(json!("it's")), kind: KfpKind::String },
                    "pipelinechannel--n" => {
                        Source { from: From::Param("n".into(), Vec::new()), kind: KfpKind::Integer }
                    }
                    _ => return Err("no".to_owned()),
                })
            })
        };
        assert_eq!(of("inputs.parameter_values['acc'] > 0.5").unwrap(), "inputs.acc > 0.5");
        assert_eq!(
            of("!(int(inputs.parameter_values['pipelinechannel--n']) == 3) && inputs.parameter_values[\"item\"] == 'inputs.parameter_values[\\'acc\\']'").unwrap(),
            "!(int(params.n) == 3) && params[\"loop-item\"].a == 'inputs.parameter_values[\\'acc\\']'"
        );
        assert_eq!(of("inputs.parameter_values['const'] == 'x'").unwrap(), "\"it's\" == 'x'");
        assert!(of("inputs.parameter_values['other'] == 'x'").is_err());
        assert_eq!(taken.inputs.keys().collect::<Vec<_>>(), ["acc"]);
    }
}
