//! Where boxes stand that come after one another: columns from left to right, few crossings, edges as straight as they
//! come. The way is that of Sugiyama, Tagawa and Toda (1981): longest paths make the columns, edges that pass over a
//! column get a place in it, the order in a column follows the middle of what stands before and after.

use crate::chart::path::short;
use std::collections::BTreeMap;

/// Where a box is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
}

/// How large boxes are, and how far apart.
#[derive(Debug, Clone, Copy)]
pub(in crate::chart) struct Sizes {
    pub(in crate::chart) width: f64,
    pub(in crate::chart) height: f64,
    pub(in crate::chart) gap_x: f64,
    pub(in crate::chart) gap_y: f64,
}

/// An edge, drawn.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::chart) struct Edge {
    pub(in crate::chart) from: usize,
    pub(in crate::chart) to: usize,
    pub(in crate::chart) path: String,
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::chart) struct Layout {
    pub(in crate::chart) places: Vec<Place>,
    pub(in crate::chart) edges: Vec<Edge>,
    pub(in crate::chart) width: f64,
    pub(in crate::chart) height: f64,
    /// Where the columns begin of those that stand at the end.
    pub(in crate::chart) end: Option<f64>,
}

const MARGIN: f64 = 20.0;
/// What parts those at the end from all others takes so much room.
const DIVIDER: f64 = 28.0;
/// How often the order of columns is looked at again.
const ROUNDS: usize = 10;
/// How often boxes are moved towards what they are tied to.
const PULLS: usize = 12;

/// The column of each box: one more than the last of those that it stands after. Those of `last` come after all others.
pub(in crate::chart) fn columns(needs: &[Vec<usize>], last: &[bool]) -> Vec<usize> {
    let is_last = |at: usize| last.get(at).copied().unwrap_or_default();
    let mut column = vec![0_usize; needs.len()];
    let most = needs.len().saturating_sub(1);
    let settle = |column: &mut Vec<usize>, wanted: &dyn Fn(usize) -> bool, from: usize| {
        // As many rounds as there are boxes: a circle, which no stored pipeline has, ends too.
        for _ in 0..needs.len() {
            let mut moved = false;
            for at in (0..needs.len()).filter(|at| wanted(*at)) {
                let after = needs[at].iter().filter(|need| wanted(**need)).map(|need| column[*need] + 1).max();
                let next = after.unwrap_or(from).max(from).min(from + most);
                moved |= next != column[at];
                column[at] = next;
            }
            if !moved {
                break;
            }
        }
    };
    settle(&mut column, &|at| !is_last(at), 0);
    let first = (0..needs.len()).filter(|at| !is_last(*at)).map(|at| column[at] + 1).max().unwrap_or(0);
    settle(&mut column, &is_last, first);
    column
}

/// A box, or a bend of an edge that passes over a column.
struct Slots {
    column: Vec<usize>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    boxes: usize,
}

impl Slots {
    /// The boxes, and a bend in each column that an edge passes over. Edges from one box share theirs.
    fn new(needs: &[Vec<usize>], column: Vec<usize>) -> (Self, BTreeMap<(usize, usize), Vec<usize>>) {
        let boxes = needs.len();
        let mut slots = Self { before: vec![Vec::new(); boxes], after: vec![Vec::new(); boxes], column, boxes };
        let mut bends: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut ways = BTreeMap::new();
        for (to, all) in needs.iter().enumerate() {
            for from in all.iter().copied() {
                // What stands in a circle has an edge back, which is left out.
                if slots.column[from] >= slots.column[to] {
                    continue;
                }
                let (mut at, mut way) = (from, Vec::new());
                for column in slots.column[from] + 1..slots.column[to] {
                    let bend = *bends.entry((from, column)).or_insert_with(|| {
                        slots.column.push(column);
                        slots.before.push(Vec::new());
                        slots.after.push(Vec::new());
                        slots.column.len() - 1
                    });
                    slots.tie(at, bend);
                    way.push(bend);
                    at = bend;
                }
                slots.tie(at, to);
                ways.insert((from, to), way);
            }
        }
        (slots, ways)
    }

    fn tie(&mut self, from: usize, to: usize) {
        if !self.after[from].contains(&to) {
            self.after[from].push(to);
            self.before[to].push(from);
        }
    }

