//! Orders: which value to sort by first, which then.

use super::{
    MAX_ORDER, ParseError,
    parser::{Operand, Parser, check_text, shorten},
    scanner::{Problem, Token},
};
use std::fmt;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Small to large.
    Asc,
    /// Large to small.
    Desc,
}

impl Direction {
    /// As it is written, here and in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "ASC",
            Self::Desc => "DESC",
        }
    }
}

/// One key to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy<K> {
    /// Which value.
    pub key: K,
    /// Which way.
    pub direction: Direction,
}

impl<K: fmt::Display> fmt::Display for OrderBy<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.direction.as_str())
    }
}

/// What objects of one kind can be sorted by.
pub(super) trait OrderKey: Sized + PartialEq {
    /// The objects, in the plural.
    const SUBJECT: &'static str;

    /// The value that an entry names.
    fn read(operand: &Operand) -> Result<Self, Problem>;

    /// The order of objects when nobody asks for one.
    fn default_order() -> Vec<OrderBy<Self>> {
        Self::tie_break()
    }

    /// What comes last, so that no two objects are equal. Keys that are there already are left out.
    fn tie_break() -> Vec<OrderBy<Self>>;
}

/// Reads the entries and completes them.
pub(super) fn order<K: OrderKey>(entries: &[impl AsRef<str>]) -> Result<Vec<OrderBy<K>>, ParseError> {
    if entries.is_empty() {
        return Ok(complete(K::default_order(), K::tie_break()));
    }
    if entries.len() > MAX_ORDER {
        return Err(ParseError {
            message: format!("{} cannot be ordered by {} values; at most {MAX_ORDER}", K::SUBJECT, entries.len()),
            position: 0,
            expected: format!("at most {MAX_ORDER} entries"),
        });
    }
    let mut order: Vec<OrderBy<K>> = Vec::with_capacity(entries.len() + 2);
    for entry in entries {
        let mut parser = Parser::new(entry.as_ref());
        let read = read(&mut parser, entry.as_ref(), &order);
        order.push(read.map_err(|problem| parser.explain(problem, K::SUBJECT, "ordered"))?);
    }
    Ok(complete(order, K::tie_break()))
}

/// The order and, of the keys that make it total, those that it has not.
pub(super) fn complete<K: PartialEq>(mut order: Vec<OrderBy<K>>, tie_break: Vec<OrderBy<K>>) -> Vec<OrderBy<K>> {
    for last in tie_break {
        if order.iter().all(|by| by.key != last.key) {
            order.push(last);
        }
    }
    order
}

fn read<K: OrderKey>(parser: &mut Parser<'_>, entry: &str, before: &[OrderBy<K>]) -> Result<OrderBy<K>, Problem> {
    const MAX_ENTRY: usize = 2048;
    check_text(entry, MAX_ENTRY)?;
    let first = parser.scanner.next()?;
    let operand = parser.operand(first, "what to order by, such as name DESC")?;
    let key = K::read(&operand)?;
    if before.iter().any(|by| by.key == key) {
        return Err(operand.refuse(&format!("{} is named twice", shorten(&operand.key)), "each value once"));
    }
    let next = parser.scanner.peek()?;
    let direction = match next.is("DESC") {
        true => Direction::Desc,
        false => Direction::Asc,
    };
    if direction == Direction::Desc || next.is("ASC") {
        parser.scanner.next()?;
        parser.end("the end")?;
    } else if next.token != Token::End {
        parser.end("ASC, DESC or the end")?;
    }
    Ok(OrderBy { key, direction })
}
