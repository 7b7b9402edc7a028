//! Notebooks: their cells, and of what came of them what cannot run: text, errors and pictures of pixels.

use crate::{json, markdown};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::preview::{Cell, Notebook, Output, Part, Preview, Reason};
use serde_json::{Map, Value};

/// The most cells.
const MOST_CELLS: usize = 300;
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
    let Ok(Value::Object(file)) = serde_json::from_slice(bytes) else { return json::read(bytes, part) };
    let Some(Value::Array(cells)) = file.get("cells") else { return json::read(bytes, part) };
    let language = |name: &str, field: &str| file.get("metadata")?.get(name)?.get(field)?.as_str().map(str::to_owned);
    let mut pictures = MOST_PICTURES;
    let shown = cells.iter().filter_map(Value::as_object).take(MOST_CELLS);
    Preview::Notebook(Notebook {
        language: language("language_info", "name").or_else(|| language("kernelspec", "language")),
        cells: shown.map(|one| cell(one, path, &mut pictures)).collect(),
        total: cells.len(),
    })
}

fn cell(cell: &Map<String, Value>, path: &str, pictures: &mut usize) -> Cell {
    let source = text(cell.get("source"));
    match cell.get("cell_type").and_then(Value::as_str) {
        Some("markdown") => Cell::Markdown(markdown::read(&source, path)),
        Some("code") => {
            let outputs = cell.get("outputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let outputs = outputs.iter().filter_map(Value::as_object).take(MOST_OUTPUTS);
            Cell::Code {
                count: cell.get("execution_count").and_then(Value::as_i64),
                source,
                outputs: outputs.filter_map(|one| output(one, pictures)).collect(),
            }
        }
        _ => Cell::Raw(source),
    }
}

fn output(output: &Map<String, Value>, pictures: &mut usize) -> Option<Output> {
    match output.get("output_type").and_then(Value::as_str)? {
        "stream" => Some(Output::Text(plain(&text(output.get("text"))))),
        "error" => {
            let trace = text_of_lines(output.get("traceback"));
            let word = |name| output.get(name).and_then(Value::as_str).unwrap_or_default();
            let told = if trace.is_empty() { format!("{}: {}", word("ename"), word("evalue")) } else { trace };
            Some(Output::Error(plain(&told)))
        }
        "display_data" | "execute_result" => data(output.get("data")?.as_object()?, pictures),
        _ => None,
    }
}

/// One of the forms of the same thing: a picture, else text, else what is left out.
fn data(forms: &Map<String, Value>, pictures: &mut usize) -> Option<Output> {
    for media in ["image/png", "image/jpeg"] {
        if let Some(form) = forms.get(media) {
            let Some(picture) = picture(media, &whole_text(form), pictures) else { continue };
            return Some(Output::Image(picture));
        }
    }
    if let Some(form) = forms.get("text/plain") {
        return Some(Output::Text(plain(&text(Some(form)))));
    }
    let (media, _) = forms.iter().next()?;
    Some(Output::LeftOut(media.chars().take(80).collect()))
}

/// The picture as an address that holds it, when it is one and there is room for it.
fn picture(media: &'static str, encoded: &str, room: &mut usize) -> Option<String> {
    let encoded: String = encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if encoded.len() > *room {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let begins: &[u8] = if media == "image/png" { b"\x89PNG\r\n\x1a\n" } else { b"\xff\xd8\xff" };
    if !bytes.starts_with(begins) {
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

fn whole_text(value: &Value) -> String {
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

/// Without the sequences that colour a terminal, and with what a carriage return wrote over gone.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            c if c.is_control() && !matches!(c, '\n' | '\t' | '\r') => {}
            c => kept.push(c),
        }
    }
    let lines = kept.trim_end_matches('\n').split('\n');
    let last = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    lines.map(last).collect::<Vec<_>>().join("\n")
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

    fn outputs(outputs: Value) -> Vec<Output> {
        let cells = json!([{ "cell_type": "code", "source": "x", "outputs": outputs }]);
        match notebook(&json!({ "cells": cells })).cells.remove(0) {
            Cell::Code { outputs, .. } => outputs,
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
                { "cell_type": "code", "execution_count": 7, "source": ["a = 1\n", "a"], "outputs": [
                    { "output_type": "stream", "name": "stdout", "text": ["10%\r100%\n", "\u{1b}[31mred\u{1b}[0m\n"] },
                    { "output_type": "execute_result", "data": { "text/html": "<b onclick=x>1</b>", "text/plain": "1" } },
                    { "output_type": "display_data", "data": { "image/png": format!("{PIXEL}\n"), "text/plain": "<Figure>" } },
                    { "output_type": "error", "ename": "E", "evalue": "v", "traceback": ["one", "two"] },
                ] },
                { "cell_type": "raw", "source": "as it is" },
            ],
        }));
        assert_eq!((shown.language.as_deref(), shown.total), (Some("python"), 3));
        let Cell::Code { count, source, outputs } = &shown.cells[1] else { panic!("code") };
        assert_eq!((*count, source.as_str()), (Some(7), "a = 1\na"));
        assert_eq!(outputs[0], Output::Text("100%\nred".to_owned()));
        assert_eq!(outputs[1], Output::Text("1".to_owned()));
        assert_eq!(outputs[2], Output::Image(format!("data:image/png;base64,{PIXEL}")));
        assert_eq!(outputs[3], Output::Error("one\ntwo".to_owned()));
        assert_eq!(shown.cells[2], Cell::Raw("as it is".to_owned()));
    }

    #[test]
    fn what_could_run_is_left_out_and_named() {
        let shown = outputs(json!([
            { "output_type": "display_data", "data": { "text/html": "<script>alert(1)</script>" } },
            { "output_type": "display_data", "data": { "application/javascript": "alert(1)" } },
            { "output_type": "display_data", "data": { "image/svg+xml": "<svg onload=alert(1)>" } },
        ]));
        assert_eq!(
            shown,
            ["text/html", "application/javascript", "image/svg+xml"].map(|m| Output::LeftOut(m.to_owned()))
        );
    }

    #[test]
    fn a_picture_that_is_none_is_told_in_words() {
        for fake in ["\" onerror=alert(1)", "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "", "%%%"] {
            let shown = outputs(
                json!([{ "output_type": "display_data", "data": { "image/png": fake, "text/plain": "words" } }]),
            );
            assert_eq!(shown, [Output::Text("words".to_owned())], "{fake}");
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
        let Cell::Code { source, .. } = &shown.cells[0] else { panic!("code") };
        assert!(source.len() < 66_000);
        let shown = notebook(&json!({ "cells": vec![json!({ "cell_type": "raw", "source": "" }); 1000] }));
        assert_eq!((shown.cells.len(), shown.total), (MOST_CELLS, 1000));
    }
}
