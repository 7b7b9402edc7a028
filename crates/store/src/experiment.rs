//! Experiments.

use crate::{
    Error, Result, condition,
    keyset::{self, Column, Found, Kind, Mark},
};
use domain::{
    experiment::{Experiment, ExperimentSummary, LifecycleStage, ViewType},
    id::{EnvironmentId, ExperimentId, RunId, WorkspaceId},
    search::{ExperimentAttribute, ExperimentClause, ExperimentFilter, ExperimentTime, OrderBy},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Row as _, types::Json};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    id: ExperimentId,
    workspace_id: WorkspaceId,
    name: String,
    is_default: bool,
    lifecycle_stage: String,
    creation_time: i64,
    last_update_time: i64,
    tags: Json<BTreeMap<String, String>>,
}

impl TryFrom<Row> for Experiment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            is_default: row.is_default,
            lifecycle_stage: stage(&row.lifecycle_stage)?,
            creation_time: row.creation_time,
            last_update_time: row.last_update_time,
            tags: row.tags.0,
        })
    }
}

/// What [`Row`] is read from, for experiments called `e`.
const COLUMNS: &str = "e.id, e.workspace_id, e.name, e.is_default, e.lifecycle_stage, e.creation_time, e.last_update_time,
    coalesce((select jsonb_object_agg(t.key, t.value) from experiment_tags t where t.experiment_id = e.id), '{}') as tags";

pub(crate) fn stage(name: &str) -> Result<LifecycleStage> {
    LifecycleStage::parse(name).ok_or_else(|| Error::unknown("lifecycle stage", name))
}

/// Adds the condition of a view to a query: ` and …`.
pub(crate) fn push_view(query: &mut QueryBuilder<Postgres>, sql: &str, view: ViewType) {
    match view {
        ViewType::ActiveOnly => query.push(format_args!(" and {sql} = 'active'")),
        ViewType::DeletedOnly => query.push(format_args!(" and {sql} = 'deleted'")),
        ViewType::All => query,
    };
}

/// Adds an experiment. `now` is in milliseconds since 1970.
///
/// # Errors
/// [`Error::Duplicate`] when the name is taken, also by a deleted one.
pub async fn insert(conn: &mut PgConnection, workspace: WorkspaceId, name: &str, now: i64) -> Result<ExperimentId> {
    let id = sqlx::query_scalar(
        "insert into experiments (workspace_id, name, creation_time, last_update_time)
         values ($1, $2, $3, $3)
         returning id",
    )
    .bind(workspace)
    .bind(name)
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok(id)
}

/// The experiment of this number; `0` is the default one of the workspace.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: ExperimentId) -> Result<Option<Experiment>> {
    let mut query = QueryBuilder::new(format!("select {COLUMNS} from experiments e where e.workspace_id = "));
    query.push_bind(workspace);
    match id {
        ExperimentId(0) => query.push(" and e.is_default"),
        id => query.push(" and e.id = ").push_bind(id),
    };
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(Experiment::try_from).transpose()
}

/// The experiment of this name, also a deleted one.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Experiment>> {
    let mut query = QueryBuilder::new(format!("select {COLUMNS} from experiments e where e.workspace_id = "));
    query.push_bind(workspace).push(" and e.name = ").push_bind(name);
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(Experiment::try_from).transpose()
}

/// Holds other changes of the experiment back until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: ExperimentId) -> Result<()> {
    sqlx::query("select id from experiments where id = $1 for update").bind(id).execute(conn).await?;
    Ok(())
}

/// The stage of the experiment, which it keeps until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_stage(conn: &mut PgConnection, id: ExperimentId) -> Result<LifecycleStage> {
    // As rows that refer to it hold it by themselves, so that many can be added at once; only [`lock`] waits.
    let name: String = sqlx::query_scalar("select lifecycle_stage from experiments where id = $1 for key share")
        .bind(id)
        .fetch_one(conn)
        .await?;
    stage(&name)
}

