//! Reads lists of values out of JSON, nested or flat, without knowing their type yet: an Open Inference request may name
//! the type after the data, and an MLflow request does not name it at all.

use super::{
    MAX_DEPTH, MAX_ELEMENTS, MAX_INPUTS,
    tensor::{Datatype, Shape, TensorData},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use std::{collections::HashMap, fmt};

/// Values that JSON wrote with one kind of literal.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Values {
    #[default]
    None,
    Bools(Vec<bool>),
    /// Wide enough for every 64-bit type.
    Ints(Vec<i128>),
    /// `null` is not a number.
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// A list of values as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    values: Values,
    /// The length along each axis as the lists nest.
    lengths: Vec<Option<usize>>,
    len: usize,
    leaf_depth: Option<usize>,
    ragged: bool,
    /// Where a value of another kind than those before it stands, and what it is.
    mixed: Option<(usize, &'static str)>,
}

impl Read {
    /// How many values were read.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a value `depth` lists deep. `add` says whether it is of the kind of those before it.
    fn push(&mut self, depth: usize, kind: &'static str, add: impl FnOnce(&mut Values) -> bool) -> Result<(), String> {
        if self.len == MAX_ELEMENTS {
            return Err(format!("a request holds at most {MAX_ELEMENTS} values"));
        }
        self.ragged |= *self.leaf_depth.get_or_insert(depth) != depth;
        if self.mixed.is_none() && !add(&mut self.values) {
            self.mixed = Some((self.len, kind));
        }
        self.len += 1;
        Ok(())
    }

    /// Ends a list that began `depth` lists deep and had so many entries.
    pub(super) fn close(&mut self, depth: usize, entries: usize) {
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, None);
        }
        self.ragged |= *self.lengths[depth].get_or_insert(entries) != entries;
    }

    /// Adds a missing value `depth` lists deep.
    pub(super) fn push_null(&mut self, depth: usize) -> Result<(), String> {
        self.push(depth, "missing", |values| values.push_float(f64::NAN))
    }

    /// The shape that the nesting spells out, when every list of a level has the same length.
    ///
    /// # Errors
    /// A sentence about `what`, such as `Input "x"`.
    pub(super) fn shape(&self, what: &str) -> Result<Vec<usize>, String> {
        let depth_is_even = self.leaf_depth.is_none_or(|depth| depth == self.lengths.len());
        if self.lengths.is_empty() {
            Err(format!("{what} has a single value where a list is expected."))
        } else if self.ragged || !depth_is_even {
            Err(format!("{what} has lists of different lengths."))
        } else {
            Ok(self.lengths.iter().copied().flatten().collect())
        }
    }

    /// True and false as 1 and 0, unless the type is `BOOL`: a table's column of them may be a number to the model.
    pub(super) fn with_bools_as_numbers(mut self, datatype: Datatype) -> Self {
        if let (Values::Bools(bools), false) = (&self.values, matches!(datatype, Datatype::Bool | Datatype::Bytes)) {
            self.values = Values::Ints(bools.iter().map(|value| i128::from(*value)).collect());
        }
        self
    }

    /// The values as this type.
    ///
    /// # Errors
    /// A sentence about `what` that names the value which is not of the type.
    pub(super) fn into_typed(self, datatype: Datatype, what: &str) -> Result<TensorData, String> {
        if let Some((at, kind)) = self.mixed {
            return Err(match &self.values {
                Values::Floats(floats) if floats.iter().all(|float| float.is_nan()) => {
                    format!("{what} has {kind}, and its value 0 is missing.")
                }
                values => format!("{what} has {}, and its value {at} is {kind}.", values.kind()),
            });
        }
        self.values.into_typed(datatype, what)
    }
}

impl Values {
    /// Makes integers, or nothing yet, floating-point.
    fn widen(&mut self) {
        match self {
            Self::None => *self = Self::Floats(Vec::new()),
            Self::Ints(ints) => *self = Self::Floats(ints.iter().map(|int| *int as f64).collect()),
            _ => {}
        }
    }

    fn push_bool(&mut self, value: bool) -> bool {
        match self {
            Self::None => *self = Self::Bools(vec![value]),
            Self::Bools(bools) => bools.push(value),
            _ => return false,
        }
        true
    }

    fn push_int(&mut self, value: i128) -> bool {
        match self {
            Self::None => *self = Self::Ints(vec![value]),
            Self::Ints(ints) => ints.push(value),
            Self::Floats(floats) => floats.push(value as f64),
            _ => return false,
        }
        true
    }

    fn push_float(&mut self, value: f64) -> bool {
        self.widen();
        match self {
            Self::Floats(floats) => floats.push(value),
            _ => return false,
        }
        true
    }

