//! Comma-separated values.

use crate::{Cell, Column, Error, Result};
use chrono::{DateTime, SecondsFormat};

pub(crate) struct Writer {
    lines: csv::Writer<Vec<u8>>,
    columns: usize,
}

impl Writer {
    pub(crate) fn new(columns: &[Column]) -> Result<Self> {
        let mut lines = csv::Writer::from_writer(Vec::new());
        lines.write_record(columns.iter().map(|column| column.name.as_str()))?;
        Ok(Self { lines, columns: columns.len() })
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> Result<()> {
        if cells.len() != self.columns {
            return Err(Error::Ragged { wanted: self.columns, found: cells.len() });
        }
        for cell in cells {
            match cell {
                Cell::Missing => self.lines.write_field("")?,
                Cell::Text(text) => self.lines.write_field(text)?,
                // The fewest digits that read back as the same number, with an exponent when it is large or small.
                Cell::Number(number) => self.lines.write_field(format!("{number:?}"))?,
                Cell::Time(ms) => self.lines.write_field(time(*ms))?,
            }
        }
        self.lines.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(crate) fn take(&mut self) -> Result<Vec<u8>> {
        self.lines.flush().map_err(csv::Error::from)?;
        // The lines stand whole in what was flushed, and the next begin anew.
        let ready = std::mem::replace(&mut self.lines, csv::Writer::from_writer(Vec::new()));
        ready.into_inner().map_err(|error| csv::Error::from(error.into_error()).into())
    }
}

/// `2026-01-31T12:00:00.000Z`; the milliseconds themselves where no calendar reaches.
fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
