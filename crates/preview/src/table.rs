//! Tables of text: fields separated by a comma, a tab or what else stands in the first line, quoted or not.

use crate::text;
use csv::{ByteRecord, ReaderBuilder};
use domain::preview::{Column, Part, Preview, Reason, Table};

/// The most rows.
pub(crate) const MOST_ROWS: usize = 200;
/// The most columns.
pub(crate) const MOST_COLUMNS: usize = 50;
/// The most characters of a cell.
pub(crate) const MOST_IN_CELL: usize = 200;

/// The first rows of the table.
pub(crate) fn read(bytes: &[u8], part: Part, delimiter: u8) -> Preview {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let delimiter = if delimiter == b',' { separator(bytes) } else { delimiter };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(bytes);
    let mut record = ByteRecord::new();
    let mut head = Vec::new();
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    let (mut width, mut count, mut ragged, mut last_is_ragged) = (0, 0_u64, 0_u64, false);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Preview::Nothing(Reason::Damaged(format!("It is no table: {error}."))),
        }
        if width == 0 {
            width = record.len();
            head = record.iter().take(MOST_COLUMNS).map(cell).collect();
            continue;
        }
        count += 1;
        last_is_ragged = record.len() != width;
        ragged += u64::from(last_is_ragged);
        if rows.len() < MOST_ROWS {
            let mut row: Vec<Option<String>> =
                record.iter().take(head.len()).map(|field| Some(cell(field)).filter(|cell| !cell.is_empty())).collect();
            row.resize(head.len(), None);
            rows.push(row);
        }
    }
    if width == 0 {
        return Preview::Text(text::read(bytes, part));
    }
    // The last record of what is here may go on in what is not.
    if !part.is_whole() && count > 0 {
        if rows.len() as u64 == count {
            rows.pop();
        }
        ragged -= u64::from(last_is_ragged);
    }
    let columns = head
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let mut cells = rows.iter().filter_map(|row| row[at].as_deref()).peekable();
            let is_number = cells.peek().is_some() && cells.all(|cell| cell.trim().parse::<f64>().is_ok());
            Column { name, dtype: None, is_number }
        })
        .collect();
    let notes = match ragged {
        0 => Vec::new(),
        1 => vec![format!("One row has another number of fields than the {width} of the head.")],
        _ => vec![format!("{ragged} rows have another number of fields than the {width} of the head.")],
    };
    let total_rows = part.is_whole().then_some(count);
    Preview::Table(Table { columns, rows, total_columns: width, total_rows, notes })
}

/// What separates the fields of the first line: a comma, or a semicolon or tab where there are more of them.
pub(crate) fn separator(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    // The last of the greatest is taken.
    [b'\t', b';', b','].into_iter().max_by_key(|wanted| count(*wanted)).unwrap_or(b',')
}

/// A field as a cell shows it: on one line.
pub(crate) fn cell(field: &[u8]) -> String {
    let most = field.len().min(MOST_IN_CELL * 4 + 4);
    let (text, _) = text::short(&String::from_utf8_lossy(&field[..most]), MOST_IN_CELL);
    text.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read as preview;

    fn table(name: &str, text: &str) -> Table {
        match preview(name, text.as_bytes(), text.len() as u64) {
            Preview::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    fn cells(row: &[Option<String>]) -> Vec<&str> {
        row.iter().map(|cell| cell.as_deref().unwrap_or("∅")).collect()
    }

    #[test]
    fn quotes_hold_separators_lines_and_quotes() {
        let shown = table("a.csv", "name,n\n\"a, \"\"b\"\"\nc\",1.5\n,\n");
        assert_eq!(
            shown.columns.iter().map(|column| (&*column.name, column.is_number)).collect::<Vec<_>>(),
            [("name", false), ("n", true)]
        );
        assert_eq!(cells(&shown.rows[0]), ["a, \"b\" c", "1.5"]);
        assert_eq!(cells(&shown.rows[1]), ["∅", "∅"]);
        assert_eq!(shown.total_rows, Some(2));
    }

    #[test]
    fn rows_of_other_lengths_are_shown_and_told() {
        let shown = table("a.csv", "a,b\n1\n1,2,3\n1,2\n");
        assert_eq!(shown.rows.iter().map(|row| cells(row)).collect::<Vec<_>>(), [["1", "∅"], ["1", "2"], ["1", "2"]]);
        assert_eq!(shown.notes, ["2 rows have another number of fields than the 2 of the head."]);
    }

    #[test]
    fn the_first_line_says_what_separates() {
        assert_eq!(table("a.csv", "a;b,c;d\n1;2;3\n").total_columns, 3);
        assert_eq!(table("a.csv", "a\tb\n").total_columns, 2);
        assert_eq!(table("a.tsv", "a,b\tc\n").total_columns, 2);
    }

    #[test]
    fn a_large_table_is_cut_in_each_direction() {
        let head = (0..300).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
        let row = format!("{},{}\n", "x".repeat(5000), vec!["1"; 299].join(","));
        let shown = table("a.csv", &format!("{head}\n{}", row.repeat(120)));
        assert_eq!((shown.columns.len(), shown.total_columns, shown.rows.len()), (50, 300, 120));
        assert_eq!(shown.rows[0][0].as_deref().map(|cell| cell.chars().count()), Some(201));
        let long = table("a.csv", &format!("a\n{}", "1\n".repeat(3000)));
        assert_eq!((long.rows.len(), long.total_rows), (200, Some(3000)));
    }

    #[test]
    fn a_row_that_is_cut_is_left_out() {
        let Preview::Table(shown) = preview("a.csv", b"a,b\n1,2\n3,", 100) else { panic!("a table") };
        assert_eq!((shown.rows.len(), shown.total_rows), (1, None));
    }

    #[test]
    fn an_open_quote_and_strange_bytes_are_no_trouble() {
        let open = table("a.csv", "a,b\n\"never closed,1\n2,3\n");
        assert_eq!(open.rows.len(), 1);
        let Preview::Table(strange) = preview("a.csv", b"name,n\nabc\xff,1\n", 13) else { panic!("a table") };
        assert_eq!(strange.rows[0][0].as_deref(), Some("abc\u{fffd}"));
    }
}
