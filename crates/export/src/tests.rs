//! Files are read back as they were written.

use crate::{Cell, Column, Format, Kind, Writer};
use ::parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};

fn columns() -> Vec<Column> {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    vec![column("name", Kind::Text), column("metrics.a", Kind::Number), column("start", Kind::Time)]
}

fn rows() -> Vec<Vec<Cell>> {
    let text = |text: &str| Cell::Text(text.to_owned());
    vec![
        vec![text("a, \"b\"\nc"), Cell::Number(0.1 + 0.2), Cell::Time(1_700_000_000_123)],
        vec![text("=1+1"), Cell::Number(f64::NAN), Cell::Missing],
        vec![text("é"), Cell::Missing, Cell::Time(i64::MAX)],
        vec![Cell::Missing, Cell::Number(-5e-324), Cell::Time(0)],
    ]
}

fn written(format: Format, rows: Vec<Vec<Cell>>, take_every: usize) -> Vec<u8> {
    let mut writer = Writer::new(format, columns()).unwrap();
    let mut file = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        writer.row(row).unwrap();
        if at % take_every == 0 {
            file.extend(writer.take().unwrap());
        }
    }
    file.extend(writer.finish().unwrap());
    file
}

#[test]
fn lines_hold_numbers_exactly_and_tell_nothing_from_no_number() {
    for take_every in [1, 3, 100] {
        let file = String::from_utf8(written(Format::Csv, rows(), take_every)).unwrap();
        assert_eq!(
            file,
            "name,metrics.a,start\n\
             \"a, \"\"b\"\"\nc\",0.30000000000000004,2023-11-14T22:13:20.123Z\n\
             =1+1,NaN,\n\
             é,,9223372036854775807\n\
             ,-5e-324,1970-01-01T00:00:00.000Z\n"
        );
    }
    assert_eq!(String::from_utf8(written(Format::Csv, Vec::new(), 1)).unwrap(), "name,metrics.a,start\n");
}

#[test]
fn a_parquet_file_holds_what_was_written() {
    let many: Vec<Vec<Cell>> = rows().into_iter().cycle().take(25_001).collect();
    let file = written(Format::Parquet, many.clone(), 1000);
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    // In groups that are not too large.
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(), [10_000, 10_000, 5_001]);
    let mut read = 0;
    for (row, wanted) in reader.get_row_iter(None).unwrap().zip(&many) {
        let row = row.unwrap();
        for ((name, field), (cell, column)) in row.get_column_iter().zip(wanted.iter().zip(columns())) {
            assert_eq!(*name, column.name);
            let same = match (field, cell) {
                (Field::Null, Cell::Missing) => true,
                (Field::Str(text), Cell::Text(wanted)) => text == wanted,
                (Field::Double(number), Cell::Number(wanted)) => number.to_bits() == wanted.to_bits(),
                (Field::TimestampMillis(ms), Cell::Time(wanted)) => ms == wanted,
                _ => false,
            };
            assert!(same, "{name} is {field}, and {cell:?} was written");
        }
        read += 1;
    }
    assert_eq!(read, many.len());
}

#[test]
fn a_row_of_another_length_is_refused() {
    for format in [Format::Csv, Format::Parquet] {
        assert!(Writer::new(format, columns()).unwrap().row(vec![Cell::Missing]).is_err());
    }
}
