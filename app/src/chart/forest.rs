//! A difference and its interval, pointing right for better, always.

use super::{Drawing, path::short};
use crate::{format, ui::value::Meaning};

/// An interval of a difference, as better is positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The worst it may be.
    pub low: f64,
    /// The best guess.
    pub middle: f64,
    /// The best it may be.
    pub high: f64,
}

impl Interval {
    /// What it means: unsure when it crosses zero.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        if self.low > 0.0 {
            Meaning::Better
        } else if self.high < 0.0 {
            Meaning::Worse
        } else {
            Meaning::Unsure
        }
    }
}

/// Draws an interval; `reach` is the value at the edge of the drawing.
#[must_use]
pub fn draw(interval: &Interval, reach: f64) -> Drawing {
    let at = |value: f64| (92.0 + value / reach.max(1e-12) * 84.0).clamp(4.0, 180.0);
    let (low, middle, high) = (at(interval.low), at(interval.middle), at(interval.high));
    Drawing {
        class: "forest",
        width: 184.0,
        height: 24.0,
        label: format!("interval {} … {}", format::signed(interval.low), format::signed(interval.high)),
        shapes: format!(
            r#"<line class="zero" x1="92" x2="92" y1="2" y2="22"/><path class="ci" d="M{0} 12H{2}M{0} 8.5V15.5M{2} 8.5V15.5"/><circle class="dot" cx="{1}" cy="12" r="4.5"/>"#,
            short(low),
            short(middle),
            short(high)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_crosses_zero_is_unsure() {
        assert_eq!(Interval { low: -0.08, middle: 0.01, high: 0.1 }.meaning(), Meaning::Unsure);
        assert_eq!(Interval { low: 0.01, middle: 0.03, high: 0.06 }.meaning(), Meaning::Better);
        assert_eq!(Interval { low: -0.06, middle: -0.03, high: -0.01 }.meaning(), Meaning::Worse);
    }
}
