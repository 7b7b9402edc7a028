//! A sparkline: the course of a number in the height of a row.

use super::{
    Drawing, Figure,
    path::{line, short, thin},
    scale::{Scale, Spread},
};
use crate::{format, ui::state::Tone};
use leptos::prelude::*;

/// The course of some values, evenly spaced, with a dot at the last.
#[must_use]
pub fn spark(values: &[f64], label: &str) -> Drawing {
    let (width, height) = (96.0, 20.0);
    let shapes = match Scale::extent(values.iter().copied()) {
        None => String::new(),
        Some(extent) => {
            // Values of one sparkline are few.
            #[allow(clippy::cast_precision_loss)]
            let last = (values.len().max(2) - 1) as f64;
            let x = Scale::new(Spread::Linear, (0.0, last), (2.0, width - 4.0));
            let y = Scale::new(Spread::Linear, extent, (height - 3.0, 3.0));
            // As above.
            #[allow(clippy::cast_precision_loss)]
            let points: Vec<(f64, f64)> =
                values.iter().enumerate().map(|(at, value)| (x.at(at as f64), y.at(*value))).collect();
            let end = points.iter().rev().find(|(_, y)| y.is_finite());
            let dot = end.map_or_else(String::new, |(x, y)| {
                format!(r#"<circle class="end" cx="{}" cy="{}" r="2"/>"#, short(*x), short(*y))
            });
            format!(r#"<path d="{}"/>{dot}"#, line(thin(&points, 48)))
        }
    };
    Drawing { class: "spark", width, height, label: label.to_owned(), shapes }
}

/// A sparkline. Its label says what it is of and where it went.
#[component]
pub fn Spark(
    /// The values, oldest first.
    values: Vec<f64>,
    /// What they are.
    #[prop(into)]
    of: String,
    /// The state they show.
    #[prop(optional)]
    tone: Tone,
) -> impl IntoView {
    let ends = (values.iter().find(|v| v.is_finite()), values.iter().rev().find(|v| v.is_finite()));
    let label = match ends {
        (Some(first), Some(last)) => format!("{of} from {} to {}", format::number(*first), format::number(*last)),
        _ => format!("{of}, no values"),
    };
    view! { <Figure drawing=spark(&values, &label) tone=tone/> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_ends_in_a_dot_at_the_last_number() {
        let drawing = spark(&[3.0, 1.0, 2.0, f64::NAN], "loss");
        assert_eq!(drawing.shapes, r#"<path d="M2 3L32 17L62 10"/><circle class="end" cx="62" cy="10" r="2"/>"#);
    }

    #[test]
    fn no_values_draw_nothing() {
        assert_eq!(spark(&[], "loss").shapes, "");
    }
}
