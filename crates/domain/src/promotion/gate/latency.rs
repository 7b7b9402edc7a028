//! How quickly a version answers, in the engine that will serve it.

use super::{Finding, Verdict, counted, held, number};
use crate::digest::Digest;
use serde_json::{Value, json};

/// What was measured: one request after the other, each of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// How many requests came before, which do not count.
    pub warm_up: usize,
    /// How long each of the others took, in milliseconds, in their order.
    pub times: Vec<f64>,
    /// Whether all that were wanted were answered in time.
    pub finished: bool,
    /// How many rows a request had.
    pub rows: usize,
}

/// How many requests come before those that are timed.
#[must_use]
pub fn warm_up(requests: u32) -> usize {
    (requests as usize).div_ceil(10)
}

/// The percentile by nearest rank: the smallest time that so many per cent of all reach or stay below. None of no times.
#[must_use]
pub fn percentile(sorted: &[f64], percentile: f64) -> Option<f64> {
    let rank = (percentile / 100.0 * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// Whether a percentile of the first `requests` times keeps to a budget. `digest` names the version's files.
#[must_use]
pub fn latency_budget(at: f64, max_ms: f64, requests: u32, timed: &Timed, digest: &Digest) -> Finding {
    let limit = limit(at, max_ms);
    let mut times: Vec<f64> = timed.times.iter().copied().take(requests as usize).collect();
    times.sort_unstable_by(f64::total_cmp);
    let short = |p: f64| percentile(&times, p);
    let value = short(at);
    let evidence = json!({
        "digest": digest, "percentile": at, "value": value, "max_ms": max_ms, "n": times.len(), "warm_up": timed.warm_up,
        "rows": timed.rows, "p50": short(50.0), "p95": short(95.0), "p99": short(99.0),
    });
    if times.len() < requests as usize {
        if timed.finished {
            return Finding::inconclusive(limit, "It was not asked often enough.").with(evidence);
        }
        let reason = format!(
            "It is too slow: of {} only {} were answered in the time that a trial has.",
            counted(requests as usize, "request", "requests"),
            times.len()
        );
        let measured = value.map_or_else(|| "no answer".to_owned(), milliseconds);
        return Finding { verdict: Verdict::Fail, measured, limit, reason, evidence };
    }
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return Finding::inconclusive(limit, "Nothing was measured.").with(evidence);
    };
    let of = counted(times.len(), "request", "requests");
    Finding {
        verdict: held(value <= max_ms),
        measured: milliseconds(value),
        limit,
        reason: format!(
            "Of {of} of {}, half were answered within {}.",
            counted(timed.rows, "row", "rows"),
            milliseconds(short(50.0).unwrap_or(value))
        ),
        evidence,
    }
}

/// What was not to be found out, and why.
#[must_use]
pub fn unknown(at: f64, max_ms: f64, reason: impl Into<String>, digest: &Digest) -> Finding {
    Finding::inconclusive(limit(at, max_ms), reason).with(json!({ "digest": digest }))
}

/// The version could not be loaded or did not answer.
#[must_use]
pub fn refused(at: f64, max_ms: f64, reason: impl Into<String>, digest: &Digest) -> Finding {
    Finding {
        verdict: Verdict::Fail,
        measured: "no answer".to_owned(),
        limit: limit(at, max_ms),
        reason: reason.into(),
        evidence: json!({ "digest": digest }),
    }
}

/// Whether a finding is about these files.
#[must_use]
pub fn is_about(finding: &Finding, digest: &Digest) -> bool {
    finding.evidence.get("digest").and_then(Value::as_str) == Some(digest.as_str())
}

fn limit(at: f64, max_ms: f64) -> String {
    format!("p{} ≤ {} ms", number(at), number(max_ms))
}

fn milliseconds(value: f64) -> String {
    let text = if value < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") };
    format!("{text} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{Fail, Inconclusive, Pass};

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        for (at, value) in [(50.0, 100.0), (95.0, 190.0), (99.0, 198.0), (99.9, 200.0), (0.1, 1.0)] {
            assert_eq!(percentile(&times, at), Some(value), "{at}");
        }
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
    }

    #[test]
    fn the_percentile_is_held_against_the_budget() {
        let digest = Digest::blake3([1; 32]);
        let ramp: Vec<f64> = (1..=100).map(f64::from).collect();
        for (times, finished, max_ms, verdict) in [
            (ramp.clone(), true, 95.0, Pass),
            (ramp.clone(), true, 94.9, Fail),
            (ramp[..40].to_vec(), false, 1_000.0, Fail),
            (Vec::new(), false, 1_000.0, Fail),
            (ramp[..99].to_vec(), true, 1_000.0, Inconclusive),
            (vec![f64::NAN; 100], true, 1_000.0, Inconclusive),
            // What was measured beyond what this gate asks for does not count.
            ([ramp.clone(), vec![9_999.0; 900]].concat(), true, 95.0, Pass),
        ] {
            let timed = Timed { warm_up: 10, times, finished, rows: 1 };
            let found = latency_budget(95.0, max_ms, 100, &timed, &digest);
            assert_eq!(found.verdict, verdict, "{timed:?}: {}", found.reason);
            assert!(is_about(&found, &digest) && !is_about(&found, &Digest::blake3([2; 32])));
        }
        let timed = Timed { warm_up: 10, times: ramp, finished: true, rows: 1 };
        let found = latency_budget(95.0, 95.0, 100, &timed, &digest);
        assert_eq!((found.evidence["p50"].as_f64(), found.evidence["p99"].as_f64()), (Some(50.0), Some(99.0)));
        assert_eq!((found.measured.as_str(), found.limit.as_str()), ("95.00 ms", "p95 ≤ 95 ms"));
    }
}
