//! Finding runs.

use super::RunKey;
use crate::{
    Result, condition,
    experiment::push_view,
    keyset::{self, Column, Found, Kind, Mark},
};
use domain::{
    experiment::ViewType,
    id::{ExperimentId, RunId, WorkspaceId},
    search::{DatasetField, Keyed, OrderBy, RunClause, RunFilter, RunOrderKey, RunText, RunTime, TextTest},
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

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

/// The most characters of a param or tag that count in an order: what comes after them makes no difference to a reader,
/// and page tokens stay short.
const SORTED_CHARACTERS: usize = 250;

const ARTIFACT_URI: &str =
    "('mlflow-artifacts:/' || r.experiment_id || '/' || replace(r.id::text, '-', '') || '/artifacts')";

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
    fn push_joins(&self, query: &mut QueryBuilder<Postgres>) {
        for (index, by) in self.order.iter().enumerate() {
            let (table, key) = match &by.key {
                RunOrderKey::Metric(key) => {
                    query.push(format_args!(
                        " left join latest_metrics o{index} on o{index}.run_key = r.key
                          and o{index}.metric_id = (select id from metric_keys where name = "
                    ));
                    query.push_bind(key.clone()).push(")");
                    continue;
                }
                RunOrderKey::Param(key) => ("params", key),
                RunOrderKey::Tag(key) => ("run_tags", key),
                RunOrderKey::Text(_) | RunOrderKey::Time(_) => continue,
            };
            query.push(format_args!(" left join {table} o{index} on o{index}.run_key = r.key and o{index}.key = "));
            query.push_bind(key.clone());
        }
    }

    fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        // With one experiment, its index gives the usual order for nothing.
        match self.experiments[..] {
            [only] => query.push(" where r.experiment_id = ").push_bind(only),
            _ => query.push(" where r.experiment_id = any(").push_bind(self.experiments.clone()).push(")"),
        };
        query.push(" and r.workspace_id = ").push_bind(self.workspace);
        push_view(query, "r.lifecycle_stage", self.view);
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &push_clause);
        }
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

fn push_clause(query: &mut QueryBuilder<Postgres>, clause: &RunClause) {
    match clause {
        RunClause::Metric { key, test } => {
            query.push(match test {
                Keyed::Absent => "not exists (",
                Keyed::Present | Keyed::Is(_) => "exists (",
            });
            query.push(
                "select from latest_metrics m
                 where m.run_key = r.key and m.metric_id = (select id from metric_keys where name = ",
            );
            query.push_bind(key.clone()).push(")");
            if let Keyed::Is(test) = test {
                query.push(" and ");
                condition::push_number(query, "m.value", test);
            }
            query.push(")");
        }
        RunClause::Param { key, test } => push_keyed(query, "params", key, test),
        RunClause::Tag { key, test } => push_keyed(query, "run_tags", key, test),
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

fn push_keyed(query: &mut QueryBuilder<Postgres>, table: &str, key: &str, test: &Keyed<TextTest>) {
    if *test == Keyed::Absent {
        query.push("not ");
    }
    query.push(format_args!("exists (select from {table} t where t.run_key = r.key and t.key = "));
    query.push_bind(key.to_owned());
    if let Keyed::Is(test) = test {
        query.push(" and ");
        condition::push_text(query, "t.value", test);
    }
    query.push(")");
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

/// A page of runs: their keys.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<RunKey>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new("select r.key");
    keyset::push_columns(&mut query, &columns);
    query.push(" from runs r");
    search.push_joins(&mut query);
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| Ok(row.try_get("key")?)).await
}

/// How many runs there are.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, search: &Search) -> Result<i64> {
    let mut query = QueryBuilder::new("select count(*) from runs r");
    search.push_where(&mut query);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}
