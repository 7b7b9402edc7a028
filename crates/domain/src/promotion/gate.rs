//! Gates: the automatic conditions of a policy, and what they found.

use crate::policy::{Better, GateSpec};
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
}

impl Gate {
    /// What it found so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.finding.as_ref().map_or(Verdict::Pending, |finding| finding.verdict)
    }
}

/// Whether a metric reaches its threshold.
#[must_use]
pub fn metric_threshold(metric: &str, better: Better, threshold: f64, value: Option<f64>) -> Finding {
    let limit = match better {
        Better::Higher => format!("≥ {threshold}"),
        Better::Lower => format!("≤ {threshold}"),
    };
    let Some(value) = value else {
        return Finding::inconclusive(
            limit,
            format!("The version's run has no metric \"{metric}\"; log it, or change the policy."),
        );
    };
    if value.is_nan() {
        return Finding::inconclusive(limit, format!("\"{metric}\" is not a number."));
    }
    let pass = better.gain(value, threshold) >= 0.0;
    Finding {
        verdict: if pass { Verdict::Pass } else { Verdict::Fail },
        measured: number(value),
        limit,
        reason: if pass { "The threshold is reached.".to_owned() } else { "The threshold is not reached.".to_owned() },
        evidence: serde_json::json!({ "metric": metric, "value": value, "threshold": threshold }),
    }
}

/// Whether a metric is better than the champion's by at least `min_gain`. `champion` is none when there is none, and
/// its value none when its run lacks the metric. What rounding takes of a gain is given back.
#[must_use]
pub fn better_than_champion(
    metric: &str,
    better: Better,
    min_gain: f64,
    value: Option<f64>,
    champion: Option<(&str, Option<f64>)>,
) -> Finding {
    let Some((title, champion_value)) = champion else {
        return Finding {
            verdict: Verdict::Pass,
            measured: value.map_or_else(|| "–".to_owned(), number),
            limit: "no champion yet".to_owned(),
            reason: "Nothing serves in this environment yet, so there is nothing to beat.".to_owned(),
            evidence: serde_json::json!({ "metric": metric, "value": value.filter(|v| v.is_finite()), "champion": null }),
        };
    };
    let limit =
        if min_gain > 0.0 { format!("gain ≥ {min_gain} on {title}") } else { format!("no worse than {title}") };
    let (Some(value), Some(theirs)) = (value, champion_value) else {
        let who = if value.is_none() { "The version's run" } else { "The champion's run" };
        let reason = format!("{who} has no metric \"{metric}\", so the two cannot be compared.");
        return Finding::inconclusive(limit, reason);
    };
    let gain = better.gain(value, theirs);
    if gain.is_nan() {
        return Finding::inconclusive(limit, format!("\"{metric}\" is not a number for one of the two."));
    }
    let pass = reaches(gain, min_gain, value, theirs);
    let sign = if value >= theirs { "+" } else { "−" };
    Finding {
        verdict: if pass { Verdict::Pass } else { Verdict::Fail },
        measured: format!("{} ({sign}{})", number(value), number((value - theirs).abs())),
        limit,
        reason: match (pass, gain < 0.0) {
            (true, _) => format!("{title} has {}.", number(theirs)),
            (false, true) => format!("{title} is better, with {}.", number(theirs)),
            (false, false) => format!("{title} has {}, so the gain is too small.", number(theirs)),
        },
        evidence: serde_json::json!({
            "metric": metric, "value": value, "champion": title, "champion_value": theirs, "gain": gain,
        }),
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
    fn missing_and_nan_metrics_never_pass() {
        for value in [None, Some(f64::NAN)] {
            assert_eq!(metric_threshold("accuracy", Better::Higher, 0.5, value).verdict, Verdict::Inconclusive);
            let champion = Some(("churn v1", Some(0.5)));
            let finding = better_than_champion("accuracy", Better::Higher, 0.0, value, champion);
            assert_eq!(finding.verdict, Verdict::Inconclusive);
        }
        let unknown = Some(("churn v1", None));
        assert_eq!(better_than_champion("a", Better::Higher, 0.0, Some(1.0), unknown).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_lower_loss_beats_the_champion() {
        let champion = Some(("churn v1", Some(0.5)));
        assert_eq!(better_than_champion("loss", Better::Lower, 0.0, Some(0.4), champion).verdict, Verdict::Pass);
        assert_eq!(better_than_champion("loss", Better::Lower, 0.2, Some(0.4), champion).verdict, Verdict::Fail);
    }

    #[test]
    fn a_gain_is_held_against_its_least_in_decimal_numbers() {
        use Better::{Higher, Lower};
        use Verdict::{Fail, Pass};
        for (better, min_gain, value, theirs, verdict) in [
            // What rounding takes is given back.
            (Higher, 0.02, 0.82, 0.80, Pass),
            (Higher, 0.01, 0.91, 0.90, Pass),
            (Lower, 0.1, 0.2, 0.3, Pass),
            (Lower, 0.3, 0.3, 0.6, Pass),
            (Higher, 0.1, 1_000_000.3, 1_000_000.2, Pass),
            (Higher, 0.1, -0.2, -0.3, Pass),
            (Higher, 0.0, 0.3, 0.1 + 0.2, Pass),
            (Higher, 0.0, 0.0, 0.0, Pass),
            // And no more than that.
            (Higher, 0.02, 0.819_999_999_999, 0.80, Fail),
            (Lower, 0.1, 0.200_000_000_001, 0.3, Fail),
            (Higher, 0.0, 0.799_999_999_999, 0.80, Fail),
            (Higher, 1e-12, 0.0, 0.0, Fail),
            // The infinite are as they are.
            (Higher, 0.1, f64::INFINITY, 0.5, Pass),
            (Higher, 0.1, f64::NEG_INFINITY, 0.5, Fail),
            (Lower, 0.1, f64::INFINITY, 0.5, Fail),
            (Higher, 0.1, 0.5, f64::INFINITY, Fail),
        ] {
            let found = better_than_champion("m", better, min_gain, Some(value), Some(("churn v1", Some(theirs))));
            assert_eq!(found.verdict, verdict, "{better:?}: {value} against {theirs} by {min_gain}");
        }
    }

    #[test]
    fn a_gain_that_is_too_small_is_not_called_a_loss() {
        let champion = Some(("churn v1", Some(0.5)));
        let finding = better_than_champion("accuracy", Better::Higher, 0.2, Some(0.6), champion);
        assert_eq!(finding.reason, "churn v1 has 0.5, so the gain is too small.");
    }

    #[test]
    fn the_first_version_has_nothing_to_beat() {
        assert_eq!(better_than_champion("a", Better::Higher, 0.1, Some(0.1), None).verdict, Verdict::Pass);
    }

    #[test]
    fn a_number_is_short_and_has_a_true_minus() {
        assert_eq!(number(0.912_345_6), "0.9123");
        assert_eq!(number(-2.0), "−2");
        assert_eq!(number(100.0), "100");
    }
}
