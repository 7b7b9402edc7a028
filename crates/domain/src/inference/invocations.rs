//! MLflow's scoring protocol: `POST /invocations` with a data frame or tensors, none of them typed, and an answer that
//! is a plain list. The form of the request is MLflow 3's: exactly one of `dataframe_split`, `dataframe_records`,
//! `instances` and `inputs`, beside `params`, which models in this engine do not take and which is ignored.

use super::{
    MAX_ELEMENTS, MAX_INPUTS,
    infer::{InferRequest, InferResponse, listed, read_object},
    read::{Node, Read, Records},
    tensor::{Tensor, TensorData, TensorSpec},
};
use crate::{error::Error, model::Signature};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap as _, SerializeSeq as _},
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// The content of a request, before it is known what the model takes.
#[derive(Debug, Clone)]
pub struct Invocation(Content);

#[derive(Debug, Clone)]
enum Content {
    /// A list: one entry a row.
    Rows(Read),
    /// Named columns or tensors, in the order of the request.
    Named(Vec<(String, Read)>),
    /// Columns without names.
    Columns(Vec<Read>),
}

impl Invocation {
    /// Reads a request.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let wire: Wire = read_object(body)?;
        let given = [
            wire.dataframe_split.map(Split::content).transpose()?,
            wire.dataframe_records.map(|records| Content::Named(records.into_columns())),
            wire.instances.map(|instances| instances.0),
            wire.inputs.map(|inputs| inputs.0),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(content), None) = (given.next(), given.next()) else {
            let text = "A request has exactly one of dataframe_split, dataframe_records, instances and inputs.";
            return Err(Error::invalid(text));
        };
        match content.len() {
            0 => Err(Error::invalid("The request has no rows.")),
            1..=MAX_ELEMENTS => Ok(Self(content)),
            _ => Err(Error::invalid(format!("A request holds at most {MAX_ELEMENTS} values."))),
        }
    }

    /// The request for a model that takes these inputs, to be checked like any other. `features` are the names of the
    /// columns of a model that takes one matrix, from its signature ([`feature_names`]); empty when they are not known.
    ///
    /// - A model with one input for each column gets each column by its name; others are left out, as MLflow does.
    /// - A model with one matrix gets the columns in the order of `features`, or as they were sent when that is empty.
    /// - A list of rows is for a model with one input.
    ///
    /// # Errors
    /// Says which name, type or shape is wrong, and what the model takes.
    pub fn into_request(self, inputs: &[TensorSpec], features: &[String]) -> Result<InferRequest, Error> {
        let tensors = match (self.0, inputs) {
            (Content::Rows(rows), [spec]) => vec![tensor(rows, spec)?],
            (Content::Rows(_), _) => {
                return Err(Error::invalid(format!(
                    "The model takes {} named inputs; send dataframe_split, dataframe_records or named inputs: {}.",
                    inputs.len(),
                    listed(inputs)
                )));
            }
            (Content::Named(columns), [spec]) if !columns.iter().any(|(name, _)| *name == spec.name) => {
                vec![matrix(in_order(columns, features)?, spec)?]
            }
            (Content::Named(columns), _) => by_name(columns, inputs)?,
            (Content::Columns(columns), [spec]) => {
                let named = columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column));
                vec![matrix(named.collect(), spec)?]
            }
            (Content::Columns(columns), _) => by_position(columns, inputs)?,
        };
        Ok(InferRequest { inputs: tensors, ..InferRequest::default() })
    }
}

impl Content {
    /// How many values.
    fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Named(columns) => columns.iter().map(|(_, column)| column.len()).sum(),
            Self::Columns(columns) => columns.iter().map(Read::len).sum(),
        }
    }
}

