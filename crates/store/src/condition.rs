//! Filters of the search language as SQL conditions. Every value is bound.

use domain::search::{Filter, IntegerTest, Keyed, NumberOp, NumberTest, TextTest};
use sqlx::{Postgres, QueryBuilder};

/// Adds a filter; `clause` adds one comparison, which must be true or false and never null.
pub(crate) fn push<C>(
    query: &mut QueryBuilder<Postgres>,
    filter: &Filter<C>,
    clause: &impl Fn(&mut QueryBuilder<Postgres>, &C),
) {
    let (parts, between) = match filter {
        Filter::Is(comparison) => return clause(query, comparison),
        Filter::Not(part) => {
            query.push("not ");
            return push(query, part, clause);
        }
        Filter::And(parts) => (parts, " and "),
        Filter::Or(parts) => (parts, " or "),
    };
    query.push("(");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            query.push(between);
        }
        push(query, part, clause);
    }
    query.push(")");
}

/// Adds a comparison of a tag, which may be missing; `of` names the table of tags as `t`, and whose they are.
pub(crate) fn push_tag(query: &mut QueryBuilder<Postgres>, of: &'static str, key: &str, test: &Keyed<TextTest>) {
    if *test == Keyed::Absent {
        query.push("not ");
    }
    query.push("exists (select from ").push(of).push(" and t.key = ").push_bind(key.to_owned());
    if let Keyed::Is(test) = test {
        query.push(" and ");
        push_text(query, "t.value", test);
    }
    query.push(")");
}

/// Adds a comparison of a text that is never null: `(…)`.
pub(crate) fn push_text(query: &mut QueryBuilder<Postgres>, sql: &str, test: &TextTest) {
    // Letters of all scripts have two cases only in a collation that knows scripts.
    let (open, value) = match test {
        TextTest::Eq(text) => (format!("({sql} = "), text),
        TextTest::Ne(text) => (format!("({sql} <> "), text),
        TextTest::Like(pattern) => return push_like(query, &format!("({sql} like "), pattern.as_str()),
        TextTest::NotLike(pattern) => return push_like(query, &format!("({sql} not like "), pattern.as_str()),
        TextTest::ILike(pattern) => {
            return push_like(query, &format!("({sql} collate \"default\" ilike "), pattern.as_str());
        }
        TextTest::NotILike(pattern) => {
            return push_like(query, &format!("({sql} collate \"default\" not ilike "), pattern.as_str());
        }
        TextTest::In(values) => {
            query.push(format_args!("({sql} = any(")).push_bind(values.to_vec()).push("))");
            return;
        }
        TextTest::NotIn(values) => {
            query.push(format_args!("({sql} <> all(")).push_bind(values.to_vec()).push("))");
            return;
        }
    };
    query.push(open).push_bind(value.clone()).push(")");
}

fn push_like(query: &mut QueryBuilder<Postgres>, open: &str, pattern: &str) {
    query.push(open).push_bind(pattern.to_owned()).push(")");
}

/// Adds a comparison of a text that may be null, which then matches nothing.
pub(crate) fn push_nullable_text(query: &mut QueryBuilder<Postgres>, sql: &str, test: &TextTest) {
    query.push(format_args!("({sql} is not null and "));
    push_text(query, sql, test);
    query.push(")");
}

/// Adds a comparison of a number. Not-a-number matches `!=` alone.
pub(crate) fn push_number(query: &mut QueryBuilder<Postgres>, sql: &str, test: &NumberTest) {
    query.push(format_args!("({sql} {} ", test.op)).push_bind(test.value.get());
    // The database takes not-a-number for greater than every number.
    if matches!(test.op, NumberOp::Gt | NumberOp::Ge) {
        query.push(format_args!(" and {sql} <> 'NaN'"));
    }
    query.push(")");
}

/// Adds a comparison of a whole number that is never null.
pub(crate) fn push_integer(query: &mut QueryBuilder<Postgres>, sql: &str, test: &IntegerTest) {
    query.push(format_args!("({sql} {} ", test.op)).push_bind(test.value).push(")");
}
