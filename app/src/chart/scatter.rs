//! A point for each run, by two things that runs differ by, coloured by a third.

use super::{Drawing, cut, dimension::Dimension, escape, hue, parallel::shade, path::short};

/// What the chart shows.
#[derive(Debug, Clone)]
pub struct Scatter {
    /// From left to right.
    pub x: Dimension,
    /// From the foot to the top.
    pub y: Dimension,
    /// The colour; without one each run has its own.
    pub colour: Option<Dimension>,
    /// The name of each run, and its place among the colours.
    pub runs: Vec<(String, usize)>,
}

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 46.0;
/// How many steps the shades of a number have.
pub const SHADES: usize = 6;

/// The class of a run's colour.
fn class(scatter: &Scatter, shades: Option<&[Option<f64>]>, run: usize) -> String {
    match (&scatter.colour, shades) {
        (Some(dimension), Some(places)) => match places.get(run).copied().flatten() {
            None => "mark none".to_owned(),
            Some(place) if dimension.is_numbers() => format!("mark q{}", shade(place)),
            Some(_) => {
                let word = dimension.written(run);
                let at = dimension.words().iter().position(|one| Some(one) == word.as_ref()).unwrap_or_default();
                format!("mark {}", hue::line(at))
            }
        },
        _ => format!("mark {}", hue::line(scatter.runs[run].1)),
    }
}

/// Draws it.
#[must_use]
pub fn draw(scatter: &Scatter) -> Drawing {
    let (xs, x_ticks) = scatter.x.places(5);
    let (ys, y_ticks) = scatter.y.places(5);
    let shades = scatter.colour.as_ref().map(|dimension| dimension.places(5).0);
    let x = |place: f64| LEFT + place * (RIGHT - LEFT);
    let y = |place: f64| BOTTOM - place * (BOTTOM - TOP);
    let mut shapes = String::new();
    for (tick, text) in &y_ticks {
        shapes += &format!(
            r#"<path class="grid" d="M{LEFT} {0}H{RIGHT}"/><text class="num" x="{1}" y="{2}">{3}</text>"#,
            short(y(*tick)),
            short(LEFT - 8.0),
            short(y(*tick) + 4.0),
            escape(&cut(text, 14))
        );
    }
    shapes += &format!(r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>"#);
    for (tick, text) in &x_ticks {
        shapes += &format!(
            r#"<text class="mid" x="{}" y="{}">{}</text>"#,
            short(x(*tick)),
            short(BOTTOM + 16.0),
            escape(&cut(text, 16))
        );
    }
    let log = |dimension: &Dimension| if dimension.is_log() { " (log)" } else { "" };
    shapes += &format!(
        r#"<text class="mid head" x="{}" y="{}">{}{}</text>"#,
        short(f64::midpoint(LEFT, RIGHT)),
        short(HEIGHT - 8.0),
        escape(&cut(&scatter.x.name, 60)),
        log(&scatter.x)
    );
    let mut shown = 0;
    for (run, (name, _)) in scatter.runs.iter().enumerate() {
        let (Some(px), Some(py)) = (xs.get(run).copied().flatten(), ys.get(run).copied().flatten()) else { continue };
        shown += 1;
        let of = |dimension: &Dimension| {
            format!("{} {}", dimension.name, dimension.written(run).unwrap_or_else(|| "–".to_owned()))
        };
        let mut words = vec![of(&scatter.x), of(&scatter.y)];
        words.extend(scatter.colour.as_ref().map(of));
        shapes += &format!(
            r#"<circle class="{}" cx="{}" cy="{}" r="5"><title>{}: {}</title></circle>"#,
            class(scatter, shades.as_deref(), run),
            short(x(px)),
            short(y(py)),
            escape(name),
            escape(&words.join(", "))
        );
    }
    Drawing {
        class: "chart scatter",
        width: WIDTH,
        height: HEIGHT,
        label: format!("{shown} runs by {} and {}", scatter.x.name, scatter.y.name),
        shapes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_without_a_value_are_left_out_and_a_third_thing_colours() {
        let scatter = Scatter {
            x: Dimension::of_numbers("lr", vec![Some(0.0), Some(1.0), None]),
            y: Dimension::of_numbers("loss", vec![Some(0.0), Some(1.0), Some(0.5)]),
            colour: Some(Dimension::of_numbers("acc", vec![Some(0.0), None, Some(1.0)])),
            runs: ["a", "b", "c"].iter().enumerate().map(|(at, name)| ((*name).to_owned(), at)).collect(),
        };
        let drawing = draw(&scatter);
        assert_eq!(drawing.label, "2 runs by lr and loss");
        assert!(drawing.shapes.contains(r#"class="mark q1" cx="96" cy="374""#), "{}", drawing.shapes);
        assert!(drawing.shapes.contains(r#"class="mark none" cx="1080" cy="14""#), "{}", drawing.shapes);
    }
}