/// The names of the columns that a signature lists; none when it describes tensors.
#[must_use]
pub fn feature_names(signature: &Signature) -> Vec<String> {
    let names = signature.inputs.iter().map(|field| field.name.clone().filter(|_| field.shape.is_none()));
    names.collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn by_name(columns: Vec<(String, Read)>, inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Error> {
    let mut columns: HashMap<String, Read> = columns.into_iter().collect();
    let one = |spec: &TensorSpec| match columns.remove(&spec.name) {
        Some(column) => tensor(column, spec),
        None => {
            Err(Error::invalid(format!("Column \"{}\" is missing; the model takes {}.", spec.name, listed(inputs))))
        }
    };
    inputs.iter().map(one).collect()
}

fn by_position(columns: Vec<Read>, inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Error> {
    if columns.len() != inputs.len() {
        let text =
            format!("{} columns were sent, the model takes {}: {}.", columns.len(), inputs.len(), listed(inputs));
        return Err(Error::invalid(text));
    }
    columns.into_iter().zip(inputs).map(|(column, spec)| tensor(column, spec)).collect()
}

/// The columns that `features` names, in its order; all of them when it names none.
fn in_order(columns: Vec<(String, Read)>, features: &[String]) -> Result<Vec<(String, Read)>, Error> {
    if features.is_empty() {
        return Ok(columns);
    }
    let mut columns: HashMap<String, Read> = columns.into_iter().collect();
    let one = |name: &String| match columns.remove(name) {
        Some(column) => Ok((name.clone(), column)),
        None => Err(Error::invalid(format!("Column \"{name}\" is missing; the model takes {}.", quoted(features)))),
    };
    features.iter().map(one).collect()
}

fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    if names.len() > SHOWN {
        quoted.push(format!("and {} more", names.len() - SHOWN));
    }
    quoted.join(", ")
}

/// One input from the list that was sent for it. A plain list is a column where the model takes a matrix of width 1.
fn tensor(read: Read, spec: &TensorSpec) -> Result<Tensor, Error> {
    let what = format!("Input \"{}\"", spec.name);
    let mut shape = read.shape(&what).map_err(Error::invalid)?;
    if shape.len() == 1 && matches!(spec.shape[..], [_, 1]) {
        shape.push(1);
    }
    let data = read.with_bools_as_numbers(spec.datatype).into_typed(spec.datatype, &what).map_err(Error::invalid)?;
    Ok(Tensor { name: spec.name.clone(), shape, data })
}

/// One matrix from named columns.
fn matrix(columns: Vec<(String, Read)>, spec: &TensorSpec) -> Result<Tensor, Error> {
    let shape = vec![columns.first().map_or(0, |(_, column)| column.len()), columns.len()];
    if !spec.takes(&shape) {
        return Err(Error::invalid(match spec.shape[..] {
            [_, width] => {
                format!("{} columns were sent, the model takes {width} in input \"{}\".", shape[1], spec.name)
            }
            _ => format!("Columns were sent, the model takes {spec}; send inputs or instances."),
        }));
    }
    let typed = columns.into_iter().map(|(name, column)| {
        let what = format!("Column \"{name}\"");
        match column.shape(&what)?[..] {
            [rows] if rows == shape[0] => column.with_bools_as_numbers(spec.datatype).into_typed(spec.datatype, &what),
            [rows] => Err(format!("{what} is of length {rows}, the first column of length {}.", shape[0])),
            _ => Err(format!("{what} has lists where single values are expected.")),
        }
    });
    let typed = typed.collect::<Result<Vec<_>, _>>().map_err(Error::invalid)?;
    let data = TensorData::from_columns(typed).ok_or_else(|| Error::invalid("The request has no columns."))?;
    Ok(Tensor { name: spec.name.clone(), shape, data })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with dataframe_split, dataframe_records, instances or inputs")]
struct Wire {
    dataframe_split: Option<Split>,
    dataframe_records: Option<Records>,
    instances: Option<Instances>,
    inputs: Option<Inputs>,
    #[serde(rename = "params")]
    _params: Option<IgnoredAny>,
}

/// `{"columns": [...], "index": [...], "data": [[...], ...]}`, as pandas writes it.
#[derive(Deserialize)]
#[serde(expecting = "an object with columns and data")]
struct Split {
    columns: Option<Vec<ColumnName>>,
    data: Rows,
}

/// Columns of a data frame may be numbered.
#[derive(Deserialize)]
#[serde(untagged, expecting = "the name of a column is a text or a number")]
enum ColumnName {
    Text(String),
    Number(i64),
}

impl Split {
    fn content(self) -> Result<Content, Error> {
        let columns = self.data.0;
        let Some(names) = self.columns else {
            return Ok(Content::Columns(columns));
        };
        if names.len() != columns.len() && !columns.is_empty() {
            let text = format!("dataframe_split names {} columns, its rows have {}.", names.len(), columns.len());
            return Err(Error::invalid(text));
        }
        let names = names.into_iter().map(|name| match name {
            ColumnName::Text(text) => text,
            ColumnName::Number(number) => number.to_string(),
        });
        let named: Vec<(String, Read)> = names.zip(columns).collect();
        let mut seen = HashSet::new();
        match named.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(Error::invalid(format!("dataframe_split names the column \"{name}\" twice."))),
            None => Ok(Content::Named(named)),
        }
    }
}

/// A list of rows of equal length, taken apart into columns.
struct Rows(Vec<Read>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows, each a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Rows, A::Error> {
        let mut columns = Vec::new();
        let mut rows = 0;
        while entries.next_element_seed(Row { columns: &mut columns, at: rows })?.is_some() {
            rows += 1;
        }
        columns.iter_mut().for_each(|column| column.close(0, rows));
        Ok(Rows(columns))
    }
}

struct Row<'a> {
    columns: &'a mut Vec<Read>,
    at: usize,
}

impl<'de> serde::de::DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row, which is a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        let first = self.at == 0;
        let mut width = 0;
        loop {
            if first && width == self.columns.len() {
                self.columns.push(Read::default());
            }
            let more = match self.columns.get_mut(width) {
                Some(column) => cells.next_element_seed(Node::new(column, 1))?.is_some(),
                None => cells.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
            width += 1;
            if width > MAX_INPUTS {
                return Err(A::Error::custom(format!("a request has at most {MAX_INPUTS} columns")));
            }
        }
        if first {
            self.columns.truncate(width);
        }
        if width != self.columns.len() {
            let text = format!("row {} has {width} values, the first row has {}", self.at, self.columns.len());
            return Err(A::Error::custom(text));
        }
        Ok(())
    }
}

