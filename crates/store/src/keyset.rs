//! Lists in any order, a page at a time: the order of a query, the place of its last row, and the rows after that.
//!
//! Values that are missing come last in both directions, and not-a-number between the numbers and those.

use crate::{Error, Result};
use domain::search::Direction;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};
use uuid::Uuid;

/// Where a row stands in one column of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// It has no value there.
    #[serde(rename = "-")]
    Missing,
    /// Not-a-number.
    #[serde(rename = "n")]
    NotANumber,
    /// A whole number.
    #[serde(rename = "i")]
    Integer(i64),
    /// The bits of a number.
    #[serde(rename = "f")]
    Float(u64),
    /// A text.
    #[serde(rename = "t")]
    Text(String),
    /// An identifier.
    #[serde(rename = "u")]
    Id(Uuid),
}

/// Where a row stands in the order: a mark for each column.
pub type Place = Vec<Mark>;

/// What sort of values a column of an order has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Float,
    Text,
    Id,
}

/// A column of an order.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The SQL expression.
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    pub(crate) direction: Direction,
    /// Whether rows may have no value there.
    pub(crate) nullable: bool,
    /// Whether rows may have not-a-number there.
    pub(crate) not_a_number: bool,
}

impl Column {
    pub(crate) fn new(sql: impl Into<String>, kind: Kind, direction: Direction) -> Self {
        Self { sql: sql.into(), kind, direction, nullable: false, not_a_number: kind == Kind::Float }
    }

    /// The same of rows that have a value there, and a number. Such a column is in the order of an index.
    pub(crate) fn present(mut self) -> Self {
        self.nullable = false;
        self.not_a_number = false;
        self
    }

    pub(crate) fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// Adds the columns to what is selected: `, … as k0, … as k1`.
pub(crate) fn push_columns(query: &mut QueryBuilder<Postgres>, columns: &[Column]) {
    for (index, column) in columns.iter().enumerate() {
        query.push(format_args!(", {} as k{index}", column.sql));
    }
}

/// Adds the order: ` order by …`.
pub(crate) fn push_order(query: &mut QueryBuilder<Postgres>, columns: &[Column]) {
    for (index, Column { sql, direction, nullable, not_a_number, .. }) in columns.iter().enumerate() {
        query.push(if index == 0 { " order by " } else { ", " });
        if *nullable {
            query.push(format_args!("({sql} is null), "));
        }
        if *not_a_number {
            query.push(format_args!("({sql} = 'NaN'), "));
        }
        query.push(format_args!("{sql} {}", direction.as_str()));
    }
}

/// Adds the condition that a row stands after this place: `(…)`.
pub(crate) fn push_after(query: &mut QueryBuilder<Postgres>, columns: &[Column], place: &[Mark]) {
    let (Some((column, columns)), Some((mark, place))) = (columns.split_first(), place.split_first()) else {
        query.push("false");
        return;
    };
    let Column { sql, direction, nullable, .. } = column;
    query.push("(");
    // A bound on the first column alone is one that an index can begin at.
    let bounded = !nullable && !column.not_a_number && !columns.is_empty();
    if bounded {
        query.push(format_args!("{sql} {} ", if *direction == Direction::Asc { ">=" } else { "<=" }));
        push_mark(query, mark);
        query.push(" and (");
    }
    match mark {
        Mark::Missing => _ = query.push("false"),
        Mark::NotANumber => _ = query.push(format_args!("{sql} is null")),
        _ => {
            query.push(format_args!("({sql} {} ", if *direction == Direction::Asc { ">" } else { "<" }));
            push_mark(query, mark);
            // Ascending, not-a-number is greater than every number by itself.
            if column.not_a_number && *direction == Direction::Desc {
                query.push(format_args!(" or {sql} = 'NaN'"));
            }
            if *nullable {
                query.push(format_args!(" or {sql} is null"));
            }
            query.push(")");
        }
    }
    if !columns.is_empty() {
        query.push(" or (");
        match mark {
            Mark::Missing => _ = query.push(format_args!("{sql} is null")),
            Mark::NotANumber => _ = query.push(format_args!("{sql} = 'NaN'")),
            _ => {
                query.push(format_args!("{sql} = "));
                push_mark(query, mark);
            }
        }
        query.push(" and ");
        push_after(query, columns, place);
        query.push(")");
        if bounded {
            query.push(")");
        }
    }
    query.push(")");
}

fn push_mark(query: &mut QueryBuilder<Postgres>, mark: &Mark) {
    match mark {
        Mark::Missing => query.push("null"),
        Mark::NotANumber => query.push("'NaN'"),
        Mark::Integer(number) => query.push_bind(*number),
        Mark::Float(bits) => query.push_bind(f64::from_bits(*bits)),
        Mark::Text(text) => query.push_bind(text.clone()),
        Mark::Id(id) => query.push_bind(*id),
    };
}

/// Whether the place is one of this order.
pub(crate) fn fits(columns: &[Column], place: &[Mark]) -> bool {
    columns.len() == place.len()
        && columns.iter().zip(place).all(|(column, mark)| match mark {
            Mark::Missing => column.nullable,
            Mark::NotANumber | Mark::Float(_) => column.kind == Kind::Float,
            Mark::Integer(_) => column.kind == Kind::Integer,
            Mark::Text(_) => column.kind == Kind::Text,
            Mark::Id(_) => column.kind == Kind::Id,
        })
}

/// Where a row stands, by the columns that [`push_columns`] selected.
pub(crate) fn place(row: &PgRow, columns: &[Column]) -> Result<Place> {
    let mark = |(index, column): (usize, &Column)| {
        let name = format!("k{index}");
        let name = name.as_str();
        let mark = match column.kind {
            Kind::Integer => row.try_get::<Option<i64>, _>(name)?.map(Mark::Integer),
            Kind::Float => row.try_get::<Option<f64>, _>(name)?.map(|number| match number.is_nan() {
                true => Mark::NotANumber,
                false => Mark::Float(number.to_bits()),
            }),
            Kind::Text => row.try_get::<Option<String>, _>(name)?.map(Mark::Text),
            Kind::Id => row.try_get::<Option<Uuid>, _>(name)?.map(Mark::Id),
        };
        Ok(mark.unwrap_or(Mark::Missing))
    };
    columns.iter().enumerate().map(mark).collect()
}

/// A page of a list: up to `limit` rows, each with its place, and whether there are more.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// Where the next page begins after; none on the last page.
    pub next: Option<Place>,
}

