//! Parallel coordinates: an axis for each thing that runs differ by, and a line through them for each run.

use super::{Drawing, cut, dimension::Dimension, escape, hue, path::short, scatter::SHADES};

/// What the chart shows.
#[derive(Debug, Clone, Default)]
pub struct Parallel {
    /// The axes, from left to right.
    pub axes: Vec<Dimension>,
    /// The name of each run, in the order of the values of the axes; and its place among the colours.
    pub runs: Vec<(String, usize)>,
}

const HEIGHT: f64 = 380.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 14.0;
const WIDTH: f64 = 1100.0;
/// Beside the outer axes, and the least between two.
const SIDE: f64 = 80.0;
const GAP: f64 = 110.0;
/// With more runs than these, lines are shaded by the last axis: so many colours could not be followed.
const FEW: usize = 10;

/// The class of a shade, from 1 to 6, of a place between 0 and 1.
// Both are small.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn shade(place: f64) -> usize {
    ((place.clamp(0.0, 1.0) * SHADES as f64) as usize).min(SHADES - 1) + 1
}

/// Draws it. Each run's line carries its places in `data-at`, from 0 at the foot to 1, for the island that brushes; each
/// axis is a group that takes focus.
#[must_use]
pub fn draw(parallel: &Parallel) -> Drawing {
    // Axes are few.
    #[allow(clippy::cast_precision_loss)]
    let between = ((WIDTH - 2.0 * SIDE) / (parallel.axes.len().max(2) - 1) as f64).max(GAP);
    #[allow(clippy::cast_precision_loss)]
    let x = |at: usize| SIDE + at as f64 * between;
    let width = x(parallel.axes.len().max(2) - 1) + SIDE;
    let y = |place: f64| BOTTOM - place * (BOTTOM - TOP);
    let columns: Vec<_> = parallel.axes.iter().map(|axis| axis.places(5)).collect();
    let mut shapes = String::new();
    for (run, (name, colour)) in parallel.runs.iter().enumerate() {
        let places: Vec<Option<f64>> = columns.iter().map(|(places, _)| places.get(run).copied().flatten()).collect();
        let mut path = String::new();
        let mut is_down = false;
        for (at, place) in places.iter().enumerate() {
            match place {
                Some(place) => {
                    path += &format!("{}{} {}", if is_down { "L" } else { "M" }, short(x(at)), short(y(*place)));
                    // A value between two that are missing is a dot.
                    let is_alone =
                        (at == 0 || places[at - 1].is_none()) && places.get(at + 1).copied().flatten().is_none();
                    if is_alone {
                        path += "h.1";
                    }
                    is_down = true;
                }
                None => is_down = false,
            }
        }
        let at: Vec<String> =
            places.iter().map(|place| place.map_or_else(String::new, |place| format!("{place:.4}"))).collect();
        let words: Vec<String> =
            parallel.axes.iter().filter_map(|axis| Some(format!("{} {}", axis.name, axis.written(run)?))).collect();
        let class = match (parallel.runs.len() > FEW, places.last()) {
            (true, Some(Some(place))) => format!("line d0 q{}", shade(*place)),
            _ => hue::line(*colour),
        };
        shapes += &format!(
            r#"<path class="{} thread" data-at="{}" d="{path}"><title>{}: {}</title></path>"#,
            class,
            at.join(","),
            escape(name),
            escape(&words.join(", ")),
        );
    }
    for (at, (axis, (_, ticks))) in parallel.axes.iter().zip(&columns).enumerate() {
        let place = short(x(at));
        let log = if axis.is_log() { ", logarithmic" } else { "" };
        let name = escape(&axis.name);
        shapes += &format!(
            r#"<g class="rail" data-axis="{at}" data-x="{place}" data-top="{TOP}" data-bottom="{BOTTOM}"><title>{name}{log}</title><path class="axis" d="M{place} {TOP}V{BOTTOM}"/><text class="mid head" x="{place}" y="{}">{}</text>"#,
            short(if at % 2 == 0 { TOP - 14.0 } else { TOP - 28.0 }),
            escape(&cut(&axis.name, 36)),
        );
        for (tick, text) in ticks {
            shapes += &format!(
                r#"<path class="axis" d="M{place} {0}h4"/><text class="tick" x="{1}" y="{2}">{3}</text>"#,
                short(y(*tick)),
                short(x(at) + 7.0),
                short(y(*tick) + 4.0),
                escape(&cut(text, 16))
            );
        }
        shapes += "</g>";
    }
    let names: Vec<&str> = parallel.axes.iter().map(|axis| axis.name.as_str()).collect();
    Drawing {
        class: "chart parallel",
        width,
        height: HEIGHT,
        label: format!("{} runs as lines over {}", parallel.runs.len(), names.join(", ")),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_line_through_its_values_that_breaks_where_one_is_missing() {
        let axes = vec![
            Dimension::of_texts("kind", &[Some("<a>"), Some("b")]),
            Dimension::of_numbers("loss", vec![Some(1.0), None]),
            Dimension::of_numbers("acc", vec![Some(0.0), Some(1.0)]),
        ];
        let runs = vec![("one".to_owned(), 0), ("two \"2\"".to_owned(), 1)];
        let drawing = draw(&Parallel { axes, runs });
        assert!(
            drawing.shapes.contains(r#"data-at="0.7500,0.5000,0.0000" d="M80 124.5L550 205L1020 366""#),
            "{}",
            drawing.shapes
        );
        assert!(
            drawing.shapes.contains(r#"data-at="0.2500,,1.0000" d="M80 285.5h.1M1020 44h.1""#),
            "{}",
            drawing.shapes
        );
        assert!(drawing.shapes.contains("two &quot;2&quot;") && !drawing.shapes.contains("<a>"), "{}", drawing.shapes);
        assert_eq!(drawing.label, "2 runs as lines over kind, loss, acc");
    }

    #[test]
    fn no_axes_is_an_empty_chart() {
        assert!(draw(&Parallel::default()).shapes.is_empty());
    }
}
