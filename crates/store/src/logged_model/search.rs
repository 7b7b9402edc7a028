//! Finding logged models.

use crate::{
    Result, condition,
    keyset::{self, Column, Found, Kind, Mark},
};
use domain::{
    id::{ExperimentId, LoggedModelId, WorkspaceId},
    search::{
        Choice, DatasetRef, Keyed, LoggedModelAttribute, LoggedModelClause, LoggedModelFilter, LoggedModelOrderKey,
        LoggedModelText, LoggedModelTime, OrderBy, PatternTest, TextTest,
    },
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

/// Which models are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where.
    pub workspace: WorkspaceId,
    /// Models of these experiments.
    pub experiments: Vec<ExperimentId>,
    /// Only those of which this holds.
    pub filter: Option<LoggedModelFilter>,
    /// Metrics in the filter were measured on one of these; on anything when there are none. Without metrics in the filter,
    /// only models of which something was measured on one of these.
    pub datasets: Vec<DatasetRef>,
    /// A complete order, as `domain::search::logged_model_order` makes it.
    pub order: Vec<OrderBy<LoggedModelOrderKey>>,
}

impl Search {
    fn columns(&self) -> Vec<Column> {
        use LoggedModelAttribute as A;
        let column = |(index, by): (usize, &OrderBy<LoggedModelOrderKey>)| {
            let direction = by.direction;
            match &by.key {
                LoggedModelOrderKey::Metric { .. } => {
                    Column::new(format!("o{index}.value"), Kind::Float, direction).nullable()
                }
                LoggedModelOrderKey::Attribute(A::Status) => {
                    Column::new("m.status collate \"C\"", Kind::Text, direction)
                }
                LoggedModelOrderKey::Attribute(A::Time(time)) => {
                    Column::new(time_column(*time), Kind::Integer, direction)
                }
                LoggedModelOrderKey::Attribute(A::Text(LoggedModelText::ModelId)) => {
                    Column::new("m.id", Kind::Id, direction)
                }
                LoggedModelOrderKey::Attribute(A::Experiment) => {
                    Column::new("m.experiment_id", Kind::Integer, direction)
                }
                // Digits and words of ours: by their bytes.
                LoggedModelOrderKey::Attribute(A::Text(
                    text @ (LoggedModelText::SourceRunId
                    | LoggedModelText::ArtifactLocation
                    | LoggedModelText::LifecycleStage),
                )) => Column::new(format!("{} collate \"C\"", text_column(*text)), Kind::Text, direction),
                LoggedModelOrderKey::Attribute(A::Text(text @ LoggedModelText::StatusMessage)) => {
                    Column::new(text_column(*text), Kind::Text, direction).nullable()
                }
                LoggedModelOrderKey::Attribute(A::Text(text)) => Column::new(text_column(*text), Kind::Text, direction),
            }
        };
        self.order.iter().enumerate().map(column).collect()
    }

    fn push_joins(&self, query: &mut QueryBuilder<Postgres>) {
        for (index, by) in self.order.iter().enumerate() {
            let LoggedModelOrderKey::Metric { key, dataset } = &by.key else { continue };
            query.push(
                " left join lateral (
                     select x.value
                     from logged_model_metrics x
                     where x.logged_model_id = m.id and x.key = ",
            );
            query.push_bind(key.clone());
            if let Some(dataset) = dataset {
                query.push(" and ");
                push_dataset(query, dataset);
            }
            query.push(format_args!(" order by x.timestamp desc, x.step desc, x.value desc limit 1) o{index} on true"));
        }
    }

    fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where m.workspace_id = ").push_bind(self.workspace);
        query.push(" and m.experiment_id = any(").push_bind(self.experiments.clone()).push(") and not m.deleted");
        if !self.datasets.is_empty() && !self.filter.as_ref().is_some_and(|filter| filter.mentions_metrics()) {
            query.push(" and exists (select from logged_model_metrics x where x.logged_model_id = m.id and ");
            push_datasets(query, &self.datasets);
            query.push(")");
        }
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &|query: &mut QueryBuilder<Postgres>, clause: &LoggedModelClause| {
                self.push_clause(query, clause);
            });
        }
    }

    fn push_clause(&self, query: &mut QueryBuilder<Postgres>, clause: &LoggedModelClause) {
        match clause {
            LoggedModelClause::Metric { key, test } => {
                if *test == Keyed::Absent {
                    query.push("not ");
                }
                query.push(
                    "exists (select from logged_model_metrics x
                     where x.logged_model_id = m.id and x.key = ",
                );
                query.push_bind(key.clone());
                if let Keyed::Is(test) = test {
                    query.push(" and ");
                    condition::push_number(query, "x.value", test);
                }
                if !self.datasets.is_empty() {
                    query.push(" and ");
                    push_datasets(query, &self.datasets);
                }
                query.push(")");
            }
            LoggedModelClause::Param { key, test } => push_keyed(query, "m.params", key, test),
            LoggedModelClause::Tag { key, test } => push_keyed(query, "m.tags", key, test),
            LoggedModelClause::Text { attribute: LoggedModelText::ModelId, test } => push_id(query, test),
            LoggedModelClause::Text { attribute, test } => {
                condition::push_text(query, text_column(*attribute), test);
            }
            LoggedModelClause::Status(Choice::Like(test)) => push_status(query, test),
            LoggedModelClause::Status(Choice::OneOf(one_of)) => {
                let names: Vec<&str> = one_of.values.iter().map(|status| status.as_str()).collect();
                query.push(if one_of.negated { "(m.status <> all(" } else { "(m.status = any(" });
                query.push_bind(names).push("))");
            }
            LoggedModelClause::Experiment(one_of) => {
                let ids: Vec<i64> = one_of.values.iter().map(|id| id.0).collect();
                let default = ids.contains(&0);
                query.push(if one_of.negated { "not (" } else { "(" }).push("m.experiment_id = any(");
                query.push_bind(ids).push(")");
                // What clients call 0.
                if default {
                    query.push(
                        " or m.experiment_id in (select id from experiments where is_default and workspace_id = ",
                    );
                    query.push_bind(self.workspace).push(")");
                }
                query.push(")");
            }
            LoggedModelClause::Time { attribute, test } => {
                condition::push_integer(query, time_column(*attribute), test);
            }
        }
    }
}

