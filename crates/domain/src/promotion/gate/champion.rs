//! A metric against the champion's: as both were logged, or from the evaluation rows of both, with an interval.

use super::{
    Finding, Verdict, held, number, reaches,
    rows::{self, Interval, Measure, OrSentence, Rows},
};
use crate::policy::Better;
use serde_json::json;

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
        verdict: held(pass),
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

/// Whether a metric, computed from evaluation rows, is better than the champion's by at least `min_gain` with this
/// confidence: whether the lower end of the interval of the gain reaches it. `champion` is none when there is none.
///
/// A gain that is too small on these rows already fails; one that is large enough, and might be chance, cannot be told.
#[must_use]
pub fn better_by_rows(
    metric: &str,
    better: Better,
    min_gain: f64,
    confidence: f64,
    ours: &OrSentence<Rows>,
    champion: Option<(&str, &OrSentence<Rows>)>,
) -> Finding {
    let Some((title, theirs)) = champion else { return better_than_champion(metric, better, min_gain, None, None) };
    let percent = number(confidence * 100.0);
    let limit = match min_gain > 0.0 {
        true => format!("gain ≥ {min_gain} on {title}, {percent} % sure"),
        false => format!("no worse than {title}, {percent} % sure"),
    };
    let compared = || -> OrSentence<Interval> {
        let measure = Measure::parse(metric)?;
        let ours = ours.as_ref().map_err(Clone::clone)?;
        let theirs = theirs.as_ref().map_err(|why| format!("{title} cannot be compared with. {why}"))?;
        rows::gain(ours, theirs, measure, better, confidence)
    };
    let found = match compared() {
        Ok(found) => found,
        Err(sentence) => return Finding::inconclusive(limit, sentence),
    };
    let Interval { value, theirs, gain, low, high, rows } = found;
    let signed = |gain: f64| if gain < 0.0 { number(gain) } else { format!("+{}", number(gain)) };
    let (verdict, reason) = if reaches(low, min_gain, value, theirs) {
        (Verdict::Pass, format!("{title} has {}.", number(theirs)))
    } else if !reaches(gain, min_gain, value, theirs) {
        let what = if gain < 0.0 { "so it is better" } else { "so the gain is too small" };
        (Verdict::Fail, format!("{title} has {}, {what}.", number(theirs)))
    } else {
        let reason = format!("{title} has {}; the gain may be chance. Evaluate both on more rows.", number(theirs));
        (Verdict::Inconclusive, reason)
    };
    Finding {
        verdict,
        measured: format!("{} ({}; {} to {})", number(value), signed(gain), signed(low), signed(high)),
        limit,
        reason,
        evidence: json!({
            "metric": metric, "value": value, "champion": title, "champion_value": theirs, "gain": gain, "point": gain,
            "low": low, "high": high, "n": rows, "confidence": confidence, "resamples": rows::RESAMPLES,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_nan_metrics_never_pass() {
        for value in [None, Some(f64::NAN)] {
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

    fn by_rows(min_gain: f64, ours: (usize, usize), theirs: (usize, usize)) -> Finding {
        let table = |name, (rows, right)| Ok(super::super::rows::tests::table(name, rows, right, true));
        let (a, b) = (table(1, ours), table(2, theirs));
        better_by_rows("accuracy", Better::Higher, min_gain, 0.95, &a, Some(("churn v1", &b)))
    }

    #[test]
    fn a_gain_passes_when_even_the_lower_end_of_its_interval_is_enough() {
        use Verdict::{Fail, Inconclusive, Pass};
        for (min_gain, ours, theirs, verdict) in [
            (0.0, (200, 180), (200, 150), Pass),
            (0.05, (200, 180), (200, 150), Pass),
            // It looks enough, but on so few rows it may be chance.
            (0.05, (40, 34), (40, 31), Inconclusive),
            (0.0, (200, 181), (200, 180), Pass),
            (0.01, (200, 182), (200, 180), Inconclusive),
            (0.2, (200, 180), (200, 150), Fail),
            (0.0, (200, 150), (200, 180), Fail),
            (0.0, (200, 150), (200, 150), Pass),
            (0.01, (200, 150), (200, 150), Fail),
            (0.0, (29, 29), (29, 20), Inconclusive),
            (0.0, (200, 180), (199, 150), Inconclusive),
        ] {
            let found = by_rows(min_gain, ours, theirs);
            assert_eq!(found.verdict, verdict, "{min_gain} {ours:?} {theirs:?}: {} {}", found.measured, found.reason);
        }
        let found = by_rows(0.05, (200, 180), (200, 150));
        assert_eq!(found.evidence["n"], 200);
        assert!(found.evidence["low"].as_f64().unwrap() > 0.05);
        assert_eq!(found.reason, "churn v1 has 0.75.");
    }

    #[test]
    fn without_rows_of_both_it_cannot_be_told_and_without_a_champion_there_is_nothing_to_beat() {
        let none: OrSentence<Rows> = Err("There are no evaluation rows.".to_owned());
        let some: OrSentence<Rows> = Ok(super::super::rows::tests::table(1, 50, 50, true));
        let found = |metric: &str, ours, theirs: Option<&OrSentence<Rows>>| {
            better_by_rows(metric, Better::Higher, 0.0, 0.95, ours, theirs.map(|rows| ("churn v1", rows))).verdict
        };
        assert_eq!(found("accuracy", &none, Some(&some)), Verdict::Inconclusive);
        assert_eq!(found("accuracy", &some, Some(&none)), Verdict::Inconclusive);
        assert_eq!(found("auc", &some, Some(&some)), Verdict::Inconclusive);
        assert_eq!(found("accuracy", &none, None), Verdict::Pass);
    }
}
