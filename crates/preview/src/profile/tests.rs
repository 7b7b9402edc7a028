//! Tables that tests write.

use super::*;
use domain::{
    drift::feature_drift,
    expectation::Outcome,
    table_profile::{ColumnKind, SAMPLED},
};
use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::json;
use std::{
    io::{Seek as _, Write as _},
    sync::Arc,
};

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn expectations(of: serde_json::Value) -> Vec<Expectation> {
    serde_json::from_value(of).unwrap()
}

fn read(path: &str, bytes: &[u8]) -> TableProfile {
    profile(path, file(bytes), &[]).0
}

/// What each expectation of a CSV comes to, and what was found.
fn held(text: &str, of: serde_json::Value) -> Vec<(Outcome, String)> {
    let expected = expectations(of);
    profile("t.csv", file(text.as_bytes()), &expected).1.into_iter().map(|check| (check.outcome, check.found)).collect()
}

#[test]
fn a_column_is_of_the_narrowest_sort_that_fits_every_value() {
    let table = read("t.csv", b"a,b,c,d,e\n1,1.5,True,x,\n-2,2,false,2,\n,1e3,TRUE,,\n");
    let kinds: Vec<_> = table.columns.iter().map(|column| (column.kind, column.missing)).collect();
    let expected = [ColumnKind::Integer, ColumnKind::Number, ColumnKind::Boolean, ColumnKind::Text, ColumnKind::Text];
    assert_eq!(kinds, expected.into_iter().zip([1, 0, 0, 1, 3]).collect::<Vec<_>>());
    assert_eq!((table.rows, table.sample[2][0].clone(), table.trouble.as_str()), (3, None, ""));
    assert_eq!(
        table.sample[0],
        ["1", "1.5", "True", "x"].map(|text| Some(text.to_owned())).into_iter().chain([None]).collect::<Vec<_>>()
    );
}

#[test]
fn statistics_are_those_of_all_rows() {
    let mut text = "n,word\n".to_owned();
    for n in 1..=10_000 {
        text += &format!("{n},{}\n", if n % 4 == 0 { "four" } else { "other" });
    }
    let table = read("t.csv", text.as_bytes());
    let (n, word) = (&table.columns[0], &table.columns[1]);
    assert_eq!((n.min.as_deref(), n.max.as_deref(), n.mean), (Some("1"), Some("10000"), Some(5000.5)));
    // Python: statistics.stdev(range(1, 10001))
    assert!((n.deviation.unwrap() - 2_886.895_679_907_167).abs() < 1e-9);
    assert_eq!((n.distinct, n.is_distinct_cut, word.distinct), (10_000, false, 2));
    assert_eq!(word.top, [("other".to_owned(), 7500), ("four".to_owned(), 2500)]);
    assert!((SAMPLED..2 * SAMPLED).contains(&n.values.len()), "{} values", n.values.len());
    let mean = n.values.iter().flatten().map(|text| text.parse::<f64>().unwrap()).sum::<f64>() / n.values.len() as f64;
    assert!((mean - 5000.5).abs() < 50.0, "values are evenly from the whole: {mean}");
    assert_eq!(n.values.len(), word.values.len());
}

#[test]
fn values_that_moved_drift_and_others_do_not() {
    let table = |shift: f64| {
        let rows: String = (0..3000).map(|n| format!("{}\n", f64::from(n % 100) + shift)).collect();
        read("t.csv", format!("x\n{rows}").as_bytes()).columns.remove(0)
    };
    let (before, same, moved) = (table(0.5), table(0.5), table(40.5));
    let drifted = |after: &domain::table_profile::ColumnProfile| {
        feature_drift("x", &before.column(before.kind), &after.column(before.kind), 30).drifted()
    };
    assert_eq!((drifted(&same), drifted(&moved)), (Some(false), Some(true)));
}

