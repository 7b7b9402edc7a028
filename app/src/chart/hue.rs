//! Colours and dashes of many lines: ten colours, and for each ten more another dash, so that fifty can be told apart.

use leptos::prelude::*;

/// How many lines can be told apart.
pub const MOST: usize = 50;

/// The classes of the line at this place. After the fiftieth they begin again.
#[must_use]
pub fn line(at: usize) -> String {
    format!("line k{} d{}", at % 10 + 1, at / 10 % 5)
}

/// A short line as it is drawn in the charts.
#[component]
pub fn Swatch(
    /// The place of the line.
    at: usize,
) -> impl IntoView {
    view! { <svg class="swatch" viewBox="0 0 20 8" aria-hidden="true"><path class=line(at) d="M0 4H20"></path></svg> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_lines_are_all_different() {
        let all: std::collections::BTreeSet<String> = (0..MOST).map(line).collect();
        assert_eq!(all.len(), MOST);
    }
}
