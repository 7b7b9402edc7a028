//! Scales: from values to places, and the round numbers written beside an axis.

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances. Values must be above zero.
    Log,
}

/// From a domain of values to a range of places. The range may run backwards, as the y axis of a screen does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    spread: Spread,
    domain: (f64, f64),
    range: (f64, f64),
}

impl Scale {
    /// A scale. An empty or broken domain becomes one around its only value, so that a flat line is drawn in the middle.
    #[must_use]
    pub fn new(spread: Spread, domain: (f64, f64), range: (f64, f64)) -> Self {
        let (mut low, mut high) = domain;
        if !low.is_finite() || !high.is_finite() || low > high {
            (low, high) = (0.0, 1.0);
        }
        let spread = if low > 0.0 { spread } else { Spread::Linear };
        if low == high {
            let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = (low - margin, high + margin);
        }
        Self { spread, domain: (low, high), range }
    }

    /// The smallest and largest of some values, of those that are numbers.
    #[must_use]
    pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
        values.into_iter().filter(|value| value.is_finite()).fold(None, |extent, value| match extent {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        })
    }

    /// Widened to round numbers, about `count` steps apart.
    #[must_use]
    pub fn nice(self, count: usize) -> Self {
        if self.spread == Spread::Log {
            return self;
        }
        let step = step(self.domain.1 - self.domain.0, count);
        let low = (self.domain.0 / step + 1e-9).floor() * step;
        let high = (self.domain.1 / step - 1e-9).ceil() * step;
        // Beside the greatest number there is no round one.
        if low.is_finite() && high.is_finite() { Self { domain: (low, high), ..self } } else { self }
    }

    /// Where a value is.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let place = |v: f64| if self.spread == Spread::Log { v.max(f64::MIN_POSITIVE).ln() } else { v };
        let (low, high) = (place(self.domain.0), place(self.domain.1));
        let share = (place(value) - low) / (high - low);
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// The values to write beside the axis: about `count` round ones.
    #[must_use]
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let (low, high) = self.domain;
        match self.spread {
            Spread::Linear => {
                let step = step(high - low, count);
                let first = (low / step - 1e-9).ceil();
                let last = (high / step + 1e-9).floor();
                // A handful of ticks: far below what loses digits.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let n = (last - first).max(0.0) as u32;
                (0..=n).map(|at| tidy((first + f64::from(at)) * step, step)).collect()
            }
            Spread::Log => {
                // Powers of ten where there are some, else the round numbers between two.
                let between = |times: &[f64]| -> Vec<f64> {
                    // Exponents are at most a few hundred.
                    #[allow(clippy::cast_possible_truncation)]
                    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
                    let all = decades.flat_map(|power| times.iter().map(move |times| times * 10_f64.powi(power)));
                    all.filter(|tick| *tick >= low * (1.0 - 1e-9) && *tick <= high * (1.0 + 1e-9)).collect()
                };
                let mut ticks = between(&[1.0]);
                if ticks.len() < 3 {
                    ticks = between(&[1.0, 2.0, 5.0]);
                }
                let every = ticks.len().div_ceil(count.max(1)).max(1);
                ticks.into_iter().step_by(every).collect()
            }
        }
    }
}

/// The round step nearest to a `count`th of a span: 1, 2 or 5 times a power of ten.
fn step(span: f64, count: usize) -> f64 {
    // A count of ticks is small.
    #[allow(clippy::cast_precision_loss)]
    let rough = (span / count.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let error = rough / power;
    let times = if error >= 7.07 {
        10.0
    } else if error >= 3.16 {
        5.0
    } else if error >= 1.41 {
        2.0
    } else {
        1.0
    };
    times * power
}

/// A multiple of a step without the dust of binary fractions.
fn tidy(value: f64, step: f64) -> f64 {
    // The exponent of a step is small.
    #[allow(clippy::cast_possible_truncation)]
    let places = (-step.log10().floor()).clamp(0.0, 15.0) as i32;
    let unit = 10_f64.powi(places);
    let tidy = (value * unit).round() / unit;
    if tidy == 0.0 { 0.0 } else { tidy }
}

/// A tick's text: as many places as the step between ticks needs.
#[must_use]
pub fn label(value: f64, ticks: &[f64]) -> String {
    let size = ticks.iter().fold(0.0_f64, |most, tick| most.max(tick.abs()));
    if size >= 1e9 || (size > 0.0 && size < 1e-4) {
        return crate::format::number(value);
    }
    let gap = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    // The exponent of a step is small.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let places = if gap.is_finite() && gap > 0.0 { (-gap.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize } else { 2 };
    let text = if size >= 10_000.0 && places == 0 {
        // Bounded by 1e9 above.
        #[allow(clippy::cast_possible_truncation)]
        crate::format::integer(value as i64)
    } else {
        format!("{value:.places$}").replace('-', "−")
    };
    if text.trim_matches(|c| c == '0' || c == '.' || c == '−').is_empty() { "0".to_owned() } else { text }
}

/// Steps between ticks of a time axis, in seconds: what clocks and calendars make round.
const CLOCK: [f64; 20] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
    43_200.0, 86_400.0, 172_800.0, 604_800.0,
];