    /// The slots of each column in an order with few crossings.
    fn rows(&self) -> Vec<Vec<usize>> {
        let count = self.column.iter().max().map_or(0, |last| last + 1);
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, column) in self.column.iter().enumerate() {
            rows[*column].push(at);
        }
        let mut place = vec![0_usize; self.column.len()];
        let number = |row: &[usize], place: &mut [usize]| row.iter().enumerate().for_each(|(n, at)| place[*at] = n);
        rows.iter().for_each(|row| number(row, &mut place));
        let mut best = (self.crossings(&rows, &place), rows.clone());
        for round in 0..ROUNDS {
            let forwards = round % 2 == 0;
            for step in 0..count {
                let row = if forwards { &mut rows[step] } else { &mut rows[count - 1 - step] };
                let tied = |at: usize| if forwards { &self.before[at] } else { &self.after[at] };
                let middle = |at: usize| mean(tied(at).iter().map(|other| float(place[*other])));
                // What is tied to nothing stays where it is.
                let keys: BTreeMap<usize, f64> =
                    row.iter().map(|at| (*at, middle(*at).unwrap_or_else(|| float(place[*at])))).collect();
                row.sort_by(|a, b| keys[a].total_cmp(&keys[b]).then(place[*a].cmp(&place[*b])));
                number(row, &mut place);
            }
            let crossings = self.crossings(&rows, &place);
            if crossings < best.0 {
                best = (crossings, rows.clone());
            }
            if best.0 == 0 {
                break;
            }
        }
        best.1
    }

    /// How often edges cross: between two columns, the pairs of edges whose ends are in opposite orders.
    fn crossings(&self, rows: &[Vec<usize>], place: &[usize]) -> usize {
        rows.iter()
            .map(|row| {
                let mut ends: Vec<(usize, usize)> =
                    row.iter().flat_map(|at| self.after[*at].iter().map(|to| (place[*at], place[*to]))).collect();
                ends.sort_unstable();
                let most = ends.iter().map(|(_, to)| *to).max().unwrap_or(0);
                // How many edges end above each place: a Fenwick tree.
                let mut seen = vec![0_usize; most + 2];
                let mut crossed = 0;
                for (known, (_, to)) in ends.iter().enumerate() {
                    let mut above = 0;
                    let mut at = to + 1;
                    while at > 0 {
                        above += seen[at];
                        at &= at - 1;
                    }
                    crossed += known - above;
                    at = to + 1;
                    while at < seen.len() {
                        seen[at] += 1;
                        at += at & at.wrapping_neg();
                    }
                }
                crossed
            })
            .sum()
    }

    /// The middle of each slot, in this order of the columns.
    fn middles(&self, rows: &[Vec<usize>], sizes: &Sizes) -> Vec<f64> {
        let height = |at: usize| if at < self.boxes { sizes.height } else { 0.0 };
        let apart = |a: usize, b: usize| {
            let gap = if a < self.boxes && b < self.boxes { sizes.gap_y } else { sizes.gap_y.min(14.0) };
            (height(a) + height(b)) / 2.0 + gap
        };
        let mut middle = vec![0.0; self.column.len()];
        for row in rows {
            let mut at = 0.0;
            for (n, slot) in row.iter().enumerate() {
                at += if n > 0 { apart(row[n - 1], *slot) } else { 0.0 };
                middle[*slot] = at;
            }
            let half = at / 2.0;
            row.iter().for_each(|slot| middle[*slot] -= half);
        }
        for pull in 0..PULLS {
            // In the end both sides pull.
            let (by_before, by_after) = (pull % 2 == 0 || pull + 2 >= PULLS, pull % 2 == 1 || pull + 2 >= PULLS);
            let order: Vec<usize> =
                if pull % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
            for column in order {
                let row = &rows[column];
                let wanted: Vec<f64> = row
                    .iter()
                    .map(|at| {
                        let before = self.before[*at].iter().filter(|_| by_before);
                        let after = self.after[*at].iter().filter(|_| by_after);
                        mean(before.chain(after).map(|other| middle[*other])).unwrap_or(middle[*at])
                    })
                    .collect();
                let apart: Vec<f64> = row.windows(2).map(|pair| apart(pair[0], pair[1])).collect();
                for (slot, at) in row.iter().zip(spread(&wanted, &apart)) {
                    middle[*slot] = at;
                }
            }
        }
        middle
    }
}

