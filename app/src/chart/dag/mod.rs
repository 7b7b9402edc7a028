//! The graph of steps: columns from what nothing precedes to what nothing follows, what runs in the end at the right,
//! edges as curves, steps as links. [`layout`] says where they stand, [`fold`] makes one box of many.

mod fold;
pub(in crate::chart) mod layout;

pub use fold::fold;
pub use layout::Place;

use super::{cut, escape, path::short};
use crate::ui::state::{State, Tone};
use layout::{Layout, Sizes, arrange, reading_order, reduced};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// A step to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, unique in the graph.
    pub name: String,
    /// What it is called where that is something else: of several steps in one box.
    pub label: Option<String>,
    /// The names of the steps it waits for.
    pub needs: Vec<String>,
    /// Where it leads.
    pub href: String,
    /// How it stands.
    pub state: State,
    /// The state in a word.
    pub word: String,
    /// A few words at the end: how long, or after what.
    pub note: String,
    /// How the steps in it stand, where it is more than one.
    pub inside: Option<Inside>,
    /// Whether the page shows it.
    pub current: bool,
    /// Whether it runs when all others have ended.
    pub last: bool,
}

/// How the steps of a box stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inside {
    /// All.
    pub total: usize,
    /// Those that have not ended.
    pub open: usize,
    /// Of these, those that run.
    pub running: usize,
    /// Those that failed.
    pub failed: usize,
}

/// More boxes than this cannot be read; [`fold`] makes them fewer.
pub const MOST: usize = 200;

/// As a rule.
const ROOMY: Sizes = Sizes { width: 160.0, height: 56.0, gap_x: 36.0, gap_y: 24.0 };
/// Of many: one line to a step.
const DENSE: Sizes = Sizes { width: 176.0, height: 30.0, gap_x: 44.0, gap_y: 8.0 };
/// More steps than this are drawn dense.
const ROOMY_MOST: usize = 48;

/// The places of those that each waits for. Names that are not there are passed over.
fn needs(nodes: &[Node]) -> Vec<Vec<usize>> {
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let place = |at: usize, need: &str| index.get(need).copied().filter(|need| *need != at);
    nodes.iter().enumerate().map(|(at, node)| node.needs.iter().filter_map(|need| place(at, need)).collect()).collect()
}

fn sizes(nodes: &[Node]) -> Sizes {
    if nodes.len() > ROOMY_MOST { DENSE } else { ROOMY }
}

fn lay_out(nodes: &[Node]) -> Layout {
    let last: Vec<bool> = nodes.iter().map(|node| node.last).collect();
    arrange(&reduced(&needs(nodes), &last), &last, &sizes(nodes))
}

fn edge_class(from: &Node, to: &Node) -> &'static str {
    if to.state == State::Running {
        "edge live"
    } else if matches!(to.state, State::Queued | State::Skipped | State::Cancelled) || from.state == State::Queued {
        "edge off"
    } else {
        "edge"
    }
}

/// The bar of a box of many: what passed, failed and runs, as shares of all.
#[allow(clippy::cast_precision_loss)] // at most some thousands
fn bar(inside: Inside, x: f64, y: f64, width: f64) -> String {
    let total = inside.total.max(1) as f64;
    let passed = inside.total.saturating_sub(inside.open + inside.failed);
    let mut shapes = format!(
        r#"<rect class="track" x="{}" y="{}" width="{}" height="3" rx="1.5"/>"#,
        short(x),
        short(y),
        short(width)
    );
    // What failed is to be seen among ten thousand.
    let part = |count: usize| if count > 0 { (width * count as f64 / total).max(4.0) } else { 0.0 };
    let (failed, runs) = (part(inside.failed), part(inside.running));
    let passed = part(passed).min(width - failed - runs);
    let mut from = x;
    for (class, part) in [("passed", passed), ("failed", failed), ("runs", runs)] {
        if part > 0.0 {
            shapes += &format!(
                r#"<rect class="{class}" x="{}" y="{}" width="{}" height="3"/>"#,
                short(from),
                short(y),
                short(part)
            );
        }
        from += part;
    }
    shapes
}