/// A list of rows, or of objects.
struct Instances(Content);

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InstancesVisitor)
    }
}

struct InstancesVisitor;

impl<'de> Visitor<'de> for InstancesVisitor {
    type Value = Instances;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Instances, A::Error> {
        let (mut read, mut records) = (Read::default(), Records::default());
        let mut count = 0;
        while entries.next_element_seed(Node::new(&mut read, 1).or_record(&mut records))?.is_some() {
            count += 1;
        }
        if records.rows() == 0 {
            read.close(0, count);
            Ok(Instances(Content::Rows(read)))
        } else if records.rows() == count {
            Ok(Instances(Content::Named(records.into_columns())))
        } else {
            Err(A::Error::custom("instances are either all objects or all lists"))
        }
    }
}

/// A list of rows, or an object of named tensors.
struct Inputs(Content);

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows, or an object with a list for each input")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Inputs, A::Error> {
        let mut read = Read::default();
        Node::new(&mut read, 0).visit_seq(entries)?;
        Ok(Inputs(Content::Rows(read)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Inputs, A::Error> {
        let mut named: Vec<(String, Read)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some((name, read)) = entries.next_entry::<String, Read>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("\"{name}\" is given twice")));
            }
            if named.len() == MAX_INPUTS {
                return Err(A::Error::custom(format!("a request has at most {MAX_INPUTS} inputs")));
            }
            named.push((name, read));
        }
        Ok(Inputs(Content::Named(named)))
    }
}

/// The answer of `/invocations`: `{"predictions": …}` with the list of a single output, or an object with the list of
/// each output. A column of width 1 is a plain list.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a>(pub &'a InferResponse);

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(Some(1))?;
        match &self.0.outputs[..] {
            [single] => answer.serialize_entry("predictions", &Nested::of(single))?,
            outputs => answer.serialize_entry("predictions", &ByName(outputs))?,
        }
        answer.end()
    }
}

struct ByName<'a>(&'a [Tensor]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|tensor| (&tensor.name, Nested::of(tensor))))
    }
}

/// The part of a tensor from `start` on, as lists nested like `shape`.
struct Nested<'a> {
    data: &'a TensorData,
    shape: &'a [usize],
    start: usize,
}

impl<'a> Nested<'a> {
    fn of(tensor: &'a Tensor) -> Self {
        let shape = match &tensor.shape[..] {
            [outer @ .., 1] if !outer.is_empty() => outer,
            all => all,
        };
        Self { data: &tensor.data, shape, start: 0 }
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [length, inner @ ..] = self.shape else {
            return self.data.serialize_at(self.start, serializer);
        };
        let step: usize = inner.iter().product();
        let mut list = serializer.serialize_seq(Some(*length))?;
        for at in 0..*length {
            list.serialize_element(&Nested { data: self.data, shape: inner, start: self.start + at * step })?;
        }
        list.end()
    }
}
