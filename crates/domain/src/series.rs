//! Points of a metric in order, thinned for a chart so that no peak is lost, and what a chart makes of them: the part
//! that is looked at, smoothed values, the range that most values lie in, and which curves stand together.

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
/// the greatest, and one that is no number where there is one. All of them when they are no more than `wanted`.
#[must_use]
pub fn thin(points: &[Point], wanted: usize) -> Vec<Point> {
    let [first, between @ .., last] = points else { return points.to_vec() };
    if points.len() <= wanted {
        return points.to_vec();
    }
    // Two of each stretch, three where there may be gaps, and one at either end.
    let each = if between.iter().any(|point| point.value.is_nan()) { 3 } else { 2 };
    let stretches = (wanted.saturating_sub(2) / each).max(1);
    let mut kept = Vec::with_capacity(each * stretches + 2);
    kept.push(*first);
    for stretch in between.chunks(between.len().div_ceil(stretches)) {
        let (mut least, mut greatest, mut gap) = (None::<usize>, None::<usize>, None);
        for (at, point) in stretch.iter().enumerate() {
            if point.value.is_nan() {
                gap.get_or_insert(at);
                continue;
            }
            if least.is_none_or(|least| point.value < stretch[least].value) {
                least = Some(at);
            }
            if greatest.is_none_or(|greatest| point.value > stretch[greatest].value) {
                greatest = Some(at);
            }
        }
        let mut places: Vec<usize> = [least, greatest, gap].into_iter().flatten().collect();
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|at| stretch[at]));
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

/// What a chart's x axis says of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The step.
    #[default]
    Step,
    /// When it was measured, in milliseconds since 1970.
    Time,
    /// How many seconds after the run's start it was measured.
    Relative,
}

impl Axis {
    /// The name in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Time => "time",
            Self::Relative => "relative",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Step, Self::Time, Self::Relative].into_iter().find(|axis| axis.as_str() == text)
    }

    /// The place of a point of a run that started at `start`, in milliseconds since 1970.
    #[must_use]
    // A double holds steps and times exactly up to 2⁵³; further than that no chart distinguishes them.
    #[allow(clippy::cast_precision_loss)]
    pub fn place(self, point: &Point, start: i64) -> f64 {
        match self {
            Self::Step => point.step as f64,
            Self::Time => point.timestamp as f64,
            Self::Relative => (point.timestamp.saturating_sub(start)) as f64 / 1000.0,
        }
    }
}

/// Which part of a curve is looked at: from where to where on an axis. Without ends it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// The axis.
    pub axis: Axis,
    /// Its beginning, in the axis' unit.
    pub start: Option<f64>,
    /// Its end, in the axis' unit.
    pub end: Option<f64>,
}

impl Window {
    /// The points of a run that started at `start` that are looked at, in the order of the axis: those within, and one
    /// beyond either end, to which the line leads. `points` stand in the order of charts.
    #[must_use]
    pub fn of(&self, mut points: Vec<Point>, start: i64) -> Vec<Point> {
        if self.axis != Axis::Step && !points.is_sorted_by_key(|point| point.timestamp) {
            points.sort_by_key(|point| point.timestamp);
        }
        let place = |point: &Point| self.axis.place(point, start);
        let to = self.end.map_or(points.len(), |end| points.partition_point(|point| place(point) <= end) + 1);
        points.truncate(to);
        let from = self.start.map_or(0, |from| points.partition_point(|point| place(point) < from).saturating_sub(1));
        points.drain(..from);
        points
    }
}

/// An exponential moving average that does not lean to zero at its beginning: with weight *w*, after the *n*th number *v*,
/// *s* becomes *w s + (1 − w) v* from 0, and the smoothed value is *s / (1 − wⁿ)*. TensorBoard smooths so (its scalar
/// charts; the correction is that of Kingma and Ba, Adam, 2015, §3). What is no finite number stays as it is and counts
/// for nothing; a weight of 0 changes nothing.
#[must_use]
pub fn smooth(values: &[f64], weight: f64) -> Vec<f64> {
    let weight = weight.clamp(0.0, 0.999);
    let (mut sum, mut share) = (0.0, 1.0);
    let smoothed = |value: &f64| {
        if !value.is_finite() {
            return *value;
        }
        sum = sum * weight + (1.0 - weight) * value;
        share *= weight;
        sum / (1.0 - share)
    };
    values.iter().map(smoothed).collect()
}

