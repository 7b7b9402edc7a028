//! The two-sample Kolmogorov-Smirnov test, as `scipy.stats.ks_2samp` does it by default: the exact distribution of the
//! statistic up to 10,000 values a side, and beyond that the one-sample distribution at the effective size.

use std::f64::consts::PI;

/// Largest sample for which the exact distribution is computed.
const EXACT_UP_TO: usize = 10_000;

/// Two-sided p-value for two ascending samples: how likely their empirical distribution functions lie at least as far
/// apart as they do when both come from one continuous distribution.
pub(super) fn two_sample_p_value(first: &[f64], second: &[f64]) -> f64 {
    let (n1, n2) = (first.len(), second.len());
    let (m, n) = (n1.max(n2) as u64, n1.min(n2) as u64);
    let gcd = gcd(m, n);
    // The statistic is a multiple of 1 / lcm(m, n): held as that whole number it has no rounding error.
    let steps = farthest_apart(first, second) / gcd;
    if steps == 0 {
        return 1.0;
    }
    let p = if n1.max(n2) > EXACT_UP_TO {
        let statistic = steps as f64 / (m / gcd * n) as f64;
        let effective = (m as f64 * n as f64 / (m + n) as f64).round_ties_even();
        one_sample_survival(effective as u64, statistic)
    } else if m == n {
        share_leaving_square(n, steps)
    } else {
        share_leaving(m, n, steps * gcd)
    };
    p.clamp(0.0, 1.0)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `max |i n₂ − j n₁|`, where `i` and `j` count the values up to some point: the largest distance of the two empirical
/// distribution functions, times `n₁ n₂`.
fn farthest_apart(first: &[f64], second: &[f64]) -> u64 {
    let (n1, n2) = (first.len(), second.len());
    let (mut i, mut j) = (0, 0);
    let mut farthest = 0;
    while i < n1 && j < n2 {
        let value = first[i].min(second[j]);
        while i < n1 && first[i] <= value {
            i += 1;
        }
        while j < n2 && second[j] <= value {
            j += 1;
        }
        farthest = farthest.max((i as u64 * n2 as u64).abs_diff(j as u64 * n1 as u64));
    }
    farthest
}

/// For samples of the same size `n`: `P(D ≥ h/n) = 2 Σ (−1)^(k+1) C(2n, n − kh) / C(2n, n)` over `k ≥ 1` (Gnedenko and
/// Korolyuk 1951, in Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3,
/// 1958). Nested from the last term outwards, so that no digits cancel.
fn share_leaving_square(n: u64, h: u64) -> f64 {
    let mut nested = 0.0;
    for k in (1..=n / h).rev() {
        // C(2n, n − kh) / C(2n, n − (k−1)h)
        let ratio: f64 = (1..=h).map(|i| (n + 1 - i - (k - 1) * h) as f64 / (n + i + (k - 1) * h) as f64).product();
        nested = ratio * (1.0 - nested);
    }
    2.0 * nested
}

/// For samples of sizes `m` and `n`: the share of lattice paths from (0, 0) to (m, n) that somewhere reach
/// `|i n − j m| ≥ reach` (Hodges 1958). A path arrives at (i, j) from (i−1, j) in `i` of `i + j` cases, so the shares
/// follow from each other without subtraction; one row of them is kept.
fn share_leaving(m: u64, n: u64, reach: u64) -> f64 {
    let mut row = vec![1.0; n as usize + 1];
    let mut cleared = 0;
    for i in 0..=m {
        let along = i * n;
        // The js with |i n − j m| < reach.
        let low = if along < reach { 0 } else { (along - reach) / m + 1 };
        let high = ((along + reach - 1) / m).min(n);
        // Below the band every path has left it.
        while cleared < low.min(n + 1) {
            row[cleared as usize] = 1.0;
            cleared += 1;
        }
        for j in low..=high {
            let below = if j == 0 { 0.0 } else { row[j as usize - 1] * j as f64 };
            let before = if i == 0 { 0.0 } else { row[j as usize] * i as f64 };
            row[j as usize] = if i + j == 0 { 0.0 } else { (before + below) / (i + j) as f64 };
        }
    }
    row[n as usize]
}

/// `P(D_n ≥ d)` for the two-sided one-sample statistic of `n` values. The choice among exact formulas and the
/// approximation follows Simard and L'Ecuyer, "Computing the two-sided Kolmogorov-Smirnov distribution", Journal of
/// Statistical Software 39(11), 2011, with the borders that `scipy.stats.kstwo` uses.
fn one_sample_survival(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let reach = size * d;
    let spread = reach * d;
    if d >= 1.0 {
        0.0
    } else if reach <= 0.5 {
        1.0
    } else if reach <= 1.0 {
        // Ruben and Gambino: P(D_n ≤ d) = n! (2d − 1/n)^n
        1.0 - (ln_factorial_over_power(n) + size * (2.0 * reach - 1.0).ln()).exp()
    } else if reach >= size - 1.0 {
        2.0 * (1.0 - d).powf(size)
    } else if d >= 0.5 || spread > 4.0 || (n > 140 && spread >= 2.2) {
        // Both one-sided statistics cannot, or hardly ever, reach that far together.
        2.0 * one_sided_survival(n, d)
    } else if n <= 140 || size * d.powf(1.5) <= 1.4 {
        1.0 - durbin(n, d)
    } else {
        1.0 - pelz_good(n, d)
    }
}

/// `P(D⁺_n ≥ d) = d Σ C(n, j) (d + j/n)^(j−1) (1 − d − j/n)^(n−j)` over `0 ≤ j ≤ n (1 − d)` (Birnbaum and Tingey, "One-sided
/// confidence contours for probability distribution functions", 1951). All terms are positive.
fn one_sided_survival(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for j in 0..=n {
        let at = j as f64 / size;
        let rest = 1.0 - d - at;
        if rest < 0.0 {
            break;
        }
        let exponent = (n - j) as f64;
        let ln_rest = if exponent == 0.0 { 0.0 } else { exponent * rest.ln() };
        sum += (ln_choose + (j as f64 - 1.0) * (d + at).ln() + ln_rest).exp();
        ln_choose += ((n - j) as f64).ln() - (j as f64 + 1.0).ln();
    }
    d * sum
}

/// `ln(n! / n^n)`.
fn ln_factorial_over_power(n: u64) -> f64 {
    (1..=n).map(|i| (i as f64 / n as f64).ln()).sum()
}

/// `P(D_n ≤ d)` exactly: an element of the `n`-th power of Durbin's matrix (Marsaglia, Tsang and Wang, "Evaluating
/// Kolmogorov's distribution", Journal of Statistical Software 8(18), 2003).
fn durbin(n: u64, d: f64) -> f64 {
    let reach = n as f64 * d;
    let k = reach.ceil() as usize;
    let h = k as f64 - reach;
    let size = 2 * k - 1;

    let mut inverse_factorial = vec![1.0; size + 1];
    for i in 1..=size {
        inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
    }
    let mut matrix = Matrix::zero(size);
    for row in 0..size {
        for column in 0..=(row + 1).min(size - 1) {
            let order = row + 1 - column;
            let mut entry = 1.0;
            if column == 0 {
                entry -= h.powi(order as i32);
            }
            if row == size - 1 {
                entry -= h.powi(order as i32);
            }
            if column == 0 && row == size - 1 {
                entry += (2.0 * h - 1.0).max(0.0).powi(order as i32);
            }
            matrix.set(row, column, entry * inverse_factorial[order]);
        }
    }
    let (power, ln_scale) = matrix.power(n);
    let centre = power.get(k - 1, k - 1);
    if centre <= 0.0 { 0.0 } else { (centre.ln() + ln_scale + ln_factorial_over_power(n)).exp().min(1.0) }
}

/// A square matrix, row by row.
struct Matrix {
    size: usize,
    entries: Vec<f64>,
}

impl Matrix {
    fn zero(size: usize) -> Self {
        Self { size, entries: vec![0.0; size * size] }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        self.entries[row * self.size + column]
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        self.entries[row * self.size + column] = value;
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = Self::zero(self.size);
        for (row, out) in self.entries.chunks(self.size).zip(product.entries.chunks_mut(self.size)) {
            for (factor, other_row) in row.iter().zip(other.entries.chunks(self.size)) {
                for (sum, value) in out.iter_mut().zip(other_row) {
                    *sum += factor * value;
                }
            }
        }
        product
    }

    /// Divides by the largest entry, and returns its logarithm.
    fn rescale(&mut self) -> f64 {
        let largest = self.entries.iter().copied().fold(0.0, f64::max);
        self.entries.iter_mut().for_each(|entry| *entry /= largest);
        largest.ln()
    }

    /// The power, and the logarithm of what it is to be multiplied by.
    fn power(mut self, mut exponent: u64) -> (Self, f64) {
        let mut result = Self::zero(self.size);
        (0..self.size).for_each(|i| result.set(i, i, 1.0));
        let (mut ln_scale, mut ln_result) = (0.0, 0.0);
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result.times(&self);
                ln_result += ln_scale + result.rescale();
            }
            self = self.times(&self);
            ln_scale = 2.0 * ln_scale + self.rescale();
            exponent /= 2;
        }
        (result, ln_result)
    }
}

