//! What held from when to when: a lane of blocks over time, as wide as its place. Places are shares of the whole, so that
//! texts keep their size.

use super::escape;
use std::fmt::Write as _;

/// A block of a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Where it begins, 0 to 1.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What stands in it, where there is room.
    pub label: String,
    /// All that is to know of it.
    pub title: String,
    /// Whether it goes on.
    pub is_open: bool,
}

/// How wide a block is at least, in shares.
const LEAST: f64 = 0.002;
/// How much room a letter takes, in shares of a lane that is not wide.
const LETTER: f64 = 0.0125;

/// The shapes of a lane; `mark` is a moment in it.
#[must_use]
pub fn draw(spans: &[Span], mark: Option<f64>) -> String {
    let percent = |share: f64| format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0);
    let mut shapes = String::new();
    for span in spans {
        let width = (span.to - span.from).max(LEAST);
        let letters = f64::from(u8::try_from(span.label.chars().count() + 1).unwrap_or(u8::MAX));
        // Writing to a string cannot fail.
        let _ = write!(
            shapes,
            r#"<g class="{}"><title>{}</title><rect x="{}" y="5" width="{}" height="18" rx="3"/>"#,
            if span.is_open { "span open" } else { "span" },
            escape(&span.title),
            percent(span.from),
            percent(width),
        );
        if width >= letters * LETTER {
            let _ = write!(shapes, r#"<text x="{}" y="18" dx="6">{}</text>"#, percent(span.from), escape(&span.label));
        }
        shapes.push_str("</g>");
    }
    if let Some(mark) = mark {
        let _ = write!(shapes, r#"<line class="mark" x1="{0}" x2="{0}" y1="0" y2="28"/>"#, percent(mark));
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_wide_as_it_held_and_named_where_there_is_room() {
        let span =
            |from: f64, to: f64| Span { from, to, label: "v<12>".to_owned(), title: "v12".to_owned(), is_open: false };
        let shapes = draw(&[span(0.0, 0.5), span(0.5, 0.5)], Some(2.0));
        assert!(shapes.contains(r#"x="0.00%" y="5" width="50.00%""#), "{shapes}");
        assert!(shapes.contains(r#"x="50.00%" y="5" width="0.20%""#), "{shapes}");
        assert_eq!(shapes.matches("v&lt;12&gt;").count(), 1);
        assert!(shapes.contains(r#"x1="100.00%""#), "{shapes}");
    }
}
