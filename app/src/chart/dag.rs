//! The graph of steps: layers from what nothing precedes to what nothing follows, edges as curves, steps as links.

use super::{cut, escape, path::short};
use crate::ui::state::{State, Tone};
use leptos::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A step to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, unique in the graph.
    pub name: String,
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
    /// How far it is, 0 to 1, where that is known.
    pub progress: Option<f64>,
    /// Whether the page shows it.
    pub current: bool,
}

/// Where a step is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
}

const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 56.0;
const GAP_X: f64 = 36.0;
const GAP_Y: f64 = 24.0;
const MARGIN: f64 = 20.0;

/// Lays the steps out: a step's layer is one more than the last of those it waits for; within a layer, steps stand
/// where those they wait for stand, to keep edges from crossing. Gives the place of each, and the size of the whole.
#[must_use]
pub fn layout(nodes: &[Node]) -> (Vec<Place>, f64, f64) {
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let needs: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| node.needs.iter().filter_map(|need| index.get(need.as_str()).copied()).collect())
        .collect();
    arrange(&needs, WIDTH, HEIGHT, GAP_X)
}

/// The same, for boxes of any size: `needs` are those that each stands after.
pub(super) fn arrange(needs: &[Vec<usize>], box_width: f64, box_height: f64, gap: f64) -> (Vec<Place>, f64, f64) {
    // Longest paths, by as many rounds as there are steps: a cycle, which no stored pipeline has, ends too.
    let mut layer = vec![0_usize; needs.len()];
    for _ in 0..needs.len() {
        for at in 0..needs.len() {
            if let Some(last) = needs[at].iter().map(|need| layer[*need] + 1).max() {
                layer[at] = last.min(needs.len() - 1);
            }
        }
    }
    let layers = layer.iter().max().map_or(0, |last| last + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers];
    for at in 0..needs.len() {
        rows[layer[at]].push(at);
    }
    let tallest = rows.iter().map(Vec::len).max().unwrap_or(0);
    // Steps of one pipeline: at most some hundreds.
    #[allow(clippy::cast_precision_loss)]
    let float = |n: usize| n as f64;
    let height = 2.0 * MARGIN + float(tallest.max(1)) * box_height + float(tallest.saturating_sub(1)) * GAP_Y;
    let mut places = vec![Place { x: 0.0, y: 0.0 }; needs.len()];
    for (column, row) in rows.iter_mut().enumerate() {
        if column > 0 {
            let middle = |at: usize| {
                let before = &needs[at];
                before.iter().map(|need| places[*need].y).sum::<f64>() / float(before.len().max(1))
            };
            row.sort_by(|a, b| middle(*a).total_cmp(&middle(*b)).then(a.cmp(b)));
        }
        let used = float(row.len()) * box_height + float(row.len().saturating_sub(1)) * GAP_Y;
        let top = (height - used) / 2.0;
        for (line, at) in row.iter().enumerate() {
            places[*at] =
                Place { x: MARGIN + float(column) * (box_width + gap), y: top + float(line) * (box_height + GAP_Y) };
        }
    }
    let width = 2.0 * MARGIN + float(layers) * box_width + float(layers.saturating_sub(1)) * gap;
    (places, width, height)
}

/// The curve from the right side of a box to the left side of another.
pub(super) fn edge(from: Place, to: Place, (width, height): (f64, f64), gap: f64) -> String {
    let (x1, y1) = (from.x + width, from.y + height / 2.0);
    let (x2, y2) = (to.x, to.y + height / 2.0);
    let bend = ((x2 - x1) / 2.0).max(gap / 2.0);
    let points = [x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2].map(short);
    let [a, b, c, d, e, f, g, h] = points;
    format!("M{a} {b}C{c} {d} {e} {f} {g} {h}")
}

/// The boxes in reading order, so that the tab key goes from left to right.
pub(super) fn reading_order(places: &[Place]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].x.total_cmp(&places[*b].x).then(places[*a].y.total_cmp(&places[*b].y)));
    order
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