    fn push_text(&mut self, value: String) -> bool {
        match self {
            Self::None => *self = Self::Texts(vec![value]),
            Self::Texts(texts) => texts.push(value),
            _ => return false,
        }
        true
    }

    fn into_typed(self, datatype: Datatype, what: &str) -> Result<TensorData, String> {
        Ok(match datatype {
            Datatype::Bool => TensorData::Bool(self.bools(what)?),
            Datatype::Int8 => TensorData::Int8(self.ints(datatype, what)?),
            Datatype::Int16 => TensorData::Int16(self.ints(datatype, what)?),
            Datatype::Int32 => TensorData::Int32(self.ints(datatype, what)?),
            Datatype::Int64 => TensorData::Int64(self.ints(datatype, what)?),
            Datatype::Uint8 => TensorData::Uint8(self.ints(datatype, what)?),
            Datatype::Uint16 => TensorData::Uint16(self.ints(datatype, what)?),
            Datatype::Uint32 => TensorData::Uint32(self.ints(datatype, what)?),
            Datatype::Uint64 => TensorData::Uint64(self.ints(datatype, what)?),
            Datatype::Fp32 => TensorData::Fp32(self.singles(what)?),
            Datatype::Fp64 => TensorData::Fp64(self.doubles(datatype, what)?),
            Datatype::Bytes => TensorData::Bytes(self.texts(what)?),
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::None => "no values",
            Self::Bools(_) => "true and false",
            Self::Ints(_) | Self::Floats(_) => "numbers",
            Self::Texts(_) => "text",
        }
    }

    fn wrong_kind(&self, datatype: Datatype, what: &str) -> String {
        format!("{what} is {datatype}, and its data is {}.", self.kind())
    }

    fn bools(self, what: &str) -> Result<Vec<bool>, String> {
        match self {
            Self::Bools(bools) => Ok(bools),
            other => Err(other.wrong_kind(Datatype::Bool, what)),
        }
    }

    fn ints<T: TryFrom<i128>>(self, datatype: Datatype, what: &str) -> Result<Vec<T>, String> {
        let fit = |(at, int): (usize, i128)| {
            T::try_from(int).map_err(|_| format!("{what} is {datatype}, and its value {at}, {int}, does not fit."))
        };
        match self {
            Self::Ints(ints) => ints.into_iter().enumerate().map(fit).collect(),
            // JSON of JavaScript and of data frames with gaps writes whole numbers as 2.0.
            Self::Floats(floats) => floats
                .into_iter()
                .enumerate()
                .map(|(at, float)| {
                    if float.is_nan() {
                        Err(format!("{what} is {datatype}, and its value {at} is missing."))
                    } else if float.fract() != 0.0 || float.abs() > 9_007_199_254_740_992.0 {
                        Err(format!(
                            "{what} is {datatype}, and its value {at}, {float}, is not a whole number of that type."
                        ))
                    } else {
                        fit((at, float as i128))
                    }
                })
                .collect(),
            other => Err(other.wrong_kind(datatype, what)),
        }
    }

    fn doubles(self, datatype: Datatype, what: &str) -> Result<Vec<f64>, String> {
        match self {
            Self::Ints(ints) => Ok(ints.into_iter().map(|int| int as f64).collect()),
            Self::Floats(floats) => Ok(floats),
            other => Err(other.wrong_kind(datatype, what)),
        }
    }

    fn singles(self, what: &str) -> Result<Vec<f32>, String> {
        let single = |(at, double): (usize, f64)| {
            let single = double as f32;
            if single.is_infinite() {
                Err(format!("{what} is FP32, and its value {at}, {double:e}, does not fit."))
            } else {
                Ok(single)
            }
        };
        self.doubles(Datatype::Fp32, what)?.into_iter().enumerate().map(single).collect()
    }

    fn texts(self, what: &str) -> Result<Vec<String>, String> {
        match self {
            Self::Texts(texts) => match texts.iter().position(|text| text.contains('\0')) {
                Some(at) => Err(format!("{what} has a zero byte in its value {at}.")),
                None => Ok(texts),
            },
            other => Err(other.wrong_kind(Datatype::Bytes, what)),
        }
    }
}

/// Checks a shape against the values that were read for it, and returns it in sizes.
///
/// # Errors
/// A sentence about `what`.
pub(super) fn checked_shape(shape: &[i64], read: &Read, what: &str) -> Result<Vec<usize>, String> {
    let exact: Option<Vec<usize>> = shape.iter().map(|length| usize::try_from(*length).ok()).collect();
    let Some(exact) = exact else {
        return Err(format!("{what} has shape {}; a request gives exact lengths.", Shape(shape)));
    };
    let nesting = read.shape(what)?;
    if nesting.len() > 1 && nesting != exact {
        return Err(format!("{what} has shape {}, and its data is nested as {}.", Shape(shape), Shape(&nesting)));
    }
    let wanted = exact.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    if wanted != Some(read.len()) {
        let values = if read.len() == 1 { "1 value".to_owned() } else { format!("{} values", read.len()) };
        return Err(format!("{what} has shape {}, and its data has {values}.", Shape(shape)));
    }
    if read.len() == 0 {
        return Err(format!("{what} has no values."));
    }
    Ok(exact)
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self::default();
        Node::new(&mut read, 0).deserialize(deserializer)?;
        Ok(read)
    }
}