fn node(node: &Node, place: Place, sizes: &Sizes) -> String {
    let Place { x, y } = place;
    let Sizes { width, height, .. } = *sizes;
    let is_dense = height < ROOMY.height;
    let tone = match node.state {
        State::Queued | State::Skipped | State::Cancelled => "idle",
        state => state.tone().as_str(),
    };
    // Sheets behind it say that there is more than one.
    let behind = node.inside.map_or_else(String::new, |_| {
        format!(
            r#"<path class="box behind" d="M{} {}v-2q0 -2 2 -2H{}q6 0 6 6V{}q0 2 -2 2h-2"/>"#,
            short(x + 4.0),
            short(y),
            short(x + width - 2.0),
            short(y + height - 6.0)
        )
    });
    let bar = node.inside.map_or_else(String::new, |inside| bar(inside, x + 6.0, y + height - 5.0, width - 12.0));
    let spin = if node.state.tone() == Tone::Run { r#" class="spin""# } else { "" };
    let name = node.label.as_deref().unwrap_or(&node.name);
    let words = if is_dense {
        // A dense box has about 21 letters.
        let note = if node.inside.is_some() { &node.word } else { &node.note };
        let note = if note.chars().count() > 9 { "" } else { note.as_str() };
        let room = 19_usize.saturating_sub(note.chars().count());
        let middle = short(y + 19.0 - if node.inside.is_some() { 2.0 } else { 0.0 });
        format!(
            r#"<text class="t" x="{}" y="{middle}">{}</text><text class="sub num" x="{}" y="{middle}">{}</text>"#,
            short(x + 30.0),
            escape(&cut(name, room)),
            short(x + width - 9.0),
            escape(note),
        )
    } else {
        // About 25 letters of the second line fit; the state's word goes before the note.
        let note = cut(&node.note, 23_usize.saturating_sub(node.word.chars().count()).max(4));
        format!(
            r#"<text class="t" x="{}" y="{}">{}</text><text class="sub" x="{}" y="{second}">{}</text><text class="sub num" x="{}" y="{second}">{}</text>"#,
            short(x + 36.0),
            short(y + 24.0),
            escape(&cut(name, 17)),
            short(x + 12.0),
            escape(&node.word),
            short(x + width - 12.0),
            escape(&note),
            second = short(y + 43.0),
        )
    };
    let (icon_x, icon_y) = if is_dense { (x + 9.0, y + height / 2.0 - 7.0) } else { (x + 12.0, y + 11.0) };
    let icon_y = if is_dense && node.inside.is_some() { icon_y - 2.0 } else { icon_y };
    let size = if is_dense { 14 } else { 16 };
    format!(
        r##"<a class="node" href="{href}" data-s="{tone}"{current}><title>{name}: {word}{comma}{note}</title>{behind}<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"/><svg x="{icon_x}" y="{icon_y}" width="{size}" height="{size}" viewBox="0 0 16 16" fill="currentColor"><g{spin}><use href="#{icon}"/></g></svg>{words}{bar}</a>"##,
        href = escape(&node.href),
        current = if node.current { r#" aria-current="true""# } else { "" },
        name = escape(name),
        word = escape(&node.word),
        comma = if node.note.is_empty() { "" } else { ", " },
        note = escape(&node.note),
        round = if is_dense { 6 } else { 8 },
        x = short(x),
        y = short(y),
        icon = node.state.symbol().id(),
        icon_x = short(icon_x),
        icon_y = short(icon_y),
    )
}

/// The shapes of the graph, and its size.
#[must_use]
pub fn draw(nodes: &[Node]) -> (String, f64, f64) {
    let (layout, sizes) = (lay_out(nodes), sizes(nodes));
    let mut shapes = String::new();
    if let Some(end) = layout.end {
        shapes += &format!(
            r#"<path class="divider" d="M{0} 8V{1}"/><text class="divider" x="{2}" y="14">in the end</text>"#,
            short(end),
            short(layout.height - 8.0),
            short(end + 6.0)
        );
    }
    let mut edges: Vec<(&str, &str)> =
        layout.edges.iter().map(|edge| (edge_class(&nodes[edge.from], &nodes[edge.to]), edge.path.as_str())).collect();
    // What is live lies above what shares a way with it.
    edges.sort_by_key(|(class, _)| *class == "edge live");
    for (class, path) in edges {
        shapes += &format!(r#"<path class="{class}" d="{path}"/>"#);
    }
    for at in reading_order(&layout.places) {
        shapes += &node(&nodes[at], layout.places[at], &sizes);
    }
    (shapes, layout.width, layout.height)
}

/// The graph in a frame that scrolls by itself.
#[component]
pub fn Dag(
    /// The steps.
    nodes: Vec<Node>,
    /// Whether all of it is to be seen at once, as small as that makes it.
    #[prop(optional)]
    fit: bool,
) -> impl IntoView {
    let class = if fit { "dag view-dag fit" } else { "dag view-dag" };
    view! { <Boxes drawn=draw(&nodes) class label="Graph of steps"/> }
}

/// Shapes and the size of the whole, in a frame that scrolls by itself.
#[component]
pub(super) fn Boxes(drawn: (String, f64, f64), class: &'static str, label: &'static str) -> impl IntoView {
    let (shapes, width, height) = drawn;
    view! {
        <div class=class tabindex="0" role="region" aria-label=label>
            <svg
                width=short(width)
                height=short(height)
                viewBox=format!("0 0 {} {}", short(width), short(height))
                inner_html=shapes
            ></svg>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn step(name: &str, needs: &[&str]) -> Node {
        Node {
            name: name.into(),
            label: None,
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            href: format!("?step={name}"),
            state: State::Passed,
            word: "Passed".into(),
            note: "8 s".into(),
            inside: None,
            current: false,
            last: false,
        }
    }

    #[test]
    fn a_step_stands_right_of_all_it_waits_for() {
        let nodes = [step("c", &["a", "b"]), step("b", &["a"]), step("a", &[])];
        let Layout { places, width, height, .. } = lay_out(&nodes);
        assert!(places[0].x > places[1].x && places[1].x > places[2].x);
        assert_eq!((width, height), (592.0, 96.0));
    }

    #[test]
    fn steps_of_a_column_do_not_overlap_and_the_one_before_them_is_in_their_middle() {
        let nodes = [step("a", &[]), step("b", &["a"]), step("c", &["a"])];
        let Layout { places, height, .. } = lay_out(&nodes);
        assert_eq!(places[1].x, places[2].x);
        assert!(places[2].y - places[1].y >= ROOMY.height);
        assert_eq!(places[0].y + ROOMY.height / 2.0, height / 2.0);
    }

    #[test]
    fn a_cycle_or_an_unknown_need_does_not_hang() {
        let nodes = [step("a", &["b"]), step("b", &["a", "gone", "b"])];
        assert_eq!(lay_out(&nodes).places.len(), 2);
        assert_eq!(lay_out(&[]).places.len(), 0);
    }

    #[test]
    fn an_edge_that_others_imply_is_not_drawn() {
        let (shapes, ..) = draw(&[step("a", &[]), step("b", &["a"]), step("c", &["a", "b"])]);
        assert_eq!(shapes.matches("<path").count(), 2);
    }

    #[test]
    fn what_runs_in_the_end_stands_there_behind_a_line() {
        let tidy = Node { last: true, ..step("tidy", &[]) };
        let (shapes, ..) = draw(&[tidy, step("a", &[]), step("b", &["a"])]);
        assert!(shapes.contains("in the end"), "{shapes}");
        assert!(shapes.find("?step=tidy") > shapes.find("?step=b"), "{shapes}");
    }

    #[test]
    fn the_bar_of_many_shows_one_that_failed_among_thousands() {
        let inside = Inside { total: 10_000, open: 0, running: 0, failed: 1 };
        let (shapes, ..) = draw(&[Node { inside: Some(inside), ..step("many", &[]) }]);
        assert!(shapes.contains(r#"<rect class="failed" x="170" y="71" width="4""#), "{shapes}");
    }

    #[test]
    fn names_cannot_leave_their_text() {
        for count in [1, 100] {
            let names = (0..count).map(|n| step(&format!("<script>{n}</script>"), &[])).collect::<Vec<_>>();
            let (shapes, ..) = draw(&names);
            assert!(!shapes.contains("<script"), "{shapes}");
            assert!(shapes.contains("&lt;script"), "{shapes}");
        }
    }

    #[test]
    fn an_edge_to_a_running_step_is_live() {
        let mut running = step("b", &["a"]);
        running.state = State::Running;
        let (shapes, ..) = draw(&[step("a", &[]), running]);
        assert!(shapes.contains(r#"<path class="edge live" d="M180 48C198 48 198 48 216 48"/>"#), "{shapes}");
    }
}
