//! Finding runs.

use super::{
    Stamp,
    key::{self, KeyId, NamedKey},
};
use crate::{
    Error, Result, condition,
    experiment::push_view,
    keyset::{self, Column, Found, Kind, Mark, Part},
};
use domain::{
    experiment::ViewType,
    id::{ExperimentId, RunId, WorkspaceId},
    log_key::KeyKind,
    run_table::SORTED_CHARACTERS,
    search::{DatasetField, Keyed, OrderBy, RunClause, RunFilter, RunOrderKey, RunText, RunTime, TextTest},
};
use sqlx::{FromRow as _, PgConnection, Postgres, QueryBuilder};
use std::collections::{BTreeSet, HashMap};

/// Which runs are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where.
    pub workspace: WorkspaceId,
    /// Runs of these experiments.
    pub experiments: Vec<ExperimentId>,
    /// In use, put away, or both.
    pub view: ViewType,
    /// Only those of which this holds.
    pub filter: Option<RunFilter>,
    /// A complete order, as the functions of `domain::search` make it.
    pub order: Vec<OrderBy<RunOrderKey>>,
}

/// From so many runs on they are gone through in the order of an index; fewer are all looked at and sorted.
const MANY: i64 = if cfg!(test) { 40 } else { 5000 };

const ARTIFACT_URI: &str =
    "('mlflow-artifacts:/' || r.experiment_id || '/' || replace(r.id::text, '-', '') || '/artifacts')";

/// Which of the runs a statement is about: an order by what not every run has is asked for in two stretches, so that an
/// index can give the first in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// All of them.
    All,
    /// Those that have what the order begins with; if it is a metric, a number.
    Present,
    /// The others.
    Rest,
}

impl Stretch {
    /// The stretches of an order, one after the other.
    fn of(order: &[OrderBy<RunOrderKey>]) -> &'static [Self] {
        match order.first().and_then(|by| order_key(&by.key)) {
            Some(_) => &[Self::Present, Self::Rest],
            None => &[Self::All],
        }
    }

    /// Whether a run with this mark in the first column is one of these.
    fn holds(self, first: &Mark) -> bool {
        match self {
            Self::All => true,
            Self::Present => !matches!(first, Mark::NotANumber | Mark::Missing),
            Self::Rest => matches!(first, Mark::NotANumber | Mark::Missing),
        }
    }
}

/// The numbers of the keys that a search names, in its experiments.
pub(super) struct Keys<'a>(HashMap<NamedKey<'a>, Vec<KeyId>>);

impl<'a> Keys<'a> {
    pub(super) async fn of(conn: &mut PgConnection, search: &'a Search) -> Result<Self> {
        let mut named: BTreeSet<NamedKey<'a>> = search.order.iter().filter_map(|by| order_key(&by.key)).collect();
        if let Some(filter) = &search.filter {
            named.extend(filter.comparisons().into_iter().filter_map(clause_key));
        }
        let named: Vec<NamedKey<'a>> = named.into_iter().collect();
        Ok(Self(key::known(conn, &search.experiments, &named).await?))
    }

    /// Adds the condition that a column has one of the numbers of a key.
    fn push(&self, query: &mut QueryBuilder<Postgres>, column: &str, key: NamedKey<'_>) {
        match self.0.get(&key).map(Vec::as_slice) {
            None | Some([]) => query.push("false"),
            Some([only]) => query.push(format_args!("{column} = ")).push_bind(*only),
            Some(several) => query.push(format_args!("{column} = any(")).push_bind(several.to_vec()).push(")"),
        };
    }
}

/// The key that an order is by.
fn order_key(key: &RunOrderKey) -> Option<NamedKey<'_>> {
    match key {
        RunOrderKey::Metric(name) => Some((KeyKind::Metric, name)),
        RunOrderKey::Param(name) => Some((KeyKind::Param, name)),
        RunOrderKey::Tag(name) => Some((KeyKind::Tag, name)),
        RunOrderKey::Text(_) | RunOrderKey::Time(_) => None,
    }
}

/// The key that a comparison is of.
fn clause_key(clause: &RunClause) -> Option<NamedKey<'_>> {
    match clause {
        RunClause::Metric { key, .. } => Some((KeyKind::Metric, key)),
        RunClause::Param { key, .. } => Some((KeyKind::Param, key)),
        RunClause::Tag { key, .. } => Some((KeyKind::Tag, key)),
        RunClause::Text { .. } | RunClause::Time { .. } | RunClause::Dataset { .. } => None,
    }
}

