//! Two samples over the same bins: where the reference was, and where the current values are.

use super::{
    Drawing, escape,
    path::short,
    scale::{Scale, Spread, label},
};
use crate::format;

/// The bins of a feature: edges of a number, or the values of a category.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    /// One edge more than bins.
    Edges(Vec<f64>),
    /// One name to a bin.
    Names(Vec<String>),
}

/// Shares of two samples, bin by bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The bins.
    pub bins: Bins,
    /// Shares of the reference, 0 to 1.
    pub reference: Vec<f64>,
    /// Shares of the current values, 0 to 1.
    pub current: Vec<f64>,
    /// What is counted.
    pub of: String,
}

impl Pair {
    /// The two sides of a feature that was compared with its reference.
    #[must_use]
    pub fn of(feature: &str, bins: domain::drift::Bins) -> Self {
        use domain::drift::Bins as B;
        let of = feature.to_owned();
        match bins {
            B::Ranges { edges, reference, current } => Self { bins: Bins::Edges(edges), reference, current, of },
            B::Values { mut values, mut reference, mut current, reference_rest, current_rest } => {
                if reference_rest > 0.0 || current_rest > 0.0 {
                    values.push("others".to_owned());
                    reference.push(reference_rest);
                    current.push(current_rest);
                }
                Self { bins: Bins::Names(values), reference, current, of }
            }
        }
    }
}

const WIDTH: f64 = 372.0;
const HEIGHT: f64 = 132.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// Draws both: the reference as a ground, the current values as bars in front of it.
#[must_use]
pub fn draw(pair: &Pair) -> Drawing {
    let n = pair.reference.len().max(pair.current.len()).max(1);
    // Bins are a few dozen.
    #[allow(clippy::cast_precision_loss)]
    let slot = (RIGHT - LEFT) / n as f64;
    let most =
        Scale::extent(pair.reference.iter().chain(&pair.current).copied()).map_or(1.0, |(_, high)| high.max(1e-6));
    let y = Scale::new(Spread::Linear, (0.0, most), (BOTTOM, TOP)).nice(2);
    let mut shapes = String::new();
    for tick in y.ticks(2) {
        shapes += &format!(
            r#"<path class="grid" d="M{LEFT} {0}H{RIGHT}"/><text class="num" x="{1}" y="{2}">{3}</text>"#,
            short(y.at(tick)),
            short(LEFT - 6.0),
            short(y.at(tick) + 4.0),
            format::percent(tick).replace(' ', ""),
        );
    }
    let bar = |class: &str, at: usize, share: f64, inset: f64| {
        // As above.
        #[allow(clippy::cast_precision_loss)]
        let x = LEFT + at as f64 * slot + inset * slot;
        let top = y.at(if share.is_finite() { share } else { 0.0 });
        format!(
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            short(x),
            short(top),
            short((slot * (1.0 - 2.0 * inset)).max(1.0)),
            short((BOTTOM - top).max(0.0))
        )
    };
    for (at, share) in pair.reference.iter().enumerate() {
        shapes += &bar("was", at, *share, 0.04);
    }
    for (at, share) in pair.current.iter().enumerate() {
        shapes += &bar("now", at, *share, 0.24);
    }
    shapes += &format!(r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>"#);
    match &pair.bins {
        Bins::Edges(edges) => {
            if let (Some(first), Some(last)) = (edges.first(), edges.last()) {
                let x = Scale::new(Spread::Linear, (*first, *last), (LEFT, RIGHT));
                let ticks = x.ticks(4);
                for tick in &ticks {
                    shapes += &format!(
                        r#"<text class="mid" x="{}" y="{}">{}</text>"#,
                        short(x.at(*tick)),
                        short(BOTTOM + 15.0),
                        label(*tick, &ticks)
                    );
                }
            }
        }
        Bins::Names(names) => {
            // A name of six letters needs about 40 units; with narrower bins every second or third is written.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let every = (44.0 / slot).ceil().max(1.0) as usize;
            // The width of a slot is small.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let letters = (slot * every as f64 / 6.5).floor().max(3.0) as usize;
            for (at, name) in names.iter().enumerate().step_by(every) {
                // As above.
                #[allow(clippy::cast_precision_loss)]
                let x = LEFT + (at as f64 + 0.5) * slot;
                shapes += &format!(
                    r#"<text class="mid" x="{}" y="{}">{}</text>"#,
                    short(x),
                    short(BOTTOM + 15.0),
                    escape(&super::cut(name, letters))
                );
            }
        }
    }
    let moved: f64 = pair
        .reference
        .iter()
        .zip(&pair.current)
        .map(|(was, now)| (was - now).abs())
        .filter(|change| change.is_finite())
        .sum::<f64>()
        / 2.0;
    Drawing {
        class: "chart",
        width: WIDTH,
        height: HEIGHT,
        label: format!("{}: {} of the values lie elsewhere than in the reference", pair.of, format::percent(moved)),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_samples_are_drawn_bin_by_bin() {
        let drawing = draw(&Pair {
            bins: Bins::Edges(vec![0.0, 1.0, 2.0]),
            reference: vec![0.5, 0.5],
            current: vec![0.25, 0.75],
            of: "alcohol".into(),
        });
        assert_eq!(drawing.shapes.matches(r#"class="was""#).count(), 2);
        assert_eq!(drawing.shapes.matches(r#"class="now""#).count(), 2);
        assert_eq!(drawing.label, "alcohol: 25 % of the values lie elsewhere than in the reference");
    }

    #[test]
    fn names_are_escaped() {
        let drawing = draw(&Pair {
            bins: Bins::Names(vec!["<b>".into()]),
            reference: vec![1.0],
            current: vec![f64::NAN],
            of: "kind".into(),
        });
        assert!(drawing.shapes.contains("&lt;b&gt;") && !drawing.shapes.contains("NaN"), "{}", drawing.shapes);
    }
}
