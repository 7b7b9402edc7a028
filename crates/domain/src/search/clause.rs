//! The parts that filters of all objects are made of.

use std::{fmt, ops::Deref};

/// A condition, made of comparisons `C` of one kind of object. What the parser returns has two or more parts in each
/// `And` and `Or`, and nests at most [`super::MAX_DEPTH`] deep.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter<C> {
    /// All of these hold.
    And(Vec<Self>),
    /// One or more of these hold.
    Or(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// This comparison holds.
    Is(C),
}

impl<C> Filter<C> {
    /// Both conditions hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), one) => {
                all.push(one);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Its comparisons, wherever they stand.
    #[must_use]
    pub fn comparisons(&self) -> Vec<&C> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::comparisons).collect(),
            Self::Not(part) => part.comparisons(),
            Self::Is(comparison) => vec![comparison],
        }
    }
}

/// A number that is neither infinite nor not-a-number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Finite(f64);

impl Finite {
    /// The number; infinities become the largest finite ones, as with the metrics that are kept. Nothing for
    /// not-a-number.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        (!number.is_nan()).then(|| Self(number.clamp(f64::MIN, f64::MAX)))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl NumberOp {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    /// As it is written, here and in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// A comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberTest {
    /// How.
    pub op: NumberOp,
    /// With what.
    pub value: Finite,
}

/// A comparison with a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerTest {
    /// How.
    pub op: NumberOp,
    /// With what.
    pub value: i64,
}

/// A comparison with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// Is this text.
    Eq(String),
    /// Is another text.
    Ne(String),
    /// Has this form.
    Like(Pattern),
    /// Has another form.
    NotLike(Pattern),
    /// Has this form in any case.
    ILike(Pattern),
    /// Has another form in any case.
    NotILike(Pattern),
    /// Is one of these.
    In(Values<String>),
    /// Is none of these.
    NotIn(Values<String>),
}

/// A question about something that an object has under a key, or has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed<T> {
    /// `IS NOT NULL`: it has it.
    Present,
    /// `IS NULL`: it has it not.
    Absent,
    /// It has it, and it is so.
    Is(T),
}

/// A pattern for `LIKE`. It does not end inside an escape, so that Postgres takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern, unless it ends with a backslash that escapes nothing.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let trailing = text.chars().rev().take_while(|c| *c == '\\').count();
        (trailing % 2 == 0).then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One value or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values<T>(Vec<T>);

impl<T> Values<T> {
    /// The values, if there is one.
    #[must_use]
    pub fn new(values: Vec<T>) -> Option<Self> {
        (!values.is_empty()).then_some(Self(values))
    }
}

impl<T> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// A comparison of an attribute of a known set of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<T> {
    /// It is one of these values, or none of them.
    OneOf(OneOf<T>),
    /// The name of its value has this form.
    Like(PatternTest),
}

/// `LIKE`, `ILIKE` and what `NOT` makes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternTest {
    /// Whether the text has another form, rather than this.
    pub negated: bool,
    /// Whether upper and lower case are the same.
    pub any_case: bool,
    /// The form.
    pub pattern: Pattern,
}

/// `=`, `!=`, `IN` and `NOT IN` on an attribute of a known set of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf<T> {
    /// Whether it is none of the values, rather than one.
    pub negated: bool,
    /// The values.
    pub values: Values<T>,
}

impl fmt::Display for NumberOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
