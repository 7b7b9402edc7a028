//! Notebooks: their cells, and what came of them, as far as it can be drawn without running anything. What needs scripts
//! is named, to be shown in a frame of its own: see [`document`].

mod diff;
mod same;

pub use diff::diff;
pub use same::is_same;

use crate::{
    html::{self, Html},
    json, markdown, math,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;
use domain::preview::{Block, Cell, CellContent, Inline, Notebook, Output, Part, Preview, Reason};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most cells.
const MOST_CELLS: usize = 500;
/// The most outputs of a cell.
const MOST_OUTPUTS: usize = 50;
/// The most bytes of text of a cell or an output.
const MOST_TEXT: usize = 64 << 10;
/// The most bytes of all pictures together.
const MOST_PICTURES: usize = 6 << 20;

/// The notebook, if it is one of format 4; other JSON is shown as what it is.
pub(crate) fn read(bytes: &[u8], part: Part, path: &str) -> Preview {
    if !part.is_whole() {
        return Preview::Nothing(Reason::TooLarge(crate::wanted(domain::preview::Kind::Notebook)));
    }
    match cells(bytes, path) {
        Some(notebook) => Preview::Notebook(notebook),
        None => json::read(bytes, part),
    }
}

/// The cells of a notebook of format 4. Files that its prose speaks of lie beside `path`.
#[must_use]
pub fn cells(bytes: &[u8], path: &str) -> Option<Notebook> {
    let file = file(bytes)?;
    let cells = file.get("cells")?.as_array()?;
    let language = |name: &str, field: &str| file.get("metadata")?.get(name)?.get(field)?.as_str().map(str::to_owned);
    let mut pictures = MOST_PICTURES;
    let shown = cells.iter().enumerate().filter_map(|(at, one)| Some((at, one.as_object()?))).take(MOST_CELLS);
    Some(Notebook {
        language: language("language_info", "name").or_else(|| language("kernelspec", "language")),
        cells: shown.map(|(at, one)| cell(at, one, path, &mut pictures)).collect(),
        total: cells.len(),
    })
}

/// The document of an output that needs a browser to be drawn, by the places of the cell and of the output in it: to be
/// sent by an address of its own, under a policy that keeps it from everything.
#[must_use]
pub fn document(bytes: &[u8], cell: usize, output: usize) -> Option<String> {
    let file = file(bytes)?;
    let output = file.get("cells")?.get(cell)?.get("outputs")?.get(output)?;
    let html = whole_text(output.get("data")?.get("text/html")?);
    Some(format!("<!doctype html><html><head><meta charset=\"utf-8\"></head><body>{html}</body></html>"))
}

fn file(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(file)) => Some(file),
        _ => None,
    }
}

fn cell(at: usize, cell: &Map<String, Value>, path: &str, pictures: &mut usize) -> Cell {
    let source = text(cell.get("source"));
    let metadata = cell.get("metadata");
    let tags = metadata.and_then(|metadata| metadata.get("tags")).and_then(Value::as_array);
    let content = match cell.get("cell_type").and_then(Value::as_str) {
        Some("markdown") => CellContent::Markdown(markdown::read_cell(&source, path, &attachments(cell, pictures))),
        Some("code") => {
            let outputs = cell.get("outputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let outputs = outputs.iter().enumerate().filter_map(|(place, one)| Some((place, one.as_object()?)));
            let shown = outputs.take(MOST_OUTPUTS).filter_map(|(place, one)| output((at, place), one, pictures));
            CellContent::Code {
                count: cell.get("execution_count").and_then(Value::as_i64),
                took_ms: metadata.and_then(|metadata| took_ms(metadata.get("execution")?)),
                source,
                outputs: shown.fold(Vec::new(), joined),
            }
        }
        _ => CellContent::Raw(source),
    };
    let tags = tags.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
    Cell { tags: tags.take(8).map(|tag| tag.chars().take(40).collect()).collect(), content }
}

/// What a cell wrote piece by piece is one text.
fn joined(mut outputs: Vec<Output>, next: Output) -> Vec<Output> {
    match (outputs.last_mut(), next) {
        (Some(Output::Text { text, is_err }), Output::Text { text: more, is_err: also_err })
            if *is_err == also_err && text.len() < MOST_TEXT =>
        {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&more);
        }
        (_, next) => outputs.push(next),
    }
    outputs
}

/// The pictures that a cell of prose brings, as addresses that hold them, by name.
fn attachments(cell: &Map<String, Value>, room: &mut usize) -> BTreeMap<String, String> {
    let all = cell.get("attachments").and_then(Value::as_object).into_iter().flatten();
    let shown = all.filter_map(|(name, forms)| {
        let address = ["image/png", "image/jpeg"]
            .into_iter()
            .find_map(|media| picture(media, &whole_text(forms.get(media)?), room))?;
        Some((name.clone(), address))
    });
    shown.collect()
}

