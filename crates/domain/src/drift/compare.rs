//! Chooses the method for a feature and applies it.

use super::{
    Bins, Column, FeatureDrift, Kind, Method, Reason, Verdict,
    column::Values,
    histogram, kolmogorov,
    statistic::{self, Tally},
};
use crate::inference::shortest;

/// Up to this many rows in the reference, tests with p-values are chosen; they find drift in everything beyond.
const SMALL_REFERENCE: usize = 1000;
/// A numeric feature with at most this many distinct values over both sides is compared value by value.
const FEW_VALUES: usize = 5;
/// One of whole numbers is with at most this many on the current side.
const FEW_INTEGERS: usize = 10;

/// Compares the current values of a feature with its reference. A side with fewer than `min_rows` values that are not
/// missing is not compared.
#[must_use]
pub fn feature_drift(feature: &str, reference: &Column, current: &Column, min_rows: usize) -> FeatureDrift {
    let (verdict, bins) = compare(reference, current, min_rows);
    FeatureDrift {
        feature: feature.to_owned(),
        verdict,
        reference_rows: reference.rows(),
        reference_nulls: reference.nulls(),
        current_rows: current.rows(),
        current_nulls: current.nulls(),
        bins,
    }
}

fn compare(reference: &Column, current: &Column, min_rows: usize) -> (Verdict, Option<Bins>) {
    let inconclusive = |reason| Verdict::Inconclusive { reason };
    if reference.rows() == 0 || current.rows() == 0 {
        return (inconclusive(Reason::AllMissing), None);
    }
    let enough = reference.rows().min(current.rows()) >= min_rows as u64;
    match (&reference.values, &current.values) {
        (Values::Numbers(of_reference), Values::Numbers(of_current)) => {
            let as_taken = takes_fp32(current.kind(), of_current);
            let (of_reference, of_current) = (sorted(of_reference, as_taken), sorted(of_current, as_taken));
            let tally = Tally::of(&of_reference, &of_current);
            let bins = match current.kind() {
                Kind::Boolean => Some(histogram::of_booleans(&tally)),
                _ => histogram::of_numbers(&of_reference, &of_current, &tally),
            };
            let verdict = match enough {
                false => inconclusive(Reason::TooFewRows),
                true if is_category(current, &tally) => by_value(&tally),
                true => numeric(&of_reference, &of_current),
            };
            (verdict, bins)
        }
        (Values::Names(of_reference), Values::Names(of_current)) => {
            let tally = Tally::of(of_reference, of_current);
            let verdict = match enough {
                false => inconclusive(Reason::TooFewRows),
                true if is_free_text(&tally) => inconclusive(Reason::FreeText),
                true => by_value(&tally),
            };
            (verdict, Some(histogram::of_names(&tally)))
        }
        _ => (inconclusive(Reason::DifferentTypes), None),
    }
}

/// Whether numbers are compared value by value.
fn is_category(current: &Column, tally: &Tally<f64>) -> bool {
    match current.kind() {
        Kind::Boolean => true,
        Kind::Integer if current.nulls() == 0 && tally.distinct_current() <= FEW_INTEGERS => true,
        _ => tally.distinct() <= FEW_VALUES,
    }
}

/// Whether more than half of the values are different ones, on both sides: such as ids. Every new one would be drift.
fn is_free_text(tally: &Tally<String>) -> bool {
    tally.distinct_reference() as u64 * 2 > tally.reference_rows()
        && tally.distinct_current() as u64 * 2 > tally.current_rows()
}

/// Whether every current value is one of FP32, in full (0.20000000298…) or by its shortest decimal (0.2): then the model
/// took FP32. The reference, written from 64 bits, is compared as it would have been taken: otherwise no value of a
/// feature with few digits would be found again, and each would be drift.
fn takes_fp32(kind: Kind, current: &[f64]) -> bool {
    let is_single = |value: &f64| {
        let single = *value as f32;
        f64::from(single) == *value || shortest(single) == *value
    };
    kind == Kind::Real && current.iter().all(is_single)
}

/// Ascending, with both zeros the same value.
fn sorted(values: &[f64], as_fp32: bool) -> Vec<f64> {
    let taken = |value: &f64| {
        let single = *value as f32;
        if as_fp32 && single.is_finite() { shortest(single) } else { *value }
    };
    let mut sorted: Vec<f64> = values.iter().map(|value| taken(value) + 0.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn numeric(reference: &[f64], current: &[f64]) -> Verdict {
    if reference.len() <= SMALL_REFERENCE {
        scored(Method::KolmogorovSmirnov, kolmogorov::two_sample_p_value(reference, current))
    } else {
        scored(Method::Wasserstein, statistic::normed_wasserstein(reference, current))
    }
}

fn by_value<T>(tally: &Tally<T>) -> Verdict {
    match tally.distinct() {
        0 | 1 => Verdict::Inconclusive { reason: Reason::Constant },
        _ if tally.reference_rows() > SMALL_REFERENCE as u64 => {
            scored(Method::JensenShannon, statistic::jensen_shannon(tally))
        }
        2 => scored(Method::ZTest, statistic::z_test_p_value(tally)),
        _ => scored(Method::ChiSquare, statistic::chi_square_p_value(tally)),
    }
}

fn scored(method: Method, score: f64) -> Verdict {
    if !score.is_finite() {
        return Verdict::Inconclusive { reason: Reason::TooLarge };
    }
    Verdict::Scored { method, score, threshold: method.threshold(), drifted: method.is_drift(score) }
}
