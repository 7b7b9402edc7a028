//! Whether a run that does another again came to the same.

use super::StepState;
use crate::step::StepOutput;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// Not known: there was nothing that could be other.
    NothingToCompare,
}

impl Sameness {
    /// The name on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::WithinTolerance => "within_tolerance",
            Self::Diverged => "diverged",
            Self::NothingToCompare => "nothing_to_compare",
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
    /// How many metrics of tracked runs were compared.
    #[serde(default)]
    pub metrics: usize,
    /// The first step that came to something else, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Difference>,
    /// All that is not the same bytes, in the order of the steps; up to a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What was other on the machines of the steps that differ, in words: `numpy: 2.1.0 → 2.2.0`; up to twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surroundings: Vec<String>,
}

/// Something that is not the same bytes as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// The step; behind a step that ran another pipeline and a `/`, one of that run.
    pub step: String,
    /// Its output, when it is one that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The metric of its tracked run, when it is one that differs. Without either, the step itself went otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// How alike they are all the same.
    pub sameness: Sameness,
    /// How they differ, in a sentence.
    pub how: String,
}

/// The most differences that are kept.
const MOST_DIFFERENCES: usize = 100;

/// How much was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Steps.
    pub steps: usize,
    /// Outputs.
    pub outputs: usize,
    /// Metrics of tracked runs.
    pub metrics: usize,
}

impl Verdict {
    /// The verdict on runs of which so much was compared, with these differences, which are in the order of the steps. Where
    /// neither an output nor a metric was compared it is not known whether they came to the same.
    #[must_use]
    pub fn of(compared: Extent, mut differences: Vec<Difference>) -> Self {
        let Extent { steps, outputs, metrics } = compared;
        let sameness = differences.iter().map(|difference| difference.sameness).max();
        let sameness = sameness.unwrap_or(match outputs + metrics {
            0 => Sameness::NothingToCompare,
            _ => Sameness::Identical,
        });
        let first = differences.iter().find(|difference| difference.sameness == Sameness::Diverged).cloned();
        differences.truncate(MOST_DIFFERENCES);
        Self { sameness, steps, outputs, metrics, first, differences, surroundings: Vec::new() }
    }

    /// The verdict in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match (&self.first, self.sameness) {
            (Some(first), _) => format!("Diverged first in {}: {}", first.place(), first.how),
            (None, Sameness::WithinTolerance) => "Reproduced within the tolerance.".to_owned(),
            (None, Sameness::NothingToCompare) => {
                "Nothing could be compared: no step gave an output or logged a metric that is to be the same each time."
                    .to_owned()
            }
            (None, _) => "Reproduced, byte for byte.".to_owned(),
        }
    }
}

impl Difference {
    /// What differs: `the output model of train`, `the metric loss of train`, `train`.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.output, &self.metric) {
            (Some(output), _) => format!("the output {output} of {}", self.step),
            (None, Some(metric)) => format!("the metric {metric} of {}", self.step),
            (None, None) => self.step.clone(),
        }
    }

    /// A step that went otherwise.
    #[must_use]
    pub fn of_step(step: String, how: String) -> Self {
        Self { step, output: None, metric: None, sameness: Sameness::Diverged, how }
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
    Some(Difference::of_step(before.name.clone(), how))
}

/// A tracked run of a step, as far as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    /// What it is called.
    pub name: String,
    /// The last value of each of its metrics.
    pub metrics: BTreeMap<String, f64>,
}

/// How the metrics of the tracked runs of a step, in the order in which it began them, differ from those before; and how many
/// were compared. `tolerance` is the share by which a metric may differ, or none for one that is not compared.
///
/// A run is compared with the one of its name, and else with the next that is left: names may have the time in them.
#[must_use]
pub fn compare_metrics(
    step: &str,
    before: &[Tracked],
    after: &[Tracked],
    tolerance: impl Fn(&str) -> Option<f64>,
) -> (usize, Vec<Difference>) {
    let (mut compared, mut differences) = (0, Vec::new());
    let told = |metric: &str, sameness, how| Difference {
        step: step.to_owned(),
        output: None,
        metric: Some(metric.to_owned()),
        sameness,
        how,
    };
    for (one, other) in paired(before, after) {
        let Some(other) = other else {
            let how = format!("It logged the tracked run {} before, and not again.", one.name);
            differences.push(Difference::of_step(step.to_owned(), how));
            continue;
        };
        for (metric, a) in &one.metrics {
            let Some(tolerance) = tolerance(metric) else { continue };
            compared += 1;
            let Some(b) = other.metrics.get(metric) else {
                differences.push(told(metric, Sameness::Diverged, "It was not logged again.".to_owned()));
                continue;
            };
            match compare_numbers(*a, *b, tolerance) {
                Closeness::Same => {}
                Closeness::Near(_, how) => differences.push(told(metric, Sameness::WithinTolerance, how)),
                Closeness::Far(how) => differences.push(told(metric, Sameness::Diverged, how)),
            }
        }
        let is_new = |metric: &&String| !one.metrics.contains_key(*metric) && tolerance(metric).is_some();
        for metric in other.metrics.keys().filter(is_new) {
            differences.push(told(metric, Sameness::Diverged, "It was not logged before.".to_owned()));
        }
    }
    if after.len() > before.len() {
        let how = format!("It logged {} tracked runs before, and {} now.", before.len(), after.len());
        differences.push(Difference::of_step(step.to_owned(), how));
    }
    (compared, differences)
}