/// How long a cell took, as notebooks note it when they are told to.
fn took_ms(execution: &Value) -> Option<i64> {
    let at = |name: &str| DateTime::parse_from_rfc3339(execution.get(name)?.as_str()?).ok();
    let ended = at("shell.execute_reply").or_else(|| at("iopub.status.idle"))?;
    let took = ended.signed_duration_since(at("iopub.execute_input").or_else(|| at("iopub.status.busy"))?);
    Some(took.num_milliseconds().max(0))
}

fn output(place: (usize, usize), output: &Map<String, Value>, pictures: &mut usize) -> Option<Output> {
    match output.get("output_type").and_then(Value::as_str)? {
        "stream" => {
            let is_err = output.get("name").and_then(Value::as_str) == Some("stderr");
            Some(Output::Text { text: on_paper(&text(output.get("text"))), is_err })
        }
        "error" => {
            let trace = text_of_lines(output.get("traceback"));
            let word = |name| output.get(name).and_then(Value::as_str).unwrap_or_default();
            let told = if trace.is_empty() { format!("{}: {}", word("ename"), word("evalue")) } else { trace };
            Some(Output::Error(on_paper(&told)))
        }
        "display_data" | "execute_result" => data(place, output.get("data")?.as_object()?, pictures),
        _ => None,
    }
}

/// One of the forms of the same thing, the one that shows most.
fn data((cell, output): (usize, usize), forms: &Map<String, Value>, pictures: &mut usize) -> Option<Output> {
    for media in ["image/png", "image/jpeg", "image/gif", "image/svg+xml"] {
        if let Some(shown) = forms.get(media).and_then(|form| picture(media, &whole_text(form), pictures)) {
            return Some(Output::Image(shown));
        }
    }
    let words = || forms.get("text/plain").map(|form| on_paper(&text(Some(form))));
    if let Some(form) = forms.get("text/html") {
        match html::read(&whole_text(form), pictures) {
            Html::Blocks(blocks) if !blocks.is_empty() => return Some(Output::Document(blocks)),
            Html::Blocks(_) => {}
            Html::Active => return Some(Output::Frame { cell, output, text: words().unwrap_or_default() }),
        }
    }
    if let Some(form) = forms.get("text/markdown") {
        return Some(Output::Document(markdown::read_cell(&text(Some(form)), "", &BTreeMap::new())));
    }
    if let Some(form) = forms.get("text/latex") {
        let tex = text(Some(form));
        let inner = tex.trim().trim_matches('$').trim();
        let inner = inner.strip_prefix("\\displaystyle").unwrap_or(inner);
        return Some(Output::Document(vec![Block::Paragraph(vec![Inline::Math(math::formula(inner, true))])]));
    }
    if let Some(form) = forms.get("application/json") {
        let laid_out = serde_json::to_string_pretty(form).unwrap_or_default();
        return Some(Output::Text { text: cut(laid_out), is_err: false });
    }
    if let Some(text) = words() {
        return Some(Output::Text { text, is_err: false });
    }
    let (media, _) = forms.iter().next()?;
    Some(Output::LeftOut(media.chars().take(80).collect()))
}

/// The picture as an address that holds it, when it is one and there is room for it. One of shapes is drawn by `<img>`
/// alone, where it runs nothing and loads nothing.
pub(crate) fn picture(media: &'static str, form: &str, room: &mut usize) -> Option<String> {
    if form.len() > *room {
        return None;
    }
    let bytes = match media {
        "image/svg+xml" => form.as_bytes().to_vec(),
        _ => BASE64_STANDARD.decode(form.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>()).ok()?,
    };
    let begins = match media {
        "image/png" => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => bytes.starts_with(b"\xff\xd8\xff"),
        "image/gif" => bytes.starts_with(b"GIF8"),
        _ => form.contains("<svg"),
    };
    if !begins {
        return None;
    }
    // Encoded anew: nothing but what decodes gets into the page.
    let address = format!("data:{media};base64,{}", BASE64_STANDARD.encode(bytes));
    *room = room.saturating_sub(address.len());
    Some(address)
}

/// Text, which a notebook keeps whole or by lines that have their ends; as much as is shown.
fn text(value: Option<&Value>) -> String {
    let whole = value.map(whole_text).unwrap_or_default();
    cut(whole)
}

