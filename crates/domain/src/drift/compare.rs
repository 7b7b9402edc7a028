//! Chooses the method for a feature and applies it.

use super::{
    Bins, Column, FeatureDrift, Method, Reason, Verdict, histogram, kolmogorov,
    statistic::{self, Tally},
};

/// Up to this many rows in the reference, tests with p-values are chosen; they find drift in everything beyond.
const SMALL_REFERENCE: usize = 1000;
/// A numeric feature with at most this many distinct values is compared value by value.
const FEW_VALUES: usize = 5;

/// Compares the current values of a feature with its reference. A side with fewer than `min_rows` values that are not
/// missing is not compared.
#[must_use]
pub fn feature_drift(feature: &str, reference: &Column, current: &Column, min_rows: usize) -> FeatureDrift {
    let (verdict, bins) = compare(reference, current, min_rows);
    FeatureDrift {
        feature: feature.to_owned(),
        verdict,
        reference_rows: reference.rows() as u64,
        reference_nulls: reference.nulls(),
        current_rows: current.rows() as u64,
        current_nulls: current.nulls(),
        bins,
    }
}

fn compare(reference: &Column, current: &Column, min_rows: usize) -> (Verdict, Option<Bins>) {
    let inconclusive = |reason| Verdict::Inconclusive { reason };
    if reference.rows() == 0 || current.rows() == 0 {
        return (inconclusive(Reason::AllMissing), None);
    }
    let enough = reference.rows().min(current.rows()) >= min_rows;
    match (reference, current) {
        (Column::Numeric { values: reference, .. }, Column::Numeric { values: current, .. }) => {
            let (reference, current) = (sorted(reference), sorted(current));
            let tally = Tally::of(&reference, &current);
            let bins = histogram::of_numbers(&reference, &current, &tally);
            let verdict = if enough { numeric(&reference, &current, &tally) } else { inconclusive(Reason::TooFewRows) };
            (verdict, bins)
        }
        (Column::Categorical { values: reference, .. }, Column::Categorical { values: current, .. }) => {
            let tally = Tally::of(reference, current);
            let bins = Some(histogram::of_names(&tally));
            let verdict = if enough { by_value(&tally) } else { inconclusive(Reason::TooFewRows) };
            (verdict, bins)
        }
        _ => (inconclusive(Reason::DifferentTypes), None),
    }
}

/// Ascending, with both zeros the same value.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn numeric(reference: &[f64], current: &[f64], tally: &Tally<f64>) -> Verdict {
    if tally.distinct() <= FEW_VALUES {
        by_value(tally)
    } else if reference.len() <= SMALL_REFERENCE {
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