/// The places nearest to the wanted ones, by least squares, that are at least so far apart, in their order: isotonic
/// regression by pooling adjacent violators.
fn spread(wanted: &[f64], apart: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let offsets: Vec<f64> = (0..wanted.len())
        .map(|at| {
            offset += if at > 0 { apart[at - 1] } else { 0.0 };
            offset
        })
        .collect();
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (want, offset) in wanted.iter().zip(&offsets) {
        blocks.push((want - offset, 1));
        while let [.., before, last] = blocks.as_mut_slice() {
            if before.0 / float(before.1) <= last.0 / float(last.1) {
                break;
            }
            *before = (before.0 + last.0, before.1 + last.1);
            blocks.pop();
        }
    }
    let levels = blocks.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / float(count), count));
    levels.zip(offsets).map(|(level, offset)| level + offset).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / float(count))
}

// Boxes of one drawing: at most some hundreds.
#[allow(clippy::cast_precision_loss)]
fn float(n: usize) -> f64 {
    n as f64
}

/// Lays boxes out: `needs` are those that each stands after, those of `last` stand at the right end.
pub(in crate::chart) fn arrange(needs: &[Vec<usize>], last: &[bool], sizes: &Sizes) -> Layout {
    let (slots, ways) = Slots::new(needs, columns(needs, last));
    let rows = slots.rows();
    let middle = slots.middles(&rows, sizes);
    let half = |at: usize| if at < slots.boxes { sizes.height / 2.0 } else { 0.0 };
    let edge_of = |pick: fn(f64, f64) -> f64, sign: f64| {
        (0..middle.len()).map(|at| middle[at] + sign * half(at)).reduce(pick).unwrap_or(0.0)
    };
    let (top, bottom) = (edge_of(f64::min, -1.0), edge_of(f64::max, 1.0));
    let end = (0..slots.boxes).filter(|at| last.get(*at) == Some(&true)).map(|at| slots.column[at]).min();
    // Before the first column there is nothing to part it from.
    let end = end.filter(|column| *column > 0);
    let x = |column: usize| {
        let shift = if end.is_some_and(|end| column >= end) { DIVIDER } else { 0.0 };
        MARGIN + float(column) * (sizes.width + sizes.gap_x) + shift
    };
    let y = |at: usize| middle[at] - top + MARGIN;
    let places: Vec<Place> =
        (0..slots.boxes).map(|at| Place { x: x(slots.column[at]), y: y(at) - sizes.height / 2.0 }).collect();
    let edges = ways
        .into_iter()
        .map(|((from, to), way)| {
            let start = (places[from].x + sizes.width, y(from));
            let mut path = format!("M{} {}", short(start.0), short(start.1));
            let mut pen = start;
            for bend in way {
                let at = (x(slots.column[bend]), y(bend));
                path += &curve(pen, at, sizes.gap_x);
                pen = (at.0 + sizes.width, at.1);
                path += &format!("H{}", short(pen.0));
            }
            path += &curve(pen, (places[to].x, y(to)), sizes.gap_x);
            Edge { from, to, path }
        })
        .collect();
    let columns = rows.len();
    let width = if columns == 0 { 2.0 * MARGIN } else { x(columns - 1) + sizes.width + MARGIN };
    let height = if columns == 0 { 2.0 * MARGIN } else { bottom - top + 2.0 * MARGIN };
    Layout { places, edges, width, height, end: end.map(|column| x(column) - (sizes.gap_x + DIVIDER) / 2.0) }
}

/// From where the pen is to a point at its right.
fn curve((x1, y1): (f64, f64), (x2, y2): (f64, f64), gap: f64) -> String {
    let bend = ((x2 - x1) / 2.0).max(gap / 2.0);
    let points = [x1 + bend, y1, x2 - bend, y2, x2, y2].map(short);
    let [a, b, c, d, e, f] = points;
    format!("C{a} {b} {c} {d} {e} {f}")
}

/// The boxes in reading order, so that the tab key goes from left to right.
pub(in crate::chart) fn reading_order(places: &[Place]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].x.total_cmp(&places[*b].x).then(places[*a].y.total_cmp(&places[*b].y)));
    order
}

/// All that each stands after, directly or not, as bits.
fn ancestors(needs: &[Vec<usize>], columns: &[usize]) -> Vec<Vec<u64>> {
    let words = needs.len().div_ceil(64);
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|at| columns[*at]);
    let mut before = vec![vec![0_u64; words]; needs.len()];
    for at in order {
        let mut all = vec![0_u64; words];
        for need in &needs[at] {
            all.iter_mut().zip(&before[*need]).for_each(|(all, theirs)| *all |= theirs);
            all[need / 64] |= 1 << (need % 64);
        }
        before[at] = all;
    }
    before
}

