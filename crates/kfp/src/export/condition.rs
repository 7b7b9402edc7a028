//! Conditions: ours look at params and inputs of a step, theirs at `inputs.parameter_values['x']` of a task.

use super::{
    Export, Task,
    scope::{Frame, Need, Needs},
};
use domain::pipeline::{InputSpec, StepSpec, kfp::KfpKind};

/// A part of a condition.
enum Part<'a> {
    Text(&'a str),
    Member(&'a str, &'a str),
}

impl Export<'_> {
    pub(super) fn condition(
        &mut self,
        frame: &Frame<'_>,
        name: &str,
        step: &StepSpec,
        condition: &str,
        task: &mut Task,
        needs: &mut Needs,
    ) -> Result<String, String> {
        let mut out = String::new();
        for part in parts(condition)? {
            let (kind, member) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Member(kind, member) => (kind, member),
            };
            let (key, need) = match kind {
                "params" if step.params.contains_key(member) => {
                    return Err(format!("it asks for the param \"{member}\" of the step itself"));
                }
                "params" => (format!("pipelinechannel--{member}"), Need::Param(member.to_owned())),
                "inputs" => match step.inputs.get(member).and_then(InputSpec::output) {
                    Some(output) => (frame.input_key(step, member), Need::Output(output.clone())),
                    None => return Err(format!("the step has no input \"{member}\"")),
                },
                _ => return Err("it asks how other steps ended".to_owned()),
            };
            if let Need::Output(output) = &need
                && let Some(leaf) = frame.leaf_of(output)
            {
                if self.kind_of_leaf(&leaf).is_artifact() {
                    return Err(format!("\"{member}\" is a file"));
                }
                if leaf.step.kfp.is_none() && self.kind_of_leaf(&leaf) == KfpKind::String {
                    return Err(format!(
                        "what \"{member}\" is cannot be told from it; compare it with a number or a truth value"
                    ));
                }
            }
            let source = self.source(frame, name, &need, needs);
            task.parameters.insert(key.clone(), source);
            out.push_str(&format!("inputs.parameter_values['{key}']"));
        }
        Ok(out)
    }
}

/// What a condition takes an input for, when that can be seen.
pub(super) fn kind_of(condition: &str, input: &str) -> Option<KfpKind> {
    let parts = parts(condition).ok()?;
    let at = parts.iter().position(|part| matches!(part, Part::Member("inputs", member) if *member == input))?;
    let after = match parts.get(at + 1) {
        Some(Part::Text(text)) => text.trim_start(),
        _ => "",
    };
    let operators = ["==", "!=", "<=", ">=", "<", ">"];
    match operators.iter().find_map(|operator| after.strip_prefix(operator)).map(str::trim_start) {
        Some(other) if other.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => Some(KfpKind::Double),
        Some(other) if other.starts_with("true") || other.starts_with("false") => Some(KfpKind::Boolean),
        Some(_) => None,
        None if after.is_empty() || after.starts_with("&&") || after.starts_with("||") || after.starts_with(')') => {
            Some(KfpKind::Boolean)
        }
        None => None,
    }
}

fn parts(condition: &str) -> Result<Vec<Part<'_>>, String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = condition.as_bytes();
    let (mut found, mut start, mut at, mut quote) = (Vec::new(), 0, 0, None);
    while at < bytes.len() {
        match (bytes[at], quote) {
            (b'\\', Some(_)) => at += 1,
            (byte, Some(open)) if byte == open => quote = None,
            (b'\'' | b'"', None) => quote = Some(bytes[at]),
            (byte, None)
                if byte.is_ascii_lowercase() && (at == 0 || (!is_word(bytes[at - 1]) && bytes[at - 1] != b'.')) =>
            {
                let kind = ["params", "inputs", "steps"].into_iter().find(|kind| {
                    condition[at..].strip_prefix(kind).is_some_and(|rest| !rest.bytes().next().is_some_and(is_word))
                });
                if let Some(kind) = kind {
                    let (member, end) = member(&condition[at + kind.len()..])
                        .ok_or_else(|| format!("it looks at all {kind} at once"))?;
                    found.push(Part::Text(&condition[start..at]));
                    found.push(Part::Member(&condition[at..at + kind.len()], member));
                    at += kind.len() + end;
                    start = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found.push(Part::Text(condition.get(start..).unwrap_or_default()));
    Ok(found)
}

/// `.name` or `["name"]`: the name, and how long that is.
fn member(text: &str) -> Option<(&str, usize)> {
    if let Some(rest) = text.strip_prefix('.') {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        return (length > 0).then(|| (&rest[..length], length + 1));
    }
    let rest = text.strip_prefix('[')?;
    let quote = rest.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    let (name, after) = rest[1..].split_once(quote)?;
    after.starts_with(']').then(|| (name, text.len() - after.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_condition_takes_an_input_for_is_seen() {
        assert_eq!(kind_of("inputs.a > 0.9 && inputs.b", "a"), Some(KfpKind::Double));
        assert_eq!(kind_of("inputs.a > 0.9 && inputs.b", "b"), Some(KfpKind::Boolean));
        assert_eq!(kind_of("inputs['a-b'] == true", "a-b"), Some(KfpKind::Boolean));
        assert_eq!(kind_of("inputs.a == 'x'", "a"), None);
        assert_eq!(kind_of("'inputs.a' == params.x", "a"), None);
    }
}