pub(crate) fn whole_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// Lines without their ends.
fn text_of_lines(value: Option<&Value>) -> String {
    let lines = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    cut(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_TEXT {
        let end = (0..=MOST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// As it stands on a terminal in the end: what a carriage return wrote over is gone. The sequences that colour stay.
fn on_paper(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r' | '\u{1b}')).collect();
    let lines = kept.trim_end_matches('\n').split('\n');
    let last = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    lines.map(last).collect::<Vec<_>>().join("\n")
}

/// The same without the sequences that colour a terminal.
fn plain(text: &str) -> String {
    let text = on_paper(text);
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            '\u{1b}' => {}
            c => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read as preview;
    use serde_json::json;

    const PIXEL: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    fn notebook(value: &Value) -> Notebook {
        let bytes = value.to_string();
        match preview("work/a.ipynb", bytes.as_bytes(), bytes.len() as u64) {
            Preview::Notebook(notebook) => notebook,
            other => panic!("{other:?}"),
        }
    }

    fn said(text: &str) -> Output {
        Output::Text { text: text.to_owned(), is_err: false }
    }

    fn outputs(outputs: Value) -> Vec<Output> {
        let cells = json!([{ "cell_type": "code", "source": "x", "outputs": outputs }]);
        match notebook(&json!({ "cells": cells })).cells.remove(0).content {
            CellContent::Code { outputs, .. } => outputs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cells_come_in_order_with_what_came_of_them() {
        let shown = notebook(&json!({
            "nbformat": 4,
            "metadata": { "language_info": { "name": "python" } },
            "cells": [
                { "cell_type": "markdown", "source": ["# Title\n", "text"] },
                { "cell_type": "code", "execution_count": 7, "source": ["a = 1\n", "a"],
                  "metadata": { "tags": ["parameters"], "execution": {
                      "iopub.execute_input": "2026-11-27T10:00:00.250000Z", "shell.execute_reply": "2026-11-27T10:00:01.500Z" } },
                  "outputs": [
                    { "output_type": "stream", "name": "stdout", "text": ["10%\r100%\n", "\u{1b}[31mred\u{1b}[0m\n"] },
                    { "output_type": "execute_result", "data": { "text/html": "<b onclick=x>1</b>", "text/plain": "1" } },
                    { "output_type": "display_data", "data": { "image/png": format!("{PIXEL}\n"), "text/plain": "<Figure>" } },
                    { "output_type": "error", "ename": "E", "evalue": "v", "traceback": ["one", "two"] },
                ] },
                { "cell_type": "raw", "source": "as it is" },
            ],
        }));
        assert_eq!((shown.language.as_deref(), shown.total), (Some("python"), 3));
        let CellContent::Code { count, took_ms, source, outputs } = &shown.cells[1].content else { panic!("code") };
        assert_eq!((*count, *took_ms, source.as_str()), (Some(7), Some(1250), "a = 1\na"));
        assert_eq!(shown.cells[1].tags, ["parameters"]);
        assert_eq!(outputs[0], said("100%\n\u{1b}[31mred\u{1b}[0m"));
        let bold = Inline::Strong(vec![Inline::Text("1".to_owned())]);
        assert_eq!(outputs[1], Output::Document(vec![Block::Paragraph(vec![bold])]));
        assert_eq!(outputs[2], Output::Image(format!("data:image/png;base64,{PIXEL}")));
        assert_eq!(outputs[3], Output::Error("one\ntwo".to_owned()));
        assert_eq!(shown.cells[2].content, CellContent::Raw("as it is".to_owned()));
    }

    #[test]
    fn what_could_run_is_left_to_a_frame_or_named() {
        let shown = outputs(json!([
            { "output_type": "display_data", "data": { "text/html": "<script>alert(1)</script>", "text/plain": "a plot" } },
            { "output_type": "display_data", "data": { "application/javascript": "alert(1)" } },
            { "output_type": "display_data", "data": { "application/vnd.jupyter.widget-view+json": { "model_id": "1" } } },
        ]));
        let media = |media: &str| Output::LeftOut(media.to_owned());
        let frame = Output::Frame { cell: 0, output: 0, text: "a plot".to_owned() };
        let widget = media("application/vnd.jupyter.widget-view+json");
        assert_eq!(shown, [frame, media("application/javascript"), widget]);
    }

    #[test]
    fn a_picture_of_shapes_is_an_address_that_img_alone_draws() {
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><use href='//evil.example'/></svg>";
        let shown = outputs(json!([{ "output_type": "display_data", "data": { "image/svg+xml": svg } }]));
        let [Output::Image(address)] = shown.as_slice() else { panic!("{shown:?}") };
        assert!(address.starts_with("data:image/svg+xml;base64,") && !address.contains('<'));
    }

    #[test]
    fn nothing_of_hostile_markup_is_left_in_what_is_drawn() {
        for hostile in [
            "<img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<p style=\"position:fixed\" id=location name=alert class=btn>x</p>",
            "<b onmouseover=alert(1)>x</b>",
            "[x](javascript:alert(1))",
            "![x](data:text/html;base64,PHNjcmlwdD4=)",
            "<svg><use xlink:href=\"data:image/svg+xml;base64,PHN2Zz4=\"/></svg>",
            "<style>*{background:url(//evil.example)}</style>",
            "$\\href{javascript:alert(1)}{x}$",
            "<a href=' &#106;avascript:alert(1)'>x</a>",
            "<form action=//evil.example><input name=attributes></form>",
        ] {
            let file = json!({ "cells": [
                { "cell_type": "markdown", "source": hostile, "attachments": { "a": { "image/png": hostile } } },
                { "cell_type": "raw", "source": "" },
                { "cell_type": "code", "source": "", "outputs": [
                    { "output_type": "display_data", "data": { "text/html": hostile } },
                    { "output_type": "display_data", "data": { "text/markdown": hostile } },
                    { "output_type": "display_data", "data": { "text/latex": hostile } },
                    { "output_type": "display_data", "data": { "image/png": hostile, "image/svg+xml": hostile } },
                ] },
            ] });
            let told = format!("{:?}", notebook(&file).cells);
            for kind in ["Web(\"javascript", "Web(\" ", "data:text", "style=", "onerror", "Element { name: \"script"] {
                let is_text = told.contains(&format!("tex: \"{}", hostile.trim_matches('$').escape_debug()));
                assert!(!told.contains(kind) || is_text, "{kind} of {hostile}: {told}");
            }
        }
    }

    #[test]
    fn a_document_for_a_frame_is_found_by_its_place() {
        let file =
            json!({ "cells": [{}, { "outputs": [{}, { "data": { "text/html": ["<script>", "x</script>"] } }] }] });
        let bytes = file.to_string();
        assert!(document(bytes.as_bytes(), 1, 1).unwrap().contains("<script>x</script>"));
        for (cell, output) in [(0, 0), (1, 0), (1, 2), (9, 9)] {
            assert_eq!(document(bytes.as_bytes(), cell, output), None);
        }
    }

    #[test]
    fn formulas_and_attachments_of_prose_are_drawn() {
        let shown = notebook(&json!({ "cells": [{
            "cell_type": "markdown", "source": "Loss $x^2$ and ![it](attachment:a.png)\n\n$$\\frac{1}{2}$$",
            "attachments": { "a.png": { "image/png": PIXEL } },
        }] }));
        let told = format!("{:?}", shown.cells[0]);
        assert!(
            told.contains("\"msup\"") && told.contains("\"mfrac\"") && told.contains("Picture(\"data:image/png"),
            "{told}"
        );
    }

    #[test]
    fn a_picture_that_is_none_is_told_in_words() {
        for fake in ["\" onerror=alert(1)", "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "", "%%%"] {
            let shown = outputs(
                json!([{ "output_type": "display_data", "data": { "image/png": fake, "text/plain": "words" } }]),
            );
            assert_eq!(shown, [said("words")], "{fake}");
        }
    }

    #[test]
    fn wrong_types_everywhere_are_no_trouble() {
        for wrong in [
            json!({ "cells": [1, "a", null, [], {}, { "cell_type": 7, "source": { "a": 1 } }] }),
            json!({ "cells": [{ "cell_type": "code", "source": [1, null], "outputs": "none" }], "metadata": [] }),
            json!({ "cells": [{ "cell_type": "code", "outputs": [1, {}, { "output_type": "stream", "text": 5 },
                { "output_type": "display_data", "data": [] }, { "output_type": "display_data", "data": {} },
                { "output_type": "error", "traceback": "x" }] }] }),
            json!({ "cells": [{ "cell_type": "markdown", "source": null }], "metadata": { "language_info": 3 } }),
        ] {
            notebook(&wrong);
        }
        for other in ["[]", "{}", "{\"cells\": 1}", "{\"worksheets\": []}", "nonsense"] {
            let shown = preview("a.ipynb", other.as_bytes(), other.len() as u64);
            assert!(matches!(shown, Preview::Json(_) | Preview::Text(_)), "{shown:?}");
        }
        let deep = format!("{{\"cells\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let _ = preview("a.ipynb", deep.as_bytes(), deep.len() as u64);
    }

    #[test]
    fn long_notebooks_are_cut() {
        let cell = json!({ "cell_type": "code", "source": "x".repeat(100_000), "outputs": [] });
        let shown = notebook(&json!({ "cells": vec![cell; 70] }));
        let CellContent::Code { source, .. } = &shown.cells[0].content else { panic!("code") };
        assert!(source.len() < 66_000);
        let shown = notebook(&json!({ "cells": vec![json!({ "cell_type": "raw", "source": "" }); 1000] }));
        assert_eq!((shown.cells.len(), shown.total), (MOST_CELLS, 1000));
    }
}
