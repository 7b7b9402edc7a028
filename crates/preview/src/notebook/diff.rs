//! Two notebooks against each other, cell by cell: matched by id where they have ids, else by what is in them.
//!
//! In which turn a cell was run, how long it took, metadata and the addresses of objects in memory do not count.

use super::{file, picture, plain, whole_text};
use blake3::Hash;
use domain::{
    notebook::{CellChange, CellDiff, NotebookDiff, OutputDiff},
    text_diff::TextDiff,
};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// The most cells of each that are compared.
const MOST_CELLS: usize = 500;
/// The most words of a cell by which it is told from others.
const MOST_WORDS: usize = 2000;
/// The most bytes of a text that is compared line by line.
const MOST_TEXT: usize = 256 << 10;
/// The most bytes of all pictures of a diff together.
const MOST_PICTURES: usize = 6 << 20;
/// The longest name of a cell, in characters.
const MOST_NAME: usize = 80;
/// Cells at least so much alike are the same cell, changed: of all words of both, so many are common.
const ALIKE: f64 = 0.5;

/// What is different between two notebooks of format 4; none when one of them is no such thing.
#[must_use]
pub fn diff(before: &[u8], after: &[u8]) -> Option<NotebookDiff> {
    let (before, after) = (Side::read(before)?, Side::read(after)?);
    let is_cut = before.is_cut || after.is_cut;
    let (before, after) = (before.cells, after.cells);
    let pairs = pairs(&before, &after);
    let moved = moved(&before, &after, &pairs);
    let mut diff = NotebookDiff { is_cut, ..NotebookDiff::default() };
    let mut room = MOST_PICTURES;
    let of_after: HashMap<usize, usize> = pairs.iter().chain(&moved).map(|(one, other)| (*other, *one)).collect();
    let in_place: BTreeSet<usize> = pairs.iter().map(|(_, after)| *after).collect();
    let moved_away: BTreeSet<usize> = moved.iter().map(|(before, _)| *before).collect();
    let mut next = 0;
    let mut gone = |up_to: usize, diff: &mut NotebookDiff, room: &mut usize| {
        for (at, cell) in before.iter().enumerate().take(up_to).skip(next) {
            if !moved_away.contains(&at) {
                diff.removed += 1;
                diff.cells.push(one(CellChange::Removed, Some((at, cell)), None, room));
            }
        }
        next = next.max(up_to + 1);
    };
    for (at, cell) in after.iter().enumerate() {
        match of_after.get(&at) {
            Some(from) => {
                let change = if in_place.contains(&at) {
                    gone(*from, &mut diff, &mut room);
                    CellChange::Changed
                } else {
                    diff.moved += 1;
                    CellChange::Moved
                };
                let mut found = one(change, Some((*from, &before[*from])), Some((at, cell)), &mut room);
                diff.changed += usize::from(!found.source.is_empty());
                diff.outputs += usize::from(!found.outputs.is_empty());
                if change == CellChange::Changed && found.source.is_empty() && found.outputs.is_empty() {
                    found.change = CellChange::Same;
                }
                diff.cells.push(found);
            }
            None => {
                diff.added += 1;
                diff.cells.push(one(CellChange::Added, None, Some((at, cell)), &mut room));
            }
        }
    }
    gone(before.len(), &mut diff, &mut room);
    Some(diff)
}

struct Side {
    cells: Vec<Cell>,
    is_cut: bool,
}

/// What of a cell counts.
struct Cell {
    id: Option<String>,
    kind: &'static str,
    source: String,
    outputs: Vec<Output>,
    /// Its words, by what they hash to, and how often each is there; sorted.
    words: Vec<(u64, u32)>,
}