impl<T> Found<T> {
    /// The page with other rows, one for each.
    pub fn with<U>(self, items: Vec<U>) -> Found<U> {
        Found { items, next: self.next }
    }
}

/// Some rows of a list.
#[derive(Debug)]
pub(crate) struct Part<T> {
    /// The rows, in order.
    pub(crate) items: Vec<T>,
    /// Where the last of them stands.
    pub(crate) last: Option<Place>,
    /// Whether there are more after it.
    pub(crate) has_more: bool,
}

/// Runs a query that selects the order's columns, for the page of `limit` rows after `after`. `start` has the query up
/// to and with its `where` conditions.
pub(crate) async fn page<T>(
    conn: &mut sqlx::PgConnection,
    start: QueryBuilder<Postgres>,
    columns: &[Column],
    after: Option<&[Mark]>,
    limit: i64,
    read: impl Fn(&PgRow) -> Result<T>,
) -> Result<Found<T>> {
    if after.is_some_and(|after| !fits(columns, after)) {
        return Err(Error::ForeignPlace);
    }
    let part = part(conn, start, columns, after, limit, read).await?;
    Ok(Found { items: part.items, next: part.last.filter(|_| part.has_more) })
}

/// The same for a place that [`fits`], and telling where the last row stands also when there are no more.
pub(crate) async fn part<T>(
    conn: &mut sqlx::PgConnection,
    mut start: QueryBuilder<Postgres>,
    columns: &[Column],
    after: Option<&[Mark]>,
    limit: i64,
    read: impl Fn(&PgRow) -> Result<T>,
) -> Result<Part<T>> {
    if let Some(after) = after {
        start.push(" and ");
        push_after(&mut start, columns, after);
    }
    push_order(&mut start, columns);
    start.push(" limit ").push_bind(limit + 1);
    let mut rows = start.build().fetch_all(conn).await?;
    let has_more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or_default());
    let last = rows.last().map(|last| place(last, columns)).transpose()?;
    Ok(Part { items: rows.iter().map(read).collect::<Result<_>>()?, last, has_more })
}
