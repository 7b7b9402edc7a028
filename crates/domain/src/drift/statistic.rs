//! Statistics of two samples, but for Kolmogorov-Smirnov, which has a file of its own.

use statrs::function::{erf::erfc, gamma::gamma_ur};
use std::cmp::Ordering;

/// How often each distinct value occurs on either side, in ascending order of the values.
#[derive(Debug)]
pub(super) struct Tally<T> {
    counts: Vec<(T, u64, u64)>,
}

/// A total order; for floats the one of `total_cmp`, which equals `<` where no NaN and one zero occur.
pub(super) trait Total {
    fn order(&self, other: &Self) -> Ordering;
}

impl Total for f64 {
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
}

impl Total for String {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl<T: Total + Clone> Tally<T> {
    pub(super) fn of(reference: &[T], current: &[T]) -> Self {
        let mut all: Vec<(&T, bool)> =
            reference.iter().map(|value| (value, true)).chain(current.iter().map(|value| (value, false))).collect();
        all.sort_unstable_by(|a, b| a.0.order(b.0));
        let mut counts: Vec<(T, u64, u64)> = Vec::new();
        for group in all.chunk_by(|a, b| a.0.order(b.0).is_eq()) {
            let of_reference = group.iter().filter(|(_, is_reference)| *is_reference).count() as u64;
            counts.push((group[0].0.clone(), of_reference, group.len() as u64 - of_reference));
        }
        Self { counts }
    }
}

impl<T> Tally<T> {
    /// Each value, its count in the reference and its count among the current values.
    pub(super) fn counts(&self) -> &[(T, u64, u64)] {
        &self.counts
    }

    /// Distinct values over both sides.
    pub(super) fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// Distinct values of the reference.
    pub(super) fn distinct_reference(&self) -> usize {
        self.counts.iter().filter(|(_, reference, _)| *reference > 0).count()
    }

    /// Distinct current values.
    pub(super) fn distinct_current(&self) -> usize {
        self.counts.iter().filter(|(_, _, current)| *current > 0).count()
    }

    pub(super) fn reference_rows(&self) -> u64 {
        self.counts.iter().map(|(_, reference, _)| reference).sum()
    }

    pub(super) fn current_rows(&self) -> u64 {
        self.counts.iter().map(|(_, _, current)| current).sum()
    }

    /// Shares of the reference and of the current values, value by value.
    pub(super) fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let (reference_rows, current_rows) = (self.reference_rows() as f64, self.current_rows() as f64);
        self.counts
            .iter()
            .map(move |(_, reference, current)| (*reference as f64 / reference_rows, *current as f64 / current_rows))
    }
}

/// Pearson's chi-square test that the current counts follow the reference's shares: Σ (o − e)² / e with
/// `e = reference count × current rows / reference rows`, and values − 1 degrees of freedom. A value that the reference
/// lacks makes the statistic infinite and the p-value 0. Source: `scipy.stats.chisquare`, as Evidently calls it.
pub(super) fn chi_square_p_value<T>(tally: &Tally<T>) -> f64 {
    let scale = tally.current_rows() as f64 / tally.reference_rows() as f64;
    let mut statistic = 0.0;
    for (_, reference, current) in tally.counts() {
        let expected = *reference as f64 * scale;
        statistic += (*current as f64 - expected).powi(2) / expected;
    }
    let degrees = tally.distinct() as f64 - 1.0;
    match statistic {
        s if s <= 0.0 => 1.0,
        s if s.is_infinite() => 0.0,
        s => gamma_ur(degrees / 2.0, s / 2.0),
    }
}

/// Two-sided Z-test that the share of the first of two values is the same on both sides, with the pooled share's
/// variance: `z = (p₁ − p₂) / √(P (1 − P) (1/n₁ + 1/n₂))`. Source: Evidently's `z_stattest`. Its `2 (1 − Φ(|z|))` is
/// written as `erfc(|z| / √2)`, which keeps its digits where the p-value is tiny.
pub(super) fn z_test_p_value<T>(tally: &Tally<T>) -> f64 {
    let (n1, n2) = (tally.reference_rows() as f64, tally.current_rows() as f64);
    let first =
        tally.counts().first().map_or((0.0, 0.0), |(_, reference, current)| (*reference as f64, *current as f64));
    let (p1, p2) = (1.0 - first.0 / n1, 1.0 - first.1 / n2);
    let pooled = (p1 * n1 + p2 * n2) / (n1 + n2);
    let z = (p1 - p2) / (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// First Wasserstein distance `∫ |F(x) − G(x)| dx` of two ascending samples, divided by the reference's standard
/// deviation (of the population), or by 0.001 when that is smaller. Source: `scipy.stats.wasserstein_distance`, divided
/// as in Evidently's `wasserstein_distance_norm`. Not a number when the deviation overflows.
pub(super) fn normed_wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let (n1, n2) = (reference.len(), current.len());
    let (mut i, mut j) = (0, 0);
    let mut distance = 0.0;
    let mut from = reference[0].min(current[0]);
    while i < n1 || j < n2 {
        let to = match (reference.get(i), current.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(value), None) | (None, Some(value)) => *value,
            (None, None) => break,
        };
        distance += (i as f64 / n1 as f64 - j as f64 / n2 as f64).abs() * (to - from);
        while reference.get(i) == Some(&to) {
            i += 1;
        }
        while current.get(j) == Some(&to) {
            j += 1;
        }
        from = to;
    }
    let deviation = deviation(reference);
    if deviation.is_finite() { distance / deviation.max(0.001) } else { f64::NAN }
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Jensen-Shannon distance of the two sides' shares: `√((D(p‖m) + D(q‖m)) / 2)` with `m = (p + q) / 2` and the natural
/// logarithm. Source: `scipy.spatial.distance.jensenshannon`, on the shares of Evidently's `get_binned_data` for few
/// values, zeros left as they are.
pub(super) fn jensen_shannon<T>(tally: &Tally<T>) -> f64 {
    let relative_entropy = |p: f64, m: f64| if p > 0.0 { p * (p / m).ln() } else { 0.0 };
    let twice: f64 = tally
        .shares()
        .map(|(p, q)| {
            let m = (p + q) / 2.0;
            relative_entropy(p, m) + relative_entropy(q, m)
        })
        .sum();
    (twice.max(0.0) / 2.0).sqrt()
}
