//! A table as a file, written a piece at a time: rows go in, and what is ready of the file comes out, so that no table
//! has to fit into memory.
//!
//! Both formats hold the same: texts as they are, numbers exactly, times to the millisecond, and what is missing told
//! apart from what is not a number.
//! - CSV: a head, then a line a row, with a comma between and quotes where they are needed. A number has the fewest digits
//!   that read back as the same, not-a-number is `NaN`, a time is `2026-01-31T12:00:00.000Z`. What is missing is empty, and
//!   so is an empty text. Values are written as they are, also those that a spreadsheet would take for a formula: the file
//!   is data, and a value that was changed would be another value.
//! - Parquet: optional columns of doubles, 64-bit timestamps of milliseconds in UTC, and UTF-8 texts, in row groups of a
//!   bounded size.

mod csv;
mod parquet;

#[cfg(test)]
mod tests;

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Milliseconds since 1970.
    Time,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// There is none.
    Missing,
    /// A text.
    Text(String),
    /// A number, or not-a-number.
    Number(f64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row has not as many values as there are columns.
    #[error("a row of {found} values in a table of {wanted} columns")]
    Ragged {
        /// How many columns there are.
        wanted: usize,
        /// How many values the row has.
        found: usize,
    },
    /// CSV could not be written.
    #[error("CSV could not be written: {0}")]
    Csv(#[from] ::csv::Error),
    /// Parquet could not be written.
    #[error("Parquet could not be written: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

/// The result of writing.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that is being written.
pub struct Writer(Form);

enum Form {
    Csv(Box<csv::Writer>),
    Parquet(Box<parquet::Writer>),
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// When the columns cannot be those of a file.
    pub fn new(format: Format, columns: Vec<Column>) -> Result<Self> {
        Ok(Self(match format {
            Format::Csv => Form::Csv(Box::new(csv::Writer::new(&columns)?)),
            Format::Parquet => Form::Parquet(Box::new(parquet::Writer::new(columns)?)),
        }))
    }

    /// Adds a row: a value for each column. One of another kind than its column is as good as missing.
    ///
    /// # Errors
    /// [`Error::Ragged`], or when the row cannot be written.
    pub fn row(&mut self, cells: Vec<Cell>) -> Result<()> {
        match &mut self.0 {
            Form::Csv(writer) => writer.row(&cells),
            Form::Parquet(writer) => writer.row(cells),
        }
    }

    /// What is ready of the file since it was asked last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        match &mut self.0 {
            Form::Csv(writer) => writer.take(),
            Form::Parquet(writer) => Ok(writer.take()),
        }
    }

    /// The rest of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.0 {
            Form::Csv(mut writer) => writer.take(),
            Form::Parquet(writer) => writer.finish(),
        }
    }
}