impl Search {
    fn columns(&self) -> Vec<Column> {
        let column = |(index, by): (usize, &OrderBy<RunOrderKey>)| {
            let direction = by.direction;
            let value = || format!("left(o{index}.value, {SORTED_CHARACTERS})");
            match &by.key {
                RunOrderKey::Metric(_) => Column::new(format!("o{index}.value"), Kind::Float, direction).nullable(),
                RunOrderKey::Param(_) | RunOrderKey::Tag(_) => Column::new(value(), Kind::Text, direction).nullable(),
                // Digits sort as the bytes they stand for.
                RunOrderKey::Text(RunText::RunId) => Column::new("r.id", Kind::Id, direction),
                RunOrderKey::Text(text) => Column::new(text_column(*text), Kind::Text, direction),
                RunOrderKey::Time(RunTime::Start) => Column::new("r.start_time", Kind::Integer, direction),
                RunOrderKey::Time(RunTime::End) => Column::new("r.end_time", Kind::Integer, direction).nullable(),
            }
        };
        self.order.iter().enumerate().map(column).collect()
    }

    /// Adds what the order needs of other tables.
    fn push_joins(&self, query: &mut QueryBuilder<Postgres>, keys: &Keys<'_>, stretch: Stretch) {
        for (index, by) in self.order.iter().enumerate() {
            let Some(key) = order_key(&by.key) else { continue };
            let join = if index == 0 && stretch == Stretch::Present { "join" } else { "left join" };
            query.push(format_args!(" {join} {} o{index} on o{index}.run_key = r.key and ", key::table(key.0)));
            keys.push(query, &format!("o{index}.key_id"), key);
        }
    }

    pub(super) fn push_where(&self, query: &mut QueryBuilder<Postgres>, keys: &Keys<'_>, stretch: Stretch) {
        // With one experiment, its index gives the usual order for nothing.
        match self.experiments[..] {
            [only] => query.push(" where r.experiment_id = ").push_bind(only),
            _ => query.push(" where r.experiment_id = any(").push_bind(self.experiments.clone()).push(")"),
        };
        query.push(" and r.workspace_id = ").push_bind(self.workspace);
        push_view(query, "r.lifecycle_stage", self.view);
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &|query: &mut QueryBuilder<Postgres>, clause: &RunClause| {
                push_clause(query, keys, clause);
            });
        }
        let is_metric = matches!(self.order.first().map(|by| &by.key), Some(RunOrderKey::Metric(_)));
        match (stretch, is_metric) {
            (Stretch::Present, true) => query.push(" and o0.value < 'NaN'"),
            (Stretch::Rest, true) => query.push(" and (o0.value is null or o0.value = 'NaN')"),
            (Stretch::Rest, false) => query.push(" and o0.value is null"),
            _ => query,
        };
    }

    /// Some of one stretch.
    async fn part(
        &self,
        conn: &mut PgConnection,
        keys: &Keys<'_>,
        stretch: Stretch,
        after: Option<&[Mark]>,
        limit: i64,
    ) -> Result<Part<Stamp>> {
        let mut columns = self.columns();
        if stretch == Stretch::Present {
            columns[0] = columns[0].clone().present();
        }
        let mut query = QueryBuilder::new("select r.key, r.version");
        keyset::push_columns(&mut query, &columns);
        query.push(" from runs r");
        self.push_joins(&mut query, keys, stretch);
        self.push_where(&mut query, keys, stretch);
        keyset::part(conn, query, &columns, after, limit, |row| Ok(Stamp::from_row(row)?)).await
    }
}

fn text_column(text: RunText) -> &'static str {
    match text {
        RunText::RunId => "replace(r.id::text, '-', '')",
        RunText::RunName => "r.name",
        RunText::UserId => "r.user_name",
        RunText::Status => "r.status",
        RunText::ArtifactUri => ARTIFACT_URI,
    }
}

fn push_clause(query: &mut QueryBuilder<Postgres>, keys: &Keys<'_>, clause: &RunClause) {
    match clause {
        RunClause::Metric { key, test } => {
            push_keyed(query, keys, (KeyKind::Metric, key), test, |query, test| {
                condition::push_number(query, "l.value", test);
            });
        }
        RunClause::Param { key, test } => push_keyed(query, keys, (KeyKind::Param, key), test, push_value),
        RunClause::Tag { key, test } => push_keyed(query, keys, (KeyKind::Tag, key), test, push_value),
        RunClause::Text { attribute: RunText::RunId, test } => push_id(query, test),
        RunClause::Text { attribute, test } => condition::push_text(query, text_column(*attribute), test),
        RunClause::Time { attribute: RunTime::Start, test } => condition::push_integer(query, "r.start_time", test),
        RunClause::Time { attribute: RunTime::End, test } => {
            query.push("(r.end_time is not null and ");
            condition::push_integer(query, "r.end_time", test);
            query.push(")");
        }
        RunClause::Dataset { field, test } => {
            query.push(
                "exists (select from run_datasets i join datasets d on d.id = i.dataset_id
                 where i.run_key = r.key and ",
            );
            match field {
                DatasetField::Name => condition::push_text(query, "d.name", test),
                DatasetField::Digest => condition::push_text(query, "d.digest", test),
                DatasetField::Context => {
                    condition::push_nullable_text(query, "(i.tags ->> 'mlflow.data.context')", test);
                }
            }
            query.push(")");
        }
    }
}

