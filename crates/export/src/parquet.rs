//! Apache Parquet. Rows are gathered until they are a row group; then it is written, and forgotten.

use crate::{Cell, Column, Error, Kind, Result};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use std::sync::Arc;

/// How many values a row group has, about.
const GROUP_VALUES: usize = 500_000;
/// The most rows of a group, and the least that are worth one.
const GROUP_ROWS: (usize, usize) = (500, 10_000);

pub(crate) struct Writer {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    group_rows: usize,
}

impl Writer {
    pub(crate) fn new(columns: Vec<Column>) -> Result<Self> {
        let fields: Vec<Arc<Type>> =
            columns.iter().map(|column| Ok(Arc::new(field(column)?))).collect::<Result<_>>()?;
        let schema = Type::group_type_builder("table").with_fields(fields).build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        let group_rows = (GROUP_VALUES / columns.len().max(1)).clamp(GROUP_ROWS.0, GROUP_ROWS.1);
        Ok(Self { file, columns, rows: Vec::new(), group_rows })
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) -> Result<()> {
        if cells.len() != self.columns.len() {
            return Err(Error::Ragged { wanted: self.columns.len(), found: cells.len() });
        }
        self.rows.push(cells);
        if self.rows.len() >= self.group_rows { self.group() } else { Ok(()) }
    }

    /// What was written since. The writer counts by itself how far into the file it is.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.file.inner_mut())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.group()?;
        Ok(self.file.into_inner()?)
    }

    fn group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            let cells = rows.iter().filter_map(|row| row.get(at));
            match self.columns.get(at).map(|column| column.kind) {
                Some(Kind::Number) => {
                    let (values, levels) = present(cells, |cell| match cell {
                        Cell::Number(number) => Some(*number),
                        _ => None,
                    });
                    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
                }
                Some(Kind::Time) => {
                    let (values, levels) = present(cells, |cell| match cell {
                        Cell::Time(ms) => Some(*ms),
                        _ => None,
                    });
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                Some(Kind::Text) | None => {
                    let (values, levels) = present(cells, |cell| match cell {
                        Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                        _ => None,
                    });
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
            }
            column.close()?;
            at += 1;
        }
        group.close()?;
        Ok(())
    }
}

/// The values that are there, and of each row whether it has one.
fn present<'a, T>(cells: impl Iterator<Item = &'a Cell>, read: impl Fn(&Cell) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        let value = read(cell);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Number => (Physical::DOUBLE, None),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
    };
    Ok(Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?)
}
