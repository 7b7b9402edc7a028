//! One number of each run as a bar, with a level to compare with.

use super::{Drawing, cut, escape, hue, path::short, scale::Scale};
use crate::{chart::scale::Spread, format};

/// What the chart shows.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// What the numbers are.
    pub of: String,
    /// Name, number and place among the colours of each run, in the order from the top.
    pub bars: Vec<(String, Option<f64>, usize)>,
    /// A level to compare with: its name and value.
    pub level: Option<(String, f64)>,
}

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = WIDTH - 76.0;
const ROW: f64 = 22.0;

/// Draws it. Bars begin at zero, whatever the numbers.
#[must_use]
pub fn draw(chart: &Bars) -> Drawing {
    let numbers = || chart.bars.iter().filter_map(|(_, value, _)| *value).filter(|value| value.is_finite());
    let level = chart.level.as_ref().map(|(_, value)| *value);
    let extent = Scale::extent(numbers().chain(level).chain([0.0])).unwrap_or((0.0, 1.0));
    let x = Scale::new(Spread::Linear, extent, (LEFT, RIGHT));
    // Rows are few.
    #[allow(clippy::cast_precision_loss)]
    let height = chart.bars.len() as f64 * ROW + 10.0;
    let zero = x.at(0.0);
    let mut shapes = String::new();
    for (at, (name, value, colour)) in chart.bars.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let top = at as f64 * ROW + 5.0;
        let text = short(top + 14.0);
        shapes += &format!(
            r#"<text class="num" x="{}" y="{text}">{}<title>{}</title></text>"#,
            short(LEFT - 8.0),
            escape(&cut(name, 32)),
            escape(name)
        );
        let written = match value {
            None => format::NONE.to_owned(),
            Some(value) if !value.is_finite() => format::number(*value),
            Some(value) => {
                let end = x.at(*value);
                shapes += &format!(
                    r#"<rect class="fill {}" x="{}" y="{}" width="{}" height="14" rx="2"/>"#,
                    hue::line(*colour),
                    short(end.min(zero)),
                    short(top + 3.0),
                    short((end - zero).abs().max(1.0))
                );
                format::number(*value)
            }
        };
        let end = value.filter(|value| value.is_finite()).map_or(zero, |value| x.at(value).max(zero));
        shapes += &format!(r#"<text class="ink" x="{}" y="{text}">{written}</text>"#, short(end + 6.0));
    }
    shapes += &format!(r#"<path class="axis" d="M{0} 0V{1}"/>"#, short(zero), short(height));
    if let Some(level) = level {
        shapes += &format!(r#"<path class="ref" d="M{0} 0V{1}"/>"#, short(x.at(level)), short(height));
    }
    Drawing {
        class: "chart bars",
        width: WIDTH,
        height,
        label: format!("{} of {} runs", chart.of, chart.bars.len()),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_begin_at_zero_and_a_missing_number_is_a_dash() {
        let bars = vec![("a".to_owned(), Some(-1.0), 0), ("b".to_owned(), Some(1.0), 1), ("c".to_owned(), None, 2)];
        let shapes = draw(&Bars { of: "loss".into(), bars, level: Some(("champion".into(), 0.5)) }).shapes;
        assert!(shapes.contains(r#"<rect class="fill line k1 d0" x="220" y="8" width="402""#), "{shapes}");
        assert!(shapes.contains(r#"<rect class="fill line k2 d0" x="622""#), "{shapes}");
        assert!(shapes.contains(">–</text>") && shapes.contains(r#"class="ref" d="M823 "#), "{shapes}");
    }
}
