//! How the curves of a page are looked at. All of it stands in the page's address.

use super::scale::Spread;
use crate::ui::query::Address;
use domain::series::{Axis, Window};

/// The settings that all charts of a page obey.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Look {
    /// The x axis, and the part of it that is shown.
    pub window: Window,
    /// How values are spread.
    pub spread: Spread,
    /// The weight of the exponential moving average: 0 for none, below 1.
    pub smoothing: f64,
    /// Whether the y axis spans the 5th to the 95th percentile of the values alone.
    pub inner: bool,
}

impl Look {
    /// The greatest weight.
    pub const MOST: f64 = 0.99;

    /// What an address says. A setting that it says wrongly is as if it said nothing.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        let number = |name: &str| {
            address.get(name).and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite())
        };
        let (start, end) = (number("start"), number("end"));
        let is_range = start.zip(end).is_none_or(|(start, end)| start < end);
        Self {
            window: Window {
                axis: address.get("x").and_then(Axis::parse).unwrap_or_default(),
                start: start.filter(|_| is_range),
                end: end.filter(|_| is_range),
            },
            spread: if address.get("y") == Some("log") { Spread::Log } else { Spread::Linear },
            smoothing: number("smoothing").unwrap_or_default().clamp(0.0, Self::MOST),
            inner: address.get("outliers") == Some("ignored"),
        }
    }

    /// Whether a part of the x axis is shown alone.
    #[must_use]
    pub fn is_zoomed(&self) -> bool {
        self.window.start.is_some() || self.window.end.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Look {
        Look::of(&Address::new("/", pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))))
    }

    #[test]
    fn what_an_address_says_wrongly_is_as_if_it_said_nothing() {
        let wrong = [("x", "sideways"), ("y", "cubic"), ("smoothing", "NaN"), ("start", "inf"), ("end", "")];
        assert_eq!(of(&wrong), Look::default());
        assert!(!of(&[("start", "9"), ("end", "3")]).is_zoomed());
        assert!((of(&[("smoothing", "7")]).smoothing - Look::MOST).abs() < 1e-12);
    }

    #[test]
    fn an_address_holds_all_settings() {
        let look =
            of(&[("x", "relative"), ("y", "log"), ("smoothing", "0.6"), ("outliers", "ignored"), ("start", "-3")]);
        assert_eq!((look.window.axis, look.window.start, look.window.end), (Axis::Relative, Some(-3.0), None));
        assert!(look.spread == Spread::Log && look.inner && look.is_zoomed());
    }
}
