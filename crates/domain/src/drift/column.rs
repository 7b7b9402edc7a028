//! The values of a feature on one side of a comparison, and of which kind they are.
//!
//! The two sides come from different places: a file that somebody wrote with pandas, and requests that a model took. The
//! kind is settled once, by what was recorded and the version's signature ([`Column::recorded`]); the file is then read as
//! that kind. `True`, `true` and `1` are one value where the kind is boolean or a number; `007` is a name where it is text.

use serde_json::Value;

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Names.
    Text,
}

impl Kind {
    /// The kind of a type as MLflow's signatures write it: `long`, `tensor(float32)`. None for a date, bytes and the like.
    #[must_use]
    pub fn of_dtype(dtype: &str) -> Option<Self> {
        let dtype = dtype.strip_prefix("tensor(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(dtype);
        match dtype {
            "boolean" | "bool" => Some(Self::Boolean),
            "integer" | "long" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" => {
                Some(Self::Integer)
            }
            "float" | "double" | "float16" | "float32" | "float64" => Some(Self::Real),
            "string" | "str" | "object" => Some(Self::Text),
            _ => None,
        }
    }

    /// The kind of values as they were recorded: every type of tensor has a form of its own in JSON. None when no value is
    /// there.
    fn of_json(cells: &[Value]) -> Option<Self> {
        let kinds = cells.iter().filter_map(|cell| match cell {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) => Some(if number.is_f64() { Self::Real } else { Self::Integer }),
            Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Self::Text),
        });
        kinds.reduce(|one, other| match (one, other) {
            (one, other) if one == other => one,
            (Self::Integer | Self::Real, Self::Integer | Self::Real) => Self::Real,
            _ => Self::Text,
        })
    }

    /// Whether its values are numbers; booleans are 0 and 1.
    fn is_number(self) -> bool {
        self != Self::Text
    }

    /// The value as a number of this kind; none when it is not one.
    fn number(self, cell: Cell<'_>) -> Option<f64> {
        let number = match cell {
            Cell::Boolean(value) => f64::from(u8::from(value)),
            Cell::Number(number) => number,
            Cell::Text(text) => match text.trim() {
                word if word.eq_ignore_ascii_case("true") => 1.0,
                word if word.eq_ignore_ascii_case("false") => 0.0,
                number => number.parse().ok()?,
            },
        };
        let fits = self != Self::Boolean || number == 0.0 || number == 1.0 || number.is_nan();
        fits.then_some(number)
    }
}

/// One value as a file or a request has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// A value of JSON; none for `null`, and for a list or an object, which is no single value.
    #[must_use]
    pub fn of_json(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Boolean(*value)),
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) => Some(Self::Text(text)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The values of one feature on one side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    kind: Kind,
    pub(super) values: Values,
    nulls: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Finite ones.
    Numbers(Vec<f64>),
    Names(Vec<String>),
    /// So many, one of which is not of the kind that the column was to have.
    Unlike(u64),
}

impl Column {
    /// A column of this kind without values.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let values = if kind.is_number() { Values::Numbers(Vec::new()) } else { Values::Names(Vec::new()) };
        Self { kind, values, nulls: 0 }
    }

    /// A column of these values, read as this kind; none is missing.
    pub fn of<'a>(kind: Kind, cells: impl IntoIterator<Item = Option<Cell<'a>>>) -> Self {
        let mut column = Self::new(kind);
        cells.into_iter().for_each(|cell| column.push(cell));
        column
    }

    /// A column of recorded values. Their own kind is refined by the signature's: to the model, a table's column of
    /// true and false may be one of an FP32 matrix. A signature that does not fit the values means nothing.
    #[must_use]
    pub fn recorded(cells: &[Value], signature: Option<Kind>) -> Self {
        let read = |kind| Self::of(kind, cells.iter().map(Cell::of_json));
        let recorded = Kind::of_json(cells).or(signature).unwrap_or(Kind::Text);
        let refined = signature
            .filter(|kind| *kind != recorded && kind.is_number() && matches!(recorded, Kind::Integer | Kind::Real));
        refined.map(read).filter(Self::fits).unwrap_or_else(|| read(recorded))
    }

    /// Adds a value. None is missing, and so is a number that is not finite.
    pub fn push(&mut self, cell: Option<Cell<'_>>) {
        let Some(cell) = cell else {
            self.nulls += 1;
            return;
        };
        match &mut self.values {
            Values::Numbers(numbers) => match self.kind.number(cell) {
                Some(number) if number.is_finite() => numbers.push(number),
                Some(_) => self.nulls += 1,
                None => self.values = Values::Unlike(numbers.len() as u64 + 1),
            },
            Values::Names(names) => names.push(match cell {
                Cell::Boolean(value) => value.to_string(),
                Cell::Number(number) => number.to_string(),
                Cell::Text(text) => text.to_owned(),
            }),
            Values::Unlike(count) => *count += 1,
        }
    }

    /// What its values are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many values are there.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match &self.values {
            Values::Numbers(numbers) => numbers.len() as u64,
            Values::Names(names) => names.len() as u64,
            Values::Unlike(count) => *count,
        }
    }

    /// How many are missing.
    #[must_use]
    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    /// Whether every value is of its kind.
    fn fits(&self) -> bool {
        match &self.values {
            Values::Numbers(numbers) => {
                self.kind != Kind::Integer || numbers.iter().all(|number| number.fract() == 0.0)
            }
            Values::Names(_) => true,
            Values::Unlike(_) => false,
        }
    }
}
