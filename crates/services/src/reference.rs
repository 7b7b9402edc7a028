//! References: the training's own values of each feature, in the file that a data scientist logged with the run or the
//! model. It is read twice: for its names, so that only those are looked up in the traffic, and then for its values, each
//! column as the kind that the traffic has.

use crate::{Result, Services, task::blocking};
use bytes::Bytes;
use domain::{
    Error, ErrorKind,
    drift::{Cell, Column, Kind},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeMap, fmt};
use store::monitor::Due;

/// The largest file that is read.
const MOST_BYTES: u64 = 64 << 20;
/// The most values that are compared.
const MOST_VALUES: usize = 4 << 20;

/// A value, or a sentence that says why there is none.
type OrSentence<T> = std::result::Result<T, String>;

/// A reference whose names are known.
#[derive(Debug)]
pub(crate) struct Reference {
    /// `reference.csv`
    file: String,
    bytes: Bytes,
    names: Vec<String>,
}

impl Services {
    /// What the traffic of a deployment is compared with, or why it cannot be.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer.
    pub(crate) async fn reference(&self, due: &Due) -> Result<OrSentence<Reference>> {
        let found = store::deployment::fix_reference(&mut *self.conn().await?, due.deployment).await?;
        let Some((path, digest)) = found else {
            return Ok(Err(
                "The version has no reference: log reference.csv or reference.json with its run.".to_owned()
            ));
        };
        let bytes = match self.artifacts.get_bytes(&digest, MOST_BYTES).await {
            Ok(bytes) => bytes,
            Err(artifacts::Error::TooLarge { size, .. }) => {
                let (size, most) = (size >> 20, MOST_BYTES >> 20);
                return Ok(Err(format!(
                    "{path} has {size} MiB; at most {most} MiB are read. Log a sample of the rows."
                )));
            }
            Err(error @ (artifacts::Error::NotFound { .. } | artifacts::Error::Corrupt { .. })) => {
                tracing::error!(%error, %path, "a reference cannot be read");
                return Ok(Err(format!("{path} is not in the artifact store any more, or damaged.")));
            }
            Err(error) => {
                tracing::warn!(%error, %path, "a reference cannot be read");
                return Err(Error::new(ErrorKind::Unavailable, "The artifact store does not answer."));
            }
        };
        blocking(move || Reference::open(&path, bytes)).await
    }
}

impl Reference {
    /// Finds the names in a file.
    pub(crate) fn open(path: &str, bytes: Bytes) -> OrSentence<Self> {
        let file = path.rsplit('/').next().unwrap_or(path).to_owned();
        let names = if file.ends_with(".json") {
            let columns: BTreeMap<String, IgnoredAny> =
                serde_json::from_slice(&bytes).map_err(|error| of_json(&file, &error))?;
            columns.into_keys().collect()
        } else {
            let mut reader = csv::Reader::from_reader(&*bytes);
            let head = reader.headers().map_err(|error| of_csv(&file, &error))?;
            let names: Vec<String> = head.iter().map(ToOwned::to_owned).collect();
            let mut seen = names.clone();
            seen.sort_unstable();
            if let Some(twice) = seen.windows(2).find(|two| two[0] == two[1]) {
                return Err(format!("{file} has two columns \"{}\".", twice[0]));
            }
            names
        };
        if names.is_empty() {
            return Err(format!("{file} is empty."));
        }
        Ok(Self { file, bytes, names })
    }

    /// The file's name without its folder.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The names of its columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns of these names, each read as its kind.
    pub(crate) fn columns(&self, kinds: &BTreeMap<String, Kind>) -> OrSentence<BTreeMap<String, Column>> {
        let mut columns = Columns {
            wanted: kinds.iter().map(|(name, kind)| (name.clone(), Column::new(*kind))).collect(),
            left: MOST_VALUES,
        };
        if self.file.ends_with(".json") {
            let mut reader = serde_json::Deserializer::from_slice(&self.bytes);
            let read = columns.deserialize(&mut reader).and_then(|columns| reader.end().map(|()| columns));
            return match read {
                Ok(columns) => Ok(columns.wanted),
                Err(error) => Err(of_json(&self.file, &error)),
            };
        }
        let mut reader = csv::Reader::from_reader(&*self.bytes);
        let mut record = csv::StringRecord::new();
        // Else the first row is said to be where the head is.
        reader.byte_headers().map_err(|error| of_csv(&self.file, &error))?;
        while reader.read_record(&mut record).map_err(|error| of_csv(&self.file, &error))? {
            for (name, cell) in self.names.iter().zip(&record) {
                let cell = (!cell.is_empty()).then_some(Cell::Text(cell));
                if !columns.push(name, cell) {
                    return Err(format!("{} has {TOO_MANY}.", self.file));
                }
            }
        }
        Ok(columns.wanted)
    }
}

