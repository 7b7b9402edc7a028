//! One thing that runs differ by, as an axis: numbers, or words in an order.

use super::scale::{Scale, Spread, label};
use crate::format;
use std::cmp::Ordering;

/// A value of each of some things, on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// What it is called.
    pub name: String,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Numbers(Vec<Option<f64>>, Spread),
    /// Which of the words each has.
    Words(Vec<Option<usize>>, Vec<String>),
}

impl Dimension {
    /// Of numbers. Those above zero that reach over more than two powers of ten are spread by their logarithm.
    #[must_use]
    pub fn of_numbers(name: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        let values: Vec<Option<f64>> =
            values.into_iter().map(|value| value.filter(|value| value.is_finite())).collect();
        let spread = match Scale::extent(values.iter().flatten().copied()) {
            Some((low, high)) if low > 0.0 && high / low >= 100.0 => Spread::Log,
            _ => Spread::Linear,
        };
        Self { name: name.into(), values: Values::Numbers(values, spread) }
    }

    /// Of texts: numbers when all that are there are, else words, each of which is a place on the axis.
    #[must_use]
    pub fn of_texts(name: impl Into<String>, texts: &[Option<&str>]) -> Self {
        let numbers: Vec<Option<f64>> = texts
            .iter()
            .map(|text| text.and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| number.is_finite()))
            .collect();
        if texts.iter().zip(&numbers).all(|(text, number)| text.is_some() == number.is_some()) {
            return Self::of_numbers(name, numbers);
        }
        let mut words: Vec<&str> = texts.iter().flatten().copied().collect();
        words.sort_unstable_by(|one, other| in_order(one, other));
        words.dedup();
        let places = texts.iter().map(|text| words.iter().position(|word| Some(*word) == *text)).collect();
        Self { name: name.into(), values: Values::Words(places, words.into_iter().map(str::to_owned).collect()) }
    }

    /// Whether its values are numbers.
    #[must_use]
    pub fn is_numbers(&self) -> bool {
        matches!(self.values, Values::Numbers(..))
    }

    /// Whether its numbers are spread by their logarithm.
    #[must_use]
    pub fn is_log(&self) -> bool {
        matches!(self.values, Values::Numbers(_, Spread::Log))
    }

    /// The words, in order; none of numbers.
    #[must_use]
    pub fn words(&self) -> &[String] {
        match &self.values {
            Values::Numbers(..) => &[],
            Values::Words(_, words) => words,
        }
    }

    /// The value of the thing at this place, as it is written.
    #[must_use]
    pub fn written(&self, at: usize) -> Option<String> {
        match &self.values {
            Values::Numbers(values, _) => values.get(at).copied().flatten().map(format::number),
            Values::Words(places, words) => words.get(places.get(at).copied().flatten()?).cloned(),
        }
    }

    /// Where each thing stands between 0 and 1, and what is written at which places.
    #[must_use]
    // Words and ticks are few.
    #[allow(clippy::cast_precision_loss)]
    pub fn places(&self, ticks: usize) -> (Vec<Option<f64>>, Vec<(f64, String)>) {
        match &self.values {
            Values::Numbers(values, spread) => {
                let extent = Scale::extent(values.iter().flatten().copied()).unwrap_or((0.0, 1.0));
                let scale = Scale::new(*spread, extent, (0.0, 1.0)).nice(ticks);
                let round = scale.ticks(ticks);
                let text = |tick: f64| if *spread == Spread::Log { format::number(tick) } else { label(tick, &round) };
                let written = round.iter().map(|tick| (scale.at(*tick), text(*tick))).collect();
                (values.iter().map(|value| value.map(|value| scale.at(value))).collect(), written)
            }
            Values::Words(places, words) => {
                // The first at the top, where one reads first; half a step from either end.
                let place = |at: usize| 1.0 - (at as f64 + 0.5) / words.len().max(1) as f64;
                let every = words.len().div_ceil(12).max(1);
                let written =
                    words.iter().enumerate().step_by(every).map(|(at, word)| (place(at), word.clone())).collect();
                (places.iter().map(|at| at.map(place)).collect(), written)
            }
        }
    }
}

/// The order of words: numbers in them count as numbers, so that `depth 9` comes before `depth 10`.
#[must_use]
pub fn in_order(one: &str, other: &str) -> Ordering {
    let number = |text: &str| -> Option<(u64, usize)> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count().min(18);
        Some((text[..digits].parse().ok()?, digits))
    };
    let (mut a, mut b) = (one, other);
    loop {
        if let (Some((x, x_digits)), Some((y, y_digits))) = (number(a), number(b)) {
            if x != y {
                return x.cmp(&y);
            }
            (a, b) = (&a[x_digits..], &b[y_digits..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (x, y) => return x.cmp(&y).then_with(|| one.cmp(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_all_numbers_are_an_axis_of_numbers() {
        let rates = Dimension::of_texts("lr", &[Some("1e-4"), Some("0.01"), None]);
        assert!(rates.is_numbers() && rates.is_log());
        let (places, ticks) = rates.places(5);
        assert_eq!(places[2], None);
        assert!((places[0].unwrap(), places[1].unwrap()) == (0.0, 1.0), "{places:?}");
        assert_eq!(ticks.iter().map(|tick| tick.1.as_str()).collect::<Vec<_>>(), ["0.0001", "0.001", "0.01"]);
    }

    #[test]
    fn words_are_places_in_their_order_from_the_top() {
        let depths = Dimension::of_texts("model", &[Some("depth 10"), Some("depth 9"), None]);
        let (places, ticks) = depths.places(5);
        assert_eq!(places, [Some(0.25), Some(0.75), None]);
        assert_eq!(ticks[0], (0.75, "depth 9".to_owned()));
        assert_eq!((depths.written(0).as_deref(), depths.written(2)), (Some("depth 10"), None));
    }

    #[test]
    fn one_value_alone_stands_in_the_middle() {
        assert_eq!(Dimension::of_numbers("x", vec![Some(3.0), Some(f64::NAN)]).places(4).0[1], None);
    }
}