/// The value below which a share of the values lies, between two by a straight line (the definition R calls type 7 and
/// NumPy takes). None of no numbers.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    // A chart has far fewer values than what loses digits.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    {
        let place = share.clamp(0.0, 1.0) * last as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
    }
}

/// The range that a chart shows when it leaves outliers out: from the 5th to the 95th percentile.
#[must_use]
pub fn inner_range(values: &[f64]) -> Option<(f64, f64)> {
    Some((quantile(values, 0.05)?, quantile(values, 0.95)?))
}

/// The group that a metric's curve stands in: what is before the first `/` of its key; empty without one.
#[must_use]
pub fn group(key: &str) -> &str {
    match key.split_once('/') {
        Some((group, rest)) if !rest.is_empty() => group,
        _ => "",
    }
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

    #[test]
    fn one_value_that_is_no_number_is_not_lost_among_many() {
        let mut values = vec![1.0; 10_000];
        values[5000] = f64::NAN;
        let kept = thinned(&values, 100);
        assert!(kept.len() <= 100, "{}", kept.len());
        assert!(kept.iter().any(|point| point.step == 5000));
    }

    #[test]
    fn smoothing_is_tensorboards() {
        // Of weight 0.6: s = 0.4, 0.64, 0.784 and 1 − 0.6ⁿ = 0.4, 0.64, 0.784.
        let constant = smooth(&[1.0, 1.0, 1.0], 0.6);
        assert!(constant.iter().all(|value| (value - 1.0).abs() < 1e-12), "{constant:?}");
        // s = 0.4, 1.04, 1.824; divided by the same.
        let rising = smooth(&[1.0, 2.0, 3.0], 0.6);
        let wanted = [1.0, 1.04 / 0.64, 1.824 / 0.784];
        assert!(rising.iter().zip(wanted).all(|(one, other)| (one - other).abs() < 1e-12), "{rising:?}");
        assert_eq!(smooth(&[3.0, 1.0], 0.0), [3.0, 1.0]);
    }

    #[test]
    fn a_gap_stays_a_gap_and_smoothing_goes_on_after_it() {
        let smoothed = smooth(&[1.0, f64::NAN, 2.0], 0.5);
        assert!(smoothed[1].is_nan());
        assert!((smoothed[2] - (0.5 * 0.5 + 0.5 * 2.0) / 0.75).abs() < 1e-12, "{smoothed:?}");
    }

    #[test]
    fn the_inner_range_leaves_a_spike_out() {
        let mut values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(inner_range(&values), Some((5.0, 95.0)));
        values[50] = 1e9;
        assert!(inner_range(&values).unwrap().1 < 100.0);
        assert_eq!(inner_range(&[f64::NAN, 3.0]), Some((3.0, 3.0)));
        assert_eq!(inner_range(&[f64::NAN]), None);
    }

    #[test]
    fn a_window_keeps_a_point_beyond_either_end() {
        let steps = |window: Window| -> Vec<i64> {
            window.of(curve(&[0.0; 10]), -1000).iter().map(|point| point.step).collect()
        };
        let window = |axis, start, end| Window { axis, start, end };
        assert_eq!(steps(window(Axis::Step, Some(2.5), Some(5.0))), [2, 3, 4, 5, 6]);
        assert_eq!(steps(window(Axis::Step, Some(2.0), None)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(steps(window(Axis::Time, None, Some(1.0))), [0, 1, 2]);
        assert_eq!(steps(window(Axis::Relative, Some(1.0085), None)), [8, 9]);
        assert_eq!(steps(window(Axis::Step, Some(50.0), Some(60.0))), [9]);
        assert_eq!(steps(window(Axis::Step, Some(5.0), Some(2.0))), [3], "an upside-down window is next to nothing");
    }

    #[test]
    fn a_group_is_what_is_before_the_first_slash() {
        assert_eq!(["val/loss", "val/top5/acc", "loss", "/loss", "val/"].map(group), ["val", "val", "", "", ""]);
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