/// What is said of a file with more values than are compared.
const TOO_MANY: &str = "more than 4 million values; log a sample of the rows";

/// The columns that are wanted of a file, while they are read.
struct Columns {
    wanted: BTreeMap<String, Column>,
    /// How many values more may be read.
    left: usize,
}

impl Columns {
    /// Adds a value, when its column is wanted. False when there are too many.
    fn push(&mut self, name: &str, cell: Option<Cell<'_>>) -> bool {
        let Some(column) = self.wanted.get_mut(name) else { return true };
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        column.push(cell);
        true
    }
}

/// `{"feature": [value, …], …}`, or as pandas writes it unless told otherwise, `{"feature": {"0": value, …}, …}`.
impl<'de> DeserializeSeed<'de> for Columns {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Columns {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of values for each feature")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> std::result::Result<Self, A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            if self.wanted.contains_key(&name) {
                entries.next_value_seed(Cells { columns: &mut self, name: &name })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(self)
    }
}

/// The values of one column.
struct Cells<'a> {
    columns: &'a mut Columns,
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Cells<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> std::result::Result<(), A::Error> {
        while entries.next_element_seed(One { columns: &mut *self.columns, name: self.name })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<(), A::Error> {
        while entries.next_key::<IgnoredAny>()?.is_some() {
            entries.next_value_seed(One { columns: &mut *self.columns, name: self.name })?;
        }
        Ok(())
    }
}

/// One value of a column.
struct One<'a> {
    columns: &'a mut Columns,
    name: &'a str,
}

