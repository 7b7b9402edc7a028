//! Thinning the points of a metric for a chart, so that no peak is lost.

use crate::run::Metric;

/// Takes points in order and keeps some: the first, the last, and of each stretch between, the least and the greatest.
#[derive(Debug)]
pub struct Thinner {
    /// How many points make a stretch; 0 when all are kept.
    stretch: usize,
    taken: usize,
    kept: Vec<Metric>,
    least: Option<(usize, Metric)>,
    greatest: Option<(usize, Metric)>,
    last: Option<(usize, Metric)>,
}

impl Thinner {
    /// For about `total` points, of which about `wanted` are kept.
    #[must_use]
    pub fn new(total: usize, wanted: usize) -> Self {
        // Two of each stretch, and one at either end.
        let stretches = (wanted.saturating_sub(2) / 2).max(1);
        let stretch = if total <= wanted { 0 } else { total.div_ceil(stretches) };
        Self { stretch, taken: 0, kept: Vec::new(), least: None, greatest: None, last: None }
    }

    /// Takes the next point.
    pub fn push(&mut self, point: Metric) {
        let at = self.taken;
        self.taken += 1;
        if self.stretch == 0 {
            self.kept.push(point);
            return;
        }
        if at.is_multiple_of(self.stretch) {
            self.close();
        }
        if at == 0 {
            self.kept.push(point.clone());
        } else {
            // Not-a-number is neither less nor greater; a stretch of nothing else keeps one, as a gap.
            if self.least.as_ref().is_none_or(|(_, least)| point.value < least.value || least.value.is_nan()) {
                self.least = Some((at, point.clone()));
            }
            if self
                .greatest
                .as_ref()
                .is_none_or(|(_, greatest)| point.value > greatest.value || greatest.value.is_nan())
            {
                self.greatest = Some((at, point.clone()));
            }
        }
        self.last = Some((at, point));
    }

    /// Keeps the extremes of the stretch, in order.
    fn close(&mut self) {
        let mut extremes: Vec<(usize, Metric)> = self.least.take().into_iter().chain(self.greatest.take()).collect();
        extremes.sort_by_key(|(at, _)| *at);
        extremes.dedup_by_key(|(at, _)| *at);
        self.kept.extend(extremes.into_iter().map(|(_, point)| point));
    }

    /// The points that were kept, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<Metric> {
        let last = self.last.take().filter(|(at, _)| *at > 0);
        let is_extreme = |extreme: &Option<(usize, Metric)>| {
            extreme.as_ref().zip(last.as_ref()).is_some_and(|((at, _), (last, _))| at == last)
        };
        let last_is_kept = is_extreme(&self.least) || is_extreme(&self.greatest);
        self.close();
        if !last_is_kept {
            self.kept.extend(last.map(|(_, point)| point));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(step: usize, value: f64) -> Metric {
        Metric { key: "loss".to_owned(), value, timestamp: step as i64, step: step as i64 }
    }

    fn thin(values: &[f64], wanted: usize) -> Vec<Metric> {
        let mut thinner = Thinner::new(values.len(), wanted);
        values.iter().enumerate().for_each(|(step, value)| thinner.push(point(step, *value)));
        thinner.finish()
    }

    #[test]
    fn a_short_series_is_kept_whole() {
        assert_eq!(thin(&[1.0, 2.0, f64::NAN], 3).len(), 3);
        assert!(thin(&[], 3).is_empty());
    }

    #[test]
    fn a_single_peak_survives() {
        let mut values = vec![0.0; 100_000];
        values[54_321] = 9.0;
        let kept = thin(&values, 100);
        assert!(kept.len() <= 100, "{}", kept.len());
        assert!(kept.iter().any(|point| point.step == 54_321 && point.value == 9.0));
    }

    #[test]
    fn a_stretch_without_numbers_stays_as_a_gap() {
        let mut values = vec![1.0; 1000];
        values[400..800].fill(f64::NAN);
        assert!(thin(&values, 22).iter().any(|point| point.value.is_nan()));
    }

    proptest! {
        #[test]
        fn first_last_least_and_greatest_are_kept_in_order(
            values in proptest::collection::vec(-5.0..5.0_f64, 1..400),
            wanted in 2_usize..60,
        ) {
            let kept = thin(&values, wanted);
            prop_assert!(kept.len() <= wanted.max(4).max(values.len().min(wanted)), "{} of {wanted}", kept.len());
            prop_assert!(kept.windows(2).all(|pair| pair[0].step < pair[1].step));
            prop_assert_eq!(kept[0].step, 0);
            prop_assert_eq!(kept[kept.len() - 1].step, values.len() as i64 - 1);
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(kept.iter().any(|point| point.value == least));
            prop_assert!(kept.iter().any(|point| point.value == greatest));
        }

        #[test]
        fn a_series_that_grew_meanwhile_is_thinned_all_the_same(total in 1_usize..50, more in 0_usize..50) {
            let mut thinner = Thinner::new(total, 10);
            (0..total + more).for_each(|step| thinner.push(point(step, (step % 7) as f64)));
            let kept = thinner.finish();
            prop_assert_eq!(kept[kept.len() - 1].step, (total + more) as i64 - 1);
        }
    }
}
