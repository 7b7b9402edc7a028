//! Whether a run that repeated the version's run agrees with it.

use super::{Finding, Verdict, counted, number};
use crate::{
    log_key::is_of_model,
    pipeline_run::{self, Sameness},
};
use serde_json::json;
use std::collections::BTreeMap;

/// Whether the metrics of a second run are those of the first, within a tolerance relative to the larger of the two. `second`
/// is none when there is no such run; `wanted` the metrics that are asked for, or none for all of the first.
#[must_use]
pub fn reproduced(
    wanted: &[String],
    tolerance: f64,
    first: &BTreeMap<String, f64>,
    second: Option<&BTreeMap<String, f64>>,
) -> Finding {
    let limit = format!("within {} %", number(tolerance * 100.0));
    let Some(second) = second else {
        return Finding::inconclusive(
            limit,
            "No finished run repeated the version's run: reproduce its pipeline run, or tag a run with slipway.reproduces and \
             the run's id.",
        );
    };
    let names: Vec<&str> = match wanted.is_empty() {
        true => first.keys().map(String::as_str).filter(|name| is_of_model(name)).collect(),
        false => wanted.iter().map(String::as_str).collect(),
    };
    if names.is_empty() {
        return Finding::inconclusive(limit, "The version's run has no metrics that could agree.");
    }
    let mut all = Vec::new();
    for name in names {
        let (a, b) = (first.get(name).copied(), second.get(name).copied());
        let known = |value: Option<f64>| value.filter(|value| value.is_finite());
        let (verdict, apart, what) = match (known(a), known(b)) {
            (Some(a), Some(b)) => {
                let apart = apart(a, b);
                // What rounding takes is given back, as it is of a gain.
                let pass = apart <= tolerance + 4.0 * f64::EPSILON;
                let what = format!("\"{name}\" is {} and was {}.", number(b), number(a));
                (super::held(pass), Some(apart), what)
            }
            (None, _) => (Verdict::Inconclusive, None, format!("The version's run has no finite \"{name}\".")),
            (_, None) => (Verdict::Inconclusive, None, format!("The second run has no finite \"{name}\".")),
        };
        all.push((name, a, b, apart, verdict, what));
    }
    let worst = [Verdict::Fail, Verdict::Inconclusive].into_iter().find(|worst| all.iter().any(|one| one.4 == *worst));
    let largest = all
        .iter()
        .filter_map(|one| one.3)
        .fold(None, |most: Option<f64>, apart| Some(most.map_or(apart, |m| m.max(apart))));
    let evidence = json!({
        "tolerance": tolerance, "value": largest,
        "metrics": all.iter().map(|(name, a, b, apart, verdict, _)| json!({
            "metric": name, "value": a, "second": b, "apart": apart, "verdict": verdict,
        })).collect::<Vec<_>>(),
    });
    let reason = match worst {
        None => format!("{} again.", counted(all.len(), "metric was the same", "metrics were the same")),
        Some(worst) => {
            all.iter().filter(|one| one.4 == worst).take(5).map(|one| one.5.as_str()).collect::<Vec<_>>().join(" ")
        }
    };
    Finding {
        verdict: worst.unwrap_or(Verdict::Pass),
        measured: largest.map_or_else(|| "–".to_owned(), |apart| format!("apart by {} %", number(apart * 100.0))),
        limit,
        reason,
        evidence,
    }
}

/// What the reproduction of the pipeline run that made the version came to. `first` and `second` are the numbers of the
/// runs.
#[must_use]
pub fn of_pipeline_run(first: i64, second: i64, verdict: &pipeline_run::Verdict) -> Finding {
    let verdict_of = match verdict.sameness {
        Sameness::Identical | Sameness::WithinTolerance => Verdict::Pass,
        Sameness::Diverged => Verdict::Fail,
        Sameness::NothingToCompare => Verdict::Inconclusive,
    };
    Finding {
        verdict: verdict_of,
        measured: verdict.sameness.as_str().replace('_', " "),
        limit: "identical or within tolerance".to_owned(),
        reason: format!("Pipeline run #{second} did #{first} again. {}", verdict.sentence()),
        evidence: json!({ "pipeline_run": first, "reproduction": second, "verdict": verdict }),
    }
}

/// How far two numbers are apart, relative to the larger of the two.
fn apart(a: f64, b: f64) -> f64 {
    let larger = a.abs().max(b.abs());
    if larger == 0.0 { 0.0 } else { (a / larger - b / larger).abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{Fail, Inconclusive, Pass};

    #[test]
    fn each_metric_agrees_within_the_tolerance_or_cannot_be_told() {
        let of = |metrics: &[(&str, f64)]| -> BTreeMap<String, f64> {
            metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let nan = f64::NAN;
        for (wanted, tolerance, first, second, verdict) in [
            (&[][..], 0.01, &[("a", 1.0)][..], Some(&[("a", 0.99)][..]), Pass),
            (&[], 0.01, &[("a", 1.0)], Some(&[("a", 0.98)]), Fail),
            (&[], 0.0, &[("a", 0.1), ("b", -3.0)], Some(&[("a", 0.1), ("b", -3.0)]), Pass),
            (&[], 0.5, &[("a", 1.0)], Some(&[("a", -1.0)]), Fail),
            (&[], 0.0, &[("a", 0.0)], Some(&[("a", 0.0)]), Pass),
            (&[], 0.1, &[("a", f64::MAX)], Some(&[("a", -f64::MAX)]), Fail),
            (&[], 0.1, &[("a", 1.0)], Some(&[]), Inconclusive),
            (&[], 0.1, &[("a", 1.0)], Some(&[("a", nan)]), Inconclusive),
            (&[], 0.1, &[("a", nan)], Some(&[("a", nan)]), Inconclusive),
            (&[], 0.1, &[("a", f64::INFINITY)], Some(&[("a", f64::INFINITY)]), Inconclusive),
            (&[], 0.1, &[], Some(&[("a", 1.0)]), Inconclusive),
            (&[], 0.1, &[("a", 1.0)], None, Inconclusive),
            (&["a"], 0.1, &[("a", 1.0), ("b", 1.0)], Some(&[("a", 1.0), ("b", 9.0)]), Pass),
            (&["c"], 0.1, &[("a", 1.0)], Some(&[("a", 1.0), ("c", 1.0)]), Inconclusive),
            // What the client measures of its machine is no part of it.
            (&[], 0.1, &[("a", 1.0), ("system/cpu_utilization_percentage", 1.0)], Some(&[("a", 1.0)]), Pass),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let second = second.map(of);
            let found = reproduced(&wanted, tolerance, &of(first), second.as_ref());
            assert_eq!(found.verdict, verdict, "{first:?} {second:?}: {}", found.reason);
        }
    }

    #[test]
    fn a_reproduction_that_compared_nothing_is_no_evidence() {
        let verdict = |outputs| {
            let compared = pipeline_run::Extent { steps: 2, outputs, metrics: 0 };
            of_pipeline_run(1, 2, &pipeline_run::Verdict::of(compared, Vec::new()))
        };
        assert_eq!(verdict(1).verdict, Pass);
        let nothing = verdict(0);
        assert_eq!((nothing.verdict, &*nothing.measured), (Inconclusive, "nothing to compare"));
    }
}