/// The run that a model is from, as clients see it: nothing is an empty text.
const SOURCE_RUN: &str = "coalesce(replace(m.source_run_id::text, '-', ''), '')";

/// As `ArtifactRoot::uri` has it.
const ARTIFACT_LOCATION: &str =
    "('mlflow-artifacts:/' || m.experiment_id || '/models/m-' || replace(m.id::text, '-', '') || '/artifacts')";

fn text_column(text: LoggedModelText) -> &'static str {
    match text {
        LoggedModelText::Name => "m.name",
        LoggedModelText::ModelId => "('m-' || replace(m.id::text, '-', ''))",
        LoggedModelText::ModelType => "m.model_type",
        LoggedModelText::SourceRunId => SOURCE_RUN,
        LoggedModelText::ArtifactLocation => ARTIFACT_LOCATION,
        LoggedModelText::LifecycleStage => "(case when m.deleted then 'deleted' else 'active' end)",
        LoggedModelText::StatusMessage => "nullif(m.status_message, '')",
    }
}

fn time_column(time: LoggedModelTime) -> &'static str {
    match time {
        LoggedModelTime::Creation => "m.creation_time",
        LoggedModelTime::LastUpdated => "m.last_update_time",
    }
}

/// Adds the condition that the point `x` was measured on this data set.
fn push_dataset(query: &mut QueryBuilder<Postgres>, dataset: &DatasetRef) {
    query.push("(x.dataset_name = ").push_bind(dataset.name.clone());
    if let Some(digest) = &dataset.digest {
        query.push(" and x.dataset_digest = ").push_bind(digest.clone());
    }
    query.push(")");
}

/// Adds the condition that the point `x` was measured on one of these data sets: `(…)`.
fn push_datasets(query: &mut QueryBuilder<Postgres>, datasets: &[DatasetRef]) {
    for (index, dataset) in datasets.iter().enumerate() {
        query.push(if index == 0 { "(" } else { " or " });
        push_dataset(query, dataset);
    }
    query.push(")");
}

/// Adds the condition that the short or the long name of the status has a form.
fn push_status(query: &mut QueryBuilder<Postgres>, PatternTest { negated, any_case, pattern }: &PatternTest) {
    const SHORT: &str = "case m.status when 'upload_failed' then 'FAILED' else upper(m.status) end";
    const LONG: &str = "('LOGGED_MODEL_' || upper(m.status))";
    let form = if *any_case { TextTest::ILike } else { TextTest::Like };
    query.push(if *negated { "not (" } else { "(" });
    condition::push_text(query, SHORT, &form(pattern.clone()));
    query.push(" or ");
    condition::push_text(query, LONG, &form(pattern.clone()));
    query.push(")");
}

fn push_keyed(query: &mut QueryBuilder<Postgres>, column: &str, key: &str, test: &Keyed<TextTest>) {
    match test {
        Keyed::Absent => query.push(format_args!("not {column} ? ")).push_bind(key.to_owned()),
        Keyed::Present => query.push(format_args!("{column} ? ")).push_bind(key.to_owned()),
        Keyed::Is(test) => {
            query.push("exists (select from (select ").push(column).push(" ->> ");
            query.push_bind(key.to_owned()).push(" as value) t where t.value is not null and ");
            condition::push_text(query, "t.value collate \"C\"", test);
            query.push(")")
        }
    };
}

/// A comparison of the model's id, by the index when whole ids are meant.
fn push_id(query: &mut QueryBuilder<Postgres>, test: &TextTest) {
    let id = |text: &String| LoggedModelId::from_wire(text).ok().filter(|id| id.wire() == *text);
    let ids = match test {
        TextTest::Eq(text) => id(text).into_iter().collect::<Vec<_>>(),
        TextTest::In(values) => values.iter().filter_map(id).collect(),
        test => return condition::push_text(query, text_column(LoggedModelText::ModelId), test),
    };
    query.push("m.id = any(").push_bind(ids).push(")");
}

/// A page of models: their ids.
///
/// # Errors
/// [`crate::Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<LoggedModelId>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new("select m.id");
    keyset::push_columns(&mut query, &columns);
    query.push(" from logged_models m");
    search.push_joins(&mut query);
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| Ok(row.try_get("id")?)).await
}
