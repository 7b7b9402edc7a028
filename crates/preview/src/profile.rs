//! What a whole table holds, and whether it is what is expected: one pass over its rows, whatever its length.
//!
//! Of CSV, an empty cell is a missing value, and the sort of a column is the narrowest that every other cell fits. Parquet says
//! both itself.

mod check;
mod gather;

#[cfg(test)]
mod tests;

use check::Checker;
use domain::{
    expectation::{CheckResult, Expectation},
    table_profile::{SHOWN_ROWS, TableProfile},
};
use gather::Gathered;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use std::{fs::File, io::BufReader};

/// The most columns of a table that is profiled.
const MAX_COLUMNS: usize = 1000;
/// The most bytes that a column of a group of rows may take when it is unpacked.
const MAX_UNPACKED: i64 = 512 << 20;
/// The most cells that are read.
const MAX_CELLS: u64 = 500_000_000;
/// The most characters of a value that is kept.
const MAX_VALUE: usize = 200;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    Missing,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    /// A text that is nothing but a text.
    Text(&'a str),
    /// A text that may stand for something else.
    Written(&'a str),
}

impl<'a> Value<'a> {
    /// A cell of a table of text.
    fn written(cell: &'a str) -> Self {
        if cell.is_empty() { Self::Missing } else { Self::Written(cell) }
    }
}

/// The separator of a table of text; none for other tables.
fn separator(path: &str) -> Option<u8> {
    match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

/// Whether a file is a table that can be profiled, by its name.
#[must_use]
pub fn is_table(path: &str) -> bool {
    separator(path).is_some() || path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("parquet"))
}

/// Whether this is a regular expression that can be expected; otherwise, why not.
///
/// # Errors
/// The sentence.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    check::pattern(pattern).map(drop)
}

/// Reads a table to its end. One that cannot be read is told of in `trouble`, and nothing that rests on what was not read is
/// said to hold.
#[must_use]
pub fn profile(path: &str, file: File, expectations: &[Expectation]) -> (TableProfile, Vec<CheckResult>) {
    let mut table = Table::new(path, expectations);
    let read = match separator(path) {
        Some(separator) => table.read_text(file, separator),
        None => table.read_parquet(file),
    };
    table.end(read.err())
}

struct Table<'a> {
    path: &'a str,
    rows: u64,
    columns: Vec<Gathered>,
    sample: Vec<Vec<Option<String>>>,
    /// Every so many rows' values are kept.
    stride: u64,
    checkers: Vec<Checker<'a>>,
}

impl<'a> Table<'a> {
    fn new(path: &'a str, expectations: &'a [Expectation]) -> Self {
        let about = expectations.iter().filter(|expectation| expectation.is_about(path));
        let checkers = about.map(Checker::new).collect();
        Self { path, rows: 0, columns: Vec::new(), sample: Vec::new(), stride: 1, checkers }
    }

    fn begin(&mut self, names: Vec<String>) -> Result<(), String> {
        if names.len() > MAX_COLUMNS {
            return Err(format!("It has {} columns; tables of up to {MAX_COLUMNS} are profiled.", names.len()));
        }
        self.checkers.iter_mut().for_each(|checker| checker.begin(&names));
        self.columns = names.into_iter().map(Gathered::new).collect();
        Ok(())
    }

