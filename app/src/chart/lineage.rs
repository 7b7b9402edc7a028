//! What made something and what it became: boxes from left to right, each a link, edges as curves.

use super::{
    cut,
    dag::{
        Boxes, Place,
        layout::{Sizes, arrange, reading_order},
    },
    escape,
    path::short,
};
use crate::ui::state::State;
use leptos::prelude::*;
use std::collections::BTreeMap;

/// A stop on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Unique in the drawing.
    pub id: String,
    /// What sort of thing it is: `Data`, `Run`, `Version`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// A few words: its digest, how it stands.
    pub note: String,
    /// Where it leads; none for this page.
    pub href: Option<String>,
    /// How it stands, where that matters.
    pub state: Option<State>,
    /// The ids of those before it. Ids that are not there are passed over.
    pub after: Vec<String>,
}

const WIDTH: f64 = 188.0;
const HEIGHT: f64 = 64.0;
const GAP: f64 = 44.0;

/// The shapes, and the size of the whole.
#[must_use]
pub fn draw(stops: &[Stop]) -> (String, f64, f64) {
    let index: BTreeMap<&str, usize> = stops.iter().enumerate().map(|(at, stop)| (stop.id.as_str(), at)).collect();
    let after: Vec<Vec<usize>> =
        stops.iter().map(|stop| stop.after.iter().filter_map(|id| index.get(id.as_str()).copied()).collect()).collect();
    let layout = arrange(&after, &[], &Sizes { width: WIDTH, height: HEIGHT, gap_x: GAP, gap_y: 24.0 });
    let mut shapes: String =
        layout.edges.iter().map(|edge| format!(r#"<path class="edge" d="{}"/>"#, edge.path)).collect();
    for at in reading_order(&layout.places) {
        shapes += &stop(&stops[at], layout.places[at]);
    }
    (shapes, layout.width, layout.height)
}

fn stop(stop: &Stop, place: Place) -> String {
    let Place { x, y } = place;
    let icon = stop.state.map_or_else(String::new, |state| {
        format!(
            r##"<svg x="{}" y="{}" width="14" height="14" viewBox="0 0 16 16" fill="currentColor"><use href="#{}"/></svg>"##,
            short(x + WIDTH - 24.0),
            short(y + 9.0),
            state.symbol().id()
        )
    });
    let tone = stop.state.map_or_else(String::new, |state| format!(r#" data-s="{}""#, state.tone().as_str()));
    let inside = format!(
        r#"<title>{kind}: {name}{comma}{note}</title><rect class="box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>{icon}<text class="sub" x="{left}" y="{first}">{kind}</text><text class="t" x="{left}" y="{second}">{shown}</text><text class="sub" x="{left}" y="{third}">{shown_note}</text>"#,
        kind = stop.kind,
        name = escape(&stop.name),
        comma = if stop.note.is_empty() { "" } else { ", " },
        note = escape(&stop.note),
        x = short(x),
        y = short(y),
        left = short(x + 12.0),
        first = short(y + 18.0),
        second = short(y + 36.0),
        third = short(y + 53.0),
        shown = escape(&cut(&stop.name, 22)),
        shown_note = escape(&cut(&stop.note, 28)),
    );
    match &stop.href {
        Some(href) => format!(r#"<a class="node stop" href="{}"{tone}>{inside}</a>"#, escape(href)),
        None => format!(r#"<g class="node stop" role="group" aria-current="true"{tone}>{inside}</g>"#),
    }
}

/// The drawing in a frame that scrolls by itself.
#[component]
pub fn Lineage(
    /// The stops.
    stops: Vec<Stop>,
) -> impl IntoView {
    view! { <Boxes drawn=draw(&stops) class="dag lineage-graph" label="Drawing of the lineage"/> }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, after: &[&str], href: Option<&str>) -> Stop {
        Stop {
            id: id.to_owned(),
            kind: "Run",
            name: format!("<{id}>"),
            note: String::new(),
            href: href.map(ToOwned::to_owned),
            state: None,
            after: after.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn stops_stand_after_what_made_them_and_all_but_this_page_are_links() {
        let (shapes, width, _) = draw(&[one("v", &["r"], None), one("r", &["gone"], Some("/r?a=1&b=2"))]);
        assert_eq!(shapes.matches("<path").count(), 1);
        assert_eq!(width, 2.0 * 20.0 + 2.0 * WIDTH + GAP);
        assert!(shapes.contains(r#"href="/r?a=1&amp;b=2""#), "{shapes}");
        assert!(shapes.find("&lt;r&gt;") < shapes.find("&lt;v&gt;"), "{shapes}");
        assert!(shapes.contains(r#"aria-current="true""#) && !shapes.contains("<v>"), "{shapes}");
    }
}
