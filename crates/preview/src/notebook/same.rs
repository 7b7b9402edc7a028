//! Whether two executed notebooks came to the same, for a proof: a [`diff`](super::diff()) is read by people and leaves
//! out what is long.

use super::{diff::without_addresses, file, whole_text};
use serde_json::{Map, Value};

/// Whether two notebooks of format 4 have the same cells, and the same came of them. In which turn cells ran, when and how
/// long, their ids, what is said of the notebook as a whole, whether a stream came in one piece or in many, and the
/// addresses of objects in memory do not count. All else does. None when one of them is no such thing.
#[must_use]
pub fn is_same(before: &[u8], after: &[u8]) -> Option<bool> {
    Some(came_of(before)? == came_of(after)?)
}

/// The cells, without what does not count.
fn came_of(bytes: &[u8]) -> Option<Vec<Value>> {
    let Value::Array(mut cells) = file(bytes)?.remove("cells")? else { return None };
    for cell in cells.iter_mut().filter_map(Value::as_object_mut) {
        // A cell for the params is put in anew each time.
        cell.remove("id");
        cell.remove("execution_count");
        if let Some(metadata) = cell.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("execution");
        }
        if let Some(outputs) = cell.get_mut("outputs").and_then(Value::as_array_mut) {
            *outputs = std::mem::take(outputs).into_iter().map(output).fold(Vec::new(), joined);
        }
    }
    Some(cells)
}

fn output(mut output: Value) -> Value {
    let Some(fields) = output.as_object_mut() else { return output };
    fields.remove("execution_count");
    settle(fields, |name| name == "text" || name == "traceback");
    if let Some(data) = fields.get_mut("data").and_then(Value::as_object_mut) {
        // What is no text, as the letters that a picture is written in, may only look like an address.
        settle(data, |media| media.starts_with("text/"));
    }
    output
}

/// Makes one text of each of these fields, without addresses.
fn settle(fields: &mut Map<String, Value>, is_text: impl Fn(&str) -> bool) {
    for (_, value) in fields.iter_mut().filter(|(name, _)| is_text(name)) {
        *value = without_addresses(&whole_text(value)).into();
    }
}

/// With the next output: more of the stream before is a part of that.
fn joined(mut outputs: Vec<Value>, next: Value) -> Vec<Value> {
    let is_stream = |output: &Value| output["output_type"] == "stream";
    match outputs.last_mut() {
        Some(last) if is_stream(last) && is_stream(&next) && last["name"] == next["name"] => {
            last["text"] = (whole_text(&last["text"]) + &whole_text(&next["text"])).into();
        }
        _ => outputs.push(next),
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::is_same;
    use serde_json::{Value, json};

    fn ran(turn: u32, outputs: &Value) -> Value {
        json!({
            "cell_type": "code", "id": format!("c{turn}"), "source": "show(rows)", "execution_count": turn,
            "metadata": { "tags": ["report"], "execution": { "iopub.status.busy": format!("2026-11-01T00:00:0{turn}Z") } },
            "outputs": outputs,
        })
    }

    fn file(cells: &[Value]) -> Vec<u8> {
        json!({ "cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5 }).to_string().into_bytes()
    }

    fn same(before: &Value, after: &Value) -> bool {
        is_same(&file(&[ran(1, before)]), &file(&[ran(2, after)])).unwrap()
    }

    fn stream(text: &str) -> Value {
        json!({ "output_type": "stream", "name": "stdout", "text": text })
    }

    fn shown(media: &str, form: &str) -> Value {
        json!({ "output_type": "execute_result", "execution_count": form.len(), "metadata": {}, "data": { media: form } })
    }

    #[test]
    fn when_and_how_cells_ran_does_not_count() {
        assert!(same(&json!([]), &json!([])));
        assert!(same(&json!([stream("a\nb\n")]), &json!([stream("a\n"), stream("b\n")])));
        assert!(same(
            &json!([shown("text/plain", "<A at 0x7f3a11112222>")]),
            &json!([shown("text/plain", "<A at 0x7f99aaaabbbb>")])
        ));
        let trace = |lines: Value| json!([{ "output_type": "error", "ename": "E", "evalue": "", "traceback": lines }]);
        assert!(same(&trace(json!(["at 0x7f3a11112222"])), &trace(json!(["at 0x7f99aaaabbbb"]))));
    }

    #[test]
    fn every_byte_of_what_came_of_it_counts() {
        let long = "x".repeat(1 << 20);
        assert!(!same(&json!([stream(&format!("{long}1"))]), &json!([stream(&format!("{long}2"))])));
        assert!(!same(&json!([stream("a")]), &json!([])));
        assert!(!same(&json!([shown("text/plain", "0.97")]), &json!([shown("text/plain", "0.98")])));
        assert!(!same(&json!([shown("image/png", "0x7f3a11112222")]), &json!([shown("image/png", "0x7f99aaaabbbb")])));
        assert!(!same(&json!([shown("text/html", "a")]), &json!([shown("text/plain", "a")])));
        let mut other = ran(1, &json!([]));
        other["source"] = json!("show(columns)");
        let before = file(&[ran(1, &json!([]))]);
        assert_eq!(is_same(&before, &file(&[other])), Some(false));
        assert_eq!(is_same(&before, &file(&[ran(1, &json!([])), ran(1, &json!([]))])), Some(false));
    }

    #[test]
    fn what_is_no_notebook_is_not_compared_and_wrong_types_are_no_trouble() {
        let good = file(&[ran(1, &json!([]))]);
        for bad in ["", "[]", "{}", "{\"cells\": 1}"] {
            assert_eq!(is_same(bad.as_bytes(), &good), None, "{bad}");
        }
        let odd = json!({ "cells": [1, null, { "outputs": [1, { "output_type": "stream" }, { "output_type": "stream", "text": 7 }], "metadata": 3 }] });
        assert_eq!(is_same(odd.to_string().as_bytes(), odd.to_string().as_bytes()), Some(true));
    }
}
