//! Triggers, and what they did for what they wait for: [`firings`] of those that wait for alerts, and [`fired`] of the
//! others.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    environment::Sight,
    id::{AlertId, MonitorId, PipelineId, PipelineRunId, TokenId, TriggerId, WorkspaceId},
    monitor::Firing,
    pipeline_run::{PipelineRun, PipelineRunState},
    trigger::{Trigger, TriggerFiring, TriggerOn},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: TriggerId,
    kind: String,
    monitor_id: Option<MonitorId>,
    model: Option<String>,
    environment: Option<String>,
    source_id: Option<PipelineId>,
    source: Option<String>,
    source_states: Option<Vec<String>>,
    dataset: Option<String>,
    checked: bool,
    pipeline_id: PipelineId,
    pipeline: String,
    params: Json<serde_json::Map<String, serde_json::Value>>,
    enabled: bool,
    cool_down_s: i32,
}

impl TryFrom<Row> for Trigger {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let on = match (row.monitor_id, row.model, row.environment, row.source_id, row.source, row.dataset) {
            (Some(monitor_id), Some(model), Some(environment), ..) => {
                TriggerOn::Alert { monitor_id, model, environment }
            }
            (_, _, _, Some(source_id), Some(source), _) => TriggerOn::Pipeline {
                source_id,
                source,
                states: row.source_states.iter().flatten().filter_map(|name| PipelineRunState::parse(name)).collect(),
            },
            (_, _, _, _, _, Some(dataset)) => TriggerOn::Dataset { dataset, checked: row.checked },
            _ => return Err(Error::unknown("kind of trigger", &row.kind)),
        };
        Ok(Self {
            id: row.id,
            on,
            pipeline_id: row.pipeline_id,
            pipeline: row.pipeline,
            params: row.params.0,
            enabled: row.enabled,
            cool_down_s: row.cool_down_s,
        })
    }
}

fn selected() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select t.id, t.kind, t.monitor_id, o.name as model, e.name as environment, t.source_pipeline_id as source_id,
             a.name as source, t.source_states, t.dataset, t.checked, t.pipeline_id, p.name as pipeline, t.params, t.enabled,
             t.cool_down_s
         from triggers t
         left join monitors m on m.id = t.monitor_id
         left join models o on o.id = m.model_id
         left join environments e on e.id = m.environment_id
         left join pipelines a on a.id = t.source_pipeline_id
         join pipelines p on p.id = t.pipeline_id",
    )
}

/// The triggers of a workspace, or those of one monitor of it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, sight: &Sight, monitor: Option<MonitorId>) -> Result<Vec<Trigger>> {
    let mut query = selected();
    query.push(" where t.workspace_id = ").push_bind(sight.workspace());
    query.push(" and (e.id is null or may_see_environment(e.visible_to, ").push_bind(sight.roles()).push("))");
    if let Some(monitor) = monitor {
        query.push(" and t.monitor_id = ").push_bind(monitor);
    }
    query.push(" order by p.name, t.kind, o.name, e.position, a.name, t.dataset");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Trigger::try_from).collect()
}

/// The triggers that held back for an alert and have not started anything for it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn held_back(conn: &mut PgConnection, alert: AlertId) -> Result<Vec<Trigger>> {
    let mut query = selected();
    query.push(" join firings f on f.trigger_id = t.id and f.pipeline_run_id is null where f.alert_id = ");
    query.push_bind(alert).push(" order by p.name");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Trigger::try_from).collect()
}

