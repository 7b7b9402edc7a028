//! Columns over time: how many in each slice, the last slice at the right.

use super::{
    Drawing, escape,
    path::short,
    scale::{Scale, Spread, label},
};
use crate::format;

const WIDTH: f64 = 372.0;
const HEIGHT: f64 = 132.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// Draws a column to each value. `marks` names some of them below: place among the values, and text.
#[must_use]
pub fn draw(values: &[f64], marks: &[(usize, String)], of: &str) -> Drawing {
    // Slices are a few dozen.
    #[allow(clippy::cast_precision_loss)]
    let slot = (RIGHT - LEFT) / values.len().max(1) as f64;
    let most = Scale::extent(values.iter().copied()).map_or(1.0, |(_, high)| high.max(1.0));
    let y = Scale::new(Spread::Linear, (0.0, most), (BOTTOM, TOP)).nice(3);
    let mut shapes = String::new();
    let ticks = y.ticks(3);
    for tick in &ticks {
        shapes += &format!(
            r#"<path class="grid" d="M{LEFT} {0}H{RIGHT}"/><text class="num" x="{1}" y="{2}">{3}</text>"#,
            short(y.at(*tick)),
            short(LEFT - 6.0),
            short(y.at(*tick) + 4.0),
            label(*tick, &ticks),
        );
    }
    // As above.
    #[allow(clippy::cast_precision_loss)]
    let x = |at: usize| LEFT + at as f64 * slot;
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        // What is there is seen, however little it is.
        let top = y.at(*value).min(BOTTOM - 1.0);
        shapes += &format!(
            r#"<rect class="bar" x="{}" y="{}" width="{}" height="{}" rx="1"/>"#,
            short(x(at) + slot * 0.12),
            short(top),
            short((slot * 0.76).max(1.0)),
            short(BOTTOM - top)
        );
    }
    shapes += &format!(r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>"#);
    for (at, text) in marks {
        shapes += &format!(
            r#"<text class="mid" x="{}" y="{}">{}</text>"#,
            short(x(*at) + slot / 2.0),
            short(BOTTOM + 15.0),
            escape(text)
        );
    }
    let sum: f64 = values.iter().filter(|value| value.is_finite()).sum();
    Drawing {
        class: "chart",
        width: WIDTH,
        height: HEIGHT,
        label: format!(
            "{of}: {} in all, {} at most in one of {} slices",
            format::number(sum),
            format::number(if sum > 0.0 { most } else { 0.0 }),
            values.len()
        ),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_without_values_has_no_column_and_a_small_one_is_seen() {
        let drawing = draw(&[0.0, 1.0, 4000.0], &[(0, "06:00".into())], "Requests");
        assert_eq!(drawing.shapes.matches("<rect").count(), 2);
        assert!(drawing.shapes.contains(r#"height="1""#), "{}", drawing.shapes);
        assert_eq!(drawing.label, "Requests: 4,001 in all, 4,000 at most in one of 3 slices");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(!draw(&[], &[], "Requests").shapes.contains("<rect"));
        assert_eq!(draw(&[0.0; 24], &[], "Requests").label, "Requests: 0 in all, 0 at most in one of 24 slices");
    }
}