struct Output {
    kind: String,
    text: Option<String>,
    picture: Option<(&'static str, String, Hash)>,
}

impl Output {
    /// What two outputs are told apart by.
    fn key(&self) -> (&str, Option<String>, Option<Hash>) {
        let text = if self.picture.is_some() { None } else { self.text.as_deref().map(without_addresses) };
        (&self.kind, text, self.picture.as_ref().map(|(_, _, hash)| *hash))
    }
}

impl Side {
    fn read(bytes: &[u8]) -> Option<Self> {
        let file = file(bytes)?;
        let all = file.get("cells")?.as_array()?;
        let cells: Vec<Cell> = all.iter().filter_map(Value::as_object).take(MOST_CELLS).map(Cell::read).collect();
        Some(Self { is_cut: cells.len() < all.len(), cells })
    }
}

impl Cell {
    fn read(cell: &Map<String, Value>) -> Self {
        let kind = match cell.get("cell_type").and_then(Value::as_str) {
            Some("code") => "code",
            Some("markdown") => "markdown",
            _ => "raw",
        };
        let source = short(cell.get("source").map(whole_text).unwrap_or_default());
        let outputs = cell.get("outputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut read: Vec<Output> = Vec::new();
        for output in outputs.iter().filter_map(Value::as_object).filter_map(output) {
            match read.last_mut() {
                // Whether a stream came in one piece or in many is chance.
                Some(last) if last.kind == output.kind && matches!(last.kind.as_str(), "stdout" | "stderr") => {
                    if let (Some(text), Some(more)) = (&mut last.text, output.text) {
                        text.push_str(&more);
                    }
                }
                _ => read.push(output),
            }
        }
        for output in &mut read {
            output.text = output.text.take().map(|text| short(plain(&text)));
        }
        let id = cell.get("id").and_then(Value::as_str).map(str::to_owned);
        Self { id, kind, words: words(&source), source, outputs: read }
    }

    fn name(&self) -> String {
        let line = self.source.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        line.trim_start_matches('#').trim_start().chars().take(MOST_NAME).collect()
    }
}

fn output(output: &Map<String, Value>) -> Option<Output> {
    let word = |name| output.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = |kind: &str, text: String| Some(Output { kind: kind.to_owned(), text: Some(text), picture: None });
    match word("output_type") {
        "stream" => {
            let kind = if word("name") == "stderr" { "stderr" } else { "stdout" };
            text(kind, output.get("text").map(whole_text).unwrap_or_default())
        }
        "error" => {
            let lines = output.get("traceback").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let trace: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            let told = format!("{}: {}", word("ename"), word("evalue"));
            text("error", if trace.is_empty() { told } else { trace.join("\n") })
        }
        "display_data" | "execute_result" => {
            let forms = output.get("data")?.as_object()?;
            let picture = ["image/png", "image/jpeg", "image/gif", "image/svg+xml"].into_iter().find_map(|media| {
                let form = whole_text(forms.get(media)?);
                let hash = blake3::hash(form.trim().as_bytes());
                Some((media, form, hash))
            });
            let words = ["text/plain", "text/markdown", "text/latex", "text/html"];
            let found = words.into_iter().find_map(|media| Some((media, whole_text(forms.get(media)?))));
            match (picture, found) {
                (Some(picture), found) => Some(Output {
                    kind: picture.0.to_owned(),
                    text: found.map(|(_, text)| text),
                    picture: Some(picture),
                }),
                (None, Some((media, words))) => text(media, words),
                (None, None) => {
                    let (media, form) = forms.iter().next()?;
                    text(&media.chars().take(80).collect::<String>(), form.to_string())
                }
            }
        }
        _ => None,
    }
}

fn short(mut text: String) -> String {
    if text.len() > MOST_TEXT {
        let end = (0..=MOST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
    }
    text
}

/// `<Figure at 0x7f3a…>` is the same figure in the next run.
pub(super) fn without_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("0x") {
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(before);
        out.push_str("0x");
        rest = if digits >= 6 { &after[digits..] } else { after };
    }
    out.push_str(rest);
    out
}

fn words(text: &str) -> Vec<(u64, u32)> {
    let mut counts: HashMap<u64, u32> = HashMap::new();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    for word in words.take(MOST_WORDS) {
        let hash = blake3::hash(word.as_bytes());
        let mut short = [0; 8];
        short.copy_from_slice(&hash.as_bytes()[..8]);
        *counts.entry(u64::from_le_bytes(short)).or_default() += 1;
    }
    let mut counts: Vec<(u64, u32)> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}

/// How much of two cells is common, from 0 to 1: the coefficient of Sørensen and Dice over their words.
fn alike(one: &Cell, other: &Cell) -> f64 {
    if one.source == other.source {
        return 1.0;
    }
    let total = |words: &[(u64, u32)]| words.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
    let all = total(&one.words) + total(&other.words);
    if all == 0 {
        return 0.0;
    }
    let (mut left, mut right) = (one.words.iter().peekable(), other.words.iter().peekable());
    let mut common = 0_u64;
    while let (Some((word, count)), Some((other, times))) = (left.peek(), right.peek()) {
        match word.cmp(other) {
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
            std::cmp::Ordering::Equal => {
                common += u64::from(*count.min(times));
                left.next();
                right.next();
            }
        }
    }
    #[allow(clippy::cast_precision_loss)] // a few thousand words
    let share = 2.0 * common as f64 / all as f64;
    share
}

/// How well two cells fit: 0 when they are not the same cell.
fn fit(one: &Cell, other: &Cell) -> f64 {
    let same_id = one.id.is_some() && one.id == other.id;
    if one.kind != other.kind {
        return if same_id { 0.4 } else { 0.0 };
    }
    let alike = alike(one, other);
    match same_id {
        true => 1.0 + alike,
        false if alike >= ALIKE => alike,
        false => 0.0,
    }
}

/// Which cells are the same, in order: the pairs that fit best together.
fn pairs(before: &[Cell], after: &[Cell]) -> Vec<(usize, usize)> {
    let equal = |one: &Cell, other: &Cell| {
        one.kind == other.kind
            && one.source == other.source
            && (one.id == other.id || one.id.is_none() || other.id.is_none())
    };
    let start = before.iter().zip(after).take_while(|(one, other)| equal(one, other)).count();
    let end = before[start..].iter().rev().zip(after[start..].iter().rev()).take_while(|(a, b)| equal(a, b)).count();
    let (rows, columns) = (before.len() - start - end, after.len() - start - end);
    // best[i][j]: how well the rest from i and j on can fit.
    let width = columns + 1;
    let mut best = vec![0.0_f64; (rows + 1) * width];
    let mut fits = vec![0.0_f64; rows * columns];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let fit = fit(&before[start + row], &after[start + column]);
            fits[row * columns + column] = fit;
            let skip = best[(row + 1) * width + column].max(best[row * width + column + 1]);
            let take = if fit > 0.0 { fit + best[(row + 1) * width + column + 1] } else { 0.0 };
            best[row * width + column] = skip.max(take);
        }
    }
    let mut pairs: Vec<(usize, usize)> = (0..start).map(|at| (at, at)).collect();
    let (mut row, mut column) = (0, 0);
    while row < rows && column < columns {
        let fit = fits[row * columns + column];
        let here = best[row * width + column];
        if fit > 0.0 && fit + best[(row + 1) * width + column + 1] >= here {
            pairs.push((start + row, start + column));
            row += 1;
            column += 1;
        } else if best[(row + 1) * width + column] >= here {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs.extend((0..end).map(|at| (before.len() - end + at, after.len() - end + at)));
    pairs
}

/// Cells that stand elsewhere: with the same id, or with the same words, if there are some.
fn moved(before: &[Cell], after: &[Cell], pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let placed: BTreeSet<usize> = pairs.iter().map(|(one, _)| *one).collect();
    let taken: BTreeSet<usize> = pairs.iter().map(|(_, other)| *other).collect();
    let mut left: Vec<usize> = (0..before.len()).filter(|at| !placed.contains(at)).collect();
    let mut moved = Vec::new();
    for at in (0..after.len()).filter(|at| !taken.contains(at)) {
        let cell = &after[at];
        let is_it = |from: &usize| {
            let other = &before[*from];
            let same_id = cell.id.is_some() && cell.id == other.id;
            other.kind == cell.kind && (same_id || (cell.source == other.source && cell.source.trim().len() >= 8))
        };
        if let Some(place) = left.iter().position(is_it) {
            moved.push((left.remove(place), at));
        }
    }
    moved
}

fn one(
    change: CellChange,
    before: Option<(usize, &Cell)>,
    after: Option<(usize, &Cell)>,
    room: &mut usize,
) -> CellDiff {
    let shown = after.or(before).map(|(_, cell)| cell);
    let source = |side: Option<(usize, &Cell)>| side.map_or(String::new(), |(_, cell)| cell.source.clone());
    let none = Vec::new();
    let left = before.map_or(&none, |(_, cell)| &cell.outputs);
    let right = after.map_or(&none, |(_, cell)| &cell.outputs);
    let number = |side: Option<(usize, &Cell)>| side.and_then(|(at, _)| u32::try_from(at + 1).ok());
    CellDiff {
        change,
        kind: shown.map_or("raw", |cell| cell.kind).to_owned(),
        before: number(before),
        after: number(after),
        name: shown.map(Cell::name).unwrap_or_default(),
        source: TextDiff::of(&source(before), &source(after)),
        outputs: of_outputs(left, right, room),
    }
}

/// The outputs that are not the same: those between equal ones at both ends, paired by what they are.
fn of_outputs(before: &[Output], after: &[Output], room: &mut usize) -> Vec<OutputDiff> {
    let start = before.iter().zip(after).take_while(|(one, other)| one.key() == other.key()).count();
    let (before, after) = (&before[start..], &after[start..]);
    let end = before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| one.key() == other.key()).count();
    let (before, after) = (&before[..before.len() - end], &after[..after.len() - end]);
    let mut left: Vec<&Output> = before.iter().collect();
    let mut diffs = Vec::new();
    for output in after {
        let same = left.iter().position(|other| other.key() == output.key());
        let same = same.or_else(|| left.iter().position(|other| other.kind == output.kind));
        let from = same.map(|at| left.remove(at));
        if from.is_some_and(|from| from.key() == output.key()) {
            continue;
        }
        diffs.push(of_output(from, Some(output), room));
    }
    // What is gone comes first, as in a text.
    let gone: Vec<OutputDiff> = left.into_iter().map(|output| of_output(Some(output), None, room)).collect();
    gone.into_iter().chain(diffs).collect()
}

fn of_output(before: Option<&Output>, after: Option<&Output>, room: &mut usize) -> OutputDiff {
    let kind = after.or(before).map(|output| output.kind.clone()).unwrap_or_default();
    let is_picture = [before, after].into_iter().flatten().any(|output| output.picture.is_some());
    let text = |side: Option<&Output>| side.and_then(|output| output.text.as_deref()).unwrap_or_default().to_owned();
    let mut shown = |side: Option<&Output>| {
        let (media, form, _) = side?.picture.as_ref()?;
        picture(media, form, room)
    };
    let (one, other) = (shown(before), shown(after));
    OutputDiff {
        kind,
        text: (!is_picture).then(|| TextDiff::of(&text(before), &text(after))),
        before: one,
        after: other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(id: &str, source: &str) -> Value {
        json!({ "cell_type": "code", "id": id, "source": source, "outputs": [], "execution_count": null, "metadata": {} })
    }

    fn with_output(mut cell: Value, output: Value) -> Value {
        cell["outputs"] = json!([output]);
        cell["execution_count"] = json!(7);
        cell["metadata"] = json!({ "execution": { "shell.execute_reply": "2026-11-01T00:00:00Z" } });
        cell
    }

    fn file(cells: &[Value]) -> Vec<u8> {
        json!({ "cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5 }).to_string().into_bytes()
    }

    fn told(before: &[Value], after: &[Value]) -> String {
        let diff = diff(&file(before), &file(after)).unwrap();
        let line = |cell: &CellDiff| {
            let sign = match cell.change {
                CellChange::Same => "=",
                CellChange::Changed => "~",
                CellChange::Moved => ">",
                CellChange::Added => "+",
                CellChange::Removed => "-",
            };
            let number = |number: Option<u32>| number.map_or(".".to_owned(), |number| number.to_string());
            format!("{sign}{}:{} {}", number(cell.before), number(cell.after), cell.name)
        };
        diff.cells.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn cells_are_matched_by_their_ids() {
        let before = [code("a", "x = 1"), code("b", "y = 2"), code("c", "z = 3")];
        let after = [code("a", "x = 1"), code("b", "totally(different)"), code("n", "new"), code("c", "z = 3")];
        assert_eq!(told(&before, &after), "=1:1 x = 1\n~2:2 totally(different)\n+.:3 new\n=3:4 z = 3");
    }

    #[test]
    fn cells_without_ids_are_matched_by_what_is_in_them() {
        let cell = |source: &str| json!({ "cell_type": "code", "source": source, "outputs": [] });
        let before = [cell("import pandas as pd"), cell("rows = pd.read_csv('a.csv', sep=';')"), cell("rows.plot()")];
        let after = [cell("import pandas as pd"), cell("print('hello')"), cell("rows = pd.read_csv('b.csv', sep=';')")];
        assert_eq!(
            told(&before, &after),
            "=1:1 import pandas as pd\n+.:2 print('hello')\n~2:3 rows = pd.read_csv('b.csv', sep=';')\n-3:. rows.plot()"
        );
    }

    #[test]
    fn a_cell_that_moved_is_one_cell() {
        let before = [code("a", "first_cell()"), code("b", "second_cell()"), code("c", "third_cell()")];
        let after = [code("b", "second_cell()"), code("c", "third_cell()"), code("a", "first_cell(1)")];
        assert_eq!(told(&before, &after), "=2:1 second_cell()\n=3:2 third_cell()\n>1:3 first_cell(1)");
    }

    #[test]
    fn source_against_executed_tells_of_params_and_outputs_alone() {
        let mut params = code("p", "rate = 0.1");
        params["metadata"] = json!({ "tags": ["parameters"] });
        let show = code("s", "rate");
        let result = |text: &str| json!({ "output_type": "execute_result", "execution_count": 3, "data": { "text/plain": text } });
        let executed = [
            with_output(params.clone(), json!({})),
            code("i", "# Parameters\nrate = 0.2"),
            with_output(show.clone(), result("0.2")),
        ];
        let diff = diff(&file(&[params, show]), &file(&executed)).unwrap();
        assert_eq!((diff.added, diff.removed, diff.changed, diff.outputs), (1, 0, 0, 1));
        let output = &diff.cells[2].outputs[0];
        assert_eq!((output.kind.as_str(), output.text.as_ref().unwrap().added), ("text/plain", 1));
    }

    #[test]
    fn turns_times_and_addresses_do_not_count() {
        let result = |address: &str| json!({ "output_type": "display_data", "data": { "text/plain": format!("<A at {address}>") } });
        let stream = |parts: Value| json!({ "output_type": "stream", "name": "stdout", "text": parts });
        let before = with_output(code("a", "a"), result("0x7f3a11112222"));
        let mut after = with_output(code("a", "a"), result("0x7f99aaaabbbb"));
        after["execution_count"] = json!(12);
        assert!(diff(&file(std::slice::from_ref(&before)), &file(&[after])).unwrap().is_empty());
        let mut one = code("a", "a");
        one["outputs"] = json!([stream(json!("ab\n\u{1b}[31mc\u{1b}[0m"))]);
        let mut other = code("a", "a");
        other["outputs"] = json!([stream(json!(["ab\n"])), stream(json!("c"))]);
        assert!(diff(&file(&[one]), &file(&[other])).unwrap().is_empty());
    }

    #[test]
    fn pictures_stand_side_by_side() {
        const PIXEL: &str =
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
        let picture = |form: &str| json!({ "output_type": "display_data", "data": { "image/png": form, "text/plain": "<Figure>" } });
        let svg = json!({ "output_type": "display_data", "data": { "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>" } });
        let before = with_output(code("a", "plot"), picture(PIXEL));
        assert!(
            diff(
                &file(std::slice::from_ref(&before)),
                &file(&[with_output(code("a", "plot"), picture(&format!("{PIXEL}\n")))])
            )
            .unwrap()
            .is_empty()
        );
        let found = diff(&file(&[before]), &file(&[with_output(code("a", "plot"), svg)])).unwrap();
        let outputs = &found.cells[0].outputs;
        assert!(
            outputs[0].before.as_ref().unwrap().starts_with("data:image/png;base64,") && outputs[0].after.is_none()
        );
        assert!(outputs[1].after.as_ref().unwrap().starts_with("data:image/svg+xml;base64,"));
    }

    #[test]
    fn what_is_no_notebook_has_no_diff_and_wrong_types_are_no_trouble() {
        let good = file(&[code("a", "a")]);
        for bad in ["", "[]", "{}", "{\"cells\": 1}", "{\"worksheets\": []}"] {
            assert_eq!(diff(bad.as_bytes(), &good), None, "{bad}");
        }
        for odd in [
            json!({ "cells": [1, null, {}, { "cell_type": 7, "source": [1], "outputs": "x", "id": 4 }] }),
            json!({ "cells": [{ "cell_type": "code", "outputs": [1, { "output_type": "stream" }, { "output_type": "error" },
                { "output_type": "display_data", "data": {} }, { "output_type": "display_data", "data": { "a/b": {} } }] }] }),
        ] {
            assert!(diff(&good, odd.to_string().as_bytes()).is_some());
        }
    }

    #[test]
    fn many_cells_are_compared_up_to_a_bound() {
        let many: Vec<Value> =
            (0..600).map(|at| json!({ "cell_type": "code", "source": format!("a{at} = {at}") })).collect();
        let mut others = many.clone();
        others.reverse();
        let found = diff(&file(&many), &file(&others)).unwrap();
        assert!(found.is_cut && found.cells.len() <= 1000);
    }
}
