//! Evaluation rows: every row of a file, of which only the columns that somebody asks for are kept. A JSON file is read as it
//! comes, so that what is not asked for takes no memory.

use crate::{parquet, table};
use bytes::Bytes;
use csv::{ReaderBuilder, StringRecord};
use domain::promotion::gate::rows::{MAX_ROWS, Rows, Source};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{cell::RefCell, collections::BTreeSet, fmt};

/// Reads the rows of `evaluation.csv`, `evaluation.parquet`, or of a JSON file: a list of records, or `columns` and `data` as
/// MLflow writes tables. `slices` are columns that are kept besides those that metrics are computed from.
///
/// # Errors
/// What is wrong with the file, in a sentence.
pub fn evaluation(source: Source, bytes: &Bytes, slices: &BTreeSet<String>) -> Result<Rows, String> {
    let path = source.path.clone();
    match path.rsplit('.').next() {
        Some("parquet") => {
            let wanted = Rows::wanted(slices);
            let rows = parquet::all(
                bytes,
                |name| wanted.contains(name),
                |names, count| match count > MAX_ROWS as u64 {
                    true => Err(format!("{path} has {count} rows, more than {MAX_ROWS}; log a sample of them.")),
                    false => Rows::new(source, names.iter().copied(), slices),
                },
                |rows, cells| rows.push(cells.iter().map(Option::as_deref)),
            );
            rows.map_err(|why| if why.contains(&path) { why } else { format!("{path} cannot be read. {why}") })
        }
        Some("json") => of_json(source, bytes, slices),
        _ => of_csv(source, bytes, slices),
    }
}

fn of_csv(source: Source, bytes: &[u8], slices: &BTreeSet<String>) -> Result<Rows, String> {
    let path = source.path.clone();
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader =
        ReaderBuilder::new().delimiter(table::separator(bytes)).flexible(true).has_headers(false).from_reader(bytes);
    let mut record = StringRecord::new();
    let mut next = |record: &mut StringRecord| {
        reader.read_record(record).map_err(|error| match error.position() {
            Some(position) => format!("{path} is no table of text: line {}.", position.line()),
            None => format!("{path} is no table of text."),
        })
    };
    if !next(&mut record)? {
        return Err(format!("{} is empty.", source.path));
    }
    let mut rows = Rows::new(source, record.iter().map(str::trim), slices)?;
    while next(&mut record)? {
        rows.push(record.iter().map(Some))?;
    }
    Ok(rows)
}

fn of_json(source: Source, bytes: &[u8], slices: &BTreeSet<String>) -> Result<Rows, String> {
    let path = source.path.clone();
    let wanted: Vec<String> = Rows::wanted(slices).into_iter().collect();
    let rows = Rows::new(source.clone(), wanted.iter().map(String::as_str), slices)?;
    let table = RefCell::new(Table { source, slices, wanted, seen: BTreeSet::new(), rows, refused: None });
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Whole(&table).deserialize(&mut reader).and_then(|()| reader.end());
    let mut table = table.into_inner();
    if let Some(sentence) = table.refused {
        return Err(sentence);
    }
    read.map_err(|error| {
        format!("{path} is no list of records, nor columns and data: line {}, column {}.", error.line(), error.column())
    })?;
    table.rows.keep_only(&table.seen);
    Ok(table.rows)
}

/// A table that is being read.
struct Table<'a> {
    source: Source,
    slices: &'a BTreeSet<String>,
    wanted: Vec<String>,
    /// Those of the wanted columns that a record had.
    seen: BTreeSet<String>,
    rows: Rows,
    /// Why it is not read on.
    refused: Option<String>,
}

impl Table<'_> {
    fn push<'c, E: serde::de::Error>(&mut self, cells: impl IntoIterator<Item = Option<&'c str>>) -> Result<(), E> {
        self.rows.push(cells).map_err(|sentence| self.refuse(sentence))
    }

    fn refuse<E: serde::de::Error>(&mut self, sentence: String) -> E {
        self.refused = Some(sentence);
        E::custom("refused")
    }
}

