//! A metric that was logged, against a threshold.

use super::{Finding, held, number};
use crate::policy::Better;

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
        verdict: held(pass),
        measured: number(value),
        limit,
        reason: if pass { "The threshold is reached.".to_owned() } else { "The threshold is not reached.".to_owned() },
        evidence: serde_json::json!({ "metric": metric, "value": value, "threshold": threshold }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{self, Fail, Inconclusive, Pass};

    #[test]
    fn a_value_reaches_its_threshold_or_cannot_be_told() {
        use Better::{Higher, Lower};
        for (better, value, verdict) in [
            (Higher, Some(0.7), Pass),
            (Higher, Some(0.699_999), Fail),
            (Lower, Some(0.7), Pass),
            (Lower, Some(0.71), Fail),
            (Higher, Some(f64::INFINITY), Pass),
            (Lower, Some(f64::INFINITY), Fail),
            (Higher, Some(f64::NAN), Inconclusive),
            (Lower, Some(f64::NAN), Inconclusive),
            (Higher, None, Inconclusive),
        ] {
            let found: Verdict = metric_threshold("accuracy", better, 0.7, value).verdict;
            assert_eq!(found, verdict, "{better:?} {value:?}");
        }
    }
}