/// `P(D_n ≤ d)` to about five digits: the expansion in powers of `1/√n` of Pelz and Good, "Approximating the lower
/// tail-areas of the Kolmogorov-Smirnov one-sample statistic", Journal of the Royal Statistical Society B 38, 1976.
fn pelz_good(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let z = size.sqrt() * d;
    let z2 = z * z;
    let z4 = z2 * z2;
    let z6 = z4 * z2;
    let z8 = z4 * z4;
    let weight = |a: f64| (-a / (2.0 * z2)).exp();

    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    let (mut extra2, mut extra3) = (0.0, 0.0);
    // The weights fall off so fast that more terms change nothing.
    for k in 1..=20 {
        let a = (PI * (f64::from(k) - 0.5)).powi(2);
        k0 += weight(a);
        k1 += weight(a) * (a - z2);
        k2 += weight(a) * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * a + (1.0 - 2.0 * z2) * a * a);
        k3 += weight(a)
            * (-30.0 * z6 - 90.0 * z8
                + (135.0 * z4 - 96.0 * z6) * a
                + (212.0 * z4 - 60.0 * z2) * a * a
                + (5.0 - 30.0 * z2) * a * a * a);
        let b = (PI * f64::from(k)).powi(2);
        extra2 += weight(b) * b;
        extra3 += weight(b) * b * (3.0 * z2 - b);
    }
    let root = (2.0 * PI).sqrt();
    k0 *= root / z;
    k1 *= root / (6.0 * z4);
    k2 = root * (k2 / (72.0 * z6 * z) - extra2 / (36.0 * z2 * z));
    k3 = root * (k3 / (6480.0 * z8 * z2) + extra3 / (216.0 * z6));
    k0 + k1 / size.sqrt() + k2 / size + k3 / size.powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_sample_distribution_is_that_of_scipy() {
        let table: Vec<(u64, f64, f64)> =
            serde_json::from_str(include_str!("../../fixtures/drift/kolmogorov.json")).unwrap();
        assert!(table.len() > 200);
        for (n, d, expected) in table {
            let p = one_sample_survival(n, d);
            let close = (p - expected).abs() <= expected * 1e-6 || (p - expected).abs() < 1e-15;
            assert!(close, "n = {n}, d = {d}: {p}, SciPy has {expected}");
        }
    }

    #[test]
    fn both_exact_formulas_agree_on_samples_of_the_same_size() {
        for n in [1, 2, 7, 50, 211] {
            for h in 1..=n {
                let (square, general) = (share_leaving_square(n, h), share_leaving(n, n, h * n));
                assert!((square - general).abs() <= general * 1e-12, "n = {n}, h = {h}: {square} and {general}");
            }
        }
    }

    #[test]
    fn samples_that_do_not_overlap_have_the_probability_of_two_paths_out_of_all() {
        // 2 / C(7, 3)
        let p = two_sample_p_value(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0]);
        assert!((p - 2.0 / 35.0).abs() < 1e-15);
    }
}
