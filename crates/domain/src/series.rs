//! Points of a metric in order, and thinned for a chart so that no peak is lost.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One value of a metric of a run. Which metric is said beside many of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// Which step of the training; any number.
    pub step: i64,
    /// When it was measured, as the client says, in milliseconds since 1970.
    pub timestamp: i64,
    /// The value; not a number is allowed and kept.
    pub value: f64,
}

impl Point {
    /// The order of histories: time, step, value. Two that are equal here are one point that was sent twice.
    #[must_use]
    pub fn by_time(&self, other: &Self) -> Ordering {
        (self.timestamp, self.step).cmp(&(other.timestamp, other.step)).then_with(|| by_value(self.value, other.value))
    }

    /// The order of charts: step, time, value.
    #[must_use]
    pub fn by_step(&self, other: &Self) -> Ordering {
        (self.step, self.timestamp).cmp(&(other.step, other.timestamp)).then_with(|| by_value(self.value, other.value))
    }

    /// The order in which the greatest is a metric's latest value, as MLflow has it: step, time, value, with
    /// not-a-number for 0.
    #[must_use]
    pub fn by_age(&self, other: &Self) -> Ordering {
        let number = |value: f64| if value.is_nan() { 0.0 } else { value };
        (self.step, self.timestamp)
            .cmp(&(other.step, other.timestamp))
            .then_with(|| by_value(number(self.value), number(other.value)))
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.by_time(other).is_eq()
    }
}

impl Eq for Point {}

/// Not-a-number is equal to itself and greater than every number; both zeros are equal.
fn by_value(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}

/// About `wanted` of these points, which stand in order: the first, the last, and of each stretch between, the least and
/// the greatest. All of them when they are no more than `wanted`.
#[must_use]
pub fn thin(points: &[Point], wanted: usize) -> Vec<Point> {
    let [first, between @ .., last] = points else { return points.to_vec() };
    if points.len() <= wanted {
        return points.to_vec();
    }
    // Two of each stretch, and one at either end.
    let stretches = (wanted.saturating_sub(2) / 2).max(1);
    let mut kept = Vec::with_capacity(2 * stretches + 2);
    kept.push(*first);
    for stretch in between.chunks(between.len().div_ceil(stretches)) {
        // Not-a-number is neither less nor greater; a stretch of nothing else keeps one, as a gap.
        let (mut least, mut greatest) = (0, 0);
        for (at, point) in stretch.iter().enumerate() {
            if point.value < stretch[least].value || stretch[least].value.is_nan() {
                least = at;
            }
            if point.value > stretch[greatest].value || stretch[greatest].value.is_nan() {
                greatest = at;
            }
        }
        kept.push(stretch[least.min(greatest)]);
        if least != greatest {
            kept.push(stretch[least.max(greatest)]);
        }
    }
    kept.push(*last);
    kept
}

/// At most `wanted` of these points, which stand in order, as MLflow samples them: the first of each of so many stretches of
/// equal length, and the last; all of them when they are no more than `wanted`, and the last alone when it is 1.
#[must_use]
pub fn sample(points: &[Point], wanted: usize) -> Vec<Point> {
    let wanted = wanted.max(1);
    let Some(last) = points.last().filter(|_| points.len() > wanted) else { return points.to_vec() };
    // Stretches as of NTILE in SQL: the first ones have one point more, when it does not come out even.
    let (length, longer) = (points.len() / wanted, points.len() % wanted);
    let mut kept: Vec<Point> = (0..wanted).map(|stretch| points[stretch * length + stretch.min(longer)]).collect();
    if let Some(end) = kept.last_mut() {
        *end = *last;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve(values: &[f64]) -> Vec<Point> {
        let point = |(step, value): (usize, &f64)| Point { step: step as i64, timestamp: step as i64, value: *value };
        values.iter().enumerate().map(point).collect()
    }

    fn thinned(values: &[f64], wanted: usize) -> Vec<Point> {
        thin(&curve(values), wanted)
    }

    #[test]
    fn a_short_series_is_kept_whole() {
        assert_eq!(thinned(&[1.0, 2.0, f64::NAN], 3).len(), 3);
        assert!(thinned(&[], 3).is_empty());
    }

    #[test]
    fn a_single_peak_survives() {
        let mut values = vec![0.0; 100_000];
        values[54_321] = 9.0;
        let kept = thinned(&values, 100);
        assert!(kept.len() <= 100, "{}", kept.len());
        assert!(kept.iter().any(|point| point.step == 54_321 && point.value == 9.0));
    }

    #[test]
    fn a_stretch_without_numbers_stays_as_a_gap() {
        let mut values = vec![1.0; 1000];
        values[400..800].fill(f64::NAN);
        assert!(thinned(&values, 22).iter().any(|point| point.value.is_nan()));
    }

    #[test]
    fn a_point_that_was_sent_twice_is_one_point() {
        let point = |step, timestamp, value| Point { step, timestamp, value };
        assert_eq!(point(1, 2, f64::NAN), point(1, 2, f64::NAN));
        assert_eq!(point(1, 2, 0.0), point(1, 2, -0.0));
        assert_ne!(point(1, 2, 3.0), point(1, 3, 3.0));
    }

    #[test]
    fn the_latest_is_of_the_greatest_step_then_time_then_value() {
        let point = |step, timestamp, value| Point { step, timestamp, value };
        let latest = [point(1, 9, 9.0), point(2, 5, 1.0), point(2, 6, -1.0), point(2, 6, f64::NAN)];
        let of = |points: &[Point]| *points.iter().max_by(|one, other| one.by_age(other)).unwrap();
        assert!(of(&latest).value.is_nan(), "not-a-number counts as 0, which is more than -1");
        assert_eq!(of(&latest[..2]), latest[1]);
    }

    #[test]
    fn a_sample_is_the_first_of_each_stretch_and_the_last() {
        let steps = |count: i32, wanted: usize| -> Vec<i64> {
            let values: Vec<f64> = (0..count).map(f64::from).collect();
            sample(&curve(&values), wanted).iter().map(|point| point.step).collect()
        };
        assert_eq!(steps(10, 1), [9]);
        assert_eq!(steps(10, 2), [0, 9]);
        // As PostgreSQL's ntile(4) has it: 3, 3, 2 and 2 rows.
        assert_eq!(steps(10, 4), [0, 3, 6, 9]);
        assert_eq!(steps(11, 4), [0, 3, 6, 10]);
        assert_eq!(steps(3, 3), [0, 1, 2]);
        assert_eq!(steps(3, 9), [0, 1, 2]);
        assert!(steps(0, 5).is_empty());
        assert_eq!(steps(10_000, 2500).len(), 2500);
    }

    proptest! {
        #[test]
        fn first_last_least_and_greatest_are_kept_in_order(
            values in proptest::collection::vec(-5.0..5.0_f64, 1..400),
            wanted in 2_usize..60,
        ) {
            let kept = thinned(&values, wanted);
            prop_assert!(kept.len() <= wanted.max(4).max(values.len().min(wanted)), "{} of {wanted}", kept.len());
            prop_assert!(kept.windows(2).all(|pair| pair[0].step < pair[1].step));
            prop_assert_eq!(kept[0].step, 0);
            prop_assert_eq!(kept[kept.len() - 1].step, values.len() as i64 - 1);
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(kept.iter().any(|point| point.value == least));
            prop_assert!(kept.iter().any(|point| point.value == greatest));
        }
    }
}