/// Adds a comparison of what is logged under a key; `push` adds that of its value.
fn push_keyed<T: PartialEq>(
    query: &mut QueryBuilder<Postgres>,
    keys: &Keys<'_>,
    key: NamedKey<'_>,
    test: &Keyed<T>,
    push: impl Fn(&mut QueryBuilder<Postgres>, &T),
) {
    if *test == Keyed::Absent {
        query.push("not ");
    }
    query.push(format_args!("exists (select from {} l where l.run_key = r.key and ", key::table(key.0)));
    keys.push(query, "l.key_id", key);
    if let Keyed::Is(test) = test {
        query.push(" and ");
        push(query, test);
    }
    query.push(")");
}

/// A comparison of a param's or tag's value, by the index when whole values are meant.
fn push_value(query: &mut QueryBuilder<Postgres>, test: &TextTest) {
    let start = |text: &String| text.chars().take(SORTED_CHARACTERS).collect::<String>();
    let (starts, is_long) = match test {
        TextTest::Eq(text) => (vec![start(text)], text.len() >= SORTED_CHARACTERS),
        TextTest::In(values) => {
            (values.iter().map(start).collect(), values.iter().any(|text| text.len() >= SORTED_CHARACTERS))
        }
        test => return condition::push_text(query, "l.value", test),
    };
    query.push(format_args!("left(l.value, {SORTED_CHARACTERS}) "));
    match &starts[..] {
        [only] => query.push("= ").push_bind(only.clone()),
        _ => query.push("= any(").push_bind(starts).push(")"),
    };
    // What is shorter is its own start. Said twice, the database would take it for twice as rare.
    if is_long {
        query.push(" and ");
        condition::push_text(query, "l.value", test);
    }
}

/// A comparison of the run's id, by the index when whole ids are meant.
fn push_id(query: &mut QueryBuilder<Postgres>, test: &TextTest) {
    let id = |text: &String| text.parse::<RunId>().ok().filter(|id| id.simple() == *text);
    let ids = match test {
        TextTest::Eq(text) => id(text).into_iter().collect::<Vec<_>>(),
        TextTest::In(values) => values.iter().filter_map(id).collect(),
        test => return condition::push_text(query, text_column(RunText::RunId), test),
    };
    query.push("r.id = any(").push_bind(ids).push(")");
}

/// A page of runs: their keys and versions.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<Stamp>> {
    if after.is_some_and(|after| !keyset::fits(&search.columns(), after)) {
        return Err(Error::ForeignPlace);
    }
    let keys = Keys::of(conn, search).await?;
    let stretches: &[Stretch] = match Stretch::of(&search.order) {
        [_, _] if !has_many(conn, &search.experiments).await? => &[Stretch::All],
        stretches => stretches,
    };
    let (mut items, mut last) = (Vec::new(), None);
    let mut after = after;
    for stretch in stretches {
        if after.is_some_and(|after| !stretch.holds(&after[0])) {
            continue;
        }
        let part = search.part(conn, &keys, *stretch, after.take(), limit - items.len() as i64).await?;
        items.extend(part.items);
        last = part.last.or(last);
        if part.has_more {
            return Ok(Found { items, next: last });
        }
    }
    Ok(Found { items, next: None })
}

/// Whether there are so many runs that it is worth going through them in the order of an index.
async fn has_many(conn: &mut PgConnection, experiments: &[ExperimentId]) -> Result<bool> {
    Ok(sqlx::query_scalar("select count(*) = $2 from (select from runs where experiment_id = any($1) limit $2) as r")
        .bind(experiments)
        .bind(MANY)
        .fetch_one(conn)
        .await?)
}

/// How many runs there are.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, search: &Search) -> Result<i64> {
    let keys = Keys::of(conn, search).await?;
    let mut query = QueryBuilder::new("select count(*) from runs r");
    search.push_where(&mut query, &keys, Stretch::All);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}
