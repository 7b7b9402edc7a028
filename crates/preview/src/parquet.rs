//! Parquet: the first rows, and the types of the columns.
//!
//! A file is read from its end. [`footer`] looks at its last bytes and says which parts the first rows are in;
//! [`Plan::read`] takes these parts. Neither reads anything itself, and together they hold no more than [`MOST_BYTES`].
//! The pages of each part are looked over before they are unpacked: see `thrift`.

use crate::{
    table::{self, MOST_COLUMNS, MOST_IN_CELL, MOST_ROWS},
    thrift,
};
use bytes::{Buf as _, Bytes, buf::Reader};
use chrono::DateTime;
use domain::preview::{Column, Preview, Reason, Table};
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical},
    errors::{ParquetError, Result as ParquetResult},
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader},
        reader::{ChunkReader, FileReader as _, Length},
        serialized_reader::SerializedFileReader,
    },
    record::{Field, reader::RowIter},
    schema::types::{Type, TypePtr},
};
use std::{
    fmt::{self, Write as _},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How many bytes of a file's end are looked at first.
pub const TAIL: u64 = 64 << 10;
/// The most bytes of columns that are read.
pub const MOST_BYTES: u64 = 64 << 20;
/// The most bytes of a footer.
const MOST_FOOTER: u64 = 4 << 20;
/// The most row groups: as many as it takes to have some rows.
const MOST_GROUPS: usize = 16;
/// The most bytes of a page once it is unpacked. Writers make pages of one MiB.
const MOST_UNPACKED: i64 = 16 << 20;
/// The most values of a dictionary. Writers end a dictionary at one MiB.
const MOST_IN_DICTIONARY: i64 = 1 << 20;
/// The most values of all columns of lists together: a row may have any number of them.
const MOST_IN_LISTS: i64 = 1 << 20;
/// The most bytes that the open pages and dictionaries of all columns take once they are unpacked.
const MOST_OPEN: i64 = 256 << 20;
/// About how many bytes a value of a dictionary takes besides its own.
const DICTIONARY_VALUE: i64 = 40;
/// Bytes at the end of every file: the footer's length, and `PAR1`.
const END: u64 = 8;

/// What the end of a file says.
pub enum Footer {
    /// More of the end is needed: this many bytes.
    Longer(u64),
    /// Where the first rows are.
    Here(Box<Plan>),
}

/// How much a column takes.
#[derive(Default)]
struct Weight {
    /// How many values its lists have.
    in_lists: i64,
    /// How many bytes are in memory while it is read.
    open: i64,
}

/// Where the first rows of a file are.
pub struct Plan {
    metadata: ParquetMetaData,
    tail: Bytes,
    size: u64,
    /// How many row groups are read.
    groups: usize,
    /// The columns that are read: places among those of the schema.
    roots: Vec<usize>,
    ranges: Vec<Range<u64>>,
}

/// Reads the last bytes of a file of this size: [`TAIL`], or what an earlier answer asked for.
///
/// # Errors
/// The reason why it cannot be shown.
pub fn footer(tail: &Bytes, size: u64) -> Result<Footer, Reason> {
    match metadata(tail, size)? {
        Err(more) => Ok(Footer::Longer(more)),
        Ok(metadata) => plan(metadata, tail.clone(), size).map(|plan| Footer::Here(Box::new(plan))),
    }
}

/// What the file says of its columns; or how many bytes of its end that takes.
fn metadata(tail: &Bytes, size: u64) -> Result<Result<ParquetMetaData, u64>, Reason> {
    let have = tail.len() as u64;
    let [.., a, b, c, d, b'P', b'A', b'R', magic] = **tail else {
        return Err(damaged("it does not end as Parquet does"));
    };
    match magic {
        b'1' => {}
        b'E' => return Err(damaged("it is encrypted")),
        _ => return Err(damaged("it does not end as Parquet does")),
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length + END > size {
        return Err(damaged("its footer is longer than the file"));
    }
    if length > MOST_FOOTER {
        return Err(damaged("what it says of its columns is longer than 4 MiB"));
    }
    if length + END > have {
        return Ok(Err(length + END));
    }
    // It is below what is in memory.
    let from = usize::try_from(have - END - length).unwrap_or_default();
    let to = usize::try_from(have - END).unwrap_or_default();
    let bytes = &tail[from..to];
    thrift::check_footer(bytes).map_err(|_| damaged("its footer is broken"))?;
    caught(|| ParquetMetaDataReader::decode_metadata(bytes)).map(Ok)
}

/// Gives every row of a file that is in memory: first the names of those columns that are wanted, then for each row its
/// cells. What `push` refuses ends the reading.
///
/// # Errors
/// A sentence.
pub(crate) fn all<T>(
    file: &Bytes,
    wanted: impl Fn(&str) -> bool,
    begin: impl FnOnce(&[&str], u64) -> Result<T, String>,
    push: impl Fn(&mut T, &[Option<String>]) -> Result<(), String>,
) -> Result<T, String> {
    let told = |reason: Reason| match reason {
        Reason::Damaged(sentence) => sentence,
        _ => "The file is too large to be read.".to_owned(),
    };
    let size = file.len() as u64;
    let metadata = metadata(file, size).map_err(told)?.map_err(|_| told(damaged("it is cut off")))?;
    let count = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    let schema = metadata.file_metadata().schema_descr().root_schema();
    let names: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let roots: Vec<usize> = (0..names.len()).filter(|root| wanted(&names[*root])).collect();
    let named: Vec<&str> = roots.iter().map(|root| names[*root].as_str()).collect();
    let mut into = begin(&named, count)?;
    let groups = metadata.row_groups().len();
    let plan = Plan { metadata, tail: file.clone(), size, groups, roots, ranges: Vec::new() };
    let parts = || Parts { size, tail: file.clone(), parts: Vec::new() };
    let mut open = 0;
    for root in &plan.roots {
        match plan.look_over(&parts(), *root).map_err(told)? {
            Some(weight) if weight.in_lists == 0 && weight.open <= MOST_OPEN - open => open += weight.open,
            _ => return Err(format!("Column \"{}\" is written in a way that is not read here.", names[*root])),
        }
    }
    if plan.roots.is_empty() {
        return Ok(into);
    }
    let mut refused = None;
    caught(|| {
        plan.each_row(parts(), usize::MAX, |row| match push(&mut into, &row) {
            Ok(()) => true,
            Err(sentence) => {
                refused = Some(sentence);
                false
            }
        })
    })
    .map_err(told)?;
    refused.map_or(Ok(into), Err)
}

fn damaged(why: &str) -> Reason {
    Reason::Damaged(format!("The file cannot be read as Parquet: {why}."))
}

/// What the reader gives; its refusals, and its panics over files that nobody thought of, are one answer.
fn caught<T>(read: impl FnOnce() -> ParquetResult<T>) -> Result<T, Reason> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) | Err(_) => Err(damaged("it is damaged, or written in a way that is not known here")),
    }
}