#[test]
fn each_rule_is_held_against_every_row() {
    let text = "id,age,zip\n1,30,12345\n2,,1234\n2,200,99999\n";
    let found = held(
        text,
        json!([
            { "rule": "unique", "column": "id" },
            { "rule": "not_null", "column": "age" },
            { "rule": "range", "column": "age", "max": 120.0 },
            { "rule": "regex", "column": "zip", "pattern": "[0-9]{5}" },
            { "rule": "allowed_values", "column": "id", "values": ["1", "2"] },
            { "rule": "row_count", "max": 2 },
            { "rule": "row_count", "min": 3, "max": 3 },
            { "rule": "not_null", "column": "none" },
            { "rule": "schema", "columns": [{ "name": "id" }, { "name": "age", "kind": "integer" }, { "name": "zip" }] },
            { "rule": "schema", "columns": [{ "name": "id", "kind": "text" }, { "name": "size" }] },
        ]),
    );
    let expected = [
        (Outcome::Failed, "1 row does not: \"2\" in row 3"),
        (Outcome::Failed, "1 row does not: row 2"),
        (Outcome::Failed, "1 row does not: \"200\" in row 3"),
        (Outcome::Failed, "1 row does not: \"1234\" in row 2"),
        (Outcome::Passed, "All 3 rows do."),
        (Outcome::Failed, "It has 3 rows."),
        (Outcome::Passed, "It has 3 rows."),
        (Outcome::Failed, "There is no column none."),
        (Outcome::Passed, "It has these 3 columns."),
        (Outcome::Failed, "size is missing; age is not expected; zip is not expected; id is integer and not text."),
    ];
    assert_eq!(found, expected.map(|(outcome, found)| (outcome, found.to_owned())));
    let elsewhere = expectations(json!([{ "files": "train/*", "rule": "row_count", "min": 1 }]));
    assert!(profile("t.csv", file(b"a\n"), &elsewhere).1.is_empty(), "it is about another table");
}

#[test]
fn what_was_not_read_to_its_end_is_not_said_to_hold() {
    let text = "a,b\n1,2\n3,4,5\n6,7\n";
    let found = held(
        text,
        json!([
            { "rule": "not_null", "column": "a" },
            { "rule": "row_count", "min": 2 },
            { "rule": "row_count", "max": 0 },
            { "rule": "range", "column": "a", "max": 0.0 },
        ]),
    );
    let outcomes: Vec<Outcome> = found.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Inconclusive, Outcome::Inconclusive, Outcome::Failed, Outcome::Failed], "{found:?}");
    for (path, bytes) in [("a.parquet", &b"nonsense"[..]), ("a.parquet", b""), ("a.csv", b"\xff\xfe\n\xff\n")] {
        assert!(!read(path, bytes).trouble.is_empty(), "{path}");
    }
    assert_eq!((read("a.csv", b"").rows, read("a.csv", b"").trouble.as_str()), (0, ""));
}

#[test]
fn parquet_is_read_with_its_own_sorts() {
    let schema = "message schema { optional binary name (UTF8); required double score; required int64 zip; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut out = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut out, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let names = [ByteArray::from("1"), ByteArray::from("2")];
    column.typed::<ByteArrayType>().write_batch(&names, Some(&[1, 0, 1]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[0.5, f64::NAN, 1.5], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[7, 8, 9], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let table = read("t.parquet", &out);
    let columns: Vec<_> =
        table.columns.iter().map(|column| (column.name.as_str(), column.kind, column.missing, column.mean)).collect();
    // A text stays one, whatever it looks like; not-a-number is a missing value.
    let expected = [
        ("name", ColumnKind::Text, 1, None),
        ("score", ColumnKind::Number, 1, Some(1.0)),
        ("zip", ColumnKind::Integer, 0, Some(8.0)),
    ];
    assert_eq!((table.rows, table.trouble.as_str(), &columns[..]), (3, "", &expected[..]));
}

#[test]
fn an_expression_that_is_none_or_would_take_too_much_is_refused() {
    assert!(check_pattern("[0-9]{5}").is_ok());
    for wrong in ["(", "[0-9", "a{1000}{1000}{1000}"] {
        assert!(check_pattern(wrong).is_err(), "{wrong}");
    }
}