/// Without those that another implies: what another need waits for is waited for without an edge of its own.
pub(in crate::chart) fn reduced(needs: &[Vec<usize>], last: &[bool]) -> Vec<Vec<usize>> {
    let before = ancestors(needs, &columns(needs, last));
    let implied = |all: &[usize], from: usize| {
        all.iter().any(|need| *need != from && before[*need][from / 64] & (1 << (from % 64)) != 0)
    };
    needs.iter().map(|all| all.iter().copied().filter(|from| !implied(all, *from)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { width: 100.0, height: 20.0, gap_x: 40.0, gap_y: 10.0 };

    fn crossings(layout: &Layout) -> usize {
        let middle = |at: usize| layout.places[at].y;
        let all = &layout.edges;
        let cross = |a: &Edge, b: &Edge| {
            layout.places[a.from].x == layout.places[b.from].x
                && (middle(a.from) - middle(b.from)) * (middle(a.to) - middle(b.to)) < 0.0
        };
        all.iter().enumerate().map(|(n, a)| all[n + 1..].iter().filter(|b| cross(a, b)).count()).sum()
    }

    #[test]
    fn an_order_without_crossings_is_found() {
        // Three ladders whose rungs were given in opposite orders.
        let needs = [vec![], vec![], vec![], vec![2], vec![1], vec![0], vec![3], vec![5], vec![4]];
        assert_eq!(crossings(&arrange(&needs, &[], &SIZES)), 0);
    }

    #[test]
    fn an_edge_over_a_column_passes_no_box() {
        // a → b → d, a → d … and the long way beside b.
        let needs = [vec![], vec![0], vec![0, 1], vec![0, 2]];
        let layout = arrange(&needs, &[], &SIZES);
        let long = layout.edges.iter().find(|edge| (edge.from, edge.to) == (0, 3)).unwrap();
        let passes: Vec<f64> =
            long.path.split('H').skip(1).map(|part| part.split('C').next().unwrap().parse().unwrap()).collect();
        assert_eq!(passes, [layout.places[1].x + 100.0, layout.places[2].x + 100.0]);
        let at: f64 = long
            .path
            .split('C')
            .nth(1)
            .unwrap()
            .split('H')
            .next()
            .unwrap()
            .split(' ')
            .next_back()
            .unwrap()
            .parse()
            .unwrap();
        let b = layout.places[1].y;
        assert!(at <= b || at >= b + 20.0, "{at} is within {b} and {}", b + 20.0);
    }

    #[test]
    fn what_comes_last_stands_right_of_everything() {
        let needs = [vec![], vec![], vec![1], vec![2], vec![0]];
        let layout = arrange(&needs, &[true, false, false, false, true], &SIZES);
        let right = layout.places[1..4].iter().map(|place| place.x).fold(0.0, f64::max);
        assert!(layout.places[0].x > right && layout.places[4].x > layout.places[0].x, "{layout:?}");
        assert!(layout.end.is_some_and(|end| end > right && end < layout.places[0].x));
        assert_eq!(arrange(&[vec![]], &[true], &SIZES).end, None);
    }

    #[test]
    fn boxes_of_a_column_stand_apart() {
        let needs: Vec<Vec<usize>> =
            (0..200).map(|at| if at < 20 { vec![] } else { vec![at - 20, (at * 7) % (at / 20 * 20)] }).collect();
        let layout = arrange(&needs, &[], &SIZES);
        for (n, a) in layout.places.iter().enumerate() {
            for b in &layout.places[n + 1..] {
                assert!(a.x != b.x || (a.y - b.y).abs() >= 30.0 - 1e-6, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn wanted_places_are_kept_where_there_is_room() {
        assert_eq!(spread(&[0.0, 50.0], &[10.0]), [0.0, 50.0]);
        assert_eq!(spread(&[0.0, 0.0, 0.0], &[10.0, 10.0]), [-10.0, 0.0, 10.0]);
    }

    #[test]
    fn what_is_implied_is_left_out() {
        assert_eq!(reduced(&[vec![], vec![0], vec![0, 1]], &[]), [vec![], vec![0], vec![1]]);
    }
}
