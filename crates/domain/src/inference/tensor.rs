//! Typed tensors, and their form in JSON.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Map, Value};
use std::{fmt, ops::Range};

/// The element types of the Open Inference Protocol that JSON carries faithfully. `FP16` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Datatype {
    /// `true` or `false`.
    Bool,
    /// 8 bits, signed.
    Int8,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// 8 bits, unsigned.
    Uint8,
    /// 16 bits, unsigned.
    Uint16,
    /// 32 bits, unsigned.
    Uint32,
    /// 64 bits, unsigned.
    Uint64,
    /// 32-bit floating point.
    Fp32,
    /// 64-bit floating point.
    Fp64,
    /// Text.
    Bytes,
}

impl Datatype {
    const ALL: [Self; 12] = [
        Self::Bool,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.as_str() == text)
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The values of a tensor in row-major order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TensorData {
    /// `BOOL`
    Bool(Vec<bool>),
    /// `INT8`
    Int8(Vec<i8>),
    /// `INT16`
    Int16(Vec<i16>),
    /// `INT32`
    Int32(Vec<i32>),
    /// `INT64`
    Int64(Vec<i64>),
    /// `UINT8`
    Uint8(Vec<u8>),
    /// `UINT16`
    Uint16(Vec<u16>),
    /// `UINT32`
    Uint32(Vec<u32>),
    /// `UINT64`
    Uint64(Vec<u64>),
    /// `FP32`; what is not a number is `null` in JSON.
    Fp32(Vec<f32>),
    /// `FP64`; what is not a number is `null` in JSON.
    Fp64(Vec<f64>),
    /// `BYTES`
    Bytes(Vec<String>),
}

/// The same expression for the vector inside, whatever its type.
macro_rules! each {
    ($data:expr, $values:ident => $result:expr) => {
        match $data {
            TensorData::Bool($values) => $result,
            TensorData::Int8($values) => $result,
            TensorData::Int16($values) => $result,
            TensorData::Int32($values) => $result,
            TensorData::Int64($values) => $result,
            TensorData::Uint8($values) => $result,
            TensorData::Uint16($values) => $result,
            TensorData::Uint32($values) => $result,
            TensorData::Uint64($values) => $result,
            TensorData::Fp32($values) => $result,
            TensorData::Fp64($values) => $result,
            TensorData::Bytes($values) => $result,
        }
    };
}

impl TensorData {
    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` of them, each text with at most `text` bytes: a longer one is cut and ends with `…`.
    fn head(&self, count: usize, text: usize) -> Self {
        macro_rules! head {
            ($($variant:ident),+) => {
                match self {
                    $(Self::$variant(values) => Self::$variant(values.iter().take(count).copied().collect()),)+
                    Self::Bytes(texts) => Self::Bytes(texts.iter().take(count).map(|whole| cut(whole, text)).collect()),
                }
            };
        }
        head!(Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Fp32, Fp64)
    }

    /// Those at these places.
    fn part(&self, places: Range<usize>) -> Option<Self> {
        macro_rules! part {
            ($($variant:ident),+) => {
                match self {
                    $(Self::$variant(values) => Self::$variant(values.get(places)?.to_vec()),)+
                }
            };
        }
        Some(part!(Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Fp32, Fp64, Bytes))
    }

    /// Their type.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Int8(_) => Datatype::Int8,
            Self::Int16(_) => Datatype::Int16,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Uint16(_) => Datatype::Uint16,
            Self::Uint32(_) => Datatype::Uint32,
            Self::Uint64(_) => Datatype::Uint64,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// The value at this place; `null` for what JSON has no number for. An `FP32` is its shortest decimal, as it is in an
    /// answer: 0.2, not 0.20000000298023224.
    #[must_use]
    pub fn json_at(&self, index: usize) -> Value {
        if let Self::Fp32(values) = self {
            return values.get(index).map_or(Value::Null, |value| Value::from(shortest(*value)));
        }
        each!(self, values => values.get(index).cloned().map_or(Value::Null, Value::from))
    }

    /// Puts columns of one type and length together, row by row.
    pub(super) fn from_columns(columns: Vec<Self>) -> Option<Self> {
        macro_rules! weave {
            ($variant:ident) => {{
                let columns = columns.into_iter().map(|column| match column {
                    Self::$variant(values) => Some(values),
                    _ => None,
                });
                Some(Self::$variant(woven(columns.collect::<Option<_>>()?)))
            }};
        }
        match columns.first()? {
            Self::Bool(_) => weave!(Bool),
            Self::Int8(_) => weave!(Int8),
            Self::Int16(_) => weave!(Int16),
            Self::Int32(_) => weave!(Int32),
            Self::Int64(_) => weave!(Int64),
            Self::Uint8(_) => weave!(Uint8),
            Self::Uint16(_) => weave!(Uint16),
            Self::Uint32(_) => weave!(Uint32),
            Self::Uint64(_) => weave!(Uint64),
            Self::Fp32(_) => weave!(Fp32),
            Self::Fp64(_) => weave!(Fp64),
            Self::Bytes(_) => weave!(Bytes),
        }
    }

    /// Writes the value at this place.
    pub(super) fn serialize_at<S: Serializer>(&self, index: usize, serializer: S) -> Result<S::Ok, S::Error> {
        each!(self, values => values.get(index).serialize(serializer))
    }
}

/// `[[1, 2], [3, 4]]` to `[1, 3, 2, 4]`.
fn woven<T>(columns: Vec<Vec<T>>) -> Vec<T> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut values = Vec::with_capacity(rows * columns.len());
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for _ in 0..rows {
        values.extend(columns.iter_mut().filter_map(Iterator::next));
    }
    values
}

/// The double with the fewest digits that reads back as this single: what JSON shows of it.
pub(crate) fn shortest(single: f32) -> f64 {
    format!("{single:e}").parse().unwrap_or_else(|_| f64::from(single))
}

/// At most so many bytes of a text; `…` stands for the rest.
fn cut(whole: &str, bytes: usize) -> String {
    if whole.len() <= bytes {
        return whole.to_owned();
    }
    format!("{}…", &whole[..whole.floor_char_boundary(bytes)])
}

/// A named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name of the input or output.
    pub name: String,
    /// The length along each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of the shape.
    pub data: TensorData,
}

impl Tensor {
    /// Length of the first axis; 1 for a single value without axes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// One of its rows; none when it has no axes, or no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<Self> {
        let (rows, rest) = self.shape.split_first()?;
        let width: usize = rest.iter().product();
        let data = (row < *rows).then(|| self.data.part(row * width..(row + 1) * width))??;
        Some(Self { name: self.name.clone(), shape: std::iter::once(1).chain(rest.iter().copied()).collect(), data })
    }

    /// Its first `rows` rows, each text cut to at most `text` bytes.
    #[must_use]
    pub fn head(&self, rows: usize, text: usize) -> Self {
        let rows = rows.min(self.rows());
        let width = self.data.len().checked_div(self.rows()).unwrap_or(0);
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows;
        }
        Self { name: self.name.clone(), shape, data: self.data.head(rows * width, text) }
    }
}

impl Serialize for Tensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tensor = serializer.serialize_struct("Tensor", 4)?;
        tensor.serialize_field("name", &self.name)?;
        tensor.serialize_field("shape", &self.shape)?;
        tensor.serialize_field("datatype", &self.data.datatype())?;
        tensor.serialize_field("data", &self.data)?;
        tensor.end()
    }
}

/// A tensor that a model takes or gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// The length along each axis; -1 is any.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// Whether a tensor of this shape is one of these.
    #[must_use]
    pub fn takes(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(wanted, given)| *wanted < 0 || usize::try_from(*wanted) == Ok(*given))
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({} {})", self.name, self.datatype, Shape(&self.shape))
    }
}

/// `[2,3]`
pub(super) struct Shape<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Shape<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, length) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{length}")?;
        }
        f.write_str("]")
    }
}

/// The tensors as named columns, each a list with one entry a row: how predictions are recorded and compared.
///
/// A single matrix is taken apart into one column for each of `names`, when there are as many; otherwise its columns are
/// `name[0]`, `name[1]` … A tensor with more axes is one column of nested lists, flattened for each row.
#[must_use]
pub fn columns(tensors: &[Tensor], names: &[String]) -> Map<String, Value> {
    let mut columns = Map::new();
    for tensor in tensors {
        let rows = tensor.rows();
        let width = tensor.data.len().checked_div(rows).unwrap_or(0);
        let cell = |row: usize, at: usize| tensor.data.json_at(row * width + at);
        match tensor.shape.len() {
            0..=2 if width == 1 && !(tensors.len() == 1 && names.len() == 1) => {
                columns.insert(tensor.name.clone(), (0..rows).map(|row| cell(row, 0)).collect());
            }
            2 => {
                let named = tensors.len() == 1 && names.len() == width;
                for at in 0..width {
                    let name = names.get(at).filter(|_| named);
                    let name = name.cloned().unwrap_or_else(|| format!("{}[{at}]", tensor.name));
                    columns.insert(name, (0..rows).map(|row| cell(row, at)).collect());
                }
            }
            _ => {
                let row = |row| (0..width).map(|at| cell(row, at)).collect::<Value>();
                columns.insert(tensor.name.clone(), (0..rows).map(row).collect());
            }
        }
    }
    columns
}