/// Round moments of a range in milliseconds since 1970, and what is written at each, in UTC. None for what is shorter than
/// a second or no calendar holds.
#[must_use]
pub fn moments((low, high): (f64, f64), count: usize) -> Vec<(f64, String)> {
    let span = (high - low) / 1000.0;
    // A count of ticks is small.
    #[allow(clippy::cast_precision_loss)]
    let rough = span / count.max(1) as f64;
    if !span.is_finite() || span < 1.0 {
        return Vec::new();
    }
    let week = CLOCK[CLOCK.len() - 1];
    let step = CLOCK.iter().copied().find(|step| *step >= rough).unwrap_or_else(|| (rough / week).ceil() * week);
    let written = if step >= 86_400.0 {
        "%-d %b"
    } else if step >= 60.0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    };
    let mut at = (low / 1000.0 / step).ceil() * step;
    let mut ticks = Vec::new();
    while at <= high / 1000.0 && ticks.len() <= 2 * count {
        // What is out of range saturates, and is no moment of the calendar.
        #[allow(clippy::cast_possible_truncation)]
        let moment = chrono::DateTime::from_timestamp(at as i64, 0);
        ticks.extend(moment.map(|moment| (at * 1000.0, moment.format(written).to_string())));
        at += step;
    }
    ticks
}

/// Round lengths of time of a range in seconds, and what is written at each.
#[must_use]
pub fn lengths((low, high): (f64, f64), count: usize) -> Vec<(f64, String)> {
    let reach = low.abs().max(high.abs());
    let (unit, name) = match reach {
        reach if reach < 120.0 => (1.0, "s"),
        reach if reach < 7200.0 => (60.0, "min"),
        reach if reach < 172_800.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let ticks = Scale::new(Spread::Linear, (low / unit, high / unit), (0.0, 1.0)).ticks(count);
    ticks
        .iter()
        .map(|tick| {
            let text = label(*tick, &ticks);
            (tick * unit, if text == "0" { text } else { format!("{text} {name}") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_round_by_the_clock() {
        let texts = |low: f64, high: f64| moments((low, high), 4).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        let day = 1_795_392_000_000.0; // Mon 23 Nov 2026, 00:00 UTC.
        assert_eq!(texts(day + 3e5, day + 39e5), ["00:15", "00:30", "00:45", "01:00"]);
        assert_eq!(texts(day, day + 12e3), ["00:00:00", "00:00:05", "00:00:10"]);
        assert_eq!(texts(day, day + 3.0 * 864e5), ["23 Nov", "24 Nov", "25 Nov", "26 Nov"]);
        assert!(texts(-1e300, 1e300).len() < 9 && texts(5.0, 5.0).is_empty());
        let lengths = |high: f64| lengths((0.0, high), 4).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(lengths(90.0), ["0", "20 s", "40 s", "60 s", "80 s"]);
        assert_eq!(lengths(3600.0), ["0", "20 min", "40 min", "60 min"]);
    }

    fn shown(low: f64, high: f64) -> Vec<String> {
        let ticks = Scale::new(Spread::Linear, (low, high), (0.0, 1.0)).nice(4).ticks(4);
        ticks.iter().map(|tick| label(*tick, &ticks)).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(shown(0.42, 1.73), ["0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(shown(0.0, 480.0), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!(shown(-0.3, 0.31), ["−0.4", "−0.2", "0", "0.2", "0.4"]);
        assert_eq!(shown(0.0, 120_000.0), ["0", "20,000", "40,000", "60,000", "80,000", "100,000", "120,000"]);
    }

    #[test]
    fn a_flat_line_lies_in_the_middle() {
        assert!((Scale::new(Spread::Linear, (0.7, 0.7), (100.0, 0.0)).at(0.7) - 50.0).abs() < 1e-9);
        assert!((Scale::new(Spread::Linear, (f64::NAN, 1.0), (0.0, 1.0)).at(0.5) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_log_axis_spreads_ratios_evenly_and_refuses_zero() {
        let scale = Scale::new(Spread::Log, (0.01, 100.0), (0.0, 4.0));
        assert!((scale.at(1.0) - 2.0).abs() < 1e-9);
        let ticks = scale.ticks(5);
        let shown: Vec<String> = ticks.iter().map(|tick| crate::format::number(*tick)).collect();
        assert_eq!(shown, ["0.01", "0.100", "1", "10", "100"]);
        let with_zero = Scale::new(Spread::Log, (0.0, 10.0), (0.0, 1.0));
        assert!((with_zero.at(5.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_a_number_has_no_extent() {
        assert_eq!(Scale::extent([f64::NAN, 2.0, f64::INFINITY, 1.0]), Some((1.0, 2.0)));
        assert_eq!(Scale::extent([f64::NAN]), None);
    }
}