/// The whole file.
struct Whole<'a, 'b>(&'a RefCell<Table<'b>>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records, or columns and data")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while records.next_element_seed(Record(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut columns = false;
        let mut data = false;
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "columns" if !columns && !data => {
                    let names: Vec<String> = fields.next_value()?;
                    let mut table = self.0.borrow_mut();
                    let rows = Rows::new(table.source.clone(), names.iter().map(String::as_str), table.slices);
                    table.rows = rows.map_err(|sentence| table.refuse(sentence))?;
                    table.seen = table.wanted.iter().filter(|name| names.contains(name)).cloned().collect();
                    columns = true;
                }
                "data" if columns && !data => {
                    fields.next_value_seed(Lines(self.0))?;
                    data = true;
                }
                "data" => {
                    let sentence = format!("In {} the columns are named before the data.", self.0.borrow().source.path);
                    return Err(self.0.borrow_mut().refuse(sentence));
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        match data {
            true => Ok(()),
            false => Err(A::Error::custom("neither records nor columns and data")),
        }
    }
}

/// A record: cells by name.
struct Record<'a, 'b>(&'a RefCell<Table<'b>>);

impl<'de> DeserializeSeed<'de> for Record<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut table = self.0.borrow_mut();
        let mut cells: Vec<Option<String>> = vec![None; table.wanted.len()];
        while let Some(name) = fields.next_key::<String>()? {
            match table.wanted.binary_search(&name) {
                Ok(at) => {
                    cells[at] = fields.next_value_seed(Cell)?;
                    table.seen.insert(name);
                }
                Err(_) => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        table.push(cells.iter().map(Option::as_deref))
    }
}

/// Lists of cells.
struct Lines<'a, 'b>(&'a RefCell<Table<'b>>);

impl<'de> DeserializeSeed<'de> for Lines<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Lines<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<(), A::Error> {
        while let Some(cells) = lines.next_element_seed(Line)? {
            self.0.borrow_mut().push(cells.iter().map(Option::as_deref))?;
        }
        Ok(())
    }
}

/// The cells of a row.
struct Line;

impl<'de> DeserializeSeed<'de> for Line {
    type Value = Vec<Option<String>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Line {
    type Value = Vec<Option<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut line: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = line.next_element_seed(Cell)? {
            cells.push(cell);
        }
        Ok(cells)
    }
}

