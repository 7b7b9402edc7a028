//! Charts that the server draws: scales, ticks and paths are plain functions, a chart is SVG text, and everything it
//! says can be read without scripts. What can be reached into in the browser is a [`crate::islands::Charts`].

pub mod bars;
pub mod columns;
pub mod curve;
pub mod dag;
pub mod dimension;
pub mod gantt;
pub mod histogram;
pub mod hue;
pub mod lineage;
pub mod look;
pub mod parallel;
pub mod path;
pub mod scale;
pub mod scatter;
pub mod spans;
pub mod spark;

use leptos::prelude::*;

/// A drawing: the inside of an SVG and what it shows in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// The class of the `svg` element.
    pub class: &'static str,
    /// Width in units of the drawing.
    pub width: f64,
    /// Height in units of the drawing.
    pub height: f64,
    /// What it shows, in words: all that those who do not see it get.
    pub label: String,
    /// The shapes, as SVG. Texts in it are escaped.
    pub shapes: String,
}

/// A drawing in a page, as wide as its place.
#[component]
pub fn Figure(
    /// The drawing.
    drawing: Drawing,
    /// Its state's colour.
    #[prop(optional)]
    tone: Option<crate::ui::state::Tone>,
) -> impl IntoView {
    view! {
        <svg
            class=drawing.class
            viewBox=format!("0 0 {} {}", path::short(drawing.width), path::short(drawing.height))
            role="img"
            aria-label=drawing.label
            data-s=tone.map(crate::ui::state::Tone::as_str)
            inner_html=drawing.shapes
        ></svg>
    }
}

/// Text as it stands in SVG and MathML, also between double quotes.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text cut to so many characters, the last an ellipsis.
#[must_use]
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