/// The bytes of a column in a row group.
fn range(column: &ColumnChunkMetaData, size: u64) -> Option<Range<u64>> {
    let data = column.data_page_offset();
    let start = column.dictionary_page_offset().filter(|at| *at > 0 && *at < data).unwrap_or(data);
    let start = u64::try_from(start).ok()?;
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    (end <= size).then_some(start..end)
}

/// The leaves of a column of the schema: their places among all leaves.
fn leaves(metadata: &ParquetMetaData, root: usize) -> impl Iterator<Item = usize> {
    let schema = metadata.file_metadata().schema_descr();
    (0..schema.num_columns()).filter(move |leaf| schema.get_column_root_idx(*leaf) == root)
}

fn plan(metadata: ParquetMetaData, tail: Bytes, size: u64) -> Result<Plan, Reason> {
    let mut groups = 0;
    let mut rows = 0;
    for group in metadata.row_groups().iter().take(MOST_GROUPS) {
        if rows >= MOST_ROWS {
            break;
        }
        rows = rows.saturating_add(usize::try_from(group.num_rows()).unwrap_or_default());
        groups += 1;
    }
    let names = metadata.file_metadata().schema_descr().root_schema().get_fields().len();
    let mut roots = Vec::new();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut bytes = 0_u64;
    for root in (0..names).take(MOST_COLUMNS) {
        let mut its = Vec::new();
        for group in &metadata.row_groups()[..groups] {
            for leaf in leaves(&metadata, root) {
                let column = group.columns().get(leaf).ok_or_else(|| damaged("a column is missing"))?;
                its.push(range(column, size).ok_or_else(|| damaged("a column lies outside the file"))?);
            }
        }
        let more: u64 = its.iter().map(|range| range.end - range.start).sum();
        if bytes.saturating_add(more) <= MOST_BYTES {
            bytes += more;
            roots.push(root);
            ranges.extend(its);
        }
    }
    if roots.is_empty() && groups > 0 && names > 0 {
        return Err(Reason::TooLarge(MOST_BYTES));
    }
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    // Parts that touch are one. Those that overlap are no file that anybody wrote, and stay two.
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    Ok(Plan { metadata, tail, size, groups, roots, ranges: joined })
}