fn node(node: &Node, place: Place) -> String {
    let Place { x, y } = place;
    let tone = match node.state {
        State::Queued | State::Skipped | State::Cancelled => "idle",
        state => state.tone().as_str(),
    };
    let bar = node.progress.map_or_else(String::new, |share| {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        format!(
            r#"<rect class="track" x="{0}" y="{1}" width="{2}" height="3" rx="1.5"/><rect class="done" x="{0}" y="{1}" width="{3}" height="3" rx="1.5"/>"#,
            short(x + 4.0),
            short(y + HEIGHT - 4.0),
            short(WIDTH - 8.0),
            short((WIDTH - 8.0) * share)
        )
    });
    let spin = if node.state.tone() == Tone::Run { r#" class="spin""# } else { "" };
    // About 29 letters of the second line fit; the state's word goes before the note.
    let note = cut(&node.note, 27_usize.saturating_sub(node.word.chars().count()).max(4));
    format!(
        r##"<a class="node" href="{href}" data-s="{tone}"{current}><title>{name}: {word}{comma}{full_note}</title><rect class="box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/><svg x="{icon_x}" y="{icon_y}" width="16" height="16" viewBox="0 0 16 16" fill="currentColor"><g{spin}><use href="#{icon}"/></g></svg><text class="t" x="{text_x}" y="{first}">{shown}</text><text class="sub" x="{left}" y="{second}">{word}</text><text class="sub num" x="{right}" y="{second}">{note}</text>{bar}</a>"##,
        href = escape(&node.href),
        current = if node.current { r#" aria-current="true""# } else { "" },
        name = escape(&node.name),
        word = escape(&node.word),
        comma = if node.note.is_empty() { "" } else { ", " },
        full_note = escape(&node.note),
        x = short(x),
        y = short(y),
        icon = node.state.symbol().id(),
        icon_x = short(x + 12.0),
        icon_y = short(y + 11.0),
        text_x = short(x + 36.0),
        first = short(y + 24.0),
        shown = escape(&cut(&node.name, 17)),
        left = short(x + 12.0),
        second = short(y + 43.0),
        right = short(x + WIDTH - 12.0),
        note = escape(&note),
    )
}

/// All that each step waits for, directly or not.
fn ancestors(nodes: &[Node], index: &BTreeMap<&str, usize>) -> Vec<BTreeSet<usize>> {
    let mut before = vec![BTreeSet::new(); nodes.len()];
    for (at, all) in before.iter_mut().enumerate() {
        let mut open = vec![at];
        while let Some(next) = open.pop() {
            for need in nodes[next].needs.iter().filter_map(|need| index.get(need.as_str()).copied()) {
                if need != at && all.insert(need) {
                    open.push(need);
                }
            }
        }
    }
    before
}

/// The shapes of the graph, and its size.
#[must_use]
pub fn draw(nodes: &[Node]) -> (String, f64, f64) {
    let (places, width, height) = layout(nodes);
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let mut shapes = String::new();
    let before = ancestors(nodes, &index);
    for (at, to) in nodes.iter().enumerate() {
        let needs: Vec<usize> = to.needs.iter().filter_map(|need| index.get(need.as_str()).copied()).collect();
        // What another need waits for is waited for without an edge of its own.
        for from in needs.iter().copied().filter(|from| !needs.iter().any(|need| before[*need].contains(from))) {
            let curve = edge(places[from], places[at], (WIDTH, HEIGHT), GAP_X);
            shapes += &format!(r#"<path class="{}" d="{curve}"/>"#, edge_class(&nodes[from], to));
        }
    }
    for at in reading_order(&places) {
        shapes += &node(&nodes[at], places[at]);
    }
    (shapes, width, height)
}

/// The graph in a frame that scrolls by itself.
#[component]
pub fn Dag(
    /// The steps.
    nodes: Vec<Node>,
) -> impl IntoView {
    view! { <Boxes drawn=draw(&nodes) class="dag view-dag" label="Graph of steps"/> }
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

    fn step(name: &str, needs: &[&str]) -> Node {
        Node {
            name: name.into(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            href: format!("?step={name}"),
            state: State::Passed,
            word: "Passed".into(),
            note: "8 s".into(),
            progress: None,
            current: false,
        }
    }

    #[test]
    fn a_step_stands_right_of_all_it_waits_for() {
        let nodes = [step("c", &["a", "b"]), step("b", &["a"]), step("a", &[])];
        let (places, width, height) = layout(&nodes);
        assert!(places[0].x > places[1].x && places[1].x > places[2].x);
        assert_eq!((width, height), (592.0, 96.0));
    }

    #[test]
    fn steps_of_a_layer_do_not_overlap_and_the_layer_is_centred() {
        let nodes = [step("a", &[]), step("b", &["a"]), step("c", &["a"])];
        let (places, _, height) = layout(&nodes);
        assert_eq!(places[1].x, places[2].x);
        assert!(places[2].y - places[1].y >= HEIGHT);
        assert_eq!(places[0].y + HEIGHT / 2.0, height / 2.0);
    }

    #[test]
    fn a_cycle_or_an_unknown_need_does_not_hang() {
        let nodes = [step("a", &["b"]), step("b", &["a", "gone"])];
        assert_eq!(layout(&nodes).0.len(), 2);
        assert_eq!(layout(&[]).0.len(), 0);
    }

    #[test]
    fn an_edge_that_others_imply_is_not_drawn() {
        let (shapes, ..) = draw(&[step("a", &[]), step("b", &["a"]), step("c", &["a", "b"])]);
        assert_eq!(shapes.matches("<path").count(), 2);
    }

    #[test]
    fn names_cannot_leave_their_text() {
        let (shapes, ..) = draw(&[step("<script>alert(1)</script>", &[])]);
        assert!(!shapes.contains("<script"), "{shapes}");
        assert!(shapes.contains("&lt;script"), "{shapes}");
    }

    #[test]
    fn an_edge_to_a_running_step_is_live() {
        let mut running = step("b", &["a"]);
        running.state = State::Running;
        let (shapes, ..) = draw(&[step("a", &[]), running]);
        assert!(shapes.contains(r#"<path class="edge live" d="M180 48C198 48 198 48 216 48"/>"#), "{shapes}");
    }
}
