//! Whether a run that does another again came to the same.

use super::StepState;
use crate::step::StepOutput;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How alike two runs, steps or outputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sameness {
    /// The same bytes.
    Identical,
    /// Other bytes, and numbers that differ by no more than they may, or a notebook whose cells came to the same at another
    /// time.
    WithinTolerance,
    /// Something else.
    Diverged,
}

impl Sameness {
    /// The name on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::WithinTolerance => "within_tolerance",
            Self::Diverged => "diverged",
        }
    }
}

/// What came of doing a run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ReproductionVerdict))]
pub struct Verdict {
    /// The worst of all steps.
    pub sameness: Sameness,
    /// How many steps were compared.
    pub steps: usize,
    /// How many outputs were compared.
    pub outputs: usize,
    /// The first step that came to something else, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Difference>,
    /// All that is not the same bytes, in the order of the steps; up to a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// Something that is not the same bytes as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// The step.
    pub step: String,
    /// Its output; none when the step itself ended otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How alike they are all the same.
    pub sameness: Sameness,
    /// How they differ, in a sentence.
    pub how: String,
}

/// The most differences that are kept.
const MOST_DIFFERENCES: usize = 100;

impl Verdict {
    /// The verdict on runs with these differences, which are in the order of the steps.
    #[must_use]
    pub fn of(steps: usize, outputs: usize, mut differences: Vec<Difference>) -> Self {
        let sameness = differences.iter().map(|difference| difference.sameness).max().unwrap_or(Sameness::Identical);
        let first = differences.iter().find(|difference| difference.sameness == Sameness::Diverged).cloned();
        differences.truncate(MOST_DIFFERENCES);
        Self { sameness, steps, outputs, first, differences }
    }

    /// The verdict in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match (&self.first, self.sameness) {
            (Some(Difference { step, output: Some(output), how, .. }), _) => {
                format!("Diverged first in the output {output} of {step}: {how}")
            }
            (Some(Difference { step, output: None, how, .. }), _) => format!("Diverged first in {step}: {how}"),
            (None, Sameness::WithinTolerance) => "Reproduced within the tolerance.".to_owned(),
            (None, _) => "Reproduced, byte for byte.".to_owned(),
        }
    }
}

/// A step as far as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub state: StepState,
    /// What it gave.
    pub outputs: Vec<StepOutput>,
}

/// How a step ended otherwise, if it did.
#[must_use]
pub fn compare_states(before: &Compared, after: Option<&Compared>) -> Option<Difference> {
    let how = match after {
        None => format!("It was not there again; it had {} before.", before.state.as_str()),
        Some(after) if after.state != before.state => {
            format!("It {} before and is {} now.", before.state.as_str(), after.state.as_str())
        }
        Some(_) => return None,
    };
    Some(Difference { step: before.name.clone(), output: None, sameness: Sameness::Diverged, how })
}

/// How alike two outputs of other bytes are, as far as their values tell; none when there are no values, so that only the
/// bytes could. `tolerance` is the share by which numbers may differ.
#[must_use]
pub fn compare_values(before: &StepOutput, after: &StepOutput, tolerance: f64) -> Option<(Sameness, String)> {
    let (Some(one), Some(other)) = (&before.value, &after.value) else { return None };
    let mut worst = None;
    let mut path = Vec::new();
    match differ(one, other, tolerance, &mut path, &mut worst) {
        Some(how) => Some((Sameness::Diverged, how)),
        None => {
            let how = worst.map_or_else(
                || "The same values, written otherwise.".to_owned(),
                |(_, how): (f64, String)| format!("Within the tolerance; most of all {how}"),
            );
            Some((Sameness::WithinTolerance, how))
        }
    }
}

