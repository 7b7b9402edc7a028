//! Golden rows as people read them: a table of the first rows, inputs beside recorded answers. Replaying them is
//! [`super::golden`]'s; here nothing is asked of a model, so that a page can show them without loading one.

use super::golden::Golden;
use crate::error::Error;
use serde_json::{Map, Value};

/// The most bytes of a file that is shown.
pub const MAX_SHOWN_BYTES: u64 = 1 << 20;
/// The most rows and columns that are shown.
const MOST_ROWS: usize = 20;
const MOST_COLUMNS: usize = 64;
/// The most characters of a cell.
const MOST_CHARACTERS: usize = 60;

/// The first golden rows of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoldenRows {
    /// The file that holds them.
    pub file: String,
    /// Names of the input columns, as far as they are shown.
    pub inputs: Vec<String>,
    /// Names of the recorded outputs; none when no answers were recorded.
    pub outputs: Vec<String>,
    /// The rows, each with a cell for every input and then every output.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are in all.
    pub total: usize,
}

/// Named columns, in order.
type Columns = Vec<(String, Vec<Value>)>;

impl GoldenRows {
    /// Reads one of [`super::golden::FILES`]. `features` name the columns of rows that do not name them.
    ///
    /// # Errors
    /// As [`Golden::parse`]: what cannot be replayed is not shown either.
    pub fn read(file: &'static str, bytes: &[u8], features: &[String]) -> Result<Self, Error> {
        Golden::parse(file, bytes)?;
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let mut object = match value {
            Value::Object(object) => object,
            rows => Map::from_iter([("inputs".to_owned(), rows)]),
        };
        let outputs = answers(object.remove("outputs").unwrap_or_default());
        let inputs = inputs(object, features);
        let rows = inputs.first().map_or(0, |(_, cells)| cells.len());
        let names = |columns: &Columns| columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let all: Vec<&Vec<Value>> = inputs.iter().chain(&outputs).map(|(_, cells)| cells).collect();
        Ok(Self {
            file: file.to_owned(),
            inputs: names(&inputs),
            outputs: names(&outputs),
            rows: (0..rows.min(MOST_ROWS))
                .map(|row| all.iter().map(|cells| cells.get(row).map_or_else(String::new, cell)).collect())
                .collect(),
            total: rows,
        })
    }
}

/// The inputs, whichever form they have.
fn inputs(mut object: Map<String, Value>, features: &[String]) -> Columns {
    if let Some(Value::Object(split)) = object.remove("dataframe_split") {
        return split_frame(split, features);
    }
    if object.contains_key("data") {
        return split_frame(object, features);
    }
    if let Some(Value::Array(records)) = object.remove("dataframe_records") {
        return records_frame(&records);
    }
    match object.remove("inputs").or_else(|| object.remove("instances")) {
        Some(Value::Array(tensors)) if tensors.first().is_some_and(|first| first.get("datatype").is_some()) => {
            tensors.iter().flat_map(|one| tensor(one, if tensors.len() == 1 { features } else { &[] })).collect()
        }
        Some(Value::Array(records)) if records.first().is_some_and(Value::is_object) => records_frame(&records),
        Some(Value::Array(rows)) => by_row("x", rows, features),
        Some(Value::Object(named)) => named_columns(named),
        Some(single) => vec![("x".to_owned(), vec![single])],
        None => named_columns(object),
    }
}

fn split_frame(mut split: Map<String, Value>, features: &[String]) -> Columns {
    let names: Vec<String> = match split.remove("columns") {
        Some(Value::Array(names)) => names.iter().map(cell).collect(),
        _ => features.to_vec(),
    };
    match split.remove("data") {
        Some(Value::Array(rows)) => by_row("x", rows, &names),
        _ => Columns::new(),
    }
}

/// Objects, one a row.
fn records_frame(records: &[Value]) -> Columns {
    let mut columns = Columns::new();
    for (row, record) in records.iter().enumerate() {
        for (name, value) in record.as_object().into_iter().flatten() {
            let at = columns.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                columns.push((name.clone(), Vec::new()));
                columns.len() - 1
            });
            let cells = &mut columns[at].1;
            cells.resize(row, Value::Null);
            cells.push(value.clone());
        }
        if columns.len() > MOST_COLUMNS {
            columns.truncate(MOST_COLUMNS);
        }
    }
    columns
}

fn named_columns(named: Map<String, Value>) -> Columns {
    let column = |(name, value)| match value {
        Value::Array(cells) => (name, cells),
        single => (name, vec![single]),
    };
    named.into_iter().take(MOST_COLUMNS).map(column).collect()
}