impl Plan {
    /// The parts of the file to read, at most [`MOST_BYTES`] in all.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The first rows, from the parts in the order of [`Plan::ranges`].
    #[must_use]
    pub fn read(mut self, parts: Vec<Bytes>) -> Preview {
        let parts = self.ranges.iter().map(|range| range.start).zip(parts);
        let file = Parts { size: self.size, tail: self.tail.clone(), parts: parts.collect() };
        let before = self.roots.len();
        let mut all = Weight::default();
        let roots = std::mem::take(&mut self.roots);
        for root in roots {
            match self.look_over(&file, root) {
                Ok(Some(Weight { in_lists, open }))
                    if in_lists <= MOST_IN_LISTS - all.in_lists && open <= MOST_OPEN - all.open =>
                {
                    all.in_lists += in_lists;
                    all.open += open;
                    self.roots.push(root);
                }
                Ok(_) => {}
                Err(reason) => return Preview::Nothing(reason),
            }
        }
        let left_out = before - self.roots.len();
        match caught(|| self.rows(file)) {
            Ok(rows) => Preview::Table(self.table(rows, left_out)),
            Err(reason) => Preview::Nothing(reason),
        }
    }

    /// Looks the pages of a column over, and says how much it takes. None when one of them is written in a way that is not
    /// shown.
    fn look_over(&self, file: &Parts, root: usize) -> Result<Option<Weight>, Reason> {
        let mut weight = Weight::default();
        for group in &self.metadata.row_groups()[..self.groups] {
            // One row group is read after the other.
            let mut open = 0;
            for leaf in leaves(&self.metadata, root) {
                let column = group.column(leaf);
                let range = range(column, self.size).ok_or_else(|| damaged("a column lies outside the file"))?;
                let chunk = file.bytes(range.start, usize::try_from(range.end - range.start).unwrap_or(usize::MAX));
                let chunk = chunk.map_err(|_| damaged("it ends too soon"))?;
                let is_list = column.column_descr().max_rep_level() > 0;
                let (mut page, mut dictionary) = (0, 0);
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let header = thrift::page_header(rest).map_err(|_| damaged("a page is broken"))?;
                    let packed = usize::try_from(header.packed).map_err(|_| damaged("a page is broken"))?;
                    let next = header.length.saturating_add(packed);
                    let is_dictionary = header.kind == 2;
                    let many = is_dictionary && header.values > MOST_IN_DICTIONARY.min(header.unpacked);
                    if next > rest.len() || header.values < 0 || header.unpacked < 0 || many {
                        return Err(damaged("a page is broken"));
                    }
                    if header.unpacked > MOST_UNPACKED {
                        return Err(damaged("a page has more than 16 MiB"));
                    }
                    // Plain, by dictionary, in runs, by differences of whole numbers, split by bytes. Others make room for
                    // as many values as they say they have.
                    if !matches!(header.encoding, 0 | 2 | 3 | 5 | 8 | 9) {
                        return Ok(None);
                    }
                    if is_dictionary {
                        dictionary = header.unpacked + header.values * DICTIONARY_VALUE;
                    } else {
                        page = header.unpacked.max(page);
                        if is_list {
                            weight.in_lists = weight.in_lists.saturating_add(header.values);
                        }
                    }
                    rest = &rest[next..];
                }
                open += page + dictionary;
            }
            weight.open = weight.open.max(open);
        }
        Ok(Some(weight))
    }

    /// The column of the schema at this place.
    fn field(&self, root: usize) -> &TypePtr {
        &self.metadata.file_metadata().schema_descr().root_schema().get_fields()[root]
    }

    fn rows(&self, file: Parts) -> ParquetResult<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        if !self.roots.is_empty() {
            self.each_row(file, MOST_ROWS, |row| {
                rows.push(row);
                true
            })?;
        }
        Ok(rows)
    }

    /// Gives the first so many rows, until one is not wanted.
    fn each_row(
        &self,
        file: Parts,
        most: usize,
        mut row: impl FnMut(Vec<Option<String>>) -> bool,
    ) -> ParquetResult<()> {
        let mut left = most;
        let fields: Vec<TypePtr> = self.roots.iter().map(|root| self.field(*root).clone()).collect();
        let name = self.metadata.file_metadata().schema_descr().root_schema().name().to_owned();
        let reader = SerializedFileReader::new(file)?;
        for group in 0..self.groups {
            let projection = Type::group_type_builder(&name).with_fields(fields.clone()).build()?;
            let group = reader.get_row_group(group)?;
            for read in RowIter::from_row_group(Some(projection), &*group)?.take(left) {
                left -= 1;
                if !row(read?.get_column_iter().zip(&fields).map(|((_, value), field)| cell(value, field)).collect()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn table(&self, rows: Vec<Vec<Option<String>>>, left_out: usize) -> Table {
        let schema = self.metadata.file_metadata().schema_descr().root_schema();
        let columns = self.roots.iter().map(|root| column(self.field(*root))).collect();
        let mut notes = Vec::new();
        if left_out > 0 {
            let names = if left_out == 1 { "One column is".to_owned() } else { format!("{left_out} columns are") };
            notes.push(format!("{names} left out: too large to show, or written in a way that is not shown."));
        }
        Table {
            columns,
            rows,
            total_columns: schema.get_fields().len(),
            total_rows: u64::try_from(self.metadata.file_metadata().num_rows()).ok(),
            notes,
        }
    }
}

fn column(field: &Type) -> Column {
    let is_number = field.is_primitive()
        && matches!(field.get_physical_type(), Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE)
        && !matches!(
            field.get_basic_info().converted_type(),
            ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS
        )
        && timestamp(field).is_none();
    let name = table::cell(field.name().as_bytes());
    Column { name, dtype: Some(dtype(field)), is_number }
}

/// The type of a column in a word.
fn dtype(field: &Type) -> String {
    let info = field.get_basic_info();
    let word = match info.converted_type() {
        ConvertedType::UTF8 => "string",
        ConvertedType::ENUM => "enum",
        ConvertedType::JSON => "json",
        ConvertedType::DATE => "date",
        ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => "time",
        ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS => "timestamp",
        ConvertedType::LIST => "list",
        ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => "map",
        ConvertedType::DECIMAL => "decimal",
        ConvertedType::INT_8 => "int8",
        ConvertedType::INT_16 => "int16",
        ConvertedType::UINT_8 => "uint8",
        ConvertedType::UINT_16 => "uint16",
        ConvertedType::UINT_32 => "uint32",
        ConvertedType::UINT_64 => "uint64",
        _ if timestamp(field).is_some() => "timestamp",
        _ if !field.is_primitive() => "struct",
        _ => match field.get_physical_type() {
            Physical::BOOLEAN => "bool",
            Physical::INT32 => "int32",
            Physical::INT64 => "int64",
            Physical::INT96 => "timestamp",
            Physical::FLOAT => "float",
            Physical::DOUBLE => "double",
            Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => "bytes",
        },
    };
    word.to_owned()
}

/// How many parts of a second the whole numbers of a column of timestamps count.
fn timestamp(field: &Type) -> Option<i64> {
    let logical = field.get_basic_info().logical_type_ref()?;
    [(TimeUnit::MILLIS, 1_000), (TimeUnit::MICROS, 1_000_000), (TimeUnit::NANOS, 1_000_000_000)]
        .into_iter()
        .find(|(unit, _)| [true, false].into_iter().any(|utc| *logical == LogicalType::timestamp(utc, *unit)))
        .map(|(_, parts)| parts)
}

/// A value as a cell shows it.
fn cell(value: &Field, field: &Type) -> Option<String> {
    let moment = |value: i64, parts: i64| {
        let nanos = value.rem_euclid(parts) * (1_000_000_000 / parts);
        let at = DateTime::from_timestamp(value.div_euclid(parts), u32::try_from(nanos).unwrap_or_default());
        at.map_or_else(|| value.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S%.f").to_string())
    };
    Some(match value {
        Field::Null => return None,
        Field::Str(text) => table::cell(text.as_bytes()),
        Field::Bytes(bytes) => {
            let mut text = Short::default();
            for byte in bytes.data().iter().take(MOST_IN_CELL) {
                let _ = write!(text, "{byte:02x}");
            }
            text.text
        }
        Field::Long(value) if timestamp(field).is_some() => moment(*value, timestamp(field).unwrap_or(1)),
        Field::TimestampMillis(value) => moment(*value, 1_000),
        Field::TimestampMicros(value) => moment(*value, 1_000_000),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        other => {
            let mut text = Short::default();
            // What is too long stops the writing.
            let _ = write!(text, "{other}");
            table::cell(text.text.as_bytes())
        }
    })
}

/// Text that takes no more than a cell shows.
#[derive(Default)]
struct Short {
    text: String,
}

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() > MOST_IN_CELL * 4 {
            return Err(fmt::Error);
        }
        self.text.extend(more.chars().take(MOST_IN_CELL * 4));
        Ok(())
    }
}

/// The parts of a file that are in memory, as the reader asks for them.
struct Parts {
    size: u64,
    tail: Bytes,
    parts: Vec<(u64, Bytes)>,
}

impl Parts {
    /// All that is here from this place on.
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let tail = (self.size - self.tail.len() as u64, &self.tail);
        for (begin, bytes) in self.parts.iter().map(|(begin, bytes)| (*begin, bytes)).chain([tail]) {
            if let Some(offset) = start.checked_sub(begin).and_then(|offset| usize::try_from(offset).ok())
                && offset < bytes.len()
            {
                return Ok(bytes.slice(offset..));
            }
        }
        Err(ParquetError::EOF("a part that was not read".to_owned()))
    }

    fn bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.from(start)?;
        if bytes.len() < length {
            Err(ParquetError::EOF("too few bytes".to_owned()))
        } else {
            Ok(bytes.slice(..length))
        }
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Parts {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.bytes(start, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::{
        basic::{Compression, Encoding, ZstdLevel},
        data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use std::sync::Arc;

    const SCHEMA: &str = "message schema {
        optional binary name (UTF8);
        required double score;
        required int64 at (TIMESTAMP(NANOS, true));
        optional group tags (LIST) { repeated group list { required int32 element; } }
    }";

    /// Two row groups of so many rows.
    fn file(rows: usize, properties: WriterProperties) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut out = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut out, schema, Arc::new(properties)).unwrap();
        for _ in 0..2 {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let names: Vec<ByteArray> =
                (0..rows).filter(|row| row % 3 != 0).map(|row| format!("n{row}").as_str().into()).collect();
            let levels: Vec<i16> = (0..rows).map(|row| i16::from(row % 3 != 0)).collect();
            column.typed::<ByteArrayType>().write_batch(&names, Some(&levels), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let scores: Vec<f64> = (0..rows).map(|row| f64::from(u32::try_from(row).unwrap()) / 4.0).collect();
            column.typed::<DoubleType>().write_batch(&scores, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&vec![1_500_000_000_250_000_000; rows], None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            // Two elements a row.
            let repeated: Vec<i16> = (0..rows * 2).map(|at| i16::from(at % 2 == 1)).collect();
            column
                .typed::<Int32Type>()
                .write_batch(&vec![7; rows * 2], Some(&vec![2; rows * 2]), Some(&repeated))
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
        out
    }

    fn with(compression: Compression) -> WriterProperties {
        WriterProperties::builder().set_compression(compression).build()
    }

    /// What is shown of the file, and how many bytes were read for it.
    fn show(file: &[u8]) -> (Preview, usize) {
        let mut tail = TAIL;
        loop {
            let from = file.len() - usize::try_from(tail).unwrap().min(file.len());
            match footer(&Bytes::copy_from_slice(&file[from..]), file.len() as u64) {
                Err(reason) => return (Preview::Nothing(reason), 0),
                Ok(Footer::Longer(more)) => {
                    assert!(more > tail);
                    tail = more;
                }
                Ok(Footer::Here(plan)) => {
                    let part = |range: &Range<u64>| {
                        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                        Bytes::copy_from_slice(&file[from..to])
                    };
                    let parts: Vec<Bytes> = plan.ranges().iter().map(part).collect();
                    let read = parts.iter().map(Bytes::len).sum();
                    return (plan.read(parts), read);
                }
            }
        }
    }

    fn table(file: &[u8]) -> Table {
        match show(file).0 {
            Preview::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_rows_are_shown_with_the_types_of_the_columns() {
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
            let shown = table(&file(150, with(compression)));
            let types: Vec<_> =
                shown.columns.iter().map(|c| (&*c.name, c.dtype.as_deref().unwrap(), c.is_number)).collect();
            assert_eq!(
                types,
                [
                    ("name", "string", false),
                    ("score", "double", true),
                    ("at", "timestamp", false),
                    ("tags", "list", false)
                ]
            );
            assert_eq!((shown.rows.len(), shown.total_rows), (200, Some(300)));
            let row: Vec<_> = shown.rows[1].iter().map(|cell| cell.as_deref().unwrap()).collect();
            assert_eq!(row, ["n1", "0.25", "2017-07-14 02:40:00.250", "[7, 7]"]);
            assert_eq!(shown.rows[0][0], None);
            assert_eq!(shown.rows[151][0].as_deref(), Some("n1"), "the second row group");
        }
    }

    #[test]
    fn only_the_row_groups_that_are_shown_are_read() {
        let file = file(30_000, with(Compression::UNCOMPRESSED));
        let (shown, read) = show(&file);
        assert!(matches!(shown, Preview::Table(_)));
        assert!(read * 2 < file.len() + 10_000, "{read} of {}", file.len());
    }

    #[test]
    fn a_file_that_is_cut_or_none_is_damaged() {
        let whole = file(50, with(Compression::SNAPPY));
        for cut in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
            assert!(matches!(show(&whole[..cut]).0, Preview::Nothing(Reason::Damaged(_))), "{cut}");
        }
        assert!(matches!(show(&[b'x'; 500]).0, Preview::Nothing(Reason::Damaged(_))));
        let mut encrypted = whole.clone();
        *encrypted.last_mut().unwrap() = b'E';
        assert!(matches!(show(&encrypted).0, Preview::Nothing(Reason::Damaged(text)) if text.contains("encrypted")));
    }

    #[test]
    fn no_change_of_any_byte_is_worse_than_damage() {
        let whole = file(20, with(Compression::SNAPPY));
        for at in 0..whole.len() {
            for value in [0x00, 0xff, whole[at] ^ 0x10] {
                let mut changed = whole.clone();
                changed[at] = value;
                // That it comes back at all is what is asked.
                show(&changed);
            }
        }
    }

    #[test]
    fn lists_without_end_are_left_out_and_told() {
        let shown = table(&file(600_000, with(Compression::SNAPPY)));
        assert_eq!(shown.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["name", "score", "at"]);
        assert_eq!(shown.notes.len(), 1);
        assert_eq!(shown.rows.len(), 200);
    }

    #[test]
    fn columns_in_other_encodings_are_left_out() {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("name".into(), Encoding::DELTA_BYTE_ARRAY)
            .build();
        let shown = table(&file(10, properties));
        assert!(!shown.columns.iter().any(|column| column.name == "name"), "{:?}", shown.columns);
    }

    #[test]
    fn a_file_without_rows_shows_its_columns() {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut out = Vec::new();
        SerializedFileWriter::new(&mut out, schema, Arc::default()).unwrap().close().unwrap();
        let shown = table(&out);
        assert_eq!((shown.columns.len(), shown.rows.len(), shown.total_rows), (4, 0, Some(0)));
    }
}