/// Each run of before with the one that it is compared with.
fn paired<'a>(before: &'a [Tracked], after: &'a [Tracked]) -> Vec<(&'a Tracked, Option<&'a Tracked>)> {
    let mut left: Vec<&Tracked> = after.iter().collect();
    let mut pairs: Vec<(&Tracked, Option<&Tracked>)> = Vec::with_capacity(before.len());
    for one in before {
        let at = left.iter().position(|other| other.name == one.name);
        pairs.push((one, at.map(|at| left.remove(at))));
    }
    let mut left = left.into_iter();
    for (_, other) in &mut pairs {
        *other = other.or_else(|| left.next());
    }
    pairs
}

/// How alike two numbers are.
enum Closeness {
    Same,
    /// Other, and no further apart than they may be: by this share.
    Near(f64, String),
    Far(String),
}

fn compare_numbers(a: f64, b: f64, tolerance: f64) -> Closeness {
    #[allow(clippy::float_cmp)] // the same number
    if a == b || (a.is_nan() && b.is_nan()) {
        return Closeness::Same;
    }
    if !a.is_finite() || !b.is_finite() {
        return Closeness::Far(format!("{a} before, {b} now."));
    }
    // Each by the larger first: the difference of two that are very large is no number.
    let larger = a.abs().max(b.abs());
    let apart = (a / larger - b / larger).abs();
    let how = format!("{a} before, {b} now ({:.3} % apart).", apart * 100.0);
    // What rounding takes is given back.
    match apart <= tolerance + 4.0 * f64::EPSILON && tolerance > 0.0 {
        true => Closeness::Near(apart, how),
        false => Closeness::Far(how),
    }
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
            match compare_numbers(a, b, tolerance) {
                Closeness::Same => None,
                Closeness::Near(apart, how) => {
                    if worst.as_ref().is_none_or(|(most, _)| apart > *most) {
                        *worst = Some((apart, format!("{}: {how}", place(path))));
                    }
                    None
                }
                Closeness::Far(how) => Some(format!("{}: {how}", place(path))),
            }
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
            metric: None,
            sameness,
            how: "So.".to_owned(),
        };
        let all = Extent { steps: 3, outputs: 3, metrics: 0 };
        assert_eq!(Verdict::of(all, Vec::new()).sentence(), "Reproduced, byte for byte.");
        let near = difference("a", Sameness::WithinTolerance);
        assert_eq!(Verdict::of(all, vec![near.clone()]).sentence(), "Reproduced within the tolerance.");
        let far =
            Verdict::of(all, vec![near, difference("b", Sameness::Diverged), difference("c", Sameness::Diverged)]);
        assert_eq!(far.sameness, Sameness::Diverged);
        assert_eq!(far.sentence(), "Diverged first in the output o of b: So.");
    }

    #[test]
    fn where_nothing_was_compared_nothing_is_the_same() {
        let of =
            |outputs, metrics, differences| Verdict::of(Extent { steps: 2, outputs, metrics }, differences).sameness;
        assert_eq!(of(0, 0, Vec::new()), Sameness::NothingToCompare);
        assert_eq!(of(0, 1, Vec::new()), Sameness::Identical);
        assert_eq!(of(1, 0, Vec::new()), Sameness::Identical);
        let ended_otherwise = Difference::of_step("a".to_owned(), "So.".to_owned());
        assert_eq!(of(0, 0, vec![ended_otherwise]), Sameness::Diverged);
    }

    #[test]
    fn metrics_of_tracked_runs_are_compared_by_their_names() {
        let run = |name: &str, metrics: &[(&str, f64)]| Tracked {
            name: name.to_owned(),
            metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let tolerance = |metric: &str| (metric != "seconds").then_some(0.01);
        let compare = |before: &[Tracked], after: &[Tracked]| {
            let (compared, differences) = compare_metrics("train", before, after, tolerance);
            let told: Vec<String> =
                differences.iter().map(|d| format!("{} {}: {}", d.sameness.as_str(), d.place(), d.how)).collect();
            (compared, told)
        };
        let nan = f64::NAN;
        let before = [run("a", &[("loss", 1.0), ("nan", nan), ("seconds", 3.0)]), run("b", &[("loss", 2.0)])];
        // In another order, and with another time.
        let same = [run("b", &[("loss", 2.0)]), run("a", &[("loss", 1.0), ("nan", nan), ("seconds", 9.0)])];
        assert_eq!(compare(&before, &same), (3, Vec::new()));
        let near = [run("a", &[("loss", 1.001), ("nan", nan)]), run("of 10:31", &[("loss", 2.0)])];
        assert_eq!(
            compare(&before, &near).1,
            ["within_tolerance the metric loss of train: 1 before, 1.001 now (0.100 % apart)."]
        );
        let far = [run("a", &[("loss", nan), ("more", 1.0)]), run("b", &[("loss", 3.0)]), run("c", &[])];
        assert_eq!(
            compare(&before, &far).1,
            [
                "diverged the metric loss of train: 1 before, NaN now.",
                "diverged the metric nan of train: It was not logged again.",
                "diverged the metric more of train: It was not logged before.",
                "diverged the metric loss of train: 2 before, 3 now (33.333 % apart).",
                "diverged train: It logged 2 tracked runs before, and 3 now.",
            ]
        );
        let gone = compare(&before, &before[..1]);
        assert_eq!(gone, (2, vec!["diverged train: It logged the tracked run b before, and not again.".to_owned()]));
        let exactly = compare_metrics("s", &before[1..], &[run("b", &[("loss", 2.000_001)])], |_| Some(0.0));
        assert_eq!(exactly.1[0].sameness, Sameness::Diverged);
    }
}
