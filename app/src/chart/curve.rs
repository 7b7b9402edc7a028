//! Curves over steps or time, with axes, and a level to compare with.

use super::{
    Drawing, hue,
    look::Look,
    path::{line, short},
    scale::{Scale, Spread, label, lengths, moments},
};
use crate::format;
use domain::series::{Axis, inner_range, smooth};

/// One curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What it is called.
    pub name: String,
    /// Place and value of its points, in order, in the unit of the axis. A value that is no number is a gap.
    pub points: Vec<(f64, f64)>,
    /// Its place among the colours: see [`hue::line`].
    pub hue: usize,
}

impl Series {
    /// Its last value that is a number.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.iter().rev().map(|(_, value)| *value).find(|value| value.is_finite())
    }
}

/// What a chart of curves shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// The curves.
    pub series: Vec<Series>,
    /// A level to compare with: its name and value.
    pub level: Option<(String, f64)>,
    /// How they are looked at.
    pub look: Look,
    /// What the values are.
    pub of: String,
}

const WIDTH: f64 = 372.0;
const HEIGHT: f64 = 196.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// Draws the curves.
#[must_use]
pub fn draw(curves: &Curves) -> Drawing {
    let look = &curves.look;
    let is_log = look.spread == Spread::Log;
    // A logarithm has no place for what is not above zero: it is a gap.
    let value = |value: f64| if is_log && value <= 0.0 { f64::NAN } else { value };
    let places = || curves.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x));
    let all = Scale::extent(places()).unwrap_or((0.0, 1.0));
    let (low, high) = (look.window.start.unwrap_or(all.0), look.window.end.unwrap_or(all.1));
    let x = Scale::new(Spread::Linear, (low.min(high), high.max(low)), (LEFT, RIGHT));
    let within: Vec<f64> = curves
        .series
        .iter()
        .flat_map(|series| series.points.iter())
        .filter(|(x, _)| (low..=high).contains(x))
        .map(|(_, y)| value(*y))
        .filter(|y| y.is_finite())
        .collect();
    let level = curves.level.as_ref().map(|(_, value)| *value).filter(|level| !is_log || *level > 0.0);
    let extent = match inner_range(&within) {
        Some(inner) if look.inner => Some(inner),
        _ => Scale::extent(within.iter().copied().chain(level)),
    };
    let y = Scale::new(look.spread, extent.unwrap_or((0.0, 1.0)), (BOTTOM, TOP)).nice(4);

    let mut shapes = String::new();
    let ticks = y.ticks(4);
    for tick in &ticks {
        let at = y.at(*tick);
        let text = if is_log { format::number(*tick) } else { label(*tick, &ticks) };
        shapes += &format!(
            r#"<path class="grid" d="M{LEFT} {0}H{RIGHT}"/><text class="num" x="{1}" y="{2}">{text}</text>"#,
            short(at),
            short(LEFT - 6.0),
            short(at + 4.0),
        );
    }
    shapes += &format!(r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>"#);
    let (low, high) = (low.min(high), high.max(low));
    let ticks = match look.window.axis {
        Axis::Step => {
            let ticks = x.ticks(4);
            ticks.iter().map(|tick| (*tick, label(*tick, &ticks))).collect()
        }
        Axis::Time => moments((low, high), 4),
        Axis::Relative => lengths((low, high), 4),
    };
    for (tick, text) in ticks {
        shapes += &format!(r#"<text class="mid" x="{}" y="{}">{text}</text>"#, short(x.at(tick)), short(BOTTOM + 15.0));
    }
    // What lies beyond the axes is cut off by a drawing within the drawing: an id for a clip path would have to be one
    // of its own in the page.
    let (width, height) = (RIGHT - LEFT, BOTTOM - TOP);
    shapes += &format!(
        r#"<svg x="{LEFT}" y="{TOP}" width="{width}" height="{height}" viewBox="{LEFT} {TOP} {width} {height}">"#
    );
    if let Some(level) = level {
        shapes += &format!(r#"<path class="ref" d="M{LEFT} {}H{RIGHT}"/>"#, short(y.at(level)));
    }
    for series in &curves.series {
        let class = hue::line(series.hue);
        let values: Vec<f64> = series.points.iter().map(|(_, y)| value(*y)).collect();
        let path = |values: &[f64]| {
            line(
                series
                    .points
                    .iter()
                    .zip(values)
                    .map(|((px, _), py)| (x.at(*px), if py.is_finite() { y.at(*py) } else { f64::NAN })),
            )
        };
        if let [(px, _)] = series.points.as_slice() {
            if values[0].is_finite() {
                shapes += &format!(
                    r#"<circle class="dot {class}" cx="{}" cy="{}" r="3.5"/>"#,
                    short(x.at(*px)),
                    short(y.at(values[0]))
                );
            }
        } else if look.smoothing > 0.0 {
            shapes += &format!(r#"<path class="{class} raw" d="{}"/>"#, path(&values));
            shapes += &format!(r#"<path class="{class}" d="{}"/>"#, path(&smooth(&values, look.smoothing)));
        } else {
            shapes += &format!(r#"<path class="{class}" d="{}"/>"#, path(&values));
        }
        // Where a value is no number, a mark at the foot says that something was logged there.
        let gaps: String = (series.points.iter().filter(|(_, value)| !value.is_finite()))
            .map(|(px, _)| format!("M{} {}v-6", short(x.at(*px)), short(BOTTOM)))
            .collect();
        if !gaps.is_empty() {
            shapes += &format!(r#"<path class="gap" d="{gaps}"/>"#);
        }
    }
    shapes += "</svg>";
    let ends: Vec<String> = curves
        .series
        .iter()
        .take(10)
        .map(|series| {
            format!("{} ends at {}", series.name, series.last().map_or_else(|| "no value".to_owned(), format::number))
        })
        .collect();
    let more = curves.series.len().saturating_sub(10);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Drawing {
        class: "chart",
        width: WIDTH,
        height: HEIGHT,
        label: format!("{}: {}{more}", curves.of, ends.join(", ")),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::series::Window;

    fn loss() -> Curves {
        Curves {
            series: vec![
                Series { name: "validation".into(), points: vec![(0.0, 1.6), (240.0, 0.9), (480.0, 0.741)], hue: 0 },
                Series { name: "train".into(), points: vec![(0.0, 1.6), (480.0, f64::NAN)], hue: 11 },
            ],
            level: Some(("champion v12".into(), 0.792)),
            of: "Log loss".into(),
            ..Curves::default()
        }
    }

    #[test]
    fn a_chart_says_in_words_where_its_curves_end() {
        assert_eq!(draw(&loss()).label, "Log loss: validation ends at 0.741, train ends at 1.600");
    }

    #[test]
    fn curves_the_level_gaps_and_both_axes_are_drawn() {
        let shapes = draw(&loss()).shapes;
        for part in [
            r#"<path class="line k1 d0" d="M44 "#,
            r#"<path class="line k2 d1""#,
            r#"<path class="ref""#,
            r#"<path class="gap" d="M358 174v-6"/>"#,
            ">0.8</text>",
            ">400</text>",
        ] {
            assert!(shapes.contains(part), "{part} in {shapes}");
        }
        assert!(!shapes.contains("NaN"), "{shapes}");
    }

    #[test]
    fn smoothing_leaves_the_raw_curve_behind_it() {
        let mut curves = loss();
        curves.look.smoothing = 0.6;
        let shapes = draw(&curves).shapes;
        assert!(shapes.contains(r#"<path class="line k1 d0 raw""#), "{shapes}");
        assert!(shapes.find("raw").unwrap() < shapes.find(r#"<path class="line k1 d0" "#).unwrap(), "{shapes}");
    }

    #[test]
    fn an_outlier_does_not_press_the_curve_flat() {
        let points = (0..100).map(|at| (f64::from(at), if at == 50 { 1e6 } else { f64::from(at) / 100.0 })).collect();
        let mut curves = Curves { series: vec![Series { points, ..Series::default() }], ..Curves::default() };
        assert!(draw(&curves).shapes.contains(">1,000,000</text>"));
        curves.look.inner = true;
        assert!(draw(&curves).shapes.contains(">1.0</text>"), "{}", draw(&curves).shapes);
    }

    #[test]
    fn a_part_of_the_axis_and_a_log_axis_are_drawn() {
        let mut curves = loss();
        curves.look.window = Window { start: Some(200.0), end: Some(300.0), ..Window::default() };
        assert!(draw(&curves).shapes.contains(">220</text>"), "{}", draw(&curves).shapes);
        let points = vec![(0.0, 1e-4), (1.0, 0.0), (2.0, 1.0)];
        let mut curves = Curves { series: vec![Series { points, ..Series::default() }], ..Curves::default() };
        curves.look.spread = Spread::Log;
        assert!(draw(&curves).shapes.contains(">0.01</text>"), "{}", draw(&curves).shapes);
    }

    #[test]
    fn a_single_point_is_a_dot() {
        let one =
            Curves { series: vec![Series { points: vec![(0.0, 0.5)], ..Series::default() }], ..Curves::default() };
        assert!(draw(&one).shapes.contains("<circle"));
    }

    #[test]
    fn nothing_to_draw_still_has_axes() {
        assert!(draw(&Curves::default()).shapes.contains(r#"class="axis""#));
    }
}