impl One<'_> {
    fn push<E: serde::de::Error>(self, cell: Option<Cell<'_>>) -> std::result::Result<(), E> {
        if self.columns.push(self.name, cell) { Ok(()) } else { Err(E::custom(TOO_MANY)) }
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, true, false or null")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> std::result::Result<(), E> {
        self.push(Some(Cell::Boolean(value)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<(), E> {
        self.push(Some(Cell::Number(value as f64)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<(), E> {
        self.push(Some(Cell::Number(value as f64)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<(), E> {
        self.push(Some(Cell::Number(value)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<(), E> {
        self.push(Some(Cell::Text(value)))
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<(), E> {
        self.push(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _entries: A) -> std::result::Result<(), A::Error> {
        Err(A::Error::custom("a list where a single value is expected"))
    }
}

fn of_json(file: &str, error: &serde_json::Error) -> String {
    if error.to_string().starts_with(TOO_MANY) {
        return format!("{file} has {TOO_MANY}.");
    }
    format!("{file} cannot be read: {error}. It holds {{\"feature\": [value, …], …}}.")
}

fn of_csv(file: &str, error: &csv::Error) -> String {
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} values, the head has {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("line {} is not UTF-8", pos.as_ref().map_or(0, csv::Position::line))
        }
        _ => "it is not CSV".to_owned(),
    };
    format!("{file} cannot be read: {what}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str, text: &str) -> OrSentence<Reference> {
        Reference::open(path, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn columns(path: &str, text: &str, kinds: &[(&str, Kind)]) -> OrSentence<BTreeMap<String, Column>> {
        let kinds = kinds.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        open(path, text)?.columns(&kinds)
    }

    fn numbers(cells: &[Option<f64>]) -> Column {
        Column::of(Kind::Real, cells.iter().map(|cell| cell.map(Cell::Number)))
    }

    #[test]
    fn each_form_of_a_reference_has_the_same_columns() {
        let kinds = [("age", Kind::Real), ("plan", Kind::Text), ("gold", Kind::Boolean)];
        let forms = [
            ("data/reference.csv", "id,age,plan,gold\n1,1.5,basic,True\n2,,007,False\n"),
            ("reference.csv", "\u{feff}age,plan,gold,id\r\n1.5,basic,1,1\r\nNaN,007,0,2\r\n"),
            (
                "reference.json",
                r#"{"age": [1.5, null], "plan": ["basic", "007"], "gold": [true, false], "id": [[1], {}]}"#,
            ),
            (
                "reference.json",
                r#"{"gold": {"0": 1, "1": 0}, "plan": {"0": "basic", "1": "007"}, "age": {"0": 1.5, "1": null}}"#,
            ),
        ];
        for (path, text) in forms {
            let columns = columns(path, text, &kinds).unwrap();
            assert_eq!(columns.keys().collect::<Vec<_>>(), ["age", "gold", "plan"], "{text}");
            assert_eq!(columns["age"], numbers(&[Some(1.5), None]), "{text}");
            let gold = [Cell::Boolean(true), Cell::Boolean(false)].map(Some);
            assert_eq!(columns["gold"], Column::of(Kind::Boolean, gold), "{text}");
            assert_eq!(columns["plan"], Column::of(Kind::Text, [Cell::Text("basic"), Cell::Text("007")].map(Some)));
        }
    }

    #[test]
    fn the_names_are_known_before_the_values() {
        assert_eq!(open("a/reference.csv", "b,a\n1\n").unwrap().names(), ["b", "a"]);
        let reference = open("reference.json", r#"{"b": 1, "a": [[]]}"#).unwrap();
        assert_eq!((reference.names(), reference.file()), (&["a".to_owned(), "b".to_owned()][..], "reference.json"));
    }

    #[test]
    fn what_cannot_be_read_is_told_in_a_sentence() {
        let form = "It holds {\"feature\": [value, …], …}.";
        for (path, text, sentence) in [
            ("reference.csv", "", "reference.csv is empty.".to_owned()),
            ("x/reference.csv", "a,b,a\n", "reference.csv has two columns \"a\".".to_owned()),
            (
                "reference.csv",
                "a,b\n1,2\n3\n",
                "reference.csv cannot be read: line 3 has 1 values, the head has 2.".to_owned(),
            ),
            ("reference.json", "{}", "reference.json is empty.".to_owned()),
            (
                "reference.json",
                "[1]",
                format!(
                    "reference.json cannot be read: invalid type: sequence, expected a map at line 1 column 0. {form}"
                ),
            ),
            (
                "reference.json",
                r#"{"a": [[1]]}"#,
                format!(
                    "reference.json cannot be read: a list where a single value is expected at line 1 column 8. {form}"
                ),
            ),
            (
                "reference.json",
                r#"{"a": 7}"#,
                format!(
                    "reference.json cannot be read: invalid type: integer `7`, expected a list of values at line 1 column 7. {form}"
                ),
            ),
        ] {
            assert_eq!(columns(path, text, &[("a", Kind::Real)]).unwrap_err(), sentence, "{text}");
        }
        let broken = Reference::open("reference.csv", Bytes::from_static(b"a\nm\xfcde\n")).unwrap();
        let sentence = broken.columns(&BTreeMap::from([("a".to_owned(), Kind::Text)])).unwrap_err();
        assert_eq!(sentence, "reference.csv cannot be read: line 2 is not UTF-8.");
    }

    #[test]
    fn a_file_of_too_many_values_is_not_held() {
        let sentence = "has more than 4 million values; log a sample of the rows.";
        let csv = format!("a,b\n{}", "1,2\n".repeat(MOST_VALUES / 2 + 1));
        assert!(columns("reference.csv", &csv, &[("a", Kind::Real)]).is_ok());
        let both = [("a", Kind::Real), ("b", Kind::Real)];
        assert_eq!(columns("reference.csv", &csv, &both).unwrap_err(), format!("reference.csv {sentence}"));
        let json = format!("{{\"a\": [{}1]}}", "1,".repeat(MOST_VALUES));
        assert_eq!(columns("reference.json", &json, &both).unwrap_err(), format!("reference.json {sentence}"));
    }
}