/// Renames an experiment.
///
/// # Errors
/// [`Error::Duplicate`] when the name is taken, also by a deleted one.
pub async fn rename(conn: &mut PgConnection, id: ExperimentId, name: &str, now: i64) -> Result<()> {
    sqlx::query("update experiments set name = $2, last_update_time = $3 where id = $1")
        .bind(id)
        .bind(name)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts an experiment away with all its runs, or brings it back with all of them, as MLflow does. Answers with the
/// number of runs.
///
/// # Errors
/// When a statement fails.
pub async fn set_stage(conn: &mut PgConnection, id: ExperimentId, stage: LifecycleStage, now: i64) -> Result<u64> {
    sqlx::query("update experiments set lifecycle_stage = $2, last_update_time = $3 where id = $1")
        .bind(id)
        .bind(stage.as_str())
        .bind(now)
        .execute(&mut *conn)
        .await?;
    let runs = sqlx::query(
        "update runs
         set lifecycle_stage = $2, version = version + 1
         where experiment_id = $1 and lifecycle_stage <> $2",
    )
    .bind(id)
    .bind(stage.as_str())
    .execute(conn)
    .await?;
    Ok(runs.rows_affected())
}

/// Sets tags of an experiment.
///
/// # Errors
/// When the statement fails.
pub async fn set_tags(conn: &mut PgConnection, id: ExperimentId, tags: &BTreeMap<String, String>) -> Result<()> {
    let (keys, values): (Vec<&String>, Vec<&String>) = tags.iter().unzip();
    sqlx::query(
        "insert into experiment_tags (experiment_id, key, value)
         select $1, key, value from unnest($2::text[], $3::text[]) as t (key, value)
         on conflict (experiment_id, key) do update set value = excluded.value",
    )
    .bind(id)
    .bind(keys)
    .bind(values)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a tag. Tells whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete_tag(conn: &mut PgConnection, id: ExperimentId, key: &str) -> Result<bool> {
    let deleted = sqlx::query("delete from experiment_tags where experiment_id = $1 and key = $2")
        .bind(id)
        .bind(key)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Which experiments are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where.
    pub workspace: WorkspaceId,
    /// In use, put away, or both.
    pub view: ViewType,
    /// Only those of which this holds.
    pub filter: Option<ExperimentFilter>,
    /// A complete order, as the functions of `domain::search` make it.
    pub order: Vec<OrderBy<ExperimentAttribute>>,
}

impl Search {
    fn columns(&self) -> Vec<Column> {
        let column = |by: &OrderBy<ExperimentAttribute>| match by.key {
            ExperimentAttribute::Name => Column::new("e.name", Kind::Text, by.direction),
            ExperimentAttribute::Id => Column::new("e.id", Kind::Integer, by.direction),
            ExperimentAttribute::Time(time) => Column::new(time_column(time), Kind::Integer, by.direction),
        };
        self.order.iter().map(column).collect()
    }

    fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where e.workspace_id = ").push_bind(self.workspace);
        push_view(query, "e.lifecycle_stage", self.view);
        if let Some(filter) = &self.filter {
            query.push(" and ");
            condition::push(query, filter, &push_clause);
        }
    }
}

fn time_column(time: ExperimentTime) -> &'static str {
    match time {
        ExperimentTime::Creation => "e.creation_time",
        ExperimentTime::LastUpdate => "e.last_update_time",
    }
}

fn push_clause(query: &mut QueryBuilder<Postgres>, clause: &ExperimentClause) {
    match clause {
        ExperimentClause::Name(test) => condition::push_text(query, "e.name", test),
        ExperimentClause::Time { attribute, test } => condition::push_integer(query, time_column(*attribute), test),
        ExperimentClause::Id(one_of) => {
            let ids: Vec<i64> = one_of.values.iter().map(|id| id.0).collect();
            query.push(if one_of.negated { "not (e.id = any(" } else { "(e.id = any(" });
            query.push_bind(ids.clone()).push(")");
            // What clients call 0.
            if ids.contains(&0) {
                query.push(" or e.is_default");
            }
            query.push(")");
        }
        ExperimentClause::Tag { key, test } => {
            condition::push_tag(query, "experiment_tags t where t.experiment_id = e.id", key, test)
        }
    }
}

/// A page of experiments.
///
/// # Errors
/// [`Error::ForeignPlace`] when `after` is of another order.
pub async fn search(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<Experiment>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new(format!("select {COLUMNS}"));
    keyset::push_columns(&mut query, &columns);
    query.push(" from experiments e");
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| Row::from_row(row)?.try_into()).await
}

/// The same page, with what the active runs of each experiment come to.
///
/// # Errors
/// [`Error::ForeignPlace`] when `after` is of another order.
pub async fn summaries(
    conn: &mut PgConnection,
    search: &Search,
    after: Option<&[Mark]>,
    limit: i64,
) -> Result<Found<ExperimentSummary>> {
    let columns = search.columns();
    let mut query = QueryBuilder::new(format!("select {COLUMNS}, s.runs, s.running, s.last_run_at"));
    keyset::push_columns(&mut query, &columns);
    query.push(
        " from experiments e
         cross join lateral (
             select count(*) as runs, count(*) filter (where r.status = 'RUNNING') as running, max(r.start_time) as last_run_at
             from runs r
             where r.experiment_id = e.id and r.lifecycle_stage = 'active'
         ) s",
    );
    search.push_where(&mut query);
    keyset::page(conn, query, &columns, after, limit, |row| {
        Ok(ExperimentSummary {
            experiment: Row::from_row(row)?.try_into()?,
            runs: row.try_get("runs")?,
            running: row.try_get("running")?,
            last_run_at: row.try_get("last_run_at")?,
        })
    })
    .await
}

/// What serves in an environment and was made by a run of the experiment: model, version and run. When several do, what
/// came there last.
///
/// # Errors
/// When the statement fails.
pub async fn serving(
    conn: &mut PgConnection,
    environment: EnvironmentId,
    experiment: ExperimentId,
) -> Result<Option<(String, i32, RunId)>> {
    let serving = sqlx::query_as(
        "select m.name, v.version, r.id
         from deployments d
         join model_versions v on v.id = d.model_version_id
         join models m on m.id = v.model_id
         join runs r on r.id = v.run_id
         where d.environment_id = $1 and d.state = 'live' and r.experiment_id = $2
         order by d.live_at desc
         limit 1",
    )
    .bind(environment)
    .bind(experiment)
    .fetch_optional(conn)
    .await?;
    Ok(serving)
}

/// Whether anything was logged to a workspace.
///
/// # Errors
/// When the statement fails.
pub async fn has_runs(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<bool> {
    let exists = sqlx::query_scalar("select exists (select from runs where workspace_id = $1)")
        .bind(workspace)
        .fetch_one(conn)
        .await?;
    Ok(exists)
}