/// One value or list, `depth` lists deep, that goes into `read`.
pub(super) struct Node<'a> {
    read: &'a mut Read,
    depth: usize,
    /// Where an object goes; without, objects are refused.
    records: Option<&'a mut Records>,
}

impl<'a> Node<'a> {
    pub(super) fn new(read: &'a mut Read, depth: usize) -> Self {
        Self { read, depth, records: None }
    }

    pub(super) fn or_record(self, records: &'a mut Records) -> Self {
        Self { records: Some(records), ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, true, false, or a list of them")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.read.push(self.depth, "true or false", |values| values.push_bool(value)).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.read.push(self.depth, "a number", |values| values.push_int(value.into())).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.read.push(self.depth, "a number", |values| values.push_int(value.into())).map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.read.push(self.depth, "a number", |values| values.push_float(value)).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<(), E> {
        self.read.push(self.depth, "text", |values| values.push_text(value)).map_err(E::custom)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.read.push_null(self.depth).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.depth == MAX_DEPTH {
            return Err(A::Error::custom(format!("lists nest at most {MAX_DEPTH} deep")));
        }
        let mut count = 0;
        while entries.next_element_seed(Node::new(self.read, self.depth + 1))?.is_some() {
            count += 1;
        }
        self.read.close(self.depth, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        match self.records {
            Some(records) => records.push(entries),
            None => Err(A::Error::custom("an object where a value or a list of values is expected")),
        }
    }
}

/// Objects one after the other, taken apart into columns. What an object lacks is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    columns: Vec<(String, Read)>,
    places: HashMap<String, usize>,
    /// How many objects each column has a value of.
    filled: Vec<usize>,
    rows: usize,
}

impl Records {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the order in which they were first met.
    pub(super) fn into_columns(mut self) -> Vec<(String, Read)> {
        for (_, column) in &mut self.columns {
            column.close(0, self.rows);
        }
        self.columns
    }

    fn push<'de, A: MapAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            let place = self.place(name).map_err(A::Error::custom)?;
            if self.filled[place] > self.rows {
                return Err(A::Error::custom(format!(
                    "\"{}\" is given twice in row {}",
                    self.columns[place].0, self.rows
                )));
            }
            entries.next_value_seed(Node::new(&mut self.columns[place].1, 1))?;
            self.filled[place] += 1;
        }
        self.rows += 1;
        // Filling gaps must not make much out of little.
        if self.columns.len().saturating_mul(self.rows) > MAX_ELEMENTS {
            return Err(A::Error::custom(format!("a request holds at most {MAX_ELEMENTS} values")));
        }
        self.fill_to(self.rows).map_err(A::Error::custom)
    }

    /// The column of this name, added with gaps for the rows before when it is new.
    fn place(&mut self, name: String) -> Result<usize, String> {
        if let Some(place) = self.places.get(&name) {
            return Ok(*place);
        }
        if self.columns.len() == MAX_INPUTS {
            return Err(format!("a request has at most {MAX_INPUTS} columns"));
        }
        let place = self.columns.len();
        self.places.insert(name.clone(), place);
        self.columns.push((name, Read::default()));
        self.filled.push(0);
        self.fill_to(self.rows)?;
        Ok(place)
    }

    fn fill_to(&mut self, rows: usize) -> Result<(), String> {
        for ((_, column), filled) in self.columns.iter_mut().zip(&mut self.filled) {
            while *filled < rows {
                column.push_null(1)?;
                *filled += 1;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Records, A::Error> {
                let mut records = Records::default();
                while entries.next_element_seed(Record(&mut records))?.is_some() {}
                Ok(records)
            }
        }

        struct Record<'a>(&'a mut Records);
        impl<'de> DeserializeSeed<'de> for Record<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_map(self)
            }
        }
        impl<'de> Visitor<'de> for Record<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a value for each column")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
                self.0.push(entries)
            }
        }

        deserializer.deserialize_seq(List)
    }
}