    fn row(&mut self, values: &[Value<'_>]) -> Result<(), String> {
        let is_kept = self.rows.is_multiple_of(self.stride);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value, is_kept);
        }
        for checker in &mut self.checkers {
            checker.row(self.rows, values);
        }
        if self.sample.len() < SHOWN_ROWS {
            self.sample.push(values.iter().map(|value| gather::text(value).map(|text| shortened(&text))).collect());
        }
        self.rows += 1;
        if is_kept && self.columns.first().is_some_and(Gathered::is_full) {
            self.columns.iter_mut().for_each(Gathered::thin);
            self.stride *= 2;
        }
        if self.rows.saturating_mul(values.len() as u64) > MAX_CELLS {
            return Err(format!("It is very large; its first {} rows were read.", self.rows));
        }
        Ok(())
    }

    fn read_text(&mut self, file: File, separator: u8) -> Result<(), String> {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(separator).from_reader(BufReader::with_capacity(1 << 20, file));
        let wrong = |error: csv::Error| format!("It cannot be read as a table of text: {error}.");
        let names = reader.headers().map_err(wrong)?.iter().map(shortened).collect();
        self.begin(names)?;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(wrong)? {
            let values: Vec<Value<'_>> = record.iter().map(Value::written).collect();
            self.row(&values)?;
        }
        Ok(())
    }

    fn read_parquet(&mut self, file: File) -> Result<(), String> {
        let wrong = |error: parquet::errors::ParquetError| format!("It cannot be read as Parquet: {error}.");
        let reader = SerializedFileReader::new(file).map_err(wrong)?;
        let metadata = reader.metadata();
        let groups = metadata.row_groups().iter().flat_map(|group| group.columns());
        if groups.map(|column| column.uncompressed_size()).any(|size| size > MAX_UNPACKED) {
            return Err("A group of its rows is too large to be unpacked here.".to_owned());
        }
        let schema = metadata.file_metadata().schema();
        let names = schema.get_fields().iter().map(|field| shortened(field.name())).collect();
        self.begin(names)?;
        for row in reader.get_row_iter(None).map_err(wrong)? {
            let row = row.map_err(wrong)?;
            let fields: Vec<Owned> = row.get_column_iter().map(|(_, field)| Owned::of(field)).collect();
            let values: Vec<Value<'_>> = fields.iter().map(Owned::value).collect();
            self.row(&values)?;
        }
        Ok(())
    }

    fn end(self, trouble: Option<String>) -> (TableProfile, Vec<CheckResult>) {
        let is_whole = trouble.is_none();
        let profile = TableProfile {
            path: self.path.to_owned(),
            rows: i64::try_from(self.rows).unwrap_or(i64::MAX),
            columns: self.columns.into_iter().map(Gathered::end).collect(),
            sample: self.sample,
            trouble: trouble.unwrap_or_default(),
        };
        let checks = self.checkers.into_iter().map(|checker| checker.end(&profile, is_whole)).collect();
        (profile, checks)
    }
}

/// A field of Parquet.
enum Owned {
    Missing,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

impl Owned {
    fn of(field: &Field) -> Self {
        match field {
            Field::Null => Self::Missing,
            Field::Bool(value) => Self::Boolean(*value),
            Field::Byte(value) => Self::Integer(i64::from(*value)),
            Field::Short(value) => Self::Integer(i64::from(*value)),
            Field::Int(value) => Self::Integer(i64::from(*value)),
            Field::Long(value) => Self::Integer(*value),
            Field::UByte(value) => Self::Integer(i64::from(*value)),
            Field::UShort(value) => Self::Integer(i64::from(*value)),
            Field::UInt(value) => Self::Integer(i64::from(*value)),
            Field::ULong(value) => i64::try_from(*value).map_or(Self::Number(*value as f64), Self::Integer),
            Field::Float(value) if value.is_nan() => Self::Missing,
            Field::Double(value) if value.is_nan() => Self::Missing,
            Field::Float(value) => Self::Number(f64::from(*value)),
            Field::Double(value) => Self::Number(*value),
            Field::Str(text) => Self::Text(text.clone()),
            Field::Bytes(bytes) => Self::Text(String::from_utf8_lossy(bytes.data()).into_owned()),
            other => Self::Text(other.to_string()),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Missing => Value::Missing,
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Number(value) => Value::Number(*value),
            Self::Text(text) => Value::Text(text),
        }
    }
}

fn shortened(text: &str) -> String {
    // What cannot be stored is not kept either.
    text.chars().filter(|c| *c != '\0').take(MAX_VALUE).collect()
}