/// A cell as text; none for null, and for what is no single value.
struct Cell;

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::{
        basic::Compression,
        data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use domain::{Digest, promotion::gate::rows::Measure};
    use std::sync::Arc;

    fn read(path: &str, bytes: impl Into<Bytes>) -> Result<Rows, String> {
        let source = Source { path: path.to_owned(), digest: Digest::blake3([1; 32]) };
        evaluation(source, &bytes.into(), &BTreeSet::from(["region".to_owned()]))
    }

    fn accuracy(rows: &Rows) -> Result<f64, String> {
        rows.sample(Measure::Accuracy)?.value()
    }

    #[test]
    fn every_form_of_the_same_rows_is_the_same() {
        for (path, text) in [
            ("evaluation.csv", "row_id,target,prediction,region,x\na,1,1,north,9\nb,0,1,,9\n"),
            ("eval/evaluation.csv", "\u{feff}target;prediction;region\r\n1;1.0;north\r\n0;1;\r\n"),
            (
                "evaluation.json",
                r#"[{"y_true": 1, "y_pred": 1.0, "region": "north", "x": {"a": [1]}}, {"y_true": 0, "y_pred": 1}]"#,
            ),
            (
                "evaluation.json",
                r#"[{"label": true, "prediction": true, "region": "north"}, {"label": false, "prediction": true, "region": null}]"#,
            ),
            (
                "eval_results_table.json",
                r#"{"columns": ["x", "label", "prediction", "region"], "data": [[[1], 1, 1, "north"], [2, 0, 1, null]]}"#,
            ),
        ] {
            let rows = read(path, text).unwrap_or_else(|why| panic!("{path}: {why}"));
            assert_eq!(accuracy(&rows), Ok(0.5), "{text}");
            let slices = rows.slices("region").unwrap();
            let named: Vec<_> = slices.iter().map(|(name, rows)| (name.as_deref(), rows.len())).collect();
            assert_eq!(named, [(Some("north"), 1), (None, 1)], "{text}");
        }
    }

    #[test]
    fn parquet_is_read_to_its_last_row() {
        let schema =
            "message schema { optional int64 target; required double prediction; optional binary region (UTF8);
            required group tags (LIST) { repeated group list { required int32 element; } } }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut out = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut out, schema, Arc::new(properties)).unwrap();
        for _ in 0..2 {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&vec![1; 500], Some(&vec![1; 500]), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let predictions: Vec<f64> = (0..500).map(|row| f64::from(u8::from(row % 4 == 0))).collect();
            column.typed::<DoubleType>().write_batch(&predictions, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let regions: Vec<ByteArray> = (0..250).map(|_| "north".into()).collect();
            let levels: Vec<i16> = (0..500).map(|row| row % 2).collect();
            column.typed::<ByteArrayType>().write_batch(&regions, Some(&levels), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<::parquet::data_type::Int32Type>()
                .write_batch(&vec![7; 500], Some(&vec![1; 500]), Some(&vec![0; 500]))
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
        let rows = read("evaluation.parquet", out.clone()).unwrap();
        assert_eq!((rows.len(), accuracy(&rows)), (1_000, Ok(0.25)));
        assert_eq!(rows.slices("region").unwrap()[0].1.len(), 500);
        for cut in [0, 4, 100, out.len() - 1] {
            let why = read("evaluation.parquet", out[..cut].to_vec()).unwrap_err();
            assert!(why.starts_with("evaluation.parquet cannot be read. "), "{why}");
        }
    }

    #[test]
    fn a_file_that_is_none_says_so() {
        for (path, text, words) in [
            ("evaluation.csv", "", "is empty"),
            ("evaluation.csv", "target,prediction\n1\n", "Row 1 of evaluation.csv has fewer cells"),
            ("evaluation.csv", "target,prediction\n1,2,3\n", "Row 1 of evaluation.csv has more cells"),
            ("evaluation.csv", "target,target\n1,2\n", "two columns"),
            ("evaluation.json", "", "is no list of records"),
            ("evaluation.json", "7", "is no list of records"),
            ("evaluation.json", "[7]", "is no list of records"),
            ("evaluation.json", r#"[{"target": NaN}]"#, "line 1, column"),
            ("evaluation.json", r#"{"target": [1], "prediction": [1]}"#, "is no list of records"),
            ("evaluation.json", r#"{"data": [[1]], "columns": ["target"]}"#, "named before the data"),
            ("evaluation.json", r#"{"columns": ["target"], "data": [[1, 2]]}"#, "more cells"),
            ("evaluation.json", r#"{"columns": ["target", "target"], "data": [[1, 2]]}"#, "two columns"),
            ("evaluation.parquet", "PAR1", "cannot be read"),
        ] {
            let why = read(path, text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
        let none = read("evaluation.json", "[]").unwrap();
        assert!(none.is_empty() && accuracy(&none).is_err());
        let other = read("evaluation.json", r#"[{"a": 1}]"#).unwrap();
        assert!(accuracy(&other).unwrap_err().contains("no column"));
    }

    #[test]
    fn more_rows_than_are_read_are_refused_and_not_cut() {
        let many = format!("target,prediction\n{}", "1,1\n".repeat(MAX_ROWS + 1));
        assert!(read("evaluation.csv", many).unwrap_err().contains("more than 200,000 rows"));
        let many = format!("[{}{{}}]", "{},".repeat(MAX_ROWS));
        assert!(read("evaluation.json", many).unwrap_err().contains("more than 200,000 rows"));
    }
}
