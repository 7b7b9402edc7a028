//! Curves over steps or time, with axes, a legend that says where each ends, and a level to compare with.

use super::{
    Drawing,
    path::{line, short, thin},
    scale::{Scale, Spread, label},
};
use crate::format;

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Place and value of its points, in order.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    fn last(&self) -> Option<f64> {
        self.points.iter().rev().map(|(_, value)| *value).find(|value| value.is_finite())
    }
}

/// What a chart of curves shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// The curves, in order of their colours; the sixth has the first's colour again.
    pub series: Vec<Series>,
    /// A level to compare with: its name and value.
    pub level: Option<(String, f64)>,
    /// How the values are spread.
    pub spread: Spread,
    /// What the values are.
    pub of: String,
}

/// The classes of a legend's lines, in the order of their colours.
pub const COLOURS: [&str; 5] = ["a", "b", "c", "d", "e"];

const WIDTH: f64 = 372.0;
const HEIGHT: f64 = 196.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// Draws the curves.
#[must_use]
pub fn draw(curves: &Curves) -> Drawing {
    let all = || curves.series.iter().flat_map(|series| series.points.iter());
    let values = all().map(|(_, y)| *y).chain(curves.level.iter().map(|(_, value)| *value));
    let y = Scale::new(curves.spread, Scale::extent(values).unwrap_or((0.0, 1.0)), (BOTTOM, TOP)).nice(4);
    let x = Scale::new(Spread::Linear, Scale::extent(all().map(|(x, _)| *x)).unwrap_or((0.0, 1.0)), (LEFT, RIGHT));

    let mut shapes = String::new();
    let ticks = y.ticks(4);
    for tick in &ticks {
        let at = y.at(*tick);
        shapes += &format!(
            r#"<path class="grid" d="M{LEFT} {0}H{RIGHT}"/><text class="num" x="{1}" y="{2}">{3}</text>"#,
            short(at),
            short(LEFT - 6.0),
            short(at + 4.0),
            label(*tick, &ticks)
        );
    }
    shapes += &format!(r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>"#);
    let ticks = x.ticks(4);
    for tick in &ticks {
        shapes += &format!(
            r#"<text class="mid" x="{}" y="{}">{}</text>"#,
            short(x.at(*tick)),
            short(BOTTOM + 15.0),
            label(*tick, &ticks)
        );
    }
    if let Some((_, value)) = &curves.level {
        shapes += &format!(r#"<path class="ref" d="M{LEFT} {}H{RIGHT}"/>"#, short(y.at(*value)));
    }
    for (at, series) in curves.series.iter().enumerate() {
        let points: Vec<(f64, f64)> = series.points.iter().map(|(px, py)| (x.at(*px), y.at(*py))).collect();
        let class = at % 5 + 1;
        match points.as_slice() {
            [(px, py)] if py.is_finite() => {
                shapes += &format!(r#"<circle class="best" cx="{}" cy="{}" r="4"/>"#, short(*px), short(*py));
            }
            _ => shapes += &format!(r#"<path class="s{class}" d="{}"/>"#, line(thin(&points, 300))),
        }
    }
    let ends: Vec<String> = curves
        .series
        .iter()
        .map(|series| {
            format!("{} ends at {}", series.name, series.last().map_or_else(|| "no value".to_owned(), format::number))
        })
        .collect();
    Drawing {
        class: "chart",
        width: WIDTH,
        height: HEIGHT,
        label: format!("{}: {}", curves.of, ends.join(", ")),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss() -> Curves {
        Curves {
            series: vec![
                Series { name: "validation".into(), points: vec![(0.0, 1.6), (240.0, 0.9), (480.0, 0.741)] },
                Series { name: "train".into(), points: vec![(0.0, 1.6), (480.0, f64::NAN)] },
            ],
            level: Some(("champion v12".into(), 0.792)),
            spread: Spread::Linear,
            of: "Log loss".into(),
        }
    }

    #[test]
    fn a_chart_says_in_words_where_its_curves_end() {
        assert_eq!(draw(&loss()).label, "Log loss: validation ends at 0.741, train ends at 1.600");
    }

    #[test]
    fn curves_the_level_and_both_axes_are_drawn() {
        let shapes = draw(&loss()).shapes;
        for part in
            [r#"<path class="s1" d="M44 "#, r#"<path class="s2""#, r#"<path class="ref""#, ">0.8</text>", ">400</text>"]
        {
            assert!(shapes.contains(part), "{part} in {shapes}");
        }
        assert!(!shapes.contains("NaN"), "{shapes}");
    }

    #[test]
    fn a_single_point_is_a_dot() {
        let one = Curves { series: vec![Series { name: "f1".into(), points: vec![(0.0, 0.5)] }], ..Curves::default() };
        assert!(draw(&one).shapes.contains("<circle"));
    }

    #[test]
    fn nothing_to_draw_still_has_axes() {
        assert!(draw(&Curves::default()).shapes.contains(r#"class="axis""#));
    }
}