/// The first place where two values differ by more than they may; `worst` gets the largest difference that they may have.
fn differ(
    one: &Value,
    other: &Value,
    tolerance: f64,
    path: &mut Vec<String>,
    worst: &mut Option<(f64, String)>,
) -> Option<String> {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            #[allow(clippy::float_cmp)] // the same number
            if a == b {
                return None;
            }
            let apart = (a - b).abs() / a.abs().max(b.abs());
            let how = format!("{}: {a} before, {b} now ({:.3} % apart).", place(path), apart * 100.0);
            // What rounding takes is given back.
            if apart <= tolerance + 4.0 * f64::EPSILON && tolerance > 0.0 {
                if worst.as_ref().is_none_or(|(most, _)| apart > *most) {
                    *worst = Some((apart, how));
                }
                return None;
            }
            Some(how)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| {
                path.push(index.to_string());
                let found = differ(a, b, tolerance, path, worst);
                path.pop();
                found
            })
        }
        (Value::Object(a), Value::Object(b)) => {
            if let Some(key) = a.keys().find(|key| !b.contains_key(*key)) {
                return Some(format!("{} has no \"{key}\" now.", place(path)));
            }
            if let Some(key) = b.keys().find(|key| !a.contains_key(*key)) {
                return Some(format!("{} had no \"{key}\" before.", place(path)));
            }
            a.iter().find_map(|(key, a)| {
                path.push(key.clone());
                let found = differ(a, b.get(key)?, tolerance, path, worst);
                path.pop();
                found
            })
        }
        (a, b) if a == b => None,
        (Value::Array(a), Value::Array(b)) => {
            Some(format!("{}: {} entries before, {} now.", place(path), a.len(), b.len()))
        }
        (a, b) => Some(format!("{}: {} before, {} now.", place(path), short(a), short(b))),
    }
}

fn place(path: &[String]) -> String {
    if path.is_empty() { "The value".to_owned() } else { path.join(".") }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use serde_json::json;

    fn output(value: Value) -> StepOutput {
        StepOutput {
            name: "scores".to_owned(),
            path: "scores.json".to_owned(),
            kind: None,
            is_folder: false,
            digest: Digest::blake3([1; 32]),
            size: 1,
            value: Some(value),
            version: None,
        }
    }

    fn compared(before: Value, after: Value, tolerance: f64) -> (Sameness, String) {
        compare_values(&output(before), &output(after), tolerance).unwrap()
    }

    #[test]
    fn numbers_may_differ_by_a_share_of_the_larger() {
        let (sameness, how) = compared(json!({"a": 100.0, "b": 2}), json!({"a": 101.0, "b": 2}), 0.01);
        assert_eq!(sameness, Sameness::WithinTolerance);
        assert_eq!(how, "Within the tolerance; most of all a: 100 before, 101 now (0.990 % apart).");
        let (sameness, how) = compared(json!({"a": 100.0}), json!({"a": 102.0}), 0.01);
        assert_eq!((sameness, &*how), (Sameness::Diverged, "a: 100 before, 102 now (1.961 % apart)."));
        assert_eq!(compared(json!(1.0), json!(1.000_001), 0.0).0, Sameness::Diverged, "exactly, unless said otherwise");
        assert_eq!(compared(json!(0), json!(1), 1.0).0, Sameness::WithinTolerance);
        assert_eq!(compared(json!(-1), json!(1), 1.0).0, Sameness::Diverged);
    }

    #[test]
    fn anything_but_numbers_must_be_equal() {
        assert_eq!(compared(json!([1, "a"]), json!([1, "a"]), 0.5).0, Sameness::WithinTolerance);
        for (before, after, told) in [
            (json!([1, "a"]), json!([1, "b"]), "1: \"a\" before, \"b\" now."),
            (json!([1]), json!([1, 2]), "The value: 1 entries before, 2 now."),
            (json!({"a": 1}), json!({}), "The value has no \"a\" now."),
            (json!({"x": {}}), json!({"x": {"b": 1}}), "x had no \"b\" before."),
            (json!({"x": [true]}), json!({"x": [null]}), "x.0: true before, null now."),
        ] {
            assert_eq!(compared(before, after, 0.5), (Sameness::Diverged, told.to_owned()));
        }
    }

    #[test]
    fn the_verdict_is_the_worst_and_names_the_first_that_diverged() {
        let difference = |step: &str, sameness| Difference {
            step: step.to_owned(),
            output: Some("o".to_owned()),
            sameness,
            how: "So.".to_owned(),
        };
        assert_eq!(Verdict::of(3, 3, Vec::new()).sentence(), "Reproduced, byte for byte.");
        let near = difference("a", Sameness::WithinTolerance);
        assert_eq!(Verdict::of(3, 3, vec![near.clone()]).sentence(), "Reproduced within the tolerance.");
        let far =
            Verdict::of(3, 3, vec![near, difference("b", Sameness::Diverged), difference("c", Sameness::Diverged)]);
        assert_eq!(far.sameness, Sameness::Diverged);
        assert_eq!(far.sentence(), "Diverged first in the output o of b: So.");
    }
}