/// Rows of equal width become a column for each place; other rows one column. `name` is for what has none.
fn by_row(name: &str, rows: Vec<Value>, names: &[String]) -> Columns {
    let width = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
    let is_flat =
        |row: &Value| row.as_array().is_some_and(|row| row.len() == width && row.iter().all(|value| !value.is_array()));
    if width == 0 || !rows.iter().all(is_flat) {
        let name = if names.len() == 1 { names[0].clone() } else { name.to_owned() };
        return vec![(name, rows)];
    }
    let named = |at: usize| match names.get(at) {
        Some(name) if names.len() == width => name.clone(),
        _ if width == 1 => name.to_owned(),
        _ => format!("{name}[{at}]"),
    };
    (0..width.min(MOST_COLUMNS)).map(|at| (named(at), rows.iter().map(|row| row[at].clone()).collect())).collect()
}

/// A tensor of the Open Inference Protocol: its data, flat or nested, cut into rows by its shape.
fn tensor(tensor: &Value, names: &[String]) -> Columns {
    let name = tensor.get("name").map_or_else(|| "x".to_owned(), cell);
    let mut flat = Vec::new();
    flatten(tensor.get("data").unwrap_or(&Value::Null), &mut flat);
    let rows = tensor.get("shape").and_then(|shape| shape.get(0)).and_then(Value::as_u64);
    let rows = rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(flat.len());
    let Some(width) = flat.len().checked_div(rows).filter(|width| *width > 0) else { return Columns::new() };
    let rows = flat.chunks_exact(width).map(|row| Value::from(row.to_vec())).collect();
    by_row(&name, rows, names)
}

/// The recorded answers.
fn answers(outputs: Value) -> Columns {
    match outputs {
        Value::Array(tensors) if tensors.first().is_some_and(Value::is_object) => {
            tensors.iter().flat_map(|one| tensor(one, &[])).collect()
        }
        Value::Array(rows) => by_row("output", rows, &[]),
        Value::Object(named) => named
            .into_iter()
            .flat_map(|(name, values)| match values {
                Value::Array(rows) => by_row(&name, rows, &[]),
                single => vec![(name, vec![single])],
            })
            .collect(),
        _ => Columns::new(),
    }
}

fn flatten(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        Value::Null => {}
        single => into.push(single.clone()),
    }
}

/// A value as it stands in a cell.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &'static str, text: &str) -> GoldenRows {
        GoldenRows::read(file, text.as_bytes(), &["a".to_owned(), "b".to_owned()]).unwrap()
    }

    #[test]
    fn each_form_of_golden_rows_is_the_same_table() {
        for (file, text) in [
            (
                "golden.json",
                r#"{"inputs": [{"name": "X", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}], "outputs": [3, 7]}"#,
            ),
            ("golden.json", r#"{"inputs": {"a": [1, 3], "b": [2, 4]}, "outputs": {"output": [3, 7]}}"#),
            ("golden.json", r#"{"inputs": [[1, 2], [3, 4]], "outputs": [{"name": "output", "data": [3, 7]}]}"#),
            ("golden.json", r#"{"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}], "outputs": [[3], [7]]}"#),
            (
                "golden.json",
                r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, "outputs": {"output": [[3], [7]]}}"#,
            ),
        ] {
            let rows = read(file, text);
            assert_eq!(
                (rows.inputs, rows.outputs),
                (vec!["a".to_owned(), "b".to_owned()], vec!["output".to_owned()]),
                "{text}"
            );
            assert_eq!(rows.rows, [["1", "2", "3"], ["3", "4", "7"]], "{text}");
            assert_eq!(rows.total, 2);
        }
    }

    #[test]
    fn an_example_without_answers_has_no_outputs() {
        let rows = read("input_example.json", r#"{"columns": ["b", "a"], "data": [[2, "x"]]}"#);
        assert_eq!((rows.inputs, rows.outputs), (vec!["b".to_owned(), "a".to_owned()], Vec::<String>::new()));
        assert_eq!(read("input_example.json", "[[1, 2, 3]]").inputs, ["x[0]", "x[1]", "x[2]"]);
    }

    #[test]
    fn what_is_shown_has_bounds() {
        let rows: Vec<Vec<u32>> = (0..200).map(|row| (row..row + 100).collect()).collect();
        let table = read("input_example.json", &serde_json::json!(rows).to_string());
        assert_eq!((table.rows.len(), table.inputs.len(), table.total), (MOST_ROWS, MOST_COLUMNS, 200));
        let long = read("golden.json", &serde_json::json!({ "inputs": { "t": ["ä".repeat(500)] } }).to_string());
        assert_eq!(long.rows[0][0].chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn what_cannot_be_replayed_is_not_shown() {
        assert!(GoldenRows::read("golden.json", b"{", &[]).is_err());
        assert!(GoldenRows::read("golden.json", br#"{"inputs": [[1]], "outputs": "x"}"#, &[]).is_err());
    }
}