/// What of this workspace waits for the end of such a run, by the pipeline that it starts.
///
/// # Errors
/// When the statement fails.
pub async fn waiting_for_run(conn: &mut PgConnection, run: &PipelineRun) -> Result<Vec<Trigger>> {
    let mut query = selected();
    query.push(" where t.enabled and t.source_pipeline_id = ").push_bind(run.pipeline_id);
    query.push(" and ").push_bind(run.state.as_str()).push(" = any(t.source_states) order by t.pipeline_id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Trigger::try_from).collect()
}

/// What waits for new versions of a data set, by the pipeline that it starts: for those that passed their checks if
/// `checked`, or else for all.
///
/// # Errors
/// When the statement fails.
pub async fn waiting_for_dataset(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    dataset: &str,
    checked: bool,
) -> Result<Vec<Trigger>> {
    let mut query = selected();
    query.push(" where t.enabled and t.workspace_id = ").push_bind(workspace);
    query.push(" and t.dataset = ").push_bind(dataset).push(" and t.checked = ").push_bind(checked);
    query.push(" order by t.pipeline_id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Trigger::try_from).collect()
}

/// The trigger of this id that waits for no alert, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, id: TriggerId) -> Result<Option<Trigger>> {
    let mut query = selected();
    query.push(" where t.kind <> 'alert' and t.workspace_id = ").push_bind(workspace);
    query.push(" and t.id = ").push_bind(id).push(" for no key update of t");
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(Trigger::try_from).transpose()
}

/// Every pipeline of a workspace whose end starts another, and that other.
///
/// # Errors
/// When the statement fails.
pub async fn edges(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<(String, String)>> {
    let edges = sqlx::query_as(
        "select a.name, p.name
         from triggers t
         join pipelines a on a.id = t.source_pipeline_id
         join pipelines p on p.id = t.pipeline_id
         where t.workspace_id = $1",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(edges)
}

/// Makes a trigger that waits for no alert, or changes the one of this source and pipeline. Answers with its id and whether
/// it is new.
///
/// # Errors
/// When the statement fails.
pub async fn set_on(conn: &mut PgConnection, workspace: WorkspaceId, trigger: &Trigger) -> Result<(TriggerId, bool)> {
    let (kind, source, states, dataset, checked) = match &trigger.on {
        TriggerOn::Pipeline { source_id, states, .. } => {
            let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            ("pipeline", Some(*source_id), Some(states), None, false)
        }
        TriggerOn::Dataset { dataset, checked } => ("dataset", None, None, Some(dataset), *checked),
        TriggerOn::Alert { .. } => return Err(Error::unknown("source of a trigger", "alert")),
    };
    let target = match kind {
        "pipeline" => "(source_pipeline_id, pipeline_id) where source_pipeline_id is not null",
        _ => "(workspace_id, dataset, pipeline_id) where dataset is not null",
    };
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(
        "insert into triggers (id, workspace_id, kind, source_pipeline_id, source_states, dataset, checked, pipeline_id,
             params, enabled, cool_down_s)
         values (",
    );
    query.push_bind(trigger.id).push(", ").push_bind(workspace).push(", ").push_bind(kind).push(", ");
    query.push_bind(source).push(", ").push_bind(states).push(", ").push_bind(dataset).push(", ");
    query.push_bind(checked).push(", ");
    query.push_bind(trigger.pipeline_id).push(", ").push_bind(Json(&trigger.params)).push(", ");
    query.push_bind(trigger.enabled).push(", ").push_bind(trigger.cool_down_s).push(") on conflict ").push(target);
    query.push(
        " do update
         set source_states = excluded.source_states, checked = excluded.checked, params = excluded.params,
             enabled = excluded.enabled, cool_down_s = excluded.cool_down_s
         returning id, xmax = 0",
    );
    Ok(query.build_query_as().fetch_one(conn).await?)
}

/// Deletes a trigger that waits for no alert, and what it did. The runs that it started stay.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: TriggerId) -> Result<()> {
    sqlx::query("delete from triggers where id = $1 and kind <> 'alert'").bind(id).execute(conn).await?;
    Ok(())
}

/// Takes the firing of a trigger for something that happened, by its key. Of the same, one has it; one that was held back may
/// be had `again`, when what happened may have become another. Tells whether it is to be had.
///
/// # Errors
/// When the statement fails.
pub async fn take_fired(
    conn: &mut PgConnection,
    trigger: TriggerId,
    source: &str,
    name: &str,
    again: bool,
) -> Result<bool> {
    let taken = sqlx::query(
        "insert into trigger_firings (trigger_id, source, source_name)
         values ($1, $2, $3)
         on conflict (trigger_id, source) do update
         set source_name = excluded.source_name
         where $4 and trigger_firings.pipeline_run_id is null",
    )
    .bind(trigger)
    .bind(source)
    .bind(name)
    .bind(again)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Notes what a firing that was taken did: the run that it started, or why it held back.
///
/// # Errors
/// When the statement fails.
pub async fn end_fired(
    conn: &mut PgConnection,
    trigger: TriggerId,
    source: &str,
    outcome: std::result::Result<PipelineRunId, &str>,
) -> Result<()> {
    sqlx::query(
        "update trigger_firings
         set at = clock_timestamp(), pipeline_run_id = $3, held_back = $4
         where trigger_id = $1 and source = $2",
    )
    .bind(trigger)
    .bind(source)
    .bind(outcome.ok())
    .bind(outcome.err())
    .execute(conn)
    .await?;
    Ok(())
}

/// What a trigger that waits for no alert did, latest first.
///
/// # Errors
/// When the statement fails.
pub async fn fired(conn: &mut PgConnection, trigger: TriggerId, limit: i64) -> Result<Vec<TriggerFiring>> {
    #[derive(FromRow)]
    struct FiredRow {
        at: DateTime<Utc>,
        source_name: String,
        run_number: Option<i64>,
        held_back: Option<String>,
    }
    let rows: Vec<FiredRow> = sqlx::query_as(
        "select f.at, f.source_name, r.number as run_number, f.held_back
         from trigger_firings f
         left join pipeline_runs r on r.id = f.pipeline_run_id
         where f.trigger_id = $1
         order by f.at desc
         limit $2",
    )
    .bind(trigger)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let firing = |row: FiredRow| TriggerFiring {
        at: row.at,
        source: row.source_name,
        run_number: row.run_number,
        held_back: row.held_back,
    };
    Ok(rows.into_iter().map(firing).collect())
}

/// How many runs led to the run whose step has this token; none when it is no step's.
///
/// # Errors
/// When the statement fails.
pub async fn depth_of_token(conn: &mut PgConnection, token: TokenId) -> Result<Option<i32>> {
    let depth = sqlx::query_scalar(
        "select r.depth
         from step_attempts a
         join steps s on s.id = a.step_id
         join pipeline_runs r on r.id = s.run_id
         where a.token_id = $1",
    )
    .bind(token)
    .fetch_optional(conn)
    .await?;
    Ok(depth)
}

/// Makes a trigger, or changes the one of this monitor and pipeline. Answers with its id and whether it is new.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    monitor: MonitorId,
    trigger: &Trigger,
) -> Result<(TriggerId, bool)> {
    let set = sqlx::query_as(
        "insert into triggers (id, workspace_id, monitor_id, pipeline_id, params, enabled, cool_down_s)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (monitor_id, pipeline_id) do update
         set params = excluded.params, enabled = excluded.enabled, cool_down_s = excluded.cool_down_s
         returning id, xmax = 0",
    )
    .bind(trigger.id)
    .bind(workspace)
    .bind(monitor)
    .bind(trigger.pipeline_id)
    .bind(Json(&trigger.params))
    .bind(trigger.enabled)
    .bind(trigger.cool_down_s)
    .fetch_one(conn)
    .await?;
    Ok(set)
}

/// Takes the firing of a trigger for an alert, until the transaction ends. Tells whether it is still to be had: a trigger
/// starts something once for an alert.
///
/// # Errors
/// When the statement fails.
pub async fn take_firing(conn: &mut PgConnection, trigger: TriggerId, alert: AlertId) -> Result<bool> {
    let taken = sqlx::query(
        "insert into firings (trigger_id, alert_id)
         values ($1, $2)
         on conflict (trigger_id, alert_id) do update
         set alert_id = excluded.alert_id
         where firings.pipeline_run_id is null",
    )
    .bind(trigger)
    .bind(alert)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Whether a trigger started something so short a time ago that it rests. Locks the trigger until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn rests(conn: &mut PgConnection, trigger: TriggerId) -> Result<bool> {
    sqlx::query("select id from triggers where id = $1 for no key update").bind(trigger).execute(&mut *conn).await?;
    // The clock is read under the lock.
    let rests = sqlx::query_scalar(
        "select exists (
             select
             from triggers t
             join (
                 select trigger_id, pipeline_run_id, at from firings
                 union all
                 select trigger_id, pipeline_run_id, at from trigger_firings) as f on f.trigger_id = t.id
             where t.id = $1
               and f.pipeline_run_id is not null
               and f.at > clock_timestamp() - make_interval(secs => t.cool_down_s)
         )",
    )
    .bind(trigger)
    .fetch_one(conn)
    .await?;
    Ok(rests)
}

/// Notes what a firing did: the run that it started, or why it holds back. Tells whether that is news.
///
/// # Errors
/// When the statement fails.
pub async fn end_firing(
    conn: &mut PgConnection,
    trigger: TriggerId,
    alert: AlertId,
    outcome: std::result::Result<PipelineRunId, &str>,
) -> Result<bool> {
    let ended = sqlx::query(
        "update firings
         set at = clock_timestamp(), pipeline_run_id = $3, held_back = $4
         where trigger_id = $1
           and alert_id = $2
           and pipeline_run_id is null
           and (pipeline_run_id is distinct from $3 or held_back is distinct from $4)",
    )
    .bind(trigger)
    .bind(alert)
    .bind(outcome.ok())
    .bind(outcome.err())
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// What triggers did for an alert.
///
/// # Errors
/// When the statement fails.
pub async fn firings(conn: &mut PgConnection, alert: AlertId) -> Result<Vec<Firing>> {
    #[derive(FromRow)]
    struct FiringRow {
        at: DateTime<Utc>,
        alert_id: AlertId,
        pipeline_run_id: Option<PipelineRunId>,
        pipeline_run_number: Option<i64>,
        held_back: Option<String>,
    }
    let rows: Vec<FiringRow> = sqlx::query_as(
        "select f.at, f.alert_id, f.pipeline_run_id, r.number as pipeline_run_number, f.held_back
         from firings f
         left join pipeline_runs r on r.id = f.pipeline_run_id
         where f.alert_id = $1
         order by f.at",
    )
    .bind(alert)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Firing {
            at: row.at,
            alert_id: row.alert_id,
            pipeline_run_id: row.pipeline_run_id,
            pipeline_run_number: row.pipeline_run_number,
            held_back: row.held_back,
        })
        .collect())
}
