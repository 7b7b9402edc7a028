//! Bars that lie: a name, a bar, its value. For importances, counts, shares.

use super::{Drawing, cut, escape, path::short, scale::Scale};
use crate::format;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its value; negative values are drawn as nothing.
    pub value: f64,
    /// How far it could be off, either way.
    pub spread: Option<f64>,
}

/// Draws bars from the top down.
#[must_use]
pub fn draw(bars: &[Bar], of: &str) -> Drawing {
    const LEFT: f64 = 126.0;
    const FULL: f64 = 168.0;
    let most = Scale::extent(bars.iter().map(|bar| bar.value + bar.spread.unwrap_or(0.0)))
        .map_or(1.0, |(_, high)| high.max(1e-12));
    let mut shapes = String::new();
    for (at, bar) in bars.iter().enumerate() {
        // Bars of one chart are few.
        #[allow(clippy::cast_precision_loss)]
        let y = 9.0 + at as f64 * 23.0;
        let width = if bar.value.is_finite() { (bar.value / most * FULL).max(0.0) } else { 0.0 };
        shapes += &format!(
            r#"<text class="num" x="118" y="{}">{}</text><rect class="bar" x="{LEFT}" y="{}" width="{}" height="14" rx="2"/>"#,
            short(y + 11.0),
            escape(&cut(&bar.name, 19)),
            short(y),
            short(width),
        );
        let mut end = LEFT + width;
        if let Some(spread) = bar.spread.filter(|spread| spread.is_finite()) {
            let half = spread / most * FULL;
            shapes += &format!(
                r#"<path class="whisker" d="M{} {}h{}"/>"#,
                short(end - half),
                short(y + 7.0),
                short(2.0 * half)
            );
            end += half;
        }
        shapes += &format!(
            r#"<text class="ink" x="{}" y="{}">{}</text>"#,
            short(end + 8.0),
            short(y + 11.0),
            format::number(bar.value)
        );
    }
    // As above.
    #[allow(clippy::cast_precision_loss)]
    let height = 12.0 + bars.len() as f64 * 23.0;
    let largest = bars.iter().max_by(|a, b| a.value.total_cmp(&b.value));
    let label = largest.map_or_else(
        || format!("{of}, no values"),
        |bar| format!("{of}, {} bars, the largest {} with {}", bars.len(), bar.name, format::number(bar.value)),
    );
    Drawing { class: "chart", width: 372.0, height, label, shapes }
}

/// Two shares beside each other from a middle line: what went wrong to the left, what went right to the right.
#[must_use]
pub fn split(wrong: f64, right: f64, most: f64) -> Drawing {
    let width = |share: f64| (share / most.max(1e-12) * 86.0).clamp(0.0, 86.0);
    let (left, other) = (width(wrong), width(right));
    Drawing {
        class: "split",
        width: 176.0,
        height: 8.0,
        label: format!("{} became wrong, {} became right", format::percent(wrong), format::percent(right)),
        shapes: format!(
            r#"<rect class="wrong" x="{}" width="{}" height="8" rx="2"/><rect class="right" x="88.5" width="{}" height="8" rx="2"/>"#,
            short(87.5 - left),
            short(left),
            short(other)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bar_is_the_longest_and_is_named() {
        let bars = [("alcohol", 0.2), ("pH", 0.05)].map(|(name, value)| Bar { name: name.into(), value, spread: None });
        let drawing = draw(&bars, "Importance");
        assert!(
            drawing.shapes.contains(r#"width="168""#) && drawing.shapes.contains(r#"width="42""#),
            "{}",
            drawing.shapes
        );
        assert_eq!(drawing.label, "Importance, 2 bars, the largest alcohol with 0.200");
    }
}
