//! Gates: the automatic conditions of a policy, and what they found.
//!
//! Each sort of gate is a file here: a function of values that were read elsewhere, which gives a [`Finding`]. What is
//! missing, is not a number or is too little to tell is [`Verdict::Inconclusive`], never a pass.

pub mod card;
#[cfg(not(target_arch = "wasm32"))]
pub mod cel;
mod champion;
pub mod dataset;
pub mod external;
pub mod latency;
mod metric;
pub mod promql;
pub mod reproduction;
pub mod rows;
pub mod signature;
pub mod slices;

pub use champion::{better_by_rows, better_than_champion};
pub use metric::metric_threshold;

use crate::policy::GateSpec;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a gate found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not evaluated yet.
    Pending,
    /// The condition holds.
    Pass,
    /// The condition does not hold.
    Fail,
    /// It cannot be told: something is missing or not a number. Never a pass.
    Inconclusive,
}

impl Verdict {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Pass, Self::Fail, Self::Inconclusive].into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// What a gate measured, and against what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The measured value with its unit, for people.
    pub measured: String,
    /// What it was held against, for people.
    pub limit: String,
    /// Why, in one sentence.
    pub reason: String,
    /// The numbers behind it.
    pub evidence: serde_json::Value,
}

impl Finding {
    /// A finding that could not be made.
    pub fn inconclusive(limit: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Inconclusive,
            measured: "–".to_owned(),
            limit: limit.into(),
            reason: reason.into(),
            evidence: serde_json::Value::Null,
        }
    }

    /// The same, with numbers that it was held against or that say what it is about.
    #[must_use]
    pub fn with(self, evidence: serde_json::Value) -> Self {
        Self { evidence, ..self }
    }

    /// What a gate waits for that cannot be evaluated yet; a sentence.
    pub fn waiting(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pending, ..Self::inconclusive("", reason) }
    }
}

/// One gate of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gate {
    /// Its place among the promotion's gates, from 0.
    pub position: i32,
    /// The policy that asks for it.
    pub policy: String,
    /// Whether it runs dry: it is measured and shown, and decides nothing.
    pub advisory: bool,
    /// What it asks.
    pub spec: GateSpec,
    /// What it found. While it is pending: none, or what it waits for.
    pub finding: Option<Finding>,
    /// When it was evaluated.
    pub evaluated_at: Option<DateTime<Utc>>,
    /// When something outside was asked; none for what is found out here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<DateTime<Utc>>,
}

impl Gate {
    /// What it found so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.finding.as_ref().map_or(Verdict::Pending, |finding| finding.verdict)
    }
}

/// Whether the gain between two values is at least `min_gain`, but for what rounding takes: 0.82 is better than 0.80 by
/// 0.02, though the difference of the nearest binary numbers is a little less.
///
/// Each of the three numbers is within half a unit in the last place (ulp) of what was meant, and the subtraction adds
/// half an ulp of the difference: together less than 3 ulp of the greatest of them. An ulp is at most `EPSILON` times
/// its number (Goldberg, What Every Computer Scientist Should Know About Floating-Point Arithmetic, 1991), so 4 times
/// that is let pass.
fn reaches(gain: f64, min_gain: f64, value: f64, theirs: f64) -> bool {
    let slack = 4.0 * f64::EPSILON * value.abs().max(theirs.abs()).max(min_gain);
    gain >= min_gain - if slack.is_finite() { slack } else { 0.0 }
}

/// The verdict of a condition that holds or does not.
fn held(holds: bool) -> Verdict {
    if holds { Verdict::Pass } else { Verdict::Fail }
}

/// `1 row`, `200,000 rows`.
fn counted(count: usize, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {}", if count == 1 { one } else { many })
}

/// A number with at most four places, for people.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short_and_has_a_true_minus() {
        assert_eq!(number(0.912_345_6), "0.9123");
        assert_eq!(number(-2.0), "−2");
        assert_eq!(number(100.0), "100");
    }

    /// The blocks of the documentation in this language.
    fn documented(language: &str) -> Vec<&'static str> {
        let text = include_str!("../../../../../docs/gates.md");
        let blocks = text.split("\n```").skip(1).step_by(2);
        blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
    }

    #[test]
    fn the_policy_in_the_documentation_is_one_with_each_sort_of_gate() {
        let policy = crate::policy::PolicyDocument::parse(documented("yaml")[0]).unwrap();
        let kinds: std::collections::BTreeSet<&str> = policy.gates.iter().map(GateSpec::kind).collect();
        assert_eq!((kinds.len(), policy.gates.len(), policy.advisory.len()), (12, 12, 1));
    }

    #[test]
    fn the_expressions_in_the_documentation_are_understood() {
        let expressions: Vec<&str> = documented("")[0].lines().collect();
        assert_eq!(expressions.len(), 4);
        for expression in expressions {
            assert_eq!(cel::check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn what_is_counted_is_read_in_thousands() {
        let rows = |count| counted(count, "row", "rows");
        assert_eq!(
            [rows(1), rows(0), rows(999), rows(1_000), rows(1_234_567)],
            ["1 row", "0 rows", "999 rows", "1,000 rows", "1,234,567 rows"]
        );
    }
}
