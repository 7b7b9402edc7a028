//! Distributions to draw. They are not what scores are computed from.

use super::{Bins, statistic::Tally};

/// A numeric feature with more distinct values than this in its reference is drawn in ranges.
const DRAWN_BY_VALUE: usize = 20;

/// Equal ranges over both sides, as many as Sturges' rule gives: `⌈log₂ n⌉ + 1`, as NumPy rounds it. Few distinct values
/// are drawn one by one. None when the values lie too far apart for a width to be computed.
pub(super) fn of_numbers(reference: &[f64], current: &[f64], tally: &Tally<f64>) -> Option<Bins> {
    if tally.distinct_reference() <= DRAWN_BY_VALUE && tally.distinct() <= 2 * DRAWN_BY_VALUE {
        return Some(of_values(tally, number));
    }
    let low = reference[0].min(current[0]);
    let high = reference[reference.len() - 1].max(current[current.len() - 1]);
    let count = (((reference.len() + current.len()) as f64).log2() + 1.0).ceil() as usize;
    let width = (high - low) / count as f64;
    if !width.is_finite() || width <= 0.0 {
        return None;
    }
    let edges: Vec<f64> = (0..=count).map(|i| if i == count { high } else { low + width * i as f64 }).collect();
    let shares = |values: &[f64]| {
        let mut counts = vec![0_u64; count];
        for value in values {
            let bin = edges.partition_point(|edge| edge <= value).saturating_sub(1);
            counts[bin.min(count - 1)] += 1;
        }
        counts.iter().map(|bin| *bin as f64 / values.len() as f64).collect()
    };
    Some(Bins::Ranges { reference: shares(reference), current: shares(current), edges })
}

/// False and true.
pub(super) fn of_booleans(tally: &Tally<f64>) -> Bins {
    of_values(tally, |value| (*value != 0.0).to_string())
}

/// The most frequent names of the reference, then those that are new; the rest is summed up.
pub(super) fn of_names(tally: &Tally<String>) -> Bins {
    let mut bins = of_values(tally, String::clone);
    if let Bins::Values { values, reference, current, reference_rest, current_rest } = &mut bins {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| reference[*b].total_cmp(&reference[*a]).then(current[*b].total_cmp(&current[*a])));
        let (shown, rest) = order.split_at(order.len().min(DRAWN_BY_VALUE));
        *reference_rest = rest.iter().map(|i| reference[*i]).sum();
        *current_rest = rest.iter().map(|i| current[*i]).sum();
        *values = shown.iter().map(|i| values[*i].clone()).collect();
        *reference = shown.iter().map(|i| reference[*i]).collect();
        *current = shown.iter().map(|i| current[*i]).collect();
    }
    bins
}

fn of_values<T>(tally: &Tally<T>, name: impl Fn(&T) -> String) -> Bins {
    let (reference, current) = tally.shares().unzip();
    let values = tally.counts().iter().map(|(value, _, _)| name(value)).collect();
    Bins::Values { values, reference, current, reference_rest: 0.0, current_rest: 0.0 }
}

/// Short at every magnitude.
fn number(value: &f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e15).contains(&magnitude) { value.to_string() } else { format!("{value:e}") }
}
